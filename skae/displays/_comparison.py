"""Pictures of rows, of their reconstructions and of the differences, under each other.

matplotlib is imported where something is drawn, so that `import skae` does not need it.
"""

import numpy as np

from skae.displays._plotting import (
    as_shown,
    draw_mosaic,
    mosaic_size,
    new_axes,
    row_colorbar,
    span_of,
    styled,
)

__all__ = ["draw_comparison", "write_errors"]


def draw_comparison(ax, rows, difference, im_kw, difference_kw):
    """Draw rows of pictures, and of the differences between the last two of them.

    Parameters
    ----------
    ax : matplotlib Axes or None

    rows : dict of str to ndarray of shape (n_pictures, height, width) or with channels
        Pictures by the name of their row; reconstructions are the last ones.

    difference : ndarray of the shape of the reconstructions, or None

    im_kw, difference_kw : dict or None
        Of `imshow`, for rows and for differences.

    Returns
    -------
    ax : matplotlib Axes

    images : ndarray of AxesImage, of shape (n_rows, n_pictures)

    colorbar : matplotlib Colorbar or None
        Of the differences.
    """
    from matplotlib.image import AxesImage

    labels, colorbar = list(rows), None
    limits = span_of(rows[labels[-1 if difference is None else -2]])
    shown, styles = map(
        list, zip(*(as_shown(row, limits) for row in rows.values()), strict=True)
    )
    keywords = [styled(AxesImage, style, im_kw) for style in styles]
    if difference is not None:
        difference, style, label = _difference_shown(difference, labels[-2])
        shown.append(difference)
        keywords.append(styled(AxesImage, style, difference_kw))
        labels.append("difference")
    size = mosaic_size(len(shown), len(shown[-1]), shown[-1][0])
    ax = new_axes(ax, size, layout="compressed")
    images = draw_mosaic(ax, shown, keywords)
    ax.set_yticklabels(labels)
    ax.set_xticks([])
    if difference is not None:
        colorbar = row_colorbar(ax, images, label)
    return ax, images, colorbar


def _difference_shown(difference, name):
    """Return differences of pictures as numbers to colour, keywords, and their name.

    Of colours it is the root mean square over channels, which has no sign.
    """
    if difference.ndim == 4:
        difference = np.sqrt(np.square(difference).mean(axis=-1))
        style = {"cmap": "magma", "vmin": 0, "vmax": difference.max() or 1}
        return difference, style, "root mean square\nof the channels"
    most = np.abs(difference).max() or 1
    style = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    return difference, style, f"rebuilt - {name}"


def write_errors(ax, images, difference, name):
    """Write the error of each row below its pictures; `name` says in whose units."""
    errors = np.sqrt(np.square(difference.reshape(len(difference), -1)).mean(axis=1))
    places = [np.mean(image.get_extent()[:2]) for image in images[-1]]
    ax.set_xticks(places, [f"{error:.2g}" for error in errors])
    ax.set_xlabel(f"root mean squared error\nin the units of {name}")
