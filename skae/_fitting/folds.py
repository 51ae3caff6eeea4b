"""Few rows judge by cross-fitting: each judges a network that has not seen it.

Every fold of the rows is left out once. A network trained on the others says after each
epoch what it loses on the rows left out, and PCA of the others what it loses. So all
rows judge, not a tenth of them, and they also say how many epochs are best.
"""

import copy
import warnings
from dataclasses import dataclass

import numpy as np
from skorch.callbacks import Callback

from skae._fitting.build import build_net_at, new_network
from skae._fitting.parts import Parts, spoiler
from skae._fitting.plan import (
    FEWEST_FOLDED,
    FEWEST_HELD_OUT,
    MOST_FOLDED,
    N_FOLDS,
    Plan,
    can_fold,
)
from skae._fitting.start import fit_linear_start, standardized
from skae._fitting.train import Training
from skae._fitting.verdict import judge_losses, losses_by_size, pca_losses_by_size
from skae._runtime import count_products

HOPE, PATIENCE = 0.5, 0.25  # shares of the epochs: a gain has to show, and to grow


def obstacle(estimator, data, bottleneck, count_components, streams):
    """Return why rows do not judge by cross-fitting, to end a sentence, or None.

    It is empty where nobody is to be told. Rows have to be few, but not too few, where
    those that are equal count once; nothing may belong to one training alone; and all
    folds have to be trained in some seconds.
    `count_components` is called if all else suits.
    """
    rows, many = data.rows, f"({4 * FEWEST_HELD_OUT} are enough)"
    for name in ("warm_start", "callbacks"):
        if getattr(estimator, name):
            return f" with {name} {many}"
    if len(rows) < FEWEST_FOLDED:
        return f" ({FEWEST_FOLDED} are enough)"
    if len(rows) > MOST_FOLDED:
        return ""
    n_different = rows.kinds().max() + 1
    if n_different < FEWEST_FOLDED:
        verb = "is" if n_different == 1 else "are"
        only = f"as only {n_different} {verb} different"
        return f", {only} ({FEWEST_FOLDED} are enough)"
    n_components = count_components(rows)
    if can_fold(rows.n_features * n_components, len(rows)):  # the linear path alone
        network, _ = new_network(estimator, data, bottleneck, n_components, streams)
        if can_fold(count_products(network), len(rows)):
            return None
    return f" where cross-fitting takes long {many}"


@dataclass
class OutOfFold:
    """What rows lose on networks, and on PCA, that have not seen them.

    Attributes
    ----------
    losses : ndarray of shape (n_epochs, n_sizes, n_samples)
        After each epoch, in all sizes of the code in which network and PCA compare,
        the whole code first.

    pca_losses : ndarray of shape (n_sizes, n_samples)

    weights : ndarray of shape (n_samples,) or None

    epochs : list of dict
        "train_loss", the mean over the folds, and "dur", their seconds together.

    has_hope : bool
        Whether the networks were better than PCA after some epoch. If not, later folds
        were not trained, and their rows are missing.
    """

    losses: np.ndarray
    pca_losses: np.ndarray
    weights: np.ndarray | None
    epochs: list
    has_hope: bool

    def curve(self):
        """Return the mean loss after each epoch, ndarray of shape (n_epochs,)."""
        return np.average(self.losses.mean(1), axis=1, weights=self.weights)

    def best_epoch(self):
        """Return the epoch of the smallest mean loss, from 1 on."""
        return int(self.curve().argmin()) + 1

    def record(self, history):
        """Put the epochs of all folds into the history of a net that has none."""
        rows = zip(self.epochs, self.curve(), strict=True)
        for number, (epoch, loss) in enumerate(rows, 1):
            history.new_epoch()
            known = {"epoch": number, **epoch, "valid_loss": float(loss)}
            for name, value in known.items():
                history.record(name, value)

    def verdict(self, corruption=None):
        """Return the `Verdict` on the best epoch of rows that this has spoilt."""
        losses = self.losses[self.best_epoch() - 1]
        return judge_losses(
            losses,
            self.pca_losses,
            self.weights,
            is_start=not self.has_hope,
            is_crossed=True,
            corruption=corruption,
        )


