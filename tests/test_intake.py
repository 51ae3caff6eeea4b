"""Bad input meets a clear error; odd input gives what the same numbers give."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skae import AutoencoderTransformer

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 4))
COUNTS = 50 * rng.integers(0, 3, size=(30, 4))
FRAME = pd.DataFrame(X, columns=list("abcd"))
FITS = ["fit", "partial_fit", "fit_transform"]
USES = ["transform", "reconstruct", "reconstruction_error", "score", "score_samples"]


def autoencoder(**parameters):
    """Return an estimator that trains for two epochs, however few the rows."""
    quick = {"early_stopping": False, "max_epochs": 2}
    if "network" not in parameters:
        quick["hidden_layer_sizes"] = (8,)
    quick |= {"alpha": 0.01, "learning_rate": 2e-3, "random_state": 0}
    return AutoencoderTransformer(**quick | parameters)


def call(method, bad, good=X):
    """Call a method with `bad`; one that needs a fitted estimator gets one."""
    estimator = autoencoder()
    if method in USES:
        estimator.fit(good)
    return getattr(estimator, method)(bad)


def codes(X, **parameters):
    return autoencoder(**parameters).fit_transform(X)


def with_cell(data, value):
    """Return a copy of some data with `value` in row 3, column 1."""
    data = data.copy()
    if isinstance(data, pd.DataFrame):
        data.iloc[3, 1] = value
    else:
        data[3, 1] = value
    return data


# Values that are missing or too large


@pytest.mark.parametrize("method", FITS + USES)
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_non_finite_value_is_located(method, value, name):
    with pytest.raises(ValueError, match=f"contains {name}(?s:.)*row 3, column 1"):
        call(method, with_cell(X, value))


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_non_finite_value_in_a_frame_is_located_by_name(method):
    with pytest.raises(ValueError, match=r"row 3, column 1 \('b'\)"):
        call(method, with_cell(FRAME, np.inf), good=FRAME)


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_non_finite_value_in_a_sparse_matrix_is_located(method):
    with pytest.raises(ValueError, match="row 3, column 1"):
        call(method, sp.csr_array(with_cell(X, np.nan)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_code_is_located(value):
    with pytest.raises(ValueError, match="row 3, column 1"):
        autoencoder().fit(X).inverse_transform(with_cell(X[:, :2], value))


def test_none_among_objects_is_located():
    with pytest.raises(ValueError, match="row 3, column 1"):
        autoencoder().fit(with_cell(X.astype(object), None))


@pytest.mark.parametrize(
    "dtype", ["Int64", "Float64", "boolean", "double[pyarrow]", "bool[pyarrow]", object]
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_missing_value_in_a_nullable_frame_is_located(method, dtype):
    good = (FRAME > 0).astype(dtype)
    with pytest.raises(ValueError, match=r"row 3, column 1 \('b'\)"):
        call(method, with_cell(good, pd.NA), good=good)


def test_missing_value_in_a_polars_frame_is_located():
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, None, 3.0]})
    with pytest.raises(ValueError, match=r"row 1, column 1 \('b'\)"):
        autoencoder(n_components=1).fit(frame)


@pytest.mark.parametrize("masked", [X, X[:, :2]], ids=["X", "code"])
def test_masked_value_is_located(masked):
    estimator = autoencoder().fit(X)
    use = estimator.transform if masked is X else estimator.inverse_transform
    masked = with_cell(np.ma.masked_array(masked), np.ma.masked)
    with pytest.raises(ValueError, match=r"masked values.*\(3, 1\)"):
        use(masked)


def test_masked_value_is_refused_by_fit():
    with pytest.raises(ValueError, match="masked values"):
        autoencoder().fit(with_cell(np.ma.masked_array(X), np.ma.masked))


def test_masked_array_without_masked_values_is_an_array():
    assert_array_equal(codes(np.ma.masked_array(X, mask=np.zeros_like(X))), codes(X))


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("scale", [1e200, 1e300])
def test_values_whose_spread_overflows_are_refused(method, scale):
    with pytest.raises(ValueError, match="so large"):
        call(method, X * scale)


@pytest.mark.parametrize("early_stopping", ["auto", False])
@pytest.mark.parametrize("scale", [1e-300, 1e50, 1e100])
def test_values_beyond_float32_are_trained_in_float32(scale, early_stopping):
    parameters = {"precision": "float32", "early_stopping": early_stopping}
    scaled, expected = codes(X * scale, **parameters), codes(X, **parameters)
    assert_allclose(scaled / scale, expected, rtol=1e-2, atol=1e-2)


# Shapes


@pytest.mark.parametrize("method", USES)
def test_other_number_of_features_is_refused(method):
    with pytest.raises(ValueError, match="X has 3 features, but .* expecting 4"):
        call(method, X[:, :3])


def test_other_number_of_features_is_refused_by_partial_fit():
    with pytest.raises(ValueError, match="X has 3 features, but .* expecting 4"):
        autoencoder().fit(X).partial_fit(X[:, :3])


@pytest.mark.parametrize("n_components", [1, 3, 4])
def test_other_number_of_components_is_refused(n_components):
    with pytest.raises(ValueError, match=f"X has {n_components} columns.*2 components"):
        autoencoder().fit(X).inverse_transform(X[:, :n_components])


@pytest.mark.parametrize("method", [*FITS, *USES, "inverse_transform"])
def test_array_of_one_axis_is_refused(method):
    with pytest.raises(ValueError, match="Expected 2D array, got 1D"):
        getattr(autoencoder().fit(X), method)(X[0])


@pytest.mark.parametrize("method", [*USES, "partial_fit"])
def test_array_of_three_axes_is_refused_after_a_fit_to_a_table(method):
    message = r"images of shape \(30, 4\), but .* was fitted to rows of 4 features"
    with pytest.raises(ValueError, match=message):
        getattr(autoencoder().fit(X), method)(X[None])


def test_codes_of_three_axes_are_refused():
    with pytest.raises(ValueError, match="Found array with dim 3"):
        autoencoder().fit(X).inverse_transform(X[None])


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize(
    ("bad", "message"), [(X[:0], r"0 sample\(s\)"), (X[:, :0], r"0 feature\(s\)")]
)
def test_empty_training_data_is_refused(method, bad, message):
    with pytest.raises(ValueError, match=message):
        call(method, bad)


@pytest.mark.parametrize("empty", [X[:0], sp.csr_array((0, 4)), FRAME[:0]])
def test_no_rows_have_no_codes(empty):
    good = FRAME if isinstance(empty, pd.DataFrame) else X
    assert call("transform", empty, good).shape == (0, 2)


@pytest.mark.parametrize(
    ("method", "n_columns", "shape"),
    [
        ("inverse_transform", 2, (0, 4)),
        ("reconstruct", 4, (0, 4)),
        ("score_samples", 4, (0,)),
        ("reconstruction_error", 4, (0,)),
    ],
)
def test_no_rows_give_empty_results(method, n_columns, shape):
    empty = np.empty((0, n_columns))
    assert getattr(autoencoder().fit(X), method)(empty).shape == shape


def test_score_of_no_rows_is_refused():
    with pytest.raises(ValueError, match="0 sample"):
        autoencoder().fit(X).score(X[:0])


@pytest.mark.filterwarnings("ignore:X has one row")
@pytest.mark.parametrize("early_stopping", ["auto", True, False])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_one_row_is_reconstructed_exactly(method, early_stopping):
    estimator = autoencoder(early_stopping=early_stopping)
    assert_array_equal(getattr(estimator, method)(X[:1]).reconstruct(X[:1]), X[:1])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_one_row_is_warned_of(method):
    with pytest.warns(UserWarning, match="X has one row: nothing varies"):
        getattr(autoencoder(), method)(X[:1])


@pytest.mark.filterwarnings("error")
def test_later_pieces_of_one_row_are_not_warned_of():
    autoencoder().partial_fit(X).partial_fit(X[:1])


def test_one_feature_is_reconstructed():
    assert autoencoder(n_components=1).fit(X[:, :1]).score(X[:, :1]) > 0.99


@pytest.mark.filterwarnings("ignore:X has the same value")
def test_constant_data_is_reconstructed():
    constant = np.tile([0.0, 1e-3, 7.0, 1e6], (30, 1))
    assert_allclose(autoencoder().fit(constant).reconstruct(constant), constant)


@pytest.mark.filterwarnings("ignore:X has the same value")
def test_constant_column_counts_with_the_common_scale():
    # Dividing by the spread of a constant column would make a tiny shift enormous.
    constant = np.column_stack([X, np.ones(30)])
    shifted = np.column_stack([X, np.full(30, 1 + 1e-4)])
    estimator = autoencoder().fit(constant)
    assert_allclose(
        estimator.transform(shifted), estimator.transform(constant), atol=1e-3
    )


@pytest.mark.parametrize("n_samples", [2, 5, 29, 30])
@pytest.mark.filterwarnings("ignore:X has only 1 independent")
def test_fewer_rows_than_batch_size_are_one_batch(n_samples):
    estimator = autoencoder(batch_size=1000).fit(X[:n_samples])
    assert_array_equal(
        estimator.transform(X), autoencoder().fit(X[:n_samples]).transform(X)
    )


# Scales


@pytest.mark.parametrize("early_stopping", ["auto", False])
@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12, 1e30, 1e150])
def test_codes_scale_with_the_data(scale, early_stopping):
    scaled = codes(X * scale, early_stopping=early_stopping)
    expected = codes(X, early_stopping=early_stopping)
    assert_allclose(scaled / scale, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scale", [1e-12, 1e12, 1e30])
def test_codes_scale_with_float32_data(scale):
    X32 = X.astype(np.float32)
    scaled = codes(X32 * np.float32(scale)) / np.float32(scale)
    assert_allclose(scaled, codes(X32), rtol=1e-2, atol=1e-2)


def test_codes_do_not_depend_on_a_power_of_two():
    assert_array_equal(codes(X * 2.0**20), codes(X) * 2.0**20)


@pytest.mark.parametrize("offset", [1e3, 1e6, -1e6])
def test_codes_do_not_depend_on_an_offset(offset):
    assert_allclose(codes(X + offset), codes(X), atol=1e-3)


@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_offset_data_is_reconstructed(early_stopping):
    estimator = autoencoder(n_components=3, early_stopping=early_stopping)
    low_rank = X[:, :3] @ rng.normal(size=(3, 4)) + 1e6
    assert estimator.fit(low_rank).score(low_rank) > 0.99


# Dtypes and containers


@pytest.mark.parametrize(
    "dtype",
    ["float16", "int8", "int64", "uint8", "bool", ">f8", ">i4", "longdouble", object],
)
def test_odd_dtype_gives_the_codes_of_float64(dtype):
    odd = COUNTS.astype(dtype)
    result = codes(odd)
    assert result.dtype == np.float64
    assert_array_equal(result, codes(odd.astype(np.float64)))


@pytest.mark.parametrize(
    "dtype", ["float16", "int8", "int64", "uint8", "bool", "longdouble", object]
)
def test_odd_dtype_trains_in_double_precision(dtype):
    assert autoencoder().fit(COUNTS.astype(dtype)).precision_ == "float64"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_big_endian_numbers_give_the_codes_of_native_ones(dtype):
    native = X.astype(dtype)
    result = codes(native.astype(native.dtype.newbyteorder(">")))
    assert result.dtype == dtype
    assert_array_equal(result, codes(native))


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", ">f8", object])
def test_code_of_odd_dtype_is_decoded_like_float64(dtype):
    estimator, code = autoencoder().fit(X), COUNTS[:, :2].astype(dtype)
    assert_array_equal(
        estimator.inverse_transform(code),
        estimator.inverse_transform(code.astype(np.float64)),
    )


@pytest.mark.parametrize(
    "arrange",
    [
        np.asfortranarray,
        lambda X: X[::-1][::-1],
        lambda X: X[:, ::-1][:, ::-1],
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: np.flip(np.flip(X).copy()),
        list,
        np.ndarray.tolist,
        torch.tensor,
    ],
    ids=[
        "fortran",
        "rows reversed twice",
        "columns reversed twice",
        "every second row",
        "negative strides",
        "list of rows",
        "list of lists",
        "tensor",
    ],
)
def test_arrangement_in_memory_does_not_matter(arrange):
    assert_array_equal(codes(arrange(X)), codes(X))


def csr_with_long_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@pytest.mark.parametrize(
    "make",
    [
        sp.csr_array,
        sp.csr_matrix,
        sp.csc_array,
        sp.coo_array,
        sp.lil_array,
        csr_with_long_indices,
    ],
)
def test_sparse_formats_give_the_codes_of_dense_data(make):
    sparse = COUNTS * (X > 0)
    assert_array_equal(codes(make(sparse)), codes(sparse))


@pytest.mark.parametrize(
    "dtype", ["Float64", "Int64", "boolean", "double[pyarrow]", "int64[pyarrow]"]
)
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_nullable_frame_gives_the_results_of_numpy(method, dtype):
    frame = pd.DataFrame(COUNTS > 0, columns=list("abcd")).astype(dtype)
    expected = call(method, *2 * [(COUNTS > 0).astype(np.float64)])
    assert_array_equal(call(method, frame, good=frame), expected)


def test_mixed_nullable_frame_gives_the_codes_of_numpy():
    frame = FRAME.assign(
        a=FRAME.a.astype("Float64"), b=FRAME.b.astype("float[pyarrow]")
    )
    assert_array_equal(codes(frame), codes(frame.to_numpy(np.float64)))


def test_polars_frame_gives_the_codes_of_numpy():
    assert_array_equal(codes(pl.from_pandas(FRAME)), codes(X))


def test_numeric_categories_are_numbers():
    frame = FRAME.assign(b=pd.Categorical([1, 2] * 15))
    assert_array_equal(codes(frame), codes(frame.astype(np.float64)))


@pytest.mark.parametrize(
    "column",
    [
        ["x"] * 30,
        pd.Categorical(["x"] * 30),
        pd.array(["x"] * 30, dtype="string[pyarrow]"),
        pd.Series([1.0] * 29 + ["x"], dtype=object),
        pd.date_range("2020", periods=30),
        pd.to_timedelta(np.arange(30)),
    ],
    ids=["str", "categorical", "pyarrow", "object", "date", "duration"],
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_column_that_is_not_numeric_is_named(method, column):
    with pytest.raises((ValueError, TypeError), match="not numbers: c[.]"):
        call(method, FRAME.assign(c=column), good=FRAME)


def test_column_that_is_not_numeric_is_named_in_polars():
    with pytest.raises(ValueError, match="not numbers: b[.]"):
        autoencoder().fit(pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}))


@pytest.mark.parametrize("method", ["fit", "transform", "inverse_transform"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: X.astype(str), "strings|not numbers"),
        (lambda X: with_cell(X.astype(object), "x"), "could not convert string"),
        (lambda X: X * 1j, "Complex data not supported"),
        (lambda X: X.view(np.matrix), "np.matrix is not supported"),
        (lambda X: X.astype("M8[D]"), "not numbers"),
        (lambda X: [[1.0, 2.0], [3.0]], "inhomogeneous"),
        (lambda X: None, "Expected 2D array"),
    ],
    ids=["strings", "objects", "complex", "matrix", "dates", "ragged", "None"],
)
def test_what_is_not_an_array_of_numbers_is_refused(method, spoil, message):
    estimator = autoencoder().fit(X)
    bad = spoil(X[:, :2] if method == "inverse_transform" else X)
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(estimator, method)(bad)


def test_sparse_codes_are_refused():
    with pytest.raises(TypeError, match="Sparse data was passed"):
        autoencoder().fit(X).inverse_transform(sp.csr_array(X[:, :2]))


@pytest.mark.parametrize("names", [list("abca"), [0, 1, 1, 2]])
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_duplicated_columns_are_named(method, names):
    message = "duplicated column names: (a|1)[.]"
    with pytest.raises(ValueError, match=message):
        call(method, FRAME.set_axis(names, axis=1), good=FRAME)


@pytest.mark.parametrize("method", USES)
def test_reordered_columns_are_refused(method):
    with pytest.raises(ValueError, match="must be in the same order"):
        call(method, FRAME[list("dcba")], good=FRAME)


def test_reordered_columns_are_refused_by_partial_fit():
    with pytest.raises(ValueError, match="must be in the same order"):
        autoencoder().fit(FRAME).partial_fit(FRAME[list("dcba")])


def test_renamed_column_is_named():
    with pytest.raises(ValueError, match="unseen at fit time:\n- z"):
        call("transform", FRAME.rename(columns={"a": "z"}), good=FRAME)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("make", [np.copy, sp.csr_array, pd.DataFrame])
def test_data_is_never_modified(make, loss):
    probabilities = np.clip(X, 0, 1)
    data, weight = make(probabilities), np.arange(30.0)
    estimator = autoencoder(loss=loss).fit(data, sample_weight=weight)
    estimator.partial_fit(data, sample_weight=weight)
    code = estimator.transform(data)
    before = code.copy()
    estimator.inverse_transform(code)
    for method in USES:
        getattr(estimator, method)(data)
    assert_array_equal(data.toarray() if sp.issparse(data) else data, probabilities)
    assert_array_equal(weight, np.arange(30.0))
    assert_array_equal(code, before)


@pytest.fixture
def warn_always():
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def read_only(data):
    array = data.data if sp.issparse(data) else data
    array.flags.writeable = False
    return data


@pytest.mark.usefixtures("warn_always")
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [np.array, sp.csr_array, pd.DataFrame])
def test_read_only_data_gives_no_warning(make, dtype, loss):
    data = make(np.clip(X, 0, 1).astype(dtype))
    if not isinstance(data, pd.DataFrame):  # pandas hands out read-only arrays itself
        read_only(data)
    weight = read_only(np.ones(30))
    estimator = autoencoder(loss=loss).fit(data, sample_weight=weight)
    estimator.partial_fit(data, sample_weight=weight)
    for method in USES:
        getattr(estimator, method)(data)
    estimator.score(data, sample_weight=weight)
    estimator.inverse_transform(read_only(estimator.transform(data)))


@pytest.mark.parametrize("y", [["label"] * 30, np.full(30, np.nan), "anything"])
def test_y_is_ignored(y):
    estimator = autoencoder().fit(X, y)
    assert_array_equal(estimator.transform(X), codes(X))
    assert estimator.score(X, y) == estimator.score(X)


# Parameters

BAD_PARAMETERS = {
    "n_components": [0, -1, 2.5, "2"],
    "network": ["cnn", None, 3],
    "image_shape": ["square", 28, {28}, np.array([7, 5])],
    "channel_order": ["middle", None, -1],
    "hidden_layer_sizes": ["big", 8, None],
    "activation": ["softsign", None, nn.ReLU],
    "init": ["zeros", None],
    "bottleneck": ["vae", 3, lambda h: h],
    "loss": ["mse", None],
    "penalty": ["l0", 0.1],
    "corruption": ["blur", 0.1],
    "density": ["kde", 3],
    "alpha": [-1, np.nan, "small"],
    "solver": ["rmsprop", None],
    "learning_rate": [0, -1, np.inf, np.nan, "fast"],
    "schedule": ["cosine", None],
    "batch_size": [-1, 0, 2.5, "big"],
    "max_epochs": [-1, 0, 1.5, "many"],
    "max_time": [0, -1, np.nan, "long"],
    "checkpoint": [3, True, ["folder"]],
    "checkpoint_every": [0, -1, 1.5, None],
    "tol": [-1, np.nan],
    "early_stopping": ["yes", None, 1],
    "validation_fraction": [0, 1, 1.5, -0.1],
    "n_iter_no_change": [0, 1.5],
    "precision": ["double", "float16", None],
    "compile": [1, None, 0.5],
    "device": [0, None],
    "n_jobs": [0, -2, 1.5],
    "warm_start": ["yes", 1],
    "callbacks": ["early_stopping", 3],
    "verbose": [-1, "loud"],
    "random_state": [-1, "seed"],
}


def test_every_parameter_has_a_bad_value():
    assert set(BAD_PARAMETERS) == set(AutoencoderTransformer().get_params())


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD_PARAMETERS.items() for value in values],
)
def test_bad_parameter_is_named_before_the_data_is_read(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Auto.* must be"):
        AutoencoderTransformer(**{name: value}).fit("no data")


@pytest.mark.parametrize("method", FITS)
def test_every_kind_of_fit_checks_parameters(method):
    with pytest.raises(ValueError, match="The 'batch_size' parameter"):
        getattr(AutoencoderTransformer(batch_size=-1), method)(X)


@pytest.mark.parametrize("sizes", [(8, 0), (8, -1), (2.5,), ("a",), ((8,),)])
def test_bad_width_of_a_hidden_layer_is_named(sizes):
    with pytest.raises(ValueError, match="width .* must be a whole number"):
        autoencoder(hidden_layer_sizes=sizes).fit("no data")


@pytest.mark.parametrize("sizes", [[8], (np.int64(8),)])
def test_widths_may_be_a_list_or_numpy_integers(sizes):
    assert_array_equal(
        codes(X, hidden_layer_sizes=sizes), codes(X, hidden_layer_sizes=(8,))
    )


@pytest.mark.parametrize(
    ("sizes", "remedy"),
    [
        ((64, 32, 2, 32, 64), r"n_components=2 and hidden_layer_sizes=\(64, 32\)"),
        ([16, 4, 16], r"n_components=4 and hidden_layer_sizes=\(16,\)"),
        ((16, 8, 3, 8, 16, 4), r"n_components=3 and hidden_layer_sizes=\(16, 8\)"),
        ((16, 8, 2), r"n_components=2 and hidden_layer_sizes=\(16, 8\)"),
    ],
    ids=str,
)
def test_widths_of_a_whole_autoencoder_are_warned_of(sizes, remedy):
    with pytest.warns(UserWarning, match=f"encoder's hidden layers alone.*{remedy}"):
        autoencoder(hidden_layer_sizes=sizes).fit(X)


@pytest.mark.parametrize("sizes", [(8, 4), (8, 8, 8), (4, 8), (4, 8, 4), (2, 2, 2)])
def test_other_widths_are_not_warned_of(sizes):
    autoencoder(hidden_layer_sizes=sizes).fit(X)


@pytest.mark.parametrize(
    ("unused", "named"),
    [
        ({"hidden_layer_sizes": (8, 4)}, r"hidden_layer_sizes=\(8, 4\) shape"),
        ({"activation": "relu"}, "activation='relu' shape"),
        ({"hidden_layer_sizes": (), "activation": "relu"}, r"\(\) and activation="),
    ],
    ids=str,
)
def test_what_a_network_of_the_user_never_sees_is_warned_of(unused, named):
    with pytest.warns(UserWarning, match=f"{named}.*network of your own does not"):
        autoencoder(network=Linear, **unused).fit(X)


@pytest.mark.parametrize("device", ["warp", "cuda:x"])
def test_unknown_device_is_refused(device):
    with pytest.raises(ValueError, match="not a torch device. Available here: cpu"):
        autoencoder(device=device).fit("no data")


@pytest.mark.parametrize("device", ["cuda:99", "cpu:1", "meta", torch.device("meta")])
def test_absent_device_is_refused(device):
    with pytest.raises(ValueError, match="is not available. Available here: cpu"):
        autoencoder(device=device).fit("no data")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_gpu_is_refused():
    with pytest.raises(ValueError, match="'cuda' is not available"):
        autoencoder(device="cuda").fit("no data")


@pytest.mark.parametrize("device", ["cpu:0", torch.device("cpu")])
def test_names_of_the_cpu_are_equal(device):
    assert_array_equal(codes(X, device=device), codes(X))


# Networks


class Linear(nn.Module):
    """A network with one layer on each side, for tests to spoil."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)


