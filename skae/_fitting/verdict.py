"""Is the network better than PCA? Rows that were held out say so."""

import logging
import math
import re
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.special import ndtr, stdtrit
from sklearn.exceptions import ConvergenceWarning

from skae._fitting.codec import link_at_mean
from skae._fitting.inference import sample_losses
from skae._fitting.plan import auto_n_held_out
from skae._warnings import warn

__all__ = [
    "Verdict",
    "gain_is_proven",
    "hold_out",
    "judge",
    "judge_losses",
    "losses_by_size",
    "mean_loss",
    "pca_losses_by_size",
    "warn_if_coarse",
    "warn_if_nothing_learnt",
    "warn_if_poor",
]

logger = logging.getLogger("skae")

STANDARD_ERRORS = 2.0  # of the gain; what a network has to prove in large samples
ROWS_TO_WARN_BY = 5000  # at most
COARSE, ROUGHLY = 2.0, 0.02  # what is left of the variance, beside what PCA leaves
MARGIN = 1e-3  # of the mean's loss; a rival closer than that is not worth a warning


@dataclass
class Verdict:
    """What was found of the network.

    Attributes
    ----------
    sentence : str
        For the user.

    proven : bool, default=None
        Whether it is better than PCA; None if that was not judged.

    pca_loss : float, default=None
        PCA's mean loss on the held-out rows.
    """

    sentence: str
    proven: bool | None = None
    pca_loss: float | None = None

    @classmethod
    def of_few_rows(cls, n_samples, obstacle):
        """Return the verdict on rows that are too few to judge by.

        `obstacle` says why they do not judge by cross-fitting, and how many are enough.
        """
        rows = "row is" if n_samples == 1 else "rows are"
        return cls(
            f"The model is PCA: {n_samples} {rows} too few to judge a network by"
            f"{obstacle}. early_stopping=True or False trains one nevertheless.",
            proven=False,
        )

    @classmethod
    def of_interrupted_folds(cls):
        """Return the verdict where training on a part of the rows was interrupted."""
        return cls("The model is PCA: cross-fitting was interrupted.", proven=False)

    @classmethod
    def of_exact_pca(cls):
        """Return the verdict where nothing is left to learn."""
        return cls(
            "The model is PCA: with as many components it loses nothing of the rows.",
            proven=False,
        )

    @classmethod
    def of_piece(cls, stream):
        """Return the verdict after a piece of a `Stream`, or of rows without one."""
        if stream is None:
            return cls.none("partial_fit does not compare them here")
        if stream.is_trained:
            return cls.none("partial_fit compares them piece by piece, without a proof")
        return cls(
            f"The model is PCA of the {stream.n_samples:g} rows so far: a network is "
            f"trained from {stream.fewest()} on."
        )

    @classmethod
    def none(cls, reason):
        """Return the verdict where nobody judged."""
        return cls(f"The network was not judged against PCA: {reason}.")


def hold_out(rows, estimator, streams):
    """Split the rows into those to learn from and those to judge by, or None."""
    n_samples = len(rows)
    n_held_out = auto_n_held_out(
        n_samples, estimator.early_stopping, estimator.validation_fraction
    )
    if n_held_out == 0:
        return rows, None
    # The same rows each time that a fit goes on: it has not seen those it held out.
    return rows.split(n_held_out, streams.split_seed)


def judge(net, pca, valid, *, is_start, corruption=None):
    """Return the `Verdict` of held-out rows on a net against PCA.

    Parameters
    ----------
    net : AutoencoderNet

    pca : LinearStart
        PCA of the rows that the net was trained on.

    valid : Rows
        Standardised, held out.

    is_start : bool
        Whether no epoch was better than PCA, so that the net still is it.

    corruption : Corruption, default=None
        What spoils `valid`, to be named.
    """
    verdict = judge_losses(
        losses_by_size(net, valid),
        pca_losses_by_size(net, pca, valid),
        valid.weights(),
        is_start=is_start,
        corruption=corruption,
    )
    if verdict.proven and corruption is not None:
        verdict.sentence += _on_clean_rows(net, pca, valid)
    return verdict


