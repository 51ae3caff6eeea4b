"""Every callback of skorch does here what it does there, or is refused by its name."""

import copy
import io
import os
import pickle
import re
import signal
import sys
import threading
from collections import Counter
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.base import clone
from sklearn.metrics import make_scorer, mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from skae import AutoencoderTransformer

ANGLE = np.random.default_rng(0).uniform(0, 2 * np.pi, 240)
X = np.column_stack(
    [np.cos(ANGLE), np.sin(ANGLE), np.cos(2 * ANGLE), np.sin(2 * ANGLE)]
)
IMAGES = np.random.default_rng(0).normal(size=(60, 4, 4)).cumsum(1).cumsum(2)
pytestmark = pytest.mark.filterwarnings(  # of few epochs
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


def estimator(**settings):
    defaults = {"n_components": 1, "max_epochs": 3, "random_state": 0, "batch_size": 60}
    defaults |= {"alpha": 0.01, "learning_rate": 2e-3, "hidden_layer_sizes": (8, 8)}
    return AutoencoderTransformer(**defaults | settings)


HELD_OUT = {"early_stopping": True, "validation_fraction": 40 / len(X)}


class Listener(Callback):
    """Notes what batches are, and makes that they are recorded."""

    def on_batch_end(self, net, batch, training, **kwargs):
        self.batch = batch


# Settings and method of a fit.
FITS = {
    "by hand": ({}, "fit"),
    "autograd": ({"solver": AdamW}, "fit"),
    "sgd": ({"solver": "sgd"}, "fit"),
    "random start": ({"init": "random"}, "fit"),
    "nothing held out": ({"early_stopping": False}, "fit"),
    "variational": ({"bottleneck": "variational"}, "fit"),
    "images": ({"network": "conv", "hidden_layer_sizes": (4, 4)}, "fit"),
    "listener": ({"callbacks": [Listener()]}, "fit"),
    "mixed": ({"precision": "mixed"}, "fit"),
    "partial_fit": ({}, "partial_fit"),
}
IN_ALL_FITS = pytest.mark.parametrize("kind", FITS)
SOME_FITS = ["by hand", "autograd", "variational", "images"]
IN_SOME_FITS = pytest.mark.parametrize("kind", SOME_FITS)
STEPS = pytest.mark.parametrize(  # with and without autograd
    "solver", ["adamw", AdamW], ids=["by hand", "autograd"]
)


def fitted(kind, callbacks, **settings):
    """Return an estimator after one of the kinds of fit, with these callbacks."""
    own, method = FITS[kind]
    callbacks = [*callbacks, *own.get("callbacks", [])]
    rows = IMAGES if kind == "images" else X
    settings = {"early_stopping": len(rows) > 100} | own | settings
    new = estimator(**settings | {"callbacks": callbacks})
    return getattr(new, method)(rows)


def weights(module):
    """Return what a network has learnt, but for the units, chosen after training."""
    state = module if isinstance(module, dict) else module.state_dict()
    return {name: x for name, x in state.items() if name != "units"}


def assert_same(first, second):
    torch.testing.assert_close(weights(first), weights(second), rtol=0, atol=0)


def column(fitted, name):
    return [epoch[name] for epoch in fitted.net_.history]


# TrainEndCheckpoint


@IN_ALL_FITS
def test_end_of_training_is_saved(kind, tmp_path):
    saving = TrainEndCheckpoint(dirname=tmp_path)
    found = fitted(kind, [saving], early_stopping=False)
    names = ["criterion.pt", "history.json", "optimizer.pt", "params.pt"]
    assert sorted(os.listdir(tmp_path)) == [f"train_end_{name}" for name in names]
    assert_same(torch.load(tmp_path / "train_end_params.pt"), found.net_.module_)


def test_end_of_training_has_the_best_epoch(tmp_path):
    settings = {"schedule": "constant", "learning_rate": 0.03, "max_epochs": 20}
    saving = TrainEndCheckpoint(dirname=tmp_path, f_params="{last_epoch[epoch]}.pt")
    found = estimator(callbacks=[saving], init="random", **settings).fit(X)
    assert 0 < found.best_epoch_ < 20
    assert_same(torch.load(tmp_path / "train_end_20.pt"), found.net_.module_)


class CtrlC(Callback):
    def on_batch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "callback", [TrainEndCheckpoint(), EarlyStopping(load_best=True)]
)
def test_interrupt_in_the_first_epoch_leaves_a_fitted_estimator(callback):
    found = estimator(callbacks=[callback, CtrlC()])
    with pytest.raises(KeyboardInterrupt):
        found.fit(X)
    assert found.n_epochs_ == 0
    assert np.isfinite(found.score(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_error_at_the_end_of_training_leaves_a_fitted_estimator(method):
    class Failing(Callback):
        def on_train_end(self, net, **kwargs):
            raise ConnectionError("This fails.")

    writer = Connection()
    found = estimator(callbacks=[Failing(), TensorBoard(writer)])
    with pytest.raises(ConnectionError, match="This fails"):
        getattr(found, method)(X)
    expected = getattr(estimator(**HELD_OUT), method)(X)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))
    assert found.proven_ is expected.proven_
    assert writer.calls["close"] == 1


def test_logger_is_closed_after_an_interrupt():
    writer = Connection()
    with pytest.raises(KeyboardInterrupt):
        estimator(callbacks=[TensorBoard(writer), CtrlC()]).fit(X)
    assert writer.calls["close"] == 1


# LoadInitState


