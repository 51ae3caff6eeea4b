"""Autoencoders that are real scikit-learn transformers."""

from importlib.metadata import version

from skae._autoencoder import AutoencoderTransformer
from skae._files import ModelFileError, dump, load
from skae.displays import (
    ComponentsSweepDisplay,
    ErrorDistributionDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)
from skae.model_selection import choose_n_components

__version__ = version("skae")
__all__ = [
    "AutoencoderTransformer",
    "ComponentsSweepDisplay",
    "ErrorDistributionDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "LossCurveDisplay",
    "ModelFileError",
    "ReconstructionDisplay",
    "__version__",
    "choose_n_components",
    "dump",
    "load",
]
