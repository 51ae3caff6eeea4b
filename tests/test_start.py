"""The linear start is PCA, and only a real gain counts as one."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose
from scipy.linalg import subspace_angles
from scipy.stats import norm, ttest_rel
from sklearn.decomposition import PCA
from torch import nn

from skae import AutoencoderTransformer
from skae._data.rows import Rows
from skae._fitting import start as pca_start
from skae._fitting.codec import PCAStart
from skae._fitting.start import fit_linear_start, fit_mean
from skae._fitting.verdict import gain_is_proven
from skae.bottlenecks import Bottleneck
from skae.losses import AbsoluteError, Huber, LogLoss, SquaredError
from skae.networks import MLPAutoencoder

RNG = np.random.default_rng(0)
BEGINNING = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def _same_numbers_whatever_ran_before():
    RNG.bit_generator.state = BEGINNING


def correlated(n_samples, n_features, offset=3.0):
    """Return rows of which the principal variances fall by a factor of two."""
    factors = RNG.normal(size=(n_samples, n_features)) * 2.0 ** -np.arange(n_features)
    rotation, _ = np.linalg.qr(RNG.normal(size=(n_features, n_features)))
    return factors @ rotation + offset


def start_of(X, n_components=3, sample_weight=None):
    generator = torch.Generator().manual_seed(0)
    return fit_linear_start(Rows(X, sample_weight), n_components, generator)


def variances(start):
    """Return the variance along each axis in squared units of the data."""
    return np.square(start.spread * start.scale)


def reconstruction(start, X):
    centred = X - start.mean
    return centred @ start.components.T @ start.components + start.mean


# The three ways to the axes


def data_for(route, shape, exact_size, monkeypatch):
    """Return data that take one of the ways; the others would raise."""
    monkeypatch.setattr(pca_start, "EXACT_SIZE", exact_size)
    if route != "iteration":
        monkeypatch.setattr(pca_start, "_axes_by_iteration", None)
    if route != "few_rows":
        monkeypatch.setattr(pca_start, "_axes_of_few_rows", None)
    return correlated(*shape)


ROUTES = {
    "covariance": ((60, 8), 1024),
    "few_rows": ((8, 20), 1024),
    "iteration": ((60, 30), 10),
}


@pytest.fixture(params=ROUTES)
def route(request, monkeypatch):
    return data_for(request.param, *ROUTES[request.param], monkeypatch)


def test_axes_are_those_of_pca(route):
    start, pca = start_of(route), PCA(3).fit(route)
    signs = np.sign(np.sum(start.components * pca.components_, axis=1))
    assert_allclose(start.components, signs[:, None] * pca.components_, atol=1e-8)


def test_variances_are_those_of_pca(route):
    start, pca = start_of(route), PCA(3).fit(route)
    n_samples = len(route)
    expected = pca.explained_variance_ * (n_samples - 1) / n_samples
    assert_allclose(variances(start), expected, rtol=1e-8)


def test_reconstruction_is_that_of_pca(route):
    pca = PCA(3).fit(route)
    expected = pca.inverse_transform(pca.transform(route))
    assert_allclose(reconstruction(start_of(route), route), expected, atol=1e-8)


def test_iteration_comes_close_where_variances_hardly_fall(monkeypatch):
    monkeypatch.setattr(pca_start, "EXACT_SIZE", 10)
    X = RNG.normal(size=(200, 40))
    pca = PCA(5).fit(X)
    best = np.square(X - pca.inverse_transform(pca.transform(X))).sum()
    error = np.square(X - reconstruction(start_of(X, 5), X)).sum()
    assert best <= error < 1.001 * best


def test_axes_are_orthonormal(route):
    components = start_of(route).components
    assert_allclose(components @ components.T, np.eye(3), atol=1e-10)


def test_largest_entry_of_each_axis_is_positive(route):
    components = start_of(route).components
    largest = np.abs(components).argmax(axis=1)
    assert (components[range(3), largest] > 0).all()


def test_mean_is_that_of_the_features(route):
    assert_allclose(start_of(route).mean, route.mean(axis=0), rtol=1e-13)


def test_scale_is_the_root_of_the_mean_variance(route):
    assert start_of(route).scale == pytest.approx(np.sqrt(route.var(axis=0).mean()))


def test_whole_number_weights_equal_repetition(route):
    weight = 1 + np.arange(len(route)) % 3
    weighted = start_of(route, sample_weight=weight.astype(float))
    repeated = start_of(np.repeat(route, weight, axis=0))
    assert_allclose(weighted.mean, repeated.mean, rtol=1e-12)
    assert weighted.scale == pytest.approx(repeated.scale)
    assert_allclose(weighted.components, repeated.components, atol=1e-7)
    assert_allclose(weighted.spread, repeated.spread)


def test_size_of_the_weights_does_not_matter(route):
    weight = RNG.random(len(route)) + 0.1
    one, other = (start_of(route, sample_weight=w) for w in (weight, 1e3 * weight))
    assert_allclose(one.components, other.components, atol=1e-10)


def test_sparse_rows_give_the_same_start(route):
    route[np.abs(route) < 2.9] = 0
    dense, sparse = start_of(route), start_of(sp.csr_matrix(route))
    np.testing.assert_array_equal(dense.components, sparse.components)
    np.testing.assert_array_equal(dense.mean, sparse.mean)


def test_several_blocks_give_the_same_start(route, monkeypatch):
    whole = start_of(route)
    monkeypatch.setattr("skae._data.rows.INFERENCE_ROWS", 7)
    blocks = start_of(route)
    assert_allclose(blocks.components, whole.components, atol=1e-8)
    assert_allclose(blocks.spread, whole.spread)


def test_components_beyond_the_rank_are_zero(route):
    n_samples, n_features = route.shape
    flat = np.outer(np.arange(n_samples), np.arange(n_features)) + 5.0
    start = start_of(flat)
    assert np.linalg.norm(start.components[0]) == pytest.approx(1)
    assert not start.components[1:].any()
    assert not start.spread[1:].any()


def test_components_beyond_the_number_of_features_are_zero(route):
    n_components = max(route.shape) + 5
    start = start_of(route, n_components)
    rank = min(len(route) - 1, route.shape[1])
    assert start.components.shape == (n_components, route.shape[1])
    assert not start.components[rank:].any()
    assert_allclose(reconstruction(start, route), route, atol=1e-6)


def test_constant_data_have_no_axes_and_scale_one(route):
    start = start_of(np.full_like(route, 0.1))
    assert not start.components.any()
    assert start.scale == 1.0
    assert_allclose(start.mean, 0.1, rtol=1e-12)


@pytest.mark.parametrize("n_samples", [1, 2])
def test_one_or_two_rows_are_enough(n_samples):
    X = correlated(n_samples, 5)
    start = start_of(X)
    assert np.isfinite(start.components).all()
    assert_allclose(reconstruction(start, X), X, atol=1e-10)


@pytest.mark.parametrize("unit", [1e-150, 1e-30, 1e30, 1e150])
def test_unit_of_the_data_does_not_matter(route, unit):
    start, scaled = start_of(route), start_of(route * unit)
    assert_allclose(scaled.components, start.components, atol=1e-8)
    assert scaled.scale / unit == pytest.approx(start.scale)
    assert_allclose(scaled.spread, start.spread, rtol=1e-7)


def test_large_offset_does_not_hide_the_axes(route):
    start, moved = start_of(route), start_of(route + 1e6)
    assert_allclose(moved.components, start.components, atol=1e-5)


def test_constant_data_with_a_large_offset_have_scale_one():
    X = np.full((50, 3), 1e9 + 0.1)
    assert start_of(X).scale == 1.0


def test_float32_data_are_read_in_double_precision(route):
    single = route.astype(np.float32)
    one, other = start_of(single), start_of(single.astype(np.float64))
    np.testing.assert_array_equal(one.components, other.components)


# Wide data

WIDE = {
    "covariance": ((400, 300), 1024),
    "few_rows": ((120, 400), 1024),
    "iteration": ((400, 300), 100),
}


@pytest.fixture(params=WIDE)
def wide(request, monkeypatch):
    return data_for(request.param, *WIDE[request.param], monkeypatch)


TOLERANCES = pytest.mark.parametrize(
    ("dtype", "rtol", "angle"), [("float32", 1e-4, 1e-3), ("float64", 1e-9, 1e-7)]
)


def by_svd(X, n_components=5):
    """Return the variances and axes of a singular value decomposition in float64."""
    X = X.astype(np.float64)
    _, values, axes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    return np.square(values[:n_components]) / len(X), axes[:n_components]


@TOLERANCES
def test_variances_of_wide_data_are_those_of_the_svd(wide, dtype, rtol, angle):
    data = wide.astype(dtype)
    found = variances(start_of(data, 5))
    assert_allclose(found, by_svd(data)[0], rtol=rtol)


@TOLERANCES
@pytest.mark.parametrize("n_components", [1, 3, 5])
def test_axes_of_wide_data_span_those_of_the_svd(
    wide, n_components, dtype, rtol, angle
):
    data = wide.astype(dtype)
    components = start_of(data, n_components).components
    expected = by_svd(data, n_components)[1]
    assert subspace_angles(components.T, expected.T).max() < angle
    assert_allclose(components @ components.T, np.eye(n_components), atol=angle)


@TOLERANCES
def test_wide_data_are_rebuilt_as_by_the_svd(wide, dtype, rtol, angle):
    data = wide.astype(dtype)
    found, axes = start_of(data, 5), by_svd(data)[1]
    data = data.astype(np.float64)
    centred = data - data.mean(axis=0)
    best = np.square(centred - centred @ axes.T @ axes).sum()
    error = np.square(data - reconstruction(found, data)).sum()
    assert best * (1 - 1e-9) <= error < best * (1 + rtol)


def test_weighted_wide_data_of_float32_equal_those_of_float64(wide):
    weight = RNG.random(len(wide)) + 0.1
    single = wide.astype(np.float32)
    one, other = (start_of(rows, 5, weight) for rows in (single, single.astype(float)))
    assert_allclose(one.mean, other.mean, rtol=1e-12)
    assert one.scale == pytest.approx(other.scale, rel=1e-12)
    assert_allclose(one.spread, other.spread, rtol=1e-4)
    assert subspace_angles(one.components.T, other.components.T).max() < 1e-3


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_wide_data_of_float32_with_an_offset_keep_their_axes(wide, kind):
    single = (wide + 100).astype(np.float32)
    found = start_of(kind(single), 5)
    expected, axes = by_svd(single)
    assert_allclose(variances(found), expected, rtol=1e-4)
    assert subspace_angles(found.components.T, axes.T).max() < 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_components_beyond_the_rank_of_wide_data_are_zero(wide, dtype):
    low = (wide[:, :7] @ RNG.normal(size=(7, wide.shape[1]))).astype(dtype)
    start = start_of(low, 12)
    assert (start.spread > 0).sum() == 7
    assert not start.components[7:].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_start_of_wide_data_that_loses_nothing_says_so(wide, dtype):
    low = (wide[:, :7] @ RNG.normal(size=(7, wide.shape[1]))).astype(dtype)
    assert start_of(low, 7).is_exact()
    assert not start_of(low, 6).is_exact()


def test_mean_of_rows_is_weighted():
    X, weight = correlated(50, 3), RNG.random(50)
    found = fit_mean(Rows(X, weight))
    assert_allclose(found, np.average(X, axis=0, weights=weight), rtol=1e-12)


# The network that starts as PCA


class Network(nn.Module):
    """A network of a user, without `zero_last_layers`."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Linear(n_features, n_components)
        self.decoder = nn.Linear(n_components, n_features)

    def encode(self, X):
        return torch.tanh(self.encoder(X))

    def decode(self, code):
        return torch.tanh(self.decoder(code))


