"""Networks have the layers asked for, and weights drawn from the stream given."""

import pytest
import torch
from torch import nn

from skae.networks import ACTIVATIONS, NETWORKS, MLPAutoencoder, auto_hidden_layer_sizes

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
