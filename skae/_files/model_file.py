"""Model files: a fitted estimator in one safetensors file, written and read safely.

The header has a description in JSON (parameters, sizes, versions, history and a model
card), the rest are arrays. Reading imports and executes nothing that the file names.

Format version 1. A version is raised when an older skae could not read the file; each
one stays readable, and a file of each is kept under `tests/model_files`.
"""

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from skae._autoencoder import AutoencoderTransformer
from skae._files.archive import (
    ModelFileError,
    name_of_file,
    pack,
    read,
    unpack,
    versions,
    write,
)
from skae._files.mixture import describe_mixture, restore_mixture
from skae._files.parameters import (
    LEFT_OUT,
    Decoder,
    check_fit_takes,
    encode_all,
    name_of,
    require_trust,
)
from skae._files.schema import (
    BOOL,
    COUNT,
    INDEX,
    NUMBER,
    STATE,
    TEXT,
    Kind,
    SchemaError,
    check,
    check_array,
    maybe,
    one_of,
)
from skae._files.state import describe, restore
from skae._fitting.parameters import SHAPING
from skae._fitting.parts import check_corruption, check_loss_result
from skae._fitting.plan import solver_class_and_options
from skae._warnings import warn

__all__ = ["ModelFileError", "dump", "load"]

FORMAT, FORMAT_VERSION = "skae", 1


def _is_range(value):
    """Tell whether a value is a number of rows, and their smallest and largest cell.

    Those of the target, or of a file of skae 0.1 none, follow.
    """
    if not (isinstance(value, list) and len(value) in (3, 5)):
        return False
    n_rows, *ends = value
    are_right = COUNT.is_right(n_rows) and all(map(NUMBER.is_right, ends))
    return are_right and all(
        low <= high for low, high in zip(ends[::2], ends[1::2], strict=True)
    )


SCALARS = {
    "batch_size_": COUNT,
    "proven_": maybe(BOOL),
    "pca_loss_": maybe(NUMBER),
    "best_epoch_": INDEX,
    "_dtype": one_of("float32", "float64"),
    "_seen": Kind("a number of rows and the range of their values", _is_range),
}
# What is in a file besides `STATE` and parameters.
FILE = {
    "versions": {"skae": TEXT, "torch": TEXT, "scikit-learn": TEXT},
    "scalars": SCALARS,
    "feature_names": maybe([TEXT]),
    "output": {"transform?": one_of("default", "pandas", "polars")},
    "card?": {},
}


class ModelFileVersionWarning(InconsistentVersionWarning):
    """A model file was written with other versions of the libraries."""

    def __init__(self, differences: dict[str, tuple[str, str]]) -> None:
        self.differences = differences

    def __str__(self) -> str:
        pairs = [
            f"{name} {was} (here {now})"
            for name, (was, now) in self.differences.items()
        ]
        return (
            f"The model file was written with {', '.join(pairs)}. Results may differ "
            "in their last digits; fit and dump again to be sure."
        )


