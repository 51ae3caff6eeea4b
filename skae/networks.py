"""Networks: the pairs of encoder and decoder that are trained.

A network is an `nn.Module` built as ``Network(n_features, n_components, **options)``
with two methods, ``encode(X)`` -> code and ``decode(code)`` -> output. To add one,
write the class and put an entry in `NETWORKS`. Where a bottleneck wants more numbers
from the encoder than the code has, there is an option `n_encoded` that says how many;
where the target has another width than X, an option `n_outputs`; where it has images of
another shape, `ConvAutoencoder` takes that.
"""

import math

import torch
from torch import Tensor, nn

from skae._pyramid import MOST_POSITIONS, pyramid, sizes_after
from skae._runtime import undrawn
from skae._typing import Activation, Sizes

__all__ = [
    "ACTIVATIONS",
    "NETWORKS",
    "ConvAutoencoder",
    "EncoderDecoder",
    "MLPAutoencoder",
    "auto_channels",
    "auto_hidden_layer_sizes",
]

ACTIVATIONS: dict[str, type[nn.Module]] = {
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

    n_encoded : int, default=None
        Width of what `encode` returns; None is that of the code.

    n_outputs : int, default=None
        Width of what `decode` returns; None is that of the input.

    Examples
    --------
    >>> import torch
    >>> from skae.networks import MLPAutoencoder
    >>> network = MLPAutoencoder(n_features=4, n_components=2)
    >>> code = network.encode(torch.zeros(3, 4))
    >>> code.shape, network.decode(code).shape
    (torch.Size([3, 2]), torch.Size([3, 4]))
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        hidden_layer_sizes: Sizes = (128, 128, 64),
        activation: Activation = "silu",
        generator: torch.Generator | None = None,
        *,
        n_encoded: int | None = None,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        widths = list(hidden_layer_sizes)
        inward = [n_features, *widths, n_encoded or n_components]
        outward = [n_components, *widths[::-1], n_outputs or n_features]
        self.encoder = _layers(inward, activation, generator)
        self.decoder = _layers(outward, activation, generator)

    def encode(self, X: Tensor) -> Tensor:
        return self.encoder(X)

    def decode(self, code: Tensor) -> Tensor:
        return self.decoder(code)

    def zero_last_layers(self) -> None:
        """Make code and output zero until training moves them."""
        for layers in (self.encoder, self.decoder):
            nn.init.zeros_(layers[-1].weight)
            nn.init.zeros_(layers[-1].bias)


class EncoderDecoder(nn.Module):
    """An encoder and a decoder that were written apart, as one network.

    Parameters
    ----------
    encoder : nn.Module
        Called with rows, returns codes.

    decoder : nn.Module
        Called with codes, returns outputs.

    Examples
    --------
    >>> import torch
    >>> from skae.networks import EncoderDecoder
    >>> network = EncoderDecoder(torch.nn.Linear(4, 2), torch.nn.Linear(2, 4))
    >>> network.encode(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, X: Tensor) -> Tensor:
        return self.encoder(X)

    def decode(self, code: Tensor) -> Tensor:
        return self.decoder(code)


class ConvAutoencoder(nn.Module):
    """Convolutional encoder, and a decoder that mirrors it, for images and signals.

    Convolutions shrink the image to about 8 x 8 pixels. Two fully connected layers
    follow, the first as wide as all channels of these pixels but at most 1024, the
    second half as wide; then the code. The decoder enlarges by sub-pixel convolutions,
    which start without a checkerboard. Nothing is normalised over a batch.

    Parameters
    ----------
    n_features : int
        Number of pixels times channels. Rows come and go flat.

    n_components : int
        Width of the code.

    hidden_layer_sizes : tuple of int, default=(16, 32)
        Channels after each convolution of the encoder; the decoder has them in reverse.
        ``()`` leaves nothing but one linear layer in each half.

    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, \
            default="silu"
        What follows each hidden layer. Code and output have none.

    generator : torch.Generator, default=None
        Source of the initial weights; None is torch's global generator.

    size : tuple of int, default=None
        Height and width. None is one row of n_features pixels: a signal.

    n_channels : int, default=1
        Channels of the image.

    channels_last : bool, default=False
        Whether a row lists the channels of a pixel side by side.

    n_encoded : int, default=None
        Width of what `encode` returns; None is that of the code.

    n_outputs : int, default=None
        Width of what `decode` returns; None is that of the input. Where `out_size` is
        None too, another width is that of a table, which the fully connected layers
        give alone.

    out_size : tuple of int, default=None
        Height and width of the images that `decode` returns; None is as for the input.

    out_n_channels : int, default=None
        Their channels; None is as for the input.

    out_channels_last : bool, default=None
        Whether they list the channels of a pixel side by side; None is as for the
        input.

    References
    ----------
    Aitken et al. (2017), "Checkerboard artifact free sub-pixel convolution".

    Examples
    --------
    >>> import torch
    >>> from skae.networks import ConvAutoencoder
    >>> network = ConvAutoencoder(n_features=64, n_components=2, size=(8, 8))
    >>> code = network.encode(torch.zeros(3, 64))
    >>> code.shape, network.decode(code).shape
    (torch.Size([3, 2]), torch.Size([3, 64]))
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        hidden_layer_sizes: Sizes = (16, 32),
        activation: Activation = "silu",
        generator: torch.Generator | None = None,
        *,
        size: Sizes | None = None,
        n_channels: int = 1,
        channels_last: bool = False,
        n_encoded: int | None = None,
        n_outputs: int | None = None,
        out_size: Sizes | None = None,
        out_n_channels: int | None = None,
        out_channels_last: bool | None = None,
    ) -> None:
        super().__init__()
        size = (1, n_features) if size is None else tuple(size)
        widths = hidden_layer_sizes
        self.shape = (n_channels, *size)
        self.channels_last = self.out_channels_last = channels_last
        if out_channels_last is not None:
            self.out_channels_last = out_channels_last
        self.gives_images = out_size is not None or n_outputs in (None, n_features)
        stages, last, dense = pyramid(size, n_channels, widths, n_components)
        down = _shrinking(stages, activation, generator)
        inward = [math.prod(last), *dense, n_encoded or n_components]
        if out_size is not None:
            n_channels = out_n_channels or n_channels
            stages, last, dense = pyramid(out_size, n_channels, widths, n_components)
        n_decoded = math.prod(last) if self.gives_images else n_outputs
        outward, up = [n_components, *dense[::-1], n_decoded], []
        if self.gives_images:
            up = _enlarging(stages, last, activation, generator)
        inward = _layers(inward, activation, generator)
        self.encoder = nn.Sequential(*down, nn.Flatten(), *inward)
        self.decoder = nn.Sequential(*_layers(outward, activation, generator), *up)
        self.to(memory_format=torch.channels_last)

    def encode(self, X: Tensor) -> Tensor:
        return self.encoder(self._images(X))

    def _images(self, X):
        """Return flat rows in the shape (n_samples, n_channels, height, width)."""
        n_channels, height, width = self.shape
        if self.channels_last:
            return X.reshape(-1, height, width, n_channels).permute(0, 3, 1, 2)
        X = X.reshape(-1, n_channels, height, width)
        return X.contiguous(memory_format=torch.channels_last)

    def decode(self, code: Tensor) -> Tensor:
        output = self.decoder(code)
        if self.gives_images and self.out_channels_last:
            output = output.permute(0, 2, 3, 1)
        return output.flatten(1)

    def zero_last_layers(self) -> None:
        """Make code and output zero until training moves them."""
        last = [self.encoder[-1], self.decoder[-1]]
        if isinstance(last[1], nn.Unflatten):  # no convolution
            last[1] = self.decoder[-2]
        for layer in last:
            layer = getattr(layer, "conv", layer)
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


