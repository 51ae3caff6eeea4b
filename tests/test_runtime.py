"""What a fit borrows from the process, it gives back."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from torch import nn

from skae import AutoencoderTransformer
from skae import _runtime as runtime

pytestmark = pytest.mark.filterwarnings(  # of two epochs from random weights
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(streams, n=4):
    with streams.lent():
        return torch.rand(n).tolist()


def draw_and_fail():
    torch.rand(1)
    raise RuntimeError("This fails.")


# RandomStreams


def test_same_seed_gives_same_streams():
    first, second = runtime.RandomStreams(3), runtime.RandomStreams(3)
    assert first.order.random() == second.order.random()
    assert torch.rand(2, generator=first.init).equal(
        torch.rand(2, generator=second.init)
    )
    assert draw(first) == draw(second)


def test_other_seed_gives_other_streams():
    first, second = runtime.RandomStreams(3), runtime.RandomStreams(4)
    assert first.order.random() != second.order.random()
    assert draw(first) != draw(second)


def test_streams_of_one_seed_differ_from_each_other():
    streams = runtime.RandomStreams(0)
    assert torch.rand(4, generator=streams.init).tolist() != draw(streams)


def test_drawing_from_one_stream_leaves_the_others_alone():
    first, second = runtime.RandomStreams(0), runtime.RandomStreams(0)
    first.order.random(100)
    torch.rand(100, generator=first.init)
    assert draw(first) == draw(second)
    draw(first, 100)
    assert first.order.permutation(9).tolist() != second.order.permutation(9).tolist()
    torch.rand(100, generator=second.init)
    assert torch.rand(2, generator=first.init).equal(
        torch.rand(2, generator=second.init)
    )


def test_lent_stream_does_not_depend_on_the_global_seed():
    torch.manual_seed(1)
    first = draw(runtime.RandomStreams(0))
    torch.manual_seed(2)
    assert draw(runtime.RandomStreams(0)) == first


def test_lent_restores_torch_global_state():
    before = torch.get_rng_state()
    draw(runtime.RandomStreams(0))
    assert torch.get_rng_state().equal(before)


def test_lent_restores_torch_global_state_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="fails"), runtime.RandomStreams(0).lent():
        draw_and_fail()
    assert torch.get_rng_state().equal(before)


def test_lent_goes_on_where_it_stopped():
    split, whole = runtime.RandomStreams(0), runtime.RandomStreams(0)
    first = draw(split)
    torch.rand(5)
    with whole.lent():
        expected = [torch.rand(4).tolist() for _ in range(2)]
    assert [first, draw(split)] == expected


def test_lent_streams_do_not_mix_under_threads():
    def many(seed):
        streams = runtime.RandomStreams(seed)
        return [draw(streams) for _ in range(200)]

    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        concurrent = list(pool.map(many, range(4)))
    assert concurrent == [many(seed) for seed in range(4)]
    assert torch.get_rng_state().equal(before)


# Threads, precision, device, modes


@pytest.mark.parametrize(("before", "inside"), [(1, 2), (2, 1), (2, 2)])
def test_torch_threads_restores(before, inside):
    torch.set_num_threads(before)
    with runtime.torch_threads(inside):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == before


def test_torch_threads_restores_after_an_error():
    with pytest.raises(RuntimeError, match="fails"), runtime.torch_threads(2):
        draw_and_fail()
    assert torch.get_num_threads() == 1


def test_torch_threads_none_changes_nothing():
    torch.set_num_threads(2)
    with runtime.torch_threads(None):
        assert torch.get_num_threads() == 2


def test_forked_child_keeps_one_thread(monkeypatch):
    monkeypatch.setattr(runtime, "_forked", True)
    with runtime.torch_threads(2):
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("n_jobs", "step_work", "n_threads"),
    [
        (None, runtime.THREADED_STEP / 2, 1),
        (None, runtime.THREADED_STEP, None),
        (-1, 1, None),
        (1, 1e12, 1),
        (3, 1, 3),
    ],
)
def test_threads_follow_the_work_of_a_step_unless_given(
    monkeypatch, n_jobs, step_work, n_threads
):
    monkeypatch.setattr(runtime, "count_free_cores", lambda: None)
    assert runtime.choose_threads(n_jobs, step_work) == n_threads


@pytest.mark.parametrize("n_free", [1, 2, 64])
def test_large_steps_take_free_cores_only(monkeypatch, n_free):
    monkeypatch.setattr(runtime, "count_free_cores", lambda: n_free)
    found = runtime.choose_threads(None, runtime.THREADED_STEP)
    assert found == min(n_free, torch.get_num_threads())
    assert runtime.choose_threads(-1, runtime.THREADED_STEP) is None


@pytest.mark.parametrize(
    ("running", "n_free"), [("1/9", 4), ("3/9", 2), ("9/99", 1), ("0/9", 4)]
)
def test_cores_are_free_where_nobody_else_runs(monkeypatch, tmp_path, running, n_free):
    load = tmp_path / "loadavg"
    load.write_text(f"0.10 0.20 0.30 {running} 4711\n")
    monkeypatch.setattr(runtime.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(
        "builtins.open", lambda path, _open=open, **kw: _open(load, **kw)
    )
    assert runtime.count_free_cores() == n_free


@pytest.mark.parametrize("text", [None, "", "0.1 0.2 0.3 x/9 1"])
def test_unknown_load_leaves_the_setting_of_torch(monkeypatch, tmp_path, text):
    load = tmp_path / "loadavg"
    if text is not None:
        load.write_text(text)
    monkeypatch.setattr(
        "builtins.open", lambda path, _open=open, **kw: _open(load, **kw)
    )
    assert runtime.count_free_cores() is None
    assert runtime.choose_threads(None, runtime.THREADED_STEP) is None


SMALL = {"step_work": 1e3, "fit_work": runtime.SMALL_FIT / 2}
NARROW = {"step_work": runtime.AUTOCAST_STEP / 2, "fit_work": 1e12}
WIDE = {"step_work": runtime.AUTOCAST_STEP, "fit_work": 1e12}


@pytest.mark.parametrize("has_bfloat16", [False, True])
@pytest.mark.parametrize(
    ("work", "dtype", "expected"),
    [
        (SMALL, "float64", ("float64", "float64")),
        (SMALL, "float32", ("float32", "float32")),
        (NARROW, "float64", ("float32", "float32")),
        (WIDE, "float64", ("float32", "mixed")),
        (WIDE, "float32", ("float32", "mixed")),
    ],
)
def test_auto_precision_follows_work(monkeypatch, work, dtype, expected, has_bfloat16):
    monkeypatch.setattr(runtime, "_has_bfloat16_products", lambda device: has_bfloat16)
    precision = runtime.choose_precision("auto", dtype, **work, device="cpu")
    assert precision == expected[has_bfloat16]


@pytest.mark.parametrize("precision", ["mixed", "float32", "float64"])
@pytest.mark.parametrize("work", [SMALL, WIDE], ids=["small", "wide"])
def test_given_precision_is_kept(precision, work):
    chosen = runtime.choose_precision(precision, "float64", **work, device="cpu")
    assert chosen == precision


def test_auto_precision_is_never_float64_on_mps():
    precision = runtime.choose_precision("auto", "float64", **SMALL, device="mps")
    assert precision == "float32"


def test_auto_device_is_the_fastest(monkeypatch):
    monkeypatch.setattr(runtime, "available_devices", lambda: ["cpu", "cuda"])
    assert runtime.choose_device("auto") == torch.device("cuda")
    assert runtime.choose_device("cpu") == torch.device("cpu")


def test_cpu_is_always_available():
    assert runtime.available_devices()[0] == "cpu"


@pytest.mark.parametrize(
    "mode",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")],
    ids=["no_grad", "inference_mode", "autocast"],
)
def test_training_modes_undo_the_modes_of_the_caller(mode):
    weight = nn.Parameter(torch.ones(2, 2))
    with mode(), runtime.training_modes():
        product = weight @ weight
    assert product.dtype == torch.float32
    assert product.requires_grad
    assert not product.is_inference()


def test_inference_modes_compute_exactly_and_without_gradients():
    weight = nn.Parameter(torch.ones(2, 2))
    with torch.autocast("cpu"), runtime.inference_modes():
        product = weight @ weight
    assert product.dtype == torch.float32
    assert not product.requires_grad


# The estimator


class DropoutNetwork(nn.Module):
    """Draws from torch's global generator when built and when trained."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Sequential(nn.Dropout(0.2), nn.Linear(n_features, 8))
        self.middle = nn.Linear(8, n_components)
        self.decoder = nn.Linear(n_components, n_features)

    def encode(self, X):
        return self.middle(torch.tanh(self.encoder(X)))

    def decode(self, code):
        return self.decoder(code)