class NoDecoder(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components)


class WideCode(Linear):
    def __init__(self, n_features, n_components):
        super().__init__(n_features, n_components + 1)


class NarrowOutput(Linear):
    def __init__(self, n_features, n_components):
        super().__init__(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features - 1)


class TwoCodes(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.layer = nn.Linear(n_features, n_components)
        self.decode = nn.Linear(n_components, n_features)

    def encode(self, X):
        return self.layer(X), self.layer(X)


class BatchNorm(Linear):
    def __init__(self, n_features, n_components):
        super().__init__(n_features, n_components)
        self.encode = nn.Sequential(self.encode, nn.BatchNorm1d(n_components))


@pytest.mark.parametrize("method", FITS)
def test_network_instance_is_refused(method):
    estimator = autoencoder(network=Linear(4, 2))
    with pytest.raises(TypeError, match="is an instance of Linear; pass the class"):
        getattr(estimator, method)(X)


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (NoDecoder, TypeError, "NoDecoder has no method 'decode'"),
        (lambda n_features, n_components: 3, TypeError, "network returned 3"),
        (WideCode, ValueError, r"encode turned 2 rows .*\(2, 3\); .* \(2, 2\)"),
        (NarrowOutput, ValueError, r"decode turned 2 rows .*\(2, 3\); .* \(2, 4\)"),
        (TwoCodes, TypeError, "TwoCodes.encode returned a tuple"),
        (nn.Linear, TypeError, "n_features"),
    ],
    ids=["no decode", "no module", "code", "output", "tuple", "signature"],
)
@pytest.mark.parametrize("init", ["pca", "random"])
def test_network_without_the_right_methods_is_refused(init, network, error, message):
    with pytest.raises(error, match=message):
        autoencoder(network=network, init=init).fit(X)


