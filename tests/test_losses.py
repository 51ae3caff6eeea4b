"""Every loss is its formula, one number per sample, and trains."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cosine
from scipy.special import expit, huber, logit
from scipy.stats import nbinom, poisson
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, mean_poisson_deviance

from skae import AutoencoderTransformer
from skae.losses import (
    LOSSES,
    AbsoluteError,
    CallableLoss,
    CosineDistance,
    Huber,
    LogLoss,
    Loss,
    NegativeBinomial,
    Poisson,
    SquaredError,
)

rng = np.random.default_rng(0)
OUTPUT = 3 * rng.normal(size=(7, 4))
X = rng.normal(size=(7, 4))
PROBABILITIES = rng.random(size=(7, 4))
TRAINING_X = rng.random(size=(30, 4))
COUNTS = rng.poisson([0.3, 2, 50, 4000], size=(7, 4)).astype(np.float64)
COUNT_LOSSES = pytest.mark.parametrize("kind", [Poisson, NegativeBinomial])


def value(loss, output, X):
    """Return the loss of NumPy arrays as a NumPy array."""
    return loss(torch.from_numpy(output), torch.from_numpy(X)).detach().numpy()


def fitted(loss, **parameters):
    quick = {"early_stopping": False, "max_epochs": 3, "random_state": 0}
    quick |= {"alpha": 0.01, "learning_rate": 2e-3, **parameters}
    return AutoencoderTransformer(loss=loss, **quick).fit(TRAINING_X)


# Formulas


def test_squared_error_is_the_mean_square():
    expected = ((OUTPUT - X) ** 2).mean(axis=1)
    assert_allclose(value(SquaredError(), OUTPUT, X), expected)


def test_absolute_error_is_the_mean_distance():
    expected = np.abs(OUTPUT - X).mean(axis=1)
    assert_allclose(value(AbsoluteError(), OUTPUT, X), expected)


@pytest.mark.parametrize("delta", [0.1, 1.0, 10.0])
def test_huber_is_that_of_scipy(delta):
    expected = huber(delta, OUTPUT - X).mean(axis=1)
    assert_allclose(value(Huber(delta), OUTPUT, X), expected)


def test_huber_is_half_the_squared_error_of_small_residuals():
    half = value(SquaredError(), OUTPUT, X) / 2
    assert_allclose(value(Huber(delta=1e3), OUTPUT, X), half)


def test_log_loss_is_the_cross_entropy_of_the_sigmoid():
    p = expit(OUTPUT)
    expected = -PROBABILITIES * np.log(p) - (1 - PROBABILITIES) * np.log(1 - p)
    assert_allclose(value(LogLoss(), OUTPUT, PROBABILITIES), expected.mean(axis=1))


def test_log_loss_of_bits_is_that_of_scikit_learn():
    bits = (PROBABILITIES > 0.5).astype(np.float64)
    expected = [
        log_loss(row, expit(output), labels=[0, 1])
        for row, output in zip(bits, OUTPUT, strict=True)
    ]
    assert_allclose(value(LogLoss(), OUTPUT, bits), expected)


def test_log_loss_of_large_outputs_is_finite():
    assert_allclose(value(LogLoss(), np.full((1, 4), 1e6), np.zeros((1, 4))), [1e6])


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber"])
def test_loss_of_a_perfect_output_is_zero(name):
    assert_array_equal(value(LOSSES[name](), X, X), np.zeros(7))


def test_log_loss_is_smallest_where_the_sigmoid_is_x():
    best = value(LogLoss(), logit(PROBABILITIES), PROBABILITIES)
    for shift in (-0.1, 0.1):
        assert (
            value(LogLoss(), logit(PROBABILITIES) + shift, PROBABILITIES) > best
        ).all()


def built(kind, mean=(0.3, 2.0, 50.0, 4000.0)):
    """Return a loss that knows the means of features."""
    loss = kind()
    loss.build(np.array(mean))
    return loss


def expected_counts(loss, output):
    return loss.inverse_link(torch.from_numpy(output)).numpy()


@pytest.mark.parametrize("size", [0.01, 1.0, 5.0])
def test_poisson_is_minus_the_log_likelihood_of_scipy(size):
    loss = built(Poisson)
    mean = expected_counts(loss, size * OUTPUT)
    expected = -poisson.logpmf(COUNTS, mean).mean(axis=1)
    assert_allclose(value(loss, size * OUTPUT, COUNTS), expected)


@pytest.mark.parametrize("theta", [0.01, 0.5, 1.0, 20.0, 5000.0])
def test_negative_binomial_is_minus_the_log_likelihood_of_scipy(theta):
    loss = built(NegativeBinomial)
    with torch.no_grad():
        loss.slow_log_dispersion += np.log(theta) / loss.PACE
    theta = loss.log_dispersion.detach().double().exp().numpy()  # as float32 holds it
    mean = expected_counts(loss, OUTPUT)
    expected = -nbinom.logpmf(COUNTS, theta, theta / (theta + mean)).mean(axis=1)
    assert_allclose(value(loss, OUTPUT, COUNTS), expected, rtol=1e-6)


def test_negative_binomial_of_large_theta_is_poisson():
    loss = built(NegativeBinomial, np.ones(4))
    with torch.no_grad():
        loss.slow_log_dispersion += 10 / loss.PACE
    X = np.minimum(COUNTS, 5)
    expected = value(built(Poisson, np.ones(4)), OUTPUT / 3, X)
    assert_allclose(value(loss, OUTPUT / 3, X), expected, rtol=1e-2)


def test_cosine_is_that_of_scipy():
    expected = [cosine(output, row) for output, row in zip(OUTPUT, X, strict=True)]
    assert_allclose(value(CosineDistance(), OUTPUT, X), expected)


def test_cosine_does_not_depend_on_lengths():
    expected = value(CosineDistance(), OUTPUT, X)
    assert_allclose(value(CosineDistance(), 100 * OUTPUT, X / 1000), expected)


def test_cosine_of_a_row_of_zeros_is_one():
    assert_allclose(value(CosineDistance(), OUTPUT, np.zeros((7, 4))), 1)


# Counts


@COUNT_LOSSES
def test_link_of_counts_is_exact_between_a_thousandth_of_the_mean_and_a_million(kind):
    loss = built(kind)
    mean = np.array([0.3, 2, 50, 4000])
    X = np.vstack([mean * 1e-3, mean * 0.5, mean, mean * 1.5, np.full(4, 1e6)])
    assert_allclose(expected_counts(loss, loss.link(X)), X)


@COUNT_LOSSES
def test_link_of_zero_is_finite_and_small(kind):
    loss = built(kind)
    assert_allclose(
        expected_counts(loss, loss.link(np.zeros((1, 4)))), [[3e-4, 2e-3, 0.05, 4]]
    )


@COUNT_LOSSES
@pytest.mark.parametrize("function", ["inverse_link", "log_mean"])
def test_link_of_counts_has_no_step_and_no_kink(kind, function):
    output = torch.tensor([[-1e-6], [0.0], [1e-6]], dtype=torch.float64)
    output.requires_grad_()
    values = getattr(built(kind, [1.0]), function)(output)
    values[[0, 2]].sum().backward()
    start = 1 if function == "inverse_link" else 0
    assert_allclose(values.detach(), start + output.detach(), atol=1e-11)
    assert_allclose(output.grad[[0, 2]], 1, atol=1e-5)


@COUNT_LOSSES
def test_log_mean_is_the_logarithm_of_the_mean(kind):
    loss = built(kind)
    assert_allclose(
        loss.log_mean(torch.from_numpy(OUTPUT)), np.log(expected_counts(loss, OUTPUT))
    )


@COUNT_LOSSES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counts_of_any_output_are_finite_and_not_negative(kind, dtype):
    loss = built(kind)
    far = torch.logspace(-10, 20, 40, dtype=dtype)[:, None].expand(-1, 4)
    output = torch.cat([-far, far]).requires_grad_()
    mean = loss.inverse_link(output)
    assert (mean >= 0).all()
    assert mean.isfinite().all()
    losses = loss(output, torch.full_like(output, 3.0))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert output.grad.isfinite().all()


@COUNT_LOSSES
def test_float32_agrees_with_float64(kind):
    loss, target = built(kind), torch.from_numpy(COUNTS)
    output = torch.from_numpy(OUTPUT / 3)
    losses, gradient = loss.with_gradient(output, target)
    single, single_gradient = loss.with_gradient(output.float(), target.float())
    torch.testing.assert_close(single.double(), losses, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(single_gradient.double(), gradient, rtol=1e-3, atol=1e-4)


def low_rank_means(n_samples, n_features, rng):
    """Return expected counts whose logarithm has two components."""
    factors = rng.normal(size=(n_samples, 2))
    return np.exp(1 + 0.6 * factors @ rng.normal(size=(2, n_features)))


@pytest.fixture(scope="module")
def overdispersed():
    """Return a model of simulated counts, and the theta of each feature."""
    rng = np.random.default_rng(0)
    mean, theta = low_rank_means(2000, 20, rng), np.repeat([0.5, 5.0], 10)
    X = rng.negative_binomial(theta, theta / (theta + mean)).astype(np.float64)
    estimator = AutoencoderTransformer(loss="negative_binomial", random_state=0)
    return estimator.fit(X), theta


def test_dispersion_is_learnt(overdispersed):
    fitted, theta = overdispersed
    found = fitted.net_.criterion_.log_dispersion.detach().exp().numpy()
    assert found[:10].max() < found[10:].min()
    assert (np.abs(np.log(found / theta)) < np.log(2.5)).all()


def rare_counts():
    """Return counts of two factors, one column of which is hardly ever seen."""
    rng = np.random.default_rng(1)
    factors = np.exp(rng.normal(size=(200, 2)))
    X = rng.poisson(30 * factors @ rng.gamma(1, size=(2, 6))).astype(np.float64)
    X[:, 2] = rng.random(200) < 0.01
    return X


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial"])
def test_counts_that_pca_rebuilds_far_better_are_warned_of(loss):
    short = AutoencoderTransformer(loss=loss, max_epochs=2, random_state=0)
    message = (
        f"worse than PCA .* leaves 0.1.? of the variance, PCA 0.0033. loss='{loss}"
    )
    with pytest.warns(ConvergenceWarning, match=message):
        short.fit(rare_counts())


@pytest.mark.parametrize("loss", ["log_loss", "cosine"])
def test_losses_near_pca_or_of_shares_are_not_warned_of(loss):
    X = load_digits().data[:300] / 16
    settings = {"max_epochs": 2, "random_state": 0}
    AutoencoderTransformer(2, loss=loss, **settings).fit(X)


def test_dispersion_is_kept_by_copies(overdispersed):
    fitted, _ = overdispersed
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(
        again.net_.criterion_.log_dispersion.detach(),
        fitted.net_.criterion_.log_dispersion.detach(),
    )
    assert again.net_.criterion_ is again.net_.module_.loss


def test_object_of_a_user_learns_no_dispersion():
    loss = NegativeBinomial()
    before = {name: copy.copy(vars(loss)[name]) for name in ("_buffers", "_parameters")}
    AutoencoderTransformer(loss=loss, max_epochs=1).fit(COUNTS[:, :3])
    assert {name: vars(loss)[name] for name in before} == before


def test_poisson_predicts_counts_better_than_squared_error():
    rng = np.random.default_rng(0)
    mean = low_rank_means(1500, 20, rng)
    train, test = mean[:1000], mean[1000:]
    train, test = (rng.poisson(part).astype(np.float64) for part in (train, test))

    def deviance(loss):
        fitted = AutoencoderTransformer(loss=loss, random_state=0).fit(train)
        X_hat = fitted.reconstruct(test).clip(min=1e-2)
        return mean_poisson_deviance(test.ravel(), X_hat.ravel())

    assert deviance("poisson") < 0.95 * deviance("squared_error")  # 0.90


@pytest.mark.filterwarnings("ignore:The autoencoder reconstructs worse")
@COUNT_LOSSES
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reconstructed_counts_are_not_negative(kind, init, dtype):
    X = np.random.default_rng(0).poisson([0.1, 3, 40], size=(60, 3)).astype(dtype)
    settings = {"init": init, "max_epochs": 2, "early_stopping": False}
    fitted = AutoencoderTransformer(loss=kind(), random_state=0, **settings).fit(X)
    for X_hat in (fitted.reconstruct(X), fitted.reconstruct(X + 1000)):
        assert X_hat.dtype == dtype
        assert (X_hat >= 0).all()
        assert np.isfinite(X_hat).all()


@COUNT_LOSSES
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_counts_from_zero_to_a_million_are_learnt(kind, precision):
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(size=(300, 1)))
    X = rng.poisson(np.minimum(size * [0.5, 20, 1e3, 5e5], 1e6)).astype(np.float64)
    fitted = AutoencoderTransformer(
        loss=kind(), precision=precision, random_state=0, max_epochs=50
    ).fit(X)
    assert np.isfinite(fitted.loss_curve_).all()
    X_hat, mean = fitted.reconstruct(X), X.mean(axis=0)
    for feature in (1, 2, 3):
        error = np.abs(X_hat[:, feature] - X[:, feature]).mean()
        assert error < 0.5 * np.abs(X[:, feature] - mean[feature]).mean()


@pytest.mark.filterwarnings("ignore:.*asks for more than squared errors")
@COUNT_LOSSES
@pytest.mark.parametrize("zero", [[1], [0, 1, 2]], ids=["one column", "everything"])
def test_columns_of_zeros_are_no_problem(kind, zero):
    X = np.random.default_rng(0).poisson([0.5, 3, 40], size=(60, 3)).astype(float)
    X[:, zero] = 0
    estimator = AutoencoderTransformer(loss=kind(), early_stopping=False, max_epochs=3)
    X_hat = estimator.fit(X).reconstruct(X)
    assert np.isfinite(estimator.score_samples(X)).all()
    if len(zero) == 1:
        assert (X_hat[:, zero] < 0.1).all()
    estimator.score(X + 1)  # counts that fit has never seen


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial", Poisson()])
def test_negative_counts_are_refused(loss):
    message = r"needs X in \[0, inf\), but X has values from -10 to"
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(loss=loss).fit(COUNTS - 10)


@pytest.mark.parametrize("name", LOSSES)
def test_modules_agree_with_the_estimator(name):
    estimator = fitted(name)
    code = estimator.transform(TRAINING_X)
    with torch.no_grad():
        encoded = estimator.encoder_(torch.from_numpy(TRAINING_X))
        decoded = estimator.decoder_(encoded)
    assert_allclose(encoded, code, rtol=1e-6, atol=1e-9)
    assert_allclose(decoded, estimator.inverse_transform(code), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_pickled_estimator_gives_the_same_bytes(name):
    estimator = fitted(name)
    again = pickle.loads(pickle.dumps(estimator))
    for method in ("transform", "reconstruct", "score_samples"):
        assert_array_equal(
            getattr(again, method)(TRAINING_X), getattr(estimator, method)(TRAINING_X)
        )


@pytest.mark.parametrize("name", LOSSES)
def test_training_goes_on(name):
    settings = {"early_stopping": False, "random_state": 0}
    estimator = AutoencoderTransformer(loss=name, **settings)
    for _ in range(2):
        before = copy.deepcopy(vars(estimator).get("net_"))
        estimator.partial_fit(TRAINING_X)
    changed = [
        not torch.equal(one, other)
        for one, other in zip(
            before.criterion_.parameters(),
            estimator.net_.criterion_.parameters(),
            strict=True,
        )
    ]
    assert all(changed)
    assert np.isfinite(estimator.loss_curve_).all()


# What holds for all of them


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_is_one_number_per_sample_in_the_dtype_of_the_output(name, dtype):
    loss = LOSSES[name]()(torch.zeros(7, 4, dtype=dtype), torch.ones(7, 4, dtype=dtype))
    assert loss.shape == (7,)
    assert loss.dtype == dtype


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_a_sample_does_not_depend_on_the_others(name):
    loss = LOSSES[name]()
    whole = value(loss, OUTPUT, PROBABILITIES)
    assert_allclose(value(loss, OUTPUT[2:3], PROBABILITIES[2:3]), whole[2:3])


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_finite_differences(name):
    output = torch.from_numpy(OUTPUT).requires_grad_()
    target = torch.from_numpy(PROBABILITIES)
    assert torch.autograd.gradcheck(
        lambda output: LOSSES[name]()(output, target), output
    )


def log_cosh(output, X):
    return (output - X).cosh().log().mean(1)


class FirstFeatures(SquaredError):
    """A user's loss that inherits from one which writes its gradient out."""

    def __call__(self, output, X):
        return super().__call__(output[:, :2], X[:, :2]) - 1


