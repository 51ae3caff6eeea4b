"""Model files: a fitted estimator in one safetensors file, written and read safely.

The header has a description in JSON (parameters, sizes, versions, history and a model
card), the rest are arrays. Reading imports and executes nothing that the file names.

Format version 1. A version is raised when an older skae could not read the file; each
one stays readable, and a file of each is kept under `tests/model_files`.
"""

import inspect
import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
import torch
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from skae._autoencoder import AutoencoderTransformer
from skae._files.archive import ModelFileError, pack, unpack, versions, write
from skae._files.state import describe, restore
from skae._fitting.build import solver_class_and_options
from skae._fitting.parameters import SHAPING
from skae._parts import Part
from skae.bottlenecks import BOTTLENECKS, Bottleneck
from skae.corruption import CORRUPTIONS, Chain
from skae.losses import LOSSES
from skae.penalties import PENALTIES, Sum

__all__ = ["ModelFileError", "dump", "load"]

FORMAT, FORMAT_VERSION = "skae", 1
PARTS = {
    kind.__name__: kind
    for kind in (
        *LOSSES.values(),
        *BOTTLENECKS.values(),
        *PENALTIES.values(),
        *CORRUPTIONS.values(),
        Bottleneck,
        Chain,
        Sum,
    )
}
# Attributes that are plain, and what they have to be.
SCALARS = {
    "batch_size_": lambda value: type(value) is int and value >= 1,
    "proven_": lambda value: value is None or type(value) is bool,
    "pca_loss_": lambda value: value is None or type(value) is float,
    "best_epoch_": lambda value: type(value) is int and value >= 0,
    "_dtype": lambda value: value in ("float32", "float64"),
    "_seen": lambda value: (
        [type(one) for one in value] in ([int] + 2 * [float], [int] + 4 * [float])
    ),
}
LEFT_OUT = ("callbacks", "checkpoint")  # code, and a folder of this machine
MIXTURE = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
MIXTURE_FACTS = ("converged_", "n_iter_", "lower_bound_", "n_features_in_")
SOLVERS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
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
    writing fails, an older file of that name stays as it was.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Fitted. Of `callbacks`, and of what the caller's functions and classes do,
        nothing is written but the names of the latter.

    path : str or path-like
        Usually ends in ".safetensors".

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
        If `estimator` is no AutoencoderTransformer, or a parameter cannot be written.

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
    """
    if type(estimator) is not AutoencoderTransformer:
        raise TypeError(
            f"dump writes an AutoencoderTransformer, not a {type(estimator).__name__}. "
            "Of a Pipeline or a search, dump its step or best_estimator_; for the rest "
            "use skops."
        )
    check_is_fitted(estimator)
    if estimator.callbacks:
        warnings.warn(
            "callbacks are not written to model files; set them after load.",
            UserWarning,
            stacklevel=2,
        )
    facts, arrays = _describe(estimator, keep_optimizer)
    if not keep_components:
        arrays.pop("start.components", None)
    write(path, pack(facts, arrays))


def load(
    path: str | os.PathLike[str] | BinaryIO,
    trusted: Sequence[type[Any] | Callable[..., Any]] | None = None,
) -> AutoencoderTransformer:
    """Read an estimator from a model file.

    Nothing in the file is executed. Damaged, cut or foreign files are refused.

    Parameters
    ----------
    path : str or path-like
        A file that `dump` wrote.

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
        If `trusted` is not a list of classes and functions.

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
    path = os.fspath(path)
    with open(path, "rb") as file:
        data = file.read()
    known = {_name_of(one): one for one in _checked(trusted)}
    try:
        facts, tensors = unpack(data, FORMAT, FORMAT_VERSION)
        estimator = _restore(facts, tensors, known)
        differences = _differences(facts["versions"])
    except ModelFileError as error:
        raise ModelFileError(f"{path!r}: {error}") from error.__cause__
    except Exception as error:
        raise ModelFileError(
            f"{path!r} is no intact model file: {type(error).__name__}: {error}"
        ) from error
    if differences:
        warnings.warn(ModelFileVersionWarning(differences), stacklevel=2)
    return estimator


