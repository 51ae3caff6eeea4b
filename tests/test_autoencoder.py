"""What the estimator promises: PCA or better, in the manners of scikit-learn."""

import copy
import functools
import gc
import inspect
import io
import itertools
import logging
import os
import pickle
import re
import weakref
from multiprocessing import get_context

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import gammaln
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_s_curve, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skae import AutoencoderTransformer, dump, load
from skae.losses import LOSSES, Huber, SquaredError
from skae.networks import MLPAutoencoder

# A few epochs of counts leave more squared error than PCA.
pytestmark = pytest.mark.filterwarnings("ignore:.*asks for more than squared errors")

NOISE = np.random.default_rng(0).normal(size=(50, 5))  # too few rows to judge by
WEIGHT = np.arange(50.0)
LABELS = np.arange(50) % 2


def circle(n_samples, seed=0):
    """Return noisy points on a closed curve in space."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n_samples)
    curve = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    return curve + 0.05 * rng.normal(size=curve.shape)


def autoencoder(n_components=2, **parameters):
    """Return an estimator that trains for three epochs, however few the rows."""
    quick = {"early_stopping": False, "max_epochs": 3}
    if isinstance(parameters.get("network", "auto"), str):
        quick["hidden_layer_sizes"] = (8,)
    quick |= {"alpha": 0.01, "learning_rate": 2e-3, "random_state": 0, **parameters}
    return AutoencoderTransformer(n_components, **quick)


class Dense(nn.Module):
    """A user's network, with what changes between training and use."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_features, 16), nn.Tanh(), nn.Dropout(0.1), nn.BatchNorm1d(16)
        )
        self.code = nn.Linear(16, n_components)
        self.decode = nn.Sequential(
            nn.Linear(n_components, 16), nn.Tanh(), nn.Linear(16, n_features)
        )

    def encode(self, X):
        return self.code(self.encoder(X))


