"""Networks, nets and solvers, built anew for each fit."""

import inspect
from functools import partial

import torch

from skae._fitting.codec import Codec, PCAStart
from skae._fitting.net import AutoencoderNet
from skae._fitting.plan import auto_sizes, network_name, solver_class_and_options
from skae._fitting.start import check_start
from skae._fitting.user_networks import build_user_network, check_built_network
from skae.networks import NETWORKS, EncoderDecoder


def new_network(estimator, data, bottleneck, n_components, streams):
    """Return a new network and its recipe: what it takes to build the like.

    Parameters
    ----------
    estimator : AutoencoderTransformer

    data : TrainingData

    bottleneck : Bottleneck

    n_components : int

    streams : RandomStreams
        For the initial weights.

    Returns
    -------
    network : nn.Module

    recipe : dict
        "network", the name of one of ours or None, and its "arguments".
    """
    name = network_name(estimator, data.form)
    n_features, n_outputs = data.rows.n_features, data.rows.output.n_features
    n_encoded = bottleneck.n_encoded(n_components)
    arguments = {"n_features": n_features, "n_components": n_components}
    if name is not None:
        arguments["activation"] = estimator.activation
        arguments |= _shape_arguments(estimator, data, name, n_components)
    if n_encoded != n_components:
        arguments["n_encoded"] = n_encoded
    if n_outputs != n_features:
        arguments["n_outputs"] = n_outputs
    recipe = {"network": name, "arguments": arguments}
    if name is not None:
        return build_network(name, arguments, streams.init), recipe
    with streams.lent():
        network = build_network(estimator.network, arguments)
    check_built_network(network, n_features, n_components, n_encoded, n_outputs)
    return network, recipe


def _shape_arguments(estimator, data, name, n_components):
    """Return what shapes one of our networks, as arguments of its class."""
    sizes = estimator.hidden_layer_sizes
    if sizes == "auto":
        sizes = auto_sizes(name, data, n_components)
    arguments = {"hidden_layer_sizes": tuple(sizes)}
    if name == "conv":
        arguments |= conv_arguments(data.form, data.target_form)
    return arguments


def conv_arguments(form, target_form):
    """Return what the convolutional network is told of images, and of its output."""
    arguments = _image_arguments(form)
    if target_form.is_image and _image_arguments(target_form) != arguments:
        arguments |= _image_arguments(target_form, "out_")
    return arguments


def _image_arguments(form, prefix=""):
    """Return what the convolutional network is told of images."""
    return {
        f"{prefix}size": form.size,
        f"{prefix}n_channels": form.n_channels,
        f"{prefix}channels_last": form.channel_order == "last",
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
        return build_user_network(network, arguments, ("encode", "decode"))
    halves = []
    for half, other_width in zip(network, ("n_outputs", "n_encoded"), strict=True):
        own = {key: size for key, size in arguments.items() if key != other_width}
        halves.append(build_user_network(half, own, ()))
    return EncoderDecoder(*halves)


def build_net_at(start, network, recipe, parts, estimator, plan, streams):
    """Return an untrained net at a linear start.

    Parameters
    ----------
    start : LinearStart

    network, recipe
        What `new_network` returned; the recipe gets "nat".

    parts : Parts

    estimator : AutoencoderTransformer

    plan : Plan

    streams : RandomStreams
    """
    n_components = len(start.spread)
    check_start(start)
    parts.loss.build(start.output.mean)
    n_outputs = len(start.output.mean)
    lost = n_outputs * start.share_lost() / max(n_outputs - n_components, 1)
    recipe["nat"] = parts.loss.nat(max(float(lost), start.rounding)) / n_outputs
    with streams.lent():
        parts.bottleneck.build(n_components, recipe["nat"])
    module = build_codec(estimator.init, network, start, parts.loss, parts.bottleneck)
    module.recipe = recipe
    dtype = torch.float64 if plan.precision == "float64" else torch.float32
    net = build_net(module.to(dtype).eval(), plan.device, plan.precision)
    net.lends_stream_ = not isinstance(estimator.network, str) or parts.has_costs
    net.initialize()
    return net


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


def optimizer_factory(solver, alpha):
    """Return the optimizer's class with its options."""
    solver, options = solver_class_and_options(solver)
    if "weight_decay" in inspect.signature(solver).parameters:
        options = {**options, "weight_decay": alpha}
    return partial(solver, **options)
