"""Images: what an array of them says of itself, and how results get its form back.

Below the estimator an image is a flat row of pixels. This file knows what the row was.
"""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["ImageForm", "full_range", "read_image_form"]

MOST_CHANNELS = 4  # grey, grey and alpha, RGB, RGB and alpha


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
            f"X has images of shape {image_shape}; an image has two numbers, or three "
            "with an axis of channels. Volumes and videos are not supported: reshape X "
            "to rows of features, or merge axes."
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
