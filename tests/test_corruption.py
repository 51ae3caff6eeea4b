"""Corruption spoils what the network sees in training, and nothing else."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer
from skae._data.images import read_form
from skae._data.rows import Rows
from skae.corruption import (
    CORRUPTIONS,
    BlockMasking,
    CallableCorruption,
    Chain,
    Choice,
    Corruption,
    DownUpSampling,
    Features,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
)

DIGITS = load_digits().data
IMAGES = (DIGITS[:200] * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)
# Features that differ in place and in spread, and have no value twice.
TABLE = np.random.default_rng(0).normal([3, -50, 0.2], [1, 7, 0.05], size=(20_000, 3))
FEW = TABLE[:400]
FOR_IMAGES = [name for name in CORRUPTIONS if CORRUPTIONS[name].needs_images]
FOR_TABLES = [name for name in CORRUPTIONS if name not in FOR_IMAGES]
NAMES = pytest.mark.parametrize("name", CORRUPTIONS)
# A few epochs on rows that are mostly noise.
pytestmark = pytest.mark.filterwarnings("ignore:The autoencoder reconstructs worse")
RATES = pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])


def rows_of(X, sample_weight=None):
    """Return standardised rows, their mean and their scale."""
    flat = X.reshape(len(X), -1)
    mean = np.average(flat, axis=0, weights=sample_weight)
    variances = np.average((flat - mean) ** 2, axis=0, weights=sample_weight)
    scale = np.sqrt(variances.mean())
    return Rows(X, sample_weight, mean=mean, scale=scale), mean, scale


def spoil(corruption, X, form=None, seed=0):
    """Return spoilt rows in the space of the data."""
    rows, mean, scale = rows_of(X)
    given, _ = rows.take(slice(0, len(X)))
    generator = torch.Generator().manual_seed(seed)
    spoilt = corruption.corrupt(given, Features.of(rows, form), generator)
    assert spoilt.dtype == given.dtype
    return (spoilt.numpy() * scale + mean).reshape(X.shape)


def changed(spoilt, X):
    """Return where values differ, by more than rounding."""
    return ~np.isclose(spoilt, X, rtol=1e-9, atol=1e-9)


def estimator(corruption=None, n_components=2, **settings):
    quick = {"random_state": 0, "max_epochs": 3, "hidden_layer_sizes": (16,)}
    quick |= {"network": "mlp", "early_stopping": False, **settings}
    if corruption in FOR_IMAGES or getattr(corruption, "needs_images", False):
        quick |= {"image_shape": (8, 8)}
    return AutoencoderTransformer(n_components, corruption=corruption, **quick)


# How much is spoilt


@RATES
@pytest.mark.parametrize("kind", [MaskingNoise, SaltAndPepperNoise, SwapNoise])
def test_share_of_spoilt_values_is_the_rate(kind, rate):
    share = changed(spoil(kind(rate), TABLE), TABLE).mean(axis=0)
    assert_allclose(share, rate, atol=0.012)  # 3 standard errors


@pytest.mark.parametrize("n_samples", [2, 5])
def test_swap_of_few_rows_often_meets_its_own_value(n_samples):
    batches = TABLE[:1500].reshape(-1, n_samples, 3)
    masks = [
        changed(spoil(SwapNoise(0.6), X, seed=s), X) for s, X in enumerate(batches)
    ]
    assert_allclose(np.mean(masks), 0.6 * (1 - 1 / n_samples), atol=0.03)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_spread_of_gaussian_noise_is_a_share_of_that_of_each_feature(scale):
    noise = spoil(GaussianNoise(scale), TABLE) - TABLE
    assert_allclose(noise.std(axis=0), scale * TABLE.std(axis=0), rtol=0.02)
    assert_allclose(noise.mean(axis=0) / noise.std(axis=0), 0, atol=0.03)


def test_noise_relative_to_all_is_the_same_in_each_feature():
    noise = spoil(GaussianNoise(0.5, relative_to="all"), TABLE) - TABLE
    spread = np.sqrt(TABLE.var(axis=0).mean())
    assert_allclose(noise.std(axis=0), 0.5 * spread, rtol=0.02)


@pytest.mark.parametrize(("n_columns", "relative_to"), [(None, "feature"), (1, "all")])
def test_auto_noise_is_the_same_in_all_pixels_only(n_columns, relative_to):
    form = None if n_columns is None else read_form(TABLE, (3, n_columns))
    assert_array_equal(
        spoil(GaussianNoise(), TABLE, form),
        spoil(GaussianNoise(relative_to=relative_to), TABLE, form),
    )


def test_gaussian_noise_is_independent_of_rows_and_between_features():
    noise = spoil(GaussianNoise(), TABLE) - TABLE
    correlations = np.corrcoef(np.hstack([noise, TABLE]), rowvar=False)
    assert_allclose(correlations, np.eye(6), atol=0.03)


@pytest.mark.parametrize(
    "corruption",
    [
        GaussianNoise(0),
        MaskingNoise(0),
        SaltAndPepperNoise(0),
        SwapNoise(0),
        BlockMasking(0),
        DownUpSampling(1),
        GaussianNoise((0, 0)),
        BlockMasking((0.0, 0.0)),
        Chain([]),
        Choice([]),
        Choice([MaskingNoise(1.0), BlockMasking(1.0)], clean_rate=1),
    ],
)
def test_nothing_asked_for_changes_nothing(corruption):
    images = DIGITS[:50]
    form = read_form(images, (8, 8))
    assert_allclose(spoil(corruption, images, form), images, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}])
def test_rate_of_zero_trains_as_without_corruption(settings):
    settings = {"learning_rate": 0.01, **settings}
    clean = estimator(**settings).fit(FEW)
    assert_array_equal(
        estimator(MaskingNoise(0), **settings).fit(FEW).transform(FEW),
        clean.transform(FEW),
    )


# Levels drawn per row

SPANS = [  # kind, name of the level, and the shape of one row
    (MaskingNoise, "rate", (2000,)),
    (SaltAndPepperNoise, "rate", (2000,)),
    (SwapNoise, "rate", (2000,)),
    (BlockMasking, "share", (40, 50)),
]


@pytest.mark.parametrize(("kind", "level", "shape"), SPANS)
def test_rate_of_each_row_is_uniform_in_its_range(kind, level, shape):
    X = np.random.default_rng(0).uniform(1, 2, size=(600, *shape))
    corruption = kind((0.2, 0.6))
    assert corruption.get_params() == {level: (0.2, 0.6)}
    mask = changed(spoil(corruption, X, read_form(X)), X).reshape(len(X), -1)
    found = mask.mean(axis=1) ** (0.5 if kind is BlockMasking else 1)
    rounding = 0.04  # of a rate among 2000 values, or of a side to whole pixels
    assert found.min() > 0.2 - rounding
    assert found.max() < 0.6 + rounding
    quantiles = np.quantile(found, [0.1, 0.3, 0.5, 0.7, 0.9])
    assert_allclose(
        quantiles, 0.2 + 0.4 * np.array([0.1, 0.3, 0.5, 0.7, 0.9]), atol=0.04
    )


@pytest.mark.parametrize("relative_to", ["feature", "all"])
def test_scale_of_each_row_is_uniform_in_its_range(relative_to):
    X = np.random.default_rng(0).normal(size=(600, 1000))
    noise = spoil(GaussianNoise((0.5, 1.5), relative_to), X) - X
    found = np.sort(noise.std(axis=1))
    assert_allclose(found, np.linspace(0.5, 1.5, 600), atol=0.09)


@pytest.mark.parametrize("kind", [MaskingNoise, SaltAndPepperNoise, SwapNoise])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_range_of_one_number_is_that_number(kind, rate):
    share = changed(spoil(kind((rate, rate)), TABLE), TABLE).mean()
    assert_allclose(share, rate, atol=1e-3)  # some swap with themselves


def test_blocks_of_any_size_may_be_anywhere():
    X = np.random.default_rng(0).uniform(1, 2, size=(3000, 5, 6))
    mask = changed(spoil(BlockMasking((0.2, 0.6)), X, read_form(X)), X)
    rows, columns = mask.any(axis=2), mask.any(axis=1)
    assert_array_equal(mask, rows[:, :, None] & columns[:, None, :])
    assert set(rows.sum(axis=1)) == {1, 2, 3}
    corners = {tuple(np.argwhere(image)[0]) for image in mask}
    assert corners == {(row, column) for row in range(5) for column in range(6)}


def test_block_of_the_whole_side_fits():
    X = np.random.default_rng(0).uniform(1, 2, size=(200, 5, 6))
    spoilt = spoil(BlockMasking((1.0, 1.0)), X, read_form(X))
    assert_allclose(spoilt, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("corruption", "draws"),
    [
        (GaussianNoise(0.3), ["randn"]),
        (MaskingNoise(0.3), ["rand"]),
        (SaltAndPepperNoise(0.3), ["rand", "rand"]),
        (SwapNoise(0.3), ["randint", "rand"]),
    ],
)
def test_plain_number_draws_nothing_for_levels(corruption, draws):
    given = torch.zeros(7, 3, dtype=torch.float64)
    corrupted, alone = (torch.Generator().manual_seed(0) for _ in range(2))
    features = Features(*given.new_tensor([[0.0], [1.0], [-1.0], [1.0]]))
    corruption.corrupt(given, features, corrupted)
    for draw in draws:
        if draw == "randint":
            torch.randint(7, (7, 3), generator=alone)
        else:
            dtype = torch.float64 if draw == "randn" else None
            getattr(torch, draw)((7, 3), generator=alone, dtype=dtype)
    assert torch.equal(corrupted.get_state(), alone.get_state())


# By what


def test_masked_values_are_the_zero_of_the_data():
    spoilt = spoil(MaskingNoise(0.5), TABLE)
    assert_allclose(spoilt[changed(spoilt, TABLE)], 0, atol=1e-12)


def test_salt_and_pepper_are_the_largest_and_the_smallest_value():
    spoilt = spoil(SaltAndPepperNoise(0.5), TABLE)
    for column, given in zip(spoilt.T, TABLE.T, strict=True):
        extremes = column[changed(column, given)]
        is_low = np.isclose(extremes, given.min(), rtol=1e-12)
        is_high = np.isclose(extremes, given.max(), rtol=1e-12)
        assert (is_low | is_high).all()
        assert_allclose(is_low.mean(), 0.5, atol=0.02)


def test_swapped_values_are_values_of_their_column():
    spoilt = spoil(SwapNoise(1.0), FEW)
    for column, given in zip(spoilt.T, FEW.T, strict=True):
        nearest = np.abs(column[:, None] - given).min(axis=1)
        assert_allclose(nearest, 0, atol=1e-12)


def test_swapped_values_of_a_row_come_from_different_rows():
    numbers = np.repeat(np.arange(500.0)[:, None], 3, axis=1)
    spoilt = spoil(SwapNoise(1.0), numbers).round()
    assert (spoilt[:, 0] == spoilt[:, 1]).mean() < 0.05


@pytest.mark.parametrize("kind", [GaussianNoise, SaltAndPepperNoise, SwapNoise])
def test_constant_features_stay(kind):
    X = FEW * [1, 0, 1] + 7
    assert_allclose(spoil(kind(1.0), X)[:, 1], 7)


def test_spread_counts_the_weights():
    weight = np.random.default_rng(0).integers(1, 5, len(FEW))
    rows, mean, scale = rows_of(FEW, weight.astype(float))
    features = Features.of(rows)
    repeated = np.repeat(FEW, weight, axis=0)
    assert_allclose(features.spread.numpy() * scale, repeated.std(axis=0))
    assert_allclose(features.zero.numpy() * scale + mean, 0, atol=1e-12)


def test_rows_of_weight_zero_give_no_extremes():
    rows, mean, scale = rows_of(FEW, (np.arange(len(FEW)) < 100).astype(float))
    features = Features.of(rows)
    assert_allclose(features.low.numpy() * scale + mean, FEW[:100].min(axis=0))
    assert_allclose(features.high.numpy() * scale + mean, FEW[:100].max(axis=0))


def test_features_are_the_same_in_several_blocks(monkeypatch):
    rows, _, _ = rows_of(TABLE)
    once = Features.of(rows)
    monkeypatch.setattr("skae._data.rows.INFERENCE_ROWS", 333)
    for name in ("zero", "spread", "low", "high"):
        torch.testing.assert_close(
            getattr(Features.of(rows), name), getattr(once, name)
        )


# Images

SHAPES = {
    "grey": ((9, 13), {}),
    "channels last": ((9, 13, 3), {}),
    "channels first": ((3, 9, 13), {}),
    "two by two": ((2, 2), {}),
    "flat": ((9 * 13,), {"image_shape": (9, 13)}),
    "flat, channels first": ((2 * 9 * 13,), {"image_shape": (2, 9, 13)}),
    "signal": ((37,), {"image_shape": (37,)}),
}


@pytest.fixture(params=SHAPES)
def images(request):
    """Return images without a zero, and what `read_form` returns."""
    shape, reading = SHAPES[request.param]
    X = np.random.default_rng(0).uniform(1, 2, size=(200, *shape))
    return X, read_form(X, **reading)


def channels_last(X, form):
    """Return images of shape (n_samples, height, width, n_channels), by NumPy."""
    (height, width), n_channels = form.size, form.n_channels
    if form.channel_order == "first":
        return X.reshape(-1, n_channels, height, width).transpose(0, 2, 3, 1)
    return X.reshape(-1, height, width, n_channels)


@pytest.mark.parametrize("share", [0.2, 0.4, 1.0])
def test_block_masking_masks_one_rectangle_in_all_channels(images, share):
    X, form = images
    spoilt = spoil(BlockMasking(share), X, form)
    mask = changed(spoilt, X)
    assert_allclose(spoilt[mask], 0, atol=1e-12)
    mask = channels_last(mask, form)
    assert (mask.all(axis=3) == mask.any(axis=3)).all()
    mask = mask[..., 0]
    rows, columns = mask.any(axis=2), mask.any(axis=1)  # of each image
    assert_array_equal(mask, rows[:, :, None] & columns[:, None, :])
    for sides, length in ((rows, form.size[0]), (columns, form.size[1])):
        wanted = 1 if length == 1 else round(share * length)
        if mask.any():
            assert_array_equal(sides.sum(axis=1), wanted)
        edges = np.diff(sides.astype(int), axis=1, prepend=0, append=0)
        assert (np.abs(edges).sum(axis=1) <= 2).all()  # it begins once and ends once
    sizes = [1 if side == 1 else round(share * side) for side in form.size]
    assert mask.any() == (min(sizes) > 0)


def test_block_may_be_anywhere():
    X = np.ones((2000, 5, 6)) + np.random.default_rng(0).random((2000, 5, 6))
    mask = changed(spoil(BlockMasking(0.5), X, read_form(X)), X)
    corners = {tuple(np.argwhere(image)[0]) for image in mask}
    assert corners == {(row, column) for row in range(4) for column in range(4)}


def block_means(image, factor):
    """Return each pixel's mean over its block, of an image (height, width, n)."""
    coarse = np.empty_like(image)
    for top in range(0, image.shape[0], factor):
        for left in range(0, image.shape[1], factor):
            block = slice(top, top + factor), slice(left, left + factor)
            coarse[block] = image[block].mean(axis=(0, 1))
    return coarse


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 100])
def test_down_up_sampling_gives_the_means_of_blocks(images, factor):
    X, form = images
    X = X[:5]
    spoilt = spoil(DownUpSampling(factor), X, form)
    expected = [block_means(image, factor) for image in channels_last(X, form)]
    assert_allclose(channels_last(spoilt, form), expected)


