"""What `choose_n_components` finds in noise and in factors; widths beside "auto".

    python benchmarks/choose_size.py [--repeats 20] [--data FOLDER] [--sets NAME ...]

Bends of the error, in tables of 150 x 20 that are noise, and in those of 2, 4 and 6
factors with noise of 0.3, 1 and 2 times the unit of a factor: how deep they are, as a
share of the fall of the error, and at which size. So few rows give PCA. From here comes
the least depth that counts as a bend.

Errors on test rows of networks of several widths, over that of "auto", with codes of 2
and 8 numbers, by the protocol of quality.py; all else is the default.
"""

import itertools
import warnings

import numpy as np
import pandas as pd
from _common import BUNDLED, load, parser, progress, report, split, use_one_thread

from skae import AutoencoderTransformer, choose_n_components
from skae.model_selection import LEAST_BEND

N_ROWS, N_FEATURES = 150, 20  # so few rows that the model is PCA
FACTORS, NOISES = (2, 4, 6), (0.3, 1.0, 2.0)
WIDTHS = ("auto", (), (32,), (64, 32), (128, 64), (256, 128), (256, 256, 128))
SIZES = (2, 8)
SAME = 1.02  # times the error of "auto"


def depth(choice):
    """Return how far the error is below the line, as a share of its fall."""
    sizes, error = choice.table_.index.to_numpy(), choice.table_["error"].to_numpy()
    way = (sizes - sizes[0]) / (sizes[-1] - sizes[0])
    fallen = (error[0] - error) / (error[0] - error[-1])
    return (fallen - way).max()


def bends(n_factors, noise, n_repeats):
    """Return depths and sizes of bends in tables of some factors and noise."""
    found = []
    for seed in range(n_repeats):
        rng = np.random.default_rng(seed)
        X = noise * rng.normal(size=(N_ROWS, N_FEATURES))
        X += rng.normal(size=(N_ROWS, n_factors)) @ rng.normal(
            size=(n_factors, N_FEATURES)
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "From 1 to .* has no bend")
            choice = choose_n_components(
                AutoencoderTransformer(random_state=0), X, random_state=seed
            )
        found.append((depth(choice), choice.n_components_))
    depths, sizes = np.array(found).T
    return {
        "factors": n_factors,
        "noise": noise,
        "least depth": depths.min(),
        "median depth": np.median(depths),
        "largest depth": depths.max(),
        "bends": f"{(depths > LEAST_BEND).sum()} of {n_repeats}",
        "at the factors": f"{(sizes == n_factors).sum()} of {n_repeats}",
    }


def errors(name, folder):
    """Yield the error of each network over that of "auto"."""
    X, y, is_raw = load(name, folder)
    train, test, _ = split(X, y, standardise=not is_raw)
    for size in SIZES:
        error = {}
        for widths in WIDTHS:
            autoencoder = AutoencoderTransformer(
                size, hidden_layer_sizes=widths, random_state=0
            ).fit(train)
            error[widths] = autoencoder.reconstruction_error(test).mean()
        for widths in WIDTHS:
            ratio = error[widths] / error["auto"]
            yield {"widths": str(widths), "set": name, "size": size, "ratio": ratio}


def summarised(found):
    """Return a row for each network, over sets and sizes."""
    ratio = found.groupby("widths", sort=False)["ratio"]
    return pd.DataFrame(
        {
            "pairs of set and size": ratio.size(),
            "error over that of auto": ratio.agg(lambda x: np.exp(np.log(x).mean())),
            "smallest": ratio.min(),
            "largest": ratio.max(),
            "better by 2 %": ratio.agg(lambda x: (x < 1 / SAME).sum()),
            "worse by 2 %": ratio.agg(lambda x: (x > SAME).sum()),
        }
    ).reset_index()


def main():
    found = parser(__doc__)
    found.add_argument("--repeats", type=int, default=20)
    found.add_argument("--data", help="folder of .npz files")
    found.add_argument("--sets", nargs="+", default=list(BUNDLED), help="names of sets")
    options = found.parse_args()
    use_one_thread()
    cases = [(0, 1.0), *itertools.product(FACTORS, NOISES)]
    table = []
    for case in cases:
        progress(f"{case[0]} factors, noise {case[1]}")
        table.append(bends(*case, options.repeats))
    rows = []
    for name in options.sets:
        progress(name)
        rows += errors(name, options.data)
    found = pd.DataFrame(rows)
    by_set = found.pivot(index=["set", "size"], columns="widths", values="ratio")
    report(
        __doc__,
        options.output,
        pd.DataFrame(table),
        summarised(found),
        by_set[[str(widths) for widths in WIDTHS]].reset_index(),
    )


if __name__ == "__main__":
    main()
