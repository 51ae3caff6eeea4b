"""The tables of the site, and its docstrings: figures, checks, links, signatures."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("sphinx")
DOCS = Path(__file__).parents[1] / "docs"


def extension(name):
    """Import a file of docs/_ext, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables, docstrings = extension("tables"), extension("docstrings")

FIGURES = """# Title

`python benchmarks/x.py`, today.

| size | peer | error |
| ---- | ---- | ----- |
| 2    | PCA  | 0.7   |
| 2    | other, 10 epochs | 0.8 |
| 8    | PCA  | 0.3   |

| other | table |
| ----- | ----- |
| 1     | 2     |
"""
BLOCK = r"```\{figures\} (\S+)\n:column: (.*)\n((?:.+\n)+?)```"
BLOCKS = [
    (page, *block)
    for page in sorted(DOCS.rglob("*.md"))
    for block in re.findall(BLOCK, page.read_text(encoding="utf-8"))
]


@pytest.fixture
def figures(tmp_path):
    path = tmp_path / "figures.md"
    path.write_text(FIGURES)
    return path


def test_rows_are_those_chosen(figures):
    header, rows = tables.rows_of(figures, "peer", ["PCA"])
    assert header == ["size", "peer", "error"]
    assert rows == [["2", "PCA", "0.7"], ["8", "PCA", "0.3"]]


def test_a_table_is_found_by_its_column(figures):
    assert tables.rows_of(figures, "table", ["2"])[1] == [["1", "2"]]


def test_a_row_that_is_not_there_is_named(figures):
    with pytest.raises(ValueError, match="has no peer skae"):
        tables.rows_of(figures, "peer", ["PCA", "skae"])


def test_figures_come_with_their_command(figures):
    assert tables.command_of(figures) == "`python benchmarks/x.py`, today."


def test_pages_show_figures():
    assert {"pca", "mlp_regressor", "keras_pytorch", "pyod"} <= {
        page.stem for page, *_ in BLOCKS
    }


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0].stem)
def test_figures_that_a_page_shows_exist(block):
    page, target, column, names = block
    path = (page.parent / target).resolve()
    header, rows = tables.rows_of(path, column, names.splitlines())
    assert {row[header.index(column)] for row in rows} == set(names.splitlines())
    assert tables.command_of(path)


# Checks


class OddEstimator:
    """What a check says of it is what it is called."""


def passes(name, estimator):
    assert name == "OddEstimator"


def fails(name, estimator):
    raise AssertionError("not so")


def test_status_of_a_check():
    assert tables.status_of(passes, OddEstimator()) == ("passed", None)
    status, error = tables.status_of(fails, OddEstimator())
    assert status == "failed"
    assert str(error) == "not so"
    assert tables.status_of(fails, OddEstimator(), "known") == ("xfail", "known")


def test_a_setting_fails_if_one_run_of_a_check_does(monkeypatch):
    def check_estimator(estimator, **options):
        for status in ["passed", "failed", "passed"]:
            yield {
                "check_name": "check",
                "status": status,
                "exception": status,
                "expected_to_fail_reason": None,
            }

    monkeypatch.setattr(tables, "check_estimator", check_estimator)
    tests = SimpleNamespace(
        SETTINGS={"default": {}},
        ESTIMATORS=[OddEstimator()],
        NOT_YIELDED=["check_that_is_not_there"],
        expected_failures=lambda estimator: {},
    )
    assert tables.run_checks(tests) == {"check": {"default": ("failed", "failed")}}


FOUND = {
    "check_a": {"default": ("passed", None), "other": ("passed", None)},
    "check_b": {"default": ("passed", None), "other": ("xfail", "of a reason")},
    "check_c": {"other": ("passed", None)},
}


def test_table_of_checks():
    assert [*tables.by_check(FOUND)] == [
        ("`check_a`", "passed", "2 of 2"),
        ("`check_b`", "passed", "1 of 2"),
        ("`check_c`", "-", "1 of 1"),
    ]


def test_expected_failures_say_why():
    said = "\n".join(tables.expected(FOUND))
    assert "`check_b`, because of a reason; with other." in said
    assert [*tables.expected({"check_a": FOUND["check_a"]})] == []


# Docstrings


def unlinked(text, obj):
    lines = [text]
    docstrings.unlink(None, "method", "name", obj, {}, lines)
    return lines[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("See :ref:`the guide <routing>`.", "See the guide."),
        ("See :ref:`routing`.", "See ``routing``."),
        ("A :term:`meta-estimator`.", "A ``meta-estimator``."),
        ("See `fit` and :class:`Bunch`.", "See `fit` and :class:`Bunch`."),
    ],
)
def test_links_of_others_become_words(text, words):
    from sklearn.base import BaseEstimator

    assert unlinked(text, BaseEstimator.get_params) == words


def test_links_of_ours_stay():
    from skae import AutoencoderTransformer

    link = ":doc:`user guide </user_guide>`"
    assert unlinked(link, AutoencoderTransformer.fit) == link


def test_signature_of_a_part_is_that_of_its_parameters():
    from skae.losses import Huber

    signed = docstrings.sign(None, "class", "name", Huber, {}, "(*args)", None)
    assert signed == ("(delta=1.0)", None)
