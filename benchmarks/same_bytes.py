"""Does a change keep the bytes of a fit, and its time? Prints both hashes of each fit.

    python benchmarks/same_bytes.py --against COMMIT

fits twelve settings with the code of this checkout, then with that of another commit,
each in a process of its own, and compares the SHA-256 of codes, reconstructions and
losses. CPU seconds of the fits stand beside. Ends with status 1 if a hash differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]


def settings():
    """Return a name, X, the parameters and what else `fit` gets, for each setting."""
    import numpy as np
    import scipy.sparse as sp
    from sklearn.datasets import load_breast_cancer, load_digits, load_iris

    digits = load_digits().data
    single, images = digits.astype(np.float32), digits.reshape(-1, 8, 8)
    pixels = (images * 15).astype(np.uint8)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(digits))
    short = {"max_epochs": 5}
    return {
        "a table of float64, all defaults": (digits, {}, {}),
        "a table of float32": (single, {"n_components": 8}, {}),
        "a sparse table": (sp.csr_matrix(digits), {"n_components": 8}, {}),
        "few rows: PCA": (load_iris().data, {}, {}),
        "another table": (load_breast_cancer().data, {"n_components": 4}, {}),
        "weights": (digits, short, {"sample_weight": weight}),
        "images of floats": (images, short, {}),
        "images of uint8, log loss": (pixels, {**short, "loss": "log_loss"}, {}),
        "variational": (digits, {**short, "bottleneck": "variational"}, {}),
        "ordered, random start": (
            digits,
            {**short, "bottleneck": "ordered", "init": "random"},
            {},
        ),
        "masking and l1, Adam, constant rate": (
            digits,
            {
                **short,
                "corruption": "masking",
                "penalty": "l1",
                "solver": "adam",
                "schedule": "constant",
            },
            {},
        ),
        "a target, counts": (
            digits,
            {**short, "loss": "poisson"},
            {"X_target": images},
        ),
    }


def hashes():
    """Return hash and CPU seconds of each setting with the skae that is imported."""
    import numpy as np

    from skae import AutoencoderTransformer

    found = {}
    AutoencoderTransformer(max_epochs=1).fit(np.eye(200))  # imports the rest of torch
    for name, (X, parameters, given) in settings().items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = AutoencoderTransformer(random_state=0, n_jobs=1, **parameters)
            began = time.process_time()
            model.fit(X, **given)
            seconds = time.process_time() - began
        total = hashlib.sha256()
        results = (
            model.transform(X),
            model.reconstruct(X),
            model.components_.astype(np.float32),  # once float64, whatever X was
            np.array(model.loss_curve_ + model.validation_loss_curve_),
        )
        for result in results:
            total.update(np.ascontiguousarray(result).tobytes())
        found[name] = total.hexdigest(), seconds
    return found


def hashes_of(folder):
    """Return the hashes of the code in a folder, from a new process."""
    process = subprocess.run(
        [sys.executable, __file__, "--print"],
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(process.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default="HEAD", help="commit to compare with")
    parser.add_argument("--runs", type=int, default=1, help="the fastest one counts")
    parser.add_argument("--print", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.print:
        print(json.dumps(hashes()))
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = ["git", "-C", ROOT, "archive", arguments.against, "skae"]
        code = subprocess.run(archive, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=code, check=True)
        runs = [(hashes_of(folder), hashes_of(ROOT)) for _ in range(arguments.runs)]
    differs = False
    for name, (hash_now, _) in runs[0][1].items():
        hash_before = runs[0][0][name][0]
        differs |= hash_now != hash_before
        sign = "same" if hash_now == hash_before else "DIFFERENT"
        before, now = (min(run[k][name][1] for run in runs) for k in (0, 1))
        print(
            f"{sign:9} {hash_before[:16]} {hash_now[:16]}  {name}: {before:.2f} s, "
            f"now {now:.2f} s"
        )
    sys.exit(differs)


if __name__ == "__main__":
    main()
