"""The examples have the form that CONTRIBUTING asks for; `make examples` runs them."""

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
RUN = EXAMPLES / "run.py"
SCRIPTS = sorted(script for script in EXAMPLES.glob("*.py") if script != RUN)

of_each = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


@of_each
def test_name_says_what_it_does(script):
    assert re.fullmatch(r"plot_[a-z]+_[a-z_]+", script.stem)


@of_each
def test_compiles(script):
    compile(script.read_text(), script.name, "exec")


@of_each
def test_title_is_a_question(script):
    docstring = ast.get_docstring(ast.parse(script.read_text()))
    title, underline, *_ = docstring.splitlines()
    assert title.endswith("?")
    assert underline == "=" * len(title)


@of_each
def test_cells_begin_with_words(script):
    cells = script.read_text().split("\n# %%\n")[1:]
    assert len(cells) >= 3
    for cell in cells:
        assert cell.startswith("# "), cell.splitlines()[0]


@of_each
def test_compares_with_pca(script):
    text = script.read_text()
    assert "from sklearn.decomposition import PCA" in text
    assert "PCA" in ast.get_docstring(ast.parse(text))


@of_each
def test_seeds_are_fixed(script):
    text = script.read_text()
    assert not re.search(r"default_rng\(\)|np\.random\.(?!default_rng)", text)
    for call in ast.walk(ast.parse(text)):
        if getattr(getattr(call, "func", None), "id", "") == "AutoencoderTransformer":
            assert "random_state" in {keyword.arg for keyword in call.keywords}


@of_each
def test_figure_is_shown_at_the_end_of_its_cell(script):
    text = script.read_text()
    cells = text.split("\n# %%\n")
    assert text.count("plt.show()") == 1
    assert sum(cell.rstrip().endswith("\nplt.show()") for cell in cells) == 1


@of_each
def test_figure_is_saved_by_others(script):
    text = script.read_text()
    assert "savefig" not in text
    assert "sys.argv" not in text


def run(monkeypatch, *arguments):
    """Run run.py in this process; what it changes of pyplot is put back."""
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", plt.show)
    monkeypatch.setattr(sys, "argv", [str(RUN), *map(str, arguments)])
    try:
        runpy.run_path(str(RUN), run_name="__main__")
    finally:
        plt.close("all")


EXAMPLE = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\n"


def test_picture_is_saved_where_it_was_asked_for(monkeypatch, tmp_path, capsys):
    script, picture = tmp_path / "plot_line.py", tmp_path / "line.png"
    script.write_text(EXAMPLE)
    run(monkeypatch, script, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"Picture: {picture}\n"


@pytest.mark.parametrize("count", [0, 2])
def test_an_example_has_one_figure(monkeypatch, tmp_path, count):
    script, picture = tmp_path / "plot_lines.py", tmp_path / "lines.png"
    script.write_text("import matplotlib.pyplot as plt\n" + "plt.figure()\n" * count)
    with pytest.raises(SystemExit, match=rf"made {count} figures"):
        run(monkeypatch, script, picture)
    assert not picture.exists()


def test_how_to_run_is_said(monkeypatch):
    with pytest.raises(SystemExit, match=r"python examples/run\.py"):
        run(monkeypatch)
