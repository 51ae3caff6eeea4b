"""Checks that need two facts at once.

Also the only file that imports private names of scikit-learn.
"""

import inspect
import math
import os
import tempfile
import warnings
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import _fit_context as fit_context
from sklearn.utils import check_array
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
)
from sklearn.utils.validation import _check_sample_weight, validate_data
from torch import nn

from skae._data.images import check_image_shape, read_image_form
from skae._parts import Part
from skae._runtime import (
    available_devices,
    interrupts_deferred,
    is_out_of_memory,
)

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:
        """Stands in for the mixin of scikit-learn 1.9; there are no callbacks."""


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "RealNotInt",
    "StrOptions",
    "check_at_most_two",
    "check_bottleneck",
    "check_built_network",
    "check_checkpoint",
    "check_code",
    "check_compile",
    "check_components",
    "check_converged",
    "check_corrupted",
    "check_corruption",
    "check_density",
    "check_device",
    "check_has_methods",
    "check_has_rows",
    "check_has_target",
    "check_hidden_layer_sizes",
    "check_image_form",
    "check_input",
    "check_is_module",
    "check_is_no_class",
    "check_loss_result",
    "check_magnitude",
    "check_matplotlib_support",
    "check_n_components",
    "check_n_labels",
    "check_n_samples",
    "check_network",
    "check_one_for_each_row",
    "check_pairs",
    "check_penalty",
    "check_percentiles",
    "check_ranges",
    "check_row",
    "check_same_structure",
    "check_scores",
    "check_shown",
    "check_solver",
    "check_standardize",
    "check_start",
    "check_takes",
    "check_target_range",
    "check_target_shape",
    "check_threshold",
    "check_trained",
    "check_training_input",
    "check_weight",
    "explained_batch_norm",
    "explained_compile",
    "explained_memory",
    "fit_context",
]

MOST_MAGNITUDE = 1e151
SMALL = 2**14  # cells of X


def check_input(estimator, X, *, reset, form=None, min_samples=1):
    """Return X as an array or CSR matrix of numbers, in its own dtype if it can be.

    `form` is the ImageForm that `fit` saw, or None.
    """
    if not reset and _is_plain(X, estimator):
        return X
    _check_columns(X)
    _check_mask(X, "X")
    _check_sizes_agree(X)
    if _n_axes(X) > 2:
        return _check_images(estimator, X, form, reset, min_samples)
    options = {"accept_sparse": "csr", "ensure_min_samples": min_samples}
    with _explained(X):
        numbers = validate_data(estimator, X, reset=reset, dtype="numeric", **options)
        if numbers.dtype.kind == "O":  # a DataFrame with extension dtypes
            numbers = check_array(numbers, dtype=np.float64, **options)
    return numbers


def _is_plain(X, estimator):
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


def _check_images(estimator, X, form, reset, min_samples):
    """Return X as an array of images, in its own dtype."""
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
    elif form is None or shape != form.image_shape:
        seen = f"rows of {estimator.n_features_in_} features"
        if form is not None:
            seen = f"images of shape {form.image_shape}"
        raise ValueError(
            f"X has images of shape {shape}, but {type(estimator).__name__} was fitted "
            f"to {seen}. Resize or reshape X to that."
        )
    return X


def check_code(estimator, X):
    """Return the codes given to `inverse_transform` as an array of numbers."""
    _check_mask(X, "X")
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


def _check_mask(values, name):
    """Raise if a masked array hides values: NumPy would show them."""
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        where = tuple(np.argwhere(np.ma.getmaskarray(values))[0].tolist())
        raise ValueError(
            f"{name} is a masked array with masked values, the first one at {where}. "
            "Fill them (X.filled, SimpleImputer) or drop their rows."
        )


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


def check_training_input(estimator, X, sample_weight, target, *, reset, form=None):
    """Return X, sample_weight and target without the rows whose weight is zero.

    The last two may be None.
    """
    X = check_input(estimator, X, reset=reset, form=form)
    if target is not None:
        target = check_target(target, X)
    if sample_weight is None:
        return X, None, target
    sample_weight = check_weight(sample_weight, X)
    kept = np.flatnonzero(sample_weight)
    if len(kept) < len(sample_weight):
        X, sample_weight = X[kept], sample_weight[kept]
        target = None if target is None else target[kept]
    return X, sample_weight, target


