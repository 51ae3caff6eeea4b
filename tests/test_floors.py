"""Files import downward only: from a lower floor, never from their own."""

import ast
import re
from pathlib import Path

import pytest

import skae

FLOORS = [
    ["_typing"],
    ["_sklearn"],
    ["_data", "_fitting", "_files", "_runtime", "_parts", "_warnings"],
    ["_pyramid", "_sweep"],
    ["_data.containers", "_data.rows", "_data.scale", "_files.archive"],
    ["_data.reading"],
    ["_data.tables"],
    ["_data.images"],
    ["_data.intake"],
    ["networks", "losses", "bottlenecks", "penalties", "corruption"],
    [
        "_fitting.advice",
        "_fitting.callbacks",
        "_fitting.checkpoint",
        "_fitting.density",
        "_fitting.optimizers",
        "_fitting.parts",
        "_fitting.plan",
        "_fitting.rates",
        "_fitting.start",
        "_fitting.user_networks",
    ],
    [
        "_fitting.inference",
        "_fitting.shares",
        "_fitting.step",
        "_fitting.user_callbacks",
    ],
    ["_fitting.net"],
    ["_fitting.codec"],
    ["_fitting.build", "_fitting.stream", "_fitting.verdict"],
    ["_fitting.train"],
    ["_fitting.folds"],
    ["_fitting.parameters"],
    ["_fitting.fitting"],
    ["_fitting.pieces", "_files.schema"],
    ["_files.training"],
    ["_files.state", "_inference"],
    ["_files.pickles"],
    ["_fitted"],
    ["_autoencoder"],
    ["_files.parameters"],
    ["_files.mixture"],
    ["_files.model_file", "onnx", "model_selection"],
    ["displays._checks", "displays._plotting"],
    ["displays._comparison", "displays._data"],
    [
        "displays._components_sweep",
        "displays._error_distribution",
        "displays._latent_space",
        "displays._latent_traversal",
        "displays._loss_curve",
        "displays._reconstruction",
    ],
    ["displays"],
    ["__init__"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
ROOT = Path(skae.__file__).parent
FILES = sorted(ROOT.glob("**/*.py"))


def name_of(path):
    """Return the name of a file within skae: "losses", "displays._plotting"."""
    if path == ROOT / "__init__.py":
        return "__init__"
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported_files(path):
    """Return the names of the files of skae that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            if node.module == "skae":
                names += [f"skae.{alias.name}" for alias in node.names]
            else:
                names.append(node.module)
    ours = [name for name in names if name.split(".")[0] == "skae"]
    return [name.removeprefix("skae.").replace("skae", "__init__") for name in ours]


def test_every_file_has_a_floor():
    assert sorted(map(name_of, FILES)) == sorted(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_imports_downward_only(path):
    floor = FLOOR[name_of(path)]
    assert [name for name in imported_files(path) if FLOOR[name] >= floor] == []


DISPLAYS = [path for path in FILES if path.parent.name == "displays"]


@pytest.mark.parametrize("path", DISPLAYS, ids=name_of)
def test_displays_know_the_estimator_by_its_public_names_only(path):
    """Of skae they import checks, the search for a size, types, and each other."""
    if path.name == "_checks.py":
        return
    others = [name for name in imported_files(path) if "displays" not in name]
    assert set(others) <= {"model_selection", "_typing"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            assert getattr(node.value, "id", "") in {"self", "cls"}, node.attr


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_imports_from_skae_itself(path):
    """Only whole files of a lower floor, as in ``from skae import losses``."""
    assert set(imported_files(path)) <= set(FLOOR) - {"__init__"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_private_names_of_scikit_learn_come_through_one_file(path):
    if name_of(path) == "_sklearn":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn"):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert [name for name in names if name.startswith("_")] == []


@pytest.mark.parametrize(
    "line",
    ["import skae.losses", "from skae import losses", "from skae.losses import Huber"],
)
def test_imports_are_seen(tmp_path, line):
    path = tmp_path / "file.py"
    path.write_text(f"def function():\n    {line}\n", encoding="utf-8")
    assert imported_files(path) == ["losses"]


def test_imports_from_a_package_are_seen(tmp_path):
    path = tmp_path / "file.py"
    path.write_text("from skae.displays._plotting import BLUE\n", encoding="utf-8")
    assert imported_files(path) == ["displays._plotting"]


@pytest.mark.parametrize("line", ["import skae", "from skae import Name"])
def test_import_from_skae_itself_is_seen(tmp_path, line):
    path = tmp_path / "file.py"
    path.write_text(line, encoding="utf-8")
    assert not set(imported_files(path)) <= set(FLOOR) - {"__init__"}
