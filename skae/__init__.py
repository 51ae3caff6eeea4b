"""Autoencoders that are real scikit-learn transformers."""

from importlib.metadata import version

from skae._autoencoder import AutoencoderTransformer

__version__ = version("skae")
__all__ = ["AutoencoderTransformer", "__version__"]
