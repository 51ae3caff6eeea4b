"""Images: the published figures, time to error, PCA as the floor, speed and memory.

    python benchmarks/images.py [--data FOLDER] [--parts published time floor ...]

The folder holds fashion_mnist.npz (X_train, y_train: the first 30,000 training rows;
X_test, y_test) and fashion_mnist_rest.npz (the others), and for the floor also
frey_faces.npz, orl_faces.npz and omniglot_small1.npz. Without it scikit-learn's digits
stand in for all of them, which makes a dry run.

published: Fashion-MNIST, the first 50,000 training images, as uint8; 64 and 2 numbers.
skae has network="conv", a number of epochs, random_state=0, else its defaults. Mean
squared error per pixel of the 10,000 test images, pixels in [0, 1], and the accuracy of
5 nearest neighbours on the codes as `transform` returns them. Seconds are those of the
fit on the clock, two threads where two cores are free.

time: the same network (`skae.networks.ConvAutoencoder`), trained the way people write
it: a bare loop, float32 pixels in [0, 1], random start, Adam 1e-3, batches of 128, at
most 60 epochs. CPU seconds with one thread until the test error falls below a limit,
measured after each epoch (not timed). skae is fitted anew with max_epochs=1, 2, 3, ...
until it is below the limit; each fit runs from start to end with its own schedule.

floor: skae's error over PCA's on test rows, all defaults but the network and the size;
10,000 rows at most, a quarter for testing.

speed: CPU seconds per epoch with one thread (that of a long fit less that of a short
one) against a bare loop of the same network with the same optimizer and the same linear
paths, over rounds in which both take turns; uint8 images, which the loop gets as
float32. transform against the bare encoder in batches of the same size.

memory: fit and transform of 60,000 x 28 x 28 uint8 in a process of its own: its largest
resident memory less that just before X was made, which is after the imports (Linux).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import (
    MB,
    find,
    load,
    parser,
    peak,
    progress,
    report,
    split,
    timed,
    use_one_thread,
)
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from skae import AutoencoderTransformer
from skae.networks import ConvAutoencoder, auto_channels

PARTS = ("published", "time", "floor", "speed", "memory")
PUBLISHED = {  # size of the code: error and accuracy to be beaten
    64: (0.0054, 0.876),
    2: (0.0244, 0.734),
}
LIMIT = 0.0060  # test error that both have to pass, 64 numbers
N_TRAIN = 50_000
FLOOR_SETS = {  # height and width
    "fashion_mnist": (28, 28),
    "frey_faces": (28, 20),
    "orl_faces": (32, 32),
    "omniglot_small1": (28, 28),
}
FLOOR_SIZES = (2, 8, 32)
SEED = 0


def fashion(folder):
    """Return uint8 images and labels: X_train, X_test, y_train, y_test."""
    if folder is None:
        X, y = load_digits(return_X_y=True)
        X = (X.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        return train_test_split(X, y, test_size=0.25, random_state=0)
    with (
        np.load(find("fashion_mnist", folder)) as first,
        np.load(find("fashion_mnist_rest", folder)) as rest,
    ):
        X = np.concatenate([first["X_train"], rest["X_train"]])[:N_TRAIN]
        y = np.concatenate([first["y_train"], rest["y_train"]])[:N_TRAIN]
        X_test, y_test = first["X_test"], first["y_test"]
    return X.reshape(-1, 28, 28), X_test.reshape(-1, 28, 28), y, y_test


def conv(size, **options):
    return AutoencoderTransformer(size, network="conv", random_state=SEED, **options)


def pixel_error(model, X):
    """Return the mean squared error per pixel, pixels in [0, 1]."""
    return float(model.reconstruction_error(X).mean())


def accuracy(encode, data):
    """Return how often 5 nearest neighbours of the codes are right."""
    X, X_test, y, y_test = data
    return KNeighborsClassifier().fit(encode(X), y).score(encode(X_test), y_test)


# Parts


def published(options):
    """Return errors and accuracies beside PCA's and the published ones."""
    data = fashion(options.data)
    rows = []
    for size in options.sizes:
        error, neighbours = PUBLISHED[size]
        rows.append(["published", size, "", error, neighbours, np.nan])
        flat = [X.reshape(len(X), -1).astype(np.float32) / 255 for X in data[:2]]
        pca, seconds = timed(PCA(size, random_state=0).fit, flat[0], clock=time.time)
        X_hat = pca.inverse_transform(pca.transform(flat[1]))
        found = accuracy(pca.transform, [*flat, *data[2:]])
        error = float(np.square(X_hat - flat[1]).mean())
        rows.append(["PCA", size, "", error, found, seconds])
        for epochs in options.epochs:
            model = conv(size, max_epochs=epochs)
            _, seconds = timed(model.fit, data[0], clock=time.time)
            name = f"skae, max_epochs={epochs}"
            if not model.proven_:
                name += " (PCA)"
            error, found = pixel_error(model, data[1]), accuracy(model.transform, data)
            rows.append(["skae", size, epochs, error, found, seconds])
            progress(rows[-1])
    columns = ["", "numbers", "epochs", "test error", "5-NN", "seconds"]
    return ["## Published figures", pd.DataFrame(rows, columns=columns)]


