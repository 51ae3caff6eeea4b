"""What more time buys: the error of long fits, beside a bare loop.

    python benchmarks/long_fits.py [--data FOLDER] [--networks mlp conv] [--rows N]

The folder holds fashion_mnist.npz (X_train, y_train: the first 30,000 training rows;
X_test, y_test) and fashion_mnist_rest.npz (the others). Without it scikit-learn's
digits stand in.

Codes of 30 numbers. "mlp" has the layers of Hinton and Salakhutdinov (2006, Science
313), 1000, 500 and 250; "conv" its default ones. skae is fitted anew with each
``max_epochs``, else its defaults: each fit runs from start to end with its own
schedule. The bare loop trains the same network the way people write it: random start,
Adam 1e-3, batches of 128; its error is measured after each of these numbers of epochs,
which is not timed.

Error is the squared error of a test image: a sum over its pixels in [0, 1], a mean over
the test images. CPU seconds of whole fits, float32, one thread.
"""

import numpy as np
import pandas as pd
import torch
from _common import parser, progress, report, timed, use_one_thread
from images import as_tensor, bare_network, fashion, loop_until, pixel_error
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.networks import MLPAutoencoder

LAYERS = {"mlp": (1000, 500, 250), "conv": "auto"}
SIZE, SEED = 30, 0
FITS = ("skae", "loop")


def bare(network, shape, size):
    """Return the network of skae by its name, untrained."""
    torch.manual_seed(SEED)
    if network == "conv":
        return bare_network(shape, size)
    return MLPAutoencoder(shape[0] * shape[1], size, LAYERS[network])


def results(network, X, X_test, epochs, fits):
    """Yield a row for each number of epochs, skae first."""
    n_pixels = X[0].size

    def row(fit, n_epochs, seconds, error):
        found = {"network": network, "fit": fit, "epochs": n_epochs}
        found |= {"CPU seconds": seconds, "error": error * n_pixels}
        progress(found)
        return found

    for n_epochs in epochs if "skae" in fits else ():
        model = AutoencoderTransformer(
            SIZE,
            network=network,
            hidden_layer_sizes=LAYERS[network],
            max_epochs=n_epochs,
            random_state=SEED,
        )
        _, seconds = timed(model.fit, X)
        error = pixel_error(model, X_test)
        yield row(f"skae, max_epochs={n_epochs}", n_epochs, seconds, error)
    if "loop" not in fits:
        return
    flat = [as_tensor(x) for x in (X, X_test)]
    loop = loop_until(0, bare(network, X.shape[1:], SIZE), *flat, max(epochs))
    for epoch, seconds, error in loop:
        if epoch in epochs:
            yield row("bare loop", epoch, seconds, error)


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder with the two files")
    found.add_argument("--networks", nargs="+", choices=LAYERS, default=list(LAYERS))
    found.add_argument("--rows", type=int, help="training images, all by default")
    found.add_argument("--fits", nargs="+", choices=FITS, default=FITS)
    found.add_argument("--epochs", nargs="+", type=int, default=[18, 50, 100])
    options = found.parse_args()
    use_one_thread()
    X, X_test, *_ = fashion(options.data)
    X = X[: options.rows]
    AutoencoderTransformer(2, max_epochs=1).fit(X[:200])  # imports are not timed
    pca, seconds = timed(PCA(SIZE, random_state=SEED).fit, as_tensor(X).numpy())
    flat = as_tensor(X_test).numpy()
    error = np.square(pca.inverse_transform(pca.transform(flat)) - flat).sum(1).mean()
    rows = [{"network": "", "fit": "PCA", "CPU seconds": seconds, "error": error}]
    for network in options.networks:
        rows += results(network, X, X_test, options.epochs, options.fits)
    table = pd.DataFrame(rows)[["network", "fit", "epochs", "CPU seconds", "error"]]
    table["epochs"] = table["epochs"].astype("Int64")
    report(
        __doc__,
        options.output,
        f"{len(X)} training images, {len(X_test)} test images.",
        table.round({"CPU seconds": 1}),
    )


if __name__ == "__main__":
    main()
