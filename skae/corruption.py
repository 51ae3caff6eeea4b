"""Corruption: how rows are spoilt in training, so that the network learns to mend them.

A denoising autoencoder sees spoilt rows and is to return the clean ones. How much is
spoilt is a number, or a range (low, high) from which each row draws its own, uniformly,
as faults are seldom all of one strength. To add a corruption, inherit `Corruption`,
write `corrupt`, and put an entry in `CORRUPTIONS`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from skae._data.images import ImageForm
from skae._data.rows import Rows
from skae._parts import Part
from skae._typing import CorruptionFunction, Level

__all__ = [
    "CORRUPTIONS",
    "BlockMasking",
    "CallableCorruption",
    "Chain",
    "Choice",
    "Corruption",
    "DownUpSampling",
    "Features",
    "GaussianNoise",
    "MaskingNoise",
    "SaltAndPepperNoise",
    "SwapNoise",
]


@dataclass
class Features:
    """What a corruption may know of the features, in standardised units.

    Attributes
    ----------
    zero : Tensor of shape (n_features,)
        Where the zero of the data lies.

    spread : Tensor of shape (n_features,)
        Standard deviation.

    low, high : Tensor of shape (n_features,)
        Smallest and largest value.

    form : ImageForm or None
        `size`, `n_channels` and `channel_order` of images.
    """

    zero: torch.Tensor
    spread: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    form: ImageForm | None = None

    @classmethod
    def of(cls, rows: Rows, form: ImageForm | None = None) -> Self:
        """Return what there is to know of standardised `Rows`."""
        square, low, high = 0.0, math.inf, -math.inf
        for x, (_, weight) in rows.blocks():
            if weight is not None:  # a row of weight zero counts as absent
                x, weight = x[weight > 0], weight[weight > 0]
                if len(x) == 0:
                    continue
            weighted = x.square() if weight is None else x.square() * weight[:, None]
            square = square + weighted.sum(0)
            low = x.amin(0).clamp_max(low)
            high = x.amax(0).clamp_min(high)
        zero = torch.as_tensor(-rows.mean / rows.scale).to(square).expand_as(square)
        if not zero.isfinite().all():
            raise ValueError(
                f"corruption needs the zero of X, which is more than {rows.dtype} can "
                f"hold away from its mean, in spreads of {rows.scale:g}. Subtract a "
                "constant from X first, or set precision='float64'."
            )
        return cls(zero, (square / len(rows)).sqrt(), low, high, form)


class Corruption(Part):
    """Base class of corruptions.

    Attributes
    ----------
    ranges : dict of str to (float, float)
        Smallest and largest value allowed, for parameters that are numbers.

    needs_images : bool
        Whether it makes sense for images only.
    """

    ranges: Mapping[str, tuple[float, float]] = {}
    needs_images: bool = False

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        """Return a spoilt copy of a batch.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_features)
            Standardised rows, a copy of those that are the target.

        features : Features

        generator : torch.Generator
            The only source of chance.

        Returns
        -------
        X : Tensor of shape (n_samples, n_features)
        """
        raise NotImplementedError


class GaussianNoise(Corruption):
    """Add noise from a normal distribution.

    Parameters
    ----------
    scale : float or (float, float), default=0.3
        Standard deviation of the noise, in [0, inf), in units of the spread that
        `relative_to` names. Of a range (low, high), each row draws its own,
        uniformly.

    relative_to : {"auto", "feature", "all"}, default="auto"
        "feature" is the standard deviation of each feature. "all" is the root of the
        mean variance of all, so that each feature gets the same noise, as the grain of
        a camera also hits pixels that hardly ever change. "auto" is "all" for images
        and "feature" for tables, whose features differ in unit.

    References
    ----------
    Vincent et al. (2010), "Stacked denoising autoencoders", JMLR 11.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import GaussianNoise
    >>> AutoencoderTransformer(corruption=GaussianNoise(scale=0.15))
    AutoencoderTransformer(corruption=GaussianNoise(scale=0.15))
    """

    ranges = {"scale": (0, math.inf)}
    choices = {"relative_to": ("auto", "feature", "all")}
    spans = ("scale",)

    def __init__(
        self,
        scale: Level = 0.3,
        relative_to: Literal["auto", "feature", "all"] = "auto",
    ) -> None:
        self.scale = scale
        self.relative_to = relative_to

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        scale, spread = _levels(self.scale, X, generator), features.spread
        is_auto = self.relative_to == "auto"
        if self.relative_to == "all" or (is_auto and features.form is not None):
            spread = spread.square().mean().sqrt()
        noise = torch.randn(X.shape, generator=generator, dtype=X.dtype)
        return X + scale * spread * noise


class MaskingNoise(Corruption):
    """Set values to zero, as they are in the data before centring.

    Parameters
    ----------
    rate : float or (float, float), default=0.25
        Share of the values, in [0, 1]. Of a range (low, high), each row draws its own,
        uniformly.

    References
    ----------
    Vincent et al. (2008), "Extracting and composing robust features with denoising
    autoencoders", ICML.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import MaskingNoise
    >>> AutoencoderTransformer(corruption=MaskingNoise(rate=0.125))
    AutoencoderTransformer(corruption=MaskingNoise(rate=0.125))
    """

    ranges = {"rate": (0, 1)}
    spans = ("rate",)

    def __init__(self, rate: Level = 0.25) -> None:
        self.rate = rate

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        return torch.where(_chosen(X, self.rate, generator), features.zero, X)


class SaltAndPepperNoise(Corruption):
    """Set values to the smallest or the largest one of their feature, at equal odds.

    Parameters
    ----------
    rate : float or (float, float), default=0.1
        Share of the values, in [0, 1]. Of a range (low, high), each row draws its own,
        uniformly.

    References
    ----------
    Vincent et al. (2010), "Stacked denoising autoencoders", JMLR 11.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import SaltAndPepperNoise
    >>> AutoencoderTransformer(corruption=SaltAndPepperNoise(rate=0.05))
    AutoencoderTransformer(corruption=SaltAndPepperNoise(rate=0.05))
    """

    ranges = {"rate": (0, 1)}
    spans = ("rate",)

    def __init__(self, rate: Level = 0.1) -> None:
        self.rate = rate

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        extremes = torch.where(_chosen(X, 0.5, generator), features.low, features.high)
        return torch.where(_chosen(X, self.rate, generator), extremes, X)


class SwapNoise(Corruption):
    """Replace values by those of other rows of the batch, each feature for itself.

    So what is put in could have been there: it suits tables, whose features differ.

    Parameters
    ----------
    rate : float or (float, float), default=0.1
        Share of the values, in [0, 1]. Of a range (low, high), each row draws its own,
        uniformly. Some values meet themselves again.

    References
    ----------
    Jahrer (2017), first place of "Porto Seguro's Safe Driver Prediction", Kaggle.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import SwapNoise
    >>> AutoencoderTransformer(corruption=SwapNoise(rate=0.05))
    AutoencoderTransformer(corruption=SwapNoise(rate=0.05))
    """

    ranges = {"rate": (0, 1)}
    spans = ("rate",)

    def __init__(self, rate: Level = 0.1) -> None:
        self.rate = rate

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        rows = torch.randint(len(X), X.shape, generator=generator)
        return torch.where(_chosen(X, self.rate, generator), X.gather(0, rows), X)


class BlockMasking(Corruption):
    """Set one rectangle of each image to zero, in all channels.

    Its place is drawn anew for each image; no part of it lies outside. Of a signal it
    is one interval.

    Parameters
    ----------
    share : float or (float, float), default=0.25
        Of the height and of the width, in [0, 1]; rounded to whole pixels. Of a range
        (low, high), each image draws its own, uniformly.

    References
    ----------
    Pathak et al. (2016), "Context encoders: feature learning by inpainting", CVPR.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import BlockMasking
    >>> AutoencoderTransformer(corruption=BlockMasking(share=0.125))
    AutoencoderTransformer(corruption=BlockMasking(share=0.125))
    """

    ranges = {"share": (0, 1)}
    spans = ("share",)
    needs_images = True

    def __init__(self, share: Level = 0.25) -> None:
        self.share = share

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        share = _levels(self.share, X, generator)
        inside = [
            self._interval(len(X), side, share, generator)
            for side in features.form.size
        ]
        block = inside[0][:, :, None] & inside[1][:, None, :]  # (n, height, width)
        axis = 3 if features.form.channel_order == "last" else 1
        block = block.unsqueeze(axis).repeat_interleave(features.form.n_channels, axis)
        return torch.where(block.flatten(1), features.zero, X)

    def _interval(self, n_samples, side, share, generator):
        """Return for each sample which positions along a side are in its rectangle."""
        shape = (n_samples, 1)
        if side == 1 or not torch.is_tensor(share):
            length = 1 if side == 1 else round(share * side)  # signals are 1 high
            start = torch.randint(side - length + 1, shape, generator=generator)
        else:
            length = (share * side).round()
            start = torch.rand(shape, generator=generator) * (side - length + 1)
            start = start.floor().clamp_max(side - length)  # rounding may reach it
        place = torch.arange(side)
        return (place >= start) & (place < start + length)


class DownUpSampling(Corruption):
    """Make images coarse: each block of pixels gets its mean, so that details are lost.

    At the right and the lower edge a block may be cut off.

    Parameters
    ----------
    factor : int, default=2
        Height and width of a block in pixels, in [1, inf).

    References
    ----------
    Dong et al. (2016), "Image super-resolution using deep convolutional networks",
    IEEE TPAMI 38.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import DownUpSampling
    >>> AutoencoderTransformer(corruption=DownUpSampling(factor=3))
    AutoencoderTransformer(corruption=DownUpSampling(factor=3))
    """

    ranges = {"factor": (1, math.inf)}
    whole_numbers: tuple[str, ...] = ("factor",)
    needs_images = True

    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        size, n_channels = features.form.size, features.form.n_channels
        is_last = features.form.channel_order == "last"
        shape = (*size, n_channels) if is_last else (n_channels, *size)
        images = (X - features.zero).reshape(-1, *shape)  # features are not centred
        images = images.permute(0, 3, 1, 2) if is_last else images
        block = [min(self.factor, side) for side in size]
        coarse = F.avg_pool2d(images, block, ceil_mode=True)
        for axis, length in zip((2, 3), block, strict=True):
            coarse = coarse.repeat_interleave(length, axis)
        images = coarse[:, :, : size[0], : size[1]]
        images = images.permute(0, 2, 3, 1) if is_last else images
        return images.reshape(X.shape) + features.zero


class Chain(Corruption):
    """Several corruptions, one after the other.

    Parameters
    ----------
    corruptions : list of Corruption
        In the order in which they spoil.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import Chain, GaussianNoise, MaskingNoise
    >>> spoilt = Chain([GaussianNoise(), MaskingNoise()])
    >>> AutoencoderTransformer(corruption=spoilt)
    AutoencoderTransformer(corruption=Chain(corruptions=[GaussianNoise(),
                                                         MaskingNoise()]))
    """

    def __init__(self, corruptions: Sequence[Corruption]) -> None:
        self.corruptions = corruptions

    def members(self) -> dict[str, type[Any]]:
        return {"corruptions": Corruption}

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        for corruption in self.corruptions:
            X = corruption.corrupt(X, features, generator)
        return X


class Choice(Corruption):
    """One of several corruptions for each row, drawn anew; some rows stay as they are.

    Rows that are fine teach the network to leave such rows alone. At equal odds, each
    other row gets one of the corruptions, which sees only the rows that are its own:
    `SwapNoise` swaps among these.

    Parameters
    ----------
    corruptions : list of Corruption
        To draw from. One that is there twice is drawn twice as often.

    clean_rate : float, default=0.25
        Probability that a row stays as it is, in [0, 1].

    References
    ----------
    Zhang et al. (2017), "Beyond a Gaussian denoiser", IEEE TIP 26: one network for
    noise of many levels and kinds.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import Choice, GaussianNoise, MaskingNoise
    >>> spoilt = Choice([GaussianNoise((0, 1)), MaskingNoise()], clean_rate=0.5)
    >>> autoencoder = AutoencoderTransformer(corruption=spoilt)
    >>> autoencoder.corruption.corruptions
    [GaussianNoise(scale=(0, 1)), MaskingNoise()]
    """

    ranges = {"clean_rate": (0, 1)}

    def __init__(
        self, corruptions: Sequence[Corruption], clean_rate: float = 0.25
    ) -> None:
        self.corruptions = corruptions
        self.clean_rate = clean_rate

    def members(self) -> dict[str, type[Any]]:
        return {"corruptions": Corruption}

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        is_clean = torch.rand(len(X), generator=generator) < self.clean_rate
        n_kinds = max(len(self.corruptions), 1)
        kind = torch.randint(n_kinds, (len(X),), generator=generator)
        kind[is_clean] = -1
        result = X.clone()
        for i, corruption in enumerate(self.corruptions):
            rows = (kind == i).nonzero().squeeze(1)
            if len(rows) > 0:
                spoilt = corruption.corrupt(X[rows], features, generator)
                check_corrupted(spoilt, X[rows], corruption)
                result[rows] = spoilt.to(X.dtype)
        return result


class CallableCorruption(Corruption):
    """A user's function as a corruption.

    Parameters
    ----------
    function : callable
        ``function(X, generator)`` -> Tensor, both of shape (n_samples, n_features), in
        standardised units.
    """

    def __init__(self, function: CorruptionFunction) -> None:
        self.function = function

    def corrupt(self, X: Tensor, features: Features, generator: Generator) -> Tensor:
        return self.function(X, generator)


def check_corrupted(spoilt, X, corruption):
    """Raise unless a batch is still one, of numbers, after it was spoilt."""
    if getattr(spoilt, "shape", None) != X.shape or not spoilt.isfinite().all():
        shape = getattr(spoilt, "shape", None)
        got = f"a {type(spoilt).__name__}" if shape is None else f"shape {tuple(shape)}"
        if shape == X.shape:
            got = "NaN or infinite values"
        raise ValueError(
            f"corruption={corruption!r} returned {got}; it must return a tensor of "
            f"finite numbers, of the shape of its X, {tuple(X.shape)}."
        )


def _levels(level, X, generator):
    """Return a number as it is, of a range one of each row's own, (n_samples, 1)."""
    if not isinstance(level, Sequence):
        return level
    low, high = level
    draws = torch.rand((len(X), 1), generator=generator, dtype=X.dtype)
    return low + (high - low) * draws


def _chosen(X, rate, generator):
    """Return a mask in which each value is True with probability `rate`."""
    rate = _levels(rate, X, generator)
    return torch.rand(X.shape, generator=generator) < rate


CORRUPTIONS: dict[str, type[Corruption]] = {
    "gaussian": GaussianNoise,
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "swap": SwapNoise,
    "block_masking": BlockMasking,
    "down_up_sampling": DownUpSampling,
}
