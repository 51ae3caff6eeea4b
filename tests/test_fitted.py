"""Fitted attributes: what stands beside PCA's, and the verdict in words."""

import pickle
import re
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import sem
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, dump, load
from skae._data.intake import read_training_data
from skae._data.rows import Rows
from skae._fitting.parts import read_parts
from skae._fitting.shares import explained_shares
from skae._fitting.verdict import hold_out
from skae.losses import SquaredError

IRIS, DIGITS = load_iris().data, load_digits().data


def fit(X=DIGITS, n_components=4, **settings):
    settings = {"max_epochs": 3, "random_state": 0} | settings
    return AutoencoderTransformer(n_components, **settings).fit(X)


@pytest.fixture(scope="module")
def network():
    return fit(max_epochs=8)


# Beside PCA


def test_attributes_of_a_model_that_is_pca_are_pcas():
    found, pca = fit(IRIS, 2), PCA(2).fit(IRIS)
    n_samples = len(IRIS)
    assert found.proven_ is False
    assert_allclose(found.singular_values_, pca.singular_values_)
    assert_allclose(found.explained_variance_ratio_, pca.explained_variance_ratio_)
    assert_allclose(
        found.explained_variance_ * n_samples / (n_samples - 1), pca.explained_variance_
    )


def test_shares_of_a_network_are_those_of_least_squares(network):
    code = network.transform(DIGITS)
    shares = []
    for k in range(1, 5):
        design = np.column_stack([np.ones(len(code)), code[:, :k]])
        _, left, *_ = np.linalg.lstsq(design, DIGITS)
        shares.append(1 - left.sum() / np.square(DIGITS - DIGITS.mean(0)).sum())
    assert network.proven_
    assert_allclose(np.cumsum(network.explained_variance_ratio_), shares, rtol=1e-4)


def test_shares_count_weights():
    weight = np.arange(len(DIGITS)) % 3
    settings = {"early_stopping": False, "bottleneck": "variational"}
    found = AutoencoderTransformer(2, max_epochs=2, random_state=0, **settings)
    found.fit(DIGITS, sample_weight=weight)
    repeated = DIGITS.repeat(weight, axis=0)
    code = found.transform(repeated)
    design = np.column_stack([np.ones(len(code)), code])
    _, left, *_ = np.linalg.lstsq(design, repeated)
    total = np.square(repeated - repeated.mean(0)).sum()
    share = found.explained_variance_ratio_.sum()
    assert share == pytest.approx(1 - left.sum() / total)


def test_component_without_a_direction_of_its_own_explains_nothing():
    code = np.random.default_rng(0).normal(size=(50, 3))
    code[:, 1] = 2 * code[:, 0]
    rows = Rows(code.copy())
    net = SimpleNamespace(codes=lambda rows: code, criterion_=SquaredError())
    shares = explained_shares(net, rows)
    assert shares[1] == 0
    assert shares.sum() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_shares_exist_for_a_target(method):
    model = AutoencoderTransformer(2, max_epochs=2, random_state=0)
    getattr(model, method)(DIGITS, X_target=DIGITS[:, 20:30])
    assert 0 < model.explained_variance_ratio_.sum() < 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_attributes_have_the_dtype_of_X(dtype):
    found, pca = fit(IRIS.astype(dtype), 2), PCA(2).fit(IRIS.astype(dtype))
    names = ["components_", "mean_", "explained_variance_", "singular_values_"]
    for name in names:
        assert getattr(found, name).dtype == getattr(pca, name).dtype


def test_none_keeps_all_components():
    found = fit(IRIS, None)
    assert found.n_components_ == PCA(None).fit(IRIS).n_components_
    assert_allclose(found.reconstruct(IRIS), IRIS)


def test_none_keeps_no_more_components_than_rows():
    assert fit(IRIS[:3], None).n_components_ == 3


def test_mle_is_refused_with_advice():
    with pytest.raises(ValueError, match="n_components='mle'.*choose_n_components"):
        fit(IRIS, "mle")


# The verdict


def test_verdict_of_few_rows_says_how_many_are_needed():
    words = "The model is PCA: 19 rows are too few .*20 are enough"
    assert re.match(words, fit(IRIS[:19], 2).verdict_)


def test_verdict_gives_losses_and_the_standard_error(network):
    model = AutoencoderTransformer(4, max_epochs=8, random_state=0)
    loss = read_parts(model).loss
    rows = read_training_data(model, DIGITS, None, None, loss, reset=True).rows
    streams = model._random_streams(reset=True)
    learnt, valid = (DIGITS[part.index] for part in hold_out(rows, model, streams))
    pca = PCA(4).fit(learnt)
    pca_error = np.square(pca.inverse_transform(pca.transform(valid)) - valid).mean(1)
    unit = learnt.var(0).mean()
    error = network.reconstruction_error(valid)
    expected = (error.mean(), pca_error.mean(), (pca_error - error).mean())
    expected = [*expected, sem(pca_error - error)]
    numbers = re.findall(r"is (0\.\d+)|PCA's (0\.\d+)|of (0\.\d+)", network.verdict_)
    found = [float("".join(match)) for match in numbers]
    assert network.verdict_.startswith("The network is kept")
    assert_allclose(found, np.array(expected) / unit, rtol=0.06)
    assert f"on {len(valid)} held-out rows" in network.verdict_


def test_verdict_on_noise_says_that_nothing_was_proven():
    noise = np.random.default_rng(0).normal(size=(700, 5))
    words = "The model is PCA.*on 70 held-out rows.*standard error"
    assert re.match(words, fit(noise, 2).verdict_)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"init": "random"}, "init='random'"),
        ({"early_stopping": False}, "early_stopping"),
        ({"loss": "poisson"}, "loss 'poisson'"),
        ({"penalty": "l1"}, "penalty"),
        ({"bottleneck": "top_k"}, "bottleneck"),
    ],
)
def test_verdict_says_why_nobody_judged(settings, words):
    verdict = fit(**settings).verdict_
    assert verdict.startswith("The network was not judged")
    assert words in verdict


def test_verdict_of_rows_without_a_rest():
    line = np.outer(np.linspace(0, 1, 300), [1, 2, 3])
    assert "loses nothing" in fit(line, 1).verdict_


def test_verdict_is_kept_wherever_the_estimator_goes(network, tmp_path):
    dump(network, tmp_path / "model.safetensors")
    copies = [
        load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(network)),
    ]
    assert {copy.verdict_ for copy in copies} == {network.verdict_}
    assert network.history_.attrs["verdict"] == network.verdict_


def test_verdict_is_in_the_html_repr(network):
    pytest.importorskip("sklearn", minversion="1.9")
    assert "is kept, as it is better" in network._repr_html_()


def test_variances_beyond_the_dtype_of_X_are_float64():
    X = (load_iris().data * 1e25).astype(np.float32)
    fitted = AutoencoderTransformer(2).fit(X)
    assert fitted.explained_variance_.dtype == np.float64
    assert fitted.singular_values_.dtype == np.float32
    expected = PCA(2).fit(X.astype(np.float64)).explained_variance_ * 149 / 150
    assert_allclose(fitted.explained_variance_, expected, rtol=1e-5)
