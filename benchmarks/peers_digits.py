"""What else rebuilds scikit-learn's digits: error, time and what the class offers.

    python benchmarks/peers_digits.py [--sizes 2 8 16]

A quarter of the digits is for testing; pixels are divided by 16; random states are 0.
Error is the squared error on test rows over that of the training mean. Times are on the
clock, with one thread. MLPRegressor and PyOD have skae's layers, PyOD without its own
standardisation (the data have one unit); all else is their default, except that PyOD's
epochs are 10, its default, and 100. PyOD is left out if it is not installed.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor

from skae import AutoencoderTransformer

try:
    from pyod.models.auto_encoder import AutoEncoder
except ImportError:
    AutoEncoder = None

LAYERS = (128, 64)


def decoded(model, X):
    return model.inverse_transform(model.transform(X))


def predicted(model, X):
    return model.predict(X)


@torch.no_grad()
def pyod_output(model, X):
    model.model.eval()
    return model.model(torch.from_numpy(X).float()).numpy()


def peers(size):
    """Return {name: (model, how it rebuilds X)}."""
    mirrored = (*LAYERS, size, *LAYERS[::-1])
    found = {
        "PCA": (PCA(size), decoded),
        "MLPRegressor": (
            MLPRegressor(hidden_layer_sizes=mirrored, random_state=0),
            predicted,
        ),
    }
    for epochs in (10, 100) if AutoEncoder else ():
        model = AutoEncoder(
            hidden_neuron_list=[*LAYERS, size],
            epoch_num=epochs,
            preprocessing=False,
            random_state=0,
            verbose=0,
        )
        found[f"PyOD AutoEncoder, {epochs} epochs"] = (model, pyod_output)
    skae = AutoencoderTransformer(size, hidden_layer_sizes=LAYERS, random_state=0)
    return {**found, "skae": (skae, decoded)}


def measure(model, rebuild, X_train, X_test):
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train, X_train) if rebuild is predicted else model.fit(X_train)
    seconds = time.perf_counter() - begin
    residual = X_test - rebuild(model, X_test)
    error = np.square(residual).sum() / np.square(X_test - X_train.mean(0)).sum()
    methods = ("transform", "inverse_transform")
    return error, seconds, *(hasattr(model, name) for name in methods)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 8, 16])
    sizes = parser.parse_args().sizes
    torch.set_num_threads(1)
    X_train, X_test = train_test_split(
        load_digits().data / 16, test_size=0.25, random_state=0
    )
    rows = [
        (size, name, *measure(model, rebuild, X_train, X_test))
        for size in sizes
        for name, (model, rebuild) in peers(size).items()
    ]
    columns = ["size", "peer", "error", "seconds", "transform", "inverse_transform"]
    table = pd.DataFrame(rows, columns=columns)
    print(table.round({"error": 3, "seconds": 1}).to_string(index=False))


if __name__ == "__main__":
    main()