def check_target(target, X):
    """Return X_target as an array or CSR matrix of numbers, one row for each of X."""
    _check_mask(target, "X_target")
    target = check_array(
        target,
        accept_sparse="csr",
        dtype="numeric",
        allow_nd=True,
        ensure_min_samples=0,
        input_name="X_target",
    )
    if target.shape[0] != X.shape[0]:
        raise ValueError(
            f"X_target has {target.shape[0]} rows, but X has {X.shape[0]}. Pass what "
            "each row of X is to become, in the same order."
        )
    return target


def check_has_target(target, start):
    """Raise unless a target is given where `fit` saw one, and nowhere else."""
    if start.target is not None and target is None:
        raise ValueError(
            "fit saw an X_target, so errors are those against a target: pass X_target."
        )
    if start.target is None and target is not None:
        raise ValueError(
            "X_target is given, but fit saw none: leave it out, or fit with X_target."
        )


def check_target_shape(shape, expected):
    """Raise unless X_target has rows as `fit` saw them."""
    if shape != expected:
        raise ValueError(
            f"X_target has rows of shape {shape}, but fit saw {expected}. Reshape it."
        )


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
    """Raise if `network` is a module that is already built, or no pair."""
    is_pair = isinstance(network, (tuple, list))
    if is_pair and not (len(network) == 2 and all(map(callable, network))):
        raise TypeError(
            f"network={network!r} must be a pair (encoder, decoder) of classes or "
            "functions, each of which returns a new torch.nn.Module."
        )
    for piece in network if is_pair else [network]:
        if isinstance(piece, nn.Module):
            raise TypeError(
                f"network is an instance of {type(piece).__name__}; pass the class, or "
                "a function of n_features and n_components that returns a new "
                "instance. An instance would be trained in place, and clone() would "
                "carry its weights from one fold to the next."
            )


def check_takes(network, arguments):
    """Raise if a network of the user's cannot have the widths that are needed."""
    parameters = inspect.signature(network).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return
    reasons = {
        "n_encoded": "the bottleneck needs so many numbers from encode for each row",
        "n_outputs": "X_target has so many features, which decode is to return",
    }
    for width, reason in reasons.items():
        if width in arguments and width not in {one.name for one in parameters}:
            name = getattr(network, "__name__", repr(network))
            raise TypeError(
                f"network {name} must have a parameter {width}, here "
                f"{arguments[width]}: {reason}."
            )


def check_is_module(network, methods):
    """Raise unless a class or function of the user's made a module with `methods`."""
    if not isinstance(network, nn.Module):
        needed = " with the methods encode(X) and decode(code)" if methods else ""
        raise TypeError(
            f"network returned {network!r}; it must return a torch.nn.Module{needed}."
        )
    for method in methods:
        if not callable(getattr(network, method, None)):
            raise TypeError(
                f"network {type(network).__name__} has no method {method!r}; it needs "
                "encode(X) -> code and decode(code) -> output."
            )


def check_built_network(network, n_features, n_components, n_encoded, n_outputs):
    """Raise unless a new network encodes and decodes to the widths that are needed."""
    name = type(network).__name__
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), LayerShapes(network) as shapes:
            dtype = next((weight.dtype for weight in network.parameters()), None)
            X = torch.linspace(-1, 1, 2 * n_features, dtype=dtype).reshape(2, -1)
            with shapes.explained(f"{name}.encode", X):
                code = network.encode(X.clone())
            meaning = "n_components" if n_encoded == n_components else "n_encoded"
            _check_result(code, (2, n_encoded), f"{name}.encode", meaning, shapes)
            code = code[:, :n_components]
            with shapes.explained(f"{name}.decode", code):
                output = network.decode(code)
            meaning = "n_features" if n_outputs == n_features else "n_outputs"
            _check_result(output, (2, n_outputs), f"{name}.decode", meaning, shapes)
            network.encode(given := X.clone())
    finally:
        network.train(was_training)
    if not torch.equal(given, X):
        raise ValueError(
            f"{name}.encode changes its input in place, which is also the target. Use "
            "the operation that returns a new tensor (x.mul(2), not x.mul_(2))."
        )


