"""Images: what an array of them says of itself, and how results get its form back.

Below the estimator an image is a flat row of pixels. This file knows what the row was,
and checks that images and parameters agree.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

__all__ = [
    "ImageForm",
    "check_form_suits",
    "check_image_shape",
    "check_image_values",
    "full_range",
    "read_image_form",
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


def read_image_form(X, image_shape=None, channel_order="auto"):
    """Return the `ImageForm` of X, or None if it is a table.

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
            return None
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


def check_form_suits(form, network, channel_order):
    """Raise if parameters for images are given without images."""
    if form is not None:
        return
    if network == "conv":
        raise ValueError(
            "network='conv' needs images, but X has rows of features. Pass X of shape "
            "(n, height, width) or with channels, or set image_shape: (height, width), "
            "or (length,) for signals; or choose network='mlp'."
        )
    if channel_order != "auto":
        raise ValueError(
            f"channel_order={channel_order!r} is for images, but X has rows of "
            "features. Set image_shape too, or leave channel_order at 'auto'."
        )


def check_image_values(X, form):
    """Raise if the values of X are on another scale than those that `fit` saw.

    Only the dtype says what white is: 255 in uint8, 1 in floats if `fit` saw uint8.
    """
    is_pixels, was_pixels = full_range(X.dtype), full_range(form.dtype)
    if is_pixels and X.dtype.kind != "b" and not was_pixels:
        raise ValueError(
            f"X has the dtype {X.dtype}, but fit saw {form.dtype}, whose scale is its "
            "own. Convert X as you did for fit, or fit to images of its dtype."
        )
    if was_pixels and not is_pixels:
        values = X.data if sp.issparse(X) else X
        if values.size and max(abs(values.min()), abs(values.max())) > FAR_FROM_WHITE:
            is_binary = was_pixels == 1
            remedy = "scale X to that" if is_binary else f"divide X by {was_pixels}"
            raise ValueError(
                f"X has the dtype {X.dtype} and values from {values.min():g} to "
                f"{values.max():g}, but fit saw {form.dtype}: in other dtypes black is "
                f"0 and white is 1. Pass {form.dtype}, or {remedy}."
            )
