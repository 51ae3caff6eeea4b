"""All that is learnt: the network, beside it the linear paths that start as PCA."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from skae._fitting.start import positive_spread
from skae._runtime import undrawn, unrounded

__all__ = ["Codec", "PCAStart", "linear_output", "link_at_mean"]


class Codec(nn.Module):
    """All that is learnt: a network, the bottleneck in it, the loss and its numbers.

    Parameters
    ----------
    network : nn.Module
        Has `encode` and `decode`.

    n_components : int

    loss : Loss

    bottleneck : Bottleneck

    Attributes
    ----------
    units : Tensor of shape (n_components,)
        What the code is multiplied by on its way to the user.

    n_kept : int or None
        How many components the user gets; None is all.

    recipe : dict
        What it takes to build the like: "network" (its name, or None for one of the
        user's), its "arguments", and "nat" (see `Bottleneck.build`).
    """

    n_kept = None
    recipe = None

    def __init__(self, network, n_components, loss, bottleneck):
        super().__init__()
        self.network = network
        self.loss = loss
        self.bottleneck = bottleneck
        self.register_buffer("units", torch.ones(n_components, dtype=torch.float64))

    def encoded(self, X):
        """Return what the encoder says, of shape (n_samples, n_encoded)."""
        return self.network.encode(X)

    def output(self, code):
        """Return the output for codes that are not in units."""
        return self.network.decode(code)

    def code(self, X):
        """Return codes that are not in units."""
        return self.bottleneck.code(self.encoded(X))

    def sample(self, X):
        """Return output, code (not in units) and its cost, or None, in training."""
        h = self.encoded(X).to(X.dtype)
        with unrounded(X.device):
            code, cost = self.bottleneck.sample(h)
        return self.output(code), code, cost

    def encode(self, X):
        code = self.code(X) * self.units
        return code if self.n_kept is None else code[:, : self.n_kept]

    def decode(self, code):
        """Return the output; components that are not given are zero."""
        n_given, n_components = code.shape[1], len(self.units)
        code = code / self.units[:n_given]
        if n_given < n_components:
            code = F.pad(code, (0, n_components - n_given))
        return self.output(code)


class PCAStart(Codec):
    """A codec with a linear path beside each half of its network; it starts as PCA.

    What the encoder says is linear(X) + network.encode(X), and the output is
    linear(code) + network.decode(code). X is standardised, and the code starts as that
    of its PCA. Where the encoder gives more numbers than the code has, the linear path
    is beside the first ones.

    Parameters
    ----------
    network : nn.Module
        Has `encode` and `decode`. Its last layers are set to zero if it has a method
        `zero_last_layers`; otherwise gates that start at zero stand behind it.

    start : LinearStart
        Its `output` may be another one than its input.

    loss : Loss
        Its link says on which scale the output is.

    bottleneck : Bottleneck
    """

    def __init__(self, network, start, loss, bottleneck):
        n_components, n_features = len(start.spread), len(start.mean)
        super().__init__(network, n_components, loss, bottleneck)
        self.encoder_path = undrawn(
            nn.Linear, n_features, n_components, bias=False, dtype=torch.float64
        )
        spread = positive_spread(start)
        self.units.copy_(torch.from_numpy(spread))
        n_outputs = len(start.output.mean)
        self.decoder_path = undrawn(
            nn.Linear, n_components, n_outputs, dtype=torch.float64
        )
        if start.components is not None:
            self._set_paths(start, spread, loss)
        self.encoder_gate = self.decoder_gate = None
        if hasattr(network, "zero_last_layers"):
            network.zero_last_layers()
        else:
            n_encoded = bottleneck.n_encoded(n_components)
            self.encoder_gate = nn.Parameter(
                torch.zeros(n_encoded, dtype=torch.float64)
            )
            self.decoder_gate = nn.Parameter(
                torch.zeros(n_outputs, dtype=torch.float64)
            )

    @torch.no_grad()
    def _set_paths(self, start, spread, loss):
        """Make the linear paths PCA, with components of unit variance between them."""
        bias, slope = link_at_mean(start, loss)
        projection = torch.from_numpy(start.components / spread[:, None])
        reconstruction = torch.from_numpy(start.slopes.T * slope[:, None])
        self.encoder_path.weight.copy_(projection)
        self.decoder_path.weight.copy_(reconstruction)
        self.decoder_path.bias.copy_(torch.from_numpy(bias))

    @torch.no_grad()
    def half_whiten(self, start, code_spread=None):
        """Make the spread of the code sqrt(s_1 s_j), s_j being PCA's.

        So large components still count more than small ones, but less than in PCA.

        Parameters
        ----------
        start : LinearStart

        code_spread : ndarray of shape (n_components,), default=None
            Standard deviation of the code in the present units; None if that is PCA's.
        """
        spread = positive_spread(start)
        units = np.sqrt(spread[0] * spread)
        if code_spread is not None:
            before = code_spread / self.units.double().cpu().numpy()
            units = units / np.where(before > 0, before, 1.0)
        self.units.copy_(torch.from_numpy(units))

    def encoded(self, X):
        learnt, linear = self.network.encode(X), self.encoder_path(X)
        if self.encoder_gate is not None:
            learnt = learnt * self.encoder_gate
        if learnt.shape[1] > linear.shape[1]:
            linear = F.pad(linear, (0, learnt.shape[1] - linear.shape[1]))
        return linear + learnt

    def output(self, code):
        learnt = self.network.decode(code)
        if self.decoder_gate is not None:
            learnt = learnt * self.decoder_gate
        return self.decoder_path(code) + learnt


def link_at_mean(start, loss):
    """Return the link at the mean, and its mean slope over one scale to either side."""
    if loss.standardized:
        zero = np.zeros_like(start.output.mean)
        return zero, zero + 1.0
    mean, scale = start.output.mean, start.output.scale
    rise = loss.link(mean + scale) - loss.link(mean - scale)
    return loss.link(mean), rise / 2


def linear_output(start, loss, X, units):
    """Return what a net at `start` makes of a batch of the standardised rows `units`.

    They may be standardised by another mean and scale than those of `start`.
    """
    X_hat = start.reconstruct(X, units)
    if loss.standardized:
        return X_hat
    own, others = start.output, units.output
    bias, slope = link_at_mean(start, loss)
    slope = slope * (others.scale / own.scale)
    bias = bias + slope * (others.mean - own.mean) / others.scale
    return torch.from_numpy(bias).to(X) + torch.from_numpy(slope).to(X) * X_hat
