"""Maps of two numbers: skae with and without neighbours, PCA, UMAP and t-SNE.

    python benchmarks/map.py [--data FOLDER] [--rows 15000] [--methods pca umap ...]

With --data on Fashion-MNIST: 60,000 training rows (fashion_mnist.npz and
fashion_mnist_rest.npz), or as many as --rows, drawn at random, and 10,000 test rows;
pixels in [0, 1]. Without on scikit-learn's digits, a quarter for testing.

Each method has its defaults and random_state=0; one thread. Accuracy is that of 5
nearest neighbours: test rows among the training rows in the map. Trustworthiness (of 5
neighbours) is that of 2,000 test rows. Error is the squared error of reconstruction on
test rows over that of the training mean. Seconds are of CPU, for the fit and for the
map of the test rows; those of UMAP hold the compilation of its search of neighbours,
which small sets do without. t-SNE has no map of new rows: it sees training and test
rows together, without labels, on at most 20,000 rows. UMAP's way back to rows, an
interpolation, is not measured.
"""

import warnings
from collections import namedtuple

import numpy as np
import pandas as pd
from _common import (
    BUNDLED,
    find,
    parser,
    progress,
    relative_error,
    report,
    timed,
    use_one_thread,
)
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer

N_NEIGHBORS = 5
TRUST_ROWS = 2000
MOST_TSNE_ROWS = 20_000
N_WARM_UP = 200  # rows: what is imported at the first fit counts in none

# Seconds of new rows are None if there is no map of new rows.
Map = namedtuple("Map", ["train", "test", "X_hat", "fit_seconds", "new_seconds"])


def fashion(folder, n_rows):
    """Return (X, y) for training and for testing."""
    first, rest = (
        np.load(find(name, folder)) for name in ("fashion_mnist", "fashion_mnist_rest")
    )
    X = np.concatenate([first["X_train"], rest["X_train"]])
    y = np.concatenate([first["y_train"], rest["y_train"]])
    chosen = np.random.RandomState(0).permutation(len(X))[:n_rows]
    return (_pixels(X[chosen]), y[chosen]), (_pixels(first["X_test"]), first["y_test"])


def _pixels(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


def digits(n_rows):
    """Return (X, y) for training and for testing."""
    X, y = BUNDLED["digits"](return_X_y=True)
    X = (X / 16).astype(np.float32)
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    return (train[:n_rows], y_train[:n_rows]), (test, y_test)


# Methods


def pca(train, test):
    return mapped(PCA(2, random_state=0), train, test)


def skae(train, test):
    return mapped(AutoencoderTransformer(2, random_state=0), train, test)


def skae_neighbours(train, test):
    model = AutoencoderTransformer(2, penalty="neighbours", random_state=0)
    return mapped(model, train, test)


def umap(train, test):
    from umap import UMAP

    return mapped(UMAP(random_state=0, n_jobs=1), train, test, goes_back=False)


def tsne(train, test):
    both = np.concatenate([train, test])
    if len(both) > MOST_TSNE_ROWS:
        raise ValueError(f"more than {MOST_TSNE_ROWS} rows")
    code, seconds = timed(TSNE(random_state=0, n_jobs=1).fit_transform, both)
    return Map(code[: len(train)], code[len(train) :], None, seconds, None)


METHODS = {
    method.__name__: method for method in (pca, skae, skae_neighbours, umap, tsne)
}


def mapped(model, train, test, goes_back=True):
    """Return the map of a transformer."""
    _, fit_seconds = timed(model.fit, train)
    code, new_seconds = timed(model.transform, test)
    X_hat = model.inverse_transform(code) if goes_back else None
    return Map(model.transform(train), code, X_hat, fit_seconds, new_seconds)


# Run


def measure(method, train, test):
    """Return what is to be said of a method; if it fails, the reason."""
    (X, y), (X_test, y_test) = train, test
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            method(X[:N_WARM_UP], X_test[:N_WARM_UP])
            found = method(X, X_test)
        except (ImportError, ValueError) as failure:
            return {"note": f"not run: {failure}"}
    neighbours = KNeighborsClassifier(N_NEIGHBORS).fit(found.train, y)
    some = slice(0, TRUST_ROWS)
    trust = trustworthiness(X_test[some], found.test[some], n_neighbors=N_NEIGHBORS)
    values = {
        "5-NN": float(neighbours.score(found.test, y_test)),
        "trustworthiness": float(trust),
        "seconds of fit": found.fit_seconds,
        "of new rows": found.new_seconds,
    }
    if found.X_hat is not None:
        values["error"] = relative_error(found.X_hat, X_test, X)
    return values


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder with Fashion-MNIST; else digits")
    found.add_argument("--rows", type=int, help="training rows at most")
    found.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    options = found.parse_args()
    use_one_thread()
    if options.data is None:
        train, test = digits(options.rows)
    else:
        train, test = fashion(options.data, options.rows)
    rows = []
    for name in options.methods:
        rows.append({"method": name, **measure(METHODS[name], train, test)})
        progress(rows[-1])
    columns = ["method", "5-NN", "trustworthiness", "error"]
    columns += ["seconds of fit", "of new rows", "note"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype(dict.fromkeys(columns[1:-1], float)).fillna({"note": ""})
    shape = f"{len(train[0])} training rows, {len(test[0])} test rows."
    report(__doc__, options.output, shape, table)


if __name__ == "__main__":
    main()
