"""What every test starts from: one thread, no window, the same seeds."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # read once, when scipy is imported
os.environ["MPLBACKEND"] = "Agg"

import random

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeds():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