class OtherNames(Linear):
    def __init__(self, input_dim, latent_dim):
        super().__init__(input_dim, latent_dim)


class OneMore(Linear):
    def __init__(self, n_features, n_components, width):
        super().__init__(n_features, n_components)


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (OtherNames, r"\(input_dim, latent_dim\)"),
        (OneMore, r"\(n_features, n_components, width\)"),
        (lambda: None, r"\(\)"),
        ((nn.Linear, nn.Linear), "in_features"),
    ],
    ids=["other names", "one more", "none", "pair"],
)
def test_network_with_other_parameters_is_told_how_it_is_called(network, parameters):
    message = f"n_features=4, n_components=2.*{parameters}.*lambda n_features"
    with pytest.raises(TypeError, match=message):
        autoencoder(network=network).fit(X)


@pytest.mark.filterwarnings("ignore:X has one row")
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_batch_norm_refuses_one_row(method, init):
    estimator = autoencoder(network=BatchNorm, init=init)
    with pytest.raises(ValueError, match="n_samples=1"):
        getattr(estimator, method)(X[:1])


def test_batch_norm_refuses_batches_of_one_row():
    with pytest.raises(ValueError, match="batch_size=1"):
        autoencoder(network=BatchNorm, batch_size=1).fit(X)


@pytest.mark.parametrize(("n_samples", "batch_size"), [(4, 4), (5, 4), (29, 2)])
def test_batch_norm_never_sees_a_lone_last_row(n_samples, batch_size):
    estimator = autoencoder(network=BatchNorm, batch_size=batch_size)
    assert estimator.fit(X[:n_samples]).n_epochs_ == 2