X = np.random.default_rng(0).normal(size=(200, 5)) ** 3
SETTINGS = {
    "mlp": {},
    "random": {"init": "random"},
    "untrained": {"early_stopping": "auto"},
    "network": {"network": DropoutNetwork},
}


def estimator(setting="mlp", **changes):
    settings = {"max_epochs": 2, "random_state": 0, "early_stopping": True}
    return AutoencoderTransformer(**settings | SETTINGS[setting] | changes)


def fit(estimator):
    return estimator.fit(X[:30] if estimator.early_stopping == "auto" else X)


TRAINING = {
    "fit": fit,
    "partial_fit": lambda estimator: estimator.partial_fit(X),
}
USES = {
    "transform": lambda fitted: fitted.transform(X),
    "inverse_transform": lambda fitted: fitted.inverse_transform(X[:, :2]),
    "reconstruct": lambda fitted: fitted.reconstruct(X),
    "score_samples": lambda fitted: fitted.score_samples(X),
    "score": lambda fitted: fitted.score(X),
}


@pytest.fixture(scope="module", params=SETTINGS)
def fitted(request):
    return fit(estimator(request.param))


def torch_state():
    return torch.get_rng_state().numpy().tobytes()


def numpy_state():
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    return keys.tobytes(), rest


OBSERVED = {
    "torch_generator": torch_state,
    "numpy_generator": numpy_state,
    "threads": torch.get_num_threads,
    "default_dtype": torch.get_default_dtype,
    "grad_mode": torch.is_grad_enabled,
    "inference_mode": torch.is_inference_mode_enabled,
    "autocast": lambda: torch.is_autocast_enabled("cpu"),
    "deterministic": torch.are_deterministic_algorithms_enabled,
}


