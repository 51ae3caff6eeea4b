"""On which scale images are: what is white, and whether X is on the scale of fit."""

import math

import numpy as np
import scipy.sparse as sp

from skae._warnings import warn

__all__ = ["check_scale", "full_range", "warn_of_darkness"]

WHITE = {("b", 1): 1, ("u", 1): 255, ("u", 2): 65535}
FAR_FROM_WHITE = 10  # no noise gets there, but pixels from 0 to 255 do
MOST_IMAGES = 256  # to look at
BITS_OF_PIXELS = 15  # from that on values are no fractions: four bits, eight, ...
DARK = 0.25  # of white; sensors of 12 or 14 bits do not come to that in uint16
TOO_BRIGHT = 10  # times brighter than the brightest in fit, in another dtype
TOO_BRIGHT_IN_ITS_DTYPE = 100  # masks of 255 after masks of 1
MOST_WIDTHS = 3  # of the range in fit; how far from it a mean may be
MARGIN = 0.05  # of a range; so far out of it a mean may be


def full_range(dtype):
    """Return the value of a white pixel, or None if the dtype does not say it."""
    dtype = np.dtype(dtype)
    return WHITE.get((dtype.kind, dtype.itemsize))


def check_scale(X, dtype, limits=None, *, is_signal=False):
    """Raise if the values of X are on another scale than those that `fit` saw.

    Only the dtype says what white is: 255 in uint8, 1 in floats if `fit` saw uint8.

    Parameters
    ----------
    X : {ndarray, CSR matrix}
        Images.

    dtype : np.dtype
        Of the images that `fit` saw.

    limits : tuple of float, default=None
        Their smallest and largest value, if these are known.

    is_signal : bool, default=False
        Signals have no white.
    """
    white, seen = full_range(X.dtype), full_range(dtype)
    if white and X.dtype.kind != "b" and not seen:
        raise ValueError(
            f"X has the dtype {X.dtype}, but fit saw {dtype}, whose scale is its own. "
            "Convert X as you did for fit, or fit to images of its dtype."
        )
    if math.prod(X.shape) == 0:
        return
    if seen:
        if not white:
            _check_fractions(X, dtype)
        if limits is not None:
            _check_brightness(X, dtype, limits)
            _warn_of_mask(X, dtype, limits)
    elif limits is not None and not is_signal:
        _check_own_scale(X, dtype, limits)


def _check_fractions(X, dtype):
    """Raise unless X, of another dtype, is on the scale where white is 1."""
    smallest, largest = _limits(X)
    is_bits = 0 <= smallest <= largest <= 1 and (
        full_range(dtype) == 1 or X.dtype.kind == "f"
    )
    is_whole = not is_bits and _is_whole(X)
    is_far = max(abs(smallest), abs(largest)) > FAR_FROM_WHITE
    is_signed = _are_signed(smallest, largest)
    if is_whole or is_far or is_signed or _has_mean_outside(X, 0, 1):
        remedy = "scale X to that"
        if full_range(dtype) != 1:
            remedy = f"divide X by {full_range(dtype)}"
        if is_signed:
            remedy = "undo the scaling to [-1, 1]: (X + 1) / 2"
        raise ValueError(
            f"X has the dtype {X.dtype} and {_range_of(smallest, largest)}, but fit "
            f"saw {dtype}: in other dtypes black is 0 and white is 1. Pass {dtype}, or "
            f"{remedy}."
        )


def _check_brightness(X, dtype, limits):
    """Raise if X is far brighter than all that `fit` saw of a dtype of pixels."""
    brightest, white = limits[1] / full_range(dtype), full_range(X.dtype) or 1
    factor = TOO_BRIGHT_IN_ITS_DTYPE if X.dtype == dtype else TOO_BRIGHT
    most = max(factor * brightest, DARK)
    if not 0 < brightest <= most < 1:
        return
    largest = _limits(X)[1] / white
    if largest > most:
        raise ValueError(
            f"X has the dtype {X.dtype} and pixels of {largest:.3g} of white, but the "
            f"brightest that fit saw, {limits[1]:g} in {dtype}, was {brightest:.3g} of "
            f"white. Pass X in {dtype} with such values, or fit to images like X."
        )


