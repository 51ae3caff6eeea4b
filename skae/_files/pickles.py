"""What a pickle of a fitted estimator holds.

Numbers and arrays instead of objects of torch and skorch: small, readable by other
versions, and without code of skorch's that runs on loading.
"""

import json

import numpy as np
import torch

from skae._files.state import LEARNT, describe, restore
from skae._fitting.plan import solver_class_and_options

__all__ = ["pickled", "unpickled"]


def pickled(estimator, state):
    """Return the state of an estimator with what it learnt as numbers and arrays."""
    if "net_" not in state:
        return state
    facts, arrays = describe(estimator)
    arrays = {name: _as_array(x) for name, x in arrays.items()}
    kept = {name: value for name, value in state.items() if name not in LEARNT}
    return {**kept, "_learnt": (json.dumps(facts), arrays)}


def unpickled(state):
    """Return a state without what was learnt, and that as attributes."""
    state = dict(state)
    learnt = state.pop("_learnt", None)
    if learnt is None:
        return state, {}
    facts, arrays = learnt
    tensors = {name: torch.from_numpy(x.copy()) for name, x in arrays.items()}
    solver = solver_class_and_options(state["solver"])[0]
    return state, restore(json.loads(facts), tensors, state["_structure"], solver)


def _as_array(x):
    """Return a tensor or array as a contiguous array."""
    x = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
    return np.ascontiguousarray(x).reshape(x.shape)
