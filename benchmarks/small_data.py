"""How few rows can judge: how often a network that was kept is worse than PCA.

    python benchmarks/small_data.py [--data FOLDER] [--sets NAME ...]

Fits to a few rows of each set, a quarter of them (at most 40) held out to judge by, and
compares the error on all other rows with that of PCA of the same rows. From here comes
the rule of ``early_stopping="auto"`` to judge from 160 rows on.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from quality import BUNDLED, load, split
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

N_ROWS = (60, 80, 120, 160, 200, 300)
SIZES = (2, 8)
N_SEEDS = 3
MOST_TEST_ROWS = 2000


def error_over_pca(train, test, size, seed):
    """Return the error over PCA's, and whether the network was kept."""
    held_out = min(0.25, 40 / len(train))
    autoencoder = AutoencoderTransformer(
        size, early_stopping=True, validation_fraction=held_out, random_state=seed
    ).fit(train)
    pca = PCA(size, svd_solver="full").fit(train)
    pca_error = np.square(pca.inverse_transform(pca.transform(test)) - test).mean()
    return autoencoder.reconstruction_error(
        test
    ).mean() / pca_error, autoencoder.proven_


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of .npz files")
    parser.add_argument(
        "--sets", nargs="+", default=list(BUNDLED), help="names of sets"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = []
    for name in arguments.sets:
        X, y, is_image = load(name, arguments.data)
        train, test, _ = split(X, y, standardise=not is_image)
        for n_rows in [n for n in N_ROWS if n <= len(train)]:
            for seed in range(N_SEEDS):
                rows = np.random.RandomState(seed).permutation(len(train))[:n_rows]
                for size in SIZES:
                    ratio, kept = error_over_pca(
                        train[rows], test[:MOST_TEST_ROWS], size, seed
                    )
                    table.append({"rows": n_rows, "ratio": ratio, "kept": kept})
    by_rows = pd.DataFrame(table).groupby("rows")
    summary = pd.DataFrame(
        {
            "fits": by_rows.size(),
            "network kept": by_rows["kept"].sum(),
            "worse than PCA": by_rows["ratio"].agg(lambda ratio: (ratio > 1.005).sum()),
            "largest error over PCA's": by_rows["ratio"].max().round(3),
            "geometric mean": by_rows["ratio"].agg(
                lambda ratio: np.exp(np.log(ratio).mean())
            ),
        }
    )
    print(summary.round(3).to_string())


if __name__ == "__main__":
    main()
