"""Autoencoders that are real scikit-learn transformers."""

from importlib.metadata import version

from skae._autoencoder import AutoencoderTransformer
from skae._files.archive import ModelFileError
from skae._files.model_file import dump, load
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
