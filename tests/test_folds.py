"""Few rows: each of them judges a network that has not seen it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import scale
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._data.rows import Rows
from skae._fitting import folds
from skae._fitting.verdict import judge_losses, roots_are_proven

RNG = np.random.default_rng(0)
WINE = scale(load_wine().data)
ANGLE = RNG.uniform(0, 2 * np.pi, 90)
CIRCLE = np.column_stack([np.cos(ANGLE), np.sin(ANGLE), np.cos(2 * ANGLE)])
NOISE = RNG.normal(size=(60, 5))


def estimator(n_components=1, **settings):
    short = {"hidden_layer_sizes": (32, 16), "random_state": 0}
    return AutoencoderTransformer(n_components, **short | settings)


def test_every_row_is_left_out_once_and_never_learnt_then():
    parts = [
        (learnt.index, left.index) for learnt, left in Rows(NOISE).folds(5, seed=0)
    ]
    assert_array_equal(np.sort(np.concatenate([left for _, left in parts])), range(60))
    for learnt, left in parts:
        assert_array_equal(np.sort(np.concatenate([learnt, left])), range(60))


def test_pca_loss_is_that_of_pca_of_the_other_folds(monkeypatch):
    parts, drawn = [], Rows.folds

    def noted(*args):
        parts.extend(drawn(*args))
        return iter(parts)

    monkeypatch.setattr(Rows, "folds", noted)
    found, total = estimator().fit(CIRCLE), 0.0
    for learnt, left in parts:
        learnt, left = CIRCLE[learnt.index], CIRCLE[left.index]
        pca = PCA(1).fit(learnt)
        error = left - pca.inverse_transform(pca.transform(left))
        total += np.square(error).sum() / learnt.var(0).mean()
    assert found.pca_loss_ == pytest.approx(total / CIRCLE.size)


def test_rows_of_a_curve_prove_the_network():
    found = estimator().fit(CIRCLE)
    assert found.proven_
    assert "90 rows, each held out once" in found.verdict_
    assert found.best_epoch_ == found.n_epochs_
    curve = found.validation_loss_curve_
    assert found.validation_loss_ == min(curve) == curve[-1] < found.pca_loss_
    assert_allclose(found.mean_, CIRCLE.mean(0))  # of all rows
    assert found.score(CIRCLE) > PCA(1).fit(CIRCLE).explained_variance_ratio_.sum()


def test_new_rows_find_the_network_as_good_as_the_verdict_says():
    angle = RNG.uniform(0, 2 * np.pi, 2000)
    new = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    found = estimator().fit(CIRCLE)
    loss = np.square(found.reconstruct(new) - new).mean() / found.scale_**2
    assert loss < found.pca_loss_
    assert loss == pytest.approx(found.validation_loss_, rel=0.5)


def test_noise_leaves_the_model_pca_of_all_rows():
    found = estimator(2).fit(NOISE)
    assert found.proven_ is False
    assert_allclose(found.transform(NOISE), PCA(2).fit_transform(NOISE))
    assert found.best_epoch_ == 0


def test_training_without_hope_ends_in_the_first_fold(monkeypatch):
    trained = []
    fold = folds.CrossFit._fold

    def noted(*args):
        trained.append(fold(*args))
        return trained[-1]

    monkeypatch.setattr(folds.CrossFit, "_fold", noted)
    found = estimator(2, learning_rate=0.3, schedule="constant").fit(NOISE)
    assert len(trained) == 1
    assert found.n_epochs_ == len(trained[0][1].history) < 40


def test_same_seed_gives_the_same_bytes():
    codes = [estimator(2).fit(WINE).transform(WINE).tobytes() for _ in range(2)]
    assert codes[0] == codes[1]


def test_weights_are_those_of_the_rows_that_judge():
    weight = RNG.uniform(0.5, 2, len(CIRCLE))
    found = estimator().fit(CIRCLE, sample_weight=weight)
    assert found.proven_
    few = estimator(2, max_epochs=2).fit(NOISE, sample_weight=np.arange(60) % 2 * 1.0)
    assert "30 rows" in few.verdict_ or "held-out" in few.verdict_


@pytest.mark.parametrize(
    "settings",
    [{"warm_start": True}, {"callbacks": [Callback()]}],
    ids=lambda settings: next(iter(settings)),
)
def test_what_is_of_one_training_holds_rows_out(settings):
    found = estimator(2, max_epochs=2, **settings)
    assert "on 40 held-out rows" in found.fit(WINE).verdict_
    words = f"with {next(iter(settings))} (160 are enough)"
    assert words in found.fit(WINE[:150]).verdict_


def test_fewer_than_twenty_rows_are_left_to_pca():
    assert "20 are enough" in estimator().fit(CIRCLE[:19]).verdict_
    assert "each held out once" in estimator(max_epochs=2).fit(CIRCLE[:20]).verdict_


def test_equal_rows_count_once():
    found = estimator().fit(np.repeat(CIRCLE[:19], 4, axis=0)).verdict_
    assert "76 rows are too few" in found
    assert "only 19 are different (20 are enough)" in found


def test_many_rows_hold_a_part_out():
    X = np.tile(CIRCLE, (7, 1))
    assert "on 60 held-out rows" in estimator(max_epochs=1).fit(X[:601]).verdict_


def test_interrupt_in_a_fold_leaves_pca(monkeypatch):
    def interrupt(self, net, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(folds.LeftOut, "on_epoch_end", interrupt)
    found = estimator()
    with pytest.raises(KeyboardInterrupt):
        found.fit(CIRCLE)
    assert "interrupted" in found.verdict_
    assert_allclose(found.transform(CIRCLE), PCA(1).fit_transform(CIRCLE))


def test_ordered_code_is_judged_in_several_sizes():
    found = estimator(4, bottleneck="ordered", max_epochs=6).fit(WINE)
    assert "each held out once" in found.verdict_


def test_target_is_judged_against_linear_regression():
    target = CIRCLE[:, 2:] ** 2
    found = estimator().fit(CIRCLE[:, :2], X_target=target)
    assert found.proven_


def test_history_has_both_curves():
    for X, proven in ((CIRCLE, True), (NOISE, False)):
        history = estimator(2 if X is NOISE else 1).fit(X).history_
        assert history[["train_loss", "valid_loss", "pca_loss"]].notna().all(axis=None)
        assert (history["valid_loss"].min() < history["pca_loss"][0]) == proven


# A test that stands heavy tails


def test_a_few_rows_of_large_loss_do_not_hide_a_gain():
    """One row in fifty decides about the mean; distances still tell."""
    size = np.where(np.arange(200) % 50 == 0, 100.0, 1.0)
    linear = size * stats.uniform(0.9, 0.2).rvs(200, random_state=0)
    gain = np.full(200, 0.2)
    gain[size > 1] = [0.5, 0.4, -0.2, 0.0]
    network = linear * (1 - gain)
    mean = (linear - network).mean()
    error = stats.sem(linear - network)
    assert error < mean < 2 * error
    roots = np.sqrt(linear) - np.sqrt(network)
    t = roots.mean() / stats.sem(roots)
    assert t > 2
    assert roots_are_proven(linear, network)
    pair = network[None], linear[None]
    assert judge_losses(*pair, None, is_crossed=True).proven
    assert not judge_losses(*pair, None).proven


def test_roots_do_not_prove_what_the_mean_denies():
    linear = np.ones(100)
    network = np.where(np.arange(100) == 0, 40.0, 0.7)
    assert roots_are_proven(linear[1:], network[1:])
    found = judge_losses(network[None], linear[None], None, is_crossed=True)
    assert not found.proven