NETWORKS = {"mlp": MLPAutoencoder, "user": Network}
STANDARDIZED = [SquaredError(), AbsoluteError(), Huber()]
X = correlated(60, 8)


def started(network, start, loss=None):
    n_components, n_features = start.components.shape
    module = PCAStart(
        network(n_features, n_components), start, loss or SquaredError(), Bottleneck()
    )
    return module.double()


def standardized(start, X):
    return torch.from_numpy((X - start.mean) / start.scale)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_start_encodes_like_pca_in_units_of_the_scale(network):
    start, pca = start_of(X), PCA(3).fit(X)
    with torch.no_grad():
        code = started(network, start).encode(standardized(start, X)).numpy()
    signs = np.sign(np.sum(start.components * pca.components_, axis=1))
    assert_allclose(code * start.scale, signs * pca.transform(X), atol=1e-10)


@pytest.mark.parametrize("loss", STANDARDIZED, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_start_reconstructs_like_pca(network, loss):
    start, pca = start_of(X), PCA(3).fit(X)
    module = started(network, start, loss)
    with torch.no_grad():
        output = module.decode(module.encode(standardized(start, X))).numpy()
    expected = pca.inverse_transform(pca.transform(X))
    assert_allclose(output * start.scale + start.mean, expected, atol=1e-10)


def test_half_whitening_takes_the_square_root_of_the_spread():
    start = fit_linear_start(Rows(X), 3, None)
    module = started(MLPAutoencoder, start)
    x = standardized(start, X)
    before, output = module.encode(x), module.decode(module.encode(x))
    module.half_whiten(start)
    module.half_whiten(start)  # nor does it matter how often
    spread = start.spread * np.sqrt(start.spread[0] / start.spread)
    assert_allclose(module.encode(x).std(0, correction=0).detach(), spread, rtol=1e-6)
    assert_allclose(module.encode(x)[:, 0].detach(), before[:, 0].detach())
    assert_allclose(module.decode(module.encode(x)).detach(), output.detach())


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_part_of_the_start_can_learn(network):
    """After two steps each weight has had a gradient."""
    start = start_of(X)
    module = started(network, start)
    before = [weight.detach().clone() for weight in module.parameters()]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x = standardized(start, X) ** 3
    for _ in range(3):
        optimizer.zero_grad()
        (module.decode(module.encode(x)) - x).square().mean().backward()
        optimizer.step()
    for weight, first in zip(module.parameters(), before, strict=True):
        assert not weight.equal(first)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("data", ["flat", "constant", "overcomplete"])
def test_start_from_data_without_enough_axes_is_finite(network, data):
    flat = np.outer(np.arange(60.0), np.arange(8.0))
    rows = {"flat": flat, "constant": np.full((60, 8), 0.1), "overcomplete": X}[data]
    start = start_of(rows, 12 if data == "overcomplete" else 3)
    module = started(network, start)
    with torch.no_grad():
        output = module.decode(module.encode(standardized(start, rows))).numpy()
    assert_allclose(output * start.scale + start.mean, rows, atol=1e-6)


@pytest.mark.parametrize("n_samples", [20, 240])
@pytest.mark.parametrize("network", ["mlp", Network])
def test_estimator_that_learns_nothing_is_pca(network, n_samples):
    data = np.random.default_rng(0).normal(size=(n_samples, 5))
    fitted = AutoencoderTransformer(
        2, network=network, max_epochs=1, learning_rate=1e-12, random_state=0
    ).fit(data)
    pca = PCA(2).fit(data)
    assert fitted.proven_ is False
    assert_allclose(
        fitted.reconstruct(data), pca.inverse_transform(pca.transform(data)), atol=1e-8
    )
    assert_allclose(np.abs(fitted.transform(data)), np.abs(pca.transform(data)))
    assert fitted.score(data) == pytest.approx(pca.explained_variance_ratio_.sum())


def test_reconstruct_takes_rows_standardized_by_others():
    start, other = start_of(X[:30]), start_of(X)
    units = Rows(X, mean=other.mean, scale=other.scale)
    found = start.reconstruct(standardized(other, X), units).numpy()
    found = found * other.scale + other.mean
    assert_allclose(found, reconstruction(start, X), atol=1e-10)


# Start with a link

UNIT = 1 / (1 + np.exp(-correlated(200, 6, offset=0)))
PIXELS = np.column_stack([UNIT, np.zeros(200), np.ones(200), UNIT[:, 0] > 0.5])


def log_loss_of_start(network, X):
    start, loss = start_of(X), LogLoss()
    module = started(network, start, loss)
    with torch.no_grad():
        output = module.decode(module.encode(standardized(start, X)))
        return loss(output, torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_log_loss_starts_finite_and_better_than_the_mean(network):
    losses = log_loss_of_start(network, PIXELS)
    mean = np.clip(PIXELS.mean(axis=0), 1e-9, 1 - 1e-9)
    of_mean = -(PIXELS * np.log(mean) + (1 - PIXELS) * np.log(1 - mean)).mean()
    assert np.isfinite(losses).all()
    assert losses.mean() < of_mean


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_log_loss_starts_finite_from_constant_data(value):
    losses = log_loss_of_start(MLPAutoencoder, np.full((20, 3), value))
    entropy = -value * np.log(value or 1) - (1 - value) * np.log(1 - value or 1)
    assert_allclose(losses, entropy, atol=2e-3)


# The proof


def pairs(n_samples, gain, rng=RNG):
    """Return losses before and after, with this mean gain in standard deviations."""
    before = rng.gamma(2, size=n_samples)
    return before, before - rng.normal(gain, 1, n_samples)


@pytest.mark.parametrize("n_samples", [2, 5, 40, 1000])
@pytest.mark.parametrize("seed", range(10))
def test_proof_is_the_one_sided_paired_t_test(n_samples, seed):
    rng = np.random.default_rng(seed)
    before, after = pairs(n_samples, 2 / np.sqrt(n_samples), rng)
    p = ttest_rel(before, after, alternative="greater").pvalue
    assert gain_is_proven(before, after) == (p < norm.sf(2))


def test_seeds_of_the_t_test_show_both_verdicts():
    verdicts = {
        gain_is_proven(*pairs(40, 2 / np.sqrt(40), np.random.default_rng(seed)))
        for seed in range(10)
    }
    assert verdicts == {True, False}


def test_equal_weights_change_nothing():
    for n_samples in (5, 40):
        for _ in range(20):
            before, after = pairs(n_samples, 2 / np.sqrt(n_samples))
            expected = gain_is_proven(before, after)
            assert gain_is_proven(before, after, np.full(n_samples, 7.0)) == expected


def test_rows_of_weight_zero_change_nothing():
    weight = np.repeat([1.0, 0.0], 40)
    for _ in range(20):
        before, after = pairs(80, 0.3)
        expected = gain_is_proven(before[:40], after[:40])
        assert gain_is_proven(before, after, weight) == expected


def test_size_of_the_weights_does_not_change_the_proof():
    for _ in range(20):
        before, after = pairs(40, 0.3)
        weight = RNG.random(40)
        expected = gain_is_proven(before, after, weight)
        assert gain_is_proven(before, after, 1e6 * weight) == expected


def test_weights_are_not_independent_rows():
    """Ten rows that each weigh a hundred prove no more than ten rows."""
    for _ in range(20):
        before, after = pairs(10, 0.5)
        expected = gain_is_proven(before, after)
        assert gain_is_proven(before, after, np.full(10, 100.0)) == expected


def test_one_heavy_row_proves_nothing():
    before, after = np.full(40, 2.0), np.full(40, 1.0) + 0.01 * RNG.random(40)
    weight = np.full(40, 1e-9)
    weight[0] = 1.0
    assert gain_is_proven(before, after)
    assert not gain_is_proven(before, after, weight)


def test_one_row_proves_nothing():
    assert not gain_is_proven(np.array([2.0]), np.array([1.0]))


def test_equal_losses_prove_nothing():
    losses = RNG.random(40)
    assert gain_is_proven(losses, losses) is False


def test_same_gain_of_every_row_is_proven():
    losses = np.arange(40.0)
    assert gain_is_proven(losses + 1, losses) is True


def test_loss_that_rises_is_not_proven():
    losses = np.arange(40.0)
    assert not gain_is_proven(losses, losses + 1)


@pytest.mark.parametrize("n_samples", [5, 40, 200])
def test_chance_is_taken_for_a_gain_in_about_2_percent(n_samples):
    rng = np.random.default_rng(0)
    n_trials = 4000
    proven = sum(gain_is_proven(*pairs(n_samples, 0, rng)) for _ in range(n_trials))
    level = norm.sf(2)
    tolerance = 4 * np.sqrt(level * (1 - level) / n_trials)
    assert proven / n_trials == pytest.approx(level, abs=tolerance)


def test_chance_is_rarely_taken_for_a_gain_with_weights():
    rng = np.random.default_rng(0)
    weight = rng.gamma(1, size=100)
    proven = [gain_is_proven(*pairs(100, 0, rng), weight) for _ in range(4000)]
    assert 0.015 < np.mean(proven) < 0.035
