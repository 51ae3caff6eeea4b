"""Bottlenecks make the code, and charge for it, as their papers say."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.distributions import Normal, kl_divergence

from skae import AutoencoderTransformer, dump, load
from skae._fitting.verdict import losses_by_size
from skae.bottlenecks import (
    BOTTLENECKS,
    Bottleneck,
    OrderedBottleneck,
    TopKBottleneck,
    VariationalBottleneck,
    VectorQuantizedBottleneck,
    WAEBottleneck,
)

X = load_digits().data[:400]
NAMES = pytest.mark.parametrize("name", BOTTLENECKS)
H = torch.randn(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def estimator(bottleneck=None, n_components=6, **settings):
    settings = {"max_epochs": 5, "random_state": 0, **settings}
    if isinstance(settings.get("network", "auto"), str):
        settings.setdefault("hidden_layer_sizes", (16,))
    return AutoencoderTransformer(n_components, bottleneck=bottleneck, **settings)


# Variational


def test_cost_of_a_distribution_is_its_kl_divergence():
    bottleneck = VariationalBottleneck(beta=0.7).eval()
    bottleneck.build(4, nat=0.3)
    _, cost = bottleneck.sample(H)
    mean, log_variance = H[:, :4], H[:, 4:] + bottleneck.FIRST_LOG_VARIANCE
    posterior, prior = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    expected = 0.7 * 0.3 * kl_divergence(posterior, prior).sum(1)
    torch.testing.assert_close(cost, expected)


def test_draws_have_the_mean_and_the_spread_of_the_posterior():
    bottleneck = VariationalBottleneck()
    bottleneck.build(4, nat=1.0)
    torch.manual_seed(0)
    code, _ = bottleneck.sample(H[:1].expand(100_000, -1))
    spread = ((H[0, 4:] + bottleneck.FIRST_LOG_VARIANCE) / 2).exp()
    assert_allclose((code.mean(0) - H[0, :4]) / spread, 0, atol=0.02)
    assert_allclose(code.std(0) / spread, 1, rtol=0.02)


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (0.9, 1.0)]
)
def test_beta_warms_up_in_training_only(progress, share):
    bottleneck = VariationalBottleneck(beta=2.0, warm_up=0.2)
    bottleneck.build(4, nat=1.0)
    bottleneck.progress = progress
    whole = bottleneck.eval().sample(H)[1]
    torch.testing.assert_close(bottleneck.train().sample(H)[1], share * whole)


def test_variational_code_is_the_posterior_mean_always():
    fitted = estimator("variational").fit(X)
    assert_array_equal(fitted.transform(X), fitted.transform(X))
    module = copy.deepcopy(fitted.net_.module_).double()
    rows = torch.from_numpy((X - fitted.mean_) / fitted.scale_)
    with torch.no_grad():
        mean = module.encoded(rows)[:, :6]
    assert_allclose(fitted.transform(X), mean, rtol=1e-6, atol=1e-9)


def test_larger_beta_makes_codes_of_less_information():
    spreads = [
        estimator(VariationalBottleneck(beta), max_epochs=20).fit(X).transform(X).std(0)
        for beta in (0.1, 20.0)
    ]
    assert spreads[1].sum() < 0.8 * spreads[0].sum()


def test_network_of_the_user_needs_room_for_the_variance():
    class Narrow(nn.Module):
        def __init__(self, n_features, n_components):
            super().__init__()

    with pytest.raises(TypeError, match="network Narrow must have .* n_encoded"):
        estimator("variational", network=Narrow).fit(X)


class Wide(nn.Module):
    def __init__(self, n_features, n_components, n_encoded):
        super().__init__()
        self.encode = nn.Linear(n_features, n_encoded)
        self.decode = nn.Linear(n_components, n_features)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_network_of_the_user_may_be_variational(init):
    fitted = estimator("variational", network=Wide, init=init, max_epochs=30).fit(X)
    assert fitted.score(X) > 0.3


# WAE


def test_discrepancy_is_the_double_sum():
    bottleneck = WAEBottleneck()
    code, prior = H[:20, :3], H[20:40, 3:6]

    def kernel(a, b):
        square = ((a - b) ** 2).sum().item()
        return sum(6 * s / (6 * s + square) for s in bottleneck.SCALES)

    n = len(code)
    pairs = [(i, j) for i in range(n) for j in range(n)]
    within = sum(
        kernel(a[i], a[j]) for a in (code, prior) for i, j in pairs if i != j
    ) / (n * (n - 1))
    between = sum(kernel(code[i], prior[j]) for i, j in pairs) / n**2
    found = bottleneck.discrepancies(code, prior).mean().item()
    assert found == pytest.approx(within - 2 * between)


def test_discrepancy_of_equal_distributions_is_zero_on_average():
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(200, 2, 30, 3, generator=generator, dtype=torch.float64)
    found = [WAEBottleneck().discrepancies(a, b).mean().item() for a, b in draws]
    standard_error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * standard_error


def test_wae_makes_codes_normal():
    heavy = X * np.where(np.arange(400) < 40, 6, 1)[:, None]  # outliers

    def discrepancy(alpha):
        fitted = estimator(WAEBottleneck(alpha), max_epochs=30).fit(heavy)
        code = torch.from_numpy(fitted.transform(heavy))
        torch.manual_seed(0)
        return WAEBottleneck().discrepancies(code, torch.randn_like(code)).mean()

    assert discrepancy(20.0) < 0.5 * discrepancy(0.0)


def test_one_row_alone_costs_nothing():
    assert WAEBottleneck().sample(H[:1])[1].item() == 0


# Top-k


@pytest.mark.parametrize("k", [1, 3, 8])
def test_exactly_k_stay_and_they_are_the_largest(k):
    code = TopKBottleneck(k).code(H)
    assert ((code != 0).sum(1) == k).all()
    for row, kept in zip(H.abs(), code != 0, strict=True):
        assert row[kept].min() >= row[~kept].max() if k < 8 else True
    assert_array_equal(code[code != 0], H[code != 0])


@pytest.mark.parametrize(
    ("progress", "n_kept"), [(0.0, 8), (0.05, 5), (0.1, 2), (1, 2)]
)
def test_number_kept_falls_to_k_in_training(progress, n_kept):
    bottleneck = TopKBottleneck(2)
    bottleneck.progress = progress
    assert ((bottleneck.train().sample(H)[0] != 0).sum(1) == n_kept).all()
    assert ((bottleneck.eval().sample(H)[0] != 0).sum(1) == 2).all()


def test_fitted_codes_have_k_numbers_and_no_dead_component():
    fitted = estimator(TopKBottleneck(3), n_components=16, max_epochs=20).fit(X)
    used = fitted.transform(X) != 0
    assert (used.sum(1) == 3).all()
    assert used.any(0).all()


# Vector-quantised


@pytest.mark.parametrize("n_groups", [1, 3])
def test_codes_consist_of_vectors_of_the_codebook(n_groups):
    bottleneck = VectorQuantizedBottleneck(n_codes=16, n_groups=n_groups)
    fitted = estimator(bottleneck).fit(X)
    code, numbers = fitted.transform(X), fitted.quantize(X)
    assert numbers.shape == (400, n_groups)
    assert numbers.dtype.kind == "i"
    assert fitted.codebook_.shape == (n_groups, 16, 6 // n_groups)
    pieces = fitted.codebook_[np.arange(n_groups), numbers]
    assert_allclose(pieces.reshape(400, 6), code, rtol=1e-5, atol=1e-5)
    assert len(np.unique(code, axis=0)) <= 16**n_groups
    assert_allclose(fitted.inverse_transform(code), fitted.reconstruct(X), rtol=1e-6)


def test_the_nearest_vector_is_taken():
    bottleneck = VectorQuantizedBottleneck(n_codes=5, n_groups=2)
    bottleneck.build(8, nat=1.0)
    bottleneck.double().codebook.copy_(H[:10].reshape(2, 5, 8)[:, :, :4])
    for row, numbers in zip(H, bottleneck.numbers(H), strict=True):
        for group in range(2):
            piece = row[4 * group : 4 * group + 4]
            squares = (bottleneck.codebook[group] - piece).square().sum(1)
            assert numbers[group] == squares.argmin()


def test_gradients_pass_as_if_nothing_was_rounded():
    bottleneck = VectorQuantizedBottleneck(n_codes=4, commitment=0.0).double()
    bottleneck.build(8, nat=1.0)
    h = H.clone().requires_grad_()
    (3 * bottleneck.double().sample(h)[0]).sum().backward()
    assert (h.grad == 3).all()


def test_rows_pay_for_their_distance():
    bottleneck = VectorQuantizedBottleneck(n_codes=4, commitment=0.5)
    bottleneck.build(8, nat=1.0)
    bottleneck.double().eval()
    _, cost = bottleneck.sample(H)
    expected = 0.5 * (H - bottleneck.code(H)).square().mean(1)
    torch.testing.assert_close(cost, expected)


def test_vectors_become_the_means_of_their_rows():
    generator = np.random.default_rng(0)
    centres = 10 * generator.normal(size=(4, 2))
    rows = torch.from_numpy(np.repeat(centres, 25, 0) + generator.normal(size=(100, 2)))
    bottleneck = VectorQuantizedBottleneck(n_codes=4, decay=0.5)
    bottleneck.build(2, nat=1.0)
    bottleneck.double().train()
    torch.manual_seed(0)
    for _ in range(200):
        bottleneck.sample(rows)
    means = rows.reshape(4, 25, 2).mean(1)
    found = torch.cdist(means, bottleneck.codebook[0]).min(1).values
    assert_allclose(found, 0, atol=1e-4)


def test_no_vector_stays_unused():
    fitted = estimator(VectorQuantizedBottleneck(n_codes=8), max_epochs=20).fit(X)
    assert len(np.unique(fitted.quantize(X))) == 8


def test_other_codes_are_no_numbers():
    fitted = estimator(max_epochs=1).fit(X)
    assert not hasattr(fitted, "quantize")
    assert not hasattr(fitted, "codebook_")


# Ordered


def test_order_of_linear_data_is_that_of_pca():
    linear = {"hidden_layer_sizes": (), "init": "random", "early_stopping": False}
    training = {"max_epochs": 300, "alpha": 0, "batch_size": 64}
    spread = np.array([5.0, 3.0, 2.0, 1.2])
    generator = np.random.default_rng(0)
    axes = np.linalg.qr(generator.normal(size=(10, 4)))[0]
    rows = generator.normal(size=(400, 4)) * spread @ axes.T
    fitted = estimator("ordered", 4, **linear, **training).fit(rows)
    pca = PCA(4).fit(rows)
    decoded = fitted.inverse_transform(np.eye(4)) - fitted.inverse_transform(
        np.zeros((1, 4))
    )
    for k in range(1, 5):
        angles = subspace_angles(decoded[:k].T, pca.components_[:k].T)
        assert np.rad2deg(angles).max() < 6
    found, expected = fitted.explained_variance_ratio_, pca.explained_variance_ratio_
    assert_allclose(found, expected, atol=0.02)


def test_first_components_are_a_code():
    fitted = estimator("ordered", max_epochs=20).fit(X)
    code = fitted.transform(X)
    errors = [
        np.square(fitted.inverse_transform(code[:, :k]) - X).mean() for k in range(1, 7)
    ]
    assert (np.diff(errors) < 0).all()
    padded = np.pad(code[:, :2], [(0, 0), (0, 4)])
    assert_allclose(
        fitted.inverse_transform(code[:, :2]), fitted.inverse_transform(padded)
    )


def test_pca_loss_beside_an_ordered_code_is_that_of_all_components():
    losses = {}
    for name in (None, "ordered"):
        fitted = estimator(name, max_epochs=2, early_stopping=True).fit(X)
        losses[name] = fitted.pca_loss_
    assert losses["ordered"] == pytest.approx(losses[None])


def test_other_codes_need_all_components():
    fitted = estimator(max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="expects 6 components"):
        fitted.inverse_transform(fitted.transform(X)[:, :2])


def test_ratios_sum_to_the_score():
    fitted = estimator("ordered").fit(X)
    assert fitted.explained_variance_ratio_.shape == (6,)
    assert fitted.explained_variance_ratio_.sum() == pytest.approx(
        fitted.score(X), abs=1e-3
    )


def test_ratios_are_those_of_pca_where_it_is_the_model():
    noise = np.random.default_rng(0).normal(size=(300, 8))
    fitted = estimator("ordered").fit(noise)
    assert fitted.proven_ is False
    expected = PCA(6).fit(noise).explained_variance_ratio_
    assert_allclose(fitted.explained_variance_ratio_, expected)


def test_share_of_the_variance_takes_as_few_components_as_it_needs():
    fitted = estimator("ordered", 0.8, early_stopping=False, max_epochs=20).fit(X)
    ratios = fitted.explained_variance_ratio_
    assert ratios.sum() >= 0.8 > ratios[:-1].sum()
    assert fitted.n_components_ == len(ratios) == fitted.transform(X).shape[1]
    assert fitted.score(X) == pytest.approx(ratios.sum())
    assert len(ratios) < PCA(0.8, svd_solver="full").fit(X).n_components_


def test_held_out_rows_say_how_many_components_a_share_takes():
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, size=(800, 2))
    rows = np.concatenate([np.sin(angles), np.cos(angles)], 1) @ rng.normal(size=(4, 9))
    rows = rows + 0.3 * rng.normal(size=rows.shape)
    train, new = rows[:700], rows[700:]
    fitted = estimator("ordered", 0.8, early_stopping=True, max_epochs=20).fit(train)
    assert fitted.score(new) >= 0.79


def test_pca_keeps_what_held_out_rows_say_that_it_needs():
    noise = np.random.default_rng(0).normal(size=(900, 8)) * [5, 4, 3, 2, 1, 1, 1, 1]
    fitted = estimator("ordered", 0.8).fit(noise)
    assert fitted.proven_ is False
    assert fitted.n_components_ == len(fitted.explained_variance_ratio_) == 3


def test_share_of_the_variance_without_order_takes_those_of_pca():
    fitted = estimator(None, 0.8).fit(X[:100])
    assert (
        fitted.n_components_ == PCA(0.8, svd_solver="full").fit(X[:100]).n_components_
    )
    assert fitted.score(X[:100]) >= 0.8


# All of them

QUICK = [*BOTTLENECKS, TopKBottleneck(2), VectorQuantizedBottleneck(4, n_groups=2)]


@pytest.mark.filterwarnings("ignore:The autoencoder reconstructs worse")
@pytest.mark.parametrize("bottleneck", QUICK, ids=str)
@pytest.mark.parametrize("init", ["pca", "random"])
def test_same_seed_gives_the_same_bytes(bottleneck, init):
    state = torch.get_rng_state()
    codes = [estimator(bottleneck, init=init).fit(X).transform(X) for _ in range(2)]
    assert_array_equal(*codes)
    assert_array_equal(state, torch.get_rng_state())


@pytest.mark.parametrize("bottleneck", QUICK, ids=str)
def test_copies_give_the_same_codes(bottleneck):
    fitted = estimator(bottleneck).fit(X)
    code = fitted.transform(X)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert_array_equal(again.transform(X), code)
    assert_array_equal(clone(fitted).fit(X).transform(X), code)


@pytest.mark.parametrize("bottleneck", QUICK, ids=str)
def test_training_goes_on(bottleneck):
    fitted = estimator(bottleneck, warm_start=True).fit(X).fit(X)
    steps = estimator(bottleneck).partial_fit(X[:200]).partial_fit(X[200:])
    for found in (fitted, steps):
        assert np.isfinite(found.reconstruct(X)).all()
        assert found.score(X) > 0


@pytest.mark.parametrize("bottleneck", [cls() for cls in BOTTLENECKS.values()], ids=str)
def test_object_of_the_user_is_not_changed_by_fit(bottleneck):
    before = copy.deepcopy(vars(bottleneck))
    estimator(bottleneck).fit(X)
    assert vars(bottleneck) == before


class Noisy(Bottleneck):
    def __init__(self, scale=0.1):
        self.scale = scale

    def sample(self, h):
        return h + self.scale * torch.randn_like(h), None


def test_bottleneck_of_the_user():
    codes = [estimator(Noisy(s), max_epochs=2).fit(X).transform(X) for s in (0.1, 2.0)]
    assert not np.allclose(*codes)


def test_only_pca_and_its_order_are_judged():
    judged = {
        name for name in BOTTLENECKS if estimator(name).fit(X).proven_ is not None
    }
    assert judged == {"ordered"}


@pytest.mark.parametrize(
    ("bottleneck", "error", "message"),
    [
        (TopKBottleneck(7), ValueError, "k=7 .* larger than n_components=6. Lower k"),
        (TopKBottleneck(0), ValueError, r"k=0 of TopKBottleneck must be .* \[1, inf\)"),
        (VectorQuantizedBottleneck(n_groups=4), ValueError, "multiple of n_groups=4"),
        (VariationalBottleneck(beta=-1), ValueError, r"beta=-1 .* \[0, inf\)"),
        (VariationalBottleneck(beta="a"), ValueError, r"beta='a' .* \[0, inf\)"),
        (WAEBottleneck(alpha=-1), ValueError, "alpha=-1"),
    ],
    ids=str,
)
def test_bad_bottleneck_is_refused(bottleneck, error, message):
    with pytest.raises(error, match=message):
        estimator(bottleneck).fit(X)


@pytest.mark.parametrize("bottleneck", ["variational", "top_k", "vector_quantized"])
def test_share_of_the_variance_needs_an_order(bottleneck):
    with pytest.raises(ValueError, match=r"n_components=0.9 .* Set a whole number"):
        estimator(bottleneck, 0.9).fit(X)


def test_class_in_place_of_an_object_is_refused():
    with pytest.raises((TypeError, ValueError), match="bottleneck"):
        estimator(OrderedBottleneck).fit(X)


# More of variational codes and of WAE


def test_linear_variational_code_has_the_variance_of_probabilistic_pca():
    """1 - noise / lambda_j (Lucas et al. 2019), noise being what PCA leaves."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    rows = rng.normal(size=(400, 6)) * [2, 1.5, 1, 0.6, 0.6, 0.6] @ axes
    linear = {"hidden_layer_sizes": (), "alpha": 0, "early_stopping": False}
    training = {"max_epochs": 120}
    fitted = estimator("variational", 3, **linear, **training).fit(rows)
    variances = np.linalg.eigvalsh(np.cov(rows.T, bias=True))[::-1]
    expected = 1 - variances[3:].mean() / variances[:3]
    assert_allclose(fitted.transform(rows).var(axis=0), expected, atol=0.03)


