"""Bottlenecks: what makes the code of what the encoder says.

A bottleneck may add noise, keep few numbers or round them, and may charge for it. To
add one, inherit `Bottleneck`, write `sample` or `code`, and put an entry in
`BOTTLENECKS`. Where a part of it is random, it draws from torch's global generator:
`fit` puts a stream of its own there.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from skae._parts import LearningPart

__all__ = [
    "BOTTLENECKS",
    "Bottleneck",
    "OrderedBottleneck",
    "TopKBottleneck",
    "VariationalBottleneck",
    "VectorQuantizedBottleneck",
    "WAEBottleneck",
]


class Bottleneck(LearningPart):
    """Base class of bottlenecks; by itself the plain one, which changes nothing.

    Attributes
    ----------
    keeps_pca : bool
        Whether PCA is one of the models it allows. If so, held-out rows judge the
        network against PCA, and the model is PCA where nothing better is proven.

    is_ordered : bool
        Whether the first components of a code are a code by themselves.

    has_prior : bool
        Whether training makes codes look like draws from a standard normal
        distribution.

    effort : int
        How many times as many epochs ``max_epochs="auto"`` takes.

    settling : float
        Share of the epochs, in [0, 1], in which cost or code still change by plan. A
        training loss that rises meanwhile does not end the training.

    progress : float
        Share of the epochs that are over, in [0, 1]; set by the training.
    """

    keeps_pca: bool = True
    is_ordered: bool = False
    has_prior: bool = False
    effort: int = 1
    settling: float = 0.0
    progress: float = 1.0

    def n_encoded(self, n_components: int) -> int:
        """Return how many numbers the encoder has to give for each row."""
        return n_components

    def code_sizes(self, n_components: int) -> list[int]:
        """Return how many of the first components are a code by themselves, rising."""
        first = 1 if self.is_ordered else n_components
        return list(range(first, n_components + 1))

    def build(self, n_components: int, nat: float) -> None:
        """Get ready for a training.

        Parameters
        ----------
        n_components : int
            Size of the code.

        nat : float
            What one unit of the log-likelihood of a row is worth in the loss.
        """

    def sample(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the code in training, and what it costs.

        Parameters
        ----------
        h : Tensor of shape (n_samples, n_encoded)
            What the encoder gave. With ``init="pca"`` the first `n_components` of them
            start as PCA's components, each of variance one.

        Returns
        -------
        code : Tensor of shape (n_samples, n_components)

        cost : Tensor of shape (n_samples,) or None
            Added to the loss of each row; None is nothing.
        """
        return self.code(h), None

    def code(self, h: Tensor) -> Tensor:
        """Return the code, the same for the same row: what `transform` returns."""
        return h

    def second_moment(self, h: Tensor) -> Tensor | None:
        """Return the mean square of what `sample` may draw as code of each row.

        With it codes that a prior did not hold are brought back to its spread. None,
        the default, leaves them as they are.
        """
        return None


