"""What goes wrong elsewhere: each fault is answered, or is none.

The list was made by trying scikit-learn, skorch and PyOD with each of these; they
crash, hang, return NaN or say nothing in about half of the cases.
"""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skae import AutoencoderTransformer

pytestmark = pytest.mark.filterwarnings(  # two epochs are few
    "ignore::sklearn.exceptions.ConvergenceWarning"
)
X = np.random.default_rng(0).normal(size=(60, 4)) @ np.diag([3.0, 2, 1, 1])
FRAME = pd.DataFrame(X, columns=list("abcd"))


class BatchNorm(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(n_features, n_components), nn.BatchNorm1d(n_components)
        )
        self.decode = nn.Linear(n_components, n_features)


def fitted(X=X, **settings):
    settings = {
        "n_components": 2,
        "max_epochs": 2,
        "early_stopping": False,
        "random_state": 0,
        **settings,
    }
    return AutoencoderTransformer(**settings).fit(X)


def with_cell(value, dtype=None):
    spoilt = X.astype(dtype or X.dtype)
    spoilt[7, 2] = value
    return spoilt


def masked():
    mask = np.zeros_like(X, bool)
    mask[3, 1] = True
    return np.ma.masked_array(X, mask)


def read_only():
    frozen = X.copy()
    frozen.flags.writeable = False
    return frozen


