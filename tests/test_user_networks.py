"""Networks of the user's: pairs, what is said of wrong shapes, and torch.compile."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer

X = np.random.default_rng(0).normal(size=(200, 6)) * [1, 2, 3, 4, 5, 6] + 1
ANGLES = np.linspace(0, 2 * np.pi, 300)
CIRCLE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES), np.cos(2 * ANGLES)])


def estimator(n_components=2, **settings):
    settings = {"random_state": 0, "max_epochs": 3, **settings}
    return AutoencoderTransformer(n_components, **settings)


def encoder(n_features, n_components):
    return nn.Sequential(
        nn.Linear(n_features, 32), nn.Tanh(), nn.Linear(32, n_components)
    )


def decoder(n_features, n_components):
    return nn.Sequential(
        nn.Linear(n_components, 32), nn.Tanh(), nn.Linear(32, n_features)
    )


class Whole(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = encoder(n_features, n_components)
        self.decode = decoder(n_features, n_components)


# Pairs


@pytest.mark.parametrize("init", ["pca", "random"])
def test_pair_is_the_network_of_its_halves(init):
    settings = {"init": init, "max_epochs": 20}
    pair = estimator(1, network=(encoder, decoder), **settings).fit(CIRCLE)
    whole = estimator(1, network=Whole, **settings).fit(CIRCLE)
    assert_array_equal(pair.transform(CIRCLE), whole.transform(CIRCLE))
    assert_array_equal(pair.reconstruct(CIRCLE), whole.reconstruct(CIRCLE))


def test_pair_learns_what_pca_cannot():
    fitted = estimator(1, network=(encoder, decoder), max_epochs=100).fit(CIRCLE)
    assert fitted.proven_


def test_pair_is_cloned_searched_and_pickled():
    pair = encoder, decoder
    pipeline = make_pipeline(StandardScaler(), estimator(network=pair))
    assert clone(pipeline)[-1].network == pair
    name = "autoencodertransformer__network"
    search = GridSearchCV(pipeline, {name: ["mlp", pair, Whole]}, cv=2, n_jobs=2)
    with parallel_config("multiprocessing"):  # starts in no time
        search.fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    fitted = estimator(network=pair).fit(X)
    restored = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(restored.transform(X), fitted.transform(X))
    n_epochs = fitted.n_epochs_
    assert fitted.partial_fit(X).n_epochs_ == n_epochs + 1


def test_each_half_gets_its_own_width():
    seen = []

    def wide_encoder(n_features, n_components, n_encoded):
        seen.append(n_encoded)
        return encoder(n_features, n_encoded)

    def other_decoder(n_features, n_components, n_outputs):
        seen.append(n_outputs)
        return decoder(n_outputs, n_components)

    network = wide_encoder, other_decoder
    fitted = estimator(network=network, bottleneck="variational")
    fitted.fit(X, X_target=X[:, :5])
    assert set(seen) == {4, 5}
    assert fitted.reconstruct(X).shape == (200, 5)


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        ((encoder,), {}, "must be a pair"),
        ((encoder, decoder, decoder), {}, "must be a pair"),
        ((encoder, "mlp"), {}, "must be a pair"),
        ((encoder, nn.Linear(2, 6)), {}, "instance of Linear; pass the class"),
        ((encoder, lambda n_features, n_components: 3), {}, "network returned 3"),
        ((encoder, decoder), {"bottleneck": "variational"}, "encoder.*n_encoded, here"),
    ],
    ids=["one", "three", "name", "instance", "no module", "width"],
)
def test_what_is_no_pair_is_refused(network, settings, message):
    with pytest.raises(TypeError, match=message):
        estimator(network=network, **settings).fit(X)


# Shapes


def ill_fitting_encoder(n_features, n_components):
    return nn.Sequential(
        nn.Linear(n_features, 32), nn.Tanh(), nn.Linear(31, n_components)
    )


def narrow_decoder(n_features, n_components):
    return nn.Sequential(nn.Linear(n_components, 7), nn.ReLU(), nn.Linear(7, 5))


def test_message_names_the_layer_that_fails():
    message = (
        r"encode failed in encoder\.2 = Linear\(in_features=31.*got the shape \(2, 32\)"
        r".*encode got \(2, 6\); encoder\.0 gave \(2, 32\); encoder\.1 gave \(2, 32\)\."
    )
    with pytest.raises(ValueError, match=message):
        estimator(network=(ill_fitting_encoder, decoder)).fit(X)


def test_message_names_the_shapes_on_the_way():
    message = (
        r"shape \(2, 5\); it must be \(2, n_features\) = \(2, 6\).*decode got \(2, 2\);"
        r" decoder\.0 gave \(2, 7\); decoder\.1 gave \(2, 7\); decoder\.2 gave \(2, 5\)"
    )
    with pytest.raises(ValueError, match=message):
        estimator(network=(encoder, narrow_decoder)).fit(X)


def test_failure_outside_of_layers_is_explained():
    class Own(Whole):
        def decode(self, code):
            return code @ torch.ones(3, 6)

    Own.__init__ = lambda self, n_features, n_components: (
        nn.Module.__init__(self),
        setattr(self, "encode", encoder(n_features, n_components)),
    )[0]
    with pytest.raises(ValueError, match=r"Own\.decode failed: .*decode got \(2, 2\)"):
        estimator(network=Own).fit(X)


def test_network_keeps_no_hooks():
    module = estimator(network=Whole).fit(X).net_.module_
    for layer in module.modules():
        assert not layer._forward_hooks
        assert not layer._forward_pre_hooks


# torch.compile


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"network": (encoder, decoder)},
        {"penalty": "l1"},
        {"network": "conv", "image_shape": (2, 3)},
        {"init": "random", "loss": "huber", "max_epochs": 30},
    ],
    ids=["mlp", "pair", "penalty", "conv", "random"],
)
def test_compiled_training_is_training(settings):
    usual = estimator(early_stopping=False, **settings).fit(X)
    compiled = clone(usual).set_params(compile="eager").fit(X)
    assert_allclose(compiled.loss_curve_, usual.loss_curve_, rtol=1e-6)
    assert_allclose(compiled.transform(X), usual.transform(X), atol=1e-6)


def test_backend_compiles_what_is_trained():
    seen = []

    def backend(graph, inputs):
        seen.append(graph)
        return graph.forward

    torch._dynamo.register_backend(backend, name="skae_test")
    try:
        fitted = estimator(compile="skae_test").fit(X)
    finally:
        del torch._dynamo.backends.registry._COMPILER_FNS["skae_test"]
    assert seen
    restored = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(restored.transform(X), fitted.transform(X))


def test_bottleneck_that_changes_by_plan_is_compiled_seldom():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "recompile limit"
        estimator(bottleneck="variational", compile="eager", max_epochs=30).fit(X)
    assert torch._dynamo.utils.counters["frames"]["ok"] < 8


def test_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="compile='fast' is no backend.*inductor"):
        estimator(compile="fast").fit(X)


def test_failure_to_compile_names_the_parameter():
    def backend(graph, inputs):
        raise OSError("no compiler")

    torch._dynamo.register_backend(backend, name="skae_broken")
    try:
        with pytest.raises(RuntimeError, match="(?s)skae_broken' failed.*no comp"):
            estimator(compile="skae_broken").fit(X)
    finally:
        del torch._dynamo.backends.registry._COMPILER_FNS["skae_broken"]


# New rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sampled_rows_have_the_dtype_of_the_data(dtype):
    fitted = estimator(density="gaussian_mixture").fit(X.astype(dtype))
    assert fitted.sample(3, random_state=0).dtype == dtype


def test_every_fit_is_compiled():
    # torch stops compiling one function after eight shapes of its weights.
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for width in range(10, 20):
        settings = {"hidden_layer_sizes": (width,), "learning_rate": 1e-6}
        estimator(compile="eager", early_stopping=False, **settings).fit(X)
    assert torch._dynamo.utils.counters["frames"]["ok"] >= 10
