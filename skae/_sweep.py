"""Errors of held-out rows over folds, and PCA's on the same folds."""

import re
from functools import partial

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

__all__ = ["errors_by_row", "fold_scores", "pca_errors", "standard_error"]


def fold_scores(results):
    """Return the scores of each candidate in each fold."""
    names = [name for name in results if re.fullmatch(r"split\d+_test_score", name)]
    return np.column_stack([results[name] for name in names])


def errors_by_row(errors, index, seconds, rival=None):
    """Return means over folds, with their standard errors."""
    import pandas as pd

    columns = {"error": errors.mean(1), "std_error": standard_error(errors)}
    if rival is not None:
        columns["pca_error"] = rival.mean(1)
        columns["pca_std_error"] = standard_error(rival)
    return pd.DataFrame({**columns, "seconds": seconds}, index=index)


def standard_error(values):
    return values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])


def pca_errors(head, n_axes, sizes, X, y, options):
    """Return PCA's error with each size in each fold, from one PCA per fold."""
    steps = [] if head is None else head.steps
    pca = [("rows", FunctionTransformer(_flat)), ("pca", PCA(n_axes, random_state=0))]
    scoring = partial(_errors_of_pca, sizes=sizes)
    scores = cross_validate(Pipeline([*steps, *pca]), X, y, scoring=scoring, **options)
    return np.array([scores[f"test_{size}"] for size in sizes])


def _flat(X):
    """Return images as rows."""
    return X.reshape(len(X), -1) if getattr(X, "ndim", 2) > 2 else X


def _errors_of_pca(pipeline, X, y=None, *, sizes):
    """Return the share of the variance that the first 1, 2, ... axes do not rebuild."""
    rows, pca = pipeline[:-1].transform(X), pipeline[-1]
    code = np.asarray(pca.transform(rows), np.float64)
    rebuilt = np.cumsum(np.square(code).sum(0))
    rows = rows if sp.issparse(rows) else np.asarray(rows, np.float64)
    left = _squares(rows, pca.mean_) - rebuilt
    total = _squares(rows, np.asarray(rows.mean(0)).ravel()) or 1.0
    return {str(k): max(left[min(k, len(left)) - 1] / total, 0.0) for k in sizes}


def _squares(rows, center):
    """Return the sum of the squares of rows minus a center."""
    if not sp.issparse(rows):
        return np.square(rows - center).sum()
    crossed = np.asarray(rows.sum(0)).ravel() @ center
    return rows.multiply(rows).sum() - 2 * crossed + rows.shape[0] * center @ center
