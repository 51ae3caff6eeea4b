"""Versions agree in all files that name them; what is optional stays so."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    Requirement(line)
    for extra in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in extra
]


def pins(name):
    """Return {package: version} of a constraints file."""
    lines = (ROOT / name).read_text().splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {package: Version(version) for package, version in pinned}


# PyPI has torch 2.6 with all of CUDA, several GB: the tests were run with it by hand.
BY_HAND = {"torch": Version("2.6")}


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_lower_bound_is_the_oldest_version_tested(requirement):
    (bound,) = [Version(one.version) for one in requirement.specifier]
    oldest = pins("constraints-oldest.txt")[requirement.name]
    assert bound == oldest or bound == BY_HAND.get(requirement.name)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_newest_pin_is_allowed(requirement):
    assert pins("constraints.txt")[requirement.name] in requirement.specifier


def test_commits_are_linted_with_the_pinned_tools():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    found = set(re.findall(r"(ruff|codespell)==([\d.]+)", text))
    newest = pins("constraints.txt")
    assert found == {(name, str(newest[name])) for name in ("ruff", "codespell")}


def test_optional_packages_are_imported_only_when_used():
    program = """
import sys, skae, skae.onnx
skae.LossCurveDisplay(train_loss=[1.0])
print(*sys.modules)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    extras = PROJECT["optional-dependencies"]
    optional = {Requirement(line).name for line in extras["plot"] + extras["onnx"]}
    optional -= {Requirement(line).name for line in PROJECT["dependencies"]}
    assert len(optional) == 4
    assert optional & set(done.stdout.split()) == set()
