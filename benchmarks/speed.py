"""Time of skae beside bare torch loops and skorch, as ratios within one run.

    python benchmarks/speed.py [--quick] [--parts training transform threads]

Data are generated: a curved surface of 8 dimensions and noise, float32. Codes have 8
numbers. Each ratio is the median, with the lowest and the highest, over repeats in
which all contenders take turns.

training: CPU seconds, one thread. Time per epoch is that of a long fit less that of a
short one, over the difference in epochs: start and set-up drop out. The whole is the
long fit, start and all. A bare loop trains in float32 the same network with the same
optimizer: AdamW (fused), one-cycle schedule, shuffled batches by index, squared error,
with torch's betas and a peak rate of 2e-3, which cost the same time as skae's own;
it has the linear paths of init="pca" beside the two halves, the plain one has none. It
stands against skae with early_stopping=False, precision="float32" or "auto", which is
"mixed" where the processor multiplies bfloat16, and init="pca" or "random". skorch has
its defaults (DataLoader; a fifth of the rows is held out, judged by and not trained
on), AdamW and the plain network. Errors are those of the long fits, on new rows, over
that of the mean; the bare loops start at random.

transform: CPU seconds, one thread, 20,000 rows, against the same encoder in batches of
1024 under torch.no_grad, which centres and scales each batch.

threads: fits of one epoch with skae's n_jobs=None, two torch threads against one: time
on the clock of a machine that should be idle, then CPU time while two busy loops run
beside; at most 3 repeats.
"""

import contextlib
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
import torch
from _common import (
    bfloat16_units,
    parser,
    progress,
    relative_error,
    report,
    timed,
    use_one_thread,
)
from _methods import applied, layers
from skorch import NeuralNetRegressor
from torch import nn

from skae import AutoencoderTransformer

SIZE = 8
N_TEST = 4000
SHAPES = (  # rows, features, hidden layers, epochs of the short and of the long fit
    (50_000, 50, (64, 32), (1, 6)),
    (20_000, 784, (128, 64), (1, 6)),
    (20_000, 784, (512, 256), (1, 3)),
)
BATCH_SIZES = (128, 512, 2048)
SKORCH_BATCH = 512  # of skorch and of the threads
AUTO_HIDDEN = (512, 256)  # layers wide enough for precision="auto" to matter
COMPARED = (
    ("skae", "bare loop"),
    ("skae auto", "bare loop"),
    ("skae random", "plain loop"),
    ("skorch", "plain loop"),
    ("skae", "skorch"),
    ("skae random", "skorch"),
)
# Ends with us, however we end.
BUSY = "import os\np = os.getppid()\nwhile os.getppid() == p: pass"


