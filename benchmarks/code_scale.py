"""Which units of the code suit its next user: nearest neighbours between PCA and white.

    python benchmarks/code_scale.py [--data FOLDER] [--sets NAME ...] [--sizes 8 32]

Fits of skae (defaults, random_state=0, one thread) by the protocol of quality.py. The
training of a network does not depend on the units of its code, so that one fit serves
all: with s_j the spread of PCA along axis j, u_j = s_j**e gives PCA's own units for
e = 1, white ones for e = 0, and 0.5 is what skae takes. Accuracy of 5 nearest
neighbours on test rows, the first 4,000 training rows being the neighbours. Only fits
in which the network was kept; PCA beside.
"""

import numpy as np
import pandas as pd
from _common import BUNDLED, load, parser, progress, report, split, use_one_thread
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer

SETS = (
    "letter",
    "satimage",
    "texture",
    "isolet",
    "spambase",
    "fashion_mnist",
    "orl_faces",
    "covertype_15k",
)
EXPONENTS = (1, 0.75, 0.5, 0.25, 0)
MOST_NEIGHBOURS = 4000


def accuracy(code, test_code, labels):
    """Return the accuracy of 5 nearest neighbours on test rows."""
    y, y_test = labels
    neighbours = KNeighborsClassifier().fit(code[:MOST_NEIGHBOURS], y[:MOST_NEIGHBOURS])
    return neighbours.score(test_code, y_test)


def results(sets, sizes, folder):
    """Yield the rows of the table."""
    for name in sets:
        X, y, is_ready = load(name, folder)
        train, test, labels = split(X, y, standardise=not is_ready)
        for size in sizes:
            if size >= train.shape[1]:
                continue
            model = AutoencoderTransformer(size, random_state=0, n_jobs=1).fit(train)
            if not model.proven_:
                continue
            spread = np.sqrt(model.explained_variance_)
            white = np.sqrt(spread[0] * spread)  # the spread of skae's code
            code, test_code = (model.transform(rows) / white for rows in (train, test))
            row = {"set": name, "numbers": size}
            for exponent in EXPONENTS:
                units = spread**exponent
                row[f"e = {exponent}"] = accuracy(
                    code * units, test_code * units, labels
                )
            pca = PCA(size, random_state=0).fit(train)
            row["PCA"] = accuracy(pca.transform(train), pca.transform(test), labels)
            progress(row)
            yield row


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder with the sets; else scikit-learn's own")
    found.add_argument("--sets", nargs="+")
    found.add_argument("--sizes", nargs="+", type=int, default=[8, 32])
    options = found.parse_args()
    use_one_thread()
    sets = options.sets or (BUNDLED if options.data is None else SETS)
    table = pd.DataFrame(results(sets, options.sizes, options.data))
    means = table.drop(columns=["set", "numbers"]).mean()
    mean = pd.DataFrame([{"set": "mean", "numbers": "", **means}])
    table = pd.concat([table.astype({"numbers": object}), mean])
    report(__doc__, options.output, table)


if __name__ == "__main__":
    main()
