"""Images of any form go in; what comes out has their shape, dtype and range."""

import functools
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skae import AutoencoderTransformer
from skae._data.images import ImageForm, read_form
from skae._data.scale import full_range
from skae.networks import ConvAutoencoder, MLPAutoencoder

# Two epochs need not be better than PCA.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FITS = ["fit", "partial_fit", "fit_transform"]
USES = ["transform", "reconstruct", "reconstruction_error", "score", "score_samples"]
DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "int16",
    "int64",
    "float16",
    "float32",
    "float64",
]
PIXELS = {"bool": 1, "uint8": 255, "uint16": 65535}
# Shape of a row of X, parameters, image_shape_, channel_order_
FORMS = {
    "grey": ((7, 5), {}, (7, 5), None),
    "larger grey": ((33, 28), {}, (33, 28), None),
    "tiny grey": ((4, 4), {}, (4, 4), None),
    "RGB last": ((7, 5, 3), {}, (7, 5, 3), "last"),
    "RGB first": ((3, 7, 5), {}, (3, 7, 5), "first"),
    "one channel last": ((7, 5, 1), {}, (7, 5, 1), "last"),
    "one channel first": ((1, 7, 5), {}, (1, 7, 5), "first"),
    "many channels last": ((5, 6, 7), {"channel_order": "last"}, (5, 6, 7), "last"),
    "one row": ((1, 9), {}, (1, 9), "first"),
    "one column": ((9, 1), {}, (9, 1), "last"),
    "channels, length": ((2, 9), {}, (2, 9), "first"),
    "length, channels": ((9, 2), {}, (9, 2), "last"),
    "flat signal": ((9,), {"image_shape": (9,)}, (9,), None),
    "flat grey": ((35,), {"image_shape": (7, 5)}, (7, 5), None),
    "flat RGB last": ((105,), {"image_shape": [7, 5, 3]}, (7, 5, 3), "last"),
    "flat RGB first": ((105,), {"image_shape": (3, 7, 5)}, (3, 7, 5), "first"),
    "flat signals": ((18,), {"image_shape": (2, 9)}, (2, 9), "first"),
    "flat thin": (
        (36,),
        {"image_shape": (3, 4, 3), "channel_order": "first"},
        (3, 4, 3),
        "first",
    ),
}


def pictures(shape, dtype="uint8", n_samples=4, seed=0):
    """Return random images over the whole range of their dtype, read-only."""
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    shape = (n_samples, *shape)
    if dtype.kind == "b":
        images = rng.random(shape) > 0.5
    elif dtype.kind in "iu":  # as far as doubles are exact
        limits = np.iinfo(dtype)
        low, high = max(limits.min, -(2**40)), min(limits.max, 2**40)
        images = rng.integers(low, high, shape, endpoint=True).astype(dtype)
    else:
        images = rng.normal(size=shape).astype(dtype)
    images.flags.writeable = False
    return images


def blobs(n_samples=60, seed=0):
    """Return uint8 images of 12 x 12 pixels with one round spot each."""
    centre = np.random.default_rng(seed).uniform(2, 9, (2, n_samples, 1, 1))
    down, across = np.mgrid[:12, :12][:, None] - centre
    return np.rint(255 * np.exp(-(down**2 + across**2) / 6)).astype(np.uint8)


GREY = pictures((7, 5), n_samples=12)
TABLE = GREY.reshape(12, 35)
COLOUR = pictures((7, 5, 3), n_samples=12)
BLOBS = blobs()


def autoencoder(n_components=2, **parameters):
    """Return an estimator that trains for two epochs, however few the rows.

    By "sgd": where PCA is optimal, Adam makes large steps of what rounding leaves.
    """
    quick = {"early_stopping": False, "max_epochs": 2}
    if isinstance(parameters.get("network", "auto"), str):
        quick["hidden_layer_sizes"] = (2, 3)
    quick |= {"solver": "sgd", "learning_rate": 0.1, "alpha": 0, "random_state": 0}
    return AutoencoderTransformer(n_components, **quick | parameters)


@functools.cache
def fitted_to_grey(dtype="uint8"):
    return autoencoder().fit(GREY.astype(dtype))


@functools.cache
def exact(form, dtype):
    """Return an estimator that is PCA with as many components as X has, and X."""
    shape, parameters, _, _ = FORMS[form]
    X = pictures(shape, dtype)
    estimator = AutoencoderTransformer(3, hidden_layer_sizes=(2,), **parameters)
    return estimator.fit(X), X


@functools.cache
def trained(form, dtype):
    """Return an estimator that was trained, and its X."""
    shape, parameters, _, _ = FORMS[form]
    X = pictures(shape, dtype, n_samples=12)
    return autoencoder(1, **parameters).fit(X), X


def assert_same_images(result, X):
    assert result.dtype == X.dtype
    assert result.shape == X.shape
    if X.dtype.kind == "f":
        assert_allclose(result, X, rtol=1e-5, atol=1e-5)
    else:
        assert_array_equal(result, X)


def form_of(shape, dtype="uint8", **parameters):
    """Return the form of no images of that shape."""
    return read_form(np.empty((0, *shape), dtype), **parameters)


# What the shape says


@pytest.mark.parametrize(
    ("shape", "size", "n_channels", "order"),
    [
        ((28, 28), (28, 28), 1, None),
        ((33, 28), (33, 28), 1, None),
        ((5, 5), (5, 5), 1, None),
        ((4, 4), (4, 4), 1, None),
        ((1, 1), (1, 1), 1, None),
        ((1, 9), (1, 9), 1, "first"),
        ((4, 9), (1, 9), 4, "first"),
        ((9, 4), (1, 9), 4, "last"),
        ((9, 1), (1, 9), 1, "last"),
        ((5, 9), (5, 9), 1, None),
        ((3, 28, 28), (28, 28), 3, "first"),
        ((28, 28, 3), (28, 28), 3, "last"),
        ((28, 5, 3), (28, 5), 3, "last"),
        ((1, 33, 28), (33, 28), 1, "first"),
        ((33, 28, 1), (33, 28), 1, "last"),
        ((4, 5, 6), (5, 6), 4, "first"),
        ((6, 5, 4), (6, 5), 4, "last"),
        ((2, 1, 9), (1, 9), 2, "first"),
    ],
)
def test_short_axis_is_taken_for_channels(shape, size, n_channels, order):
    form = form_of(shape)
    assert (form.size, form.n_channels, form.channel_order) == (size, n_channels, order)


@pytest.mark.parametrize(
    ("shape", "order", "size", "n_channels"),
    [
        ((3, 3, 3), "first", (3, 3), 3),
        ((3, 3, 3), "last", (3, 3), 3),
        ((5, 6, 7), "first", (6, 7), 5),
        ((5, 6, 7), "last", (5, 6), 7),
        ((3, 28, 28), "last", (3, 28), 28),
        ((28, 28), "first", (1, 28), 28),
        ((9, 2), "first", (1, 2), 9),
    ],
)
def test_channel_order_overrides_what_the_shape_says(shape, order, size, n_channels):
    form = form_of(shape, channel_order=order)
    assert (form.size, form.n_channels, form.channel_order) == (size, n_channels, order)