@NAMES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_result_has_the_dtype_and_the_memory_of_its_own(name, dtype):
    rows, _, _ = rows_of(DIGITS[:20])
    rows = rows.copy(dtype=dtype)
    given, _ = rows.take(slice(0, 20))
    before = given.clone()
    features = Features.of(rows, read_form(DIGITS, (8, 8)))
    spoilt = CORRUPTIONS[name]().corrupt(given, features, torch.Generator())
    assert spoilt.dtype == given.dtype
    assert spoilt.shape == given.shape
    assert not torch.equal(spoilt, given)
    torch.testing.assert_close(given, before, rtol=0, atol=0)


# Together


def test_chain_spoils_in_its_order():
    masked_last = spoil(Chain([GaussianNoise(), MaskingNoise(1.0)]), FEW)
    assert_allclose(masked_last, 0, atol=1e-12)
    masked_first = spoil(Chain([MaskingNoise(1.0), GaussianNoise(0.5)]), TABLE)
    assert_allclose(masked_first.std(axis=0), 0.5 * TABLE.std(axis=0), rtol=0.02)


def test_links_of_a_chain_are_independent():
    spoilt = spoil(Chain([MaskingNoise(0.5), MaskingNoise(0.5)]), TABLE)
    assert_allclose(changed(spoilt, TABLE).mean(), 0.75, atol=0.01)


