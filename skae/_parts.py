"""What all exchangeable parts have in common."""

from sklearn.base import BaseEstimator
from torch import nn


class Part(BaseEstimator):
    """A part of the objective: its constructor's arguments are its parameters.

    So repr, `clone` and a grid search over ``penalty__alpha`` work by themselves.

    Attributes
    ----------
    ranges : dict of str to (float, float)
        Smallest and largest value allowed, for parameters that are numbers.

    choices : dict of str to tuple
        Values allowed, for parameters that are words.

    whole_numbers : tuple of str
        Names of parameters that are whole numbers.
    """

    ranges = {}
    choices = {}
    whole_numbers = ()

    def members(self):
        """Return the class of what is in a parameter that is a list, by name."""
        return {}


class LearningPart(Part, nn.Module):
    """A part that may have weights and buffers of its own, as an `nn.Module` has.

    `fit` trains a copy. A subclass need not call ``super().__init__()``.
    """

    def __new__(cls, *args, **kwargs):
        part = super().__new__(cls)
        nn.Module.__init__(part)
        return part

    def __init__(self):  # scikit-learn reads its signature: no parameters
        pass
