"""How few rows can judge: how often a network that was kept is worse than PCA.

    python benchmarks/small_data.py [--data FOLDER] [--sets NAME ...]

Fits to a few rows of each set, a quarter of them (at most 40) held out to judge by, and
compares the error on all other rows with that of PCA of the same rows. From here comes
the rule of ``early_stopping="auto"`` to judge from 160 rows on.
"""

import itertools

import numpy as np
import pandas as pd
from _common import BUNDLED, load, parser, progress, report, split, use_one_thread
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

N_ROWS = (60, 80, 120, 160, 200, 300)
SIZES = (2, 8)
SEEDS = (0, 1, 2)
MOST_TEST_ROWS = 2000
WORSE = 1.005  # times the error of PCA


def error_over_pca(train, test, size, seed):
    """Return the error over PCA's, and whether the network was kept."""
    held_out = min(0.25, 40 / len(train))
    autoencoder = AutoencoderTransformer(
        size, early_stopping=True, validation_fraction=held_out, random_state=seed
    ).fit(train)
    pca = PCA(size, svd_solver="full").fit(train)
    pca_error = np.square(pca.inverse_transform(pca.transform(test)) - test).mean()
    error = autoencoder.reconstruction_error(test).mean()
    return error / pca_error, autoencoder.proven_


def results(name, folder):
    """Yield a row for each number of rows, seed and size."""
    X, y, is_raw = load(name, folder)
    train, test, _ = split(X, y, standardise=not is_raw)
    for n_rows, seed, size in itertools.product(N_ROWS, SEEDS, SIZES):
        if n_rows <= len(train):
            rows = np.random.RandomState(seed).permutation(len(train))[:n_rows]
            ratio, kept = error_over_pca(train[rows], test[:MOST_TEST_ROWS], size, seed)
            yield {"rows": n_rows, "ratio": ratio, "kept": kept}


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
    by_rows = pd.DataFrame(table).groupby("rows")
    ratio = by_rows["ratio"]
    summary = pd.DataFrame(
        {
            "fits": by_rows.size(),
            "network kept": by_rows["kept"].sum(),
            "worse than PCA": ratio.agg(lambda ratio: (ratio > WORSE).sum()),
            "largest error over PCA's": ratio.max(),
            "geometric mean": ratio.agg(lambda ratio: np.exp(np.log(ratio).mean())),
        }
    )
    report(__doc__, options.output, summary.reset_index())


if __name__ == "__main__":
    main()
