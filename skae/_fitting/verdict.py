"""Is the network better than PCA? Rows that were held out say so."""

import math

import numpy as np
from scipy.special import ndtr, stdtrit

STANDARD_ERRORS = 2.0  # of the gain; what a network has to prove in large samples


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
    gain = start_losses - losses
    weight = np.ones_like(gain) if sample_weight is None else sample_weight
    weight = weight / weight.sum()
    n_effective = 1 / np.square(weight).sum()
    if n_effective < 2:
        return False
    mean = weight @ gain
    variance = weight @ np.square(gain - mean) * n_effective / (n_effective - 1)
    quantile = stdtrit(n_effective - 1, ndtr(STANDARD_ERRORS))
    return bool(mean > quantile * math.sqrt(variance / n_effective))