def _warn_of_mask(X, dtype, limits):
    """Warn of masks of 0 and 1 in a dtype of whose values `fit` saw larger ones."""
    white = full_range(X.dtype)
    if X.dtype == dtype and white > 1 < limits[1] and _limits(_some(X)) == (0, 1):
        _warn_of_bits("X", X.dtype)


def _check_own_scale(X, dtype, limits):
    """Raise if X is far from the scale that `fit` saw, where the dtype says nothing.

    By its mean, which spots and noise hardly move.
    """
    low, high = limits
    smallest, largest = _limits(_some(X))
    is_fraction = 0 <= smallest <= largest <= 1
    is_signed = _are_signed(smallest, largest)
    if 0 <= low and 0.1 < high <= 1.01:
        is_other = is_signed or largest > 1.01 and _is_whole(X)
    elif low >= 0 and high >= BITS_OF_PIXELS:
        is_other = (
            is_signed
            or is_fraction
            and (X.dtype.kind == "b" or largest > 0.1 and not _is_whole(X))
        )
    else:
        was_signed = _are_signed(low, high)
        is_other = was_signed and is_fraction and smallest == 0 and largest > 0.9
    far = MOST_WIDTHS * (high - low)
    if is_other or far > 0 and _has_mean_outside(X, low - far, high + far):
        raise ValueError(
            f"X has the dtype {X.dtype} and {_range_of(smallest, largest)}, but fit "
            f"saw {dtype} and {_range_of(low, high)}, another scale. Scale X as you "
            "did for fit."
        )


def _range_of(smallest, largest):
    return f"values from {smallest:g} to {largest:g}"


def _some(X):
    """Return some of the images, evenly spread."""
    return X[:: -(-X.shape[0] // MOST_IMAGES)]


def _limits(X):
    """Return the smallest and the largest value."""
    values = X.data if sp.issparse(X) else X
    found = [values.min(), values.max()] if values.size else []
    if sp.issparse(X) and values.size < math.prod(X.shape):
        found.append(0)
    return float(min(found)), float(max(found))


def _are_signed(smallest, largest):
    """Tell whether fractions were scaled to [-1, 1], where -1 is black."""
    return -1.01 <= smallest <= -0.9 and largest <= 1.01


def _is_whole(X):
    """Tell whether some images consist of whole numbers."""
    values = _some(X)
    values = values.data if sp.issparse(values) else values
    return values.dtype.kind in "iub" or bool((values == np.rint(values)).all())


def _has_mean_outside(X, low, high):
    """Tell whether the mean of some images is out of a range, by more than noise."""
    some = _some(X)
    n_values = math.prod(some.shape)
    mean = float(some.sum(dtype=np.float64)) / n_values
    margin = MARGIN * (high - low)
    if low - margin <= mean <= high + margin:
        return False
    values = some.data if sp.issparse(some) else some
    margin += 4 * float(values.std(dtype=np.float64)) / math.sqrt(n_values)
    return not low - margin <= mean <= high + margin


def warn_of_darkness(rows, loss, name):
    """Warn of pixels so dark that white must be another value than the dtype says.

    Of masks of 0 and 1 always; else only if the loss sees how far from white they are.
    """
    white = rows.full_range
    if white in (None, 1):
        return
    smallest, largest = rows.limits()
    dtype = rows.X.dtype
    if smallest == 0 and largest == 1:
        _warn_of_bits(name, dtype)
    elif 0 < largest < DARK * white and math.isfinite(loss.target_range[1]):
        fitting = "divided by its largest possible value, as floats in [0, 1]"
        if white > 255 >= largest:
            fitting = "as uint8"
        warn(
            f"{name} has values of up to {largest:g} in {dtype}, where white is "
            f"{white}: to the loss all of it is dark. If white is a smaller value, "
            f"pass {name} {fitting}."
        )


def _warn_of_bits(name, dtype):
    white = full_range(dtype)
    warn(
        f"{name} has only the values 0 and 1 in {dtype}, where white is {white}: it is "
        f"read as black and nearly black. Pass {name}.astype(bool) for a mask, or "
        f"{name} * {white}."
    )
