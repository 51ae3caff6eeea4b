"""Loss and gradients of a fully connected autoencoder, without autograd.

On small networks autograd's book-keeping, and an optimizer that visits every weight
matrix, take longer than the arithmetic. Here all parameters lie in one tensor and the
backward pass is written out. `tests/test_step.py` holds it to autograd's answer.
"""

import math

import torch
from torch import nn

from skae._fitting.rates import FIRST_LAYER, PATH

# (gradient of the output, input, output) -> gradient of the input
_aten = torch.ops.aten
BACKWARD = {
    nn.SiLU: lambda grad, x, y: _aten.silu_backward(grad, x),
    nn.GELU: lambda grad, x, y: _aten.gelu_backward(grad, x),
    nn.ReLU: lambda grad, x, y: _aten.threshold_backward(grad, x, 0),
    nn.Tanh: lambda grad, x, y: _aten.tanh_backward(grad, y),
    nn.Sigmoid: lambda grad, x, y: _aten.sigmoid_backward(grad, y),
    nn.Identity: lambda grad, x, y: grad,
}


class MLPStep:
    """Computes the loss of a batch and the gradients of all parameters.

    The parameters of the layers become views of one flat tensor, and their gradients
    of another, until `release` gives them tensors of their own again.

    Parameters
    ----------
    encoder, decoder : nn.Sequential
        Linear layers with an activation between each two, at least two layers each.

    paths : tuple of nn.Linear, default=None
        Beside the encoder (without bias) and beside the decoder. Each costs no matrix
        product of its own: the first shares its input with the first layer of the
        encoder, the second its output with the last layer of the decoder.

    loss : Loss

    is_split : bool, default=False
        Whether weights that X is multiplied by are parameters apart, so that they can
        have a learning rate of their own.

    Attributes
    ----------
    parameters : nn.Parameter of shape (n_parameters,)
        All (other) parameters, with their gradients in ``parameters.grad``.
    """

    def __init__(self, encoder, decoder, paths, loss, *, is_split=False):
        self.loss = loss
        self.has_paths = paths is not None
        self.n_encoder_layers = len(encoder[::2])
        self.activation = encoder[1]
        self.activation_backward = BACKWARD[type(encoder[1])]
        layers = [*encoder[::2], *decoder[::2]]
        first, last = layers[0], layers[-1]
        self.n_components = encoder[-1].out_features
        n_beside = self.n_components if self.has_paths else 0

        self._flat = first.weight.new_zeros(2, _n_parameters(layers, paths))
        self._n_used = 0
        self._placed = []

        self.weights, self.biases = [], []  # of each layer, each with its gradient
        for layer in layers:
            n_out, n_in = layer.weight.shape
            n_out += n_beside if layer is first else 0
            n_in += n_beside if layer is last else 0
            self.weights.append(self._carve(n_out, n_in))
            self.biases.append(self._carve(n_out))
        for layer, weight, bias in zip(layers, self.weights, self.biases, strict=True):
            n_out, n_in = layer.weight.shape
            self._place(layer, "weight", [part[:n_out, :n_in] for part in weight])
            self._place(layer, "bias", [part[:n_out] for part in bias])
        if self.has_paths:
            n_out, n_in = first.out_features, last.in_features
            beside = [part[n_out:] for part in self.weights[0]]
            self._place(paths[0], "weight", beside)
            beside = [part[:, n_in:] for part in self.weights[-1]]
            self._place(paths[1], "weight", beside)
            self._path_bias = self._carve(last.out_features)
            self._place(paths[1], "bias", self._path_bias)
        self._named = self._parted(is_split, *first.weight.shape)
        self.parameters = self._named[0][1]
        self._hand_out_gradients()

    def _parted(self, is_split, n_hidden, n_features):
        """Return names, parameters and gradients: all in one, or what sees X apart."""
        shapes = {}
        if is_split:  # in this order they were carved
            shapes[FIRST_LAYER] = n_hidden, n_features
            shapes[PATH] = self.n_components * self.has_paths, n_features
        found, start = {}, 0
        for name, shape in shapes.items():
            stop = start + math.prod(shape)
            found[name] = [flat[start:stop].view(shape) for flat in self._flat]
            start = stop
        found = {"parameters": [flat[start:] for flat in self._flat], **found}
        named = []
        for name, (value, gradient) in found.items():
            if value.numel():
                named.append((name, nn.Parameter(value), gradient))
        return named

    def named_parameters(self):
        """Return names and parameters, as a solver gets them."""
        return [(name, parameter) for name, parameter, _ in self._named]

    def _carve(self, *shape):
        """Return the next piece of the flat parameters and that of the gradients."""
        start, self._n_used = self._n_used, self._n_used + math.prod(shape)
        return [flat[start : self._n_used].view(shape) for flat in self._flat]

    def _place(self, layer, name, views):
        """Make a parameter and its gradient views of the flat tensors."""
        parameter = getattr(layer, name)
        value, gradient = views
        value.copy_(parameter.detach())
        parameter.data, parameter.grad = value, gradient
        self._placed.append((parameter, value, gradient))

    def release(self):
        """Give all parameters tensors of their own."""
        for parameter, *_ in self._placed:
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
            parameter.grad = None

    @torch.no_grad()
    def take_over(self, of_gradients=False):
        """Take over weights, or gradients, that a callback has exchanged for others."""
        for parameter, value, gradient in self._placed:
            is_frozen = of_gradients and parameter.grad is None
            if is_frozen or not parameter.requires_grad:
                raise ValueError(
                    "A callback has frozen weights, which the default solver does not "
                    "see: its weights lie in one tensor. Freeze them by Freezer of "
                    "skorch.callbacks, or pass solver=torch.optim.AdamW."
                )
            if of_gradients and parameter.grad.data_ptr() != gradient.data_ptr():
                gradient.copy_(parameter.grad)
            if parameter.data_ptr() != value.data_ptr():
                value.copy_(parameter.data)
            parameter.data, parameter.grad = value, gradient

    @torch.no_grad()
    def __call__(self, X, target, sample_weight):
        """Return the mean loss and the output of a batch; set all gradients."""
        inputs, sums = self._forward(X)
        loss, gradient = self.loss.with_gradient(sums[-1], target, sample_weight)
        self._backward(inputs, sums, gradient)
        self._hand_out_gradients()  # a callback may have taken them away
        return loss, sums[-1]

    def _hand_out_gradients(self):
        """Give each parameter its gradient."""
        for _, parameter, gradient in self._named:
            parameter.grad = gradient

    def _forward(self, X):
        """Return the input of each layer and what it makes of it."""
        inputs, sums, x, last = [], [], X, len(self.weights) - 1
        code = beside = None
        for i, ((weight, _), (bias, _)) in enumerate(
            zip(self.weights, self.biases, strict=True)
        ):
            if i == self.n_encoder_layers:
                code = x = x + beside if self.has_paths else x
            elif i > 0:
                x = self.activation(x)
            if i == last and self.has_paths:
                x, bias = torch.cat([x, code], 1), bias + self._path_bias[0]
            inputs.append(x)
            x = torch.addmm(bias, x, weight.t())
            if i == 0 and self.has_paths:
                n_hidden = len(weight) - self.n_components
                x, beside = x[:, :n_hidden], x[:, n_hidden:]
            sums.append(x)
        return inputs, sums

    def _backward(self, inputs, sums, gradient):
        """Set the gradients of all parameters from that of the output."""
        last, beside = len(inputs) - 1, None
        for i in range(last, -1, -1):
            if i == 0 and self.has_paths:
                gradient = torch.cat([gradient, beside], 1)
            weight, weight_gradient = self.weights[i]
            torch.mm(gradient.t(), inputs[i], out=weight_gradient)
            torch.sum(gradient, 0, out=self.biases[i][1])
            if i == 0:
                break
            gradient = torch.mm(gradient, weight)
            x, n_hidden = inputs[i], sums[i - 1].shape[1]
            if i == last and self.has_paths:
                gradient, beside = gradient[:, :n_hidden], gradient[:, n_hidden:]
                x = x[:, :n_hidden]
                self._path_bias[1].copy_(self.biases[i][1])
            if i != self.n_encoder_layers:
                gradient = self.activation_backward(gradient, sums[i - 1], x)
            elif self.has_paths:  # the code, which both paths touch
                gradient = beside = gradient + beside
        if self.has_paths:  # there is no bias beside the first layer
            self.biases[0][1][sums[0].shape[1] :] = 0


def _n_parameters(layers, paths):
    """Count all parameters, and a bias for the path beside the first layer."""
    modules = [*layers, *(paths or [])]
    count = sum(p.numel() for module in modules for p in module.parameters())
    return count + (paths[0].out_features if paths else 0)
