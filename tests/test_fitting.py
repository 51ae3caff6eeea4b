"""One fit: rows are held out, a plan is made, and only what is proven is kept."""

import logging

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skae import AutoencoderTransformer, _runtime
from skae._data.intake import TrainingData
from skae._data.rows import Rows
from skae._data.tables import TableForm
from skae._fitting.fitting import Fitting
from skae._fitting.parts import Parts
from skae._fitting.pieces import PieceFitting
from skae._fitting.plan import (
    SOLVERS,
    auto_alpha,
    auto_batch_size,
    auto_max_epochs,
    make_plan,
    solver_class_and_options,
)
from skae._fitting.shares import count_for_share
from skae._fitting.start import fit_linear_start
from skae._fitting.verdict import hold_out
from skae._runtime import RandomStreams
from skae.bottlenecks import Bottleneck
from skae.corruption import MaskingNoise
from skae.losses import LogLoss, SquaredError


def estimator(n_components=1, **settings):
    short = {"alpha": 0.01, "learning_rate": 2e-3, "random_state": 0}
    return AutoencoderTransformer(n_components, **short | settings)


def fitting(X, seed=0, loss=None, weight=None, kind=Fitting, spoilt=None, **settings):
    loss = loss or SquaredError()
    data = Rows(X, weight, standardized_target=loss.standardized)
    form = TableForm(X.shape[1:])
    parts = Parts(loss, Bottleneck(), corruption=spoilt)
    data = TrainingData(data, form, form, seen=(len(X), 0.0, 1.0, 0.0, 1.0))
    return kind(estimator(**settings), data, parts, RandomStreams(seed))


def held_out(fit):
    """Return the rows to learn from, and those to judge by."""
    return hold_out(fit.rows, fit.estimator, fit.streams)


def noise(n_samples, n_features=4):
    return np.random.default_rng(0).normal(size=(n_samples, n_features))


def circle(n_samples=240):
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, n_samples)
    return np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])


class Network(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_features, 8), nn.BatchNorm1d(8))
        self.middle = nn.Linear(8, n_components)
        self.decode = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(n_components, n_features)
        )

    def encode(self, X):
        return self.middle(self.encoder(X))


# Rows that are held out


@pytest.mark.parametrize(
    ("n_samples", "n_held_out"),
    [(159, 0), (160, 40), (400, 40), (1000, 100), (50_000, 5000), (100_000, 5000)],
)
def test_auto_holds_out_a_tenth_between_40_and_5000(n_samples, n_held_out):
    train, valid = held_out(fitting(np.zeros((n_samples, 1))))
    assert len(train) == n_samples - n_held_out
    assert (0 if valid is None else len(valid)) == n_held_out


@pytest.mark.parametrize(
    ("n_samples", "fraction", "n_held_out"),
    [(2, 0.1, 1), (10, 0.1, 1), (10, 0.99, 9), (59, 0.5, 30), (100_000, 0.2, 20_000)],
)
def test_true_holds_out_the_fraction_of_any_number(n_samples, fraction, n_held_out):
    settings = {"early_stopping": True, "validation_fraction": fraction}
    train, valid = held_out(fitting(np.zeros((n_samples, 1)), **settings))
    assert (len(train), len(valid)) == (n_samples - n_held_out, n_held_out)


@pytest.mark.parametrize(("n_samples", "early_stopping"), [(1000, False), (1, True)])
def test_nothing_is_held_out(n_samples, early_stopping):
    X = np.zeros((n_samples, 1))
    train, valid = held_out(fitting(X, early_stopping=early_stopping))
    assert len(train) == n_samples
    assert valid is None


def test_each_row_is_either_held_out_or_learnt_from():
    train, valid = held_out(fitting(np.zeros((300, 1))))
    both = np.concatenate([train.index, valid.index])
    assert np.sort(both).tolist() == list(range(300))


