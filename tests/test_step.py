"""A step without autograd learns what a step with autograd learns."""

import copy
import functools
import itertools
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn

from skae import AutoencoderTransformer
from skae._fitting import train
from skae._fitting.codec import PCAStart
from skae._fitting.start import LinearStart
from skae._fitting.step import BACKWARD, MLPStep
from skae.bottlenecks import Bottleneck
from skae.losses import AbsoluteError, CallableLoss, Huber, LogLoss, SquaredError
from skae.networks import ACTIVATIONS, MLPAutoencoder

pytestmark = pytest.mark.filterwarnings(  # of a few epochs from random weights
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

N_SAMPLES, N_FEATURES, N_COMPONENTS = 11, 5, 3
RNG = np.random.default_rng(0)
BATCH = torch.from_numpy(RNG.normal(size=(N_SAMPLES, N_FEATURES)))
TARGET = torch.from_numpy(RNG.random(size=(N_SAMPLES, N_FEATURES)))
WEIGHT = torch.from_numpy(RNG.random(N_SAMPLES) + 0.1)


def log_cosh(output, X):
    return (output - X).cosh().log().mean(1)


LOSSES = {
    "squared": SquaredError(),
    "absolute": AbsoluteError(),
    "huber": Huber(delta=0.5),
    "log_loss": LogLoss(),
    "function": CallableLoss(log_cosh),
}
SIZES = pytest.mark.parametrize("sizes", [(7,), (7, 6), (6, 8, 4)], ids=str)
PATHS = pytest.mark.parametrize("paths", [False, True], ids=["plain", "paths"])
WEIGHTS = pytest.mark.parametrize(
    "weight", [None, WEIGHT], ids=["unweighted", "weighted"]
)


def perturbed(
    paths, sizes=(7, 6), activation="silu", loss=None, n_components=N_COMPONENTS
):
    """Return a module in float64 of which no parameter is zero."""
    generator = torch.Generator().manual_seed(1)
    module = MLPAutoencoder(N_FEATURES, n_components, sizes, activation, generator)
    if paths:
        start = LinearStart(
            mean=np.linspace(0.2, 0.8, N_FEATURES),
            scale=0.1,
            components=RNG.normal(size=(n_components, N_FEATURES)),
            spread=np.linspace(2.0, 0.3, n_components),
        )
        module = PCAStart(module, start, loss or SquaredError(), Bottleneck())
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.3 * noise)
    return module


def step_of(module, loss=None):
    network, paths = module, None
    if isinstance(module, PCAStart):
        network, paths = module.network, (module.encoder_path, module.decoder_path)
    return MLPStep(network.encoder, network.decoder, paths, loss or SquaredError())


def by_autograd(module, loss, weight):
    """Return the mean loss, the output and the gradients by name."""
    output = module.decode(module.encode(BATCH))
    losses = loss(output, TARGET)
    mean = (losses if weight is None else losses * weight).mean()
    mean.backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    return mean.detach(), output.detach(), gradients


def assert_agrees(module, loss, weight):
    """Compare the loss, the output and every gradient to round-off."""
    expected = by_autograd(copy.deepcopy(module), loss, weight)
    step = step_of(module, loss)
    found = (
        *step(BATCH, TARGET, weight),
        {name: p.grad for name, p in module.named_parameters()},
    )
    assert all(gradient.any() for gradient in expected[2].values())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


@SIZES
@PATHS
@WEIGHTS
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(activation, weight, paths, sizes):
    module = perturbed(paths, sizes, activation)
    assert_agrees(module, SquaredError(), weight)


@PATHS
@WEIGHTS
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradients_of_every_loss_are_those_of_autograd(loss, weight, paths):
    assert_agrees(perturbed(paths, loss=loss), loss, weight)


@PATHS
@SIZES
@pytest.mark.parametrize("n_components", [1, 9])
def test_gradients_of_narrow_and_wide_codes_are_those_of_autograd(
    n_components, sizes, paths
):
    module = perturbed(paths, sizes, n_components=n_components)
    assert_agrees(module, SquaredError(), None)


