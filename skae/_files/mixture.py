"""A fitted GaussianMixture as plain facts and arrays, and back."""

import numpy as np
from sklearn.mixture import GaussianMixture

from skae._files.parameters import encode
from skae._files.schema import (
    BOOL,
    COUNT,
    FLOAT,
    INDEX,
    SchemaError,
    check,
    check_array,
    check_finite,
)

__all__ = ["describe_mixture", "restore_mixture"]

ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
FACTS = {
    "converged_": BOOL,
    "n_iter_": INDEX,
    "lower_bound_": FLOAT,
    "n_features_in_": COUNT,
}
ROUNDING = 1e-6  # by how much products of matrices may differ
MOST_SPREADS = 20  # no draw is further from its mean


def describe_mixture(density, arrays):
    """Return facts of a density, or None; its arrays are added to `arrays`."""
    if density is None:
        return None
    if type(density) is not GaussianMixture:
        raise TypeError(
            f"density={density!r} cannot be written to a model file, which knows "
            "density='gaussian_mixture' and GaussianMixture. Use joblib or skops."
        )
    arrays |= {f"density.{name}": getattr(density, name) for name in ARRAYS}
    facts = {name: encode(getattr(density, name)) for name in FACTS}
    return {"estimator": encode(density), "facts": facts}


def restore_mixture(encoded, arrays, decode, n_components, dtype):
    """Undo `describe_mixture`.

    Parameters
    ----------
    encoded : dict or None

    arrays : dict of str to ndarray

    decode : Decoder

    n_components : int
        Width of the codes that it is of.

    dtype : {"float32", "float64"}
        Of codes.

    Raises
    ------
    SchemaError
        If no fit can have ended so.
    """
    if encoded is None:
        return None
    density, facts = decode(encoded["estimator"]), decode.all(encoded["facts"])
    if type(density) is not GaussianMixture:
        raise SchemaError("its density is no GaussianMixture.")
    density._validate_params()
    check(facts, FACTS, "density")
    if facts["n_features_in_"] != n_components:
        raise SchemaError("its density is of codes of another size.")
    numbers = {name: arrays[f"density.{name}"] for name in ARRAYS}
    _check_numbers(density, numbers, n_components, dtype)
    vars(density).update({name: facts[name] for name in FACTS}, **numbers)
    return density


def _check_numbers(density, numbers, n_components, dtype):
    """Raise unless the arrays are those of a mixture of codes."""
    n, kind = density.n_components, density.covariance_type
    square = (n_components, n_components)
    shape = {
        "full": (n, *square),
        "tied": square,
        "diag": (n, n_components),
        "spherical": (n,),
    }[kind]
    shapes = {"weights_": (n,), "means_": (n, n_components)}
    for name, array in numbers.items():
        check_array(f"density.{name}", array, shapes.get(name, shape))
    check_finite(numbers)
    weights, covariances = numbers["weights_"], numbers["covariances_"]
    is_right = weights.min() >= 0 and abs(weights.sum() - 1) < 1e-12  # as NumPy asks
    matrices = kind in ("full", "tied")
    variances = _variances(covariances) if matrices else covariances
    spread = np.sqrt(max(variances.max(), 0))
    reach = np.abs(numbers["means_"]).max() + MOST_SPREADS * spread
    is_right &= variances.min() > -ROUNDING * variances.max()
    is_right &= bool(reach < np.finfo(dtype).max)
    if not (is_right and _agree(numbers, matrices)):
        raise SchemaError("the numbers of its density are those of no mixture.")


def _variances(covariances):
    """Return the variances along the axes of symmetric matrices; -1 if they are not."""
    turned = covariances.swapaxes(-1, -2)
    size = np.abs(covariances).max()
    if np.abs(covariances - turned).max() > ROUNDING * size:
        return np.array([-1.0])
    return np.linalg.eigvalsh(covariances)


def _agree(numbers, matrices):
    """Tell whether precisions and their factors belong together."""
    factors, precisions = numbers["precisions_cholesky_"], numbers["precisions_"]
    if matrices:
        diagonal = np.diagonal(factors, axis1=-2, axis2=-1)
        product = factors @ factors.swapaxes(-1, -2)
    else:
        diagonal, product = factors, factors**2
    size = np.abs(precisions).max()
    return diagonal.min() > 0 and np.abs(product - precisions).max() <= ROUNDING * size
