"""Parameters of an estimator as JSON knows them, and back: nothing is imported."""

import inspect
import math
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.mixture import GaussianMixture

from skae._files.archive import ModelFileError
from skae._files.schema import DEVICE, SchemaError, check
from skae._fitting.parameters import check_parameters
from skae._fitting.parts import read_parts
from skae._parts import Part
from skae.bottlenecks import BOTTLENECKS, Bottleneck
from skae.corruption import CORRUPTIONS, Chain, Choice, Corruption
from skae.losses import LOSSES, Loss
from skae.penalties import PENALTIES, Penalty, Sum

__all__ = [
    "LEFT_OUT",
    "Decoder",
    "check_fit_takes",
    "encode",
    "encode_all",
    "name_of",
    "require_trust",
]

LEFT_OUT = ("callbacks", "checkpoint")  # code, and a folder of this machine
KINDS = {
    "loss": Loss,
    "bottleneck": Bottleneck,
    "penalty": Penalty,
    "corruption": Corruption,
}

PARTS = {
    kind.__name__: kind
    for kind in (
        *LOSSES.values(),
        *BOTTLENECKS.values(),
        *PENALTIES.values(),
        *CORRUPTIONS.values(),
        Bottleneck,
        Chain,
        Choice,
        Sum,
    )
}
# The last two cannot train a network: gradients that are dense, weights of any shape.
SOLVERS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind)
    and issubclass(kind, torch.optim.Optimizer)
    and name not in ("Optimizer", "SparseAdam", "Muon")
}
MOST = 2**63  # whole numbers are smaller
N_KEYS = 624  # of NumPy's Mersenne Twister


def encode_all(parameters):
    """Return parameters by name as JSON knows them."""
    encoded = {}
    for name, value in parameters.items():
        try:
            encoded[name] = encode(value)
        except TypeError as error:
            raise TypeError(
                f"{name}={value!r} cannot be written to a model file: {error}"
            ) from None
    return encoded