@pytest.mark.parametrize("image_shape", [(9,), [9], (np.int64(9),)])
def test_one_number_is_a_signal(image_shape):
    form = form_of((9,), image_shape=image_shape)
    assert (form.size, form.n_channels, form.channel_order) == ((1, 9), 1, None)
    assert form.image_shape == (9,)


def test_flat_rows_without_image_shape_are_a_table():
    assert not form_of((35,)).is_image


@pytest.mark.parametrize("image_shape", [(5, 7), (7, 5, 1), (1, 35), (35,)])
def test_flat_rows_take_the_shape_that_is_given(image_shape):
    form = form_of((35,), image_shape=image_shape)
    assert (form.row_shape, form.image_shape) == ((35,), image_shape)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((3, 28, 3), "either could be"),
        ((1, 9, 1), "either could be"),
        ((4, 4, 4), "either could be"),
        ((5, 5, 5), "neither has at most 4"),
        ((28, 3, 28), "neither has at most 4"),
    ],
)
def test_channels_that_may_be_either_axis_are_asked_for(shape, reason):
    message = f"shape .{', '.join(map(str, shape))}.: .*{reason}.*channel_order='first'"
    with pytest.raises(ValueError, match=message):
        form_of(shape)


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [
        ((35,), (6, 5)),
        ((35,), (7, 5, 3)),
        ((7, 5), (5, 7)),
        ((7, 5), (35,)),
        ((7, 5, 1), (7, 5)),
    ],
)
def test_image_shape_that_contradicts_X_is_refused(shape, image_shape):
    with pytest.raises(ValueError, match="pixels, but a row of X has the shape"):
        form_of(shape, image_shape=image_shape)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((64, 8), "last"),
        ((5, 100), "first"),
        ((100, 16), "last"),
        ((6, 24), "first"),
        ((64, 17), None),
        ((15, 8), None),
        ((28, 28), None),
    ],
)
def test_a_few_sensors_are_the_channels_of_signals(shape, order):
    form = form_of(shape, "float32")
    assert (form.channel_order, form.is_signal) == (order, order is not None)
    assert form_of(shape, "uint8").channel_order is None  # pixels are pictures


@pytest.mark.parametrize("image_shape", [(64, 8, 1), (1, 64, 8)])
def test_an_axis_of_one_channel_says_that_thin_images_are_images(image_shape):
    form = form_of((512,), "float32", image_shape=image_shape)
    assert (form.size, form.n_channels) == ((64, 8), 1)


@pytest.mark.parametrize("form", [{}, {"image_shape": (16, 16, 16)}], ids=str)
def test_volumes_of_one_value_are_refused(form):
    shape = (16**3,) if form else (16, 16, 16)
    message = "volumes are not supported: .*slices.*reshape"
    with pytest.raises(ValueError, match=message):
        form_of(shape, **form)


# What the shape leaves open


@pytest.mark.parametrize(
    ("shape", "message", "settings"),
    [
        ((24, 20, 3), r"24 signals of 20 .*X\[None\]", {"channel_order": "last"}),
        ((20, 24, 4), "20 signals of 24 steps and 4", {"channel_order": "last"}),
        ((3, 24, 20), r"3 grey images.*X\[None\]", {"image_shape": (24, 20)}),
        ((40, 30, 12), "30 steps of 12 sensors.*='last'", {"channel_order": "last"}),
        ((40, 8, 20), "20 steps of 8 sensors.*='first'", {"channel_order": "first"}),
    ],
)
def test_reading_that_may_not_be_meant_is_told(shape, message, settings):
    X = np.random.default_rng(0).normal(size=shape)
    with pytest.warns(UserWarning, match=f"was read as .*{message}"):
        AutoencoderTransformer().fit(X)
    AutoencoderTransformer(**settings).fit(X)  # says it, and is not told


@pytest.mark.parametrize(
    "shape",
    [(40, 28, 28), (40, 3, 32, 32), (40, 100, 3), (40, 30, 20), (40, 64, 8), (4, 7, 5)],
    ids=str,
)
def test_ordinary_shapes_are_not_told(shape):
    X = np.random.default_rng(0).normal(size=shape)
    fitted = AutoencoderTransformer(hidden_layer_sizes=(2, 3)).fit(X)
    if shape == (40, 3, 32, 32):
        assert (fitted.image_shape_, fitted.channel_order_) == ((3, 32, 32), "first")


@pytest.mark.parametrize("method", USES)
@pytest.mark.parametrize(
    ("X", "bad", "remedy"),
    [
        (GREY, GREY[0], r"Pass X\[None\]"),
        (COLOUR, COLOUR[0], r"Pass X\[None\]"),
        (COLOUR, COLOUR[0].transpose(2, 0, 1), r"to the shape \(1, 7, 5, 3\)"),
        (GREY, GREY[0, ..., None], r"to the shape \(1, 7, 5\)"),
    ],
    ids=["grey", "colour", "other order", "with a channel"],
)
def test_one_image_is_told_what_to_do(X, bad, remedy, method):
    estimator = AutoencoderTransformer().fit(X)
    with pytest.raises(ValueError, match=f"that is one image, .*{remedy}"):
        getattr(estimator, method)(bad)


def test_volumes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(7, 5, 3, 2\);.*not supported"):
        form_of((7, 5, 3, 2))


@pytest.mark.parametrize("dtype", [*DTYPES, "int8", "uint32", "uint64", "longdouble"])
def test_only_dtypes_of_pixels_say_what_is_white(dtype):
    assert full_range(dtype) == PIXELS.get(dtype)


@pytest.mark.parametrize("dtype", [">u2", "<u2"])
def test_order_of_bytes_does_not_change_what_is_white(dtype):
    assert full_range(np.dtype(dtype)) == 65535


# Restoring


def restored(values, dtype, of="float32"):
    """Return flat values in the dtype of images of one row."""
    values = np.array([values], of)
    form = ImageForm((1, values.size), (1, values.size), "first", np.dtype(dtype))
    return form.restore(values).ravel()


@pytest.mark.parametrize("of", ["float32", "float64"])
def test_bool_is_at_least_one_half(of):
    values = [-1e30, -0.1, 0, 0.49999, 0.5, 0.7, 1, 1e30]
    assert restored(values, bool, of).tolist() == 4 * [False] + 4 * [True]


