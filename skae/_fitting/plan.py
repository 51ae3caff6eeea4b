"""Every "auto" rule, side by side: what follows from the size of network and data."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

# What `max_epochs="auto"` aims at.
EPOCHS, MOST_EPOCHS, MOST_STEPS = 18, 100, 20_000
CHEAP_FIT = 1e10  # operations, about a second in double precision on one core
LEAST_ALPHA = 0.01


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


def auto_batch_size(n_samples):
    """Return all rows below 100, else an eighth of them, between 16 and 128.

    From 20,480 rows on it is a 160th of them, at most 512.
    """
    if n_samples < 100:
        return n_samples
    return int(np.clip(n_samples // 8, 16, np.clip(n_samples // 160, 128, 512)))


def auto_max_epochs(n_batches, epoch_work):
    """Return 18, or up to 100 where they are cheap, but at most 20,000 steps."""
    cheap = min(int(CHEAP_FIT / epoch_work), MOST_EPOCHS)
    return min(max(EPOCHS, cheap), math.ceil(MOST_STEPS / n_batches))


def auto_alpha(n_samples, n_features):
    """Return ((n_features + 200) / n_samples)**2, between 0.01 and 1.

    Wide tables of few rows are learnt by heart unless the weights are held down.
    """
    ratio = (n_features + 200) / n_samples
    return float(np.clip(ratio**2, LEAST_ALPHA, 1.0))


def auto_conv_alpha(n_samples, n_features):
    """Return the root of 7500 / n_samples, at most 1.

    Convolutional networks are large, and learn thousands of images by heart.
    """
    return min(1.0, math.sqrt(7500 / n_samples))


@dataclass(frozen=True)
class AutoRules:
    """What "auto" means for one kind of network."""

    learning_rate: float = 1e-2
    alpha: Callable = auto_alpha
    most_rows: int = 512  # in a batch


AUTO = {
    "mlp": AutoRules(),
    # Wide, so small steps; not cheaper in bulk.
    "conv": AutoRules(learning_rate=3e-3, alpha=auto_conv_alpha, most_rows=128),
    None: AutoRules(),  # a network of the user
}
