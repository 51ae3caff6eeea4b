"""Between two epochs: the best one is kept, Ctrl-C and divergence end well."""

import copy
import importlib
import io
import multiprocessing
import re
import signal
import sys
import time
import warnings
from collections import Counter
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    Freezer,
    LRScheduler,
)
from torch import nn
from tqdm import TqdmWarning

from skae import AutoencoderTransformer
from skae._fitting.callbacks import BestEpoch, _tqdm

ANGLE = np.random.default_rng(0).uniform(0, 2 * np.pi, 240)
X = np.column_stack([np.cos(ANGLE), np.sin(ANGLE), np.cos(2 * ANGLE)])


def estimator(**settings):
    defaults = {"n_components": 1, "max_epochs": 6, "random_state": 0}
    defaults |= {"alpha": 0.01, "learning_rate": 2e-3}
    defaults |= {"early_stopping": True, "validation_fraction": 1 / 6}
    return AutoencoderTransformer(**defaults | settings)


# BestEpoch


def train(losses, start_loss=np.inf, patience=100, tol=0.0, monitor="valid_loss"):
    """Run through epochs of these losses; the weight is the number of the epoch."""
    module = nn.Linear(1, 1, bias=False)
    net = SimpleNamespace(history=[], module_=module, lr=0.1, stops_=False)
    net.max_epochs = len(losses)
    best = BestEpoch(monitor, start_loss, patience, tol)
    with torch.no_grad():
        module.weight.fill_(0)
        best.on_train_begin(net)
        for number, loss in enumerate(losses, start=1):
            module.weight.fill_(number)
            epoch = {"epoch": number, "batches": [], "train_loss": 1.0, monitor: loss}
            net.history.append(epoch)
            best.on_epoch_end(net)
            if net.stops_:
                break
        best.on_train_end(net)
    return best, net


@pytest.mark.parametrize("start_loss", [np.inf, 9.0])
def test_weights_of_the_best_epoch_are_restored(start_loss):
    best, net = train([5, 3, 1, 2, 4], start_loss)
    assert best.best_epoch_ == 3
    assert net.module_.weight.item() == 3


def test_weights_of_the_start_are_restored_if_nothing_is_better():
    best, net = train([3, 2, 2.5], start_loss=1.0)
    assert best.best_epoch_ == 0
    assert net.module_.weight.item() == 0


def test_weights_of_the_last_epoch_stay_where_nothing_is_held_out():
    best, net = train([5, 3, 1, 2, 4], monitor="train_loss")
    assert best.best_epoch_ == 5
    assert net.module_.weight.item() == 5


def test_start_of_unknown_loss_is_never_restored():
    best, net = train([3, 4])
    assert best.best_epoch_ == 1
    assert net.module_.weight.item() == 1


MONITORS = pytest.mark.parametrize("monitor", ["train_loss", "valid_loss"])


@MONITORS
@pytest.mark.parametrize("patience", [1, 2, 5])
def test_training_stops_after_epochs_without_an_improvement(patience, monitor):
    _, net = train([5, 3, *[4] * 20], patience=patience, monitor=monitor)
    assert len(net.history) == 2 + patience


@MONITORS
def test_improvement_starts_the_count_anew(monitor):
    _, net = train([5, 6, 4, 6, 3, 6, 6, 2], patience=2, monitor=monitor)
    assert len(net.history) == 7


@MONITORS
@pytest.mark.parametrize(("factor", "n_epochs"), [(0.98, 6), (0.995, 3)])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_tol_is_relative_to_the_best_loss(unit, factor, n_epochs, monitor):
    losses = unit * factor ** np.arange(6)
    _, net = train(losses, patience=2, tol=0.01, monitor=monitor)
    assert len(net.history) == n_epochs


def test_improvement_within_tol_is_kept_though_it_does_not_count():
    best, net = train([1.0, 0.999, 0.998], patience=2, tol=0.01)
    assert best.best_epoch_ == 3
    assert net.module_.weight.item() == 3


def test_negative_losses_that_rise_are_no_improvement():
    best, net = train([-10, -9.95, -9.94, -9.93], patience=2, tol=1e-2)
    assert len(net.history) == 3
    assert best.best_epoch_ == 1


