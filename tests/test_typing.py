"""Whoever checks types finds all of ours: mypy --strict on a user's file."""

import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

import skae
from skae import (
    _typing,
    bottlenecks,
    corruption,
    losses,
    model_selection,
    networks,
    onnx,
    penalties,
)

docscrape = pytest.importorskip("numpydoc.docscrape")
ROOT = Path(__file__).parents[1]
# As for an installed package: what is wrong within skae does not concern its user. Of
# torch only what is needed is read, which takes a quarter of the time.
SETTINGS = f"""
[mypy]
strict = True
mypy_path = {ROOT}
[mypy-skae.*]
follow_imports = silent
[mypy-sklearn.*,skorch.*,scipy.*,pandas.*]
ignore_missing_imports = True
[mypy-torch.*,matplotlib.*,onnx.*]
follow_imports = skip
[mypy-torch,torch._tensor,torch._C,torch.nn,torch.nn.modules,torch.nn.modules.module]
follow_imports = silent
"""
RIGHT = """
import io
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring
from torch import Tensor, nn

import skae
from skae import (
    AutoencoderTransformer,
    ComponentsSweepDisplay,
    ErrorDistributionDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ModelFileError,
    ReconstructionDisplay,
    choose_n_components,
    dump,
    load,
)
from skae.bottlenecks import Bottleneck, TopKBottleneck, VariationalBottleneck
from skae.corruption import (
    Chain,
    Choice,
    Corruption,
    Features,
    GaussianNoise,
    MaskingNoise,
)
from skae.losses import LOSSES, Huber, Loss
from skae.networks import MLPAutoencoder
from skae.onnx import register, to_onnx
from skae.penalties import CodeNormPenalty, Penalty, SparsityPenalty, Sum

X: npt.NDArray[np.float64] = np.zeros((200, 4))


# Parts of one's own

class Quantile(Loss):
    degree = 1
    ranges = {"q": (0, 1)}

    def __init__(self, q: float = 0.5) -> None:
        self.q = q

    def __call__(self, output: Tensor, X: Tensor) -> Tensor:
        return torch.maximum(self.q * (X - output), output - X).mean(1)

    def link(self, X: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.log(X)


class Weighted(Huber):
    degree = 0.5
    ranges = {"delta": (0.5, 2)}
    target_range = (0, 1)

    def build(self, mean: npt.NDArray[np.float64]) -> None:
        self.weight = nn.Parameter(torch.zeros(len(mean)))

    def inverse_link(self, output: Tensor) -> Tensor:
        return super().inverse_link(output).exp()


class Rounded(Bottleneck):
    keeps_pca = False

    def sample(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self.code(h), h.square().sum(1)

    def code(self, h: Tensor) -> Tensor:
        return h.round()


class Few(TopKBottleneck):
    choices = {"k": ("auto", "half")}
    whole_numbers = ()
    settling = 1


class Small(Penalty):
    def __call__(
        self, code: Tensor, X: Tensor, encode: Callable[[Tensor], Tensor]
    ) -> Tensor:
        return encode(X).abs().mean(1)


class Shift(Corruption):
    def corrupt(
        self, X: Tensor, features: Features, generator: torch.Generator
    ) -> Tensor:
        return X + features.spread * torch.rand(X.shape, generator=generator)


class Network(nn.Module):
    def __init__(self, n_features: int, n_components: int) -> None:
        super().__init__()
        self.inner = MLPAutoencoder(n_features, n_components, (3,), "relu")

    def encode(self, X: Tensor) -> Tensor:
        return self.inner.encode(X)

    def decode(self, code: Tensor) -> Tensor:
        return self.inner.decode(code)


def build(n_features: int, n_components: int, width: int = 3) -> nn.Module:
    return MLPAutoencoder(n_features, n_components, (width,))


def absolute(output: Tensor, X: Tensor) -> Tensor:
    return (output - X).abs().mean(1)


for network in (Network, build):
    AutoencoderTransformer(2, network=network)
AutoencoderTransformer(network=[build, build], loss=Quantile(0.9), penalty=Small())
AutoencoderTransformer(corruption=Shift(), bottleneck=Rounded(), loss=absolute)
AutoencoderTransformer(
    network=(build, build),
    penalty=lambda code, X, encode: code.abs().mean(1),
    corruption=lambda X, generator: X * 2,
)
AutoencoderTransformer(
    penalty=Sum([SparsityPenalty(0.1), CodeNormPenalty()]),
    corruption=Chain([GaussianNoise(), MaskingNoise(0.2)]),
    bottleneck=VariationalBottleneck(beta=2),
)
AutoencoderTransformer(
    corruption=Choice([GaussianNoise((0.0, 1.0), "all"), MaskingNoise((0, 1))], 0.5),
)
LOSSES["huber"]().with_gradient(torch.zeros(2, 3), torch.zeros(2, 3))

# Parameters

AutoencoderTransformer(0.95, network="conv", bottleneck="ordered", loss="huber")
AutoencoderTransformer(X.shape[1] // 2, penalty="l1", corruption="masking")
AutoencoderTransformer(
    density=GaussianMixture(3),
    hidden_layer_sizes=[8],
    image_shape=(8, 8),
    callbacks=[EpochScoring("score", use_caching=False)],
    checkpoint=Path("folder"),
    device=torch.device("cpu"),
    random_state=np.random.RandomState(0),
    verbose=True,
)

# Data and results

m = AutoencoderTransformer(2, random_state=0).fit(X, sample_weight=np.ones(200))
m = m.partial_fit(X).set_params(n_components=3).fit(X, X_target=X)
m.fit([[1.0, 2.0], [3.0, 4.0]]).fit(sp.csr_array(X)).fit(pd.DataFrame(X))
m.fit(torch.zeros(4, 5)).fit([np.zeros((3, 3)), np.ones((3, 3))])
code: npt.NDArray[np.float64] = m.transform(X)
print(m.inverse_transform(code, as_float=True).shape, m.fit_transform(X).mean())
print(m.reconstruct(X).dtype, m.sample(3, 0).ndim, m.interpolate(X, X, 4).shape)
print(m.quantize(X).max(), m.score(X) + 1, m.score_samples(X, X_target=X).min())
print(m.reconstruction_error(X, per_feature=True).sum(), m.get_params().keys())
print(m.n_components_ + m.n_epochs_ + m.best_epoch_ + m.batch_size_ + m.n_parameters_)
print(sum(m.loss_curve_ + m.validation_loss_curve_) + m.scale_, m.verdict_.upper())
print(m.mean_ @ m.components_.T, m.explained_variance_ratio_.cumsum(), m.history_)
if m.proven_ and m.pca_loss_ is not None and m.validation_loss_ is not None:
    print(m.pca_loss_ - m.validation_loss_)
for half in (m.encoder_, m.decoder_):
    print(half(torch.zeros(3, 4)), m.net_.module_, m.density_, m.image_shape_)

# Around it

pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(2)).fit(X)
Pipeline([("autoencoder", m)]).fit_transform(X)
GridSearchCV(m, {"n_components": [1, 2]}).fit(X)
dump(m, "model.safetensors", keep_components=True)
dump(m, io.BytesIO())
try:
    again: AutoencoderTransformer = load(Path("model"), trusted=[Quantile, absolute])
except ModelFileError as error:
    print(error)
choice = choose_n_components(m, X, n_components=range(1, 5), cv=KFold(3))
print(choice.n_components_ + 1, choice.table_["error"], choice.best_params_["k"])
choose_n_components(pipeline, X, hidden_layer_sizes=[(8,), "auto", [4]], max_error=0.1)
to_onnx(m, "decoder", dtype="float32")
register()

# Displays

figure, ax = plt.subplots()
curve = LossCurveDisplay.from_estimator(pipeline, ax=ax, line_kw={"lw": 3})
curve.plot(ax).ax_.set_title(curve.verdict or "")
curve.figure_.savefig("picture.png")
print(curve.train_loss.min(), curve.lines_[0].get_label())
LossCurveDisplay(train_loss=[1, 0.5], validation_loss=np.ones(2)).plot()
ReconstructionDisplay.from_estimator(m, X, n_samples=3, standardize="auto")
ReconstructionDisplay.from_predictions(X, X, channel_order="last")
LatentSpaceDisplay.from_estimator(PCA(2).fit(X), X, ["a"] * 200, components=(0, 1))
LatentTraversalDisplay.from_estimator(m, X, components=[0, 1], percentiles=(0.1, 0.9))
print(ErrorDistributionDisplay.from_estimator(m, X, threshold=-1).scores.mean())
ErrorDistributionDisplay.from_predictions([-1.0, -2], y=[1, -1])
print(ComponentsSweepDisplay.from_search(choice).n_components.tolist())
ComponentsSweepDisplay.from_estimator(m, X, max_error=0.1, cv=3)
print(skae.__version__)
"""
WRONG = """
import numpy as np
import torch
from torch import Tensor
from skae import AutoencoderTransformer, LossCurveDisplay, ReconstructionDisplay
from skae import choose_n_components, dump, load
from skae.bottlenecks import TopKBottleneck
from skae.corruption import Corruption
from skae.losses import Huber, Loss
from skae.networks import MLPAutoencoder
from skae.onnx import to_onnx
from skae.penalties import SparsityPenalty

X = np.zeros((200, 4))
AutoencoderTransformer(n_components="two")  # wrong
AutoencoderTransformer(2, "mlp")  # wrong
AutoencoderTransformer(loss="squared")  # wrong
AutoencoderTransformer(hidden_layer_sizes=8)  # wrong
AutoencoderTransformer(network="mpl")  # wrong
AutoencoderTransformer(penalty=lambda code: code)  # wrong
AutoencoderTransformer(epochs=3)  # wrong
m = AutoencoderTransformer()
m.fit()  # wrong
m.partial_fit(X, sample_weights=X)  # wrong
m.fit(X).transform()  # wrong
m.quantize(X, 2)  # wrong
code: str = m.transform(X)  # wrong
m.loss_curve_.mean()  # wrong
m.pca_loss_ + 1  # wrong
m.n_epochs_.shape  # wrong
m.sample("ten")  # wrong
m.set_output(transform="table")  # wrong
dump(X, "model.safetensors")  # wrong
load(3)  # wrong
load("model").score(X).shape  # wrong
choose_n_components(m, X, cv=3, n_components="all")  # wrong
choose_n_components(m, X).n_components_.shape  # wrong
to_onnx(m, "whole")  # wrong
Huber(delta="1")  # wrong
GaussianNoise(scale=(0.0, "1"))  # wrong
GaussianNoise(relative_to="rows")  # wrong
Choice(["swap"])  # wrong
TopKBottleneck("half")  # wrong
SparsityPenalty(beta=1)  # wrong
MLPAutoencoder(4, 2, activation="swish")  # wrong
LossCurveDisplay.from_estimator("model")  # wrong
LossCurveDisplay(train_loss=[1.0], validation=[1.0])  # wrong
ReconstructionDisplay.from_predictions(X)  # wrong


class Mine(Loss):
    def __call__(self, output: Tensor) -> Tensor:  # wrong
        return output


class Spoilt(Corruption):
    def corrupt(self, X: Tensor) -> Tensor:  # wrong
        return X
"""


