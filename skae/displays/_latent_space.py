"""`LatentSpaceDisplay`: where rows lie in the space of codes, and what lies there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skae._typing import (
    Array,
    ArrayLike,
    ChannelOrder,
    Estimator,
    Keywords,
    MatrixLike,
    Sizes,
)
from skae.displays._checks import (
    check_at_most_two,
    check_components,
    check_has_methods,
    check_has_rows,
    check_image_form,
    check_matplotlib_support,
    check_n_labels,
    check_n_samples,
)
from skae.displays._data import (
    as_array,
    component_names_of,
    fitted_within,
    image_form_of,
    name_of,
    pictures,
    read_y,
)
from skae.displays._plotting import (
    BLUE,
    CLASS_COLORS,
    as_shown,
    bulk_of,
    new_axes,
    span_of,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend


MARKERS = "o^s"
SHARE_OF_CELL = 0.92  # that an image takes, so that there is a gap between two


class LatentSpaceDisplay:
    """Codes as points, coloured by y, with decoded images behind them.

    Two components of the code are drawn against each other. Where the decoder makes
    images, those of a grid of codes lie behind the points: what the network takes each
    place of the plane for. The other components are at their means there.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as
    attributes.

    Parameters
    ----------
    code : ndarray of shape (n_samples, n_components)
        Codes of the rows.

    y : array-like of shape (n_samples,), default=None
        Labels or numbers by which points are coloured.

    components : int or tuple of int, default=(0, 1)
        The components to draw: across and up, or one alone. Of a code of one component
        (0, 1) is that one.

    grid_values : tuple of two ndarray, default=None
        Values of the two components in the grid: across and, from the top, down.

    grid_X_hat : ndarray of shape (n_down, n_across, height, width), default=None
        Decoded images of the grid, with or without an axis of channels, or flat.

    image_shape : tuple of int, default=None
        Shape of one image where those of the grid are flat.

    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image has the channels.

    component_names : list of str, default=None
        Names of all components.

    y_name : str, default=None
        Name of y.

    Attributes
    ----------
    scatters_ : list of matplotlib Artist
        The points: of each class, or of all rows together. Empty where one component is
        a histogram.

    images_ : ndarray of matplotlib Artist, of shape (n_down, n_across), or None
        The images behind; None where there is no code near.

    bars_ : list of matplotlib Artist or None
        The histogram of one component without y.

    colorbar_ : matplotlib Colorbar or None
        Of y, where it is numbers.

    legend_ : matplotlib Legend or None
        Of y, where it is labels.

    ax_ : matplotlib Axes
        Axes with the points.

    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    LatentSpaceDisplay.from_estimator : Codes by an estimator.
    LatentTraversalDisplay : What changes along each component.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.displays import LatentSpaceDisplay
    >>> code = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> display = LatentSpaceDisplay(code=code, y=["a", "b", "b"]).plot()
    >>> [points.get_label() for points in display.scatters_]
    ['a', 'b']
    """

    y: Any
    scatters_: list[PathCollection]
    images_: Array | None
    bars_: Any
    colorbar_: Colorbar | None
    legend_: Legend | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        *,
        code: Array,
        y: ArrayLike | None = None,
        components: int | Sequence[int] = (0, 1),
        grid_values: tuple[Array, Array] | None = None,
        grid_X_hat: Array | None = None,
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        component_names: Sequence[str] | None = None,
        y_name: str | None = None,
    ) -> None:
        self.code = code
        self.y = y
        self.components = components
        self.grid_values = grid_values
        self.grid_X_hat = grid_X_hat
        self.image_shape = image_shape
        self.channel_order = channel_order
        self.component_names = component_names
        self.y_name = y_name

    def plot(
        self,
        ax: Axes | None = None,
        *,
        scatter_kw: Keywords = None,
        im_kw: Keywords = None,
        hist_kw: Keywords = None,
    ) -> Self:
        """Draw the codes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        scatter_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.scatter` for the points.

        im_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.imshow` for the images behind.

        hist_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.hist`, for one component without y.

        Returns
        -------
        display : LatentSpaceDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        shown = chosen_components(self.components, self.code.shape[1])
        values, labels = read_y(self.y, len(self.code))
        if labels is not None:
            check_n_labels(labels, len(CLASS_COLORS) * len(MARKERS))
        self.images_ = self.bars_ = self.colorbar_ = self.legend_ = None
        self.scatters_ = []
        self.ax_ = ax = new_axes(ax, (7.0, 5.8), layout="compressed")
        self.figure_ = ax.figure
        across, *up = self.code[:, shown].T
        names = [self._name(component) for component in shown]
        if not up and values is None:
            self._draw_histogram(across, hist_kw)
            names.append("rows")
        elif not up:
            self._draw_strips(across, values, labels, scatter_kw)
            names.append(self.y_name or "y")
        else:
            if self.grid_X_hat is not None:
                self._draw_grid(im_kw)
            self._draw_points(across, up[0], values, labels, scatter_kw)
        ax.set(xlabel=names[0], ylabel=names[1])
        return self

    def _name(self, component):
        if self.component_names is None:
            return f"component {component}"
        return self.component_names[component]

    def _draw_histogram(self, across, hist_kw):
        """Draw how many rows have which code, where it is one number."""
        from matplotlib.patches import Patch

        style = styled(Patch, {"color": BLUE, "bins": 30}, hist_kw)
        _, _, self.bars_ = self.ax_.hist(across, **style)

    def _draw_strips(self, across, values, labels, scatter_kw):
        """Draw a code of one number against y; rows of one label side by side."""
        up = values
        if labels is not None:
            jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(values))
            up = values + jitter
            self.ax_.set_yticks(np.arange(len(labels)), labels)
        self._draw_points(across, up, None, None, scatter_kw)

    def _draw_points(self, across, up, values, labels, scatter_kw):
        """Draw codes as points: for each label, or in colours of numbers."""
        import matplotlib as mpl
        from matplotlib.collections import PathCollection

        style = {
            "s": float(np.clip(12_000 / len(across), 6, 36)),
            "linewidths": 0.4,
            "edgecolors": "white",
            "color": BLUE,
        }
        if labels is None:
            if values is not None:
                del style["color"]
                cmap = mpl.colormaps["viridis"].with_extremes(bad="0.7")
                style.update(c=values, cmap=cmap, plotnonfinite=True)
            style = styled(PathCollection, style, scatter_kw)
            self.scatters_.append(self.ax_.scatter(across, up, **style))
            if values is not None:
                label = self.y_name or "y"
                self.colorbar_ = self.figure_.colorbar(
                    self.scatters_[0], ax=self.ax_, label=label
                )
            return
        for place, label in enumerate(labels):
            which = values == place
            looks = {**style, **look_of_class(place), "label": label}
            looks = styled(PathCollection, looks, scatter_kw)
            points = self.ax_.scatter(across[which], up[which], **looks)
            self.scatters_.append(points)
        self.legend_ = self.ax_.legend(
            title=self.y_name,
            loc="upper left",
            bbox_to_anchor=(1.01, 1),
            frameon=False,
            markerscale=6 / np.sqrt(style["s"]),
            ncols=1 + (len(labels) - 1) // 15,
        )

    def _draw_grid(self, im_kw):
        """Draw what codes of a grid are decoded to, each at its place."""
        from matplotlib.image import AxesImage

        across, up = self.grid_values
        rows = self.grid_X_hat.reshape(-1, *self.grid_X_hat.shape[2:])
        form = check_image_form(rows, self.image_shape, self.channel_order)
        images = pictures(rows, form)
        height, width = images.shape[1:3]
        step_x, step_y = across[1] - across[0], up[1] - up[0]
        is_near = self._near_codes(across[0], up[0], step_x, step_y)
        drawn = images[is_near.ravel()]
        limits = bulk_of(drawn)
        shown, style = as_shown(images, limits)
        if "cmap" in style and np.median(drawn) < np.mean(limits):
            style["cmap"] = "gray_r"
        style = styled(AxesImage, {"alpha": 0.5, "zorder": 0, **style}, im_kw)
        self.images_ = np.full(is_near.shape, None, dtype=object)
        half_x, half_y = step_x * SHARE_OF_CELL / 2, step_y * SHARE_OF_CELL / 2
        for place, picture in zip(np.ndindex(is_near.shape), shown, strict=True):
            if is_near[place]:
                x, y = across[place[1]], up[place[0]]
                sides = (x - half_x, x + half_x, y - half_y, y + half_y)
                self.images_[place] = self.ax_.imshow(
                    picture, extent=sides, aspect="auto", **style
                )
        self.ax_.set(
            xlim=(across[0] - step_x / 2, across[-1] + step_x / 2),
            ylim=(up[0] - step_y / 2, up[-1] + step_y / 2),
            box_aspect=height * len(up) / (width * len(across)),
        )

    def _near_codes(self, left, bottom, step_x, step_y):
        """Tell which cells of the grid have a code in them or in a cell beside them."""
        shown = chosen_components(self.components, self.code.shape[1])
        across, up = self.code[:, shown].T
        n_up, n_across = self.grid_X_hat.shape[:2]
        is_near = np.zeros((n_up + 2, n_across + 2), dtype=bool)
        i = np.rint((up - bottom) / step_y).astype(int).clip(0, n_up - 1)
        j = np.rint((across - left) / step_x).astype(int).clip(0, n_across - 1)
        for down, right in np.ndindex(3, 3):
            is_near[i + down, j + right] = True
        return is_near[1:-1, 1:-1]

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        components: int | Sequence[int] = (0, 1),
        grid: bool = True,
        grid_resolution: int = 12,
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        ax: Axes | None = None,
        scatter_kw: Keywords = None,
        im_kw: Keywords = None,
        hist_kw: Keywords = None,
    ) -> Self:
        """Encode rows with an estimator and draw their codes.

        Parameters
        ----------
        estimator : fitted transformer, Pipeline or search
            It may be PCA, to look at in the same way.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data to encode.

        y : array-like of shape (n_samples,), default=None
            Labels or numbers by which points are coloured. Whole numbers of which there
            are at most 20 different ones are labels.

        components : int or tuple of int, default=(0, 1)
            The components to draw: across and up, or one alone, which is drawn against
            y or as a histogram. Of a code of one component (0, 1) is that one.

        grid : bool, default=True
            Whether to decode a grid of codes and to draw it behind the points, where
            these are images. For that all steps of a Pipeline need `inverse_transform`;
            else there is no grid.

        grid_resolution : int, default=12
            Number of images across and up, in [2, inf).

        image_shape : tuple of int, default=None
            Shape of one image where rows are flat. None takes what the estimator knows.

        channel_order : {"auto", "first", "last"}, default="auto"
            Which axis of an image has the channels. "auto" takes what the estimator
            knows, else an axis of at most four.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        scatter_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.scatter` for the points.

        im_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.imshow` for the images behind.

        hist_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.hist`, for one component without y.

        Returns
        -------
        display : LatentSpaceDisplay
            With the numbers and what was drawn.

        See Also
        --------
        LatentTraversalDisplay.from_estimator : What changes along each component.

        Notes
        -----
        Images of the grid are drawn where there is a code, or beside it: farther away
        the decoder was never trained. Grey ones that are mostly dark are drawn as
        negatives, which leaves the points legible; ``im_kw={"cmap": "gray"}`` does not.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> from skae.displays import LatentSpaceDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> autoencoder = AutoencoderTransformer(max_epochs=5, random_state=0).fit(X)
        >>> display = LatentSpaceDisplay.from_estimator(
        ...     autoencoder, X, y, image_shape=(8, 8)
        ... )
        >>> display.images_.shape
        (12, 12)
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator = fitted_within(estimator)
        check_has_methods(estimator, ["transform"], cls.__name__)
        check_n_samples(grid_resolution, "grid_resolution", least=2)
        code = as_array(estimator.transform(X))
        check_has_rows(code)
        shown = chosen_components(components, code.shape[1])
        images = {"image_shape": image_shape, "channel_order": channel_order}
        if grid and len(shown) == 2 and hasattr(estimator, "inverse_transform"):
            images |= _grid_of_images(estimator, code, shown, grid_resolution, **images)
        display = cls(
            code=code,
            y=y,
            components=components,
            component_names=component_names_of(estimator, code.shape[1]),
            y_name=name_of(y),
            **images,
        )
        return display.plot(ax, scatter_kw=scatter_kw, im_kw=im_kw, hist_kw=hist_kw)