class Beginning(Callback):
    """Notes weights and learning rate at the first epoch."""

    state = None

    def on_epoch_begin(self, net, **kwargs):
        if self.state is None:
            self.state = copy.deepcopy(net.module_.state_dict())
            self.rate = net.optimizer_.param_groups[0]["lr"]
            self.n_moments = len(net.optimizer_.state)


@pytest.mark.parametrize(
    ("kind", "at_end"), [*((kind, False) for kind in FITS), ("by hand", True)]
)
def test_training_begins_with_what_is_loaded(kind, at_end, tmp_path):
    saving = Checkpoint(dirname=tmp_path, monitor=None)
    if at_end:
        saving = TrainEndCheckpoint(dirname=tmp_path)
    first = fitted(kind, [saving], early_stopping=False)
    noting = ("noting", Beginning())
    second = fitted(kind, [LoadInitState(saving), noting], early_stopping=False)
    beginning = dict(second.callbacks_)["noting"]
    assert_same(beginning.state, first.net_.module_)
    assert beginning.n_moments > 0
    assert second.n_epochs_ == 2 * first.n_epochs_
    assert second.loss_curve_[: first.n_epochs_] == first.loss_curve_


@STEPS
@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_what_is_loaded_counts_for_the_held_out_rows(schedule, solver, tmp_path):
    saving = Checkpoint(dirname=tmp_path)
    settings = {"max_epochs": 8, "schedule": schedule, "solver": solver}
    settings |= {"learning_rate": 0.01, "hidden_layer_sizes": (16, 16)}
    first = estimator(callbacks=[saving], **settings).fit(X)
    second = estimator(callbacks=[LoadInitState(saving)], **settings).fit(X)
    assert first.proven_ is second.proven_ is True
    assert second.n_epochs_ == first.best_epoch_ + 8
    assert second.validation_loss_ <= first.validation_loss_
    assert second.best_epoch_ >= first.best_epoch_


# Training that makes a network worse.
USELESS = {"learning_rate": 0.3, "solver": "adam", "schedule": "constant"}


def test_loaded_network_is_kept_where_training_does_not_better_it(tmp_path):
    saving = TrainEndCheckpoint(dirname=tmp_path)
    first = estimator(max_epochs=20, callbacks=[saving]).fit(X)
    loading = LoadInitState(TrainEndCheckpoint(dirname=tmp_path, f_optimizer=None))
    second = estimator(max_epochs=2, callbacks=[loading], **USELESS).fit(X)
    assert second.best_epoch_ == 20
    assert second.proven_ is True
    assert_same(second.net_.module_, first.net_.module_)


def test_loading_weights_by_a_callback_of_ones_own_counts():
    first = estimator(max_epochs=20, **HELD_OUT).fit(X)

    class Load(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.load_state_dict(first.net_.module_.state_dict())

    second = estimator(max_epochs=1, callbacks=[Load()], **USELESS).fit(X)
    assert second.best_epoch_ == 0
    assert second.proven_ is True
    assert second.score(X) == pytest.approx(first.score(X))


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_learning_rate_is_that_of_the_estimator_not_the_one_saved(schedule, tmp_path):
    saving = Checkpoint(dirname=tmp_path, monitor=None)
    estimator(callbacks=[saving], learning_rate=0.01, schedule=schedule).fit(X)
    rates = []
    for callbacks in ([Beginning()], [Beginning(), LoadInitState(saving)]):
        settings = {"learning_rate": 1e-4, "schedule": schedule}
        found = estimator(callbacks=callbacks, **settings).fit(X)
        rates.append(dict(found.callbacks_)["Beginning"].rate)
    assert rates[0] == rates[1]


def test_without_files_nothing_is_loaded(tmp_path):
    loading = LoadInitState(Checkpoint(dirname=tmp_path))
    expected = estimator(**HELD_OUT).fit(X)
    found = estimator(callbacks=[loading]).fit(X)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))


@pytest.mark.parametrize("kind", [Checkpoint, TrainEndCheckpoint])
def test_weights_alone_are_loaded(kind, tmp_path):
    saving = kind(dirname=tmp_path, f_history=None, f_optimizer=None)
    first = estimator(callbacks=[saving]).fit(X)
    second = estimator(callbacks=[LoadInitState(saving)]).fit(X)
    assert second.n_epochs_ == 3
    assert second.validation_loss_ < first.validation_loss_


def test_files_named_after_an_epoch_need_the_history(tmp_path):
    name = {"f_params": "{last_epoch[epoch]}.pt"}
    saving = Checkpoint(dirname=tmp_path, f_history=None, monitor=None, **name)
    estimator(callbacks=[saving]).fit(X)
    with pytest.raises(ValueError, match="Set f_history"):
        estimator(callbacks=[LoadInitState(saving)]).fit(X)
    saving.f_history = "history.json"
    estimator(callbacks=[saving]).fit(X)
    assert estimator(callbacks=[LoadInitState(saving)]).fit(X).n_epochs_ == 6


def test_fit_loads_anew_and_partial_fit_goes_on(tmp_path):
    saving = Checkpoint(dirname=tmp_path, monitor="train_loss_best")
    found = estimator(callbacks=[saving, LoadInitState(saving)], early_stopping=False)
    counts = [getattr(found, m)(X).n_epochs_ for m in ("fit", "fit", "partial_fit")]
    assert counts == [3, 6, 7]
    before = found.set_params(callbacks=[LoadInitState(saving), Beginning()])
    before.partial_fit(X)
    (state,) = [c.state for _, c in found.callbacks_ if isinstance(c, Beginning)]
    after = copy.deepcopy(weights(found.net_.module_))
    found.partial_fit(X)
    (state,) = [c.state for _, c in found.callbacks_ if isinstance(c, Beginning)]
    assert_same(state, after)
    assert found.n_epochs_ == 9


