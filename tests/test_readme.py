"""The README keeps its word: its Python runs, its commands and links exist."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def make_targets(text):
    """Return what `text` says after "make", in code only."""
    code = re.findall(r"^    .*$|`[^`\n]+`", text, re.MULTILINE)
    return {name for line in code for name in re.findall(r"\bmake ([\w-]+)", line)}


def test_python_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    namespace = {"__name__": "readme"}
    exec(compile(blocks[0], "README.md", "exec"), namespace)
    shapes = re.findall(r"^(\w+) = .*# shape (\(.*\))$", blocks[0], re.MULTILINE)
    assert [name for name, _ in shapes] == ["code", "X_hat"]
    for name, shape in shapes:
        assert str(namespace[name].shape) == shape


def test_readme_names_the_two_commands():
    assert {"demo", "test"} <= make_targets(README)


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_make_targets_exist(text):
    for target in make_targets(text):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_files_that_are_named_exist(text):
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    run = re.findall(r"`python (\S+)`", text)
    assert linked
    for path in linked + run:
        assert (ROOT / path).exists(), path


def test_badges_are_true():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = dict(re.findall(r"!\[(Python|scikit-learn|Licence) (.*?)\]", README))
    assert project["requires-python"] == f">={said['Python'].split()[0]}"
    assert project["license"] == said["Licence"]
    oldest, newest = said["scikit-learn"].split(" to ")
    assert f"scikit-learn=={oldest}." in (ROOT / "constraints-oldest.txt").read_text()
    assert f"scikit-learn=={newest}." in (ROOT / "constraints.txt").read_text()


def rows_of_what_you_get():
    table = README.partition("## What you get")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("row", rows_of_what_you_get(), ids=lambda row: row[2:40])
def test_what_you_get_is_shown(row):
    """A row links to what shows it, and its figures stand there, rounded or not."""
    what, shown_by = row.strip("| ").split(" | ")
    paths = [ROOT / path for path in re.findall(r"\]\(([^)]+)\)", shown_by)]
    assert paths
    figures = re.findall(r"\d+ of \d+|\d+\.\d+|\d{4,}", what)
    text = "".join(path.read_text() for path in paths)
    assert [figure for figure in figures if not stands_in(figure, text)] == []


def stands_in(figure, text):
    """Tell whether a number stands in a text, or one that is rounded to it."""
    decimals = len(figure.partition(".")[2])
    known = re.findall(r"\d+\.\d+", text) if decimals else []
    return figure in text or figure in {f"{float(x):.{decimals}f}" for x in known}
