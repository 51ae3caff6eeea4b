"""The default learning rate beside seven others, on pictures and tables of all widths.

    python benchmarks/learning_rate.py [--sides 16 32 ...] [--columns 10 100 ...]

Pictures are soft ellipses (grey, uint8), 8 numbers; tables are smooth functions of 4
numbers with a tenth of noise, 2 numbers. All are generated with fixed seeds, so nothing
has to be downloaded. One thread, random_state=0, all else default but the number of
epochs of pictures (--epochs).

"first epoch" is the held-out loss after the first epoch over that of PCA, from which
training starts. "error" is the squared error on new rows over PCA's.
"""

import warnings

import numpy as np
import pandas as pd
from _common import parser, progress, report, timed, use_one_thread
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

RATES = ("auto", 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
MOST_CELLS = 2**24  # of all training pictures together
N_ROWS, N_TEST_ROWS = 600, 200


def draw_pictures(n_samples, side, seed):
    """Return grey pictures of one soft ellipse each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    pictures = np.empty((n_samples, side, side), np.uint8)
    for picture in pictures:
        (top, left), axes = rng.uniform(0.3, 0.7, 2), rng.uniform(0.08, 0.3, 2)
        angle, brightness = rng.uniform(0, np.pi), rng.uniform(0.5, 1)
        along = (x - left) * np.cos(angle) + (y - top) * np.sin(angle)
        across = (y - top) * np.cos(angle) - (x - left) * np.sin(angle)
        distance = np.hypot(along / axes[0], across / axes[1])
        picture[:] = 255 * brightness / (1 + np.exp(8 * (distance - 1)))
    return pictures


def draw_table(n_samples, n_columns, seed):
    """Return rows that are smooth functions of 4 numbers, and noise."""
    columns = np.random.default_rng(0)
    mixing = columns.normal(size=(4, n_columns))
    phase = columns.uniform(0, 2 * np.pi, n_columns)
    rng = np.random.default_rng([1, seed])
    cause = rng.uniform(-1, 1, (n_samples, 4))
    noise = rng.normal(0, 0.1, (n_samples, n_columns))
    return (np.sin(cause @ mixing + phase) + noise).astype(np.float32)


def results(kind, width, size, train, test, rates, **options):
    """Yield a row for each rate."""
    flat, flat_test = (x.reshape(len(x), -1).astype(np.float32) for x in (train, test))
    pca = PCA(size, random_state=0).fit(flat)
    left = flat_test - pca.inverse_transform(pca.transform(flat_test))
    for rate in rates:
        model = AutoencoderTransformer(
            size, learning_rate=rate, random_state=0, **options
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                _, seconds = timed(model.fit, train)
            except ValueError:  # it diverged, twice
                yield {"kind": kind, "width": width, "rate": rate}
                continue
            error = model.reconstruct(test).reshape(flat_test.shape) - flat_test
        losses = np.array(model.validation_loss_curve_) / model.pca_loss_
        yield {
            "kind": kind,
            "width": width,
            "rate": rate,
            "first epoch": losses[0],
            "error": np.square(error).sum() / np.square(left).sum(),
            "kept": "network" if model.proven_ else "PCA",
            "seconds": seconds,
        }


def cases(options):
    """Yield the arguments of `results` for each case."""
    for side in options.sides:
        n_samples = int(np.clip(MOST_CELLS // side**2, 160, N_ROWS))
        train, test = (
            draw_pictures(n, side, seed)
            for seed, n in enumerate((n_samples, min(N_TEST_ROWS, n_samples)))
        )
        yield ("picture", side, 8, train, test), {"max_epochs": options.epochs}
    for n_columns in options.columns:
        train, test = (
            draw_table(n, n_columns, seed)
            for seed, n in enumerate((N_ROWS, N_TEST_ROWS))
        )
        yield ("table", n_columns, 2, train, test), {}


def summary(table):
    """Return a row for each case: the default beside the best of the other rates."""
    found = []
    for (kind, width), rows in table.groupby(["kind", "width"], sort=False):
        auto, others = rows[rows["rate"] == "auto"], rows[rows["rate"] != "auto"]
        row = {
            "kind": kind,
            "width": width,
            "first epoch": auto["first epoch"].iloc[0],
            "error": auto["error"].iloc[0],
            "kept": auto["kept"].iloc[0],
        }
        if len(others):
            best = others.loc[others["error"].idxmin()]
            row |= {
                "best of the others": best["error"],
                "its rate": best["rate"],
                "error over the best": row["error"] / best["error"],
            }
        found.append(row)
    return pd.DataFrame(found)


def main():
    found = parser(__doc__)
    found.add_argument("--sides", nargs="*", type=int, default=[16, 32, 64, 128])
    found.add_argument(
        "--columns", nargs="*", type=int, default=[10, 100, 1000, 5000, 20_000]
    )
    found.add_argument("--rates", nargs="+", default=RATES)
    found.add_argument("--epochs", type=int, default=10, help="of pictures")
    options = found.parse_args()
    use_one_thread()
    rates = [rate if rate == "auto" else float(rate) for rate in options.rates]
    rows = []
    for case, parameters in cases(options):
        for row in results(*case, rates, **parameters):
            progress(" ".join(str(value) for value in row.values()))
            rows.append(row)
    table = pd.DataFrame(rows)
    report(__doc__, options.output, summary(table), "All rates:", table)


if __name__ == "__main__":
    main()