def loop_until(limit, network, X, X_test, most_epochs):
    """Yield (epoch, CPU seconds, test error) of the usual loop, until below a limit."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    seconds = 0.0
    for epoch in range(1, most_epochs + 1):
        began = time.process_time()
        for rows in torch.randperm(len(X)).split(128):
            x = X[rows]
            loss = nn.functional.mse_loss(network.decode(network.encode(x)), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds += time.process_time() - began
        with torch.no_grad():
            squares = [
                (network.decode(network.encode(x)) - x).square().sum()
                for x in X_test.split(500)
            ]
        error = float(sum(squares)) / X_test.numel()
        progress(["loop", epoch, seconds, error])
        yield epoch, seconds, error
        if error < limit:
            return


def bare_network(shape, size):
    """Return the network that skae takes by default for grey images."""
    return ConvAutoencoder(
        shape[0] * shape[1], size, hidden_layer_sizes=auto_channels(shape), size=shape
    )


def as_tensor(X):
    return torch.from_numpy(X.reshape(len(X), -1).astype(np.float32) / 255)


def time_to_error(options):
    """Return the CPU seconds to one error, of a bare loop and of skae."""
    use_one_thread()
    X, X_test, *_ = fashion(options.data)
    size = 64 if options.data else 8
    torch.manual_seed(SEED)
    network = bare_network(X.shape[1:], size)
    steps = loop_until(
        options.limit, network, as_tensor(X), as_tensor(X_test), options.most_epochs
    )
    loop = [("bare loop", *step) for step in steps]
    rows = [loop[-1]]
    for epochs in range(options.from_epochs, options.most_epochs + 1):
        model, seconds = timed(conv(size, max_epochs=epochs, n_jobs=1).fit, X)
        rows.append(("skae", epochs, seconds, pixel_error(model, X_test)))
        progress(rows[-1])
        if rows[-1][-1] < options.limit:
            break
    (*_, loop_seconds, _), (*_, seconds, error) = rows[0], rows[-1]
    then = [step for step in loop if step[2] <= seconds] or loop[:1]
    table = pd.DataFrame(rows, columns=["", "epochs", "CPU seconds", "test error"])
    verdict = (
        f"Time to an error below {options.limit:g}: skae {seconds:.0f} s, the loop "
        f"{loop_seconds:.0f} s, a share of {seconds / loop_seconds:.2f}. In at most "
        f"the time of skae's {error:.5f} the loop was at {then[-1][-1]:.5f}."
    )
    return ["## Time to error", table, verdict]


def floor(options):
    """Return errors over PCA's for both networks."""
    use_one_thread()
    rows = []
    for name, shape in FLOOR_SETS.items():
        if options.data is None:
            X, shape = load_digits().data.astype(np.float32) / 16, (8, 8)
        else:
            X, *_ = load(name, options.data)
        train, test, _ = split(X, None, standardise=False)
        for size in FLOOR_SIZES:
            pca = PCA(size, random_state=0).fit(train)
            base = np.square(pca.inverse_transform(pca.transform(test)) - test).mean()
            row = [name, len(train), size]
            for network in ("conv", "mlp"):
                model = AutoencoderTransformer(
                    size, network=network, image_shape=shape, random_state=SEED
                )
                _, seconds = timed(model.fit, train)
                kept = "network" if model.proven_ else "PCA"
                row += [pixel_error(model, test) / float(base), kept, seconds]
            rows.append(row)
            progress(row)
    columns = ["set", "rows", "numbers"]
    for network in ("conv", "mlp"):
        columns += [f"{network} over PCA", f"{network} is", f"{network} CPU s"]
    table = pd.DataFrame(rows, columns=columns)
    worse = (table[["conv over PCA", "mlp over PCA"]] > 1.005).sum().sum()
    verdict = f"Worse than 1.005: {worse} of {2 * len(table)}."
    return ["## Never worse than PCA", table, verdict]


