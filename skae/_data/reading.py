"""X becomes an array or CSR matrix of numbers, or an error says why it cannot."""

import math
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

__all__ = ["check_mask", "is_plain", "read_codes", "read_numbers", "read_target"]

SMALL = 2**14  # cells of X


def read_numbers(estimator, X, *, reset, min_samples=1):
    """Return X as an array or CSR matrix of numbers, in its own dtype if it can be.

    Sets what scikit-learn notes of X with `reset`, else compares tables with it.
    """
    check_mask(X, "X")
    _check_columns(X)
    _check_sizes_agree(X)
    if _n_axes(X) > 2:
        return _read_images(estimator, X, reset, min_samples)
    options = {"accept_sparse": "csr", "ensure_min_samples": min_samples}
    with _explained(X):
        numbers = validate_data(estimator, X, reset=reset, dtype="numeric", **options)
        if numbers.dtype.kind == "O":  # a DataFrame with extension dtypes
            numbers = check_array(numbers, dtype=np.float64, **options)
    return numbers


def _read_images(estimator, X, reset, min_samples):
    """Return X, which has more than two axes, as an array in its own dtype."""
    with _explained(X):
        X = check_array(
            X,
            dtype="numeric",
            allow_nd=True,
            ensure_min_samples=min_samples,
            ensure_min_features=0,
            input_name="X",
        )
    shape, n_features = X.shape[1:], math.prod(X.shape[1:])
    if n_features == 0:
        raise ValueError(f"X has images of shape {shape}: they have no pixels.")
    if reset:
        vars(estimator).pop("feature_names_in_", None)
        estimator.n_features_in_ = n_features
    return X


def read_target(target, n_samples):
    """Return X_target as an array or CSR matrix of numbers, one row for each of X."""
    check_mask(target, "X_target")
    target = check_array(
        target,
        accept_sparse="csr",
        dtype="numeric",
        allow_nd=True,
        ensure_min_samples=0,
        input_name="X_target",
    )
    if target.shape[0] != n_samples:
        raise ValueError(
            f"X_target has {target.shape[0]} rows, but X has {n_samples}. Pass what "
            "each row of X is to become, in the same order."
        )
    return target


def read_codes(estimator, X):
    """Return the codes given to `inverse_transform` as an array of numbers."""
    check_mask(X, "X")
    with _explained(X):
        X = check_array(X, dtype="numeric", input_name="X", ensure_min_samples=0)
    n_components = estimator.n_components_
    is_ordered = estimator.net_.module_.bottleneck.is_ordered
    if not (X.shape[1] == n_components or is_ordered and X.shape[1] < n_components):
        raise ValueError(
            f"X has {X.shape[1]} columns, but inverse_transform of "
            f"{type(estimator).__name__} expects {n_components} components, as "
            "transform returns them."
        )
    return X


def is_plain(X, estimator):
    """Tell whether a small array needs none of the checks, which take 0.2 ms."""
    return (
        type(X) is np.ndarray
        and X.dtype.type in (np.float32, np.float64)
        and X.dtype.isnative
        and 0 < X.size <= SMALL
        and X.shape[1:] == (estimator.n_features_in_,)
        and not hasattr(estimator, "feature_names_in_")
        and bool(np.isfinite(X).all())
    )


def _n_axes(X):
    """Count the axes of an array, or of a list of arrays of one shape."""
    if hasattr(X, "ndim"):
        return X.ndim
    is_list = isinstance(X, (list, tuple)) and len(X) > 0
    return 1 + _n_axes(X[0]) if is_list else 0


def check_mask(values, name):
    """Raise if a masked array hides values: NumPy would show them."""
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        where = tuple(np.argwhere(np.ma.getmaskarray(values))[0].tolist())
        raise ValueError(
            f"{name} is a masked array with masked values, the first one at {where}. "
            "Fill them (X.filled, SimpleImputer) or drop their rows."
        )


def _check_sizes_agree(X):
    """Raise if X is a list of images of different sizes."""
    is_array_of_arrays = isinstance(X, np.ndarray) and X.dtype.kind == "O"
    if not (isinstance(X, (list, tuple)) or is_array_of_arrays and X.ndim == 1):
        return
    shapes = {tuple(np.shape(x)) for x in X if getattr(x, "ndim", 0) > 1}
    if len(shapes) > 1:
        a, b, *_ = sorted(shapes)
        raise ValueError(
            f"X has images of {len(shapes)} different shapes, such as {a} and {b}; all "
            "need the same. Crop, pad or resize them first (skimage.transform.resize, "
            "PIL.Image.resize), or convert all to grey or all to colour."
        )


def _check_columns(X):
    """Raise if a DataFrame has two columns of one name, or dates and times."""
    if not _is_frame(X):
        return
    names = list(X.columns)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"X has duplicated column names: {', '.join(twice)}. Rename or drop the "
            "columns, so that each name says which feature it is."
        )
    dates = [name for name in names if _is_date(X[name])]
    if dates:
        raise TypeError(_not_numbers(dates))


def _is_date(values):
    return getattr(getattr(values, "dtype", None), "kind", None) in ("M", "m")


def _is_frame(X):
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _not_numbers(names):
    names = ", ".join(map(str, names))
    return f"Columns that are not numbers: {names}. Encode or drop them."


@contextmanager
def _explained(X):
    """Add to scikit-learn's errors where in X the trouble is."""
    if _is_date(X):
        raise TypeError(f"X has the dtype {X.dtype}: dates are not numbers.")
    try:
        yield
    except (ValueError, TypeError) as error:
        message = str(error)
        bad = []
        if _is_frame(X) and ("convert" in message or "NAType" in message):
            bad = [name for name in X.columns if not _is_numeric(X[name])]
        if bad:
            raise type(error)(f"{message}\n{_not_numbers(bad)}") from None
        if "NAType" in message:
            message = "Input X contains NaN."
        if "contains NaN" in message or "contains infinity" in message:
            raise ValueError(f"{message}\n{_locate_non_finite(X)}") from None
        raise


def _is_numeric(column):
    import pandas as pd

    column = pd.Series(column)
    return pd.to_numeric(column, errors="coerce").notna().sum() == column.notna().sum()


def _locate_non_finite(X):
    """Say where the first missing or infinite value is."""
    if _n_axes(X) > 2:
        image, *pixel = np.argwhere(~np.isfinite(np.asarray(X, np.float64)))[0].tolist()
        return f"The first one is in image {image}, at {tuple(pixel)}."
    if sp.issparse(X):
        X = X.tocoo()
        bad = np.flatnonzero(~np.isfinite(X.data))[0]
        row, column = X.row[bad], X.col[bad]
    else:
        import pandas as pd

        frame = X if hasattr(X, "iloc") else pd.DataFrame(np.asarray(X))
        values = frame.apply(pd.to_numeric, errors="coerce")
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)
        row, column = np.argwhere(~np.isfinite(values))[0]
    name = f" ({X.columns[column]!r})" if _is_frame(X) else ""
    return f"The first one is in row {row}, column {column}{name}."
