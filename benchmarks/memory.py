"""Memory of fit and transform beyond that of X, and the size of a pickle.

    python benchmarks/memory.py [--rows 50000 100000]

Each measurement is a process of its own: the largest resident memory that it ever had
(ru_maxrss; Linux and macOS) less that just before the call, in MB of 10**6 bytes. X is
dense and random, 1000 columns, float64 and float32 (400 MB each by default). fit runs
one epoch, and what it imports counts. transform belongs to a fit to 2000 other rows,
and the codes that it returns do not count. The bars: fit 20 % of X and 200 MB,
transform 100 MB. A pickle must not grow with the rows: at most 64 bytes, for numbers
that take more digits.
"""

import argparse
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
from _common import MB, parser, peak, progress, report

from skae import AutoencoderTransformer

N_FEATURES = 1000
FEW_ROWS = 2000


def random_rows(n_rows, n_features, dtype):
    """Return normal numbers, made in place: no more memory than they take."""
    X = np.empty((n_rows, n_features), dtype)
    np.random.default_rng(0).standard_normal(out=X, dtype=X.dtype)
    return X


def autoencoder():
    return AutoencoderTransformer(
        8, hidden_layer_sizes=(128, 64), max_epochs=1, random_state=0
    )


def of_fit(n_rows, dtype):
    X = random_rows(n_rows, N_FEATURES, dtype)
    before = peak()
    autoencoder().fit(X)
    return peak() - before


def of_transform(n_rows, dtype):
    fitted = autoencoder().fit(random_rows(FEW_ROWS, N_FEATURES, dtype))
    X = random_rows(n_rows, N_FEATURES, dtype)
    before = peak()
    code = fitted.transform(X)
    return peak() - before - code.nbytes / MB


def of_pickle(n_rows, dtype):
    fitted = autoencoder().set_params(precision="float32", early_stopping=False)
    return len(pickle.dumps(fitted.fit(random_rows(n_rows, 20, dtype))))


MEASURES = {"fit": of_fit, "transform": of_transform, "pickle": of_pickle}


def measured(*arguments):
    """Return a measurement made in a new process."""
    progress(" ".join(map(str, arguments)))
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    return json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    )


def results(rows):
    """Yield the rows of the table."""
    for name in ("fit", "transform"):
        for n_rows, dtype in zip(rows, ("float64", "float32"), strict=True):
            size = n_rows * N_FEATURES * np.dtype(dtype).itemsize / MB
            bar = 0.2 * size + 200 if name == "fit" else 100
            shape = f"{n_rows} x {N_FEATURES} {dtype}, {size:.0f} MB"
            found = measured(name, n_rows, dtype)
            yield name, shape, f"{found:.0f} MB", f"{bar:.0f} MB", found <= bar
    few, many = (measured("pickle", n_rows, "float32") for n_rows in (1000, 100_000))
    shape = "100000 x 20 float32, against 1000 x 20"
    yield "pickle", shape, f"{many} bytes", f"{few} + 64 bytes", many <= few + 64


def main():
    found = parser(__doc__)
    found.add_argument("--rows", nargs=2, type=int, default=[50_000, 100_000])
    found.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = found.parse_args()
    if options.measure:
        name, n_rows, dtype = options.measure
        print(MEASURES[name](int(n_rows), dtype))
        return
    columns = ["what", "X", "takes", "bar", "within"]
    report(
        __doc__, options.output, pd.DataFrame(results(options.rows), columns=columns)
    )


if __name__ == "__main__":
    main()