def generated(n_rows, n_features):
    """Return rows to train on and rows to test."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((n_rows + N_TEST, SIZE), np.float32)
    straight, curved = rng.standard_normal((2, SIZE, n_features), np.float32)
    X = latent @ straight / np.sqrt(SIZE) + np.sin(latent @ curved)
    X += 0.1 * rng.standard_normal(X.shape, np.float32)
    X = X.astype(np.float32)
    return X[:n_rows], X[n_rows:]


# Contenders


class Beside(nn.Module):
    """The sum of what two modules return."""

    def __init__(self, first, second):
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x):
        return self.first(x) + self.second(x)


def plain_network(n_features, hidden):
    """Return encoder and decoder: f(x) and g(z)."""
    return nn.Sequential(
        layers(n_features, *hidden, SIZE, activation=nn.SiLU),
        layers(SIZE, *hidden[::-1], n_features, activation=nn.SiLU),
    )


def path_network(n_features, hidden):
    """Return encoder and decoder: A x + f(x) and B z + b + g(z)."""
    encoder, decoder = plain_network(n_features, hidden)
    return nn.Sequential(
        Beside(nn.Linear(n_features, SIZE, bias=False), encoder),
        Beside(nn.Linear(SIZE, n_features), decoder),
    )


def bare_fit(network, X, batch_size, epochs):
    """Train a network and return what applies it."""
    weights = network.parameters()
    optimizer = torch.optim.AdamW(weights, lr=2e-3, weight_decay=1e-2, fused=True)
    n_steps = -(-len(X) // batch_size) * epochs + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=2e-3,
        total_steps=n_steps,
        pct_start=max(0.1, 2 / n_steps),
        cycle_momentum=False,
    )
    X = torch.from_numpy(X)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            x = X[rows]
            loss = nn.functional.mse_loss(network(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return applied(network)


def skorch_fit(network, X, batch_size, epochs):
    net = NeuralNetRegressor(
        network,
        optimizer=torch.optim.AdamW,
        lr=2e-3,
        batch_size=batch_size,
        max_epochs=epochs,
        verbose=0,
    )
    return net.fit(X, X).predict


def skae_fit(X, hidden, batch_size, epochs, **options):
    """Fit in float32 with one thread, unless `options` say otherwise."""
    options = {"precision": "float32", "n_jobs": 1, **options}
    model = AutoencoderTransformer(
        SIZE,
        hidden_layer_sizes=hidden,
        batch_size=batch_size,
        max_epochs=epochs,
        n_iter_no_change=epochs,
        early_stopping=False,
        random_state=0,
        **options,
    )
    with warnings.catch_warnings():  # so few epochs need not beat PCA
        warnings.simplefilter("ignore")
        return model.fit(X)


def contenders(X, hidden, batch_size):
    """Return {name: function of epochs that fits and returns a function X_hat(X)}."""
    n_features = X.shape[1]

    def skae(epochs, **options):
        return skae_fit(X, hidden, batch_size, epochs, **options).reconstruct

    def bare(epochs, network):
        return bare_fit(network(n_features, hidden), X, batch_size, epochs)

    found = {
        "bare loop": partial(bare, network=path_network),
        "skae": skae,
        "plain loop": partial(bare, network=plain_network),
        "skae random": partial(skae, init="random"),
    }
    if hidden == AUTO_HIDDEN:
        found["skae auto"] = partial(skae, precision="auto")
    if batch_size == SKORCH_BATCH:
        found["skorch"] = lambda epochs: skorch_fit(
            plain_network(n_features, hidden), X, batch_size, epochs
        )
    return found


# Parts


def training(shapes, batch_sizes, repeats):
    """Yield a row for each shape, size of batch and two contenders."""
    for n_rows, n_features, hidden, epochs in shapes:
        X, test = generated(n_rows, n_features)
        for batch_size in batch_sizes:
            fits = contenders(X, hidden, batch_size)
            seconds, errors = turns(fits, epochs, repeats, X, test)
            for pair in COMPARED:
                if not set(pair) <= set(fits):
                    continue
                short, long = np.moveaxis([seconds[name] for name in pair], -1, 0)
                per_epoch = (long - short) / (epochs[1] - epochs[0])
                yield {
                    "X": f"{n_rows} x {n_features}",
                    "hidden": hidden,
                    "batch": batch_size,
                    "compared": " : ".join(pair),
                    **ratio(*per_epoch, "per epoch"),
                    "ms per epoch": median_pair(1e3 * per_epoch),
                    "whole": float(np.median(long[0] / long[1])),
                    "of epochs": epochs[1],
                    "errors": " : ".join(f"{errors[name]:.3f}" for name in pair),
                }


def turns(fits, epochs, repeats, X, test):
    """Return {name: seconds of shape (repeats, short and long)} and {name: error}."""
    seconds = {name: np.empty((repeats, 2)) for name in fits}
    errors = {}
    for repeat in range(repeats):
        for column, n_epochs in enumerate(epochs):
            for name, fit in fits.items():
                X_hat, seconds[name][repeat, column] = timed(fit, n_epochs)
                errors[name] = relative_error(X_hat(test), test, X)
    return seconds, errors


def ratio(over, under, name):
    """Return the median of paired ratios as `name`, and their range."""
    ratios = over / under
    limits = f"{ratios.min():.2f} to {ratios.max():.2f}"
    return {name: float(np.median(ratios)), "range": limits}


def median_pair(values):
    return " : ".join(f"{np.median(value):.0f}" for value in values)


def transforming(shapes, repeats):
    """Yield a row for each shape."""
    for n_rows, n_features, hidden, _ in shapes:
        X = generated(min(n_rows, 20_000), n_features)[0]
        fitted = skae_fit(X[:2000], hidden, 256, 1)
        encoder, _ = path_network(n_features, hidden)
        mean = torch.from_numpy(fitted.mean_).float()
        bare = partial(bare_transform, encoder, X, mean, fitted.scale_)
        rounds = range(4 * repeats + 1)
        seconds = [(timed(fitted.transform, X)[1], timed(bare)[1]) for _ in rounds]
        seconds = np.transpose(seconds[1:])  # the first warms up
        yield {
            "X": f"{len(X)} x {n_features}",
            "hidden": hidden,
            **ratio(*seconds, "skae : bare"),
            "ms": median_pair(1e3 * seconds),
        }


@torch.no_grad()
def bare_transform(encoder, X, mean, scale):
    codes = []
    for batch in torch.from_numpy(X).split(1024):
        batch = batch - mean
        batch /= scale
        codes.append(encoder(batch))
    return torch.cat(codes).numpy()


def threading(shapes, repeats):
    """Yield a row for defaults on a small table and for each shape."""
    small = AutoencoderTransformer(SIZE, max_epochs=10, random_state=0)
    fits = {
        "5000 x 64, defaults, 10 epochs": partial(small.fit, generated(5000, 64)[0])
    }
    for n_rows, n_features, hidden, _ in shapes:
        X = generated(n_rows, n_features)[0]
        fits[f"{n_rows} x {n_features}, {hidden}, batch {SKORCH_BATCH}"] = partial(
            skae_fit, X, hidden, SKORCH_BATCH, 1, n_jobs=None
        )
    for name, fit in fits.items():
        on_clock = in_threads(fit, repeats, time.perf_counter)
        with busy_loops(2):
            of_cpu = in_threads(fit, repeats, time.process_time)
        idle, busy = ratio(*on_clock, "ratio"), ratio(*of_cpu, "ratio")
        yield {
            "fit": name,
            "clock, idle": idle["ratio"],
            "range": idle["range"],
            "ms on the clock": median_pair(1e3 * on_clock),
            "CPU, two busy loops beside": busy["ratio"],
            "its range": busy["range"],
        }


def in_threads(fit, repeats, clock):
    """Return seconds with two threads and with one, of shape (2, repeats)."""
    seconds = np.empty((2, repeats))
    try:
        for repeat in range(repeats):
            for row, n_threads in enumerate((2, 1)):
                torch.set_num_threads(n_threads)
                seconds[row, repeat] = timed(fit, clock=clock)[1]
    finally:
        torch.set_num_threads(1)
    return seconds


@contextlib.contextmanager
def busy_loops(number):
    """Keep cores busy for a while."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main():
    parts = ("training", "transform", "threads")
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="a small trial")
    found.add_argument("--repeats", type=int, default=5)
    found.add_argument("--parts", nargs="+", default=parts, choices=parts)
    options = found.parse_args()
    use_one_thread()
    shapes, batch_sizes, repeats = SHAPES, BATCH_SIZES, options.repeats
    warm_up = [(400, 20, (8,), (1, 2))]
    if options.quick:
        shapes = [(n_rows // 20, *rest) for n_rows, *rest in SHAPES]
        batch_sizes, repeats = [SKORCH_BATCH], 2
    pages = []
    if "training" in options.parts:
        list(training(warm_up, [SKORCH_BATCH], 1))
        pages += ["## Training", table(training(shapes, batch_sizes, repeats))]
        pages += [f'What precision="auto" can compute with: {bfloat16_units()}.']
    if "transform" in options.parts:
        pages += ["## transform", table(transforming(shapes, repeats))]
    if "threads" in options.parts:
        pages += ["## Threads", table(threading(shapes, min(repeats, 3)))]
    report(__doc__, options.output, *pages)


def table(rows):
    """Return rows as a DataFrame and show each as it comes."""
    found = []
    for row in rows:
        progress(", ".join(f"{key} {value}" for key, value in row.items()))
        found.append(row)
    return pd.DataFrame(found)


if __name__ == "__main__":
    main()
