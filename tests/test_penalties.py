"""Every penalty is its formula, one number per sample, and does what it is for."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from scipy.special import expit, rel_entr
from scipy.stats import kurtosis
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn
from torch.autograd import gradcheck
from torch.autograd.functional import jacobian

from skae import AutoencoderTransformer
from skae.penalties import (
    PENALTIES,
    CodeNormPenalty,
    ContractivePenalty,
    DecorrelationPenalty,
    KLSparsityPenalty,
    NeighbourPenalty,
    Penalty,
    SparsityPenalty,
    Sum,
)

DIGITS = load_digits().data[:400]
RNG = np.random.default_rng(0)
# Neither centred nor of one scale, as codes may be.
X = RNG.normal(size=(12, 5))
CODE = RNG.normal(size=(12, 3)) * [0.5, 1.0, 4.0] + [0.0, 1.0, -2.0]
NAMES = pytest.mark.parametrize("name", PENALTIES)


def estimator(penalty=None, n_components=6, **settings):
    settings = {"max_epochs": 2, "random_state": 0, **settings}
    if isinstance(settings.get("network", "auto"), str):
        settings.setdefault("hidden_layer_sizes", (16,))
    return AutoencoderTransformer(n_components, penalty=penalty, **settings)


def value(penalty, code=CODE):
    """Return the penalty of a NumPy array as a NumPy array."""
    return penalty(torch.from_numpy(code), None, None).numpy()


def encoder(n_components=3):
    """Return a small network, not linear, the same each time."""
    torch.manual_seed(0)
    layers = nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, n_components)
    return nn.Sequential(*layers).double()


def contraction(method, encode, rows=X):
    rows = torch.from_numpy(rows)
    return ContractivePenalty(1.0, method)(encode(rows), rows, encode)


def codes(fitted):
    """Return codes as the penalty sees them, without their units."""
    units = fitted.net_.module_.units.double().numpy()
    return fitted.transform(DIGITS) / (units * fitted.scale_)


# Formulas


def test_l1_is_the_mean_size_beside_the_root_mean_square():
    size = np.abs(CODE) / np.sqrt(np.mean(CODE**2, axis=0))
    assert_allclose(value(SparsityPenalty(0.3)), 0.3 * size.mean(axis=1))


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_kl_is_the_divergence_of_two_coins(rate):
    active = expit(CODE).mean(axis=0)
    divergence = rel_entr(rate, active) + rel_entr(1 - rate, 1 - active)
    expected = np.full(12, 0.3 * divergence.mean())
    assert_allclose(value(KLSparsityPenalty(0.3, rate)), expected)


def test_kl_is_zero_at_the_rate_that_is_asked_for():
    code = np.full((12, 3), np.log(0.05 / 0.95))
    assert_allclose(value(KLSparsityPenalty(), code), 0, atol=1e-12)


def test_decorrelation_is_the_mean_square_of_correlations():
    correlation = np.corrcoef(CODE, rowvar=False)
    expected = 0.3 * np.mean(correlation[np.triu_indices(3, k=1)] ** 2)
    assert_allclose(value(DecorrelationPenalty(0.3)), np.full(12, expected))


def test_decorrelation_of_one_component_is_zero():
    assert_array_equal(value(DecorrelationPenalty(), CODE[:, :1]), np.zeros(12))


def test_l2_is_half_the_mean_square():
    assert_allclose(value(CodeNormPenalty(0.3)), 0.15 * np.mean(CODE**2, axis=1))


def embedding(penalty, code=CODE, rows=X):
    """Return the penalty of neighbours for NumPy arrays as a NumPy array."""
    return penalty(torch.from_numpy(code), torch.from_numpy(rows), None).numpy()


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("n_neighbors", [1, 4])
def test_neighbours_is_the_cross_entropy_of_the_nearest_rows(n_neighbors, n_components):
    code, nu = CODE[:, :n_components], max(1, n_components - 1)
    kernel = (1 + cdist(code, code) ** 2 / nu) ** (-(nu + 1) / 2)
    np.fill_diagonal(kernel, 0)
    share = kernel / kernel.sum(axis=1, keepdims=True)
    nearest = np.argsort(cdist(X, X), axis=1)[:, 1 : n_neighbors + 1]  # 0: itself
    expected = -0.3 * np.log(np.take_along_axis(share, nearest, axis=1)).mean(axis=1)
    found = embedding(NeighbourPenalty(0.3, n_neighbors), code)
    assert_allclose(found, expected, rtol=1e-6)


def test_neighbours_has_the_gradient_of_its_formula():
    code, rows = torch.from_numpy(CODE).requires_grad_(), torch.from_numpy(X)
    assert gradcheck(lambda code: NeighbourPenalty(0.3, 3)(code, rows, None), code)


def test_neighbours_is_least_for_the_circle_that_the_rows_lie_on():
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = 20 * np.column_stack([np.cos(angle), np.sin(angle)])
    rows = circle @ RNG.normal(size=(2, 5))
    penalty = NeighbourPenalty(n_neighbors=2)
    by_order = embedding(penalty, circle, circle).mean()
    shuffled = embedding(penalty, RNG.permutation(circle), circle).mean()
    folded = embedding(penalty, circle * [1.0, 0.0], circle).mean()
    assert by_order < folded < shuffled
    assert embedding(penalty, circle, rows).shape == (40,)


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_place_of_the_code_does_not_matter(shift):
    code = torch.from_numpy(CODE.astype(np.float32) + np.float32(shift))
    rows = torch.from_numpy(X.astype(np.float32))
    found = NeighbourPenalty()(code, rows, None).numpy()
    assert_allclose(found, embedding(NeighbourPenalty()), rtol=1e-3)


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_more_neighbours_than_rows_are_all_others(n_samples):
    code, rows = CODE[:n_samples], X[:n_samples]
    most = embedding(NeighbourPenalty(n_neighbors=max(1, n_samples - 1)), code, rows)
    assert_array_equal(embedding(NeighbourPenalty(n_neighbors=50), code, rows), most)


def test_duplicates_have_a_finite_penalty_and_gradient():
    code = torch.from_numpy(CODE[[0, 0, 0, 1]]).requires_grad_()
    rows = torch.from_numpy(X[[0, 0, 0, 1]])
    result = NeighbourPenalty(n_neighbors=2)(code, rows, None)
    result.sum().backward()
    assert result.isfinite().all()
    assert code.grad.isfinite().all()


def test_sum_is_the_sum():
    parts = [SparsityPenalty(0.2), CodeNormPenalty(3.0), KLSparsityPenalty(1.0)]
    assert_allclose(value(Sum(parts)), sum(value(part) for part in parts))


def test_exact_contraction_is_the_norm_of_the_jacobian():
    encode = encoder()
    slopes = [jacobian(encode, row[None])[0, :, 0] for row in torch.from_numpy(X)]
    code = encode(torch.from_numpy(X)).detach().numpy()
    squares = np.square(slopes).sum(axis=2)  # (n_samples, n_components)
    expected = np.mean(squares / np.mean(code**2, axis=0), axis=1)
    assert_allclose(contraction("exact", encode).detach(), expected)


def test_hutchinson_is_exact_on_average():
    encode = encoder()
    draws = torch.stack([contraction("hutchinson", encode) for _ in range(1000)])
    draws, exact = draws.detach().numpy(), contraction("exact", encode).detach().numpy()
    standard_error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - exact) < 4 * standard_error).all()


@pytest.mark.parametrize(("n_components", "is_exact"), [(8, True), (9, False)])
def test_auto_is_exact_for_few_components(n_components, is_exact):
    encode = encoder(n_components)
    auto, exact = (contraction(method, encode) for method in ("auto", "exact"))
    assert torch.equal(auto, exact) == is_exact


def test_contraction_works_where_gradients_are_off():
    encode = encoder()
    expected = contraction("exact", encode).detach()
    with torch.no_grad():
        assert_array_equal(contraction("exact", encode), expected)


# What a code cannot do to escape


@pytest.mark.parametrize("name", ["l1", "decorrelation"])
def test_unit_of_a_component_does_not_matter(name):
    penalty = PENALTIES[name]()
    assert_allclose(value(penalty, CODE * [1e-3, 1.0, 10.0]), value(penalty))


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_contraction_gains_nothing_by_shrinking(method):
    """Its gradient by the unit of each component is zero, whatever the signs."""
    encode, unit = encoder(), torch.ones(3, dtype=torch.float64, requires_grad=True)
    contraction(method, lambda X: unit * encode(X)).sum().backward()
    assert_allclose(unit.grad, 0, atol=1e-12)


@NAMES
def test_gradient_is_finite_where_components_are_constant(name):
    code = torch.ones(12, 3, dtype=torch.float64) * torch.tensor([0.0, 0.0, 2.0])
    weight = torch.zeros(5, 3, dtype=torch.float64, requires_grad=True)

    def encode(X):
        return code + X @ weight

    rows = torch.from_numpy(X)
    PENALTIES[name]()(encode(rows), rows, encode).sum().backward()
    assert weight.grad.isfinite().all()


@NAMES
def test_one_row_alone_has_a_finite_penalty(name):
    encode, row = encoder(), torch.from_numpy(X[:1])
    result = PENALTIES[name]()(encode(row), row, encode)
    assert result.shape == (1,)
    assert result.isfinite().all()


# What they do


def worst_correlation(code):
    return np.abs(np.corrcoef(code, rowvar=False) - np.eye(code.shape[1])).max()


def relative_slope(fitted):
    """Return the mean square of the encoder's Jacobian, beside that of the code."""
    encode, rows = fitted.encoder_, torch.from_numpy(DIGITS[:40])
    rows = rows.to(next(encode.parameters()).dtype)
    slopes = jacobian(lambda X: encode(X).sum(0), rows)  # components, rows, features
    squares = slopes.square().sum(2).mean(1) / encode(rows).square().mean(0)
    return squares.mean().item()


