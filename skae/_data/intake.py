"""The one way in: X, X_target and sample_weight become checked rows and a form."""

import math
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from skae._data.containers import check_mask
from skae._data.images import read_form, warn_of_shape
from skae._data.reading import read_codes, read_numbers, read_target
from skae._data.rows import Rows
from skae._data.scale import warn_of_darkness
from skae._sklearn import check_sample_weight
from skae._warnings import warn

__all__ = [
    "TrainingData",
    "check_n_samples",
    "check_weight",
    "features_kept_on_error",
    "read_code_rows",
    "read_compared_rows",
    "read_rows",
    "read_training_data",
]

MOST_MAGNITUDE = {"float64": 1e151, "float32": 1e36}
ROUNDING = 1e-6  # by which resizing may leave the range of a loss


@dataclass
class TrainingData:
    """What a fit needs to know of X.

    Attributes
    ----------
    rows : Rows
        Not yet standardised, with their weights and their target.

    form, target_form : TableForm or ImageForm
        What X, and what is to be reconstructed, looked like.

    seen : tuple
        Number of rows, the smallest and largest value of X so far, and those of what is
        to be reconstructed, in units of the dtype of the first ones.
    """

    rows: Rows
    form: object
    target_form: object
    seen: tuple


def read_training_data(estimator, X, sample_weight, X_target, loss, *, reset):
    """Return the `TrainingData` of one fit, all checked.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Gets the number and names of features with `reset`; else it is fitted, and X
        has to be like what it saw.

    X, sample_weight, X_target
        As given to `fit`; rows whose weight is zero are dropped.

    loss : Loss
        Compares with X, which has to be in its range.

    reset : bool
    """
    if reset:
        X = read_numbers(estimator, X, reset=True)
    else:
        X = estimator._form.read(estimator, X, 1)
    target = None if X_target is None else read_target(X_target, X.shape[0])
    if sample_weight is not None:
        sample_weight = check_weight(sample_weight, X)
        X, target, sample_weight = _counting(X, target, sample_weight)
    if reset:
        form, target_form = _read_forms(estimator, X, target, loss)
    else:
        form, target_form = estimator._form, estimator._target_form
        _check_has_target(target, estimator._start)
    rows = _as_rows(X, form, loss, sample_weight)
    if target is not None:
        if not reset:
            _check_like_target(target, target_form, estimator)
        rows = rows.copy(target=_as_rows(target, target_form, loss))
    _check_values(rows, loss, estimator.loss)
    seen = *_limits_in(form, rows), *_limits_in(target_form, rows.output)
    if reset:
        _warn_of_oddities(rows, form, estimator, loss)
    else:
        seen = _widened(seen, estimator._seen)
    return TrainingData(rows, form, target_form, (len(rows), *seen))


def read_rows(estimator, X, *, min_samples=0):
    """Return X as standardised rows for a fitted estimator."""
    if not estimator.__sklearn_is_fitted__():  # check_is_fitted takes 0.1 ms
        check_is_fitted(estimator)
    form, loss = estimator._form, estimator.net_.criterion_
    rows = _as_rows(form.read(estimator, X, min_samples), form, loss)
    return rows.copy(
        mean=estimator._start.mean, scale=estimator.scale_, dtype=rows.result_dtype()
    )


def read_compared_rows(estimator, X, X_target, *, min_samples=0):
    """Return X as standardised rows, with what their output is compared with."""
    rows = read_rows(estimator, X, min_samples=min_samples)
    _check_has_target(X_target, estimator._start)
    if X_target is None:
        return rows
    target, form = read_target(X_target, len(rows)), estimator._target_form
    _check_like_target(target, form, estimator)
    output = estimator._start.output
    target = _as_rows(target, form, estimator.net_.criterion_)
    units = {"mean": output.mean, "scale": output.scale, "dtype": rows.dtype}
    return rows.copy(target=target.copy(**units))


def read_code_rows(estimator, X):
    """Return codes, as `transform` returns them, as rows for a fitted estimator."""
    rows = Rows(read_codes(estimator, X), scale=estimator.scale_)
    return rows.copy(dtype=rows.result_dtype())


@contextmanager
def features_kept_on_error(estimator):
    """Let a fit that fails leave a fitted estimator with the features it knows."""
    names = ("n_features_in_", "feature_names_in_")
    known = {name: vars(estimator)[name] for name in names if name in vars(estimator)}
    try:
        yield
    except Exception:
        if estimator.__sklearn_is_fitted__():
            vars(estimator).pop("feature_names_in_", None)
            vars(estimator).update(known)
        raise


def _counting(X, target, sample_weight):
    """Return X, target and weights without the rows whose weight is zero."""
    kept = np.flatnonzero(sample_weight)
    if len(kept) == len(sample_weight):
        return X, target, sample_weight
    target = None if target is None else target[kept]
    return X[kept], target, sample_weight[kept]


def _as_rows(X, form, loss, sample_weight=None):
    """Return numbers as rows that are not standardised yet."""
    return Rows(
        X,
        sample_weight,
        full_range=form.white(X),
        standardized_target=loss.standardized,
    )


