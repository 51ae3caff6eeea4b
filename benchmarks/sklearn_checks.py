"""scikit-learn's checks of estimators, over sets of parameters drawn at random.

    python benchmarks/sklearn_checks.py --sets 60

draws each parameter of AutoencoderTransformer, anew for each set, and runs all checks:
those that scikit-learn yields and those that it runs on its own estimators only. A
failure is expected where the page of conformity names it, with its reason. Ends with
status 1 if another check has failed. `--seed` draws other sets.
"""

import argparse
import importlib.util
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from skorch.callbacks import EpochTimer
from torch import nn

from skae import AutoencoderTransformer
from skae.bottlenecks import BOTTLENECKS
from skae.corruption import CORRUPTIONS, Chain, Choice, GaussianNoise, SwapNoise
from skae.losses import LOSSES, Huber
from skae.networks import ACTIVATIONS
from skae.penalties import PENALTIES, CodeNormPenalty, SparsityPenalty, Sum

TESTS = Path(__file__).parents[1] / "tests" / "test_sklearn_checks.py"
FOR_IMAGES = {"block_masking", "down_up_sampling"}  # the checks have tables only
SHARES = {"log_loss"}  # needs X in [0, 1], which the checks do not know of


class Encoder(nn.Linear):
    def __init__(self, n_features, n_components, n_encoded=None):
        super().__init__(n_features, n_encoded or n_components)


class Decoder(nn.Linear):
    def __init__(self, n_features, n_components, n_outputs=None):
        super().__init__(n_components, n_outputs or n_features)


class Network(nn.Module):
    def __init__(self, n_features, n_components, n_encoded=None, n_outputs=None):
        super().__init__()
        self.encode = Encoder(n_features, n_components, n_encoded)
        self.decode = Decoder(n_features, n_components, n_outputs)


def choices(folder):
    """Return what each parameter may be: most of the values are the usual ones."""
    return {
        "n_components": [1, 2, 2, 3, 8, 0.5, 0.9],
        "network": ["auto", "auto", "mlp", "mlp", Network, (Encoder, Decoder)],
        "image_shape": [None],  # the checks have tables only, for which it and
        "channel_order": ["auto"],  # other orders are refused
        "hidden_layer_sizes": ["auto", (), (8,), (8, 4), [6]],
        "activation": sorted(ACTIVATIONS),
        "init": ["pca", "pca", "random"],
        "bottleneck": [None, None, None, *sorted(BOTTLENECKS)],
        "loss": [*["squared_error"] * 3, *sorted({*LOSSES} - SHARES), Huber(0.5)],
        "penalty": [
            *[None] * 4,
            *sorted(PENALTIES),
            Sum([SparsityPenalty(), CodeNormPenalty()]),
        ],
        "corruption": [
            *[None] * 4,
            *sorted({*CORRUPTIONS} - FOR_IMAGES),
            Chain([GaussianNoise(), SwapNoise()]),
            Choice([GaussianNoise((0.0, 0.5)), SwapNoise()]),
        ],
        "density": [None, None, "gaussian_mixture", KernelDensity(), GaussianMixture()],
        "alpha": ["auto", 0, 0.1],
        "solver": ["adamw", "adamw", "adam", "sgd", torch.optim.AdamW],
        "learning_rate": ["auto", "auto", 1e-3, 3e-2],
        "schedule": ["one_cycle", "constant"],
        "batch_size": ["auto", "auto", 7, 32, 10_000],
        "max_epochs": [1, 2, 5],
        "max_time": [None, None, 60.0],
        "checkpoint": [None, None, folder],
        "checkpoint_every": [1, 2],
        "tol": [1e-4, 0, 0.1],
        "early_stopping": ["auto", False, False, True],
        "validation_fraction": [0.1, 0.3],
        "n_iter_no_change": ["auto", 1, 3],
        "precision": ["auto", "auto", "float64", "float32", "mixed"],
        "compile": [False],  # takes a minute each time
        "device": ["cpu", "auto", torch.device("cpu")],
        "n_jobs": [None, 1, -1],
        "warm_start": [False, True],
        "callbacks": [None, [], [("timer", EpochTimer())]],
        "verbose": [0, 1],
        "random_state": [None, 0],
    }


def draw(generator, folder):
    """Return parameters that go together."""
    while True:
        drawn = {
            name: values[generator.integers(len(values))]
            for name, values in choices(folder).items()
        }
        bottleneck, penalty = drawn["bottleneck"], drawn["penalty"]
        is_share = isinstance(drawn["n_components"], float)
        keeps_pca = bottleneck is None or BOTTLENECKS[bottleneck].keeps_pca
        # Rounded codes have no slopes.
        has_slopes = (bottleneck, penalty) != ("vector_quantized", "contractive")
        if has_slopes and (keeps_pca or not is_share):
            return drawn


def load_tests():
    """Return the module of the tests, which knows what is expected to fail."""
    spec = importlib.util.spec_from_file_location(TESTS.stem, TESTS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(estimator, tests):
    """Yield the name of each check, its status and the error or the reason."""
    expected = tests.expected_failures(estimator)
    for result in check_estimator(
        estimator, on_skip=None, on_fail=None, expected_failed_checks=expected
    ):
        reason = result["expected_to_fail_reason"]
        yield result["check_name"], result["status"], reason or result["exception"]
    for name in tests.NOT_YIELDED:
        check = getattr(estimator_checks, name, None)
        if check is None:
            continue
        try:
            check("AutoencoderTransformer", estimator)
            yield name, "passed", None
        except Exception as error:
            status = "xfail" if name in expected else "failed"
            yield name, status, expected.get(name, error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=60, help="how many sets")
    parser.add_argument("--seed", type=int, default=0, help="which sets")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator, tests = np.random.default_rng(arguments.seed), load_tests()
    counts, reasons = Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(arguments.sets):
            estimator = AutoencoderTransformer(**draw(generator, folder))
            for name, status, why in run(estimator, tests):
                counts[status] += 1
                if status == "xfail":
                    reasons[f"{name}: {why}"] += 1
                elif status != "passed":
                    print(f"set {number}, {name} {status}: {why}\n    {estimator}")
            sys.stdout.flush()
    for reason, count in reasons.items():
        print(f"expected, {count} times: {reason}")
    names = {"passed": "passed", "xfail": "failed as expected", "failed": "failed"}
    counted = ", ".join(f"{counts[key]} {name}" for key, name in names.items())
    print(f"{arguments.sets} sets, {counts.total()} checks: {counted}")
    sys.exit(counts["failed"] > 0)


if __name__ == "__main__":
    main()
