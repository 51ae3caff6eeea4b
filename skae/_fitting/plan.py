"""Every "auto" rule, side by side: what follows from the size of network and data."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.optim import AdamW

from skae._runtime import (
    choose_device,
    choose_precision,
    choose_threads,
    count_products,
)
from skae.networks import auto_channels, auto_hidden_layer_sizes

# What `max_epochs="auto"` aims at.
EPOCHS, MOST_EPOCHS, MOST_STEPS = 18, 100, 20_000
# With a corruption: rows are new in each epoch. Twice as many take up to 16 % off the
# squared error of spoilt rows (0.2 dB on average on three sets of images).
SPOILT_EPOCHS = 36
CHEAP_FIT = 1e10  # operations, about a second in double precision on one core
LEAST_ALPHA = 0.01
BATCH_ELEMENTS = 2**21  # most pixels of a batch of images
FEWEST_HELD_OUT, MOST_HELD_OUT = 40, 5000  # fewer prove too little, more cost rows
PATIENCE = 10  # epochs, where the learning rate does not fall

# Few rows judge by cross-fitting, where it takes less than some seconds.
N_FOLDS, FEWEST_FOLDED, MOST_FOLDED = 5, 20, 600  # rows
MOST_FOLD_WORK = 6e10  # operations
FEW_ROWS_EPOCHS, RATE_PER_ROW, LEAST_RATE = 40, 2e-5, 3e-3

# Layers wider than our own. Measured with layers of 1000, 500 and 250.
WIDE, WIDEST = 300, 1000

# Training is short: gradients of a hundred steps ago say little (torch: 0.9, 0.999).
ADAM = {"fused": True, "betas": (0.8, 0.9), "eps": 1e-7}
SOLVERS = {
    "adamw": (AdamW, ADAM),
    "adam": (torch.optim.Adam, ADAM),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
}


@dataclass
class Plan:
    """What follows from the size of the network and of the data."""

    batch_size: int
    max_epochs: int
    n_epochs_no_change: int
    alpha: float
    learning_rate: float
    precision: str
    device: torch.device
    n_threads: int | None


def make_plan(
    estimator,
    network,
    parts,
    data,
    n_train,
    *,
    max_epochs,
    is_partial=False,
    is_folded=False,
):
    """Return the `Plan` of one fit.

    Parameters
    ----------
    estimator : AutoencoderTransformer

    network : nn.Module
        Counted for its work.

    parts : Parts

    data : TrainingData

    n_train : int
        Rows to learn from.

    max_epochs : int or "auto"

    is_partial : bool, default=False
        Whether it is an epoch of `partial_fit`.

    is_folded : bool, default=False
        Whether so few rows judge by cross-fitting.
    """
    rules = AUTO[network_name(estimator, data.form)]
    width = widest_layer(estimator, rules)
    device = choose_device(estimator.device)
    batch_size = estimator.batch_size
    if batch_size == "auto":
        most_rows = rules.most_rows(data.rows.n_features)
        batch_size = min(auto_batch_size(n_train), most_rows)
    row_work = 6 * max(count_products(network), 1)  # forward 2, backward 4
    step_work = row_work * min(batch_size, n_train)
    n_batches = -(-n_train // batch_size)
    least = EPOCHS if parts.corruption is None else SPOILT_EPOCHS
    usual = auto_max_epochs(n_batches, row_work * n_train, least, is_folded)
    usual *= parts.bottleneck.effort
    if max_epochs == "auto":
        max_epochs = usual
    precision = choose_precision(
        estimator.precision,
        data.rows.result_dtype(),
        step_work=step_work,
        fit_work=row_work * n_train * max_epochs,
        device=device,
    )
    shape = n_train, data.rows.n_features, width
    length = 1.0 if is_partial else max_epochs / usual
    return Plan(
        batch_size=batch_size,
        max_epochs=max_epochs,
        n_epochs_no_change=auto_patience(estimator, max_epochs),
        alpha=choose_alpha(
            estimator, rules, parts.bottleneck, shape, length, is_partial=is_partial
        ),
        learning_rate=choose_learning_rate(
            estimator, rules, parts.loss, width, n_train if is_folded else None
        ),
        precision=precision,
        device=device,
        n_threads=choose_threads(estimator.n_jobs, step_work),
    )


def network_name(estimator, form):
    """Return the name of one of our networks, or None for one of the user's."""
    network = estimator.network
    if network == "auto":
        return form.network
    return network if isinstance(network, str) else None


def widest_layer(estimator, rules):
    """Return the width of the widest layer that was asked for, or 0."""
    sizes = estimator.hidden_layer_sizes
    if isinstance(sizes, str) or not rules.has_widths:
        return 0
    return max(sizes, default=0)


def auto_sizes(network, data, n_components):
    """Return `hidden_layer_sizes` for one of our networks."""
    if network == "mlp":
        return auto_hidden_layer_sizes(len(data.rows), n_components)
    forms = [form for form in (data.form, data.target_form) if form.is_image]
    return auto_channels(max((form.size for form in forms), key=math.prod))


