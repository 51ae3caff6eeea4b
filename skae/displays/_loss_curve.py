"""`LossCurveDisplay`: how training went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._typing import ArrayLike, Estimator, Keywords
from skae.displays._checks import (
    check_has_methods,
    check_matplotlib_support,
    check_trained,
)
from skae.displays._data import (
    fitted_within,
    last_step,
    loss_name,
)
from skae.displays._plotting import (
    BLUE,
    INK,
    ORANGE,
    new_axes,
    styled,
    title_in_small,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text


class LossCurveDisplay:
    """Loss by epoch: of training, of held-out rows, and PCA's beside them.

    Held-out rows tell when the network begins to learn by heart (overfitting): their
    loss rises while that of training still falls. The epoch whose weights were kept is
    marked. Where the model is PCA none were, and the legend says so: the held-out curve
    stays above PCA's level, or comes below it by no more than chance would.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as
    attributes.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Training loss of each epoch, measured while the weights change.

    validation_loss : array-like of shape (n_epochs,), default=None
        Loss of the rows held out, after each epoch; NaN where nothing was held out.

    pca_loss : float, default=None
        PCA's loss on the rows held out.

    best_epoch : int, default=None
        The epoch whose weights were kept; 0 is the start, or with `pca_loss` PCA.

    loss_name : str, default=None
        What was minimised, with its units.

    verdict : str, default=None
        What held-out rows said of the network, in a sentence or two.

    Attributes
    ----------
    lines_ : list of matplotlib Artist
        The curves: training and, if there is one, validation.

    pca_line_ : matplotlib Artist or None
        PCA's level.

    best_line_ : matplotlib Artist or None
        The line at the best epoch.

    verdict_ : matplotlib Artist or None
        The verdict, as the title of the axes. Axes that have a title keep it.

    ax_ : matplotlib Axes
        Axes with the curves.

    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    LossCurveDisplay.from_estimator : The curves of a fitted estimator.

    Examples
    --------
    >>> from skae.displays import LossCurveDisplay
    >>> display = LossCurveDisplay(
    ...     train_loss=[0.7, 0.5, 0.4], validation_loss=[0.6, 0.5, 0.52], best_epoch=2
    ... )
    >>> [line.get_label() for line in display.plot().lines_]
    ['training', 'held out']
    """

    train_loss: Any
    validation_loss: Any
    lines_: list[Line2D]
    pca_line_: Line2D | None
    best_line_: Line2D | None
    verdict_: Text | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        *,
        train_loss: ArrayLike,
        validation_loss: ArrayLike | None = None,
        pca_loss: float | None = None,
        best_epoch: int | None = None,
        loss_name: str | None = None,
        verdict: str | None = None,
    ) -> None:
        self.train_loss = train_loss
        self.validation_loss = validation_loss
        self.pca_loss = pca_loss
        self.best_epoch = best_epoch
        self.loss_name = loss_name
        self.verdict = verdict

    def plot(
        self,
        ax: Axes | None = None,
        *,
        line_kw: Keywords = None,
        pca_line_kw: Keywords = None,
        best_line_kw: Keywords = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for the curves.

        pca_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axhline` for PCA's level.

        best_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the best epoch.

        Returns
        -------
        display : LossCurveDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib.lines import Line2D

        ax = new_axes(ax, size=(6.4, 4.0))
        self.lines_ = self._draw_curves(ax, line_kw)
        self.pca_line_ = self.best_line_ = self.verdict_ = None
        if self.pca_loss is not None:
            style = {"color": INK, "linestyle": "--", "label": "PCA, held out"}
            style = styled(Line2D, style, pca_line_kw)
            self.pca_line_ = ax.axhline(self.pca_loss, **style)
        if self.best_epoch is not None:
            style = {"color": INK, "linestyle": ":", "label": self._what_was_kept()}
            style = styled(Line2D, style, best_line_kw)
            self.best_line_ = ax.axvline(self.best_epoch, **style)
        ax.set(xlabel="epoch", ylabel=self.loss_name or "loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        if self.verdict is not None and not ax.get_title():
            self.verdict_ = title_in_small(ax, self.verdict)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_curves(self, ax, line_kw):
        """Draw the loss of training and that of held-out rows; return the lines."""
        from matplotlib.lines import Line2D

        curves, lines = {"training": (self.train_loss, BLUE)}, []
        if self.validation_loss is not None:
            curves["held out"] = (self.validation_loss, ORANGE)
        for label, (losses, color) in curves.items():
            # A loss alone between epochs without one is a point, not a line.
            marker = "o" if _has_lonely_points(losses) else None
            style = {"color": color, "label": label, "marker": marker}
            style = styled(Line2D, style, line_kw)
            lines += ax.plot(np.arange(1, len(losses) + 1), losses, **style)
        return lines

    def _what_was_kept(self):
        """Return what the legend says of the best epoch."""
        if self.best_epoch > 0:
            return f"weights kept: epoch {self.best_epoch}"
        is_judged = self.pca_loss is not None  # only what proves better than PCA stays
        return "kept: PCA, no gain proven" if is_judged else "weights kept: the start"

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        *,
        ax: Axes | None = None,
        line_kw: Keywords = None,
        pca_line_kw: Keywords = None,
        best_line_kw: Keywords = None,
    ) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : AutoencoderTransformer, Pipeline or search
            Fitted, with one epoch or more. Of a Pipeline the last step counts, of a
            search the best estimator.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for the curves.

        pca_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axhline` for PCA's level.

        best_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the best epoch.

        Returns
        -------
        display : LossCurveDisplay
            With the numbers and what was drawn.

        Raises
        ------
        ValueError
            If no epoch was trained: the model is PCA.

        See Also
        --------
        AutoencoderTransformer.history_ : The same numbers as a table.

        Notes
        -----
        Losses include what a penalty or a bottleneck charges. They are in standardised
        units, in which PCA without components has a squared error of one, or of a loss
        in data space in its own ones. The rows of the training loss are those that the
        network learns from, spoilt if there is a corruption.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> from skae.displays import LossCurveDisplay
        >>> autoencoder = AutoencoderTransformer(max_epochs=5, random_state=0)
        >>> autoencoder.fit(load_digits().data)
        AutoencoderTransformer(max_epochs=5, random_state=0)
        >>> display = LossCurveDisplay.from_estimator(autoencoder)
        >>> display.best_epoch == autoencoder.best_epoch_
        True
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator = last_step(fitted_within(estimator))
        check_is_fitted(estimator)
        check_has_methods(estimator, ["history_", "best_epoch_"], cls.__name__)
        check_trained(estimator)
        history = estimator.history_
        validation_loss = None
        if "valid_loss" in history:
            validation_loss = history["valid_loss"].to_numpy(np.float64)
        display = cls(
            train_loss=history["train_loss"].to_numpy(np.float64),
            validation_loss=validation_loss,
            pca_loss=estimator.pca_loss_,
            best_epoch=estimator.best_epoch_,
            loss_name=_objective_of(estimator),
            verdict=getattr(estimator, "verdict_", None),
        )
        return display.plot(
            ax,
            line_kw=line_kw,
            pca_line_kw=pca_line_kw,
            best_line_kw=best_line_kw,
        )


def _has_lonely_points(losses):
    """Tell whether a finite loss has no finite neighbour to draw a line to."""
    known = np.pad(np.isfinite(losses), 1)
    return bool((known[1:-1] & ~known[:-2] & ~known[2:]).any())


def _objective_of(estimator):
    """Return what was minimised, with its units, in words."""
    is_alone = estimator.penalty is None and estimator.bottleneck is None
    what = "mean loss" if is_alone else "mean loss with costs"
    name = loss_name(estimator)
    if estimator.net_.criterion_.standardized:
        name = f"{name}, standardised units"
    return f"{what}\n({name})"