def perplexity(fitted):
    """Return among how many rows of equal distance the nearest one seems to be."""
    surprise = embedding(NeighbourPenalty(1.0), codes(fitted), DIGITS)
    return np.exp(surprise.mean())


EFFECTS = {
    "l1": (SparsityPenalty, lambda fitted: -kurtosis(codes(fitted)).mean()),
    "kl": (KLSparsityPenalty, lambda fitted: expit(codes(fitted)).mean()),
    "contractive": (ContractivePenalty, relative_slope),
    "decorrelation": (
        DecorrelationPenalty,
        lambda fitted: worst_correlation(codes(fitted)),
    ),
    "l2": (CodeNormPenalty, lambda fitted: np.square(codes(fitted)).mean()),
    "neighbours": (NeighbourPenalty, perplexity),
}


@NAMES
def test_larger_alpha_does_more_of_what_it_is_for(name):
    penalty, measure = EFFECTS[name]
    weak, strong = (
        measure(estimator(penalty(alpha), max_epochs=10).fit(DIGITS))
        for alpha in (0.0, 1.0)
    )
    assert strong < weak - 0.3 * abs(weak)


@NAMES
def test_alpha_of_zero_changes_nothing(name):
    penalty = PENALTIES[name](alpha=0.0)
    plain = estimator(lambda code, X, encode: 0 * code.sum(1)).fit(DIGITS)
    found = estimator(penalty).fit(DIGITS).transform(DIGITS)
    assert_allclose(found, plain.transform(DIGITS), rtol=1e-6, atol=1e-6)


