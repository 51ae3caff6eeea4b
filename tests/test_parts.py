"""Parts of the user go with everything; what they make possible works together."""

import copy
import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer
from skae import _runtime as runtime
from skae._parts import Part
from skae.bottlenecks import BOTTLENECKS, Bottleneck
from skae.corruption import (
    CORRUPTIONS,
    BlockMasking,
    Chain,
    Choice,
    Corruption,
    SwapNoise,
)
from skae.losses import LOSSES, Loss
from skae.penalties import PENALTIES, Penalty, Sum

try:
    import cloudpickle
except ImportError:  # joblib < 1.6
    from joblib.externals import cloudpickle

# Workers may not be able to import this file: send them its classes and functions.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

# A few epochs are often too few.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The autoencoder reconstructs worse",
    "ignore:This process .* is multi-threaded, use of fork",
)

X = load_digits().data[:300]
IMAGES = (X * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)


def estimator(n_components=4, **settings):
    quick = {"max_epochs": 3, "random_state": 0}
    quick |= {"network": "mlp", "early_stopping": False}
    if isinstance(settings.get("network", "auto"), str):
        quick["hidden_layer_sizes"] = (16,)
    return AutoencoderTransformer(n_components, **{**quick, **settings})


# Parts of the user


class LogCosh(Loss):
    """Like squared error near zero, like absolute error far from it."""

    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness

    def __call__(self, output, X):
        return (self.sharpness * (output - X)).cosh().log().mean(1)


class Tanh(Bottleneck):
    """Codes between two bounds."""

    def __init__(self, bound=3.0):
        self.bound = bound

    def code(self, h):
        return self.bound * torch.tanh(h / self.bound)