def test_held_out_rows_follow_the_seed():
    X = np.zeros((300, 1))
    chosen = [held_out(fitting(X, seed))[1].index.tolist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert chosen[0] != list(range(40))


# The plan


def plan(n_samples, n_features=4, **settings):
    network = nn.Linear(n_features, n_features, bias=False)
    fit = fitting(np.zeros((n_samples, n_features)), **settings)
    return make_plan(
        fit.estimator,
        network,
        fit.parts,
        fit.data,
        n_samples,
        max_epochs=fit.estimator.max_epochs,
        is_partial=False,
    )


@pytest.mark.parametrize("n_samples", [50, 1000, 100_000])
def test_auto_plan_follows_the_number_of_rows(n_samples):
    found = plan(n_samples, alpha="auto")
    n_batches = int(np.ceil(n_samples / found.batch_size))
    work = 6 * 16 * n_samples  # per weight and row, six operations
    assert found.batch_size == auto_batch_size(n_samples)
    assert found.max_epochs == auto_max_epochs(n_batches, work)
    assert found.alpha == auto_alpha(n_samples, 4)


@pytest.mark.parametrize(("batch_size", "n_epochs"), [(10, 2), (1000, 18)])
def test_auto_epochs_follow_a_given_batch_size(batch_size, n_epochs):
    found = plan(100_000, n_features=100, batch_size=batch_size)
    assert found.max_epochs == n_epochs


@pytest.mark.parametrize(
    ("n_weights", "n_epochs"), [(16, 100), (2500, 66), (10**4, 18)]
)
def test_auto_epochs_are_more_where_the_network_is_small(n_weights, n_epochs):
    # 1e10 operations, in 6 per weight for each of 10,000 rows
    assert plan(10_000, round(n_weights**0.5)).max_epochs == n_epochs


@pytest.mark.parametrize(
    ("n_weights", "n_epochs"), [(16, 100), (2500, 66), (10**4, 36)]
)
def test_auto_epochs_are_at_least_twice_as_many_where_rows_are_spoilt(
    n_weights, n_epochs
):
    found = plan(10_000, round(n_weights**0.5), spoilt=MaskingNoise())
    assert found.max_epochs == n_epochs


@pytest.mark.parametrize(
    ("settings", "patience"),
    [
        ({"schedule": "constant"}, 10),
        ({"schedule": "constant", "max_epochs": 3}, 10),
        ({"schedule": "one_cycle", "max_epochs": 37}, 37),
        ({"schedule": "one_cycle", "n_iter_no_change": 4}, 4),
    ],
)
def test_auto_patience_is_ten_or_the_whole_cycle(settings, patience):
    assert plan(1000, **settings).n_epochs_no_change == patience


@pytest.mark.parametrize(
    ("n_samples", "n_features", "alpha"),
    [
        (1000, 100, 0.09),
        (1000, 300, 0.25),
        (5000, 800, 0.04),
        (2500, 50, 0.01),
        (10**6, 10, 0.01),
        (100, 10, 1.0),
        (300, 100, 1.0),
        (1, 10**6, 1.0),
    ],
)
def test_auto_alpha_follows_the_shape(n_samples, n_features, alpha):
    assert auto_alpha(n_samples, n_features) == pytest.approx(alpha)


def test_wide_tables_of_few_rows_get_more_decay():
    by_width = [auto_alpha(1000, n_features) for n_features in (10, 100, 400, 700)]
    by_length = [auto_alpha(n_samples, 100) for n_samples in (2000, 1000, 500, 350)]
    for alphas in (by_width, by_length):
        assert (np.diff(alphas) > 0).all()


@pytest.mark.parametrize(
    ("sizes", "rate", "alpha"),
    [
        ((300, 300), 0.01, 0.01),
        ((1000, 500, 250), 0.003, 0.25),
        ((64, 4000), 0.00075, 0.25),
        ((), 0.01, 0.01),
        ("auto", 0.01, 0.01),
    ],
)
def test_wide_layers_get_smaller_steps_and_more_decay(sizes, rate, alpha):
    settings = {"hidden_layer_sizes": sizes, "learning_rate": "auto", "alpha": "auto"}
    found = plan(30_000, **settings)
    assert found.learning_rate == pytest.approx(rate)
    assert found.alpha == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("settings", "alpha"),
    [
        ({}, 0.01),
        ({"max_epochs": 9}, 0.01),
        ({"max_epochs": 72}, 0.02),
        ({"max_epochs": 10**6}, 1),
    ],
)
def test_longer_fits_decay_more(settings, alpha):
    wide = {"n_features": 400, "alpha": "auto", "max_epochs": "auto"}
    assert plan(200_000, **wide | settings).alpha == pytest.approx(alpha)


