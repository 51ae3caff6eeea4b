"""What `partial_fit` knows of all rows so far: their PCA, without keeping them."""

from dataclasses import dataclass, replace

import numpy as np

from skae._fitting.codec import linear_output
from skae._fitting.inference import sample_losses
from skae._fitting.start import (
    LinearStart,
    LinearTarget,
    point_largest_up,
    positive_spread,
)

__all__ = ["ROWS_TO_COMPARE_BY", "Stream", "losses_above", "split_piece"]

SPARE = 10  # directions kept beside those of the code, at least
FEWEST_ROWS, MOST_ROWS = 160, 1000  # before a network is trained
FIRST_RATE, LEAST_RATE = 0.03, 0.003
ROWS_TO_COMPARE_BY = 20  # at least


@dataclass
class Stream:
    """Rows that came in pieces.

    A column is a feature of X or, after those, one of X_target.

    Attributes
    ----------
    n_samples : float
        Number of the rows, weighted.

    mean : ndarray of shape (n_columns,)

    root : ndarray of shape (n_directions, n_columns)
        ``root.T @ root`` is close to the scatter matrix, as its other directions were
        cut off. The features of X are orthogonal rows, by falling length.

    squares : ndarray of shape (n_columns,)
        Diagonal of the scatter matrix.

    n_targets : int, default=0
        How many columns are those of X_target.

    rate : float
        Share of the learning rate that the network has earned so far: it grows while
        the network is better than PCA on rows that neither has seen.

    is_trained : bool
        Whether a network is trained, so that its start stays as it is.

    n_compared : int
        How many new rows have compared the network with PCA since the last verdict.

    lag : float
        Their losses minus PCA's, added up.
    """

    n_samples: float
    mean: np.ndarray
    root: np.ndarray
    squares: np.ndarray
    n_targets: int = 0
    rate: float = FIRST_RATE
    is_trained: bool = False
    n_compared: int = 0
    lag: float = 0.0

    @classmethod
    def empty(cls, n_features, n_targets=0):
        """Return a stream of no rows."""
        zeros = np.zeros(n_features + n_targets)
        return cls(0.0, zeros, zeros[None][:0], zeros, n_targets)

    @classmethod
    def after_fit(cls, start):
        """Return the stream of the rows of a `LinearStart`, as far as it knows them."""
        sides = [start] if start.target is None else [start, start.target]
        sizes = [len(side.mean) for side in sides]
        if start.n_samples is None or start.components is None:
            return replace(cls.empty(*sizes), is_trained=True)
        n_samples = start.n_samples
        roots = [
            start.components * start.spread[:, None],
            *(s.slopes for s in sides[1:]),
        ]
        scales = np.repeat([side.scale for side in sides], sizes)
        return cls(
            float(n_samples),
            np.concatenate([side.mean for side in sides]),
            np.concatenate(roots, axis=1) * scales * np.sqrt(n_samples),
            n_samples * np.square(scales),  # as if all features varied alike
            sum(sizes[1:]),
            is_trained=True,
        )

    @property
    def n_features(self):
        return len(self.mean) - self.n_targets

    def is_settled(self):
        """Tell whether there are rows enough for axes that stay where they are."""
        return self.n_samples >= self.fewest()

    def fewest(self):
        """Return how many rows that takes."""
        return int(np.clip(self.n_features, FEWEST_ROWS, MOST_ROWS))

    def is_worse(self, lags):
        """Tell by losses minus PCA's on new rows whether the network is worse.

        None if, with those of earlier pieces, they are too few to tell.
        """
        self.n_compared += len(lags)
        self.lag += float(lags.sum())
        if self.n_compared < ROWS_TO_COMPARE_BY:
            return None
        is_worse = self.lag > 0
        self._forget_lags()
        return is_worse

    def _forget_lags(self):
        self.n_compared, self.lag = 0, 0.0

    def earn(self):
        """Let the network take larger steps: it was better than PCA."""
        self.rate = min(2 * self.rate, 1.0)

    def lose(self):
        """Let the network take smaller steps, if it took any: it was worse."""
        self._forget_lags()
        if self.is_trained:
            self.rate = max(self.rate / 2, LEAST_RATE)

    def with_rows(self, rows, n_components):
        """Return the stream with some more `Rows`.

        As in Ross et al. (2008), "Incremental learning for robust visual tracking",
        IJCV 77.
        """
        raw = {"dtype": "float64", "mean": 0.0, "scale": 1.0}
        raw["standardized_target"] = True
        target = None if rows.target is None else rows.target.copy(**raw)
        rows = rows.copy(**raw, target=target, corrupt=None)
        n_kept, found = max(2 * n_components, n_components + SPARE), replace(self)
        for x, (y, weight) in rows.blocks(width=len(self.mean)):
            weight = np.ones(len(x)) if weight is None else weight.numpy()
            x = x.numpy() if target is None else np.concatenate([x, y], axis=1)
            for part in range(0, len(x), 4 * n_kept):
                place = slice(part, part + 4 * n_kept)
                found = found._with_block(x[place], weight[place], n_kept)
        return found

    def _with_block(self, x, weight, n_kept):
        n_new = weight.sum()
        if n_new == 0:
            return self
        n_samples = self.n_samples + n_new
        mean = weight @ x / n_new
        shift = np.sqrt(self.n_samples * n_new / n_samples) * (mean - self.mean)
        x = np.concatenate([(x - mean) * np.sqrt(weight)[:, None], shift[None]])
        return replace(
            self,
            n_samples=float(n_samples),
            mean=self.mean + (mean - self.mean) * (n_new / n_samples),
            root=_orthogonal(np.concatenate([self.root, x]), self.n_features, n_kept),
            squares=self.squares + np.square(x).sum(0),
        )

    def start(self, n_components):
        """Return the `LinearStart` of all rows so far."""
        n_samples, n_features = max(self.n_samples, 1.0), self.n_features
        root, other = np.split(self.root, [n_features], axis=1)
        mean, other_mean = np.split(self.mean, [n_features])
        scale = self._scale(slice(n_features))
        norms = np.linalg.norm(root[:n_components], axis=1)
        total = self.squares[:n_features].sum()
        found = norms > 1e-8 * max(norms.max(initial=0), np.sqrt(total))
        axes, norms = root[:n_components][found], norms[found]
        components = np.zeros((n_components, n_features))
        spread = np.zeros(n_components)
        components[: len(axes)] = point_largest_up(axes / norms[:, None])
        spread[: len(axes)] = norms / np.sqrt(n_samples) / scale
        start = LinearStart(
            mean, scale, components, spread, n_samples=round(self.n_samples)
        )
        if self.n_targets:
            scale = self._scale(slice(n_features, None))
            to_code = components / (positive_spread(start) * start.scale)[:, None]
            slopes = to_code @ root.T @ other / n_samples / scale
            start.target = LinearTarget(other_mean, scale, slopes)
        return start

    def _scale(self, columns):
        """Return the root of the mean variance of some columns; 1.0 for constants."""
        scale = np.sqrt(self.squares[columns].mean() / max(self.n_samples, 1.0))
        rounding = 10 * np.finfo(np.float64).eps * np.abs(self.mean[columns]).max()
        return float(scale) if scale > rounding else 1.0


def _orthogonal(rows, n_features, n_kept):
    """Return at most `n_kept` rows of nearly the same scatter, features orthogonal."""
    turn, _, _ = np.linalg.svd(rows[:, :n_features], full_matrices=False)
    return turn[:, :n_kept].T @ rows


def split_piece(rows, seed):
    """Split a piece into rows to learn from and a quarter to judge by, 40 at most.

    The latter are None if the piece is too small. They are the same rows each time that
    the piece comes.
    """
    if len(rows) < ROWS_TO_COMPARE_BY:
        return rows, None
    n_held_out = max(len(rows) // 10, min(len(rows) // 4, 40))
    return rows.split(n_held_out, seed)


def losses_above(net, start, rows):
    """Return the weighted losses of a net minus those of a `LinearStart`.

    Parameters
    ----------
    net : AutoencoderNet

    start : LinearStart
        Its mean and scale may be others than those of the net.

    rows : Rows
        Standardised for the net.
    """
    loss = net.criterion_

    def predict(X):
        return linear_output(start, loss, X.to(net.device), rows)

    lags = net.sample_losses(rows) - sample_losses(rows, loss, predict)
    weights = rows.weights()
    return lags if weights is None else lags * weights
