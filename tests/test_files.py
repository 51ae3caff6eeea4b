"""Model files, pickles, and what hostile or damaged ones do."""

import copy
import gzip
import hashlib
import io
import json
import os
import pickle
import re
import stat
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import safetensors.torch
import skops.io
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer, ModelFileError, dump, load
from skae._files.model_file import FORMAT_VERSION
from skae.bottlenecks import (
    OrderedBottleneck,
    TopKBottleneck,
    VectorQuantizedBottleneck,
)
from skae.corruption import Chain, Choice, GaussianNoise, MaskingNoise, SwapNoise
from skae.losses import Huber
from skae.penalties import SparsityPenalty, Sum

X = load_digits().data[:250]
IMAGES = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
FOLDER = Path(__file__).parent / "model_files"


def estimator(n_components=3, **settings):
    settings = {"random_state": 0, "max_epochs": 2, "network": "mlp", **settings}
    if isinstance(settings["network"], str):
        settings.setdefault("hidden_layer_sizes", (16, 8))
    return AutoencoderTransformer(n_components, **settings)


class Network(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(n_features, n_components), nn.BatchNorm1d(n_components)
        )
        self.decode = nn.Linear(n_components, n_features)


class Tied(nn.Module):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components, bias=False)
        self.decode = nn.Linear(n_components, n_features, bias=False)
        self.back = nn.Linear(n_features, n_components, bias=False)
        self.back.weight = self.encode.weight


class MyPenalty(SparsityPenalty):
    pass


def my_loss(output, X):
    return (output - X).abs().mean(1)


def encoder(n_features, n_components):
    return nn.Linear(n_features, n_components)


def decoder(n_features, n_components):
    return nn.Linear(n_components, n_features)


CASES = {
    "default": {},
    "auto sizes": {"hidden_layer_sizes": "auto"},
    "float64": {"precision": "float64"},
    "random": {"init": "random", "random_state": np.random.RandomState(0)},
    "variational": {"bottleneck": "variational"},
    "codebook": {"bottleneck": VectorQuantizedBottleneck(8)},
    "top k": {"bottleneck": TopKBottleneck(2)},
    "ordered": {"bottleneck": "ordered", "n_components": 0.8},
    "sizes": {"bottleneck": OrderedBottleneck(sizes=(1, 3)), "n_components": 4},
    "counts": {"loss": "negative_binomial"},
    "huber": {"loss": Huber(0.5)},
    "sum": {"penalty": Sum([SparsityPenalty(), SparsityPenalty(0.1)])},
    "chain": {"corruption": Chain([MaskingNoise(), SwapNoise()])},
    "choice": {
        "corruption": Choice([MaskingNoise((0, 0.5)), Chain([GaussianNoise(1, "all")])])
    },
    "density": {"density": "gaussian_mixture"},
    "mixture": {"density": GaussianMixture(2, covariance_type="diag")},
    "solver": {"solver": torch.optim.RMSprop, "alpha": 0},
    "flat images": {"network": "conv", "image_shape": (8, 8)},
    "device": {"device": torch.device("cpu"), "early_stopping": False},
}
OWN = {
    "network": ({"network": Network}, [Network]),
    "pair": ({"network": (encoder, decoder)}, [encoder, decoder]),
    "tied": ({"network": Tied, "init": "random"}, [Tied]),
    "penalty": ({"penalty": MyPenalty(0.2)}, [MyPenalty]),
    "loss": ({"loss": my_loss}, [my_loss]),
    "sum": ({"penalty": Sum([MyPenalty()])}, [MyPenalty]),
}


def shown(estimator):
    return re.sub(r" at 0x\w+", "", repr(estimator))  # where a RandomState lies


def assert_same(restored, fitted, X):
    """Compare all that two estimators know and do, to the last bit."""
    assert set(vars(restored)) == set(vars(fitted))
    assert shown(restored) == shown(fitted)
    for method in ("transform", "reconstruct", "score_samples", "reconstruction_error"):
        if fitted._start.target is None or method in ("transform", "reconstruct"):
            expected = getattr(fitted, method)(X)
            assert_array_equal(getattr(restored, method)(X), expected)
    for name, value in vars(fitted).items():
        if name.endswith("_") and isinstance(value, (np.ndarray, list, float, str)):
            assert_array_equal(getattr(restored, name), value)
    names = fitted.get_feature_names_out()
    assert_array_equal(restored.get_feature_names_out(), names)
    if fitted.density_ is not None:
        expected = fitted.sample(5, random_state=0)
        assert_array_equal(restored.sample(5, random_state=0), expected)
    history, expected = restored.history_, fitted.history_
    assert_array_equal(history.drop(columns="dur"), expected.drop(columns="dur"))


