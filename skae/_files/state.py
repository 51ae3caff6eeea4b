"""What a fitted estimator has learnt, as plain facts and arrays, and back.

Pickles and model files hold this instead of objects of torch and skorch. On the way
back the network is built anew by our own code, on torch's "meta" device, which
allocates nothing, and takes the weights only if names, shapes and dtypes agree.
"""

import math
from contextlib import nullcontext
from dataclasses import asdict

import numpy as np
import torch
from sklearn.base import clone
from skorch.history import History

from skae._data.images import ImageForm
from skae._data.tables import TableForm
from skae._files.archive import (
    decoded_epoch,
    encoded_epoch,
    with_tensors,
    without_tensors,
)
from skae._fitting.build import build_codec, build_net, build_network
from skae._fitting.fitting import described
from skae._fitting.start import LinearStart, LinearTarget
from skae._parts import Part
from skae._runtime import RandomStreams, available_devices
from skae.bottlenecks import BOTTLENECKS, Bottleneck
from skae.losses import LOSSES, CallableLoss
from skae.networks import NETWORKS

__all__ = ["LEARNT", "StateError", "describe", "restore"]

# Attributes of a fitted estimator that `restore` returns.
LEARNT = (
    "net_",
    "_start",
    "_form",
    "_target_form",
    "_streams",
    "image_shape_",
    "channel_order_",
    "n_components_",
    "verdict_",
    "_X_dtype",
    "scale_",
    "precision_",
    "device_",
    "n_epochs_",
    "loss_curve_",
    "validation_loss_curve_",
)

UNKNOWN_VERDICT = "Fitted by skae 0.1, which kept no words; see proven_."


class StateError(ValueError):
    """Facts and arrays do not fit together."""


def describe(estimator, keep_optimizer=True):
    """Return what a fitted estimator has learnt.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Fitted.

    keep_optimizer : bool, default=True
        Whether the optimizer's state and the random streams are part of it.

    Returns
    -------
    facts : dict
        Fit for JSON.

    arrays : dict of str to Tensor or ndarray
    """
    net, start = estimator.net_, estimator._start
    module, target = net.module_, start.target
    arrays = {f"module.{name}": x for name, x in module.state_dict().items()}
    for name in ("mean", "components", "spread"):
        if getattr(start, name) is not None:
            arrays[f"start.{name}"] = getattr(start, name)
    if target is not None:
        arrays |= {"target.mean": target.mean, "target.slopes": target.slopes}
    facts = {
        "recipe": module.recipe,
        "n_features": int(estimator.n_features_in_),
        "start": {
            "scale": float(start.scale),
            "rounding": float(start.rounding),
            "n_samples": start.n_samples,
        },
        "target_scale": None if target is None else float(target.scale),
        "form": _encoded_form(estimator._form),
        "target_form": _encoded_form(estimator._target_form),
        "n_kept": module.n_kept,
        "verdict": estimator.verdict_,
        "X_dtype": estimator._X_dtype,
        "net": {
            "precision": net.precision_,
            "device": str(net.device),
            "lends_stream": bool(net.lends_stream_),
            "lr": float(net.lr),
            "batch_size": int(net.batch_size),
            "max_epochs": int(net.max_epochs),
        },
        "history": [encoded_epoch(epoch) for epoch in net.history],
    }
    if keep_optimizer:
        facts["optimizer"] = _describe_optimizer(net, arrays)
        facts["streams"] = _describe_streams(estimator._streams, arrays)
    return facts, arrays


