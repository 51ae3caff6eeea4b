"""Facts and tensors in one safetensors file, written whole or not at all.

The header has the facts as JSON. Reading executes nothing, and finds any damage.
"""

import hashlib
import io
import json
import os
import struct
import tempfile

import numpy as np
import safetensors.torch
import sklearn
import skorch
import torch

__all__ = [
    "ModelFileError",
    "decoded_epoch",
    "encoded_epoch",
    "name_of_file",
    "pack",
    "read",
    "unpack",
    "versions",
    "with_tensors",
    "without_tensors",
    "write",
]


class ModelFileError(ValueError):
    """A model file cannot be read, and why.

    Examples
    --------
    >>> import tempfile
    >>> from skae import ModelFileError, load
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> with open(path, "wb") as file:
    ...     _ = file.write(b"something else")
    >>> try:
    ...     load(path)
    ... except ModelFileError as error:
    ...     print("refused")
    refused
    """


def pack(facts, arrays):
    """Return the bytes of a file.

    Parameters
    ----------
    facts : dict
        Fit for JSON; gets the checksum of the arrays.

    arrays : dict of str to Tensor or ndarray

    Raises
    ------
    ValueError
        If a fact cannot be written.
    """
    tensors = {
        name: torch.as_tensor(x)
        .detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for name, x in arrays.items()
    }
    facts = {**facts, "sha256": _digest(tensors)}
    _check_text(facts)
    text = json.dumps(facts)
    metadata = {"skae": text, "skae_sha256": _sha256(text.encode())}
    return safetensors.torch.save(tensors, metadata)


def unpack(data, kind, newest):
    """Return facts and tensors of a file, all checksums checked.

    Parameters
    ----------
    data : bytes

    kind : str
        The "format" that the facts must have.

    newest : int
        The last "format_version" that can be read.

    Raises
    ------
    ModelFileError
        If it is no such file, damaged, or of a newer skae. Foreign files may raise
        other exceptions.
    """
    if len(data) < 8:
        raise ModelFileError("it is empty or cut: there is no header.")
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise ModelFileError(
            "it is cut, or no model file: its header is not all there."
        )
    header = json.loads(data[8 : 8 + length].decode())
    metadata = header.get("__metadata__") or {}
    if "skae" not in metadata:
        raise ModelFileError("it was not written by skae.dump.")
    text = metadata["skae"]
    if _sha256(text.encode()) != metadata.get("skae_sha256"):
        raise ModelFileError("it is damaged: the checksum of its header differs.")
    facts = json.loads(text)
    _check_text(facts)
    version = facts["format_version"]
    if facts["format"] != kind or type(version) is not int or version < 1:
        raise ModelFileError("it was not written by skae.dump.")
    if version > newest:
        raise ModelFileError(
            f"it has format version {version}, of a newer skae "
            f"({facts['versions']['skae']}); this one reads up to {newest}. "
            "Upgrade skae."
        )
    tensors = safetensors.torch.load(data)
    if _digest(tensors) != facts["sha256"]:
        raise ModelFileError("it is damaged: the checksum of its arrays differs.")
    return facts, tensors


def _check_text(facts):
    """Raise if JSON, and a text, cannot hold all of the facts."""
    try:
        json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # infinity, NaN, half of a character
        raise ValueError(f"a fact is no JSON: {error}") from None


def encoded_epoch(epoch):
    """Return the numbers of an epoch; what else a callback wrote down is left out."""
    plain = {}
    for name, value in epoch.items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not np.isfinite(value):
            value = {"float": repr(value)}
        elif not (value is None or isinstance(value, (bool, int, float, str))):
            continue
        if _is_text(name) and _is_text(value):
            plain[name] = value
    return plain


def _is_text(value):
    """Tell whether a value, if it is a word, is one without halves of characters."""
    try:
        return value.encode() is not None if isinstance(value, str) else True
    except UnicodeEncodeError:
        return False


def decoded_epoch(plain):
    """Undo `encoded_epoch`."""
    epoch = {"batches": []}
    for name, value in plain.items():
        is_odd = isinstance(value, dict)
        epoch[name] = float(value["float"]) if is_odd else value
    return epoch


def without_tensors(value, arrays, name):
    """Return nested lists and dicts with the names of their tensors instead of them."""
    if isinstance(value, torch.Tensor):
        arrays[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {
            "dict": {
                key: without_tensors(one, arrays, f"{name}.{key}")
                for key, one in value.items()
            }
        }
    if isinstance(value, (list, tuple)):
        return [
            without_tensors(one, arrays, f"{name}.{number}")
            for number, one in enumerate(value)
        ]
    return value


def with_tensors(value, tensors):
    """Undo `without_tensors`."""
    if isinstance(value, list):
        return [with_tensors(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    return {key: with_tensors(one, tensors) for key, one in value["dict"].items()}


def versions():
    """Return the versions of the libraries that results depend on."""
    from importlib.metadata import version

    return {
        "skae": version("skae"),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "skorch": skorch.__version__,
        "numpy": np.__version__,
    }


def read(source):
    """Return all bytes of a path or a binary file."""
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            return file.read()
    _check_is_binary(source, "read", "rb")
    data = source.read()
    if isinstance(data, str):
        raise _is_in_text_mode(source, "rb")
    data = bytes(data)
    if not data:
        raise ModelFileError("nothing is left to read. Call seek(0) first?")
    return data


def write(target, data):
    """Write bytes to a path, as a whole or not at all, or to a binary file."""
    if isinstance(target, (str, os.PathLike)):
        _put_in_place(os.path.abspath(os.fspath(target)), data)
        return
    _check_is_binary(target, "write", "wb")
    while data:  # a raw file may take a part
        n_written = target.write(data)
        if n_written == 0:
            raise OSError(f"{name_of_file(target)} takes no more bytes.")
        data = b"" if n_written is None else data[n_written:]


def name_of_file(file):
    """Return how to call a path or a file in a message."""
    if isinstance(file, (str, os.PathLike)):
        return repr(os.fspath(file))
    name = getattr(file, "name", None)
    return repr(name) if isinstance(name, str) else f"the {type(file).__name__}"


def _check_is_binary(file, method, mode):
    """Raise unless a file is open for bytes, and has what is needed of it."""
    if not callable(getattr(file, method, None)):
        advice = " Put bytes into io.BytesIO." if isinstance(file, bytes) else ""
        raise TypeError(
            f"Pass a path, or a binary file with a method {method!r}, not a "
            f"{type(file).__name__}.{advice}"
        )
    # Wrappers such as NamedTemporaryFile are no TextIOBase, but have its encoding.
    if isinstance(file, io.TextIOBase) or hasattr(file, "encoding"):
        raise _is_in_text_mode(file, mode)
    may = getattr(file, {"read": "readable", "write": "writable"}[method], None)
    if callable(may) and not may():
        raise io.UnsupportedOperation(
            f"{name_of_file(file)} is not open to {method}. Open it with mode {mode!r}."
        )


def _is_in_text_mode(file, mode):
    """Return the error that says so."""
    return TypeError(
        f"{name_of_file(file)} is open in text mode. Open it with mode {mode!r}, or "
        "pass an io.BytesIO."
    )


def _put_in_place(path, data):
    """Put a whole file in the place of an older one, or leave that as it is."""
    handle, draft = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".skae-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, _usual_mode(path))
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _digest(tensors):
    """Return one checksum of all arrays with their names, dtypes and shapes."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        x = tensors[name]
        total.update(f"{name} {x.dtype} {tuple(x.shape)}\n".encode())
        total.update(x.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def _usual_mode(path):
    """Return the mode of the older file, or what a new one usually gets."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