@pytest.mark.parametrize(
    "changes",
    [{"solver": "sgd"}, {"solver": AdamW}, {"n_components": 2}],
    ids=["solver", "step", "size"],
)
def test_what_does_not_fit_is_refused(changes, tmp_path):
    saving = Checkpoint(dirname=tmp_path, monitor=None)
    estimator(callbacks=[saving]).fit(X)
    with pytest.raises(ValueError, match=r"does not fit this net[\S\s]*f_optimizer=No"):
        estimator(callbacks=[LoadInitState(saving)], **changes).fit(X)


@pytest.mark.parametrize(
    "callback",
    [LoadInitState(Checkpoint()), Checkpoint(None), TrainEndCheckpoint()],
)
def test_what_is_not_saved_or_loaded_is_said(callback):
    with pytest.warns(UserWarning, match="40 rows are too few.*early_stopping=False"):
        estimator(callbacks=[callback]).fit(X[:40])
    with pytest.warns(UserWarning, match="40 rows are too few.*early_stopping"):
        estimator(callbacks=[callback]).partial_fit(X[:40])
    with pytest.warns(UserWarning, match="loses nothing.*neither saved nor loaded"):
        estimator(callbacks=[callback], n_components=2).fit(X[:, [0, 1, 0, 1]])


def test_fit_that_was_killed_goes_on_with_what_it_loaded(tmp_path):
    saving = TrainEndCheckpoint(dirname=tmp_path)
    estimator(callbacks=[saving]).fit(X)

    class Killer(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) > 5:
                raise ZeroDivisionError

    loading = [LoadInitState(saving)]
    expected = estimator(callbacks=loading).fit(X)
    settings = {"checkpoint": tmp_path}
    with pytest.raises(ZeroDivisionError):
        estimator(callbacks=[*loading, Killer()], **settings).fit(X)
    found = estimator(callbacks=[*loading, saving], **settings).fit(X)
    assert found.n_epochs_ == 6
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))


# Checkpoint


@IN_SOME_FITS
def test_pickle_of_a_checkpoint_is_a_net_for_use(kind, tmp_path):
    saving = Checkpoint(dirname=tmp_path, f_pickle="net.pkl", monitor=None)
    found = fitted(kind, [saving], early_stopping=False)
    with open(tmp_path / "net.pkl", "rb") as file:
        net = pickle.load(file)
    rows = (IMAGES if kind == "images" else X).reshape(-1, found.n_features_in_)
    rows = (rows - found.mean_) / found.scale_
    np.testing.assert_allclose(net.predict(rows), found.net_.predict(rows), atol=1e-6)
    assert not net.module_.training
    size = len(pickle.dumps(found.net_))
    assert (tmp_path / "net.pkl").stat().st_size < 1.1 * size


@IN_SOME_FITS
def test_checkpoint_in_the_format_of_safetensors(kind, tmp_path):
    said = []
    files = {"f_optimizer": None, "monitor": None, "use_safetensors": True}
    saving = Checkpoint(dirname=tmp_path, sink=said.append, **files)
    first = fitted(kind, [saving], early_stopping=False)
    assert not [text for text in said if "Unable" in text]
    loading = LoadInitState(saving, use_safetensors=True)
    second = fitted(kind, [loading, ("b", Beginning())], early_stopping=False)
    assert_same(dict(second.callbacks_)["b"].state, first.net_.module_)


@STEPS
def test_file_has_the_weights_and_nothing_else(solver, tmp_path):
    estimator(callbacks=[Checkpoint(dirname=tmp_path)], solver=solver).fit(X)
    saved = torch.load(tmp_path / "params.pt")
    n_bytes = sum(x.untyped_storage().nbytes() for x in saved.values())
    assert n_bytes == sum(x.numel() * x.element_size() for x in saved.values())


def is_second(net):
    return len(net.history) == 2


@pytest.mark.parametrize("f_history", ["history.json", None])
def test_best_checkpoint_is_loaded_in_the_end(f_history, tmp_path):
    settings = {"schedule": "constant", "early_stopping": False}
    saving = Checkpoint(is_second, dirname=tmp_path, load_best=True)
    saving.f_history = f_history
    found = estimator(callbacks=[saving], **settings).fit(X)
    expected = estimator(max_epochs=2, **settings).fit(X)
    assert_same(found.net_.module_, expected.net_.module_)
    assert found.n_epochs_ == (2 if f_history else 3)  # skorch loads it too


def test_checkpoint_writes_to_a_file_object():
    file = io.BytesIO()
    others = {"f_optimizer": None, "f_criterion": None, "f_history": None}
    settings = {"early_stopping": False, "max_epochs": 1}
    saving = Checkpoint(f_params=file, monitor=None, **others)
    found = estimator(callbacks=[saving], **settings).fit(X)
    file.seek(0)
    assert_same(torch.load(file), found.net_.module_)


def test_names_of_callbacks_are_the_users(tmp_path):
    callbacks = [("checkpoint", Checkpoint(dirname=tmp_path)), ["best", EpochTimer()]]
    callbacks.append(("epoch_timer", EpochTimer()))
    found = estimator(callbacks=callbacks, checkpoint=tmp_path, max_time=9).fit(X)
    assert [name for name, _ in found.callbacks_] == [
        "checkpoint",
        "best",
        "epoch_timer",
    ]


# What is held out


