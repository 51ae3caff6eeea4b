"""What a fitted estimator has learnt, as plain facts and arrays, and back.

Pickles and model files hold this instead of objects of torch and skorch. On the way
back the network is built anew by our own code, on torch's "meta" device, which
allocates nothing, and takes the weights only if names, shapes and dtypes agree.
"""

import json
import math
from contextlib import nullcontext
from dataclasses import asdict
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from skorch.history import History

from skae._data.images import ImageForm
from skae._data.tables import TableForm
from skae._files.archive import decoded_epoch, encoded_epoch
from skae._files.schema import (
    STATE,
    SchemaError,
    check,
    check_array,
    check_finite,
)
from skae._files.training import (
    describe_optimizer,
    describe_pieces,
    describe_streams,
    restore_optimizer,
    restore_pieces,
    restore_streams,
)
from skae._fitting.build import (
    build_codec,
    build_net,
    build_network,
    conv_arguments,
)
from skae._fitting.fitting import described
from skae._fitting.parts import check_bottleneck
from skae._fitting.start import LinearStart, LinearTarget
from skae._fitting.user_networks import check_built_network
from skae._parts import Part
from skae._runtime import RandomStreams, check_device
from skae.bottlenecks import BOTTLENECKS, Bottleneck
from skae.losses import LOSSES, CallableLoss

__all__ = ["LEARNT", "describe", "restore"]

