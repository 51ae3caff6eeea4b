"""Rows of X, and batches of them: centred, scaled and cast one batch at a time."""

import hashlib
import itertools
import math
from functools import cached_property
from numbers import Integral

import numpy as np
import scipy.sparse as sp
import torch
from skorch.dataset import Dataset

__all__ = ["BatchIterator", "Rows", "RowsAsDataset"]

INFERENCE_ELEMENTS = 2**19  # most cells of X in a batch where nothing is learnt
INFERENCE_ROWS = 4096
THINNED_ELEMENTS = 2**25  # most cells of rows that stand for all
FEWEST_THINNED = 500


class Rows(torch.utils.data.Dataset):
    """Some rows of X, centred, scaled and cast one batch at a time.

    X itself (an array, a memory map or a CSR matrix of any real dtype) is never copied.
    An image becomes a flat row.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features) or (n_samples, ...)

    sample_weight : ndarray of shape (n_samples,), default=None
        Scaled so that their mean over the chosen rows is one.

    index : ndarray of int, default=None
        Which rows of X; None is all.

    full_range : int, default=None
        What to divide X by first: the value of a white pixel. None divides by nothing.

    mean : float or ndarray of shape (n_features,), default=0.0
    scale : float, default=1.0
        A batch holds ``(X / full_range - mean) / scale``.

    dtype : {"float32", "float64"}, default="float64"
        The dtype of the batches.

    standardized_target : bool, default=True
        Whether the network's output is compared with the standardised rows or with X.

    corrupt : callable, default=None
        ``corrupt(X, start)`` -> what the network sees of a standardised batch;
        `start` is the number of its first row, or None if rows are drawn in any order.

    target : Rows, default=None
        All rows of what the output is compared with; None is these rows themselves.
    """

    def __init__(
        self,
        X,
        sample_weight=None,
        *,
        index=None,
        full_range=None,
        mean=0.0,
        scale=1.0,
        dtype="float64",
        standardized_target=True,
        corrupt=None,
        target=None,
    ):
        self.X = X
        self.n_features = math.prod(X.shape[1:])
        self.index = index
        self.full_range = full_range
        self.mean = mean
        self.scale = scale
        self.dtype = dtype
        self.standardized_target = standardized_target
        self.corrupt = corrupt
        self.target = target
        if sample_weight is not None:
            chosen = sample_weight if index is None else sample_weight[index]
            sample_weight = sample_weight / chosen.mean()
        self.sample_weight = sample_weight
        # Subtract in the precision of X: beside a large mean float32 sees nothing.
        self._exact = self.result_dtype() if dtype == "float32" else "float64"
        unit = full_range or 1
        self._offset = np.asarray(np.multiply(mean, unit), self._exact)
        self._divisor = scale * unit

    def copy(self, **changes):
        """Return these rows with some of the constructor's arguments changed."""
        names = (
            "sample_weight",
            "index",
            "full_range",
            "mean",
            "scale",
            "dtype",
            "standardized_target",
            "corrupt",
            "target",
        )
        arguments = {name: getattr(self, name) for name in names} | changes
        return Rows(self.X, **arguments)

    def __len__(self):
        return self.X.shape[0] if self.index is None else len(self.index)

    def take(self, rows):
        """Return (X, (target, sample_weight)) for a slice or array of row numbers."""
        start = rows.start if isinstance(rows, slice) else None
        if self.index is not None:
            rows = self.index[rows]
        raw = self.X[rows]
        if sp.issparse(raw):
            raw = raw.toarray()
        raw = raw.reshape(len(raw), self.n_features)
        X = np.empty(raw.shape, self._exact)
        np.subtract(raw, self._offset, out=X, dtype=self._exact, casting="unsafe")
        np.divide(X, self._divisor, out=X)
        X = torch.from_numpy(X.astype(self.dtype, copy=False))
        target = X
        if self.target is not None:
            target = self.target.take(rows)[1][0]
        elif not self.standardized_target:
            raw = raw.astype(self.dtype)
            raw = raw if self.full_range is None else raw / self.full_range
            target = torch.from_numpy(raw)
        if self.corrupt is not None:
            X = self.corrupt(X.clone(), start)  # X may also be the target
        if self.sample_weight is None:
            return X, (target, None)
        return X, (
            target,
            torch.from_numpy(self.sample_weight[rows].astype(self.dtype)),
        )

    def target_rows(self):
        """Return these rows of the target, with their weights, or None."""
        if self.target is None:
            return None
        return self.target.copy(index=self.index, sample_weight=self.sample_weight)

    @property
    def output(self):
        """The rows whose mean and scale the output has."""
        return self if self.target is None else self.target

    def result_dtype(self):
        """Return the dtype of what is computed from these rows.

        That of X if it is float32 or float64; float32 for pixels, else "float64".
        """
        is_single = self.X.dtype.type is np.float32 or self.full_range is not None
        return "float32" if is_single else "float64"

    def has_few_digits(self):
        """Tell whether X is of integers or float16: float32 is enough once centred."""
        return self.X.dtype.kind in "iub" or self.X.dtype.itemsize < 4

    def limits(self):
        """Return the smallest and the largest value of X."""
        values = self.X.data if sp.issparse(self.X) else self.X
        found = [float(values.min()), float(values.max())] if values.size else []
        if sp.issparse(self.X) and values.size < math.prod(self.X.shape):
            found.append(0.0)
        return min(found), max(found)

    def weights(self):
        """Return the weights of these rows, or None."""
        if self.sample_weight is None or self.index is None:
            return self.sample_weight
        return self.sample_weight[self.index]

    def split(self, n_held_out, seed):
        """Return the other rows and `n_held_out` rows that a seed draws, in order."""
        drawn = np.random.default_rng(seed).permutation(len(self))
        held_out, others = np.split(drawn, [n_held_out])
        return self._at(np.sort(others)), self._at(np.sort(held_out))

    def folds(self, n_folds, seed):
        """Yield for each fold the other rows, and its rows, which a seed draws.

        Rows that are equal stay together: none is judged by what has seen the like.
        """
        kinds = self.kinds()
        drawn = np.random.default_rng(seed).permutation(kinds.max() + 1)
        for fold in np.array_split(drawn, n_folds):
            is_left = np.isin(kinds, fold)
            yield self._at(np.flatnonzero(~is_left)), self._at(np.flatnonzero(is_left))

    def kinds(self):
        """Return a number for each row, the same for rows that are equal.

        Rows are numbered in the order in which they first appear.
        """
        numbers = {}
        found = [
            numbers.setdefault(_fingerprint(x), len(numbers))
            for X, _ in self.copy(corrupt=None).blocks()
            for x in X
        ]
        return np.array(found)

    def thinned(self, n_most):
        """Return at most `n_most` of these rows, evenly spread; fewer if very wide."""
        n_most = min(n_most, max(THINNED_ELEMENTS // self.n_features, FEWEST_THINNED))
        return self._at(np.arange(len(self))[:: -(-len(self) // n_most)])

    def _at(self, numbers):
        """Return the rows of these numbers."""
        return self.copy(index=numbers if self.index is None else self.index[numbers])

    def blocks(self, width=1, n_times=1):
        """Return an iterator over all rows in order, in blocks fit for one pass.

        `width` counts the columns of what is computed, if more than those of X. Blocks
        may be `n_times` as large.
        """
        n_elements = n_times * INFERENCE_ELEMENTS
        n_rows = min(n_elements // max(self.n_features, width), INFERENCE_ROWS)
        return BatchIterator(self, max(1, n_rows))


def _fingerprint(row):
    """Return a few bytes that differ where rows do; -0.0 is 0.0."""
    return hashlib.blake2b((row + 0.0).numpy().tobytes(), digest_size=16).digest()


class BatchIterator:
    """Whole batches of a `Rows`, shuffled by `order`; a lone last row is merged.

    It stands where torch's DataLoader would: that fetches row by row and draws from the
    global generator.
    """

    def __init__(self, rows, batch_size, order=None):
        self.rows = rows
        self.batch_size = batch_size
        self.order = order
        n_samples = len(rows)
        self.bounds = [*range(0, n_samples, batch_size), n_samples]
        if len(self.bounds) > 2 and n_samples - self.bounds[-2] == 1:
            del self.bounds[-2]

    def __len__(self):
        return len(self.bounds) - 1

    def __iter__(self):
        order = None if self.order is None else self.order.permutation(len(self.rows))
        for start, stop in itertools.pairwise(self.bounds):
            batch = slice(start, stop)
            yield self.rows.take(batch if order is None else order[batch])


class RowsAsDataset(Dataset):
    """Rows as skorch's callbacks know data: a Dataset of X and y, in the net's units.

    X is what the encoder gets and y what the output is compared with, both as arrays.
    They are computed when they are asked for.

    Parameters
    ----------
    rows : Rows
    """

    def __init__(self, rows):
        self.rows = rows
        self.index = rows.index

    def __len__(self):
        return len(self.rows)

    @property
    def shape(self):
        return len(self.rows), self.rows.n_features

    @cached_property
    def _arrays(self):
        # Block by block, where a corruption is the same whenever it is asked for.
        parts = [(X, y) for X, (y, _) in self.rows.blocks()]
        return [torch.cat(part).numpy() for part in zip(*parts, strict=True)]

    @property
    def X(self):
        return self._arrays[0]

    @property
    def y(self):
        return self._arrays[1]

    def __getitem__(self, i):
        if not isinstance(i, Integral):
            return self.X[i], self.y[i]
        i = range(len(self))[i]
        X, (y, _) = self.rows.take(slice(i, i + 1))
        return X[0].numpy(), y[0].numpy()

    def __array__(self, dtype=None, copy=None):
        return np.array(self.X, dtype=dtype)