class Convolutional(nn.Module):
    """A user's network that sees a row as a signal."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.convolution = nn.Conv1d(1, 2, kernel_size=3, padding=1)
        self.code = nn.Linear(2 * n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)

    def encode(self, X):
        signal = X[:, None]  # (n_samples, 1, n_features)
        return self.code(torch.tanh(self.convolution(signal)).flatten(1))


NETWORKS = ["mlp", Dense, Convolutional]

# With few rows: PCA


@pytest.mark.parametrize("n_components", [1, 3, 5])
@pytest.mark.parametrize("shape", [(159, 8), (20, 30), (10, 6)])
def test_few_rows_give_the_codes_of_pca(shape, n_components):
    X = np.random.default_rng(1).normal(size=shape) + 3
    code = AutoencoderTransformer(n_components).fit_transform(X)
    pca = PCA(n_components, svd_solver="full").fit(X)
    assert_allclose(code, pca.transform(X), atol=1e-10)


def test_few_rows_give_the_reconstruction_of_pca():
    estimator, pca = AutoencoderTransformer().fit(NOISE), PCA(2).fit(NOISE)
    code = pca.transform(NOISE)
    assert_allclose(estimator.inverse_transform(code), pca.inverse_transform(code))


def test_few_rows_give_the_attributes_of_pca():
    estimator, pca = AutoencoderTransformer().fit(NOISE), PCA(2).fit(NOISE)
    assert_allclose(estimator.mean_, pca.mean_, atol=1e-15)
    assert_allclose(estimator.components_, pca.components_, atol=1e-12)
    # PCA divides by n_samples - 1.
    assert_allclose(estimator.explained_variance_ * 50 / 49, pca.explained_variance_)


def test_codes_beyond_the_rank_are_zero():
    X = np.random.default_rng(1).normal(size=(10, 30))
    code = AutoencoderTransformer(20).fit_transform(X)
    assert_allclose(code[:, :9], PCA(9).fit_transform(X), atol=1e-10)
    assert_array_equal(code[:, 9:], np.zeros((10, 11)))


def test_few_rows_prove_nothing():
    estimator = AutoencoderTransformer().fit(NOISE[:19])
    assert estimator.proven_ is False
    assert estimator.n_epochs_ == 0
    assert estimator.loss_curve_ == []


def test_history_of_pca_has_columns_and_no_rows():
    history = AutoencoderTransformer().fit(NOISE[:19]).history_
    assert len(history) == 0
    assert list(history.columns) == ["epoch", "dur", "train_loss"]


def test_scale_is_the_root_of_the_mean_variance():
    scaler = StandardScaler().fit(NOISE)
    assert_allclose(
        AutoencoderTransformer().fit(NOISE).scale_, np.sqrt(scaler.var_.mean())
    )


def test_weighted_start_is_pca_of_repeated_rows():
    weight = np.arange(10)
    estimator = AutoencoderTransformer().fit(NOISE[:10], sample_weight=weight)
    pca = PCA(2).fit(np.repeat(NOISE[:10], weight, axis=0))
    assert_allclose(estimator.transform(NOISE), pca.transform(NOISE), atol=1e-10)


# With many rows: PCA or better


@pytest.fixture(scope="module")
def trained():
    """Return an estimator that was proven on a circle."""
    return AutoencoderTransformer(1, max_epochs=60, random_state=0).fit(circle(200))


def pca_error(pca, X):
    return ((X - pca.inverse_transform(pca.transform(X))) ** 2).mean()


def test_circle_is_proven_better_than_pca(trained):
    fresh = circle(200, seed=1)
    assert trained.proven_ is True
    error = trained.reconstruction_error(fresh).mean()
    assert error < 0.7 * pca_error(PCA(1).fit(circle(200)), fresh)


@pytest.mark.parametrize("make", [make_swiss_roll, make_s_curve])
def test_curved_sheets_are_proven_better_than_pca(make):
    X, fresh = (make(200, random_state=seed)[0] for seed in (0, 1))
    estimator = AutoencoderTransformer(max_epochs=60, random_state=0).fit(X)
    assert estimator.proven_ is True
    error = estimator.reconstruction_error(fresh).mean()
    assert error < 0.8 * pca_error(PCA(2).fit(X), fresh)


@pytest.mark.parametrize("solver", ["adamw", "adam", "sgd"])
def test_every_solver_is_proven_by_default(solver):
    X = make_s_curve(600, random_state=0)[0]
    assert AutoencoderTransformer(solver=solver, random_state=0).fit(X).proven_ is True


def test_noise_gives_pca_of_all_rows():
    X = np.random.default_rng(0).normal(size=(200, 5))
    estimator = AutoencoderTransformer(max_epochs=20, random_state=0).fit(X)
    assert estimator.proven_ is False
    assert_allclose(estimator.transform(X), PCA(2).fit_transform(X), atol=1e-6)


def test_proven_means_a_lower_held_out_loss_than_pca(trained):
    assert trained.validation_loss_ == min(trained.validation_loss_curve_)
    assert trained.validation_loss_ < trained.pca_loss_


def test_pca_loss_is_that_of_pca_of_the_training_rows():
    X = circle(100)
    estimator = autoencoder(1, early_stopping=True, callbacks=[Spy()]).fit(X)
    train, valid = X[Spy.train.index], X[Spy.valid.index]
    expected = pca_error(PCA(1).fit(train), valid) / train.var(axis=0).mean()
    assert_allclose(estimator.pca_loss_, expected)
    assert_allclose(estimator.history_["pca_loss"], [expected] * 3)


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_history_has_the_loss_of_pca_only_where_it_was_judged(init):
    estimator = autoencoder(1, init=init, early_stopping=True).fit(circle(100))
    columns = ["epoch", "dur", "train_loss", "valid_loss", "pca_loss"]
    assert list(estimator.history_.columns) == columns[: 5 if init == "pca" else 4]


def test_history_forgets_the_loss_of_pca_where_training_goes_on_unjudged():
    estimator = autoencoder(1, early_stopping=True).fit(circle(100))
    history = estimator.partial_fit(circle(100)).history_
    assert "pca_loss" not in history
    assert_array_equal(np.isnan(history["valid_loss"]), [False, False, False, True])


@pytest.mark.parametrize(
    "parameters",
    [{"early_stopping": False}, {"init": "random"}, {"loss": "log_loss"}],
    ids=["nothing held out", "random", "link"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_was_not_judged_is_not_proven(parameters):
    estimator = autoencoder(1, **{"early_stopping": True, **parameters})
    assert estimator.fit(circle(80).clip(0, 1)).proven_ is None


@pytest.mark.parametrize(
    ("n_samples", "verdict"), [(19, "too few"), (20, "PCA of all rows")]
)
def test_verdict_is_logged(caplog, n_samples, verdict):
    X = np.random.default_rng(0).normal(size=(n_samples, 5))
    with caplog.at_level(logging.INFO, logger="skae"):
        autoencoder(early_stopping="auto").fit(X)
    assert verdict in caplog.text


def test_nothing_is_logged_as_a_warning(caplog):
    autoencoder(early_stopping="auto").fit(NOISE)
    assert caplog.records == []


def test_random_start_that_did_not_converge_warns():
    estimator = autoencoder(init="random", max_epochs=1)
    with pytest.warns(ConvergenceWarning, match="worse than .*max_epochs"):
        estimator.fit(NOISE)


@pytest.mark.parametrize("n_components", [5, 50])
def test_code_as_wide_as_the_data_warns(n_components):
    with pytest.warns(UserWarning, match=f"n_components={n_components} is not smaller"):
        code = AutoencoderTransformer(n_components).fit_transform(NOISE)
    assert code.shape == (50, n_components)


def test_warning_points_to_the_caller():
    with pytest.warns(UserWarning, match="not smaller") as caught:
        AutoencoderTransformer(5).fit(NOISE)
    assert caught[0].filename == __file__


# Codes and reconstructions


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_reconstruct_is_inverse_transform_of_transform(network, dtype, loss):
    X = NOISE.clip(0, 1).astype(dtype)
    estimator = autoencoder(network=network, loss=loss).fit(X)
    decoded = estimator.inverse_transform(estimator.transform(X))
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert_allclose(decoded, estimator.reconstruct(X), rtol=0, atol=tolerance)


@pytest.mark.parametrize("precision", ["auto", "mixed", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["transform", "inverse_transform", "reconstruct"])
def test_results_have_the_dtype_of_the_data(method, dtype, precision):
    X = NOISE.astype(dtype)
    estimator = autoencoder(precision=precision).fit(X)
    argument = X[:, :2] if method == "inverse_transform" else X
    assert getattr(estimator, method)(argument).dtype == dtype


@pytest.mark.parametrize("precision", ["mixed", "float32", "float64"])
def test_given_precision_is_shown(precision):
    assert autoencoder(precision=precision).fit(NOISE).precision_ == precision


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_fit_has_the_precision_of_the_data(dtype):
    assert autoencoder().fit(NOISE.astype(dtype)).precision_ == dtype


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_code_of_a_row_does_not_depend_on_the_others(network, precision):
    estimator = autoencoder(network=network, precision=precision).fit(NOISE)
    one_by_one = np.vstack([estimator.transform(row[None]) for row in NOISE])
    assert_allclose(one_by_one, estimator.transform(NOISE), rtol=1e-12, atol=1e-12)


def test_many_rows_are_encoded_like_few():
    estimator = autoencoder().fit(NOISE)
    many = np.tile(NOISE, (200, 1))  # more than one block
    assert_allclose(
        estimator.transform(many), np.tile(estimator.transform(NOISE), (200, 1))
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_encoder_and_decoder_are_modules_from_data_to_data(init, loss):
    X = NOISE.clip(0, 1)
    estimator = autoencoder(init=init, loss=loss).fit(X)
    with torch.no_grad():
        code = estimator.encoder_(torch.from_numpy(X))
        decoded = estimator.decoder_(code)
    assert_allclose(code.numpy(), estimator.transform(X), atol=1e-12)
    assert_allclose(decoded.numpy(), estimator.reconstruct(X), atol=1e-12)


def test_encoder_has_the_dtype_of_the_weights():
    encoder = autoencoder().fit(NOISE.astype(np.float32)).encoder_
    assert encoder(torch.zeros(1, 5)).dtype == torch.float32


@pytest.mark.parametrize("name", ["encoder_", "decoder_"])
def test_encoder_and_decoder_are_ready_for_use(name):
    assert not getattr(autoencoder().fit(NOISE), name).training


def test_training_mode_of_the_encoder_does_not_change_codes():
    estimator = autoencoder(network=Dense).fit(NOISE)
    code = estimator.transform(NOISE)
    estimator.encoder_.train()
    assert_array_equal(estimator.transform(NOISE), code)


@pytest.mark.parametrize(
    "name",
    [
        *("encoder_", "decoder_", "history_", "net_", "n_components_"),
        *("hidden_layer_sizes_", "n_parameters_", "validation_loss_"),
    ],
)
def test_unfitted_estimator_has_no_attributes_ending_in_an_underscore(name):
    assert not hasattr(AutoencoderTransformer(), name)


@pytest.mark.parametrize(
    "method",
    ["transform", "inverse_transform", "reconstruct", "score", "score_samples"],
)
def test_unfitted_estimator_says_so(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(AutoencoderTransformer(), method)(NOISE)


# Scores


def test_score_is_the_share_of_variance_explained():
    estimator = autoencoder().fit(NOISE)
    sse = ((NOISE - estimator.reconstruct(NOISE)) ** 2).sum()
    sst = ((NOISE - NOISE.mean(axis=0)) ** 2).sum()
    assert_allclose(estimator.score(NOISE), 1 - sse / sst)


@pytest.mark.parametrize("loss", LOSSES)
def test_weighted_score_is_the_share_of_weighted_variance(loss):
    X = NOISE.clip(0, 1)
    estimator = autoencoder(loss=loss).fit(X)
    mean = np.average(X, axis=0, weights=WEIGHT)
    sse = WEIGHT @ ((X - estimator.reconstruct(X)) ** 2).sum(axis=1)
    sst = WEIGHT @ ((X - mean) ** 2).sum(axis=1)
    assert_allclose(estimator.score(X, sample_weight=WEIGHT), 1 - sse / sst)


def test_score_of_pca_is_its_explained_variance_ratio():
    score = AutoencoderTransformer(3).fit(NOISE).score(NOISE)
    assert_allclose(score, PCA(3).fit(NOISE).explained_variance_ratio_.sum())


def test_score_of_a_perfect_reconstruction_is_one():
    low_rank = NOISE[:, :2] @ np.ones((2, 5)) + [0, 1, 2, 3, 4]
    assert_allclose(AutoencoderTransformer(1).fit(low_rank).score(low_rank), 1)


@pytest.mark.filterwarnings("ignore:X has the same value")
def test_score_of_the_mean_is_zero():
    estimator = AutoencoderTransformer(1).fit(np.tile([1.0, 2.0], (30, 1)))
    assert_allclose(estimator.score([[0.0, 2.0], [2.0, 2.0]]), 0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
@pytest.mark.parametrize("loss", LOSSES)
def test_score_samples_is_minus_the_loss_in_units_of_the_data(loss, scale):
    if loss == "log_loss":
        scale = 1
    X = NOISE.clip(0, 1) * scale
    estimator = autoencoder(loss=loss).fit(X)
    X_hat = estimator.reconstruct(X)
    residual = np.abs(X - X_hat)
    delta = estimator.scale_
    losses = {
        "squared_error": lambda: residual**2,
        "absolute_error": lambda: residual,
        "huber": lambda: np.where(
            residual < delta, residual**2 / 2, delta * (residual - delta / 2)
        ),
        "log_loss": lambda: -X * np.log(X_hat) - (1 - X) * np.log(1 - X_hat),
        "poisson": lambda: X_hat - X * np.log(X_hat) + gammaln(X + 1),
        "negative_binomial": lambda: -nbinom_logpmf(X, X_hat, estimator),
        "cosine": lambda: 1 - cosines(X, X_hat)[:, None],
    }
    expected = -losses[loss]().mean(axis=1)
    assert_allclose(estimator.score_samples(X), expected, rtol=1e-5)


def nbinom_logpmf(X, mean, estimator):
    """Return the logarithm of the probability of X, whole numbers or not."""
    theta = estimator.net_.criterion_.log_dispersion.detach().double().exp().numpy()
    ways = gammaln(X + theta) - gammaln(theta) - gammaln(X + 1)
    return (
        ways
        + theta * np.log(theta / (theta + mean))
        + X * np.log(mean / (theta + mean))
    )


def cosines(X, X_hat):
    lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(X_hat, axis=1)
    return (X * X_hat).sum(axis=1) / np.maximum(lengths, 1e-8)


def test_score_samples_of_a_function_are_in_standardised_units():
    estimator = autoencoder(loss=absolute).fit(NOISE)
    residual = np.abs(NOISE - estimator.reconstruct(NOISE)).mean(axis=1)
    assert_allclose(estimator.score_samples(NOISE), -residual / estimator.scale_)


@pytest.mark.parametrize("loss", LOSSES)
def test_reconstruction_error_is_the_squared_error(loss):
    X = NOISE.clip(0, 1)
    estimator = autoencoder(loss=loss).fit(X)
    expected = (X - estimator.reconstruct(X)) ** 2
    assert_allclose(estimator.reconstruction_error(X, per_feature=True), expected)


def test_reconstruction_error_is_the_mean_over_features():
    estimator = autoencoder().fit(NOISE)
    per_feature = estimator.reconstruction_error(NOISE, per_feature=True)
    assert_allclose(estimator.reconstruction_error(NOISE), per_feature.mean(axis=1))


# Weights and sparse data


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_are_repetitions(loss):
    X, weight = NOISE[:20].clip(0, 1), np.arange(20) % 4
    weighted = autoencoder(loss=loss).fit(X, sample_weight=weight)
    repeated = autoencoder(loss=loss).fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-7, atol=1e-9)


def test_weights_are_repetitions_in_partial_fit():
    X, weight = NOISE[:20], np.arange(20) % 4
    weighted = autoencoder().partial_fit(X, sample_weight=weight)
    repeated = autoencoder().partial_fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-7, atol=1e-9)


def test_weights_are_repetitions_in_score():
    estimator, weight = autoencoder().fit(NOISE), np.arange(50) % 4
    assert_allclose(
        estimator.score(NOISE, sample_weight=weight),
        estimator.score(np.repeat(NOISE, weight, axis=0)),
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparse_and_dense_data_give_equal_bytes(dtype, loss):
    dense = np.random.default_rng(0).uniform(-4, 1, (100, 20)).clip(0, 1).astype(dtype)
    sparse = sp.csr_array(dense)
    estimators = [
        autoencoder(loss=loss, early_stopping=True).fit(X) for X in (sparse, dense)
    ]
    for method in ("transform", "reconstruct", "score_samples", "score"):
        of_sparse, of_dense = (
            getattr(estimator, method)(X)
            for estimator, X in zip(estimators, (sparse, dense), strict=True)
        )
        assert_array_equal(of_sparse, of_dense)


# scikit-learn's manners


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("fit", ["X", "y", "sample_weight", "X_target"]),
        ("partial_fit", ["X", "y", "sample_weight", "X_target"]),
        ("score", ["X", "y", "sample_weight", "X_target"]),
        ("transform", ["X"]),
        ("inverse_transform", ["X", "as_float", "clip"]),
    ],
)
def test_arguments_have_scikit_learns_names(method, names):
    signature = inspect.signature(getattr(AutoencoderTransformer(), method))
    assert list(signature.parameters) == names


def test_defaults_are_immutable():
    for value in AutoencoderTransformer().get_params().values():
        hash(value)


OTHER_PARAMETERS = {
    "n_components": 3,
    "network": Dense,
    "image_shape": [1, 5],
    "channel_order": "last",
    "hidden_layer_sizes": [8],
    "activation": "tanh",
    "init": "random",
    "bottleneck": "ordered",
    "loss": Huber(delta=2.0),
    "penalty": "l2",
    "corruption": "swap",
    "density": "gaussian_mixture",
    "alpha": 0,
    "solver": torch.optim.RMSprop,
    "learning_rate": 0.1,
    "schedule": "constant",
    "batch_size": 7,
    "max_epochs": 2,
    "tol": 0.1,
    "early_stopping": True,
    "validation_fraction": 0.3,
    "n_iter_no_change": 3,
    "max_time": 60.0,
    "checkpoint": "folder",
    "checkpoint_every": 3,
    "precision": "float32",
    "compile": "eager",
    "device": "auto",
    "n_jobs": 1,
    "warm_start": True,
    "callbacks": [EarlyStopping("train_loss")],
    "verbose": 1,
    "random_state": 3,
}


def test_every_parameter_has_another_value():
    defaults = AutoencoderTransformer().get_params()
    assert set(OTHER_PARAMETERS) == set(defaults)
    assert all(value != defaults[name] for name, value in OTHER_PARAMETERS.items())


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_parameter_survives_clone(name):
    value = OTHER_PARAMETERS[name]
    cloned = clone(AutoencoderTransformer(**{name: value}))
    assert repr(cloned.get_params()[name]) == repr(value) or name == "callbacks"
    assert type(cloned.get_params()[name]) is type(value)


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_parameter_is_stored_as_it_is(name):
    value = OTHER_PARAMETERS[name]
    assert (
        AutoencoderTransformer().set_params(**{name: value}).get_params()[name] is value
    )


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameter_is_untouched_by_fit(name, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where checkpoints go
    value = OTHER_PARAMETERS[name]
    before = joblib.hash(value)
    needed = {"image_shape": (5, 1)} if name == "channel_order" else {}
    estimator = autoencoder(**needed, **{name: value}).fit(NOISE)
    assert estimator.get_params()[name] is value
    assert joblib.hash(value) == before


def test_refit_is_a_new_fit():
    estimator = autoencoder().fit(NOISE)
    code = estimator.transform(NOISE)
    assert_array_equal(estimator.fit(NOISE * 9).fit(NOISE).transform(NOISE), code)


def test_refit_takes_another_number_of_features():
    assert (
        autoencoder().fit(NOISE).fit(NOISE[:, :3]).transform(NOISE[:, :3]).shape[1] == 2
    )


def test_features_out_are_named_after_the_class():
    names = AutoencoderTransformer().fit(NOISE).get_feature_names_out()
    assert list(names) == ["autoencodertransformer0", "autoencodertransformer1"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_gives_frames(library):
    module = pytest.importorskip(library)
    estimator = AutoencoderTransformer().set_output(transform=library)
    code = estimator.fit_transform(NOISE)
    assert isinstance(code, module.DataFrame)
    assert list(code.columns) == list(estimator.get_feature_names_out())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frame_of_codes_is_decoded(library):
    pytest.importorskip(library)
    estimator = autoencoder().set_output(transform=library).fit(NOISE)
    decoded = estimator.inverse_transform(estimator.transform(NOISE))
    assert_allclose(decoded, estimator.reconstruct(NOISE))


def test_frame_keeps_its_index():
    frame = pd.DataFrame(NOISE, index=np.arange(50) + 100)
    code = AutoencoderTransformer().set_output(transform="pandas").fit_transform(frame)
    assert list(code.index) == list(frame.index)


def test_pipeline_does_not_learn_from_its_labels():
    pipeline = make_pipeline(StandardScaler(), autoencoder(), LogisticRegression())
    pipeline.fit(NOISE, LABELS)
    code = autoencoder().fit(StandardScaler().fit_transform(NOISE))
    assert_array_equal(
        pipeline[:-1].transform(NOISE),
        code.transform(StandardScaler().fit_transform(NOISE)),
    )
    assert set(pipeline.predict(NOISE)) <= {0, 1}


def test_pipeline_inverts():
    pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(4)).fit(NOISE)
    X_hat = pipeline.inverse_transform(pipeline.transform(NOISE))
    assert_allclose(X_hat, NOISE, atol=2)
    assert_allclose(X_hat.mean(axis=0), NOISE.mean(axis=0))


def test_search_picks_the_larger_code_where_there_is_little_noise():
    X = NOISE @ np.random.default_rng(1).normal(size=(5, 12))
    search = GridSearchCV(AutoencoderTransformer(), {"n_components": [1, 2, 5]}, cv=3)
    assert search.fit(X).best_params_ == {"n_components": 5}
    assert search.best_score_ > 0.99


def test_search_ranks_a_trained_network_first():
    grid = {"max_epochs": [1, 60]}
    search = GridSearchCV(
        autoencoder(1, learning_rate=0.02), grid, cv=2, error_score="raise"
    )
    assert search.fit(circle(120)).best_params_ == {"max_epochs": 60}


def test_cross_validation_scores_are_those_of_pca():
    ours = cross_val_score(AutoencoderTransformer(4), NOISE, cv=3)
    assert ours.shape == (3,)
    assert (ours > 0.5).all()
    assert (ours < 1).all()


def test_pipeline_routes_weights():
    with config_context(enable_metadata_routing=True):
        step = autoencoder().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False), step)
        pipeline.set_params(
            standardscaler=StandardScaler().set_fit_request(sample_weight=False)
        )
        pipeline.fit(NOISE, sample_weight=WEIGHT)
    scaled = StandardScaler().fit_transform(NOISE)
    expected = autoencoder().fit(scaled, sample_weight=WEIGHT)
    assert_array_equal(pipeline.transform(NOISE), expected.transform(scaled))


def test_search_routes_weights_to_fit_and_score():
    with config_context(enable_metadata_routing=True):
        estimator = AutoencoderTransformer()
        estimator.set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=True)
        halves = [(np.arange(25), np.arange(25, 50))]
        search = GridSearchCV(estimator, {"n_components": [2]}, cv=halves, refit=False)
        search.fit(NOISE, sample_weight=WEIGHT)
    expected = AutoencoderTransformer().fit(NOISE[:25], sample_weight=WEIGHT[:25])
    score = expected.score(NOISE[25:], sample_weight=WEIGHT[25:])
    assert_allclose(search.cv_results_["mean_test_score"], [score])


def test_feature_union_puts_codes_side_by_side():
    union = FeatureUnion([("ae", AutoencoderTransformer(3)), ("pca", PCA(3))])
    code = union.fit_transform(NOISE)
    assert_allclose(code[:, :3], code[:, 3:], atol=1e-10)
    assert union.get_feature_names_out()[0] == "ae__autoencodertransformer0"


def test_column_transformer_encodes_some_columns():
    frame = pd.DataFrame(NOISE, columns=list("abcde")).assign(label="x")
    columns = ColumnTransformer([("ae", AutoencoderTransformer(), list("abc"))])
    expected = AutoencoderTransformer().fit_transform(NOISE[:, :3])
    assert_array_equal(columns.fit_transform(frame), expected)


# Training


@pytest.mark.parametrize("n_epochs", [1, 4])
def test_max_epochs_is_kept(n_epochs):
    estimator = autoencoder(max_epochs=n_epochs, n_iter_no_change=100).fit(NOISE)
    assert estimator.n_epochs_ == n_epochs
    assert len(estimator.loss_curve_) == n_epochs


def test_nothing_held_out_leaves_no_validation_curve():
    estimator = autoencoder().fit(NOISE)
    assert estimator.validation_loss_curve_ == []
    assert list(estimator.history_.columns) == ["epoch", "dur", "train_loss"]


def test_held_out_rows_have_a_curve_of_one_loss_per_epoch():
    estimator = autoencoder(early_stopping=True).fit(NOISE)
    assert len(estimator.validation_loss_curve_) == estimator.n_epochs_
    assert list(estimator.history_.columns)[:4] == [
        "epoch",
        "dur",
        "train_loss",
        "valid_loss",
    ]
    assert_array_equal(
        estimator.history_["valid_loss"], estimator.validation_loss_curve_
    )


def test_history_counts_epochs():
    assert list(autoencoder().fit(NOISE).history_["epoch"]) == [1, 2, 3]


def test_training_loss_is_the_loss_formula():
    # One step from PCA: the loss before it is PCA's, in units of the mean variance.
    estimator = autoencoder(max_epochs=1).fit(NOISE)
    residual = 1 - PCA(2).fit(NOISE).explained_variance_ratio_.sum()
    assert_allclose(estimator.loss_curve_, [residual])


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_weight_is_trained(network, init):
    parameters = {"network": network, "init": init, "batch_size": 10}
    first = autoencoder(**parameters, max_epochs=1).fit(NOISE)
    second = autoencoder(**parameters, max_epochs=3, schedule="constant").fit(NOISE)
    after = dict(second.net_.module_.named_parameters())
    for name, before in first.net_.module_.named_parameters():
        assert not torch.equal(before, after[name]), name


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_lowers_the_loss(network, init):
    estimator = autoencoder(1, network=network, init=init, learning_rate=0.02)
    estimator.set_params(max_epochs=20).fit(circle(100))
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


@pytest.mark.parametrize("solver", ["adamw", "adam", "sgd", torch.optim.RMSprop])
@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_solver_lowers_the_loss(schedule, solver):
    parameters = {"init": "random", "learning_rate": 0.01, "max_epochs": 20}
    estimator = autoencoder(1, solver=solver, schedule=schedule, **parameters)
    estimator.fit(circle(100))
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


class Spy(Callback):
    """Remembers, in the class, the rows, learning rates and optimizer it has seen."""

    def on_train_begin(self, net, **kwargs):
        Spy.rates = []

    def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
        Spy.train, Spy.valid = dataset_train, dataset_valid

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            Spy.rates.append(net.optimizer_.param_groups[0]["lr"])
            Spy.optimizer = net.optimizer_


def test_one_cycle_rises_and_falls_to_zero_along_lines():
    autoencoder(max_epochs=20, batch_size=5, callbacks=[Spy()]).fit(NOISE)
    rates, top = np.array(Spy.rates), np.argmax(Spy.rates)
    assert len(rates) == 200
    assert top == pytest.approx(20, abs=1)
    assert 0.99 * 0.002 < rates.max() <= 0.002  # the top may lie between two steps
    assert_allclose(np.diff(rates[:top], 2), 0, atol=1e-12)
    assert_allclose(np.diff(rates[top:], 2), 0, atol=1e-12)
    assert 2 * rates[-1] - rates[-2] == pytest.approx(0, abs=1e-8)  # the next step


def test_constant_schedule_is_constant():
    autoencoder(schedule="constant", callbacks=[Spy()]).fit(NOISE)
    assert set(Spy.rates) == {0.002}


@pytest.mark.parametrize(
    ("n_samples", "early_stopping", "fraction", "n_held_out"),
    [
        (160, "auto", 0.1, 40),
        (400, "auto", 0.1, 40),
        (1000, "auto", 0.1, 100),
        (1000, "auto", 0.2, 200),
        (100_000, "auto", 0.1, 5000),
        (50, True, 0.1, 5),
        (50, True, 0.5, 25),
        (4, True, 0.1, 1),
        (2, True, 0.9, 1),
    ],
)
def test_number_of_rows_held_out(n_samples, early_stopping, fraction, n_held_out):
    X = np.random.default_rng(0).normal(size=(n_samples, 2))
    estimator = autoencoder(
        1,
        early_stopping=early_stopping,
        validation_fraction=fraction,
        batch_size=n_samples,
        max_epochs=1,
        callbacks=[Spy()],
    ).fit(X)
    assert len(Spy.valid) == n_held_out
    assert len(Spy.train) == n_samples - n_held_out
    assert len(estimator.validation_loss_curve_) == 1


@pytest.mark.parametrize(
    ("n_samples", "early_stopping"), [(159, "auto"), (1000, False), (1, True)]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:X has one row")
def test_no_rows_held_out(n_samples, early_stopping):
    X = np.random.default_rng(0).normal(size=(n_samples, 2))
    estimator = autoencoder(1, early_stopping=early_stopping, init="random")
    estimator.set_params(callbacks=[Spy()]).fit(X)
    assert Spy.valid is None
    assert len(Spy.train) == n_samples
    assert estimator.validation_loss_curve_ == []


def test_held_out_rows_are_drawn_at_random():
    autoencoder(early_stopping=True, callbacks=[Spy()]).fit(NOISE)
    valid, train = Spy.valid.index, Spy.train.index
    assert sorted([*valid, *train]) == list(range(50))
    assert np.ptp(valid) > len(valid)


@pytest.fixture(scope="module")
def overfitted():
    """Return an estimator that learnt noise by heart, and the rows it held out."""
    X = np.random.default_rng(0).normal(size=(60, 20))
    estimator = autoencoder(
        5,
        init="random",
        hidden_layer_sizes=(64,),
        early_stopping=True,
        max_epochs=200,
        learning_rate=0.02,
        schedule="constant",
        n_iter_no_change=4,
        tol=0,
        callbacks=[Spy()],
    )
    with pytest.warns(ConvergenceWarning, match="worse than"):
        estimator.fit(X)
    return estimator, X[Spy.valid.index]


def test_best_epoch_is_restored(overfitted):
    estimator, valid = overfitted
    curve = estimator.validation_loss_curve_
    restored = -estimator.score_samples(valid).mean() / estimator.scale_**2
    assert curve[-1] > min(curve)
    assert_allclose(restored, min(curve))
    assert estimator.best_epoch_ == np.argmin(curve) + 1


def test_training_stops_when_patience_ends(overfitted):
    estimator, _ = overfitted
    assert estimator.n_epochs_ == estimator.best_epoch_ + 4


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_epochs_that_gain_less_than_tol_do_not_count(n_iter_no_change):
    parameters = {"tol": 1, "max_epochs": 50, "schedule": "constant"}
    estimator = autoencoder(n_iter_no_change=n_iter_no_change, **parameters)
    assert estimator.fit(NOISE).n_epochs_ == 1 + n_iter_no_change


@pytest.mark.parametrize("max_epochs", [12, 50])
def test_auto_patience_is_ten_epochs_at_a_constant_learning_rate(max_epochs):
    estimator = autoencoder(tol=1, max_epochs=max_epochs, schedule="constant")
    assert estimator.fit(NOISE).n_epochs_ == 1 + 10


@pytest.mark.parametrize("early_stopping", [False, True])
def test_auto_patience_lasts_for_the_whole_cycle(early_stopping):
    # No epoch gains its whole loss, so none counts as an improvement.
    estimator = autoencoder(tol=1, max_epochs=50, early_stopping=early_stopping)
    assert estimator.fit(NOISE).n_epochs_ == 50


def absolute(output, X):
    return (output - X).abs().mean(1)


class ShiftedError(SquaredError):
    def __call__(self, output, X):
        return super().__call__(output, X) - 10


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_negative_losses_stop_like_positive_ones():
    parameters = {"max_epochs": 100, "learning_rate": 0.1, "schedule": "constant"}
    parameters |= {"tol": 0, "n_iter_no_change": 3}
    positive = autoencoder(loss=SquaredError(), **parameters).fit(NOISE)
    negative = autoencoder(loss=ShiftedError(), **parameters).fit(NOISE)
    assert negative.n_epochs_ == positive.n_epochs_ < 100
    assert negative.best_epoch_ == positive.best_epoch_


# Going on


def test_partial_fit_begins_and_goes_on():
    estimator = autoencoder()
    for n_epochs in (1, 2, 3):
        assert estimator.partial_fit(NOISE) is estimator
        assert estimator.n_epochs_ == len(estimator.loss_curve_) == n_epochs
    assert estimator.proven_ is None


def test_partial_fit_keeps_mean_and_scale_of_the_first_call():
    estimator = autoencoder().partial_fit(NOISE)
    mean, scale = estimator.mean_.copy(), estimator.scale_
    estimator.partial_fit(5 * NOISE + 3)
    assert_array_equal(estimator.mean_, mean)
    assert estimator.scale_ == scale


def test_partial_fit_learns():
    X, estimator = circle(200), autoencoder(1, learning_rate=0.02)
    for _ in range(20):
        estimator.partial_fit(X)
    assert estimator.score(X) > PCA(1).fit(X).explained_variance_ratio_.sum() + 0.1


def test_partial_fit_goes_on_after_fit():
    estimator = autoencoder().fit(NOISE).partial_fit(NOISE)
    assert estimator.n_epochs_ == 4


def test_partial_fit_takes_one_row_at_a_time():
    estimator = autoencoder().partial_fit(NOISE)
    for row in NOISE[:3]:
        estimator.partial_fit(row[None])
    assert np.isfinite(estimator.transform(NOISE)).all()


@pytest.mark.parametrize(
    ("first", "then"), [("float32", "float64"), ("float64", "float32")]
)
def test_partial_fit_switches_dtype(first, then):
    estimator = autoencoder().partial_fit(NOISE.astype(first))
    estimator.partial_fit(NOISE.astype(then))
    assert estimator.precision_ == first
    for dtype in (first, then):
        assert estimator.transform(NOISE.astype(dtype)).dtype == dtype


def test_partial_fit_keeps_the_state_of_the_optimizer():
    estimator = autoencoder(callbacks=[Spy()])
    for n_steps in (1, 2, 3):
        estimator.partial_fit(NOISE)
        states = Spy.optimizer.state.values()
        assert {float(state["step"]) for state in states} == {n_steps}


@pytest.mark.parametrize("solver", ["adamw", "sgd", torch.optim.LBFGS])
@pytest.mark.parametrize("network", ["mlp", Dense])
def test_partial_fit_goes_on_the_same_after_unpickling(network, solver):
    estimator = autoencoder(network=network, solver=solver, alpha=0, batch_size=20)
    estimator.partial_fit(NOISE)
    restored = pickle.loads(pickle.dumps(estimator))
    expected = estimator.partial_fit(NOISE).transform(NOISE)
    assert_array_equal(restored.partial_fit(NOISE).transform(NOISE), expected)


def test_failed_partial_fit_changes_nothing():
    estimator = autoencoder(solver="sgd", batch_size=1).partial_fit(NOISE)
    before = estimator.transform(NOISE)
    estimator.set_params(learning_rate=1e12)
    with pytest.raises(ValueError, match="diverged"):
        estimator.partial_fit(NOISE)
    assert_array_equal(estimator.transform(NOISE), before)


def test_warm_start_goes_on():
    estimator = autoencoder(warm_start=True).fit(NOISE)
    loss = estimator.loss_curve_[-1]
    estimator.fit(NOISE)
    assert estimator.n_epochs_ == 6
    assert estimator.loss_curve_[-1] <= loss


def test_warm_start_keeps_mean_and_scale():
    estimator = autoencoder(warm_start=True).fit(NOISE)
    mean = estimator.mean_.copy()
    assert_array_equal(estimator.fit(NOISE + 1).mean_, mean)


@pytest.mark.parametrize(
    "change",
    [
        {"n_components": 3},
        {"hidden_layer_sizes": (4,)},
        {"activation": "tanh"},
        {"init": "random"},
        {"loss": "huber"},
        {"network": Dense},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_with_another_structure_is_refused(method, change):
    estimator = autoencoder(warm_start=True).fit(NOISE).set_params(**change)
    with pytest.raises(ValueError, match=f"{next(iter(change))}=.* was built with"):
        getattr(estimator, method)(NOISE)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_uses_the_present_solver(method):
    estimator = autoencoder(warm_start=True, callbacks=[Spy()]).partial_fit(NOISE)
    getattr(estimator.set_params(solver="sgd"), method)(NOISE)
    assert isinstance(Spy.optimizer, torch.optim.SGD)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("alpha", [0, 0.5])
def test_going_on_uses_the_present_alpha(alpha, method):
    estimator = autoencoder(warm_start=True, callbacks=[Spy()]).partial_fit(NOISE)
    getattr(estimator.set_params(alpha=alpha), method)(NOISE)
    assert Spy.optimizer.param_groups[0]["weight_decay"] == alpha


def test_going_on_uses_the_present_learning_rate():
    estimator = autoencoder(callbacks=[Spy()]).partial_fit(NOISE)
    estimator.set_params(learning_rate=0.5).partial_fit(NOISE)
    assert set(Spy.rates) == {0.5}


def test_warm_start_is_judged_against_pca():
    X, estimator = circle(200), autoencoder(1, warm_start=True, early_stopping="auto")
    estimator.set_params(hidden_layer_sizes=(32,), max_epochs=40, learning_rate=0.01)
    score = estimator.fit(X).score(X)
    assert estimator.fit(X).proven_ is True
    assert estimator.score(X) > score - 0.01


def test_warm_start_holds_out_the_same_rows():
    # Rows that were trained on before could not judge what is trained now.
    estimator = autoencoder(1, warm_start=True, early_stopping=True, callbacks=[Spy()])
    estimator.fit(circle(100))
    held_out = Spy.valid.index
    estimator.fit(circle(100))
    assert_array_equal(Spy.valid.index, held_out)


# Ctrl-C and callbacks


class Interrupt(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


def test_interrupted_fit_is_usable_and_goes_on():
    estimator = autoencoder(max_epochs=50, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(NOISE)
    assert np.isfinite(estimator.transform(NOISE)).all()
    assert estimator.n_epochs_ == 2
    assert estimator.partial_fit(NOISE).n_epochs_ == 3


def test_interrupt_stops_a_search():
    estimator = autoencoder(max_epochs=50, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(estimator, {"alpha": [0, 1]}, cv=2).fit(NOISE)


class Counter(Callback):
    def initialize(self):
        self.n_epochs_ = 0
        return self

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs_ += 1
        self.seen = len(net.history)


def test_users_callbacks_are_not_changed():
    counter = Counter()
    before = joblib.hash(counter)
    autoencoder(callbacks=[counter]).fit(NOISE)
    assert joblib.hash(counter) == before


@pytest.mark.parametrize("name", ["stop", None])
def test_skorchs_early_stopping_stops_quietly(name, capfd):
    stop = EarlyStopping("train_loss", patience=2, threshold=0.5)
    callbacks = [stop if name is None else (name, stop)]
    estimator = autoencoder(callbacks=callbacks, max_epochs=50).fit(NOISE)
    assert 2 <= estimator.n_epochs_ < 10
    assert capfd.readouterr() == ("", "")


def test_skorchs_early_stopping_may_watch_the_held_out_rows():
    stop = EarlyStopping("valid_loss", patience=2, threshold=0.5)
    estimator = autoencoder(callbacks=[stop], max_epochs=50, early_stopping=True)
    assert estimator.fit(NOISE).n_epochs_ < 10


@pytest.mark.parametrize("callback", ["early_stopping", EarlyStopping, 3])
def test_what_is_not_a_callback_is_refused(callback):
    with pytest.raises((TypeError, ValueError), match="callback"):
        autoencoder(callbacks=[callback]).fit(NOISE)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_nothing_is_printed(capfd, early_stopping):
    estimator = autoencoder(early_stopping=early_stopping).fit(NOISE)
    estimator.partial_fit(NOISE).score(NOISE)
    assert capfd.readouterr() == ("", "")


# Networks of the user


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("network", [Dense, Convolutional])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_users_network_is_deterministic_in_use(network, init):
    estimator = autoencoder(network=network, init=init).fit(NOISE)
    assert_array_equal(estimator.transform(NOISE), estimator.transform(NOISE))
    assert not estimator.net_.module_.training


def test_users_network_starts_as_pca():
    estimator = autoencoder(network=Convolutional, max_epochs=1).fit(NOISE)
    residual = 1 - PCA(2).fit(NOISE).explained_variance_ratio_.sum()
    assert_allclose(estimator.loss_curve_, [residual])


def test_users_network_is_proven_on_curved_data():
    parameters = {"early_stopping": "auto", "max_epochs": 60, "learning_rate": 0.01}
    estimator = autoencoder(1, network=Dense, **parameters).fit(circle(200))
    assert estimator.proven_ is True


def test_network_may_be_a_function():
    def network(n_features, n_components):
        return Dense(n_features, n_components)

    from_function = autoencoder(network=network).fit_transform(NOISE)
    assert_array_equal(from_function, autoencoder(network=Dense).fit_transform(NOISE))


@pytest.mark.parametrize(
    "network",
    [functools.partial(MLPAutoencoder, hidden_layer_sizes=(8,)), MLPAutoencoder],
    ids=["partial", "class"],
)
def test_network_of_the_library_may_be_passed(network):
    assert autoencoder(network=network).fit(NOISE).score(NOISE) > 0.4


class DoubledInPlace(Dense):
    def encode(self, X):
        return super().encode(X.mul_(2))


class RectifiedInPlace(Dense):
    def encode(self, X):
        return super().encode(torch.relu_(X))


@pytest.mark.parametrize("network", [DoubledInPlace, RectifiedInPlace])
def test_network_that_changes_its_input_is_refused(network):
    # The input is also the target.
    with pytest.raises(ValueError, match="in place"):
        autoencoder(network=network).fit(NOISE)


# Keeping


def through_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(file)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    "duplicate",
    [through_pickle, through_joblib, copy.deepcopy],
    ids=["pickle", "joblib", "deepcopy"],
)
def test_copies_give_equal_bytes(duplicate, network):
    estimator = autoencoder(network=network).fit(NOISE)
    restored = duplicate(estimator)
    for method in ("transform", "reconstruct", "score_samples"):
        expected = getattr(estimator, method)(NOISE)
        assert_array_equal(getattr(restored, method)(NOISE), expected)


def test_unfitted_estimator_is_pickled():
    restored = pickle.loads(pickle.dumps(autoencoder(network=Dense)))
    assert restored.get_params() == autoencoder(network=Dense).get_params()


NOTEBOOK = """
import numpy as np
import cloudpickle
from torch import nn
from skae import AutoencoderTransformer