def judge_losses(
    losses, pca_losses, weights, *, is_start=False, is_crossed=False, corruption=None
):
    """Return the `Verdict` of losses of a network and of PCA.

    Parameters
    ----------
    losses, pca_losses : ndarray of shape (n_sizes, n_samples)

    weights : ndarray of shape (n_samples,) or None

    is_start : bool, default=False
        Whether no epoch was better than PCA.

    is_crossed : bool, default=False
        Whether each row was judged by a network of its own fold.

    corruption : Corruption, default=None
        What spoiled the rows.
    """
    is_nowhere_worse = all(
        mean_loss(network, weights) <= mean_loss(linear, weights)
        for network, linear in zip(losses, pca_losses, strict=True)
    )
    has_sizes = len(losses) > 1
    loss, pca_loss = mean_loss(losses[0], weights), mean_loss(pca_losses[0], weights)
    losses, pca_losses = np.mean(losses, axis=0), np.mean(pca_losses, axis=0)
    gain, error, _ = _gain(pca_losses, losses, weights)
    is_gain = gain_is_proven(pca_losses, losses, weights)
    by_roots = not is_gain and is_crossed and gain > error
    if by_roots:
        is_gain = by_roots = roots_are_proven(pca_losses, losses, weights)
    proven = is_nowhere_worse and is_gain and not is_start  # rounding proves nothing
    kept = "the network is kept" if proven else "the model is PCA of all rows"
    logger.info("held-out loss %.4g, PCA's %.4g: %s", loss, pca_loss, kept)
    where = f"on {len(losses)} held-out rows"
    if is_crossed:
        where = f"on {len(losses)} rows, each held out once,"
    if corruption is not None:
        where = f"{where.rstrip(',')}, spoilt by {_in_words(corruption)},"
    found = (
        f"{where} the network's loss is {loss:.4g}, PCA's {pca_loss:.4g}; the gain of "
        f"{gain:.2g} has a standard error of {error:.2g}."
    )
    if by_roots and proven:
        found += " A few rows make it so uncertain: in roots of the loss it is proven."
    if not is_nowhere_worse and not is_start and has_sizes:
        found += " In a code of fewer components it is worse."
    return Verdict(_reason(proven, is_start, corruption) + found, proven, pca_loss)


def _reason(proven, is_start, corruption):
    """Return the first words of a verdict: which model it is, and why."""
    if is_start:
        return "The model is PCA: no epoch made the loss of the held-out rows smaller; "
    if proven:
        better = "is better" if corruption is None else "mends spoilt rows better"
        return f"The network is kept, as it {better} than PCA: "
    better = "be better" if corruption is None else "mend spoilt rows better"
    return f"The model is PCA, as the network did not prove to {better}: "


def _on_clean_rows(net, pca, valid):
    """Return a sentence that compares losses of rows that are not spoilt."""
    valid = valid.copy(corrupt=None)
    reconstruct = partial(pca.reconstruct, units=valid)
    pca_losses = sample_losses(valid, net.module_.loss, reconstruct)
    loss = mean_loss(net.sample_losses(valid), valid.weights())
    pca_loss = mean_loss(pca_losses, valid.weights())
    there = "PCA is better" if loss > pca_loss else "the network is no worse than PCA"
    return (
        f" On the same rows as they came its loss is {loss:.4g}, PCA's {pca_loss:.4g}: "
        f"where nothing is spoilt, {there}. Of other faults nothing is proven."
    )


