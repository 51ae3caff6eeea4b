"""What the facts and arrays of a fitted estimator may be: a table, and what must agree.

A file with right checksums may still say anything. What is not in these tables, or
contradicts itself, is refused before anything is built from it.
"""

import math
import re
from dataclasses import dataclass

import numpy as np
import torch

from skae.networks import NETWORKS

__all__ = [
    "BOOL",
    "COUNT",
    "DEVICE",
    "FLOAT",
    "INDEX",
    "NUMBER",
    "STATE",
    "TEXT",
    "SchemaError",
    "check",
    "check_array",
    "check_finite",
    "maybe",
    "one_of",
]

MOST = 2**63  # whole numbers are smaller
SHOWN = 60  # letters of a wrong value that an error shows


class SchemaError(ValueError):
    """A fact or an array is not what it can be."""


@dataclass(frozen=True)
class Kind:
    """What a value may be.

    Attributes
    ----------
    words : str
        After "it must be".

    is_right : callable
        ``is_right(value)`` -> bool, for any value that JSON knows.
    """

    words: str
    is_right: object


def one_of(*values):
    """Return the kind of these words."""
    listed = ", ".join(map(repr, values))
    return Kind(
        f"one of {listed}", lambda value: isinstance(value, str) and value in values
    )


def _is_whole(value, least):
    return type(value) is int and least <= value < MOST


BOOL = Kind("true or false", lambda value: type(value) is bool)
COUNT = Kind("a whole number of at least 1", lambda value: _is_whole(value, 1))
INDEX = Kind("a whole number of at least 0", lambda value: _is_whole(value, 0))
FLOAT = Kind("a number", lambda value: type(value) is float)
NUMBER = Kind(
    "a finite number", lambda value: type(value) is float and math.isfinite(value)
)
POSITIVE = Kind(
    "a number above 0", lambda value: type(value) is float and 0 < value < math.inf
)
NOT_NEGATIVE = Kind(
    "a number of at least 0",
    lambda value: type(value) is float and 0 <= value < math.inf,
)
SHARE = Kind("a number in (0, 1)", lambda value: type(value) is float and 0 < value < 1)
TEXT = Kind("a text", lambda value: isinstance(value, str))
ANY = Kind("anything", lambda value: True)


@dataclass(frozen=True)
class maybe:  # noqa: N801
    """Null, or what `wanted` says."""

    wanted: object


def check(value, wanted, name):
    """Raise a SchemaError unless a value is what is wanted.

    Parameters
    ----------
    value
        As JSON gives it.

    wanted : Kind, maybe, dict or list
        A dict has what is wanted by key; a key that ends in "?" may be missing, and
        others may be there. A list has what each of any number of entries is.

    name : str
        How to call it in an error.
    """
    if isinstance(wanted, maybe):
        if value is not None:
            check(value, wanted.wanted, name)
    elif isinstance(wanted, dict):
        if not isinstance(value, dict):
            raise _wrong(name, value, "an object")
        for key, inner in wanted.items():
            key, is_optional = key.removesuffix("?"), key.endswith("?")
            if key in value:
                check(value[key], inner, f"{name}.{key}" if name else key)
            elif not is_optional:
                raise SchemaError(f"{name or 'it'} lacks {key!r}.")
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            raise _wrong(name, value, "a list")
        for number, one in enumerate(value):
            check(one, wanted[0], f"{name}[{number}]")
    elif not wanted.is_right(value):
        raise _wrong(name, value, wanted.words)


def _wrong(name, value, words):
    shown = ascii(value)
    shown = shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."
    return SchemaError(f"{name} is {shown}; it must be {words}.")


def check_array(name, array, shape, dtype=np.float64):
    """Raise unless an array has a shape and a dtype, and no number that is none."""
    if tuple(array.shape) != tuple(shape) or array.dtype != dtype:
        raise SchemaError(
            f"{name} has the shape {tuple(array.shape)} and dtype {array.dtype}; its "
            f"parameters ask for {tuple(shape)} and {np.dtype(dtype)}."
        )


def check_finite(arrays):
    """Raise if arrays or tensors, by name, have NaN or infinite numbers.

    What is none of them is passed over.
    """
    for name, x in arrays.items():
        if isinstance(x, np.ndarray):
            is_finite = np.isfinite(x).all()
        else:
            is_finite = not isinstance(x, torch.Tensor) or x.isfinite().all()
        if not is_finite:
            raise SchemaError(f"{name} has numbers that are NaN or infinite.")


# The state of a fitted estimator, as `describe` of state.py returns it

FORM = {
    "row_shape": [COUNT],
    "image_shape": [COUNT],
    "channel_order": maybe(one_of("first", "last")),
    "dtype": Kind(
        "the dtype of numbers",
        lambda value: (
            isinstance(value, str)
            and re.fullmatch(r"\|[biu]1|[<>][iu][248]|[<>]f(2|4|8|12|16)", value)
        ),
    ),
}


def _is_epoch(epoch):
    """Tell whether a dict is what `encoded_epoch` returns of an epoch."""
    if not isinstance(epoch, dict) or "train_loss" not in epoch:
        return False
    losses = (epoch[name] for name in ("train_loss", "valid_loss") if name in epoch)
    return (
        all(type(loss) is float or _is_odd(loss) for loss in losses)
        and all(map(_is_noted, epoch.values()))
        and "batches" not in epoch
        and _is_whole(epoch.get("epoch", 0), 0)
    )


def _is_noted(value):
    """Tell whether a callback may have written a value down."""
    if type(value) is int:
        return abs(value) < MOST
    is_plain = value is None or isinstance(value, (bool, float, str))
    return is_plain or _is_odd(value)


def _is_odd(value):
    """Tell whether a value stands for a number that JSON does not have."""
    return isinstance(value, dict) and (
        list(value) == ["float"] and value["float"] in ("nan", "inf", "-inf")
    )


EPOCH = Kind("the numbers of an epoch, its train_loss among them", _is_epoch)
DEVICE = Kind(
    "a device that skae computes on",
    lambda value: (
        isinstance(value, str) and re.fullmatch(r"(cpu|cuda|mps)(:\d{1,3})?", value)
    ),
)
STATE = {
    "recipe": {
        "network": maybe(one_of(*NETWORKS)),
        "arguments": {"hidden_layer_sizes?": [COUNT]},
        "nat": POSITIVE,
    },
    "n_features": COUNT,
    "start": {"scale": POSITIVE, "rounding": SHARE, "n_samples?": maybe(COUNT)},
    "target_scale": maybe(POSITIVE),
    "form": maybe(FORM),
    "target_form": maybe(FORM),
    "n_kept": maybe(COUNT),
    "verdict?": TEXT,
    "X_dtype?": one_of("float32", "float64"),
    "net": {
        "precision": one_of("mixed", "float32", "float64"),
        "device": DEVICE,
        "lends_stream": BOOL,
        "lr": POSITIVE,
        "batch_size": COUNT,
        "max_epochs": COUNT,
    },
    "history": [EPOCH],
    "optimizer?": maybe(
        {"kind": TEXT, "shapes": [[INDEX]], "keys": [INDEX], "entries": [ANY]}
    ),
    "pieces?": maybe(
        {
            "n_samples": NOT_NEGATIVE,
            "rate": POSITIVE,
            "is_trained": BOOL,
            "n_compared": INDEX,
            "lag": NUMBER,
        }
    ),
    "streams?": maybe({"order": ANY, "seeds": {"split": INDEX, "lent": INDEX}}),
}