def test_negative_losses_that_fall_are_an_improvement():
    best, net = train([-10, -11, -12, -13], patience=1, tol=1e-2)
    assert best.best_epoch_ == 4
    assert not net.stops_


@MONITORS
@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_loss_that_is_not_finite_raises(loss, monitor):
    with pytest.raises(ValueError, match=r"epoch 2.*learning_rate \(now 0.1\)"):
        train([1.0, loss], monitor=monitor)


# Early stopping of the estimator


def test_best_epoch_has_the_least_held_out_loss():
    noise = np.random.default_rng(0).normal(size=(200, 6))
    found = estimator(early_stopping=True, learning_rate=0.05).fit(noise)
    curve = found.validation_loss_curve_
    assert found.best_epoch_ in (0, 1 + np.argmin(curve))


def test_patience_of_the_estimator_stops_training():
    noise = np.random.default_rng(0).normal(size=(200, 6))
    found = estimator(
        learning_rate=0.1, schedule="constant", n_iter_no_change=2, max_epochs=100
    ).fit(noise)
    assert found.n_epochs_ < 100


def test_kept_weights_are_those_of_the_best_epoch():
    seen = []

    def noting_loss(output, target):
        loss = (output - target).square().mean(1)
        if not torch.is_grad_enabled():
            seen.append(loss.mean().item())
        return loss

    found = estimator(
        init="random",
        loss=noting_loss,
        validation_fraction=0.1,
        learning_rate=0.03,
        schedule="constant",
        max_epochs=40,
        batch_size=32,
    )
    found.fit(X)
    assert 0 < found.best_epoch_ < found.n_epochs_
    # The last rows that the loss saw are the held-out ones, when all was over.
    assert seen[-1] == pytest.approx(min(found.validation_loss_curve_))


# Divergence

DIVERGING = {"solver": "sgd", "learning_rate": 1e6, "early_stopping": False}


@pytest.mark.filterwarnings("ignore:Training diverged")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_divergence_names_the_learning_rate(init, method):
    diverging = estimator(init=init, **DIVERGING)
    message = r"diverged.*learning_rate \(now (1e\+06|100000)\)"
    with pytest.raises(ValueError, match=message):
        getattr(diverging, method)(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_divergence_in_the_very_last_step_is_an_error(init, method):
    """The loss of an epoch is measured before its last step."""
    only_step = {"batch_size": 240, "max_epochs": 1, "schedule": "constant"}
    settings = DIVERGING | {"learning_rate": 1e200} | only_step
    with pytest.raises(ValueError, match="diverged.*learning_rate"):
        getattr(estimator(init=init, **settings), method)(X)


@pytest.mark.filterwarnings("ignore:Training diverged")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_divergence_leaves_an_estimator_unfitted(method):
    diverging = estimator(**DIVERGING)
    with pytest.raises(ValueError, match="diverged"):
        getattr(diverging, method)(X)
    with pytest.raises(NotFittedError):
        check_is_fitted(diverging)


@pytest.mark.filterwarnings("ignore:Training diverged")
@pytest.mark.parametrize(
    ("method", "warm_start"),
    [("fit", False), ("fit", True), ("partial_fit", False), ("partial_fit", True)],
)
def test_divergence_leaves_the_previous_fit(method, warm_start):
    fitted = estimator(solver="sgd", warm_start=warm_start, early_stopping=False)
    fitted.partial_fit(X)
    before = fitted.transform(X)
    attributes = {name: id(value) for name, value in vars(fitted).items()}
    with pytest.raises(ValueError, match="diverged"):
        getattr(fitted.set_params(learning_rate=1e6), method)(X)
    fitted.set_params(learning_rate=2e-3)
    np.testing.assert_array_equal(fitted.transform(X), before)
    learnt = {name for name in attributes if name.endswith("_")} - {"n_features_in_"}
    assert {name: id(getattr(fitted, name)) for name in learnt} == {
        name: attributes[name] for name in learnt
    }


def test_training_goes_on_after_divergence_as_if_nothing_had_happened():
    settings = {"solver": "sgd", "learning_rate": 2e-3}
    expected = estimator(**settings).partial_fit(X).partial_fit(X)
    found = estimator(**settings).partial_fit(X)
    with pytest.raises(ValueError, match="diverged"):
        found.set_params(learning_rate=1e6).partial_fit(X)
    found.set_params(**settings).partial_fit(X)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))