def observe():
    return {name: observed() for name, observed in OBSERVED.items()}


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("train", TRAINING.values(), ids=TRAINING)
def test_training_leaves_the_process_as_it_was(train, setting, n_threads):
    torch.set_num_threads(n_threads)
    before = observe()
    train(estimator(setting))
    assert observe() == before


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_use_leaves_the_process_as_it_was(fitted, use):
    torch.set_num_threads(2)
    before = observe()
    use(fitted)
    assert observe() == before


def test_given_n_jobs_leaves_the_number_of_threads():
    estimator(n_jobs=2).fit(X).transform(X)
    assert torch.get_num_threads() == 1


def test_failed_fit_leaves_the_process_as_it_was():
    before = observe()
    diverging = estimator("network", solver="sgd", learning_rate=1e6, n_jobs=2)
    with pytest.raises(ValueError, match="diverged"):
        diverging.fit(X)
    assert observe() == before


def test_concurrent_fits_leave_the_global_generators():
    before = torch_state(), numpy_state()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: estimator("network").fit(X), range(4)))
    assert (torch_state(), numpy_state()) == before


@pytest.mark.parametrize("setting", SETTINGS)
def test_code_does_not_depend_on_global_seeds(setting):
    codes = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        codes.append(fit(estimator(setting)).transform(X))
    np.testing.assert_array_equal(*codes)


def test_random_state_none_follows_numpy():
    codes = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002
        codes.append(estimator("random", random_state=None).fit(X).transform(X))
    np.testing.assert_array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[0], codes[2])


@pytest.fixture
def float64_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


MODES = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu"),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_fit_and_transform_do_not_depend_on_modes(mode, setting, dtype):
    rows = X.astype(dtype)[: 30 if setting == "untrained" else None]
    expected = estimator(setting).fit(rows)
    with mode():
        found = estimator(setting).fit(rows).partial_fit(rows)
        code = found.transform(rows)
    expected.partial_fit(rows)
    np.testing.assert_array_equal(code, expected.transform(rows))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_net_fitted_in_a_mode_can_be_trained_outside(mode):
    with mode():
        found = estimator().fit(X)
    found.partial_fit(X)
    assert all(
        weight.requires_grad and not weight.is_inference()
        for weight in found.net_.module_.parameters()
    )


@pytest.mark.usefixtures("float64_default")
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_default_dtype_does_not_change_precision(setting, precision):
    found = fit(estimator(setting, precision=precision))
    found.partial_fit(X)
    dtypes = {weight.dtype for weight in found.net_.module_.parameters()}
    assert dtypes == {getattr(torch, precision)}
    assert found.transform(X.astype("float32")).dtype == np.float32
    assert found.transform(X).dtype == np.float64


