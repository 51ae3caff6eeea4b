"""Time of `transform` of one row, beside the network alone and scikit-learn's PCA.

    python benchmarks/one_row.py [--calls 2000]

Fitted to digits, 16 components, one thread. "network" is `encode` of the fitted torch
module on a tensor that is ready, in the precision in which `transform` computes; "above
it" is what all else takes: checks, units, arrays. The bar is 200 microseconds. Each
figure is the fastest of five runs, in microseconds per call.
"""

import copy
from timeit import repeat

import pandas as pd
import torch
from _common import parser, report, use_one_thread
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

RUNS = 5
KINDS = {
    "float64": ("float64", {}),
    "float32": ("float32", {}),
    "float64, weights float32": ("float64", {"precision": "float32"}),
    "float32, convolutional": ("float32", {"network": "conv", "image_shape": (8, 8)}),
}


def microseconds(function, n_calls):
    """Return the time of a call."""
    function()
    return min(repeat(function, number=n_calls, repeat=RUNS)) / n_calls * 1e6


def row_of(kind, n_calls):
    """Return a row of the table."""
    dtype, settings = KINDS[kind]
    X = load_digits().data.astype(dtype)
    autoencoder = AutoencoderTransformer(16, max_epochs=3, random_state=0, **settings)
    autoencoder.fit(X)
    pca, one = PCA(16).fit(X), X[:1]
    module = copy.deepcopy(autoencoder.net_.module_).to(getattr(torch, dtype))
    tensor = torch.from_numpy(one)
    with torch.inference_mode():
        network = microseconds(lambda: module.encode(tensor), n_calls)
    total = microseconds(lambda: autoencoder.transform(one), n_calls)
    return {
        "X": kind,
        "network": network,
        "skae": total,
        "above it": total - network,
        "PCA": microseconds(lambda: pca.transform(one), n_calls),
    }


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--calls", type=int, default=2000)
    arguments = arguments.parse_args()
    use_one_thread()
    rows = [row_of(kind, arguments.calls) for kind in KINDS]
    report(__doc__, arguments.output, pd.DataFrame(rows))


if __name__ == "__main__":
    main()
