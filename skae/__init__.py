"""Autoencoders that are real scikit-learn transformers."""

from importlib.metadata import version

from skae._autoencoder import AutoencoderTransformer
from skae._files import ModelFileError, dump, load
from skae.displays import (
    ErrorDistributionDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)

__version__ = version("skae")
__all__ = [
    "AutoencoderTransformer",
    "ErrorDistributionDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "LossCurveDisplay",
    "ModelFileError",
    "ReconstructionDisplay",
    "__version__",
    "dump",
    "load",
]