def dump(
    estimator: AutoencoderTransformer,
    path: str | os.PathLike[str] | BinaryIO,
    *,
    keep_optimizer: bool = False,
    keep_components: bool = False,
) -> None:
    """Write a fitted estimator to a model file.

    The file has what `transform` and all other methods need, and nothing of the
    training data but its mean, scale and range, and on demand its principal axes. If
    writing to a path fails, an older file of that name stays as it was.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Fitted. Of `callbacks`, and of what the caller's functions and classes do,
        nothing is written but the names of the latter.

    path : str, path-like or binary file
        A path, which usually ends in ".safetensors"; or an object whose method `write`
        takes bytes, such as an `io.BytesIO` or what ``open(path, "wb")`` returns. It
        stays open.

    keep_optimizer : bool, default=False
        Whether to write the optimizer's state and the random streams too, so that
        `partial_fit`, or `fit` with ``warm_start=True``, goes on as if the estimator
        had never been written. Up to twice the weights more.

    keep_components : bool, default=False
        Whether to write PCA's axes, `components_`, which nothing else needs;
        ``8 * n_components * n_features`` bytes more.

    Raises
    ------
    TypeError
        If `estimator` is no AutoencoderTransformer, a parameter cannot be written, or
        `path` is open in text mode or no file.

    ValueError
        If a parameter was set to what `fit` would refuse.

    NotFittedError
        If it is not fitted.

    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer, dump, load
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> fitted = AutoencoderTransformer(2, random_state=0).fit(X)
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> dump(fitted, path)
    >>> np.array_equal(load(path).transform(X), fitted.transform(X))
    True

    In memory:

    >>> import io
    >>> file = io.BytesIO()
    >>> dump(fitted, file)
    >>> data = file.getvalue()
    >>> np.array_equal(load(io.BytesIO(data)).transform(X), fitted.transform(X))
    True
    """
    if type(estimator) is not AutoencoderTransformer:
        raise TypeError(
            f"dump writes an AutoencoderTransformer, not a {type(estimator).__name__}. "
            "Of a Pipeline or a search, dump its step or best_estimator_; for the rest "
            "use skops."
        )
    check_is_fitted(estimator)
    if estimator.callbacks:
        warn("callbacks are not written to model files; set them after load.")
    facts, arrays = _describe(estimator, keep_optimizer)
    if not keep_components:
        arrays.pop("start.components", None)
    write(path, pack(facts, arrays))


def load(
    path: str | os.PathLike[str] | BinaryIO,
    trusted: Sequence[type[Any] | Callable[..., Any]] | None = None,
) -> AutoencoderTransformer:
    """Read an estimator from a model file.

    Nothing in the file is executed. Damaged, cut or foreign files are refused, and
    forged ones that say what cannot be.

    Parameters
    ----------
    path : str, path-like or binary file
        What `dump` wrote: a path, or an object whose method `read` returns bytes, such
        as an `io.BytesIO` or what ``open(path, "rb")`` returns. It is read to its end.

    trusted : list of classes and functions, default=None
        Networks, losses and other parts of your own that the estimator needs. Where
        some are missing the error lists them.

    Returns
    -------
    estimator : AutoencoderTransformer
        Fitted, on the device that it had where this machine has it, else on the CPU.

    Raises
    ------
    TypeError
        If `trusted` is not a list of classes and functions, or `path` is open in text
        mode or no file.

    ModelFileError
        If the file is not a model file, is damaged, was written by a newer skae, or
        needs something that is not trusted. It is a ValueError.

    OSError
        If the file cannot be opened.

    Warns
    -----
    InconsistentVersionWarning
        If it was written with other versions of skae, torch or scikit-learn.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer, dump, load
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> dump(AutoencoderTransformer(2, random_state=0).fit(X), path)
    >>> load(path).n_features_in_
    4
    """
    known = {name_of(one): one for one in _checked(trusted)}
    name, data = name_of_file(path), read(path)
    try:
        facts, tensors = unpack(data, FORMAT, FORMAT_VERSION)
        estimator = _restore(facts, tensors, known)
        differences = _differences(facts["versions"])
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error.__cause__
    except SchemaError as error:
        raise ModelFileError(f"{name} cannot be used: {error}") from error
    except Exception as error:
        raise ModelFileError(
            f"{name} is no intact model file: {type(error).__name__}: {error}"
        ) from error
    if differences:
        warn(ModelFileVersionWarning(differences))
    return estimator


# Writing


def _describe(estimator, keep_optimizer):
    """Return what a file says: facts for JSON, and arrays by name."""
    check_corruption(check_fit_takes(estimator).corruption, estimator._form)
    facts, arrays = describe(estimator, keep_optimizer)
    if estimator.explained_variance_ratio_ is not None:
        arrays["explained_variance_ratio_"] = estimator.explained_variance_ratio_
    names = getattr(estimator, "feature_names_in_", None)
    scalars = {name: getattr(estimator, name) for name in SCALARS}
    facts |= {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "versions": versions(),
        "parameters": encode_all(
            estimator.get_params(deep=False) | dict.fromkeys(LEFT_OUT)
        ),
        "structure": encode_all(estimator._structure),
        "scalars": {**scalars, "_seen": list(estimator._seen)},
        "feature_names": None if names is None else [str(name) for name in names],
        "output": getattr(estimator, "_sklearn_output_config", {}),
        "density": describe_mixture(estimator.density_, arrays),
        "card": {"summary": repr(estimator), **_card(estimator)},
    }
    check(facts, {**STATE, **FILE}, "")
    return facts, arrays


