"""Checkpoints: a fit that was killed goes on where it was, to the same bytes."""

import hashlib
import inspect
import os
import tempfile

import numpy as np
import scipy.sparse as sp
import torch
from skorch.callbacks import Callback
from skorch.history import History

from skae._files.archive import (
    decoded_epoch,
    encoded_epoch,
    pack,
    unpack,
    versions,
    with_tensors,
    without_tensors,
    write,
)
from skae._warnings import warn

__all__ = ["Checkpoint", "check_checkpoint", "fingerprint"]

FORMAT, FORMAT_VERSION = "skae checkpoint", 1
ROWS_TO_KNOW_BY = 5000  # at most
# Parameters that change nothing of what a fit ends with.
WITHOUT_EFFECT = (
    "callbacks",
    "checkpoint",
    "checkpoint_every",
    "max_time",
    "n_jobs",
    "verbose",
)


class Checkpoint(Callback):
    """Write all that training needs to go on, and take it up again.

    Has to be the last callback, so that it sees what the others did.

    Parameters
    ----------
    path : str
        The file.

    every : int
        Epochs from one checkpoint to the next.

    streams : RandomStreams
        Those of the fit, before anything was drawn from them. If there is a checkpoint
        they become what they were when it was begun.

    Attributes
    ----------
    best : BestEpoch
        Set before training begins.

    found : (dict, dict) or None
        Facts and tensors of the file that was there.
    """

    def __init__(self, path, every, streams):
        self.path = path
        self.every = every
        self.streams = streams
        self.best = None
        self.found = self._read()
        self.begun_ = streams.get_state()
        if self.found is not None:
            self.begun_ = self._streams("begun")
            streams.set_state(self.begun_)

    def _read(self):
        """Return what an earlier run has left, or None."""
        try:
            with open(self.path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        try:
            facts, tensors = unpack(data, FORMAT, FORMAT_VERSION)
            if facts["versions"] == versions():
                return facts, tensors
            reason = "it is of other versions of the libraries"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        warn(
            f"The checkpoint {self.path!r} cannot be used: {reason}. Training starts "
            "anew."
        )
        return None

    def _streams(self, name):
        facts, tensors = self.found
        return with_tensors(facts[name], tensors)

    def on_train_begin(self, net, **kwargs):
        """Go on from the checkpoint, if there is one."""
        if self.found is None:
            return
        facts, tensors = self.found
        net.module_.load_state_dict(_under(tensors, "module."))
        net.take_optimizer(facts["optimizer"], tensors)
        epochs = map(decoded_epoch, facts["history"])
        net.history_ = History({**epoch, "batches": [{}]} for epoch in epochs)
        net.n_epochs_finished_ = len(net.history_)
        net.n_epochs_before_ = facts["n_epochs_before"]
        net.stops_, net.n_parts_ = facts["stops"], facts["n_parts"]
        self.streams.set_state(self._streams("streams"))
        best = with_tensors(facts["best"], tensors)
        best["best_loss_"] = float(best["best_loss_"])
        self.best.set_state(best, _under(tensors, "best."))
        self.found = None

    def on_epoch_end(self, net, **kwargs):
        n_done = len(net.history) - net.n_epochs_before_
        if n_done % self.every and not net.stops_:
            return
        arrays = {f"module.{key}": x for key, x in net.module_.state_dict().items()}
        best, best_state = self.best.get_state()
        arrays |= {f"best.{key}": x for key, x in best_state.items()}
        facts = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "versions": versions(),
            "optimizer": net.optimizer_facts(arrays),
            "history": [encoded_epoch(epoch) for epoch in net.history],
            "n_epochs_before": net.n_epochs_before_,
            "stops": net.stops_,
            "n_parts": net.n_parts_,
            "streams": without_tensors(self.streams.get_state(), arrays, "streams"),
            "begun": without_tensors(self.begun_, arrays, "begun"),
            "best": without_tensors(
                {**best, "best_loss_": repr(float(best["best_loss_"]))}, arrays, "noted"
            ),
        }
        try:
            write(self.path, pack(facts, arrays))
        except OSError as error:
            warn(
                f"No checkpoint after epoch {len(net.history)}: {error}. Training goes "
                "on. Make room, or set checkpoint to another folder."
            )

    def remove(self):
        """Forget the checkpoint: the fit has come to its end."""
        try:
            os.unlink(self.path)
        except OSError:  # there is none, or nothing can be done about it
            pass


def _under(tensors, prefix):
    """Return the tensors whose names begin so, without it."""
    return {
        name.removeprefix(prefix): x
        for name, x in tensors.items()
        if name.startswith(prefix)
    }


def fingerprint(estimator, data, streams, previous):
    """Return a word that is the same for the same fit, and for no other one.

    Parameters
    ----------
    estimator : AutoencoderTransformer

    data : Rows
        Known by their number, dtype and at most 5000 of them.

    streams : RandomStreams
        Count if they follow from `random_state`.

    previous : tuple of (AutoencoderNet, LinearStart) or None
        What training goes on from.
    """
    parameters = estimator.get_params(deep=False)
    for name in WITHOUT_EFFECT:
        del parameters[name]
    seed = parameters.pop("random_state")
    said = [_said(parameters), None if seed is None else streams.split_seed]
    total = hashlib.sha256(repr(said).encode())
    for rows in (data, data.target):
        if rows is not None:
            _add(total, rows.X)
    if data.sample_weight is not None:
        _add(total, data.sample_weight)
    if previous is not None:
        for x in previous[0].module_.state_dict().values():
            _add(total, x.detach().cpu().numpy())
    return total.hexdigest()[:32]


def _said(value):
    """Return a parameter in a form whose `repr` is the same in each process."""
    if isinstance(value, dict):
        return {name: _said(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_said(one) for one in value]
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{value.__module__}:{value.__qualname__}"
    if hasattr(value, "get_params"):
        return [type(value).__qualname__, _said(value.get_params(deep=False))]
    if isinstance(value, (int, float, str, np.generic, torch.device, type(None))):
        return repr(value)
    return type(value).__qualname__


def _add(total, X):
    """Add the rows of X, or some of them, to a checksum."""
    step = -(-X.shape[0] // ROWS_TO_KNOW_BY)
    some = X[:: max(step, 1)]
    total.update(f"{X.shape} {X.dtype.str}".encode())
    for part in (some.data, some.indices, some.indptr) if sp.issparse(X) else (some,):
        total.update(np.ascontiguousarray(part).view(np.uint8).reshape(-1))


def check_checkpoint(folder):
    """Raise unless checkpoints can be written to a folder; make it if need be."""
    if folder is None:
        return
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"checkpoint={folder!r} is no folder that can be written to: {error}. Pass "
            "the path of one, or None for no checkpoints."
        ) from error
