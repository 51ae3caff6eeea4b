"""Networks, nets and solvers, built anew for each fit."""

import torch
from torch.optim import AdamW

from skae import _validation as check
from skae._fitting.codec import Codec, PCAStart
from skae._fitting.net import AutoencoderNet
from skae.networks import NETWORKS, EncoderDecoder

# Training is short: gradients of a hundred steps ago say little (torch: 0.9, 0.999).
ADAM = {"fused": True, "betas": (0.8, 0.9), "eps": 1e-7}
SOLVERS = {
    "adamw": (AdamW, ADAM),
    "adam": (torch.optim.Adam, ADAM),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
}


def build_network(network, arguments, generator=None):
    """Return a new network.

    Parameters
    ----------
    network : str, callable or pair of callables
        A name, or what the user gave.

    arguments : dict
        n_features, n_components and what else the network takes.

    generator : torch.Generator, default=None
        For the initial weights of one of ours; None is torch's global one.
    """
    if isinstance(network, str):
        return NETWORKS[network](**arguments, generator=generator)
    if not isinstance(network, (tuple, list)):
        return _built(network, arguments, ("encode", "decode"))
    halves = []
    for half, other_width in zip(network, ("n_outputs", "n_encoded"), strict=True):
        own = {key: size for key, size in arguments.items() if key != other_width}
        halves.append(_built(half, own, ()))
    return EncoderDecoder(*halves)


def _built(network, arguments, methods):
    """Return what a class or function of the user's makes of the sizes."""
    check.check_takes(network, arguments)
    network = network(**arguments)
    check.check_is_module(network, methods)
    return network


def build_codec(init, network, start, loss, bottleneck):
    """Return all that is learnt, as it is before training."""
    if init == "pca":
        return PCAStart(network, start, loss, bottleneck)
    return Codec(network, len(start.spread), loss, bottleneck)


def build_net(module, device, precision):
    """Return a skorch net of a `Codec`, which has to be initialised."""
    net = AutoencoderNet(
        module, criterion=module.loss, device=device, train_split=None, verbose=0
    )
    net.precision_ = precision
    return net


def image_arguments(form, prefix=""):
    """Return what the convolutional network is told of images."""
    return {
        f"{prefix}size": form.size,
        f"{prefix}n_channels": form.n_channels,
        f"{prefix}channels_last": form.channel_order == "last",
    }


def solver_class_and_options(solver):
    """Return the torch optimizer class for `solver`, and how it is called here."""
    return SOLVERS[solver] if isinstance(solver, str) else (solver, {})