# Solvers and losses


def test_solver_instance_is_refused():
    solver = torch.optim.SGD(nn.Linear(1, 1).parameters())
    with pytest.raises(TypeError, match="The 'solver' parameter .* must be"):
        autoencoder(solver=solver).fit(X)


@pytest.mark.parametrize("solver", [nn.Linear, lambda parameters, lr: None])
def test_solver_that_is_no_optimizer_is_refused(solver):
    with pytest.raises(TypeError, match="solver=.* must be a name or a class"):
        autoencoder(solver=solver).fit("no data")


def test_solver_without_weight_decay_refuses_alpha():
    with pytest.raises(ValueError, match="LBFGS has no weight decay, but alpha=0.01"):
        autoencoder(solver=torch.optim.LBFGS).fit("no data")


@pytest.mark.parametrize("alpha", [0, "auto"])
def test_solver_without_weight_decay_works_without_a_number(alpha):
    estimator = autoencoder(solver=torch.optim.LBFGS, alpha=alpha, max_epochs=5).fit(X)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("make", [np.array, sp.csr_array])
@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_log_loss_refuses_values_outside_0_1(value, make, method):
    bad = make(with_cell(np.full((30, 4), 0.5), value))
    with pytest.raises(ValueError, match=f"needs X in .0, 1.*{value}"):
        getattr(autoencoder(loss="log_loss"), method)(bad)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_log_loss_takes_what_rounding_leaves(dtype):
    beyond = np.abs(X / np.abs(X).max()).astype(dtype)
    beyond[3, 1] = 1 + max(1e-7, np.finfo(dtype).eps)
    beyond[4, 1] = -1e-7
    assert beyond.max() > 1
    code, expected = (codes(x, loss="log_loss") for x in (beyond, beyond.clip(0, 1)))
    assert_allclose(code, expected, atol=1e-2)