@pytest.mark.parametrize("setting", ["mlp", "random", "untrained"])
def test_default_dtype_does_not_change_code(setting):
    expected = fit(estimator(setting)).transform(X)
    torch.set_default_dtype(torch.float64)
    try:
        found = fit(estimator(setting)).transform(X)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)


def test_a_million_threads_are_not_started():
    X = np.random.default_rng(0).normal(size=(50, 3))
    for n_jobs in (10**6, np.int64(1), True):
        AutoencoderTransformer(1, n_jobs=n_jobs, random_state=0).fit(X).transform(X)


# Out of memory


class Hungry(nn.Module):
    """Stands in for a device of little memory: fails as torch does, for many rows."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)

    def encode(self, X):
        if len(X) > MEMORY["training" if self.training else "use"]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.encoder(X)


MEMORY = {"training": np.inf, "use": np.inf}  # most rows


@pytest.fixture
def memory(monkeypatch):
    def set_to(n_rows, use):
        monkeypatch.setitem(MEMORY, "training", n_rows)
        monkeypatch.setitem(MEMORY, "use", use)

    return set_to


@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 2, 200)])
def test_batch_beyond_the_memory_is_computed_in_parts(memory, weight):
    settings = {"network": Hungry, "batch_size": 64, "max_epochs": 3, "random_state": 0}
    settings["early_stopping"] = True
    X = np.random.default_rng(0).normal(size=(200, 5))
    whole = AutoencoderTransformer(2, **settings).fit(X, sample_weight=weight)
    memory(40, use=40)
    with pytest.warns(UserWarning, match="64 rows does not fit .* 2 parts"):
        parts = AutoencoderTransformer(2, **settings).fit(X, sample_weight=weight)
    assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-9)
    assert_allclose(
        parts.validation_loss_curve_, whole.validation_loss_curve_, rtol=1e-9
    )
    assert_allclose(parts.transform(X), whole.transform(X), atol=1e-9)
    assert parts.net_.n_parts_ == 1  # forgotten with the fit


def test_transform_halves_its_batch(memory):
    X = np.random.default_rng(0).normal(size=(200, 5))
    fitted = AutoencoderTransformer(2, network=Hungry, max_epochs=1).fit(X)
    expected = fitted.transform(X)
    memory(7, use=7)
    assert_allclose(fitted.transform(X), expected, atol=1e-12)


def test_no_memory_at_all_is_said(memory):
    X = np.random.default_rng(0).normal(size=(200, 5))
    memory(0, use=2)
    autoencoder = AutoencoderTransformer(
        2, network=Hungry, batch_size=2, early_stopping=False
    )
    with pytest.raises(MemoryError, match="batch_size=2.* Lower batch_size"):
        with pytest.warns(UserWarning, match="2 parts"):
            autoencoder.fit(X)


def test_what_is_out_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.int8)
    assert runtime.is_out_of_memory(caught.value)
    assert runtime.is_out_of_memory(MemoryError())
    assert not runtime.is_out_of_memory(RuntimeError("CUDA error"))


# One row


def test_exact_weights_follow_the_weights():
    """A copy in double precision is kept, and must not outlive its weights."""
    X = load_digits().data[:200]
    fitted = AutoencoderTransformer(2, max_epochs=1, precision="float32").fit(X)
    module, row = fitted.net_.module_, X[:1]
    before = fitted.transform(row)
    assert_array_equal(fitted.transform(row), before)
    with torch.no_grad():
        module.units.mul_(2)
    assert_array_equal(fitted.transform(row), 2 * before)
    module.load_state_dict(
        {name: x.clone() for name, x in module.state_dict().items()}, assign=True
    )
    module.units = module.units / 2
    assert_array_equal(fitted.transform(row), before)
    assert fitted.net_.exact_module() is fitted.net_.exact_module()
    assert copy.deepcopy(fitted.net_).exact_ is None


@pytest.mark.parametrize(
    "row",
    [
        np.array([[np.nan] * 64]),
        np.array([[np.inf] * 64], np.float32),
        np.ones((1, 63)),
        np.ones(64),
        np.ma.masked_array(np.ones((1, 64)), np.ones((1, 64), bool)),
    ],
    ids=["nan", "inf", "narrow", "flat", "masked"],
)
def test_short_way_of_small_arrays_checks_them(row):
    fitted = AutoencoderTransformer(2, max_epochs=1).fit(load_digits().data[:200])
    with pytest.raises(ValueError, match="X|array"):
        fitted.transform(row)
