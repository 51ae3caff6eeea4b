"""What share of the variance each component explains."""

from numbers import Integral

import numpy as np
import torch

from skae._fitting.start import fit_linear_start, standardized

ROWS_TO_MEASURE_BY = 2000  # at most


def count_components(wanted, rows, judges, stream):
    """Return `n_components` as a number.

    `wanted` is a number, the share of the variance that PCA of the rows is to explain
    (see `count_for_share`), or None, as many as there are.
    """
    if isinstance(wanted, Integral):
        return int(wanted)
    most = min(len(rows), rows.n_features)
    if wanted is None:
        return most
    return count_for_share(fit_linear_start(rows, most, stream), rows, wanted, judges)


def count_for_share(start, rows, share, judges=None):
    """Return how many components PCA needs for a share of the variance.

    Parameters
    ----------
    start : LinearStart
        PCA of `rows` with all components.

    rows : Rows

    share : float

    judges : Rows, default=None
        Held out: the share is that of theirs, if all components reach it.
    """
    if judges is not None:
        shares = _pca_shares(start, standardized(judges, start, "float64"))
        if shares[-1] >= share:
            return _fewest(shares, share)
    return _fewest(np.cumsum(np.square(start.spread)) / rows.n_features, share)


def count_kept(net, shares, wanted, judges, *, is_pca):
    """Return how many components of an ordered code explain a share of the variance.

    Parameters
    ----------
    net : AutoencoderNet

    shares : ndarray of shape (n_components,)
        What the first 1, 2, ... components explain of the rows learnt from.

    wanted : float

    judges : Rows or None
        Standardised, held out: if there are any, the share is that of theirs. They also
        said how many PCA needs, so where it is the model it keeps all.

    is_pca : bool
    """
    if judges is not None:
        if is_pca:
            return len(shares)
        shares = ordered_shares(net, judges)
    return _fewest(shares, wanted, net.module_.bottleneck.code_sizes(len(shares)))


def _fewest(shares, least, sizes=None):
    """Return the smallest size of the code whose share is `least`, or the largest.

    `sizes`, rising, are those to choose from; None is all.
    """
    sizes = np.arange(1, len(shares) + 1) if sizes is None else np.array(sizes)
    enough = sizes[shares[sizes - 1] >= least]
    return int(enough[0] if len(enough) else sizes[-1])


def _pca_shares(start, rows):
    """Return the share of the variance that the first 1, 2, ... components explain."""
    axes = torch.from_numpy(start.components.T)
    explained, total = torch.zeros(axes.shape[1], dtype=torch.float64), 0.0
    for x, (_, weight) in rows.blocks():
        x = x.double()
        if weight is not None:
            x = x * weight.double().sqrt()[:, None]
        explained += (x @ axes).square().sum(0)
        total += x.square().sum().item()
    return explained.cumsum(0).numpy() / (total or 1.0)


def ordered_shares(net, rows):
    """Return the share of the variance that the first 1, 2, ... components explain.

    What they decode to says so. Between two sizes for which the code was made it rises
    evenly.
    """
    shares = net.explained_shares(rows.thinned(ROWS_TO_MEASURE_BY))
    sizes = net.module_.bottleneck.code_sizes(len(shares))
    numbers = np.arange(1, len(shares) + 1)
    return np.interp(numbers, [0, *sizes], [0.0, *shares[np.array(sizes) - 1]])


def explained_shares(net, rows):
    """Return the share of the variance that each component adds to those before it.

    It is that of a linear reconstruction of the rows from their codes, by least
    squares: components are made orthogonal in their order, as those of PCA are.

    Parameters
    ----------
    net : AutoencoderNet

    rows : Rows
        Standardised.

    Returns
    -------
    shares : ndarray of shape (n_components,)
        Each at least zero, and at most one together.
    """
    rows = rows.thinned(ROWS_TO_MEASURE_BY)
    code, weight = net.codes(rows), rows.weights()
    weight = np.ones(len(code)) if weight is None else np.float64(weight)
    code = (code - np.average(code, axis=0, weights=weight)) * np.sqrt(weight)[:, None]
    axes, triangle = np.linalg.qr(code)
    norms = np.abs(triangle.diagonal())
    axes[:, norms <= 1e-9 * norms.max(initial=0)] = 0  # nothing of their own
    found, total, start = 0.0, 0.0, 0
    for x, (target, _) in rows.blocks():
        target = target.double()
        if not net.criterion_.standardized:
            output = rows.output
            target = (target - torch.from_numpy(output.mean)) / output.scale
        stop = start + len(x)
        target = target.numpy() * np.sqrt(weight[start:stop])[:, None]
        found = found + axes[start:stop].T @ target
        total += np.square(target).sum()
        start = stop
    shares = np.zeros(code.shape[1])
    shares[: axes.shape[1]] = np.square(found).sum(1) / (total or 1.0)
    return shares
