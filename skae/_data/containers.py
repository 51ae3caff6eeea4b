"""What X is kept in: an array in it is taken out, all else is refused by its name."""

import os
import reprlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set

import numpy as np
import scipy.sparse as sp
import torch

__all__ = ["check_mask", "is_frame", "unpacked"]

WANTED = (
    "Pass an array or a DataFrame of shape (n_samples, n_features), or images of shape "
    "(n_samples, height, width)"
)
LOADER = (
    "Pass all samples as one array, such as np.concatenate([batch[0] for batch in {}]) "
    "without shuffling, or give partial_fit one batch at a time"
)
OPENED = (
    "Open images first: np.stack([np.asarray(Image.open(path).convert('RGB')"
    ".resize((64, 64))) for path in paths]). Texts need a vectorizer first, such as "
    "TfidfVectorizer"
)
# What lists mostly consist of; their items need no second look.
PLAIN = {list, tuple, int, float, bool, np.ndarray, np.float64, np.float32}


def unpacked(X, name="X"):
    """Return X as an ndarray or as a DataFrame or sparse matrix, or refuse it.

    Nothing is copied that is an array already. Taken are also tensors (also those with
    a gradient, of bfloat16, of a GPU), lists, object arrays and columns of arrays of
    one shape, and lists of PIL images of one mode and size.
    """
    check_mask(X, name)
    if isinstance(X, torch.Tensor):
        X = _from_tensor(X, name)
    if sp.issparse(X) or type(X) is np.matrix:
        return X
    if not isinstance(X, np.ndarray):
        _check_type(X, name)
        if is_frame(X) or hasattr(X, "__dataframe__"):
            X = _from_frame(X, name)
        elif hasattr(X, "__array__") or isinstance(X, (array, memoryview)):
            X = np.asarray(X)
        else:
            X = _stacked(list(X), name)
    if not isinstance(X, np.ndarray):
        return X
    if X.dtype.kind == "O":
        X = _from_objects(X, name)
    _check_dtype(X, name)
    _check_axes(X, name)
    return X


def is_frame(X):
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def check_mask(values, name):
    """Raise if a masked array hides values: NumPy would show them."""
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        where = tuple(np.argwhere(np.ma.getmaskarray(values))[0].tolist())
        raise ValueError(
            f"{name} is a masked array with masked values, the first one at {where}. "
            "Fill them (X.filled, SimpleImputer) or drop their rows."
        )


# Types


def _check_type(X, name):
    """Raise if X is of a type that holds no array, before anything reads from it."""
    kind = _a_type(X)
    if _is_picture(X):
        raise TypeError(
            f"{name} is one PIL image of mode {X.mode} and size {_size(X)}. Pass a "
            "list of images, [image] for one."
        )
    if isinstance(X, (str, bytes, os.PathLike)):
        raise TypeError(f"{name} is {reprlib.repr(X)}, {kind}. {WANTED}. {OPENED}.")
    if isinstance(X, torch.utils.data.DataLoader):
        raise TypeError(f"{name} is {kind}. {LOADER.format(name)}.")
    if isinstance(X, torch.utils.data.Dataset):
        raise TypeError(
            f"{name} is {kind}. Pass all samples as one array, such as "
            f"np.stack([np.asarray({name}[i][0]) for i in range(len({name}))])."
        )
    if type(X).__name__ == "LazyFrame":
        raise TypeError(f"{name} is {kind}: pass {name}.collect().")
    advice = WANTED
    if isinstance(X, Mapping):
        advice = f"Pass pandas.DataFrame({name}), or one of the arrays in it"
    elif isinstance(X, Iterator):
        advice = (
            f"It can be read only once: pass np.stack(list({name})), or give "
            "partial_fit one piece at a time"
        )
    elif isinstance(X, Set):
        advice = "It has no order: pass a list or an array"
    elif _can_be_array(X):
        return
    if X is None:
        raise TypeError(f"Expected 2D array: {name} is None. {WANTED}.")
    what = f"the class {_type_name(X)}" if isinstance(X, type) else kind
    raise TypeError(f"{name} is {what}. {advice}.")


