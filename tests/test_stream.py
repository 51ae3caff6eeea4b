"""Rows in pieces: as good as PCA of all of them, and better once it can be."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import scale

from skae import AutoencoderTransformer
from skae._data.rows import Rows
from skae._fitting.start import fit_linear_start
from skae._fitting.stream import Stream

RNG = np.random.default_rng(0)
IRIS = RNG.permutation(load_iris().data)
DIGITS = RNG.permutation(load_digits().data)
WINE = RNG.permutation(scale(load_wine().data))


def in_pieces(X, size):
    return [X[start : start + size] for start in range(0, len(X) - size + 1, size)]


def streamed(X, size, n_components):
    stream = Stream.empty(X.shape[1])
    for piece in in_pieces(X, size):
        stream = stream.with_rows(Rows(piece), n_components)
    return stream


@pytest.mark.parametrize("size", [1, 6, 150])
def test_stream_of_few_features_is_pca_of_all_rows(size):
    start, pca = streamed(IRIS, size, 4).start(4), PCA(4).fit(IRIS)
    assert_allclose(start.mean, pca.mean_)
    assert_allclose(np.abs(start.components), np.abs(pca.components_), atol=1e-9)
    values = start.spread * start.scale * np.sqrt(len(IRIS))
    assert_allclose(values, pca.singular_values_)
    assert start.scale == pytest.approx(np.sqrt(IRIS.var(0).mean()))


def test_weights_in_a_stream_are_repetitions():
    weight = np.arange(len(IRIS)) % 4
    rows = Rows(IRIS, weight * 1.0)
    found = Stream.empty(4).with_rows(rows, 2).start(2)
    pca = PCA(2).fit(IRIS.repeat(weight, axis=0))
    assert_allclose(np.abs(found.components), np.abs(pca.components_), atol=1e-9)


def test_stream_does_not_grow_with_its_rows():
    stream = streamed(DIGITS, 100, 3)
    assert stream.root.shape == (13, 64)


@pytest.mark.parametrize(
    ("X", "size", "n_passes"), [(IRIS, 50, 4), (WINE, 40, 4), (DIGITS, 150, 1)]
)
@pytest.mark.parametrize("n_components", [2, 3])
def test_no_piece_leaves_it_below_incremental_pca(X, size, n_passes, n_components):
    pca = IncrementalPCA(n_components)
    model = AutoencoderTransformer(n_components, random_state=0)
    total = np.square(X - X.mean(0)).sum()
    for piece in in_pieces(X, size) * n_passes:
        pca.partial_fit(piece)
        model.partial_fit(piece)
        lost = np.square(pca.inverse_transform(pca.transform(X)) - X).sum()
        assert model.score(X) > 1 - lost / total - 0.01


def test_it_becomes_better_than_pca():
    model = AutoencoderTransformer(2, random_state=0)
    for piece in in_pieces(DIGITS, 200) * 2:
        model.partial_fit(piece)
    assert model.n_epochs_ > 0
    share = PCA(2).fit(DIGITS).explained_variance_ratio_.sum()
    assert model.score(DIGITS) > share + 0.05


def test_few_rows_are_pca_and_train_nothing():
    model = AutoencoderTransformer(2, random_state=0)
    for piece in in_pieces(IRIS, 50):
        model.partial_fit(piece)
    pca = PCA(2).fit(IRIS)
    assert model.n_epochs_ == 0
    assert_allclose(np.abs(model.transform(IRIS)), np.abs(pca.transform(IRIS)))
    assert_allclose(model.mean_, pca.mean_)


def test_network_that_gets_worse_begins_anew():
    """Rows of another kind: the network knows nothing of them."""
    model = AutoencoderTransformer(2, random_state=0)
    for piece in in_pieces(DIGITS, 300):
        model.partial_fit(piece)
    other = DIGITS[:, ::-1] * 3 + 5
    pca = IncrementalPCA(2).fit(DIGITS[: 300 * (len(DIGITS) // 300)])
    for piece in in_pieces(other, 300)[:3]:
        pca.partial_fit(piece)
        model.partial_fit(piece)
    lost = np.square(pca.inverse_transform(pca.transform(other)) - other).sum()
    assert np.square(model.reconstruct(other) - other).sum() < 1.02 * lost


def test_epoch_that_makes_held_out_rows_worse_is_undone():
    """Noise: the rows learnt from get better, the others do not."""
    X = np.random.default_rng(0).normal(size=(200, 100))
    settings = {"learning_rate": 0.01, "random_state": 0}
    model = AutoencoderTransformer(5, **settings).partial_fit(X)
    assert model.n_epochs_ == 1
    assert_allclose(np.abs(model.transform(X)), np.abs(PCA(5).fit_transform(X)))
    assert "piece by piece" in model.verdict_


def test_pickled_estimator_goes_on_as_if_nothing_had_happened():
    one = AutoencoderTransformer(2, random_state=0)
    for piece in in_pieces(DIGITS, 100)[:4]:
        other = pickle.loads(pickle.dumps(one))
        one.partial_fit(piece)
        other.partial_fit(piece)
        np.testing.assert_array_equal(one.transform(DIGITS), other.transform(DIGITS))


def test_going_on_after_fit_keeps_what_was_proven():
    model = AutoencoderTransformer(2, max_epochs=8, random_state=0).fit(DIGITS)
    before = model.score(DIGITS)
    model.partial_fit(DIGITS[:300])
    assert model.proven_ is None
    assert model.score(DIGITS) > before - 0.01


def test_stream_with_targets_is_least_squares_on_the_code():
    X, y = WINE[:, :6], WINE[:, 6:] @ np.diag(np.arange(1.0, 8.0)) + 3
    stream = Stream.empty(6, 7)
    for start in range(0, len(X), 20):
        place = slice(start, start + 20)
        stream = stream.with_rows(Rows(X[place], target=Rows(y[place])), 2)
    start, pca = stream.start(2), PCA(2).fit(X)
    code = torch.from_numpy(pca.transform(X)) * torch.from_numpy(
        np.sign((start.components * pca.components_).sum(1))
    )
    units = Rows(X, target=Rows(y))
    found = start.target.predict(code / 1.0, start, units)
    expected = LinearRegression().fit(code.numpy(), y).predict(code.numpy())
    assert_allclose(found.numpy(), expected, atol=1e-8)
    assert start.target.scale == pytest.approx(np.sqrt(y.var(0).mean()))


@pytest.mark.parametrize("has_target", [False, True])
def test_stream_goes_on_from_what_a_start_knows(has_target):
    target = Rows(WINE[:, 4:]) if has_target else None
    rows = Rows(WINE[:, :4], target=target)
    start = fit_linear_start(rows, 4, None)
    found = Stream.after_fit(start).start(4)
    assert_allclose(found.components, start.components, atol=1e-9)
    assert_allclose(found.spread, start.spread)
    assert found.scale == pytest.approx(start.scale)
    if has_target:
        assert_allclose(found.target.slopes, start.target.slopes, atol=1e-9)
        assert found.target.scale == pytest.approx(start.target.scale)