def encode(value):
    """Return a parameter as JSON knows it; what is not plain is a dict of one key."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and abs(value) >= MOST:
        raise TypeError("it is a whole number of more than 64 bits.")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, tuple):
        return {"tuple": [encode(one) for one in value]}
    if isinstance(value, list):
        return {"list": [encode(one) for one in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): encode(one) for key, one in value.items()}}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, np.random.RandomState):
        kind, keys, position, has_gauss, gauss = value.get_state()
        return {"random_state": [kind, keys.tolist(), position, has_gauss, gauss]}
    if isinstance(value, (Part, GaussianMixture)):
        parameters = encode_all(value.get_params(deep=False))
        return {"part": name_of(type(value)), "parameters": parameters}
    if inspect.isclass(value) or inspect.isroutine(value):
        if value.__name__ == "<lambda>":
            raise TypeError("a lambda has no name to know it by; define a function.")
        return {"named": name_of(value)}
    raise TypeError(
        f"a {type(value).__name__} has no safe form. Files hold numbers, words, parts "
        "of skae, classes, functions and GaussianMixture; use joblib or skops for it."
    )


def name_of(one):
    """Return the name under which a class or function is known to a file."""
    if PARTS.get(getattr(one, "__name__", None)) is one or one is GaussianMixture:
        return one.__name__
    if SOLVERS.get(getattr(one, "__name__", None)) is one:
        return f"torch.optim.{one.__name__}"
    return f"{one.__module__}:{one.__qualname__}"


def require_trust(encoded, trusted):
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
    """Return the names of all classes and functions in what `encode` returned."""
    if isinstance(encoded, list):
        return set().union(*map(_named_in, encoded))
    if not isinstance(encoded, dict):
        return set()
    names = {encoded[key] for key in ("part", "named") if key in encoded}
    return names.union(*map(_named_in, encoded.values()))


def check_fit_takes(estimator):
    """Raise unless `fit` takes the parameters, whatever the data; return the parts."""
    estimator._validate_params()
    given = estimator.get_params(deep=False)
    if given["device"] != "auto":  # need not be one of this machine
        check(str(given["device"]), DEVICE, "device")
    given = SimpleNamespace(**{**given, **dict.fromkeys(LEFT_OUT), "device": "cpu"})
    check_parameters(given)
    for name, kind in KINDS.items():
        part = getattr(given, name)
        if isinstance(part, Part) and not isinstance(part, kind):
            raise SchemaError(f"{name}={part!r} is no {kind.__name__}.")
    network = given.network if isinstance(given.network, tuple) else (given.network,)
    if any(one in SOLVERS.values() for one in network):
        raise SchemaError(f"network={given.network!r} is a solver.")
    if isinstance(given.density, GaussianMixture):
        given.density._validate_params()
    parts = read_parts(given)
    _check_sums(parts.penalty)
    return parts


def _check_sums(penalty):
    """Raise if a sum of penalties has none."""
    if isinstance(penalty, Sum):
        if not penalty.penalties:
            raise SchemaError("there is a Sum of no penalties.")
        for one in penalty.penalties:
            _check_sums(one)


class Decoder:
    """Undoes `encode`; knows only our parts and what is trusted.

    Parameters
    ----------
    trusted : dict of str to class or function
    """

    def __init__(self, trusted):
        self.trusted = trusted

    def all(self, encoded):
        """Undo `encode_all`."""
        return {name: self(value) for name, value in encoded.items()}

    def __call__(self, encoded):
        if type(encoded) is int and abs(encoded) >= MOST:
            raise ModelFileError("it has a whole number of more than 64 bits.")
        if isinstance(encoded, list):
            raise ModelFileError("it has a list where none can be.")
        if not isinstance(encoded, dict):
            return encoded
        if set(encoded) == {"part", "parameters"}:
            return self.part(encoded["part"])(**self.all(encoded["parameters"]))
        ((key, value),) = encoded.items()
        return {
            "named": self.named,
            "float": _restored_float,
            "tuple": lambda values: tuple(map(self, values)),
            "list": lambda values: list(map(self, values)),
            "dict": self.all,
            "device": _restored_device,
            "random_state": _restored_random_state,
        }[key](value)

    def part(self, name):
        """Return the class of a part."""
        if name == "GaussianMixture":
            return GaussianMixture
        kind = PARTS.get(name) or self.trusted[name]
        if not (inspect.isclass(kind) and issubclass(kind, Part)):
            raise ModelFileError(f"{name} is no part.")
        return kind

    def named(self, name):
        """Return a class or function that is no part."""
        if name.startswith("torch.optim."):
            return SOLVERS[name.removeprefix("torch.optim.")]
        return self.trusted[name]


def _restored_float(word):
    """Return a number that JSON does not have."""
    if word not in ("nan", "inf", "-inf"):
        raise ModelFileError(f"it has {word!r} for a number.")
    return float(word)


def _restored_device(word):
    """Return a device whose name is the usual one."""
    if str(torch.device(word)) != word:
        raise ModelFileError(f"it has the device {word!r}.")
    return torch.device(word)


def _restored_random_state(state):
    """Return a RandomState; NumPy takes states that make it read elsewhere."""
    kind, keys, position, has_gauss, gauss = state
    is_right = (
        kind == "MT19937"
        and [type(key) for key in keys] == [int] * N_KEYS
        and all(0 <= key < 2**32 for key in keys)
        and type(position) is int
        and 0 <= position <= N_KEYS
        and type(has_gauss) is int
        and has_gauss in (0, 1)
        and type(gauss) is float
        and math.isfinite(gauss)
    )
    if not is_right:
        raise ModelFileError("the state of its RandomState is none.")
    random_state = np.random.RandomState()
    keys = np.array(keys, np.uint32)
    random_state.set_state((kind, keys, position, has_gauss, gauss))
    return random_state