RECORD = EpochScoring("neg_mean_squared_error", name="error")


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([EarlyStopping()], "EarlyStopping.*'valid_loss'.*monitor='train_loss'"),
        ([Checkpoint()], "Checkpoint.*'valid_loss_best'.*monitor='train_loss_best'"),
        (
            [("name", LRScheduler("ReduceLROnPlateau", monitor="valid_loss"))],
            "LRScheduler.*'valid_loss'.*monitor='train_loss'",
        ),
        ([WandbLogger(None)], "WandbLogger.*'valid_loss_best'.*save_model=False"),
        ([RECORD, EarlyStopping("error")], "EarlyStopping.*'error'.*on_train=True"),
        ([RECORD, Checkpoint("error_best")], "Checkpoint.*'error_best'.*on_train=True"),
    ],
    ids=lambda value: None if isinstance(value, list) else value.split(".*")[0],
)
def test_callback_that_waits_for_held_out_rows_is_refused(callbacks, message):
    class Begins(Callback):
        def on_train_begin(self, net, **kwargs):
            raise AssertionError("Training begins.")

    callbacks = [*callbacks, Begins()]
    with pytest.raises(ValueError, match=f"{message.split('.*')[0]}.*early_stopping=F"):
        estimator(callbacks=callbacks, early_stopping=False).fit(X)
    with pytest.raises(ValueError, match=f"{message}|early_stopping=True"):
        estimator(callbacks=callbacks).partial_fit(X)
    with pytest.raises(ValueError, match=message):
        estimator(callbacks=callbacks, early_stopping=False).fit(X)


@pytest.mark.parametrize(
    "callbacks",
    [
        [EarlyStopping("train_loss")],
        [Checkpoint("train_loss_best", f_params=None, f_optimizer=None)],
        [LRScheduler("StepLR", step_size=1)],
        [EpochScoring("r2", name="valid_loss", on_train=True), EarlyStopping()],
        [RECORD],
        [PassthroughScoring("valid_loss")],
    ],
)
def test_callback_that_does_not_is_taken(callbacks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert estimator(callbacks=callbacks, early_stopping=False).fit(X).n_epochs_ == 3
    assert estimator(callbacks=callbacks).partial_fit(X).n_epochs_ == 1


def test_scores_of_held_out_rows_are_left_out_where_there_are_none():
    found = estimator(callbacks=[RECORD]).fit(X)
    found.set_params(warm_start=True, early_stopping=False).fit(X)
    assert len(found.net_.history[:, "error"]) == 3
    assert found.n_epochs_ == 6


# Scores


class Data:
    """Notes what a scoring function gets."""

    def __call__(self, net, X, y):
        self.X, self.y, self.X_hat = X, y, net.predict(X)
        return np.mean((self.X_hat - y) ** 2)


CACHING = pytest.mark.parametrize("caching", [True, False])
ON_TRAIN = pytest.mark.parametrize("on_train", [False, True])


@CACHING
@ON_TRAIN
@IN_SOME_FITS
def test_function_scores_arrays_that_belong_together(kind, on_train, caching):
    data = Data()
    scoring = EpochScoring(data, name="f", use_caching=caching, on_train=on_train)
    found = fitted(kind, [scoring], early_stopping=True)
    assert type(data.X) is type(data.y) is type(data.X_hat) is np.ndarray
    np.testing.assert_allclose(data.X, data.y, atol=1e-6)
    assert data.X_hat.shape == data.y.shape
    n_rows = len(IMAGES if kind == "images" else X)
    assert len(data.X) == (0.9 * n_rows if on_train else 0.1 * n_rows)
    scores = column(found, "f")
    assert np.isfinite(scores).all()
    assert column(found, "f_best")[0] is True
    if kind != "variational" and (caching or not on_train):
        loss = column(found, "train_loss" if on_train else "valid_loss")
        np.testing.assert_allclose(scores, loss, rtol=1e-5)


@CACHING
@ON_TRAIN
@STEPS
def test_batches_are_scored(solver, on_train, caching):
    settings = {"use_caching": caching, "on_train": on_train, "name": "f"}
    scoring = BatchScoring(Data(), **settings)
    found = estimator(callbacks=[scoring], solver=solver).fit(X)
    scores = column(found, "f")
    assert np.isfinite(scores).all()
    if caching or not on_train:
        loss = column(found, "train_loss" if on_train else "valid_loss")
        np.testing.assert_allclose(scores, loss, rtol=1e-5)


@CACHING
@pytest.mark.parametrize("kind", [EpochScoring, BatchScoring])
@pytest.mark.parametrize(
    ("scoring", "name", "sign"),
    [
        ("neg_mean_squared_error", "neg_mean_squared_error", -1),
        (mean_squared_error, "mean_squared_error", 1),
        (make_scorer(mean_squared_error), "mean_squared_error", 1),
    ],
)
def test_scorers_of_scikit_learn_give_the_loss(scoring, name, sign, kind, caching):
    found = estimator(callbacks=[kind(scoring, use_caching=caching)]).fit(X)
    loss = column(found, "valid_loss")
    np.testing.assert_allclose(column(found, name), sign * np.array(loss), rtol=1e-5)


@CACHING
@pytest.mark.parametrize(
    "scoring", ["r2", "explained_variance", make_scorer(r2_score), None]
)
def test_share_of_the_variance_is_one(scoring, caching):
    """One column is constant in the held-out rows alone."""
    rows = X + 0.1
    rows[:, 2] = np.arange(240) == 3
    scoring = EpochScoring(scoring, name="r2", lower_is_better=False)
    scoring.use_caching = caching
    found = estimator(callbacks=[scoring], n_components=2).fit(rows)
    assert 0.3 < min(column(found, "r2")) < max(column(found, "r2")) <= 1


def test_score_of_the_net_is_that_of_the_estimator():
    scoring = EpochScoring(None, on_train=True, use_caching=False)
    found = estimator(callbacks=[scoring], early_stopping=False).fit(X)
    assert column(found, "score")[-1] == pytest.approx(found.score(X), rel=1e-6)


def test_target_is_what_is_scored():
    target, data = X[:, :2] * 5 + 1, Data()
    scoring = EpochScoring(data, name="f", use_caching=False)
    found = estimator(callbacks=[scoring]).fit(X, X_target=target)
    assert data.y.shape == (40, 2)
    assert data.X.shape == (40, 4)
    np.testing.assert_allclose(
        column(found, "f"), column(found, "valid_loss"), rtol=1e-5
    )


def test_loss_with_a_link_is_scored_in_the_units_of_the_target():
    counts, data = np.random.default_rng(0).poisson(9, size=(200, 5)), Data()
    settings = {"loss": "poisson", "early_stopping": True}
    found = estimator(callbacks=[EpochScoring(data, name="f")], **settings).fit(counts)
    assert np.isin(data.y, counts).all()
    assert 5 < data.X_hat.mean() < 13
    assert np.isfinite(column(found, "f")).all()


@CACHING
def test_scores_change_nothing_that_is_learnt(caching):
    class Dropout(nn.Module):
        def __init__(self, n_features, n_components):
            super().__init__()
            self.encode = nn.Sequential(nn.Linear(n_features, n_components), nn.ReLU())
            self.decode = nn.Sequential(
                nn.Dropout(0.3), nn.Linear(n_components, n_features)
            )

    settings = {"network": Dropout, "corruption": "gaussian", "init": "random"}
    scorings = [
        kind("neg_mean_squared_error", name=str(i), on_train=bool(i % 2))
        for i, kind in enumerate(
            [EpochScoring, EpochScoring, BatchScoring, BatchScoring]
        )
    ]
    for scoring in scorings:
        scoring.use_caching = caching
    expected, found = (
        estimator(callbacks=callbacks, **settings).fit(X)
        for callbacks in (None, scorings)
    )
    np.testing.assert_array_equal(expected.transform(X), found.transform(X))
    assert expected.loss_curve_ == found.loss_curve_


def test_stopping_by_a_score():
    scoring = EpochScoring("r2", lower_is_better=False)
    stopping = EarlyStopping("r2", lower_is_better=False, patience=2, threshold=9.0)
    stopping.threshold_mode = "abs"
    assert estimator(callbacks=[scoring, stopping], max_epochs=9).fit(X).n_epochs_ == 3


def test_data_of_the_hooks_are_those_of_skorch():
    class Hooks(Callback):
        def on_train_begin(self, net, X, y, **kwargs):
            self.n_rows, self.y = len(X), y

        def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
            self.train, self.valid = dataset_train, dataset_valid

    found = estimator(callbacks=[Hooks(), Listener()], init="random").fit(X)
    hooks, listener = (callback for _, callback in found.callbacks_)
    assert (hooks.n_rows, hooks.y) == (200, None)
    for data in (hooks.train, hooks.valid):
        np.testing.assert_allclose(data.X, units(found)[data.index])
        np.testing.assert_array_equal(data.X, data.y)
        np.testing.assert_array_equal(np.asarray(data), data.X)
        assert data.shape == data.X.shape
        assert len(data) == len(data.X)
        first, target = data[-1]
        np.testing.assert_array_equal([first, target], [data.X[-1], data.y[-1]])
        np.testing.assert_array_equal(data[2:5][0], data.X[2:5])
        assert len(list(data)) == len(data)
    batch, y = listener.batch
    assert isinstance(batch, torch.Tensor)
    assert isinstance(y, torch.Tensor)


# Learning rates


class Rates(Callback):
    """Notes the learning rate of each step."""

    def __init__(self):
        self.rates = []

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])


