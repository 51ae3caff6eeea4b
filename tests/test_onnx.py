"""ONNX models do what the estimator does, in another runtime."""

import json
import logging
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

import skae.onnx
from skae import AutoencoderTransformer
from skae.onnx import to_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
if torch.__version__ < skae.onnx.OLDEST_TORCH:
    pytest.skip("This torch is too old", allow_module_level=True)

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs
    ),
    pytest.mark.xdist_group("onnx"),  # the first export of a process takes seconds
]
rng = np.random.default_rng(0)
X = (rng.normal(size=(300, 4)) @ rng.normal(size=(4, 6)) + 1000).astype(np.float32)
y = (X[:, 0] > X[:, 1]).astype(int)
IMAGES = (load_digits().images[:300] * 15).astype(np.uint8)
TOLERANCE = 1e-5  # of the largest value


class Noisy(nn.Module):
    """A network whose training mode gives something else."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.Linear(8, n_components)
        )
        self.decode = nn.Sequential(
            nn.Linear(n_components, 8), nn.Dropout(0.5), nn.Linear(8, n_features)
        )


class Branching(nn.Module):
    """A network that decides by the values of its input."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.layer = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)

    def encode(self, X):
        code = self.layer(X)
        return code if code.sum() > 0 else -code


def fit(X=X, **settings):
    settings = {"max_epochs": 2, "early_stopping": False, "random_state": 0, **settings}
    return AutoencoderTransformer(**{"n_components": 3, **settings}).fit(X)