class LayerShapes:
    """Writes down which shape each layer of a network got and gave.

    Parameters
    ----------
    network : nn.Module
    """

    def __init__(self, network):
        self.network = network

    def __enter__(self):
        self.hooks = []
        for name, layer in self.network.named_modules():
            if name and not any(True for _ in layer.children()):
                label = f"{name} = {layer}"
                before = layer.register_forward_pre_hook(partial(self._before, label))
                after = layer.register_forward_hook(self._after)
                self.hooks += [before, after]
        return self

    def __exit__(self, *error):
        for hook in self.hooks:
            hook.remove()

    @contextmanager
    def explained(self, method, given):
        """Run a method from here on, and say in which layer it failed if it does."""
        self.method, self.given = method, tuple(given.shape)
        self.steps, self.open = [], []
        try:
            yield
        except RuntimeError as error:
            where = f" in {self.open[-1]}" if self.open else ""
            raise ValueError(
                f"{method} failed{where}: {error}. {self} Make the layers fit together."
            ) from error

    def _before(self, label, layer, inputs):
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs if hasattr(x, "shape"))
        self.open.append(f"{label}, which got the shape {shapes}")

    def _after(self, layer, inputs, output):
        label = self.open.pop().split(",")[0].split(" = ")[0]
        shape = getattr(output, "shape", None)
        gave = type(output).__name__ if shape is None else tuple(shape)
        self.steps.append(f"{label} gave {gave}")

    def __str__(self):
        way = "".join(f"; {step}" for step in self.steps)
        return f"Shapes on the way: {self.method} got {self.given}{way}."


def _check_result(result, expected, method, meaning, shapes):
    if not isinstance(result, torch.Tensor):
        raise TypeError(
            f"{method} returned a {type(result).__name__}; it must return a tensor of "
            f"shape (n_samples, {meaning})."
        )
    if tuple(result.shape) != expected:
        raise ValueError(
            f"{method} turned 2 rows into the shape {tuple(result.shape)}; it must be "
            f"(2, {meaning}) = {expected}. {shapes}"
        )


@contextmanager
def explained_batch_norm(n_samples, batch_size):
    """Say what was too small where torch only says "more than 1 value"."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "The batch normalisation in network needs two rows or more in a batch, but "
            f"n_samples={n_samples} and batch_size={batch_size}. Pass more rows, a "
            "larger batch_size, or a network without it."
        ) from error


@contextmanager
def explained_memory(batch_size):
    """Say what to do where memory does not even do for a part of a batch."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            f"Training ran out of memory with batch_size={batch_size}: {error} Lower "
            "batch_size or hidden_layer_sizes, or set precision='float32'."
        ) from error


def check_checkpoint(folder):
    """Raise unless checkpoints can be written to a folder; make it if need be."""
    if folder is None:
        return
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"checkpoint={folder!r} is no folder that can be written to: {error}. Pass "
            "the path of one, or None for no checkpoints."
        ) from error


def check_compile(backend):
    """Raise if torch.compile does not know the backend."""
    if not isinstance(backend, str):
        return
    with interrupts_deferred():  # it imports much of torch
        known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise ValueError(
            f"compile={backend!r} is no backend of torch.compile. Known here: "
            f"{', '.join(known)}; True is 'inductor', False compiles nothing."
        )


