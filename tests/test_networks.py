"""Networks have the layers asked for, and weights drawn from the stream given."""

import math

import pytest
import torch
from torch import nn

from skae._runtime import count_products
from skae.networks import (
    ACTIVATIONS,
    NETWORKS,
    ConvAutoencoder,
    MLPAutoencoder,
    SubPixelConv,
    auto_channels,
    auto_hidden_layer_sizes,
)

X = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))


def seeded(seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return MLPAutoencoder(10, 3, generator=generator, **options)


def widths(layers):
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return [linear[0].in_features, *(layer.out_features for layer in linear)]


def forward(network, X):
    return network.decode(network.encode(X))


# Contract of every network


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("n_features", "n_components"), [(10, 3), (1, 1), (2, 5)])
def test_networks_encode_and_decode(name, n_features, n_components):
    network = NETWORKS[name](n_features, n_components)
    code = network.encode(torch.zeros(6, n_features))
    assert code.shape == (6, n_components)
    assert network.decode(code).shape == (6, n_features)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_encode_no_rows(name):
    assert NETWORKS[name](10, 3).encode(X[:0]).shape == (0, 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_decode_no_rows(name):
    assert NETWORKS[name](10, 3).decode(X[:0, :3]).shape == (0, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_same_generator_gives_same_weights(name):
    states = [
        NETWORKS[name](10, 3, generator=torch.Generator().manual_seed(7)).state_dict()
        for _ in range(2)
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_global_generator_is_untouched(name):
    before = torch.get_rng_state()
    NETWORKS[name](10, 3, generator=torch.Generator().manual_seed(7))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_do_not_follow_the_default_dtype(name):
    torch.set_default_dtype(torch.float64)
    try:
        network = NETWORKS[name](10, 3)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", NETWORKS)
def test_zero_last_layers_makes_code_and_output_zero(name):
    network = NETWORKS[name](10, 3)
    network.zero_last_layers()
    assert not network.encode(X).any()
    assert not network.decode(X[:, :3]).any()


# MLPAutoencoder


@pytest.mark.parametrize("sizes", [(), (8,), (8, 4), (4, 16, 2)])
def test_decoder_mirrors_encoder(sizes):
    network = seeded(hidden_layer_sizes=sizes)
    assert widths(network.encoder) == [10, *sizes, 3]
    assert widths(network.decoder) == [3, *sizes[::-1], 10]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_follows_each_hidden_layer(activation):
    network = seeded(hidden_layer_sizes=(8, 4), activation=activation)
    kinds = [type(layer) for layer in network.encoder]
    kind = ACTIVATIONS[activation]
    assert kinds == [nn.Linear, kind, nn.Linear, kind, nn.Linear]


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda h: h.clamp(min=0)),
        ("tanh", lambda h: (h.exp() - (-h).exp()) / (h.exp() + (-h).exp())),
        ("logistic", lambda h: 1 / (1 + (-h).exp())),
        ("identity", lambda h: h),
        ("silu", lambda h: h / (1 + (-h).exp())),
        ("gelu", lambda h: h * (1 + torch.erf(h / 2**0.5)) / 2),
    ],
)
def test_activation_is_its_formula(activation, function):
    network = seeded(hidden_layer_sizes=(8,), activation=activation)
    first, _, last = network.encoder
    torch.testing.assert_close(network.encode(X), last(function(first(X))))


def test_no_hidden_layer_is_linear():
    network = seeded(hidden_layer_sizes=())
    middle = forward(network, (X[:3] + X[3:]) / 2)
    torch.testing.assert_close(
        middle, (forward(network, X[:3]) + forward(network, X[3:])) / 2
    )


def test_identity_is_linear_whatever_the_depth():
    network = seeded(hidden_layer_sizes=(8, 4), activation="identity")
    middle = forward(network, (X[:3] + X[3:]) / 2)
    torch.testing.assert_close(
        middle, (forward(network, X[:3]) + forward(network, X[3:])) / 2
    )


def test_other_seed_gives_other_weights():
    weights = [seeded(seed).encoder[0].weight for seed in (0, 1)]
    assert not torch.equal(*weights)


def test_weights_spread_like_those_of_he_et_al():
    ours = MLPAutoencoder(100, 3, (400,), generator=torch.Generator().manual_seed(0))
    bound = 0.06**0.5  # 6 / 100
    for weight in (ours.encoder[0].weight, ours.encoder[0].bias):
        assert 0.95 * bound < weight.abs().max() <= bound
        assert abs(weight.std() - 0.02**0.5) < 0.01  # a variance of 2 / n_in


