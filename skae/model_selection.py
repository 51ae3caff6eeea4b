"""`choose_n_components`: how many components, and which widths.

scikit-learn's searches do the searching; what is here is what they compare (the error
of rows that were held out, with PCA's beside it) and the rule that chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, check_cv
from sklearn.pipeline import Pipeline

from skae._autoencoder import AutoencoderTransformer
from skae._data.reading import read_numbers
from skae._fitting.parameters import check_hidden_layer_sizes
from skae._parts import check_is_no_class
from skae._sweep import errors_by_row, fold_scores, pca_errors, standard_error
from skae._typing import ArrayLike, MatrixLike, RandomState, Sizes, Splitter
from skae._warnings import warn

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["ComponentsChoice", "choose_n_components"]

MOST_COMPONENTS, N_SIZES = 64, 10  # of the sizes that are compared by default
FEWEST_SIZES = 3  # that have a bend between them
LEAST_BEND = 0.1  # of the fall of the error (benchmarks/choose_size.py)


class ComponentsChoice:
    """What `choose_n_components` found.

    Errors are the share of the variance of held-out rows that is not rebuilt: 0 for a
    perfect reconstruction, 1 for one no better than the mean of each feature.

    Attributes
    ----------
    n_components_ : int
        The size that was chosen.

    rule_ : {"bend", "one standard error", "max_error"}
        The rule that chose it.

    max_error_ : float or None
        The largest error that will do, if that was asked for.

    table_ : DataFrame
        One row per size, which is the index. ``error`` is the mean over folds,
        ``std_error`` its standard error, ``pca_error`` and ``pca_std_error`` are PCA's
        on the same folds, ``seconds`` is the mean time of a fit.

    best_params_ : dict
        The parameters chosen, for `set_params`.

    best_estimator_ : estimator
        A copy with these parameters, fitted to all rows.

    widths_table_ : DataFrame or None
        One row per network and round of the search for widths: ``hidden_layer_sizes``,
        ``max_epochs``, ``error``, ``std_error`` and ``seconds``, the best one of the
        last round on top; None if widths were not searched.

    See Also
    --------
    skae.displays.ComponentsSweepDisplay : The table as a picture.
    """

    def __init__(
        self,
        n_components: int,
        rule: Literal["bend", "one standard error", "max_error"],
        max_error: float | None,
        table: DataFrame,
        best_params: dict[str, Any],
        best_estimator: AutoencoderTransformer | Pipeline,
        widths_table: DataFrame | None,
    ) -> None:
        self.n_components_ = n_components
        self.rule_ = rule
        self.max_error_ = max_error
        self.table_ = table
        self.best_params_ = best_params
        self.best_estimator_ = best_estimator
        self.widths_table_ = widths_table

    def __repr__(self) -> str:
        return f"{type(self).__name__}(best_params_={self.best_params_})\n{self.table_}"


def choose_n_components(
    estimator: AutoencoderTransformer | Pipeline,
    X: MatrixLike | Sequence[object],
    y: ArrayLike | None = None,
    *,
    n_components: Iterable[int] | None = None,
    hidden_layer_sizes: Iterable[Sizes | Literal["auto"]] | None = None,
    max_error: float | None = None,
    cv: int | Splitter | Iterable[tuple[ArrayLike, ArrayLike]] = 3,
    groups: ArrayLike | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    random_state: RandomState = None,
) -> ComponentsChoice:
    """Compare codes of several sizes on held-out rows, and choose one.

    A larger code rebuilds held-out rows better nearly always, noise included, so that
    the smallest error chooses nothing. Chosen is the bend: the size up to which a
    component gains more than the average one of the range does. See Notes.

    Parameters
    ----------
    estimator : AutoencoderTransformer or Pipeline that ends with one
        Copied, never fitted. In a pipeline errors are those of what the autoencoder
        gets.

    X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
        Rows; whatever the first step takes.

    y : array-like of shape (n_samples,), default=None
        For `cv` and for the other steps of a pipeline.

    n_components : sequence of int, default=None
        Sizes to compare, at least three; two will do with `max_error`. None is up to
        ten from 1 to half the number of features or of training rows, at most 64, each
        about as many times larger than the one before. The bend depends on the largest
        one: see Notes.

    hidden_layer_sizes : list of tuple of int, default=None
        Networks to compare once the number of components is chosen; "auto" may be among
        them. None keeps that of `estimator`.

    max_error : float, default=None
        If given, chosen are the fewest components whose mean error is at most that, in
        (0, 1), instead of the bend.

    cv : int, splitter or iterable of (train, test), default=3
        Folds. An int is a `KFold` that shuffles.

    groups : array-like of shape (n_samples,), default=None
        Of the rows, for splitters that ask for it.

    n_jobs : int, default=None
        Fits at a time, as in `GridSearchCV`.

    verbose : int, default=0
        Above 0 it is told how many fits there are, above 1 each one, as in
        `GridSearchCV`.

    random_state : int, RandomState instance or None, default=None
        Shuffles the rows where `cv` is an int.

    Returns
    -------
    choice : ComponentsChoice
        With `n_components_`, `best_params_`, `best_estimator_` and `table_`.

    Raises
    ------
    TypeError
        If `estimator` is nothing that ends with an AutoencoderTransformer.

    ValueError
        If sizes, widths or folds leave nothing to choose, or a fit raises it.

    Warns
    -----
    UserWarning
        If there is no bend, or no size whose error is at most `max_error`.

    See Also
    --------
    skae.displays.ComponentsSweepDisplay : Errors over sizes as a picture.
    sklearn.model_selection.GridSearchCV : By what a later step makes of the codes.

    Notes
    -----
    e(k) is the mean over folds of ``1 - score`` with k components, from the smallest
    size a to the largest b. The bend is where e is farthest below the line from
    (a, e(a)) to (b, e(b)) [1]_: up to there a component gains more than the average one
    of the range does, from there on less. So it moves with b, which should be a size
    that you could live with.

    Where that is less than a tenth of e(a) - e(b) below the line there is no bend: so
    much is found in noise too. Then the rule of one standard error [2]_ chooses, the
    smallest size whose error is within one standard error of the smallest one, and a
    warning says so.

    Sizes are searched by `GridSearchCV`, as the rule needs the whole curve. Widths are
    searched by `HalvingGridSearchCV` with the size that was chosen, as there the
    smallest error counts: all networks are trained for few epochs, the better third for
    three times as many, and so on up to `max_epochs`, each with a whole schedule.

    References
    ----------
    .. [1] Satopaa et al. (2011), "Finding a 'kneedle' in a haystack: detecting knee
       points in system behavior", ICDCS Workshops.
    .. [2] Breiman, Friedman, Olshen and Stone (1984), "Classification and regression
       trees", section 3.4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer, choose_n_components
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 3)) @ rng.normal(size=(3, 10))
    >>> X += 0.1 * rng.normal(size=X.shape)  # three components and noise
    >>> autoencoder = AutoencoderTransformer(max_epochs=5, random_state=0)
    >>> choice = choose_n_components(autoencoder, X, n_components=range(1, 9))
    >>> choice.best_params_
    {'n_components': 3}
    """
    head, last, prefix = _parts(estimator)
    _check_max_error(max_error)
    widths = _checked_widths(hidden_layer_sizes, last.network)
    rows = X if head is None else clone(head).fit_transform(X, y)
    n_features = _count_features(last, rows)
    folds = _folds(cv, X, y, groups, random_state)
    most = min(n_features, *(len(train) for train, _ in folds))
    sizes = _checked_sizes(n_components, most, max_error)
    options = {"cv": folds, "n_jobs": n_jobs, "error_score": "raise"}
    name = f"{prefix}n_components"
    results = _search_sizes(estimator, {name: sizes}, X, y, verbose, options)
    errors = 1 - fold_scores(results)
    n_axes = max(min(max(sizes), most - sp.issparse(rows)), 1)
    rival = pca_errors(head, n_axes, sizes, X, y, options)
    table = errors_by_row(errors, sizes, results["mean_fit_time"], rival)
    chosen, rule = _choose(np.array(sizes), errors, max_error)
    params = {name: sizes[chosen]}
    best, widths_table = clone(estimator).set_params(**params).fit(X, y), None
    if widths is not None and _has_trained(best):
        name, options = f"{prefix}hidden_layer_sizes", {**options, "verbose": verbose}
        params[name], widths_table = _search_widths(best, name, widths, X, y, options)
        best = clone(best).set_params(**params).fit(X, y)
    table = table.rename_axis("n_components")
    return ComponentsChoice(
        sizes[chosen], rule, max_error, table, params, best, widths_table
    )


# What is asked for


def _parts(estimator):
    """Return the steps before the autoencoder or None, itself, and its prefix."""
    check_is_no_class("estimator", estimator)
    head, last, prefix = None, estimator, ""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        prefix = f"{name}__"
        head = estimator[:-1] if len(estimator.steps) > 1 else None
    if not isinstance(last, AutoencoderTransformer):
        raise TypeError(
            "estimator must be an AutoencoderTransformer, or a Pipeline whose last "
            f"step is one; it ends with a {type(last).__name__}. Where a later step "
            "is to judge the codes, search n_components with GridSearchCV."
        )
    return head, last, prefix


def _check_max_error(max_error):
    is_share = isinstance(max_error, Real) and 0 < max_error < 1
    if max_error is not None and not is_share:
        raise ValueError(
            f"max_error={max_error!r} must be a share of the variance in (0, 1), such "
            "as 0.1 for codes that rebuild 90% of it, or None."
        )


def _checked_widths(candidates, network):
    """Return the networks to compare, or None."""
    if candidates is None:
        return None
    is_list = isinstance(candidates, Iterable) and not isinstance(candidates, str)
    widths = list(candidates) if is_list else []
    if not all(one == "auto" or isinstance(one, (tuple, list)) for one in widths):
        widths = []
    if len(widths) < 2:
        raise ValueError(
            f"hidden_layer_sizes={candidates!r} must be a list of at least two "
            "networks to compare, such as [(64,), (128, 64), 'auto'], or None."
        )
    if not isinstance(network, str):
        raise ValueError(
            "hidden_layer_sizes does not shape a network of your own. Search its own "
            "settings with GridSearchCV, and leave hidden_layer_sizes out."
        )
    for one in widths:
        check_hidden_layer_sizes(one)
    return [one if one == "auto" else tuple(one) for one in widths]


def _count_features(last, rows):
    """Check the rows that the autoencoder gets, and count their features."""
    probe = clone(last)
    read_numbers(probe, rows, reset=True)
    return probe.n_features_in_


def _folds(cv, X, y, groups, random_state):
    """Return the folds as pairs of row numbers, the same for all that is compared."""
    if isinstance(cv, Integral):
        cv = KFold(cv, shuffle=True, random_state=random_state)
    folds = list(check_cv(cv).split(X, y, groups))
    if len(folds) < 2:
        raise ValueError(
            f"cv={cv!r} gives {len(folds)} fold; it takes at least two to tell a "
            "difference from chance."
        )
    return folds


def _checked_sizes(n_components, most, max_error):
    """Return the sizes to compare, in order."""
    fewest = FEWEST_SIZES if max_error is None else 2
    if n_components is None:
        largest = min(max(most // 2, FEWEST_SIZES), most - 1, MOST_COMPONENTS)
        sizes = np.geomspace(1, largest, N_SIZES).round() if largest > 1 else [1]
        what = f"X, of {most} features or rows to train on, allows codes of {largest}"
    else:
        is_list = isinstance(n_components, Iterable)
        sizes = list(n_components) if is_list else [n_components]
        what = f"n_components={n_components!r} has that many"
        for size in sizes:
            if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
                raise ValueError(
                    f"n_components={n_components!r} has the size {size!r}; sizes are "
                    "whole numbers of at least 1."
                )
    sizes = sorted({int(size) for size in sizes})
    if len(sizes) < fewest:
        raise ValueError(
            f"It takes at least {fewest} sizes to choose one. {what}. Pass more sizes "
            "as n_components, such as [2, 4, 8, 16]."
        )
    return sizes


def _search_sizes(estimator, grid, X, y, verbose, options):
    """Return the results of a search that fits each size in each fold."""
    search = GridSearchCV(estimator, grid, refit=False, verbose=verbose, **options)
    return search.fit(X, y).cv_results_


# Rules


def _choose(sizes, errors, max_error):
    """Return the place of the chosen size, and the name of the rule."""
    means = errors.mean(1)
    if max_error is not None:
        enough = np.flatnonzero(means <= max_error)
        if len(enough) == 0:
            warn(
                f"No size has an error of at most max_error={max_error:g}; the "
                f"smallest is {means.min():.3g}. Pass larger sizes as n_components, or "
                "a larger max_error."
            )
        return int(enough[0] if len(enough) else means.argmin()), "max_error"
    chosen = _bend(sizes, means)
    if chosen is not None:
        return chosen, "bend"
    least = means.min() + standard_error(errors)[means.argmin()]
    chosen = int(np.flatnonzero(means <= least)[0])
    warn(
        f"From {sizes[0]} to {sizes[-1]} components the error has no bend. "
        f"Chosen is {sizes[chosen]}, the smallest size within one standard error of "
        "the smallest error. Pass other sizes as n_components, or max_error."
    )
    return chosen, "one standard error"


def _bend(sizes, means):
    """Return the place of the bend, or None if there is none."""
    way = (sizes - sizes[0]) / (sizes[-1] - sizes[0])
    depth = means[0] + way * (means[-1] - means[0]) - means
    deepest = int(depth.argmax())
    least = LEAST_BEND * abs(means[0] - means[-1])
    return deepest if depth[deepest] > least else None


# Widths


def _has_trained(fitted):
    """Tell whether a network was trained; warn if not, as its widths say nothing."""
    if _last(fitted).n_epochs_ > 0:
        return True
    warn(
        "With these rows the model is PCA and no network is trained, so that widths "
        "were not searched. Leave hidden_layer_sizes out, or pass more rows."
    )
    return False


def _last(estimator):
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def _search_widths(fitted, name, widths, X, y, options):
    """Return the best widths, and a table of the search."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    last = _last(fitted)
    n_epochs = last.n_epochs_ if last.max_epochs == "auto" else last.max_epochs
    search = HalvingGridSearchCV(
        fitted,
        {name: widths},
        resource=name.replace("hidden_layer_sizes", "max_epochs"),
        max_resources=n_epochs,
        return_train_score=False,
        refit=False,
        **options,
    ).fit(X, y)
    results = search.cv_results_
    table = errors_by_row(1 - fold_scores(results), None, results["mean_fit_time"])
    table.insert(0, "hidden_layer_sizes", [one[name] for one in results["params"]])
    table.insert(1, "max_epochs", results["n_resources"])
    order = np.lexsort((table["error"], -results["iter"]))
    return search.best_params_[name], table.iloc[order].reset_index(drop=True)
