"""`LatentTraversalDisplay`: what changes along each component of the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

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
    check_components,
    check_has_methods,
    check_has_rows,
    check_image_form,
    check_matplotlib_support,
    check_n_samples,
    check_percentiles,
    check_row,
    check_standardize,
)
from skae.displays._data import (
    as_array,
    component_names_of,
    feature_names_of,
    fitted_within,
    image_form_of,
    in_units,
    pictures,
    profiles,
    row_shape,
    spread_of,
)
from skae.displays._plotting import (
    FeaturePanels,
    as_shown,
    bulk_of,
    draw_mosaic,
    mosaic_size,
    new_axes,
    styled,
    units_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_COMPONENTS = 8  # that are drawn where none are chosen


class LatentTraversalDisplay:
    """What the decoder makes of a code of which one component changes at a time.

    Each component goes from small to large, as far as it does in data, while the others
    stay. Images come in rows of pictures, one row for each component. Tables of up to
    30 features have a dot for each value; longer rows and signals are curves.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as
    attributes.

    Parameters
    ----------
    components : list of int
        The components that change.

    values : ndarray of shape (n_shown, n_steps)
        Their values at each step.

    X_hat : ndarray of shape (n_shown, n_steps, n_features), or images likewise
        What the codes are decoded to.

    code : ndarray of shape (n_components,)
        The code at which the other components stay.

    percentiles : tuple of float, default=None
        Which share of the data has a smaller value than the first and the last step.

    image_shape : tuple of int, default=None
        Shape of one image or signal where rows are flat.

    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image has the channels.

    component_names : list of str, default=None
        Names of all components.

    feature_names : list of str, default=None
        Names of the features.

    center : ndarray of shape (n_features,), default=None
        What is subtracted from each feature before it is drawn; not for pictures.

    scale : ndarray of shape (n_features,), default=None
        By what each feature is divided before it is drawn. None draws the numbers as
        they are.

    Attributes
    ----------
    images_ : ndarray of matplotlib Artist, of shape (n_shown, n_steps), or None
        The pictures. None for tables and signals.

    lines_ : ndarray of matplotlib Artist, of shape (n_panels, n_steps), or None
        Dots or curves of tables and signals; a component has a panel for each channel.

    axes_ : ndarray of matplotlib Axes
        All axes drawn on.

    ax_ : matplotlib Axes
        The one that was given or made; where there are several panels they took its
        place.

    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    LatentTraversalDisplay.from_estimator : What an estimator decodes.
    LatentSpaceDisplay : Two components at a time, with the codes of data.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.displays import LatentTraversalDisplay
    >>> values = np.array([[-1.0, 0.0, 1.0]])
    >>> axis = np.array([2.0, 0.0, 1.0, 1.0])
    >>> display = LatentTraversalDisplay(
    ...     components=[0], values=values, X_hat=values[..., None] * axis, code=[0.0]
    ... )
    >>> display.plot().lines_.shape
    (1, 3)
    """

    code: Any
    images_: Array | None
    lines_: Array | None
    axes_: Array
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        *,
        components: Sequence[int],
        values: Array,
        X_hat: Array,
        code: ArrayLike,
        percentiles: tuple[float, float] | None = None,
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        component_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        center: Array | None = None,
        scale: Array | None = None,
    ) -> None:
        self.components = components
        self.values = values
        self.X_hat = X_hat
        self.code = code
        self.percentiles = percentiles
        self.image_shape = image_shape
        self.channel_order = channel_order
        self.component_names = component_names
        self.feature_names = feature_names
        self.center = center
        self.scale = scale

    def plot(
        self,
        ax: Axes | None = None,
        *,
        im_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Draw what changes along each component.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure. Of tables and signals each
            component gets axes of its own in its place.

        im_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.imshow` for images.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for tables and signals.

        Returns
        -------
        display : LatentTraversalDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        rows = self.X_hat.reshape(-1, *self.X_hat.shape[2:])
        form = check_image_form(rows, self.image_shape, self.channel_order)
        self.images_ = self.lines_ = None
        if form is None or form.is_signal:
            self._plot_profiles(ax, rows, form, line_kw)
        else:
            self._plot_images(ax, pictures(rows, form), im_kw)
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(self, ax, images, im_kw):
        """Draw a row of pictures for each component."""
        from matplotlib.image import AxesImage

        n_rows, n_steps = self.values.shape
        images, style = as_shown(images, bulk_of(images))
        images = images.reshape(n_rows, n_steps, *images.shape[1:])
        size = mosaic_size(n_rows, n_steps, images[0, 0])
        self.ax_ = ax = new_axes(ax, size, layout="compressed")
        keywords = [styled(AxesImage, style, im_kw)] * n_rows
        self.images_ = draw_mosaic(ax, list(images), keywords)
        ax.set_yticklabels(self._names_with_range())
        ax.set_xticks(ax.get_xticks()[[0, -1]], self._ends())
        self.axes_ = np.array([ax])

    def _plot_profiles(self, ax, rows, form, line_kw):
        """Draw the features along each component in a panel of its own."""
        import matplotlib as mpl

        n_rows, n_steps = self.values.shape
        rows = profiles(in_units(rows, self.center, self.scale), form)
        rows = rows.reshape(n_rows, n_steps, *rows.shape[1:]).swapaxes(0, 1)
        panels = FeaturePanels(
            ax,
            rows.shape[1:],
            names=self.feature_names,
            is_table=form is None,
            units=units_of(self.scale),
        )
        colors = mpl.colormaps["viridis"](np.linspace(0, 0.9, n_steps))
        if panels.has_dots:
            panels.draw_between(rows.min(axis=0), rows.max(axis=0), {"color": "0.8"})
        lines = [
            panels.draw(step, line_kw, color=color)
            for step, color in zip(rows, colors, strict=True)
        ]
        self.lines_ = np.transpose(lines)
        panels.title(self._names_with_range())
        ends = self.lines_[0, [0, -1]]
        panels.legend(ends, labels=self._ends())
        self.ax_, self.axes_ = panels.ax, panels.axes

    def _names_with_range(self):
        """Return what is written beside each component."""
        names = self.component_names
        if names is None:
            names = {place: f"component {place}" for place in self.components}
        return [
            f"{names[place]}\n{values[0]:.3g} to {values[-1]:.3g}".replace(
                " (", "\n("
            ).replace("-", "\N{MINUS SIGN}")
            for place, values in zip(self.components, self.values, strict=True)
        ]

    def _ends(self):
        """Return what the first and the last step are called."""
        if self.percentiles is None:
            return ["first", "last"]
        return [f"percentile {100 * share:g}" for share in self.percentiles]

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: MatrixLike,
        *,
        components: int | Sequence[int] | None = None,
        n_steps: int = 7,
        percentiles: tuple[float, float] = (0.05, 0.95),
        row: int | None = None,
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        standardize: bool | Literal["auto"] = "auto",
        ax: Axes | None = None,
        im_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Change the components of a code one by one and draw what is decoded.

        Parameters
        ----------
        estimator : fitted transformer, Pipeline or search
            It has `inverse_transform`, as all steps of a Pipeline must have. So PCA can
            be looked at in the same way.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data whose codes say how far each component goes.

        components : int or list of int, default=None
            The components to change. None takes all, but not more than the first 8.

        n_steps : int, default=7
            Number of values of each component, in [2, inf).

        percentiles : tuple of two float, default=(0.05, 0.95)
            Percentiles of the codes of X between which a component goes, in [0, 1].

        row : int, default=None
            The row of X at whose code the other components stay. None takes the mean of
            all codes.

        image_shape : tuple of int, default=None
            Shape of one image or signal where rows are flat. None takes what the
            estimator knows.

        channel_order : {"auto", "first", "last"}, default="auto"
            Which axis of an image has the channels. "auto" takes what the estimator
            knows, else an axis of at most four.

        standardize : bool or "auto", default="auto"
            Whether each feature is drawn in its standard deviations from its mean, both
            of X. "auto" does so for tables. Not for images.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        im_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.imshow` for images.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for tables and signals.

        Returns
        -------
        display : LatentTraversalDisplay
            With the numbers and what was drawn.

        See Also
        --------
        LatentSpaceDisplay.from_estimator : Two components at a time.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> from skae.displays import LatentTraversalDisplay
        >>> images = load_digits().images
        >>> autoencoder = AutoencoderTransformer(4, max_epochs=2, random_state=0)
        >>> display = LatentTraversalDisplay.from_estimator(
        ...     autoencoder.fit(images), images
        ... )
        >>> display.images_.shape
        (4, 7)
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator = fitted_within(estimator)
        check_has_methods(estimator, ["transform", "inverse_transform"], cls.__name__)
        check_n_samples(n_steps, "n_steps", least=2)
        check_standardize(standardize)
        codes = as_array(estimator.transform(X))
        check_has_rows(codes)
        components = _chosen_components(components, codes.shape[1])
        code = _code_to_stay_at(codes, row)
        values = _values_between(codes[:, components], percentiles, n_steps)
        changed = _changed_codes(code, components, values).astype(codes.dtype)
        X_hat = as_array(estimator.inverse_transform(changed))
        form = image_form_of(estimator, X_hat, image_shape, channel_order)
        display = cls(
            components=components,
            values=values,
            X_hat=X_hat.reshape(*values.shape, *X_hat.shape[1:]),
            code=code,
            percentiles=percentiles,
            component_names=component_names_of(estimator, codes.shape[1]),
            **_looks(estimator, X, X_hat, form, standardize),
        )
        return display.plot(ax, im_kw=im_kw, line_kw=line_kw)


def _chosen_components(components, n_components):
    """Return the components as a list of int: those given, or the first ones."""
    if components is None:
        components = range(min(n_components, MOST_COMPONENTS))
    return check_components(components, n_components)


def _code_to_stay_at(codes, row):
    """Return the code of a row, or the mean of all."""
    check_row(row, len(codes))
    return codes.mean(axis=0) if row is None else codes[row]


def _values_between(codes, percentiles, n_steps):
    """Return the values that each column of some codes goes through."""
    check_percentiles(percentiles)
    ends = np.quantile(codes, percentiles, axis=0)
    return np.linspace(*ends, n_steps, axis=1)


def _changed_codes(code, components, values):
    """Return the code with each component at each of its values, one in a row."""
    changed = np.tile(code, (len(components), values.shape[1], 1))
    for place, component in enumerate(components):
        changed[place, :, component] = values[place]
    return changed.reshape(-1, len(code))


def _looks(estimator, X, X_hat, image_form, standardize):
    """Return what rows are shown as: their form, names, and units by those of X."""
    image_shape, channel_order = image_form
    form = check_image_form(X_hat, image_shape, channel_order)
    center = scale = None
    if row_shape(X) == X_hat.shape[1:]:
        center, scale = spread_of(X, form, standardize)
    return {
        "image_shape": image_shape,
        "channel_order": channel_order,
        "feature_names": feature_names_of(estimator, X),
        "center": center,
        "scale": scale,
    }
