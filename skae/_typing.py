"""Types that annotations share. Nothing here is checked when the code runs."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Activation",
    "Array",
    "ArrayLike",
    "ChannelOrder",
    "Density",
    "Estimator",
    "Keywords",
    "MatrixLike",
    "RandomState",
    "Sizes",
    "Splitter",
]


class SparseMatrix(Protocol):
    """What scipy's sparse matrices and arrays are known by."""

    def toarray(self) -> Any: ...


class Picture(Protocol):
    """What the images of Pillow are known by."""

    @property
    def __array_interface__(self) -> Any: ...


class Estimator(Protocol):
    """An estimator, Pipeline or search, of scikit-learn or like one."""

    @property
    def fit(self) -> Callable[..., Any]: ...


class Density(Estimator, Protocol):
    """An estimator that new rows can be drawn from."""

    @property
    def sample(self) -> Callable[..., Any]: ...


class Splitter(Protocol):
    """What splits rows into folds."""

    @property
    def split(self) -> Callable[..., Any]: ...


Array: TypeAlias = NDArray[Any]
# Of frames (pandas, polars) and tensors ArrayLike knows that they become arrays.
MatrixLike: TypeAlias = ArrayLike | SparseMatrix | Sequence[Picture]
Sizes: TypeAlias = tuple[int, ...] | list[int]
RandomState: TypeAlias = int | np.random.RandomState | None
Keywords: TypeAlias = dict[str, Any] | None  # of matplotlib
ChannelOrder: TypeAlias = Literal["auto", "first", "last"]
Activation: TypeAlias = Literal["relu", "tanh", "logistic", "identity", "silu", "gelu"]