def test_chain_of_one_trains_like_the_one():
    assert_array_equal(
        estimator(Chain([SwapNoise(0.2)])).fit(FEW).transform(FEW),
        estimator(SwapNoise(0.2)).fit(FEW).transform(FEW),
    )


def swap_or_not(X, generator):
    rows = torch.randint(len(X), X.shape, generator=generator)
    return torch.where(
        torch.rand(X.shape, generator=generator) < 0.1, X.gather(0, rows), X
    )


def test_function_trains_like_its_formula():
    assert_array_equal(
        estimator(swap_or_not).fit(FEW).transform(FEW),
        estimator(SwapNoise(0.1)).fit(FEW).transform(FEW),
    )


def test_function_may_stand_in_a_chain():
    chain = Chain([CallableCorruption(swap_or_not), MaskingNoise(0.0)])
    assert_allclose(spoil(chain, FEW), spoil(SwapNoise(0.1), FEW))


@pytest.mark.parametrize("clean_rate", [0.0, 0.25, 0.7])
def test_choice_spoils_each_row_by_one_and_spares_some(clean_rate):
    corruptions = [MaskingNoise(1.0), CallableCorruption(to_sevens)]
    spoilt = spoil(Choice(corruptions, clean_rate), TABLE)
    is_zero = np.isclose(spoilt, 0, atol=1e-12).all(axis=1)
    is_clean = ~changed(spoilt, TABLE).any(axis=1)
    _, mean, scale = rows_of(TABLE)
    is_seven = np.isclose(spoilt, mean + 7 * scale).all(axis=1)
    assert (is_zero.astype(int) + is_clean + is_seven == 1).all()
    assert_allclose(is_clean.mean(), clean_rate, atol=0.012)
    assert_allclose(is_zero.mean(), (1 - clean_rate) / 2, atol=0.012)


