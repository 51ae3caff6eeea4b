"""Steps are small where many inputs add up, or where little is left to learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._data.rows import Rows
from skae._fitting.rates import FIRST_LAYER, PATH, share_for_rest, step_shares
from skae._fitting.start import fit_linear_start

RNG = np.random.default_rng(0)


def waves(n_samples, n_features, seed=0):
    """Return rows whose values go up and down together."""
    rng = np.random.default_rng([n_features, seed])
    phase = rng.uniform(0, 2 * np.pi, (n_samples, 1))
    place = np.linspace(0, 2, n_features)
    return np.sin(place + phase) + 0.02 * rng.normal(size=(n_samples, n_features))


def start_of(X, n_components=2):
    return fit_linear_start(Rows(X), n_components, torch.Generator())


def test_share_falls_with_the_sum_of_what_goes_together():
    X = waves(100, 4000)
    shares = step_shares(start_of(X), "mlp")
    singular = np.linalg.svd((X - X.mean(0)) / np.sqrt(X.var(0).mean()))[1][0]
    swing = np.sqrt(4000) * singular / np.sqrt(100)
    assert shares == {
        FIRST_LAYER: pytest.approx(128 / swing),
        PATH: pytest.approx(32 / swing),
    }
    assert step_shares(start_of(X), "conv") == {PATH: shares[PATH]}


def test_few_columns_and_constant_ones_learn_at_the_full_rate():
    assert step_shares(start_of(waves(100, 20)), "mlp") == {}
    assert step_shares(start_of(np.ones((100, 4000))), "mlp") == {}


def test_columns_that_say_different_things_may_take_larger_steps():
    alike, unlike = waves(400, 1000), RNG.normal(size=(400, 1000))
    shares = [step_shares(start_of(X), "conv").get(PATH, 1) for X in (alike, unlike)]
    assert shares[0] < shares[1] / 3


@pytest.mark.parametrize(("left", "share"), [(0.5, 1), (3e-3, 1), (3e-5, 0.1)])
def test_steps_fall_with_the_root_of_what_pca_leaves(left, share):
    X = RNG.normal(size=(4000, 2)) @ [[1, 1, 0, 0], [0, 0, 1, 1]]
    X = X + np.sqrt(2 * left) * RNG.normal(size=X.shape)
    start = start_of(X)
    lost = 1 - PCA(2).fit(X).explained_variance_ratio_.sum()
    expected = min(1, np.sqrt(lost / 3e-3))
    assert share_for_rest(start) == pytest.approx(expected)
    assert expected == pytest.approx(share, rel=0.4)


class Spy(Callback):
    seen: dict

    def on_train_begin(self, net, **kwargs):
        type(self).seen = {}

    def on_batch_end(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            for weight in group["params"]:
                key = tuple(weight.shape), id(weight)
                rates = type(self).seen.setdefault(key, [])
                rates.append((group["lr"], group["weight_decay"]))


@pytest.mark.filterwarnings("ignore:The autoencoder reconstructs worse")
@pytest.mark.parametrize("solver", ["adamw", torch.optim.AdamW])
def test_slow_weights_keep_their_share_and_their_decay(solver):
    X = waves(60, 2000)
    shares = step_shares(start_of(X), "mlp")
    AutoencoderTransformer(
        2,
        hidden_layer_sizes=(8,),
        solver=solver,
        alpha=0.3,
        max_epochs=3,
        early_stopping=False,
        callbacks=[Spy()],
        random_state=0,
    ).fit(X)
    seen = [(shape, np.array(rates)) for (shape, _), rates in Spy.seen.items()]
    path, first = (
        next(rates for shape, rates in seen if shape == wide)
        for wide in [(2, 2000), (8, 2000)]
    )
    for others in [rates for shape, rates in seen if shape[-1:] != (2000,)]:
        np.testing.assert_allclose(path[:, 0], shares[PATH] * others[:, 0])
        np.testing.assert_allclose(first[:, 0], shares[FIRST_LAYER] * others[:, 0])
        np.testing.assert_allclose(path[:, 0] * path[:, 1], 0.3 * others[:, 0])


def test_solver_without_groups_trains_wide_rows():
    X = waves(60, 2000)
    found = AutoencoderTransformer(
        2, solver=torch.optim.LBFGS, max_epochs=1, early_stopping=False, random_state=0
    )
    assert np.isfinite(found.fit(X).reconstruct(X)).all()


@pytest.mark.parametrize("shape", [(200, 10), (200, 300), (200, 5000), (80, 64, 64)])
def test_first_epoch_stays_near_its_start(shape):
    X = waves(shape[0], math.prod(shape[1:])).reshape(shape)
    one_epoch = {"max_time": 1e-9, "early_stopping": True}  # of all that are planned
    found = AutoencoderTransformer(2, random_state=0, **one_epoch).fit(X)
    assert found.validation_loss_curve_[0] < 2 * found.pca_loss_