def test_message_of_log_loss_shows_the_digits():
    with pytest.raises(ValueError, match=r"values from 0 to 1\.00002\."):
        autoencoder(loss="log_loss").fit(with_cell(np.clip(X, 0, 1), 1.00002))


def test_log_loss_accepts_0_and_1():
    bits = (X > 0).astype(np.float64)
    assert np.isfinite(autoencoder(loss="log_loss").fit(bits).score_samples(bits)).all()


# Weights


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(29), r"sample_weight.shape == \(29,\)"),
        (np.ones((30, 2)), "Sample weights must be 1D"),
        (np.r_[-1, np.ones(29)], "Negative values in data passed to `sample_weight`"),
        (np.zeros(30), "weights? .*zero"),
        (np.r_[np.nan, np.ones(29)], "sample_weight contains NaN"),
        (np.r_[np.inf, np.ones(29)], "sample_weight contains infinity"),
        (np.ma.masked_less(np.arange(30.0), 5), "masked"),
    ],
    ids=["length", "2-D", "negative", "zero", "nan", "inf", "masked"],
)
def test_bad_sample_weight_is_refused(method, weight, message):
    with pytest.raises(ValueError, match=message):
        getattr(autoencoder().fit(X), method)(X, sample_weight=weight)


@pytest.mark.parametrize("scale", [1e-300, 1e-6, 1e300])
def test_scale_of_the_weights_does_not_matter(scale):
    weight = np.arange(30.0)
    expected = autoencoder().fit(X, sample_weight=weight)
    estimator = autoencoder().fit(X, sample_weight=weight * scale)
    assert_allclose(estimator.transform(X), expected.transform(X), atol=1e-3)
    assert_allclose(
        estimator.score(X, sample_weight=weight * scale),
        expected.score(X, sample_weight=weight),
        rtol=1e-3,
    )


