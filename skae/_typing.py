"""Types that annotations share. Nothing here is checked when the code runs."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Generator, Tensor, nn

__all__ = [
    "Activation",
    "Array",
    "ArrayLike",
    "BottleneckName",
    "ChannelOrder",
    "CorruptionFunction",
    "CorruptionName",
    "Density",
    "Encode",
    "Estimator",
    "Keywords",
    "Level",
    "LossFunction",
    "LossName",
    "MatrixLike",
    "NetworkFunction",
    "PenaltyFunction",
    "PenaltyName",
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
Level: TypeAlias = float | tuple[float, float]  # a number, or a range to draw from
Keywords: TypeAlias = dict[str, Any] | None  # of matplotlib
ChannelOrder: TypeAlias = Literal["auto", "first", "last"]

# What a user may pass as a function, instead of a part.
NetworkFunction: TypeAlias = Callable[..., nn.Module]
LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Encode: TypeAlias = Callable[[Tensor], Tensor]
PenaltyFunction: TypeAlias = Callable[[Tensor, Tensor, Encode], Tensor]
CorruptionFunction: TypeAlias = Callable[[Tensor, Generator], Tensor]

# Names of parts; a test compares them with the dicts of these.
Activation: TypeAlias = Literal["relu", "tanh", "logistic", "identity", "silu", "gelu"]
BottleneckName: TypeAlias = Literal[
    "variational", "wae", "top_k", "vector_quantized", "ordered"
]
LossName: TypeAlias = Literal[
    "squared_error",
    "absolute_error",
    "huber",
    "log_loss",
    "poisson",
    "negative_binomial",
    "cosine",
]
PenaltyName: TypeAlias = Literal[
    "l1", "kl", "contractive", "decorrelation", "l2", "neighbours"
]
CorruptionName: TypeAlias = Literal[
    "gaussian",
    "masking",
    "salt_and_pepper",
    "swap",
    "block_masking",
    "down_up_sampling",
]
