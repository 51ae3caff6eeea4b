"""The user's skorch callbacks: checked, copied for a fit, told what skorch tells them.

What they need that differs from kind to kind is here, and nowhere else.
"""

import copy
import types
import warnings
from functools import partial

import numpy as np
import torch
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    PassthroughScoring,
    PrintLog,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    WandbLogger,
)
from skorch.utils import to_numpy
from torch.optim.lr_scheduler import ReduceLROnPlateau

from skae._data.rows import Rows, RowsAsDataset
from skae._warnings import warn

# Parameters that are the user's own connection to somewhere: shared, never copied.
CONNECTIONS = {
    TensorBoard: ("writer",),
    NeptuneLogger: ("run",),
    WandbLogger: ("wandb_run",),
    SacredLogger: ("experiment",),
    MlflowLogger: ("run", "client"),
}
SCORINGS = (BatchScoring, EpochScoring, PassthroughScoring)
SAVE_OR_LOAD = (Checkpoint, LoadInitState, TrainEndCheckpoint)
NEED_AN_EPOCH = (EarlyStopping, TrainEndCheckpoint)  # when training ends


# Checks


def check_callbacks(callbacks):
    """Raise unless every callback is one of skorch's, built, and of some use."""
    for callback in callbacks or ():
        callback = unnamed(callback)
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks has {callback!r}; each must be an instance of a subclass "
                "of skorch.callbacks.Callback, or a pair of a name and one. For "
                "scikit-learn's callbacks use set_callbacks, and for a learning-rate "
                "schedule of torch skorch.callbacks.LRScheduler(policy=...)."
            )
        if isinstance(callback, InputShapeSetter):
            raise ValueError(
                "callbacks has InputShapeSetter, which has nothing to set here: every "
                "network is built with the n_features of X. Leave it out."
            )


def unnamed(callback):
    """Return the callback of a pair of a name and a callback, or what is given."""
    return callback[1] if isinstance(callback, (tuple, list)) else callback


def has_kind(callbacks, kind):
    """Tell whether one of these callbacks is of a class."""
    return any(isinstance(unnamed(one), kind) for one in callbacks or ())


def check_monitors(callbacks, reason):
    """Raise if a callback waits for the loss of held-out rows, of which there are none.

    `reason` says why there are none.
    """
    callbacks = [unnamed(callback) for callback in callbacks or ()]
    on_train, on_valid = set(), {"valid_loss", "valid_loss_best", "valid_batch_count"}
    for callback in callbacks:
        if isinstance(callback, SCORINGS):
            names = on_train if callback.on_train else on_valid
            names |= {_column(callback), f"{_column(callback)}_best"}
    for callback in callbacks:
        monitor = _monitor(callback)
        if monitor in on_valid - on_train:
            raise ValueError(
                f"callbacks has {type(callback).__name__}, which waits for "
                f"{monitor!r}, but {reason}. " + _remedy(callback, monitor)
            )


def _column(scoring):
    """Return the name under which a callback that scores writes down the score."""
    if scoring.name is not None:
        return scoring.name
    return copy.copy(scoring).initialize().name_


def _monitor(callback):
    """Return the column that a callback cannot do without, or None."""
    if isinstance(callback, WandbLogger):
        return "valid_loss_best" if callback.save_model else None
    is_schedule = isinstance(callback, LRScheduler)
    if is_schedule and callback.policy not in (ReduceLROnPlateau, "ReduceLROnPlateau"):
        return None
    if is_schedule or isinstance(callback, (Checkpoint, EarlyStopping)):
        return callback.monitor if isinstance(callback.monitor, str) else None
    return None


def _remedy(callback, monitor):
    if isinstance(callback, WandbLogger):
        return "Use fit with early_stopping=True, or set save_model=False."
    if not monitor.startswith("valid_"):
        return "Use fit with early_stopping=True, or score with on_train=True."
    other = monitor.replace("valid_", "train_", 1)
    return f"Use fit with early_stopping=True, or set monitor={other!r}."


def warn_if_untrained(callbacks, n_rows=None):
    """Warn that what was to be saved or loaded is not, as nothing is trained.

    `n_rows` are too few; None means that PCA loses nothing of them.
    """
    kinds = [
        type(unnamed(one)).__name__
        for one in callbacks or ()
        if isinstance(unnamed(one), SAVE_OR_LOAD)
    ]
    reason = "PCA loses nothing of the rows"
    remedy = "A smaller n_components leaves something to learn"
    if n_rows is not None:
        reason = f"{n_rows:.0f} rows are too few"
        remedy = "Set early_stopping=False to train all the same"
    if kinds:
        warn(
            f"{reason}: nothing is trained, so {' and '.join(kinds)} of callbacks "
            f"neither saved nor loaded anything. {remedy}."
        )


# Copies


