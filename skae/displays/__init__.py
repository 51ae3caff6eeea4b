"""Displays: a fitted estimator as a picture.

They follow the convention of scikit-learn's: `from_estimator` computes and draws, the
object keeps the numbers and what was drawn, `plot` draws again.
"""

from skae.displays._components_sweep import ComponentsSweepDisplay
from skae.displays._error_distribution import ErrorDistributionDisplay
from skae.displays._latent_space import LatentSpaceDisplay
from skae.displays._latent_traversal import LatentTraversalDisplay
from skae.displays._loss_curve import LossCurveDisplay
from skae.displays._reconstruction import ReconstructionDisplay

__all__ = [
    "ComponentsSweepDisplay",
    "ErrorDistributionDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
]
