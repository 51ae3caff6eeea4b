"""Checks that need two facts at once.

Also the only file that imports private names of scikit-learn.
"""

import inspect
import warnings
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import _fit_context as fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, validate_data
from torch import nn

from skae._runtime import available_devices

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:
        """Stands in for the mixin of scikit-learn 1.9; there are no callbacks."""


__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "Options",
    "StrOptions",
    "check_built_network",
    "check_code",
    "check_device",
    "check_hidden_layer_sizes",
    "check_input",
    "check_loss",
    "check_network",
    "check_n_components",
    "check_same_structure",
    "check_score_weight",
    "check_solver",
    "check_start",
    "check_target_range",
    "check_training_input",
    "explained_batch_norm",
    "fit_context",
]


def check_input(estimator, X, *, reset):
    """Return X as an array or CSR matrix of numbers, in its own dtype if it can be."""
    _check_columns(X)
    _check_mask(X)
    options = {"accept_sparse": "csr", "ensure_min_samples": 1 if reset else 0}
    try:
        numbers = validate_data(estimator, X, reset=reset, dtype="numeric", **options)
        if numbers.dtype.kind == "O":  # a DataFrame with extension dtypes
            numbers = check_array(numbers, dtype=np.float64, **options)
    except (ValueError, TypeError) as error:
        hint = _explain(X, str(error))
        if not hint:
            raise
        raise type(error)(f"{error}\n{hint}") from None
    return numbers


def _check_columns(X):
    """Raise if a DataFrame has two columns of one name."""
    names = getattr(X, "columns", None)
    if names is None or not hasattr(X, "dtypes"):
        return
    names = list(names)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"X has duplicated column names: {', '.join(twice)}. Rename or drop the "
            "columns, so that each name says which feature it is."
        )


def _check_mask(X):
    """Raise if X is a masked array that hides values: NumPy would show them."""
    if np.ma.isMaskedArray(X) and np.ma.is_masked(X):
        where = tuple(np.argwhere(np.ma.getmaskarray(X))[0].tolist())
        raise ValueError(
            f"X is a masked array with masked values, the first one at {where}. "
            "Fill them (X.filled, SimpleImputer) or drop their rows."
        )


def _explain(X, message):
    """Return where in X the trouble is that scikit-learn's `message` complains of."""
    if "contains NaN" in message or "contains infinity" in message:
        return _locate_non_finite(X)
    if hasattr(X, "columns") and hasattr(X, "dtypes") and "convert" in message:
        bad = [str(name) for name in X.columns if not _is_numeric(X[name])]
        return f"Columns that are not numbers: {', '.join(bad)}. Encode or drop them."
    return ""


def _is_numeric(column):
    try:
        np.asarray(column).astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _locate_non_finite(X):
    if sp.issparse(X):
        X = X.tocoo()
        bad = np.flatnonzero(~np.isfinite(X.data))[0]
        row, column = X.row[bad], X.col[bad]
    else:
        values = np.asarray(X, dtype=np.float64)
        row, column = np.argwhere(~np.isfinite(values.reshape(len(values), -1)))[0]
    name = f" ({X.columns[column]!r})" if hasattr(X, "columns") else ""
    return f"The first one is in row {row}, column {column}{name}."


def check_training_input(estimator, X, sample_weight, *, reset):
    """Return X and sample_weight (or None) without the rows whose weight is zero."""
    X = check_input(estimator, X, reset=reset)
    if sample_weight is None:
        return X, None
    sample_weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    kept = np.flatnonzero(sample_weight)
    if len(kept) == 0:
        raise ValueError("Every sample weight is zero: there is nothing to learn from.")
    if len(kept) < len(sample_weight):
        X, sample_weight = X[kept], sample_weight[kept]
    return X, sample_weight


def check_code(estimator, X):
    """Return the codes given to `inverse_transform` as an array."""
    _check_mask(X)
    X = check_array(
        X, dtype=[np.float64, np.float32], input_name="X", ensure_min_samples=0
    )
    n_components = estimator.n_components_
    if X.shape[1] != n_components:
        raise ValueError(
            f"X has {X.shape[1]} columns, but inverse_transform of "
            f"{type(estimator).__name__} expects {n_components} components, as "
            "transform returns them."
        )
    return X


def check_n_components(n_components, n_features):
    """Warn where the code is as wide as the data."""
    if n_components >= n_features > 1:
        warnings.warn(
            f"n_components={n_components} is not smaller than n_features={n_features}: "
            "the code can copy X instead of compressing it. Choose a smaller "
            "n_components, unless an overcomplete code is what you want.",
            UserWarning,
            stacklevel=5,
        )


def check_hidden_layer_sizes(sizes):
    """Raise unless the sizes are "auto" or positive whole numbers."""
    for size in () if isinstance(sizes, str) else sizes:
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(
                f"hidden_layer_sizes={sizes!r} has the width {size!r}; each width must "
                "be a whole number of at least 1. Use () for no hidden layer."
            )


