"""Images are read on the scale that is meant, or a word is said of it."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skae import AutoencoderTransformer, dump, load
from skae._data.scale import check_scale

rng = np.random.default_rng(0)


def spots(n_samples=20):
    """Return uint8 images of 12 x 12 pixels with one round spot each."""
    centre = rng.uniform(2, 9, (2, n_samples, 1, 1))
    down, across = np.mgrid[:12, :12][:, None] - centre
    return np.rint(255 * np.exp(-(down**2 + across**2) / 6)).astype(np.uint8)


PIXELS = spots()
FRACTIONS = PIXELS / 255
MASKS = PIXELS > 127
DARK = PIXELS // 64  # from 0 to 3


def check(seen, X):
    """Check X after a fit to what was seen."""
    check_scale(X, seen.dtype, (float(seen.min()), float(seen.max())))


# What fit saw, and what has another scale.
OTHERS = {
    "-1 to 1 after uint8": (PIXELS, 2 * FRACTIONS - 1),
    "standardised after uint8": (PIXELS, (FRACTIONS - 0.5) / 0.2),
    "dark int64 after uint8": (PIXELS, DARK.astype(int)),
    "dark floats of 0 to 255 after uint8": (PIXELS, DARK.astype(float)),
    "sparse dark ones after uint8": (
        PIXELS.reshape(20, -1),
        sp.csr_array(DARK.reshape(20, -1).astype(float)),
    ),
    "int64 masks after uint8": (PIXELS, MASKS.astype(int)),
    "floats of 0 to 255 after uint16": (PIXELS.astype("u2") * 257, PIXELS * 1.0),
    "bool after uint8 masks of 0 and 1": (MASKS.astype("u1"), MASKS),
    "floats after uint8 masks of 0 and 1": (MASKS.astype("u1"), MASKS * 1.0),
    "masks of 255 after masks of 1": (MASKS.astype("u1"), MASKS.astype("u1") * 255),
    "floats after 12 bits in uint16": (PIXELS.astype("u2") * 16, FRACTIONS),
    "uint8 after 12 bits in uint16": (PIXELS.astype("u2") * 16, PIXELS),
    "0 to 1 after floats of 0 to 255": (PIXELS * 1.0, FRACTIONS),
    "one of 0 to 1 after floats of 0 to 255": (PIXELS * 1.0, FRACTIONS[:1]),
    "0 to 1 after int64": (PIXELS.astype(int), FRACTIONS),
    "0 to 1 after 0 to 15": (PIXELS // 17 * 1.0, FRACTIONS),
    "bool after floats of 0 to 255": (PIXELS * 1.0, MASKS),
    "-1 to 1 after floats of 0 to 255": (PIXELS * 1.0, 2 * FRACTIONS - 1),
    "0 to 255 after floats of 0 to 1": (FRACTIONS, PIXELS * 1.0),
    "float32 of 0 to 255 after floats of 0 to 1": (FRACTIONS, np.float32(PIXELS)),
    "dark int64 after floats of 0 to 1": (FRACTIONS, DARK.astype(int)),
    "dark floats of 0 to 255 after floats of 0 to 1": (FRACTIONS, DARK * 1.0),
    "-1 to 1 after floats of 0 to 1": (FRACTIONS, 2 * FRACTIONS - 1),
    "0 to 1 after floats of -1 to 1": (2 * FRACTIONS - 1, FRACTIONS),
    "0 to 255 after floats of -1 to 1": (2 * FRACTIONS - 1, PIXELS * 1.0),
    "uint8 after floats": (FRACTIONS, PIXELS),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_scale_is_refused(name):
    with pytest.raises(ValueError, match="fit (saw|to)"):
        check(*OTHERS[name])


@pytest.mark.parametrize("method", ["transform", "score", "partial_fit"])
@pytest.mark.parametrize(
    "name", ["-1 to 1 after uint8", "0 to 1 after floats of 0 to 255"]
)
def test_methods_refuse_another_scale(name, method):
    seen, other = OTHERS[name]
    estimator = AutoencoderTransformer(2, max_epochs=1).fit(seen)
    with pytest.raises(ValueError, match="but fit saw"):
        getattr(estimator, method)(other)


NOISE = rng.normal(size=PIXELS.shape)
# What fit saw, and what is on its scale.
ALIKE = {
    "fractions after uint8": (PIXELS, FRACTIONS),
    "one image": (PIXELS, FRACTIONS[:1]),
    "noisy fractions after uint8": (PIXELS, FRACTIONS + NOISE),
    "one noisy image after uint8": (PIXELS, (FRACTIONS + NOISE)[:1]),
    "black after uint8": (PIXELS, 0 * FRACTIONS),
    "white after uint8": (PIXELS, 0 * FRACTIONS + 1),
    "bool after uint8": (PIXELS, MASKS),
    "uint16 after uint8": (PIXELS, PIXELS.astype("u2") * 257),
    "dark ones of its dtype": (PIXELS, DARK),
    "bright ones of its dtype": (PIXELS // 16, PIXELS),
    "masks of ints after bool": (MASKS, MASKS.astype(int)),
    "masks of floats after uint8": (PIXELS, MASKS * 1.0),
    "bool after masks of ints": (MASKS.astype(int), MASKS),
    "bool after floats of 0 to 1": (FRACTIONS, MASKS),
    "noisy floats after floats of 0 to 1": (FRACTIONS, FRACTIONS + NOISE),
    "a hot pixel": (FRACTIONS, FRACTIONS + 1e3 * (np.arange(12) == 3) * (NOISE > 3)),
    "black after floats of 0 to 255": (PIXELS * 1.0, 0 * FRACTIONS),
    "whole noise after floats of 0 to 255": (PIXELS * 1.0, MASKS * 1.0),
    "other ints": (PIXELS.astype(int), PIXELS.astype("i2")),
    "a drift": (10 * NOISE, 10 * NOISE + 15),
    "no images": (PIXELS, FRACTIONS[:0]),
    "constant ones": (0 * FRACTIONS + 0.5, FRACTIONS),
}


@pytest.mark.parametrize("name", ALIKE)
def test_the_same_scale_is_taken(name):
    check(*ALIKE[name])


def test_signals_may_go_far_beyond():
    signals = rng.normal(size=(20, 2, 50))
    estimator = AutoencoderTransformer(2, max_epochs=1).fit(signals)
    assert np.isfinite(estimator.transform(1000 + signals)).all()


# Said once, in fit


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_masks_of_0_and_1_are_warned_of(dtype):
    with pytest.warns(UserWarning, match="X has only the values 0 and 1.*astype.bool"):
        AutoencoderTransformer(2, max_epochs=1).fit(MASKS.astype(dtype))


def test_masks_as_a_target_are_warned_of():
    with pytest.warns(UserWarning, match="X_target has only the values 0 and 1"):
        AutoencoderTransformer(2, max_epochs=1).fit(
            PIXELS, X_target=MASKS.astype(np.uint8)
        )


def test_masks_after_larger_pixels_are_warned_of():
    estimator = AutoencoderTransformer(2, max_epochs=1).fit(PIXELS)
    with pytest.warns(UserWarning, match="X has only the values 0 and 1"):
        estimator.transform(MASKS.astype(np.uint8))


@pytest.mark.filterwarnings("ignore:.*asks for more than squared errors")
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (PIXELS.astype(np.uint16) * 16, "up to 4080 in uint16, where white is 65535"),
        (PIXELS.astype(np.uint16), "up to 255 in uint16.*as uint8"),
        (PIXELS // 16, "up to 15 in uint8, where white is 255.*floats in .0, 1."),
    ],
    ids=["12 bits", "8 bits", "4 bits"],
)
def test_pixels_far_from_white_are_warned_of_where_the_loss_sees_it(X, message):
    settings = {"max_epochs": 1, "hidden_layer_sizes": (2, 3)}
    with pytest.warns(UserWarning, match=f"X has values of {message}"):
        AutoencoderTransformer(2, loss="log_loss", **settings).fit(X)


@pytest.mark.parametrize(
    "X",
    [PIXELS, MASKS, MASKS * np.uint8(255), MASKS * 1.0, PIXELS.astype("u2"), DARK],
    ids=["pixels", "bool", "255", "floats", "8 bits in uint16", "labels"],
)
def test_other_pixels_are_not_warned_of(X):
    AutoencoderTransformer(2, max_epochs=1).fit(X)


# Counts


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial"])
def test_counts_are_counts_whatever_the_dtype(loss):
    counts = rng.poisson(rng.uniform(1, 7, (40, 1, 1)), (40, 8, 8))
    found = {}
    for dtype in ("uint8", "uint16", "int64", "float64", "float32"):
        estimator = AutoencoderTransformer(
            2,
            loss=loss,
            max_epochs=2,
            early_stopping=False,
            hidden_layer_sizes=(2, 3),
            random_state=0,
        ).fit(counts.astype(dtype))
        found[dtype] = estimator.transform(counts.astype(dtype))
        assert_allclose(estimator.mean_, counts.reshape(40, -1).mean(0), rtol=1e-6)
        # Fitted to one dtype, it takes the others, and gives its own back.
        again = estimator.transform(counts.astype("int32"))
        assert_allclose(again, found[dtype], rtol=1e-3, atol=1e-3)
        rebuilt = estimator.reconstruct(counts.astype(dtype))
        assert rebuilt.dtype == dtype
        as_float = estimator.reconstruct(counts, as_float=True)
        assert_allclose(rebuilt, as_float, atol=0.5001)
    for dtype in ("uint8", "uint16", "int64"):
        assert_array_equal(found[dtype], found["float64"])
    assert_allclose(found["float32"], found["float64"], rtol=1e-2, atol=1e-2)


def test_model_files_know_that_images_are_counts(tmp_path):
    counts = rng.poisson(4, (20, 8, 8)).astype(np.uint8)
    settings = {"loss": "poisson", "max_epochs": 1, "hidden_layer_sizes": (2, 3)}
    estimator = AutoencoderTransformer(2, **settings).fit(counts)
    dump(estimator, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert_array_equal(loaded.reconstruct(counts), estimator.reconstruct(counts))
    assert loaded.reconstruct(counts).max() > 1


# Clipping


def beyond(estimator, X):
    """Return codes that are decoded to more than the range of X."""
    return 4 * estimator.transform(X)


@pytest.mark.parametrize(
    "X", [2 * FRACTIONS - 1, np.float32(FRACTIONS), PIXELS], ids=["-1", "0", "uint8"]
)
def test_clipped_results_stay_in_the_range_of_the_data(X):
    estimator = AutoencoderTransformer(2, density="gaussian_mixture", max_epochs=1).fit(
        X
    )
    white = 255 if X.dtype == np.uint8 else 1
    low, high = X.min() / white, X.max() / white
    code = beyond(estimator, X)
    free = estimator.inverse_transform(code, as_float=True)
    clipped = estimator.inverse_transform(code, as_float=True, clip=True)
    assert free.min() < low < high < free.max()
    assert_allclose(clipped, np.clip(free, low, high), rtol=1e-6)
    for result in (
        estimator.reconstruct(X, as_float=True, clip=True),
        estimator.sample(50, 0, as_float=True, clip=True),
        estimator.interpolate(X[:3], X[3:6], as_float=True, clip=True),
    ):
        assert low - 1e-6 <= result.min() < result.max() <= high + 1e-6


def test_clipping_goes_by_the_range_of_the_target():
    target = 5 * FRACTIONS + 3
    estimator = AutoencoderTransformer(2, max_epochs=1).fit(FRACTIONS, X_target=target)
    code = beyond(estimator, FRACTIONS)
    clipped = estimator.inverse_transform(code, clip=True)
    assert_allclose(clipped, estimator.inverse_transform(code).clip(3, 8))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_range_of_the_data_widens_as_training_goes_on(method):
    settings = {"warm_start": True, "max_epochs": 1, "hidden_layer_sizes": (2, 3)}
    estimator = AutoencoderTransformer(2, **settings)
    getattr(estimator, method)(PIXELS // 2 + 50)
    getattr(estimator, method)(FRACTIONS)  # on the scale where white is 1
    code = 100 * rng.normal(size=(50, 2))
    found = estimator.inverse_transform(code, as_float=True, clip=True) * 255
    assert_allclose([found.min(), found.max()], [0, max(PIXELS.max(), 177)], atol=1e-3)


def test_tables_are_clipped_too():
    X = FRACTIONS.reshape(20, -1)
    estimator = AutoencoderTransformer(2, max_epochs=1).fit(X)
    assert estimator.inverse_transform(beyond(estimator, X), clip=True).min() == 0


def test_nothing_is_said_twice():
    estimator = AutoencoderTransformer(2, warm_start=True)
    with pytest.warns(UserWarning, match="0 and 1"):
        estimator.fit(MASKS.astype(np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(MASKS.astype(np.uint8))
        estimator.transform(MASKS.astype(np.uint8))