def _card(estimator):
    """Return what a reader of the file may want to know of the model."""
    return {
        "n_components": int(estimator.n_components_),
        "n_features": int(estimator.n_features_in_),
        "n_samples": estimator._seen[0],
        "range_of_data": list(estimator._seen[1:3]),
        "scale_of_data": float(estimator.scale_),
        "proven_better_than_pca": estimator.proven_,
        "held_out_loss_of_pca": estimator.pca_loss_,
        "held_out_loss": estimator.validation_loss_,
    }


# Reading


def _restore(facts, tensors, trusted):
    """Return the estimator that facts and tensors describe."""
    check(facts, {**STATE, **FILE}, "")
    require_trust([facts["parameters"], facts["structure"], facts["density"]], trusted)
    decode = Decoder(trusted)
    parameters = decode.all(facts["parameters"])
    structure = decode.all(facts["structure"])
    if set(structure) != set(SHAPING):
        raise SchemaError("it lacks a parameter that shapes the net.")
    if any(parameters.get(name) is not None for name in LEFT_OUT):
        raise SchemaError(f"it has {' or '.join(LEFT_OUT)}, which are never written.")
    estimator = AutoencoderTransformer(**parameters)
    structural = check_fit_takes(AutoencoderTransformer(**structure))
    parts = check_fit_takes(estimator)
    solver = solver_class_and_options(estimator.solver)[0]
    learnt = restore(facts, tensors, structure, solver, is_foreign=True)
    scalars = {name: facts["scalars"][name] for name in SCALARS}
    vars(estimator).update(learnt, _structure=structure, **scalars)
    estimator.n_features_in_ = facts["n_features"]
    check_corruption(parts.corruption, estimator._form)
    if not isinstance(structure["loss"], str):
        check_loss_result(structural.loss, len(estimator._start.output.mean))
    _take_the_rest(estimator, facts, tensors, decode)
    return estimator


def _take_the_rest(estimator, facts, tensors, decode):
    """Set what is not of the net: names, containers, density and shares."""
    arrays = {name: x.numpy() for name, x in tensors.items()}
    n_components = estimator.n_components_
    ratio = arrays.get("explained_variance_ratio_")
    if ratio is not None:
        check_array("explained_variance_ratio_", ratio, (n_components,))
    estimator.explained_variance_ratio_ = ratio
    estimator._seen = tuple(estimator._seen)
    estimator.density_ = restore_mixture(
        facts["density"], arrays, decode, n_components, estimator._dtype
    )
    names = facts["feature_names"]
    if names is not None:
        is_right = len(set(names)) == len(names) == facts["n_features"]
        if not is_right or len(estimator._form.row_shape) > 1:
            raise SchemaError("the names of its features do not fit the features.")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    if "transform" in facts["output"]:
        estimator.set_output(transform=facts["output"]["transform"])
    card = facts.get("card", {})
    for name, value in _card(estimator).items():
        if card.get(name, value) != value:
            raise SchemaError(f"its card says another {name} than the rest.")


def _checked(trusted):
    """Return `trusted` if it is a list of classes and functions."""
    trusted = [] if trusted is None else trusted
    is_list = isinstance(trusted, (list, tuple, set))
    if is_list and all(inspect.isclass(x) or inspect.isroutine(x) for x in trusted):
        return trusted
    raise TypeError(
        f"trusted={trusted!r} must be a list of classes and functions, imported by "
        "you: trusted=[MyNetwork]."
    )


def _differences(written):
    """Return the versions of libraries that matter: then and now, where they differ."""
    now = versions()
    return {
        name: (written[name], now[name])
        for name in ("skae", "torch", "scikit-learn")
        if written[name] != now[name]
    }