def test_one_epoch_of_partial_fit_decays_little():
    # 50 rows tell little of how many there will be.
    fit = fitting(noise(50), kind=PieceFitting, alpha="auto")
    fit.fit()
    assert fit.plan.alpha == 0.01


def test_rows_that_are_held_out_do_not_count_for_alpha():
    fit = fitting(circle(800), alpha="auto", max_epochs=1)
    fit.fit()
    assert fit.plan.alpha == pytest.approx((203 / 720) ** 2)


@pytest.mark.filterwarnings("ignore:The autoencoder reconstructs worse")
@pytest.mark.parametrize(("n_train", "alpha"), [(180, 1.0), (30_000, 0.5)])
def test_auto_alpha_of_convolutions_falls_slowly(n_train, alpha):
    images = noise(round(n_train / 0.9), 4).reshape(-1, 2, 2)
    settings = {"network": "conv", "max_epochs": 1, "init": "random"}
    fitted = estimator(**settings, hidden_layer_sizes=(2,), alpha="auto")
    same = clone(fitted).set_params(alpha=alpha).fit(images)
    assert_array_equal(fitted.fit(images).transform(images), same.transform(images))


@pytest.mark.parametrize(
    ("network", "rate"), [("mlp", 1e-2), ("conv", 3e-3), (Network, 1e-2)]
)
def test_auto_learning_rate_is_smaller_for_convolutions(network, rate):
    images = noise(200, 36).reshape(-1, 6, 6)
    fitted = AutoencoderTransformer(network=network, early_stopping=False)
    fitted.partial_fit(images)
    assert fitted.net_.lr == rate


@pytest.mark.parametrize(("network", "batch_size"), [("mlp", 150), ("conv", 128)])
def test_auto_batches_of_convolutions_do_not_grow(network, batch_size):
    images = noise(24_000).reshape(-1, 2, 2)
    fitted = AutoencoderTransformer(network=network, hidden_layer_sizes=(1,))
    assert fitted.partial_fit(images).batch_size_ == batch_size


def test_plan_takes_what_is_given():
    found = plan(
        1000, batch_size=7, max_epochs=3, precision="mixed", device="cpu", n_jobs=2
    )
    assert found.batch_size == 7
    assert found.max_epochs == 3
    assert found.precision == "mixed"
    assert found.device == torch.device("cpu")
    assert found.n_threads == 2


@pytest.mark.parametrize(("factor", "precision"), [(0.99, "float64"), (1, "float32")])
def test_auto_precision_compares_the_work_of_the_fit(monkeypatch, factor, precision):
    work = 6 * 16 * 1000 * 3  # per weight and row, six operations in each epoch
    monkeypatch.setattr(_runtime, "SMALL_FIT", work * (2 - factor))
    assert plan(1000, max_epochs=3).precision == precision


def test_step_is_no_larger_than_the_data(monkeypatch):
    monkeypatch.setattr(_runtime, "THREADED_STEP", 6 * 16 * 1000 + 1)
    assert plan(1000, batch_size=10**6).n_threads == 1


def test_plan_is_shown_by_the_estimator():
    fitted = estimator(batch_size=50, max_epochs=2, precision="float32").fit(circle())
    assert fitted.batch_size_ == 50
    assert fitted.n_epochs_ == 2
    assert fitted.precision_ == "float32"
    assert fitted.device_ == "cpu"


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float16"])
def test_precision_of_other_dtypes_is_float64(dtype):
    fitted = estimator().partial_fit((circle() > 0).astype(dtype))
    assert fitted.precision_ == "float64"
    dtypes = {weight.dtype for weight in fitted.net_.module_.parameters()}
    assert dtypes == {torch.float64}


