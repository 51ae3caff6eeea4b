"""How long skae takes to pass the tutorial's autoencoder, on all of Fashion-MNIST.

    python benchmarks/time_to_error.py [--data FOLDER]

The folder holds fashion_mnist.npz (X_train, the first 30,000 training rows, and X_test)
and fashion_mnist_rest.npz (X_train, the others). Without it scikit-learn's digits stand
in, with codes of 16 numbers instead of 64; three quarters of them are for training.

Protocol: pixels in [0, 1], float32, one thread, CPU seconds of whole fits, mean squared
error per pixel of the test rows. The tutorial's network is d-128-k-128-d
(784-128-64-128-784) with ReLU between the layers of each half and a sigmoid at the
output, trained with Adam 1e-3, batches of 128, 20 epochs. skae has the same widths,
else its defaults, and is fitted anew with max_epochs=1, 2, 3, ... until its error is
below the tutorial's: each fit runs from start to end with its own schedule, so that no
time is found by looking at the test rows during a fit.
"""

import numpy as np
import pandas as pd
import torch
from _common import find, parser, progress, report, timed, use_one_thread
from _methods import METHODS, applied, layers, pca, tutorial_loop, warmed_up
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from skae import AutoencoderTransformer

WIDTH = 128
SEED = 0


def load(folder):
    """Return training rows, test rows and the size of the code."""
    if folder is None:
        X = load_digits().data.astype(np.float32) / 16
        return *train_test_split(X, test_size=0.25, random_state=0), 16
    with (
        np.load(find("fashion_mnist", folder)) as first,
        np.load(find("fashion_mnist_rest", folder)) as rest,
    ):
        train = np.concatenate([first["X_train"], rest["X_train"]])
        test = first["X_test"]
    return _pixels(train), _pixels(test), 64


def _pixels(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


def tutorial(train, size, epochs):
    """Return a function that rebuilds X."""
    torch.manual_seed(SEED)
    n_features = train.shape[1]
    encoder, decoder = layers(n_features, WIDTH, size), layers(size, WIDTH, n_features)
    network = nn.Sequential(encoder, decoder, nn.Sigmoid())
    return applied(tutorial_loop(network, train, epochs))


def results(train, test, size, epochs):
    """Yield the rows of the table."""

    def row(name, n_epochs, reconstruct, seconds):
        found = {"fit": name, "epochs": n_epochs, "CPU seconds": seconds}
        found["test error"] = float(np.square(reconstruct(test) - test).mean())
        progress(found)
        return found

    def skae(max_epochs):
        model = AutoencoderTransformer(
            size,
            hidden_layer_sizes=(WIDTH,),
            max_epochs=max_epochs,
            random_state=SEED,
        )
        _, seconds = timed(model.fit, train)
        name = f"skae, max_epochs={max_epochs!r}"
        return row(name, model.n_epochs_, model.reconstruct, seconds)

    fitted, seconds = timed(pca, train, size, SEED)
    yield row("PCA", "", fitted.reconstruct, seconds)
    reconstruct, seconds = timed(tutorial, train, size, epochs)
    to_pass = row("tutorial", epochs, reconstruct, seconds)
    yield to_pass
    full = skae("auto")
    for max_epochs in range(1, full["epochs"] + 1):
        found = skae(max_epochs)
        yield found
        if found["test error"] < to_pass["test error"]:
            break
    yield full


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder with the two files")
    found.add_argument("--epochs", type=int, default=20, help="of the tutorial")
    options = found.parse_args()
    use_one_thread()
    train, test, size = load(options.data)
    warmed_up({name: METHODS[name] for name in ("pca", "tutorial", "skae")})
    table = pd.DataFrame(results(train, test, size, options.epochs))
    seconds, error = table["CPU seconds"], table["test error"]
    table.insert(3, "share of the tutorial", seconds / seconds[1])
    passed = table[(error < error[1]) & (table.index > 1)]
    verdict = "No fit of skae passes the tutorial."
    if len(passed):
        first = passed.iloc[0]
        verdict = (
            f"skae passes the tutorial's error in {first['CPU seconds']:.1f} s against "
            f"{seconds[1]:.1f} s, {first['share of the tutorial']:.2f} of "
            "its time."
        )
    report(
        __doc__,
        options.output,
        f"{len(train)} training rows, {len(test)} test rows, codes of {size} numbers.",
        table.round({"CPU seconds": 2, "share of the tutorial": 3}),
        verdict,
    )


if __name__ == "__main__":
    main()
