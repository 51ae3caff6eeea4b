"""Images: what an array of them says of itself, and how results get its form back.

Below the estimator an image is a flat row of pixels. This file knows what the row was,
and checks that images and parameters agree.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skae._data.reading import is_plain, read_numbers
from skae._data.tables import TableForm

__all__ = [
    "ImageForm",
    "check_image_shape",
    "full_range",
    "read_form",
]

MOST_CHANNELS = 4  # grey, grey and alpha, RGB, RGB and alpha
FAR_FROM_WHITE = 10  # no noise gets there, but pixels from 0 to 255 do


@dataclass(frozen=True)
class ImageForm:
    """What the images that `fit` saw look like.

    Attributes
    ----------
    row_shape : tuple of int
        Shape of a row of X: that of an image, or ``(n_features,)`` if X was flat.

    image_shape : tuple of int
        Shape of one image or signal, channels included if there is an axis for them.

    channel_order : {"first", "last"} or None
        Where the channels are; None if there is no axis for them.

    dtype : np.dtype
        Of X.
    """

    row_shape: tuple
    image_shape: tuple
    channel_order: str | None
    dtype: np.dtype

    is_image = True
    network = "conv"

    @property
    def n_channels(self):
        if self.channel_order is None:
            return 1
        return self.image_shape[0 if self.channel_order == "first" else -1]

    @property
    def is_signal(self):
        """Whether a row is a signal: one axis, besides that of its channels."""
        return len(self.image_shape) - (self.channel_order is not None) == 1

    @property
    def size(self):
        """Height and width; a signal is one pixel high."""
        sides = self.image_shape
        if self.channel_order is not None:
            sides = sides[1:] if self.channel_order == "first" else sides[:-1]
        return (1, *sides)[-2:]

    def read(self, estimator, X, min_samples=0):
        """Return X as an array or CSR matrix of numbers like those that `fit` saw."""
        if not is_plain(X, estimator):
            X = read_numbers(estimator, X, reset=False, min_samples=min_samples)
        if X.ndim > 2 and X.shape[1:] != self.image_shape:
            raise ValueError(
                f"X has images of shape {X.shape[1:]}, but {type(estimator).__name__} "
                f"was fitted to images of shape {self.image_shape}. Resize or reshape "
                "X to that."
            )
        self.check_values(X)
        return X

    def check_values(self, X):
        """Raise if the values of X are on another scale than those that `fit` saw.

        Only the dtype says what white is: 255 in uint8, 1 in floats if `fit` saw uint8.
        """
        white, seen = full_range(X.dtype), full_range(self.dtype)
        if white and X.dtype.kind != "b" and not seen:
            raise ValueError(
                f"X has the dtype {X.dtype}, but fit saw {self.dtype}, whose scale is "
                "its own. Convert X as you did for fit, or fit to images of its dtype."
            )
        values = X.data if sp.issparse(X) else X
        if not seen or white or values.size == 0:
            return
        smallest, largest = values.min(), values.max()
        if max(abs(smallest), abs(largest)) > FAR_FROM_WHITE:
            remedy = "scale X to that" if seen == 1 else f"divide X by {seen}"
            raise ValueError(
                f"X has the dtype {X.dtype} and values from {smallest:g} to "
                f"{largest:g}, but fit saw {self.dtype}: in other dtypes black is 0 "
                f"and white is 1. Pass {self.dtype}, or {remedy}."
            )

    def white(self, X):
        """Return the value of a white pixel in X, or None if its dtype has none."""
        return full_range(X.dtype)

    def result_dtype(self, dtype):
        """Return the dtype of restored images: that of X in `fit`."""
        return self.dtype

    def restore(self, X_hat):
        """Return flat rows (ndarray) in the shape and dtype of X."""
        if self.dtype.kind == "b":
            X_hat = X_hat >= 0.5
        elif self.dtype.kind in "iu":
            X_hat = X_hat * (full_range(self.dtype) or 1)
            X_hat = _rounded(X_hat, np.iinfo(self.dtype))
        elif self.dtype == np.float16:
            limits = np.finfo(np.float16)
            X_hat = np.clip(X_hat, limits.min, limits.max)
        return X_hat.astype(self.dtype, copy=False).reshape(-1, *self.row_shape)


def _rounded(values, limits):
    """Return whole numbers between the limits, which a float may not hold exactly."""
    low, high = values.dtype.type(limits.min), values.dtype.type(limits.max)
    if int(high) > limits.max:
        high = np.nextafter(high, values.dtype.type(0))
    return np.clip(np.rint(values), low, high)


def full_range(dtype):
    """Return the value of a white pixel, or None if the dtype does not say it."""
    return {"bool": 1, "uint8": 255, "uint16": 65535}.get(np.dtype(dtype).name)


def read_form(X, image_shape=None, channel_order="auto"):
    """Return the `ImageForm` of X, or a `TableForm`.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, height, width), with or without an axis of \
            channels, or (n, n_features)

    image_shape : tuple of int, default=None
        Shape of one image; needed where X is flat. ``(length,)`` is a signal.

    channel_order : {"auto", "first", "last"}, default="auto"
        "auto" takes an axis of at most four for the channels.

    Raises
    ------
    ValueError
        If the shapes contradict each other, or do not say where the channels are.
    """
    row_shape = tuple(X.shape[1:])
    if image_shape is None:
        if len(row_shape) == 1:
            return TableForm(row_shape)
        image_shape = row_shape
    image_shape = tuple(int(side) for side in image_shape)
    if len(image_shape) > 3:
        raise ValueError(
            f"There are images of shape {image_shape}; an image has two numbers, or "
            "three with an axis of channels. Volumes and videos are not supported: "
            "reshape X to rows of features, or merge axes."
        )
    if row_shape != image_shape and row_shape != (math.prod(image_shape),):
        raise ValueError(
            f"image_shape={image_shape} has {math.prod(image_shape)} pixels, but a row "
            f"of X has the shape {row_shape}. Set image_shape to that of one image."
        )
    order = _find_channels(image_shape, channel_order)
    return ImageForm(row_shape, image_shape, order, X.dtype)


def _find_channels(image_shape, channel_order):
    """Return "first", "last", or None if there is no axis of channels."""
    if len(image_shape) == 1:
        return None
    if channel_order != "auto":
        return channel_order
    is_first, is_last = (
        side <= MOST_CHANNELS for side in (image_shape[0], image_shape[-1])
    )
    if is_first != is_last:
        return "first" if is_first else "last"
    if len(image_shape) == 2:
        return None
    reason = "either could be" if is_first else f"neither has at most {MOST_CHANNELS}"
    raise ValueError(
        f"Images of shape {image_shape}: the channels may be the first or the last "
        f"axis; {reason}. Set channel_order='first' or channel_order='last'."
    )


def check_image_shape(image_shape):
    """Raise unless the shape is None or one to three positive whole numbers."""
    if image_shape is None:
        return
    is_shape = 1 <= len(image_shape) <= 3 and all(
        isinstance(side, (int, np.integer)) and side >= 1 for side in image_shape
    )
    if not is_shape:
        raise ValueError(
            f"image_shape={image_shape!r} must be one to three whole numbers of at "
            "least 1: (length,) of a signal, (height, width) of an image, or three "
            "with its channels."
        )