def test_weights_are_drawn_as_torch_draws_those_of_he_et_al():
    generator = torch.Generator().manual_seed(0)
    expected = torch.empty(8, 10)
    nn.init.kaiming_uniform_(expected, nonlinearity="relu", generator=generator)
    assert torch.equal(seeded(hidden_layer_sizes=(8,)).encoder[0].weight, expected)


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_signal_keeps_its_size_through_many_layers(activation):
    network = seeded(hidden_layer_sizes=(100,) * 6, activation=activation)
    hidden = network.encoder[:-1](torch.randn(200, 10))
    assert 0.1 < hidden.std() < 10


@pytest.mark.parametrize(
    ("n_samples", "n_components", "sizes"),
    [
        (10, 2, (128, 128, 64)),
        (19_999, 64, (128, 128, 64)),
        (20_000, 2, (256, 256, 128)),
        (1000, 100, (128, 128, 100)),
        (1000, 200, (200, 200, 200)),
        (10**6, 200, (256, 256, 200)),
    ],
)
def test_auto_widths(n_samples, n_components, sizes):
    assert auto_hidden_layer_sizes(n_samples, n_components) == sizes


def test_default_widths_are_those_of_few_rows():
    assert widths(seeded().encoder) == [10, *auto_hidden_layer_sizes(1000, 3), 3]


@pytest.mark.parametrize("n_samples", [10, 1000, 10**6])
@pytest.mark.parametrize("n_components", [2, 64, 500])
def test_auto_widths_are_never_below_the_code(n_samples, n_components):
    sizes = auto_hidden_layer_sizes(n_samples, n_components)
    assert min(sizes) >= n_components
    assert all(isinstance(size, int) for size in sizes)


# ConvAutoencoder


def conv(size, n_channels=1, n_components=3, *, seed=0, **options):
    """Return a network of few channels for images of that size, in float64."""
    options = {"hidden_layer_sizes": (2, 3)} | options
    return ConvAutoencoder(
        n_channels * math.prod(size),
        n_components,
        size=size,
        n_channels=n_channels,
        generator=torch.Generator().manual_seed(seed),
        **options,
    ).double()


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def convolutions(network):
    """Return the layers of the encoder before the map is flattened."""
    kinds = [type(layer) for layer in network.encoder]
    return network.encoder[: kinds.index(nn.Flatten)]


def sizes_of_maps(network, size, n_channels=1):
    """Return the height and width behind each convolution of the encoder."""
    X, sizes = random(1, n_channels, *size), []
    for layer in convolutions(network):
        X = layer(X)
        if isinstance(layer, nn.Conv2d):
            sizes.append(tuple(X.shape[2:]))
    return sizes


SIZES = [
    (28, 28),
    (33, 28),
    (28, 33),
    (7, 5),
    (8, 9),
    (64, 10),
    (1, 1),
    (1, 9),
    (1, 1000),
    (9, 1),
    (2, 100),
]


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("sizes", [(), (2, 3)])
@pytest.mark.parametrize("size", SIZES)
def test_images_of_any_size_are_encoded_and_decoded(
    size, sizes, channels_last, n_channels
):
    network = conv(
        size, n_channels, hidden_layer_sizes=sizes, channels_last=channels_last
    )
    X = random(4, n_channels * math.prod(size))
    code = network.encode(X)
    assert code.shape == (4, 3)
    assert network.decode(code).shape == X.shape


def test_large_coloured_images_are_encoded_and_decoded():
    network = conv((224, 224), 3, hidden_layer_sizes=(2, 2))
    X = random(1, 3 * 224 * 224)
    assert forward(network, X).shape == X.shape


def test_no_size_is_a_signal():
    signal, image = (
        ConvAutoencoder(30, 3, size=size, generator=torch.Generator().manual_seed(0))
        for size in (None, (1, 30))
    )
    rows = torch.randn(4, 30)
    assert torch.equal(forward(signal, rows), forward(image, rows))


@pytest.mark.parametrize("size", [(28, 28), (7, 5), (1, 9)])
def test_channels_last_is_channels_first_of_permuted_pixels(size):
    first, last = (conv(size, 3, channels_last=order) for order in (False, True))
    X = random(4, 3, *size)
    rows = X.flatten(1), X.permute(0, 2, 3, 1).flatten(1)
    codes = first.encode(rows[0]), last.encode(rows[1])
    torch.testing.assert_close(*codes)
    decoded = last.decode(codes[1]).unflatten(1, (*size, 3)).permute(0, 3, 1, 2)
    torch.testing.assert_close(first.decode(codes[0]), decoded.flatten(1))