@pytest.mark.filterwarnings("ignore:Training diverged")
def test_network_of_nan_diverges():
    class Network(nn.Module):
        def __init__(self, n_features, n_components):
            super().__init__()
            self.encode = nn.Linear(n_features, n_components)
            self.decoder = nn.Linear(n_components, n_features)

        def decode(self, code):
            return self.decoder(code) * (torch.nan if self.training else 1)

    with pytest.raises(ValueError, match="diverged: the loss became nan"):
        estimator(network=Network).fit(X)


class NanOnce(nn.Module):
    """Gives NaN in one batch of the training."""

    when, n_calls = 12, 0

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components)
        self.decoder = nn.Linear(n_components, n_features)

    def decode(self, code):
        NanOnce.n_calls += self.training
        is_bad = self.training and NanOnce.n_calls == self.when
        return self.decoder(code) * (torch.nan if is_bad else 1)


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_training_that_diverges_once_goes_on_slower(schedule, early_stopping):
    NanOnce.n_calls = 0
    settings = {"schedule": schedule, "early_stopping": early_stopping}
    found = estimator(network=NanOnce, batch_size=40, max_epochs=8, **settings)
    found.set_params(learning_rate=2e-3, init="random", tol=0)
    with pytest.warns(ConvergenceWarning) as warned:
        found.fit(X)
    message = str(warned[0].message)
    assert re.search("diverged: the loss became nan in epoch [23]", message)
    assert "from epoch" in message
    assert "learning_rate 0.0002" in message
    losses = np.array(found.loss_curve_)
    assert np.isnan(losses).sum() == 1
    assert found.n_epochs_ == 8
    assert losses[-1] < losses[0]
    assert np.isfinite(found.transform(X)).all()
    assert found.net_.lr == pytest.approx(2e-4)


# Time


class Slow(Callback):
    def on_epoch_end(self, net, **kwargs):
        time.sleep(0.1)


def test_training_ends_in_time():
    found = estimator(callbacks=[Slow()], max_epochs=1000, max_time=0.6).fit(X)
    assert 2 <= found.n_epochs_ <= 7
    assert found.best_epoch_ <= found.n_epochs_


def test_one_epoch_is_trained_in_no_time():
    assert estimator(max_epochs=5, max_time=1e-9).fit(X).n_epochs_ == 1


# Ctrl-C


class InterruptedNetwork(nn.Module):
    """Raises KeyboardInterrupt once, in a step of the training of any instance."""

    steps_left = 0

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Linear(n_features, n_components)
        self.decoder = nn.Linear(n_components, n_features)

    def encode(self, X):
        if self.training:
            InterruptedNetwork.steps_left -= 1
            if InterruptedNetwork.steps_left == 0:
                raise KeyboardInterrupt
        return self.encoder(X)

    def decode(self, code):
        return self.decoder(code)


class CtrlC(Callback):
    """Sends a real SIGINT when `event` happens for the n-th time."""

    def __init__(self, event, n=1):
        self.event = event
        self.n = n

    def count(self, event):
        if event == self.event:
            self.n -= 1
            if self.n == 0:
                signal.raise_signal(signal.SIGINT)

    def on_train_begin(self, net, **kwargs):
        self.count("train_begin")

    def on_epoch_begin(self, net, **kwargs):
        self.count("epoch_begin")

    def on_batch_end(self, net, training=False, **kwargs):
        self.count("batch_end" if training else "validation")

    def on_epoch_end(self, net, **kwargs):
        self.count("epoch_end")


