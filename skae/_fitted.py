"""Fitted attributes that follow from what a fit has learnt."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skae._inference import output_shape
from skae._typing import Array, Density
from skae.networks import Decoder, Encoder

if TYPE_CHECKING:
    from pandas import DataFrame
    from skorch import NeuralNet

__all__ = ["FittedAttributes", "is_quantized"]


def is_quantized(estimator):
    """Tell whether a fitted estimator has codebooks."""
    check_is_fitted(estimator)
    if hasattr(estimator.net_.module_.bottleneck, "codebook"):
        return True
    raise AttributeError("It needs bottleneck='vector_quantized'.")


BOOKKEEPING = {"batches"}  # of skorch, in each epoch of its history


class FittedAttributes:
    """Documented attributes of a fitted estimator.

    Those that are only declared are what a fit has learnt; the others are computed
    when asked for.
    """

    net_: NeuralNet
    verdict_: str
    proven_: bool | None
    pca_loss_: float | None
    n_components_: int
    scale_: float
    explained_variance_ratio_: Array
    density_: Density | None
    n_epochs_: int
    best_epoch_: int
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    batch_size_: int
    precision_: Literal["mixed", "float32", "float64"]
    device_: str
    image_shape_: tuple[int, ...] | None
    channel_order_: Literal["first", "last"] | None
    n_features_in_: int
    feature_names_in_: Array

    @property
    def mean_(self) -> Array:
        """Mean of the rows that the model is of."""
        return self._start.mean.astype(self._X_dtype, copy=False)

    @property
    def components_(self) -> Array:
        """Principal axes of the rows that the model is of."""
        axes = self._start.components
        if axes is None:
            raise AttributeError(
                "The model file has no components_. Write them with dump(..., "
                "keep_components=True)."
            )
        return axes[: self.n_components_].astype(self._X_dtype, copy=False)

    @property
    def explained_variance_(self) -> Array:
        """Variance along each principal axis."""
        spread = self._start.spread[: self.n_components_] * self.scale_
        return _held(np.square(spread), self._X_dtype)

    @property
    def singular_values_(self) -> Array:
        """Norm of the centred rows along each principal axis, as in PCA."""
        if self._start.n_samples is None:
            raise AttributeError(
                "The estimator was written by skae 0.1, which did not note the number "
                "of rows that singular_values_ needs. Fit again."
            )
        variance = np.square(self._start.spread[: self.n_components_] * self.scale_)
        values = np.sqrt(variance * self._start.n_samples)
        return _held(values, self._X_dtype)

    @property
    def encoder_(self) -> Encoder:
        """A copy of the encoder as a torch module: data in, code out."""
        module = copy.deepcopy(self.net_.module_)
        return Encoder(
            module, *_as_weights(module, self._start.mean, self.scale_)
        ).eval()

    @property
    def decoder_(self) -> Decoder:
        """A copy of the decoder as a torch module: code in, data out."""
        module, start = copy.deepcopy(self.net_.module_), self._start
        numbers = _as_weights(
            module, self.scale_, start.output.mean, start.output.scale
        )
        return Decoder(module, *numbers, output_shape(self)).eval()

    @property
    def codebook_(self) -> Array:
        """Vectors of a vector-quantised code, by group and number."""
        module = self.net_.module_
        is_quantized(self)
        units = module.units.unflatten(0, (module.bottleneck.n_groups, 1, -1))
        return (module.bottleneck.codebook * units * self.scale_).cpu().numpy()

    @property
    def hidden_layer_sizes_(self) -> tuple[int, ...] | None:
        """Widths of the encoder's hidden layers, whatever "auto" was."""
        sizes = self.net_.module_.recipe["arguments"].get("hidden_layer_sizes")
        return None if sizes is None else tuple(sizes)

    @property
    def n_parameters_(self) -> int:
        """Number of weights that the solver trains."""
        return sum(weight.numel() for weight in self.net_.module_.parameters())

    @property
    def validation_loss_(self) -> float | None:
        """Smallest held-out loss of an epoch."""
        return min(self.validation_loss_curve_, default=None)

    @property
    def callbacks_(self) -> list[tuple[str, Any]]:
        """Names and copies of `callbacks`, as the last fit has left them."""
        return list(self.net_.callbacks_)

    @property
    def history_(self) -> DataFrame:
        """One row per epoch: number, seconds, losses, and PCA's held-out loss.

        What skorch's callbacks noted (scores, learning rates) stands behind.
        """
        import pandas as pd

        history = pd.DataFrame([dict(epoch) for epoch in self.net_.history])
        columns = ["epoch", "dur", "train_loss"]
        if "valid_loss" in history:
            columns.append("valid_loss")
        noted = [name for name in history if name not in {*columns, *BOOKKEEPING}]
        noted = [name for name in noted if not name.endswith(("_best", "_batch_count"))]
        history = history.reindex(columns=[*columns, *noted])
        if self.pca_loss_ is not None:
            history["pca_loss"] = self.pca_loss_
        history.attrs["verdict"] = self.verdict_
        return history

    def _get_fitted_attr_html(self, doc_link=""):
        """Show the verdict as a whole in scikit-learn's HTML repr, which cuts words."""
        attributes = super()._get_fitted_attr_html(doc_link)
        if "verdict_" in attributes:
            attributes["verdict_"]["value"] = np.array(self.verdict_)
        return attributes


def _held(values, dtype):
    """Return values in a dtype, or as they are if it cannot hold them."""
    limits, largest = np.finfo(dtype), values.max(initial=0)
    is_held = largest == 0 or limits.tiny <= largest <= limits.max
    return values.astype(dtype, copy=False) if is_held else values


def _as_weights(module, *numbers):
    """Return numbers as tensors like the weights of a module."""
    weight = next(module.parameters())
    return [torch.tensor(x, dtype=torch.float64).to(weight) for x in numbers]
