"""Warnings point at the line of the user's, whatever lies between."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

# A code as wide as X, and an epoch that ends worse than the mean.
X = np.random.default_rng(0).normal(size=(60, 3)) * [1, 1, 0] + 1
poor = AutoencoderTransformer(3, init="random", max_epochs=1, random_state=0)


@pytest.mark.parametrize(
    "use",
    [
        poor.fit,
        make_pipeline(StandardScaler(with_std=False), poor).fit,
        GridSearchCV(poor, {"max_epochs": [1, 2]}, cv=2).fit,
        poor.fit_transform,
    ],
    ids=["fit", "pipeline", "search", "fit_transform"],
)
def test_warnings_of_a_fit_point_at_the_call(use):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        use(X)
    assert {warning.filename for warning in seen} == {__file__}
    assert len({str(warning.message) for warning in seen}) >= 2