@pytest.fixture(scope="module")
def fitted():
    return estimator().fit(X)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def file(fitted, path):
    dump(fitted, path)
    return path


# There and back


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_file_gives_the_same_estimator(name, path):
    fitted = estimator(**CASES[name]).fit(X)
    dump(fitted, path)
    assert_same(load(path), fitted, X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("duplicate", ["pickle", "deepcopy", "copy"])
def test_copies_are_the_same_estimator(name, duplicate):
    fitted = estimator(**CASES[name]).fit(X)
    if duplicate == "pickle":
        restored = pickle.loads(pickle.dumps(fitted))
    else:
        restored = getattr(copy, duplicate)(fitted)
    assert_same(restored, fitted, X)


@pytest.mark.parametrize("target", [None, X[:, :5], IMAGES[:, ::2, ::2]])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_file_of_images_gives_images(network, target, path):
    fitted = estimator(network=network, hidden_layer_sizes="auto", max_epochs=1)
    fitted.fit(IMAGES, X_target=target)
    dump(fitted, path)
    assert_same(load(path), fitted, IMAGES)
    assert load(path).reconstruct(IMAGES).dtype == fitted.reconstruct(IMAGES).dtype


def test_file_keeps_names_and_containers(path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X[:, :8], columns=list("abcdefgh"))
    fitted = estimator().set_output(transform="pandas").fit(frame)
    dump(fitted, path)
    restored = load(path)
    assert list(restored.feature_names_in_) == list("abcdefgh")
    pd.testing.assert_frame_equal(restored.transform(frame), fitted.transform(frame))
    with pytest.raises(ValueError, match="feature names"):
        restored.transform(frame[list("hgfedcba")])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", OWN)
def test_what_is_the_users_needs_trust(name, path):
    settings, trusted = OWN[name]
    fitted = estimator(**settings).fit(X)
    dump(fitted, path)
    with pytest.raises(ModelFileError, match="are not part of skae.*trusted") as error:
        load(path)
    for one in trusted:
        assert f"{one.__module__}:{one.__qualname__}" in str(error.value)
    assert_same(load(path, trusted=trusted), fitted, X)
    assert_same(pickle.loads(pickle.dumps(fitted)), fitted, X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_tied_weights_stay_tied():
    fitted = estimator(network=Tied, init="random", early_stopping=False).fit(X)
    restored = pickle.loads(pickle.dumps(fitted))
    network = restored.net_.module_.network
    assert network.back.weight is network.encode.weight
    assert_same(restored.partial_fit(X), fitted.partial_fit(X), X)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"corruption": "masking"},
        {"bottleneck": "variational"},
        {"solver": "sgd"},
        {"solver": torch.optim.LBFGS, "alpha": 0, "learning_rate": 1e-3},
        {"network": "conv"},
        {"network": (encoder, decoder)},
    ],
    ids=["default", "corruption", "variational", "sgd", "LBFGS", "conv", "pair"],
)
@pytest.mark.parametrize("way", ["file", "pickle"])
def test_training_goes_on_exactly(settings, way, path):
    rows = X[:60]
    settings = {"image_shape": (8, 8), "early_stopping": False, **settings}
    fitted = estimator(**settings).partial_fit(rows).partial_fit(rows)
    if way == "file":
        dump(fitted, path, keep_optimizer=True)
        restored = load(path, trusted=[encoder, decoder])
    else:
        restored = pickle.loads(pickle.dumps(fitted))
    for _ in range(2):
        fitted.partial_fit(rows)
        restored.partial_fit(rows)
    assert_same(restored, fitted, X)


def test_training_goes_on_without_the_optimizer(path):
    fitted = estimator().partial_fit(X)
    dump(fitted, path)
    assert load(path).partial_fit(X).n_epochs_ == 2


