"""What scikit-learn keeps private and we need: the only file that imports it.

scikit-learn has no types. What our users see through its classes and decorators is
declared here, for checkers of types alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

from skae._typing import Array, MatrixLike

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator as _BaseEstimator
    from sklearn.base import TransformerMixin as _TransformerMixin

    Method = TypeVar("Method", bound=Callable[..., Any])

    def fit_context(
        *, prefer_skip_nested_validation: bool
    ) -> Callable[[Method], Method]: ...

    def available_if(
        check: Callable[[Any], bool],
    ) -> Callable[[Method], Method]: ...

    class BaseEstimator(_BaseEstimator):
        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...

    class TransformerMixin(_TransformerMixin):
        def fit_transform(
            self, X: MatrixLike, y: object = None, **fit_params: Any
        ) -> Array: ...
        def set_output(
            self, *, transform: Literal["default", "pandas", "polars"] | None = None
        ) -> Self: ...
else:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils.metaestimators import available_if

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:
        """Stands in for the mixin of scikit-learn 1.9; there are no callbacks."""


__all__ = [
    "BaseEstimator",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "RealNotInt",
    "StrOptions",
    "TransformerMixin",
    "available_if",
    "check_matplotlib_support",
    "check_sample_weight",
    "fit_context",
]