def restore(facts, tensors, structure, solver):
    """Return the attributes `LEARNT` of a fitted estimator, by name.

    Parameters
    ----------
    facts, tensors : dict
        What `describe` returned, all arrays as tensors of their own.

    structure : dict
        The parameters that shaped the net.

    solver : type
        Class of the optimizer; its state is dropped if it is that of another one.

    Raises
    ------
    StateError
        If they do not fit together.
    """
    n_kept, n_components = facts["n_kept"], len(tensors["start.spread"])
    is_count = _is_count(n_kept) and n_kept <= n_components
    if not (n_kept is None or is_count):
        raise StateError(f"{n_kept} of {n_components} components are kept.")
    start = _restored_start(facts, {name: x.numpy() for name, x in tensors.items()})
    net = _restored_net(facts, tensors, structure, start)
    net.optimizer_state_ = _restored_optimizer(facts.get("optimizer"), tensors, solver)
    of_counts, n_outputs = net.module_.loss.of_counts, len(start.output.mean)
    form = _restored_form(facts["form"], len(start.mean), of_counts)
    target_form = _restored_form(facts["target_form"], n_outputs, of_counts)
    return {
        **described(net, start, form, net.module_.n_kept),
        "_target_form": target_form,
        "verdict_": facts.get("verdict", UNKNOWN_VERDICT),
        "_X_dtype": facts.get("X_dtype", "float64"),
        "_streams": _restored_streams(facts.get("streams"), tensors),
    }


def _is_count(value):
    return type(value) is int and value >= 1


def _encoded_form(form):
    if not form.is_image:
        return None
    facts = {**asdict(form), "dtype": form.dtype.str}
    del facts["of_counts"]  # the loss says it
    return facts


def _describe_optimizer(net, arrays):
    if net.optimizer_state_ is None:
        return None
    (kind, shapes), state = net.optimizer_state_
    return {
        "kind": kind.__qualname__,
        "shapes": [list(shape) for shape in shapes],
        "keys": list(state),
        "entries": without_tensors(list(state.values()), arrays, "optimizer"),
    }


def _describe_streams(streams, arrays):
    if streams is None:
        return None
    state = streams.get_state()
    arrays |= {f"streams.{name}": x for name, x in state["tensors"].items()}
    return state["facts"]


def _restored_form(encoded, n_pixels, of_counts):
    if encoded is None:
        return TableForm((n_pixels,))
    row_shape, image_shape = tuple(encoded["row_shape"]), tuple(encoded["image_shape"])
    if not all(map(_is_count, row_shape + image_shape)):
        raise StateError(f"images have the shape {image_shape}, rows {row_shape}.")
    if not n_pixels == math.prod(row_shape) == math.prod(image_shape):
        raise StateError(f"images of shape {image_shape} do not fit rows {row_shape}.")
    dtype = np.dtype(encoded["dtype"])
    if dtype.kind not in "biuf":
        raise StateError(f"images have the dtype {dtype}.")
    return ImageForm(row_shape, image_shape, encoded["channel_order"], dtype, of_counts)


def _restored_start(facts, arrays):
    """Return the LinearStart, its shapes checked against each other."""
    mean, components = arrays["start.mean"], arrays.get("start.components")
    spread, target = arrays["start.spread"], None
    n_features = facts["n_features"]
    n_components = len(spread)
    if facts["target_scale"] is not None:
        target_mean, slopes = arrays["target.mean"], arrays["target.slopes"]
        _agree("target.slopes", slopes, (n_components, *target_mean.shape))
        target = LinearTarget(target_mean, facts["target_scale"], slopes)
    _agree("start.mean", mean, (n_features,))
    if components is not None:
        _agree("start.components", components, (n_components, n_features))
    _agree("start.spread", spread, (n_components,))
    numbers = facts["start"]
    scales = [numbers["scale"], facts["target_scale"] or 1.0]
    if not all(0 < scale < np.inf for scale in scales):
        raise StateError(f"the scales are {scales}; they must be positive.")
    return LinearStart(
        mean,
        numbers["scale"],
        components,
        spread,
        numbers["rounding"],
        target,
        numbers.get("n_samples"),
    )


def _agree(name, array, shape, dtype=np.float64):
    if array.shape != shape or array.dtype != dtype:
        raise StateError(
            f"{name} has the shape {tuple(array.shape)} and dtype {array.dtype}; its "
            f"parameters ask for {tuple(shape)} and {np.dtype(dtype)}."
        )


