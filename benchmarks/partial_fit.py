"""Rows in pieces: is any piece of `partial_fit` below IncrementalPCA?

    python benchmarks/partial_fit.py [--data FOLDER] [--sets NAME ...]

Gives each piece to both, and compares the share of the variance of all rows (also those
to come) that they rebuild. At most 6,000 rows, at random, twice: in eight pieces or more
of 50 to 500 rows, and the first 1,000 of them in pieces of 10. X as it is and
standardised.
"""

import itertools

import numpy as np
import pandas as pd
from _common import BUNDLED, load, parser, progress, report, use_one_thread
from sklearn.decomposition import IncrementalPCA
from sklearn.preprocessing import scale

from skae import AutoencoderTransformer

MOST_ROWS = 6000
N_PIECES, SMALLEST, LARGEST = 8, 50, 500
SMALL_PIECE, ROWS_IN_SMALL_PIECES = 10, 1000
SIZES = (2, 8)
N_PASSES = 2


def rebuilt(X, X_hat):
    """Return the share of the variance that is rebuilt."""
    return 1 - np.square(X - X_hat).sum() / np.square(X - X.mean(0)).sum()


def differences(X, n_components, size):
    """Return by how much skae's share is above IncrementalPCA's after each piece."""
    pieces = [X[start : start + size] for start in range(0, len(X) - size + 1, size)]
    pca = IncrementalPCA(n_components)
    autoencoder = AutoencoderTransformer(n_components, random_state=0)
    found = []
    for piece in pieces * N_PASSES:
        pca.partial_fit(piece)
        autoencoder.partial_fit(piece)
        share = rebuilt(X, pca.inverse_transform(pca.transform(X)))
        found.append(autoencoder.score(X) - share)
    return found, share


def results(name, folder):
    """Yield a row for each size of code, as it is and standardised."""
    X, _, _ = load(name, folder)
    X = np.random.RandomState(0).permutation(X)[:MOST_ROWS].astype(np.float64)
    size = int(np.clip(len(X) // N_PIECES, SMALLEST, LARGEST))
    pieces = (len(X), size), (ROWS_IN_SMALL_PIECES, SMALL_PIECE)
    cases = itertools.product(pieces, SIZES, (False, True))
    for (n_rows, size), n_components, is_scaled in cases:
        if n_components < X.shape[1]:
            rows = scale(X[:n_rows]) if is_scaled else X[:n_rows]
            gains, share = differences(rows, n_components, size)
            yield {
                "set": name,
                "rows of a piece": size,
                "standardised": "yes" if is_scaled else "no",
                "components": n_components,
                "worst piece": min(gains),
                "last piece": gains[-1],
                "IncrementalPCA": share,
            }


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder of .npz files")
    found.add_argument("--sets", nargs="+", default=list(BUNDLED), help="names of sets")
    options = found.parse_args()
    use_one_thread()
    table = []
    for name in options.sets:
        progress(name)
        table += results(name, options.data)
    report(__doc__, options.output, pd.DataFrame(table))


if __name__ == "__main__":
    main()
