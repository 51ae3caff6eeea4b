"""Directives that make tables from what is true when the site is built.

``figures`` shows rows of a table in docs/benchmarks, with the command that made them;
``names`` what may be given by name instead of as an object; ``conformity`` runs
scikit-learn's checks of estimators.
"""

import importlib
import importlib.util
import warnings
from collections import Counter
from pathlib import Path

import sklearn
import torch
from docutils.parsers.rst import directives
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

LOGGER = getLogger(__name__)
WORDS = {"xfail": "expected to fail"}
ROOT = Path(__file__).parents[2]
CHECKS = ROOT / "tests" / "test_sklearn_checks.py"


def table(header, rows):
    """Return the lines of a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


class Table(SphinxDirective):
    """A directive whose content is written in Markdown by `lines`."""

    def run(self):
        return self.parse_text_to_nodes("\n".join(self.lines()))


# Figures


def read_tables(path):
    """Return each table of a Markdown file, as its lines split into cells."""
    tables, before = [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        before = line
    return tables


def rows_of(path, column, chosen):
    """Return header and rows of the first table of a file that has a column.

    They are the rows that have one of `chosen` there; it is an error if one is missing.
    """
    header, _, *rows = next(found for found in read_tables(path) if column in found[0])
    place = header.index(column)
    missing = set(chosen) - {row[place] for row in rows}
    if missing:
        raise ValueError(f"{path.name} has no {column} {', '.join(sorted(missing))}.")
    return header, [row for row in rows if row[place] in chosen]


def command_of(path):
    """Return the paragraph of a file of figures that says how they were made."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("`python "))


class Figures(Table):
    """Rows of a table of figures: those whose `column` is a line of the content."""

    required_arguments = 1
    option_spec = {"column": directives.unchanged_required}
    has_content = True

    def lines(self):
        relative, absolute = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        path = Path(absolute)
        try:
            header, rows = rows_of(path, self.options["column"], list(self.content))
        except (OSError, StopIteration, ValueError) as error:
            raise self.error(str(error)) from error
        return [
            *table(header, rows),
            "",
            f"Made by {command_of(path)} [All figures]({self.arguments[0]}).",
        ]


# Names


def full_name(part):
    return f"{part.__module__}.{part.__name__}"


class Names(Table):
    """What each name in a dictionary of the library stands for."""

    required_arguments = 1

    def lines(self):
        module, _, name = self.arguments[0].rpartition(".")
        parts = getattr(importlib.import_module(module), name)
        rows = [
            (f'`"{name}"`', f"{{py:obj}}`~{full_name(part)}`")
            for name, part in parts.items()
        ]
        return table(["name", "stands for"], rows)


# Conformity


def settings():
    """Return the module of the tests that has the settings and what may fail."""
    spec = importlib.util.spec_from_file_location(CHECKS.stem, CHECKS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def status_of(check, estimator, reason=None):
    """Run a check that scikit-learn does not yield; `reason` says why it may fail."""
    try:
        check(type(estimator).__name__, estimator)
    except Exception as error:
        return ("failed", error) if reason is None else ("xfail", reason)
    return "passed", None


def run_checks(tests):
    """Return (status, exception or reason) by check and by setting."""
    found = {}
    for setting, estimator in zip(tests.SETTINGS, tests.ESTIMATORS, strict=True):
        expected = tests.expected_failures(estimator)
        results = check_estimator(
            estimator, on_skip=None, on_fail=None, expected_failed_checks=expected
        )
        for result in results:
            why = result["expected_to_fail_reason"] or result["exception"]
            by_setting = found.setdefault(result["check_name"], {})
            status, known = by_setting.get(setting, ("passed", None))
            if status == "passed":  # some checks run more than once, with other options
                by_setting[setting] = result["status"], why
        for name in tests.NOT_YIELDED:
            check = getattr(estimator_checks, name, None)
            if check is not None:
                result = status_of(check, estimator, expected.get(name))
                found.setdefault(name, {})[setting] = result
    return found


class Conformity(Table):
    """Every check of scikit-learn, run now; one that fails is a warning."""

    def lines(self):
        for path in (CHECKS, *(ROOT / "skae").rglob("*.py")):
            self.env.note_dependency(str(path))
        tests = settings()
        found = run_alone(tests)
        statuses = Counter(
            status for results in found.values() for status, _ in results.values()
        )
        counts = ", ".join(
            f"{count} {WORDS.get(status, status)}" for status, count in statuses.items()
        )
        for name, results in found.items():
            for setting, (status, why) in results.items():
                if status not in ("passed", "xfail"):
                    LOGGER.warning("%s %s with %s: %s", name, status, setting, why)
        return [
            f"scikit-learn {sklearn.__version__}: {len(found)} checks, each with "
            f"{len(tests.SETTINGS)} settings: {counts}.",
            "",
            *table(["check", "default", "passed"], by_check(found)),
            "",
            *expected(found),
        ]


def run_alone(tests):
    """Run the checks with one thread and without warnings, as the tests do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run_checks(tests)
    finally:
        torch.set_num_threads(threads)


def by_check(found):
    """Return a row for each check: its name, its result, how often it passed."""
    for name, results in found.items():
        passed = sum(status == "passed" for status, _ in results.values())
        status = results.get("default", "-")[0]
        yield f"`{name}`", WORDS.get(status, status), f"{passed} of {len(results)}"


def expected(found):
    """Say which failures are expected, and why."""
    settings_by_reason = {}
    for name, results in found.items():
        for setting, (status, why) in results.items():
            if status == "xfail":
                names = settings_by_reason.setdefault(why, ({}, {}))
                names[0][f"`{name}`"] = names[1][setting] = None
    if settings_by_reason:
        yield "Expected to fail:"
    for reason, (names, found_in) in settings_by_reason.items():
        yield ""
        yield f"- {', '.join(names)}, because {reason}; with {', '.join(found_in)}."


def setup(app):
    app.add_directive("figures", Figures)
    app.add_directive("names", Names)
    app.add_directive("conformity", Conformity)
    return {"parallel_read_safe": True}
