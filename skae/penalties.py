"""Penalties: what else is asked of the code, one number per sample.

To add one, inherit `Penalty`, write `__call__`, and put an entry in `PENALTIES`.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from skae._parts import Part
from skae._typing import Encode, PenaltyFunction

__all__ = [
    "PENALTIES",
    "CallablePenalty",
    "CodeNormPenalty",
    "ContractivePenalty",
    "DecorrelationPenalty",
    "KLSparsityPenalty",
    "NeighbourPenalty",
    "Penalty",
    "SparsityPenalty",
    "Sum",
]


class Penalty(Part):
    """Base class of penalties."""

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        """Return what is added to the loss of each sample.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_components)
            With ``init="pca"`` it starts as PCA's, each component of variance one.

        X : Tensor of shape (n_samples, n_features)
            The standardised rows that the encoder saw.

        encode : callable
            ``encode(X)`` -> code, to be differentiated.

        Returns
        -------
        penalty : Tensor of shape (n_samples,)
        """
        raise NotImplementedError


class SparsityPenalty(Penalty):
    """L1: ``alpha`` times the mean over components of ``|code_j| / r_j``.

    r_j is the root mean square of component j in the batch. Without it a code could
    escape by shrinking, and the decoder would undo that.

    Parameters
    ----------
    alpha : float, default=0.3
        In [0, inf).

    References
    ----------
    Hurley and Rickard (2009), "Comparing measures of sparsity", IEEE Trans. Inf.
    Theory 55.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.penalties import SparsityPenalty
    >>> AutoencoderTransformer(penalty=SparsityPenalty(alpha=0.15))
    AutoencoderTransformer(penalty=SparsityPenalty(alpha=0.15))
    """

    ranges = {"alpha": (0, math.inf)}

    def __init__(self, alpha: float = 0.3) -> None:
        self.alpha = alpha

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        return self.alpha * (code.abs() / _mean_square(code).sqrt()).mean(1)


class KLSparsityPenalty(Penalty):
    """Kullback-Leibler divergence of mean activations from a small one.

    The activation of a component is the logistic function of the code. With a_j its
    mean over the batch, each row pays ``alpha`` times the mean over components of
    rate log(rate / a_j) + (1 - rate) log((1 - rate) / (1 - a_j)).

    Parameters
    ----------
    alpha : float, default=0.01
        In [0, inf).

    rate : float, default=0.05
        Mean activation that is asked for, in [0.001, 0.999].

    References
    ----------
    Ng (2011), "Sparse autoencoder", CS294A lecture notes.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.penalties import KLSparsityPenalty
    >>> AutoencoderTransformer(penalty=KLSparsityPenalty(alpha=0.005))
    AutoencoderTransformer(penalty=KLSparsityPenalty(alpha=0.005))
    """

    ranges = {"alpha": (0, math.inf), "rate": (0.001, 0.999)}

    def __init__(self, alpha: float = 0.01, rate: float = 0.05) -> None:
        self.alpha = alpha
        self.rate = rate

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        active = torch.sigmoid(code).mean(0).clamp(1e-6, 1 - 1e-6)
        divergence = self.rate * (self.rate / active).log()
        divergence = (
            divergence + (1 - self.rate) * ((1 - self.rate) / (1 - active)).log()
        )
        return self.alpha * divergence.mean().expand(len(code))


class ContractivePenalty(Penalty):
    """Codes that change little where X changes a little.

    A row pays ``alpha`` times the mean over components of
    ``||d code_j / dX||**2 / v_j``, v_j being the mean square of component j in the
    batch: without it a code could escape by shrinking, which Rifai et al. prevent by
    tied weights.

    Parameters
    ----------
    alpha : float, default=0.01
        In [0, inf).

    method : {"auto", "exact", "hutchinson"}, default="auto"
        "exact" takes one backward pass for each component, "hutchinson" one for all
        (an unbiased estimate by random signs). "auto" is exact up to 8 components.

    References
    ----------
    Rifai et al. (2011), "Contractive auto-encoders", ICML.

    Hutchinson (1990), "A stochastic estimator of the trace of the influence matrix",
    Communications in Statistics 19.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.penalties import ContractivePenalty
    >>> AutoencoderTransformer(penalty=ContractivePenalty(alpha=0.005))
    AutoencoderTransformer(penalty=ContractivePenalty(alpha=0.005))
    """

    ranges = {"alpha": (0, math.inf)}
    choices = {"method": ("auto", "exact", "hutchinson")}
    MOST_EXACT = 8

    def __init__(
        self,
        alpha: float = 0.01,
        method: Literal["auto", "exact", "hutchinson"] = "auto",
    ) -> None:
        self.alpha = alpha
        self.method = method

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        with torch.enable_grad():
            X = X.detach().requires_grad_()
            code = encode(X)
            units = _mean_square(code).rsqrt()
            n_components = len(units)
            is_exact = n_components <= self.MOST_EXACT
            if self.method != "auto":
                is_exact = self.method == "exact"
            if is_exact:
                directions = units.diag()
            else:
                directions = [units * (torch.randint_like(code, 2) * 2 - 1)]
            slopes = [_slope(code, X, direction) for direction in directions]
            squares = sum(slope.square().sum(1) for slope in slopes)
        return self.alpha * squares / n_components


def _slope(code, X, direction):
    """Return the gradient of code @ direction, which itself counts as constant."""
    direction = direction.expand_as(code)
    return torch.autograd.grad(code, X, direction, create_graph=True)[0]


class DecorrelationPenalty(Penalty):
    """Components that say different things.

    Each row pays ``alpha`` times the mean over pairs of components of their squared
    correlation in the batch.

    Parameters
    ----------
    alpha : float, default=0.01
        In [0, inf).

    References
    ----------
    Cogswell et al. (2016), "Reducing overfitting in deep networks by decorrelating
    representations", ICLR.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.penalties import DecorrelationPenalty
    >>> AutoencoderTransformer(penalty=DecorrelationPenalty(alpha=0.005))
    AutoencoderTransformer(penalty=DecorrelationPenalty(alpha=0.005))
    """

    ranges = {"alpha": (0, math.inf)}

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        n_samples, n_components = code.shape
        if n_components == 1:
            return 0 * code.sum(1)  # zeros with a gradient
        code = code - code.mean(0)
        code = code / _mean_square(code).sqrt()
        square = (code.T @ code / n_samples).square()
        others = square.sum() - square.diagonal().sum()
        mean = others / (n_components * (n_components - 1))
        return self.alpha * mean.expand(n_samples)


class CodeNormPenalty(Penalty):
    """L2: ``alpha`` times half the mean over components of code_j**2.

    With weight decay on the decoder this is the regularised autoencoder, whose codes a
    density fits well (see `AutoencoderTransformer.sample`).

    Parameters
    ----------
    alpha : float, default=0.01
        In [0, inf).

    References
    ----------
    Ghosh et al. (2020), "From variational to deterministic autoencoders", ICLR.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.penalties import CodeNormPenalty
    >>> AutoencoderTransformer(penalty=CodeNormPenalty(alpha=0.005))
    AutoencoderTransformer(penalty=CodeNormPenalty(alpha=0.005))
    """

    ranges = {"alpha": (0, math.inf)}

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        return self.alpha * code.square().mean(1) / 2


class NeighbourPenalty(Penalty):
    """Neighbour embedding (InfoNCE): rows that are close in X are close in the code.

    Row i pays ``alpha`` times the mean of ``-log(q_ij)`` over its nearest neighbours j
    in the batch, q_ij being the share of j in the kernel of all others:
    ``w_ij / sum_l w_il``, ``w_ij = (1 + ||code_i - code_j||**2 / nu)**(-(nu + 1) / 2)``
    with ``nu = max(1, n_components - 1)``, the kernel of parametric t-SNE.

    Parameters
    ----------
    alpha : float, default=0.3
        In [0, inf).

    n_neighbors : int, default=1
        Neighbours of a row in its batch, in [1, inf); at most all others.

    References
    ----------
    van der Maaten (2009), "Learning a parametric embedding by preserving local
    structure", AISTATS.

    Damrich et al. (2023), "From t-SNE to UMAP with contrastive learning", ICLR.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.penalties import NeighbourPenalty
    >>> AutoencoderTransformer(2, penalty=NeighbourPenalty(alpha=1.0))
    AutoencoderTransformer(penalty=NeighbourPenalty(alpha=1.0))
    """

    ranges = {"alpha": (0, math.inf), "n_neighbors": (1, math.inf)}
    whole_numbers = ("n_neighbors",)

    def __init__(self, alpha: float = 0.3, n_neighbors: int = 1) -> None:
        self.alpha = alpha
        self.n_neighbors = n_neighbors

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        n_samples, n_components = code.shape
        if n_samples == 1:
            return 0 * code.sum(1)  # zeros with a gradient
        with torch.no_grad():
            distances = _square_distances(X).fill_diagonal_(math.inf)
            n_nearest = min(self.n_neighbors, n_samples - 1)
            nearest = distances.topk(n_nearest, largest=False).indices
        nu = max(1, n_components - 1)
        kernel = -(nu + 1) / 2 * torch.log1p(_square_distances(code) / nu)  # its log
        itself = torch.eye(n_samples, dtype=torch.bool, device=code.device)
        total = kernel.masked_fill(itself, -math.inf).logsumexp(1)
        return self.alpha * (total - kernel.gather(1, nearest).mean(1))


def _square_distances(rows):
    """Return the squared distances between all pairs of rows."""
    rows = rows - rows.mean(0)  # large numbers would leave few digits
    squares = rows.square().sum(1)
    products = rows @ rows.T
    return (squares[:, None] + squares - 2 * products).clamp_min(0)


class CallablePenalty(Penalty):
    """A user's function as a penalty.

    Parameters
    ----------
    function : callable
        ``function(code, X, encode)`` -> Tensor of shape (n_samples,) (see `Penalty`).
    """

    def __init__(self, function: PenaltyFunction) -> None:
        self.function = function

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        return self.function(code, X, encode)


class Sum(Penalty):
    """Several penalties at once.

    Parameters
    ----------
    penalties : list of Penalty
        The terms; each has its own `alpha`.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.penalties import CodeNormPenalty, SparsityPenalty, Sum
    >>> AutoencoderTransformer(penalty=Sum([SparsityPenalty(), CodeNormPenalty()]))
    AutoencoderTransformer(penalty=Sum(penalties=[SparsityPenalty(),
                                                  CodeNormPenalty()]))
    """

    def __init__(self, penalties: Sequence[Penalty]) -> None:
        self.penalties = penalties

    def members(self) -> dict[str, type[Any]]:
        return {"penalties": Penalty}

    def __call__(self, code: Tensor, X: Tensor, encode: Encode) -> Tensor:
        return sum(penalty(code, X, encode) for penalty in self.penalties)


def _mean_square(code):
    """Return the mean square of each component, never zero, to divide by."""
    return code.square().mean(0).clamp_min(1e-12)


PENALTIES: dict[str, type[Penalty]] = {
    "l1": SparsityPenalty,
    "kl": KLSparsityPenalty,
    "contractive": ContractivePenalty,
    "decorrelation": DecorrelationPenalty,
    "l2": CodeNormPenalty,
    "neighbours": NeighbourPenalty,
}