# Step of the interruption of a network, settings, number of epochs that were finished.
NETWORK = {"network": InterruptedNetwork, "batch_size": 100}  # two steps an epoch
INTERRUPTED = {
    "first_step_of_network": (1, NETWORK, 0),
    "fifth_step_of_network": (5, NETWORK, 2),
    "first_batch": (0, {"callbacks": [CtrlC("batch_end")]}, 0),
    "second_epoch_begins": (0, {"callbacks": [CtrlC("epoch_begin", 2)]}, 1),
    "validation": (0, {"callbacks": [CtrlC("validation")]}, 0),
    "third_epoch_ends": (0, {"callbacks": [CtrlC("epoch_end", 3)]}, 3),
}


@pytest.fixture(params=INTERRUPTED)
def interrupted(request, monkeypatch):
    """Return an estimator whose fit was interrupted, and its finished epochs."""
    step, settings, n_epochs = INTERRUPTED[request.param]
    monkeypatch.setattr(InterruptedNetwork, "steps_left", step)
    fitted = estimator(**settings)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    return fitted, n_epochs


def test_interrupted_estimator_is_fitted(interrupted):
    fitted, _ = interrupted
    check_is_fitted(fitted)
    assert np.isfinite(fitted.transform(X)).all()
    assert np.isfinite(fitted.score(X))


def test_interrupted_estimator_reports_the_finished_epochs(interrupted):
    fitted, n_epochs = interrupted
    assert fitted.n_epochs_ == len(fitted.loss_curve_) == n_epochs
    assert len(fitted.validation_loss_curve_) == n_epochs
    assert len(fitted.history_) == n_epochs


def test_interrupted_estimator_keeps_the_best_epoch(interrupted):
    fitted, n_epochs = interrupted
    assert 0 <= fitted.best_epoch_ <= n_epochs
    if fitted.proven_:
        assert fitted.best_epoch_ == 1 + np.argmin(fitted.validation_loss_curve_)


def test_interrupted_estimator_is_not_worse_than_pca(interrupted):
    fitted, _ = interrupted
    explained = PCA(1).fit(X).explained_variance_ratio_.sum()
    assert fitted.score(X) > explained - 0.02


def test_interrupted_estimator_can_be_trained_further(interrupted):
    fitted, n_epochs = interrupted
    fitted.set_params(callbacks=None)
    fitted.partial_fit(X)
    assert fitted.n_epochs_ == n_epochs + 1


def test_interrupt_in_the_first_step_from_random_weights_leaves_them(monkeypatch):
    monkeypatch.setattr(InterruptedNetwork, "steps_left", 1)
    fitted = estimator(network=InterruptedNetwork, init="random")
    with pytest.warns(match="reconstructs worse"), pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    assert np.isfinite(fitted.transform(X)).all()


def test_interrupted_partial_fit_keeps_what_was_learnt_before():
    fitted = estimator(batch_size=100).partial_fit(X)
    with pytest.raises(KeyboardInterrupt):
        fitted.set_params(callbacks=[CtrlC("batch_end", 2)]).partial_fit(X)
    assert fitted.n_epochs_ == 1
    assert fitted.set_params(callbacks=None).partial_fit(X).n_epochs_ == 2


def test_interrupted_partial_fit_keeps_the_history_of_an_unproven_fit():
    noise = np.random.default_rng(0).normal(size=(200, 6))
    fitted = estimator().fit(noise)
    assert fitted.proven_ is False
    with pytest.raises(KeyboardInterrupt):
        fitted.set_params(callbacks=[CtrlC("batch_end")]).partial_fit(noise)
    assert fitted.n_epochs_ == 6