def test_another_process_reads_the_file(file, fitted, tmp_path):
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy as np; from skae import load;"
        "np.save(sys.argv[3], load(sys.argv[1]).transform(np.load(sys.argv[2])))"
    )
    names = [str(file), str(tmp_path / "X.npy"), str(tmp_path / "code.npy")]
    subprocess.run([sys.executable, "-c", code, *names], check=True)
    assert_array_equal(np.load(names[2]), fitted.transform(X))


def test_loading_leaves_the_global_generators_alone(file):
    state = torch.get_rng_state()
    load(file)
    assert torch.equal(torch.get_rng_state(), state)


# The file


def test_file_is_as_large_as_the_weights(path):
    small, large = (estimator(early_stopping=True).fit(X[:n]) for n in (200, 250))
    sizes = []
    for one in (small, large):
        dump(one, path)
        sizes.append(path.stat().st_size)
    assert abs(sizes[0] - sizes[1]) < 200  # the history
    wide = estimator(hidden_layer_sizes=(512, 256), max_epochs=1).fit(X)
    dump(wide, path)
    weights = sum(x.nbytes for x in wide.net_.module_.state_dict().values())
    assert path.stat().st_size < 1.05 * weights + 20_000


def test_principal_axes_are_written_on_demand(fitted, path):
    dump(fitted, path)
    restored = load(path)
    with pytest.raises(AttributeError, match="keep_components=True"):
        restored.components_  # noqa: B018
    dump(fitted, path, keep_components=True)
    assert_array_equal(load(path).components_, fitted.components_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_goes_on_without_principal_axes(path):
    for early_stopping in (True, False):
        settings = {"warm_start": True, "early_stopping": early_stopping}
        fitted = estimator(max_epochs=1, **settings).fit(X)
        dump(fitted, path, keep_optimizer=True)
        restored = load(path)
        assert_array_equal(restored.fit(X).transform(X), fitted.fit(X).transform(X))


def test_card_tells_of_data_and_pca(file, fitted):
    with safetensors.safe_open(file, framework="pt") as opened:
        facts = json.loads(opened.metadata()["skae"])
    card = facts["card"]
    assert card["n_samples"] == 250
    assert card["range_of_data"] == [X.min(), X.max()]
    assert card["held_out_loss_of_pca"] == fitted.pca_loss_
    assert card["summary"] == repr(fitted)
    assert facts["versions"]["torch"] == torch.__version__


def test_failed_write_leaves_the_old_file(file, fitted, monkeypatch):
    before = file.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        dump(fitted, file)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_file_has_the_usual_mode(file):
    (file.parent / "other").touch()
    mode = stat.S_IMODE((file.parent / "other").stat().st_mode)
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        (lambda: estimator(), NotFittedError, "not fitted"),
        (lambda: make_pipeline(StandardScaler()), TypeError, "not a Pipeline.*skops"),
        (lambda: 3, TypeError, "not a int"),
        (
            lambda: estimator(density=KernelDensity()).fit(X),
            TypeError,
            "density=KernelDensity",
        ),
    ],
    ids=["unfitted", "pipeline", "number", "density"],
)
def test_what_has_no_file_is_refused(what, error, message, path):
    with pytest.raises(error, match=message):
        dump(what(), path)
    assert not path.exists()


def test_lambda_has_no_file(path):
    fitted = estimator(loss=lambda output, X: my_loss(output, X)).fit(X)
    with pytest.raises(TypeError, match="loss=.*lambda has no name"):
        dump(fitted, path)


@pytest.mark.parametrize("trusted", [Network, "Network", ["Network"], 3])
def test_what_is_trusted_is_a_list_of_objects(trusted, file):
    with pytest.raises(TypeError, match="trusted=.*must be a list"):
        load(file, trusted=trusted)


