"""Largest difference between estimators and their ONNX models in onnxruntime.

    python benchmarks/onnx_parity.py

Differences are shares of the largest value that the estimator gives; of probabilities
they are absolute. The bar is 1e-5, and no other label. Digits, as rows or images; few
epochs, as the weights do not matter.
"""

import warnings

import numpy as np
import onnxruntime
import pandas as pd
import skl2onnx
from _common import parser, report, use_one_thread
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

import skae.onnx
from skae import AutoencoderTransformer

DTYPES = ("float32", "float64")
OPSET = 20
BAR = 1e-5
LABELS = load_digits().target
DIGITS = load_digits().images / 16


class WithDropout(nn.Module):
    """A network whose training mode gives something else."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(n_features, 64), nn.BatchNorm1d(64), nn.Linear(64, n_components)
        )
        self.decode = nn.Sequential(
            nn.Linear(n_components, 64), nn.Dropout(), nn.Linear(64, n_features)
        )


ROWS = DIGITS.reshape(len(DIGITS), -1)
COUNTS = np.round(ROWS * 16)
COLOURED = np.stack([DIGITS, 1 - DIGITS, DIGITS**2], axis=-1)
NETWORKS = {
    "mlp": (ROWS, {}),
    "mlp, data far from zero": (ROWS + 1000, {}),
    "no hidden layer": (ROWS, {"hidden_layer_sizes": ()}),
    "one of the user's, dropout, batch norm": (ROWS, {"network": WithDropout}),
    "conv": (DIGITS, {}),
    "conv, RGB, channels last": (COLOURED, {}),
    "conv, log_loss": (DIGITS, {"loss": "log_loss"}),
    "mlp, poisson": (COUNTS, {"loss": "poisson"}),
    "mlp, negative_binomial": (COUNTS, {"loss": "negative_binomial"}),
    "mlp, variational": (ROWS, {"bottleneck": "variational"}),
    "mlp, top_k": (ROWS, {"bottleneck": "top_k"}),
    "mlp, vector_quantized": (ROWS, {"bottleneck": "vector_quantized"}),
    "mlp, ordered": (ROWS, {"bottleneck": "ordered", "n_components": 0.8}),
}


def autoencoder(n_components=8, **settings):
    settings = {"max_epochs": 3, "early_stopping": False, "random_state": 0, **settings}
    return AutoencoderTransformer(**{"n_components": n_components, **settings})


def pipelines():
    """Return {(name, dtype of X): pipeline}."""
    columns = ColumnTransformer(
        [
            ("ae", make_pipeline(StandardScaler(), autoencoder(4)), [*range(40)]),
            ("rest", StandardScaler(), [*range(40, 64)]),
        ]
    )
    several = {
        "autoencoder": autoencoder(),
        "StandardScaler, autoencoder": make_pipeline(StandardScaler(), autoencoder()),
        "MinMaxScaler, autoencoder, LogisticRegression": make_pipeline(
            MinMaxScaler(), autoencoder(), LogisticRegression(max_iter=500)
        ),
        "SimpleImputer, StandardScaler, two autoencoders": make_pipeline(
            SimpleImputer(), StandardScaler(), autoencoder(16), autoencoder(4)
        ),
        "ColumnTransformer, LogisticRegression": make_pipeline(
            columns, LogisticRegression(max_iter=500)
        ),
        "FeatureUnion": FeatureUnion(
            [("scaled", StandardScaler()), ("ae", autoencoder())]
        ),
    }
    return {
        (name, dtype): pipeline
        for name, pipeline in several.items()
        for dtype in DTYPES
        # onnxruntime has no imputer of doubles
        if not (name.startswith("SimpleImputer") and dtype == "float64")
    }


def run(model, X):
    """Return what onnxruntime makes of X, a few rows at a time too."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    parts = [
        session.run(None, {name: X[start:stop]})
        for start, stop in [(0, 1), (1, 3), (3, 10), (10, len(X))]
    ]
    return [np.concatenate(results) for results in zip(*parts, strict=True)]


def difference(result, expected):
    """Return the largest difference, as a share of the largest value."""
    if result.dtype != expected.dtype or result.shape != expected.shape:
        raise SystemExit(f"{result.dtype} {result.shape} is not like {expected.dtype}")
    return float(np.abs(result - expected).max() / np.abs(expected).max())


def network_rows():
    """Yield the rows of the first table."""
    for name, (X, settings) in NETWORKS.items():
        row = {"network": name}
        for dtype in DTYPES:
            data = X.astype(dtype)
            fitted = autoencoder(**settings).fit(data)
            fitted.net_.module_.train()  # as if somebody had trained on
            models = {
                part: skae.onnx.to_onnx(fitted, part, opset=OPSET)
                for part in ("encoder", "decoder", "full")
            }
            fitted.net_.module_.eval()
            code = fitted.transform(data)
            for part, given, expected in [
                ("encoder", data, code),
                ("decoder", code, fitted.inverse_transform(code)),
                ("full", data, fitted.reconstruct(data)),
            ]:
                (result,) = run(models[part], given)
                row[f"{part}, {dtype}"] = difference(result, expected)
        yield row


def pipeline_rows():
    """Yield the rows of the second table."""
    skae.onnx.register()
    for (name, dtype), pipeline in pipelines().items():
        X = ROWS.astype(dtype)
        pipeline.fit(X, LABELS)
        classifies = hasattr(pipeline, "predict_proba")
        options = {id(pipeline): {"zipmap": False}} if classifies else None
        model = skl2onnx.to_onnx(pipeline, X[:1], target_opset=OPSET, options=options)
        row = {"pipeline": name, "X": dtype}
        if classifies:
            labels, shares = run(model, X)
            row["difference"] = float(np.abs(shares - pipeline.predict_proba(X)).max())
            row["other labels"] = float((labels != pipeline.predict(X)).sum())
        else:
            (result,) = run(model, X)
            row["difference"] = difference(result, pipeline.transform(X))
            row["other labels"] = np.nan
        yield row


def main():
    arguments = parser(__doc__).parse_args()
    use_one_thread()
    warnings.simplefilter("ignore", UserWarning)  # of few epochs and constant pixels
    networks, whole = pd.DataFrame(network_rows()), pd.DataFrame(pipeline_rows())
    largest = max(
        float(table.select_dtypes("number").max(axis=None))
        for table in (networks, whole.drop(columns="other labels"))
    )
    n_others = int(whole["other labels"].sum())
    words = f"Largest difference: {largest:.2g}. Other labels: {n_others}."
    report(__doc__, arguments.output, networks, whole, words)
    if largest > BAR or n_others:
        raise SystemExit(f"A difference is above {BAR:g}, or a label is another one.")


if __name__ == "__main__":
    main()