def test_rows_of_weight_zero_may_hold_anything_but_nan():
    weight = np.r_[0, np.ones(29)]
    spoilt = X.copy()
    spoilt[0] = 1e200
    estimator = autoencoder().fit(spoilt, sample_weight=weight)
    assert_array_equal(estimator.transform(X), autoencoder().fit(X[1:]).transform(X))


@pytest.mark.parametrize(
    "make",
    [list, pd.Series, np.float32, lambda w: w.astype(int), lambda w: w[::-1][::-1]],
)
def test_weights_of_any_container_are_equal(make):
    weight = np.arange(30.0)
    expected = autoencoder().fit(X, sample_weight=weight).transform(X)
    result = autoencoder().fit(X, sample_weight=make(weight)).transform(X)
    assert_array_equal(result, expected)


# What a failure leaves behind


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_refused_data_leave_a_fitted_estimator_as_it_was(method):
    estimator = autoencoder().fit(X)
    before = estimator.transform(X)
    with pytest.raises(ValueError, match="NaN"):
        getattr(estimator, method)(with_cell(X, np.nan))
    assert_array_equal(estimator.transform(X), before)


@pytest.mark.filterwarnings("ignore:Training diverged")
def test_divergence_is_an_error():
    estimator = autoencoder(solver="sgd", learning_rate=1e12, max_epochs=50)
    with pytest.raises(ValueError, match="Training diverged.*Lower learning_rate"):
        estimator.fit(X)