WITH_GRADIENT = {
    **{name: loss() for name, loss in LOSSES.items()},
    "small huber": Huber(delta=0.3),
    "function": CallableLoss(log_cosh),
    "derived": FirstFeatures(),
}
SAMPLE_WEIGHT = np.linspace(0.2, 2, 7)


@pytest.mark.parametrize("loss", WITH_GRADIENT.values(), ids=WITH_GRADIENT)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_with_gradient_agrees_with_autograd(weighted, dtype, loss):
    target = torch.from_numpy(PROBABILITIES).to(dtype)
    weight = torch.from_numpy(SAMPLE_WEIGHT).to(dtype) if weighted else None
    output = torch.from_numpy(OUTPUT).to(dtype).requires_grad_()
    losses = loss(output, target)
    expected = (losses * weight if weighted else losses).mean()
    expected.backward()
    with torch.no_grad():  # as a step computes it
        found, gradient = loss.with_gradient(output.detach(), target, weight)
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(gradient, output.grad)
    assert not found.requires_grad
    assert not gradient.requires_grad


@pytest.mark.parametrize("loss", WITH_GRADIENT.values(), ids=WITH_GRADIENT)
def test_with_gradient_changes_no_argument(loss):
    arguments = [
        torch.from_numpy(a.copy()) for a in (OUTPUT, PROBABILITIES, SAMPLE_WEIGHT)
    ]
    _, gradient = loss.with_gradient(*arguments)
    gradient.zero_()
    for found, before in zip(
        arguments, (OUTPUT, PROBABILITIES, SAMPLE_WEIGHT), strict=True
    ):
        assert_array_equal(found, before)