def to_sevens(X, generator):
    return X.fill_(7.0)  # in place: X is a copy


def test_choice_draws_twice_as_often_what_is_there_twice():
    corruptions = [MaskingNoise(1.0), MaskingNoise(1.0), MaskingNoise(0.0)]
    spoilt = spoil(Choice(corruptions, clean_rate=0.0), TABLE)
    assert_allclose(changed(spoilt, TABLE).mean(), 2 / 3, atol=0.012)


def test_choices_and_chains_nest():
    inner = Chain([MaskingNoise(1.0), CallableCorruption(to_sevens)])
    outer = Choice([Choice([inner], 0.5), MaskingNoise(1.0)], 0.5)
    spoilt = spoil(outer, TABLE)
    _, mean, scale = rows_of(TABLE)
    is_seven = np.isclose(spoilt, mean + 7 * scale).all(axis=1)
    is_zero = np.isclose(spoilt, 0, atol=1e-12).all(axis=1)
    assert_allclose(is_seven.mean(), 0.5 * 0.5 * 0.5, atol=0.012)
    assert_allclose(is_zero.mean(), 0.5 * 0.5, atol=0.012)
    chained = spoil(Chain([MaskingNoise(1.0), Choice([inner], 0.0)]), TABLE)
    assert_allclose(chained, mean + 7 * scale * np.ones_like(TABLE))


