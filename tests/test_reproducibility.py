"""The same integer seed gives the same bytes, wherever the fit runs."""

import copy
import hashlib
import importlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import AutoencoderTransformer

try:
    import cloudpickle
except ImportError:  # joblib < 1.6
    from joblib.externals import cloudpickle

# Workers may not be able to import this file: send them its classes and functions.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

HAS_FORK = hasattr(os, "fork")


class DropoutNetwork(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_features, 16), nn.Dropout(0.2), nn.Linear(16, n_components)
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_components, 16), nn.Tanh(), nn.Linear(16, n_features)
        )

    def encode(self, X):
        return self.encoder(X)

    def decode(self, code):
        return self.decoder(code)


class ConvNetwork(nn.Module):
    """For signals of even length."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.n_features = n_features
        self.conv = nn.Conv1d(1, 4, 3, stride=2, padding=1)
        self.code = nn.Linear(2 * n_features, n_components)
        self.uncode = nn.Linear(n_components, 2 * n_features)
        self.unconv = nn.ConvTranspose1d(4, 1, 4, stride=2, padding=1)

    def encode(self, X):
        return self.code(torch.tanh(self.conv(X[:, None])).flatten(1))

    def decode(self, code):
        channels = torch.tanh(self.uncode(code)).reshape(len(code), 4, -1)
        return self.unconv(channels)[:, 0]


def signals(n_samples=240, n_features=12):
    phase = np.linspace(0, 20, n_samples)[:, None]
    return np.sin(phase + np.linspace(0, 3, n_features)) + np.cos(3 * phase) / 2


X = signals()
CASES = {
    "float64": {"early_stopping": False},
    "float32": {"early_stopping": False, "precision": "float32"},
    "random": {"early_stopping": False, "init": "random", "alpha": 0},
    "early_stopping": {"early_stopping": True, "n_iter_no_change": 2},
    "dropout": {"network": DropoutNetwork},
    "conv": {"network": ConvNetwork},
    "signals": {"network": "conv", "image_shape": (12,)},
}


def estimator(case="float64"):
    settings = {"n_components": 1, "max_epochs": 3, "batch_size": 40, "random_state": 0}
    return AutoencoderTransformer(**settings | CASES[case])


def digest(case):
    """Fit and return a fingerprint of the weights and the codes."""
    fitted = estimator(case).fit(X)
    weights = fitted.net_.module_.state_dict().values()
    values = [*weights, torch.from_numpy(fitted.transform(X))]
    data = b"".join(value.numpy().tobytes() for value in values)
    return hashlib.sha256(data).hexdigest()


def digests():
    return {case: digest(case) for case in CASES}


@pytest.fixture(scope="module")
def expected():
    return digests()


pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # Python warns of any fork beside threads; here both are the point.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning",
)


@pytest.mark.parametrize("case", CASES)
def test_repeat_gives_same_bytes(expected, case):
    assert digest(case) == expected[case]


def test_every_case_trains(expected):
    assert len(set(expected.values())) == len(CASES)


def test_threads_of_the_caller_do_not_change_bytes(expected):
    before = torch.get_num_threads()
    assert before == 1
    torch.set_num_threads(2)
    try:
        assert digests() == expected
    finally:
        torch.set_num_threads(before)


def test_other_process_gives_same_bytes(expected):
    command = [sys.executable, "-W", "ignore", __file__]  # with all its threads
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(expected.values())


# These run in one worker, which starts the processes once.
LOKY = pytest.param("loky", marks=pytest.mark.xdist_group("loky"))


@pytest.mark.parametrize(
    "backend",
    [
        LOKY,
        pytest.param("multiprocessing", marks=pytest.mark.skipif("not HAS_FORK")),
    ],
)
def test_workers_of_joblib_give_same_bytes(expected, backend):
    inner = {"inner_max_num_threads": 1} if backend == "loky" else {}  # OMP_NUM_THREADS
    with parallel_config(backend, **inner):
        found = Parallel(n_jobs=2)(delayed(digest)(case) for case in CASES)
    assert dict(zip(CASES, found, strict=True)) == expected


@pytest.mark.parametrize("case", CASES)
def test_concurrent_fits_give_same_bytes(expected, case):
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(digest, [case] * 8))
    assert found == {expected[case]}


def test_different_seeds_give_different_codes():
    codes = [
        estimator("random").set_params(random_state=seed).fit(X).transform(X)
        for seed in (0, 1)
    ]
    assert not np.allclose(*codes)


def test_random_state_instance_gives_same_code():
    codes = [
        estimator("random")
        .set_params(random_state=np.random.RandomState(3))
        .fit(X)
        .transform(X)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*codes)


# Grid searches


def search(backend, n_jobs=2, case="float64"):
    grid = {"n_components": [1, 2], "learning_rate": [1e-3, 1e-2]}
    result = GridSearchCV(estimator(case), grid, cv=2, n_jobs=n_jobs)
    if backend is None:
        return result.fit(X).cv_results_
    with CLUSTERS.get(backend, nullcontext)(), parallel_config(backend):
        return result.fit(X).cv_results_


@contextmanager
def dask_cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as client:
        yield client


@contextmanager
def ray_cluster():
    ray = pytest.importorskip("ray")
    importlib.import_module("ray.util.joblib").register_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}


@pytest.fixture(scope="module", params=["float64", "dropout"])
def serial_search(request):
    return request.param, search(None, n_jobs=1, case=request.param)


@pytest.mark.parametrize(
    "backend",
    [
        LOKY,
        "threading",
        pytest.param("multiprocessing", marks=pytest.mark.skipif("not HAS_FORK")),
        # Not among what the tests install. Both leave sockets behind.
        pytest.param("dask", marks=pytest.mark.filterwarnings("default")),
        pytest.param("ray", marks=pytest.mark.filterwarnings("default")),
    ],
)
def test_grid_search_scores_do_not_depend_on_the_backend(serial_search, backend):
    case, expected = serial_search
    found = search(backend, case=case)
    for name in ("split0_test_score", "split1_test_score", "rank_test_score"):
        np.testing.assert_array_equal(found[name], expected[name])


# Fork


def fork_and_fit(connection):
    connection.send((digest("float64"), digest("conv")))
    connection.close()


@pytest.mark.timeout(60)
@pytest.mark.skipif("not HAS_FORK")
def test_forked_child_of_a_threaded_parent_fits(expected):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # starts torch's pool of threads
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=fork_and_fit, args=(sender,))
    try:
        child.start()
        assert receiver.poll(50), "the child hangs"
        assert receiver.recv() == (expected["float64"], expected["conv"])
    finally:
        child.kill()
        child.join()
        torch.set_num_threads(before)


# One estimator, many threads


@pytest.mark.parametrize("case", CASES)
def test_concurrent_transforms_equal_the_serial_one(case):
    fitted = estimator(case).fit(X)
    serial = fitted.transform(X)
    with ThreadPoolExecutor(4) as pool:
        for code in pool.map(lambda _: fitted.transform(X), range(120)):
            np.testing.assert_array_equal(code, serial)


@pytest.mark.parametrize("case", CASES)
def test_concurrent_transforms_leave_the_estimator_as_it_was(case):
    fitted = estimator(case).fit(X)
    before, was_training = copy.deepcopy(vars(fitted)), fitted.net_.module_.training
    state = copy.deepcopy(fitted.net_.module_.state_dict())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fitted.transform(X), range(12)))
    assert vars(fitted).keys() == before.keys()
    assert fitted.net_.module_.training == was_training
    for name, value in fitted.net_.module_.state_dict().items():
        assert value.equal(state[name])


if __name__ == "__main__":
    print(*digests().values())
