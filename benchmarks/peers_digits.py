"""What else rebuilds scikit-learn's digits: error, time and what the class offers.

    python benchmarks/peers_digits.py [--sizes 2 8 16]

A quarter of the digits is for testing; pixels are divided by 16; random states are 0.
Error is the squared error on test rows over that of the training mean. Times are CPU
seconds, with one thread. MLPRegressor and PyOD have skae's layers, PyOD without its own
standardisation (the data have one unit); all else is their default, except that PyOD's
epochs are 10, its default, and 100. PyOD is left out if it is not installed.
"""

import itertools
import warnings
from functools import partial

import pandas as pd
from _common import (
    parser,
    progress,
    relative_error,
    report,
    timed,
    use_one_thread,
)
from _methods import HIDDEN, mlp, pca, pyod, skae, warmed_up
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

pyod = partial(pyod, preprocessing=False)
PEERS = {
    "PCA": pca,
    "MLPRegressor": mlp,
    "PyOD AutoEncoder, 10 epochs": partial(pyod, epochs=10),
    "PyOD AutoEncoder, 100 epochs": partial(pyod, epochs=100),
    "skae": partial(skae, hidden_layer_sizes=HIDDEN),
}
WITH_BOTH = {"PCA", "skae"}  # transform and inverse_transform


def main():
    found = parser(__doc__)
    found.add_argument("--sizes", type=int, nargs="+", default=[2, 8, 16])
    options = found.parse_args()
    use_one_thread()
    peers = warmed_up(PEERS)
    digits = load_digits().data / 16
    train, test = train_test_split(digits, test_size=0.25, random_state=0)
    table = []
    for size, (name, method) in itertools.product(options.sizes, peers.items()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted, seconds = timed(method, train, size, 0)
        error = relative_error(fitted.reconstruct(test), test, train)
        offers = "yes" if name in WITH_BOTH else "no"
        table.append((size, name, error, round(seconds, 1), offers))
        progress(table[-1])
    columns = ["size", "peer", "error", "seconds", "transform and inverse_transform"]
    report(__doc__, options.output, pd.DataFrame(table, columns=columns))


if __name__ == "__main__":
    main()