def test_without_warm_up_beta_is_full_at_once():
    bottleneck = VariationalBottleneck(beta=2.0, warm_up=0.0)
    bottleneck.build(4, nat=1.0)
    bottleneck.progress = 0.0
    whole = bottleneck.eval().sample(H)[1]
    torch.testing.assert_close(bottleneck.train().sample(H)[1], whole)


def test_discrepancy_of_different_distributions_is_positive():
    draws = torch.randn(2, 200, 3)
    assert WAEBottleneck().discrepancies(draws[0] + 1, draws[1]).mean() > 0.3


# Top-k


def test_only_what_is_kept_gets_a_gradient():
    h = H.clone().requires_grad_()
    code = TopKBottleneck(3).code(h)
    code.sum().backward()
    assert torch.equal(h.grad, (code != 0).double())


# Vector-quantised


def with_vectors(vectors, **parameters):
    """Return a bottleneck of one group with these vectors, each in use."""
    bottleneck = VectorQuantizedBottleneck(n_codes=len(vectors), **parameters)
    bottleneck.build(vectors.shape[1], nat=1.0)
    bottleneck.double().codebook[0] = vectors
    bottleneck.sums[0] = vectors
    bottleneck.counts.fill_(1.0)
    return bottleneck


def test_step_without_memory_is_one_of_k_means():
    bottleneck = with_vectors(H[:4], decay=0.0)
    numbers = bottleneck.numbers(H)[:, 0]
    bottleneck.train().sample(H)
    means = torch.stack([H[numbers == number].mean(0) for number in range(4)])
    torch.testing.assert_close(bottleneck.codebook[0], means)


