"""What X is kept in: arrays are taken out of it, all else is refused by its name."""

import array
import collections
import datetime
import pathlib

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.utils.data import DataLoader, Dataset, TensorDataset

from skae import AutoencoderTransformer
from skae._data.containers import unpacked

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 4))
FRAME = pd.DataFrame(X, columns=list("abcd"))
POLARS = pl.DataFrame(X, schema=list("abcd"))
GREY = rng.integers(0, 256, (12, 9, 7)).astype(np.uint8)
COLOUR = rng.integers(0, 256, (12, 9, 7, 3)).astype(np.uint8)


def in_objects(items, shape=None):
    array = np.empty(len(items), object)
    array[:] = list(items)
    return array if shape is None else array.reshape(shape)


def pictures(arrays, mode=None):
    image = pytest.importorskip("PIL.Image")
    made = [image.fromarray(x) for x in arrays]
    return made if mode is None else [x.convert(mode) for x in made]


class Endless(Dataset):
    """A data set of torch's that never says where it ends."""

    def __getitem__(self, index):
        return torch.zeros(3), 0

    def __len__(self):
        return 5


# Each with the array that it must be equal to.
TAKEN = {
    "list of arrays": (lambda: list(GREY), GREY),
    "tuple of arrays": (lambda: tuple(GREY), GREY),
    "deque of rows": (lambda: collections.deque(X), X),
    "list of rows": (lambda: X.tolist(), X),
    "objects that are images": (lambda: in_objects(GREY), GREY),
    "objects that are rows": (lambda: in_objects(X), X),
    "a column of objects": (lambda: in_objects(GREY, (12, 1)), GREY),
    "Series of images": (lambda: pd.Series(list(GREY)), GREY),
    "Series of rows": (lambda: pd.Series(X.tolist()), X),
    "frame with one column of images": (lambda: pd.DataFrame({"x": list(GREY)}), GREY),
    "polars Series of lists": (lambda: pl.Series(X.tolist()), X),
    "polars column of lists": (lambda: pl.DataFrame({"x": X.tolist()}), X),
    "polars Array": (
        lambda: pl.DataFrame({"x": pl.Series(X, dtype=pl.Array(pl.Float64, 4))}),
        X,
    ),
    "grey PIL images": (lambda: pictures(GREY), GREY),
    "PIL images in colour": (lambda: pictures(COLOUR), COLOUR),
    "Series of PIL images": (lambda: pd.Series(pictures(COLOUR)), COLOUR),
    "PIL images of bits": (
        lambda: pictures(np.uint8(255) * (GREY > 99), "1"),
        GREY > 99,
    ),
    "PIL images of 16 bits": (
        lambda: pictures(GREY.astype(np.uint16)),
        GREY.astype(np.uint16),
    ),
    "PIL images of floats": (
        lambda: pictures(GREY.astype(np.float32)),
        GREY.astype(np.float32),
    ),
    "PIL images among arrays": (lambda: [*pictures(GREY[:5]), *GREY[5:]], GREY),
    "tensor": (lambda: torch.tensor(X), X),
    "tensor with a gradient": (lambda: torch.tensor(X, requires_grad=True), X),
    "parameter": (lambda: torch.nn.Parameter(torch.tensor(X)), X),
    "bfloat16": (
        lambda: torch.tensor(X).bfloat16(),
        torch.tensor(X).bfloat16().float().numpy(),
    ),
    "negated view": (lambda: torch._neg_view(torch.tensor(-X)), X),
    "list of tensors with a gradient": (
        lambda: [torch.tensor(x, requires_grad=True) for x in X],
        X,
    ),
    "list of bfloat16": (
        lambda: list(torch.tensor(X).bfloat16()),
        torch.tensor(X).bfloat16().float().numpy(),
    ),
    "memoryview": (lambda: memoryview(X), X),
    "list of Series": (lambda: [FRAME.loc[i] for i in range(30)], X),
}


@pytest.mark.parametrize("name", TAKEN)
def test_arrays_are_taken_out(name):
    make, expected = TAKEN[name]
    found = unpacked(make())
    assert type(found) is np.ndarray
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["Series of images", "tensor with a gradient"])
def test_fit_and_use_take_arrays_out(name):
    make, expected = TAKEN[name]
    fitted = AutoencoderTransformer(2, random_state=0).fit(make())
    plain = AutoencoderTransformer(2, random_state=0).fit(expected)
    assert_array_equal(fitted.transform(make()), plain.transform(expected))
    assert_array_equal(fitted.reconstruct(make()), plain.reconstruct(expected))


