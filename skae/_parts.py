"""What all exchangeable parts have in common, and what their parameters may be."""

import inspect
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Self

from torch import nn

from skae._sklearn import BaseEstimator


class Part(BaseEstimator):
    """A part of the objective: its constructor's arguments are its parameters.

    So repr, `clone` and a grid search over ``penalty__alpha`` work by themselves.

    Attributes
    ----------
    ranges : dict of str to (float, float)
        Smallest and largest value allowed, for parameters that are numbers.

    choices : dict of str to tuple
        Values allowed, for parameters that are words.

    whole_numbers : tuple of str
        Names of parameters that are whole numbers.

    spans : tuple of str
        Names of parameters that may also be a range (low, high), to draw from.

    lists_of_whole_numbers : tuple of str
        Names of parameters that are whole numbers of at least 1 in a list, or None.
    """

    ranges: Mapping[str, tuple[float, float]] = {}
    choices: Mapping[str, tuple[str, ...]] = {}
    whole_numbers: tuple[str, ...] = ()
    spans: tuple[str, ...] = ()
    lists_of_whole_numbers: tuple[str, ...] = ()

    def members(self) -> dict[str, type[Any]]:
        """Return the class of what is in a parameter that is a list, by name."""
        return {}

    def set_params(self, **params: object) -> Self:
        """Set parameters, and those of parts in it that are objects."""
        check_nested(self, params)
        return super().set_params(**params)


class LearningPart(Part, nn.Module):
    """A part that may have weights and buffers of its own, as an `nn.Module` has.

    `fit` trains a copy. A subclass need not call ``super().__init__()``.

    Attributes
    ----------
    positive : tuple of str
        Names of buffers whose numbers are above zero; a model file is held to it.
    """

    positive: tuple[str, ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        part = super().__new__(cls)
        nn.Module.__init__(part)
        return part

    def __init__(self) -> None:  # scikit-learn reads its signature: no parameters
        pass


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
            if _is_allowed_number(part, parameter, value):
                continue
            low, high = part.ranges[parameter]
            end = "inf)" if high == math.inf else f"{high:g}]"
            kind = "whole number" if parameter in part.whole_numbers else "number"
            wanted.append(f"a {kind} in [{low:g}, {end}")
        if parameter in part.spans:
            if _is_allowed_span(part, parameter, value):
                continue
            wanted.append("two such numbers (low, high), low <= high")
        wanted = " or ".join(wanted)
        raise ValueError(f"{parameter}={value!r} of {name} must be {wanted}.")
    for parameter in part.lists_of_whole_numbers:
        _check_whole_numbers(name, parameter, getattr(part, parameter))
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


def _is_allowed_number(part, parameter, value):
    """Tell whether a value is a number that a parameter of a part may be."""
    low, high = part.ranges[parameter]
    is_whole = parameter in part.whole_numbers
    is_number = isinstance(value, Integral if is_whole else Real)
    return is_number and low <= value <= high and value < math.inf


def _is_allowed_span(part, parameter, value):
    """Tell whether a value is a range (low, high) of numbers that are allowed."""
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    is_pair = is_pair and all(_is_allowed_number(part, parameter, one) for one in value)
    return is_pair and value[0] <= value[1]


def _check_whole_numbers(name, parameter, value):
    """Raise unless a parameter is None or has whole numbers of at least 1."""
    if value is None:
        return
    is_list = isinstance(value, (list, tuple)) and value
    if not (is_list and all(map(_is_count, value))):
        raise ValueError(
            f"{parameter}={value!r} of {name} must be a list or tuple of whole numbers "
            "of at least 1, such as (2, 8), or None."
        )


def _is_count(value):
    return isinstance(value, Integral) and value is not True and value >= 1


def check_nested(owner, params, known=None):
    """Raise if a parameter of a part is to be set where there is no object.

    `known` has the classes that names stand for (or their names), by parameter:
    ``{"penalty": {"l1": SparsityPenalty}}``.
    """
    own = owner.get_params(deep=False)
    for key in params:
        name, _, inner = key.partition("__")
        part = params.get(name, own.get(name))
        is_object = hasattr(part, "set_params") and not inspect.isclass(part)
        if not inner or name not in own or is_object:
            continue
        kinds = (known or {}).get(name, {})
        named = [kind for word, kind in kinds.items() if part in (word, kind)]
        able = [kind for kind in named or kinds.values() if _has(kind, inner)]
        able = able or [kind for kind in kinds.values() if _has(kind, inner)]
        objects = " or ".join(f"{getattr(kind, '__name__', kind)}()" for kind in able)
        advice = f"such as {name}={objects}" if able else f"or set {name} as a whole"
        raise ValueError(
            f"{key} cannot be set: {name}={part!r} is not an object with parameters. "
            f"Pass one first, {advice}."
        )


def _has(kind, key):
    """Tell whether a class has the first of the parameters that a key names."""
    if isinstance(kind, str):  # of another library
        return True
    return key.partition("__")[0] in inspect.signature(kind).parameters
