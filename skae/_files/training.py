"""What training goes on with, the optimizer's state and random streams, as facts."""

import copy
import math

import numpy as np
import torch

from skae._files.archive import with_tensors, without_tensors
from skae._files.schema import SchemaError, check_array, check_finite
from skae._fitting.codec import PCAStart
from skae._fitting.plan import SOLVERS
from skae._fitting.rates import FIRST_LAYER, PATH, slow_last
from skae._fitting.stream import Stream
from skae._runtime import RandomStreams, import_lazy_parts

__all__ = [
    "describe_optimizer",
    "describe_pieces",
    "describe_streams",
    "restore_optimizer",
    "restore_pieces",
    "restore_streams",
]

N_STATES = 624  # of torch's Mersenne Twister
STREAM_ARRAYS = ("mean", "root", "squares")
STREAM_FACTS = ("n_samples", "rate", "is_trained", "n_compared", "lag")


def describe_optimizer(net, arrays):
    """Return facts of an optimizer, or None; its tensors are added to `arrays`."""
    if net.optimizer_state_ is None:
        return None
    (kind, shapes), state = net.optimizer_state_
    return {
        "kind": kind.__qualname__,
        "shapes": [list(shape) for shape in shapes],
        "keys": list(state),
        "entries": without_tensors(list(state.values()), arrays, "optimizer"),
    }


def restore_optimizer(encoded, tensors, net, solver, *, is_foreign):
    """Return the state of the optimizer of a net; None if there is none.

    It is dropped if it is that of another class than `solver`. Where it may come from
    anyone a step is tried with it, on weights of the same shapes.
    """
    if encoded is None or encoded["kind"] != solver.__qualname__:
        return None
    weights = [weight for _, weight in net.get_all_learnable_params()]
    shapes = [tuple(shape) for shape in encoded["shapes"]]
    if shapes not in [*_flat_shapes(net, weights), *_apart_shapes(net)]:
        raise SchemaError("the optimizer is one of other weights.")
    entries = with_tensors(encoded["entries"], tensors)
    state = dict(zip(encoded["keys"], entries, strict=True))
    if is_foreign:
        _try_step(solver, shapes, weights[0].dtype, state)
    return (solver, shapes), state


def _flat_shapes(net, weights):
    """Return the shapes of weights as `MLPStep` may keep them: one, or a few."""
    named = dict(net.get_all_learnable_params())
    n_weights = sum(weight.numel() for weight in weights)
    has_paths = isinstance(net.module_, PCAStart)  # with a bias that is always zero
    n_weights += has_paths * len(net.module_.units)
    apart = [tuple(named[x].shape) for x in (FIRST_LAYER, PATH) if x in named]
    n_others = n_weights - sum(map(math.prod, apart))
    return [[(n_weights,)], [(n_others,), *apart]]


def _apart_shapes(net):
    """Return the shapes of weights in each order that a solver may have them in."""
    orders = []
    for slow in ((), (PATH,), (FIRST_LAYER,), (FIRST_LAYER, PATH)):
        named = slow_last(net.get_all_learnable_params(), slow)
        orders.append([tuple(x.shape) for _, x in named])
    return orders


def _try_step(solver, shapes, dtype, state):
    """Raise unless an optimizer can make a step in this state."""
    import_lazy_parts()
    try:
        _check_is_like(state, _after_step(solver, shapes, dtype, {}))
        after = _after_step(solver, shapes, dtype, copy.deepcopy(state))
    except Exception as error:
        raise SchemaError(f"the optimizer cannot go on: {error}") from error
    if not _is_finite(after):
        raise SchemaError("the optimizer cannot go on: its numbers are not its own.")


def _after_step(solver, shapes, dtype, state):
    """Return weights and state of an optimizer after a step from zero."""
    options = next((own for kind, own in SOLVERS.values() if kind is solver), {})
    weights = [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in shapes]
    for weight in weights:
        weight.grad = torch.full_like(weight, 1e-3)
    optimizer = solver(weights, lr=1e-3, **options)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    optimizer.step(lambda: torch.zeros(()))
    return [weight.detach() for weight in weights], optimizer.state_dict()["state"]


def _check_is_like(state, after):
    """Raise unless a state has the names, shapes and dtypes of one after a step.

    torch writes where its fused optimizers' tensors should end, not where they do. Of
    those whose state grows (LBFGS) none is fused.
    """
    for key, entry in state.items():
        wanted = after[1][key]
        if any(isinstance(value, list) for value in wanted.values()):
            continue
        if _looks(entry) != _looks(wanted):
            raise SchemaError(f"entry {key} has other names, shapes or dtypes.")


def _looks(entry):
    """Return names and shapes of an entry of an optimizer's state."""
    return {
        name: (tuple(value.shape), value.dtype)
        if isinstance(value, torch.Tensor)
        else type(value)
        for name, value in entry.items()
    }


def _is_finite(value):
    """Tell whether all tensors in nested lists and dicts have finite numbers only."""
    if isinstance(value, torch.Tensor):
        return bool(value.isfinite().all())
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, (list, tuple)) or all(map(_is_finite, value))


def describe_pieces(stream, arrays):
    """Return facts of what `partial_fit` knows of earlier pieces, or None."""
    if stream is None:
        return None
    arrays |= {f"pieces.{name}": getattr(stream, name) for name in STREAM_ARRAYS}
    return {name: getattr(stream, name) for name in STREAM_FACTS}


def restore_pieces(facts, tensors, n_features, n_targets):
    """Undo `describe_pieces`."""
    if facts is None:
        return None
    arrays = {name: tensors[f"pieces.{name}"].numpy() for name in STREAM_ARRAYS}
    n_columns = n_features + n_targets
    check_array("pieces.mean", arrays["mean"], (n_columns,))
    check_array("pieces.squares", arrays["squares"], (n_columns,))
    check_array("pieces.root", arrays["root"], (len(arrays["root"]), n_columns))
    check_finite({f"pieces.{name}": x for name, x in arrays.items()})
    if arrays["squares"].min() < 0:
        raise SchemaError("the squares of earlier pieces are below zero.")
    return Stream(**arrays, **facts, n_targets=n_targets)


def describe_streams(streams, arrays):
    """Return facts of random streams, or None; tensors are added to `arrays`."""
    if streams is None:
        return None
    state = streams.get_state()
    arrays |= {f"streams.{name}": x for name, x in state["tensors"].items()}
    return state["facts"]


def restore_streams(facts, tensors):
    """Undo `describe_streams`."""
    if facts is None:
        return None
    named = {
        name: tensors[f"streams.{name}"]
        for name in ("init", "corruption", "lent")
        if f"streams.{name}" in tensors
    }
    for state in named.values():
        _check_twister(state)
    streams = RandomStreams(0)
    streams.set_state({"facts": facts, "tensors": named})
    order = facts["order"]
    if streams.order.bit_generator.state != order or order["has_uint32"] not in (0, 1):
        raise SchemaError("the random streams have a state that is none.")
    return streams


def _check_twister(state):
    """Raise unless torch takes a state, and reads no numbers beyond it."""
    generator = torch.Generator()
    if state.shape != generator.get_state().shape:  # torch 2.6 takes shorter ones
        raise SchemaError(f"a random stream has a state of {len(state)} bytes.")
    generator.set_state(state)
    numbers = state.numpy()
    n_left, position = (
        numbers[8:12].view(np.int32)[0],
        numbers[16:24].view(np.uint64)[0],
    )
    if int(n_left) + int(position) not in (1, N_STATES + 1):
        raise SchemaError("the random streams have a state that is none.")