def _in_words(corruption):
    """Return a corruption in one line, without addresses in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(repr(corruption).split()))


def losses_by_size(net, rows):
    """Return losses of a net in all sizes of code in which it is compared with PCA.

    An ndarray of shape (n_sizes, n_samples), the whole code first.
    """
    module, losses = net.module_, []
    for size in _sizes(module):
        module.n_kept = size
        losses.append(net.sample_losses(rows))
    module.n_kept = None
    return np.array(losses)


def pca_losses_by_size(net, pca, rows):
    """Return losses of PCA in the same sizes, of the same shape."""
    losses = []
    for size in _sizes(net.module_):
        reconstruct = partial(pca.reconstruct, units=rows, n_kept=size)
        losses.append(sample_losses(rows, net.module_.loss, reconstruct))
    return np.array(losses)


def _sizes(module):
    """Return the sizes of the code in which net and PCA compare, largest first.

    Where every size is a code: all components, a half, a quarter ... of them.
    """
    n_components = len(module.units)
    sizes = module.bottleneck.code_sizes(n_components)[::-1]
    if len(sizes) == n_components:
        sizes = [n_components >> k for k in range(n_components.bit_length())]
    return sizes


def _gain(start_losses, losses, sample_weight=None):
    """Return the mean gain, its standard error and the effective number of rows."""
    gain = start_losses - losses
    weight = np.ones_like(gain) if sample_weight is None else sample_weight
    weight = weight / weight.sum()
    n_effective = 1 / np.square(weight).sum()
    mean = weight @ gain
    if n_effective < 2:
        return mean, math.inf, n_effective
    variance = weight @ np.square(gain - mean) * n_effective / (n_effective - 1)
    return mean, math.sqrt(variance / n_effective), n_effective


def gain_is_proven(start_losses, losses, sample_weight=None):
    """Tell whether `losses` are smaller than `start_losses` by more than chance.

    The paired gain of the held-out rows has to exceed as many standard errors as leave
    the same doubt as two in a large sample (Student's t distribution).

    Parameters
    ----------
    start_losses, losses : ndarray of shape (n_samples,)
        Losses of the same rows before and after training.

    sample_weight : ndarray of shape (n_samples,), default=None

    Returns
    -------
    proven : bool
    """
    gain, error, n_effective = _gain(start_losses, losses, sample_weight)
    if n_effective < 2:
        return False
    quantile = stdtrit(n_effective - 1, ndtr(STANDARD_ERRORS))
    return bool(gain > quantile * error)


def roots_are_proven(start_losses, losses, sample_weight=None):
    """Tell whether the roots of `losses` are smaller by more than chance.

    A few rows of large losses may decide about the error of a mean; of roots, which are
    distances, they decide less.
    """
    roots = (np.sqrt(np.maximum(x, 0)) for x in (start_losses, losses))
    return gain_is_proven(*roots, sample_weight)


def warn_if_poor(net, start, rows, *, has_rival):
    """Warn if the net is worse than the mean, or than PCA where they compare.

    Parameters
    ----------
    net : AutoencoderNet

    start : LinearStart

    rows : Rows
        Standardised; held out if any were.

    has_rival : bool
        Whether PCA does all that was asked for.
    """
    rows, loss = rows.thinned(ROWS_TO_WARN_BY), net.criterion_
    mean = torch.from_numpy(link_at_mean(start, loss)[0])
    rivals = {
        "the mean of each feature": lambda x: mean.to(x).expand(len(x), -1),
    }
    if has_rival and start.components is not None:
        rivals["PCA with as many components"] = partial(start.reconstruct, units=rows)
    weights = rows.weights()
    rival_losses = {
        name: mean_loss(sample_losses(rows, loss, predict), weights)
        for name, predict in rivals.items()
    }
    slack = MARGIN * rival_losses["the mean of each feature"]
    found = mean_loss(net.sample_losses(rows), weights)
    for name, rival_loss in rival_losses.items():
        if not found <= rival_loss + slack:
            warn(
                f"The autoencoder reconstructs worse than {name}: its loss is "
                f"{found:.4g}, against {rival_loss:.4g}. Train longer (max_epochs), "
                "change learning_rate or hidden_layer_sizes, or use init='pca' "
                "with early_stopping='auto', which returns PCA where nothing "
                "better is learnt.",
                ConvergenceWarning,
            )
            return


def warn_if_coarse(net, start, rows, loss_name):
    """Warn if a loss in data space leaves much more of the variance than PCA does."""
    rows, loss = rows.thinned(ROWS_TO_WARN_BY), net.criterion_
    if loss.standardized or not loss.estimates_mean or start.components is None:
        return
    mean, scale = torch.from_numpy(start.output.mean), start.output.scale

    def squares(output, target):
        return (output - (target - mean.to(target)) / scale).square().mean(1)

    def standardized(x):
        X_hat = loss.inverse_link(net.infer(x))
        return (X_hat - mean.to(X_hat)) / scale

    pca = partial(start.reconstruct, units=rows)
    left, pca_left = (
        mean_loss(sample_losses(rows, squares, predict), rows.weights())
        for predict in (standardized, pca)
    )
    if left > COARSE * pca_left + ROUGHLY:
        warn(
            "The autoencoder reconstructs worse than PCA with as many components: "
            f"it leaves {left:.2g} of the variance, PCA {pca_left:.2g}. "
            f"loss={loss_name!r} asks for more than squared errors; if these count, "
            "train longer (max_epochs) or choose another loss.",
            ConvergenceWarning,
        )


def warn_if_nothing_learnt(net):
    """Warn that held-out rows sent the net back to where it started."""
    warn(
        "No epoch made the loss of the held-out rows smaller: the model is the "
        f"start, with PCA's codes. Lower learning_rate (now {net.lr:g}), "
        "raise alpha, or pass more rows.",
        ConvergenceWarning,
    )


def mean_loss(losses, weights):
    """Return the weighted mean of the losses of rows."""
    return float(np.average(losses, weights=weights))