def _restored_net(facts, tensors, structure, start):
    """Return the net with its weights, ready for use."""
    recipe, about = facts["recipe"], facts["net"]
    weights = {
        name.removeprefix("module."): x
        for name, x in tensors.items()
        if name.startswith("module.")
    }
    sizes = recipe["arguments"].get("hidden_layer_sizes", ())
    if len(sizes) > len(weights):
        raise StateError(f"there are {len(sizes)} layers, more than weights.")
    network = recipe["network"]
    if network is None and not isinstance(structure["network"], str):
        network = structure["network"]
    elif network not in NETWORKS:
        raise StateError(f"the network {network!r} is unknown.")
    loss = _restored_part(structure["loss"], LOSSES)
    bottleneck = _restored_part(structure["bottleneck"], BOTTLENECKS)
    is_ours = isinstance(network, str) and all(
        type(part).__module__.startswith("skae.") for part in (loss, bottleneck)
    )
    streams = RandomStreams(0)
    with streams.lent(), torch.device("meta") if is_ours else nullcontext():
        network = build_network(network, recipe["arguments"])
        loss.build(start.output.mean)
        bottleneck.build(len(start.spread), recipe["nat"])
        module = build_codec(structure["init"], network, start, loss, bottleneck)
        module.to(torch.float64 if about["precision"] == "float64" else torch.float32)
    _take_weights(module, weights, assign=is_ours)
    module.recipe, module.n_kept = recipe, facts["n_kept"]
    net = build_net(module.eval(), _present_device(about["device"]), about["precision"])
    if not (_is_count(about["batch_size"]) and _is_count(about["max_epochs"])):
        raise StateError("the net has no whole number of rows and epochs.")
    net.lends_stream_ = bool(about["lends_stream"])
    for name in ("lr", "batch_size", "max_epochs"):
        setattr(net, name, about[name])
    net.initialize()
    net.history_ = History(map(decoded_epoch, facts["history"]))
    return net


def _restored_part(part, known):
    """Return a loss or a bottleneck as it is before training."""
    if isinstance(part, str):
        return known[part]()
    if isinstance(part, Part):
        return clone(part)
    return Bottleneck() if part is None else CallableLoss(part)


def _take_weights(module, kept, *, assign):
    """Give a module its weights, if they are exactly those that it has."""
    wanted = module.state_dict()
    if set(wanted) != set(kept):
        differing = sorted(set(wanted) ^ set(kept))
        raise StateError(f"the weights have other names: {', '.join(differing[:4])}.")
    for name, weight in wanted.items():
        if weight.shape != kept[name].shape or weight.dtype != kept[name].dtype:
            raise StateError(
                f"weight {name} has the shape {tuple(kept[name].shape)} and dtype "
                f"{kept[name].dtype}; its parameters ask for {tuple(weight.shape)} and "
                f"{weight.dtype}."
            )
    module.load_state_dict(kept, assign=assign)
    if assign and any(weight.dim() == 4 for weight in kept.values()):
        module.network.to(memory_format=torch.channels_last)


def _present_device(device):
    """Return the device if this machine has it, else the CPU."""
    return device if torch.device(device).type in available_devices() else "cpu"


def _restored_optimizer(encoded, tensors, solver):
    if encoded is None or encoded["kind"] != solver.__qualname__:
        return None
    entries = with_tensors(encoded["entries"], tensors)
    state = dict(zip(encoded["keys"], entries, strict=True))
    return (solver, [tuple(shape) for shape in encoded["shapes"]]), state


def _restored_streams(facts, tensors):
    if facts is None:
        return None
    names = [name for name in tensors if name.startswith("streams.")]
    state = {name.removeprefix("streams."): tensors[name] for name in names}
    streams = RandomStreams(0)
    streams.set_state({"facts": facts, "tensors": state})
    return streams
