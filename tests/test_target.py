"""A target other than the input."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skae import AutoencoderTransformer

X = load_digits().data[:500]
NOISY = X + 4 * np.random.default_rng(0).normal(size=X.shape)
OTHER = np.hstack([3 * X[:, 20:30] + 7, X[:, 40:42]])  # of another width
IMAGES = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
COARSE = IMAGES[:, ::2, ::2]


def estimator(**settings):
    return AutoencoderTransformer(
        6, **{"random_state": 0, "max_epochs": 10, "network": "mlp", **settings}
    )


def regression_on_pca(X, X_target):
    """Return a function that predicts the target from PCA's code."""
    pca = PCA(6, svd_solver="full").fit(X)
    line = LinearRegression().fit(pca.transform(X), X_target)
    return lambda X: line.predict(pca.transform(X))


def test_clean_rows_are_learnt_from_noisy_ones():
    to_clean = estimator().fit(NOISY, X_target=X)
    to_itself = estimator().fit(NOISY)
    errors = [np.square(m.reconstruct(NOISY) - X).mean() for m in (to_clean, to_itself)]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize("target", [X, OTHER], ids=["same width", "other width"])
def test_few_rows_give_regression_on_pca(target):
    fitted = estimator(warm_start=True).fit(NOISY[:100], X_target=target[:100])
    assert fitted.proven_ is False
    expected = regression_on_pca(NOISY[:100], target[:100])(NOISY)
    assert_allclose(fitted.reconstruct(NOISY), expected, atol=1e-9)


def test_few_weighted_rows_give_weighted_regression():
    weight = np.random.default_rng(0).integers(0, 4, 100)
    fitted = estimator(warm_start=True).fit(
        NOISY[:100], sample_weight=weight, X_target=OTHER[:100]
    )
    again = [np.repeat(values[:100], weight, axis=0) for values in (NOISY, OTHER)]
    repeated = estimator(warm_start=True).fit(again[0][:159], X_target=again[1][:159])
    if weight.sum() > 159:
        again = regression_on_pca(*again)(NOISY)
    else:
        again = repeated.reconstruct(NOISY)
    assert_allclose(fitted.reconstruct(NOISY), again, atol=1e-9)


def test_proven_network_is_better_than_regression_on_pca():
    train, test = slice(400), slice(400, None)
    fitted = estimator(max_epochs=40).fit(NOISY[train], X_target=X[train])
    assert fitted.proven_ is True
    predicted = regression_on_pca(NOISY[train], X[train])(NOISY[test])
    error = fitted.reconstruction_error(NOISY[test], X_target=X[test]).mean()
    assert error < np.square(predicted - X[test]).mean()


def test_noise_as_target_is_not_proven():
    noise = np.random.default_rng(1).normal(size=(500, 5))
    assert estimator().fit(X, X_target=noise).proven_ is False


@pytest.mark.parametrize("init", ["pca", "random"])
def test_results_have_the_shape_and_units_of_the_target(init):
    fitted = estimator(init=init, max_epochs=60).fit(X, X_target=OTHER)
    assert fitted.transform(X).shape == (500, 6)
    assert fitted.reconstruct(X).shape == OTHER.shape
    residual = fitted.reconstruct(X) - OTHER
    error = fitted.reconstruction_error(X, X_target=OTHER, per_feature=True)
    assert_allclose(error, residual**2, rtol=1e-4, atol=1e-4)
    assert_allclose(-fitted.score_samples(X, X_target=OTHER), error.mean(1), rtol=1e-4)
    total = np.square(OTHER - OTHER.mean(0)).sum()
    expected = 1 - np.square(residual).sum() / total
    assert_allclose(fitted.score(X, X_target=OTHER), expected, rtol=1e-6)
    assert expected > 0.6


@pytest.mark.parametrize("loss", ["log_loss", "poisson"])
def test_link_belongs_to_the_target(loss):
    target = X[:, 20:30] / 16
    fitted = estimator(loss=loss).fit(NOISY, X_target=target)
    X_hat = fitted.reconstruct(NOISY)
    assert X_hat.shape == target.shape
    assert X_hat.min() >= 0
    expected = (
        1 - np.square(X_hat - target).sum() / np.square(target - target.mean(0)).sum()
    )
    assert_allclose(fitted.score(NOISY, X_target=target), expected, rtol=1e-4)


