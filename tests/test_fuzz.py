"""Whatever comes in: a fitted estimator with finite output, or an error of ours.

SKAE_FUZZ=5000 python -m pytest tests/test_fuzz.py tries that many inputs and a tenth as
many sets of parameters instead of a few.
"""

import os
import warnings

import numpy as np
import pandas as pd
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skae import AutoencoderTransformer
from skae.penalties import PENALTIES

COUNT = int(os.environ.get("SKAE_FUZZ", "60"))
DTYPES = "float64 float32 float16 int8 int64 uint8 uint16 bool >f8 longdouble".split()
ODD_DTYPES = ["complex128", "object", "U3", "M8[s]"]
ODD_VALUES = [0.0, -0.0, 1e-320, 1e-30, 1e30, -1e38, 1e300, 1e308, 7.0]
BAD_VALUES = [np.nan, np.inf, -np.inf, None, "a", pd.NA]
FEW_EXAMPLES = {"deadline": None, "database": None, "derandomize": True}
FEW_EXAMPLES["suppress_health_check"] = list(HealthCheck)


@st.composite
def arrays(draw):
    """Return an array of any dtype, shape, layout and values."""
    n_samples = draw(st.sampled_from([0, 1, 2, 3, 7, 40, 170]))
    shape = draw(
        st.sampled_from(
            [
                (),
                (0,),
                (1,),
                (2,),
                (5,),
                (5,),
                (5,),
                (9,),
                (4, 4),
                (6, 5, 3),
                (2, 2, 2, 2),
            ]
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    values = rng.normal(size=(n_samples, *shape))
    values *= draw(st.sampled_from([1, 1, 1, 0, 100, 1e-8, 1e15, 1e200]))
    if draw(st.booleans()) and values.size:
        values[..., : draw(st.integers(0, 2))] = draw(st.sampled_from(ODD_VALUES))
    dtype = draw(st.sampled_from(DTYPES * 3 + ODD_DTYPES))
    with np.errstate(all="ignore"):
        if dtype in ("int8", "int64", "uint8", "uint16"):
            values = np.clip(np.abs(values), 0, 100)
        X = values.astype(dtype)
    if draw(st.integers(0, 4)) == 0 and X.size:
        bad = draw(st.sampled_from(BAD_VALUES))
        if not isinstance(bad, float):
            X = X.astype(object)
        if X.dtype.kind in "fO":
            X[draw(st.integers(0, n_samples - 1))] = bad
    layout = draw(
        st.sampled_from(["C", "C", "C", "F", "reversed", "steps", "readonly"])
    )
    if layout == "F":
        X = np.asfortranarray(X)
    elif layout == "reversed":
        X = X[::-1]
    elif layout == "steps":
        X = np.repeat(X, 2, axis=0)[::2]
    X.flags.writeable = layout != "readonly"
    return X


@st.composite
def inputs(draw):
    """Return data in any container."""
    X = draw(arrays())
    kind = draw(st.sampled_from("array array array frame sparse list masked".split()))
    if X.ndim != 2 or kind == "array":
        return X
    if kind == "list":
        return X.tolist()
    if kind == "masked":
        mask = np.random.default_rng(0).random(X.shape) < draw(
            st.sampled_from([0, 0.1])
        )
        return np.ma.array(X, mask=mask)
    if kind == "sparse":
        if X.dtype.kind not in "fiub" or X.dtype in (np.float16, np.longdouble):
            return X
        form = draw(st.sampled_from([sp.csr_array, sp.csc_matrix, sp.coo_array]))
        return form(X.astype(X.dtype.newbyteorder("=")))
    columns = draw(
        st.sampled_from(
            [
                [f"x{i}" for i in range(X.shape[1])],
                list(range(X.shape[1])),
                ["x"] * X.shape[1],
                [f"x{i}" if i else 0 for i in range(X.shape[1])],
                pd.MultiIndex.from_product([["a"], range(X.shape[1])]),
            ]
        )
    )
    if X.dtype.kind == "f":
        X = X.astype(np.float64)
    frame = pd.DataFrame(X, columns=columns)
    if draw(st.booleans()) and X.dtype.kind in "fi":
        frame = frame.astype("Float64" if X.dtype.kind == "f" else "Int64")
    return frame


PARAMETERS = {
    "n_components": [1, 2, 2, 5, 20, 0.5, 0.99, 0, 1.0, "all"],
    "network": ["auto", "auto", "mlp", "conv", "cnn", None],
    "image_shape": [None, None, None, (5,), (3, 3), (2, 2), (), (0, 5), "5"],
    "channel_order": ["auto", "auto", "first", "last"],
    "hidden_layer_sizes": ["auto", (), (8,), (8, 4), (0,), (3.5,), [4]],
    "activation": ["silu", "relu", "tanh", "logistic", "gelu", "identity", "selu"],
    "init": ["pca", "pca", "random", "zeros"],
    "bottleneck": [None, "variational", "wae", "top_k", "vector_quantized", "ordered"],
    "loss": "squared_error absolute_error huber log_loss poisson cosine".split(),
    "penalty": [None, None, *PENALTIES, "l0"],
    "corruption": [None, None, "gaussian", "masking", "swap", "block_masking"],
    "density": [None, None, "gaussian_mixture", 3],
    "alpha": ["auto", 0, 0.1, 1e6, -1],
    "solver": ["adamw", "adam", "sgd", "rmsprop"],
    "learning_rate": ["auto", 1e-3, 1e-12, 1.0, 1e9, 0],
    "schedule": ["one_cycle", "constant"],
    "batch_size": ["auto", 1, 7, 10**9, 0],
    "max_epochs": [1, 2, 3, 0],
    "max_time": [None, 1e-9, 5.0, -1],
    "tol": [1e-4, 0, 1e9],
    "early_stopping": ["auto", True, False, 1],
    "validation_fraction": [0.1, 1e-9, 0.999, 1],
    "n_iter_no_change": ["auto", 1, 0],
    "precision": ["auto", "float32", "float64", "mixed", "half"],
    "n_jobs": [None, 1, 2, -1, 0],
    "warm_start": [False, True],
    "random_state": [0, None, -1],
}


@st.composite
def parameters(draw):
    names = draw(st.lists(st.sampled_from(list(PARAMETERS)), max_size=5, unique=True))
    return {name: draw(st.sampled_from(PARAMETERS[name])) for name in names}


def check(X, parameters):
    """Fit and use; only errors of the two kinds that scikit-learn's users expect."""
    estimator = AutoencoderTransformer(**{"max_epochs": 1, **parameters})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.fit(X)
        except (ValueError, TypeError):
            return False
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        code = estimator.transform(X)
        rebuilt = estimator.inverse_transform(code)
        errors = estimator.reconstruction_error(X)
        scores = estimator.score_samples(X), np.array([estimator.score(X)])
    assert code.shape == (n_samples, estimator.n_components_)
    assert code.dtype in (np.float32, np.float64)
    assert len(rebuilt) == n_samples
    assert rebuilt[0].size == estimator.n_features_in_
    assert errors.shape == (n_samples,)
    for result in (code, rebuilt, errors, *scores):
        assert np.isfinite(np.asarray(result, np.float64)).all()
    return True


@settings(max_examples=COUNT, **FEW_EXAMPLES)
@given(inputs())
def test_any_input_is_fitted_or_refused(X):
    check(X, {"n_components": 2, "random_state": 0})


ROWS = np.random.default_rng(0).uniform(size=(180, 9))


@settings(max_examples=max(COUNT // 10, 20), **FEW_EXAMPLES)
@given(parameters(), st.sampled_from([ROWS, ROWS[:30], ROWS.reshape(-1, 3, 3)]))
def test_any_parameters_are_used_or_refused(parameters, X):
    check(X, parameters)
