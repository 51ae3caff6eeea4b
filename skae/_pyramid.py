"""How a convolutional network shrinks an image: strides, sizes and widths."""

import math
from itertools import pairwise

__all__ = ["MOST_POSITIONS", "pyramid", "sizes_after"]

MOST_POSITIONS = 100  # of the encoder's last map; 8 x 8, or 10 x 10
MOST_DENSE = 1024  # width of its first fully connected layer


def pyramid(size, n_channels, hidden_layer_sizes, n_components):
    """Return the stages from an image to its last map, and what follows.

    Returns
    -------
    stages : list of ((n_in, n_out), (size before, size after), stride)

    last_map : tuple of int
        Channels, height and width after the last stage.

    dense : list of int
        Widths of the fully connected layers between that and the code.
    """
    channels = [n_channels, *hidden_layer_sizes]
    strides = _strides(size, len(hidden_layer_sizes))
    sizes = sizes_after(size, strides)
    stages = list(zip(pairwise(channels), pairwise(sizes), strides, strict=True))
    last_map = (channels[-1], *sizes[-1])
    dense = _dense_widths(math.prod(last_map), n_components) if stages else []
    return stages, last_map, dense


def _dense_widths(n_flat, n_components):
    """Return the widths of the fully connected layers between maps and code."""
    widest = min(n_flat, MOST_DENSE)
    return [max(width, n_components) for width in (widest, -(-widest // 2))]


def _strides(size, n_stages):
    """Return (down, across) for each stage, so that about 8 x 8 pixels are left.

    Each stage halves a side of 8 or more. Where that leaves too many pixels, the
    first ones take larger steps.
    """
    strides, sides = [], size
    for _ in range(n_stages):
        strides.append([2 if side >= 8 else 1 for side in sides])
        sides = sizes_after(sides, strides[-1:])[-1]
    for i in range(n_stages * 16):
        sides = sizes_after(size, strides)[-1]
        if math.prod(sides) <= MOST_POSITIONS:
            break
        step = strides[i % n_stages]
        strides[i % n_stages] = [
            2 * s if side >= 8 else s for s, side in zip(step, sides, strict=True)
        ]
    return [tuple(stride) for stride in strides]


def sizes_after(size, strides):
    """Return the size before the first stage and after each one."""
    sizes = [tuple(size)]
    for stride in strides:
        sizes.append(
            tuple(
                -(-side // step) for side, step in zip(sizes[-1], stride, strict=True)
            )
        )
    return sizes
