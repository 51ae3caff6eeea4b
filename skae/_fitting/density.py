"""A density of codes: fitted to those of some rows, and drawn from."""

import copy
import inspect
import warnings

import numpy as np
from sklearn import config_context
from sklearn.base import clone

ROWS_TO_FIT_BY = 5000  # at most
N_GAUSSIANS = 10


def fit_density(density, net, rows, scale, seed):
    """Return `density`, an estimator or its name, fitted to codes of some rows."""
    from sklearn.mixture import GaussianMixture

    weight = rows.weights()
    if weight is None:
        rows = rows.thinned(ROWS_TO_FIT_BY)
    else:  # densities know no weights, so draw rows by them
        n_rows = min(len(rows), ROWS_TO_FIT_BY)
        chances = np.float64(weight) / np.sum(weight, dtype=np.float64)
        generator = np.random.default_rng(seed)
        index = generator.choice(len(rows), n_rows, p=chances)
        rows = rows.copy(index=index, sample_weight=None)
    code = net.codes(rows) * scale
    if density == "gaussian_mixture":
        least = 1e-6 * scale**2  # variance; 1e-6 would be in units of X
        n_gaussians = min(N_GAUSSIANS, len(code))
        density = GaussianMixture(n_gaussians, reg_covar=least, random_state=seed)
    with config_context(array_api_dispatch=False):
        return clone(density).fit(code)


def draw_codes(density, n_samples, random_state):
    """Return codes drawn from a density as scikit-learn's ones do it."""
    parameters, options = inspect.signature(density.sample).parameters, {}
    if "random_state" in parameters:
        options = {"random_state": random_state}
    elif "random_state" in density.get_params():
        density = copy.deepcopy(density).set_params(random_state=random_state)
    with warnings.catch_warnings():  # NumPy's tolerance is meant for variances of one
        warnings.filterwarnings("ignore", "covariance is not symmetric")
        code = density.sample(n_samples, **options)
    if options:
        return code
    code = code[0] if isinstance(code, tuple) else code
    return code[random_state.permutation(n_samples)]  # a mixture sorts them


def check_density(found, asked):
    """Raise if there is nothing to draw codes from."""
    if found is not None:
        return
    advice = (
        "Fit with density='gaussian_mixture', or with bottleneck='variational' or "
        "'wae'."
    )
    if asked is not None:
        advice = f"density={asked!r} is learnt by fit, not by partial_fit: call fit."
    raise ValueError(f"There is no distribution of codes to draw from. {advice}")