def _can_be_array(X):
    """Tell whether NumPy reads X as an array, and not endlessly."""
    if isinstance(X, type):
        return False
    names = ("__array__", "__array_interface__", "__dataframe__")
    return isinstance(X, Sequence) or is_frame(X) or any(hasattr(X, n) for n in names)


def _a_type(X):
    """Return the name of a type with its article."""
    name = _type_name(X)
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _type_name(X):
    if X is None:
        return "None"
    kind = X if isinstance(X, type) else type(X)
    home = kind.__module__.split(".")[0]
    return kind.__qualname__ if home == "builtins" else f"{home} {kind.__qualname__}"


def _is_picture(X):
    """Tell whether X is a PIL image, without importing PIL."""
    return any(
        kind.__module__ == "PIL.Image" and kind.__name__ == "Image"
        for kind in type(X).__mro__
    )


def _size(picture):
    return " x ".join(map(str, picture.size))


# What is taken out


def _from_tensor(X, name):
    """Return a tensor as an array: detached, on the CPU, of a dtype of NumPy's."""
    if X.is_nested:
        raise ValueError(
            f"{name} is a nested tensor, whose rows differ in length. Pass one of "
            f"equal rows, such as {name}.to_padded_tensor(0.0)."
        )
    if X.layout is not torch.strided:
        raise TypeError(
            f"{name} is a sparse tensor ({X.layout}). Pass {name}.to_dense(), or a "
            "scipy.sparse.csr_array."
        )
    if X.is_meta:
        raise ValueError(f"{name} is on the device 'meta': it has no values.")
    X = X.detach().cpu().resolve_conj().resolve_neg()
    if X.is_quantized:
        X = X.dequantize()
    try:
        return X.numpy()
    except TypeError:  # bfloat16 and smaller ones
        return (X.to(torch.complex64) if X.is_complex() else X.float()).numpy()


def _from_frame(X, name):
    """Return a DataFrame of numbers as it is, and one column of arrays as an array."""
    if not is_frame(X):
        return X
    columns = list(X.columns)
    _check_names(columns, name)
    nested = [column for column in columns if _holds_arrays(X[column])]
    if nested and len(columns) == 1:
        return _stacked(list(X[columns[0]]), name)
    if nested:
        raise ValueError(
            f"{name} has arrays in the cells of columns: {_listed(nested)}. Pass them "
            f"alone, such as np.stack({name}[{nested[0]!r}]), or as columns of numbers."
        )
    odd = {column: _odd_dtype(X[column]) for column in columns}
    odd = {column: dtype for column, dtype in odd.items() if dtype}
    if any("complex" in dtype for dtype in odd.values()):
        raise ValueError(
            f"Complex data not supported, here in columns of {name}: {_listed(odd)}. "
            "Pass their real and imaginary parts as columns, or their np.abs."
        )
    if odd:
        raise TypeError(
            f"Columns that are not numbers: {_listed(odd)}. Encode or drop them. Their "
            f"dtypes: {', '.join(sorted(set(odd.values())))}."
        )
    return X


def _check_names(columns, name):
    """Raise if two columns have one name."""
    twice = [column for column, times in Counter(columns).items() if times > 1]
    if twice:
        raise ValueError(
            f"{name} has duplicated column names: {_listed(sorted(map(str, twice)))}. "
            "Rename or drop the columns, so that each name says which feature it is."
        )


def _listed(names, most=10):
    names = list(map(str, names))
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + more)


def _holds_arrays(column):
    """Tell whether the first cell of a column is an array, an image or a list."""
    kind = str(column.dtype)
    if not kind.startswith(("object", "Object", "List", "Array", "list")):
        return False
    first = next((cell for cell in column if cell is not None), None)
    return _is_array(first) or _is_picture(first) or kind.startswith(("List", "Array"))


