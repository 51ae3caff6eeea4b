"""The examples have the form that CONTRIBUTING asks for; `make examples` runs them."""

import ast
import re
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))

pytestmark = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def test_name_says_what_it_does(script):
    assert re.fullmatch(r"plot_[a-z]+_[a-z_]+", script.stem)


def test_compiles(script):
    compile(script.read_text(), script.name, "exec")


def test_title_is_a_question(script):
    docstring = ast.get_docstring(ast.parse(script.read_text()))
    title, underline, *_ = docstring.splitlines()
    assert title.endswith("?")
    assert underline == "=" * len(title)


def test_cells_begin_with_words(script):
    cells = script.read_text().split("\n# %%\n")[1:]
    assert len(cells) >= 3
    for cell in cells:
        assert cell.startswith("# "), cell.splitlines()[0]


def test_compares_with_pca(script):
    text = script.read_text()
    assert "from sklearn.decomposition import PCA" in text
    assert "PCA" in ast.get_docstring(ast.parse(text))


def test_seeds_are_fixed(script):
    text = script.read_text()
    assert not re.search(r"default_rng\(\)|np\.random\.(?!default_rng)", text)
    for call in ast.walk(ast.parse(text)):
        if getattr(getattr(call, "func", None), "id", "") == "AutoencoderTransformer":
            assert "random_state" in {keyword.arg for keyword in call.keywords}


def test_path_of_the_picture_is_an_argument(script):
    assert "sys.argv[1]" in script.read_text()
