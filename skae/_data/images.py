"""Images: what an array of them says of itself, and how results get its form back.

Below the estimator an image is a flat row of pixels. This file knows what the row was,
and checks that images and parameters agree.
"""

import math
from dataclasses import dataclass

import numpy as np

from skae._data.reading import is_plain, read_numbers
from skae._data.scale import check_scale, full_range
from skae._data.tables import TableForm
from skae._warnings import warn

__all__ = ["ImageForm", "check_image_shape", "read_form", "warn_of_shape"]

MOST_CHANNELS = 4  # grey, grey and alpha, RGB, RGB and alpha
MOST_SENSORS = 16  # that are the channels of a signal where X does not say so
STEPS_PER_SENSOR = 4  # at least


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

    of_counts : bool, default=False
        Whether values are counts, whatever the dtype: then there is no white.
    """

    row_shape: tuple
    image_shape: tuple
    channel_order: str | None
    dtype: np.dtype
    of_counts: bool = False

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
        if not is_plain(X, estimator, self.image_shape):
            X = read_numbers(estimator, X, reset=False, min_samples=min_samples)
        if X.ndim > 2 and X.shape[1:] != self.image_shape:
            raise ValueError(
                f"X has images of shape {X.shape[1:]}, but {type(estimator).__name__} "
                f"was fitted to images of shape {self.image_shape}. Resize or reshape "
                "X to that."
            )
        self.check_values(X, estimator._seen[1:3])
        return X

    def check_values(self, X, limits=None):
        """Raise if the values of X are on another scale than those that `fit` saw.

        `limits` are the smallest and the largest one of these.
        """
        if not self.of_counts:
            check_scale(X, self.dtype, limits, is_signal=self.is_signal)

    def white(self, X):
        """Return by what values of X are divided first, or None."""
        return self.white_of(X.dtype)

    def white_of(self, dtype):
        """Return the value of a white pixel, or None if the dtype has none."""
        return None if self.of_counts else full_range(dtype)

    def result_dtype(self, dtype):
        """Return the dtype of restored images: that of X in `fit`."""
        return self.dtype

    def restore(self, X_hat):
        """Return flat rows (ndarray) in the shape and dtype of X."""
        if self.dtype.kind == "b":
            X_hat = X_hat >= 0.5
        elif self.dtype.kind in "iu":
            X_hat = X_hat * (self.white_of(self.dtype) or 1)
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


def read_form(X, image_shape=None, channel_order="auto", *, of_counts=False):
    """Return the `ImageForm` of X, or a `TableForm`.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, height, width), with or without an axis of \
            channels, or (n, n_features)

    image_shape : tuple of int, default=None
        Shape of one image; needed where X is flat. ``(length,)`` is a signal.

    channel_order : {"auto", "first", "last"}, default="auto"
        "auto" takes an axis of at most four for the channels; where there are two axes
        and numbers are not of a dtype of pixels, also one of at most sixteen if the
        other has at least four times as many.

    of_counts : bool, default=False
        Whether values are counts.

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
    most_channels = MOST_CHANNELS
    if len(image_shape) == 2 and _are_sensors(image_shape, X.dtype):
        most_channels = MOST_SENSORS
    order = _find_channels(image_shape, channel_order, most_channels)
    return ImageForm(row_shape, image_shape, order, X.dtype, of_counts)


def _are_sensors(shape, dtype):
    """Tell whether rows of two axes are signals of a few sensors, not grey images."""
    few, many = sorted(shape)
    is_long = MOST_CHANNELS < few <= MOST_SENSORS and many >= STEPS_PER_SENSOR * few
    return is_long and full_range(dtype) is None


def _find_channels(image_shape, channel_order, most_channels):
    """Return "first", "last", or None if there is no axis of channels."""
    if len(image_shape) == 1:
        return None
    if channel_order != "auto":
        return channel_order
    is_first, is_last = (
        side <= most_channels for side in (image_shape[0], image_shape[-1])
    )
    if is_first != is_last:
        return "first" if is_first else "last"
    if len(image_shape) == 2:
        return None
    reason = "either could be" if is_first else f"neither has at most {MOST_CHANNELS}"
    raise ValueError(
        f"Images of shape {image_shape}: the channels may be the first or the last "
        f"axis; {reason}. Set channel_order='first' or channel_order='last'; volumes "
        "are not supported: pass their slices as images, or each as a row of voxels, "
        "X.reshape(len(X), -1)."
    )


def warn_of_shape(X, form, estimator):
    """Warn where an array of three axes was read as what it may not be meant as."""
    if X.ndim != 3 or estimator.channel_order != "auto" or estimator.image_shape:
        return
    n_samples, a, b = X.shape
    was = f"X of the shape {X.shape} was read as "
    if form.channel_order == "last" and b in (3, 4) and _are_sides(n_samples, a):
        warn(
            f"{was}{n_samples} signals of {a} steps and {b} channels. If it is one "
            "image in colour, pass X[None]; if not, channel_order='last' says so."
        )
    elif form.channel_order is None and n_samples == 3 and _are_sides(a, b):
        warn(
            f"{was}{n_samples} grey images. If it is one image in colour, pass "
            "X[None]; if not, X[..., None] says that it has no other channels."
        )
    elif form.channel_order is None and full_range(X.dtype) is None:
        few, many = sorted((a, b))
        if few <= MOST_SENSORS and many >= 2 * few:
            order = "last" if few == b else "first"
            warn(
                f"{was}grey images of {a} x {b} pixels. If these are {many} steps of "
                f"{few} sensors, set channel_order={order!r}; if not, X[..., None] "
                "says that they are images."
            )


def _are_sides(height, width):
    """Tell whether these may be the sides of one image."""
    few, many = sorted((height, width))
    return few >= 8 and many <= 2 * few


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