@contextmanager
def explained_compile(backend):
    """Say which parameter it was if torch.compile fails."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise RuntimeError(
            f"compile={backend!r} failed: {error}\nIs there a C++ compiler? Set "
            "compile=False, or another backend (torch.compiler.list_backends())."
        ) from error


def check_weight(sample_weight, X):
    """Return the weights as an array: ones where none are given."""
    _check_mask(sample_weight, "sample_weight")
    sample_weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not sample_weight.any():
        raise ValueError("Every sample weight is zero: no row counts.")
    return sample_weight


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
    if (
        alpha not in ("auto", 0)
        and "weight_decay" not in inspect.signature(solver).parameters
    ):
        raise ValueError(
            f"solver={solver.__name__} has no weight decay, but alpha={alpha!r}. "
            "Set alpha=0, or choose a solver that has it."
        )


def check_target_range(X, loss, loss_name, white, name="X"):
    """Raise if X has values that the loss cannot compare with."""
    low, high = (limit * (white or 1) for limit in loss.target_range)
    values = X.data if sp.issparse(X) else X
    if values.size == 0 or low == -np.inf and high == np.inf:
        return
    smallest, largest = values.min(), values.max()
    if smallest < low or largest > high:
        end = "inf)" if high == math.inf else f"{high:g}]"
        why, advice = "", "Scale it (MinMaxScaler, or divide pixels by their maximum)"
        if high == math.inf:
            why, advice = "Negative values in data: ", "Pass what was counted"
        raise ValueError(
            f"{why}loss={loss_name!r} needs {name} in [{low:g}, {end}, but {name} has "
            f"values from {smallest:.3g} to {largest:.3g}. {advice}, or choose "
            "loss='squared_error'."
        )


def check_is_no_class(name, part):
    """Raise if a part is a class."""
    if inspect.isclass(part):
        raise TypeError(
            f"{name} is the class {part.__name__}; pass an instance, {part.__name__}()."
        )


def check_ranges(part):
    """Raise if a parameter of a part, or of the parts in it, is not allowed."""
    name = type(part).__name__
    for parameter in {**part.choices, **part.ranges}:
        value, wanted = getattr(part, parameter), []
        if words := part.choices.get(parameter):
            if isinstance(value, str) and value in words:
                continue
            wanted.append(f"one of {words}")
        if parameter in part.ranges:
            low, high = part.ranges[parameter]
            is_whole = parameter in part.whole_numbers
            is_number = isinstance(value, Integral if is_whole else Real)
            if is_number and low <= value <= high and value < math.inf:
                continue
            end = "inf)" if high == math.inf else f"{high:g}]"
            kind = "whole number" if is_whole else "number"
            wanted.append(f"a {kind} in [{low:g}, {end}")
        wanted = " or ".join(wanted)
        raise ValueError(f"{parameter}={value!r} of {name} must be {wanted}.")
    for parameter, kind in part.members().items():
        inner = getattr(part, parameter)
        is_list = isinstance(inner, (list, tuple))
        wrong = [one for one in inner if not isinstance(one, kind)] if is_list else []
        if wrong or not is_list:
            raise TypeError(
                f"{parameter} of {name} has {wrong[0] if wrong else inner!r}; it must "
                f"be a list of instances of {kind.__name__}."
            )
        for one in inner:
            check_ranges(one)


def check_corruption(corruption, form):
    """Raise if a corruption, or one in a chain, is for images and X has none."""
    if getattr(corruption, "needs_images", False) and form is None:
        raise ValueError(
            f"corruption={corruption!r} is for images, but X is a table. Pass images, "
            "set image_shape, or choose another corruption, such as 'swap'."
        )
    for inner in getattr(corruption, "corruptions", []):
        check_corruption(inner, form)


def check_corrupted(spoilt, X, corruption):
    """Raise unless a batch is still one, of numbers, after it was spoilt."""
    if getattr(spoilt, "shape", None) != X.shape or not spoilt.isfinite().all():
        shape = getattr(spoilt, "shape", None)
        got = f"a {type(spoilt).__name__}" if shape is None else f"shape {tuple(shape)}"
        if shape == X.shape:
            got = "NaN or infinite values"
        raise ValueError(
            f"corruption={corruption!r} returned {got}; it must return a tensor of "
            f"finite numbers, of the shape of its X, {tuple(X.shape)}."
        )


def check_bottleneck(bottleneck, n_components):
    """Raise if the size of the code does not suit the bottleneck."""
    if not isinstance(n_components, Integral):
        if bottleneck.keeps_pca:
            return
        raise ValueError(
            f"n_components={n_components} is a share of the variance, which "
            f"{type(bottleneck).__name__} does not keep to. Set a whole number."
        )
    k = getattr(bottleneck, "k", "auto")
    if k != "auto" and k > n_components:
        raise ValueError(
            f"k={k} of {type(bottleneck).__name__} is larger than "
            f"n_components={n_components}. Lower k, or raise n_components."
        )
    n_groups = getattr(bottleneck, "n_groups", 1)
    if n_groups > 1 and n_components % n_groups:
        raise ValueError(
            f"n_components={n_components} is not a multiple of n_groups={n_groups} of "
            f"{type(bottleneck).__name__}, the pieces of the code. Change one of them."
        )


def check_n_samples(n_samples, name="n_samples", least=1):
    """Raise unless it is a whole number that is large enough."""
    if not (isinstance(n_samples, Integral) and n_samples >= least):
        raise ValueError(
            f"{name}={n_samples!r} must be a whole number of at least {least}."
        )


def check_density(found, asked):
    """Raise if there is nothing to draw codes from."""
    if found is not None:
        return
    advice = (
        "Fit with density='gaussian_mixture', or with bottleneck='variational' or "
        "'wae'."
    )
    if asked is not None:
        advice = f"density={asked!r} is learnt by fit, not by partial_fit: call fit."
    raise ValueError(f"There is no distribution of codes to draw from. {advice}")


def check_pairs(a, b):
    """Raise unless there are as many codes of X_a as of X_b."""
    if len(a) != len(b):
        raise ValueError(
            f"X_a has {len(a)} rows, but X_b has {len(b)}; each row of X_a needs the "
            "row of X_b to go to."
        )


def _in_short(result):
    shape = getattr(result, "shape", None)
    return repr(result) if shape is None else f"a tensor of shape {tuple(shape)}"


def check_penalty(penalty, codec, X):
    """Raise unless the penalty is one number per sample that gradients pass through."""
    if penalty is None:
        return
    try:
        _, code, _ = codec.sample(X)
        result = penalty(code, X, codec.code)
        if getattr(result, "shape", None) != (len(X),):
            raise ValueError(
                f"penalty={penalty!r} returned {_in_short(result)} for {len(X)} rows. "
                "It must return one number per sample, a tensor of shape (n_samples,), "
                "as does code.abs().mean(1)."
            )
        result.sum().backward()
    except RuntimeError as error:
        raise ValueError(
            f"penalty={penalty!r} cannot be differentiated with the network "
            f"{type(codec.network).__name__} and the bottleneck {codec.bottleneck!r}: "
            f"{error}. Choose another penalty, activation or bottleneck."
        ) from error
    finally:
        codec.zero_grad(set_to_none=True)


def check_loss_result(loss, n_features):
    """Raise unless the loss returns one number per sample."""
    X = torch.full((2, n_features), 0.5)
    loss.build(np.full(n_features, 0.5))
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
        if now is not value and now != value and not _are_alike(now, value):
            raise ValueError(
                f"{name}={now!r}, but the net to go on with was built with "
                f"{name}={value!r}. Set it back, or set warm_start=False and call fit."
            )


def _are_alike(part, other):
    """Tell whether two parts are of one class and have the same parameters."""
    if not (isinstance(part, Part) and type(part) is type(other)):
        return False
    mine, others = part.get_params(), other.get_params()
    return all(
        value == others[name] or _are_alike(value, others[name])
        for name, value in mine.items()
    )


def check_converged(losses, net):
    """Raise if training ended with losses that are not finite."""
    if not np.isfinite(losses).all():
        raise ValueError(
            "Training diverged: the loss is not finite after the last step. Lower "
            f"learning_rate (now {net.lr:g}), or scale X if a few of its values are "
            "much larger than the rest."
        )


def check_magnitude(limits, name):
    """Raise if squares of such values are beyond what a double can hold."""
    largest = max(map(abs, limits))
    if largest > MOST_MAGNITUDE:
        raise ValueError(
            f"{name} has values of up to {largest:.3g}, so large that their squares "
            f"overflow (over {MOST_MAGNITUDE:g}). Divide {name} by a constant first."
        )


def check_start(start):
    """Raise if the mean or the variance of X is beyond what a double can hold."""
    if not (np.isfinite(start.mean).all() and start.scale < 1e150):
        raise ValueError(
            "X has values so large that their mean or spread overflows. Divide X by a "
            "constant first."
        )


def check_has_methods(estimator, names, display):
    """Raise unless an estimator has the methods that a display calls."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if not missing:
        return
    what, advice = type(estimator).__name__, "Pass a fitted AutoencoderTransformer."
    steps = [(name, step) for name, step in getattr(estimator, "steps", [])]
    lacking = [
        place
        for place, (_, step) in enumerate(steps)
        if step not in (None, "passthrough") and not hasattr(step, missing[0])
    ]
    if lacking:
        name, step = steps[lacking[-1]]
        what = f"step {name!r} of the Pipeline, a {type(step).__name__},"
        advice = "Pass pipeline[-1], with pipeline[:-1].transform(X) as X."
        if lacking[-1] == len(steps) - 1:
            advice = "Pass pipeline[:-1], the steps before it."
    raise TypeError(
        f"{display} needs an estimator with {' and '.join(names)}, but {what} has no "
        f"{missing[0]}. {advice}"
    )


