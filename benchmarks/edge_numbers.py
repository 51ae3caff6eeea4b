"""Numbers at the edge: is each fit refused with a message, or finite?

    python benchmarks/edge_numbers.py

fits tables of odd numbers (tiny, huge, constant, lone, of mixed scales, beside large
offsets) with each part and precision, and uses what was fitted. A fit is fine if all
that comes out is finite, refused if it ends with an error of ours, and has failed
otherwise: another error, NaN or infinity in a result, or a floating-point warning of
NumPy. Ends with status 1 if one has failed.
"""

import argparse
import itertools
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import skae
from skae import AutoencoderTransformer
from skae.bottlenecks import BOTTLENECKS
from skae.corruption import CORRUPTIONS
from skae.losses import LOSSES
from skae.penalties import PENALTIES

N_SAMPLES, N_FEATURES = 48, 4
PRECISIONS = ("float64", "float32", "mixed")
FOR_IMAGES = {"block_masking", "down_up_sampling"}
SHORT = {
    "max_epochs": 2,
    "hidden_layer_sizes": (8,),
    "early_stopping": False,
    "random_state": 0,
    "n_jobs": 1,
}
SKAE = Path(skae.__file__).parent


def settings():
    """Return the parameters of each setting, by name."""
    found = {"default": {"early_stopping": "auto"}, "trained": {}}
    found["judged"] = {"early_stopping": True}
    found["random"] = {"init": "random"}
    found["convolutional"] = {"network": "conv", "image_shape": (N_FEATURES,)}
    found["density"] = {"density": "gaussian_mixture"}
    parts = {
        "bottleneck": BOTTLENECKS,
        "loss": LOSSES.keys() - {"squared_error"},
        "penalty": PENALTIES,
        "corruption": CORRUPTIONS.keys() - FOR_IMAGES,
    }
    for parameter, names in parts.items():
        found |= {name: {parameter: name} for name in sorted(names)}
    return found


def tables():
    """Return the odd tables by name, of float64, float32 and whole numbers."""
    generator = np.random.default_rng(0)
    plain = np.abs(generator.normal(size=(N_SAMPLES, N_FEATURES)))  # losses of counts
    found = {}
    for dtype, powers in {
        "float64": (-322, -308, -200, -160, -154, -100, -40, 40, 100, 140, 150, 300),
        "float32": (-44, -40, -38, -30, -20, -10, 10, 20, 30, 36, 37, 38),
    }.items():
        one = np.dtype(dtype).type
        largest, smallest = (
            float(np.finfo(dtype).max),
            np.finfo(dtype).smallest_subnormal,
        )
        tiny, huge = (1e-160, 1e150) if dtype == "float64" else (1e-40, 1e37)
        made = {f"1e{power}": plain * 10.0**power for power in powers}
        made["denormals"] = np.round(3 * plain) * smallest
        made["largest"] = largest * (plain / plain.max())
        made["zeros"] = np.zeros_like(plain)
        for value in (tiny, huge, largest):
            made[f"constant {value:.3g}"] = np.full_like(plain, value)
            lone, beside = np.zeros_like(plain), plain.copy()
            lone[0, 0] = beside[0, 0] = value
            made[f"one {value:.3g} among zeros"] = lone
            made[f"one {value:.3g} among others"] = beside
            column = plain.copy()
            column[:, 0] *= min(value, largest / 10)
            made[f"a column of {value:.3g}"] = column
            if value > 1:
                made[f"offset of {value:.3g}"] = plain + value / 2
        made["offset of 1e7"] = plain + 1e7
        power = np.log10([tiny, huge])
        made["columns of all scales"] = plain * np.logspace(*power, N_FEATURES)
        made["rows of all scales"] = plain * np.logspace(*power, N_SAMPLES)[:, None]
        with np.errstate(all="ignore"):
            found |= {f"{dtype}: {name}": one(X) for name, X in made.items()}
    found["float16: largest"] = np.float16(65504 * (plain / plain.max()))
    for dtype in ("int64", "uint64", "int8", "uint16"):
        share = plain / plain.max() / 1.0001
        found[f"{dtype}: largest"] = (share * np.iinfo(dtype).max).astype(dtype)
    return found


def outcome(X, parameters):
    """Return "fine", "refused" or "failed", and why."""
    estimator = AutoencoderTransformer(2, **{**SHORT, **parameters})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            estimator.fit(X)
        except Exception as error:
            *_, frame = traceback.extract_tb(error.__traceback__)
            if isinstance(error, ValueError) and SKAE in Path(frame.filename).parents:
                return "refused", str(error)
            return "failed", f"fit: {_described(error)}"
        try:
            bad = [name for name, result in use(estimator, X) if not _is_finite(result)]
        except Exception as error:
            return "failed", f"use: {_described(error)}"
    return ("failed", f"not finite: {', '.join(bad)}") if bad else ("fine", "")


def _described(error):
    """Return an error with the line of skae where it came up."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if SKAE in Path(frame.filename).parents]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "nowhere"
    return f"{type(error).__name__} at {place}: {error}"


def use(estimator, X):
    """Yield the name of each method and what it returns for the rows of the fit."""
    yield "transform", estimator.transform(X)
    yield "reconstruct", estimator.reconstruct(X)
    yield "score_samples", estimator.score_samples(X)
    yield "reconstruction_error", estimator.reconstruction_error(X)
    yield "score", estimator.score(X)
    yield "explained_variance_", estimator.explained_variance_
    yield "loss_curve_", estimator.loss_curve_
    is_generator = estimator.net_.module_.bottleneck.has_prior
    if is_generator or estimator.density is not None:
        yield "sample", estimator.sample(20, random_state=0)
    yield "partial_fit", estimator.partial_fit(X).transform(X)


def _is_finite(result):
    return bool(np.isfinite(result).all())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", default="", help="only tables with this in the name")
    parser.add_argument("--setting", default="", help="only settings likewise")
    arguments = parser.parse_args()
    counts = Counter()
    chosen = itertools.product(
        (item for item in tables().items() if arguments.table in item[0]),
        (item for item in settings().items() if arguments.setting in item[0]),
        PRECISIONS,
    )
    for (table, X), (setting, parameters), precision in chosen:
        found, why = outcome(X, {**parameters, "precision": precision})
        counts[found] += 1
        if found == "failed":
            print(f"{table}, {setting}, {precision}: {why}", flush=True)
    total = ", ".join(
        f"{counts[name]} {name}" for name in ("fine", "refused", "failed")
    )
    print(f"{counts.total()} fits: {total}")
    sys.exit(counts["failed"] > 0)


if __name__ == "__main__":
    main()
