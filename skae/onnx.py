"""Fitted estimators as ONNX models, which run without Python, torch or scikit-learn.

`to_onnx` writes an estimator, `register` lets skl2onnx write Pipelines that hold one.
Both need the extra "onnx": ``pip install "skae[onnx]"``.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from io import StringIO
from numbers import Integral
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skae._autoencoder import AutoencoderTransformer
from skae._files.archive import versions
from skae._runtime import training_modes

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
    from onnx import ModelProto

__all__ = ["register", "to_onnx"]

OPSET = 20
OPSETS = 18, 23  # the oldest and the newest that torch writes
PARTS = {  # names of input and output
    "encoder": ("X", "code"),
    "decoder": ("code", "X_hat"),
    "full": ("X", "X_hat"),
}


def to_onnx(
    estimator: AutoencoderTransformer,
    part: Literal["encoder", "decoder", "full"] = "encoder",
    *,
    dtype: DTypeLike | None = None,
    as_float: bool = False,
    opset: int = OPSET,
) -> ModelProto:
    """Return a fitted estimator, or one of its halves, as an ONNX model.

    Any number of rows goes through it at once. It centres X in the precision of X and
    computes in single precision from there, so that results agree with those of the
    estimator to about six digits.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Fitted. A network of your own must consist of operations that ONNX has.

    part : {"encoder", "decoder", "full"}, default="encoder"
        What the model does: `transform` ("X" to "code"), `inverse_transform` ("code" to
        "X_hat") or `reconstruct` ("X" to "X_hat").

    dtype : str or dtype, default=None
        Of the input: any real dtype, of codes float32 or float64. None is that of the
        images that `fit` saw; without images, and of codes, that of the codes then.

    as_float : bool, default=False
        Whether images come in the dtype of codes, as for `inverse_transform`.

    opset : int, default=20
        Version of the ONNX operators, in [18, 23].

    Returns
    -------
    model : onnx.ModelProto
        To be written by ``onnx.save(model, path)``. Its metadata have the part, the
        versions, and the names of the features.

    Raises
    ------
    ImportError
        If the packages of the extra "onnx" are missing.

    TypeError
        If `estimator` is no AutoencoderTransformer.

    NotFittedError
        If it is not fitted.

    ValueError
        If a parameter cannot be used, or if ONNX lacks what the network does.

    Examples
    --------
    >>> import numpy as np
    >>> from onnxruntime import InferenceSession
    >>> from skae import AutoencoderTransformer
    >>> from skae.onnx import to_onnx
    >>> X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    >>> fitted = AutoencoderTransformer(2, random_state=0).fit(X)
    >>> session = InferenceSession(to_onnx(fitted).SerializeToString())
    >>> (code,) = session.run(None, {"X": X})
    >>> np.allclose(code, fitted.transform(X), atol=1e-5)
    True
    """
    if not isinstance(estimator, AutoencoderTransformer):
        raise TypeError(
            f"to_onnx takes an AutoencoderTransformer, not {type(estimator).__name__}. "
            "For a Pipeline call skae.onnx.register(), then skl2onnx.to_onnx."
        )
    check_is_fitted(estimator)
    if part not in PARTS:
        raise ValueError(f"part={part!r} must be one of {', '.join(map(repr, PARTS))}.")
    if not (isinstance(opset, Integral) and OPSETS[0] <= opset <= OPSETS[1]):
        raise ValueError(f"opset={opset!r} must be a whole number in {list(OPSETS)}.")
    dtype = _input_dtype(estimator, part, dtype)
    model = _export(_Graph(estimator, part, dtype, as_float), part, opset)
    names = getattr(estimator, "feature_names_in_", None)
    facts = {
        "part": part,
        "versions": json.dumps(versions()),
        "feature_names": json.dumps(None if names is None else [*map(str, names)]),
    }
    _needed("onnx").helper.set_model_props(model, facts)
    return model


def register() -> None:
    """Teach skl2onnx to write an `AutoencoderTransformer` in a Pipeline.

    After that ``skl2onnx.to_onnx(pipeline, X[:1])`` writes whole pipelines, column
    transformers and feature unions, with `transform` as the autoencoder's part. The
    operators' version, ``target_opset``, has to be at least 18.

    Raises
    ------
    ImportError
        If the packages of the extra "onnx" are missing.

    Examples
    --------
    >>> import numpy as np
    >>> from onnxruntime import InferenceSession
    >>> from skl2onnx import to_onnx
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skae import AutoencoderTransformer
    >>> import skae.onnx
    >>> skae.onnx.register()
    >>> X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    >>> autoencoder = AutoencoderTransformer(2, random_state=0)
    >>> pipeline = make_pipeline(autoencoder, LinearRegression()).fit(X, X[:, 0])
    >>> session = InferenceSession(to_onnx(pipeline, X[:1]).SerializeToString())
    >>> (predicted,) = session.run(None, {"X": X})
    >>> np.allclose(predicted[:, 0], pipeline.predict(X), atol=1e-5)
    True
    """
    _needed("skl2onnx").update_registered_converter(
        AutoencoderTransformer, "SkaeAutoencoderTransformer", _set_type, _convert
    )


def _needed(name):
    """Return a module of the extra "onnx"."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f'skae.onnx needs {name}: pip install "skae[onnx]".'
        ) from error


