"""`ErrorDistributionDisplay`: how well rows are rebuilt, and which ones are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skae._typing import Array, ArrayLike, Estimator, Keywords, MatrixLike
from skae.displays._checks import (
    check_has_methods,
    check_matplotlib_support,
    check_n_labels,
    check_scores,
    check_threshold,
)
from skae.displays._data import (
    fitted_within,
    last_step,
    loss_name,
    name_of,
    read_y,
    score_samples,
)
from skae.displays._plotting import (
    BLUE,
    CLASS_COLORS,
    INK,
    ORANGE,
    new_axes,
    span_of,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


MOST_BINS, FEWEST_BINS = 40, 10
MOST_FILLED = 2  # histograms that can be seen through each other


class ErrorDistributionDisplay:
    """Histogram of `score_samples`, with a threshold below which rows are unusual.

    The score is minus the loss of a row: what the autoencoder cannot rebuild is far to
    the left. With y each class has a histogram of its own, of shares, so that a rare
    class is seen beside a frequent one.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All
    parameters are stored as attributes.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of the rows; the lower, the more unusual.

    y : array-like of shape (n_samples,), default=None
        Labels of the rows. 1 and -1 are scikit-learn's inliers and outliers.

    threshold : float, default=None
        Rows with a lower score count as unusual.

    score_name : str, default=None
        What the score is.

    y_name : str, default=None
        Name of y.

    Attributes
    ----------
    bars_ : list of matplotlib Artist
        The histogram of each class, or that of all rows.

    labels_ : list of str or None
        Names of the classes.

    below_ : list of int or None
        Number of rows below the threshold, of each class or of all.

    line_ : matplotlib Artist or None
        The threshold.

    ax_ : matplotlib Axes
        Axes with the histogram.

    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    ErrorDistributionDisplay.from_estimator : Scores by an estimator.
    ErrorDistributionDisplay.from_predictions : Scores that are there already.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.displays import ErrorDistributionDisplay
    >>> display = ErrorDistributionDisplay(
    ...     scores=np.array([-0.2, -0.1, -0.3, -2.0]), y=[1, 1, 1, -1], threshold=-1.0
    ... ).plot()
    >>> display.labels_, display.below_
    (['inlier', 'outlier'], [0, 1])
    """

    y: Any
    bars_: list[Any]
    labels_: list[str] | None
    below_: list[int] | None
    line_: Line2D | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        *,
        scores: Array,
        y: ArrayLike | None = None,
        threshold: float | None = None,
        score_name: str | None = None,
        y_name: str | None = None,
    ) -> None:
        self.scores = scores
        self.y = y
        self.threshold = threshold
        self.score_name = score_name
        self.y_name = y_name

    def plot(
        self,
        ax: Axes | None = None,
        *,
        hist_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Draw the histogram and the threshold.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        hist_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.hist`, such as bins.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the threshold.

        Returns
        -------
        display : ErrorDistributionDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib.lines import Line2D

        check_threshold(self.threshold)
        scores = check_scores(self.scores)
        groups = self._groups(scores)
        self.labels_ = None if self.y is None else list(groups)
        self.below_ = self.line_ = None
        if self.threshold is not None:
            self.below_ = [
                int((group < self.threshold).sum()) for group in groups.values()
            ]
        self.ax_ = ax = new_axes(ax, (6.4, 4.0))
        self.figure_ = ax.figure
        self.bars_ = self._draw_histograms(groups, _bins(scores), hist_kw)
        if self.threshold is not None:
            label = f"threshold {self.threshold:.3g}".replace("-", "\N{MINUS SIGN}")
            style = {"color": INK, "linestyle": "--", "label": label}
            self.line_ = ax.axvline(self.threshold, **styled(Line2D, style, line_kw))
        ax.set(
            xlabel=self.score_name or "score_samples",
            ylabel="rows" if self.y is None else "share of the rows of each class",
        )
        if self.y is not None or self.threshold is not None:
            ax.legend(title=self.y_name)
        return self

    def _draw_histograms(self, groups, bins, hist_kw):
        """Draw the scores of each class; return the artists."""
        from matplotlib.patches import Patch

        drawn = []
        for place, (name, group) in enumerate(groups.items()):
            style = {"bins": bins, "label": self._label(place, name, len(group))}
            style["color"] = _color_of(place, name)
            if self.y is not None:
                style["weights"] = np.full(len(group), 1 / len(group))
            if len(groups) > MOST_FILLED:
                style.update(histtype="step", linewidth=1.8)
            elif len(groups) > 1:
                style["alpha"] = 0.6
            style = styled(Patch, style, hist_kw)
            drawn.append(self.ax_.hist(group, **style)[2])
        return drawn

    def _groups(self, scores):
        """Return the scores of each class, by its name."""
        values, labels = read_y(self.y, len(scores), always_labels=True)
        if values is None:
            return {"all rows": scores}
        check_n_labels(labels, len(CLASS_COLORS))
        groups = {label: scores[values == place] for place, label in enumerate(labels)}
        if set(groups) <= {"-1", "1"}:
            meaning = {"1": "inlier", "-1": "outlier"}
            groups = {
                name: groups[label]
                for label, name in meaning.items()
                if label in groups
            }
        return groups

    def _label(self, place, name, n_rows):
        """Return what the legend says of a class."""
        if self.below_ is None:
            return f"{name} ({n_rows})"
        return f"{name}: {self.below_[place]} of {n_rows} below"

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        X_target: MatrixLike | None = None,
        threshold: float | None = None,
        ax: Axes | None = None,
        hist_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Score rows with an estimator and draw the histogram.

        Parameters
        ----------
        estimator : fitted estimator with `score_samples`, Pipeline or search
            Of a Pipeline the last step scores what the others make of X. So PCA or
            IsolationForest can be looked at in the same way.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data to score.

        y : array-like of shape (n_samples,), default=None
            Labels of the rows. 1 and -1 are scikit-learn's inliers and outliers.

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            What the rows should have become; needed if `fit` saw an X_target.

        threshold : float, default=None
            Rows with a lower score count as unusual; in the units of the score. A
            quantile of the scores of training rows, say.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        hist_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.hist`, such as bins.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the threshold.

        Returns
        -------
        display : ErrorDistributionDisplay
            With the numbers and what was drawn.

        See Also
        --------
        ErrorDistributionDisplay.from_predictions : Scores that are there already.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderTransformer
        >>> from skae.displays import ErrorDistributionDisplay
        >>> X = load_digits().data
        >>> autoencoder = AutoencoderTransformer(8, max_epochs=2, random_state=0).fit(X)
        >>> threshold = np.quantile(autoencoder.score_samples(X), 0.05)
        >>> display = ErrorDistributionDisplay.from_estimator(
        ...     autoencoder, X, threshold=threshold
        ... )
        >>> display.below_  # 5 % of 1797
        [90]
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator = fitted_within(estimator)
        check_has_methods(estimator, ["score_samples"], cls.__name__)
        return cls.from_predictions(
            score_samples(estimator, X, X_target),
            y,
            threshold=threshold,
            score_name=_score_name(last_step(estimator)),
            ax=ax,
            hist_kw=hist_kw,
            line_kw=line_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        y: ArrayLike | None = None,
        *,
        threshold: float | None = None,
        score_name: str | None = None,
        ax: Axes | None = None,
        hist_kw: Keywords = None,
        line_kw: Keywords = None,
    ) -> Self:
        """Draw the histogram of scores that are there already.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Scores of the rows; the lower, the more unusual. Of errors take minus them.

        y : array-like of shape (n_samples,), default=None
            Labels of the rows. 1 and -1 are scikit-learn's inliers and outliers.

        threshold : float, default=None
            Rows with a lower score count as unusual; in the units of the score.

        score_name : str, default=None
            What the score is.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        hist_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.hist`, such as bins.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the threshold.

        Returns
        -------
        display : ErrorDistributionDisplay
            With the numbers and what was drawn.

        See Also
        --------
        ErrorDistributionDisplay.from_estimator : Scores by an estimator.

        Examples
        --------
        >>> from skae.displays import ErrorDistributionDisplay
        >>> display = ErrorDistributionDisplay.from_predictions(
        ...     [-0.1, -0.3, -0.2, -1.5], threshold=-1
        ... )
        >>> display.below_
        [1]
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        display = cls(
            scores=check_scores(scores),
            y=y,
            threshold=threshold,
            score_name=score_name,
            y_name=name_of(y),
        )
        return display.plot(ax, hist_kw=hist_kw, line_kw=line_kw)


def _bins(scores):
    """Return the edges of the bins, the same for all classes."""
    n_bins = int(np.clip(np.sqrt(len(scores)), FEWEST_BINS, MOST_BINS))
    return np.linspace(*span_of(scores[np.isfinite(scores)]), n_bins + 1)


def _color_of(place, name):
    """Return the colour of a class: outliers stand out, whatever their place."""
    known = {"inlier": BLUE, "outlier": ORANGE}
    return known.get(name, CLASS_COLORS[place])


def _score_name(estimator):
    """Return what `score_samples` is, in words."""
    if not hasattr(estimator, "reconstruct"):
        return "score_samples"
    return f"score_samples: minus {loss_name(estimator)} (higher is better)"
