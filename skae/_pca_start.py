"""The linear start, and the proof that what was learnt is better than it.

Both halves of the network get a linear path beside them. The linear paths start as the
projection and the reconstruction of PCA, the network beside them starts at zero: before
the first step the model is PCA, and every step improves on it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import ndtr, stdtrit
from torch import nn

from skae._runtime import undrawn

EXACT_SIZE = 1024  # largest matrix that is decomposed exactly
WIDE = 256  # features from which products of many float32 rows are made in float32
POWER_ITERATIONS = 10
STANDARD_ERRORS = 2.0  # of the gain; what a network has to prove in large samples


@dataclass
class LinearStart:
    """PCA of some rows, standardised by one number.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
    scale : float
        Root of the mean variance of the features; 1.0 where all are constant.

    components : ndarray of shape (n_components, n_features) or None
        Principal axes, by falling variance; zero beyond the rank of the data. None if
        it is from a model file without them.

    spread : ndarray of shape (n_components,)
        Standard deviation along each axis, in units of `scale`.

    rounding : float
        Share of the variance that rounding may have cost.

    target : LinearTarget, default=None
        What is to be predicted, if not the rows themselves.
    """

    mean: np.ndarray
    scale: float
    components: np.ndarray | None
    spread: np.ndarray
    rounding: float = 1e-12
    target: "LinearTarget | None" = None

    @property
    def output(self):
        """Whatever has the mean and the scale of what the output is compared with."""
        return self if self.target is None else self.target

    @property
    def slopes(self):
        """Output for each component of variance one, (n_components, n_outputs)."""
        if self.target is not None:
            return self.target.slopes
        return self.components * _positive_spread(self)[:, None]

    def share_lost(self):
        """Return the share of the variance of the output that PCA does not give."""
        if self.target is None:
            explained = np.square(self.spread).sum()
        else:
            explained = np.square(self.target.slopes).sum()
        return 1 - explained / len(self.output.mean)  # n features of mean variance one

    def is_exact(self):
        """Tell whether PCA loses nothing of the rows, and nothing can be learnt."""
        return bool(self.share_lost() < self.rounding)

    def reconstruct(self, X, units, n_kept=None):
        """Return PCA's reconstruction of a batch of the standardised rows `units`."""
        axes = torch.from_numpy(self.components[:n_kept]).to(X)
        offset = torch.from_numpy((units.mean - self.mean) / units.scale).to(X)
        code = (X + offset) @ axes.T
        if self.target is None:
            return code @ axes - offset
        return self.target.predict(code, self, units)


@dataclass
class LinearTarget:
    """Least squares from PCA's code to a target of its own.

    Attributes
    ----------
    mean : ndarray of shape (n_outputs,)
    scale : float
        Root of the mean variance of the target; 1.0 where it is constant.

    slopes : ndarray of shape (n_components, n_outputs)
        Standardised target for each component of variance one.
    """

    mean: np.ndarray
    scale: float
    slopes: np.ndarray

    def predict(self, code, start, units):
        """Return the standardised target of the rows `units`, from codes of `start`."""
        n_kept = code.shape[1]
        unit = units.scale / start.scale / _positive_spread(start)[:n_kept]
        slopes = torch.from_numpy(unit[:, None] * self.slopes[:n_kept]).to(code)
        wanted = units.target
        offset = torch.from_numpy((self.mean - wanted.mean) / wanted.scale).to(code)
        return code @ slopes * (self.scale / wanted.scale) + offset


def fit_linear_start(rows, n_components, generator):
    """Return the `LinearStart` of some `Rows`.

    Reads X in blocks: three passes where the smaller side of X is at most `EXACT_SIZE`,
    else about a dozen.
    """
    target = rows.target_rows()
    rows = _fit_standardization(rows.copy(target=None, corrupt=None))
    n_samples, n_features = len(rows), len(rows.mean)
    is_single = rows.result_dtype() == "float32"
    if is_single and n_samples > EXACT_SIZE and n_features >= WIDE:
        rows = rows.copy(dtype="float32")
    axes, variances = _principal_axes(rows, n_components, generator)
    n_found, n_features = axes.shape
    components = np.zeros((n_components, n_features))
    spread = np.zeros(n_components)
    components[:n_found] = axes
    spread[:n_found] = np.sqrt(variances)
    rounding = 1e-12 if rows.X.dtype != np.float32 else 1e-10
    if rows.dtype == "float32":
        rounding = 1e-6
    start = LinearStart(rows.mean, rows.scale, components, spread, rounding)
    if target is not None:
        start.target = _fit_target(rows, target, start)
    return start


def _fit_standardization(rows):
    """Return rows that are centred and scaled by their own mean and variance."""
    rows = rows.copy(dtype="float64", mean=0.0, scale=1.0, standardized_target=True)
    rows = rows.copy(mean=fit_mean(rows).numpy())
    return rows.copy(scale=_common_scale(rows))