@pytest.mark.parametrize("of", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pixels_are_rounded(dtype, of):
    white = PIXELS[dtype]
    values = np.array([0, 0.4, 0.6, 1.4, 1.6, white - 0.6, white - 0.4, white]) / white
    expected = [0, 0, 1, 1, 2, white - 1, white, white]
    assert restored(values, dtype, of).tolist() == expected


@pytest.mark.parametrize("of", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_pixels_outside_the_range_are_clipped(dtype, of):
    values = [-1e30, -0.01, 1.01, 1e30, -np.inf, np.inf]
    white = PIXELS[dtype]
    assert restored(values, dtype, of).tolist() == [0, 0, white, white, 0, white]


@pytest.mark.parametrize("of", ["float32", "float64"])
@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint32", "uint64"]
)
def test_other_integers_are_rounded_and_not_scaled(dtype, of):
    assert restored([0.4, 1.6, 99.7], dtype, of).tolist() == [0, 2, 100]


@pytest.mark.parametrize("of", ["float32", "float64"])
@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint32", "uint64"]
)
def test_integers_stop_at_the_last_number_that_a_float_holds(dtype, of):
    # Above the largest float that fits, the cast would wrap around.
    limits, n_digits = np.iinfo(dtype), np.finfo(of).nmant + 1
    highest = limits.max - limits.max % 2 ** max(limits.max.bit_length() - n_digits, 0)
    result = restored([-1e30, 1e30, -np.inf, np.inf], dtype, of)
    assert result.tolist() == [limits.min, highest, limits.min, highest]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_neither_rounded_nor_clipped(dtype):
    values = [-3.25, 0.125, 1.5, 300.5]
    assert restored(values, dtype).tolist() == values


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_rows_get_their_shape_back(shape):
    form = ImageForm(shape, shape, None, np.dtype("uint8"))
    expected = np.arange(24).reshape(2, *shape)
    assert_array_equal(form.restore(expected.reshape(2, 12) / 255), expected)


def test_no_rows_get_their_shape_back():
    form = ImageForm((3, 4), (3, 4), None, np.dtype("uint8"))
    assert form.restore(np.empty((0, 12))).shape == (0, 3, 4)


# Every form of every dtype: with all components PCA loses nothing