class VariationalBottleneck(Bottleneck):
    """A normal distribution for each row instead of a point: a variational autoencoder.

    The encoder gives its mean m and log-variance v. In training the code is drawn from
    it, and costs ``beta`` times its Kullback-Leibler divergence from a standard normal
    distribution, the sum over components of (m**2 + exp(v) - 1 - v) / 2. `transform`
    returns m, always. A short training may leave components with a mean square of
    m**2 + exp(v) far above the one of that distribution: if it is more than 1.3**2,
    codes are divided by its root, which leaves reconstructions as they are.

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the divergence, in [0, inf). With 1, squared error and ``init="pca"``
        training maximises the evidence lower bound of a Gaussian model whose noise is
        that of probabilistic PCA (the mean variance of what PCA leaves).

    warm_up : float, default=0.2
        Share of the epochs over which beta rises from zero, in [0, 1].

    References
    ----------
    Kingma and Welling (2014), "Auto-encoding variational Bayes", ICLR.

    Higgins et al. (2017), "beta-VAE", ICLR.

    Tipping and Bishop (1999), "Probabilistic principal component analysis", J. R.
    Statist. Soc. B 61.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.bottlenecks import VariationalBottleneck
    >>> AutoencoderTransformer(bottleneck=VariationalBottleneck(beta=0.5))
    AutoencoderTransformer(bottleneck=VariationalBottleneck(beta=0.5))
    """

    ranges = {"beta": (0, math.inf), "warm_up": (0, 1)}
    keeps_pca = False
    has_prior = True
    FIRST_LOG_VARIANCE = -4.0  # of the code, before the encoder has learnt it

    def __init__(self, beta: float = 1.0, warm_up: float = 0.2) -> None:
        self.beta = beta
        self.warm_up = warm_up

    @property
    def settling(self) -> float:
        return self.warm_up

    def n_encoded(self, n_components: int) -> int:
        return 2 * n_components

    def build(self, n_components: int, nat: float) -> None:
        self.nat = nat

    def sample(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        mean, log_variance = self._posterior(h)
        spread = (log_variance / 2).exp()
        divergence = (mean.square() + spread.square() - 1 - log_variance).sum(1) / 2
        code = mean + spread * torch.randn_like(mean)
        return code, self._beta() * self.nat * divergence

    def code(self, h: Tensor) -> Tensor:
        return self._posterior(h)[0]

    def second_moment(self, h: Tensor) -> Tensor:
        mean, log_variance = self._posterior(h)
        return mean.square() + log_variance.exp()

    def _posterior(self, h):
        mean, log_variance = h.chunk(2, 1)
        return mean, (log_variance + self.FIRST_LOG_VARIANCE).clamp(-20, 10)

    def _beta(self):
        is_warm = not self.training or self.progress >= self.warm_up
        return self.beta if is_warm else self.beta * self.progress / self.warm_up


class WAEBottleneck(Bottleneck):
    """Codes that all together look normal: a Wasserstein autoencoder (WAE-MMD).

    The cost of a batch is ``alpha`` times the squared maximum mean discrepancy between
    its codes and as many draws from a standard normal distribution, for the sum of the
    kernels ``c / (c + ||a - b||**2)``, c being ``2 * n_components`` times 0.1, 0.2,
    0.5, 1, 2, 5 and 10. Single rows stay points.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of the discrepancy, in [0, inf).

    References
    ----------
    Tolstikhin et al. (2018), "Wasserstein auto-encoders", ICLR.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.bottlenecks import WAEBottleneck
    >>> AutoencoderTransformer(bottleneck=WAEBottleneck(alpha=0.5))
    AutoencoderTransformer(bottleneck=WAEBottleneck(alpha=0.5))
    """

    ranges = {"alpha": (0, math.inf)}
    keeps_pca = False
    has_prior = True
    SCALES: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def sample(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        return h, self.alpha * self.discrepancies(h, torch.randn_like(h))

    def discrepancies(self, code: Tensor, prior: Tensor) -> Tensor:
        """Return what each row adds; their mean is the unbiased estimate."""
        n_samples = len(code)
        if n_samples < 2:
            return code.new_zeros(n_samples)
        others = 1 - torch.eye(n_samples).to(code)  # a row is not compared with itself
        within = (self._kernel(code, code) * others).sum(1) / (n_samples - 1)
        drawn = (self._kernel(prior, prior) * others).sum(1) / (n_samples - 1)
        return within + drawn - 2 * self._kernel(code, prior).mean(1)

    def _kernel(self, a, b):
        squares = (a[:, None] - b[None]).square().sum(2)
        scales = [2 * a.shape[1] * scale for scale in self.SCALES]
        return sum(c / (c + squares) for c in scales)


class TopKBottleneck(Bottleneck):
    """Only the `k` components of largest absolute value stay, the others are zero.

    So each row chooses its own components. All of them learn at first: the number kept
    falls from n_components to `k` over the first tenth of the epochs, which leaves
    fewer components unused for want of a start.

    Parameters
    ----------
    k : int or "auto", default="auto"
        Number of components that are not zero, in [1, n_components]. "auto" is a
        quarter of them, at least one.

    References
    ----------
    Makhzani and Frey (2014), "k-sparse autoencoders", ICLR.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.bottlenecks import TopKBottleneck
    >>> AutoencoderTransformer(bottleneck=TopKBottleneck())
    AutoencoderTransformer(bottleneck=TopKBottleneck())
    """

    ranges = {"k": (1, math.inf)}
    choices = {"k": ("auto",)}
    whole_numbers: tuple[str, ...] = ("k",)
    keeps_pca = False
    settling = 0.1

    def __init__(self, k: int | Literal["auto"] = "auto") -> None:
        self.k = k

    def sample(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        n_components, k, falling = h.shape[1], self.n_kept(h.shape[1]), 0.0
        if self.training:
            falling = max(0.0, 1 - self.progress / self.settling)
        return self._largest(h, k + round((n_components - k) * falling)), None

    def code(self, h: Tensor) -> Tensor:
        return self._largest(h, self.n_kept(h.shape[1]))

    def n_kept(self, n_components: int) -> int:
        """Return how many components stay."""
        return max(1, n_components // 4) if self.k == "auto" else self.k

    @staticmethod
    def _largest(h, k):
        chosen = h.abs().topk(k, dim=1).indices
        return torch.zeros_like(h).scatter(1, chosen, h.gather(1, chosen))


class VectorQuantizedBottleneck(Bottleneck):
    """Each row gets the nearest vector of a codebook: a VQ autoencoder.

    The code is cut into `n_groups` pieces of equal length, with a codebook each. The
    vectors are running means of the rows nearest to them; one that no row has chosen
    for long is put where a row is. Gradients pass as if nothing had been rounded, and
    rows pay ``commitment`` times the mean squared distance to their vectors.

    Parameters
    ----------
    n_codes : int, default=64
        Vectors in each codebook, in [1, inf).

    n_groups : int, default=1
        Pieces, in [1, n_components]; n_components must be a multiple of it.

    commitment : float, default=0.25
        In [0, inf).

    decay : float, default=0.95
        Of the running means, in [0, 1], for each batch.

    References
    ----------
    van den Oord et al. (2017), "Neural discrete representation learning", NeurIPS.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.bottlenecks import VectorQuantizedBottleneck
    >>> AutoencoderTransformer(bottleneck=VectorQuantizedBottleneck(n_codes=32))
    AutoencoderTransformer(bottleneck=VectorQuantizedBottleneck(n_codes=32))
    """

    ranges = {
        "n_codes": (1, math.inf),
        "n_groups": (1, math.inf),
        "commitment": (0, math.inf),
        "decay": (0, 1),
    }
    whole_numbers: tuple[str, ...] = ("n_codes", "n_groups")
    keeps_pca = False
    FEWEST = 0.1  # rows of a batch that choose a vector, below which it is moved

    def __init__(
        self,
        n_codes: int = 64,
        n_groups: int = 1,
        commitment: float = 0.25,
        decay: float = 0.95,
    ) -> None:
        self.n_codes = n_codes
        self.n_groups = n_groups
        self.commitment = commitment
        self.decay = decay

    def build(self, n_components: int, nat: float) -> None:
        width = n_components // self.n_groups
        vectors = torch.zeros(self.n_groups, self.n_codes, width)
        self.register_buffer("codebook", vectors)  # (n_groups, n_codes, width)
        self.register_buffer("sums", vectors.clone())
        self.register_buffer("counts", torch.zeros(self.n_groups, self.n_codes))

    def sample(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.training:
            self._learn(h.detach())
        code = self.code(h)
        cost = self.commitment * (h - code).square().mean(1)
        return h + (code - h).detach(), cost

    def code(self, h: Tensor) -> Tensor:
        """Return the nearest vectors; no gradient flows through them."""
        return self.vectors(self.numbers(h))

    def numbers(self, h: Tensor) -> Tensor:
        """Return the numbers of the nearest vectors, of shape (n_samples, n_groups)."""
        return torch.cdist(self._pieces(h.detach()), self.codebook).argmin(2).T

    def vectors(self, numbers: Tensor) -> Tensor:
        """Return the code that consists of vectors of these numbers."""
        groups = torch.arange(self.n_groups, device=numbers.device)
        return self.codebook[groups, numbers].flatten(1)

    def _pieces(self, h):
        return h.unflatten(1, (self.n_groups, -1)).transpose(0, 1)

    @torch.no_grad()
    def _learn(self, h):
        """Move the vectors towards the rows that chose them."""
        pieces = self._pieces(h)  # (n_groups, n_samples, width)
        self._move_unused(pieces)
        chosen = F.one_hot(self.numbers(h).T, self.n_codes).to(h)
        self.counts.lerp_(chosen.sum(1), 1 - self.decay)
        self.sums.lerp_(chosen.transpose(1, 2) @ pieces, 1 - self.decay)
        means = self.sums / self.counts[:, :, None].clamp_min(1e-12)
        self.codebook.copy_(
            torch.where(self.counts[:, :, None] > 0, means, self.codebook)
        )

    def _move_unused(self, pieces):
        """Put vectors that few rows choose where rows of the batch are."""
        n_samples = pieces.shape[1]
        rows = torch.randint(n_samples, self.counts.shape, device=pieces.device)
        there = pieces.gather(1, rows[:, :, None].expand_as(self.codebook))
        unused = self.counts < self.FEWEST
        self.codebook.copy_(torch.where(unused[:, :, None], there, self.codebook))
        self.sums.copy_(torch.where(unused[:, :, None], there, self.sums))
        self.counts.masked_fill_(unused, 1.0)


class OrderedBottleneck(Bottleneck):
    """Components sorted by importance, as in PCA: nested dropout.

    In training half of the rows keep all components, each other row its first ones
    only, their number drawn at random from 1 to n_components; the rest is zero. So
    every first part of the code is a code, and `inverse_transform` takes codes with
    fewer columns. They have to learn as many codes as there are components, so
    ``max_epochs="auto"`` is four times as long.

    Parameters
    ----------
    sizes : sequence of int, default=None
        Sizes of the code that will be used, each in [1, n_components], in any order,
        such as ``(2, 8)``. All components together are always one more. In training
        rows keep one of these, drawn in proportion to its size (at least a 16th of the
        largest), and each comes closer to a model of that size alone.
        `inverse_transform` then takes no others. Where `n_components` is a share of
        the variance, sizes larger than the code are left out. None is all sizes.

    References
    ----------
    Rippel et al. (2014), "Learning ordered representations with nested dropout", ICML.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.bottlenecks import OrderedBottleneck
    >>> AutoencoderTransformer(32, bottleneck=OrderedBottleneck(sizes=(2, 8)))
    AutoencoderTransformer(bottleneck=OrderedBottleneck(sizes=(2, 8)),
                           n_components=32)
    """

    lists_of_whole_numbers: tuple[str, ...] = ("sizes",)
    is_ordered = True
    effort = 4
    WHOLE = 0.5  # share of the rows that keep all; with fewer the whole code suffers
    FEWEST = 1 / 16  # rows of a size, over those that keep all

    def __init__(self, sizes: Sequence[int] | None = None) -> None:
        self.sizes = sizes

    def code_sizes(self, n_components: int) -> list[int]:
        if self.sizes is None:
            return super().code_sizes(n_components)
        smaller = {int(size) for size in self.sizes if size < n_components}
        return [*sorted(smaller), n_components]

    def sample(self, h: Tensor) -> tuple[Tensor, Tensor | None]:
        numbers = torch.arange(h.shape[1], device=h.device)
        return torch.where(numbers < self._n_kept(h)[:, None], h, 0.0), None

    def _n_kept(self, h):
        """Draw how many components each row keeps."""
        if self.sizes is None:
            n_kept = 1 + torch.randint(h.shape[1], (len(h), 1), device=h.device)
            is_whole = torch.rand(len(h), 1, device=h.device) < self.WHOLE
            return torch.where(is_whole, h.shape[1], n_kept)[:, 0]
        sizes = torch.tensor(self.code_sizes(h.shape[1]), device=h.device)
        odds = (sizes / h.shape[1]).clamp_min(self.FEWEST)
        return sizes[torch.multinomial(odds, len(h), replacement=True)]


BOTTLENECKS: dict[str, type[Bottleneck]] = {
    "variational": VariationalBottleneck,
    "wae": WAEBottleneck,
    "top_k": TopKBottleneck,
    "vector_quantized": VectorQuantizedBottleneck,
    "ordered": OrderedBottleneck,
}
