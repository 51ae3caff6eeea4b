"""What `partial_fit` knows of all rows so far: their PCA, without keeping them."""

from dataclasses import dataclass, replace

import numpy as np

from skae._fitting.start import LinearStart, point_largest_up

__all__ = ["Stream"]

SPARE = 10  # directions kept beside those of the code, at least
FEWEST_ROWS, MOST_ROWS = 160, 1000  # before a network is trained
FIRST_RATE, LEAST_RATE = 0.03, 0.003


@dataclass
class Stream:
    """Rows that came in pieces.

    Attributes
    ----------
    n_samples : float
        Number of the rows, weighted.

    mean : ndarray of shape (n_features,)

    root : ndarray of shape (n_directions, n_features)
        Orthogonal rows; ``root.T @ root`` is close to the scatter matrix, as its other
        directions were cut off.

    total : float
        Trace of the scatter matrix.

    rate : float
        Share of the learning rate that the network has earned so far: it grows while
        the network is better than PCA on rows that neither has seen.

    is_trained : bool
        Whether a network is trained, so that its start stays as it is.
    """

    n_samples: float
    mean: np.ndarray
    root: np.ndarray
    total: float
    rate: float = FIRST_RATE
    is_trained: bool = False

    @classmethod
    def empty(cls, n_features):
        """Return a stream of no rows."""
        return cls(0, np.zeros(n_features), np.zeros((0, n_features)), 0.0)

    @classmethod
    def after_fit(cls, start):
        """Return the stream of the rows of a `LinearStart`, as far as it knows them."""
        if start.n_samples is None or start.components is None:
            return replace(cls.empty(len(start.mean)), is_trained=True)
        norms = start.spread * start.scale * np.sqrt(start.n_samples)
        return cls(
            start.n_samples,
            start.mean,
            start.components * norms[:, None],
            start.n_samples * len(start.mean) * start.scale**2,
            is_trained=True,
        )

    def is_settled(self):
        """Tell whether there are rows enough for axes that stay where they are."""
        n_features = len(self.mean)
        return self.n_samples >= np.clip(n_features, FEWEST_ROWS, MOST_ROWS)

    def earn(self):
        """Let the network take larger steps: it was better than PCA."""
        self.rate = min(2 * self.rate, 1.0)

    def lose(self):
        """Let the network take smaller steps, if it took any: it was worse."""
        if self.is_trained:
            self.rate = max(self.rate / 2, LEAST_RATE)

    def with_rows(self, rows, n_components):
        """Return the stream with some more `Rows`.

        As in Ross et al. (2008), "Incremental learning for robust visual tracking",
        IJCV 77.
        """
        rows = rows.copy(
            dtype="float64", mean=0.0, scale=1.0, target=None, corrupt=None
        )
        n_kept, found = max(2 * n_components, n_components + SPARE), self
        for x, (_, weight) in rows.copy(standardized_target=True).blocks():
            weight = np.ones(len(x)) if weight is None else weight.numpy()
            for part in range(0, len(x), 4 * n_kept):
                place = slice(part, part + 4 * n_kept)
                found = found._with_block(x[place].numpy(), weight[place], n_kept)
        return found

    def _with_block(self, x, weight, n_kept):
        n_new = weight.sum()
        if n_new == 0:
            return self
        n_samples = self.n_samples + n_new
        mean = weight @ x / n_new
        shift = np.sqrt(self.n_samples * n_new / n_samples) * (mean - self.mean)
        x = (x - mean) * np.sqrt(weight)[:, None]
        rows = np.concatenate([self.root, x, shift[None]])
        return replace(
            self,
            n_samples=n_samples,
            mean=self.mean + (mean - self.mean) * (n_new / n_samples),
            root=_orthogonal(rows, n_kept),
            total=self.total + np.square(x).sum() + np.square(shift).sum(),
        )

    def start(self, n_components):
        """Return the `LinearStart` of all rows so far."""
        n_samples, n_features = max(self.n_samples, 1), len(self.mean)
        scale = np.sqrt(self.total / n_samples / n_features)
        rounding = 10 * np.finfo(np.float64).eps * np.abs(self.mean).max()
        scale = float(scale) if scale > rounding else 1.0
        norms = np.linalg.norm(self.root[:n_components], axis=1)
        found = norms > 1e-8 * max(norms.max(initial=0), np.sqrt(self.total))
        axes, norms = self.root[:n_components][found], norms[found]
        components, spread = (
            np.zeros((n_components, n_features)),
            np.zeros(n_components),
        )
        components[: len(axes)] = point_largest_up(axes / norms[:, None])
        spread[: len(axes)] = norms / np.sqrt(n_samples) / scale
        return LinearStart(
            self.mean, scale, components, spread, n_samples=round(self.n_samples)
        )


def _orthogonal(rows, n_kept):
    """Return at most `n_kept` orthogonal rows of nearly the same scatter."""
    _, values, axes = np.linalg.svd(rows, full_matrices=False)
    return values[:n_kept, None] * axes[:n_kept]