def check_network(network):
    """Raise if `network` is a module that is already built."""
    if isinstance(network, nn.Module):
        raise TypeError(
            f"network is an instance of {type(network).__name__}; pass the class, or a "
            "function that returns a new instance. An instance would be trained in "
            "place, and clone() would carry its weights from one fold to the next."
        )


def check_built_network(network, n_features, n_components):
    """Raise unless a new network encodes to and decodes from n_components numbers."""
    name = type(network).__name__
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"network returned {network!r}; it must return a torch.nn.Module with the "
            "methods encode(X) and decode(code)."
        )
    for method in ("encode", "decode"):
        if not callable(getattr(network, method, None)):
            raise TypeError(
                f"network {name} has no method {method!r}; it needs encode(X) -> code "
                "and decode(code) -> output."
            )
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            dtype = next((weight.dtype for weight in network.parameters()), None)
            code = network.encode(torch.zeros(2, n_features, dtype=dtype))
            _check_shape(code, (2, n_components), f"{name}.encode", "n_components")
            output = network.decode(code)
            _check_shape(output, (2, n_features), f"{name}.decode", "n_features")
    finally:
        network.train(was_training)


def _check_shape(result, expected, method, meaning):
    if tuple(result.shape) != expected:
        raise ValueError(
            f"{method} turned 2 rows into the shape {tuple(result.shape)}; it must be "
            f"(2, {meaning}) = {expected}."
        )


@contextmanager
def explained_batch_norm(n_samples):
    """Say which data set was too small where torch only says "more than 1 value"."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"n_samples={n_samples} is too few for the batch normalisation in network: "
            "it needs at least two rows. Pass more rows, or a network without it."
        ) from error


def check_score_weight(sample_weight, X):
    """Return the weights for `score`: ones where none are given."""
    return _check_sample_weight(sample_weight, X, dtype=np.float64)


def check_device(device):
    """Raise if torch does not know the device or this machine does not have it."""
    if device == "auto":
        return
    available = available_devices()
    advice = f"Available here: {', '.join(available)}; 'auto' takes the last of them."
    try:
        parsed = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device={device!r} is not a torch device. {advice}") from None
    count = torch.cuda.device_count() if parsed.type == "cuda" else 1
    if parsed.type not in available or (parsed.index or 0) >= count:
        raise ValueError(f"device={device!r} is not available. {advice}")


def check_solver(solver, alpha):
    """Raise unless `solver` is a torch optimizer class that can do weight decay."""
    is_class = inspect.isclass(solver) and issubclass(solver, torch.optim.Optimizer)
    if not is_class:
        raise TypeError(
            f"solver={solver!r} must be a name or a class of torch.optim, not an "
            "instance or a function: each fit builds its own optimizer."
        )
    if alpha and "weight_decay" not in inspect.signature(solver).parameters:
        raise ValueError(
            f"solver={solver.__name__} has no weight decay, but alpha={alpha!r}. "
            "Set alpha=0, or choose a solver that has it."
        )


def check_target_range(X, loss, name):
    """Raise if X has values that the loss cannot compare with."""
    low, high = loss.target_range
    values = X.data if sp.issparse(X) else X
    if values.size == 0 or low == -np.inf and high == np.inf:
        return
    smallest, largest = values.min(), values.max()
    if smallest < low or largest > high:
        raise ValueError(
            f"loss={name!r} needs X in [{low:g}, {high:g}], but X has values from "
            f"{smallest:g} to {largest:g}. Scale X (MinMaxScaler, or divide pixels by "
            "their maximum), or choose loss='squared_error'."
        )


def check_loss(loss, n_features):
    """Raise unless the loss returns one number per sample."""
    X = torch.full((2, n_features), 0.5)
    result = loss(X, X)
    if getattr(result, "shape", None) != (2,):
        raise ValueError(
            f"loss={loss!r} returned {result!r} for two samples. It must return one "
            "number per sample, a tensor of shape (n_samples,), as does "
            "(output - X).abs().mean(1)."
        )


def check_same_structure(estimator, structure):
    """Raise if a parameter that shaped the net changed before training goes on."""
    for name, value in structure.items():
        now = getattr(estimator, name)
        if now is not value and now != value:
            raise ValueError(
                f"{name}={now!r}, but the net to go on with was built with "
                f"{name}={value!r}. Set it back, or set warm_start=False and call fit."
            )


def check_start(start):
    """Raise if the mean or the spread of X is beyond what a double can hold."""
    numbers = (start.mean, start.scale, start.explained_variance)
    if not all(np.isfinite(number).all() for number in numbers):
        raise ValueError(
            "X has values so large that their mean or spread overflows. Divide X by a "
            "constant first."
        )