def copied(value, memo=None):
    """Return a deep copy of callbacks that shares what should not or cannot be copied.

    That is what they call (a sink, a scoring function), what they write to (a file, the
    connection of a logger), and all that refuses to be copied (a lock, a client). What
    they collect, in lists or arrays, is copied, so that two fits do not mix it.
    """
    memo = {} if memo is None else memo
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, Callback) and not hasattr(type(value), "__deepcopy__"):
        return _copied_callback(value, memo)
    if type(value) in (list, tuple):
        return type(value)(copied(one, memo) for one in value)
    if type(value) is dict:
        return {key: copied(one, memo) for key, one in value.items()}
    if isinstance(value, types.MethodType) and isinstance(value.__self__, Callback):
        return types.MethodType(value.__func__, copied(value.__self__, memo))
    if _is_connection(value):
        return value
    trial = dict(memo)
    try:
        new = copy.deepcopy(value, trial)
    except Exception:  # whatever the reason
        memo[id(value)] = value
        return value
    memo.update(trial)
    memo.setdefault("alive", []).append(trial)  # what is known by its id must not die
    return new


def _copied_callback(callback, memo):
    new = memo[id(callback)] = copy.copy(callback)
    shared = [
        name
        for kind, names in CONNECTIONS.items()
        for name in names
        if isinstance(callback, kind)
    ]
    for name, value in vars(new).items():
        if name not in shared:
            vars(new)[name] = copied(value, memo)
    return new


def _is_connection(value):
    """Tell whether a value is there to be called, or to be written to or read from."""
    is_called = callable(value) and not isinstance(value, torch.nn.Module)
    return is_called or hasattr(value, "write") or hasattr(value, "read")


# A fit


def prepare(callbacks, earlier):
    """Set what copies of callbacks need besides, once they are initialised.

    Parameters
    ----------
    callbacks, earlier : list of (str, Callback)
        Those of this fit, and of the one that training goes on from.
    """
    earlier = dict(earlier)
    for name, callback in callbacks:
        if isinstance(callback, PrintLog) and callback.sink is print:
            # Who asks for it wants it, whatever `verbose` is.
            callback.sink = partial(print, flush=True)
        if isinstance(callback, SCORINGS[:2]) and callback.target_extractor is to_numpy:
            callback.target_extractor = _target
        if isinstance(callback, LoadInitState):
            if getattr(earlier.get(name), "did_load_", False):
                callback.did_load_ = True
            saved = callback.checkpoint
            is_end = isinstance(saved, TrainEndCheckpoint)
            if is_end and not hasattr(saved, "checkpoint_"):
                saved.initialize()


def _target(y):
    """Return a target as doubles of which single precision holds all digits.

    The mean of a constant column is then that constant, to the last bit. Else R^2 would
    divide by what rounding leaves of its variance.
    """
    return to_numpy(y).astype(np.float32).astype(np.float64)


def as_skorch_tells(told):
    """Return the arguments of a hook with batches as (X, y) and rows as a Dataset."""
    told = dict(told)
    if "batch" in told:
        X, (y, _) = told["batch"]
        told["batch"] = X, y
    for name in ("X", "dataset_train", "dataset_valid"):
        if isinstance(told.get(name), Rows):
            told[name] = RowsAsDataset(told[name])
    return told


def tell(callback, hook, net, told):
    """Call a hook of a callback in the way that its kind needs."""
    if hook == "on_train_begin" and isinstance(callback, LRScheduler):
        _begin_schedule(callback, net, told)
        return
    if hook == "on_train_end" and isinstance(callback, NEED_AN_EPOCH):
        if not net.history:  # Ctrl-C in the first epoch
            return
    if hook == "on_epoch_end" and is_caching(callback):
        seen = {
            f"dataset_{prefix}": torch.cat(batches).cpu().numpy()
            for prefix, batches in net.seen_.items()
        }
        told = told | seen  # in the order of the cached outputs
    getattr(callback, hook)(net, **told)


def is_caching(callback):
    """Tell whether a callback scores the outputs that training computes."""
    return isinstance(callback, EpochScoring) and callback.use_caching


def _begin_schedule(callback, net, told):
    """Let a schedule begin where the epochs of the history have brought it.

    skorch tells the schedule to go on from the last epoch, which needs the optimizer of
    that epoch. Ours is a new one, so all steps are taken anew.
    """
    goes_on = bool(net.history) and "last_epoch" not in callback.kwargs
    is_plateau = callback.policy_ is ReduceLROnPlateau
    if goes_on and not is_plateau:
        callback.last_epoch = -1
    callback.on_train_begin(net, **told)
    if not goes_on:
        return
    if not is_plateau:
        del callback.last_epoch
    is_batch = callback.step_every == "batch"
    n_steps = callback.batch_idx_ if is_batch else len(net.history)
    scores = [()] * n_steps
    if is_plateau:
        name = callback.monitor if isinstance(callback.monitor, str) else None
        scores = [(epoch[name],) for epoch in net.history if name in epoch]
        scores = [] if is_batch else scores
    try:
        with warnings.catch_warnings():  # that there was no step of the optimizer
            warnings.simplefilter("ignore")
            for score in scores:
                callback.lr_scheduler_.step(*score)
    except ValueError as error:
        raise ValueError(
            f"LRScheduler of callbacks cannot go on after {len(net.history)} epochs: "
            f"{error} It counts all epochs of history_; make its schedule longer, or "
            "fit anew with warm_start=False."
        ) from error
