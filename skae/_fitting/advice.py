"""Warnings that help: what is odd about the data or the code, and what to do."""

import numpy as np
import torch
from torch import nn

from skae._warnings import warn

__all__ = ["advise_on_columns", "advise_on_code", "advise_on_units"]

ROWS_TO_LOOK_AT = 1000  # at most
MOST_NAMED = 5  # columns or components in one warning
NEARLY_ALL = 0.99  # of the variance
FEW = 0.25  # of the columns
FEWEST_COLUMNS = 4  # of which "few" and "the others" can be told
COLLAPSED = 1e-3  # of the largest spread among the components
COLLAPSED_TO_PRIOR = 0.1  # spread, where the prior has one; 0.005 nats are left
FEWEST_ROWS = 20  # that tell whether a unit is dead
MANY = 0.5  # of the units of a layer


def advise_on_columns(rows, names=None):
    """Warn of columns that say nothing, or of those that drown all others.

    Parameters
    ----------
    rows : Rows
        Of a table, not standardised.

    names : ndarray of str, default=None
        Of the columns; None are their numbers.
    """
    some = _some(rows)
    if len(some) < 2:
        return
    smallest, largest = some.min(0), some.max(0)
    constant = np.flatnonzero((smallest == largest) & (smallest != 0))
    constant = constant[_are_constant(rows, constant)]
    if len(constant):
        warn(
            f"X has the same value in every row of {_columns(constant, names)}: it "
            "says nothing. Leave it out (VarianceThreshold)."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        variance = some.var(0)
    order = np.argsort(variance)[::-1]
    shares = np.cumsum(variance[order]) / (variance.sum() or 1.0)
    n_loud = int(np.searchsorted(shares, NEARLY_ALL)) + 1
    n_varying = np.count_nonzero(variance)
    if n_varying >= FEWEST_COLUMNS and n_loud <= FEW * n_varying:
        warn(
            f"{NEARLY_ALL:.0%} of the variance of X is in "
            f"{_columns(np.sort(order[:n_loud]), names)}: the autoencoder will hardly "
            f"see the other {n_varying - n_loud}. If they matter, scale X first: "
            "make_pipeline(StandardScaler(), AutoencoderTransformer(...))."
        )


def _some(rows):
    """Return some rows of X that count, as a float64 array."""
    weight = rows.weights()
    if weight is not None:
        counting = np.flatnonzero(weight)
        index = counting if rows.index is None else rows.index[counting]
        rows = rows.copy(index=index)
    rows = rows.copy(dtype="float64", sample_weight=None, target=None)
    return rows.thinned(ROWS_TO_LOOK_AT).take(slice(None))[0].numpy()


def _are_constant(rows, columns):
    """Tell of each column whether it is constant in all rows, not only in some."""
    if len(columns) == 0:
        return np.zeros(0, bool)
    part = rows.X[:, columns]
    part = part.toarray() if hasattr(part, "toarray") else part
    return (part == part[:1]).all(0)


def advise_on_code(spread, start, has_prior):
    """Warn of components that carry nothing.

    Parameters
    ----------
    spread : ndarray of shape (n_components,)
        Standard deviation of the code.

    start : LinearStart

    has_prior : bool
        Whether the bottleneck pulls codes to a distribution of its own.
    """
    n_components, rank = len(spread), np.count_nonzero(start.spread)
    if rank == 0:
        return  # all rows are the same
    if rank < n_components < len(start.mean):
        warn(
            f"X has only {rank} independent direction{'' if rank == 1 else 's'}, but "
            f"n_components={n_components}: the components from {rank} on have nothing "
            f"of their own to say. Set n_components={rank} or less."
        )
    least = COLLAPSED * spread.max()
    if has_prior:
        least = COLLAPSED_TO_PRIOR / start.scale
    supported = np.arange(n_components) < rank
    collapsed = np.flatnonzero((spread <= least) & supported)
    if len(collapsed):
        remedy = "Lower n_components or learning_rate, or raise max_epochs."
        if has_prior:
            remedy = "Lower n_components, or the bottleneck's weight (beta)."
        warn(
            f"The code has collapsed: {_listed('component', collapsed)} of "
            f"{n_components} hardly differ between rows. {remedy}"
        )


def advise_on_units(module, X):
    """Warn if many hidden units of a layer are the same for all rows.

    Parameters
    ----------
    module : Codec
        With a network of ours that is fully connected.

    X : Tensor of shape (n_samples, n_features)
        Some rows, standardised.
    """
    dead = []
    if len(X) < FEWEST_ROWS:
        return
    with torch.no_grad():
        inputs = {"encoder": X, "decoder": module.code(X)}
        for half, x in inputs.items():
            layers = getattr(module.network, half)
            hidden = 0
            for layer, following in zip(layers, layers[1:], strict=False):
                x = layer(x)
                if isinstance(following, nn.Linear):
                    hidden += 1
                    n_dead = int((x.amax(0) == x.amin(0)).sum())
                    if n_dead > MANY * x.shape[1]:
                        dead.append(
                            f"{n_dead} of {x.shape[1]} in hidden layer {hidden} of "
                            f"the {half}"
                        )
    if dead:
        warn(
            f"Hidden units are dead, the same for all rows: {', '.join(dead)}. Lower "
            "learning_rate, or use activation='silu', which cannot die."
        )


def _columns(numbers, names):
    if names is None:
        return _listed("column", numbers)
    return _listed("column", [repr(str(names[number])) for number in numbers])


def _listed(what, items):
    """Return "column 1", "columns 1, 2" or "columns 1, 2, 3, 4, 5 and 7 more"."""
    text = ", ".join(map(str, items[:MOST_NAMED]))
    if len(items) > MOST_NAMED:
        text += f" and {len(items) - MOST_NAMED} more"
    return f"{what}{'' if len(items) == 1 else 's'} {text}"