class LeftOut(Callback):
    """Note after each epoch what the rows of a fold lose; end training without hope.

    Training also ends where the gain has not grown for a while, and where it did in an
    earlier fold.

    Parameters
    ----------
    measure : callable
        ``measure()`` -> losses, ndarray of shape (n_sizes, n_samples).

    pca_losses : ndarray of shape (n_sizes, n_samples)

    weights : ndarray of shape (n_samples,) or None

    gains : ndarray of shape (n_epochs,)
        Sum over the rows of earlier folds of what they gain over PCA, by epoch.

    max_epochs : int

    Attributes
    ----------
    losses_ : list of ndarray

    gains_ : list of float
        With those of earlier folds.
    """

    def __init__(self, measure, pca_losses, weights, gains, max_epochs):
        self.measure = measure
        self.pca_losses = pca_losses
        self.weights = weights
        self.gains = gains
        self.max_epochs = max_epochs
        self.losses_, self.gains_ = [], []

    def on_epoch_end(self, net, **kwargs):
        losses = self.measure()
        gain = (self.pca_losses - losses).mean(0)
        gain = gain.sum() if self.weights is None else self.weights @ gain
        self.losses_.append(losses)
        self.gains_.append(self.gains[len(self.gains_)] + gain)
        net.module_.train()
        if len(self.losses_) == len(self.gains) or self._has_waited():
            net.stops_ = True

    def _has_waited(self):
        """Tell whether there was no gain, or no larger one, for long enough."""
        n_epochs = len(self.losses_)
        if not self.has_hope():
            return n_epochs >= HOPE * self.max_epochs
        best = int(np.argmax(self.gains_)) + 1
        return n_epochs - best >= PATIENCE * self.max_epochs

    def has_hope(self):
        """Tell whether the network was better than PCA after some epoch."""
        return max(self.gains_, default=0.0) > 0


@dataclass
class CrossFit:
    """The networks of all folds, one after the other.

    Attributes
    ----------
    estimator : AutoencoderTransformer
        Read for its parameters only.

    plan : Plan
    parts : Parts
    data : TrainingData
    streams : RandomStreams

    net : AutoencoderNet
        Untrained; its network is that with which each fold begins.

    max_time : float or None
        Seconds that one fold may take.
    """

    estimator: object
    plan: Plan
    parts: Parts
    data: object
    streams: object
    net: object
    max_time: float | None

    def run(self, rows, schedule):
        """Return the `OutOfFold` of some rows, or None after a Ctrl-C.

        `schedule` is a function of the number of rows that makes one.
        """
        gains, folds = np.zeros(self.plan.max_epochs), []
        for learnt, left in rows.folds(N_FOLDS, self.streams.split_seed):
            found, net = self._fold(learnt, left, gains, schedule(len(learnt)))
            if net.interrupted_:
                return None
            folds.append((found, net.history))
            if not found.has_hope():
                break
            gains = np.array(found.gains_)
        return _joined(folds)

    def _fold(self, learnt, left, gains, schedule):
        """Train on some rows and return the `LeftOut` of the others, and the net."""
        parts, streams = copy.deepcopy(self.parts), self.streams.copy()
        module = self.net.module_
        start = fit_linear_start(learnt, len(module.units), streams.init)
        network, recipe = copy.deepcopy(module.network), dict(module.recipe)
        net = build_net_at(
            start, network, recipe, parts, self.estimator, self.plan, streams
        )
        dtype, spoil = net.dtype(), None
        if parts.corruption is not None:
            clean = standardized(learnt, start, dtype)
            spoil = spoiler(parts.corruption, clean, self.data.form, streams)
        learnt, left = (standardized(x, start, dtype, spoil) for x in (learnt, left))
        pca_losses = pca_losses_by_size(net, start, left)
        found = LeftOut(
            lambda: losses_by_size(net, left),
            pca_losses,
            left.weights(),
            gains,
            self.plan.max_epochs,
        )
        training = Training(
            self.estimator,
            self.plan,
            parts,
            streams,
            start,
            watch=found,
            is_alone=True,
            max_time=self.max_time,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            training.run(net, learnt, None, judge=None, schedule=schedule)
        return found, net


def _joined(folds):
    """Return the `OutOfFold` of all folds, pairs of `LeftOut` and history."""
    found = [fold for fold, _ in folds]
    n_epochs = min(len(fold.losses_) for fold in found)
    epochs = [
        {
            "train_loss": float(np.mean([epoch["train_loss"] for epoch in same])),
            "dur": sum(epoch["dur"] for epoch in same),
        }
        for same in zip(*(history[:n_epochs] for _, history in folds), strict=True)
    ]
    weights = None
    if found[0].weights is not None:
        weights = np.concatenate([fold.weights for fold in found])
    return OutOfFold(
        np.concatenate([fold.losses_[:n_epochs] for fold in found], 2),
        np.concatenate([fold.pca_losses for fold in found], 1),
        weights,
        epochs,
        found[-1].has_hope(),
    )