class Mine(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)

X = np.arange(40.0).reshape(10, 4) % 7
estimator = AutoencoderTransformer(
    network=Mine, early_stopping=False, max_epochs=1, random_state=0
).fit(X)
pickled = cloudpickle.dumps((estimator, X, estimator.transform(X)))
"""


def run_notebook(connection):
    namespace = {"__name__": "__main__"}
    exec(NOTEBOOK, namespace)
    connection.send_bytes(namespace["pickled"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it begins with torch")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
def test_network_of_a_notebook_travels_to_another_process():
    pytest.importorskip("cloudpickle")
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=run_notebook, args=(sender,))
    child.start()
    pickled = receiver.recv_bytes()
    child.join()
    estimator, X, code = pickle.loads(pickled)
    assert_array_equal(estimator.transform(X), code)
    estimator.partial_fit(X)


def size(estimator):
    return len(pickle.dumps(estimator))


def test_size_does_not_depend_on_the_number_of_rows():
    sizes = [size(autoencoder().fit(np.resize(NOISE, (n, 5)))) for n in (50, 5000)]
    assert abs(sizes[1] - sizes[0]) < 500


def test_size_does_not_depend_on_the_number_of_batches():
    sizes = [size(autoencoder(batch_size=b).fit(NOISE)) for b in (2, 50)]
    assert abs(sizes[1] - sizes[0]) < 500


def test_size_is_that_of_the_weights():
    X = np.random.default_rng(0).normal(size=(60, 50))
    estimator = autoencoder(hidden_layer_sizes=(128, 64), max_epochs=10).fit(X)
    state = estimator.net_.module_.state_dict().values()
    assert size(estimator) < 1.5 * sum(weight.nbytes for weight in state)


@pytest.mark.parametrize("early_stopping", ["auto", True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_no_training_data_are_kept(method, early_stopping):
    X, weight = NOISE.copy(), WEIGHT + 1
    estimator = autoencoder(early_stopping=early_stopping)
    getattr(estimator, method)(X, sample_weight=weight)
    data = weakref.ref(X), weakref.ref(weight)
    del X, weight
    gc.collect()
    assert [reference() for reference in data] == [None, None]


# Its size


@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("sizes", [(), (7,), (7, 4)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameters_are_the_weights_of_all_layers(sizes, init):
    estimator = autoencoder(hidden_layer_sizes=sizes, init=init).fit(NOISE)
    widths = [5, *sizes, 2]
    pairs = list(itertools.pairwise(widths))
    expected = sum((a + 1) * b for a, b in pairs) + sum((b + 1) * a for a, b in pairs)
    if init == "pca":
        expected += 5 * 2 + (2 + 1) * 5
    assert estimator.n_parameters_ == expected
    assert estimator.hidden_layer_sizes_ == sizes


@pytest.mark.parametrize(
    ("n_components", "n_samples", "sizes"),
    [(2, 200, (128, 128, 64)), (2, 40, (128, 128, 64)), (70, 200, (128, 128, 70))],
)
def test_hidden_layer_sizes_say_what_auto_was(n_components, n_samples, sizes):
    X = np.random.default_rng(0).normal(size=(n_samples, 80))
    estimator = AutoencoderTransformer(n_components, max_epochs=1).fit(X)
    assert estimator.hidden_layer_sizes_ == sizes


def test_hidden_layer_sizes_of_images_are_channels():
    images = np.random.default_rng(0).random((20, 8, 8))
    assert AutoencoderTransformer().fit(images).hidden_layer_sizes_ == (16, 32)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_own_network_has_no_hidden_layer_sizes():
    estimator = autoencoder(network=Dense, init="random").fit(circle(60))
    assert estimator.hidden_layer_sizes_ is None
    weights = Dense(3, 2).parameters()
    assert estimator.n_parameters_ == sum(weight.numel() for weight in weights)


SIZE = ("hidden_layer_sizes_", "n_parameters_", "validation_loss_")


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "file"])
def test_size_survives(way, tmp_path):
    fitted = AutoencoderTransformer(1, max_epochs=2).fit(circle(200))
    if way == "file":
        dump(fitted, tmp_path / "model")
        restored = load(tmp_path / "model")
    elif way == "pickle":
        restored = pickle.loads(pickle.dumps(fitted))
    else:
        restored = copy.deepcopy(fitted)
    for name in SIZE:
        assert getattr(restored, name) == getattr(fitted, name)
        assert type(getattr(restored, name)) is type(getattr(fitted, name))


def test_validation_loss_is_none_where_nothing_was_held_out():
    assert autoencoder().fit(NOISE).validation_loss_ is None
    assert AutoencoderTransformer().fit(NOISE[:19]).validation_loss_ is None


# In a notebook


def facts(html):
    """Return what the table of fitted attributes says, by name."""
    text = html.partition("Fitted attributes")[2]
    cells = r'<td class="param">(.*?)</td>\s*<td.*?</td>\s*<td>(.*?)</td>'
    rows = re.findall(cells, text, re.DOTALL)
    return {re.findall(r"\w+_(?=\W)", name)[0]: value for name, value in rows}


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_html_repr_shows_size_epochs_and_the_loss_beside_pcas(in_pipeline):
    last = fitted = AutoencoderTransformer(1, max_epochs=20, random_state=0)
    if in_pipeline:
        fitted = make_pipeline(StandardScaler(), last)
    assert facts(fitted._repr_html_()) == {}
    html = fitted.fit(circle(200))._repr_html_()
    assert "AutoencoderTransformer" in html
    if "Fitted attributes" not in html:
        pytest.skip("scikit-learn < 1.9 shows no fitted attributes")
    html = html.partition(">AutoencoderTransformer<")[2]
    assert last.proven_ is True
    shown = {
        "hidden_layer_sizes_": "(128, 128, 64)",
        "n_parameters_": str(last.n_parameters_),
        "n_epochs_": str(last.n_epochs_),
        "validation_loss_": f"{last.validation_loss_:.4g}",
        "pca_loss_": f"{last.pca_loss_:.4g}",
        "proven_": "True",
    }
    assert shown.items() <= facts(html).items()


def test_repr_shows_what_was_changed():
    assert repr(AutoencoderTransformer(3, alpha=0)) == (
        "AutoencoderTransformer(alpha=0, n_components=3)"
    )


@pytest.mark.filterwarnings("ignore:Training diverged")
def test_failed_refit_leaves_the_features_of_the_fitted_estimator():
    frame = pd.DataFrame(NOISE, columns=list("abcde"))
    estimator = autoencoder(solver="sgd", batch_size=1).fit(frame)
    code = estimator.transform(frame)
    estimator.set_params(learning_rate=1e12)
    with pytest.raises(ValueError, match="diverged"):
        estimator.fit(NOISE[:, :3])
    assert_array_equal(estimator.transform(frame), code)
