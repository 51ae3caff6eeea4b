"""Checks of what is to be drawn."""

import math
from numbers import Integral, Real

import numpy as np

from skae._data.images import check_image_shape, read_form
from skae._data.intake import check_n_samples
from skae._sklearn import check_matplotlib_support

__all__ = [
    "check_at_most_two",
    "check_components",
    "check_has_methods",
    "check_has_rows",
    "check_image_form",
    "check_matplotlib_support",
    "check_n_labels",
    "check_n_samples",
    "check_one_for_each_row",
    "check_percentiles",
    "check_row",
    "check_scores",
    "check_shown",
    "check_standardize",
    "check_threshold",
    "check_trained",
]


def check_has_methods(estimator, names, display):
    """Raise unless an estimator has the methods that a display calls."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if not missing:
        return
    what, advice = type(estimator).__name__, "Pass a fitted AutoencoderTransformer."
    steps = [(name, step) for name, step in getattr(estimator, "steps", [])]
    lacking = [
        place
        for place, (_, step) in enumerate(steps)
        if step not in (None, "passthrough") and not hasattr(step, missing[0])
    ]
    if lacking:
        name, step = steps[lacking[-1]]
        what = f"step {name!r} of the Pipeline, a {type(step).__name__},"
        advice = "Pass pipeline[-1], with pipeline[:-1].transform(X) as X."
        if lacking[-1] == len(steps) - 1:
            advice = "Pass pipeline[:-1], the steps before it."
    raise TypeError(
        f"{display} needs an estimator with {' and '.join(names)}, but {what} has no "
        f"{missing[0]}. {advice}"
    )


def check_components(components, n_components):
    """Return the components as a list of int; raise unless the code has them."""
    chosen = [components] if isinstance(components, Integral) else list(components)
    wrong = [
        one
        for one in chosen
        if not (isinstance(one, Integral) and 0 <= one < n_components)
        or isinstance(one, bool)
    ]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        got = f"has {wrong[0]!r}" if wrong else "is empty or names one twice"
        raise ValueError(
            f"components={components!r} {got}, but the code has n_components="
            f"{n_components}. Pass different whole numbers from 0 to "
            f"{n_components - 1}."
        )
    return [int(one) for one in chosen]


def check_percentiles(percentiles):
    """Raise unless the percentiles are two growing numbers in [0, 1]."""
    is_pair = isinstance(percentiles, (tuple, list)) and len(percentiles) == 2
    if not is_pair or not 0 <= percentiles[0] < percentiles[1] <= 1:
        raise ValueError(
            f"percentiles={percentiles!r} must be two growing numbers in [0, 1], such "
            "as (0.05, 0.95)."
        )


def check_shown(n_samples, X_hat, X_target):
    """Raise unless each row has a reconstruction, and that what to compare it with."""
    if n_samples != len(X_hat):
        raise ValueError(
            f"X has {n_samples} rows, but X_hat has {len(X_hat)}. Pass the "
            "reconstruction of each row of X, in the same order."
        )
    if X_target is not None and X_target.shape != X_hat.shape:
        raise ValueError(
            f"X_target has the shape {X_target.shape}, but X_hat has {X_hat.shape}. "
            "Pass what each row should have become."
        )


def check_image_form(X, image_shape, channel_order):
    """Return the ImageForm of rows that are to be shown, or None for a table."""
    check_image_shape(image_shape)
    form = read_form(X, image_shape, channel_order)
    if not form.is_image:
        return None
    if form.n_channels <= 4 or form.is_signal:
        return form
    raise ValueError(
        f"X has images of {form.n_channels} channels; a picture shows at most four. "
        "Pass some of them, to from_predictions say."
    )


def check_trained(estimator):
    """Raise if no epoch was trained: there is no curve."""
    if estimator.n_epochs_ == 0:
        raise ValueError(
            f"This {type(estimator).__name__} trained no epoch, so there is no curve: "
            "it is PCA, as there were too few rows to judge by, or PCA of that size "
            "loses nothing. With early_stopping=False or True few rows are trained on "
            "nevertheless."
        )


def check_at_most_two(components):
    """Raise if there are more components than axes."""
    if len(components) > 2:
        raise ValueError(
            f"components={tuple(components)!r} must be one or two: across and up."
        )


def check_has_rows(code):
    """Raise if there is nothing to draw."""
    if len(code) == 0:
        raise ValueError("X has no rows, so there is nothing to draw. Pass some.")


def check_one_for_each_row(y, n_samples):
    """Raise unless y has as many entries as X has rows."""
    if len(y) != n_samples:
        raise ValueError(
            f"y has {len(y)} entries for {n_samples} rows. Pass one for each row."
        )


def check_n_labels(labels, most):
    """Raise if there are more labels than colours and markers tell apart."""
    if len(labels) > most:
        raise ValueError(
            f"y has {len(labels)} different labels; at most {most} can be told apart. "
            "Give the rare ones one name, such as 'other'."
        )


def check_row(row, n_samples):
    """Raise unless a row is None or the number of one."""
    is_number = isinstance(row, Integral) and not isinstance(row, bool)
    if row is not None and not (is_number and -n_samples <= row < n_samples):
        raise ValueError(
            f"row={row!r} must be None, for the mean, or the number of a row of X, "
            f"from 0 to {n_samples - 1}."
        )


def check_threshold(threshold):
    """Raise unless a threshold is None or a finite number."""
    is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if threshold is not None and not (is_number and math.isfinite(threshold)):
        raise ValueError(
            f"threshold={threshold!r} must be None or a number, in the units of the "
            "scores, such as np.quantile(scores, 0.05) of training rows."
        )


def check_scores(scores):
    """Return scores as an array; raise unless there are some, one for each row."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or not np.isfinite(scores).any() or np.isnan(scores).any():
        raise ValueError(
            f"scores of shape {scores.shape} must be one number for each row, as "
            "score_samples returns them: at least one, and none of them NaN."
        )
    return scores


def check_standardize(standardize):
    """Raise unless it is True, False or "auto"."""
    if not (isinstance(standardize, bool) or standardize == "auto"):
        raise ValueError(
            f"standardize={standardize!r} must be True, False or 'auto', which is True "
            "for tables."
        )