def _read_forms(estimator, X, target, loss):
    """Return the forms of X and of X_target, which is that of X if there is none.

    Flat rows of a target are images where those of X are, and there are as many
    features.
    """
    order, of_counts = estimator.channel_order, loss.of_counts
    form = read_form(X, estimator.image_shape, order, of_counts=of_counts)
    _check_form_suits(form, estimator.network, order)
    if target is None:
        return form, form
    image_shape = None
    if target.ndim == 2 and target.shape[1] == estimator.n_features_in_:
        image_shape = form.image_shape
    return form, read_form(target, image_shape, order, of_counts=of_counts)


def _warn_of_oddities(rows, form, estimator, loss):
    """Warn of data that are hardly meant as they are read."""
    warn_of_shape(rows.X, form, estimator)
    warn_of_darkness(rows, loss, "X")
    if rows.target is not None:
        warn_of_darkness(rows.target, loss, "X_target")
    if len(rows) == 1:
        warn(
            "X has one row: nothing varies, so that its code is zero and every "
            "reconstruction is that row. Pass at least some dozens of rows."
        )


def _check_form_suits(form, network, channel_order):
    """Raise if parameters for images are given without images."""
    if form.is_image:
        return
    if network == "conv":
        raise ValueError(
            "network='conv' needs images, but X has rows of features. Pass X of shape "
            "(n, height, width) or with channels, or set image_shape: (height, width), "
            "or (length,) for signals; or choose network='mlp'."
        )
    if channel_order != "auto":
        raise ValueError(
            f"channel_order={channel_order!r} is for images, but X has rows of "
            "features. Set image_shape too, or leave channel_order at 'auto'."
        )


def _check_has_target(target, start):
    """Raise unless a target is given where `fit` saw one, and nowhere else."""
    if start.target is not None and target is None:
        raise ValueError(
            "fit saw an X_target, so errors are those against a target: pass X_target."
        )
    if start.target is None and target is not None:
        raise ValueError(
            "X_target is given, but fit saw none: leave it out, or fit with X_target."
        )


def _check_like_target(target, form, estimator):
    """Raise unless X_target has rows and values as `fit` saw them."""
    shape = target.shape[1:]
    if shape != form.row_shape:
        raise ValueError(
            f"X_target has rows of shape {shape}, but fit saw {form.row_shape}. "
            "Reshape it."
        )
    form.check_values(target)


def check_weight(sample_weight, X):
    """Return the weights as an array: ones where none are given."""
    check_mask(sample_weight, "sample_weight")
    sample_weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not sample_weight.any():
        raise ValueError("Every sample weight is zero: no row counts.")
    return sample_weight


def _limits_in(form, rows):
    """Return the smallest and largest value in units of the dtype that a form has."""
    unit = 1 if rows.full_range is None else rows.full_range
    white = form.white_of(form.dtype) if form.is_image else None
    return tuple(
        limit if white in (None, unit) else limit * white / unit
        for limit in rows.limits()
    )


def _widened(limits, seen):
    """Return limits that hold those that were seen before, too."""
    before = *seen[1:3], *seen[-2:]
    ends = zip((min, max, min, max), limits, before, strict=True)
    return tuple(end(now, then) for end, now, then in ends)


def _check_values(rows, loss, loss_name):
    """Raise if values are too large to square, or out of the range of the loss."""
    name = "X" if rows.target is None else "X_target"
    _check_magnitude(rows, "X")
    _check_magnitude(rows.output, name)
    _check_target_range(rows.output, loss, loss_name, name)


def _check_magnitude(rows, name):
    """Raise if squares, or results in the dtype of X, are beyond what it can hold."""
    largest, dtype = max(map(abs, rows.limits())), rows.result_dtype()
    most = MOST_MAGNITUDE[dtype]
    if largest > most:
        what, advice = "their squares overflow", ""
        if dtype == "float32":
            what, advice = "results in float32 may overflow", ", or pass float64"
        raise ValueError(
            f"{name} has values of up to {largest:.3g}, so large that {what} (over "
            f"{most:g}). Divide {name} by a constant first{advice}."
        )


def _check_target_range(rows, loss, loss_name, name):
    """Raise if X has values that the loss cannot compare with."""
    white = rows.full_range or 1
    low, high = (limit * white for limit in loss.target_range)
    values = rows.X.data if sp.issparse(rows.X) else rows.X
    if values.size == 0 or low == -np.inf and high == np.inf:
        return
    smallest, largest = values.min(), values.max()
    rounding = white * max(ROUNDING, 2 * _spacing(rows.X.dtype))
    if smallest < low - rounding or largest > high + rounding:
        end = "inf)" if high == math.inf else f"{high:g}]"
        why, advice = "", "Scale it (MinMaxScaler, or divide pixels by their maximum)"
        if high == math.inf:
            why, advice = "Negative values in data: ", "Pass what was counted"
        raise ValueError(
            f"{why}loss={loss_name!r} needs {name} in [{low:g}, {end}, but {name} has "
            f"values from {smallest:.9g} to {largest:.9g}. {advice}, or choose "
            "loss='squared_error'."
        )


def _spacing(dtype):
    """Return by how much numbers around one differ in a dtype of floats, else 0."""
    return np.finfo(dtype).eps if dtype.kind == "f" else 0.0


def check_n_samples(n_samples, name="n_samples", least=1):
    """Raise unless it is a whole number that is large enough."""
    if not (isinstance(n_samples, Integral) and n_samples >= least):
        raise ValueError(
            f"{name}={n_samples!r} must be a whole number of at least {least}."
        )
