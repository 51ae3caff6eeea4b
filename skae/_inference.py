"""What a fitted estimator computes of rows: codes, reconstructions and errors."""

import numpy as np
import torch

from skae._data.intake import read_rows
from skae._fitting.start import fit_mean
from skae._runtime import choose_threads, in_halves, inference_modes, torch_threads

__all__ = [
    "codes_between",
    "encode",
    "map_rows",
    "output",
    "output_shape",
    "reconstruct",
    "residual",
    "squared_sums",
]


def encode(estimator, X):
    """Return codes as an array, whatever `set_output` asks for."""
    rows = read_rows(estimator, X)
    code = np.empty((len(rows), estimator.n_components_), rows.dtype)
    map_rows(estimator, lambda module, x, target: module.encode(x), rows, out=code)
    code *= estimator.scale_
    return code


def codes_between(a, b, n_steps):
    """Return codes of shape (n_samples, n_steps, n_components), both ends included."""
    if len(a) != len(b):
        raise ValueError(
            f"X_a has {len(a)} rows, but X_b has {len(b)}; each row of X_a needs the "
            "row of X_b to go to."
        )
    share = np.linspace(0, 1, n_steps, dtype=a.dtype)[None, :, None]
    return a[:, None] * (1 - share) + b[:, None] * share


def map_rows(estimator, function, rows, out, finish=lambda result: result):
    """Write ``function(module, X, target)`` of each batch of rows into `out`.

    `finish` turns the array of a batch into what is written.
    """
    net, module = estimator.net_, estimator.net_.module_
    is_double = rows.dtype == "float64" and not rows.has_few_digits()
    if is_double and net.dtype() == "float32" and net.has_float64():
        module = net.exact_module()
    else:
        target = rows.target and rows.target.copy(dtype=net.dtype())
        rows = rows.copy(dtype=net.dtype(), target=target)
    blocks = rows.blocks(width=estimator.n_features_in_)
    work = 2 * net.n_products() * min(blocks.batch_size, len(rows))
    n_threads = choose_threads(estimator.n_jobs, work)

    def computed(x, target):
        return function(module, x.to(net.device), target.to(net.device)).cpu()

    start = 0
    with inference_modes(), torch_threads(n_threads):
        for x, (target, _) in blocks:
            result = in_halves(computed, x, target)
            part = out[start : start + len(x)]
            part[:] = finish(result.numpy()).reshape(part.shape)
            start += len(x)
    return out


def reconstruct(estimator, function, rows, as_float, clip):
    """Return the output that ``function(module, X)`` computes, in data space."""
    loss, dtype = estimator.net_.criterion_, np.dtype(rows.dtype)
    compared, form = estimator._start.output, estimator._target_form
    mean, scale = compared.mean.astype(dtype), dtype.type(compared.scale)
    white = form.white_of(form.dtype) if form.is_image else None
    low, high = (dtype.type(end / (white or 1)) for end in estimator._seen[-2:])

    def finish(X_hat):
        X_hat = X_hat.astype(dtype, copy=False)
        if loss.standardized:
            X_hat = X_hat * scale + mean
        if clip:
            X_hat = np.clip(X_hat, low, high)
        return X_hat if as_float else form.restore(X_hat)

    return map_rows(
        estimator,
        lambda module, x, target: loss.inverse_link(function(module, x)),
        rows,
        out=np.empty(
            (len(rows), *output_shape(estimator)),
            dtype if as_float else form.result_dtype(dtype),
        ),
        finish=finish,
    )


def output_shape(estimator):
    """Return the shape of a row of what `fit` was to reconstruct."""
    return estimator._target_form.row_shape


def residual(estimator, module, x, target):
    """Return reconstruction minus data, in standardised units."""
    loss, found = estimator.net_.criterion_, output(module, x)
    if loss.standardized:
        return found - target
    return (loss.inverse_link(found) - target) / estimator._start.output.scale


def squared_sums(estimator, rows, weight):
    """Return weighted sums over all cells: squared errors, and squared deviations."""
    compared, loss = rows.output, estimator.net_.criterion_
    copied = compared.copy(sample_weight=weight, dtype="float64")
    mean = fit_mean(copied.copy(standardized_target=True))
    shift = torch.from_numpy(compared.mean)

    def squares(module, x, target):
        error = residual(estimator, module, x, target).square().sum(1)
        if not loss.standardized:
            target = (target - shift.to(target)) / compared.scale
        return torch.stack([error, (target - mean.to(target)).square().sum(1)], 1)

    sums = map_rows(estimator, squares, rows, out=np.empty((len(rows), 2)))
    with np.errstate(invalid="ignore"):  # rows beyond what squares can hold
        return weight @ sums


def output(module, x):
    """Return what a module decodes of its own codes."""
    return module.decode(module.encode(x))
