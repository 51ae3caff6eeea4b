"""X becomes an array or CSR matrix of numbers, or an error says why it cannot."""

import math
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skae._data.containers import is_frame, unpacked

__all__ = ["is_plain", "read_codes", "read_numbers", "read_target"]

SMALL = 2**14  # cells of X


def read_numbers(estimator, X, *, reset, min_samples=1):
    """Return X as an array or CSR matrix of numbers, in its own dtype if it can be.

    Sets what scikit-learn notes of X with `reset`, else compares tables with it.
    """
    X = unpacked(X)
    if not reset:
        _check_has_samples(X, estimator)
    if getattr(X, "ndim", 2) > 2:  # a frame of polars has none
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
    try:
        target = unpacked(target, "X_target")
    except ValueError as error:
        raise _about_labels(error, target) from None
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


def _about_labels(error, target):
    """Return an error that says what X_target is, if it has one axis; else the same."""
    if np.ndim(target) != 1 or "got 1D array" not in str(error):
        return error
    return ValueError(
        f"X_target has the shape {np.shape(target)}, one number per row. It is what "
        "each row of X is to become, of shape (n_samples, n_targets), or images. "
        "Labels are not learnt: leave them out, or pass them as y, which is ignored. "
        "For one target per row pass X_target.reshape(-1, 1)."
    )


def read_codes(estimator, X):
    """Return the codes given to `inverse_transform` as an array of numbers."""
    X = unpacked(X)
    with _explained(X):
        X = check_array(X, dtype="numeric", input_name="X", ensure_min_samples=0)
    n_components, module = estimator.n_components_, estimator.net_.module_
    sizes = module.bottleneck.code_sizes(len(module.units))
    sizes = [size for size in sizes if size < n_components] + [n_components]
    if X.shape[1] not in sizes:
        expected = f"{n_components} components, as transform returns them"
        if 1 < len(sizes) < n_components:
            smaller = " or ".join(map(str, sizes[:-1]))
            expected += f", or the first {smaller} of them (sizes)"
        raise ValueError(
            f"X has {X.shape[1]} columns, but inverse_transform of "
            f"{type(estimator).__name__} expects {expected}."
        )
    return X


def is_plain(X, estimator, shape=None):
    """Tell whether X needs none of the checks, which take 0.2 ms and more.

    `shape` is that of images; None where rows are flat.
    """
    if type(X) is not np.ndarray or X.size == 0 or not X.dtype.isnative:
        return False
    if X.shape[1:] != shape:
        is_flat = X.shape[1:] == (estimator.n_features_in_,)
        if not is_flat or hasattr(estimator, "feature_names_in_"):
            return False
        if shape is None and X.dtype.kind != "f":  # a table of integers
            return False
    if X.dtype.kind in "bu":
        return True
    is_float = X.dtype.type in (np.float32, np.float64)
    return is_float and X.size <= SMALL and bool(np.isfinite(X).all())


def _check_has_samples(X, estimator):
    """Raise if X is one image, without an axis of samples, after a fit to images."""
    form = estimator._form
    if not form.is_image or len(X.shape) < 2 or len(form.image_shape) < 2:
        return
    is_one = math.prod(X.shape) == estimator.n_features_in_ and X.shape[0] != 1
    if is_one and X.shape[1:] != form.image_shape:
        remedy = "Pass X[None]"
        if X.shape != form.image_shape:
            remedy = f"Bring X to the shape {(1, *form.image_shape)}"
        raise ValueError(
            f"X has the shape {X.shape}: that is one image, but no axis of samples. "
            f"{remedy}; fit saw images of shape {form.image_shape}."
        )


def _not_numbers(names):
    names = ", ".join(map(str, names))
    return f"Columns that are not numbers: {names}. Encode or drop them."


@contextmanager
def _explained(X):
    """Add to scikit-learn's errors where in X the trouble is."""
    try:
        yield
    except (ValueError, TypeError) as error:
        message = str(error)
        bad = []
        if is_frame(X) and ("convert" in message or "NAType" in message):
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
    if getattr(X, "ndim", 2) > 2:
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
    name = f" ({X.columns[column]!r})" if is_frame(X) else ""
    return f"The first one is in row {row}, column {column}{name}."
