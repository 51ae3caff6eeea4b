"""scikit-learn's own checks, over several settings."""

import os
from collections import ChainMap
from itertools import zip_longest

os.environ["SCIPY_ARRAY_API"] = "1"  # or check_array_api_input skips itself

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skae import AutoencoderTransformer
from skae.bottlenecks import BOTTLENECKS
from skae.corruption import CORRUPTIONS
from skae.losses import LOSSES
from skae.penalties import PENALTIES

TRAINED = {"max_epochs": 2, "hidden_layer_sizes": (8,), "early_stopping": False}
FOR_IMAGES = {"block_masking", "down_up_sampling"}
# The checks know of X that is never negative, but not of X in [0, 1].
OTHER_LOSSES = {"squared_error", "absolute_error", "huber", "log_loss"}  # see below
PARTS = {
    "bottleneck": [*BOTTLENECKS],
    "loss": [name for name in LOSSES if name not in OTHER_LOSSES],
    "penalty": sorted(PENALTIES),  # contractive is not for vector_quantized
    "corruption": [name for name in CORRUPTIONS if name not in FOR_IMAGES],
    "density": ["gaussian_mixture"],
}
# What these do does not follow the weights of rows, see `expected_failures`.
DRAWING = {"variational", "wae", "ordered", *CORRUPTIONS}
OVER_BATCHES = {*PENALTIES} - {"l2"} | {"vector_quantized"}


def together(are_exact):
    """Return settings with every part once: one part of each kind at a time."""
    inexact = DRAWING | OVER_BATCHES
    parts = [
        [{kind: name} for name in names if (name not in inexact) == are_exact]
        for kind, names in PARTS.items()
    ]
    rows = zip_longest(*parts, fillvalue={})
    settings = [dict(ChainMap(*row)) for row in rows]
    return {", ".join(one.values()): one | TRAINED for one in settings}


SETTINGS = {
    "default": {},
    "random": {"init": "random", "max_epochs": 5},
    "trained": {"early_stopping": False, "max_epochs": 5},
    "absolute error, no hidden layer": {
        "loss": "absolute_error",
        "hidden_layer_sizes": (),
        "init": "random",
        "max_epochs": 5,
    },
    "huber, overcomplete": {
        "loss": "huber",
        "n_components": 50,
        "early_stopping": False,
        "max_epochs": 2,
    },
    "random overcomplete": {"n_components": 50, "init": "random", "max_epochs": 5},
    "linear, trained from PCA": {
        "hidden_layer_sizes": (),
        "early_stopping": False,
        "max_epochs": 5,
        "solver": "adam",
    },
    "float32": {"precision": "float32", "max_epochs": 5},
    "trained in float32": {"precision": "float32", "init": "random", "max_epochs": 5},
    "share of the variance": {"n_components": 0.5, "max_epochs": 5},
    "batches of 7, warm start": {
        "batch_size": 7,
        "init": "random",
        "max_epochs": 2,
        "warm_start": True,
    },
    **together(are_exact=True),
    **together(are_exact=False),
}
ESTIMATORS = [AutoencoderTransformer(**setting) for setting in SETTINGS.values()]

# scikit-learn runs these on its own estimators, but yields them to nobody else.
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

N_REPEATED = 30  # rows at least, in the check of weights
# These fit twice and compare.
FITTING_TWICE = [
    "check_pipeline_consistency",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_set_output_transform",
]

# The checks train on tiny data and mix data with and without feature names.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def is_pca_trained_on(estimator):
    """Tell whether a linear network is trained from PCA, which is its best already."""
    is_linear = estimator.hidden_layer_sizes == () or estimator.activation == "identity"
    is_judged = estimator.early_stopping is not False
    return is_linear and estimator.init == "pca" and not is_judged


def why_weights_are_not_repetitions(estimator):
    """Return the reason, or None."""
    parts = {estimator.bottleneck, estimator.penalty, estimator.corruption}
    if parts & DRAWING:
        return "chance falls differently on weights and on repetitions"
    if parts & OVER_BATCHES:
        return "what is taken over a batch does not know the weights"
    if estimator.batch_size != "auto" and estimator.batch_size < N_REPEATED:
        return "batches fall differently on weights and on repetitions"
    if is_pca_trained_on(estimator):
        return "at PCA gradients are rounding errors, which Adam scales up"
    is_trained = estimator.init == "random" or estimator.early_stopping is False
    if estimator.precision in ("float32", "mixed") and is_trained:
        return f"weights and repetitions differ by {estimator.precision} rounding"
    return None


def expected_failures(estimator):
    """Return the names of the checks that fail, each with the reason."""
    expected = {}
    if reason := why_weights_are_not_repetitions(estimator):
        name = "check_sample_weight_equivalence_on_{}_data"
        expected |= {name.format(kind): reason for kind in ("dense", "sparse")}
    if estimator.warm_start:
        reason = "warm_start=True: a fit goes on from the one before"
        expected |= dict.fromkeys(FITTING_TWICE, reason)
    return expected


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", NOT_YIELDED)
@pytest.mark.parametrize("setting", ["default", "trained", "share of the variance"])
def test_check_not_yielded(setting, name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip("this scikit-learn does not have the check")
    check("AutoencoderTransformer", AutoencoderTransformer(**SETTINGS[setting]))


def test_every_check_passes_and_none_is_skipped():
    results = check_estimator(AutoencoderTransformer(max_epochs=5), on_skip=None)
    assert {result["status"] for result in results} == {"passed"}