# In a fit


@NAMES
def test_name_is_the_object_with_its_defaults(name):
    by_name = estimator(name).fit(DIGITS).transform(DIGITS)
    by_object = estimator(PENALTIES[name]()).fit(DIGITS).transform(DIGITS)
    assert_array_equal(by_name, by_object)


@pytest.mark.parametrize("n_components", [1, 9])
@NAMES
def test_same_seed_gives_the_same_bytes(name, n_components):
    state, found = torch.get_rng_state(), []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found.append(estimator(name, n_components).fit(DIGITS).transform(DIGITS))
    assert_array_equal(*found)
    assert_array_equal(torch.get_rng_state(), state)


@NAMES
def test_fit_does_not_change_the_object(name):
    penalty = PENALTIES[name](alpha=0.02)
    before = copy.deepcopy((penalty.get_params(), vars(penalty)))
    estimator(penalty).fit(DIGITS)
    assert (penalty.get_params(), vars(penalty)) == before


@NAMES
def test_copies_keep_the_parameters(name):
    penalty = PENALTIES[name](alpha=0.02)
    for again in (
        clone(penalty),
        copy.deepcopy(penalty),
        pickle.loads(pickle.dumps(penalty)),
    ):
        assert again.get_params() == penalty.get_params()


@NAMES
def test_copies_of_a_fitted_model_give_the_same_codes(name):
    fitted = estimator(name).fit(DIGITS)
    code = fitted.transform(DIGITS)
    for again in pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(DIGITS):
        assert_array_equal(again.transform(DIGITS), code)


@NAMES
def test_training_goes_on(name):
    fitted = estimator(name, warm_start=True).fit(DIGITS)
    before = fitted.transform(DIGITS)
    assert not np.allclose(fitted.fit(DIGITS).transform(DIGITS), before)
    assert np.isfinite(fitted.partial_fit(DIGITS).transform(DIGITS)).all()


