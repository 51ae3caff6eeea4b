"""Losses: how far the network's output is from X, one number per sample.

A loss also owns its link, the step from the network's raw output to data space. To add
one, inherit `Loss`, write `__call__`, and put an entry in `LOSSES`.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "CallableLoss",
    "Huber",
    "LogLoss",
    "Loss",
    "SquaredError",
]


class Loss(BaseEstimator):
    """Base class of losses.

    Attributes
    ----------
    standardized : bool
        If True, `output` and `X` are both in standardised units: centred by the mean of
        each feature and divided by one common scale; `inverse_transform` undoes that.
        If False, `X` is in data space and `output` is on the scale of the link.

    degree : int
        How the loss grows with the unit of the data: measured in a unit `s` times
        smaller it is ``s**degree`` times larger. `score_samples` uses it to report in
        the unit of the data.

    target_range : tuple of float
        Smallest and largest value of X that the loss can compare with.
    """

    standardized = True
    degree = 0
    target_range = (-math.inf, math.inf)

    def __call__(self, output, X):
        """Return the loss of each sample.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            What the decoder returned.

        X : Tensor of shape (n_samples, n_features)
            What it should have been.

        Returns
        -------
        loss : Tensor of shape (n_samples,)
        """
        raise NotImplementedError

    def with_gradient(self, output, X, sample_weight=None):
        """Return the weighted mean loss, and its gradient with respect to `output`.

        Here it is left to autograd; a loss may write it out, which is faster.
        """
        output = output.detach().requires_grad_()
        with torch.enable_grad():
            losses = self(output, X)
            if sample_weight is not None:
                losses = losses * sample_weight
            loss = losses.mean()
            (gradient,) = torch.autograd.grad(loss, output)
        return loss.detach(), gradient

    def inverse_link(self, output):
        """Return the reconstruction, a Tensor, for an output of the same shape."""
        return output

    def link(self, X):
        """Return the output whose `inverse_link` is X (ndarray in, ndarray out)."""
        return X


class SquaredError(Loss):
    """Mean over features of (output - X)**2; its optimum is the conditional mean."""

    degree = 2

    def __call__(self, output, X):
        return (output - X).square().mean(1)

    def with_gradient(self, output, X, sample_weight=None):
        if type(self) is not SquaredError:  # a subclass may change the loss
            return super().with_gradient(output, X, sample_weight)
        residual = output - X
        gradient = residual * (2 / X.numel())
        if sample_weight is not None:
            gradient *= sample_weight[:, None]
        return (gradient * residual).sum() / 2, gradient


class AbsoluteError(Loss):
    """Mean over features of |output - X|; its optimum is the conditional median."""

    degree = 1

    def __call__(self, output, X):
        return (output - X).abs().mean(1)


class Huber(Loss):
    """Squared error of small residuals, absolute error of large ones.

    The mean over features of r**2 / 2 where |r| < delta, else delta (|r| - delta / 2).

    Parameters
    ----------
    delta : float, default=1.0
        Residual r at which the second form takes over, in units of the common scale
        (the root of the mean variance of the features).

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter".
    """

    degree = 2

    def __init__(self, delta=1.0):
        self.delta = delta

    def __call__(self, output, X):
        return F.huber_loss(output, X, reduction="none", delta=self.delta).mean(1)


class LogLoss(Loss):
    """Binary cross-entropy of the sigmoid of the output: -X log p - (1 - X) log(1 - p).

    X may be anything in [0, 1]: bits, probabilities, or pixels divided by their
    maximum.
    """

    standardized = False
    target_range = (0.0, 1.0)

    def __call__(self, output, X):
        return F.binary_cross_entropy_with_logits(output, X, reduction="none").mean(1)

    def inverse_link(self, output):
        return torch.sigmoid(output)

    def link(self, X):
        p = np.clip(X, 1e-3, 1 - 1e-3)  # keeps the start of constant features finite
        return np.log(p / (1 - p))


class CallableLoss(Loss):
    """A user's function as a loss.

    Parameters
    ----------
    function : callable
        ``function(output, X)`` -> Tensor of shape (n_samples,). Both arguments are in
        standardised units (see `Loss`).
    """

    def __init__(self, function):
        self.function = function

    def __call__(self, output, X):
        return self.function(output, X)


LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_loss": LogLoss,
}
