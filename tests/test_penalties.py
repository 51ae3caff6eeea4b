"""Penalties are their formulas, and do what they say."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import kurtosis
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import AutoencoderTransformer
from skae.penalties import (
    PENALTIES,
    CodeNormPenalty,
    ContractivePenalty,
    DecorrelationPenalty,
    KLSparsityPenalty,
    Penalty,
    SparsityPenalty,
    Sum,
)

X = load_digits().data[:400]
GENERATOR = torch.Generator().manual_seed(0)
CODE = torch.randn(30, 5, generator=GENERATOR, dtype=torch.float64)
ROWS = torch.randn(30, 7, generator=GENERATOR, dtype=torch.float64)
ENCODER = nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.Linear(9, 5)).double()


def estimator(penalty, n_components=6, **settings):
    settings = {"max_epochs": 15, "random_state": 0, **settings}
    return AutoencoderTransformer(n_components, penalty=penalty, **settings)


def test_l1_is_its_formula():
    code = CODE.numpy()
    expected = 0.3 * (np.abs(code) / np.sqrt((code**2).mean(0))).mean(1)
    assert_allclose(SparsityPenalty(0.3)(CODE, ROWS, ENCODER), expected)


def test_l1_cannot_be_escaped_by_shrinking():
    penalty = SparsityPenalty()
    assert_allclose(penalty(1e-3 * CODE, ROWS, None), penalty(CODE, ROWS, None))


def test_kl_sparsity_is_its_formula():
    active = (1 / (1 + np.exp(-CODE.numpy()))).mean(0)
    divergence = 0.1 * np.log(0.1 / active) + 0.9 * np.log(0.9 / (1 - active))
    found = KLSparsityPenalty(0.5, rate=0.1)(CODE, ROWS, ENCODER)
    assert_allclose(found, np.full(30, 0.5 * divergence.mean()))


def test_decorrelation_is_the_mean_squared_correlation():
    squares = np.corrcoef(CODE.numpy().T) ** 2
    expected = 0.5 * squares[~np.eye(5, dtype=bool)].mean()
    found = DecorrelationPenalty(0.5)(CODE, ROWS, ENCODER)
    assert_allclose(found, np.full(30, expected))


def test_one_component_is_correlated_with_nothing():
    assert not DecorrelationPenalty()(CODE[:, :1], ROWS, ENCODER).any()


def test_code_norm_is_its_formula():
    expected = 0.7 * (CODE.numpy() ** 2).mean(1) / 2
    assert_allclose(CodeNormPenalty(0.7)(CODE, ROWS, ENCODER), expected)


def jacobian_penalty(alpha):
    """Return the contractive penalty by autograd's Jacobian of each row."""
    with torch.no_grad():
        square = ENCODER(ROWS).square().mean(0)
    slopes = [torch.autograd.functional.jacobian(ENCODER, row) for row in ROWS]
    return [alpha * (slope.square().sum(1) / square).mean().item() for slope in slopes]


def test_exact_contractive_penalty_is_that_of_the_jacobian():
    found = ContractivePenalty(0.4, method="exact")(None, ROWS, fixed_scale)
    assert_allclose(found.detach(), jacobian_penalty(0.4), rtol=1e-8)


def fixed_scale(X):
    """Encode each row for itself: mean squares come from all rows, once."""
    return ENCODER(X) / ENCODER(ROWS).square().mean(0).sqrt().detach()


def test_hutchinson_is_right_on_average():
    torch.manual_seed(0)
    penalty = ContractivePenalty(0.4, method="hutchinson")
    draws = torch.stack(
        [penalty(None, ROWS, fixed_scale).detach() for _ in range(1000)]
    )
    error = draws.std(0) / len(draws) ** 0.5
    assert (
        (draws.mean(0) - torch.tensor(jacobian_penalty(0.4))).abs() < 4 * error
    ).all()


def test_sum_is_the_sum():
    terms = [SparsityPenalty(0.2), CodeNormPenalty(0.3)]
    expected = sum(term(CODE, ROWS, ENCODER) for term in terms)
    assert_allclose(Sum(terms)(CODE, ROWS, ENCODER), expected)


# What they do


def code_with(penalty, **settings):
    fitted = estimator(penalty, **settings).fit(X)
    code = fitted.transform(X)
    return code / np.sqrt((code**2).mean(0)), fitted


def test_l1_makes_codes_sparse():
    plain, sparse = (
        kurtosis(code_with(SparsityPenalty(alpha))[0], None) for alpha in (0.0, 1.0)
    )
    assert sparse > plain + 0.5


