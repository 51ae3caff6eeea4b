"""Displays: a fitted estimator as a picture.

They follow the convention of scikit-learn's: `from_estimator` computes and draws, the
object keeps the numbers and what was drawn, `plot` draws again.
"""

from skae.displays._components_sweep import ComponentsSweepDisplay

__all__ = [
    "ComponentsSweepDisplay",
]