every_form = pytest.mark.parametrize("form", FORMS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
# Every form of two dtypes, and every dtype of one form
forms_and_dtypes = pytest.mark.parametrize(
    ("form", "dtype"),
    [
        *((form, dtype) for form in FORMS for dtype in ("uint8", "float32")),
        *(("grey", dtype) for dtype in DTYPES if dtype not in ("uint8", "float32")),
    ],
)


@every_form
def test_fitted_form_is_shown(form):
    _, _, image_shape, channel_order = FORMS[form]
    estimator, X = exact(form, "uint8")
    assert estimator.image_shape_ == image_shape
    assert estimator.channel_order_ == channel_order
    assert estimator.n_features_in_ == X[0].size


@every_dtype
@every_form
def test_decoded_codes_are_the_images(form, dtype):
    estimator, X = exact(form, dtype)
    assert_same_images(estimator.inverse_transform(estimator.transform(X)), X)


@forms_and_dtypes
def test_reconstructions_are_the_images(form, dtype):
    estimator, X = exact(form, dtype)
    assert_same_images(estimator.reconstruct(X), X)


@forms_and_dtypes
def test_floats_are_the_images_in_units_of_white(form, dtype):
    estimator, X = exact(form, dtype)
    code = estimator.transform(X)
    result = estimator.inverse_transform(code, as_float=True)
    assert result.dtype == code.dtype
    assert result.shape == X.shape
    expected = X.astype(np.float64) / PIXELS.get(dtype, 1)
    assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@forms_and_dtypes
def test_reconstructed_floats_are_decoded_codes(form, dtype):
    estimator, X = exact(form, dtype)
    result = estimator.reconstruct(X, as_float=True)
    expected = estimator.inverse_transform(estimator.transform(X), as_float=True)
    assert result.dtype == expected.dtype
    assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@every_form
def test_flat_rows_of_images_and_images_give_equal_bytes(form, dtype):
    estimator, X = exact(form, dtype)
    flat, images = X.reshape(len(X), -1), X.reshape(-1, *estimator.image_shape_)
    assert_array_equal(estimator.transform(flat), estimator.transform(images))


@pytest.mark.parametrize(
    "dtype", ["int8", "uint32", "uint64", ">u2", ">f4", "longdouble"]
)
def test_odd_dtypes_come_back(dtype):
    X = pictures((7, 5), dtype)
    estimator = AutoencoderTransformer(3, hidden_layer_sizes=(2,)).fit(X)
    assert_same_images(estimator.inverse_transform(estimator.transform(X)), X)


@pytest.mark.parametrize(
    ("dtype", "of_codes"),
    [
        ("bool", "float32"),
        ("uint8", "float32"),
        ("uint16", "float32"),
        (">u2", "float32"),
        ("int16", "float64"),
        ("int64", "float64"),
        ("float16", "float64"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_codes_of_pixels_are_in_single_precision(dtype, of_codes):
    X = pictures((7, 5), dtype)
    estimator = AutoencoderTransformer(hidden_layer_sizes=(2,)).fit(X)
    assert estimator.transform(X).dtype == of_codes


@pytest.mark.parametrize("dtype", PIXELS)
def test_table_of_pixels_is_not_scaled(dtype):
    X = pictures((35,), dtype)
    estimator = AutoencoderTransformer(3).fit(X)
    assert_allclose(estimator.mean_, X.mean(axis=0))
    assert_allclose(estimator.reconstruct(X), X, atol=1e-9)


def test_constant_images_come_back():
    X = np.full((3, 7, 5), 77, np.uint8)
    assert_same_images(AutoencoderTransformer().fit(X).reconstruct(X), X)


@pytest.mark.filterwarnings("ignore:X has one row")
def test_one_image_comes_back():
    X = pictures((7, 5), n_samples=1)
    assert_same_images(AutoencoderTransformer().fit(X).reconstruct(X), X)


# Every form, trained


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@every_form
def test_trained_network_gives_shape_and_dtype_back(form, dtype):
    estimator, X = trained(form, dtype)
    decoded = estimator.inverse_transform(estimator.transform(X))
    assert (decoded.shape, decoded.dtype) == (X.shape, X.dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@every_form
def test_trained_network_reconstructs_by_decoding_codes(form, dtype):
    estimator, X = trained(form, dtype)
    decoded = estimator.inverse_transform(estimator.transform(X), as_float=True)
    expected = estimator.reconstruct(X, as_float=True)
    assert_allclose(decoded, expected, rtol=1e-5, atol=1e-5)


@every_form
def test_training_moves_the_last_layers(form):
    estimator, _ = trained(form, "uint8")
    network = estimator.net_.module_.network
    assert network.encoder[-1].weight.any()  # zero at the start
    assert network.decoder[-1].conv.weight.any()


@pytest.mark.parametrize("init", ["pca", "random"])
def test_every_weight_of_the_convolutions_is_trained(init):
    parameters = {"init": init, "batch_size": 20, "schedule": "constant"}
    first = autoencoder(**parameters, max_epochs=1).fit(BLOBS)
    second = autoencoder(**parameters, max_epochs=3).fit(BLOBS)
    after = dict(second.net_.module_.named_parameters())
    for name, before in first.net_.module_.named_parameters():
        assert not torch.equal(before, after[name]), name


@pytest.mark.parametrize("sizes", [(), (3,), (2, 3, 4)])
def test_any_number_of_convolutions_is_trained(sizes):
    estimator = autoencoder(hidden_layer_sizes=sizes).fit(BLOBS)
    assert estimator.reconstruct(BLOBS).shape == BLOBS.shape


def test_convolutions_are_proven_better_than_pca_on_a_moving_spot():
    X, fresh = blobs(200), blobs(200, seed=1)
    estimator = autoencoder(early_stopping="auto", hidden_layer_sizes=(4, 8))
    estimator.set_params(solver="adamw", learning_rate=0.01, max_epochs=12).fit(X)
    pca, flat = PCA(2).fit(X.reshape(200, -1) / 255), fresh.reshape(200, -1) / 255
    residual = flat - pca.inverse_transform(pca.transform(flat))
    assert estimator.proven_ is True
    assert estimator.reconstruction_error(fresh).mean() < 0.5 * (residual**2).mean()


def kind_of_network(estimator):
    return type(estimator.net_.module_.network)


@pytest.mark.parametrize(
    ("network", "images", "table"),
    [
        ("auto", ConvAutoencoder, MLPAutoencoder),
        ("mlp", MLPAutoencoder, MLPAutoencoder),
    ],
)
def test_auto_network_is_convolutional_for_images(network, images, table):
    estimator = AutoencoderTransformer(network=network)
    assert kind_of_network(estimator.fit(GREY)) is images
    assert kind_of_network(estimator.fit(TABLE)) is table


@pytest.mark.parametrize(
    ("shape", "channels"), [((40, 40), [16, 32]), ((3, 41, 41), [16, 32, 64])]
)
def test_auto_sizes_of_convolutions_follow_the_size_of_the_images(shape, channels):
    estimator = AutoencoderTransformer().fit(pictures(shape))
    layers = estimator.net_.module_.network.encoder
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == channels


def test_conv_is_the_auto_network_of_images():
    codes = [
        autoencoder(network=name).fit_transform(BLOBS) for name in ("auto", "conv")
    ]
    assert_array_equal(*codes)


def test_mlp_is_trained_on_images():
    X = BLOBS.reshape(60, 144).astype(np.float32) / 255
    of_images = autoencoder(network="mlp").fit_transform(BLOBS)
    assert_allclose(of_images, autoencoder().fit_transform(X), atol=1e-5)


def test_users_network_sees_flat_rows():
    widths = []

    def network(n_features, n_components):
        widths.append(n_features)
        return MLPAutoencoder(n_features, n_components, (4,))

    assert autoencoder(network=network).fit(COLOUR).reconstruct(COLOUR).ndim == 4
    assert widths == [105]


# Images and what they are equal to


def test_few_images_give_the_codes_of_pca_of_their_pixels():
    flat = TABLE / 255
    code = AutoencoderTransformer(3).fit_transform(GREY)
    assert_allclose(code, PCA(3).fit_transform(flat), atol=1e-5)


def test_few_images_give_the_attributes_of_pca_of_their_pixels():
    estimator, pca = AutoencoderTransformer(3).fit(GREY), PCA(3).fit(TABLE / 255)
    assert_allclose(estimator.mean_, pca.mean_)
    assert_allclose(estimator.components_, pca.components_, atol=1e-6)
    # PCA divides by n_samples - 1.
    expected = pca.explained_variance_ * 11 / 12
    assert_allclose(estimator.explained_variance_, expected, rtol=1e-6)


def test_few_images_give_the_reconstructions_of_pca_of_their_pixels():
    flat, pca = TABLE / 255, PCA(3).fit(TABLE / 255)
    expected = pca.inverse_transform(pca.transform(flat)).reshape(GREY.shape)
    X_hat = AutoencoderTransformer(3).fit(GREY).reconstruct(GREY, as_float=True)
    assert_allclose(X_hat, expected, atol=1e-5)


def test_reconstructed_pixels_are_the_floats_rounded_and_clipped():
    estimator = AutoencoderTransformer().fit(GREY)
    far = 3 * estimator.transform(GREY)
    floats = estimator.inverse_transform(far, as_float=True)
    assert floats.min() < 0
    assert floats.max() > 1
    expected = np.rint(floats.clip(0, 1) * 255)
    assert_array_equal(estimator.inverse_transform(far), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_pixels_give_the_codes_of_fractions(early_stopping, dtype):
    fractions = (BLOBS / 255).astype(dtype)
    code, expected = (
        autoencoder(early_stopping=early_stopping).fit_transform(X)
        for X in (BLOBS, fractions)
    )
    assert_allclose(code, expected, atol=1e-5)


@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_flat_pixels_give_the_codes_of_images(early_stopping):
    parameters = {"early_stopping": early_stopping}
    flat = autoencoder(image_shape=(12, 12), **parameters)
    code = flat.fit_transform(BLOBS.reshape(60, 144))
    assert_array_equal(code, autoencoder(**parameters).fit_transform(BLOBS))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_fractions_are_encoded_after_a_fit_to_pixels(dtype):
    estimator = autoencoder().fit(BLOBS)
    code = estimator.transform((BLOBS / 255).astype(dtype))
    tolerance = 1e-2 if dtype == "float16" else 1e-5
    assert_allclose(code, estimator.transform(BLOBS), atol=tolerance)


def test_other_pixels_are_encoded_after_a_fit_to_pixels():
    estimator, wide = autoencoder().fit(BLOBS), BLOBS.astype(np.uint16) * 257
    assert_allclose(estimator.transform(wide), estimator.transform(BLOBS), atol=1e-6)


def test_bits_are_encoded_as_black_and_white_after_a_fit_to_pixels():
    estimator, bits = autoencoder().fit(BLOBS), BLOBS > 127
    white = bits.astype(np.uint8) * 255
    assert_allclose(estimator.transform(bits), estimator.transform(white), atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_order_of_the_channels_does_not_change_codes(early_stopping, dtype):
    last = np.stack([BLOBS, BLOBS[::-1], BLOBS.swapaxes(1, 2)], axis=3).astype(dtype)
    first = np.ascontiguousarray(last.transpose(0, 3, 1, 2))
    code, expected = (
        autoencoder(early_stopping=early_stopping).fit_transform(X)
        for X in (first, last)
    )
    tolerance = 1e-5 if dtype == "uint8" else 1e-9
    assert_allclose(code, expected, atol=tolerance)


@pytest.mark.parametrize("axis", [1, 3])
@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_axis_of_one_channel_changes_nothing(early_stopping, axis):
    estimator = autoencoder(early_stopping=early_stopping)
    code = estimator.fit_transform(np.expand_dims(BLOBS, axis))
    assert_array_equal(code, estimator.fit_transform(BLOBS))


@pytest.mark.parametrize("shape", [(1, 144), (144, 1)])
def test_signal_may_have_an_axis_of_one_channel(shape):
    code = autoencoder().fit_transform(BLOBS.reshape(60, *shape))
    signal = autoencoder(image_shape=(144,)).fit_transform(BLOBS.reshape(60, 144))
    assert_array_equal(code, signal)


# How images lie in memory


def every_second(X):
    return np.repeat(X, 2, axis=0)[::2]


def transposed(X):
    return X.transpose(0, 2, 1).copy().transpose(0, 2, 1)


def reversed_twice(X):
    return np.flip(np.flip(X).copy())


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


ARRANGEMENTS = [
    np.asfortranarray,
    every_second,
    transposed,
    reversed_twice,
    read_only,
    memory_mapped,
    list,
    tuple,
    lambda X: [list(x) for x in X],
    torch.tensor,
]


def arranged(X, arrange, folder):
    return arrange(X, folder) if arrange is memory_mapped else arrange(X)


arrangements = pytest.mark.parametrize(
    "arrange",
    ARRANGEMENTS,
    ids=lambda arrange: arrange.__name__.replace("<lambda>", "lists of rows"),
)


@arrangements
def test_arrangement_in_memory_does_not_change_the_fit(arrange, tmp_path):
    estimator = autoencoder()
    code = estimator.fit(arranged(BLOBS, arrange, tmp_path)).transform(BLOBS)
    assert_array_equal(code, estimator.fit(BLOBS).transform(BLOBS))


@arrangements
def test_arrangement_in_memory_does_not_change_reconstructions(arrange, tmp_path):
    estimator = autoencoder().fit(BLOBS)
    result = estimator.reconstruct(arranged(BLOBS, arrange, tmp_path))
    assert_array_equal(result, estimator.reconstruct(BLOBS))


def test_view_with_channels_moved_to_the_end_gives_equal_bytes():
    first = np.ascontiguousarray(COLOUR.transpose(0, 3, 1, 2))
    code = autoencoder().fit_transform(first.transpose(0, 2, 3, 1))
    assert_array_equal(code, autoencoder().fit_transform(COLOUR))


def test_lists_of_numbers_are_images():
    X = pictures((7, 5), "float64")
    code = AutoencoderTransformer().fit_transform(X.tolist())
    assert_array_equal(code, AutoencoderTransformer().fit_transform(X))


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_images_are_never_modified(loss):
    X = BLOBS.copy()
    estimator = autoencoder(loss=loss).fit(X).partial_fit(X)
    for method in USES:
        getattr(estimator, method)(X)
    estimator.reconstruct(X, as_float=True)
    assert_array_equal(X, BLOBS)


LARGE = pictures((128, 128), n_samples=159)  # PCA, as warm starts have no folds


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("skae._data.rows.INFERENCE_ELEMENTS", 2**17)


@pytest.fixture(scope="module")
def large():
    return AutoencoderTransformer(hidden_layer_sizes=(2, 3), warm_start=True).fit(LARGE)


def peak_of_memory(use, X):
    tracemalloc.start()
    try:
        use(X)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("arrange", [np.asarray, memory_mapped, transposed])
@pytest.mark.parametrize("method", ["transform", "score", "reconstruction_error"])
def test_images_are_not_copied_as_a_whole_in_use(large, method, arrange, tmp_path):
    X = arranged(LARGE, arrange, tmp_path)
    peak = peak_of_memory(getattr(large, method), X)
    as_floats = 4 * LARGE.nbytes
    assert peak < as_floats / 3


@pytest.mark.parametrize("arrange", [np.asarray, memory_mapped, transposed])
def test_images_are_not_copied_as_a_whole_by_fit(arrange, tmp_path):
    X = arranged(LARGE, arrange, tmp_path)
    estimator = AutoencoderTransformer(hidden_layer_sizes=(2, 3), warm_start=True)
    as_doubles = 8 * LARGE.nbytes
    assert peak_of_memory(estimator.fit, X) < as_doubles / 3


def test_reconstructed_pixels_are_written_batch_by_batch(large):
    peak = peak_of_memory(large.reconstruct, LARGE)
    as_floats = 4 * LARGE.nbytes
    assert peak < LARGE.nbytes + as_floats / 3


# Scores

SCORED = ["uint8", "float64"]


def scored(dtype, **parameters):
    """Return a trained estimator, and images and reconstructions in units of white."""
    X = (BLOBS if dtype == "uint8" else BLOBS / 255).astype(dtype)
    estimator = autoencoder(**parameters).fit(X)
    X_hat = estimator.reconstruct(X, as_float=True).astype(np.float64)
    return estimator, X, BLOBS.reshape(60, -1) / 255, X_hat.reshape(60, -1)


@pytest.mark.parametrize("dtype", SCORED)
def test_score_is_the_share_of_variance_explained(dtype):
    estimator, X, truth, X_hat = scored(dtype)
    sse, sst = ((truth - X_hat) ** 2).sum(), ((truth - truth.mean(axis=0)) ** 2).sum()
    assert_allclose(estimator.score(X), 1 - sse / sst, rtol=1e-4)


@pytest.mark.parametrize("dtype", SCORED)
def test_weighted_score_is_the_share_of_weighted_variance(dtype):
    estimator, X, truth, X_hat = scored(dtype)
    weight = np.arange(60.0)
    mean = np.average(truth, axis=0, weights=weight)
    sse = weight @ ((truth - X_hat) ** 2).sum(axis=1)
    sst = weight @ ((truth - mean) ** 2).sum(axis=1)
    score = estimator.score(X, sample_weight=weight)
    assert_allclose(score, 1 - sse / sst, rtol=1e-4)


@pytest.mark.parametrize("dtype", SCORED)
@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "log_loss"]
)
def test_score_samples_is_minus_the_loss_in_units_of_white(loss, dtype):
    estimator, X, truth, X_hat = scored(dtype, loss=loss)
    residual, delta = np.abs(truth - X_hat), estimator.scale_
    losses = {
        "squared_error": lambda: residual**2,
        "absolute_error": lambda: residual,
        "huber": lambda: np.where(
            residual < delta, residual**2 / 2, delta * (residual - delta / 2)
        ),
        "log_loss": lambda: -truth * np.log(X_hat) - (1 - truth) * np.log(1 - X_hat),
    }
    expected = -losses[loss]().mean(axis=1)
    assert_allclose(estimator.score_samples(X), expected, rtol=1e-3)


@pytest.mark.parametrize("dtype", SCORED)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_reconstruction_error_is_the_mean_square_of_the_pixels(loss, dtype):
    estimator, X, truth, X_hat = scored(dtype, loss=loss)
    expected = ((truth - X_hat) ** 2).mean(axis=1)
    assert_allclose(estimator.reconstruction_error(X), expected, rtol=1e-3)


@every_form
def test_error_per_feature_has_the_shape_of_the_images(form):
    estimator, X = exact(form, "uint8")
    assert estimator.reconstruction_error(X, per_feature=True).shape == X.shape


@pytest.mark.parametrize("X", [BLOBS, COLOUR], ids=["grey", "colour"])
def test_error_per_feature_is_the_square_of_each_pixel(X):
    estimator = autoencoder().fit(X)
    expected = (X / 255 - estimator.reconstruct(X, as_float=True)) ** 2
    error = estimator.reconstruction_error(X, per_feature=True)
    assert_allclose(error, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("X", [BLOBS, COLOUR], ids=["grey", "colour"])
def test_reconstruction_error_is_the_mean_over_an_image(X):
    estimator = autoencoder().fit(X)
    maps = estimator.reconstruction_error(X, per_feature=True)
    expected = maps.reshape(len(X), -1).mean(axis=1)
    assert_allclose(estimator.reconstruction_error(X), expected, rtol=1e-6)


def test_log_loss_reconstructs_between_black_and_white():
    estimator = autoencoder(loss="log_loss").fit(BLOBS)
    far = 50 * estimator.transform(BLOBS)
    X_hat = estimator.inverse_transform(far, as_float=True)
    assert 0 <= X_hat.min() < 0.1
    assert 0.9 < X_hat.max() <= 1


@pytest.mark.parametrize("dtype", PIXELS)
def test_log_loss_takes_pixels_of_every_dtype(dtype):
    X = pictures((7, 5), dtype, n_samples=12)
    estimator = autoencoder(loss="log_loss").fit(X)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert estimator.reconstruct(X).dtype == dtype


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_log_loss_refuses_images_that_are_not_fractions(dtype):
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\]"):
        autoencoder(loss="log_loss").fit(GREY.astype(dtype))


# Weights, and going on


@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_weights_are_repetitions_of_images(early_stopping):
    X, weight = BLOBS[:20] / 255, np.arange(20) % 4
    weighted = autoencoder(early_stopping=early_stopping)
    weighted.fit(X, sample_weight=weight)
    repeated = autoencoder(early_stopping=early_stopping)
    repeated.fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-8)


def test_images_of_weight_zero_count_as_absent():
    weight = np.r_[np.zeros(10), np.ones(50)]
    code = autoencoder().fit(BLOBS, sample_weight=weight).transform(BLOBS)
    assert_array_equal(code, autoencoder().fit(BLOBS[10:]).transform(BLOBS))


def test_partial_fit_begins_and_goes_on_with_images():
    estimator = autoencoder()
    for n_epochs in (1, 2, 3):
        assert estimator.partial_fit(BLOBS).n_epochs_ == n_epochs
    assert estimator.image_shape_ == (12, 12)
    assert_same_images(estimator.reconstruct(BLOBS[:0]), BLOBS[:0])


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.reshape(60, 144),
        lambda X: sp.csr_array(X.reshape(60, 144)),
        lambda X: (X / 255).astype(np.float32),
        lambda X: X.astype(np.uint16) * 257,
    ],
    ids=["flat", "sparse", "fractions", "uint16"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_takes_the_same_images_in_another_form(method, change):
    one = getattr(autoencoder(warm_start=True), method)(BLOBS)
    other = pickle.loads(pickle.dumps(one))
    getattr(one, method)(BLOBS)
    getattr(other, method)(change(BLOBS))
    assert_allclose(other.transform(BLOBS), one.transform(BLOBS), atol=1e-5)
    assert other.n_epochs_ == 2 * (2 if method == "fit" else 1)
    assert_same_images(other.reconstruct(BLOBS[:0]), BLOBS[:0])


def test_warm_start_goes_on_with_images():
    estimator = autoencoder(warm_start=True).fit(BLOBS)
    loss = estimator.loss_curve_[-1]
    estimator.fit(BLOBS)
    assert estimator.n_epochs_ == 4
    assert estimator.loss_curve_[-1] < loss


@pytest.mark.parametrize(
    "change", [{"image_shape": (12, 12)}, {"channel_order": "first"}]
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_with_another_form_is_refused(method, change):
    estimator = autoencoder(warm_start=True).fit(BLOBS).set_params(**change)
    with pytest.raises(ValueError, match=f"{next(iter(change))}=.* was built with"):
        getattr(estimator, method)(BLOBS)


# From images to a table and back


@pytest.fixture
def frame():
    return pd.DataFrame(TABLE, columns=[f"p{i}" for i in range(35)])


def test_refit_to_a_table_forgets_the_images():
    estimator = autoencoder().fit(BLOBS).fit(TABLE)
    assert (estimator.image_shape_, estimator.channel_order_) == (None, None)
    assert estimator.n_features_in_ == 35
    assert_array_equal(estimator.transform(TABLE), autoencoder().fit_transform(TABLE))


def test_refit_to_images_forgets_the_table(frame):
    estimator = autoencoder().fit(frame).fit(BLOBS)
    assert not hasattr(estimator, "feature_names_in_")
    assert estimator.n_features_in_ == 144
    assert estimator.image_shape_ == (12, 12)
    assert_array_equal(estimator.transform(BLOBS), autoencoder().fit_transform(BLOBS))


def test_refit_to_other_images_is_a_new_fit():
    estimator = autoencoder().fit(COLOUR).fit(BLOBS)
    assert (estimator.image_shape_, estimator.channel_order_) == ((12, 12), None)
    assert_array_equal(estimator.transform(BLOBS), autoencoder().fit_transform(BLOBS))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (pictures((5, 5, 5)), "Set channel_order"),
        (pictures((7, 5, 3, 2)), "not supported"),
        (np.empty((3, 0, 5)), "no pixels"),
    ],
    ids=["ambiguous", "volumes", "empty"],
)
def test_refused_images_leave_a_fitted_estimator_as_it_was(bad, message, frame):
    estimator = autoencoder().fit(frame)
    before = estimator.transform(frame)
    with pytest.raises(ValueError, match=message):
        estimator.fit(bad)
    assert_array_equal(estimator.transform(frame), before)
    assert list(estimator.feature_names_in_) == list(frame.columns)


# Frames and sparse matrices


def test_frame_of_pixels_keeps_its_names(frame):
    estimator = autoencoder(image_shape=(7, 5)).fit(frame)
    assert list(estimator.feature_names_in_) == list(frame.columns)


def test_frame_of_pixels_gives_the_results_of_images(frame):
    of_frame = autoencoder(image_shape=(7, 5)).fit(frame)
    of_images = autoencoder().fit(GREY)
    assert_array_equal(of_frame.transform(frame), of_images.transform(GREY))
    assert_array_equal(of_frame.transform(GREY), of_images.transform(GREY))
    assert_array_equal(
        of_frame.reconstruct(frame).reshape(GREY.shape), of_images.reconstruct(GREY)
    )


def test_reordered_pixels_are_refused(frame):
    estimator = autoencoder(image_shape=(7, 5)).fit(frame)
    with pytest.raises(ValueError, match="must be in the same order"):
        estimator.transform(frame[frame.columns[::-1]])


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_sparse_pixels_give_equal_bytes(make):
    flat = TABLE * (TABLE > 170)
    estimators = [autoencoder(image_shape=(7, 5)).fit(X) for X in (make(flat), flat)]
    for method in USES:
        of_sparse, of_dense = (
            getattr(estimator, method)(X)
            for estimator, X in zip(estimators, (make(flat), flat), strict=True)
        )
        assert_array_equal(of_sparse, of_dense)


# scikit-learn's manners


def fractions(X):
    return X / np.float32(255)


def test_pipeline_of_images_is_its_steps():
    pipeline = make_pipeline(FunctionTransformer(fractions), autoencoder())
    code = pipeline.fit_transform(BLOBS)
    assert_array_equal(code, autoencoder().fit_transform(fractions(BLOBS)))
    assert pipeline[-1].image_shape_ == (12, 12)


def test_pipeline_of_flat_images_inverts():
    flat = BLOBS.reshape(60, 144)
    step = AutoencoderTransformer(59, image_shape=(12, 12))
    pipeline = make_pipeline(MinMaxScaler(), step).fit(flat)
    X_hat = pipeline.inverse_transform(pipeline.transform(flat))
    assert pipeline[-1].image_shape_ == (12, 12)
    assert_allclose(X_hat, flat, atol=1e-6)


def test_search_over_images_finds_the_larger_code():
    grid = {"n_components": [1, 8], "network": ["mlp", "conv"]}
    search = GridSearchCV(AutoencoderTransformer(), grid, cv=2, error_score="raise")
    assert search.fit(BLOBS).best_params_["n_components"] == 8
    assert search.best_estimator_.reconstruct(BLOBS).shape == BLOBS.shape


def test_cross_validation_scores_of_images_are_those_of_a_loop():
    estimator = AutoencoderTransformer(4, max_epochs=2, random_state=0)
    scores = cross_val_score(estimator, BLOBS, cv=2)
    halves = BLOBS[:30], BLOBS[30:]
    expected = [
        clone(estimator).fit(train).score(test)
        for test, train in (halves, halves[::-1])
    ]
    assert_array_equal(scores, expected)


def test_clone_forgets_the_images():
    estimator = autoencoder(image_shape=(12, 12), channel_order="auto").fit(BLOBS)
    cloned = clone(estimator)
    assert not hasattr(cloned, "image_shape_")
    assert_array_equal(cloned.fit_transform(BLOBS), estimator.transform(BLOBS))


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_pickle_gives_equal_bytes(method):
    estimator = autoencoder().fit(BLOBS)
    restored = pickle.loads(pickle.dumps(estimator))
    result, expected = (getattr(each, method)(BLOBS) for each in (restored, estimator))
    assert_array_equal(result, expected)
    assert result.dtype == expected.dtype


def test_size_of_a_pickle_is_that_of_the_weights():
    estimator = autoencoder().fit(BLOBS)
    state = estimator.net_.module_.state_dict().values()
    weights = sum(weight.nbytes for weight in state)
    assert len(pickle.dumps(estimator)) < 1.5 * weights + 20_000


@pytest.mark.parametrize("X", [GREY, COLOUR], ids=["grey", "colour"])
def test_codes_of_images_come_as_a_frame(X):
    estimator = AutoencoderTransformer().set_output(transform="pandas")
    code = estimator.fit_transform(X)
    assert isinstance(code, pd.DataFrame)
    assert list(code.columns) == ["autoencodertransformer0", "autoencodertransformer1"]
    assert_array_equal(estimator.inverse_transform(code), estimator.reconstruct(X))


def test_features_out_of_images_are_named_after_the_class():
    names = AutoencoderTransformer(1).fit(COLOUR).get_feature_names_out()
    assert list(names) == ["autoencodertransformer0"]


# Torch modules


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("form", ["grey", "RGB last", "RGB first", "flat grey"])
def test_encoder_and_decoder_are_modules_from_images_to_images(form, loss):
    shape, parameters, _, _ = FORMS[form]
    X = pictures(shape, n_samples=12)
    estimator = autoencoder(loss=loss, **parameters).fit(X)
    with torch.no_grad():
        code = estimator.encoder_(torch.from_numpy(fractions(X)))
        decoded = estimator.decoder_(code)
    assert decoded.shape == X.shape
    assert_allclose(code.numpy(), estimator.transform(X), atol=1e-5)
    expected = estimator.reconstruct(X, as_float=True)
    assert_allclose(decoded.numpy(), expected, atol=1e-5)


# Seeds


def results(estimator, X):
    """Fit to images and return codes and reconstructions as bytes."""
    code = estimator.fit_transform(X)
    return code.tobytes() + estimator.reconstruct(X, as_float=True).tobytes()


def seeded(random_state=0):
    return autoencoder(init="random", batch_size=16, random_state=random_state)


def test_same_seed_gives_same_bytes():
    expected = results(seeded(), BLOBS)
    torch.manual_seed(1)
    assert results(seeded(), BLOBS) == expected


def test_other_seed_gives_other_bytes():
    assert results(seeded(0), BLOBS) != results(seeded(1), BLOBS)


# Few images


@pytest.mark.parametrize("X", [BLOBS, COLOUR], ids=["grey", "colour"])
def test_no_images_give_empty_results(X):
    estimator = autoencoder().fit(X)
    empty = X[:0]
    assert estimator.transform(empty).shape == (0, 2)
    assert estimator.score_samples(empty).shape == (0,)
    assert_same_images(estimator.reconstruct(empty), empty)
    assert_same_images(estimator.inverse_transform(np.empty((0, 2))), empty)
    assert estimator.reconstruction_error(empty, per_feature=True).shape == empty.shape


def test_code_of_an_image_does_not_depend_on_the_others():
    X = BLOBS / 255
    estimator = autoencoder().fit(X)
    one_by_one = np.vstack([estimator.transform(image[None]) for image in X])
    assert_allclose(one_by_one, estimator.transform(X), rtol=1e-12, atol=1e-12)


def test_many_images_are_encoded_like_few():
    estimator = autoencoder().fit(BLOBS)
    many = np.tile(BLOBS, (70, 1, 1))  # more than one block
    expected = np.tile(estimator.transform(BLOBS), (70, 1))
    assert_allclose(estimator.transform(many), expected, atol=1e-5)


# What is refused


def in_objects(images):
    array = np.empty(len(images), object)
    array[:] = images
    return array


@pytest.mark.parametrize("make", [list, tuple, in_objects])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
def test_images_of_different_sizes_are_refused(method, make):
    estimator = fitted_to_grey() if method in USES else autoencoder()
    bad = make([GREY[0], GREY[1], GREY[2, :6]])
    message = r"2 different shapes, such as \(6, 5\) and \(7, 5\).*resize"
    with pytest.raises(ValueError, match=message):
        getattr(estimator, method)(bad)


def test_grey_images_among_coloured_ones_are_refused():
    message = r"2 different shapes, such as \(7, 5\) and \(7, 5, 3\).* grey"
    with pytest.raises(ValueError, match=message):
        autoencoder().fit([GREY[0], COLOUR[0]])


@pytest.mark.parametrize("method", ["transform", "partial_fit"])
@pytest.mark.parametrize(
    "shape", [(7, 6), (5, 7), (35, 1), (7, 5, 1), (7, 5, 3), (7, 5, 1, 1)], ids=str
)
def test_images_of_another_shape_are_refused(shape, method):
    estimator = fitted_to_grey()
    shown = ", ".join(map(str, shape))
    message = rf"images of shape \({shown}\), but .* fitted to images of shape \(7, 5\)"
    with pytest.raises(ValueError, match=message):
        getattr(estimator, method)(pictures(shape))


@pytest.mark.parametrize("method", [*USES, "partial_fit"])
def test_flat_rows_of_another_size_are_refused(method):
    estimator = fitted_to_grey()
    with pytest.raises(ValueError, match="X has 34 features, but .* expecting 35"):
        getattr(estimator, method)(TABLE[:, :34])


def test_code_of_three_axes_is_refused():
    with pytest.raises(ValueError, match="dim 3"):
        fitted_to_grey().inverse_transform(GREY)


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.empty((0, 7, 5)), "0 sample"),
        (np.empty((3, 0, 5)), r"shape \(0, 5\): they have no pixels"),
        (np.empty((3, 7, 0)), r"shape \(7, 0\): they have no pixels"),
        (np.empty((3, 7, 5, 0)), r"shape \(7, 5, 0\): they have no pixels"),
    ],
)
def test_empty_images_are_refused(method, bad, message):
    with pytest.raises(ValueError, match=message):
        getattr(autoencoder(), method)(bad)