class SubPixelConv(nn.Module):
    """A convolution that enlarges: each position gives all pixels of its block.

    Parameters
    ----------
    n_in : int
        Channels of the input.

    n_out : int
        Channels of the output.

    size : tuple of int
        Height and width of the input.

    out_size : tuple of int
        Height and width of the output; what is beyond them is cut off.

    factors : tuple of int
        Height and width of a block.

    generator : torch.Generator, default=None
        Source of the initial weights; None is torch's global generator.

    References
    ----------
    Aitken et al. (2017), "Checkerboard artifact free sub-pixel convolution".
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: Sizes,
        out_size: Sizes,
        factors: Sizes,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.factors, self.out_size = tuple(factors), tuple(out_size)
        n_block = math.prod(factors)
        self.conv = _conv(n_in, n_out * n_block, size, (1, 1), generator)
        with torch.no_grad():  # all pixels of a block start alike
            for parameter in (self.conv.weight, self.conv.bias):
                parameter.copy_(parameter[::n_block].repeat_interleave(n_block, 0))

    def forward(self, X: Tensor) -> Tensor:
        X = self.conv(X)
        n, n_maps, height, width = X.shape
        down, across = self.factors
        n_out = n_maps // (down * across)
        X = X.reshape(n, n_out, down, across, height, width).permute(0, 1, 4, 2, 5, 3)
        X = X.reshape(n, n_out, height * down, width * across)
        return X[:, :, : self.out_size[0], : self.out_size[1]]


def _shrinking(stages, activation, generator):
    """Return the layers of the stages, from an image to its last map."""
    layers = []
    for (n_in, n_out), (before, _), stride in stages:
        conv = _conv(n_in, n_out, before, stride, generator)
        layers += [conv, ACTIVATIONS[activation]()]
    return layers


def _enlarging(stages, last_map, activation, generator):
    """Return the layers that go the way back, from a flat last map to an image."""
    layers = [nn.Unflatten(1, last_map)]
    for (n_in, n_out), (before, after), stride in reversed(stages):
        conv = SubPixelConv(n_out, n_in, after, before, stride, generator)
        layers += [ACTIVATIONS[activation](), conv]
    return layers


def _conv(n_in, n_out, size, stride, generator):
    """Return a convolution that divides the size by the stride, rounding up."""
    kernel = [
        1 if side == 1 else max(3, 2 * step - 1)
        for side, step in zip(size, stride, strict=True)
    ]
    conv = undrawn(
        nn.Conv2d,
        n_in,
        n_out,
        kernel,
        stride=stride,
        padding=[side // 2 for side in kernel],
        dtype=torch.float32,
    )
    conv.n_positions = math.prod(sizes_after(size, [stride])[-1])
    return _with_he_weights(conv, n_in * math.prod(kernel), generator)


def auto_channels(size: Sizes) -> tuple[int, ...]:
    """Return the channels that `hidden_layer_sizes="auto"` stands for.

    (16, 32) for images of up to 40 x 40 pixels; each doubling of the side adds 64.
    """
    channels = [16, 32]
    while math.prod(sizes_after(size, [(2, 2)] * len(channels))[-1]) > MOST_POSITIONS:
        channels.append(64)
    return tuple(channels)


def _layers(sizes, activation, generator):
    """Return linear layers of the given widths with an activation between each two."""
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [_linear(n_in, n_out, generator), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def _linear(n_in, n_out, generator):
    """Return a linear layer with the weights of He et al. (2015), also for its bias."""
    linear = undrawn(nn.Linear, n_in, n_out, dtype=torch.float32)
    return _with_he_weights(linear, n_in, generator)


def _with_he_weights(layer, n_in, generator):
    """Draw the weights of He et al. (2015) for `n_in` inputs, also for the bias."""
    bound = math.sqrt(6 / n_in)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


def auto_hidden_layer_sizes(n_samples: int, n_components: int) -> tuple[int, ...]:
    """Return the widths that `hidden_layer_sizes="auto"` stands for.

    (128, 128, 64), and (256, 256, 128) from 20,000 rows on, which can feed a wider
    network; none below n_components, so that no layer is narrower than the code.
    """
    width = 128 if n_samples < 20_000 else 256
    return tuple(max(size, n_components) for size in (width, width, width // 2))


class Encoder(nn.Module):
    """The trained encoder as a module of its own: data in, code out.

    Images are flattened; their pixels are in [0, 1] where `fit` saw a dtype of pixels.
    """

    def __init__(self, module: nn.Module, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, X: Tensor) -> Tensor:
        X = (X.flatten(1) - self.mean) / self.scale
        return self.module.encode(X) * self.scale


class Decoder(nn.Module):
    """The trained decoder as a module of its own: code in, data out.

    `code_scale` is the scale of the encoder, `mean` and `scale` are those of the
    output.
    """

    def __init__(
        self,
        module: nn.Module,
        code_scale: Tensor,
        mean: Tensor,
        scale: Tensor,
        row_shape: Sizes,
    ) -> None:
        super().__init__()
        self.module = module
        self.row_shape = row_shape
        self.register_buffer("code_scale", code_scale)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, code: Tensor) -> Tensor:
        loss = self.module.loss
        X_hat = loss.inverse_link(self.module.decode(code / self.code_scale))
        X_hat = X_hat * self.scale + self.mean if loss.standardized else X_hat
        return X_hat.unflatten(1, self.row_shape)


NETWORKS: dict[str, type[nn.Module]] = {"mlp": MLPAutoencoder, "conv": ConvAutoencoder}