def rates_of(scheduler, *methods, **settings):
    """Return the rates of all steps of some calls, two epochs each or one."""
    found = estimator(batch_size=120, max_epochs=2, early_stopping=False, **settings)
    rates = []
    for method in methods:
        found.set_params(callbacks=[scheduler, Rates()])
        getattr(found, method)(X)
        rates += found.callbacks_[-1][1].rates
    return rates


POLICIES = {
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [1, 3]},
    "ExponentialLR": {"gamma": 0.5},
    "CosineAnnealingLR": {"T_max": 5},
    "LambdaLR": {"lr_lambda": lambda n: 1 / (1 + n)},
    "CyclicLR": {"base_lr": 1e-4, "max_lr": 1e-2, "step_size_up": 3},
    "WarmRestartLR": {"base_period": 3},
    OneCycleLR: {"max_lr": 0.01, "total_steps": 20},
}
POLICIES["CyclicLR"]["cycle_momentum"] = False


@pytest.mark.parametrize("step_every", ["epoch", "batch"])
@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_schedule_of_skorch_goes_on_from_call_to_call(policy, step_every):
    options = {**POLICIES[policy], "step_every": step_every}
    scheduler = LRScheduler(policy, **options)
    calls = ["partial_fit", "fit", "partial_fit"]
    found = rates_of(scheduler, *calls, warm_start=True)
    n_steps = 4 * (2 if step_every == "batch" else 1)
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2e-3)
    known = WarmRestartLR if policy == "WarmRestartLR" else None
    known = known or getattr(torch.optim.lr_scheduler, str(policy), policy)
    independent = known(optimizer, **POLICIES[policy])
    expected = []
    for _ in range(n_steps):
        expected += [optimizer.param_groups[0]["lr"]] * (8 // n_steps)
        optimizer.step()
        independent.step()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_plateau_is_remembered_from_call_to_call():
    plateau = {"patience": 1, "threshold": 0.99, "factor": 0.5}
    scheduler = LRScheduler("ReduceLROnPlateau", **plateau)
    rates = rates_of(scheduler, *["partial_fit"] * 6)[::2]
    np.testing.assert_allclose(rates, 2e-3 * 0.5 ** np.array([0, 0, 0, 1, 1, 2]))


def test_schedule_takes_the_place_of_the_default_one():
    halving = LRScheduler("StepLR", step_size=1, gamma=0.5)
    rates = rates_of(halving, "fit")
    assert rates == [2e-3, 2e-3, 1e-3, 1e-3]
    assert rates == rates_of(halving, "fit", schedule="constant")


def test_schedule_goes_on_with_what_is_loaded(tmp_path):
    halving = LRScheduler("StepLR", step_size=1, gamma=0.5)
    saving = TrainEndCheckpoint(dirname=tmp_path)
    estimator(callbacks=[saving, halving]).fit(X)
    found = estimator(callbacks=[LoadInitState(saving), halving, Rates()]).fit(X)
    rates = dict(found.callbacks_)["Rates"].rates
    assert rates[:: len(rates) // 3] == [2e-3 * 0.5**n for n in (3, 4, 5)]


def test_schedule_that_is_over_is_refused_by_name():
    short = LRScheduler(OneCycleLR, max_lr=0.01, total_steps=2)
    found = estimator(max_epochs=2, callbacks=[short], warm_start=True).fit(X)
    found.set_params(callbacks=None).fit(X)
    with pytest.raises(ValueError, match="LRScheduler.*after 4 epochs.*warm_start"):
        found.set_params(callbacks=[short]).fit(X)


# What callbacks hold


class Connection:
    """Counts what it is told; cannot be copied. Stands for all kinds of loggers."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = Counter()
        self.dir = "."
        self.info = SimpleNamespace(run_id=1)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.calls.update([name])

    def __getitem__(self, name):
        return self

    def __setitem__(self, name, value):
        self.calls.update([name])


@pytest.fixture
def neptune(monkeypatch, tmp_path):
    """Put the few names of neptune that skorch imports in its place."""
    monkeypatch.chdir(tmp_path)
    package = {name: ModuleType(name) for name in ("neptune.handler", "neptune.types")}
    package["neptune.handler"].Handler = type("Handler", (), {})
    package["neptune.types"].File = SimpleNamespace(from_content=lambda *_, **__: 0)
    for name, module in {"neptune": ModuleType("neptune"), **package}.items():
        monkeypatch.setitem(sys.modules, name, module)


# A logger of a connection, the name of what it calls, and how often in three epochs.
LOGGERS = {
    TensorBoard: (TensorBoard, "add_scalar", 3 * 3),
    WandbLogger: (WandbLogger, "log", 3),
    SacredLogger: (SacredLogger, "log_scalar", 3 * 3),
    MlflowLogger: (lambda run: MlflowLogger(run, run), "log_metric", 3 * 3),
    NeptuneLogger: (NeptuneLogger, "append", 3 * 3),
}


@pytest.mark.usefixtures("neptune")
@pytest.mark.parametrize("kind", LOGGERS, ids=lambda kind: kind.__name__)
def test_logger_with_a_connection_logs_each_fit(kind):
    build, call, n_calls = LOGGERS[kind]
    connection = Connection()
    logged = estimator(callbacks=[build(connection)], early_stopping=True).fit(X)
    assert connection.calls[call] == n_calls
    logged.fit(X)
    clone(logged).fit(X)
    assert connection.calls[call] == 3 * n_calls
    GridSearchCV(logged, {"n_components": [1]}, cv=2, refit=False).fit(X)
    assert connection.calls[call] == 5 * n_calls
    ends = {TensorBoard: "close", MlflowLogger: "set_terminated", NeptuneLogger: "stop"}
    if kind in ends:
        assert connection.calls[ends[kind]] == 5


class Collector(Callback):
    """Collects losses, and holds what cannot be copied."""

    def __init__(self, connection=None):
        self.losses, self.by_name = [], {"train": [], "connection": connection}
        self.connection = connection

    def on_epoch_end(self, net, **kwargs):
        self.losses.append(net.history[-1, "train_loss"])
        self.by_name["train"].append(net.history[-1, "train_loss"])
        self.by_name["connection"].note(self)


def test_fits_do_not_mix_what_they_collect():
    connection = Connection()
    collector = Collector(connection)
    first = estimator(callbacks=[collector], early_stopping=True).fit(X)
    (_, before), *_ = first.callbacks_
    first.fit(X)
    second = clone(first).fit(X)
    found = GridSearchCV(first, {"n_components": [1, 2]}, cv=2).fit(X)
    for fitted in (first, second, found.best_estimator_):
        ((name, used),) = fitted.callbacks_
        assert name == "Collector"
        assert used.losses == used.by_name["train"] == fitted.loss_curve_
    assert len(before.losses) == 3
    assert collector.losses == collector.by_name["train"] == []
    assert connection.calls["note"] == 3 * (3 + 5)


def test_two_callbacks_that_know_each_other_still_do():
    class First(Callback):
        n_epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += 1

        def has_two(self, net):
            return self.n_epochs == 2

    first = First()
    second = Checkpoint(monitor=first.has_two, f_params=None, f_optimizer=None)
    second.f_criterion = second.f_history = None
    for callbacks in ([first, second], [second, first]):
        found = estimator(callbacks=callbacks).fit(X)
        assert sum(column(found, "event_cp")) == 1
    assert first.n_epochs == 0


def test_what_callbacks_call_is_called():
    class Journal:
        def __init__(self):
            self.lines = []

        def write_line(self, text):
            self.lines.append(text)

    journal = Journal()
    estimator(callbacks=[PrintLog(sink=journal.write_line)]).fit(X)
    assert len(journal.lines) == 2 + 3


def test_callbacks_of_a_clone_are_as_they_were_given():
    given = [("log", PrintLog()), LRScheduler("StepLR", step_size=1), Collector()]
    new = clone(estimator(callbacks=given))
    assert type(new.callbacks) is list
    assert new.callbacks[0][0] == "log"
    assert new.callbacks[0][1].sink is print
    assert new.callbacks[1].get_params() == given[1].get_params()
    assert not {id(c) for c in new.callbacks} & {id(c) for c in given}
    assert clone(estimator(callbacks=(EpochTimer(),))).callbacks[0] is not None
    assert clone(estimator()).callbacks is None


# What is left of them


@IN_SOME_FITS
def test_callbacks_can_be_read_after_the_fit(kind):
    given = EarlyStopping("train_loss", patience=99)
    found = fitted(kind, [given], early_stopping=False)
    name, used = found.callbacks_[0]
    assert name == "EarlyStopping"
    assert used.dynamic_threshold_ < np.inf
    assert given.dynamic_threshold_ is None
    assert found.net_.callbacks_ == found.callbacks_
    assert len(found.callbacks_) == 1


def test_callbacks_can_be_read_where_the_model_is_pca():
    noise = np.random.default_rng(0).normal(size=(200, 6))
    found = estimator(callbacks=[EpochTimer()]).fit(noise)
    assert found.proven_ is False
    assert [name for name, _ in found.callbacks_] == ["EpochTimer"]
    assert estimator(callbacks=[EpochTimer()]).fit(X[:40]).callbacks_ == []


def test_callbacks_do_not_travel_with_the_model():
    found = estimator(callbacks=[Collector(Connection())]).fit(X)
    assert len(pickle.loads(pickle.dumps(found.net_)).callbacks_) == 0
    assert copy.deepcopy(found.net_).callbacks_ == found.callbacks_
    found.set_params(callbacks=None)
    assert pickle.loads(pickle.dumps(found)).callbacks_ == []


# Printing


@pytest.mark.parametrize("verbose", [0, 1])
def test_print_log_prints_whatever_verbose_is(verbose, capsys):
    found = estimator(callbacks=[PrintLog()], verbose=verbose).fit(X)
    header, line, *rows = capsys.readouterr().out.strip().splitlines()
    assert header.split() == ["epoch", "train_loss", "valid_loss", "dur"]
    assert set(line) == {"-", " "}
    assert len(rows) == 3
    for row, loss in zip(rows, found.loss_curve_, strict=True):
        assert f"{loss:.4f}" in row


@pytest.mark.parametrize("verbose", [0, 1])
def test_early_stopping_says_so_if_verbose(verbose, capsys):
    stopping = EarlyStopping("train_loss", patience=1, threshold=1.0)
    estimator(callbacks=[stopping], verbose=verbose).fit(X)
    assert ("Stopping since train_loss" in capsys.readouterr().out) == bool(verbose)


@STEPS
@pytest.mark.parametrize("how", ["auto", "count"])
def test_progress_bar_counts_the_batches(how, solver, capsys):
    settings = {"solver": solver, "early_stopping": False, "max_epochs": 2}
    found = estimator(callbacks=[ProgressBar(how)], **settings).fit(X)
    bar = found.callbacks_[0][1].pbar_
    assert bar.total == bar.n == 4
    assert "train_loss" in bar.postfix
    assert "0/4" in capsys.readouterr().err


def test_epoch_timer_measures():
    found = estimator(callbacks=[EpochTimer()]).fit(X)
    assert min(column(found, "dur")) > 0


# Weights and gradients


@STEPS
def test_named_gradients_are_those_of_the_layers(solver):
    class Names(Callback):
        def on_grad_computed(self, net, named_parameters, batch, **kwargs):
            named = dict(named_parameters)
            own = net.module_.named_parameters()
            assert all(x is named[name] for name, x in own)
            assert all(x.grad is not None for x in named.values())
            self.names = list(named)

    found = estimator(callbacks=[Names()], solver=solver).fit(X)
    names = [name for name, _ in found.net_.module_.named_parameters()]
    assert found.callbacks_[0][1].names == names


@STEPS
def test_clipped_gradients_are_small(solver):
    class Norm(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            total = sum(x.grad.square().sum() for _, x in named_parameters)
            assert total.sqrt() <= 1e-3 * (1 + 1e-6)

    callbacks = [GradientNormClipping(1e-3), Norm()]
    assert estimator(callbacks=callbacks, solver=solver).fit(X).n_epochs_ == 3


class Exchange(Callback):
    """Puts other gradients or weights in the place of those that there are."""

    def __init__(self, what):
        self.what = what

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for _, weight in named_parameters:
            if self.what == "gradients":
                weight.grad = weight.grad.sign()

    def on_batch_end(self, net, training, **kwargs):
        for weight in net.module_.network.parameters():
            if self.what == "weights":
                weight.data = weight.data.clamp(min=0)


@pytest.mark.parametrize("what", ["gradients", "weights"])
def test_exchanged_tensors_count_in_a_step_by_hand(what):
    def like_ours(parameters, **options):
        return AdamW(parameters, betas=(0.8, 0.9), eps=1e-7, **options)

    settings = {"callbacks": [Exchange(what)], "early_stopping": False}
    by_hand = estimator(**settings).fit(X)
    autograd = estimator(**settings, compile=False, solver=AdamW).fit(X)
    for found in (by_hand, autograd):
        lowest = min(x.min().item() for x in found.net_.module_.network.parameters())
        assert (lowest == 0) == (what == "weights")
    assert not np.allclose(by_hand.transform(X), estimator().fit(X).transform(X))


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_grad_computed"])
def test_frozen_weights_are_refused_in_a_step_by_hand(hook):
    def freeze(self, net, **kwargs):
        for weight in net.module_.network.parameters():
            if hook == "on_grad_computed":
                weight.grad = None
            else:
                weight.requires_grad_(False)

    own = type("Freezing", (Callback,), {hook: freeze})()
    with pytest.raises(ValueError, match="frozen weights.*Freezer.*AdamW"):
        estimator(callbacks=[own]).fit(X)
    assert estimator(callbacks=[own], solver=AdamW).fit(X).n_epochs_ == 3


def last_layers(found):
    network = found.net_.module_.network
    return [network.encoder[-1].weight, network.decoder[-1].weight]


def test_frozen_weights_stay_and_melt():
    settings = {"early_stopping": False, "alpha": 0.5}
    found = estimator(callbacks=[Freezer("network.*")], **settings).fit(X)
    assert not any(weight.any() for weight in last_layers(found))
    found.set_params(callbacks=None).partial_fit(X)  # they stay frozen, as in skorch
    assert not any(weight.any() for weight in last_layers(found))
    found.set_params(callbacks=[Unfreezer("*", at=5)]).partial_fit(X)
    assert all(weight.any() for weight in last_layers(found))


def test_initializer_sets_weights_once():
    setting = Initializer("network.*.weight", fn=nn.init.ones_)
    callbacks = [setting, Freezer("network.*")]
    found = estimator(callbacks=callbacks, early_stopping=False).fit(X)
    assert all((weight == 1).all() for weight in last_layers(found))


def test_param_mapper_maps_by_a_schedule():
    seen = []

    def schedule(net):
        return lambda weight: seen.append((len(net.history), weight.numel()))

    estimator(callbacks=[ParamMapper("decoder_path.*", schedule=schedule)]).fit(X)
    assert seen == [(n, size) for n in (1, 2, 3) for size in (4, 4)]


# What is refused


def test_callback_without_a_use_is_refused():
    with pytest.raises(ValueError, match="InputShapeSetter.*n_features.*Leave it out"):
        estimator(callbacks=[InputShapeSetter()]).fit(X)


@pytest.mark.parametrize("given", [WarmRestartLR, EarlyStopping, "EarlyStopping"])
def test_what_is_no_callback_is_refused(given):
    with pytest.raises(TypeError, match=r"must be an instance.*LRScheduler\(policy="):
        estimator(callbacks=[given]).fit(X)


# The net by itself


def units(fitted):
    return (X - fitted.mean_) / fitted.scale_


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "kind", [np.asarray, np.float32, torch.from_numpy, torch.tensor, np.ndarray.tolist]
)
def test_net_predicts_standardised_rows(kind, precision):
    found = estimator(precision=precision).fit(X)
    net, rows = found.net_, kind(units(found))
    expected = (found.reconstruct(X) - found.mean_) / found.scale_
    np.testing.assert_allclose(net.predict(rows), expected, atol=2e-6)
    np.testing.assert_array_equal(net.predict_proba(rows), net.predict(rows))
    np.testing.assert_array_equal(net.forward(rows), net.predict(rows))
    assert sum(len(part) for part in net.forward_iter(rows)) == 240
    assert net.score(rows) == pytest.approx(found.score(X), rel=1e-5)
    np.testing.assert_array_equal(net.infer(rows).detach(), net.predict(rows))


def test_net_predicts_in_units_of_the_target_after_a_link():
    counts = np.random.default_rng(0).poisson(9, size=(200, 5))
    found = estimator(loss="poisson").fit(counts)
    rows = (counts - found.mean_) / found.scale_
    np.testing.assert_allclose(found.net_.predict(rows), found.reconstruct(counts))
    score = found.net_.score(rows, counts)
    assert score == pytest.approx(found.score(counts), rel=1e-5)
    with pytest.raises(ValueError, match="score of net_ needs y"):
        found.net_.score(rows)


@pytest.mark.parametrize("rows", [X[:, :3], X[0]], ids=["columns", "one row"])
def test_rows_of_another_shape_are_refused_by_the_net(rows):
    with pytest.raises(ValueError, match="takes rows of 4 numbers.*transform"):
        estimator().fit(X).net_.predict(rows)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "initialize"])
def test_net_is_trained_by_the_estimator_only(method):
    found = estimator().fit(X)
    before = found.transform(X)
    arguments = [] if method == "initialize" else [X]
    with pytest.raises(NotImplementedError, match="partial_fit of the estimator"):
        getattr(found.net_, method)(*arguments)
    np.testing.assert_array_equal(found.transform(X), before)
    assert len(found.net_.history) == 3


def test_finished_net_loads_a_checkpoint(tmp_path):
    saving = Checkpoint(dirname=tmp_path, monitor=None)
    settings = {"early_stopping": False}
    first = estimator(callbacks=[saving], **settings).fit(X)
    second = estimator(max_epochs=1, **settings).fit(X)
    second.net_.load_params(checkpoint=saving)
    assert_same(first.net_.module_, second.net_.module_)


# All of them


def test_every_callback_of_skorch_is_tested():
    with open(__file__, encoding="utf-8") as file:
        text = file.read().partition("from skae import")[2]
    names = [n for n in skorch.callbacks.__all__ if not re.search(rf"\b{n}\b", text)]
    assert names == []