def test_interrupt_stops_a_grid_search(monkeypatch):
    monkeypatch.setattr(InterruptedNetwork, "steps_left", 1)
    fits = []

    def network(n_features, n_components):
        fits.append(n_components)
        return InterruptedNetwork(n_features, n_components)

    slow = estimator(network=network, early_stopping=False)
    search = GridSearchCV(slow, {"n_components": [1, 2]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X)
    assert set(fits) == {1}


# skorch's callbacks


def test_early_stopping_of_skorch_stops_without_raising():
    stopping = EarlyStopping(
        "train_loss", patience=2, threshold=1e9, threshold_mode="abs"
    )
    fitted = estimator(callbacks=[stopping], max_epochs=20).fit(X)
    assert fitted.n_epochs_ < 5


def test_callback_that_sets_stops_ends_training_without_raising():
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.stops_ = len(net.history) == 2

    assert estimator(callbacks=[Stop()]).fit(X).n_epochs_ == 2


def test_callbacks_of_the_user_are_not_changed():
    schedule = LRScheduler(policy="StepLR", step_size=1)
    before = copy.deepcopy(vars(schedule))
    fitted = estimator(callbacks=[("schedule", schedule)])
    fitted.fit(X).fit(X)
    assert vars(schedule) == before


def test_checkpoint_of_skorch_saves(tmp_path):
    estimator(callbacks=[Checkpoint(dirname=tmp_path)]).fit(X)
    assert (tmp_path / "params.pt").exists()


@pytest.mark.parametrize("solver", ["adamw", torch.optim.AdamW])
@pytest.mark.parametrize("name", ["train_loss_best", "valid_loss_best"])
def test_checkpoint_of_skorch_saves_the_best_epoch(tmp_path, name, solver):
    saving = Checkpoint(dirname=tmp_path, monitor=name, f_optimizer=None)
    settings = {"callbacks": [saving], "solver": solver, "learning_rate": 0.01}
    fitted = estimator(**settings).fit(X)
    assert fitted.proven_ is True
    saved, kept = torch.load(tmp_path / "params.pt"), fitted.net_.module_.state_dict()
    assert saved.pop("units") != kept.pop("units")  # chosen after the last epoch
    torch.testing.assert_close(saved, kept)


def test_rate_on_a_plateau_of_skorch_falls():
    class Rates(Callback):
        seen = []

        def on_epoch_end(self, net, **kwargs):
            self.seen.append(net.optimizer_.param_groups[0]["lr"])

    settings = {"monitor": "train_loss", "patience": 0, "threshold": 0.999}
    plateau = LRScheduler("ReduceLROnPlateau", factor=0.5, **settings)
    estimator(schedule="constant", callbacks=[plateau, Rates()], max_epochs=4).fit(X)
    np.testing.assert_allclose(Rates.seen, 2e-3 * 0.5 ** np.arange(4))


@pytest.mark.parametrize("solver", ["adamw", torch.optim.AdamW])
def test_frozen_parameters_stay_as_they_are(solver):
    freezer = Freezer("network.*")
    found = estimator(solver=solver, callbacks=[freezer], alpha=0.5, init="pca").fit(X)
    network = found.net_.module_.network
    assert not network.encoder[-1].weight.any()
    assert not network.decoder[-1].weight.any()


def test_callbacks_may_have_names():
    schedule = ("name", LRScheduler(policy="StepLR", step_size=1))
    assert estimator(callbacks=[schedule]).fit(X).n_epochs_ == 6


def test_error_in_a_callback_is_raised():
    class Failing(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("This fails.")

    with pytest.raises(RuntimeError, match="This fails"):
        estimator(callbacks=[Failing()]).fit(X)


# Progress


class Stream(io.StringIO):
    """Standard error as a terminal or a log has it."""

    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


class NotebookStream(Stream):
    """Standard error of a notebook: live, but no terminal."""

    __module__ = "ipykernel.iostream"


def terminal(monkeypatch):
    """Let standard error be a terminal, and return it.

    Not a fixture: pytest puts its own stream there before it calls a test.
    """
    stream = Stream(is_terminal=True)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def shown(stream):
    """Return what is to be seen of a line in the end."""
    return stream.getvalue().rstrip("\n").rpartition("\r")[-1]


def test_progress_line_shows_the_losses(monkeypatch):
    stream = terminal(monkeypatch)
    fitted = estimator(verbose=1).fit(X)
    line = shown(stream)
    assert line.startswith("Autoencoder: 100%")
    assert "6/6" in line
    assert f"train_loss={fitted.loss_curve_[-1]:.4g}" in line
    assert f"valid_loss={fitted.validation_loss_curve_[-1]:.4g}" in line


def test_progress_line_is_one_line(monkeypatch, capfd):
    stream = terminal(monkeypatch)
    estimator(verbose=1).fit(X)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\n")
    assert capfd.readouterr() == ("", "")


def test_progress_line_moves_with_the_epochs(monkeypatch):
    stream = terminal(monkeypatch)

    class Eyes(Callback):
        def on_epoch_end(self, net, **kwargs):
            time.sleep(0.11)  # tqdm writes every tenth of a second
            seen.append(shown(stream))

    seen = []
    settings = {"early_stopping": False, "max_epochs": 3, "callbacks": [Eyes()]}
    estimator(verbose=1, **settings).fit(X)
    assert [re.search(r"\d/3", line)[0] for line in seen][1:] == ["2/3", "3/3"]


@pytest.mark.parametrize("settings", [{}, {"schedule": "constant"}])
def test_nothing_is_written_to_a_log(capfd, settings):
    fitted = estimator(verbose=1, **settings).fit(X)
    assert fitted.n_epochs_ == 6
    assert capfd.readouterr() == ("", "")


def test_nothing_is_written_in_a_worker_process(monkeypatch):
    stream = terminal(monkeypatch)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "another one")
    estimator(verbose=1).fit(X)
    assert stream.getvalue() == ""


def test_progress_line_is_shown_in_a_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", NotebookStream(is_terminal=False))
    estimator(verbose=1).fit(X)
    assert "6/6" in shown(sys.stderr)


def test_notebook_without_widgets_gets_no_warning(monkeypatch, recwarn):
    shell = type("ZMQInteractiveShell", (), {"config": {"IPKernelApp": {}}})()
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", ModuleType("zmqshell"))
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell)
    )
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    warnings.simplefilter("always")
    with pytest.warns(TqdmWarning, match="ipywidgets"):
        importlib.import_module("tqdm.auto")
    for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    recwarn.clear()
    line = _tqdm.__wrapped__()(total=3, file=NotebookStream(is_terminal=False))
    line.close()
    assert len(recwarn) == 0
    assert "0/3" in line.fp.getvalue()


