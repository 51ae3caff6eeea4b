"""What an optimizer remembers of earlier steps: taken over, checked, forgotten."""

import torch


def lay_out_alike(optimizer):
    """Lay out in memory what an optimizer remembers as its weights: steps need it."""
    for weight, entry in optimizer.state.items():
        for name, value in entry.items():
            if isinstance(value, torch.Tensor) and value.shape == weight.shape:
                entry[name] = torch.empty_like(weight).copy_(value)


def slow_down(optimizer, share):
    """Go on with a share of each learning rate and of its schedule, without memory."""
    optimizer.state.clear()
    for group in optimizer.param_groups:
        for name in ("lr", "initial_lr", "max_lr", "min_lr"):
            if name in group:
                group[name] *= share


def check_memory(optimizer, make):
    """Raise if an optimizer was given the memory of one of another kind.

    ``make(parameters)`` makes one of its own kind.
    """
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    like = make([weight])
    try:
        like.step()
    except TypeError:  # it wants a closure
        return
    names = set(like.state[weight])
    if any(set(entry) != names for entry in optimizer.state.values()):
        raise ValueError(f"the memory of {type(like).__name__} is {sorted(names)}.")