def test_callbacks_are_said_to_be_left_out(path):
    from skorch.callbacks import EpochTimer

    fitted = estimator(callbacks=[("mine", EpochTimer())]).fit(X)
    with pytest.warns(UserWarning, match="callbacks are not written"):
        dump(fitted, path)
    assert load(path).callbacks is None


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("v*.json")))
def test_files_of_released_versions_are_read(name):
    expected = json.loads((FOLDER / name).read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        restored = load(FOLDER / name.replace(".json", ".safetensors"))
    code = restored.transform(np.array(expected["X"], expected["dtype"]))
    np.testing.assert_allclose(code, expected["code"], rtol=1e-5, atol=1e-5)


PICKLES = sorted(path.stem for path in FOLDER.glob("*.pickle"))


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_of_released_versions_are_read(name):
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    restored = pickle.loads((FOLDER / f"{name}.pickle").read_bytes())
    rows = np.array(expected["X"], expected["dtype"])
    code = restored.transform(rows)
    np.testing.assert_allclose(code, expected["code"], rtol=1e-5, atol=1e-5)
    assert restored.reconstruct(rows).shape == rows.shape
    n_epochs = restored.n_epochs_
    assert restored.partial_fit(rows).n_epochs_ == n_epochs + 1


def test_there_are_pickles_of_tables_and_images():
    assert PICKLES == ["pickle_0.1.0_image", "pickle_0.1.0_table"]
    for name in PICKLES:
        assert (FOLDER / f"{name}.pickle").stat().st_size < 60_000


def test_there_is_a_file_of_each_format():
    versions = {path.stem.split("_")[0] for path in FOLDER.glob("*.safetensors")}
    expected = {f"v{n + 1}" for n in range(FORMAT_VERSION)}
    assert versions == expected


# Binary files in place of a path


class Bytes:
    """What has a method and nothing else."""

    def __init__(self, data=b"", most=None):
        self.data, self.most = data, most

    def read(self):
        return bytearray(self.data)

    def write(self, data):
        self.data += data[: self.most]
        return self.most and min(self.most, len(data))


@pytest.mark.parametrize(
    "opened",
    [
        lambda path, mode: open(path, mode),
        lambda path, mode: open(path, mode, buffering=0),
        lambda path, mode: gzip.open(path, mode),
    ],
    ids=["buffered", "raw", "gzip"],
)
def test_open_files_are_taken(opened, fitted, path):
    with opened(path, "wb") as file:
        dump(fitted, file)
        assert not file.closed
    with opened(path, "rb") as file:
        assert_same(load(file), fitted, X)


@pytest.mark.parametrize("most", [None, 1000])
def test_whatever_reads_and_writes_bytes_is_taken(most, fitted, file):
    target = Bytes(most=most)
    dump(fitted, target)
    assert len(target.data) == file.stat().st_size
    assert_same(load(target), fitted, X)


def test_file_is_written_and_read_from_where_it_stands(fitted, file):
    stream = io.BytesIO(b"before")
    stream.seek(6)
    dump(fitted, stream)
    assert stream.getvalue().startswith(b"before")
    assert stream.tell() == 6 + file.stat().st_size
    stream.seek(6)
    assert_same(load(stream), fitted, X)
    with pytest.raises(ModelFileError, match=r"BytesIO: nothing is left.*seek\(0\)"):
        load(stream)


def test_files_in_text_mode_are_refused(fitted, file):
    before = file.read_bytes()
    with open(file, encoding="latin-1") as text:
        with pytest.raises(TypeError, match="model.safetensors' is open in text mode"):
            load(text)
        with pytest.raises(TypeError, match="text mode.*'wb'"):
            dump(fitted, text)
    with tempfile.NamedTemporaryFile("w+") as text:
        with pytest.raises(TypeError, match="text mode.*BytesIO"):
            dump(fitted, text)
        with pytest.raises(TypeError, match="text mode.*'rb'"):
            load(text)
    with pytest.raises(TypeError, match="the StringIO is open in text mode"):
        dump(fitted, io.StringIO())
    words = SimpleNamespace(read=lambda: "words")
    with pytest.raises(TypeError, match="text mode"):
        load(words)
    assert file.read_bytes() == before


@pytest.mark.parametrize("wrong", [None, 3, [b"a"], b"model.safetensors"])
def test_what_is_no_file_is_refused(wrong, fitted):
    with pytest.raises(
        TypeError, match=f"method 'write', not a {type(wrong).__name__}"
    ):
        dump(fitted, wrong)
    with pytest.raises(TypeError, match=f"method 'read', not a {type(wrong).__name__}"):
        load(wrong)


def test_bytes_are_told_of_bytesio():
    with pytest.raises(TypeError, match="Put bytes into io.BytesIO"):
        load(b"model")


def test_file_that_is_not_open_for_it_is_refused(fitted, file):
    with open(file, "rb") as opened, pytest.raises(OSError, match="not open to write"):
        dump(fitted, opened)
    with open(file, "wb") as opened, pytest.raises(OSError, match="not open to read"):
        load(opened)


def test_full_file_is_an_error(fitted):
    with pytest.raises(OSError, match="the Bytes takes no more"):
        dump(fitted, Bytes(most=0))


def test_nothing_is_written_of_what_has_no_file():
    target = io.BytesIO()
    with pytest.raises(NotFittedError):
        dump(estimator(), target)
    assert target.getvalue() == b""


# Damaged and hostile files


def written(header, tensors=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def edited(data, edit):
    """Return a file whose facts are changed, with checksums that are right."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    facts = json.loads(header["__metadata__"]["skae"])
    facts = edit(facts) or facts
    text = json.dumps(facts)
    digest = hashlib.sha256(text.encode()).hexdigest()
    header["__metadata__"] = {"skae": text, "skae_sha256": digest}
    return written(header, data[8 + length :])


def setting(*keys, value):
    def edit(facts):
        inner = facts
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return edit


class Bomb:
    def __reduce__(self):
        return os.system, ("touch executed",)


HUGE = 10**12
RAW = {
    "empty": b"",
    "short": b"abc",
    "pickle": pickle.dumps(Bomb()),
    "html": b"<!DOCTYPE html>" * 50,
    "length of 2**63": struct.pack("<Q", 2**63) + b"{}",
    "no header": struct.pack("<Q", 2) + b"{}",
    "header is a list": struct.pack("<Q", 2) + b"[]",
    "deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "foreign": safetensors.torch.save({"a": torch.zeros(3)}),
    "shape": written(
        {"a": {"dtype": "F32", "shape": [HUGE, HUGE], "data_offsets": [0, 4]}}
    ),
    "not utf-8": struct.pack("<Q", 4) + b"\xff\xfe\xff\xfe",
}
EDITS = {
    "layer": setting("recipe", "arguments", "hidden_layer_sizes", value=[HUGE, 8]),
    "layers": setting("recipe", "arguments", "hidden_layer_sizes", value=[1] * 10**5),
    "components": setting("recipe", "arguments", "n_components", value=HUGE),
    "negative": setting("recipe", "arguments", "n_components", value=-3),
    "words": setting("recipe", "arguments", "n_components", value="os.system"),
    "keyword": setting("recipe", "arguments", "command", value="true"),
    "network": setting("recipe", "network", value="os.system"),
    "no network": setting("recipe", "network", value=None),
    "class": setting("parameters", "network", value={"named": "os:system"}),
    "part": setting("structure", "loss", value={"part": "os:system", "parameters": {}}),
    "wrong part": setting("structure", "loss", value="exec"),
    "unknown key": setting("structure", "loss", value={"import": "os"}),
    "parameter": setting("parameters", "command", value=1),
    "n_features": setting("n_features", value=HUGE),
    "format": setting("format", value="other"),
    "newer": setting("format_version", value=2),
    "no version": setting("format_version", value=None),
    "history": setting("history", value=[{"epoch": 1}]),
    "facts": lambda facts: [1, 2],
    "precision": setting("net", "precision", value="float32"),
    "device": setting("net", "device", value="os.system"),
    "n_kept": setting("n_kept", value=-1),
    "n_kept is no number": setting("n_kept", value=True),
    "loss is no loss": setting("structure", "loss", value=HUGE),
    "names": setting("feature_names", value=["a"]),
    "rows": setting("net", "batch_size", value="os.system"),
    "result": setting("scalars", "_dtype", value="os.system"),
    "shape": setting(
        "form",
        value={
            "row_shape": [64],
            "image_shape": [8, 9],
            "channel_order": None,
            "dtype": "<f8",
        },
    ),
    "solver": setting("parameters", "solver", value={"named": "torch.optim.system"}),
    "dtype": setting(
        "form",
        value={
            "row_shape": [64],
            "image_shape": [8, 8],
            "channel_order": None,
            "dtype": "O",
        },
    ),
    "codes": setting(
        "structure",
        "bottleneck",
        value={
            "part": "VectorQuantizedBottleneck",
            "parameters": {
                "n_codes": HUGE,
                "n_groups": 1,
                "commitment": 0.2,
                "decay": 0.9,
            },
        },
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_model_file_is_refused(name, path):
    path.write_bytes(RAW[name])
    with pytest.raises(ModelFileError, match="model.safetensors"):
        load(path)
    assert not os.path.exists("executed")


@pytest.mark.parametrize("name", EDITS)
def test_hostile_facts_are_refused(name, file):
    file.write_bytes(edited(file.read_bytes(), EDITS[name]))
    with pytest.raises(ModelFileError, match="model.safetensors"):
        load(file)


def test_edit_that_changes_nothing_is_read(file, fitted):
    file.write_bytes(edited(file.read_bytes(), lambda facts: None))
    assert_same(load(file), fitted, X)


def test_other_versions_are_said(file):
    edit = setting("versions", "scikit-learn", value="0.1")
    file.write_bytes(edited(file.read_bytes(), edit))
    with pytest.warns(InconsistentVersionWarning, match="scikit-learn 0.1 .here"):
        load(file)


def test_newer_format_says_what_to_do(file):
    file.write_bytes(edited(file.read_bytes(), EDITS["newer"]))
    with pytest.raises(ModelFileError, match="format version 2.*up to 1.*Upgrade"):
        load(file)


@pytest.mark.parametrize("kept", [0, 7, 8, 100, 0.5, 0.99, -1])
def test_cut_file_is_refused(kept, file):
    data = file.read_bytes()
    kept = int(kept * len(data)) if isinstance(kept, float) else kept
    file.write_bytes(data[:kept])
    with pytest.raises(ModelFileError):
        load(file)
    file.write_bytes(data + b"x")
    with pytest.raises(ModelFileError):
        load(file)


def test_missing_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


def test_mutated_files_are_refused_or_read_as_they_were(file, fitted):
    data, code = file.read_bytes(), fitted.transform(X)
    generator = np.random.default_rng(0)
    for _ in range(300):
        mutated = bytearray(data)
        for place in generator.integers(len(data), size=generator.integers(1, 4)):
            mutated[place] ^= 1 << generator.integers(8)
        file.write_bytes(mutated)
        try:
            restored = load(file)
        except ModelFileError:
            continue
        assert_array_equal(restored.transform(X), code)


# Pickles and skops


def test_skops_needs_trust_for_our_class_alone(fitted):
    pipeline = make_pipeline(StandardScaler(), estimator()).fit(X)
    data = skops.io.dumps(pipeline)
    name = "skae._autoencoder.AutoencoderTransformer"
    assert skops.io.get_untrusted_types(data=data) == [name]
    restored = skops.io.loads(data, trusted=[name])
    assert_array_equal(restored.transform(X), pipeline.transform(X))


def test_state_has_no_bytes_that_could_be_a_pickle(fitted):
    def walk(value):
        assert not isinstance(value, (bytes, bytearray)), value
        if isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, (list, tuple)):
            for one in value:
                walk(one)
        elif not isinstance(value, np.ndarray):
            assert type(value).__module__ in ("builtins", "numpy"), value

    walk(fitted.__getstate__())


def test_attack_on_the_blob_of_skorch_does_nothing(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = fitted.__getstate__()
    state["net_"] = {"__bytes__": pickle.dumps(Bomb())}
    victim = AutoencoderTransformer.__new__(AutoencoderTransformer)
    victim.__setstate__(state)
    assert not os.path.exists("executed")
    assert_array_equal(victim.transform(X), fitted.transform(X))


def test_pickle_with_wrong_weights_is_refused(fitted):
    state = fitted.__getstate__()
    facts, arrays = state["_learnt"]
    name = next(name for name in arrays if name.endswith("encoder.0.weight"))
    arrays = {**arrays, name: arrays[name][:-1]}
    victim = AutoencoderTransformer.__new__(AutoencoderTransformer)
    with pytest.raises(ValueError, match=f"{name.removeprefix('module.')} has the sh"):
        victim.__setstate__({**state, "_learnt": (facts, arrays)})


def test_joblib_maps_a_pickle_into_memory(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    restored = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_same(restored, fitted, X)
    restored.partial_fit(X)
