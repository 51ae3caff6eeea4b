"""Networks of the user's: what they have to be, and where their shapes went wrong."""

import inspect
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn


def build_user_network(network, arguments, methods):
    """Return what a class or function of the user's makes of the sizes."""
    check_takes(network, arguments)
    check_is_called_so(network, arguments)
    network = network(**arguments)
    check_is_module(network, methods)
    return network


def check_network(network):
    """Raise if `network` is a module that is already built, or no pair."""
    is_pair = isinstance(network, (tuple, list))
    if is_pair and not (len(network) == 2 and all(map(callable, network))):
        raise TypeError(
            f"network={network!r} must be a pair (encoder, decoder) of classes or "
            "functions, each of which returns a new torch.nn.Module."
        )
    for piece in network if is_pair else [network]:
        if isinstance(piece, nn.Module):
            raise TypeError(
                f"network is an instance of {type(piece).__name__}; pass the class, or "
                "a function of n_features and n_components that returns a new "
                "instance. An instance would be trained in place, and clone() would "
                "carry its weights from one fold to the next."
            )


def check_takes(network, arguments):
    """Raise if a network of the user's cannot have the widths that are needed."""
    parameters = inspect.signature(network).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return
    reasons = {
        "n_encoded": "the bottleneck needs so many numbers from encode for each row",
        "n_outputs": "X_target has so many features, which decode is to return",
    }
    for width, reason in reasons.items():
        if width in arguments and width not in {one.name for one in parameters}:
            name = getattr(network, "__name__", repr(network))
            raise TypeError(
                f"network {name} must have a parameter {width}, here "
                f"{arguments[width]}: {reason}."
            )


def check_is_called_so(network, arguments):
    """Raise if a network of the user's does not take the sizes by their names."""
    try:
        signature = inspect.signature(network)
    except (TypeError, ValueError):  # of some built-in; then Python says it
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        name = getattr(network, "__name__", type(network).__name__)
        call = ", ".join(f"{key}={value}" for key, value in arguments.items())
        raise TypeError(
            f"network {name} is called as {name}({call}), but its parameters are "
            f"{signature}: {error}. Name its sizes n_features and n_components and "
            "give all others a default, or pass a function that calls it: "
            f"lambda n_features, n_components: {name}(...)."
        ) from None


def check_is_module(network, methods):
    """Raise unless a class or function of the user's made a module with `methods`."""
    if not isinstance(network, nn.Module):
        needed = " with the methods encode(X) and decode(code)" if methods else ""
        raise TypeError(
            f"network returned {network!r}; it must return a torch.nn.Module{needed}."
        )
    for method in methods:
        if not callable(getattr(network, method, None)):
            raise TypeError(
                f"network {type(network).__name__} has no method {method!r}; it needs "
                "encode(X) -> code and decode(code) -> output."
            )


def check_built_network(network, n_features, n_components, n_encoded, n_outputs):
    """Raise unless a new network encodes and decodes to the widths that are needed."""
    name = type(network).__name__
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), LayerShapes(network) as shapes:
            dtype = next((weight.dtype for weight in network.parameters()), None)
            X = torch.linspace(-1, 1, 2 * n_features, dtype=dtype).reshape(2, -1)
            with shapes.explained(f"{name}.encode", X):
                code = network.encode(X.clone())
            meaning = "n_components" if n_encoded == n_components else "n_encoded"
            _check_result(code, (2, n_encoded), f"{name}.encode", meaning, shapes)
            code = code[:, :n_components]
            with shapes.explained(f"{name}.decode", code):
                output = network.decode(code)
            meaning = "n_features" if n_outputs == n_features else "n_outputs"
            _check_result(output, (2, n_outputs), f"{name}.decode", meaning, shapes)
            network.encode(given := X.clone())
    finally:
        network.train(was_training)
    if not torch.equal(given, X):
        raise ValueError(
            f"{name}.encode changes its input in place, which is also the target. Use "
            "the operation that returns a new tensor (x.mul(2), not x.mul_(2))."
        )


class LayerShapes:
    """Writes down which shape each layer of a network got and gave.

    Parameters
    ----------
    network : nn.Module
    """

    def __init__(self, network):
        self.network = network

    def __enter__(self):
        self.hooks = []
        for name, layer in self.network.named_modules():
            if name and not any(True for _ in layer.children()):
                label = f"{name} = {layer}"
                before = layer.register_forward_pre_hook(partial(self._before, label))
                after = layer.register_forward_hook(self._after)
                self.hooks += [before, after]
        return self

    def __exit__(self, *error):
        for hook in self.hooks:
            hook.remove()

    @contextmanager
    def explained(self, method, given):
        """Run a method from here on, and say in which layer it failed if it does."""
        self.method, self.given = method, tuple(given.shape)
        self.steps, self.open = [], []
        try:
            yield
        except RuntimeError as error:
            where = f" in {self.open[-1]}" if self.open else ""
            raise ValueError(
                f"{method} failed{where}: {error}. {self} Make the layers fit together."
            ) from error

    def _before(self, label, layer, inputs):
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs if hasattr(x, "shape"))
        self.open.append(f"{label}, which got the shape {shapes}")

    def _after(self, layer, inputs, output):
        label = self.open.pop().split(",")[0].split(" = ")[0]
        shape = getattr(output, "shape", None)
        gave = type(output).__name__ if shape is None else tuple(shape)
        self.steps.append(f"{label} gave {gave}")

    def __str__(self):
        way = "".join(f"; {step}" for step in self.steps)
        return f"Shapes on the way: {self.method} got {self.given}{way}."


def _check_result(result, expected, method, meaning, shapes):
    if not isinstance(result, torch.Tensor):
        raise TypeError(
            f"{method} returned a {type(result).__name__}; it must return a tensor of "
            f"shape (n_samples, {meaning})."
        )
    if tuple(result.shape) != expected:
        raise ValueError(
            f"{method} turned 2 rows into the shape {tuple(result.shape)}; it must be "
            f"(2, {meaning}) = {expected}. {shapes}"
        )
