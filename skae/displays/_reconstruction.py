"""`ReconstructionDisplay`: what comes back, beside what went in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from skae._typing import Array, ChannelOrder, Estimator, Keywords, MatrixLike, Sizes
from skae.displays._checks import (
    check_has_methods,
    check_has_rows,
    check_image_form,
    check_matplotlib_support,
    check_shown,
    check_standardize,
)
from skae.displays._comparison import draw_comparison, write_errors
from skae.displays._data import (
    as_array,
    feature_names_of,
    first_rows,
    fitted_within,
    form_of,
    image_form_of,
    in_units,
    n_rows,
    pictures,
    profiles,
    reconstruct,
    row_shape,
    spread_of,
)
from skae.displays._plotting import (
    INK,
    ORANGE,
    FeaturePanels,
    units_of,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure


class ReconstructionDisplay:
    """Rows, their reconstructions, and what is between them.

    Images come in rows of pictures: originals, reconstructions, differences. Tables of
    up to 30 features have a dot for each value and a line for the difference; longer
    rows and signals are curves.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All
    parameters are stored as attributes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), or images
        Rows to show.

    X_hat : ndarray of shape (n_samples, n_targets), or images
        Their reconstructions.

    X_target : ndarray of the shape of `X_hat`, default=None
        What the rows should have become, if not `X`.

    image_shape : tuple of int, default=None
        Shape of one image or signal where rows are flat.

    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image has the channels.

    feature_names : list of str, default=None
        Names of the features of `X_hat`.

    center : ndarray of shape (n_targets,), default=None
        What is subtracted from each feature before it is drawn; not for pictures.

    scale : ndarray of shape (n_targets,), default=None
        By what each feature is divided before it is drawn. None draws the numbers as
        they are.

    Attributes
    ----------
    images_ : ndarray of matplotlib Artist, of shape (n_rows, n_samples), or None
        The pictures: originals, reconstructions, differences; with `X_target`, and
        wherever reconstructions are of another shape, what went in comes first. None
        for tables and signals.

    lines_ : ndarray of matplotlib Artist, of shape (n_panels, 2), or None
        Original and reconstruction in each panel of tables and signals; a row has a
        panel for each channel.

    differences_ : list of matplotlib Artist or None
        The differences of tables and signals, one artist for each panel.

    colorbar_ : matplotlib Colorbar or None
        Of the differences between images.

    axes_ : ndarray of matplotlib Axes
        All axes drawn on.

    ax_ : matplotlib Axes
        The one that was given or made; where there are several panels they took its
        place.

    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    ReconstructionDisplay.from_estimator : Reconstructions by an estimator.
    ReconstructionDisplay.from_predictions : Reconstructions that are there already.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.displays import ReconstructionDisplay
    >>> X = np.array([[0.0, 1.0, 2.0]])
    >>> display = ReconstructionDisplay(X=X, X_hat=X + [0.1, 0.0, -0.2]).plot()
    >>> display.lines_.shape
    (1, 2)
    """

    images_: Array | None
    lines_: Array | None
    differences_: list[Artist] | None
    colorbar_: Colorbar | None
    axes_: Array
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        *,
        X: Array,
        X_hat: Array,
        X_target: Array | None = None,
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        feature_names: Sequence[str] | None = None,
        center: Array | None = None,
        scale: Array | None = None,
    ) -> None:
        self.X = X
        self.X_hat = X_hat
        self.X_target = X_target
        self.image_shape = image_shape
        self.channel_order = channel_order
        self.feature_names = feature_names
        self.center = center
        self.scale = scale

    @property
    def compared(self) -> Array | None:
        """What the reconstructions are compared with: X_target or X, else None."""
        if self.X_target is not None:
            return self.X_target
        return self.X if self.X.shape == self.X_hat.shape else None

    @property
    def difference(self) -> Array | None:
        """Reconstruction minus what it is compared with, as floats; else None."""
        if self.compared is None:
            return None
        return self.X_hat.astype(np.float64) - self.compared.astype(np.float64)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        im_kw: Keywords = None,
        difference_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Draw rows, reconstructions and differences.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure. Of tables and signals each row
            gets axes of its own in its place.

        im_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.imshow` for originals and
            reconstructions.

        difference_kw : dict, default=None
            Keywords for the differences: of `imshow` for images, of `hlines` or
            `fill_between` for tables and signals.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for tables and signals.

        Returns
        -------
        display : ReconstructionDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        check_shown(len(self.X), self.X_hat, self.X_target)
        form = check_image_form(self.X_hat, self.image_shape, self.channel_order)
        self.images_ = self.lines_ = self.differences_ = self.colorbar_ = None
        if form is None or form.is_signal:
            self._plot_profiles(ax, form, line_kw, difference_kw)
        else:
            self._plot_images(ax, form, im_kw, difference_kw)
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(self, ax, form, im_kw, difference_kw):
        """Draw a row of pictures for each of input, target, output and difference."""
        rows, difference = {}, None
        if self.compared is not self.X:
            input_form = form_of(self.X, self.image_shape, self.channel_order)
            if input_form is not None and not input_form.is_signal:
                rows["input"] = pictures(self.X, input_form)
        if self.compared is not None:
            rows[self._compared_name()] = pictures(self.compared, form)
            difference = pictures(self.difference, form)
        rows["rebuilt"] = pictures(self.X_hat, form)
        self.ax_, self.images_, self.colorbar_ = draw_comparison(
            ax, rows, difference, im_kw, difference_kw
        )
        if self.compared is not None:
            name = "X" if self.X_target is None else "X_target"
            write_errors(self.ax_, self.images_, self.difference, name)
        self.axes_ = np.array([self.ax_])

    def _plot_profiles(self, ax, form, line_kw, difference_kw):
        """Draw the features of each row, or the channels of a signal, in panels."""
        rows = {}
        if self.compared is not None:
            rows[self._compared_name()] = self._profiles(self.compared, form)
        rows["rebuilt"] = self._profiles(self.X_hat, form)
        panels = FeaturePanels(
            ax,
            rows["rebuilt"].shape,
            names=self.feature_names,
            is_table=form is None,
            units=units_of(self.scale),
        )
        self.differences_ = None
        if self.compared is not None:
            self.differences_ = panels.draw_between(*rows.values(), difference_kw)
        colors = {"original": INK, "target": INK, "rebuilt": ORANGE}
        lines = [
            panels.draw(values, line_kw, color=colors[name], label=name)
            for name, values in rows.items()
        ]
        self.lines_ = np.transpose(lines)
        panels.title([f"row {row}" for row in range(len(self.X_hat))])
        panels.legend(self.lines_[0])
        self.ax_, self.axes_ = panels.ax, panels.axes

    def _compared_name(self):
        return "original" if self.X_target is None else "target"

    def _profiles(self, rows, form):
        """Return rows in the units to draw, as (n_samples, n_channels, n_features)."""
        return profiles(in_units(rows, self.center, self.scale), form)

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: MatrixLike,
        *,
        X_target: MatrixLike | None = None,
        n_samples: int = 8,
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        standardize: bool | Literal["auto"] = "auto",
        ax: Axes | None = None,
        im_kw: Keywords = None,
        difference_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Rebuild rows with an estimator and draw them.

        Parameters
        ----------
        estimator : fitted transformer, Pipeline or search
            It has `inverse_transform`, as the last step of a Pipeline all others must
            have too: rows are compared in the space of X. So PCA can be looked at in
            the same way.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data of which the first rows are shown.

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            What the rows should have become, if the estimator was fitted with an
            X_target. Without it what went in is compared, if it has the same shape.

        n_samples : int, default=8
            Number of rows to show; fewer if X has fewer.

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
            Keywords of `matplotlib.axes.Axes.imshow` for originals and
            reconstructions.

        difference_kw : dict, default=None
            Keywords for the differences: of `imshow` for images, of `hlines` or
            `fill_between` for tables and signals.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for tables and signals.

        Returns
        -------
        display : ReconstructionDisplay
            With the numbers and what was drawn.

        See Also
        --------
        ReconstructionDisplay.from_predictions : Reconstructions that are there already.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> from skae.displays import ReconstructionDisplay
        >>> images = load_digits().images
        >>> autoencoder = AutoencoderTransformer(8, max_epochs=2, random_state=0)
        >>> display = ReconstructionDisplay.from_estimator(
        ...     autoencoder.fit(images), images, n_samples=5
        ... )
        >>> display.images_.shape  # originals, reconstructions and differences
        (3, 5)
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator = fitted_within(estimator)
        check_has_methods(estimator, ["transform", "inverse_transform"], cls.__name__)
        shown = first_rows(X, n_samples)
        X_hat, names = reconstruct(estimator, shown), feature_names_of(estimator, X)
        image_shape, channel_order = image_form_of(
            estimator, X_hat, image_shape, channel_order
        )
        display = cls._of_rows(
            X,
            X_hat,
            X_target,
            n_samples,
            image_shape=image_shape,
            channel_order=channel_order,
            feature_names=None if X_target is not None else names,
            standardize=standardize,
        )
        return display.plot(
            ax, im_kw=im_kw, difference_kw=difference_kw, line_kw=line_kw
        )

    @classmethod
    def from_predictions(
        cls,
        X: MatrixLike,
        X_hat: MatrixLike,
        *,
        X_target: MatrixLike | None = None,
        n_samples: int = 8,
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        feature_names: Sequence[str] | None = None,
        standardize: bool | Literal["auto"] = "auto",
        ax: Axes | None = None,
        im_kw: Keywords = None,
        difference_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Draw rows and reconstructions that are there already.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data of which the first rows are shown.

        X_hat : array-like of shape (n_samples, n_targets), or images
            Reconstructions of all rows of X.

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            What the rows should have become, if not X.

        n_samples : int, default=8
            Number of rows to show; fewer if X has fewer.

        image_shape : tuple of int, default=None
            Shape of one image or signal where rows are flat.

        channel_order : {"auto", "first", "last"}, default="auto"
            Which axis of an image has the channels. "auto" takes an axis of at most
            four.

        feature_names : array-like of str, default=None
            Names of the features. None takes the columns of X, if it has some.

        standardize : bool or "auto", default="auto"
            Whether each feature is drawn in its standard deviations from its mean, both
            of X. "auto" does so for tables. Not for images.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        im_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.imshow` for originals and
            reconstructions.

        difference_kw : dict, default=None
            Keywords for the differences: of `imshow` for images, of `hlines` or
            `fill_between` for tables and signals.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for tables and signals.

        Returns
        -------
        display : ReconstructionDisplay
            With the numbers and what was drawn.

        See Also
        --------
        ReconstructionDisplay.from_estimator : Reconstructions by an estimator.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from skae.displays import ReconstructionDisplay
        >>> X = load_iris(as_frame=True).data
        >>> pca = PCA(2).fit(X)
        >>> X_hat = pca.inverse_transform(pca.transform(X))
        >>> display = ReconstructionDisplay.from_predictions(X, X_hat, n_samples=3)
        >>> display.X_hat.shape
        (3, 4)
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        X_hat = as_array(X_hat)
        check_shown(n_rows(X), X_hat, None if X_target is None else as_array(X_target))
        display = cls._of_rows(
            X,
            X_hat,
            X_target,
            n_samples,
            image_shape=image_shape,
            channel_order=channel_order,
            feature_names=feature_names,
            standardize=standardize,
        )
        return display.plot(
            ax, im_kw=im_kw, difference_kw=difference_kw, line_kw=line_kw
        )

    @classmethod
    def _of_rows(cls, X, X_hat, X_target, n_samples, *, standardize, **options):
        """Return a display of the first rows, with the units of all rows."""
        check_has_rows(X_hat)
        check_standardize(standardize)
        shown, X_hat = as_array(first_rows(X, n_samples)), X_hat[:n_samples]
        form = check_image_form(X_hat, options["image_shape"], options["channel_order"])
        compared = X if X_target is None else X_target
        center = scale = None
        if row_shape(compared) == X_hat.shape[1:]:
            center, scale = spread_of(compared, form, standardize)
        if X_target is not None:
            X_target = as_array(first_rows(X_target, n_samples))
        if options["feature_names"] is None:
            options["feature_names"] = feature_names_of(None, compared)
        return cls(
            X=shown,
            X_hat=X_hat,
            X_target=X_target,
            center=center,
            scale=scale,
            **options,
        )
