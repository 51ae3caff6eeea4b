"""The sources shown in the documentation are those of the library.

Such a block stands between ``<!-- source: skae.file.Name -->`` and the end of a fence.
Its language is "py", so that it is shown in colour but not run (see test_docs.py). To
bring all blocks up to date: python tests/test_docs_sources.py --write
"""

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

from skae import bottlenecks, corruption, losses, networks, penalties

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
BLOCK = re.compile(r"(<!-- source: ([\w.]+) -->\n```py\n)(.*?)(^```$)", re.M | re.S)
REFRESH = "run: python tests/test_docs_sources.py --write"


def source(name):
    """Return the source of "module.Name"."""
    module, _, part = name.rpartition(".")
    return inspect.getsource(getattr(importlib.import_module(module), part))


def refreshed(text):
    """Return a page with the sources as they are now."""
    return BLOCK.sub(lambda block: block[1] + source(block[2]) + block[4], text)


def shown():
    """Return (page, name, source) of every block."""
    return [
        (page.name, block[2], block[3])
        for page in PAGES
        for block in BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(
    ("page", "name", "text"), shown(), ids=lambda value: value[:40]
)
def test_source_shown_is_that_of_the_library(page, name, text):
    assert text == source(name), f"docs/{page} shows an old {name}; {REFRESH}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_marker_has_a_block(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- source:") == len(BLOCK.findall(text))
    assert text.count("```py\n") == len(BLOCK.findall(text))


@pytest.mark.parametrize(
    "module",
    [losses, corruption, bottlenecks, penalties, networks],
    ids=lambda module: module.__name__,
)
def test_a_part_of_each_kind_is_shown(module):
    names = [name for page, name, _ in shown() if page == "extending.md"]
    assert module.__name__ in {name.rpartition(".")[0] for name in names}


def test_an_old_source_is_brought_up_to_date():
    old = "before\n<!-- source: skae.losses.AbsoluteError -->\n```py\nold\n```\nafter\n"
    new = refreshed(old)
    assert new == old.replace("old\n", source("skae.losses.AbsoluteError"))
    assert refreshed(new) == new


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"To bring the sources in docs/ up to date, {REFRESH}")
    for path in PAGES:
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")
