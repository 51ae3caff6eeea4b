"""Warnings that name columns or components, and say what to do."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._fitting.advice import advise_on_code, advise_on_units
from skae._fitting.codec import Codec
from skae._fitting.start import LinearStart
from skae.bottlenecks import Bottleneck, VariationalBottleneck
from skae.losses import SquaredError
from skae.networks import MLPAutoencoder

WINE = load_wine().data
PROLINE = 12


def warnings_of(X, n_components=2, **settings):
    """Return what a fit warns of, but for training that did not come far."""
    settings = {"max_epochs": 2, "random_state": 0, **settings}
    sample_weight = settings.pop("sample_weight", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AutoencoderTransformer(n_components, **settings).fit(X, None, sample_weight)
    assert all(one.filename == __file__ for one in caught), "points to the caller"
    return [
        str(one.message)
        for one in caught
        if not issubclass(one.category, ConvergenceWarning)
    ]


def normal(n_samples=200, n_features=6):
    return np.random.default_rng(0).normal(size=(n_samples, n_features))


# Columns


def test_column_that_drowns_the_others_is_named():
    assert WINE.var(0)[PROLINE] > 0.99 * WINE.var(0).sum()
    (text,) = warnings_of(WINE)
    assert "column 12: " in text
    assert "other 12" in text
    assert "StandardScaler" in text
    (text,) = warnings_of(load_wine(as_frame=True).data)
    assert "column 'proline': " in text
    assert warnings_of(StandardScaler().fit_transform(WINE)) == []


@pytest.mark.parametrize("load", [load_iris, load_digits, load_breast_cancer])
def test_usual_data_are_no_cause_for_a_warning(load):
    X = load().data
    if load is load_breast_cancer:
        X = StandardScaler().fit_transform(X)
    assert warnings_of(X) == []


def test_constant_columns_are_named():
    X = pd.DataFrame(normal(), columns=list("abcdef")).assign(b=3.0, e=-1.0)
    (text,) = warnings_of(X)
    assert "columns 'b', 'e': it" in text
    assert "VarianceThreshold" in text
    (text,) = warnings_of(sp.csr_matrix(X.to_numpy()))
    assert "columns 1, 4: it" in text


def test_no_more_than_five_columns_are_named():
    X = np.column_stack([normal(), np.ones((200, 8))])
    (text,) = warnings_of(X)
    assert "columns 6, 7, 8, 9, 10 and 3 more: it" in text


def test_column_that_is_constant_in_most_rows_is_not_constant():
    X = normal(5000)
    X[:, 1] = 7
    X[3333, 1] = 8  # in none of the rows that are looked at first
    assert warnings_of(X, max_epochs=1) == []


def test_columns_of_zeros_are_natural():
    X = normal()
    X[:, 2] = 0
    assert warnings_of(X) == []


def test_rows_of_weight_zero_do_not_count():
    X, weight = normal(), np.ones(200)
    X[:, 1] = 7
    X[0, 1], weight[0] = 8, 0
    (text,) = warnings_of(X, sample_weight=weight)
    assert "column 1: it" in text
    weight[0] = 1
    assert warnings_of(X, sample_weight=weight) == []


def test_images_and_counts_have_no_columns_to_speak_of():
    images = load_digits().images + 1  # their corners are constant
    assert warnings_of(images) == []
    counts = np.random.default_rng(0).poisson([500] + [1] * 7, (200, 8))
    assert warnings_of(counts, loss="poisson", early_stopping=True) == []


# Components


def test_more_components_than_directions():
    X = normal(200, 2) @ normal(2, 8)
    (text,) = warnings_of(X, n_components=5)
    assert "only 2 independent directions, but n_components=5" in text
    assert "Set n_components=2 or less" in text
    assert warnings_of(X, n_components=2) == []


def test_collapsed_code_is_said():
    """A strong pull to the prior leaves nothing in the code."""
    bottleneck = VariationalBottleneck(beta=1e6)
    texts = warnings_of(normal(400), bottleneck=bottleneck, max_epochs=30)
    (text,) = [text for text in texts if "collapsed" in text]
    assert "components 0, 1 of 2" in text
    assert "beta" in text


@pytest.mark.parametrize(
    ("spread", "named"),
    [
        ([1, 1e-4, 2], "component 1 of 3"),
        ([1e-4, 1, 1e-5], "components 0, 2 of 3"),
        ([0, 0, 0], "components 0, 1, 2 of 3"),
    ],
)
def test_components_that_collapsed_are_named(spread, named):
    start = LinearStart(np.zeros(5), 1.0, np.eye(3, 5), np.ones(3))
    with pytest.warns(UserWarning, match=f"collapsed: {named} hardly differ"):
        advise_on_code(np.array(spread, float), start, has_prior=False)


def test_small_components_are_no_collapse():
    start = LinearStart(np.zeros(5), 1.0, np.eye(3, 5), np.ones(3))
    advise_on_code(np.array([1, 0.1, 0.01]), start, has_prior=False)


def test_rows_that_are_all_the_same_collapse_nothing():
    assert warnings_of(np.zeros((200, 5))) == []


# Units


def codec(activation):
    network = MLPAutoencoder(
        6, 2, hidden_layer_sizes=(8, 4), activation=activation, generator=None
    )
    return Codec(network, 2, SquaredError(), Bottleneck()).double()


def test_dead_units_are_counted():
    X, module = torch.from_numpy(normal()), codec("relu")
    advise_on_units(module, X)
    with torch.no_grad():
        module.network.encoder[0].bias[:6] = -1e3  # six of eight are zero for all rows
    with pytest.warns(UserWarning, match="dead.* 6 of 8 in hidden layer 1 of the enc"):
        advise_on_units(module, X)


def test_few_dead_units_are_no_cause_for_a_warning():
    X, module = torch.from_numpy(normal()), codec("relu")
    with torch.no_grad():
        module.network.encoder[0].bias[:3] = -1e3
    advise_on_units(module, X)


def test_dead_units_of_a_fit_are_said():
    """Layers whose units died in training, by a callback that kills them."""

    class Deadly(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.module_.network.decoder[0].bias.data.fill_(-1e6)

    settings = {"callbacks": [Deadly()], "early_stopping": False, "activation": "relu"}
    (text,) = warnings_of(normal(), hidden_layer_sizes=(8,), **settings)
    assert "8 of 8 in hidden layer 1 of the decoder" in text
    assert "silu" in text
