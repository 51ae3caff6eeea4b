"""What happens between two epochs: keep the best one, stop, report."""

import multiprocessing
import sys
import time
import warnings
from functools import cache

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from skae._warnings import warn

SLOWER = 0.1  # share of the learning rate that is left after training diverged once


# What `BestEpoch` notes besides the best weights.
NOTED = (
    "best_loss_",
    "best_epoch_",
    "n_epochs_before_",
    "n_epochs_waited_",
    "has_diverged_",
)


class BestEpoch(Callback):
    """Keep the weights of the best epoch, stop when none is better, restore them.

    Without held-out rows the last finished epoch counts as the best one. Where the loss
    is not finite training goes back to the best epoch, once, and goes on at a tenth of
    the learning rate.

    Parameters
    ----------
    monitor : {"train_loss", "valid_loss"}
        Column of the history that is compared.

    start_loss : float
        Loss before the first epoch; infinite where it is not known.

    n_epochs_no_change : int
        Epochs in a row without an improvement after which training stops.

    tol : float
        An improvement is larger than `tol` times the best loss so far.

    settling : float, default=0
        Number of epochs whose losses do not compare with those of later ones.
    """

    def __init__(self, monitor, start_loss, n_epochs_no_change, tol, settling=0):
        self.monitor = monitor
        self.start_loss = start_loss
        self.n_epochs_no_change = n_epochs_no_change
        self.tol = tol
        self.settling = settling

    def on_train_begin(self, net, **kwargs):
        self.best_loss_ = self.start_loss
        self.best_epoch_ = 0
        self.n_epochs_before_ = len(net.history)
        self.n_epochs_waited_ = 0
        self.has_diverged_ = False
        self.best_state_ = _cloned_state(net)

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        net.n_epochs_finished_ = len(net.history)
        loss = epoch[self.monitor]
        if not np.isfinite([loss, epoch["train_loss"]]).all():
            self._go_back(net, loss)
            return
        threshold = self.tol * abs(self.best_loss_) if self.best_epoch_ else 0.0
        improved = loss < self.best_loss_ - threshold
        self.n_epochs_waited_ = 0 if improved else self.n_epochs_waited_ + 1
        # The training loss is measured while the weights change: it tells when to stop,
        # but not which weights are best. So the last ones are kept.
        if loss < self.best_loss_ or self.monitor == "train_loss":
            self.best_epoch_ = len(net.history)
            self.best_state_ = _cloned_state(net)
        self.best_loss_ = min(loss, self.best_loss_)
        if len(net.history) - self.n_epochs_before_ <= self.settling:
            self.n_epochs_waited_ = 0
            if self.monitor == "train_loss":
                self.best_loss_ = np.inf
        if self.n_epochs_waited_ >= self.n_epochs_no_change:
            net.stops_ = True

    def _go_back(self, net, loss):
        """Take up the best epoch with smaller steps; raise if that was done before."""
        what = f"Training diverged: the loss became {loss} in epoch {len(net.history)}"
        is_last = len(net.history) - self.n_epochs_before_ >= net.max_epochs
        if self.has_diverged_ or is_last:
            raise ValueError(
                f"{what}. Lower learning_rate (now {net.lr:g}), or scale X if a few of "
                "its values are much larger than the rest."
            )
        self.has_diverged_ = True
        net.module_.load_state_dict(self.best_state_)
        net.slow_down(SLOWER)
        warn(
            f"{what}. It goes on from epoch {self.best_epoch_} with learning_rate "
            f"{net.lr:g}. Set it so from the start, or scale X if a few of its values "
            "are much larger than the rest.",
            ConvergenceWarning,
        )

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.best_state_)
        self.best_state_ = None

    def get_state(self):
        """Return what was noted so far: facts fit for JSON, and tensors."""
        facts = {name: getattr(self, name) for name in NOTED}
        return facts, self.best_state_

    def set_state(self, facts, tensors):
        """Take over what `get_state` returned."""
        vars(self).update({name: facts[name] for name in NOTED})
        self.best_state_ = tensors


class LoadedStart(Callback):
    """Let training begin from what the user's callbacks have loaded, if they have.

    Has to be behind them. The epochs that they loaded do not count among those that are
    to be trained.

    Parameters
    ----------
    best : BestEpoch

    judge : callable or None
        Returns the loss before the first epoch; None if it is not known.

    Attributes
    ----------
    is_loaded_ : bool
        Whether the weights are other ones than those that the fit has built.
    """

    is_loaded_ = False

    def __init__(self, best, judge):
        self.best = best
        self.judge = judge

    def on_train_begin(self, net, **kwargs):
        n_epochs, weights = len(net.history), net.module_.state_dict()
        self.is_loaded_ = not all(
            torch.equal(weights[name], x) for name, x in self.best.best_state_.items()
        )
        net.n_epochs_before_ = net.n_epochs_finished_ = n_epochs
        if self.is_loaded_ and self.judge is not None:
            self.best.start_loss = self.judge()
        self.best.on_train_begin(net)
        if self.is_loaded_:
            self.best.best_epoch_ = n_epochs