def check_components(components, n_components):
    """Return the components as a list of int; raise unless the code has them."""
    chosen = [components] if isinstance(components, Integral) else list(components)
    wrong = [
        one
        for one in chosen
        if not (isinstance(one, Integral) and 0 <= one < n_components)
        or isinstance(one, bool)
    ]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        got = f"has {wrong[0]!r}" if wrong else "is empty or names one twice"
        raise ValueError(
            f"components={components!r} {got}, but the code has n_components="
            f"{n_components}. Pass different whole numbers from 0 to "
            f"{n_components - 1}."
        )
    return [int(one) for one in chosen]


def check_percentiles(percentiles):
    """Raise unless the percentiles are two growing numbers in [0, 1]."""
    is_pair = isinstance(percentiles, (tuple, list)) and len(percentiles) == 2
    if not is_pair or not 0 <= percentiles[0] < percentiles[1] <= 1:
        raise ValueError(
            f"percentiles={percentiles!r} must be two growing numbers in [0, 1], such "
            "as (0.05, 0.95)."
        )


def check_shown(n_samples, X_hat, X_target):
    """Raise unless each row has a reconstruction, and that what to compare it with."""
    if n_samples != len(X_hat):
        raise ValueError(
            f"X has {n_samples} rows, but X_hat has {len(X_hat)}. Pass the "
            "reconstruction of each row of X, in the same order."
        )
    if X_target is not None and X_target.shape != X_hat.shape:
        raise ValueError(
            f"X_target has the shape {X_target.shape}, but X_hat has {X_hat.shape}. "
            "Pass what each row should have become."
        )


