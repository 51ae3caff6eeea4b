"""Reconstruction error of skae's defaults, beside PCA's and that of other autoencoders.

    python benchmarks/quality.py [--data FOLDER] [--methods pca skae ...] [--csv FILE]

Without --data it runs on sets that scikit-learn bundles. A folder holds one NAME.npz
per set, in it or in its subfolders, with X (dense, or CSR as data, indices, indptr,
shape) or X_train, and optionally y.

Protocol: at most 10,000 rows drawn with RandomState(0), a quarter of them for testing;
tables standardised on the training rows, images divided by 255, word counts as they
are; float32; one thread.
Error is the squared error on test rows over that of the training mean. Accuracy is that
of 5 nearest neighbours on standardised codes. Times are CPU seconds.

Methods: PCA; KernelPCA with a radial kernel, on at most 5000 training rows; a
tutorial's loop (Adam 1e-3, batches of 128, 20 epochs); MLPRegressor fitted to (X, X);
PyOD's AutoEncoder with 20 epochs; skae. The peers have the layers 128-64-k-64-128, skae
its default, a layer of 128 more; all else is each one's default. Accuracies are
learnt from the first 4000 training rows; --linear adds that of logistic regression.

With --csv each result goes to a file at once, and what stands there is not run again: a
run that was cut goes on. --report makes the report from that file alone.
"""

import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _common import (
    BUNDLED,
    load,
    parser,
    progress,
    relative_error,
    report,
    split,
    timed,
    use_one_thread,
)
from _methods import DETERMINISTIC, METHODS, warmed_up
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SETS = (
    "covertype_15k",
    "isolet",
    "letter",
    "satimage",
    "spambase",
    "texture",
    "allaml_genes",
    "mouse_brain_10x_10k",
    "pbmc68k_reduced",
    "tox171_genes",
    "fashion_mnist",
    "frey_faces",
    "orl_faces",
    "omniglot_small1",
    "newsgroup_pcmac",
)
CLASSIFIER_ROWS = 4000
WORSE = 1.005  # times the error of PCA
PAIR = ["set", "rows", "features", "size"]
VALUES = ["error", "5-NN", "linear", "seconds"]
COLUMNS = [*PAIR, "seed", "method", *VALUES, "note"]


def arguments():
    found = parser(__doc__)
    found.add_argument("--data", help="folder of .npz files")
    found.add_argument("--sets", nargs="+", help="names of sets")
    found.add_argument("--sizes", nargs="+", type=int, default=[2, 8, 32])
    found.add_argument("--seeds", nargs="+", type=int, default=[0])
    found.add_argument(
        "--methods",
        nargs="+",
        default=list(METHODS),
        choices=METHODS,
        help="PCA always runs: the others are compared with it",
    )
    found.add_argument("--linear", action="store_true", help="logistic regression too")
    found.add_argument("--csv", type=Path, help="file of results, to go on with")
    found.add_argument("--report", action="store_true", help="from --csv; run nothing")
    return found.parse_args()


def main():
    options = arguments()
    use_one_thread()
    rows = []
    if options.csv and options.csv.exists():
        rows = pd.read_csv(options.csv).to_dict("records")
    if not options.report:
        done = {(row["set"], row["size"], row["seed"], row["method"]) for row in rows}
        for row in results(options, done):
            rows.append(row)
            if options.csv:
                append(row, options.csv)
    table = pd.DataFrame(rows, columns=COLUMNS)
    report(__doc__, options.output, *summary(table))


def append(row, path):
    """Write a row at the end of a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = pd.DataFrame([row], columns=COLUMNS)
    line.to_csv(path, mode="a", header=not path.exists(), index=False)


# Run


def results(options, done):
    """Yield a row for each set, size, seed and method that is not done."""
    chosen = {"pca", *options.methods}
    methods = warmed_up({key: METHODS[key] for key in METHODS if key in chosen})
    for name in options.sets or default_sets(options.data):
        X, y, is_raw = load(name, options.data)
        train, test, labels = split(X, y, standardise=not is_raw)
        for case in itertools.product(options.sizes, options.seeds, methods):
            size, seed, method = case
            repeated = method in DETERMINISTIC and seed != options.seeds[0]
            if size >= X.shape[1] or repeated or (name, *case) in done:
                continue
            shape = dict(zip(PAIR, (name, *train.shape, size), strict=True))
            values = measure(
                methods[method], size, seed, train, test, labels, options.linear
            )
            row = {**shape, "seed": seed, "method": method, **values}
            cells = [f"{x:.4g}" if isinstance(x, float) else x for x in row.values()]
            progress(" ".join(map(str, cells)))
            yield row


def default_sets(folder):
    """Return the names of the sets that are there."""
    if folder is None:
        return list(BUNDLED)
    found = {path.stem for path in Path(folder).rglob("*.npz")}
    return [name for name in SETS if name in found]


def measure(method, size, seed, train, test, labels, linear):
    """Return the values of one fit; if it fails, none and the reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted, seconds = timed(method, train, min(size, *train.shape), seed)
            error = relative_error(fitted.reconstruct(test), test, train)
            accuracies = {}
            if labels[0] is not None:
                accuracies = classify(fitted.encode, train, test, labels, linear)
        except Exception as failure:  # a peer that fails is a result
            reason = str(failure).partition("\n")[0]
            return {"note": f"{type(failure).__name__}: {reason}"}
    return {"error": error, **accuracies, "seconds": seconds, "note": fitted.note}