def test_kl_makes_activations_rare():
    rates = []
    for alpha in (0.0, 1.0):
        fitted = estimator(KLSparsityPenalty(alpha), init="random").fit(X)
        module = fitted.net_.module_.double()
        rows = torch.from_numpy((X - fitted.mean_) / fitted.scale_)
        rates.append(torch.sigmoid(module.code(rows)).mean().item())
    assert rates[1] < 0.2 < rates[0]


def test_decorrelation_lowers_correlations():
    settings = {"init": "random", "max_epochs": 40}
    found = []
    for alpha in (0.0, 1.0):
        code, _ = code_with(DecorrelationPenalty(alpha), **settings)
        found.append(np.square(np.corrcoef(code.T))[~np.eye(6, dtype=bool)].mean())
    assert found[1] < 0.5 * found[0]


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_contractive_codes_change_less(method):
    generator = np.random.default_rng(0)
    shifted = X + 0.5 * generator.normal(size=X.shape)
    changes = []
    for alpha in (0.0, 1.0):
        penalty = ContractivePenalty(alpha, method)
        _, fitted = code_with(penalty, n_components=3)
        code = fitted.transform(X)
        change = np.square(fitted.transform(shifted) - code).mean(0)
        changes.append((change / code.var(0)).mean())
    assert changes[1] < 0.9 * changes[0]


def test_l2_makes_codes_small():
    norms = []
    for alpha in (0.0, 1.0):
        fitted = estimator(CodeNormPenalty(alpha), init="random").fit(X)
        norms.append(np.square(fitted.transform(X)).mean())
    assert norms[1] < 0.5 * norms[0]


# All of them


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalty_adds_to_the_loss(penalty):
    plain = estimator(PENALTIES[penalty](alpha=0.0), max_epochs=1).fit(X)
    dear = estimator(PENALTIES[penalty](alpha=100.0), max_epochs=1).fit(X)
    assert dear.loss_curve_[0] > plain.loss_curve_[0]
    assert dear.proven_ is None


@pytest.mark.parametrize("penalty", PENALTIES.values())
def test_object_of_the_user_is_not_changed_by_fit(penalty):
    given = penalty()
    before = copy.deepcopy(vars(given))
    estimator(given, max_epochs=1).fit(X)
    assert vars(given) == before


def test_alpha_can_be_searched():
    grid = {"penalty__alpha": [0.0, 10.0], "penalty": [SparsityPenalty()]}
    search = GridSearchCV(estimator(None, max_epochs=3), grid, cv=2).fit(X)
    assert search.best_params_["penalty__alpha"] == 0.0


class Bounded(Penalty):
    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def __call__(self, code, X, encode):
        return self.alpha * (code.abs() - 1).clamp_min(0).sum(1)


def test_penalty_of_the_user():
    code, _ = code_with(Bounded(10.0), init="random")
    plain, _ = code_with(None, init="random")
    assert np.abs(code).max() < np.abs(plain).max()


def test_function_as_a_penalty():
    fitted = estimator(lambda code, X, encode: code.square().mean(1), max_epochs=1)
    same = estimator(CodeNormPenalty(2.0), max_epochs=1)
    assert_allclose(fitted.fit(X).transform(X), same.fit(X).transform(X), rtol=1e-4)


class Detached(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.inner = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)

    def encode(self, X):
        return self.inner(X).detach()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalty": lambda code, X, encode: code}, "one number per sample"),
        ({"penalty": lambda code, X, encode: 0.0}, "one number per sample"),
        (
            {"penalty": "contractive", "bottleneck": "vector_quantized"},
            "cannot be differentiated .* VectorQuantizedBottleneck",
        ),
        (
            {"penalty": "contractive", "network": Detached, "init": "random"},
            "cannot be differentiated with the network Detached",
        ),
        ({"penalty": SparsityPenalty(-1.0)}, r"alpha=-1.0 of SparsityPenalty"),
        ({"penalty": Sum([SparsityPenalty(-1.0)])}, r"alpha=-1.0 of SparsityPenalty"),
        ({"penalty": ContractivePenalty(method="fast")}, "method='fast' .* one of"),
        ({"penalty": KLSparsityPenalty(rate=0.0)}, "rate=0.0"),
    ],
)
def test_bad_penalty_is_refused_before_training(settings, message):
    found = estimator(**settings)
    with pytest.raises(ValueError, match=message):
        found.fit(X)
    assert not hasattr(found, "net_")


def test_class_in_place_of_an_object_is_refused():
    with pytest.raises(TypeError, match=r"pass an instance, SparsityPenalty\(\)"):
        estimator(SparsityPenalty).fit(X)