def test_codebook_stays_outside_training():
    bottleneck = with_vectors(H[:4])
    before = copy.deepcopy(bottleneck.state_dict())
    bottleneck.eval().sample(H)
    for name, now in bottleneck.state_dict().items():
        assert torch.equal(now, before[name])


def test_vector_that_no_row_chooses_is_moved_to_rows():
    far = torch.full((1, 8), 1e3, dtype=torch.float64)
    bottleneck = with_vectors(torch.cat([H[:3], far])).train()
    n_batches = 0
    while bottleneck.codebook[0, 3].abs().max() > 100:
        bottleneck.sample(H)
        n_batches += 1
    # Its running count has fallen from 1 to 0.1 by then.
    assert n_batches == np.ceil(np.log(0.1) / np.log(0.95)) + 1


def test_vectors_get_no_gradient():
    bottleneck = VectorQuantizedBottleneck()
    bottleneck.build(8, nat=1.0)
    assert not list(bottleneck.parameters())


# Ordered


def test_each_row_keeps_a_first_part_of_random_length():
    rows = torch.ones(40_000, 4)
    kept = OrderedBottleneck().sample(rows)[0]
    lengths = kept.sum(1).long()
    assert torch.equal(kept, (torch.arange(4) < lengths[:, None]).float())
    shares = torch.bincount(lengths)[1:] / len(rows)  # half of the rows keep all
    assert_allclose(shares, [0.125, 0.125, 0.125, 0.625], atol=0.01)