@pytest.mark.parametrize("stop", ["patience", "max_time"])
def test_line_of_training_that_stopped_early_is_full(monkeypatch, stop):
    stream = terminal(monkeypatch)
    settings = {"max_time": 1e-6}
    if stop == "patience":
        settings = {"schedule": "constant", "n_iter_no_change": 1, "tol": 0.9}
    fitted = estimator(verbose=1, **settings).fit(X)
    n_epochs = fitted.n_epochs_
    assert n_epochs < 6
    assert shown(stream).startswith("Autoencoder: 100%")
    assert f"{n_epochs}/{n_epochs} " in shown(stream)


def test_line_of_training_that_was_interrupted_is_not_full(monkeypatch):
    stream = terminal(monkeypatch)
    callbacks = [CtrlC("epoch_end", 2)]
    with pytest.raises(KeyboardInterrupt):
        estimator(verbose=1, callbacks=callbacks).fit(X)
    assert "2/6" in shown(stream)


def test_interrupt_before_the_first_epoch_ends_the_line(monkeypatch):
    stream = terminal(monkeypatch)
    callbacks = [CtrlC("train_begin")]
    with pytest.raises(KeyboardInterrupt):
        estimator(verbose=1, callbacks=callbacks).fit(X)
    assert stream.getvalue().endswith("\n")


@pytest.mark.filterwarnings("ignore:Training diverged")
def test_line_is_ended_before_an_error_is_shown(monkeypatch):
    stream = terminal(monkeypatch)
    diverging = estimator(verbose=1, **DIVERGING)
    with pytest.raises(ValueError, match="diverged") as error:
        diverging.fit(X)
    assert error.tb is not None  # which keeps the line from being collected
    assert stream.getvalue().endswith("\n")


def test_line_goes_on_where_a_checkpoint_was_taken_up(monkeypatch, tmp_path):
    stream = terminal(monkeypatch)

    class Killer(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) > 4:
                raise ZeroDivisionError

    settings = {"verbose": 1, "checkpoint": tmp_path}
    with pytest.raises(ZeroDivisionError):
        estimator(callbacks=[Killer()], **settings).fit(X)
    assert "4/6" in shown(stream)
    estimator(**settings).fit(X)
    assert "6/6" in shown(stream)


