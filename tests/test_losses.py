"""Every loss is its formula, one number per sample, and trains."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, huber, logit
from sklearn.base import clone
from sklearn.metrics import log_loss

from skae import AutoencoderTransformer
from skae.losses import (
    LOSSES,
    AbsoluteError,
    CallableLoss,
    Huber,
    LogLoss,
    Loss,
    SquaredError,
)

rng = np.random.default_rng(0)
OUTPUT = 3 * rng.normal(size=(7, 4))
X = rng.normal(size=(7, 4))
PROBABILITIES = rng.random(size=(7, 4))
TRAINING_X = rng.random(size=(30, 4))


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
        ValueError, match=r"needs X in \[0, inf\], but X has values from"
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
