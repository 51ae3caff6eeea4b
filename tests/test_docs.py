"""The Python blocks of the documentation run, in order, page by page."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
# "expression  # True", "expression  # 8" and "... = expression  # shape (2, 3)"
RESULT = r"^(?:\w+ = )?(\S.*?)  # (shape )?(True|False|None|[\d.]+|\([\d, ]+\))$"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_python_blocks_run(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    namespace = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)
        for expression, shape, value in re.findall(RESULT, block, re.MULTILINE):
            result = eval(expression, namespace)
            assert str(result.shape if shape else result) == value, expression


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (DOCS / target).exists(), target