@pytest.mark.parametrize("method", FITS)
def test_volumes_are_refused_by_fit(method):
    with pytest.raises(ValueError, match="Volumes and videos are not supported"):
        getattr(autoencoder(), method)(pictures((7, 5, 3, 2)))


@pytest.mark.parametrize("method", FITS)
def test_ambiguous_channels_are_refused_by_fit(method):
    with pytest.raises(ValueError, match="Set channel_order='first'"):
        getattr(autoencoder(), method)(pictures((3, 5, 3)))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score"])
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_non_finite_value_of_an_image_is_located(value, name, method):
    estimator = fitted_to_grey("float64") if method in USES else autoencoder()
    bad = GREY.astype(np.float64)
    bad[3, 2, 1] = value
    message = rf"contains {name}(?s:.)*image 3, at \(2, 1\)"
    with pytest.raises(ValueError, match=message):
        getattr(estimator, method)(bad)


def test_non_finite_value_of_a_coloured_image_is_located():
    bad = COLOUR.astype(np.float32)
    bad[3, 2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN(?s:.)*image 3, at \(2, 1, 0\)"):
        autoencoder().fit(bad)


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_masked_pixel_is_located(method):
    masked = np.ma.masked_array(GREY.copy())
    masked[3, 2, 1] = np.ma.masked
    with pytest.raises(ValueError, match=r"masked values.*\(3, 2, 1\)"):
        getattr(fitted_to_grey(), method)(masked)


@pytest.mark.parametrize("X", [GREY, TABLE], ids=["images", "flat"])
def test_wrong_image_shape_is_refused(X):
    with pytest.raises(ValueError, match=r"image_shape=\(6, 5\) has 30 pixels, but"):
        autoencoder(image_shape=(6, 5)).fit(X)


@pytest.mark.parametrize(
    "image_shape",
    [(), (7, 5, 1, 1), (0, 5), (-7, -5), (7.0, 5), ("7", 5), (None, 5), [[7, 5]]],
    ids=str,
)
def test_image_shape_that_is_no_shape_is_refused(image_shape):
    with pytest.raises(ValueError, match="must be one to three whole numbers"):
        autoencoder(image_shape=image_shape).fit("no data")


def test_conv_refuses_a_table():
    with pytest.raises(ValueError, match="network='conv' needs images.*image_shape"):
        autoencoder(network="conv").fit(TABLE)


@pytest.mark.parametrize("order", ["first", "last"])
def test_channel_order_refuses_a_table(order):
    with pytest.raises(ValueError, match=f"channel_order='{order}' is for images"):
        autoencoder(channel_order=order).fit(TABLE)


@pytest.mark.parametrize("method", [*USES, "partial_fit"])
@pytest.mark.parametrize(
    ("dtype", "seen"), [("uint8", "float64"), ("uint16", "float32"), ("uint8", "int64")]
)
def test_pixels_are_refused_after_a_fit_to_another_scale(dtype, seen, method):
    estimator = fitted_to_grey(seen)
    with pytest.raises(ValueError, match=f"the dtype {dtype}, but fit saw {seen}"):
        getattr(estimator, method)(GREY.astype(dtype))


@pytest.mark.parametrize("method", ["transform", "score", "partial_fit"])
@pytest.mark.parametrize(
    "make",
    [np.float32, np.int64, lambda X: -(X / 10), sp.csr_array],
    ids=["float", "int", "negative", "sparse"],
)
def test_values_far_beyond_white_are_refused_after_a_fit_to_pixels(make, method):
    estimator = fitted_to_grey()
    bad = TABLE.astype(np.float64) if make is sp.csr_array else GREY
    with pytest.raises(ValueError, match="white is 1. Pass uint8, or divide X by 255"):
        getattr(estimator, method)(make(bad))


def test_bits_are_zeros_and_ones_after_a_fit_to_floats():
    estimator = autoencoder().fit(BLOBS / 255)
    expected = estimator.transform((BLOBS > 127).astype(np.float64))
    assert_allclose(estimator.transform(BLOBS > 127), expected, atol=1e-5)


def test_values_a_little_beyond_white_are_encoded():
    noisy = fractions(BLOBS) + np.random.default_rng(0).normal(size=BLOBS.shape)
    assert np.isfinite(autoencoder().fit(BLOBS).transform(noisy)).all()