@pytest.mark.parametrize("name", ["squared_error", "absolute_error"])
@pytest.mark.parametrize("unit", [0.01, 100.0])
def test_degree_says_how_the_loss_follows_the_unit(name, unit):
    loss = LOSSES[name]()
    expected = unit**loss.degree * value(loss, OUTPUT, X)
    assert_allclose(value(loss, unit * OUTPUT, unit * X), expected)


@pytest.mark.parametrize("unit", [0.01, 100.0])
def test_degree_of_huber_holds_where_delta_follows_the_unit(unit):
    expected = unit**Huber.degree * value(Huber(), OUTPUT, X)
    assert_allclose(value(Huber(delta=unit), unit * OUTPUT, unit * X), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_inverse_link_undoes_link(name):
    loss = LOSSES[name]()
    inside = 0.01 + 0.98 * PROBABILITIES
    decoded = loss.inverse_link(torch.from_numpy(loss.link(inside)))
    assert_allclose(decoded.numpy(), inside)


@pytest.mark.parametrize("name", LOSSES)
def test_inverse_link_stays_in_the_range_of_the_target(name):
    loss = LOSSES[name]()
    decoded = loss.inverse_link(torch.from_numpy(100 * OUTPUT)).numpy()
    assert decoded.shape == OUTPUT.shape
    assert (decoded >= loss.target_range[0]).all()
    assert (decoded <= loss.target_range[1]).all()


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_link_of_log_loss_is_finite_at_the_edges(edge):
    assert np.isfinite(LogLoss().link(np.array([edge])))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_parts_that_can_be_cloned(name):
    loss = LOSSES[name]()
    assert isinstance(loss, Loss)
    assert clone(loss).get_params() == loss.get_params()
    assert repr(loss) == f"{LOSSES[name].__name__}()"


@pytest.mark.parametrize("name", LOSSES)
def test_name_and_object_train_alike(name):
    assert_array_equal(
        fitted(name).transform(TRAINING_X), fitted(LOSSES[name]()).transform(TRAINING_X)
    )


# Losses of the user


class Scaled(Loss):
    """A user's loss with a parameter."""

    degree = 2

    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, output, X):
        return self.factor * (output - X).square().mean(1)


