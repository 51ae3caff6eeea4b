"""Model files that say what cannot be, with checksums that are right.

What is said of the table alone stands in test_files.py.
"""

import hashlib
import importlib.util
import io
import json
import struct
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer, ModelFileError, dump, load
from skae._files.schema import BOOL, COUNT, NUMBER, SchemaError, check, maybe, one_of
from skae.bottlenecks import OrderedBottleneck, VectorQuantizedBottleneck
from skae.penalties import SparsityPenalty, Sum

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = load_digits().data[:120]
IMAGES = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def new(n_components=2, **settings):
    settings = {"hidden_layer_sizes": (4,), "max_epochs": 2, **settings}
    return AutoencoderTransformer(n_components, random_state=0, **settings)


def random_state():
    return new().set_params(random_state=np.random.RandomState(0)).fit(X)


def trained_on(**settings):
    return new(early_stopping=False, **settings).partial_fit(X)


KINDS = {
    "table": lambda: new(early_stopping=True).fit(X),
    "ordered": lambda: new(0.5, bottleneck="ordered").fit(X),
    "sizes": lambda: new(0.5, bottleneck=OrderedBottleneck(sizes=(1, 2))).fit(X),
    "codebook": lambda: new(bottleneck=VectorQuantizedBottleneck(4)).fit(X),
    "images": lambda: new(network="mlp").fit(IMAGES),
    "flat": lambda: new(network="conv", image_shape=(8, 8), max_epochs=1).fit(X),
    "target": lambda: new(network="mlp").fit(IMAGES, X_target=IMAGES[:, ::2, ::2]),
    "density": lambda: new(density="gaussian_mixture").fit(X),
    "random state": random_state,
    "optimizer": lambda: trained_on(solver="sgd", loss="negative_binomial"),
    "by hand": lambda: trained_on(),
    "pieces": lambda: new().partial_fit(X),
}


@cache
def written(kind):
    """Return the file of a model of this kind."""
    file = io.BytesIO()
    dump(KINDS[kind](), file, keep_optimizer=True, keep_components=True)
    return file.getvalue()


def forged(kind, edit):
    """Return a file whose facts and tensors were edited."""
    data = written(kind)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    facts = json.loads(header["__metadata__"]["skae"])
    tensors = safetensors.torch.load(data)
    edit(facts, tensors)
    total = hashlib.sha256()
    for name in sorted(tensors):
        x = tensors[name] = tensors[name].contiguous()
        total.update(f"{name} {x.dtype} {tuple(x.shape)}\n".encode())
        total.update(x.reshape(-1).view(torch.uint8).numpy())
    text = json.dumps({**facts, "sha256": total.hexdigest()})
    digest = hashlib.sha256(text.encode()).hexdigest()
    metadata = {"skae": text, "skae_sha256": digest}
    return io.BytesIO(safetensors.torch.save(tensors, metadata))


def says(path, value):
    """Return an edit that sets a fact; its path is in dots."""

    def edit(facts, tensors):
        *way, last = path.split(".")
        for key in way:
            facts = facts[int(key) if key.isdigit() else key]
        facts[int(last) if last.isdigit() else last] = value

    return edit


def holds(name, change):
    """Return an edit that changes a tensor."""

    def edit(facts, tensors):
        tensors[name] = change(tensors[name].clone())

    return edit


def filled(value):
    def change(x):
        x.view(-1)[0] = value
        return x

    return change


def swapped(a, b):
    def edit(facts, tensors):
        tensors[a], tensors[b] = tensors[b], tensors[a]

    return edit


def both(*edits):
    def edit(facts, tensors):
        for one in edits:
            one(facts, tensors)

    return edit


def without(path):
    def edit(facts, tensors):
        *way, last = path.split(".")
        for key in way:
            facts = facts[int(key) if key.isdigit() else key]
        del facts[last]

    return edit


def numbers_of_twister(place, dtype, value):
    def change(state):
        state.numpy()[place].view(dtype)[:] = value
        return state

    return change