@pytest.mark.parametrize("n_samples", [15, 700])
def test_ratios_of_noise_are_those_of_pca_of_all_rows(n_samples):
    from sklearn.decomposition import PCA

    noise = np.random.default_rng(0).normal(size=(n_samples, 10))
    fitted = estimator("ordered", 4).fit(noise)
    assert fitted.proven_ is False
    expected = PCA(4).fit(noise).explained_variance_ratio_
    assert_allclose(fitted.explained_variance_ratio_, expected)


def test_no_sizes_draw_what_they_always_drew():
    rows, n_components = torch.rand(50, 6), 6
    torch.manual_seed(0)
    found = OrderedBottleneck().sample(rows)[0]
    torch.manual_seed(0)
    last = torch.randint(n_components, (50, 1))
    is_whole = torch.rand(50, 1) < 0.5
    kept = (torch.arange(n_components) <= last) | is_whole
    assert torch.equal(found, rows * kept)


def test_rows_keep_one_of_the_sizes_in_proportion_to_it():
    rows = torch.ones(40_000, 8)
    kept = OrderedBottleneck(sizes=(4, 1)).sample(rows)[0]
    lengths = kept.sum(1).long()
    assert torch.equal(kept, (torch.arange(8) < lengths[:, None]).float())
    shares = torch.bincount(lengths, minlength=9) / len(rows)
    expected = np.zeros(9)
    expected[[1, 4, 8]] = [1 / 13, 4 / 13, 8 / 13]
    assert_allclose(shares, expected, atol=0.01)


