"""Where it is drawn: axes, mosaics of pictures and panels of features, in one style.

matplotlib is imported where something is drawn, so that `import skae` does not need it.
"""

from textwrap import wrap

import numpy as np

__all__ = [
    "BLUE",
    "CLASS_COLORS",
    "INK",
    "ORANGE",
    "FeaturePanels",
    "as_shown",
    "bulk_of",
    "draw_mosaic",
    "label_features",
    "mosaic_size",
    "name_middle",
    "new_axes",
    "row_colorbar",
    "span_of",
    "styled",
    "title_in_small",
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
FEW_FEATURES = 30  # can all be named
SMALL, MEAN_WIDTH = 8, 0.5  # points of a letter: its height, and its width by that
FEWEST_LETTERS = 24  # in a line
GAP = 0.08  # between images, of their height


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


def title_in_small(ax, text):
    """Write sentences above axes, in lines of about equal length within its width."""
    points = ax.get_window_extent().width / ax.figure.dpi * 72
    n_letters = max(int(points / (SMALL * MEAN_WIDTH)), FEWEST_LETTERS)
    n_lines = len(wrap(text, n_letters))
    while n_letters > FEWEST_LETTERS and len(wrap(text, n_letters - 1)) == n_lines:
        n_letters -= 1
    return ax.set_title("\n".join(wrap(text, n_letters)), fontsize=SMALL)


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
    height = min(1.0, 11.0 / (n_cols * width), 11.0 / n_rows)
    return height * n_cols * width + 2.6, height * n_rows + 1.0


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
    """Return the units in which features are drawn, in words."""
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
            longest = max(map(len, ["0"] if names is None else names))
            width = 1.4 * n_rows + 0.08 * longest + 1.8
            size = min(width, 15.0), max(0.26 * n_features + 1.2, 2.4)
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
        """Write what each row is above its panels."""
        for place, panel in enumerate(self.axes):
            row, channel = divmod(place, self.n_channels)
            more = f", channel {channel}" if self.n_channels > 1 else ""
            panel.set_title(names[row] + more, fontsize="small", loc="left")

    def legend(self, handles, **options):
        """Say what is what, to the right of the first row of panels."""
        last = len(self.axes) - 1 if self.has_dots else self.n_channels - 1
        self.axes[last].legend(
            handles=list(handles),
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
