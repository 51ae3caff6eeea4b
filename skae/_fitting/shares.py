"""What share of the variance each component explains."""

import numpy as np
import torch

ROWS_TO_MEASURE_BY = 2000  # at most


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
