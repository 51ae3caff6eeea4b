"""Every promise of docs/criteria.md names tests and scripts that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "criteria.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| *\d* \| [^|]*[a-z]", line)]
ROWS = [row for row in ROWS if "| holds |" not in row]


def functions(name):
    """Return the names of the tests of a file."""
    tree = ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_criterion_has_a_row():
    numbers = [int(found) for found in re.findall(r"^\| (\d+) \|", PAGE, re.M)]
    assert numbers == [*range(1, 5), *range(13, 18), *range(19, 29)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[:40])
def test_what_a_row_names_exists(row):
    tests = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
    scripts = re.findall(r"`(benchmarks/\w+\.py)`", row)
    assert tests or scripts
    for name, function in tests:
        assert function in functions(name), f"{name}::{function}"
    for script in scripts:
        assert (ROOT / script).exists(), script