def _odd_dtype(column):
    """Return the dtype of a column if it cannot hold numbers, else None."""
    dtype = column.dtype
    kind = getattr(dtype, "kind", None)
    if kind in ("M", "m", "c"):
        return str(dtype)
    if type(dtype).__name__ in ("PeriodDtype", "IntervalDtype"):
        return str(dtype)
    for asked in ("is_nested", "is_temporal", "is_object"):  # polars
        if callable(answer := getattr(dtype, asked, None)) and answer():
            return str(dtype)
    return str(dtype) if str(dtype) in ("Object", "Binary") else None


def _from_objects(X, name):
    """Return an array of objects that are arrays as one array; numbers as they are."""
    if X.ndim == 0:
        _check_type(X.item(), name)
        raise TypeError(f"{name} is {_a_type(X.item())}. {WANTED}.")
    cells = X.ravel() if X[:1].size == 1 else X[:1].ravel()
    if X[:1].size == 1 and (X.ndim == 1 or _is_array(cells[0])):
        return _stacked(list(cells), name)
    if any(_is_array(cell) or _is_picture(cell) for cell in cells):
        raise ValueError(
            f"{name} has arrays in the cells of an array of shape {X.shape}. {WANTED}, "
            "all of numbers."
        )
    return X


def _is_array(cell):
    is_series = hasattr(cell, "__array__") and getattr(cell, "shape", ()) != ()
    return is_series or isinstance(cell, (list, tuple))


def _stacked(items, name):
    """Return a list of rows or images of one shape as an array."""
    kinds = set(map(type, items))
    _check_kinds(kinds, items, name)
    if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
        for number, item in enumerate(items):
            check_mask(item, f"{name}[{number}]")
    if any(issubclass(kind, torch.Tensor) for kind in kinds):
        items = [
            _from_tensor(x, f"{name}[{number}]") if isinstance(x, torch.Tensor) else x
            for number, x in enumerate(items)
        ]
    if not kinds <= PLAIN and any(map(_is_picture, items)):
        items = _from_pictures(items, name)
    return _as_array(items, name)


def _check_kinds(kinds, items, name):
    """Raise if the items of a list are paths, texts, dictionaries or the like."""
    if kinds <= PLAIN:
        return
    one = next((x for x in items if type(x) not in PLAIN), None)
    what = f"{name} is a list of {len(items)}, one of which is {_type_name(one)!r}"
    if isinstance(one, (str, bytes, os.PathLike)):
        raise ValueError(f"{what}: {reprlib.repr(one)}. {OPENED}.")
    if isinstance(one, Mapping):
        raise TypeError(
            f"{what}. Pass pandas.DataFrame({name}), or DictVectorizer().fit_transform"
            f"({name})."
        )
    if sp.issparse(one):
        raise TypeError(f"{what}. Pass scipy.sparse.vstack({name}, 'csr').")
    if one is None:
        raise ValueError(f"{what}. {WANTED}; drop or fill what is missing.")


def _from_pictures(items, name):
    """Return PIL images as arrays; raise if they differ."""
    pictures = [x for x in items if _is_picture(x)]
    modes = Counter(picture.mode for picture in pictures)
    palettes = sorted(set(modes) & {"P", "PA"})
    found = ", ".join(f"{n} of {mode}" for mode, n in modes.most_common())
    if len(modes) > 1 or palettes:
        what = "numbers of a palette" if palettes else "images of different modes"
        raise ValueError(
            f"{name} has PIL images of the modes: {found}. These are {what}: convert "
            f"all to one, [image.convert('RGB') for image in {name}] ('L' is grey)."
        )
    sizes = Counter(map(_size, pictures))
    if len(sizes) > 1:
        found = ", ".join(f"{n} of {size}" for size, n in sizes.most_common(3))
        raise ValueError(
            f"{name} has PIL images of {len(sizes)} different sizes (width x height): "
            f"{found}. Resize them: [image.resize((64, 64)) for image in {name}]."
        )
    return [np.asarray(x) if _is_picture(x) else x for x in items]