def test_choice_leaves_its_input_and_repeats_itself():
    rows, _, _ = rows_of(FEW)
    given, _ = rows.take(slice(0, len(FEW)))
    before = given.clone()
    choice = Choice([CallableCorruption(to_sevens), SwapNoise()])
    first, again = (
        choice.corrupt(given, Features.of(rows), torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    torch.testing.assert_close(given, before, rtol=0, atol=0)
    torch.testing.assert_close(first, again, rtol=0, atol=0)


# In training


@pytest.fixture
def seen(monkeypatch):
    """Return what MaskingNoise will have got and returned: pairs of arrays."""
    pairs, original = [], MaskingNoise.corrupt

    def corrupt(self, X, features, generator):
        given = X.numpy().copy()
        spoilt = original(self, X, features, generator)
        pairs.append((given, spoilt.numpy().copy()))
        return spoilt

    monkeypatch.setattr(MaskingNoise, "corrupt", corrupt)
    return pairs


def masks(pairs, n_samples):
    """Return where batches of a size were spoilt, as bytes."""
    found = [given != spoilt for given, spoilt in pairs if len(given) == n_samples]
    assert all(mask.any() and not mask.all() for mask in found)
    return [mask.tobytes() for mask in found]


def test_each_batch_of_each_epoch_is_spoilt_anew(seen):
    estimator("masking", batch_size=50).fit(FEW)
    found = masks(seen, 50)
    assert len(found) == 3 * len(FEW) / 50
    assert len(set(found)) == len(found)


def test_each_call_of_partial_fit_spoils_anew(seen):
    fitted = estimator("masking", batch_size=100)
    for _ in range(3):
        fitted.partial_fit(FEW)
    assert len(set(masks(seen, 100))) == 3 * len(FEW) / 100


def test_each_warm_start_spoils_anew(seen):
    fitted = estimator("masking", batch_size=100, warm_start=True, max_epochs=1)
    fitted.fit(FEW).fit(FEW)
    assert len(set(masks(seen, 100))) == 2 * len(FEW) / 100


def test_rows_held_out_are_spoilt_alike_each_time(seen):
    estimator("masking", early_stopping=True, batch_size=45).fit(FEW)
    found = masks(seen, 40)
    assert len(found) > 3
    assert len(set(found)) == 1


def test_rows_held_out_get_the_same_of_a_choice_each_time(monkeypatch):
    pairs, original = [], Choice.corrupt

    def corrupt(self, X, features, generator):
        given, spoilt = X.numpy().copy(), original(self, X, features, generator)
        pairs.append((given, spoilt.numpy().copy()))
        return spoilt

    monkeypatch.setattr(Choice, "corrupt", corrupt)
    choice = Choice([MaskingNoise((0.2, 0.8)), SwapNoise()])
    estimator(choice, early_stopping=True, batch_size=45).fit(FEW)
    found = masks(pairs, 40)
    assert len(found) > 3
    assert len(set(found)) == 1
    found = masks(pairs, 45)
    assert len(set(found)) == len(found) == 3 * 360 / 45


WITHOUT_ZERO = {
    "images": IMAGES // 2 + 20,
    "table": DIGITS[:200] + 20,
    "sparse": sp.csr_matrix(DIGITS[:200] + 20),
}


@pytest.mark.parametrize("X", WITHOUT_ZERO.values(), ids=WITHOUT_ZERO)
@pytest.mark.filterwarnings("ignore:X has the same value")
def test_masked_values_are_the_zero_of_what_fit_saw(seen, X):
    fitted = estimator(MaskingNoise(0.9), n_components=4).fit(X)
    for _, spoilt in seen:
        in_data_space = spoilt * fitted.scale_ + fitted.mean_
        assert_allclose((np.abs(in_data_space) < 1e-6).mean(), 0.9, atol=0.02)


@NAMES
def test_same_random_state_gives_the_same_bytes(name):
    first = estimator(name).fit(DIGITS[:100])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    again = estimator(name).fit(DIGITS[:100])
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(again.transform(DIGITS), first.transform(DIGITS))


def test_other_random_state_spoils_otherwise(seen):
    for random_state in (0, 1):
        estimator("masking", random_state=random_state, batch_size=400).fit(FEW)
    assert len(set(masks(seen, 400))) > len(masks(seen, 400)) / 2


@NAMES
def test_corruption_changes_what_is_learnt(name):
    clean = estimator().fit(DIGITS[:100])
    spoilt = estimator(name).fit(DIGITS[:100])
    assert not np.allclose(spoilt.transform(DIGITS), clean.transform(DIGITS), rtol=1e-3)


def wipe_in_place(X, generator):
    return X.zero_()


def wipe(X, generator):
    return torch.zeros_like(X)


@pytest.mark.parametrize("corruption", [wipe, wipe_in_place])
def test_target_stays_clean(corruption):
    targets, before = [], FEW.copy()

    def loss(output, X):
        targets.append(X.clone())
        return (output - X).square().mean(1)

    fitted = estimator(corruption, loss=loss).fit(FEW)
    clean = (FEW - fitted.mean_) / fitted.scale_
    rows = torch.cat(targets[1:])  # the first two rows are a check of the loss
    assert len(rows) > 3 * len(FEW)
    for found, expected in zip(rows.T, clean.T, strict=True):
        assert np.isin(found, expected).all()
    assert_array_equal(FEW, before)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_corruption_may_work_in_place(loss):
    X = DIGITS[:200] / 16
    assert_array_equal(
        estimator(wipe_in_place, loss=loss).fit(X).transform(X),
        estimator(wipe, loss=loss).fit(X).transform(X),
    )


def test_nothing_is_spoilt_after_fit(monkeypatch):
    fitted = estimator("masking").fit(FEW)
    first = fitted.reconstruct(FEW), fitted.score_samples(FEW)
    monkeypatch.setattr(MaskingNoise, "corrupt", None)
    assert_array_equal(fitted.reconstruct(FEW), first[0])
    assert_array_equal(fitted.score_samples(FEW), first[1])
    code = fitted.transform(FEW)
    assert_allclose(fitted.inverse_transform(code), first[0], rtol=1e-9)
    assert fitted.score(FEW) < 1


def test_spread_of_the_code_is_that_of_clean_rows():
    spreads = [
        estimator(corruption, max_epochs=1).fit(FEW).transform(FEW).std(axis=0)
        for corruption in (None, MaskingNoise(0.9))
    ]
    assert_allclose(spreads[1], spreads[0], rtol=0.1)


def noisy(X, rng):
    return X + 0.5 * X.std(axis=0) * rng.normal(size=X.shape)


def swapped(X, rng):
    others = rng.permuted(X, axis=0)
    return np.where(rng.random(X.shape) < 0.2, others, X)


@pytest.mark.parametrize(
    ("corruption", "spoil"), [(GaussianNoise(0.5), noisy), (SwapNoise(0.2), swapped)]
)
def test_network_learns_to_mend(corruption, spoil):
    train, test = DIGITS[:1300], DIGITS[1300:]
    spoilt = spoil(test, np.random.default_rng(0))
    settings = {"max_epochs": 15, "hidden_layer_sizes": (64,), "n_components": 20}
    errors = [
        np.square(estimator(one, **settings).fit(train).reconstruct(spoilt) - test)
        for one in (corruption, None)
    ]
    assert errors[0].mean() < 0.9 * errors[1].mean()


def test_verdict_is_about_spoilt_rows():
    fitted = estimator(
        SwapNoise(0.3), n_components=20, early_stopping="auto", max_epochs=20
    ).fit(DIGITS)
    clean = clone(fitted).set_params(corruption=None).fit(DIGITS)
    assert fitted.proven_
    assert fitted.pca_loss_ > 1.5 * clean.pca_loss_


def test_verdict_names_what_was_judged():
    corruption = Choice([GaussianNoise((0.5, 1.0)), CallableCorruption(wipe)])
    fitted = estimator(
        corruption, n_components=8, early_stopping="auto", max_epochs=20
    ).fit(DIGITS[:900])
    assert fitted.proven_
    words = fitted.verdict_
    assert words.startswith("The network is kept, as it mends spoilt rows better than")
    assert "on 90 held-out rows, spoilt by Choice(corruptions=[GaussianNoise(" in words
    assert "0x" not in words  # an address in memory would differ from run to run
    assert "On the same rows as they came its loss is" in words
    assert "Of other faults nothing is proven" in words


@pytest.mark.parametrize(
    ("corruption", "words"),
    [
        (MaskingNoise(0.5), "where nothing is spoilt, PCA is better"),
        (MaskingNoise(0.0), "the network is no worse than PCA"),
    ],
)
def test_verdict_says_which_is_better_on_clean_rows(corruption, words):
    settings = {"n_components": 20, "early_stopping": "auto", "max_epochs": 30}
    fitted = estimator(corruption, **settings, hidden_layer_sizes=(64,)).fit(DIGITS)
    assert fitted.proven_
    assert words in fitted.verdict_
    loss, pca_loss = map(
        float, re.search(r"its loss is (\S+), PCA's (\S+):", fitted.verdict_).groups()
    )
    assert (loss > pca_loss) == ("PCA is better" in words)
    clean = clone(fitted).set_params(corruption=None).fit(DIGITS)
    assert_allclose(pca_loss, clean.pca_loss_, rtol=1e-3)


def test_verdict_on_noise_says_by_what_it_was_spoilt():
    noise = np.random.default_rng(0).normal(size=(300, 5))
    fitted = estimator(GaussianNoise(), early_stopping="auto").fit(noise)
    assert fitted.proven_ is False
    assert "spoilt by GaussianNoise()," in fitted.verdict_
    assert "as they came" not in fitted.verdict_  # it is PCA of all rows


def test_choice_mends_what_it_has_seen_and_spares_clean_rows():
    train, test = DIGITS[:1300], DIGITS[1300:]
    spoilt = noisy(test, np.random.default_rng(0))
    settings = {"max_epochs": 30, "hidden_layer_sizes": (64,), "n_components": 20}

    def errors(corruption):
        fitted = estimator(corruption, **settings).fit(train)
        found = [fitted.reconstruct(X) for X in (spoilt, test)]
        return [np.square(X_hat - test).mean() for X_hat in found]

    plain, always = errors(None), errors(GaussianNoise(1.0))
    choice = errors(Choice([GaussianNoise(1.0)], clean_rate=0.5))
    assert choice[0] < 0.9 * plain[0]
    assert choice[1] < 0.9 * always[1]


# With everything else


@NAMES
@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "log_loss"},
        {"network": "conv", "hidden_layer_sizes": (4,)},
        {"bottleneck": "variational"},
        {"penalty": "l1"},
        {"init": "random"},
        {"early_stopping": True, "precision": "float32"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_corruption_goes_with_all_of_pixels(name, settings):
    fitted = estimator(name, max_epochs=2).set_params(image_shape=None, **settings)
    X_hat = fitted.fit(IMAGES).reconstruct(IMAGES)
    assert X_hat.dtype == np.uint8
    assert X_hat.shape == IMAGES.shape


@pytest.mark.parametrize("name", FOR_TABLES)
def test_sparse_rows_are_spoilt_like_dense_ones(name):
    X = DIGITS[:150]
    assert_allclose(
        estimator(name).fit(sp.csr_matrix(X)).transform(X),
        estimator(name).fit(X).transform(X),
        rtol=1e-6,
    )


@NAMES
def test_training_goes_on_with_weights(name):
    weight = np.linspace(0.1, 2, 150)
    fitted = estimator(name)
    for _ in range(2):
        fitted.partial_fit(DIGITS[:150], sample_weight=weight)
    assert np.isfinite(fitted.loss_curve_).all()
    assert fitted.n_epochs_ == 2
    weighted = clone(fitted).fit(DIGITS[:150], sample_weight=weight)
    assert weighted.score(DIGITS[:150]) > 0


def test_target_of_its_own_is_not_spoilt():
    fitted = estimator(MaskingNoise(0.2), loss="absolute_error", max_epochs=10)
    fitted.fit(FEW, X_target=np.full((len(FEW), 2), [3.0, 5.0]))
    assert_allclose(fitted.reconstruct(FEW), np.full((len(FEW), 2), [3.0, 5.0]))


# As a parameter


@NAMES
def test_name_is_the_object_with_its_defaults(name):
    X = DIGITS[:100]
    assert_array_equal(
        estimator(name).fit(X).transform(X),
        estimator(CORRUPTIONS[name]()).fit(X).transform(X),
    )


@NAMES
def test_copies_of_a_part_keep_its_parameters(name):
    corruption = CORRUPTIONS[name]()
    parameter = next(iter(inspect.signature(CORRUPTIONS[name]).parameters))
    expected = {**corruption.get_params(), parameter: 1}
    corruption.set_params(**{parameter: 1})
    for again in (clone(corruption), pickle.loads(pickle.dumps(corruption))):
        assert isinstance(again, Corruption)
        assert again.get_params() == expected
    assert repr(corruption) == f"{CORRUPTIONS[name].__name__}({parameter}=1)"


@pytest.mark.parametrize(
    "corruption",
    [
        *CORRUPTIONS,
        Chain([SwapNoise(0.3), GaussianNoise()]),
        Choice([SwapNoise((0.1, 0.3)), Chain([GaussianNoise()])]),
        wipe,
    ],
    ids=[*CORRUPTIONS, "chain", "choice", "function"],
)
def test_pickled_estimator_gives_the_same_codes(corruption):
    fitted = estimator(corruption).fit(DIGITS[:100])
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(DIGITS), fitted.transform(DIGITS))
    again.fit(DIGITS[:100])
    assert_array_equal(again.transform(DIGITS), fitted.transform(DIGITS))


def first_column(X, generator):
    return X[:, :1]


def test_fit_does_not_change_the_object():
    chain = Chain([SwapNoise(0.3), MaskingNoise(0.2)])
    before = copy.deepcopy(chain.get_params()["corruptions"])
    estimator(chain).fit(FEW)
    assert [vars(one) for one in chain.corruptions] == [vars(one) for one in before]
    assert vars(chain).keys() == {"corruptions"}


@pytest.mark.parametrize(
    ("grid", "best"),
    [
        ({"corruption": [None, SwapNoise(0.1), "gaussian"]}, None),
        ({"corruption__rate": [0.99, 0.01, 0.5]}, 0.01),
        ({"corruption__rate": [(0.9, 1.0), (0.0, 0.02), 0.5]}, (0.0, 0.02)),
    ],
)
def test_grid_search_compares_corruptions(grid, best):
    search = GridSearchCV(
        estimator(MaskingNoise(), n_components=10, max_epochs=10), grid, cv=2
    )
    search.fit(DIGITS[:200])
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 3
    if best is not None:
        assert search.best_params_ == {"corruption__rate": best}


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        (MaskingNoise(2), r"rate=2 of MaskingNoise must be a number in \[0, 1\]"),
        (SwapNoise(-0.1), r"rate=-0.1 of SwapNoise must be a number in \[0, 1\]"),
        (SaltAndPepperNoise(None), "rate=None of SaltAndPepperNoise must be a number"),
        (MaskingNoise(np.nan), "rate=nan of MaskingNoise"),
        (
            MaskingNoise((0.5, 2)),
            r"rate=\(0.5, 2\) of MaskingNoise must be a number in \[0, 1\] or two such "
            r"numbers \(low, high\), low <= high",
        ),
        (SwapNoise((0.4, 0.2)), r"rate=\(0.4, 0.2\) of SwapNoise.* low <= high"),
        (SwapNoise((0.1, 0.2, 0.3)), r"two such numbers \(low, high\)"),
        (SwapNoise("0.1"), "rate='0.1' of SwapNoise"),
        (GaussianNoise((0, np.inf)), r"scale=\(0, inf\) of GaussianNoise"),
        (GaussianNoise((0, None)), r"scale=\(0, None\) of GaussianNoise"),
        (
            GaussianNoise(1, "rows"),
            r"relative_to='rows' .* one of \('auto', 'feature',",
        ),
        (BlockMasking((0, 1.5)), r"share=\(0, 1.5\) of BlockMasking"),
        (DownUpSampling((1, 2)), r"factor=\(1, 2\) .* must be a whole number in \[1"),
        (Choice([GaussianNoise()], 2), r"clean_rate=2 of Choice must be a number in"),
        (Choice([GaussianNoise()], (0, 1)), r"clean_rate=\(0, 1\) of Choice"),
        (Choice([Chain([SwapNoise(2)])]), "rate=2 of SwapNoise"),
        (Choice([SwapNoise(), BlockMasking()]), "BlockMasking.* is for images"),
        (
            GaussianNoise(-1),
            r"scale=-1 of GaussianNoise must be a number in \[0, inf\)",
        ),
        (GaussianNoise(np.inf), r"scale=inf of GaussianNoise"),
        (BlockMasking(1.5), r"share=1.5 of BlockMasking must be a number in \[0, 1\]"),
        (DownUpSampling(0), r"factor=0 .* must be a whole number in \[1, inf\)"),
        (DownUpSampling(1.5), r"factor=1.5 .* must be a whole number"),
        (Chain([GaussianNoise(), SwapNoise(2)]), "rate=2 of SwapNoise"),
        (Chain([Chain([SwapNoise(2)])]), "rate=2 of SwapNoise"),
        (BlockMasking(), "is for images, but X is a table.*'swap'"),
        ("down_up_sampling", "DownUpSampling.* is for images, but X is a table"),
        (Chain([SwapNoise(), BlockMasking()]), "BlockMasking.* is for images"),
        (lambda X, generator: X[:, :2], r"returned shape \(\d+, 2\).* of its X"),
        (lambda X, generator: X[:1], r"returned shape \(1, 3\)"),
        (
            Choice([CallableCorruption(first_column)]),
            r"returned shape \(\d+, 1\).* its X",
        ),
        (lambda X, generator: X / 0, "returned NaN or infinite values"),
        (lambda X, generator: X.mul(torch.nan), "returned NaN or infinite values"),
        (lambda X, generator: None, "returned a NoneType; it must return a tensor"),
        ("salt", "'corruption' parameter of AutoencoderTransformer must be"),
        (3, "'corruption' parameter of AutoencoderTransformer must be"),
    ],
)
def test_bad_corruption_is_refused(corruption, message):
    with pytest.raises(ValueError, match=message):
        estimator(corruption).set_params(image_shape=None).fit(FEW)


@pytest.mark.parametrize("kind", [SwapNoise, Chain, Choice])
def test_class_in_place_of_an_object_is_refused(kind):
    message = f"corruption is the class {kind.__name__}; pass an instance"
    with pytest.raises(TypeError, match=message):
        estimator(kind).fit(FEW)


def test_estimator_stays_usable_after_a_refusal():
    fitted = estimator("swap").fit(FEW)
    before = fitted.transform(FEW)
    fitted.set_params(corruption=MaskingNoise(2))
    with pytest.raises(ValueError, match="rate=2"):
        fitted.fit(FEW)
    assert_array_equal(fitted.transform(FEW), before)