def test_nothing_is_written_where_nothing_is_trained(monkeypatch):
    stream = terminal(monkeypatch)
    estimator(verbose=1, early_stopping="auto").fit(X[:19])
    assert stream.getvalue() == ""


@pytest.mark.parametrize("n_samples", [20, 240])
def test_nothing_is_printed_by_default(capfd, n_samples):
    fitted = estimator().fit(X[:n_samples]).partial_fit(X)
    fitted.score(X)
    assert capfd.readouterr() == ("", "")


# Callbacks of scikit-learn


@pytest.fixture
def callback():
    """Return scikit-learn's module of callbacks."""
    return pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")


def r2(fitted, X, y):
    return fitted.score(X)


def weighted_r2(fitted, X, y, sample_weight):
    return {"r2": fitted.score(X, sample_weight=sample_weight)}


def monitor(callback):
    return callback.ScoringMonitor(scoring={"r2": r2})


def rows(log, task="epoch"):
    return [row for row in log.data if row["task_name"] == task]


def rows_of_the_fit(log):
    return rows(log.get_logs(), "fit")


class Recorder:
    """Base of our own callbacks; a hook may be replaced."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context):
        self.calls.append(f"{context.task_name} ends")


def test_scoring_monitor_logs_one_row_an_epoch(callback):
    log = monitor(callback)
    fitted = estimator().set_callbacks(log).fit(X)
    scores = [row["r2"] for row in rows(log.get_logs())]
    assert len(scores) == fitted.n_epochs_ == 6
    assert np.isfinite(scores).all()
    assert len(set(scores)) == 6


def test_scoring_monitor_scores_the_last_epoch_as_the_estimator_does(callback):
    log = monitor(callback)
    settings = {"early_stopping": False, "batch_size": 32}
    fitted = estimator(**settings).set_callbacks(log).fit(X)
    assert fitted.best_epoch_ == 6
    assert rows(log.get_logs())[-1]["r2"] == pytest.approx(fitted.score(X), rel=1e-12)


def test_scoring_monitor_scores_the_fit_as_the_estimator_does(callback):
    log = monitor(callback)
    fitted = estimator().set_callbacks(log).fit(X)
    (row,) = rows(log.get_logs(), "fit")
    assert row["r2"] == pytest.approx(fitted.score(X), rel=1e-12)


def test_scoring_monitor_passes_sample_weight(callback):
    log = callback.ScoringMonitor(scoring=weighted_r2)
    weight = np.arange(1.0, len(X) + 1)
    fitted = estimator().set_callbacks(log).fit(X, sample_weight=weight)
    (row,) = rows(log.get_logs(), "fit")
    assert row["r2"] == pytest.approx(fitted.score(X, sample_weight=weight), rel=1e-12)


IMAGES = np.random.default_rng(0).integers(0, 255, (60, 4, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    ("rows", "target"), [(X, X[:, :2]), (IMAGES, IMAGES[:, ::2, ::2])]
)
def test_scoring_monitor_gets_the_target_as_y(callback, rows, target):
    def score(fitted, X, y):
        assert y is not X
        return fitted.score(X, X_target=y)

    log = callback.ScoringMonitor(scoring={"score": score})
    fitted = estimator(network="mlp").set_callbacks(log).fit(rows, X_target=target)
    (row,) = rows_of_the_fit(log)
    assert row["score"] == pytest.approx(fitted.score(rows, X_target=target))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_scoring_monitor_does_not_change_what_is_learnt(callback, method):
    plain, monitored = estimator(), estimator().set_callbacks(monitor(callback))
    for fitted in (plain, monitored):
        getattr(fitted, method)(X)
    np.testing.assert_array_equal(plain.transform(X), monitored.transform(X))


@pytest.mark.xdist_group("loky")  # one worker starts the processes once
def test_scoring_monitor_logs_from_the_processes_of_a_grid_search(callback):
    log = monitor(callback)
    monitored = estimator(early_stopping=False).set_callbacks(log)
    grid = {"n_components": [1, 2]}
    GridSearchCV(monitored, grid, cv=2, n_jobs=2).fit(X)
    n_fits = 2 * 2 + 1  # two candidates in two folds, and the refit
    data = [row for log in log.get_logs(select="all") for row in rows(log)]
    assert len(data) == 6 * n_fits


def test_two_fits_with_callbacks_are_two_runs(callback):
    log = monitor(callback)
    fitted = estimator().set_callbacks(log)
    fitted.fit(X).fit(X)
    assert [len(rows(run)) for run in log.get_logs(select="all")] == [6, 6]


def test_hooks_are_called_in_order(callback):
    recorder = Recorder()
    estimator(max_epochs=2).set_callbacks(recorder).fit(X)
    epochs = ["epoch begins", "epoch ends"] * 2
    expected = ["setup", "fit begins", *epochs, "fit ends", "teardown"]
    assert recorder.calls == expected


def test_hooks_are_called_where_nothing_is_trained(callback):
    recorder = Recorder()
    estimator(early_stopping="auto").set_callbacks(recorder).fit(X[:19])
    assert recorder.calls == ["setup", "fit begins", "fit ends", "teardown"]


@pytest.mark.parametrize("stop_after", [1, 3])
def test_hook_that_returns_true_stops_training(callback, stop_after):
    class Stop(Recorder):
        def on_fit_task_end(self, estimator, context):
            self.calls.append("end")
            return len(self.calls) >= 2 * stop_after + 2

    fitted = estimator().set_callbacks(Stop()).fit(X)
    assert fitted.n_epochs_ == stop_after


def test_estimator_of_an_epoch_stays_as_it_was(callback):
    class Snapshots(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            self.taken.append((fitted_estimator, fitted_estimator.transform(X)))

    snapshots = Snapshots()
    snapshots.taken = []
    estimator().set_callbacks(snapshots).fit(X)
    for fitted, code in snapshots.taken:
        np.testing.assert_array_equal(fitted.transform(X), code)


def failing_settings():
    return {
        "divergence": (ValueError, DIVERGING),
        "interrupt": (KeyboardInterrupt, {"callbacks": [CtrlC("epoch_end")]}),
        "argument": (TypeError, {"network": nn.Linear(2, 2)}),
    }


@pytest.mark.filterwarnings("ignore:Training diverged")
@pytest.mark.parametrize("failure", failing_settings())
def test_teardown_after_an_exception_leaves_no_attribute(callback, failure):
    error, settings = failing_settings()[failure]
    fitted = estimator(**settings).set_callbacks(recorder := Recorder())
    with pytest.raises(error):
        fitted.fit(X)
    assert [name for name in vars(fitted) if name.startswith("_callback")] == []
    assert recorder.calls[-1:] in ([], ["teardown"])


def test_teardown_after_an_error_in_a_hook_leaves_no_attribute(callback):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("This fails.")

    fitted = estimator().set_callbacks(failing := Failing())
    with pytest.raises(RuntimeError, match="This fails"):
        fitted.fit(X)
    assert failing.calls[-1] == "teardown"
    assert [name for name in vars(fitted) if name.startswith("_callback")] == []


def test_progress_bar_shows_search_candidates_and_epochs(callback, capfd):
    pytest.importorskip("rich")

    class Bar(callback.ProgressBar):
        def on_fit_task_end(self, estimator, context):
            ended[context.task_name] += 1
            super().on_fit_task_end(estimator, context)

    ended = Counter()
    trained = estimator(early_stopping=False)
    search = GridSearchCV(trained, {"n_components": [1, 2]}, cv=2)
    search.set_callbacks(Bar()).fit(X)
    lines = capfd.readouterr().out.splitlines()
    depth = [len(line) - len(line.lstrip()) for line in lines]
    assert depth == [0, 2, 4, 4, 4, 4, 2]  # fit: search: two candidates x two folds
    assert all("AutoencoderTransformer" in line for line in lines[2:])
    n_epochs = 5 * 6  # those of four candidates and of the refit
    assert ended["epoch"] == n_epochs