def _as_array(items, name):
    """Return a list as one array; say how its items differ if they do."""
    try:
        array = np.asarray(items)
    except (ValueError, TypeError, RuntimeError) as error:
        _check_shapes(items, name)
        raise ValueError(
            f"{name} is a list that makes no array of numbers: {str(error)[:200]}. "
            f"{WANTED}."
        ) from None
    if array.dtype.kind == "O":
        _check_shapes(items, name)
        odd = next((x for x in array.flat if _is_array(x) or _is_odd(x)), None)
        if odd is not None:
            raise TypeError(f"{name} is a list with {_a_type(odd)}. {WANTED}.")
    return array


def _is_odd(cell):
    """Tell whether a cell is neither a number nor what stands for a missing one."""
    return not (cell is None or hasattr(cell, "__float__") or isinstance(cell, str))


def _check_shapes(items, name):
    """Raise if rows or images differ in shape."""
    shapes = Counter(_shape(item) for item in items)
    if len(shapes) < 2:
        return
    if None in shapes:
        first = next(n for n, item in enumerate(items) if _shape(item) is None)
        raise ValueError(
            f"{name} is inhomogeneous: {name}[{first}] has lists of different lengths "
            "in it; all need the same. Pad or cut them first."
        )
    known = sorted(shapes, key=lambda shape: (len(shape), shape))
    if len(known[-1]) < 2:
        lengths = [shape[0] if shape else "no list" for shape in known]
        raise ValueError(
            f"{name} is inhomogeneous: its rows have {len(known)} different lengths "
            f"({_listed(lengths, 3)}); all need the same. Pad or cut them first, or "
            "describe each row by the same features."
        )
    a, b = known[0], known[-1]
    raise ValueError(
        f"{name} has images of {len(shapes)} different shapes, such as {a} and {b}; "
        "all need the same. Crop, pad or resize them first (skimage.transform.resize, "
        "PIL.Image.resize), or convert all to grey or all to colour."
    )


def _shape(item):
    """Return the shape of a row or image, or None if it has none."""
    try:
        return tuple(np.shape(item))
    except (ValueError, TypeError, RuntimeError):
        return None


# Arrays


def _check_dtype(X, name):
    """Raise if an array is of records, complex numbers or dates."""
    kind = X.dtype.kind
    if X.dtype.names:
        raise TypeError(
            f"{name} is an array of records with the fields {_listed(X.dtype.names)}. "
            f"Pass pandas.DataFrame({name})."
        )
    if kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} has the dtype {X.dtype}. Pass np.abs("
            f"{name}), or np.hstack([{name}.real, {name}.imag])."
        )
    if kind in "Mm":
        raise TypeError(
            f"{name} has the dtype {X.dtype}: dates are not numbers. Pass the days or "
            "seconds since a date, or features of it."
        )
    if kind in "SUT":
        advice = OPENED
        if X.ndim > 1:
            advice = (
                f"Numbers in them become numbers by {name}.astype(float); categories "
                "need an encoder first, such as OneHotEncoder"
            )
        raise ValueError(f"{name} is an array of strings (dtype {X.dtype}). {advice}.")
    if kind == "V":
        raise TypeError(f"{name} has the dtype {X.dtype}, raw bytes. {WANTED}.")


def _check_axes(X, name):
    """Raise if an array has no axis of samples or none of features."""
    if X.ndim == 0:
        raise ValueError(
            f"Expected 2D array, got scalar array instead: {name} is a single "
            f"{X.dtype}. {WANTED}."
        )
    if X.ndim == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: {name} has the shape {X.shape}. "
            f"Reshape your data: {name}.reshape(-1, 1) if it is one feature, "
            f"{name}.reshape(1, -1) if it is one row."
        )