def test_mypy_takes_a_users_file_and_reports_what_is_wrong(tmp_path):
    """Of both in one run, as most of the time goes into reading numpy and torch."""
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG), ("ini", SETTINGS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=ini", "--cache-dir=/dev/null"]
        + ["right.py", "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    errors = re.findall(r"^(\w+\.py):(\d+): error", found.stdout, re.MULTILINE)
    expected = {
        ("wrong.py", str(number))
        for number, line in enumerate(WRONG.splitlines(), start=1)
        if line.endswith("# wrong")
    }
    assert set(errors) == expected, found.stdout + found.stderr


# Without mypy

MODULES = [
    *(skae, losses, networks, bottlenecks, penalties, corruption, model_selection),
    *(onnx, importlib.import_module("skae.displays")),
]
PUBLIC = {
    part.__qualname__: part
    for module in MODULES
    for part in (getattr(module, name) for name in module.__all__)
    if inspect.isclass(part) or inspect.isfunction(part)
}
CLASSES = [part for part in PUBLIC.values() if inspect.isclass(part)]


def ours(kind):
    """Return a class and those that it inherits from, as far as they are ours."""
    return [base for base in kind.__mro__ if base.__module__.startswith("skae.")]


def functions(part):
    """Return what can be called of a public part, by name."""
    if inspect.isfunction(part):
        return {part.__name__: part}
    found = {}
    for kind in reversed(ours(part)):
        for name, member in vars(kind).items():
            if isinstance(member, property):
                member = member.fget
            member = inspect.unwrap(getattr(member, "__func__", member))
            member = getattr(member, "fn", member)  # of `available_if`
            is_public = not name.startswith("_") or name in ("__init__", "__call__")
            if is_public and inspect.isfunction(member):
                found[name] = member
    return {
        name: member
        for name, member in found.items()
        if member.__module__.startswith("skae.")  # not made by dataclasses, say
    }


@pytest.mark.parametrize("part", PUBLIC.values(), ids=PUBLIC)
def test_public_functions_are_annotated(part):
    bare = []
    for name, function in functions(part).items():
        signature = inspect.signature(function)
        taken = [one for one in signature.parameters if one not in ("self", "cls")]
        bare += [
            f"{name}({one})" for one in {*taken, "return"} - {*function.__annotations__}
        ]
    assert bare == []


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_documented_attributes_are_declared(kind):
    declared = {name for base in ours(kind) for name in vars(base)}
    declared |= {name for base in ours(kind) for name in inspect.get_annotations(base)}
    if kind is model_selection.ComponentsChoice:  # set from what __init__ is given
        declared |= {f"{name}_" for name in inspect.signature(kind).parameters}
    documented = docscrape.NumpyDocString(inspect.getdoc(kind))["Attributes"]
    names = {name for one in documented for name in one.name.split(", ")}
    assert names <= declared


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (_typing.Activation, networks.ACTIVATIONS),
        (_typing.BottleneckName, bottlenecks.BOTTLENECKS),
        (_typing.CorruptionName, corruption.CORRUPTIONS),
        (_typing.LossName, losses.LOSSES),
        (_typing.PenaltyName, penalties.PENALTIES),
    ],
    ids=["activation", "bottleneck", "corruption", "loss", "penalty"],
)
def test_names_of_parts_are_those_of_the_parts(names, known):
    assert set(get_args(names)) == set(known)


def test_package_says_that_it_is_typed():
    assert (ROOT / "skae" / "py.typed").is_file()
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert "py.typed" in tools["setuptools"]["package-data"]["skae"]