def _fit_target(rows, target, start):
    """Return the `LinearTarget` of standardised rows and their raw target."""
    target = _fit_standardization(target)
    spread = _positive_spread(start)
    to_code = torch.from_numpy(start.components / spread[:, None]).T
    together, slopes = rows.copy(target=target.copy(index=None)), 0.0
    for x, (y, w) in together.blocks():
        slopes = slopes + _weighted(x.double() @ to_code, w, power=1).T @ y.double()
    return LinearTarget(target.mean, target.scale, (slopes / len(rows)).numpy())


def fit_mean(rows):
    """Return the weighted mean of the rows, a float64 Tensor of shape (n_features,)."""
    total = sum(_weighted(x, w, power=1).sum(0) for x, (_, w) in rows.blocks())
    return total / len(rows)


def _weighted(x, sample_weight, power=0.5):
    """Return rows times the given power of their weights."""
    return x if sample_weight is None else x * sample_weight[:, None] ** power


def _common_scale(rows):
    """Return the root of the mean variance of the features, safe from overflow."""
    norm = 0.0
    for x, (_, w) in rows.blocks():
        x = _weighted(x, w)
        largest = max(abs(extreme.item()) for extreme in x.aminmax())
        if largest > 0:
            unit = 1.0 if 1e-100 < largest < 1e100 else largest
            norm = math.hypot(norm, unit * torch.linalg.vector_norm(x / unit).item())
    scale = norm / math.sqrt(len(rows) * len(rows.mean))
    rounding = 10 * np.finfo(np.float64).eps * np.abs(rows.mean).max()
    return scale if scale > rounding else 1.0


def _principal_axes(rows, n_components, generator):
    """Return axes in rows and the variances along them, largest first."""
    n_samples, n_features = len(rows), len(rows.mean)
    if n_features <= min(n_samples, EXACT_SIZE):
        variances, vectors = torch.linalg.eigh(_covariance_times(rows))
    elif n_samples <= EXACT_SIZE:
        variances, vectors = _axes_of_few_rows(rows, n_components)
    else:
        variances, vectors = _axes_by_iteration(rows, n_components, generator)
    variances, axes = variances.flip(0)[:n_components], vectors.T.flip(0)[:n_components]
    rank_tolerance = max(n_samples, n_features) * np.finfo(np.float64).eps
    if rows.dtype == "float32":
        rank_tolerance = 10 * np.finfo(np.float32).eps
    found = variances > rank_tolerance * variances[0].clamp_min(1.0)
    axes = axes[found]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return (axes * largest.sign()).numpy(), variances[found].numpy()


def _covariance_times(rows, matrix=None):
    """Return the covariance of the rows, or its product with `matrix`, in one pass."""
    total = 0.0
    for x, (_, w) in rows.blocks():
        x = _weighted(x, w)
        total = total + (x.T @ (x if matrix is None else x @ matrix.to(x))).double()
    return total / len(rows)


def _axes_of_few_rows(rows, n_components):
    """Return variances and axes (columns) from the inner products of the rows."""
    gram = torch.cat(
        [
            torch.cat(
                [_weighted(x, w) @ _weighted(y, v).T for y, (_, v) in rows.blocks()], 1
            )
            for x, (_, w) in rows.blocks()
        ]
    )
    variances, vectors = torch.linalg.eigh(gram / len(rows))
    variances, vectors = variances[-n_components:], vectors[:, -n_components:]
    axes, start = 0.0, 0
    for x, (_, w) in rows.blocks():
        axes = axes + _weighted(x, w).T @ vectors[start : start + len(x)]
        start += len(x)
    return variances, axes / torch.linalg.vector_norm(axes, dim=0).clamp_min(1e-300)


def _axes_by_iteration(rows, n_components, generator):
    """Return variances and axes (columns) by subspace iteration (Halko et al. 2011)."""
    n_features = len(rows.mean)
    width = min(n_components + max(10, n_components), len(rows), n_features)
    basis = torch.randn(n_features, width, generator=generator, dtype=torch.float64)
    for _ in range(POWER_ITERATIONS):
        basis = torch.linalg.qr(_covariance_times(rows, basis)).Q
    variances, rotation = torch.linalg.eigh(basis.T @ _covariance_times(rows, basis))
    return variances, basis @ rotation


