"""How large a step may be: smaller where many inputs add up, or little is left.

A step of Adam moves each weight by about the learning rate, whatever the gradient. What
a weight matrix makes of a row then moves by that times the sum of the row's absolute
values: for pictures, whose pixels go up and down together, by the rate times the number
of pixels. So a layer that sees rows of X gets its share of the learning rate.
"""

import math

PATH = "encoder_path.weight"  # of the linear path, whose output has a spread of one
FIRST_LAYER = "network.encoder.0.weight"  # of a fully connected network
MOST_SWING = {PATH: 32, FIRST_LAYER: 128}  # of its output, in learning rates
LITTLE_LEFT = 3e-3  # share of the variance


def step_shares(start, network):
    """Return which weights learn more slowly, and at which share of the learning rate.

    Parameters
    ----------
    start : LinearStart

    network : {"mlp", "conv"} or None

    Returns
    -------
    shares : dict of str to float
        By name, in the order of the module's parameters. The largest singular value of
        the standardised rows, over the root of their number, says how far a row can
        swing along one direction; ``sqrt(n_features)`` times that is what all of its
        values add up to if they go together.
    """
    swing = math.sqrt(len(start.mean)) * float(start.spread[0])
    names = (FIRST_LAYER, PATH) if network == "mlp" else (PATH,)
    return {
        name: MOST_SWING[name] / swing for name in names if swing > MOST_SWING[name]
    }


def share_for_rest(start):
    """Return a share in (0, 1] for all weights where PCA leaves almost nothing.

    Steps as large as ever would lose more of it than there is to gain. The error is the
    square of what a step moves, so the root.
    """
    left = max(start.share_lost(), start.rounding)
    return min(1.0, math.sqrt(left / LITTLE_LEFT))


def slow_last(named, slow):
    """Return pairs of name and weight, those of slow weights behind all others."""
    return sorted(named, key=lambda pair: pair[0] in slow)
