"""What the displays share: rows become pictures or profiles, and axes get a place.

matplotlib is imported where something is drawn, so that `import skae` does not need it.
"""

import math

import numpy as np
import scipy.sparse as sp
from sklearn.utils import column_or_1d

from skae._validation import (
    check_image_form,
    check_n_samples,
    check_one_for_each_row,
)

__all__ = [
    "BLUE",
    "CLASS_COLORS",
    "INK",
    "ORANGE",
    "FeaturePanels",
    "as_array",
    "as_shown",
    "bulk_of",
    "component_names_of",
    "draw_mosaic",
    "feature_names_of",
    "first_rows",
    "fitted_within",
    "form_of",
    "image_form_of",
    "in_units",
    "label_features",
    "last_step",
    "loss_name",
    "mosaic_size",
    "n_rows",
    "name_middle",
    "name_of",
    "new_axes",
    "pictures",
    "profiles",
    "read_y",
    "reconstruct",
    "row_colorbar",
    "row_shape",
    "score_samples",
    "span_of",
    "spread_of",
    "styled",
    "subdivide",
    "units_of",
]

# Petroff (2021), "Accessible color sequences for data visualization", told apart with
# every kind of colour vision. Black stands for its second grey, as points are small.
CLASS_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#000000",
    "#92dadd",
)
BLUE, ORANGE, INK = CLASS_COLORS[0], CLASS_COLORS[6], "0.25"
MOST_WHOLE_NUMBERS = 20  # of more different ones we take it that they are amounts
FEW_FEATURES = 30  # can all be named
ROWS_TO_SCALE_BY = 2000
GAP = 0.08  # between images, of their height


# Estimators, by their public methods


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
    shares = getattr(last_step(estimator), "explained_variance_ratio_", None)
    if shares is None or len(shares) != n_components:
        return names
    return [
        f"{name} ({100 * share:.3g}% of the variance)"
        for name, share in zip(names, shares, strict=True)
    ]


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
    if not (isinstance(standardize, bool) or standardize == "auto"):
        raise ValueError(
            f"standardize={standardize!r} must be True, False or 'auto', which is True "
            "for tables."
        )
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
    return rows if scale is None else (rows - center) / scale


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
    if rows.ndim == 2 and image_shape is not None:
        if rows.shape[1] != math.prod(image_shape):
            image_shape = None
    if image_shape is not None and rows.ndim > 2 and rows.shape[1:] != image_shape:
        image_shape = None
    return check_image_form(rows, image_shape, channel_order)


def as_shown(images, limits):
    """Return pictures as matplotlib shows them, and keywords of `imshow` for them.

    Of grey ones the limits are black and white; colours other than uint8 are brought
    to [0, 1] by them, unless they are there already.
    """
    low, high = limits
    if images.ndim == 3:
        return images, {"cmap": "gray", "vmin": low, "vmax": high}
    if images.dtype != np.uint8:
        images = images.astype(np.float64)
        if low < 0 or high > 1:
            images = (images - low) / (high - low)
        images = images.clip(0, 1)
    return images, {}


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


# Axes


def styled(artist, defaults, chosen):
    """Return keywords for an artist: the user's, and defaults for the others."""
    from matplotlib.cbook import normalize_kwargs

    return {**defaults, **normalize_kwargs(chosen or {}, artist)}


def new_axes(ax, size, layout="constrained"):
    """Return the axes to draw on: those given, or those of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=size, layout=layout)
    return ax


def subdivide(ax, n_rows, n_cols):
    """Return a grid of axes in the place of one, which is hidden."""
    ax.set_axis_off()
    spec = ax.get_subplotspec()
    if spec is None:
        box = ax.get_position()
        sides = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid = ax.figure.add_gridspec(n_rows, n_cols, **sides)
    else:
        grid = spec.subgridspec(n_rows, n_cols)
    return grid.subplots(sharex=True, sharey=True, squeeze=False)


def draw_mosaic(ax, rows, keywords):
    """Draw rows of pictures side by side in one axes.

    Parameters
    ----------
    ax : matplotlib Axes

    rows : list of ndarray of shape (n_pictures, height, width) or with channels
        Those of one row are of one size; each row may have another one.

    keywords : list of dict
        Of `imshow`, for each row.

    Returns
    -------
    images : ndarray of AxesImage, of shape (n_rows, n_pictures)
    """
    width = max(row.shape[2] / row.shape[1] for row in rows)
    step_x, step_y = width + GAP, 1 + GAP
    images = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, (row, keyword) in enumerate(zip(rows, keywords, strict=True)):
        margin = (width - row.shape[2] / row.shape[1]) / 2
        for j, picture in enumerate(row):
            left, bottom = j * step_x, -(i + 1) * step_y
            sides = (left + margin, left + width - margin, bottom, bottom + 1)
            images[i, j] = ax.imshow(picture, extent=sides, **keyword)
    n_rows, n_cols = images.shape
    ax.set(
        aspect="equal",
        xlim=(-GAP, n_cols * step_x),
        ylim=(-n_rows * step_y - GAP, 0),
        xticks=np.arange(n_cols) * step_x + width / 2,
        yticks=-(np.arange(n_rows) + 1) * step_y + 0.5,
    )
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return images


def mosaic_size(n_rows, n_cols, picture):
    """Return the size of a figure in which a mosaic has room, in inches."""
    width = picture.shape[1] / picture.shape[0]
    return min(1.0 * n_cols * width + 2.6, 14.0), min(1.0 * n_rows + 0.9, 12.0)


def row_colorbar(ax, images, label):
    """Draw the colour bar of the last row of a mosaic beside it."""
    inset = ax.inset_axes([1.02, 0.02, 0.02, 1 / len(images) - 0.04])
    bar = ax.figure.colorbar(images[-1, -1], cax=inset, label=label)
    bar.outline.set_visible(False)
    return bar


def span_of(values):
    """Return the smallest and the largest of some values, never the same."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def bulk_of(images):
    """Return what is black and what is white, where a decoder overshoots."""
    return span_of(np.percentile(images, [2, 98]))


