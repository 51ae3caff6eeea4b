"""Rows in pieces: is any piece of `partial_fit` below IncrementalPCA?

    python benchmarks/partial_fit.py [--data FOLDER] [--sets NAME ...]

Gives each piece to both, and compares the share of the variance of all rows, also of
those to come, that they rebuild. At most 6,000 rows, at random, twice: in eight pieces
or more of 50 to 500 rows, and the first 1,000 of them in pieces of 10. X as it is and
standardised. PCA of all rows so far stands beside: after the first few rows
IncrementalPCA, which keeps only as many directions as there are components, may be
better than it, or worse, by luck.
"""

import itertools

import numpy as np
import pandas as pd
from _common import BUNDLED, load, parser, progress, report, use_one_thread
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.preprocessing import scale

from skae import AutoencoderTransformer

MOST_ROWS = 6000
N_PIECES, SMALLEST, LARGEST = 8, 50, 500
SMALL_PIECE, ROWS_IN_SMALL_PIECES = 10, 1000
SIZES = (2, 8)
N_PASSES = 2


def rebuilt(X, pca):
    """Return the share of the variance that is rebuilt."""
    X_hat = pca.inverse_transform(pca.transform(X))
    return 1 - np.square(X - X_hat).sum() / np.square(X - X.mean(0)).sum()


def differences(X, n_components, size):
    """Return by how much skae's share is above those of others after each piece.

    One array for IncrementalPCA and one for PCA of all rows so far, and the last share
    of the former.
    """
    starts = range(0, len(X) - size + 1, size)
    incremental = IncrementalPCA(n_components)
    autoencoder = AutoencoderTransformer(n_components, random_state=0)
    found = []
    for start in [*starts] * N_PASSES:
        stop = start + size if len(found) < len(starts) else len(X)
        piece = X[start : start + size]
        incremental.partial_fit(piece)
        autoencoder.partial_fit(piece)
        pca = PCA(n_components).fit(X[:stop])
        shares = [rebuilt(X, other) for other in (incremental, pca)]
        found.append(autoencoder.score(X) - np.array(shares))
    return *np.transpose(found), shares[0]


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
            gains, above_pca, share = differences(rows, n_components, size)
            yield {
                "set": name,
                "rows of a piece": size,
                "standardised": "yes" if is_scaled else "no",
                "components": n_components,
                "worst piece": round(min(gains), 4) + 0.0,  # no -0
                "beside PCA": round(min(above_pca), 4) + 0.0,
                "last piece": round(gains[-1], 4) + 0.0,
                "IncrementalPCA": round(share, 3),
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