def test_every_activation_has_a_backward():
    assert set(BACKWARD) == set(ACTIVATIONS.values())


@PATHS
def test_gradients_of_a_second_call_do_not_add_up(paths):
    module = perturbed(paths)
    step = step_of(module)
    step(BATCH, TARGET, None)
    first = step.parameters.grad.clone()
    step(BATCH.flip(0), TARGET, WEIGHT)
    assert not torch.equal(step.parameters.grad, first)
    step(BATCH, TARGET, None)
    assert torch.equal(step.parameters.grad, first)


@PATHS
def test_step_leaves_the_batch_alone(paths):
    given = [tensor.clone() for tensor in (BATCH, TARGET, WEIGHT)]
    step_of(perturbed(paths))(*given)
    for tensor, before in zip(given, (BATCH, TARGET, WEIGHT), strict=True):
        assert torch.equal(tensor, before)


@PATHS
def test_step_returns_nothing_of_autograd(paths):
    loss, output = step_of(perturbed(paths))(BATCH, TARGET, None)
    assert not loss.requires_grad
    assert not output.requires_grad


# One tensor for all parameters


def storages(tensors):
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


@PATHS
def test_parameters_and_gradients_are_views_of_one_tensor(paths):
    module = perturbed(paths)
    step = step_of(module)
    parameters = list(module.parameters())
    assert storages(parameters) == storages([step.parameters])
    assert storages(p.grad for p in parameters) == storages([step.parameters.grad])
    with torch.no_grad():
        step.parameters.fill_(3.0)
        step.parameters.grad.fill_(4.0)
    assert all((p == 3).all() and (p.grad == 4).all() for p in parameters)


@PATHS
def test_values_are_kept_when_parameters_become_views(paths):
    module = perturbed(paths)
    before = copy.deepcopy(module.state_dict())
    step = step_of(module)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    step.release()
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