@pytest.mark.parametrize("name", SOLVERS)
def test_names_of_solvers_are_optimizers_of_torch(name):
    solver, options = solver_class_and_options(name)
    assert issubclass(solver, torch.optim.Optimizer)
    solver([torch.zeros(1, requires_grad=True)], lr=0.1, **options)


def test_solver_class_is_taken_as_it_is():
    assert solver_class_and_options(torch.optim.RAdam) == (torch.optim.RAdam, {})


# The verdict


def messages(caplog, X, **settings):
    with caplog.at_level(logging.INFO, logger="skae"):
        fitted = estimator(**settings).fit(X)
    return [record.getMessage() for record in caplog.records], fitted


def test_log_says_that_there_are_too_few_rows(caplog):
    found, _ = messages(caplog, noise(15))
    assert found == ["15 rows are too few to judge by: the model is PCA"]


def test_log_says_that_the_network_is_kept(caplog):
    (message,), fitted = messages(caplog, circle())
    assert fitted.proven_ is True
    best = min(fitted.validation_loss_curve_)
    expected = f"held-out loss {best:.4g}, PCA's {fitted.pca_loss_:.4g}"
    assert message == f"{expected}: the network is kept"


def test_log_says_that_the_model_is_pca(caplog):
    (message,), fitted = messages(caplog, noise(200), max_epochs=2)
    assert fitted.proven_ is False
    assert message.endswith("the model is PCA of all rows")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [{"early_stopping": False}, {"init": "random"}])
def test_log_says_nothing_where_nothing_is_judged(caplog, settings):
    found, fitted = messages(caplog, circle(), max_epochs=2, **settings)
    assert found == []
    assert fitted.proven_ is None


@pytest.mark.parametrize("network", ["mlp", Network])
def test_unproven_network_gives_pca_of_all_rows(network):
    X = noise(200)
    fitted = estimator(2, network=network, max_epochs=3).fit(X)
    pca = PCA(2).fit(X)
    assert fitted.proven_ is False
    assert_allclose(fitted.mean_, X.mean(axis=0), atol=1e-14)
    expected = pca.inverse_transform(pca.transform(X))
    assert_allclose(fitted.reconstruct(X), expected, atol=1e-10)


def test_start_that_training_did_not_improve_is_not_proven():
    X = noise(200, 5)
    fitted = AutoencoderTransformer(max_epochs=20, random_state=0).fit(X)
    assert fitted.best_epoch_ == 0
    assert fitted.proven_ is False
    pca = PCA(2).fit(X)
    assert_allclose(fitted.transform(X), pca.transform(X), atol=1e-10)


def test_kept_network_has_half_whitened_codes():
    X = circle() * [3, 1, 0.3]
    settings = {"early_stopping": False, "learning_rate": 1e-12, "max_epochs": 1}
    found = AutoencoderTransformer(**settings, random_state=0).fit(X)
    variance = PCA(2).fit(X).explained_variance_ratio_
    expected = np.sqrt(variance[1] / variance[0])
    code = found.transform(X)
    assert_allclose(code[:, 1].var() / code[:, 0].var(), expected, rtol=1e-6)


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_spread_of_the_code_does_not_follow_decay(network, is_weighted):
    X = circle(300) * [3, 1, 0.3]
    weight = np.linspace(1, 2, len(X)) if is_weighted else np.ones(len(X))
    settings = {"early_stopping": False, "alpha": 3, "max_epochs": 20}
    found = estimator(2, network=network, image_shape=(3,), **settings)
    found.fit(X, sample_weight=weight)
    code, spread = found.transform(X), np.sqrt(found.explained_variance_)
    variance = np.cov(code.T, aweights=weight, ddof=0).diagonal()
    assert_allclose(np.sqrt(variance), np.sqrt(spread[0] * spread), rtol=1e-4)
    plain = found.net_.module_.units.numpy() * found.scale_
    assert np.abs(plain / np.sqrt(spread[0] * spread) - 1).max() > 0.05


