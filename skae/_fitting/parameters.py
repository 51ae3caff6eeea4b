"""Parameters of the estimator: what goes together, and what shapes the net."""

import inspect

import numpy as np
import torch

from skae._data.images import check_image_shape
from skae._fitting.checkpoint import check_checkpoint
from skae._fitting.plan import solver_class_and_options
from skae._fitting.train import check_compile
from skae._fitting.user_callbacks import check_callbacks
from skae._fitting.user_networks import check_network
from skae._parts import Part, check_is_no_class
from skae._runtime import check_device
from skae._warnings import warn

# Parameters that shape the net, and cannot change where training goes on with it.
SHAPING = (
    "n_components",
    "network",
    "image_shape",
    "channel_order",
    "hidden_layer_sizes",
    "activation",
    "init",
    "bottleneck",
    "loss",
)


def check_parameters(estimator):
    """Raise if a parameter is not allowed, whatever the data."""
    if estimator.n_components == "mle":
        raise ValueError(
            "n_components='mle' is PCA's guess at the number of factors, which "
            "networks do not have. Pass a share of the variance, such as 0.9, None "
            "for all components, or let skae.choose_n_components choose."
        )
    check_network(estimator.network)
    check_device(estimator.device)
    check_compile(estimator.compile)
    check_is_no_class("density", estimator.density)
    check_callbacks(estimator.callbacks)
    check_checkpoint(estimator.checkpoint)
    check_solver(solver_class_and_options(estimator.solver)[0], estimator.alpha)
    check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    warn_of_unused(estimator)
    check_image_shape(estimator.image_shape)


def check_n_components(n_components, n_features):
    """Warn where the code is as wide as the data, unless all of it was asked for."""
    if n_components is not None and n_components >= n_features > 1:
        warn(
            f"n_components={n_components} is not smaller than n_features={n_features}: "
            "the code can copy X instead of compressing it. Choose a smaller "
            "n_components, unless an overcomplete code is what you want."
        )


def check_hidden_layer_sizes(sizes):
    """Raise unless the sizes are "auto" or positive whole numbers."""
    for size in () if isinstance(sizes, str) else sizes:
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(
                f"hidden_layer_sizes={sizes!r} has the width {size!r}; each width must "
                "be a whole number of at least 1. Use () for no hidden layer."
            )


def warn_of_unused(estimator):
    """Warn of widths or an activation that a network of the user's never sees."""
    if isinstance(estimator.network, str):
        warn_of_whole_list(estimator.hidden_layer_sizes, estimator.n_components)
        return
    sizes, activation = estimator.hidden_layer_sizes, estimator.activation
    unused = [f"hidden_layer_sizes={sizes!r}"] if not isinstance(sizes, str) else []
    if activation != "silu":
        unused.append(f"activation={activation!r}")
    if unused:
        warn(
            f"{' and '.join(unused)} shape the networks of skae; a network of your own "
            "does not get them. Set them in it, or choose network='mlp'."
        )


def warn_of_whole_list(sizes, n_components):
    """Warn of widths that go on to the code, or fall and rise again."""
    if isinstance(sizes, str) or len(sizes) < 3:
        return
    narrow = min(sizes)
    hidden = tuple(sizes[: sizes.index(narrow)])
    rises = narrow < min(sizes[0], sizes[-1])
    if rises or n_components == sizes[-1] < sizes[-2]:
        how = "falls and rises again" if rises else f"ends in n_components={narrow}"
        warn(
            f"hidden_layer_sizes={sizes!r} {how}, as if it were the whole autoencoder, "
            "but it is for the encoder's hidden layers alone: the code comes after "
            "them, and the decoder mirrors them. For a code of the size "
            f"{narrow} set n_components={narrow} and hidden_layer_sizes={hidden!r}."
        )


def check_solver(solver, alpha):
    """Raise unless `solver` is a torch optimizer class that can do weight decay."""
    is_class = inspect.isclass(solver) and issubclass(solver, torch.optim.Optimizer)
    if not is_class:
        raise TypeError(
            f"solver={solver!r} must be a name or a class of torch.optim, not an "
            "instance or a function: each fit builds its own optimizer."
        )
    if (
        alpha not in ("auto", 0)
        and "weight_decay" not in inspect.signature(solver).parameters
    ):
        raise ValueError(
            f"solver={solver.__name__} has no weight decay, but alpha={alpha!r}. "
            "Set alpha=0, or choose a solver that has it."
        )


def check_same_structure(estimator, structure):
    """Raise if a parameter that shaped the net changed before training goes on."""
    for name, value in structure.items():
        now = getattr(estimator, name)
        if now is not value and now != value and not _are_alike(now, value):
            raise ValueError(
                f"{name}={now!r}, but the net to go on with was built with "
                f"{name}={value!r}. Set it back, or set warm_start=False and call fit."
            )


def _are_alike(part, other):
    """Tell whether two parts are of one class and have the same parameters."""
    if not (isinstance(part, Part) and type(part) is type(other)):
        return False
    mine, others = part.get_params(), other.get_params()
    return all(
        value == others[name] or _are_alike(value, others[name])
        for name, value in mine.items()
    )
