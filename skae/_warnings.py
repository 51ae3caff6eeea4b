"""Warnings that point at the line of the user's that led to them."""

import contextlib
import os
import sys
import warnings

import joblib
import sklearn
import skorch
import torch

__all__ = ["warn"]

HERE = os.path.dirname(__file__)
LIBRARIES = (
    HERE,
    *(os.path.dirname(one.__file__) for one in (joblib, sklearn, skorch, torch)),
)
INSIDE = (*(path + os.sep for path in LIBRARIES), contextlib.__file__)


def warn(message, category=UserWarning):
    """Warn at the line that called into skae, through whatever libraries it went.

    So a warning of a fit within a search or a Pipeline is shown at the user's own call.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