NOTHING = {"part": "Sum", "parameters": {"penalties": {"list": []}}}
NOISE = {"part": "GaussianNoise", "parameters": {"scale": 0.1}}
SGD = {"named": "torch.optim.SGD"}
FACTS = {
    **{f"lr {value!r}": says("net.lr", value) for value in ("0.1", [0.1], 0.0, True)},
    **{f"rounding {value!r}": says("start.rounding", value) for value in ("a", [], 2)},
    "lr is NaN": says("net.lr", float("nan")),
    "rounding is infinite": says("start.rounding", float("inf")),
    "rows": says("start.n_samples", "120"),
    "stream": says("net.lends_stream", 1),
    "device of the net": says("net.device", "xla"),
    "nat": says("recipe.nat", 0.0),
    "scale": says("start.scale", 1e-300),
    "scale and card": both(
        says("start.scale", 1e-300), says("card.scale_of_data", 1e-300)
    ),
    "container": says("output", {"transform": "sparse"}),
    "containers": says("output", ["pandas"]),
    "solver for a loss": says("structure.loss", SGD),
    "solver for a parameter": says("parameters.loss", SGD),
    "solver for a network": says("parameters.network", SGD),
    "solvers for a network": says("parameters.network", {"tuple": [SGD, SGD]}),
    "no solver": says("parameters.solver", {"named": "torch.optim.Optimizer"}),
    "class for a loss": says("parameters.loss", {"named": "Huber"}),
    "noise for a loss": says("structure.loss", NOISE),
    "noise for a penalty": says("parameters.penalty", NOISE),
    "sum of nothing": says("parameters.penalty", NOTHING),
    "sum of a sum of nothing": says(
        "parameters.penalty",
        {"part": "Sum", "parameters": {"penalties": {"list": [NOTHING]}}},
    ),
    "corruption of images": says("parameters.corruption", "block_masking"),
    "folder": says("parameters.checkpoint", "executed"),
    "callbacks": says("parameters.callbacks", {"list": ["executed"]}),
    "backend": says("parameters.compile", "os.system"),
    "device": says("parameters.device", "quantum"),
    "torch's device": says("parameters.device", {"device": "meta"}),
    "huge": says("parameters.alpha", 10**400),
    "float": says("parameters.alpha", {"float": "Infinity"}),
    "loss's name": says("structure.loss", "absolute"),
    "network's name": says("structure.network", "conv"),
    "activation": says("structure.activation", "relu"),
    "activation of the recipe": says("recipe.arguments.activation", "relu"),
    "sizes": says("structure.hidden_layer_sizes", {"tuple": [5]}),
    "size": says("recipe.arguments.n_components", True),
    "components": says("structure.n_components", 3),
    "image_shape": says("structure.image_shape", {"tuple": [8, 8]}),
    "kept": says("n_kept", 1),
    "names": says("feature_names", [f"x{k}" for k in range(63)]),
    "same names": says("feature_names", ["x"] * 64),
    "numbers for names": says("feature_names", list(range(64))),
    "verdict": says("verdict", ["proven"]),
    "half of a character": says("verdict", "\ud800"),
    "half of a character in the history": says("history.0.\ud800", 1),
    "half of a character in a name": says(
        "feature_names", ["\ud800", *(f"x{k}" for k in range(63))]
    ),
    "epoch": says("history.0", {"epoch": 1}),
    "loss of an epoch": says("history.0.train_loss", "0.5"),
    "odd loss": says("history.0.train_loss", {"float": "1e400"}),
    "list of an epoch": says("history.0.event", [1]),
    "batches": says("history.0.batches", 5),
    "history": says("history", {"0": {}}),
    "X_dtype": says("X_dtype", "float16"),
    "range": says("scalars._seen", [120, 16.0, 0.0]),
    "number of rows": says("scalars._seen", [120.0, 0.0, 16.0]),
    "proven": says("scalars.proven_", 1),
    "card": says("card.n_components", 7),
    "version": says("versions.torch", 2),
    "format": says("format_version", 0),
    "parts of the form": says("form", {"row_shape": [64], "image_shape": [64]}),
    "seed": says("streams", {"order": {}, "seeds": {}}),
}
TENSORS = {
    "NaN in a weight": ("table", holds("module.decoder_path.bias", filled(np.nan))),
    "NaN in the mean": ("table", holds("start.mean", filled(np.nan))),
    "mean beyond the scale": ("table", holds("start.mean", filled(1e30))),
    "negative spread": ("table", holds("start.spread", filled(-0.1))),
    "spread beyond the scale": ("table", holds("start.spread", filled(1e300))),
    "spread of whole numbers": ("table", holds("start.spread", torch.Tensor.long)),
    "axes": ("table", holds("start.components", lambda x: x.T)),
    "shares": ("table", holds("explained_variance_ratio_", lambda x: x[:1])),
    "kept too many": ("ordered", says("n_kept", 10**6)),
    "kept between sizes": ("sizes", says("n_kept", 3)),
    "no sizes": ("sizes", says("structure.bottleneck.parameters.sizes", {"tuple": []})),
    "size in words": (
        "sizes",
        says("structure.bottleneck.parameters.sizes", {"tuple": ["2"]}),
    ),
    "codes": ("codebook", says("structure.bottleneck.parameters.n_codes", 10**9)),
    "groups": ("codebook", says("structure.bottleneck.parameters.n_groups", 2)),
    "flat rows": ("images", says("form.row_shape", [64])),
    "sides": ("images", says("form.image_shape", [4, 16])),
    "other sides": ("images", says("form.image_shape", [8, 9])),
    "axes of channels": ("images", says("form.channel_order", "middle")),
    "dtype": ("images", says("form.dtype", "O")),
    "dtype in words": ("images", says("form.dtype", "uint8")),
    "form of the results": ("images", says("target_form", None)),
    "table": ("images", both(says("form", None), says("target_form.dtype", "<f8"))),
    "names of pixels": ("images", says("feature_names", [str(k) for k in range(64)])),
    "image_shape": ("flat", says("structure.image_shape", {"tuple": [4, 16]})),
    "no image_shape": ("flat", says("structure.image_shape", None)),
    "order": ("flat", says("structure.channel_order", "first")),
    "size of the network": ("flat", says("recipe.arguments.size", [4, 16])),
    "last": ("flat", says("recipe.arguments.channels_last", True)),
    "scale of the target": ("target", says("target_scale", None)),
    "width of the target": ("target", says("recipe.arguments.n_outputs", 64)),
    "slopes": ("target", holds("target.slopes", lambda x: x[:, :4])),
    "means of the density": ("density", holds("density.means_", lambda x: x[:, :1])),
    "NaN in the density": ("density", holds("density.means_", filled(np.nan))),
    "distant mean": ("density", holds("density.means_", filled(1e308))),
    "weights of the density": ("density", holds("density.weights_", filled(1.0))),
    "negative weight": (
        "density",
        holds("density.weights_", lambda x: torch.eye(len(x))[0].double() * 2 - 0.1),
    ),
    "variance": ("density", holds("density.covariances_", filled(-1.0))),
    "covariance": (
        "density",
        holds("density.covariances_", lambda x: x + torch.eye(2).flip(0).triu()),
    ),
    "precision": ("density", holds("density.precisions_", filled(7.0))),
    "factor": ("density", holds("density.precisions_cholesky_", filled(-1.0))),
    "floats": ("density", holds("density.means_", torch.Tensor.float)),
    "size of the density": ("density", says("density.facts.n_features_in_", 3)),
    "converged": ("density", says("density.facts.converged_", "yes")),
    "covariance_type": (
        "density",
        says("density.estimator.parameters.covariance_type", "diag"),
    ),
    "other density": ("density", says("density.estimator", NOISE)),
    "n_components": ("density", says("density.estimator.parameters.n_components", 3)),
    # NumPy and torch take these, and read or write beyond the numbers.
    "twister": (
        "random state",
        says("parameters.random_state.random_state.2", 2**31 - 1),
    ),
    "keys": ("random state", says("parameters.random_state.random_state.1.0", -1)),
    "gauss": ("random state", says("parameters.random_state.random_state.3", 7)),
    "stream": (
        "by hand",
        holds("streams.init", numbers_of_twister(slice(8, 12), np.int32, 624)),
    ),
    "stream's length": ("by hand", holds("streams.init", lambda x: x[:-8])),
    "momentum": (
        "optimizer",
        swapped("optimizer.0.momentum_buffer", "optimizer.1.momentum_buffer"),
    ),
    "order of rows": ("by hand", says("streams.order.uinteger", 0.5)),
    "order of rows, odd": ("by hand", says("streams.order.has_uint32", 2)),
    "seeds": ("by hand", says("streams.seeds.split", -1)),
    "flat momentum": ("by hand", holds("optimizer.0.exp_avg", lambda x: x[:-1])),
    "negative square": ("by hand", holds("optimizer.0.exp_avg_sq", filled(-1.0))),
    "step": ("by hand", says("optimizer.entries.0.dict.step", "1")),
    "no step": ("by hand", without("optimizer.entries.0.dict.step")),
    "key": ("by hand", says("optimizer.keys", [7])),
    "keys of the optimizer": ("by hand", says("optimizer.keys", [0, 0])),
    "weights": ("by hand", says("optimizer.shapes", [[3]])),
    "units": ("table", holds("module.units", torch.zeros_like)),
    "mean of counts": ("optimizer", holds("module.loss.mean", filled(-1.0))),
    "rows of pieces": ("pieces", says("pieces.n_samples", -1)),
    "rows compared": ("pieces", says("pieces.n_compared", 0.5)),
    "lag": ("pieces", says("pieces.lag", "none")),
    "squares of pieces": ("pieces", holds("pieces.squares", filled(-1.0))),
    "mean of pieces": ("pieces", holds("pieces.mean", lambda x: x[:-1])),
    "directions": ("pieces", holds("pieces.root", lambda x: x[:, :-1])),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_that_cannot_be_are_refused(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="the BytesIO"):
        load(forged("table", FACTS[name]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TENSORS)
def test_what_does_not_fit_together_is_refused(name):
    kind, edit = TENSORS[name]
    with pytest.raises(ModelFileError, match="the BytesIO"):
        load(forged(kind, edit))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_anew_is_read(kind):
    def edit(facts, tensors):
        facts["of a later version"] = {"a": 1}

    model = load(forged(kind, edit))
    rows = IMAGES if kind in ("images", "target") else X
    assert np.array_equal(
        model.transform(rows), load(forged(kind, lambda *_: None)).transform(rows)
    )


def test_error_says_which_fact_and_what_it_may_be():
    wanted = "net.lr is 'fast'; it must be a number above 0"
    with pytest.raises(ModelFileError, match=wanted):
        load(forged("table", says("net.lr", "fast")))
    wanted = r"output.transform is 'sparse'; it must be one of 'default', 'pandas'"
    with pytest.raises(ModelFileError, match=wanted):
        load(forged("table", says("output", {"transform": "sparse"})))
    with pytest.raises(ModelFileError, match=r"history\[0\] is .*train_loss among"):
        load(forged("table", says("history.0", {"epoch": 1})))


@pytest.mark.parametrize(
    ("value", "wanted", "message"),
    [
        (0, COUNT, "a is 0; it must be a whole number of at least 1"),
        (2**63, COUNT, "a whole number"),
        (True, COUNT, "a is True"),
        (1, BOOL, "true or false"),
        (float("inf"), NUMBER, "a finite number"),
        ("c", one_of("a", "b"), "one of 'a', 'b'"),
        ([], one_of("a"), "one of"),
        (3, {"b": COUNT}, "an object"),
        ({}, {"b": COUNT}, "a lacks 'b'"),
        ({"b": 0}, {"b?": COUNT}, "a.b is 0"),
        ([1, 0], [COUNT], r"a\[1\] is 0"),
        (1, [COUNT], "a list"),
        (0, maybe(COUNT), "a is 0"),
        ("x" * 1000, COUNT, r"'x+\.\.\.;"),
    ],
)
def test_schema_says_what_is_wrong(value, wanted, message):
    with pytest.raises(SchemaError, match=message):
        check(value, wanted, "a")


def test_schema_takes_what_is_right():
    wanted = {"a": [COUNT], "b?": COUNT, "c": maybe(BOOL), "d": one_of("x", "y")}
    check({"a": [1, 2], "c": None, "d": "x", "more": []}, wanted, "")
    check({"a": [], "b": 1, "c": True, "d": "y"}, wanted, "")


# What dump does not write, as load would not read it


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -1}, "'alpha' parameter.*must be"),
        ({"loss": SparsityPenalty()}, "loss=SparsityPenalty.* is no Loss"),
        ({"penalty": Sum([])}, "Sum of no penalties"),
        ({"corruption": "block_masking"}, "for images, but X is a table"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"device": "quantum"}, "device is 'quantum'"),
    ],
)
def test_parameters_that_no_fit_takes_are_not_written(change, message):
    file = io.BytesIO()
    fitted = load(io.BytesIO(written("table"))).set_params(**change)
    with pytest.raises(ValueError, match=message):
        dump(fitted, file)
    assert file.getvalue() == b""


