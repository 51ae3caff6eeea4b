"""Reconstruction error of skae's defaults, beside PCA's and a tutorial's autoencoder.

    python benchmarks/quality.py [--data FOLDER] [--sets NAME ...] [--sizes SIZE ...]

Without --data it runs on sets that scikit-learn bundles. A folder holds one NAME.npz
per set, in it or in its subfolders, with X (dense, or CSR as data, indices, indptr,
shape) or X_train, and optionally y.

Protocol: at most 10,000 rows drawn with RandomState(0), a quarter of them for testing;
tables standardised on the training rows, images divided by 255; float32; one thread.
Error is the squared error on test rows over that of the training mean. Accuracy is that
of 5 nearest neighbours on standardised codes. Times are CPU seconds.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer

BUNDLED = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
}
MOST_ROWS = 10_000
NEIGHBOR_ROWS = 4000


class TutorialAutoencoder:
    """d-128-64-k, ReLU, Adam 1e-3, batches of 128, 20 epochs: the usual recipe."""

    def __init__(self, n_components, seed):
        self.n_components = n_components
        self.seed = seed

    def fit(self, X):
        torch.manual_seed(self.seed)
        n_features, k = X.shape[1], self.n_components
        self.encoder = _mlp(n_features, 128, 64, k)
        self.decoder = _mlp(k, 64, 128, n_features)
        weights = [*self.encoder.parameters(), *self.decoder.parameters()]
        optimizer = torch.optim.Adam(weights, lr=1e-3)
        X = torch.from_numpy(X)
        for _ in range(20):
            for rows in torch.randperm(len(X)).split(128):
                loss = (self.decoder(self.encoder(X[rows])) - X[rows]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return self

    @torch.no_grad()
    def transform(self, X):
        return self.encoder(torch.from_numpy(X)).numpy()

    @torch.no_grad()
    def inverse_transform(self, code):
        return self.decoder(torch.from_numpy(code)).numpy()


def _mlp(*sizes):
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


METHODS = {
    "pca": lambda size, seed: PCA(size, random_state=seed),
    "tutorial": TutorialAutoencoder,
    "skae": lambda size, seed: AutoencoderTransformer(size, random_state=seed),
}


def load(name, folder):
    """Return X (dense float32), y or None, and whether the rows are images."""
    if folder is None:
        X, y = BUNDLED[name](return_X_y=True)
        return X.astype(np.float32), y, False
    (path,) = Path(folder).rglob(f"{name}.npz")
    arrays = dict(np.load(path, allow_pickle=False))
    if "indptr" in arrays:
        parts = arrays["data"], arrays["indices"].astype(np.int32), arrays["indptr"]
        X = sp.csr_matrix(parts, shape=tuple(arrays["shape"])).toarray()
    else:
        X = arrays["X_train" if "X_train" in arrays else "X"]
    is_image = X.ndim > 2 or path.parent.name == "image"
    y = arrays.get("y_train", arrays.get("y"))
    X = X.reshape(len(X), -1).astype(np.float32)
    return X / 255 if is_image else X, y, is_image


def split(X, y, standardise):
    """Return X and y for training and for testing, by the protocol."""
    chosen = np.random.RandomState(0).permutation(len(X))[:MOST_ROWS]
    rows = train_test_split(chosen, test_size=0.25, random_state=0)
    train, test = (X[part] for part in rows)
    if standardise:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    labels = (None, None) if y is None else tuple(y[part] for part in rows)
    return train, test, labels


def measure(method, size, seed, train, test, labels):
    """Return relative error, 5-NN accuracy of the codes, CPU seconds and the model."""
    size = min(size, *train.shape)
    began = time.process_time()
    model = METHODS[method](size, seed).fit(train)
    seconds = time.process_time() - began
    codes = model.transform(train), model.transform(test)
    error = np.square(model.inverse_transform(codes[1]) - test).sum()
    error /= np.square(test - train.mean(0)).sum()
    accuracy = np.nan
    if labels[0] is not None:
        neighbors = make_pipeline(StandardScaler(), KNeighborsClassifier())
        neighbors.fit(codes[0][:NEIGHBOR_ROWS], labels[0][:NEIGHBOR_ROWS])
        accuracy = neighbors.score(codes[1], labels[1])
    return error, accuracy, seconds, model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of .npz files")
    parser.add_argument("--sets", nargs="+", help="names of sets")
    parser.add_argument("--sizes", nargs="+", type=int, default=[2, 8, 32])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = []
    for name in arguments.sets or BUNDLED:
        X, y, is_image = load(name, arguments.data)
        train, test, labels = split(X, y, standardise=not is_image)
        for size in arguments.sizes:
            if size >= X.shape[1]:
                continue
            for seed in arguments.seeds:
                row = {"set": name, "shape": "x".join(map(str, train.shape))}
                row |= {"size": size, "seed": seed}
                for method in arguments.methods:
                    error, accuracy, seconds, model = measure(
                        method, size, seed, train, test, labels
                    )
                    row[f"{method} error"] = error
                    row[f"{method} 5-NN"] = accuracy
                    row[f"{method} s"] = round(seconds, 1)
                    if method == "skae":
                        row["proven"], row["epochs"] = model.proven_, model.n_epochs_
                table.append(row)
                print(
                    pd.DataFrame([row]).to_string(index=False, header=len(table) == 1)
                )
    report(pd.DataFrame(table), arguments.methods)


def report(table, methods):
    """Print means over all sets and sizes."""
    print()
    for method in methods:
        ratio = table[f"{method} error"] / table["pca error"]
        worse = (ratio > 1.005).sum()
        print(
            f"{method}: error over PCA's {np.exp(np.log(ratio).mean()):.3f} (geometric "
            f"mean), worse than PCA in {worse} of {len(table)}, 5-NN accuracy "
            f"{table[f'{method} 5-NN'].mean():.3f}, {table[f'{method} s'].sum():.0f} s"
        )


if __name__ == "__main__":
    main()