# Writing


def _describe(estimator, keep_optimizer):
    """Return what a file says: facts for JSON, and arrays by name."""
    facts, arrays = describe(estimator, keep_optimizer)
    if estimator.explained_variance_ratio_ is not None:
        arrays["explained_variance_ratio_"] = estimator.explained_variance_ratio_
    names = getattr(estimator, "feature_names_in_", None)
    facts |= {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "versions": versions(),
        "parameters": _encoded_all(
            estimator.get_params(deep=False) | dict.fromkeys(LEFT_OUT)
        ),
        "structure": _encoded_all(estimator._structure),
        "scalars": {name: getattr(estimator, name) for name in SCALARS},
        "feature_names": None if names is None else [str(name) for name in names],
        "output": getattr(estimator, "_sklearn_output_config", {}),
        "density": _describe_density(estimator.density_, arrays),
        "card": _card(estimator),
    }
    return facts, arrays


def _card(estimator):
    """Return what a reader of the file may want to know of the model."""
    return {
        "summary": repr(estimator),
        "n_components": int(estimator.n_components_),
        "n_features": int(estimator.n_features_in_),
        "n_samples": estimator._seen[0],
        "range_of_data": list(estimator._seen[1:3]),
        "scale_of_data": float(estimator.scale_),
        "proven_better_than_pca": estimator.proven_,
        "held_out_loss_of_pca": estimator.pca_loss_,
        "held_out_loss": estimator.validation_loss_,
    }


def _encoded_all(parameters):
    encoded = {}
    for name, value in parameters.items():
        try:
            encoded[name] = _encoded(value)
        except TypeError as error:
            raise TypeError(
                f"{name}={value!r} cannot be written to a model file: {error}"
            ) from None
    return encoded


def _encoded(value):
    """Return a parameter as JSON knows it; what is not plain is a dict of one key."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(one) for one in value]}
    if isinstance(value, list):
        return {"list": [_encoded(one) for one in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _encoded(one) for key, one in value.items()}}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, np.random.RandomState):
        kind, keys, position, has_gauss, gauss = value.get_state()
        return {"random_state": [kind, keys.tolist(), position, has_gauss, gauss]}
    if isinstance(value, (Part, GaussianMixture)):
        parameters = _encoded_all(value.get_params(deep=False))
        return {"part": _name_of(type(value)), "parameters": parameters}
    if inspect.isclass(value) or inspect.isroutine(value):
        if value.__name__ == "<lambda>":
            raise TypeError("a lambda has no name to know it by; define a function.")
        return {"named": _name_of(value)}
    raise TypeError(
        f"a {type(value).__name__} has no safe form. Files hold numbers, words, parts "
        "of skae, classes, functions and GaussianMixture; use joblib or skops for it."
    )


def _name_of(one):
    """Return the name under which a class or function is known to a file."""
    if PARTS.get(getattr(one, "__name__", None)) is one or one is GaussianMixture:
        return one.__name__
    if SOLVERS.get(getattr(one, "__name__", None)) is one:
        return f"torch.optim.{one.__name__}"
    return f"{one.__module__}:{one.__qualname__}"


def _describe_density(density, arrays):
    if density is None:
        return None
    if type(density) is not GaussianMixture:
        raise TypeError(
            f"density={density!r} cannot be written to a model file, which knows "
            "density='gaussian_mixture' and GaussianMixture. Use joblib or skops."
        )
    arrays |= {f"density.{name}": getattr(density, name) for name in MIXTURE}
    facts = {name: _encoded(getattr(density, name)) for name in MIXTURE_FACTS}
    return {"estimator": _encoded(density), "facts": facts}


# Reading


def _restore(facts, tensors, trusted):
    """Return the estimator that facts and tensors describe."""
    _require_trust([facts["parameters"], facts["structure"], facts["density"]], trusted)
    decode = _Decoder(trusted)
    parameters, structure = (
        decode.all(facts["parameters"]),
        decode.all(facts["structure"]),
    )
    if set(structure) != set(SHAPING):
        raise ModelFileError("it lacks a parameter that shapes the net.")
    estimator = AutoencoderTransformer(**parameters)
    for one in (estimator, AutoencoderTransformer(**structure)):
        one._validate_params()
    solver = solver_class_and_options(estimator.solver)[0]
    arrays = {name: x.numpy() for name, x in tensors.items()}
    vars(estimator).update(
        restore(facts, tensors, structure, solver),
        **_checked_scalars(facts["scalars"]),
        _structure=structure,
        explained_variance_ratio_=arrays.get("explained_variance_ratio_"),
        density_=_restored_density(facts["density"], arrays, decode),
        n_features_in_=facts["n_features"],
    )
    names = facts["feature_names"]
    if names is not None:
        if [type(name) for name in names] != [str] * facts["n_features"]:
            raise ModelFileError("its features and their names differ in number.")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    if facts["output"]:
        estimator.set_output(transform=facts["output"]["transform"])
    return estimator


def _checked_scalars(scalars):
    """Return the plain attributes if they are what they have to be."""
    for name, is_right in SCALARS.items():
        if not is_right(scalars[name]):
            raise ModelFileError(f"its {name} is {scalars[name]!r}.")
    return {name: scalars[name] for name in SCALARS}


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


def _require_trust(encoded, trusted):
    """Raise unless all classes and functions of the user's are handed in."""
    missing = sorted(_named_in(encoded) - set(trusted) - _ours())
    if missing:
        raise ModelFileError(
            f"it needs {', '.join(missing)}, which are not part of skae. If you trust "
            "them, import and pass them: load(path, trusted=[...])."
        )