def classify(encode, train, test, labels, linear):
    """Return accuracies of simple classifiers of standardised codes."""
    classifiers = {"5-NN": KNeighborsClassifier()}
    if linear:
        classifiers["linear"] = LogisticRegression(max_iter=300)
    codes, codes_test = encode(train[:CLASSIFIER_ROWS]), encode(test)
    return {
        name: make_pipeline(StandardScaler(), classifier)
        .fit(codes, labels[0][:CLASSIFIER_ROWS])
        .score(codes_test, labels[1])
        for name, classifier in classifiers.items()
    }


# Report


def summary(table):
    """Return the parts of the report: verdicts first, then each value by method."""
    methods = [name for name in METHODS if name in set(table["method"])]
    pairs = pd.MultiIndex.from_frame(table[PAIR].drop_duplicates())
    means = table.groupby([*PAIR, "method"])[VALUES].mean()
    wide = {
        name: means[name].unstack().reindex(index=pairs, columns=methods)
        for name in VALUES
    }
    parts = [
        f"{len(pairs)} pairs of set and size, seeds: {table['seed'].nunique()}; the "
        "values of a pair are means over seeds.",
        pd.DataFrame([of_method(name, table, wide) for name in methods]),
    ]
    reasons = table[table["error"].isna()].groupby(["method", "note"]).size()
    if len(reasons):
        parts += ["Not run:", reasons.rename("cases").reset_index()]
    if "skae" in methods and len(methods) > 2:
        parts += verdict_on_skae(wide["error"], wide["seconds"])
    titles = ("Error", "Accuracy of 5-NN", "Accuracy of logistic regression", "Seconds")
    for title, name in zip(titles, VALUES, strict=True):
        values = wide[name].dropna(how="all")
        if len(values):
            parts += [f"## {title}", values.reset_index()]
    return parts


def of_method(method, table, wide):
    """Return what is to be said of a method over all pairs that it ran on."""
    error, accuracy = wide["error"], wide["5-NN"]
    ratio = (error[method] / error["pca"]).dropna()
    cases = table[table["method"] == method]
    case_ratio = cases.set_index(PAIR)["error"] / error["pca"]
    gain = (accuracy[method] - accuracy["pca"]).dropna()
    found = {
        "method": method,
        "pairs": len(ratio),
        "cases not run": int(cases["error"].isna().sum()),
        "error over PCA's": np.exp(np.log(ratio).mean()),
        "worse than PCA": f"{(case_ratio > WORSE).sum()} of {case_ratio.count()}",
        "5-NN": accuracy[method].mean(),
        "5-NN as good as PCA's": f"{(gain > -1e-9).sum()} of {len(gain)}",
        "linear": wide["linear"][method].mean(),
        "CPU seconds": round(wide["seconds"][method].sum(), 1),
    }
    if wide["linear"].isna().all(axis=None):
        del found["linear"]
    return found


def verdict_on_skae(error, seconds):
    """Return where skae has the lowest error, and in no more time, and where not."""
    peers = error.columns.drop(["pca", "skae"])
    rival, rival_error = smallest(error[peers])
    beats_pca = error[peers].lt(error["pca"], axis=0)
    fastest, fastest_seconds = smallest(seconds[peers].where(beats_pca))
    lower = error["skae"].notna() & ~(error["skae"] >= rival_error)
    in_time = ~(seconds["skae"] > fastest_seconds)
    exceptions = pd.DataFrame(
        {
            "PCA's error": error["pca"],
            "skae's error": error["skae"],
            "lowest other": rival_error,
            "by": rival,
            "skae's seconds": seconds["skae"],
            "fastest that beats PCA": fastest_seconds,
            "of": fastest,
        }
    )[~(lower & in_time)]
    verdict = (
        f"skae's error is lower than that of {', '.join(peers)} in {lower.sum()} of "
        f"{len(error)} pairs; in {(lower & in_time).sum()} it also takes no more time "
        "than the fastest of them that beats PCA there, if one does."
    )
    if exceptions.empty:
        return [verdict]
    return [verdict, "The other pairs:", exceptions.reset_index()]


def smallest(table):
    """Return the name and the value of the smallest entry of each row, if any."""
    value = table.min(axis=1)
    return table.fillna(np.inf).idxmin(axis=1).where(value.notna(), ""), value


if __name__ == "__main__":
    main()