def test_container_that_is_none_is_not_written():
    fitted = load(io.BytesIO(written("table"))).set_output(transform="sparse")
    with pytest.raises(ValueError, match="output.transform is 'sparse'"):
        dump(fitted, io.BytesIO())


def test_what_callbacks_wrote_down_does_no_harm():
    fitted = load(io.BytesIO(written("table")))
    noted = {
        "numbers": {"a": 1},
        "list": [1],
        "object": object(),
        "\ud800": 1,
        "half": "\ud800",
        "text": "two\nlines",
        "infinite": np.float32("inf"),
        "whole": np.int64(3),
    }
    fitted.net_.history_[-1].update(noted)
    file = io.BytesIO()
    dump(fitted, file)
    file.seek(0)
    epoch = load(file).net_.history[-1]
    kept = {name: epoch[name] for name in noted if name in epoch}
    assert kept == {"text": "two\nlines", "infinite": float("inf"), "whole": 3}


def test_widths_of_numpy_are_written():
    sizes = tuple(np.array([4, 4]))
    fitted = new(hidden_layer_sizes=sizes).fit(X)
    file = io.BytesIO()
    dump(fitted, file)
    file.seek(0)
    assert np.array_equal(load(file).transform(X), fitted.transform(X))


def test_parameters_changed_after_fit_are_kept():
    fitted = load(io.BytesIO(written("table"))).set_params(n_components=5, alpha=0.5)
    file = io.BytesIO()
    dump(fitted, file)
    file.seek(0)
    restored = load(file)
    assert restored.get_params() == fitted.get_params()
    with pytest.raises(ValueError, match="n_components=5, but the net to go on with"):
        restored.partial_fit(X)


def test_any_device_is_read_where_it_is_missing():
    edit = both(says("net.device", "cuda:99"), says("parameters.device", "cuda:99"))
    restored = load(forged("table", edit))
    assert restored.device_ == "cpu"
    assert restored.device == "cuda:99"


# Forged by chance


@pytest.fixture(scope="module")
def benchmark():
    """Return benchmarks/model_files.py, which does this 20,000 times."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        path = BENCHMARKS / "model_files.py"
        spec = importlib.util.spec_from_file_location("benchmark_of_files", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.mark.parametrize("kind", ["table", "density", "parts"])
def test_files_forged_by_chance_are_refused_or_work(kind, benchmark):
    model, rows, target, options = benchmark.MODELS[kind]()
    data = benchmark.dumped(model, **options)
    forger = benchmark.Forger([data], np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            benchmark.outcome(file, rows, target, None, is_filled)
            for file, is_filled in (forger(data) for _ in range(25))
        ]
    assert not {one for one in found if "escape" in one}
    assert {"refused", "works"} <= set(found)