def test_sum_of_penalties_trains_like_their_function():
    def both(code, X, encode):
        return 0.1 * code.square().mean(1) / 2 + SparsityPenalty(0.2)(code, X, encode)

    parts = Sum([CodeNormPenalty(0.1), SparsityPenalty(0.2)])
    found, expected = (
        estimator(penalty).fit(DIGITS).transform(DIGITS) for penalty in (parts, both)
    )
    assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_function_is_asked_for_whole_batches():
    shapes = set()

    def penalty(code, X, encode):
        shapes.add((code.shape[1], X.shape[1], encode(X).shape == code.shape))
        return code.square().mean(1)

    assert estimator(penalty).fit(DIGITS).score(DIGITS) > 0
    assert shapes == {(6, 64, True)}


def test_penalty_of_the_user():
    class Shift(Penalty):
        def __init__(self, strength=1.0):
            self.strength = strength

        def __call__(self, code, X, encode):
            return self.strength * (code - 1).square().mean(1)

    weak, strong = (
        codes(estimator(Shift(strength), max_epochs=10).fit(DIGITS)).mean()
        for strength in (0.0, 10.0)
    )
    assert strong > weak + 0.5


def test_grid_search_finds_alpha():
    settings = {"penalty__alpha": [0.01, 10.0]}
    model = estimator(CodeNormPenalty(), max_epochs=5)
    search = GridSearchCV(model, settings, cv=2).fit(DIGITS)
    assert search.best_params_ == {"penalty__alpha": 0.01}


@pytest.mark.parametrize("penalty", [None, "l1"])
def test_only_without_a_penalty_is_pca_a_rival(penalty):
    assert (estimator(penalty).fit(DIGITS).proven_ is None) == (penalty is not None)


# Errors


class CountEpochs(Callback):
    n_begun = 0

    def on_epoch_begin(self, net, **kwargs):
        CountEpochs.n_begun += 1


class Detached(nn.Module):
    """A network whose code says nothing about where it came from."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Linear(n_features, n_components)
        self.decoder = nn.Linear(n_components, n_features)

    def encode(self, X):
        return self.encoder(X.detach())

    def decode(self, code):
        return self.decoder(code)


DIFFERENTIATED = "ContractivePenalty.* cannot be differentiated with the network "


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"penalty": lambda code, X, encode: code},
            r"must return one number per sample, a tensor of shape \(n_samples,\)",
        ),
        (
            {"penalty": lambda code, X, encode: code.square().mean()},
            "must return one number per sample",
        ),
        ({"penalty": lambda code, X, encode: 0.0}, "returned 0.0 for 4 rows"),
        (
            {"penalty": lambda code, X, encode: code.detach().square().mean(1)},
            "cannot be differentiated",
        ),
        (
            {"penalty": "contractive", "bottleneck": "vector_quantized"},
            DIFFERENTIATED + "MLPAutoencoder and the bottleneck VectorQuantized",
        ),
        (
            {"penalty": "contractive", "network": Detached, "init": "random"},
            DIFFERENTIATED + "Detached",
        ),
    ],
    ids=["matrix", "mean", "number", "detached", "vector_quantized", "network"],
)
def test_penalty_that_cannot_train_is_refused_before_training(settings, message):
    CountEpochs.n_begun = 0
    model = estimator(callbacks=[CountEpochs()], **settings)
    with pytest.raises(ValueError, match=message):
        model.fit(DIGITS)
    assert CountEpochs.n_begun == 0
    assert not hasattr(model, "net_")


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (SparsityPenalty(-1), "alpha=-1 of SparsityPenalty must be a number in"),
        (CodeNormPenalty(np.nan), "alpha=nan of CodeNormPenalty"),
        (KLSparsityPenalty(rate=0), r"rate=0 .* \[0.001, 0.999\]"),
        (ContractivePenalty(method="fast"), "method='fast' .* must be one of .*exact"),
        (Sum([SparsityPenalty(), CodeNormPenalty(-2)]), "alpha=-2 of CodeNormPenalty"),
    ],
    ids=["l1", "l2", "kl", "contractive", "sum"],
)
def test_number_out_of_range_is_refused(penalty, message):
    with pytest.raises(ValueError, match=message):
        estimator(penalty).fit(DIGITS)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_class_in_place_of_an_object_is_refused(penalty):
    message = f"penalty is the class {penalty.__name__}; pass an instance"
    with pytest.raises(TypeError, match=message):
        estimator(penalty).fit(DIGITS)


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="The 'penalty' parameter .* must be a str"):
        estimator("l0").fit(DIGITS)