@PATHS
def test_what_no_parameter_uses_stays_zero(paths):
    """The flat tensor pads the path beside the first layer with a bias."""
    module = perturbed(paths)
    step = step_of(module)
    optimizer = torch.optim.AdamW([step.parameters], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        step(BATCH, TARGET, None)
        optimizer.step()
    flat = step.parameters.detach().clone()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    n_used = sum(parameter.numel() for parameter in module.parameters())
    assert len(flat) - n_used == (N_COMPONENTS if paths else 0)
    assert not step.parameters.any()
    assert flat.count_nonzero() == n_used


def assert_independent(parameters):
    parameters = list(parameters)
    assert len(storages(parameters)) == len(parameters)
    for parameter in parameters:
        assert parameter.is_contiguous()
        assert parameter.untyped_storage().nbytes() == parameter.nbytes
        assert parameter.grad is None


@PATHS
def test_released_parameters_are_independent(paths):
    module = perturbed(paths)
    step = step_of(module)
    step(BATCH, TARGET, None)
    step.release()
    assert_independent(module.parameters())
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        step.parameters.zero_()
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


# Whole fits

ANGLE = RNG.uniform(0, 2 * np.pi, 200)
X = np.column_stack([np.cos(ANGLE), np.sin(ANGLE), np.cos(2 * ANGLE)])
X = X + 0.05 * RNG.normal(size=X.shape)


def estimator(**settings):
    short = {"n_components": 1, "max_epochs": 8}
    if isinstance(settings.get("network", "auto"), str):
        short["hidden_layer_sizes"] = (16, 8)
    short |= {"precision": "float64", "early_stopping": False, "random_state": 0}
    return AutoencoderTransformer(**short | settings)


@pytest.fixture
def autograd(monkeypatch):
    """Return a function that makes every later fit use autograd."""

    def use():
        monkeypatch.setattr(train, "step_by_hand", lambda *a, **options: None)

    return use


@pytest.fixture
def steps(monkeypatch):
    """Return the list of the steps by hand that are built."""
    built = []

    class Noted(MLPStep):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            built.append(self)

    monkeypatch.setattr(train, "MLPStep", Noted)
    return built


def sgd(**settings):
    return {"solver": "sgd", "learning_rate": 0.1, "alpha": 0.001, **settings}


FITS = {
    "adamw": {},
    "adam": {"solver": "adam", "alpha": 0.001},
    "sgd": sgd(),
    "constant": {"schedule": "constant", "learning_rate": 1e-3},
    "random": {"init": "random"},
    "overcomplete": {"n_components": 2, "hidden_layer_sizes": (1,)},
    "decay": {"alpha": 0.5},
    "decay_sgd": sgd(alpha=0.05),
    "early_stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "patience": {
        "early_stopping": True,
        "schedule": "constant",
        "tol": 0.2,
        "n_iter_no_change": 2,
        "max_epochs": 50,
        **sgd(),
    },
    "absolute_error": {"loss": "absolute_error"},
    "huber": {"loss": Huber(delta=0.1)},
    "function": {"loss": log_cosh},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("settings", FITS.values(), ids=FITS)
def test_fit_agrees_with_autograd(settings, weighted, steps, autograd):
    weight = np.linspace(0.5, 2, len(X)) if weighted else None
    by_hand = estimator(**settings).fit(X, sample_weight=weight)
    assert len(steps) == 1
    autograd()
    expected = estimator(**settings).fit(X, sample_weight=weight)
    assert len(steps) == 1
    assert by_hand.n_epochs_ == expected.n_epochs_
    assert by_hand.best_epoch_ == expected.best_epoch_
    assert by_hand.proven_ == expected.proven_
    for curve in ("loss_curve_", "validation_loss_curve_"):
        found = getattr(by_hand, curve)
        np.testing.assert_allclose(found, getattr(expected, curve), rtol=1e-8)
    for method in ("transform", "reconstruct"):
        found, other = (getattr(fit, method)(X) for fit in (by_hand, expected))
        np.testing.assert_allclose(found, other, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_fit_to_many_columns_agrees_with_autograd(init, steps, autograd):
    wide = X @ np.random.default_rng(1).normal(size=(3, 400))  # learns at shares
    settings = {"init": init, "max_epochs": 4}
    by_hand = estimator(**settings).fit(wide).reconstruct(wide)
    assert len(steps[0].named_parameters()) == 2 + (init == "pca")
    autograd()
    expected = estimator(**settings).fit(wide).reconstruct(wide)
    np.testing.assert_allclose(by_hand, expected, rtol=1e-6, atol=1e-7)


def test_fit_to_probabilities_agrees_with_autograd(steps, autograd):
    unit = 1 / (1 + np.exp(-X))
    by_hand = estimator(loss="log_loss").fit(unit).reconstruct(unit)
    assert len(steps) == 1
    autograd()
    expected = estimator(loss="log_loss").fit(unit).reconstruct(unit)
    np.testing.assert_allclose(by_hand, expected, rtol=1e-8)


@pytest.mark.parametrize("solver", ["adamw", "adam", "sgd"])
def test_partial_fits_agree_with_autograd(solver, autograd):
    fits = [estimator(solver=solver, learning_rate=2e-3) for _ in range(2)]
    for _ in range(3):
        fits[0].partial_fit(X)
    autograd()
    for _ in range(3):
        fits[1].partial_fit(X)
    codes = [fit.transform(X) for fit in fits]
    np.testing.assert_allclose(*codes, rtol=1e-7, atol=1e-8)


def test_fit_in_float32_agrees_with_autograd_in_float64(steps, autograd):
    # Descent, as Adam takes the sign of what is next to nothing.
    by_hand = estimator(precision="float32", **sgd()).fit(X).reconstruct(X)
    autograd()
    expected = estimator(**sgd()).fit(X).reconstruct(X)
    np.testing.assert_allclose(by_hand, expected, atol=1e-5)
    assert steps[0].parameters.dtype == torch.float32


# Where autograd is needed


class Widened(MLPAutoencoder):
    """A user's network that looks like ours."""

    def encode(self, X):
        return super().encode(X) * 2


class Linear(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": torch.optim.AdamW},
        {"solver": torch.optim.LBFGS, "max_epochs": 1},
        {"precision": "mixed"},
        {"hidden_layer_sizes": ()},
        {"network": Linear},
        {"network": Widened},
    ],
    ids=["class", "closure", "mixed", "no hidden layer", "user's", "derived"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_autograd_is_used_where_it_is_needed(method, settings, init, steps):
    getattr(estimator(init=init, **settings), method)(X)
    assert steps == []


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_our_network_is_trained_by_hand(precision, method, init, steps):
    getattr(estimator(init=init, precision=precision), method)(X)
    assert len(steps) == 1


def with_dropout(n_features, n_components):
    network = MLPAutoencoder(n_features, n_components, (16, 8))
    network.encoder[1] = nn.Sequential(nn.SiLU(), nn.Dropout(0.5))
    return network


def with_another_activation(n_features, n_components):
    network = MLPAutoencoder(n_features, n_components, (16, 8))
    network.decoder[1] = nn.Tanh()
    return network


def with_a_frozen_layer(n_features, n_components):
    network = MLPAutoencoder(n_features, n_components, (16, 8))
    network.encoder[0].requires_grad_(False)
    return network


class DerivedError(SquaredError):
    """A user's loss that inherits from one which writes its gradient out."""

    def __call__(self, output, X):
        return 3 * super().__call__(output, X).sqrt()


@pytest.mark.parametrize(
    "settings",
    [
        {"network": functools.partial(MLPAutoencoder, hidden_layer_sizes=(16, 8))},
        {"network": with_dropout},
        {"network": with_another_activation},
        {"network": with_a_frozen_layer},
        {"loss": DerivedError()},
    ],
    ids=["partial", "dropout", "activation", "frozen", "derived loss"],
)
@pytest.mark.parametrize("init", ["pca", "random"])
def test_what_only_looks_like_ours_is_trained_as_it_is(init, settings, autograd):
    settings = {"init": init, **settings, **sgd()}
    found = estimator(**settings).fit(X).reconstruct(X)
    autograd()
    expected = estimator(**settings).fit(X).reconstruct(X)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)


# What is left behind


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fitted_parameters_are_independent(early_stopping, warm_start):
    settings = {"early_stopping": early_stopping, "warm_start": warm_start}
    fitted = estimator(**settings).fit(X)
    assert_independent(fitted.net_.module_.parameters())


def test_parameters_are_independent_after_ctrl_c():
    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    interrupted = estimator(callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X)
    assert_independent(interrupted.net_.module_.parameters())


@pytest.mark.parametrize("settings", [{}, {"warm_start": True}], ids=str)
def test_pickle_is_no_larger_than_with_autograd(settings, autograd):
    by_hand = len(pickle.dumps(estimator(**settings).fit(X)))
    autograd()
    expected = len(pickle.dumps(estimator(**settings).fit(X)))
    assert by_hand <= 1.01 * expected


def test_snapshot_of_an_epoch_is_not_changed_by_the_next():
    class Snapshot(Callback):
        taken = []

        def on_epoch_end(self, net, **kwargs):
            module = net.snapshot().module_
            self.taken.append((module, copy.deepcopy(module.state_dict())))

    estimator(callbacks=[Snapshot()]).fit(X)
    assert len(Snapshot.taken) == 8
    for module, state in Snapshot.taken:
        assert_independent(module.parameters())
        torch.testing.assert_close(module.state_dict(), state, rtol=0, atol=0)


# Callbacks that look at gradients


class Log(SimpleNamespace):
    """Stays itself when callbacks are copied for a fit."""

    def __deepcopy__(self, memo):
        return self


class Gradients(Callback):
    """Notes the norm of all gradients, as named and as the parameters have them."""

    def __init__(self):
        self.log = Log(named=[], own=[], start=None)

    def on_train_begin(self, net, **kwargs):
        self.log.start = copy.deepcopy(net.module_.state_dict())

    def on_grad_computed(self, net, named_parameters, **kwargs):
        named = [parameter for _, parameter in named_parameters]
        for norms, parameters in (
            (self.log.named, named),
            (self.log.own, net.module_.parameters()),
        ):
            gradients = [parameter.grad.flatten() for parameter in parameters]
            norms.append(torch.cat(gradients).norm().item())


BOTH = pytest.mark.parametrize("path", ["by hand", "autograd"])


@BOTH
def test_callbacks_see_the_gradients_of_each_step(path, autograd):
    if path == "autograd":
        autograd()
    noting = Gradients()
    estimator(callbacks=[noting], batch_size=50).fit(X)
    log = noting.log
    assert len(log.named) == len(log.own) == 8 * 4
    assert np.isfinite(log.named).all()
    assert min(log.named) > 0
    if path == "autograd":
        np.testing.assert_allclose(log.own, log.named)


def test_callbacks_see_the_same_gradients_as_with_autograd(autograd):
    by_hand, expected = Gradients(), Gradients()
    estimator(init="random", callbacks=[by_hand]).fit(X)
    autograd()
    estimator(init="random", callbacks=[expected]).fit(X)
    np.testing.assert_allclose(by_hand.log.named, expected.log.named, rtol=1e-7)


def update_of_one_step(clip, **settings):
    """Return the norm of what the only step of stochastic descent changes."""
    noting, clipping = Gradients(), GradientNormClipping(clip)
    one_step = {"batch_size": len(X), "max_epochs": 1, "schedule": "constant"}
    fitted = estimator(
        init="random",
        callbacks=[noting, clipping],
        **sgd(learning_rate=1e-3, alpha=0),
        **one_step | settings,
    ).fit(X)
    changes = [
        (value - noting.log.start[name]).flatten()
        for name, value in fitted.net_.module_.state_dict().items()
    ]
    return torch.cat(changes).norm().item(), noting.log.named[0]


NESTEROV = 1.9  # the first step is the gradient, and the momentum of 0.9 of it


@BOTH
def test_clipping_bounds_the_update(path, autograd):
    if path == "autograd":
        autograd()
    update, norm = update_of_one_step(clip=0.01)
    assert norm > 0.1
    assert update == pytest.approx(1e-3 * NESTEROV * 0.01, rel=1e-4)


@BOTH
def test_clipping_of_small_gradients_changes_nothing(path, autograd):
    if path == "autograd":
        autograd()
    update, norm = update_of_one_step(clip=1e6)
    assert update == pytest.approx(1e-3 * NESTEROV * norm, rel=1e-9)


def test_clipped_fit_agrees_with_autograd(autograd):
    settings = {"callbacks": [GradientNormClipping(0.01)], **sgd()}
    by_hand = estimator(**settings).fit(X).transform(X)
    unclipped = estimator(**settings | {"callbacks": None}).fit(X).transform(X)
    autograd()
    expected = estimator(**settings).fit(X).transform(X)
    np.testing.assert_allclose(by_hand, expected, rtol=1e-7, atol=1e-8)
    assert np.abs(unclipped - expected).max() > 1e-3


# Going on another way

METHODS = list(itertools.product(["fit", "partial_fit"], repeat=2))


@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("first", ["adamw", torch.optim.AdamW])
def test_training_goes_on_with_or_without_autograd(first, methods, steps):
    other = {"adamw": torch.optim.AdamW, torch.optim.AdamW: "adamw"}[first]
    gentle = {"learning_rate": 1e-3, "alpha": 0.01, "warm_start": True}
    fitted = estimator(solver=first, **gentle).fit(X)
    loss, n_by_hand = fitted.loss_curve_[-1], len(steps)
    for solver, method in zip((other, first), methods, strict=True):
        getattr(fitted.set_params(solver=solver), method)(X)
    assert fitted.n_epochs_ == 8 + sum({"fit": 8, "partial_fit": 1}[m] for m in methods)
    assert (n_by_hand, len(steps)) == ((1, 2) if first == "adamw" else (0, 1))
    assert fitted.loss_curve_[-1] < loss


@pytest.mark.parametrize("then", ["adamw", torch.optim.AdamW])
def test_going_on_from_a_pickle_needs_no_step(then):
    fitted = estimator(warm_start=True).fit(X)
    restored = pickle.loads(pickle.dumps(fitted)).set_params(solver=then)
    expected = fitted.set_params(solver=then).fit(X).transform(X)
    np.testing.assert_array_equal(restored.fit(X).transform(X), expected)
