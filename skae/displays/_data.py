"""What is drawn: rows, codes and labels, whatever they are kept in and come from.

Estimators are known by their public methods alone.
"""

import math

import numpy as np
import scipy.sparse as sp
from sklearn.utils import column_or_1d

from skae.displays._checks import (
    check_image_form,
    check_n_samples,
    check_one_for_each_row,
)

__all__ = [
    "as_array",
    "component_names_of",
    "feature_names_of",
    "first_rows",
    "fitted_within",
    "form_of",
    "image_form_of",
    "in_percent",
    "in_units",
    "last_step",
    "loss_name",
    "n_rows",
    "name_of",
    "pictures",
    "profiles",
    "read_y",
    "reconstruct",
    "row_shape",
    "score_samples",
    "spread_of",
]

MOST_WHOLE_NUMBERS = 20  # of more different ones we take it that they are amounts
ROWS_TO_SCALE_BY = 2000


# Estimators


def fitted_within(estimator):
    """Return what a search has found best, or the estimator itself."""
    return getattr(estimator, "best_estimator_", estimator)


def last_step(estimator):
    """Return the last step of a Pipeline, or the estimator itself."""
    steps = getattr(estimator, "steps", None)
    return steps[-1][1] if steps else estimator


def reconstruct(estimator, X):
    """Return the reconstruction of X in the space of X, through all steps."""
    if hasattr(estimator, "reconstruct"):
        return as_array(estimator.reconstruct(X))
    return as_array(estimator.inverse_transform(estimator.transform(X)))


def score_samples(estimator, X, X_target):
    """Return the scores of X, through all steps of a Pipeline."""
    if X_target is None:
        return estimator.score_samples(X)
    last = last_step(estimator)
    if last is not estimator and len(estimator.steps) > 1:
        X = estimator[:-1].transform(X)
    return last.score_samples(X, X_target=X_target)


def loss_name(estimator):
    """Return the name of the loss of an autoencoder."""
    loss = estimator.loss
    if isinstance(loss, str):
        return loss
    return getattr(loss, "__name__", type(loss).__name__)