class NotNegative(Penalty):
    """Codes that are hardly ever negative."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def __call__(self, code, X, encode):
        return self.alpha * code.clamp_max(0).square().mean(1)


class Dimming(Corruption):
    """Rows with less contrast."""

    def __init__(self, least=0.5):
        self.least = least

    def corrupt(self, X, features, generator):
        share = torch.rand(len(X), 1, generator=generator, dtype=X.dtype)
        return X * (self.least + (1 - self.least) * share)


class TwoLayers(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)


OWN = {
    "loss": LogCosh(),
    "bottleneck": Tanh(),
    "penalty": NotNegative(),
    "corruption": Dimming(),
    "network": TwoLayers,
}
SEARCHED = {
    "loss": {"loss__sharpness": [0.5, 2.0]},
    "bottleneck": {"bottleneck__bound": [0.1, 3.0]},
    "penalty": {"penalty__alpha": [0.0, 10.0]},
    "corruption": {"corruption__least": [0.0, 1.0]},
    "network": {"network": ["mlp", TwoLayers]},
}
GIVEN = {name: {name: part} for name, part in OWN.items()} | {"all": OWN}
ALONE_AND_TOGETHER = pytest.mark.parametrize("name", GIVEN)


def codes(fitted):
    """Return the codes of all rows, to compare models by."""
    return fitted.transform(X)


def described(fitted):
    """Return the parameters of an estimator and of its parts, without the parts."""
    parameters = fitted.get_params().items()
    return {name: one for name, one in parameters if not isinstance(one, Part)}


@ALONE_AND_TOGETHER
def test_part_of_the_user_is_used(name):
    own = codes(estimator(**GIVEN[name]).fit(X))
    assert own.shape == (300, 4)
    assert not np.allclose(own, codes(estimator().fit(X)), rtol=1e-3)


@ALONE_AND_TOGETHER
def test_clone_trains_alike(name):
    first = estimator(**GIVEN[name])
    again = clone(first)
    assert described(again) == described(first)
    for parameter in set(GIVEN[name]) - {"network"}:
        assert getattr(again, parameter) is not getattr(first, parameter)
    assert_array_equal(codes(again.fit(X)), codes(first.fit(X)))
    assert_array_equal(codes(clone(first).fit(X)), codes(first))


@ALONE_AND_TOGETHER
@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps, None])
def test_copies_give_the_same_codes(name, dumps):
    fitted = estimator(**GIVEN[name]).fit(X)
    again = pickle.loads(dumps(fitted)) if dumps else copy.deepcopy(fitted)
    assert_array_equal(codes(again), codes(fitted))
    assert_array_equal(codes(again.fit(X)), codes(fitted))


@ALONE_AND_TOGETHER
def test_part_goes_into_a_pipeline(name):
    pipeline = make_pipeline(StandardScaler(), estimator(**GIVEN[name]))
    code = pipeline.fit_transform(X)
    assert_allclose(pipeline.transform(X), code, rtol=1e-6)
    assert pipeline.inverse_transform(code).shape == X.shape
    step = "autoencodertransformer"
    for parameter in GIVEN[name]:
        (searched,) = SEARCHED[parameter]
        assert f"{step}__{searched}" in pipeline.get_params()


@ALONE_AND_TOGETHER
def test_grid_search_with_workers_finds_what_one_process_finds(name):
    grid = {}
    for parameter in GIVEN[name]:
        grid |= SEARCHED[parameter]
    if name == "all":
        grid = {key: values[1:] for key, values in grid.items()}
    settings = {"cv": 2, "error_score": "raise"}
    with parallel_config("multiprocessing"):  # starts in no time
        found = [
            GridSearchCV(estimator(**GIVEN[name]), grid, n_jobs=n, **settings).fit(X)
            for n in (1, 2)
        ]
    scores = [search.cv_results_["mean_test_score"] for search in found]
    assert_array_equal(*scores)
    assert len(set(scores[0])) == (1 if name == "all" else 2)
    assert_array_equal(*map(codes, found))


@ALONE_AND_TOGETHER
def test_training_goes_on(name):
    fitted = estimator(**GIVEN[name], warm_start=True).fit(X)
    assert fitted.fit(X).n_epochs_ == 6
    assert fitted.partial_fit(X).n_epochs_ == 7


@ALONE_AND_TOGETHER
def test_fit_changes_no_part(name):
    parts = [part for part in GIVEN[name].values() if isinstance(part, Part)]
    before = [pickle.dumps(part.get_params()) for part in parts]
    names = [set(vars(part)) for part in parts]
    estimator(**GIVEN[name]).fit(X).partial_fit(X)
    assert [pickle.dumps(part.get_params()) for part in parts] == before
    assert [set(vars(part)) for part in parts] == names


def test_what_the_parts_of_the_user_ask_for_is_what_one_gets():
    bounded = estimator(bottleneck=Tanh(0.5), init="random").fit(X)
    assert np.abs(codes(bounded)).max() <= 0.5 * bounded.scale_
    settings = {"max_epochs": 20, "init": "random"}
    shares = [
        (codes(estimator(penalty=NotNegative(alpha), **settings).fit(X)) < 0).mean()
        for alpha in (0.0, 10.0)
    ]
    assert shares[1] < 0.5 * shares[0]


EVERY_PART = [
    *(("loss", name) for name in LOSSES),
    *(("bottleneck", name) for name in BOTTLENECKS),
    *(("penalty", name) for name in PENALTIES),
    *(("corruption", name) for name in CORRUPTIONS),
]


@pytest.mark.parametrize(("parameter", "name"), EVERY_PART)
def test_every_part_of_ours_goes_with_those_of_the_user(parameter, name):
    others = {key: part for key, part in OWN.items() if key != parameter}
    fitted = AutoencoderTransformer(4, max_epochs=2, random_state=0, **others)
    network = Encoding if name == "variational" else TwoLayers
    fitted.set_params(**{parameter: name}, network=network, image_shape=(8, 8))
    code = fitted.fit(X / 16).transform(X / 16)
    assert np.isfinite(code).all()
    assert np.isfinite(fitted.inverse_transform(code)).all()


class Encoding(nn.Module):
    """A network that gives as many numbers as the bottleneck asks for."""

    def __init__(self, n_features, n_components, n_encoded=None):
        super().__init__()
        self.encode = nn.Linear(n_features, n_encoded or n_components)
        self.decode = nn.Linear(n_components, n_features)


class Offset(Bottleneck):
    """Codes about zero: what it has seen is taken off, by a product of its own."""

    def build(self, n_components, nat):
        self.register_buffer("mean", torch.zeros(1, n_components))

    def sample(self, h):
        shares = torch.full((1, len(h)), 1 / len(h), dtype=h.dtype)
        self.mean.lerp_(shares @ h.detach(), 0.1)
        return self.code(h), h.square() @ self.mean.T[:, 0]

    def code(self, h):
        return h - self.mean


class Mixing(Penalty):
    """Products of the code with numbers of its own."""

    def __call__(self, code, X, encode):
        return (code @ torch.ones(code.shape[1])).abs() + (encode(X) - code).mean(1)


CHAINED = [CORRUPTIONS[name]() for name in sorted(CORRUPTIONS)]
IN_MIXED = [
    *EVERY_PART,
    *(("loss", part) for part in (LogCosh(), lambda o, x: (o - x).abs().mean(1))),
    *(("bottleneck", part) for part in (Tanh(), Offset())),
    ("penalty", Sum([part() for part in PENALTIES.values()])),
    *(("penalty", part) for part in (NotNegative(), Mixing())),
    *(("corruption", part) for part in (Chain(CHAINED), Choice(CHAINED), Dimming())),
]


def name_of(one):
    return getattr(one, "__name__", str(one).partition("(")[0])


@pytest.fixture
def bfloat16(monkeypatch):
    """Let "auto" be "mixed" for the smallest fit."""
    monkeypatch.setattr(runtime, "_has_bfloat16_products", lambda device: True)
    monkeypatch.setattr(runtime, "SMALL_FIT", 0)
    monkeypatch.setattr(runtime, "AUTOCAST_STEP", 0)


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("network", ["mlp", "conv", Encoding], ids=name_of)
@pytest.mark.parametrize(("parameter", "part"), IN_MIXED, ids=name_of)
def test_every_part_learns_where_the_hardware_multiplies_bfloat16(
    parameter, part, network
):
    settings = {"network": network, "image_shape": (8, 8), parameter: part}
    settings |= {"max_epochs": 2, "batch_size": 20, "hidden_layer_sizes": (4,)}
    fitted = estimator(**settings).fit(X[:40] / 16)
    assert fitted.precision_ == "mixed"
    assert np.isfinite(fitted.loss_curve_ + [fitted.score(X / 16)]).all()


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("name", [None, *BOTTLENECKS])
def test_bottleneck_learns_with_bfloat16_as_with_float32(name):
    settings = {"bottleneck": name, "learning_rate": 1e-3}
    curves = [
        estimator(**settings, precision=precision).fit(X).loss_curve_
        for precision in ("auto", "float32")
    ]
    assert_allclose(*curves, rtol=0.02)
    assert curves[0] != curves[1]


@pytest.mark.parametrize(
    ("given", "key", "advice"),
    [
        ({"penalty": "l1"}, "penalty__alpha", "penalty=SparsityPenalty()"),
        ({"loss": "huber"}, "loss__delta", "loss=Huber()"),
        ({"bottleneck": "top_k"}, "bottleneck__k", "bottleneck=TopKBottleneck()"),
        ({"corruption": "swap"}, "corruption__rate", "corruption=SwapNoise()"),
        ({"density": "gaussian_mixture"}, "density__tol", "density=GaussianMixture()"),
        ({}, "loss__delta", "loss=Huber()"),
        ({}, "bottleneck__beta", "bottleneck=VariationalBottleneck()"),
        ({"penalty": PENALTIES["l1"]}, "penalty__rate", "penalty=KLSparsityPenalty()"),
        ({"penalty": Sum([])}, "penalty__penalties__alpha", "set penalties as a whole"),
        ({"network": TwoLayers}, "network__depth", "set network as a whole"),
    ],
)
def test_parameter_of_what_is_no_object_cannot_be_set(given, key, advice):
    found = make_pipeline(AutoencoderTransformer(**given))
    with pytest.raises(ValueError, match="cannot be set") as error:
        GridSearchCV(found, {f"autoencodertransformer__{key}": [1]}, cv=2).fit(X)
    assert str(error.value).endswith(f"{advice}.")


def test_object_and_its_parameter_are_set_together():
    parameters = {"penalty": PENALTIES["l1"](), "penalty__alpha": 3.0}
    found = AutoencoderTransformer(penalty="l1").set_params(**parameters)
    assert found.penalty.alpha == 3.0


# Generation

SOURCES = {
    "variational": {"bottleneck": "variational"},
    "wae": {"bottleneck": "wae"},
    "mixture": {"density": "gaussian_mixture"},
    "kernels": {"density": KernelDensity(bandwidth=1.0)},
    "mixture of the user": {"density": GaussianMixture(3, random_state=0)},
    "ordered": {"bottleneck": "ordered", "density": "gaussian_mixture"},
    "top k": {"bottleneck": "top_k", "density": "gaussian_mixture"},
}


@pytest.fixture(scope="module", params=SOURCES)
def generator(request):
    # Little decay: it holds the decoder down, and with it the codes of a prior apart.
    return estimator(max_epochs=30, alpha=0.01, **SOURCES[request.param]).fit(X)


@pytest.mark.parametrize("n_samples", [1, 7])
def test_new_rows_look_like_rows(generator, n_samples):
    new = generator.sample(n_samples, random_state=0)
    assert new.shape == (n_samples, 64)
    assert new.dtype == np.float64
    assert np.isfinite(new).all()
    assert generator.sample().shape == (1, 64)


def test_same_random_state_gives_the_same_rows(generator):
    new = generator.sample(5, random_state=0)
    assert_array_equal(generator.sample(5, random_state=0), new)
    again = generator.sample(5, random_state=np.random.RandomState(0))
    assert_array_equal(again, new)
    assert not np.allclose(generator.sample(5, random_state=1), new)


def test_random_state_object_moves_on(generator):
    random_state = np.random.RandomState(0)
    first = generator.sample(5, random_state=random_state)
    assert not np.allclose(generator.sample(5, random_state=random_state), first)


def test_rows_without_a_random_state_differ(generator):
    assert not np.allclose(generator.sample(5), generator.sample(5))


def test_new_rows_are_different_from_each_other(generator):
    new = generator.sample(50, random_state=0)
    assert len(np.unique(new.round(3), axis=0)) > 40


def test_global_generators_stay(generator):
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    generator.sample(5, random_state=0)
    assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_new_rows_have_the_mean_and_the_spread_of_reconstructions(generator):
    new = generator.sample(2000, random_state=0)
    distance = np.linalg.norm(new.mean(axis=0) - X.mean(axis=0))
    assert distance < 0.3 * np.linalg.norm(X.std(axis=0))
    explained = generator.reconstruct(X).var(axis=0).sum()
    assert 0.5 * explained < new.var(axis=0).sum() < 2 * explained


def test_fitting_twice_gives_the_same_rows(generator):
    again = clone(generator).fit(X)
    expected = generator.sample(5, random_state=0)
    assert_array_equal(again.sample(5, random_state=0), expected)


def test_sampling_survives_pickle(generator):
    again = pickle.loads(pickle.dumps(generator))
    expected = generator.sample(5, random_state=0)
    assert_array_equal(again.sample(5, random_state=0), expected)


def test_sampling_does_not_change_the_density():
    fitted = estimator(density=KernelDensity()).fit(X)
    before = pickle.dumps(fitted.density_)
    fitted.sample(5, random_state=0)
    assert pickle.dumps(fitted.density_) == before


@pytest.mark.parametrize("n_samples", [0, -1, 2.0, "3", None])
def test_number_of_new_rows_must_be_positive(generator, n_samples):
    with pytest.raises(ValueError, match=r"n_samples=.* whole number of at least 1"):
        generator.sample(n_samples)


@pytest.mark.parametrize("bottleneck", [None, "ordered", "top_k", "vector_quantized"])
def test_without_a_density_the_error_says_what_to_do(bottleneck):
    fitted = estimator(bottleneck=bottleneck, max_epochs=1).fit(X)
    assert fitted.density_ is None
    message = "Fit with density='gaussian_mixture', or with bottleneck='variational'"
    with pytest.raises(ValueError, match=message):
        fitted.sample()


@pytest.mark.parametrize("density", ["normal", object(), StandardScaler()])
def test_density_that_cannot_be_drawn_from_is_refused(density):
    with pytest.raises(ValueError, match="'density' parameter .* must be"):
        estimator(density=density).fit(X)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_density_is_that_of_the_codes(init):
    mixture = GaussianMixture(1)
    fitted = estimator(density=mixture, init=init).fit(X)
    code = codes(fitted)
    assert_allclose(fitted.density_.means_[0], code.mean(axis=0), atol=1e-5)
    assert not hasattr(mixture, "means_")
    covariance = np.cov(code, rowvar=False, bias=True)
    assert_allclose(fitted.density_.covariances_[0], covariance, rtol=1e-4, atol=1e-4)


def test_random_state_seeds_the_mixture():
    means = [
        estimator(density="gaussian_mixture", random_state=seed).fit(X).density_.means_
        for seed in (0, 0, 1)
    ]
    assert_array_equal(means[0], means[1])
    assert not np.allclose(means[0], means[2])


@pytest.mark.parametrize(
    "settings",
    [{"bottleneck": "wae"}, {"density": "gaussian_mixture"}],
    ids=["prior", "density"],
)
@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize(
    "shape", [(8, 8), (8, 8, 1), (4, 16), (1, 8, 8), (16, 4)], ids=str
)
def test_new_images_have_the_form_of_those_fit_saw(shape, network, settings):
    if network == "conv":
        settings = {**settings, "hidden_layer_sizes": (4,)}
    fitted = estimator(network=network, **settings).set_params(max_epochs=1)
    images = IMAGES[:60].reshape(-1, *shape)
    fitted.fit(images)
    new = fitted.sample(6, random_state=0)
    assert new.dtype == np.uint8
    assert new.shape == (6, *shape)
    floats = fitted.sample(6, random_state=0, as_float=True)
    assert floats.dtype.kind == "f"
    assert_allclose(new, np.clip(floats * 255, 0, 255), atol=0.51)


def test_new_rows_stay_in_the_range_of_the_link():
    bits = estimator(bottleneck="variational", loss="log_loss").fit(X / 16)
    new = bits.sample(200, random_state=0)
    assert new.min() >= 0
    assert new.max() <= 1
    counts = estimator(density="gaussian_mixture", loss="poisson").fit(X)
    assert counts.sample(200, random_state=0).min() >= 0


def test_new_rows_of_ordered_components_may_be_short():
    fitted = estimator(0.9, bottleneck="ordered", density="gaussian_mixture").fit(X)
    assert fitted.density_.means_.shape[1] == fitted.n_components_
    assert fitted.sample(3).shape == (3, 64)


# Ways between rows

STEPS = pytest.mark.parametrize("n_steps", [1, 2, 5])


@pytest.fixture(scope="module")
def fitted():
    return estimator().fit(X)


@STEPS
def test_ways_go_from_one_reconstruction_to_the_other(fitted, n_steps):
    ways = fitted.interpolate(X[:3], X[3:6], n_steps)
    assert ways.shape == (3, n_steps, 64)
    assert_allclose(ways[:, 0], fitted.reconstruct(X[:3]), atol=1e-6)
    if n_steps > 1:
        assert_allclose(ways[:, -1], fitted.reconstruct(X[3:6]), atol=1e-6)


def test_codes_on_the_way_are_evenly_spaced(fitted):
    a, b = fitted.transform(X[:3]), fitted.transform(X[3:6])
    middle = fitted.interpolate(X[:3], X[3:6], 5)[:, 2]
    assert_allclose(middle, fitted.inverse_transform((a + b) / 2), atol=1e-6)
    quarter = fitted.interpolate(X[:3], X[3:6], 5)[:, 1]
    assert_allclose(quarter, fitted.inverse_transform(0.75 * a + 0.25 * b), atol=1e-6)


def test_way_from_a_row_to_itself_does_not_move(fitted):
    ways = fitted.interpolate(X[:3], X[:3], 4)
    assert_allclose(ways, np.repeat(ways[:, :1], 4, axis=1), atol=1e-9)


def test_ten_steps_unless_others_are_asked_for(fitted):
    assert fitted.interpolate(X[:2], X[2:4]).shape == (2, 10, 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ways_have_the_dtype_of_the_rows(fitted, dtype):
    ways = fitted.interpolate(X[:2].astype(dtype), X[2:4].astype(dtype), 3)
    assert ways.dtype == dtype


@STEPS
@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (8, 8, 1)], ids=str)
def test_images_have_ways_too(shape, n_steps):
    images = IMAGES.reshape(-1, *shape)
    fitted = estimator(network="conv", hidden_layer_sizes=(4,), max_epochs=1)
    fitted.fit(images[:60])
    ways = fitted.interpolate(images[:3], images[3:6], n_steps)
    assert ways.shape == (3, n_steps, *shape)
    assert ways.dtype == np.uint8
    start = fitted.reconstruct(images[:3])
    assert np.abs(ways[:, 0].astype(int) - start).max() <= 1  # rounded
    floats = fitted.interpolate(images[:3], images[3:6], n_steps, as_float=True)
    assert floats.dtype == np.float32
    assert_allclose(ways, np.clip(255 * floats, 0, 255), atol=0.51)


def test_no_rows_have_no_ways(fitted):
    assert fitted.interpolate(X[:0], X[:0], 3).shape == (0, 3, 64)


@pytest.mark.parametrize(("n_a", "n_b"), [(3, 4), (1, 3), (0, 2)])
def test_unequal_numbers_of_rows_are_refused(fitted, n_a, n_b):
    with pytest.raises(ValueError, match=f"X_a has {n_a} rows, but X_b has {n_b}"):
        fitted.interpolate(X[:n_a], X[:n_b])


@pytest.mark.parametrize("n_steps", [0, -1, 2.5, None])
def test_number_of_steps_must_be_positive(fitted, n_steps):
    with pytest.raises(ValueError, match="n_steps=.* whole number of at least 1"):
        fitted.interpolate(X[:2], X[2:4], n_steps)


# What holds parts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"corruption": Chain(["swap"])}, "corruptions of Chain has 'swap'"),
        ({"corruption": Chain([SwapNoise])}, "corruptions of Chain has <class"),
        ({"corruption": Chain(SwapNoise())}, r"has SwapNoise\(\); it must be a list"),
        ({"corruption": Choice(["swap"])}, "corruptions of Choice has 'swap'"),
        ({"corruption": Choice(SwapNoise())}, r"has SwapNoise\(\); it must be a list"),
        ({"penalty": Sum(["l1"])}, "penalties of Sum has 'l1'.* instances of Penalty"),
        ({"density": KernelDensity}, r"pass an instance, KernelDensity\(\)"),
    ],
)
def test_wrong_member_is_refused(settings, message):
    with pytest.raises(TypeError, match=message):
        estimator(**settings).fit(X)


def test_member_of_a_member_is_checked():
    chain = Chain([Chain([BlockMasking()])])
    with pytest.raises(ValueError, match="is for images, but X is a table"):
        estimator(corruption=chain).fit(X)
    with pytest.raises(ValueError, match="rate=2 of SwapNoise"):
        estimator(corruption=Chain([Chain([SwapNoise(2)])])).fit(X)


def test_density_is_learnt_by_fit_only():
    fitted = estimator(density="gaussian_mixture").partial_fit(X)
    with pytest.raises(ValueError, match="not by partial_fit: call fit"):
        fitted.sample()


def test_interpolation_returns_an_array_whatever_transform_returns():
    frame = pd.DataFrame(X).rename(columns=str)
    fitted = estimator().set_output(transform="pandas").fit(frame)
    assert fitted.interpolate(frame[:3], frame[3:6], 5).shape == (3, 5, 64)


def test_few_rows_do_not_stretch_variational_codes():
    fitted = estimator(bottleneck="variational", max_epochs=100).fit(X)
    assert_allclose(fitted.transform(X).std(axis=0), 1, atol=0.25)


def test_density_goes_before_the_prior():
    settings = {"bottleneck": "wae", "max_epochs": 2}
    fitted = estimator(density="gaussian_mixture", **settings).fit(X)
    prior = estimator(**settings).fit(X)
    assert_array_equal(fitted.transform(X), prior.transform(X))
    assert not np.allclose(fitted.sample(5, 0), prior.sample(5, 0))


def test_codes_that_training_stretched_come_back_to_the_prior():
    images = IMAGES[:200].repeat(4, axis=1).repeat(4, axis=2)
    settings = {"bottleneck": "variational", "max_epochs": 4}
    fitted = estimator(2, **settings).fit(images)
    stretch = 1 / (fitted.net_.module_.units.numpy() * fitted.scale_)
    assert (stretch > 1.3).any()
    assert_allclose(fitted.transform(images).std(axis=0), 1, atol=0.3)
    spread = fitted.sample(200, 0, as_float=True).std(axis=0).mean()
    assert spread == pytest.approx(
        fitted.reconstruct(images, as_float=True).std(axis=0).mean(), rel=0.2
    )


@pytest.mark.parametrize(
    ("part", "size", "dtype"),
    [
        ({"bottleneck": "variational"}, 1e-160, np.float64),
        ({"bottleneck": "variational"}, 1e-40, np.float32),
        ({"bottleneck": "wae"}, 1e-160, np.float64),
        ({"loss": "poisson"}, 1e-160, np.float64),
        ({"density": "gaussian_mixture"}, 1e-160, np.float64),
    ],
)
def test_numbers_too_small_for_a_part_are_refused(part, size, dtype):
    ((name, value),) = part.items()
    rows = (X[:50] * size).astype(dtype)
    with pytest.raises(ValueError, match=f"too small for {name}='{value}'.*Multiply X"):
        estimator(**part, max_epochs=1).fit(rows)


@pytest.mark.parametrize("bottleneck", ["variational", "vector_quantized"])
def test_large_numbers_give_finite_results(bottleneck):
    rows = X[:50] * 1e140
    fitted = estimator(bottleneck=bottleneck, max_epochs=1, early_stopping=False)
    for result in (fitted.fit_transform(rows), fitted.reconstruct(rows)):
        assert np.isfinite(result).all()