def auto_n_held_out(n_samples, early_stopping, validation_fraction):
    """Return how many rows to hold out; "auto" does from 160 rows on."""
    n_held_out = round(n_samples * validation_fraction)
    if early_stopping == "auto":
        n_held_out = int(np.clip(n_held_out, FEWEST_HELD_OUT, MOST_HELD_OUT))
        early_stopping = n_samples >= 4 * FEWEST_HELD_OUT
    if not early_stopping or n_samples < 2:
        return 0
    return min(max(n_held_out, 1), n_samples - 1)


def auto_patience(estimator, max_epochs):
    """Return `n_iter_no_change`: of little use before the learning rate came down."""
    if estimator.n_iter_no_change != "auto":
        return estimator.n_iter_no_change
    return PATIENCE if estimator.schedule == "constant" else max_epochs


def choose_alpha(estimator, rules, bottleneck, shape, length, *, is_partial):
    """Return the decay by shape, for solvers that decay apart from gradients.

    `length` is that of the fit, as a share of what "auto" would take: more passes learn
    more by heart, so that longer fits decay more, by the root of it.
    """
    if estimator.alpha != "auto":
        return estimator.alpha
    if not issubclass(solver_class_and_options(estimator.solver)[0], AdamW):
        return 0.0
    if is_partial or bottleneck.has_prior:  # decay stretches codes
        return LEAST_ALPHA
    alpha = rules.alpha(*shape)
    return max(alpha, min(alpha * math.sqrt(length), rules.most_alpha))


def choose_learning_rate(estimator, rules, loss, width, n_folded):
    """Return `learning_rate`; "auto" goes by the network, the loss and few rows."""
    if estimator.learning_rate != "auto":
        return estimator.learning_rate
    rate = min(rules.learning_rate, loss.most_learning_rate)
    rate *= min(1.0, WIDE / max(width, 1))
    if n_folded is None:
        return rate
    return min(rate, max(RATE_PER_ROW * n_folded, LEAST_RATE))


def solver_class_and_options(solver):
    """Return the torch optimizer class for `solver`, and how it is called here."""
    return SOLVERS[solver] if isinstance(solver, str) else (solver, {})


def auto_batch_size(n_samples):
    """Return all rows below 100, else an eighth of them, between 16 and 128.

    From 20,480 rows on it is a 160th of them, at most 512.
    """
    if n_samples < 100:
        return n_samples
    return int(np.clip(n_samples // 8, 16, np.clip(n_samples // 160, 128, 512)))


def can_fold(n_products, n_samples):
    """Tell whether all folds are soon trained, by the multiplications for a row."""
    fold_work = 6 * n_products * n_samples * EPOCHS  # forward 2, backward 4
    return fold_work * (N_FOLDS - 1) <= MOST_FOLD_WORK


def auto_max_epochs(n_batches, epoch_work, least=EPOCHS, is_folded=False):
    """Return 18 (`least`), or up to 100 where cheap, but at most 20,000 steps.

    Where every fold trains as many, up to 40.
    """
    if is_folded:
        cheap = min(int(CHEAP_FIT / epoch_work / 2), FEW_ROWS_EPOCHS)
    else:
        cheap = min(int(CHEAP_FIT / epoch_work), MOST_EPOCHS)
    return min(max(least, cheap), math.ceil(MOST_STEPS / n_batches))


def auto_alpha(n_samples, n_features, width=0):
    """Return ((n_features + 200) / n_samples)**2, between 0.01 and 1.

    Wide tables of few rows are learnt by heart unless the weights are held down. So are
    many rows by wide layers: these get half of the rule of convolutions, or the part of
    it that goes with their width.
    """
    ratio = (n_features + 200) / n_samples
    by_width = np.clip((width - WIDE) / (WIDEST - WIDE), 0, 1) / 2
    found = max(ratio**2, by_width * auto_conv_alpha(n_samples))
    return float(np.clip(found, LEAST_ALPHA, 1.0))


def auto_conv_alpha(n_samples, n_features=None, width=None):
    """Return the root of 7500 / n_samples, at most 1.

    Convolutional networks are large, and learn thousands of images by heart.
    """
    return min(1.0, math.sqrt(7500 / n_samples))


def auto_conv_rows(n_features):
    """Return how many images make a batch at most: 128, fewer large ones, 16 or more.

    The maps of a batch take many times its memory.
    """
    return int(np.clip(BATCH_ELEMENTS // n_features, 16, 128))


@dataclass(frozen=True)
class AutoRules:
    """What "auto" means for one kind of network."""

    learning_rate: float = 1e-2
    alpha: Callable = auto_alpha
    most_alpha: float = 1.0  # in a long fit
    most_rows: Callable = lambda n_features: 512  # in a batch
    has_widths: bool = True  # `hidden_layer_sizes` are those of fully connected layers


AUTO = {
    "mlp": AutoRules(),
    # Wide, so small steps; not cheaper in bulk.
    "conv": AutoRules(
        3e-3, auto_conv_alpha, 3.0, most_rows=auto_conv_rows, has_widths=False
    ),
    None: AutoRules(has_widths=False),  # a network of the user
}
