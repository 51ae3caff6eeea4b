"""The methods that are compared: each is a function of (train, size, seed).

It fits to the rows of `train` and returns a `Fitted`: two functions of X, and a remark.
A method that cannot be had raises an error that says why.
"""

import warnings
from collections import namedtuple

import numpy as np
import torch
from _common import progress
from sklearn.decomposition import PCA, KernelPCA
from sklearn.neural_network import MLPRegressor
from torch import nn

from skae import AutoencoderTransformer

HIDDEN = (128, 64)
MOST_KERNEL_ROWS = 5000

Fitted = namedtuple("Fitted", ["encode", "reconstruct", "note"], defaults=[""])


def pca(train, size, seed):
    return _of_transformer(PCA(size, random_state=seed).fit(train))


def kernel_pca(train, size, seed):
    """Radial kernel, and scikit-learn's regression for the way back."""
    if len(train) > MOST_KERNEL_ROWS:
        raise ValueError(f"more than {MOST_KERNEL_ROWS} training rows")
    model = KernelPCA(size, kernel="rbf", fit_inverse_transform=True, random_state=seed)
    return _of_transformer(model.fit(train))


def tutorial(train, size, seed):
    """d-128-64-k and back, ReLU, trained by the tutorial's loop."""
    torch.manual_seed(seed)
    n_features = train.shape[1]
    encoder = layers(n_features, *HIDDEN, size)
    decoder = layers(size, *HIDDEN[::-1], n_features)
    network = tutorial_loop(nn.Sequential(encoder, decoder), train)
    return Fitted(applied(encoder), applied(network))


def mlp(train, size, seed):
    """MLPRegressor fitted to (X, X); the code is what its middle layer says."""
    widths = (*HIDDEN, size, *HIDDEN[::-1])
    model = MLPRegressor(hidden_layer_sizes=widths, random_state=seed)
    model.fit(train, train)

    def encode(X):
        depth = len(HIDDEN) + 1
        halves = model.coefs_[:depth], model.intercepts_[:depth]
        for weight, bias in zip(*halves, strict=True):
            X = np.maximum(X @ weight + bias, 0)
        return X

    return Fitted(encode, model.predict)


def pyod(train, size, seed, epochs=20, preprocessing=True):
    """PyOD's AutoEncoder; the standardisation that it does by default is undone."""
    from pyod.models.auto_encoder import AutoEncoder

    model = AutoEncoder(
        hidden_neuron_list=[*HIDDEN, size],
        epoch_num=epochs,
        preprocessing=preprocessing,
        random_state=seed,
        verbose=0,
    ).fit(train)
    network = model.model.eval()
    mean, scale = (model.X_mean, model.X_std + 1e-8) if preprocessing else (0, 1)

    def standardised(function):
        return lambda X: applied(function)(((X - mean) / scale).astype(np.float32))

    output = standardised(network)
    return Fitted(standardised(network.encoder), lambda X: output(X) * scale + mean)


def skae(train, size, seed, **options):
    model = AutoencoderTransformer(size, random_state=seed, **options).fit(train)
    kept = "network" if model.proven_ else "PCA"
    return _of_transformer(model, f"{kept}, {model.n_epochs_} epochs")


METHODS = {
    method.__name__: method for method in (pca, kernel_pca, tutorial, mlp, pyod, skae)
}
DETERMINISTIC = {"pca", "kernel_pca"}


def warmed_up(methods):
    """Return those of {name: method} that can be run, each run once on a few rows.

    What a method imports at its first fit does not count as time of that fit.
    """
    found, X = {}, np.random.default_rng(0).standard_normal((200, 4), np.float32)
    for name, method in methods.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                method(X, 2, 0)
            except ImportError as error:
                progress(f"{name} is left out: {error}")
                continue
        found[name] = method
    return found


def layers(*widths, activation=nn.ReLU):
    """Return linear layers of the given widths with an activation between each two."""
    found = []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        found += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*found[:-1])


def tutorial_loop(network, X, epochs=20):
    """Train by the usual recipe: Adam 1e-3, batches of 128, squared error."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    X = torch.from_numpy(X)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(128):
            loss = (network(X[rows]) - X[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


def _of_transformer(model, note=""):
    def reconstruct(X):
        return model.inverse_transform(model.transform(X))

    return Fitted(model.transform, reconstruct, note)


def applied(network):
    """Return a function of arrays that applies a torch module."""

    @torch.no_grad()
    def apply(X):
        return network(torch.from_numpy(X)).numpy()

    return apply