def _input_dtype(estimator, part, dtype):
    """Return the dtype of the input as one of NumPy, checked."""
    takes_codes, form = part == "decoder", estimator._form
    if dtype is None:
        is_image = form.is_image and not takes_codes
        dtype = form.dtype if is_image else estimator._dtype
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        found = None
    if takes_codes and found not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float64' for codes.")
    if found is None or found.kind not in "biuf" or found.itemsize > 8:
        raise ValueError(f"dtype={dtype!r} must be a real dtype, such as 'float32'.")
    if not takes_codes:
        form.check_values(np.empty((0, *form.row_shape), found))
    return found


class _Graph(nn.Module):
    """What a part computes, from the dtype of its input to that of its result.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Fitted.

    part : {"encoder", "decoder", "full"}

    dtype : np.dtype
        Of the input.

    as_float : bool
        Whether images are given in the dtype of codes.
    """

    def __init__(self, estimator, part, dtype, as_float=False):
        super().__init__()
        self.part = part
        self.module = copy.deepcopy(estimator.net_.module_).cpu().float().eval()
        form, output = estimator._form, estimator._start.output
        shape, white = form.row_shape, form.white(np.empty(0, dtype))
        if part == "decoder":
            shape, white = (estimator.n_components_,), None
        is_single = dtype == np.float32 or white is not None
        self.dtype = torch.float32 if is_single else torch.float64
        self.result_form = None if as_float else estimator._target_form
        self.result_shape = estimator.decoder_.row_shape
        self.example = torch.from_numpy(np.zeros((2, *shape), dtype))
        self._keep("offset", estimator._start.mean * (white or 1))
        self._keep("divisor", estimator.scale_ * (white or 1))
        self._keep("code_scale", estimator.scale_)
        self._keep("result_mean", output.mean)
        self._keep("result_scale", output.scale)

    def _keep(self, name, numbers):
        self.register_buffer(name, torch.tensor(numbers, dtype=self.dtype))

    def forward(self, X):
        if self.part == "decoder":
            return self._decoded((X / self.code_scale).float())
        X = (X.flatten(1).to(self.dtype) - self.offset) / self.divisor
        code = self.module.encode(X.float())
        if self.part == "full":
            return self._decoded(code)
        return code.to(self.dtype) * self.code_scale

    def _decoded(self, code):
        loss, form = self.module.loss, self.result_form
        X_hat = loss.inverse_link(self.module.decode(code)).to(self.dtype)
        if loss.standardized:
            X_hat = X_hat * self.result_scale + self.result_mean
        if form is not None and form.is_image:
            X_hat = _restored(X_hat, form.dtype, form.white_of(form.dtype))
        return X_hat.unflatten(1, self.result_shape)