class KnownLosses(Callback):
    """Record held-out losses that are known before the training.

    Parameters
    ----------
    losses : sequence of float
        After each epoch.
    """

    def __init__(self, losses):
        self.losses = losses

    def on_epoch_end(self, net, **kwargs):
        number = len(net.history) - net.n_epochs_before_
        net.history.record("valid_loss", float(self.losses[number - 1]))


class TimeLimit(Callback):
    """Stop training in time: after the epoch past which another one would be late.

    Parameters
    ----------
    seconds : float
        How long training may take. An epoch that has begun is finished if the one
        before it was short enough; the first one always is.
    """

    def __init__(self, seconds):
        self.seconds = seconds

    def on_train_begin(self, net, **kwargs):
        self.began_ = None

    def on_epoch_begin(self, net, **kwargs):
        if self.began_ is not None:
            return
        # Not empty if a checkpoint, which is the last callback, was taken up.
        earlier = net.history[net.n_epochs_before_ : -1]
        self.epoch_began_ = time.perf_counter()
        self.began_ = self.epoch_began_ - sum(epoch["dur"] for epoch in earlier)

    def on_epoch_end(self, net, **kwargs):
        now = time.perf_counter()
        last, self.epoch_began_ = now - self.epoch_began_, now
        if now - self.began_ + last > self.seconds:
            net.stops_ = True


def _cloned_state(net):
    return {name: value.clone() for name, value in net.module_.state_dict().items()}


class SklearnCallbacks(Callback):
    """Pass every epoch on to the callbacks of scikit-learn 1.9.

    Parameters
    ----------
    estimator : AutoencoderTransformer
    data : Rows
        What the estimator learns from.
    """

    def __init__(self, estimator, data):
        self.estimator = estimator
        weight = data.sample_weight
        self.arguments = {
            "estimator": estimator,
            "X": data.X,
            "y": data.output.X,  # what an autoencoder is to predict
            "metadata": None if weight is None else {"sample_weight": weight},
        }

    def begin(self, max_epochs, fitted_attributes):
        """Begin a fit; `fitted_attributes()` is what makes the estimator fitted."""
        self.fitted_attributes_ = fitted_attributes
        self.fit_ = self.estimator._init_callback_context(max_subtasks=max_epochs)
        self.fit_.call_on_fit_task_begin(**self.arguments)

    def end(self):
        self._call_end_hook(self.fit_)

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ = self.fit_.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(**self.arguments)

    def on_epoch_end(self, net, **kwargs):
        net.module_.eval()
        if self._call_end_hook(self.epoch_):
            net.stops_ = True

    def _call_end_hook(self, context):
        return context.call_on_fit_task_end(
            **self.arguments, reconstruction_attributes=self.fitted_attributes_
        )


class ProgressLine(Callback):
    """One live line with the losses and the time left, in a terminal or a notebook.

    Nothing is written where standard error is no terminal (a log, a pipe), or in a
    worker process: lines of several processes would overwrite each other.

    Parameters
    ----------
    max_epochs : int
        Planned length of the line.
    """

    line_ = None

    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def on_train_begin(self, net, **kwargs):
        self.line_ = _tqdm()(
            total=self.max_epochs,
            desc="Autoencoder",
            unit="epoch",
            miniters=1,  # else tqdm skips epochs after fast ones
            disable=_is_hidden(),
        )

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        names = ("train_loss", "valid_loss")
        losses = {name: f"{epoch[name]:.4g}" for name in names if name in epoch}
        self.line_.set_postfix(losses, refresh=False)
        n_done = len(net.history) - net.n_epochs_before_  # some by an earlier process
        self.line_.update(n_done - self.line_.n)

    def on_train_end(self, net, **kwargs):
        line = self.line_
        if line is None or line.disable or net.interrupted_:
            return
        if 0 < line.n < line.total:  # stopped early, no failure: red in a notebook
            n_epochs, start = line.n, line.start_t
            line.reset(total=n_epochs)
            line.start_t = start
            line.update(n_epochs)

    def close(self):
        """End the line, before an error is shown."""
        if self.line_ is not None:
            self.line_.close()


def _is_hidden():
    """Tell whether a line would not be live; None lets tqdm ask the stream."""
    if multiprocessing.parent_process() is not None:
        return True
    is_notebook = type(sys.stderr).__module__.startswith("ipykernel")
    return False if is_notebook else None  # there, text is live but no terminal


@cache
def _tqdm():
    """Return tqdm's class for this terminal or notebook."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        # It says that a notebook without ipywidgets gets a line of text. That will do.
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm
