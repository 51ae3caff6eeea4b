"""Files import downward only: from a lower floor, never from their own."""

import ast
from pathlib import Path

import pytest

import skae

FLOORS = [
    ["_advice", "_archive", "_runtime", "_images", "_parts"],
    [
        "networks",
        "losses",
        "bottlenecks",
        "penalties",
        "corruption",
        "_pca_start",
        "_training",
        "_callbacks",
        "_validation",
        "_mlp_step",
    ],
    ["_checkpoint"],
    ["_fitting"],
    ["_state"],
    ["_autoencoder"],
    ["_files", "model_selection"],
    ["displays._components_sweep"],
    ["displays"],
    ["__init__"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
HOME = Path(skae.__file__).parent
FILES = sorted(HOME.glob("**/*.py"))


def name_of(path):
    """Return the name of a file of skae; a package has that of its folder."""
    parts = path.relative_to(HOME).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imported_files(path):
    """Return the names of the files of skae that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    ours = [name.split(".")[1:] for name in names if name.split(".")[0] == "skae"]
    return [_file_of(parts) for parts in ours]


def _file_of(parts):
    """Return the file that a dotted name leads to."""
    two = ".".join(parts[:2])
    return two if two in FLOOR else (parts or ["__init__"])[0]


def test_every_file_has_a_floor():
    assert sorted(map(name_of, FILES)) == sorted(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_imports_downward_only(path):
    floor = FLOOR[name_of(path)]
    above = [name for name in imported_files(path) if FLOOR[name] >= floor]
    assert above == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_imports_from_skae_itself(path):
    """Only whole files of a lower floor, as in ``from skae import _validation``."""
    assert set(imported_files(path)) <= set(FLOOR) - {"__init__"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_private_names_of_scikit_learn_come_through_validation(path):
    if name_of(path) == "_validation":
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


@pytest.mark.parametrize(
    "line",
    [
        "import skae.displays._components_sweep",
        "from skae.displays import _components_sweep",
        "from skae.displays._components_sweep import Name",
    ],
)
def test_imports_from_a_package_are_seen(tmp_path, line):
    path = tmp_path / "file.py"
    path.write_text(line, encoding="utf-8")
    assert imported_files(path) == ["displays._components_sweep"]


@pytest.mark.parametrize("line", ["import skae", "from skae import Name"])
def test_import_from_skae_itself_is_seen(tmp_path, line):
    path = tmp_path / "file.py"
    path.write_text(line, encoding="utf-8")
    assert not set(imported_files(path)) <= set(FLOOR) - {"__init__"}