def check_image_form(X, image_shape, channel_order):
    """Return the ImageForm of rows that are to be shown, or None for a table."""
    check_image_shape(image_shape)
    form = read_image_form(X, image_shape, channel_order)
    if form is None or form.n_channels <= 4 or form.is_signal:
        return form
    raise ValueError(
        f"X has images of {form.n_channels} channels; a picture shows at most four. "
        "Pass some of them, to from_predictions say."
    )


def check_trained(estimator):
    """Raise if no epoch was trained: there is no curve."""
    if estimator.n_epochs_ == 0:
        raise ValueError(
            f"This {type(estimator).__name__} trained no epoch, so there is no curve: "
            "it is PCA, as there were too few rows to judge by, or PCA of that size "
            "loses nothing. With early_stopping=False or True few rows are trained on "
            "nevertheless."
        )


def check_at_most_two(components):
    """Raise if there are more components than axes."""
    if len(components) > 2:
        raise ValueError(
            f"components={tuple(components)!r} must be one or two: across and up."
        )


def check_has_rows(code):
    """Raise if there is nothing to draw."""
    if len(code) == 0:
        raise ValueError("X has no rows, so there is nothing to draw. Pass some.")


def check_one_for_each_row(y, n_samples):
    """Raise unless y has as many entries as X has rows."""
    if len(y) != n_samples:
        raise ValueError(
            f"y has {len(y)} entries for {n_samples} rows. Pass one for each row."
        )


def check_n_labels(labels, most):
    """Raise if there are more labels than colours and markers tell apart."""
    if len(labels) > most:
        raise ValueError(
            f"y has {len(labels)} different labels; at most {most} can be told apart. "
            "Give the rare ones one name, such as 'other'."
        )


def check_row(row, n_samples):
    """Raise unless a row is None or the number of one."""
    is_number = isinstance(row, Integral) and not isinstance(row, bool)
    if row is not None and not (is_number and -n_samples <= row < n_samples):
        raise ValueError(
            f"row={row!r} must be None, for the mean, or the number of a row of X, "
            f"from 0 to {n_samples - 1}."
        )


def check_threshold(threshold):
    """Raise unless a threshold is None or a finite number."""
    is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if threshold is not None and not (is_number and math.isfinite(threshold)):
        raise ValueError(
            f"threshold={threshold!r} must be None or a number, in the units of the "
            "scores, such as np.quantile(scores, 0.05) of training rows."
        )


def check_scores(scores):
    """Return scores as an array; raise unless there are some, one for each row."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or not np.isfinite(scores).any() or np.isnan(scores).any():
        raise ValueError(
            f"scores of shape {scores.shape} must be one number for each row, as "
            "score_samples returns them: at least one, and none of them NaN."
        )
    return scores


def check_standardize(standardize):
    """Raise unless it is True, False or "auto"."""
    if not (isinstance(standardize, bool) or standardize == "auto"):
        raise ValueError(
            f"standardize={standardize!r} must be True, False or 'auto', which is True "
            "for tables."
        )