def test_unproven_network_reports_how_it_was_trained():
    fitted = estimator(max_epochs=3).fit(noise(700))
    assert fitted.n_epochs_ == len(fitted.validation_loss_curve_) == 3
    assert fitted.best_epoch_ == 0


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "weighted"])
def judged(request):
    """Return a proven fit, and the rows and weights of its two parts."""
    X = circle()
    weight = np.linspace(0.5, 1.5, len(X)) if request.param else np.ones(len(X))
    settings = {"weight": weight, "max_epochs": 30, "early_stopping": True}
    fits = [fitting(X, **settings) for _ in range(2)]
    fits[0].fit()
    parts = [rows.index for rows in held_out(fits[1])]
    return fits[0], *[(X[index], weight[index]) for index in parts]


def test_proven_network_starts_from_the_training_rows(judged):
    fit, (train, weight), _ = judged
    assert fit.verdict.proven is True
    assert_allclose(fit.start.mean, np.average(train, axis=0, weights=weight))


def test_pca_loss_is_that_of_the_held_out_rows(judged):
    fit, _, (valid, weight) = judged
    axes = fit.start.components
    centred = valid - fit.start.mean
    error = (centred - centred @ axes.T @ axes) / fit.start.scale
    expected = np.average(np.square(error).mean(axis=1), weights=weight)
    assert fit.verdict.pca_loss == pytest.approx(expected)


@pytest.mark.parametrize("network", ["mlp", Network])
@pytest.mark.parametrize(
    ("X", "settings"),
    [
        (noise(50), {}),
        (noise(200), {"max_epochs": 1}),
        (circle(), {"max_epochs": 20}),
        (circle(), {"early_stopping": False, "max_epochs": 1}),
    ],
    ids=["too_few_rows", "unproven", "proven", "not_judged"],
)
def test_every_fit_ends_in_inference_mode(X, settings, network):
    fitted = estimator(network=network, **settings).fit(X)
    assert not any(module.training for module in fitted.net_.module_.modules())


def test_transform_leaves_the_batch_norm_of_an_unproven_network():
    fitted = estimator(network=Network, max_epochs=1).fit(noise(200))
    before = {n: v.clone() for n, v in fitted.net_.module_.state_dict().items()}
    fitted.transform(5 + noise(30))
    for name, value in fitted.net_.module_.state_dict().items():
        assert value.equal(before[name]), name


# Warnings


@pytest.mark.parametrize(
    ("settings", "rival"),
    [
        ({"max_epochs": 1, "learning_rate": 1e-9}, "the mean of each feature"),
        ({"max_epochs": 15, "schedule": "constant"}, "PCA with as many components"),
    ],
)
def test_poor_network_warns_of_a_better_rival(settings, rival):
    X = noise(300, 6) * [8, 4, 1, 0.1, 0.1, 0.1]
    poor = estimator(2, init="random", hidden_layer_sizes=(4,), **settings)
    with pytest.warns(ConvergenceWarning, match=f"worse than {rival}"):
        poor.fit(X)


@pytest.mark.filterwarnings("ignore:.*asks for more than squared errors")
def test_poor_network_warns_with_a_link():
    X = np.tile([0.01, 0.99, 0.01], (200, 1))
    poor = estimator(init="random", loss="log_loss", max_epochs=1, learning_rate=1e-9)
    with pytest.warns(ConvergenceWarning, match="worse than the mean of each feature"):
        poor.fit(X)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "log_loss"])
def test_start_from_pca_never_warns(loss):
    X = 1 / (1 + np.exp(-3 * circle()))
    estimator(loss=loss, early_stopping=False, max_epochs=2).fit(X)


# Going on


def test_partial_fit_trains_one_epoch_on_all_rows():
    fit = fitting(circle(), kind=PieceFitting, max_epochs=50)
    fit.fit()
    assert len(fit.net.history) == 1
    assert "valid_loss" not in fit.net.history[-1]
    assert fit.verdict.proven is None


@pytest.mark.parametrize("kind", [Fitting, PieceFitting])
def test_going_on_leaves_the_previous_net_alone(kind):
    first = fitting(circle(), early_stopping=False, max_epochs=1)
    first.fit()
    before = [weight.clone() for weight in first.net.module_.parameters()]
    second = fitting(circle(), kind=kind, early_stopping=False, max_epochs=1)
    second.fit((first.net, first.start))
    assert second.net is not first.net
    for weight, value in zip(first.net.module_.parameters(), before, strict=True):
        assert weight.equal(value)