def units_of(scale):
    return "value" if scale is None else "standard deviations from the mean"


class FeaturePanels:
    """Axes for profiles: one for each row, or of signals for each channel of a row.

    Few features of a table stand below each other, dots in line with their names;
    many, and signals, go from left to right as curves.

    Parameters
    ----------
    ax : matplotlib Axes or None
        In whose place the panels are put.

    shape : tuple of int
        (n_rows, n_channels, n_features)

    names : list of str or None
        Of the features.

    is_table : bool
        Whether features have no order that a curve would show.

    units : str
        Of the values.

    Attributes
    ----------
    ax : matplotlib Axes
        The hidden one.

    axes : ndarray of matplotlib Axes, of shape (n_rows * n_channels,)
        The panels.
    """

    def __init__(self, ax, shape, *, names, is_table, units):
        n_rows, n_channels, n_features = shape
        self.n_channels = n_channels
        self.has_dots = is_table and n_features <= FEW_FEATURES
        grid = (1, n_rows) if self.has_dots else (n_rows, n_channels)
        size = min(9.0 * n_channels, 12.0), min(1.1 * n_rows + 2.0, 12.0)
        if self.has_dots:
            longest = max(map(len, names or ["0"]))
            width = 1.3 * n_rows + 0.08 * longest + 1.8
            size = min(width, 14.0), max(0.26 * n_features + 1.2, 2.4)
        self.ax = new_axes(ax, size)
        panels = subdivide(self.ax, *grid)
        self.axes, self.places = panels.ravel(), np.arange(n_features)
        left, bottom = panels[:, 0], panels[-1]
        if self.has_dots:
            left[0].invert_yaxis()  # the first feature on top; all share the axis
            left[0].set_ylim(n_features - 0.5, -0.5)
            label_features(left[0].yaxis, names, n_features)
            name_middle(bottom, "x", units)
            for panel in self.axes:
                panel.grid(axis="y", alpha=0.3)
        else:
            label_features(bottom[0].xaxis, names, n_features)
            name_middle(bottom, "x", "feature" if is_table else "position")
            name_middle(left, "y", units)
        for panel in self.axes:
            panel.spines[["top", "right"]].set_visible(False)

    def draw(self, values, chosen, **style):
        """Draw values of shape (n_rows, n_channels, n_features); return the lines."""
        from matplotlib.lines import Line2D

        if self.has_dots:
            style = {"marker": "o", "markersize": 5, "linestyle": "", **style}
        else:
            style = {"linewidth": 1.2, **style}
        style = styled(Line2D, style, chosen)
        lines = []
        for panel, row in zip(self.axes, self._rows(values), strict=True):
            way = (row, self.places) if self.has_dots else (self.places, row)
            lines += panel.plot(*way, **style)
        return np.array(lines)

    def draw_between(self, values, others, chosen):
        """Draw what is between values and others, of the same shape."""
        from matplotlib.collections import LineCollection, PolyCollection

        kind = LineCollection if self.has_dots else PolyCollection
        style = {"color": ORANGE, "alpha": 0.4, "linewidth": 2 * self.has_dots}
        style, between = styled(kind, style, chosen), []
        rows = zip(self.axes, self._rows(values), self._rows(others), strict=True)
        for panel, row, other in rows:
            draw = panel.hlines if self.has_dots else panel.fill_between
            between.append(draw(self.places, row, other, **style))
        return between

    def _rows(self, values):
        return values.reshape(len(self.axes), len(self.places))

    def title(self, names):
        """Write what each row is, beside its first panel or above it."""
        for panel, name in zip(self.axes[:: self.n_channels], names, strict=True):
            panel.set_title(name, fontsize="small", loc="left")

    def legend(self, handles, **options):
        """Say what is what, to the right of the first row of panels."""
        last = len(self.axes) - 1 if self.has_dots else self.n_channels - 1
        self.axes[last].legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.02, 1),
            frameon=False,
            **options,
        )


def name_middle(panels, axis, text):
    """Name what is at an axis once, in the middle of some panels in line."""
    middle = panels[len(panels) // 2]
    place = 0.5 if len(panels) % 2 else float(axis == "y")
    if axis == "x":
        middle.set_xlabel(text, x=place)
    else:
        middle.set_ylabel(text, y=place)


def label_features(axis, names, n_features):
    """Write the names of features, or their numbers, at an axis."""
    if names is not None and len(names) == n_features <= FEW_FEATURES:
        axis.set_ticks(np.arange(n_features), names)
    else:
        axis.get_major_locator().set_params(integer=True)