def run(model, X):
    """Return what onnxruntime makes of X."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (name,) = [one.name for one in session.get_inputs()]
    return session.run(None, {name: X})


def computed(fitted, X, as_float=False):
    """Return what torch makes of X by the graph that would be exported."""
    graph = skae.onnx._Graph(fitted, "full", X.dtype, as_float)
    with torch.no_grad():
        return graph(torch.from_numpy(X)).numpy()


def assert_equal_but_for_rounding(result, expected):
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    scale = np.abs(expected.astype(np.float64)).max()
    difference = np.abs(result.astype(np.float64) - expected.astype(np.float64))
    assert difference.max() <= TOLERANCE * scale


CASES = {
    "float64 far from zero": (X.astype(np.float64) * 1e-3 + 1e6, {}),
    "convolutional, channels last": (
        np.repeat(IMAGES[..., None], 3, axis=3) / np.float32(255),
        {},
    ),
    "counts, dropout and batch normalisation": (
        np.round(np.abs(X - 1000)),
        {"loss": "poisson", "network": Noisy},
    ),
    "vector_quantized": (X, {"n_components": 4, "bottleneck": "vector_quantized"}),
    "ordered, of a chosen size": (
        X,
        {"n_components": 0.9, "bottleneck": "ordered", "early_stopping": True},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_whole_model_reconstructs_as_the_estimator(name):
    data, settings = CASES[name]
    fitted = fit(data, **settings)
    fitted.net_.module_.train()
    model = to_onnx(fitted, "full")
    fitted.net_.module_.eval()
    for n_samples in (1, 2, 7, len(data)):
        (result,) = run(model, data[:n_samples])
        expected = fitted.reconstruct(data[:n_samples])
        assert_equal_but_for_rounding(result, expected)


def test_halves_encode_and_decode_as_the_estimator():
    data, settings = CASES["float64 far from zero"]
    names = [f"feature {number}" for number in range(6)]
    fitted = fit(pd.DataFrame(data, columns=names), **settings)
    code = fitted.transform(pd.DataFrame(data, columns=names))
    assert_equal_but_for_rounding(run(to_onnx(fitted), data)[0], code)
    decoder = to_onnx(fitted, "decoder")
    (result,) = run(decoder, code)
    assert_equal_but_for_rounding(result, fitted.inverse_transform(code))
    found = {one.key: one.value for one in decoder.metadata_props}
    assert found["part"] == "decoder"
    assert json.loads(found["feature_names"]) == names
    assert json.loads(found["versions"])["skae"] == skae.__version__


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float16"])
def test_images_come_in_the_dtype_of_images(dtype):
    images = IMAGES > 127 if dtype == "bool" else IMAGES.astype(dtype)
    fitted = fit(images, n_components=8)
    expected = fitted.reconstruct(images)
    if dtype == "uint8":
        (result,) = run(to_onnx(fitted, "full"), images)
    else:
        result = computed(fitted, images)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    # Where rounding is on the edge, a pixel may differ by one step.
    assert np.mean(result != expected) < 0.01
    step = np.spacing(np.float16(255)) if dtype == "float16" else 1
    difference = np.abs(result.astype(np.float64) - expected.astype(np.float64))
    assert difference.max() <= step


def test_images_come_as_floats_on_demand():
    fitted = fit(IMAGES, n_components=8)
    result = computed(fitted, IMAGES / np.float32(255), as_float=True)
    expected = fitted.reconstruct(IMAGES, as_float=True)
    assert_equal_but_for_rounding(result, expected)


def test_target_of_another_shape_is_given():
    fitted = AutoencoderTransformer(3, max_epochs=2, random_state=0)
    fitted.fit(X, X_target=X[:, :2] * 5)
    assert_equal_but_for_rounding(computed(fitted, X), fitted.reconstruct(X))


def test_model_that_is_pca_is_written():
    fitted = AutoencoderTransformer(3, random_state=0).fit(X[:100])
    assert fitted.proven_ is False
    (result,) = run(to_onnx(fitted, opset=18), X)
    assert_equal_but_for_rounding(result, fitted.transform(X))


def test_export_leaves_everything_as_it_was(capsys):
    fitted = fit(network=Noisy)
    fitted.net_.module_.train()
    state = torch.get_rng_state()
    level = logging.getLogger("torch.onnx").level
    with torch.inference_mode():
        to_onnx(fitted)
    assert capsys.readouterr() == ("", "")
    assert fitted.net_.module_.training
    assert fitted.net_.module_.network.encode[1].training
    assert logging.getLogger("torch.onnx").level == level
    torch.testing.assert_close(torch.get_rng_state(), state, rtol=0, atol=0)


def autoencoder(n_components=3):
    return AutoencoderTransformer(
        n_components, max_epochs=2, early_stopping=False, random_state=0
    )


PIPELINES = {
    "scaler, autoencoder": make_pipeline(StandardScaler(), autoencoder()),
    "classifier": make_pipeline(MinMaxScaler(), autoencoder(), LogisticRegression()),
    "columns, union": make_pipeline(
        ColumnTransformer(
            [
                ("ae", make_pipeline(StandardScaler(), autoencoder(2)), [0, 1, 2, 3]),
                ("rest", StandardScaler(), [4, 5]),
            ]
        ),
        FeatureUnion([("scaled", StandardScaler()), ("ae", autoencoder(2))]),
        LogisticRegression(),
    ),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("scaler, autoencoder", "float64"),
        ("classifier", "int64"),
        ("columns, union", "float32"),
    ],
)
def test_pipeline_is_written_whole(name, dtype):
    skae.onnx.register()
    data = (X - 1000).astype(dtype)  # the other steps are not exact far from zero
    pipeline = PIPELINES[name].fit(data, y)
    if not hasattr(pipeline, "predict_proba"):
        (result,) = run(skl2onnx.to_onnx(pipeline, data[:1], target_opset=20), data)
        assert_equal_but_for_rounding(result, pipeline.transform(data))
        return
    options = {id(pipeline): {"zipmap": False}}
    model = skl2onnx.to_onnx(pipeline, data[:1], target_opset=20, options=options)
    labels, shares = run(model, data)
    np.testing.assert_array_equal(labels, pipeline.predict(data))
    np.testing.assert_allclose(shares, pipeline.predict_proba(data), atol=TOLERANCE)


def test_pipeline_takes_a_column_each():
    skae.onnx.register()
    pipeline = make_pipeline(autoencoder(), LogisticRegression()).fit(X, y)
    column = skl2onnx.common.data_types.FloatTensorType([None, 1])
    types = [(f"c{number}", column) for number in range(6)]
    model = skl2onnx.to_onnx(pipeline, initial_types=types, target_opset=20)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    columns = {f"c{number}": X[:, [number]] for number in range(6)}
    labels = session.run(None, columns)[0]
    np.testing.assert_array_equal(labels, pipeline.predict(X))


def test_old_operators_are_refused_in_a_pipeline():
    skae.onnx.register()
    with pytest.raises(ValueError, match="target_opset=15 must be at least 18"):
        skl2onnx.to_onnx(fit(), X[:1], target_opset=15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"part": "code"}, "part='code' must be one of 'encoder', 'decoder', 'full'"),
        ({"opset": 9}, r"opset=9 must be a whole number in \[18, 23\]"),
        ({"dtype": "word"}, "dtype='word' must be a real dtype"),
        ({"dtype": "complex64"}, "dtype='complex64' must be a real dtype"),
        (
            {"dtype": "int32", "part": "decoder"},
            "dtype='int32' must be 'float32' or 'float64' for codes",
        ),
    ],
)
def test_fault_of_a_parameter_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(fit(), **settings)


def test_pixels_are_refused_where_fit_saw_floats():
    with pytest.raises(ValueError, match="uint8, but fit saw float64"):
        to_onnx(fit(IMAGES / 255), dtype="uint8")


def test_what_onnx_lacks_is_said():
    with pytest.raises(ValueError, match=r"(?s)part='encoder'.*must not branch"):
        to_onnx(fit(network=Branching))


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (make_pipeline(StandardScaler()), TypeError, r"skae.onnx.register\(\)"),
        (AutoencoderTransformer(), NotFittedError, "not fitted"),
    ],
)
def test_what_cannot_be_written_is_refused(estimator, error, message):
    with pytest.raises(error, match=message):
        to_onnx(estimator)


@pytest.mark.parametrize("function", [lambda: to_onnx(fit()), skae.onnx.register])
def test_missing_package_is_named(function, monkeypatch):
    absent = {"onnxscript", "skl2onnx"}
    for name in absent:
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "skae\[onnx\]"'):
        function()


def test_older_torch_is_refused(monkeypatch):
    fitted = fit()
    monkeypatch.setattr(torch, "__version__", type(torch.__version__)("2.12.1+cpu"))
    with pytest.raises(ImportError, match=r"needs torch>=2.13, here is 2.12.1\+cpu"):
        to_onnx(fitted)
