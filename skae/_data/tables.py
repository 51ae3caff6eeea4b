"""Tables: rows of features."""

from dataclasses import dataclass

from skae._data.reading import is_plain, read_numbers

__all__ = ["TableForm"]


@dataclass(frozen=True)
class TableForm:
    """What a table looked like to `fit`; every form has these attributes and methods.

    Attributes
    ----------
    row_shape : tuple of int
        Shape of a row of X.

    image_shape, channel_order
        Of images, see `ImageForm`.

    is_image : bool
        Whether rows are images or signals.

    network : {"mlp", "conv"}
        What ``network="auto"`` is.
    """

    row_shape: tuple

    image_shape = channel_order = None
    is_image = False
    network = "mlp"

    def read(self, estimator, X, min_samples=0):
        """Return X as an array or CSR matrix of numbers like those that `fit` saw."""
        if is_plain(X, estimator):
            return X
        X = read_numbers(estimator, X, reset=False, min_samples=min_samples)
        if X.ndim > 2:
            raise ValueError(
                f"X has images of shape {X.shape[1:]}, but {type(estimator).__name__} "
                f"was fitted to rows of {estimator.n_features_in_} features. Resize or "
                "reshape X to that."
            )
        return X

    def check_values(self, X, limits=None):
        """Raise if values cannot be on the scale of those that `fit` saw."""

    def white(self, X):
        """Return by what values of X are divided first, or None."""
        return None

    def white_of(self, dtype):
        """Return the value of a white pixel, or None."""
        return None

    def result_dtype(self, dtype):
        """Return the dtype of restored rows that were computed in `dtype`."""
        return dtype

    def restore(self, X_hat):
        """Return flat rows (ndarray) in the shape and dtype that `fit` saw."""
        return X_hat