def test_codes_and_targets_are_taken_out():
    fitted = AutoencoderTransformer(2).fit(X, X_target=torch.tensor(X).requires_grad_())
    code = torch.tensor(fitted.transform(X), requires_grad=True)
    assert_allclose(fitted.inverse_transform(code), fitted.reconstruct(X), rtol=1e-9)
    assert fitted.score(X, X_target=in_objects(X)) == fitted.score(X, X_target=X)


@pytest.mark.parametrize(
    "data", [X, FRAME, POLARS, sp.csr_array(X), np.lib.format.open_memmap], ids=type
)
def test_what_is_an_array_is_not_copied(data, tmp_path):
    if callable(data):
        data = data(tmp_path / "X.npy", "w+", shape=(3, 4))
    assert unpacked(data) is data


# Each with the words that name what was found, and those that say what to do.
PATHS = "np.asarray.Image.open.*TfidfVectorizer"
REFUSED = {
    "path": ("a.png", "'a.png', a str.*Image.open"),
    "Path": (pathlib.Path("a.png"), "pathlib.*Image.open"),
    "bytes": (b"abc", "a bytes.*Image.open"),
    "paths": (["a.png", "b.png"], f"list of 2.*'a.png'.*{PATHS}"),
    "Paths": ([pathlib.Path("a.png")] * 3, f"list of 3.*a.png.*{PATHS}"),
    "array of paths": (np.array(["a.png", "b"]), f"array of strings.*{PATHS}"),
    "Series of paths": (pd.Series(["a.png", "b"]), f"'a.png'.*{PATHS}"),
    "texts": (["the first text", "another"], f"'the first text'.*{PATHS}"),
    "words in rows": ([["a", "b"], ["c", "d"]], "strings.*astype.*OneHotEncoder"),
    "numbers as words": (np.array([["1", "2"]]), "strings.*astype.float"),
    "dictionary": ({"a": [1, 2]}, "X is a dict.*pandas.DataFrame.X."),
    "dictionaries": ([{"a": 1}, {"a": 2}], "list of 2.*'dict'.*DataFrame.*DictVec"),
    "DataLoader": (DataLoader(Endless()), "torch DataLoader.*concatenate.*partial_fit"),
    "Dataset": (Endless(), "a .*Endless.*np.stack"),
    "TensorDataset": (TensorDataset(torch.zeros(3, 2)), "TensorDataset.*np.stack"),
    "generator": ((x for x in X), "X is a generator.*np.stack.list.X.*partial_fit"),
    "iterator": (iter([X]), "X is a list_iterator.*np.stack.list.X"),
    "map": (map(np.sqrt, X), "X is a map.*np.stack.list.X"),
    "set": ({1, 2}, "X is a set.*no order"),
    "range": (range(5), r"has the shape \(5,\).*Reshape your data"),
    "array.array": (array.array("d", [1, 2]), r"has the shape \(2,\).*Reshape"),
    "record array": (
        np.array([(1, 2.0)], dtype=[("u", int), ("v", float)]),
        "records with the fields u, v.*pandas.DataFrame",
    ),
    "raw bytes": (np.zeros(3, "V8"), "raw bytes.*Pass an array"),
    "LazyFrame": (POLARS.lazy(), "polars LazyFrame: pass X.collect"),
    "groups": (FRAME.groupby("a"), "DataFrameGroupBy.*Pass an array"),
    "number": (3.0, "X is a float.*Pass an array"),
    "number in an array": (np.array(3.0), "X is a single float64.*Pass an array"),
    "None": (None, "X is None.*Pass an array"),
    "function": (len, "Pass an array"),
    "class": (Dataset, "the class torch Dataset.*Pass an array"),
    "Nones": ([None, None], "list of 2.*None.*drop or fill"),
    "sparse rows": ([sp.csr_array(X[:1])] * 2, "csr_array.*scipy.sparse.vstack"),
    "days in a list": ([datetime.date(2020, 1, 1)], "datetime date.*Pass an array"),
    "dates": (X.astype("M8[D]"), "dates are not numbers.*seconds since"),
    "rows of two lengths": ([[1.0, 2.0], [3.0]], r"2 different lengths \(1, 2\).*Pad"),
    "arrays of two lengths": ([X[0], X[0, :3]], r"lengths \(3, 4\).*Pad"),
    "lists in lists": ([[[1, 2], [3]], [[1, 2], [3, 4]]], r"X\[0\] has lists.*Pad"),
    "two sizes": ([GREY[0], GREY[1, :8]], r"2 different shapes.*\(8, 7\).*resize"),
    "images of objects in a table": (
        in_objects([*GREY[:4]], (2, 2)),
        "arrays in the cells.*Pass an array",
    ),
    "image column among numbers": (
        FRAME[:12].assign(image=list(GREY)),
        r"cells of columns: image. Pass .*np.stack\(X\['image'\]\)",
    ),
    "List column": (
        POLARS.with_columns(odd=pl.lit([1.0, 2.0])),
        r"cells of columns: odd. Pass .*np.stack\(X\['odd'\]\)",
    ),
    "Struct": (
        POLARS.with_columns(odd=pl.struct("a", "b")),
        "not numbers: odd.*Encode or drop.*Struct",
    ),
    "polars dates": (
        POLARS.with_columns(odd=pl.lit(datetime.date(2020, 1, 1))),
        "not numbers: odd.*Encode or drop.*Date",
    ),
    "Period": (
        FRAME.assign(odd=pd.period_range("2020", periods=30, freq="D")),
        r"not numbers: odd.*Encode or drop.*period\[D\]",
    ),
    "Interval": (
        FRAME.assign(odd=pd.interval_range(0, 30)),
        "not numbers: odd.*Encode or drop.*interval",
    ),
    "complex": (X * 1j, "Complex data not supported: .*complex128. Pass np.abs"),
    "complex lists": ((X * 1j).tolist(), "Complex data not supported: .*np.abs"),
    "complex images": (GREY * 1j, "Complex data not supported: .*np.abs"),
    "complex tensor": (torch.tensor(X * 1j), "Complex data not supported: .*np.abs"),
    "complex column": (
        FRAME.assign(odd=1j),
        "Complex data not supported.*: odd.*np.abs",
    ),
    "sparse tensor": (torch.tensor(X).to_sparse(), "sparse tensor.*to_dense"),
    "tensor without values": (torch.zeros(3, 4, device="meta"), "'meta'"),
    "one row": (X[0], r"1D array instead: X has the shape \(4,\).*reshape\(1, -1\)"),
    "one column": (FRAME.a, r"1D array instead: X has the shape \(30,\).*reshape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_array_is_refused_by_name(name):
    bad, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=f"(?s){message}") as caught:
        AutoencoderTransformer(2).fit(bad)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["paths", "DataLoader", "dictionary", "two sizes"])
