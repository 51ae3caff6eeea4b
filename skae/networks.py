"""Networks: the pairs of encoder and decoder that are trained.

A network is an `nn.Module` built as ``Network(n_features, n_components, **options)``
with two methods, ``encode(X)`` -> code and ``decode(code)`` -> output. To add one,
write the class and put an entry in `NETWORKS`.
"""

import math

import torch
from torch import nn

__all__ = ["ACTIVATIONS", "NETWORKS", "MLPAutoencoder", "auto_hidden_layer_sizes"]

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


class MLPAutoencoder(nn.Module):
    """Fully connected encoder, and a decoder that mirrors it.

    Parameters
    ----------
    n_features : int
        Width of the input and of the output.

    n_components : int
        Width of the code.

    hidden_layer_sizes : tuple of int, default=(128, 128, 64)
        Widths of the encoder's hidden layers; the decoder has them in reverse.

    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, \
            default="silu"
        What follows each hidden layer. Code and output have none.

    generator : torch.Generator, default=None
        Source of the initial weights; None is torch's global generator.
    """

    def __init__(
        self,
        n_features,
        n_components,
        hidden_layer_sizes=(128, 128, 64),
        activation="silu",
        generator=None,
    ):
        super().__init__()
        sizes = [n_features, *hidden_layer_sizes, n_components]
        self.encoder = _layers(sizes, activation, generator)
        self.decoder = _layers(sizes[::-1], activation, generator)

    def encode(self, X):
        return self.encoder(X)

    def decode(self, code):
        return self.decoder(code)

    def zero_last_layers(self):
        """Make code and output zero until training moves them."""
        for layers in (self.encoder, self.decoder):
            nn.init.zeros_(layers[-1].weight)
            nn.init.zeros_(layers[-1].bias)


def _layers(sizes, activation, generator):
    """Return linear layers of the given widths with an activation between each two."""
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [_linear(n_in, n_out, generator), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def _linear(n_in, n_out, generator):
    """Return a linear layer with the weights of He et al. (2015), also for its bias."""
    linear = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=torch.float32)
    bound = math.sqrt(6 / n_in)
    nn.init.uniform_(linear.weight, -bound, bound, generator=generator)
    nn.init.uniform_(linear.bias, -bound, bound, generator=generator)
    return linear


def auto_hidden_layer_sizes(n_samples, n_components):
    """Return the widths that `hidden_layer_sizes="auto"` stands for.

    (128, 128, 64), and (256, 256, 128) from 20,000 rows on, which can feed a wider
    network; none below n_components, so that no layer is narrower than the code.
    """
    width = 128 if n_samples < 20_000 else 256
    return tuple(max(size, n_components) for size in (width, width, width // 2))


class Encoder(nn.Module):
    """The trained encoder as a module of its own: data in, code out."""

    def __init__(self, module, mean, scale):
        super().__init__()
        self.module = module
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, X):
        return self.module.encode((X - self.mean) / self.scale) * self.scale


class Decoder(nn.Module):
    """The trained decoder as a module of its own: code in, data out."""

    def __init__(self, module, mean, scale, loss):
        super().__init__()
        self.module = module
        self.loss = loss
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, code):
        X_hat = self.loss.inverse_link(self.module.decode(code / self.scale))
        return X_hat * self.scale + self.mean if self.loss.standardized else X_hat


NETWORKS = {"mlp": MLPAutoencoder}