# Attributes of a fitted estimator that `restore` returns.
LEARNT = (
    "net_",
    "_start",
    "_form",
    "_target_form",
    "_streams",
    "_stream",
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
        "recipe": _plain(module.recipe),
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
        facts["optimizer"] = describe_optimizer(net, arrays)
        facts["streams"] = describe_streams(estimator._streams, arrays)
        facts["pieces"] = describe_pieces(estimator._stream, arrays)
    return facts, arrays


def restore(facts, tensors, structure, solver, *, is_foreign=False):
    """Return the attributes `LEARNT` of a fitted estimator, by name.

    Parameters
    ----------
    facts, tensors : dict
        What `describe` returned, all arrays as tensors of their own.

    structure : dict
        The parameters that shaped the net, checked.

    solver : type
        Class of the optimizer; its state is dropped if it is that of another one.

    is_foreign : bool, default=False
        Whether they may come from anyone, so that numbers are checked too.

    Raises
    ------
    SchemaError
        If they do not fit together.
    """
    check(facts, STATE, "")
    start = _restored_start(facts, {name: x.numpy() for name, x in tensors.items()})
    if is_foreign:
        _check_numbers(start)
        _check_numbers(start.output)
    form, target_form = _restored_forms(facts, start, structure)
    net = _restored_net(
        facts, tensors, structure, start, (form, target_form), is_foreign
    )
    if is_foreign and isinstance(structure["network"], str):
        check_finite(net.module_.state_dict())
        _check_positive(net.module_)
    n_targets = 0 if start.target is None else len(start.target.mean)
    net.optimizer_state_ = restore_optimizer(
        facts.get("optimizer"), tensors, net, solver, is_foreign=is_foreign
    )
    return {
        **described(net, start, form, net.module_.n_kept),
        "_target_form": target_form,
        "_stream": restore_pieces(
            facts.get("pieces"), tensors, len(start.mean), n_targets
        ),
        "verdict_": facts.get("verdict", UNKNOWN_VERDICT),
        "_X_dtype": facts.get("X_dtype", "float64"),
        "_streams": restore_streams(facts.get("streams"), tensors),
    }


def _plain(value):
    """Return nested dicts and lists with Python's numbers instead of NumPy's."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


# The start and the forms of X


def _restored_start(facts, arrays):
    """Return the LinearStart, its shapes checked against each other."""
    mean, spread = arrays["start.mean"], arrays["start.spread"]
    components, target = arrays.get("start.components"), None
    n_features, n_components = facts["n_features"], spread.size
    check_array("start.mean", mean, (n_features,))
    check_array("start.spread", spread, (n_components,))
    if components is not None:
        check_array("start.components", components, (n_components, n_features))
    if facts["target_scale"] is not None:
        target_mean, slopes = arrays["target.mean"], arrays["target.slopes"]
        check_array("target.mean", target_mean, (target_mean.size,))
        check_array("target.slopes", slopes, (n_components, target_mean.size))
        target = LinearTarget(target_mean, facts["target_scale"], slopes)
    numbers = facts["start"]
    return LinearStart(
        mean,
        numbers["scale"],
        components,
        spread,
        numbers["rounding"],
        target,
        numbers.get("n_samples"),
    )


def _check_numbers(start):
    """Raise unless mean, scale and spread can be those of rows.

    A scale that is not one of constant rows is above the rounding of the mean.
    """
    check_finite(vars(start))
    scale, largest = start.scale, np.abs(start.mean).max()
    is_constant = scale == 1.0
    if not (is_constant or largest * np.finfo(np.float64).eps < scale):
        raise SchemaError(f"a scale of {scale} is none for means of up to {largest}.")
    if isinstance(start, LinearStart):
        explained, n_features = np.square(start.spread).sum(), len(start.mean)
        if start.spread.min() < 0 or explained > 1.01 * n_features:
            raise SchemaError("the spread along the axes is more than there is.")


def _encoded_form(form):
    if not form.is_image:
        return None
    facts = {**asdict(form), "dtype": form.dtype.str}
    del facts["of_counts"]  # the loss says it
    return _plain(facts)


def _restored_forms(facts, start, structure):
    """Return the forms of X and of what is reconstructed."""
    of_counts = _restored_part(structure["loss"], LOSSES).of_counts
    form = _restored_form(facts["form"], len(start.mean), of_counts)
    n_outputs = len(start.output.mean)
    target_form = _restored_form(facts["target_form"], n_outputs, of_counts)
    if start.target is None and form != target_form:
        raise SchemaError("its results have another form than X.")
    shape = structure["image_shape"]
    asked = form.image_shape if shape is None else tuple(shape)
    if (
        form.image_shape != asked
        or not form.is_image
        and structure["network"] == "conv"
    ):
        raise SchemaError(f"X was {form}, which does not suit the parameters.")
    _check_axes(form, structure, may_be_flat=shape is not None)
    may_be_flat = target_form.image_shape == form.image_shape
    _check_axes(target_form, structure, may_be_flat=may_be_flat)
    return form, target_form


def _check_axes(form, structure, *, may_be_flat):
    """Raise unless the axes of an image, and that of channels, can be those."""
    order = structure["channel_order"]
    if not form.is_image:
        return
    n_axes, orders = len(form.image_shape), {"first", "last"}
    if n_axes == 2:
        orders = {*orders, None}
    if order != "auto":
        orders = {order}
    if n_axes == 1:
        orders = {None}
    is_flat = form.row_shape != form.image_shape
    if form.channel_order not in orders or is_flat and not may_be_flat:
        raise SchemaError(f"{form} does not suit the parameters.")


def _restored_form(encoded, n_pixels, of_counts):
    """Return an ImageForm or a TableForm whose sizes agree."""
    if encoded is None:
        return TableForm((n_pixels,))
    row_shape, image_shape = tuple(encoded["row_shape"]), tuple(encoded["image_shape"])
    is_shape = 1 <= len(image_shape) <= 3 and row_shape in (image_shape, (n_pixels,))
    if not (is_shape and math.prod(image_shape) == n_pixels):
        raise SchemaError(f"images of shape {image_shape} do not fit rows {row_shape}.")
    dtype = np.dtype(encoded["dtype"])
    return ImageForm(row_shape, image_shape, encoded["channel_order"], dtype, of_counts)


# The net


def _restored_net(facts, tensors, structure, start, forms, is_foreign):
    """Return the net with its weights, ready for use."""
    recipe, about = facts["recipe"], facts["net"]
    loss = _restored_part(structure["loss"], LOSSES)
    bottleneck = _restored_part(structure["bottleneck"], BOTTLENECKS)
    weights = {
        name.removeprefix("module."): x
        for name, x in tensors.items()
        if name.startswith("module.")
    }
    _check_recipe(recipe, structure, start, forms, bottleneck)
    _check_sizes(recipe, structure, start, bottleneck, weights)
    _check_kept(facts["n_kept"], structure, len(start.spread), bottleneck)
    network = recipe["network"] or structure["network"]
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
        if is_foreign and recipe["network"] is None:
            _check_network(module.network, recipe["arguments"])
    _take_weights(module, weights, assign=is_ours)
    module.recipe, module.n_kept = recipe, facts["n_kept"]
    net = build_net(module.eval(), _present_device(about["device"]), about["precision"])
    for name in ("lr", "batch_size", "max_epochs"):
        setattr(net, name, about[name])
    net.lends_stream_ = about["lends_stream"]
    net.initialize()
    net.history_ = History(map(decoded_epoch, facts["history"]))
    return net


def _check_positive(module):
    """Raise if numbers of a `Codec` are zero or below that never are."""
    if not (module.units > 0).all():
        raise SchemaError("the units of the code are zero or below.")
    for part in (module.loss, module.bottleneck):
        for name in part.positive:
            if not (getattr(part, name) > 0).all():
                raise SchemaError(f"{name} of {part} is zero or below.")


def _restored_part(part, known):
    """Return a loss or a bottleneck as it is before training."""
    if isinstance(part, str):
        return known[part]()
    if isinstance(part, Part):
        return clone(part)
    return Bottleneck() if part is None else CallableLoss(part)


def _check_network(network, arguments):
    """Raise unless a network of the user's has the widths that its arguments say."""
    n_features, n_components = arguments["n_features"], arguments["n_components"]
    n_encoded = arguments.get("n_encoded", n_components)
    n_outputs = arguments.get("n_outputs", n_features)
    check_built_network(network, n_features, n_components, n_encoded, n_outputs)


def _check_recipe(recipe, structure, start, forms, bottleneck):
    """Raise unless the network is the one that the parameters ask for."""
    name, asked = recipe["network"], structure["network"]
    known = [name] if asked == "auto" and name else [asked]
    if name != (known[0] if isinstance(asked, str) else None):
        raise SchemaError(f"the network {name!r} is not that of its parameters.")
    n_features, n_components = len(start.mean), len(start.spread)
    n_outputs, n_encoded = len(start.output.mean), bottleneck.n_encoded(n_components)
    wanted = {"n_features": n_features, "n_components": n_components}
    if name is not None:
        sizes = structure["hidden_layer_sizes"]
        if sizes == "auto":
            sizes = recipe["arguments"]["hidden_layer_sizes"]
        wanted["activation"] = structure["activation"]
        wanted["hidden_layer_sizes"] = list(map(int, sizes))
    if name == "conv":
        wanted |= conv_arguments(*forms)
    if n_encoded != n_components:
        wanted["n_encoded"] = n_encoded
    if n_outputs != n_features:
        wanted["n_outputs"] = n_outputs
    found = json.dumps(recipe["arguments"], sort_keys=True)
    if found != json.dumps(wanted, sort_keys=True):  # True is not 1 there
        raise SchemaError(f"a network of {found} is not what its parameters ask for.")


def _check_sizes(recipe, structure, start, bottleneck, weights):
    """Raise if anything is to be built that is larger than the weights that are there.

    Networks of the user's are built with memory of their own.
    """
    if len(recipe["arguments"].get("hidden_layer_sizes", ())) > len(weights):
        raise SchemaError("there are more layers than weights.")
    sizes = {}
    if structure["init"] == "pca":
        sizes["encoder_path.weight"] = (len(start.spread), len(start.mean))
    if hasattr(bottleneck, "n_codes"):
        sizes["bottleneck.counts"] = (bottleneck.n_groups, bottleneck.n_codes)
    for name, size in sizes.items():
        if name in weights and tuple(weights[name].shape) == size:
            continue
        raise SchemaError(f"weight {name} has not the shape {size}.")


def _check_kept(n_kept, structure, n_components, bottleneck):
    """Raise unless so many components can be asked for, and kept."""
    asked = structure["n_components"]
    check_bottleneck(bottleneck, n_components if asked is None else asked)
    is_share = not (asked is None or isinstance(asked, Integral))
    if not (asked is None or is_share or asked == n_components):
        raise SchemaError(f"there are {n_components} components instead of {asked}.")
    if n_kept is None:
        return
    sizes = bottleneck.code_sizes(n_components) if bottleneck.is_ordered else []
    if not (is_share and n_kept in sizes):
        raise SchemaError(f"{n_kept} of {n_components} components are kept.")


def _take_weights(module, kept, *, assign):
    """Give a module its weights, if they are exactly those that it has."""
    wanted = module.state_dict()
    if set(wanted) != set(kept):
        differing = sorted(set(wanted) ^ set(kept))
        raise SchemaError(f"the weights have other names: {', '.join(differing[:4])}.")
    for name, weight in wanted.items():
        if weight.shape != kept[name].shape or weight.dtype != kept[name].dtype:
            raise SchemaError(
                f"weight {name} has the shape {tuple(kept[name].shape)} and dtype "
                f"{kept[name].dtype}; its parameters ask for {tuple(weight.shape)} and "
                f"{weight.dtype}."
            )
    module.load_state_dict(kept, assign=assign)
    if assign and any(weight.dim() == 4 for weight in kept.values()):
        module.network.to(memory_format=torch.channels_last)


def _present_device(device):
    """Return the device if this machine has it, else the CPU."""
    try:
        check_device(device)
    except ValueError:
        return "cpu"
    return device