class WithPaths(nn.Module):
    """The network with linear paths beside both halves, as skae trains it."""

    def __init__(self, network, n_features, size):
        super().__init__()
        self.network = network
        self.encoder_path = nn.Linear(n_features, size, bias=False)
        self.decoder_path = nn.Linear(size, n_features)

    def encode(self, X):
        return self.encoder_path(X) + self.network.encode(X)

    def decode(self, code):
        return self.decoder_path(code) + self.network.decode(code)


def bare_fit(X, size, batch_size, epochs):
    """Train the same network with the same optimizer in a bare loop."""
    network = WithPaths(bare_network(X.shape[1:], size), X[0].size, size)
    X = as_tensor(X)
    weights = network.parameters()
    optimizer = torch.optim.AdamW(weights, lr=2e-3, weight_decay=1e-2, fused=True)
    n_steps = -(-len(X) // batch_size) * epochs + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=n_steps, cycle_momentum=False
    )
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            x = X[rows]
            loss = nn.functional.mse_loss(network.decode(network.encode(x)), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network


def speed(options):
    """Return times per epoch and of transform as ratios to the bare ones."""
    use_one_thread()
    X, X_test, *_ = fashion(options.data)
    X, size, rows = X[:10_000], 64 if options.data else 8, []
    for batch_size in (128, 512):
        ratios = []
        for _ in range(options.repeats):

            def skae_fit(epochs, batch_size=batch_size):
                fit = conv(
                    size,
                    max_epochs=epochs,
                    batch_size=batch_size,
                    early_stopping=False,
                    precision="float32",
                    n_jobs=1,
                )
                return timed(fit.fit, X)

            (_, few), (model, many) = skae_fit(1), skae_fit(3)
            (_, bare_few) = timed(bare_fit, X, size, batch_size, 1)
            (network, bare_many) = timed(bare_fit, X, size, batch_size, 3)
            ratios.append((many - few) / (bare_many - bare_few))
            progress([batch_size, ratios[-1]])
        rows.append([f"training, batches of {batch_size}", *_spread(ratios)])
    ratios = []
    for _ in range(3 * options.repeats):
        _, seconds = timed(model.transform, X_test)

        def bare_transform():
            with torch.no_grad():
                return [network.encode(x) for x in as_tensor(X_test).split(668)]

        _, bare = timed(bare_transform)
        ratios.append(seconds / bare)
    rows.append(["transform", *_spread(ratios)])
    table = pd.DataFrame(rows, columns=["skae over bare", "median", "least", "most"])
    return ["## Speed", table]


def _spread(ratios):
    return float(np.median(ratios)), min(ratios), max(ratios)


def resident():
    """Return the resident memory now, in MB (Linux only)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MB


def measure_memory():
    """Return the size of X, and the peak above the imports of fit and transform."""
    before = resident()
    X = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), np.uint8)
    model = conv(64, max_epochs=1).fit(X)
    model.transform(X)
    return X.nbytes / MB, peak() - before, peak()


def memory(options):
    """Return the memory of fit and transform, measured in a process of its own."""
    command = [sys.executable, __file__, "--measure-memory"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    size, above, whole = json.loads(text)
    table = pd.DataFrame(
        [["fit and transform", size, above, size + 400, whole]],
        columns=["", "X, MB", "peak, MB", "bar, MB", "with the imports, MB"],
    )
    return ["## Memory", table]


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder with the sets")
    found.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    found.add_argument("--sizes", nargs="+", type=int, default=list(PUBLISHED))
    found.add_argument("--epochs", nargs="+", type=int, default=[50])
    found.add_argument("--limit", type=float, default=LIMIT)
    found.add_argument("--from-epochs", type=int, default=1, help="of skae's fits")
    found.add_argument("--most-epochs", type=int, default=60)
    found.add_argument("--repeats", type=int, default=3)
    found.add_argument("--measure-memory", action="store_true", help=argparse.SUPPRESS)
    options = found.parse_args()
    if options.measure_memory:
        print(json.dumps(measure_memory()))
        return
    functions = dict(
        zip(PARTS, (published, time_to_error, floor, speed, memory), strict=True)
    )
    parts = [part for name in options.parts for part in functions[name](options)]
    report(__doc__, options.output, *parts)


if __name__ == "__main__":
    main()