@pytest.mark.parametrize("sizes", [(2,), [4, 2, 2], (6, 2, 4)])
def test_all_components_are_always_one_of_the_sizes(sizes):
    assert OrderedBottleneck(sizes).code_sizes(6) == sorted({*sizes, 6})


def sized(n_components=6, sizes=(2, 4)):
    bottleneck = OrderedBottleneck(sizes=sizes)
    settings = {"max_epochs": 20, "early_stopping": False}
    return estimator(bottleneck, n_components, **settings).fit(X)


def test_codes_of_other_sizes_are_refused():
    fitted = sized()
    code = fitted.transform(X)
    errors = [
        np.square(fitted.inverse_transform(code[:, :k]) - X).mean() for k in (2, 4, 6)
    ]
    assert (np.diff(errors) < 0).all()
    message = "X has 3 columns, .* 6 components, .* or the first 2 or 4 of them"
    with pytest.raises(ValueError, match=message):
        fitted.inverse_transform(code[:, :3])


def test_ratios_between_two_sizes_are_even_and_sum_to_what_each_explains():
    fitted = sized()
    ratios = fitted.explained_variance_ratio_
    assert_allclose(ratios[::2], ratios[1::2])
    code = fitted.transform(X)
    for k in (2, 4, 6):
        left = np.square(fitted.inverse_transform(code[:, :k]) - X).sum()
        score = 1 - left / np.square(X - X.mean(axis=0)).sum()
        assert ratios[:k].sum() == pytest.approx(score, abs=1e-3)


