"""Losses: how far the network's output is from X, one number per sample.

A loss also owns its link, the step from the network's raw output to data space, and may
have weights of its own. To add one, inherit `Loss`, write `__call__`, and put an entry
in `LOSSES`.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skae._parts import LearningPart
from skae._typing import Array, LossFunction

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "CallableLoss",
    "CosineDistance",
    "Huber",
    "LogLoss",
    "Loss",
    "NegativeBinomial",
    "Poisson",
    "SquaredError",
]


class Loss(LearningPart):
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

    most_learning_rate : float
        The largest one that ``learning_rate="auto"`` takes.

    of_counts : bool
        If True, images are taken as counts, whatever their dtype, and are never divided
        by the value of white.

    estimates_mean : bool
        Whether it is smallest where the reconstruction is the mean of what X can be.
        Then `fit` warns of reconstructions whose squared error is far from PCA's.
    """

    standardized: bool = True
    degree: float = 0
    target_range: tuple[float, float] = (-math.inf, math.inf)
    most_learning_rate: float = math.inf
    of_counts: bool = False
    estimates_mean: bool = False

    def build(self, mean: Array) -> None:
        """Get ready for a training; `mean` is the ndarray of the features' means."""

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
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

    def with_gradient(
        self, output: Tensor, X: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
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

    def inverse_link(self, output: Tensor) -> Tensor:
        """Return the reconstruction, a Tensor, for an output of the same shape."""
        return output

    def link(self, X: Array) -> Array:
        """Return the output whose `inverse_link` is X (ndarray in, ndarray out)."""
        return X

    def nat(self, noise_variance: float) -> float:
        """Return what one unit of log-likelihood is in the sum over features.

        `noise_variance` is that of a feature, in standardised units.
        """
        if not self.standardized:
            return 1.0
        return 2 * noise_variance ** (self.degree / 2)  # exact for squared error


class SquaredError(Loss):
    """Mean over features of ``(output - X)**2``, optimal at the conditional mean.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.losses import SquaredError
    >>> AutoencoderTransformer(loss=SquaredError())
    AutoencoderTransformer(loss=SquaredError())
    """

    degree: float = 2
    estimates_mean = True

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        return (output - X).square().mean(1)

    def with_gradient(
        self, output: Tensor, X: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if type(self) is not SquaredError:  # a subclass may change the loss
            return super().with_gradient(output, X, sample_weight)
        residual = output - X
        gradient = residual * (2 / X.numel())
        if sample_weight is not None:
            gradient *= sample_weight[:, None]
        return (gradient * residual).sum() / 2, gradient


class AbsoluteError(Loss):
    """Mean over features of ``|output - X|``, optimal at the conditional median.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.losses import AbsoluteError
    >>> AutoencoderTransformer(loss=AbsoluteError())
    AutoencoderTransformer(loss=AbsoluteError())
    """

    degree: float = 1

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        return (output - X).abs().mean(1)


class Huber(Loss):
    """Squared error of small residuals, absolute error of large ones.

    The mean over features of ``r**2 / 2`` where ``|r| < delta``, else
    ``delta * (|r| - delta / 2)``.

    Parameters
    ----------
    delta : float, default=1.0
        Residual r at which the second form takes over, in units of the common scale
        (the root of the mean variance of the features).

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter".

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.losses import Huber
    >>> AutoencoderTransformer(loss=Huber(delta=0.5))
    AutoencoderTransformer(loss=Huber(delta=0.5))
    """

    degree: float = 2
    ranges = {"delta": (1e-6, math.inf)}

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        return F.huber_loss(output, X, reduction="none", delta=self.delta).mean(1)


class LogLoss(Loss):
    """Binary cross-entropy of the sigmoid of the output: -X log p - (1 - X) log(1 - p).

    X may be anything in [0, 1]: bits, probabilities, or pixels divided by their
    maximum.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.losses import LogLoss
    >>> AutoencoderTransformer(loss=LogLoss())
    AutoencoderTransformer(loss=LogLoss())
    """

    standardized = False
    target_range = (0.0, 1.0)
    estimates_mean = True

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(output, X, reduction="none").mean(1)

    def inverse_link(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output)

    def link(self, X: Array) -> Array:
        p = np.clip(X, 1e-3, 1 - 1e-3)  # keeps the start of constant features finite
        return np.log(p / (1 - p))


class CountLoss(Loss):
    """Base class of losses for counts, whose expectation is never negative.

    The expected count is the mean of the feature times exp(output) where the output is
    negative, and times 1 + output elsewhere: a log link for small counts that does not
    overflow for large ones.
    """

    standardized = False
    target_range = (0.0, math.inf)
    estimates_mean = True
    most_learning_rate = 3e-3
    mean: Tensor
    of_counts = True
    positive = ("mean",)
    SMALLEST = 1e-3  # share of the mean below which the link is cut off

    def __init__(self) -> None:
        self.build(np.ones(1))  # until a training says more

    def build(self, mean: Array) -> None:
        floor = 1e-4 * mean.mean() if mean.any() else 1.0  # of features never seen
        self.register_buffer("mean", torch.from_numpy(np.maximum(mean, floor)))

    def inverse_link(self, output: Tensor) -> Tensor:
        low, high = output.clamp_max(0), output.clamp_min(0)
        return self.mean.to(output) * (low.exp() + high)

    def log_mean(self, output: Tensor) -> Tensor:
        """Return the logarithm of `inverse_link`."""
        low, high = output.clamp_max(0), output.clamp_min(0)
        return self.mean.to(output).log() + low + high.log1p()

    def link(self, X: Array) -> Array:
        share = X / self.mean.double().cpu().numpy()
        return np.where(share < 1, np.log(np.maximum(share, self.SMALLEST)), share - 1)


class Poisson(CountLoss):
    """Minus the log-likelihood of a Poisson distribution, for counts.

    With mu the expected count it is mu - X log(mu) + log(X!), a mean over features.

    References
    ----------
    Collins, Dasgupta and Schapire (2001), "A generalization of principal components
    analysis to the exponential family", NIPS.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.losses import Poisson
    >>> AutoencoderTransformer(loss=Poisson())
    AutoencoderTransformer(loss=Poisson())
    """

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        mean, log_mean = self.inverse_link(output), self.log_mean(output)
        return (mean - X * log_mean + torch.lgamma(X + 1)).mean(1)


class NegativeBinomial(CountLoss):
    """Minus the log-likelihood of a negative binomial distribution, for counts.

    Counts that vary more than Poisson's: with mu the expected count, the variance is
    mu + mu**2 / theta. The theta of each feature is learnt along with the network.

    Attributes
    ----------
    log_dispersion : Tensor of shape (n_features,)
        log(theta).

    References
    ----------
    Eraslan et al. (2019), "Single-cell RNA-seq denoising using a deep count
    autoencoder", Nature Communications 10.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.losses import NegativeBinomial
    >>> AutoencoderTransformer(loss=NegativeBinomial())
    AutoencoderTransformer(loss=NegativeBinomial())
    """

    PACE = 3.0  # how much faster than the network log(theta), which starts at 0, learns

    def build(self, mean: Array) -> None:
        super().build(mean)
        self.slow_log_dispersion = nn.Parameter(torch.zeros(len(mean)))

    @property
    def log_dispersion(self) -> Tensor:
        return self.PACE * self.slow_log_dispersion

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        log_theta = self.log_dispersion.to(output).clamp(-10, 10)
        log_mean, theta = self.log_mean(output), log_theta.exp()
        log_sum = torch.logaddexp(log_theta, log_mean)  # log(theta + mu)
        ways = torch.lgamma(X + theta) - torch.lgamma(theta) - torch.lgamma(X + 1)
        log_likelihood = ways + theta * (log_theta - log_sum) + X * (log_mean - log_sum)
        return -log_likelihood.mean(1)


class CosineDistance(Loss):
    """One minus the cosine of the angle between output and X, both in data space.

    It compares shares, not amounts, as one does with word counts: the length of a
    reconstruction means little. A row of zeros has the loss one.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.losses import CosineDistance
    >>> AutoencoderTransformer(loss=CosineDistance())
    AutoencoderTransformer(loss=CosineDistance())
    """

    standardized = False

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(output, X, dim=1)


class CallableLoss(Loss):
    """A user's function as a loss.

    Parameters
    ----------
    function : callable
        ``function(output, X)`` -> Tensor of shape (n_samples,). Both arguments are in
        standardised units (see `Loss`).
    """

    def __init__(self, function: LossFunction) -> None:
        self.function = function

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        return self.function(output, X)


LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_loss": LogLoss,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "cosine": CosineDistance,
}