@pytest.mark.parametrize(
    ("method", "warm_start", "kept"),
    [("fit", False, False), ("fit", True, True), ("partial_fit", False, True)],
)
def test_random_streams_are_kept_only_where_training_goes_on(method, warm_start, kept):
    fitted = estimator(warm_start=warm_start, max_epochs=1, early_stopping=False)
    getattr(fitted, method)(circle())
    assert (fitted._streams is not None) == kept


@pytest.mark.parametrize("n_samples", [50, 240])
def test_fit_changes_no_parameter(n_samples):
    fitted = estimator(max_epochs=2)
    before = fitted.get_params()
    assert fitted.fit(circle(n_samples)).get_params() == before


def test_loss_with_a_link_is_trained_even_on_few_rows():
    fit = fitting(1 / (1 + np.exp(-noise(50))), loss=LogLoss(), max_epochs=2)
    fit.fit()
    assert len(fit.net.history) == 2
    assert fit.verdict.proven is None


def test_nothing_is_trained_where_pca_loses_nothing(caplog):
    X = np.random.default_rng(0).normal(size=(200, 4))
    estimator = AutoencoderTransformer(4, random_state=0)
    with caplog.at_level("INFO", "skae"), pytest.warns(UserWarning, match="can copy"):
        estimator.fit(X)
    assert "loses nothing" in caplog.text
    assert (estimator.proven_, estimator.n_epochs_) == (False, 0)
    np.testing.assert_allclose(estimator.reconstruct(X), X, atol=1e-12)


def test_auto_learning_rate_is_smaller_for_counts():
    counts = np.random.default_rng(0).poisson(3.0, size=(200, 5))
    for loss, rate in [("poisson", 3e-3), ("squared_error", 1e-2)]:
        fitted = AutoencoderTransformer(2, loss=loss, max_epochs=2, random_state=0)
        fitted.set_params(early_stopping=True)
        assert fitted.fit(counts).net_.lr == rate


def test_share_is_that_of_held_out_rows_if_all_components_reach_it():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 20))
    fit = fitting(X)
    start = fit_linear_start(fit.rows, 20, fit.streams.init)
    new = fitting(rng.normal(size=(200, 20))).rows
    of_learnt = count_for_share(start, fit.rows, 0.8)
    assert of_learnt < count_for_share(start, fit.rows, 0.8, new)
    wide = fit_linear_start(fitting(X[:8]).rows, 8, fit.streams.init)
    assert count_for_share(wide, fit.rows, 0.8, new) == count_for_share(
        wide, fit.rows, 0.8
    )


def test_count_for_a_share_of_the_same_rows_is_that_of_pca():
    X = np.random.default_rng(0).normal(size=(100, 12)) * np.arange(1, 13)
    fit = fitting(X)
    start = fit_linear_start(fit.rows, 12, fit.streams.init)
    expected = PCA(0.7, svd_solver="full").fit(X).n_components_
    assert count_for_share(start, fit.rows, 0.7) == expected
    assert count_for_share(start, fit.rows, 0.7, fit.rows) == expected


def test_ordered_code_is_trained_four_times_as_long(monkeypatch):
    monkeypatch.setattr("skae._fitting.plan.MOST_EPOCHS", 20)
    settings = {"network": "mlp", "random_state": 0, "tol": 0}
    X = noise(700, 30)
    epochs = [
        AutoencoderTransformer(4, bottleneck=name, **settings).fit(X).n_epochs_
        for name in (None, "ordered")
    ]
    assert epochs[1] == 4 * epochs[0]


def test_start_that_no_epoch_improves_is_said():
    counts = np.random.default_rng(0).poisson(3.0, size=(300, 5))
    estimator = AutoencoderTransformer(2, loss="poisson", random_state=0)
    estimator.set_params(learning_rate=0.3, max_epochs=2, hidden_layer_sizes=(200,))
    with pytest.warns(ConvergenceWarning, match="No epoch .* learning_rate .now 0.3"):
        estimator.fit(counts)
    assert estimator.best_epoch_ == 0