class Codec(nn.Module):
    """All that is learnt: a network, the bottleneck in it, the loss and its numbers.

    Parameters
    ----------
    network : nn.Module
        Has `encode` and `decode`.

    n_components : int

    loss : Loss

    bottleneck : Bottleneck

    Attributes
    ----------
    units : Tensor of shape (n_components,)
        What the code is multiplied by on its way to the user.

    n_kept : int or None
        How many components the user gets; None is all.

    recipe : dict
        What it takes to build the like: "network" (its name, or None for one of the
        user's), its "arguments", and "nat" (see `Bottleneck.build`).
    """

    n_kept = None
    recipe = None

    def __init__(self, network, n_components, loss, bottleneck):
        super().__init__()
        self.network = network
        self.loss = loss
        self.bottleneck = bottleneck
        self.register_buffer("units", torch.ones(n_components, dtype=torch.float64))

    def encoded(self, X):
        """Return what the encoder says, of shape (n_samples, n_encoded)."""
        return self.network.encode(X)

    def output(self, code):
        """Return the output for codes that are not in units."""
        return self.network.decode(code)

    def code(self, X):
        """Return codes that are not in units."""
        return self.bottleneck.code(self.encoded(X))

    def sample(self, X):
        """Return output, code (not in units) and its cost, or None, in training."""
        code, cost = self.bottleneck.sample(self.encoded(X))
        return self.output(code), code, cost

    def encode(self, X):
        code = self.code(X) * self.units
        return code if self.n_kept is None else code[:, : self.n_kept]

    def decode(self, code):
        """Return the output; components that are not given are zero."""
        n_given, n_components = code.shape[1], len(self.units)
        code = code / self.units[:n_given]
        if n_given < n_components:
            code = F.pad(code, (0, n_components - n_given))
        return self.output(code)


class PCAStart(Codec):
    """A codec with a linear path beside each half of its network; it starts as PCA.

    What the encoder says is linear(X) + network.encode(X), and the output is
    linear(code) + network.decode(code). X is standardised, and the code starts as that
    of its PCA. Where the encoder gives more numbers than the code has, the linear path
    is beside the first ones.

    Parameters
    ----------
    network : nn.Module
        Has `encode` and `decode`. Its last layers are set to zero if it has a method
        `zero_last_layers`; otherwise gates that start at zero stand behind it.

    start : LinearStart
        Its `output` may be another one than its input.

    loss : Loss
        Its link says on which scale the output is.

    bottleneck : Bottleneck
    """

    def __init__(self, network, start, loss, bottleneck):
        n_components, n_features = len(start.spread), len(start.mean)
        super().__init__(network, n_components, loss, bottleneck)
        self.encoder_path = undrawn(
            nn.Linear, n_features, n_components, bias=False, dtype=torch.float64
        )
        spread = _positive_spread(start)
        self.units.copy_(torch.from_numpy(spread))
        n_outputs = len(start.output.mean)
        self.decoder_path = undrawn(
            nn.Linear, n_components, n_outputs, dtype=torch.float64
        )
        if start.components is not None:
            self._set_paths(start, spread, loss)
        self.encoder_gate = self.decoder_gate = None
        if hasattr(network, "zero_last_layers"):
            network.zero_last_layers()
        else:
            n_encoded = bottleneck.n_encoded(n_components)
            self.encoder_gate = nn.Parameter(
                torch.zeros(n_encoded, dtype=torch.float64)
            )
            self.decoder_gate = nn.Parameter(
                torch.zeros(n_outputs, dtype=torch.float64)
            )

    @torch.no_grad()
    def _set_paths(self, start, spread, loss):
        """Make the linear paths PCA, with components of unit variance between them."""
        bias, slope = link_at_mean(start, loss)
        projection = torch.from_numpy(start.components / spread[:, None])
        reconstruction = torch.from_numpy(start.slopes.T * slope[:, None])
        self.encoder_path.weight.copy_(projection)
        self.decoder_path.weight.copy_(reconstruction)
        self.decoder_path.bias.copy_(torch.from_numpy(bias))

    @torch.no_grad()
    def half_whiten(self, start, code_spread=None):
        """Make the spread of the code sqrt(s_1 s_j), s_j being PCA's.

        So large components still count more than small ones, but less than in PCA.

        Parameters
        ----------
        start : LinearStart

        code_spread : ndarray of shape (n_components,), default=None
            Standard deviation of the code in the present units; None if that is PCA's.
        """
        spread = _positive_spread(start)
        units = np.sqrt(spread[0] * spread)
        if code_spread is not None:
            before = code_spread / self.units.double().cpu().numpy()
            units = units / np.where(before > 0, before, 1.0)
        self.units.copy_(torch.from_numpy(units))

    def encoded(self, X):
        learnt, linear = self.network.encode(X), self.encoder_path(X)
        if self.encoder_gate is not None:
            learnt = learnt * self.encoder_gate
        if learnt.shape[1] > linear.shape[1]:
            linear = F.pad(linear, (0, learnt.shape[1] - linear.shape[1]))
        return linear + learnt

    def output(self, code):
        learnt = self.network.decode(code)
        if self.decoder_gate is not None:
            learnt = learnt * self.decoder_gate
        return self.decoder_path(code) + learnt


def _positive_spread(start):
    """Return the spread along each axis, never zero, to divide by."""
    spread = np.maximum(start.spread, 1e-6 * start.spread[0])
    return np.where(start.spread > 0, spread, 1.0)


def link_at_mean(start, loss):
    """Return the link at the mean, and its mean slope over one scale to either side."""
    if loss.standardized:
        zero = np.zeros_like(start.output.mean)
        return zero, zero + 1.0
    mean, scale = start.output.mean, start.output.scale
    rise = loss.link(mean + scale) - loss.link(mean - scale)
    return loss.link(mean), rise / 2


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