@pytest.mark.parametrize("channels_last", [False, True])
def test_row_does_not_depend_on_the_others(channels_last):
    network = conv((33, 28), 2, channels_last=channels_last)
    X = random(5, 2 * 33 * 28)
    alone = torch.cat([forward(network, row[None]) for row in X])
    torch.testing.assert_close(forward(network, X), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sizes", [(), (4,), (4, 5, 6)])
def test_convolutional_decoder_mirrors_encoder(sizes):
    network, channels = conv((28, 28), 3, hidden_layer_sizes=sizes), [3, *sizes]
    down = [layer for layer in network.encoder if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in network.decoder if isinstance(layer, SubPixelConv)]
    assert [layer.in_channels for layer in down] == channels[:-1]
    assert [layer.out_channels for layer in down] == channels[1:]
    assert [layer.conv.in_channels for layer in up] == channels[:0:-1]
    blocks = [layer.conv.out_channels // math.prod(layer.factors) for layer in up]
    assert blocks == channels[-2::-1]
    assert widths(network.decoder) == widths(network.encoder)[::-1]


@pytest.mark.parametrize("sizes", [(2,), (3, 2, 4)])
@pytest.mark.parametrize("size", SIZES)
def test_decoder_goes_through_the_sizes_of_the_encoder(size, sizes):
    network = conv(size, hidden_layer_sizes=sizes)
    X, seen = network.decoder[0](random(1, 3)), []
    for layer in network.decoder[1:]:
        X = layer(X)
        if isinstance(layer, SubPixelConv):
            seen.append(tuple(X.shape[2:]))
    assert seen == [*sizes_of_maps(network, size)[-2::-1], size]


def test_convolutions_alone_are_linear_without_a_hidden_layer():
    network = conv((7, 5), hidden_layer_sizes=())
    X = random(6, 35)
    middle = forward(network, (X[:3] + X[3:]) / 2)
    torch.testing.assert_close(
        middle, (forward(network, X[:3]) + forward(network, X[3:])) / 2
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_follows_each_convolution(activation):
    network, kind = conv((28, 28), activation=activation), ACTIVATIONS[activation]
    encoder, decoder = network.encoder, network.decoder
    for half, layers in ((encoder, nn.Conv2d), (decoder, SubPixelConv)):
        places = [i for i, layer in enumerate(half) if isinstance(layer, layers)]
        step = 1 if half is encoder else -1
        assert [type(half[i + step]) for i in places] == [kind, kind]


# Sizes of the maps


@pytest.mark.parametrize(
    ("size", "n_stages", "expected"),
    [
        ((28, 28), 2, [(14, 14), (7, 7)]),
        ((33, 28), 2, [(17, 14), (9, 7)]),
        ((40, 40), 2, [(20, 20), (10, 10)]),
        ((7, 5), 2, [(7, 5), (7, 5)]),
        ((8, 5), 2, [(4, 5), (4, 5)]),
        ((1, 30), 2, [(1, 15), (1, 8)]),
        ((1, 1), 1, [(1, 1)]),
        ((64, 64), 3, [(32, 32), (16, 16), (8, 8)]),
    ],
)
def test_stages_halve_sides_of_8_or_more(size, n_stages, expected):
    network = conv(size, hidden_layer_sizes=(2,) * n_stages)
    assert sizes_of_maps(network, size) == expected


@pytest.mark.parametrize("n_stages", [1, 2])
@pytest.mark.parametrize("size", [(1000, 7), (1000, 1), (5, 3000)])
def test_sides_below_8_are_never_shrunk(size, n_stages):
    network = conv(size, hidden_layer_sizes=(1,) * n_stages)
    short = min((0, 1), key=lambda axis: size[axis])
    assert sizes_of_maps(network, size)[-1][short] == size[short]


@pytest.mark.parametrize("n_stages", [1, 2, 3])
@pytest.mark.parametrize(
    "size", [*SIZES, (224, 224), (512, 300), (1000, 7), (3, 2000), (1, 10_000)]
)
def test_at_most_100_positions_are_left(size, n_stages):
    network = conv(size, hidden_layer_sizes=(1,) * n_stages)
    assert 1 <= math.prod(sizes_of_maps(network, size)[-1]) <= 100


def test_every_pixel_reaches_the_code():
    # A step that is larger than the kernel would skip pixels.
    network = conv((224, 224), hidden_layer_sizes=(2, 2))
    X = random(1, 224 * 224).requires_grad_()
    network.encode(X).sum().backward()
    assert (X.grad != 0).all()


@pytest.mark.parametrize(
    ("size", "channels"),
    [
        ((1, 1), (16, 32)),
        ((28, 28), (16, 32)),
        ((40, 40), (16, 32)),
        ((41, 41), (16, 32, 64)),
        ((80, 80), (16, 32, 64)),
        ((81, 81), (16, 32, 64, 64)),
        ((224, 224), (16, 32, 64, 64, 64)),
        ((1, 400), (16, 32)),
        ((1, 401), (16, 32, 64)),
        ((100, 16), (16, 32)),
    ],
)
def test_auto_channels(size, channels):
    assert auto_channels(size) == channels


@pytest.mark.parametrize("size", [(28, 28), (65, 65), (200, 300), (1, 1000)])
def test_auto_channels_halve_down_to_at_most_100_positions(size):
    channels = auto_channels(size)
    network = conv(size, hidden_layer_sizes=(1,) * len(channels))
    maps = [size, *sizes_of_maps(network, size)]
    assert all(
        after[i] == -(-before[i] // 2) or before[i] < 8
        for before, after in zip(maps[:-1], maps[1:], strict=True)
        for i in (0, 1)
    )


@pytest.mark.parametrize(
    ("size", "channels", "n_components", "widest"),
    [
        ((28, 28), (4, 5), 3, 5 * 49),
        ((28, 28), (16, 32), 3, 1024),
        ((1, 1), (1, 1), 3, 3),
        ((7, 5), (1, 1), 60, 60),
    ],
)
def test_first_layer_after_the_convolutions_is_as_wide_as_their_map(
    size, channels, n_components, widest
):
    network = conv(size, 1, n_components, hidden_layer_sizes=channels)
    _, *dense, n_out = widths(network.encoder)
    assert dense[0] == widest
    assert n_out == n_components
    assert min(dense) >= n_components


# What convolutions are for


def test_convolutions_move_with_the_image():
    network, size = conv((32, 32)), (32, 32)
    X = random(2, 1, *size)
    maps, moved = (convolutions(network)(x) for x in (X, X.roll((4, 8), (2, 3))))
    assert maps.shape[2:] == (8, 8)  # a position is four pixels
    expected = maps.roll((1, 2), (2, 3))
    torch.testing.assert_close(moved[:, :, 2:-1, 3:-1], expected[:, :, 2:-1, 3:-1])


def test_convolutions_have_as_many_weights_for_large_images_as_for_small_ones():
    counts = [
        [weight.numel() for weight in convolutions(conv(size)).parameters()]
        for size in ((28, 28), (40, 33))
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("size", [*SIZES, (224, 224)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_decoder_starts_without_a_checkerboard(size, n_channels):
    network = conv(size, n_channels)
    for layer in network.decoder:
        if not isinstance(layer, SubPixelConv):
            continue
        down, across = layer.factors
        height, width = layer.out_size
        X = layer(
            random(2, layer.conv.in_channels, -(-height // down), -(-width // across))
        )
        first = X[:, :, ::down, ::across]
        blocks = first.repeat_interleave(down, 2).repeat_interleave(across, 3)
        assert X.shape[2:] == (height, width)
        torch.testing.assert_close(X, blocks[:, :, :height, :width])
        assert first.std() > 0


def test_sub_pixel_convolution_puts_channels_side_by_side():
    layer = SubPixelConv(6, 1, (2, 2), (4, 6), (2, 3), None).double()
    with torch.no_grad():  # passes its six channels on
        layer.conv.weight.zero_()
        layer.conv.weight[range(6), range(6), 1, 1] = 1
        layer.conv.bias.zero_()
    X = random(1, 6, 2, 2)
    block = layer(X)[0, 0, 2:, 3:]
    torch.testing.assert_close(block, X[0, :, 1, 1].reshape(2, 3))


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_image_keeps_its_size_through_convolutions(activation):
    network = conv((28, 28), 3, hidden_layer_sizes=(16, 32), activation=activation)
    output = forward(network, random(20, 3 * 28 * 28))
    assert 0.1 < output.std() < 10


def count_by_hand(network, n_features):
    """Return the products that forward hooks see in encoding and decoding one row."""
    counts = []

    def hook(layer, inputs, output):
        n_positions = math.prod(output.shape[2:])
        counts.append(n_positions * sum(w.numel() for w in layer.parameters()))

    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.register_forward_hook(hook)
    forward(network, random(1, n_features))
    return sum(counts)


@pytest.mark.parametrize("sizes", [(), (2,), (2, 3), (3, 2, 4)])
@pytest.mark.parametrize("size", SIZES)
def test_products_are_counted(size, sizes):
    network = conv(size, 2, hidden_layer_sizes=sizes)
    assert count_products(network) == count_by_hand(network, 2 * math.prod(size))


@pytest.mark.parametrize("sizes", [(), (2, 3)])
def test_zero_last_layers_make_code_and_image_zero(sizes):
    network = conv((7, 5), 3, hidden_layer_sizes=sizes)
    network.zero_last_layers()
    assert not network.encode(random(4, 105)).any()
    assert not network.decode(random(4, 3)).any()


@pytest.mark.parametrize("sizes", [(), (2, 3)])
def test_only_last_layers_are_made_zero(sizes):
    network = conv((7, 5), 3, hidden_layer_sizes=sizes)
    network.zero_last_layers()
    zero = [weight for weight in network.parameters() if not weight.any()]
    assert len(zero) == 4  # a weight and a bias in each half
