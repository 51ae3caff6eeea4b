"""Whether a fit that was killed ends with the same bytes, and what checkpoints cost.

    python benchmarks/checkpoints.py [--count 20] [--seed 0]

Each run is a process that fits with `checkpoint` and is killed (SIGKILL) after a random
time, again and again, until it ends by itself; then the next run begins, of another
kind. `count` is the number of kills. The model file that the last process of a run
writes is compared with that of a process that was left alone: all arrays, byte by byte,
and all losses. "cost" is the time of training with a checkpoint after each epoch, over
that without, both in one process, the faster of three.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import safetensors
from _common import parser, progress, report, timed
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer

KINDS = {
    "table": {"max_epochs": 150},
    "images": {"network": "conv", "image_shape": [8, 8], "max_epochs": 30},
    "noise": {"corruption": "masking", "max_epochs": 150},
    "variational": {"bottleneck": "variational", "max_epochs": 100},
}
SCRIPT = """
import json, sys
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer, dump
settings = json.loads(sys.argv[1])
fitted = AutoencoderTransformer(8, random_state=0, n_jobs=1, **settings)
print("begins", flush=True)
dump(fitted.fit(load_digits().data), sys.argv[2])
"""


def begun(settings, out):
    """Start a process, and return it when its fit begins."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, json.dumps(settings), out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def run(settings, out, seconds, kills_left, chance):
    """Kill a fit at random moments until it ends by itself; return how often."""
    n_kills = 0
    while True:
        process = begun(settings, out)
        if n_kills < kills_left:
            try:
                process.wait(chance.uniform(0.05, 0.6) * seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                n_kills += process.wait() == -signal.SIGKILL
                continue
        if process.wait() != 0:
            raise SystemExit("A fit failed.")
        return n_kills


def content(path):
    """Return all arrays and losses of a model file."""
    with safetensors.safe_open(path, framework="np") as file:
        arrays = {name: file.get_tensor(name).tobytes() for name in file.keys()}
        facts = json.loads(file.metadata()["skae"])
    for epoch in facts["history"]:
        del epoch["dur"]
    return arrays, facts["history"]


def cost(settings):
    """Return the time of a fit with checkpoints over that without."""
    X = load_digits().data
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for checkpoint in (None, folder):
            autoencoder = AutoencoderTransformer(
                8, random_state=0, n_jobs=1, checkpoint=checkpoint, **settings
            )
            fits = (timed(autoencoder.fit, X, clock=time.perf_counter) for _ in "123")
            times[checkpoint] = min(seconds for _, seconds in fits)
    return times[folder] / times[None]


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--count", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments = arguments.parse_args()
    chance, rows = random.Random(arguments.seed), []
    with tempfile.TemporaryDirectory() as folder:
        folder, expected, took = Path(folder), {}, {}
        for kind, settings in KINDS.items():
            out = folder / f"{kind}.alone"
            process = begun(settings, out)
            began = time.perf_counter()
            process.wait()
            expected[kind], took[kind] = content(out), time.perf_counter() - began
            rows.append({"kind": kind, "runs": 0, "kills": 0, "same bytes": 0})
            rows[-1]["cost"] = cost(settings)
        n_left = arguments.count
        while n_left > 0:
            row = rows[sum(one["runs"] for one in rows) % len(rows)]
            kind, out = row["kind"], folder / f"{row['kind']}.killed"
            settings = {**KINDS[kind], "checkpoint": str(folder / "checkpoints")}
            n_kills = run(settings, out, took[kind], min(n_left, 4), chance)
            n_left -= n_kills
            row["runs"] += 1
            row["kills"] += n_kills
            row["same bytes"] += content(out) == expected[kind]
            progress(f"{kind}: {n_kills} kills, {n_left} left")
    table = pd.DataFrame(rows)
    report(__doc__, arguments.output, table)
    if (table["same bytes"] != table["runs"]).any():
        raise SystemExit("Some runs ended with other bytes.")


if __name__ == "__main__":
    main()