def test_use_refuses_by_name_too(name):
    bad, message = REFUSED[name]
    fitted = AutoencoderTransformer(2).fit(GREY)
    with pytest.raises((TypeError, ValueError), match=message):
        fitted.transform(bad)


def test_data_set_is_refused_before_it_is_read():
    class Untouched(Dataset):
        def __getitem__(self, index):
            raise AssertionError("the data set was read")

    with pytest.raises(TypeError, match="Untouched"):
        AutoencoderTransformer(2).fit(Untouched())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: [*pictures(GREY[:3]), *pictures(COLOUR[:1])],
            r"3 of L, 1 of RGB.*convert\('RGB'\)",
        ),
        (lambda: pictures(COLOUR, "P"), r"12 of P.*palette.*convert\('RGB'\)"),
        (
            lambda: [*pictures(GREY[:3]), *pictures(GREY[:1, :8])],
            r"2 different sizes.*3 of 7 x 9, 1 of 7 x 8.*resize",
        ),
        (lambda: pictures(GREY)[0], r"one PIL image of mode L and size 7 x 9.*\[image"),
        (
            lambda: pd.Series([*pictures(GREY[:3]), *pictures(COLOUR[:1])]),
            "3 of L, 1 of RGB",
        ),
    ],
    ids=["modes", "palette", "sizes", "one", "modes in a Series"],
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_pictures_that_differ_are_counted(method, make, message):
    estimator = AutoencoderTransformer(2).fit(GREY)
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(estimator, method)(make())


def test_masks_inside_of_lists_are_seen():
    masked = np.ma.masked_array(X[0], [False, True, False, False])
    with pytest.raises(ValueError, match=r"X\[1\] is a masked array"):
        AutoencoderTransformer(2).fit([np.ma.masked_array(X[0]), masked])


@pytest.mark.parametrize(
    "target", [np.arange(30), list(range(30)), pd.Series(np.arange(30))], ids=type
)
def test_labels_as_a_target_are_told_what_a_target_is(target):
    message = r"X_target has the shape \(30,\).*to become.*pass them as y.*reshape"
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(2).fit(X, X_target=target)


@pytest.mark.parametrize("target", [["a"] * 30, {"a": 1}, None], ids=["str", "dict", 0])
def test_target_is_refused_by_its_own_name(target):
    if target is None:
        target = (x for x in X)
    with pytest.raises((TypeError, ValueError), match="X_target is a "):
        AutoencoderTransformer(2).fit(X, X_target=target)
