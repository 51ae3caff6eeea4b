"""scikit-learn's own checks, over several settings."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # or check_array_api_input skips itself

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skae import AutoencoderTransformer

SETTINGS = {
    "default": {},
    "random": {"init": "random", "max_epochs": 10},
    "linear": {"hidden_layer_sizes": (), "init": "random", "max_epochs": 10},
    "trained": {"early_stopping": False, "max_epochs": 10},
    "absolute_error": {"loss": "absolute_error", "init": "random", "max_epochs": 10},
    "huber": {"loss": "huber", "early_stopping": False, "max_epochs": 10},
    "overcomplete": {"n_components": 50, "early_stopping": False, "max_epochs": 10},
    "overrandom": {"n_components": 50, "init": "random"},
    "float32": {"precision": "float32"},
    "float32tr": {"precision": "float32", "early_stopping": False},
    "rd": {"init": "random"},
    "tr": {"early_stopping": False},
}
ESTIMATORS = [AutoencoderTransformer(**setting) for setting in SETTINGS.values()]

# scikit-learn runs these on its own estimators but yields them to nobody else.
NOT_YIELDED = [
    "check_get_feature_names_out_error",
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_estimators_partial_fit_n_features",
]


@parametrize_with_checks(ESTIMATORS)
def test_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", NOT_YIELDED)
@pytest.mark.parametrize("setting", SETTINGS)
def test_check_not_yielded(setting, name):
    estimator = AutoencoderTransformer(**SETTINGS[setting])
    getattr(estimator_checks, name)("AutoencoderTransformer", estimator)
