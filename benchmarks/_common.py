"""What the benchmarks share: sets and their split, time, errors and reports."""

import argparse
import os
import platform
import resource
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

BUNDLED = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
}
MOST_ROWS = 10_000
MB = 1e6
REPORTS = Path(__file__).parents[1] / "docs" / "benchmarks"


# Sets


def load(name, folder):
    """Return X (dense float32), y or None, and whether X is to stay unstandardised.

    Images (divided by 255) and the word counts of texts are.
    """
    if folder is None:
        X, y = BUNDLED[name](return_X_y=True)
        return X.astype(np.float32), y, False
    path = find(name, folder)
    arrays = dict(np.load(path, allow_pickle=False))
    if "indptr" in arrays:
        parts = arrays["data"], arrays["indices"].astype(np.int32), arrays["indptr"]
        X = sp.csr_matrix(parts, shape=tuple(arrays["shape"])).toarray()
    else:
        X = arrays["X_train" if "X_train" in arrays else "X"]
    is_image = X.ndim > 2 or path.parent.name == "image"
    y = arrays.get("y_train", arrays.get("y"))
    X = X.reshape(len(X), -1).astype(np.float32)
    return X / 255 if is_image else X, y, is_image or path.parent.name == "text"


def find(name, folder):
    """Return the path of NAME.npz in a folder or below it; it is an error if none."""
    paths = sorted(Path(folder).rglob(f"{name}.npz"))
    if len(paths) != 1:
        raise SystemExit(f"There are {len(paths)} files {name}.npz in {folder}, not 1.")
    return paths[0]


def split(X, y, standardise):
    """Return X and y for training and for testing, by the protocol of quality.py."""
    chosen = np.random.RandomState(0).permutation(len(X))[:MOST_ROWS]
    rows = train_test_split(chosen, test_size=0.25, random_state=0)
    train, test = (X[part] for part in rows)
    if standardise:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    labels = (None, None) if y is None else tuple(y[part] for part in rows)
    return train, test, labels


# Measures


def use_one_thread():
    """Compute with one thread from now on."""
    threadpool_limits(1)
    torch.set_num_threads(1)


def timed(function, *arguments, clock=time.process_time, **options):
    """Return the result of a call and the seconds that it took, by default of CPU."""
    began = clock()
    result = function(*arguments, **options)
    return result, clock() - began


def peak():
    """Return the largest resident memory so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def relative_error(X_hat, test, train):
    """Return the squared error on test rows over that of the training mean."""
    error = np.square(X_hat - test).sum()
    return float(error / np.square(test - train.mean(0)).sum())


# Reports


def parser(doc):
    """Return a parser of arguments that knows where the report goes."""
    found = argparse.ArgumentParser(description=doc.splitlines()[0])
    default = REPORTS / f"{Path(sys.argv[0]).stem}.md"
    found.add_argument("--output", type=Path, default=default, help="report to write")
    return found


def progress(text):
    """Say on the terminal how far we are."""
    print(text, file=sys.stderr, flush=True)


def report(doc, output, *parts):
    """Print texts and tables; write them as Markdown, with what they rest upon on top.

    `doc` is the docstring of the script: the first line becomes the title.
    """
    title, _, protocol = doc.strip().partition("\n\n")
    texts = [part if isinstance(part, str) else markdown(part) for part in parts]
    print("\n\n".join([circumstances(), *texts]))
    output.parent.mkdir(parents=True, exist_ok=True)
    page = [f"# {title}", circumstances(), protocol, *texts]
    output.write_text("\n\n".join(page) + "\n")


def circumstances():
    """Return the command, the date, the versions and the machine, in a line."""
    # Absolute paths say something of one machine only.
    words = [Path(word).name if os.path.isabs(word) else word for word in sys.argv[1:]]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
    names = ("skae", "torch", "scikit-learn", "skorch")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"`{command}`, {date.today()}; Python {platform.python_version()}, {versions}; "
        f"{cpu_name()}, {os.cpu_count()} CPUs, {bfloat16_units()}; "
        f"threads: {torch.get_num_threads()}."
    )


def cpu_name():
    """Return the model of the processor."""
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def bfloat16_units():
    """Return which units for products of bfloat16 the processor has."""
    has = torch.cpu.get_capabilities()
    names = {"avx512_bf16": "avx512_bf16", "amx_bf16": "amx"}
    return ", ".join(
        f"{'with' if has.get(key) else 'no'} {name}" for key, name in names.items()
    )


def markdown(table):
    """Return a DataFrame, without its index, as a Markdown table."""
    rows = [[_text(cell) for cell in row] for row in table.itertuples(index=False)]
    rows.insert(0, [str(name) for name in table.columns])
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows
    )


def _text(cell):
    """Return a cell of a table, a float with four digits, nothing for NaN."""
    if not isinstance(cell, float):
        return str(cell)
    if np.isnan(cell):
        return ""
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