REFUSED = {
    "NaN": (lambda: with_cell(np.nan), "(?s)NaN.*row 7, column 2"),
    "infinity": (lambda: with_cell(np.inf), "(?s)infinity.*row 7, column 2"),
    "float32 NaN": (lambda: with_cell(np.nan, "f4"), "(?s)NaN.*row 7, column 2"),
    "frame with NaN": (
        lambda: FRAME.mask(FRAME == X[7, 2]),
        "(?s)NaN.*row 7, column 2 .'c'",
    ),
    "pd.NA": (lambda: FRAME.astype("Float64").mask(FRAME == X[7, 2]), "'c'"),
    "1e300": (lambda: X * 1e300, "overflow.*Divide"),
    "masked values": (masked, "mask"),
    "no rows": (lambda: X[:0], "0 sample"),
    "no columns": (lambda: X[:, :0], "0 feature"),
    "one axis": (lambda: X[0], "Expected 2D array|1D array"),
    "five axes": (lambda: X.reshape(60, 1, 2, 1, 2), "axes|shape|dimension"),
    "complex": (lambda: X * 1j, "Complex data not supported"),
    "np.matrix": (lambda: X.view(np.matrix), "np.matrix"),
    "strings": (lambda: X.astype(str), "strings|not numbers"),
    "a column of words": (lambda: FRAME.assign(c="word"), "not numbers: c"),
    "categories": (
        lambda: FRAME.assign(c=pd.Categorical(["u", "v"] * 30)),
        "not numbers: c",
    ),
    "dates": (lambda: FRAME.assign(c=pd.Timestamp(0)), "not numbers: c"),
    "duplicated columns": (
        lambda: FRAME.set_axis(list("abca"), axis=1),
        "duplicated.*a",
    ),
    "ragged lists": (lambda: [[1.0, 2.0], [3.0]], "inhomogeneous"),
    "None": (lambda: None, "Expected 2D array"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_fault_of_the_data_is_named(name):
    make, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=message):
        fitted(make())


# Each with the dense float64 array that it must be equal to.
TAKEN = {
    "1e30": (lambda: X * 1e30, X * 1e30),
    "1e30 in float32": (lambda: np.float32(X * 1e30), np.float32(X * 1e30)),
    "object": (lambda: X.astype(object), X),
    "float16": (lambda: np.float16(X), np.float64(np.float16(X))),
    "integers": (lambda: np.int64(X), np.float64(np.int64(X))),
    "bool": (lambda: X > 0, np.float64(X > 0)),
    "uint8": (lambda: np.uint8(abs(X)), np.float64(np.uint8(abs(X)))),
    "big-endian": (lambda: X.astype(">f8"), X),
    "longdouble": (lambda: X.astype(np.longdouble), X),
    "negative strides": (lambda: X[::-1, ::-1].copy()[::-1, ::-1], X),
    "column-major": (lambda: np.asfortranarray(X), X),
    "read-only": (read_only, X),
    "sparse": (lambda: sp.csr_array(X), X),
    "masked array, no mask": (lambda: np.ma.masked_array(X), X),
    "frame": (lambda: FRAME, X),
    "nullable frame": (lambda: FRAME.astype("Float64"), X),
    "pyarrow frame": (lambda: FRAME.astype("double[pyarrow]"), X),
    "constant columns of zeros": (lambda: X * [1, 0, 1, 1], X * [1, 0, 1, 1]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_odd_data_give_the_codes_of_plain_ones(name):
    make, plain = TAKEN[name]
    odd = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of torch about read-only arrays, say
        warnings.simplefilter("ignore", ConvergenceWarning)
        code, expected = (fitted(one).transform(one) for one in (odd, plain))
    assert np.isfinite(code).all()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(code / scale, expected / scale, atol=1e-6)


PARAMETERS = {
    "n_components=0": {"n_components": 0},
    "n_components=2.5": {"n_components": 2.5},
    "batch_size=-1": {"batch_size": -1},
    "max_epochs=-1": {"max_epochs": -1},
    "hidden width of 0": {"hidden_layer_sizes": (0,)},
    "learning rate of a word": {"learning_rate": "a"},
    "device that is absent": {"device": "cuda:9"},
    "device that is none": {"device": "gpu"},
}


class Untouchable:
    """Data that fail the test when somebody looks at them."""

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the data were touched")

    __len__ = __getattr__ = __array__


@pytest.mark.parametrize("name", PARAMETERS)
def test_fault_of_a_parameter_is_named_before_the_data_are_touched(name):
    ((parameter, _),) = PARAMETERS[name].items()
    with pytest.raises(ValueError, match=parameter):
        fitted(Untouchable(), **PARAMETERS[name])


def test_wide_code_is_warned_of():
    with pytest.warns(UserWarning, match="n_components=5 is not smaller"):
        assert fitted(n_components=5).transform(X).shape == (60, 5)


@pytest.mark.parametrize(
    ("n_samples", "batch_size"), [(33, 32), (20, 32), (2, 1000), (65, 64)]
)
def test_batch_norm_trains_whatever_is_left_over(n_samples, batch_size):
    rows = np.random.default_rng(0).normal(size=(n_samples, 4))
    settings = {"network": BatchNorm, "init": "random", "batch_size": batch_size}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two epochs are few
        found = fitted(rows, **settings)
    assert found.n_epochs_ == 2
    assert np.isfinite(found.transform(rows)).all()


@pytest.mark.parametrize("change", ["narrow", "reordered"])
def test_other_columns_than_in_fit_are_refused(change):
    bad = {"narrow": X[:, :3], "reordered": FRAME[list("dcba")]}[change]
    found = fitted(X if change == "narrow" else FRAME)
    with pytest.raises(ValueError, match="3 features|same order"):
        found.transform(bad)


@pytest.mark.filterwarnings("ignore:X has one row")
def test_one_row_and_no_rows():
    assert fitted(X[:1]).transform(X[:1]).shape == (1, 2)
    assert fitted().transform(X[:0]).shape == (0, 2)


INTERRUPTED = """
import os, signal, sys, threading, time
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer

class Interrupter:
    def __init__(self, module):
        self.module = module

    def find_spec(self, name, path=None, target=None):
        if name == self.module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

def fit(module):
    sys.meta_path.insert(0, Interrupter(module))
    autoencoder = AutoencoderTransformer(2, max_epochs=2, random_state=0)
    try:
        autoencoder.fit(X)
    except KeyboardInterrupt:
        print("interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print(module in sys.modules, autoencoder.fit(X).n_epochs_)

X = load_digits().data
for module in sys.argv[1:]:
    if os.fork() == 0:  # each begins where none of the parts is imported
        fit(module)
        break
    os.wait()
"""
LAZY = ["sympy.printing.latex", "torch._dynamo.utils"]


@pytest.mark.skipif(sys.platform == "win32", reason="no os.kill with SIGINT")
def test_interrupt_while_torch_imports_its_lazy_parts():
    """It comes as a KeyboardInterrupt, and leaves nothing half imported."""
    command = [sys.executable, "-W", "ignore", "-c", INTERRUPTED, *LAZY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["interrupted", "True", "2"] * len(LAZY)


def test_interrupt_of_a_thread_is_left_to_python():
    """Signals cannot be held back outside of the main thread, and need not."""
    from concurrent.futures import ThreadPoolExecutor

    from skae._runtime import interrupts_deferred

    def run():
        with interrupts_deferred():
            return fitted(load_digits().data[:50]).n_components_

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result() == 2
