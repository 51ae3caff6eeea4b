"""The linear start, and the proof that what was learnt is better than it.

Both halves of the network get a linear path beside them. The linear paths start as the
projection and the reconstruction of PCA, the network beside them starts at zero: before
the first step the model is PCA, and every step improves on it.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

EXACT_SIZE = 1024  # largest matrix that is decomposed exactly
WIDE = 256  # features from which products of many float32 rows are made in float32
POWER_ITERATIONS = 10
MOST_SPREAD = {"float64": 1e150, "float32": 1e30}


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

    n_samples : int, default=None
        Number of the rows; None if it is from a file of skae 0.1.
    """

    mean: np.ndarray
    scale: float
    components: np.ndarray | None
    spread: np.ndarray
    rounding: float = 1e-12
    target: "LinearTarget | None" = None
    n_samples: int | None = None

    @property
    def output(self):
        """Whatever has the mean and the scale of what the output is compared with."""
        return self if self.target is None else self.target

    @property
    def slopes(self):
        """Output for each component of variance one, (n_components, n_outputs)."""
        if self.target is not None:
            return self.target.slopes
        return self.components * positive_spread(self)[:, None]

    def share_lost(self):
        """Return the share of the variance of the output that PCA does not give."""
        if self.target is None:
            explained = np.square(self.spread).sum()
        else:
            explained = np.square(self.target.slopes).sum()
        return 1 - explained / len(self.output.mean)  # n features of mean variance one

    def shares(self):
        """Return the share of the variance of the output that each component gives."""
        spread = self.spread[:, None] if self.target is None else self.target.slopes
        return np.square(spread).sum(1) / len(self.output.mean)

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
        unit = units.scale / start.scale / positive_spread(start)[:n_kept]
        slopes = torch.from_numpy(unit[:, None] * self.slopes[:n_kept]).to(code)
        wanted = units.target
        offset = torch.from_numpy((self.mean - wanted.mean) / wanted.scale).to(code)
        return code @ slopes * (self.scale / wanted.scale) + offset


def standardized(rows, start, dtype, corrupt=None):
    """Return rows in the units of a start, as its net wants them."""
    target = rows.target
    if target is not None:
        mean, scale = start.target.mean, start.target.scale
        target = target.copy(mean=mean, scale=scale, dtype=dtype)
    return rows.copy(
        mean=start.mean, scale=start.scale, dtype=dtype, corrupt=corrupt, target=target
    )


def positive_spread(start):
    """Return the spread along each axis, never zero, to divide by."""
    spread = np.maximum(start.spread, 1e-6 * start.spread[0])
    return np.where(start.spread > 0, spread, 1.0)


def fit_linear_start(rows, n_components, generator):
    """Return the `LinearStart` of some `Rows`.

    Reads X in blocks: three passes where the smaller side of X is at most `EXACT_SIZE`,
    else about a dozen.
    """
    target = rows.target_rows()
    rows = _fit_standardization(rows.copy(target=None, corrupt=None))
    n_samples, n_features = len(rows), len(rows.mean)
    is_single = rows.result_dtype() == "float32" or rows.has_few_digits()
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
    start = LinearStart(
        rows.mean, rows.scale, components, spread, rounding, n_samples=n_samples
    )
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
    spread = positive_spread(start)
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
    return point_largest_up(axes[found].numpy()), variances[found].numpy()


def point_largest_up(axes):
    """Return axes (rows) that point so that their largest entry is positive."""
    places = np.abs(axes).argmax(1)[:, None]
    return axes * np.sign(np.take_along_axis(axes, places, 1))


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
            for x, (_, w) in rows.blocks(n_times=2)  # each reads all rows
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


def check_start(start):
    """Raise if the mean or the variance of X is beyond what a double can hold."""
    if not (np.isfinite(start.mean).all() and start.scale < MOST_SPREAD["float64"]):
        raise ValueError(
            "X has values so large that their mean or spread overflows. Divide X by a "
            "constant first."
        )


def check_spread(start, estimator, parts, dtypes):
    """Raise if a part that does not follow the units of X cannot work in them.

    Parameters
    ----------
    start : LinearStart

    estimator : AutoencoderTransformer
        Read for its parameters only.

    parts : Parts

    dtypes : set of str
        Of the net and of what it returns.
    """
    check = partial(
        _check_spread, start, "float64" if dtypes == {"float64"} else "float32"
    )
    if not parts.loss.standardized:
        check("loss", estimator.loss, True)
    if parts.bottleneck.has_prior:
        check("bottleneck", estimator.bottleneck, False)
    if estimator.density is not None:
        check("density", estimator.density, False)


def _check_spread(start, dtype, name, value, compares):
    """Raise if X is too small or too large for what does not follow its units.

    That is a part of the user's, `value` of the parameter `name`. `compares` tells
    whether it compares with X itself: then squares of errors count, in units of X.
    """
    output = start.output if compares else start
    most = MOST_SPREAD[dtype]
    least = most**-0.5 if compares else 1 / most
    size = output.scale if start.spread.any() else 0.0
    if compares:
        size = max(size, np.abs(output.mean).max())
    if size == 0 or least <= size <= most:
        return
    word, verb = ("small", "Multiply") if size < least else ("large", "Divide")
    advice = f"{verb} X by a constant first"
    if dtype == "float32":
        advice += ", or pass float64 and set precision='float64'"
    raise ValueError(
        f"X has values of about {size:.3g}, which is too {word} for {name}={value!r} "
        f"in {dtype}: it needs {least:.3g} to {most:g}. {advice}."
    )