def _ours():
    return {*PARTS, "GaussianMixture", *(f"torch.optim.{name}" for name in SOLVERS)}


def _named_in(encoded):
    """Return the names of all classes and functions in what `_encoded` returned."""
    if isinstance(encoded, list):
        return set().union(*map(_named_in, encoded))
    if not isinstance(encoded, dict):
        return set()
    names = {encoded[key] for key in ("part", "named") if key in encoded}
    return names.union(*map(_named_in, encoded.values()))


class _Decoder:
    """Undoes `_encoded`; knows only our parts and what is trusted."""

    def __init__(self, trusted):
        self.trusted = trusted

    def all(self, encoded):
        return {name: self(value) for name, value in encoded.items()}

    def __call__(self, encoded):
        if not isinstance(encoded, dict):
            if isinstance(encoded, list):
                raise ModelFileError("it has a list where none can be.")
            return encoded
        if set(encoded) == {"part", "parameters"}:
            kind = self._found(encoded["part"])
            return kind(**self.all(encoded["parameters"]))
        ((key, value),) = encoded.items()
        if key == "named":
            return self._found(value)
        return {
            "float": float,
            "tuple": lambda values: tuple(map(self, values)),
            "list": lambda values: list(map(self, values)),
            "dict": self.all,
            "device": torch.device,
            "random_state": _restored_random_state,
        }[key](value)

    def _found(self, name):
        if name in PARTS:
            return PARTS[name]
        if name == "GaussianMixture":
            return GaussianMixture
        if name.startswith("torch.optim."):
            return SOLVERS[name.removeprefix("torch.optim.")]
        return self.trusted[name]


def _restored_random_state(state):
    kind, keys, position, has_gauss, gauss = state
    random_state = np.random.RandomState()
    keys = np.array(keys, np.uint32)
    random_state.set_state((kind, keys, position, has_gauss, gauss))
    return random_state


def _restored_density(encoded, arrays, decode):
    if encoded is None:
        return None
    density = decode(encoded["estimator"])
    vars(density).update(decode.all(encoded["facts"]))
    vars(density).update({name: arrays[f"density.{name}"] for name in MIXTURE})
    return density


def _differences(written):
    """Return the versions of libraries that matter: then and now, where they differ."""
    now = versions()
    return {
        name: (str(written[name]), now[name])
        for name in ("skae", "torch", "scikit-learn")
        if written[name] != now[name]
    }
