"""The Python blocks of the documentation run, in order, page by page."""

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import skae

DOCS = Path(__file__).parents[1] / "docs"
# "expression  # True", "expression  # 8" and "... = expression  # shape (2, 3)"
RESULT = r"^(?:\w+ = )?(\S.*?)  # (shape )?(True|False|None|[\d.]+|\([\d, ]+\))$"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("coming_from/*.md")])
WITH_PYTHON = [page for page in PAGES if "```python\n" in page.read_text()]

of_each = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
of_each_with_python = pytest.mark.parametrize(
    "page", WITH_PYTHON, ids=lambda page: page.stem
)


def test_pages_that_teach_have_python_that_runs():
    teaching = {"start", "user_guide", "extending", "when_worth_it"}
    teaching |= {page.stem for page in DOCS.glob("coming_from/*.md")}
    assert teaching <= {page.stem for page in WITH_PYTHON}


@of_each_with_python
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, str(page), "exec"), namespace)
        for expression, shape, value in re.findall(RESULT, block, re.MULTILINE):
            result = eval(expression, namespace)
            assert str(result.shape if shape else result) == value, expression


@of_each
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


MODULES = ["skae"] + [
    f"skae.{module.name}"
    for module in pkgutil.iter_modules(skae.__path__)
    if not module.name.startswith("_")
]


def in_the_api():
    """Return what api.md lists."""
    found, module = [], None
    for line in (DOCS / "api.md").read_text().splitlines():
        if line.startswith(".. currentmodule:: "):
            module = import_module(line.split(":: ")[1])
        elif re.fullmatch(r"   \w+", line):
            found.append(getattr(module, line.strip()))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_every_public_class_and_function_is_in_the_api(name):
    module = import_module(name)
    public = {public: getattr(module, public) for public in module.__all__}
    documented = in_the_api()
    assert not {
        name
        for name, what in public.items()
        if (inspect.isclass(what) or inspect.isfunction(what))
        and what not in documented
    }


def test_the_api_lists_nothing_twice():
    documented = in_the_api()
    assert len(documented) == len(set(documented))