def chosen_components(components, n_components):
    """Return one or two components; of a code of one it is that one."""
    if n_components == 1 and tuple(np.ravel(components)) == (0, 1):
        return [0]
    chosen = check_components(components, n_components)
    check_at_most_two(chosen)
    return chosen


def look_of_class(place):
    """Return colour and marker that tell a class from all others."""
    n_colors = len(CLASS_COLORS)
    return {
        "color": CLASS_COLORS[place % n_colors],
        "marker": MARKERS[place // n_colors % len(MARKERS)],
    }


def _grid_of_images(estimator, code, shown, resolution, image_shape, channel_order):
    """Return what is kept of a grid of codes; no grid if they are not images."""
    values = tuple(
        np.linspace(*span_of(code[:, component]), resolution) for component in shown
    )
    X_hat = _decoded_grid(estimator, code, shown, values)
    image_shape, channel_order = image_form_of(
        estimator, X_hat[0], image_shape, channel_order
    )
    known = {"image_shape": image_shape, "channel_order": channel_order}
    form = check_image_form(X_hat[0], image_shape, channel_order)
    if form is None or form.is_signal:
        return known
    return {"grid_values": values, "grid_X_hat": X_hat, **known}


def _decoded_grid(estimator, code, shown, values):
    """Return what codes of a grid are decoded to; other components are at the mean."""
    across, up = np.meshgrid(*values)
    grid = np.tile(code.mean(axis=0), (across.size, 1))
    grid[:, shown[0]], grid[:, shown[1]] = across.ravel(), up.ravel()
    X_hat = as_array(estimator.inverse_transform(grid.astype(code.dtype)))
    return X_hat.reshape(*across.shape, *X_hat.shape[1:])
