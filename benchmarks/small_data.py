"""How well few rows judge: skae's error over PCA's, and how often it is worse.

    python benchmarks/small_data.py [--data FOLDER] [--sets NAME ...] [--seeds 0 1 ...]

Fits to a few rows of each set (all training rows, where there are fewer) and compares
the error on other rows, at most 2000, with that of PCA of the same rows. Protocol of
quality.py; the sets that scikit-learn bundles are standardised tables.

"default" is ``early_stopping="auto"``: up to 600 rows judge by cross-fitting. "a tenth"
is the rule of other estimators and of skae before: from 160 rows on a tenth of them, at
least 40, is held out to judge by; fewer rows are left to PCA.
"""

import itertools

import numpy as np
import pandas as pd
from _common import (
    BUNDLED,
    load,
    parser,
    progress,
    report,
    split,
    timed,
    use_one_thread,
)
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

N_ROWS = (40, 60, 80, 120, 160, 300, 600)
SIZES = (2, 8)
MOST_TEST_ROWS = 2000
WORSE = 1.005  # times the error of PCA


def tenth(size, n_rows, seed):
    """Return an estimator that holds out a tenth of the rows, or None."""
    if n_rows < 160:
        return None
    held_out = max(0.1, 40 / n_rows)
    return AutoencoderTransformer(
        size, early_stopping=True, validation_fraction=held_out, random_state=seed
    )


def default(size, n_rows, seed):
    """Return an estimator with all defaults."""
    return AutoencoderTransformer(size, random_state=seed)


RULES = {"default": default, "a tenth": tenth}


def read(name, folder):
    """Return training and test rows."""
    if name in BUNDLED:
        folder = None
    X, y, is_raw = load(name, folder)
    train, test, _ = split(X, y, standardise=not is_raw)
    return train, test[:MOST_TEST_ROWS]


def results(name, options):
    """Yield a row for each number of rows, seed, size and rule."""
    train, test = read(name, options.data)
    numbers = sorted({min(n_rows, len(train)) for n_rows in options.rows})
    for n_rows, seed, size in itertools.product(numbers, options.seeds, SIZES):
        if size >= train.shape[1]:
            continue
        rows = train[np.random.RandomState(seed).permutation(len(train))[:n_rows]]
        pca = PCA(size, svd_solver="full").fit(rows)
        pca_error = np.square(pca.inverse_transform(pca.transform(test)) - test).mean()
        row = {"set": name, "rows": n_rows, "seed": seed, "size": size}
        for rule in options.rules:
            model, seconds = RULES[rule](size, n_rows, seed), 0.0
            ratio, kept = 1.0, False
            if model is not None:
                _, seconds = timed(model.fit, rows)
                ratio = model.reconstruction_error(test).mean() / pca_error
                kept = model.proven_
            found = {"rule": rule, "ratio": ratio, "kept": kept, "seconds": seconds}
            progress(" ".join(map(str, [*row.values(), *found.values()])))
            yield {**row, **found}


def summary(table, by):
    """Return a row for each group."""
    groups = table.groupby(by, sort=False)
    ratio = groups["ratio"]
    return pd.DataFrame(
        {
            "fits": groups.size(),
            "network kept": groups["kept"].sum(),
            "worse than PCA": ratio.agg(lambda ratio: (ratio > WORSE).sum()),
            "largest error over PCA's": ratio.max(),
            "geometric mean": ratio.agg(lambda ratio: np.exp(np.log(ratio).mean())),
            "CPU seconds of a fit": groups["seconds"].mean(),
        }
    ).reset_index()


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder of .npz files")
    found.add_argument("--sets", nargs="+", default=list(BUNDLED), help="names")
    found.add_argument("--rows", nargs="+", type=int, default=N_ROWS)
    found.add_argument("--seeds", nargs="+", type=int, default=[0])
    found.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    options = found.parse_args()
    use_one_thread()
    table = pd.DataFrame(
        row for name in options.sets for row in results(name, options)
    ).astype({"kept": bool})
    table["number"] = pd.cut(
        table["rows"], [0, 120, 600], labels=["up to 120", "121 to 600"]
    ).astype(str)
    parts = [summary(table, by) for by in (["rule", "number"], ["rule", "rows"])]
    bundled = table[table["set"].isin(BUNDLED) & (table["rule"] == "default")]
    if len(bundled):
        parts += ["Sets that scikit-learn bundles:", summary(bundled, ["set", "rows"])]
    worse = table[table["ratio"] > WORSE]
    if len(worse):
        parts += ["Worse than PCA:", worse]
    report(__doc__, options.output, *parts)


if __name__ == "__main__":
    main()