class Exponential(Loss):
    """A user's loss with a link of its own: positive reconstructions."""

    standardized = False
    target_range = (0.0, np.inf)

    def __call__(self, output, X):
        return (output.exp() - X * output).mean(1)

    def inverse_link(self, output):
        return output.exp()

    def link(self, X):
        return np.log(np.maximum(X, 1e-3))


def mean_square(output, X):
    return (output - X).square().mean(1)


def test_loss_of_a_user_trains_like_its_formula():
    assert_array_equal(
        fitted(Scaled()).transform(TRAINING_X),
        fitted("squared_error").transform(TRAINING_X),
    )


def test_function_trains_like_its_formula():
    assert_array_equal(
        fitted(mean_square).transform(TRAINING_X),
        fitted("squared_error").transform(TRAINING_X),
    )


def test_function_becomes_a_loss():
    assert_allclose(
        value(CallableLoss(mean_square), OUTPUT, X), value(SquaredError(), OUTPUT, X)
    )


def test_parameter_of_a_loss_is_set_through_the_estimator():
    estimator = AutoencoderTransformer(loss=Scaled()).set_params(loss__factor=3.0)
    assert clone(estimator).loss.factor == 3.0


def test_parameter_of_a_loss_scales_the_curve():
    one, three = fitted(Scaled(), max_epochs=1), fitted(Scaled(3.0), max_epochs=1)
    assert_allclose(three.loss_curve_, 3 * np.array(one.loss_curve_))


