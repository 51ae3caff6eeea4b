"""Autoencoders that are real scikit-learn transformers."""

from importlib.metadata import version

from skae._autoencoder import AutoencoderTransformer
from skae._files import ModelFileError, dump, load

__version__ = version("skae")
__all__ = ["AutoencoderTransformer", "ModelFileError", "__version__", "dump", "load"]