def feature_names_of(estimator, X):
    """Return the names of the features of X, or None."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = getattr(X, "columns", None)
    return None if names is None else [str(name) for name in names]


def image_form_of(estimator, rows, image_shape, channel_order):
    """Return image_shape and channel_order: those given, else those that `fit` found.

    What `fit` found counts only where it fits the rows: they may be in another space.
    """
    network = last_step(estimator)
    found = getattr(network, "image_shape_", None)
    if found is not None and image_shape is None:
        if rows.shape[1:] in (tuple(found), (math.prod(found),)):
            image_shape = tuple(found)
            if channel_order == "auto":
                channel_order = network.channel_order_ or "auto"
    return image_shape, channel_order


def component_names_of(estimator, n_components):
    """Return a name for each component, with its share of the variance if known."""
    names = [f"component {component}" for component in range(n_components)]
    last = last_step(estimator)
    shares = getattr(last, "explained_variance_ratio_", None)
    is_network = getattr(last, "proven_", False) is not False
    if is_network and getattr(last, "bottleneck", None) is None:
        shares = None  # a linear reconstruction's, which a network is not
    if shares is None or len(shares) != n_components:
        return names
    return [
        f"{name} ({in_percent(share)} of variance)"
        for name, share in zip(names, shares, strict=True)
    ]


def in_percent(share):
    """Return a share in words of a few letters."""
    if abs(share) < 1e-4:
        return "<0.01%"
    return f"{share:.0%}" if abs(share) > 0.095 else f"{100 * share:.2g}%"


# Rows


def as_array(X):
    """Return rows as a dense array of numbers, whatever they are kept in."""
    X = np.asarray(X.toarray() if sp.issparse(X) else X)
    return X if X.dtype.kind in "biuf" else X.astype(np.float64)


def n_rows(X):
    """Count the rows of an array, a frame, a sparse matrix or a list."""
    return X.shape[0] if hasattr(X, "shape") else len(X)


def row_shape(X):
    """Return the shape of a row of X."""
    return tuple(X.shape[1:]) if hasattr(X, "shape") else np.shape(X[0])


def first_rows(X, n_samples):
    """Return the first rows of X in the container that X is, so that names are kept."""
    check_n_samples(n_samples)
    return _rows_of(X, slice(n_samples))


def _rows_of(X, which):
    if hasattr(X, "iloc"):
        return X.iloc[which]
    if sp.issparse(X):
        X = X.tocsr()
    elif not hasattr(X, "shape"):
        X = np.asarray(X)
    return X[which]


def spread_of(X, form, standardize):
    """Return mean and standard deviation of each feature, or None and None.

    "auto" is for tables, whose features may be in different units. Of many rows some,
    evenly spaced, are looked at.
    """
    n_samples, is_table = n_rows(X), form is None
    if standardize is False or standardize == "auto" and not is_table or n_samples < 2:
        return None, None
    places = np.linspace(0, n_samples - 1, min(n_samples, ROWS_TO_SCALE_BY))
    places = places.astype(int)
    rows = as_array(_rows_of(X, places)).astype(np.float64)
    scale = rows.std(axis=0)
    return rows.mean(axis=0), np.where(scale > 0, scale, 1.0)


def in_units(rows, center, scale):
    """Return rows as they are, or in standard deviations from the mean."""
    rows = rows.astype(np.float64)
    rows = rows if center is None else rows - center
    return rows if scale is None else rows / scale


def pictures(rows, form):
    """Return rows as pictures: (n, height, width), or with channels last."""
    if rows.dtype.kind == "b":
        rows = rows.astype(np.float64)
    images = rows.reshape(len(rows), *form.image_shape)
    if form.channel_order == "first":
        images = np.moveaxis(images, 1, -1)
    if form.channel_order is None:
        return images
    if images.shape[-1] == 1:
        return images[..., 0]
    if images.shape[-1] == 2:  # grey and alpha: matplotlib wants red, green and blue
        return images[..., [0, 0, 0, 1]]
    return images


def profiles(rows, form):
    """Return rows as (n_samples, n_channels, n_features); a table has one channel."""
    if form is None or form.channel_order is None:
        return rows.reshape(len(rows), 1, -1)
    rows = rows.reshape(len(rows), *form.image_shape)
    return rows if form.channel_order == "first" else np.moveaxis(rows, -1, 1)


def form_of(rows, image_shape, channel_order):
    """Return the ImageForm of rows, or None; a shape of other rows does not count."""
    if image_shape is not None:
        if rows.shape[1:] not in (tuple(image_shape), (math.prod(image_shape),)):
            image_shape = None
    return check_image_form(rows, image_shape, channel_order)


# y: labels or numbers


def name_of(y):
    """Return the name that a Series or a frame of one column has, or None."""
    name = getattr(y, "name", None)
    if name is None and hasattr(y, "columns"):
        name = y.columns[0]
    return None if name is None else str(name)


def read_y(y, n_samples, *, always_labels=False):
    """Return y as an array, and the names of its classes if it is labels.

    Labels become places in the names. Many different whole numbers are no labels.
    """
    if y is None:
        return None, None
    y = column_or_1d(y)
    check_one_for_each_row(y, n_samples)
    if y.dtype.kind not in "biuf":
        y = y.astype(str)
    classes, places = np.unique(y, return_inverse=True)
    if y.dtype.kind in "iuf" and not always_labels:
        are_whole = not np.mod(classes[np.isfinite(classes)], 1).any()
        if not are_whole or len(classes) > MOST_WHOLE_NUMBERS:
            return y.astype(np.float64), None
    if y.dtype.kind in "iuf":
        return places, [f"{label:g}" for label in classes]
    return places, [str(label) for label in classes]