def test_loss_of_a_user_is_not_changed_by_fit():
    loss = Scaled()
    before = copy.deepcopy(vars(loss))
    fitted(loss)
    assert vars(loss) == before


def test_link_of_a_user_bounds_the_reconstruction():
    assert (fitted(Exponential()).reconstruct(10 * TRAINING_X - 5) > 0).all()


def test_range_of_a_user_is_checked():
    estimator = AutoencoderTransformer(loss=Exponential())
    with pytest.raises(
        ValueError, match=r"needs X in \[0, inf\), but X has values from"
    ):
        estimator.fit(TRAINING_X - 1)


@pytest.mark.parametrize(
    "loss",
    [
        lambda output, X: (output - X).square().mean(),
        lambda output, X: (output - X).square(),
        lambda output, X: 1.0,
    ],
    ids=["one number", "one per cell", "no tensor"],
)
def test_loss_that_is_not_one_number_per_sample_is_refused(loss):
    with pytest.raises(ValueError, match="one number per sample"):
        AutoencoderTransformer(loss=loss).fit(TRAINING_X)


@pytest.mark.parametrize("loss", [SquaredError, Huber])
def test_class_of_a_loss_is_refused(loss):
    with pytest.raises((TypeError, ValueError), match=f"{loss.__name__}.*instance"):
        AutoencoderTransformer(loss=loss).fit(TRAINING_X)
