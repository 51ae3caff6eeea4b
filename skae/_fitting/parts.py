"""The parts of one fit: loss, bottleneck, penalty and corruption, new for each."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone

from skae._parts import check_is_no_class, check_ranges
from skae.bottlenecks import BOTTLENECKS, Bottleneck, OrderedBottleneck
from skae.corruption import (
    CORRUPTIONS,
    CallableCorruption,
    Corruption,
    Features,
    check_corrupted,
)
from skae.losses import LOSSES, CallableLoss, Loss
from skae.penalties import PENALTIES, CallablePenalty, Penalty

NAMED = {  # what names stand for, by parameter
    "loss": LOSSES,
    "bottleneck": BOTTLENECKS,
    "penalty": PENALTIES,
    "corruption": CORRUPTIONS,
    "density": {"gaussian_mixture": "GaussianMixture"},  # imported where needed
}


@dataclass
class Parts:
    """What training minimises, and how rows are spoilt.

    Attributes
    ----------
    loss : Loss
    bottleneck : Bottleneck
    penalty : Penalty, default=None
    corruption : Corruption, default=None
    """

    loss: Loss
    bottleneck: Bottleneck
    penalty: Penalty | None = None
    corruption: Corruption | None = None

    @property
    def has_costs(self):
        """Whether training minimises more than the loss of the code alone."""
        return type(self.bottleneck) is not Bottleneck or self.penalty is not None

    @property
    def keeps_pca(self):
        """Whether PCA does all that is asked of the code."""
        return self.bottleneck.keeps_pca and self.penalty is None

    @property
    def has_rival(self):
        """Whether PCA does all that is asked for."""
        return self.loss.standardized and self.keeps_pca


def read_parts(estimator):
    """Return the parts that the parameters of an estimator stand for."""
    return Parts(
        _part(estimator, "loss", Loss, LOSSES, CallableLoss),
        _part(estimator, "bottleneck", Bottleneck, BOTTLENECKS) or Bottleneck(),
        _part(estimator, "penalty", Penalty, PENALTIES, CallablePenalty),
        _part(estimator, "corruption", Corruption, CORRUPTIONS, CallableCorruption),
    )


def _part(estimator, name, kind, known, of_callable=None):
    """Return a new part: by its name, a copy of an object, or from a function."""
    part = getattr(estimator, name)
    check_is_no_class(name, part)
    if part is None:
        return None
    if isinstance(part, str):
        part = known[part]()
    else:
        part = clone(part) if isinstance(part, kind) else of_callable(part)
    check_ranges(part)
    return part


def check_parts(estimator, parts, data):
    """Raise if parts do not suit the code or the data."""
    n_components = estimator.n_components
    if n_components is None:
        n_components = min(len(data.rows), data.rows.n_features)
    check_bottleneck(parts.bottleneck, n_components)
    check_loss_result(parts.loss, data.rows.output.n_features)
    check_corruption(parts.corruption, data.form)


def check_corruption(corruption, form):
    """Raise if a corruption, or one in a chain, is for images and X has none."""
    if getattr(corruption, "needs_images", False) and not form.is_image:
        raise ValueError(
            f"corruption={corruption!r} is for images, but X is a table. Pass images, "
            "set image_shape, or choose another corruption, such as 'swap'."
        )
    for inner in getattr(corruption, "corruptions", []):
        check_corruption(inner, form)


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


def _in_short(result):
    shape = getattr(result, "shape", None)
    return repr(result) if shape is None else f"a tensor of shape {tuple(shape)}"


def spoiler(corruption, rows, form, streams):
    """Return what spoils a batch of standardised rows; see `Rows`."""
    features = Features.of(rows, form if form.is_image else None)

    def spoil(X, start):
        generator = streams.corruption
        if start is not None:  # rows to judge by: the same whenever they are asked
            seed = (streams.split_seed + start) % 2**63
            generator = torch.Generator().manual_seed(seed)
        spoilt = corruption.corrupt(X, features, generator)
        check_corrupted(spoilt, X, corruption)
        return spoilt.to(X.dtype)

    return spoil


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
    sizes = bottleneck.sizes if isinstance(bottleneck, OrderedBottleneck) else None
    if sizes is not None and (largest := max(sizes)) > n_components:
        raise ValueError(
            f"sizes={sizes!r} of {type(bottleneck).__name__} has {largest}, "
            f"more than n_components={n_components}. Leave it out, or raise "
            "n_components."
        )
    n_groups = getattr(bottleneck, "n_groups", 1)
    if n_groups > 1 and n_components % n_groups:
        raise ValueError(
            f"n_components={n_components} is not a multiple of n_groups={n_groups} of "
            f"{type(bottleneck).__name__}, the pieces of the code. Change one of them."
        )