def test_share_of_the_variance_takes_one_of_the_sizes():
    fitted = sized(0.6, sizes=(5, 1, 999))
    assert fitted.n_components_ == len(fitted.explained_variance_ratio_) == 5
    assert fitted.transform(X).shape == (len(X), 5)
    assert fitted.explained_variance_ratio_[:1].sum() < 0.6 <= fitted.score(X)


def test_network_and_pca_compare_in_the_sizes():
    fitted = sized()
    rows = fitted.net_.get_dataset((X - fitted.mean_) / fitted.scale_)
    assert len(losses_by_size(fitted.net_, rows)) == 3


@pytest.mark.parametrize("sizes", [(), (0, 2), (2.5,), "28", 3, (True,), {2, 4}])
def test_sizes_that_are_none_are_refused(sizes):
    with pytest.raises(ValueError, match=r"sizes=.* must be a list or tuple of whole"):
        estimator(OrderedBottleneck(sizes=sizes)).fit(X)


def test_sizes_beyond_the_code_are_refused():
    with pytest.raises(ValueError, match=r"sizes=\(2, 8\) .* has 8, .* Leave it out"):
        estimator(OrderedBottleneck(sizes=(2, 8)), 6).fit(X)


def test_sizes_are_a_parameter(tmp_path):
    bottleneck = OrderedBottleneck(sizes=(2, 4))
    assert repr(bottleneck) == "OrderedBottleneck(sizes=(2, 4))"
    assert clone(bottleneck).sizes == (2, 4)
    fitted = sized()
    dump(fitted, tmp_path / "model.safetensors")
    restored = load(tmp_path / "model.safetensors")
    assert restored.bottleneck.sizes == (2, 4)
    code = fitted.transform(X)[:, :4]
    assert_array_equal(restored.inverse_transform(code), fitted.inverse_transform(code))
    changed = clone(fitted).set_params(bottleneck__sizes=[1])
    assert changed.bottleneck.sizes == [1]