def _restored(X_hat, dtype, white):
    """Return pixels in the dtype of images, as `ImageForm.restore` does."""
    wanted = torch.from_numpy(np.zeros(1, dtype.newbyteorder("="))).dtype
    if dtype.kind == "b":
        return X_hat >= 0.5
    if dtype.kind in "iu":
        limits = torch.iinfo(wanted)
        high = torch.tensor(limits.max, dtype=X_hat.dtype)
        if int(high) > limits.max:  # a float does not hold it exactly
            high = torch.nextafter(high, torch.zeros_like(high))
        X_hat = torch.round(X_hat * (white or 1))
        X_hat = X_hat.clamp(float(limits.min), high.item())
    elif wanted == torch.float16:
        limits = torch.finfo(wanted)
        X_hat = X_hat.clamp(limits.min, limits.max)
    return X_hat.to(wanted)


def _export(graph, part, opset):
    """Return a graph as an ONNX model; raise if ONNX lacks an operation of it."""
    _needed("onnxscript")
    input_name, output_name = PARTS[part]
    with _quiet(), training_modes(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph.eval(),
                (graph.example,),
                dynamo=True,  # not the default before torch 2.9
                dynamic_shapes=({0: torch.export.Dim("n_samples")},),
                input_names=[input_name],
                output_names=[output_name],
                opset_version=int(opset),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise ValueError(
                f"part={part!r} cannot be written as ONNX: {reason} A network, "
                "bottleneck or loss of your own may only do what torch.export can "
                "trace and ONNX has, and must not branch on the values of its input."
            ) from error
    return program.model_proto


@contextmanager
def _quiet():
    """Silence what exporters say of themselves and of torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


# What skl2onnx calls: with its operator, whose `raw_operator` is the estimator.


def _set_type(operator):
    """Tell skl2onnx the type and shape of the codes; of integers it makes floats."""
    types = _needed("skl2onnx.common.data_types")
    result = types.guess_tensor_type(operator.inputs[0].type)
    n_samples = operator.inputs[0].get_first_dimension()
    result.shape = [n_samples, operator.raw_operator.n_components_]
    operator.outputs[0].type = result


def _convert(scope, operator, container):
    """Put the encoder's nodes into the model that skl2onnx is writing."""
    onnx, types = _needed("onnx"), _needed("skl2onnx.common.data_types")
    estimator, opset = operator.raw_operator, container.target_opset_onnx
    if opset < OPSETS[0]:
        raise ValueError(f"target_opset={opset} must be at least {OPSETS[0]}.")
    given = types.guess_proto_type(operator.inputs[0].type)
    wanted = types.guess_proto_type(operator.outputs[0].type)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(given)
    dtype = _input_dtype(estimator, "encoder", dtype)
    model = _export(_Graph(estimator, "encoder", dtype), "encoder", opset)
    prefix = scope.get_unique_variable_name("skae") + "_"
    encoder = onnx.compose.add_prefix(model, prefix).graph

    def add(kind, inputs, outputs, domain="", **attributes):
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, inputs, outputs, domain, opset, name, **attributes)

    inputs = [variable.full_name for variable in operator.inputs]
    add("Concat", inputs, [f"{prefix}X"], axis=1)  # of one input, or of a column each
    container.initializers.extend(encoder.initializer)
    for node in encoder.node:
        attributes = {
            one.name: onnx.helper.get_attribute_value(one) for one in node.attribute
        }
        outputs = list(node.output)
        add(node.op_type, list(node.input), outputs, node.domain, **attributes)
    add("Cast", [f"{prefix}code"], [operator.outputs[0].full_name], to=wanted)