def test_range_of_the_target_is_checked():
    with pytest.raises(ValueError, match=r"needs X_target in \[0, 1\]"):
        estimator(loss="log_loss").fit(X / 16, X_target=NOISY)


def test_target_images_come_back_as_they_were():
    fitted = estimator().fit(COARSE, X_target=IMAGES)
    sharp = fitted.reconstruct(COARSE)
    assert sharp.shape == IMAGES.shape
    assert sharp.dtype == np.uint8
    code = fitted.transform(COARSE)
    assert_array_equal(fitted.inverse_transform(code), sharp)
    heat = fitted.reconstruction_error(COARSE, X_target=IMAGES, per_feature=True)
    assert heat.shape == IMAGES.shape


def test_convolutions_sharpen_images():
    coarse = COARSE.repeat(2, 1).repeat(2, 2)
    fitted = estimator(network="conv", max_epochs=3).fit(coarse, X_target=IMAGES)
    assert fitted.score(coarse, X_target=IMAGES) > 0.3


COLOURED = np.stack([IMAGES, 255 - IMAGES, IMAGES // 2])  # channels, then images


@pytest.mark.parametrize(
    "target",
    [IMAGES, COARSE, COLOURED.transpose(1, 0, 2, 3), COLOURED.transpose(1, 2, 3, 0)],
    ids=["larger", "as large", "channels first", "channels last"],
)
def test_convolutions_give_images_of_another_shape(target):
    fitted = estimator(network="conv", max_epochs=8).fit(COARSE, X_target=target)
    assert fitted.proven_
    rebuilt = fitted.reconstruct(COARSE)
    assert rebuilt.shape == target.shape
    assert rebuilt.dtype == np.uint8
    assert fitted.score(COARSE, X_target=target) > 0.4
    small = fitted.reconstruct(COARSE[:3])
    assert_array_equal(small, rebuilt[:3])


def test_convolutions_put_each_channel_in_its_place():
    target = COLOURED.transpose(1, 2, 3, 0)
    fitted = estimator(network="conv", init="random").fit(COARSE, X_target=target)
    wanted = target.reshape(-1, 3).mean(0)
    assert_allclose(fitted.reconstruct(COARSE).reshape(-1, 3).mean(0), wanted, rtol=0.1)
    centred = target - target.mean(0)
    rebuilt = fitted.reconstruct(COARSE, as_float=True) * 255 - target.mean(0)
    for channel in range(3):
        a, b = centred[..., channel].ravel(), rebuilt[..., channel].ravel()
        assert np.corrcoef(a, b)[0, 1] > 0.6


@pytest.mark.parametrize("init", ["pca", "random"])
def test_convolutions_give_a_table(init):
    fitted = estimator(network="conv", init=init).fit(IMAGES, X_target=OTHER)
    assert fitted.reconstruct(IMAGES).shape == OTHER.shape
    assert fitted.score(IMAGES, X_target=OTHER) > 0.6


def test_flat_target_of_images_may_be_as_wide():
    fitted = estimator().fit(IMAGES, X_target=X)
    assert fitted.reconstruct(IMAGES).shape == X.shape


@pytest.mark.parametrize("make", [csr_matrix, np.float32, lambda t: t.tolist()])
def test_target_of_any_container(make):
    expected = estimator().fit(NOISY, X_target=OTHER).reconstruct(NOISY)
    found = estimator().fit(NOISY, X_target=make(OTHER)).reconstruct(NOISY)
    assert_allclose(found, expected, rtol=1e-2, atol=0.5)


def test_modules_give_the_target():
    fitted = estimator().fit(NOISY, X_target=OTHER)
    code = torch.tensor(fitted.transform(NOISY))
    found = fitted.decoder_.double()(code).detach().numpy()
    assert_allclose(found, fitted.reconstruct(NOISY), atol=1e-4)


def test_training_goes_on_with_a_target():
    fitted = estimator(warm_start=True, max_epochs=3).fit(NOISY, X_target=OTHER)
    before = fitted.score(NOISY, X_target=OTHER)
    assert fitted.fit(NOISY, X_target=OTHER).score(NOISY, X_target=OTHER) >= before
    steps = estimator().partial_fit(NOISY, X_target=OTHER)
    before = steps.score(NOISY, X_target=OTHER)
    for _ in range(5):
        steps.partial_fit(NOISY, X_target=OTHER)
    assert steps.score(NOISY, X_target=OTHER) > before


@pytest.mark.parametrize(
    "settings",
    [
        {"bottleneck": "variational"},
        {"bottleneck": "ordered"},
        {"penalty": "l1"},
        {"corruption": "swap"},
        {"init": "random"},
    ],
    ids=str,
)
def test_parts_work_with_a_target(settings):
    fitted = estimator(**settings).fit(NOISY, X_target=OTHER)
    assert fitted.reconstruct(NOISY).shape == OTHER.shape


def test_share_of_the_variance_is_that_of_the_target():
    settings = {"bottleneck": "ordered", "early_stopping": False}
    fitted = estimator(**settings).fit(NOISY, X_target=OTHER)
    total = fitted.explained_variance_ratio_.sum()
    assert_allclose(total, fitted.score(NOISY, X_target=OTHER), rtol=1e-5)


def test_copies_keep_the_target():
    fitted = estimator().fit(NOISY, X_target=OTHER)
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.reconstruct(NOISY), fitted.reconstruct(NOISY))
    assert_array_equal(
        clone(fitted).fit(NOISY, X_target=OTHER).transform(NOISY),
        fitted.transform(NOISY),
    )


def routed_pipeline():
    last = estimator(max_epochs=3).set_fit_request(X_target=True)
    return make_pipeline(StandardScaler(), last.set_score_request(X_target=True))


def test_target_is_routed_through_a_pipeline():
    with config_context(enable_metadata_routing=True):
        pipeline = routed_pipeline().fit(NOISY, X_target=OTHER)
        score = pipeline.score(NOISY, X_target=OTHER)
    assert_allclose(
        score, pipeline[-1].score(pipeline[0].transform(NOISY), X_target=OTHER)
    )


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7.2"),
    reason="Before 1.7.2 a search did not pass its metadata to a pipeline's score.",
)
def test_target_is_routed_through_a_grid_search():
    name = "autoencodertransformer__n_components"
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(routed_pipeline(), {name: [1, 6]}, cv=2)
        search.fit(NOISY, X_target=OTHER)
    assert search.best_params_ == {name: 6}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (X[:5], "X_target has 5 rows, but X has 500"),
        (np.full_like(X, np.nan), "X_target contains NaN"),
        (np.full(X.shape, "a"), "could not convert|dtype"),
    ],
)
def test_bad_target_is_refused(target, message):
    with pytest.raises(ValueError, match=message):
        estimator().fit(X, X_target=target)


def test_errors_need_the_target_that_fit_saw():
    fitted = estimator(max_epochs=1).fit(NOISY, X_target=OTHER)
    for method in ("score", "score_samples", "reconstruction_error"):
        with pytest.raises(ValueError, match="pass X_target"):
            getattr(fitted, method)(NOISY)
        with pytest.raises(ValueError, match=r"rows of shape \(64,\).*\(12,\)"):
            getattr(fitted, method)(NOISY, X_target=X)
    with pytest.raises(ValueError, match="pass X_target"):
        fitted.partial_fit(NOISY)


def test_a_target_that_fit_did_not_see_is_refused():
    fitted = estimator(max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="fit saw none"):
        fitted.score(X, X_target=X)


def test_network_of_the_user_needs_a_width_for_the_target():
    def network(n_features, n_components):
        raise AssertionError("It is not called.")

    with pytest.raises(TypeError, match="network network must have .* n_outputs"):
        estimator(network=network).fit(X, X_target=OTHER)


def test_target_is_never_written_to():
    target = OTHER.copy()
    target.setflags(write=False)
    estimator(max_epochs=1).fit(NOISY, X_target=target)
    assert_array_equal(target, OTHER)