# All of them


@NAMES
def test_reconstruct_decodes_what_transform_returns(name):
    fitted = estimator(name).fit(X)
    decoded = fitted.inverse_transform(fitted.transform(X))
    assert_allclose(fitted.reconstruct(X), decoded, rtol=1e-6, atol=1e-6)


@NAMES
def test_global_generator_does_not_matter(name):
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(estimator(name).fit(X).transform(X))
    assert_array_equal(*found)


@NAMES
def test_copies_of_a_part_keep_its_parameters(name):
    kind = BOTTLENECKS[name]
    changed = {key: 2 for key in kind().get_params()}
    part = kind(**changed)
    copies = clone(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))
    for again in copies:
        assert again.get_params() == changed


@NAMES
def test_partial_fit_changes_the_codes(name):
    fitted = estimator(name).partial_fit(X)
    before = fitted.transform(X)
    assert not np.allclose(fitted.partial_fit(X).transform(X), before)


@NAMES
def test_warm_start_adds_to_the_history(name):
    fitted = estimator(name, warm_start=True).fit(X).fit(X)
    assert len(fitted.loss_curve_) == 10


def test_grid_search_reaches_into_the_bottleneck():
    settings = {"bottleneck__k": [1, 5]}
    search = GridSearchCV(estimator(TopKBottleneck(), max_epochs=10), settings, cv=2)
    assert search.fit(X).best_params_ == {"bottleneck__k": 5}


