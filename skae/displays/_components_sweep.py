"""`ComponentsSweepDisplay`: the error over the size of the code, beside PCA's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from skae._typing import (
    ArrayLike,
    Estimator,
    Keywords,
    MatrixLike,
    RandomState,
    Splitter,
)
from skae.displays._checks import check_matplotlib_support
from skae.displays._plotting import BLUE, INK, ORANGE
from skae.model_selection import ComponentsChoice, choose_n_components

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


COLUMNS = ("error", "std_error", "pca_error", "pca_std_error")


class ComponentsSweepDisplay:
    """Held-out error over the number of components, beside PCA's: where it bends.

    The error is the share of the variance of held-out rows that is not rebuilt. Bars
    are one standard error over folds each way. The size that was chosen is marked;
    where the bend chose it, a faint line from end to end shows what it is measured by.

    It is recommended to use :meth:`from_estimator` or :meth:`from_search`. All
    parameters are stored as attributes.

    Parameters
    ----------
    n_components : array-like of shape (n_sizes,)
        Sizes of the code.

    error : array-like of shape (n_sizes,)
        Mean error of held-out rows with each size.

    std_error : array-like of shape (n_sizes,), default=None
        Standard error of these means.

    pca_error : array-like of shape (n_sizes,), default=None
        PCA's mean error with each size.

    pca_std_error : array-like of shape (n_sizes,), default=None
        Standard error of PCA's means.

    chosen : int, default=None
        The size that was chosen.

    rule : {"bend", "one standard error", "max_error"}, default=None
        What chose it.

    max_error : float, default=None
        The largest error that will do, if that was asked for.

    Attributes
    ----------
    errorbar_ : matplotlib ErrorbarContainer
        The autoencoder's curve.

    pca_errorbar_ : matplotlib ErrorbarContainer or None
        PCA's curve.

    chosen_line_ : matplotlib Artist or None
        The line at the size that was chosen.

    rule_line_ : matplotlib Artist or None
        What it was measured by: the line from end to end, or the largest error that
        will do.

    ax_ : matplotlib Axes
        Axes with the curves.

    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    skae.choose_n_components : Computes what is shown, and tells the rules.

    Examples
    --------
    >>> from skae import ComponentsSweepDisplay
    >>> display = ComponentsSweepDisplay(
    ...     n_components=[1, 2, 4, 8], error=[0.6, 0.3, 0.2, 0.15], chosen=2
    ... )
    >>> display.plot().ax_.get_xlabel()
    'number of components'
    """

    n_components: Any
    error: Any
    std_error: Any
    pca_error: Any
    pca_std_error: Any
    errorbar_: ErrorbarContainer
    pca_errorbar_: ErrorbarContainer | None
    chosen_line_: Line2D | None
    rule_line_: Line2D | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        *,
        n_components: ArrayLike,
        error: ArrayLike,
        std_error: ArrayLike | None = None,
        pca_error: ArrayLike | None = None,
        pca_std_error: ArrayLike | None = None,
        chosen: int | None = None,
        rule: Literal["bend", "one standard error", "max_error"] | None = None,
        max_error: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.error = error
        self.std_error = std_error
        self.pca_error = pca_error
        self.pca_std_error = pca_std_error
        self.chosen = chosen
        self.rule = rule
        self.max_error = max_error

    def plot(
        self,
        ax: Axes | None = None,
        *,
        line_kw: Keywords = None,
        pca_line_kw: Keywords = None,
        chosen_line_kw: Keywords = None,
        rule_line_kw: Keywords = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.errorbar` for the autoencoder's curve.

        pca_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.errorbar` for PCA's curve.

        chosen_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the size that was chosen.

        rule_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for what it was measured by.

        Returns
        -------
        display : ComponentsSweepDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
        self.pca_errorbar_ = self.chosen_line_ = self.rule_line_ = None
        self._plot_errors(ax, line_kw, pca_line_kw)
        if self.chosen is not None:
            label = f"chosen: {self.chosen}"
            style = {"color": ORANGE, "linestyle": ":", "label": label}
            style = _styled(style, chosen_line_kw)
            self.chosen_line_ = ax.axvline(self.chosen, **style)
        self._plot_rule(ax, rule_line_kw)
        ax.set(
            xlabel="number of components",
            ylabel="held-out error (share of the variance)",
        )
        ax.set_ylim(bottom=min(0.0, np.min(self.error)))
        ax.xaxis.get_major_locator().set_params(integer=True)
        drawn = [self.errorbar_, self.pca_errorbar_, self.chosen_line_, self.rule_line_]
        ax.legend(handles=[artist for artist in drawn if artist is not None])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_errors(self, ax, line_kw, pca_line_kw):
        """Draw the errors of the autoencoder, and PCA's if they are known."""
        style = {"color": BLUE, "label": "autoencoder", "marker": "o", "capsize": 3}
        style = _styled(style, line_kw)
        sizes = self.n_components
        self.errorbar_ = ax.errorbar(sizes, self.error, self.std_error, **style)
        if self.pca_error is None:
            return
        style = {"color": INK, "label": "PCA", "linestyle": "--", "capsize": 3}
        style["zorder"] = 3  # where both are the same, both are seen
        style = _styled(style, pca_line_kw)
        errors = self.pca_error, self.pca_std_error
        self.pca_errorbar_ = ax.errorbar(sizes, *errors, **style)

    def _plot_rule(self, ax, rule_line_kw):
        """Draw what the size was measured by, if that is a line."""
        ends = [self.n_components[0], self.n_components[-1]]
        style = {"color": ORANGE, "linewidth": 0.8, "alpha": 0.7}
        if self.rule == "bend":
            style["label"] = "gain of the average component"
            heights = [self.error[0], self.error[-1]]
        elif self.rule == "max_error" and self.max_error is not None:
            style["label"] = f"largest error that will do: {self.max_error:g}"
            heights = [self.max_error, self.max_error]
        else:
            return
        (self.rule_line_,) = ax.plot(ends, heights, **_styled(style, rule_line_kw))

    @classmethod
    def from_search(
        cls,
        search: ComponentsChoice,
        *,
        ax: Axes | None = None,
        line_kw: Keywords = None,
        pca_line_kw: Keywords = None,
        chosen_line_kw: Keywords = None,
        rule_line_kw: Keywords = None,
    ) -> Self:
        """Draw what `choose_n_components` found.

        Parameters
        ----------
        search : ComponentsChoice
            What it returned.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.errorbar` for the autoencoder's curve.

        pca_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.errorbar` for PCA's curve.

        chosen_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the size that was chosen.

        rule_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for what it was measured by.

        Returns
        -------
        display : ComponentsSweepDisplay
            With the numbers and what was drawn.

        Raises
        ------
        TypeError
            If `search` is something else.

        See Also
        --------
        ComponentsSweepDisplay.from_estimator : Search and draw.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skae import (
        ...     AutoencoderTransformer, ComponentsSweepDisplay, choose_n_components
        ... )
        >>> X = load_iris().data
        >>> autoencoder = AutoencoderTransformer(max_epochs=5, random_state=0)
        >>> search = choose_n_components(autoencoder, X, max_error=0.1, cv=2)
        >>> display = ComponentsSweepDisplay.from_search(search)
        >>> display.chosen == search.n_components_
        True
        """
        check_matplotlib_support(f"{cls.__name__}.from_search")
        if not isinstance(search, ComponentsChoice):
            raise TypeError(
                f"search is a {type(search).__name__}; pass what choose_n_components "
                "returned, or use from_estimator, which calls it."
            )
        table = search.table_
        display = cls(
            n_components=table.index.to_numpy(),
            **{name: table[name].to_numpy() for name in COLUMNS},
            chosen=search.n_components_,
            rule=search.rule_,
            max_error=search.max_error_,
        )
        return display.plot(
            ax,
            line_kw=line_kw,
            pca_line_kw=pca_line_kw,
            chosen_line_kw=chosen_line_kw,
            rule_line_kw=rule_line_kw,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        n_components: Iterable[int] | None = None,
        max_error: float | None = None,
        cv: int | Splitter | Iterable[tuple[ArrayLike, ArrayLike]] = 3,
        groups: ArrayLike | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: RandomState = None,
        ax: Axes | None = None,
        line_kw: Keywords = None,
        pca_line_kw: Keywords = None,
        chosen_line_kw: Keywords = None,
        rule_line_kw: Keywords = None,
    ) -> Self:
        """Compare codes of several sizes on held-out rows, and draw their errors.

        Parameters
        ----------
        estimator : AutoencoderTransformer or Pipeline that ends with one
            Copied, never fitted.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Rows; whatever the first step takes.

        y : array-like of shape (n_samples,), default=None
            For `cv` and for the other steps of a pipeline.

        n_components : sequence of int, default=None
            Sizes to compare, as in `choose_n_components`.

        max_error : float, default=None
            Largest error that will do, as in `choose_n_components`.

        cv : int, splitter or iterable of (train, test), default=3
            Folds. An int is a `KFold` that shuffles.

        groups : array-like of shape (n_samples,), default=None
            Of the rows, for splitters that ask for it.

        n_jobs : int, default=None
            Fits at a time, as in `GridSearchCV`.

        verbose : int, default=0
            As in `choose_n_components`.

        random_state : int, RandomState instance or None, default=None
            Shuffles the rows where `cv` is an int.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.errorbar` for the autoencoder's curve.

        pca_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.errorbar` for PCA's curve.

        chosen_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.axvline` for the size that was chosen.

        rule_line_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot` for what it was measured by.

        Returns
        -------
        display : ComponentsSweepDisplay
            With the numbers and what was drawn.

        See Also
        --------
        skae.choose_n_components : The same without a picture; it returns the model.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skae import AutoencoderTransformer, ComponentsSweepDisplay
        >>> display = ComponentsSweepDisplay.from_estimator(
        ...     AutoencoderTransformer(max_epochs=5), load_iris().data, max_error=0.1
        ... )
        >>> display.n_components.tolist()
        [1, 2, 3]
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        search = choose_n_components(
            estimator,
            X,
            y,
            n_components=n_components,
            max_error=max_error,
            cv=cv,
            groups=groups,
            n_jobs=n_jobs,
            verbose=verbose,
            random_state=random_state,
        )
        style = {"line_kw": line_kw, "pca_line_kw": pca_line_kw}
        style |= {"chosen_line_kw": chosen_line_kw, "rule_line_kw": rule_line_kw}
        return cls.from_search(search, ax=ax, **style)


def _styled(defaults, chosen):
    """Return keywords of a line: the user's, and defaults for the others."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return {**defaults, **normalize_kwargs(chosen or {}, Line2D)}