class Turned(Bottleneck):
    """One with weights of its own."""

    def build(self, n_components, nat):
        self.turn = nn.Linear(n_components, n_components)

    def code(self, h):
        return self.turn(h)


def test_weights_of_a_bottleneck_are_trained():
    first, last = (
        estimator(Turned(), max_epochs=n).fit(X).loss_curve_[-1] for n in (1, 10)
    )
    assert last < 0.95 * first


# Faults that were found


def test_weights_of_a_bottleneck_of_the_user_repeat():
    state, found = torch.get_rng_state(), []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found.append(estimator(Turned()).fit(X).transform(X))
    assert_array_equal(*found)
    assert_array_equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "bottleneck", [TopKBottleneck(2.5), VectorQuantizedBottleneck(n_codes=2.5)], ids=str
)
def test_fraction_of_a_number_is_refused(bottleneck):
    with pytest.raises(ValueError, match=r"=2.5 of .* whole number"):
        estimator(bottleneck).fit(X)


@pytest.mark.parametrize("beta", [np.inf])
def test_infinite_weight_is_refused(beta):
    with pytest.raises(ValueError, match="beta=inf of VariationalBottleneck"):
        estimator(VariationalBottleneck(beta)).fit(X)


@pytest.mark.parametrize("penalty", ["l1", "l2", "kl", "decorrelation"])
def test_quantized_codes_may_be_penalised(penalty):
    estimator("vector_quantized", penalty=penalty).fit(X)


def test_warm_start_notices_a_changed_bottleneck():
    fitted = estimator(VariationalBottleneck(), warm_start=True).fit(X)
    with pytest.raises(ValueError, match="bottleneck"):
        fitted.set_params(bottleneck__beta=50.0).fit(X)


def test_warm_start_takes_an_equal_bottleneck():
    fitted = estimator(VariationalBottleneck(), warm_start=True).fit(X)
    fitted.set_params(bottleneck=VariationalBottleneck()).fit(X)


@pytest.mark.parametrize("name", ["variational", "top_k"])
def test_warm_up_is_not_taken_for_a_loss_that_no_longer_falls(name):
    settings = {"schedule": "constant", "early_stopping": False, "max_epochs": 100}
    part = TopKBottleneck(1) if name == "top_k" else name
    fitted = estimator(part, 8, n_iter_no_change=5, **settings).fit(X)
    assert fitted.n_epochs_ > (10 if name == "top_k" else 20)
