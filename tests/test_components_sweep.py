"""The errors over sizes are drawn as they were found."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer, ComponentsSweepDisplay, choose_n_components

X = load_iris().data[::8]  # so few rows that the models are PCA
SIZES = [1, 2, 4, 8]
NUMBERS = {
    "n_components": SIZES,
    "error": [0.6, 0.3, 0.2, 0.15],
    "std_error": [0.02, 0.03, 0.01, 0.005],
    "pca_error": [0.8, 0.6, 0.4, 0.2],
    "pca_std_error": [0.01, 0.02, 0.03, 0.04],
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def search():
    return choose_n_components(AutoencoderTransformer(), X, random_state=0)


def display(**settings):
    return ComponentsSweepDisplay(**{**NUMBERS, **settings})


def bars(container):
    """Return half the height of each error bar."""
    _, _, (segments,) = container.lines
    return [np.ptp(segment[:, 1]) / 2 for segment in segments.get_segments()]


@pytest.mark.parametrize(
    ("artist", "prefix"), [("errorbar_", ""), ("pca_errorbar_", "pca_")]
)
def test_curve_has_the_errors_with_their_standard_errors(artist, prefix):
    container = getattr(display().plot(), artist)
    points = np.column_stack([SIZES, NUMBERS[f"{prefix}error"]])
    assert_allclose(container[0].get_xydata(), points)
    assert_allclose(bars(container), NUMBERS[f"{prefix}std_error"])


def test_axes_say_what_they_show():
    ax = display().plot().ax_
    assert ax.get_xlabel() == "number of components"
    assert ax.get_ylabel() == "held-out error (share of the variance)"
    assert ax.get_ylim()[0] == 0
    assert all(tick == int(tick) for tick in ax.get_xticks())


def test_legend_names_what_is_drawn():
    drawn = display(chosen=2, rule="bend").plot()
    names = [text.get_text() for text in drawn.ax_.get_legend().get_texts()]
    assert names == [
        "autoencoder",
        "PCA",
        "chosen: 2",
        "gain of the average component",
    ]


def test_size_that_was_chosen_is_marked():
    assert display(chosen=4).plot().chosen_line_.get_xdata() == [4, 4]
    assert display().plot().chosen_line_ is None


@pytest.mark.parametrize(
    ("rule", "heights"),
    [
        ("bend", [0.6, 0.15]),
        ("max_error", [0.25, 0.25]),
        ("one standard error", None),
        (None, None),
    ],
)
def test_line_shows_what_the_rule_measures_by(rule, heights):
    line = display(chosen=2, rule=rule, max_error=0.25).plot().rule_line_
    if heights is None:
        assert line is None
    else:
        assert_allclose(line.get_xydata(), [[1, heights[0]], [8, heights[1]]])


def test_only_the_errors_are_needed():
    drawn = ComponentsSweepDisplay(n_components=SIZES, error=NUMBERS["error"]).plot()
    assert drawn.pca_errorbar_ is drawn.chosen_line_ is drawn.rule_line_ is None
    assert len(drawn.ax_.get_legend().get_texts()) == 1


def test_errors_below_zero_are_seen():
    drawn = display(error=[0.1, -0.2, -0.3, -0.4]).plot()
    assert drawn.ax_.get_ylim()[0] <= -0.4


def test_axes_given_are_drawn_on():
    figure, ax = plt.subplots()
    drawn = display().plot(ax)
    assert drawn.ax_ is ax
    assert drawn.figure_ is figure
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", ["c", "color"])
def test_style_can_be_set(name):
    style = {name: "red"}
    drawn = display(chosen=2, rule="bend").plot(
        line_kw=style, pca_line_kw=style, chosen_line_kw=style, rule_line_kw=style
    )
    lines = [drawn.errorbar_[0], drawn.pca_errorbar_[0]]
    lines += [drawn.chosen_line_, drawn.rule_line_]
    assert {to_hex(line.get_color()) for line in lines} == {"#ff0000"}


def test_search_is_drawn_as_it_was_found(search):
    drawn = ComponentsSweepDisplay.from_search(search)
    table = search.table_
    sizes = table.index.to_numpy()
    points = np.column_stack([sizes, table["error"]])
    assert_allclose(drawn.errorbar_[0].get_xydata(), points)
    assert_allclose(bars(drawn.errorbar_), table["std_error"])
    points = np.column_stack([sizes, table["pca_error"]])
    assert_allclose(drawn.pca_errorbar_[0].get_xydata(), points)
    assert_allclose(bars(drawn.pca_errorbar_), table["pca_std_error"])
    assert drawn.chosen == search.n_components_
    assert drawn.rule == search.rule_ == "bend"
    assert_allclose(drawn.rule_line_.get_ydata(), table["error"].iloc[[0, -1]])


@pytest.mark.parametrize("max_error", [None, 0.05])
def test_estimator_is_drawn_as_its_search(max_error):
    settings = {"n_components": [1, 2, 3], "max_error": max_error, "cv": 2}
    settings |= {"random_state": 0}
    search = choose_n_components(AutoencoderTransformer(), X, **settings)
    figure, ax = plt.subplots()
    drawn = ComponentsSweepDisplay.from_estimator(
        AutoencoderTransformer(), X, **settings, ax=ax, line_kw={"label": "mine"}
    )
    for name in ("error", "std_error", "pca_error", "pca_std_error"):
        assert_allclose(getattr(drawn, name), search.table_[name])
    assert drawn.chosen == search.n_components_
    assert drawn.max_error == max_error
    assert drawn.ax_ is ax
    assert ax.get_legend().get_texts()[0].get_text() == "mine"


def test_plot_can_be_drawn_again(search):
    drawn = ComponentsSweepDisplay.from_search(search)
    first = drawn.ax_
    assert drawn.plot() is drawn
    assert drawn.ax_ is not first


def test_other_searches_are_refused():
    grid = GridSearchCV(AutoencoderTransformer(), {"n_components": [1, 2]})
    with pytest.raises(TypeError, match="search is a GridSearchCV; .* from_estimator"):
        ComponentsSweepDisplay.from_search(grid)


@pytest.mark.parametrize("method", ["plot", "from_search", "from_estimator"])
def test_without_matplotlib_the_error_says_so(method, search, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = {
        "plot": (display().plot, ()),
        "from_search": (ComponentsSweepDisplay.from_search, (search,)),
        "from_estimator": (
            ComponentsSweepDisplay.from_estimator,
            (AutoencoderTransformer(), X),
        ),
    }
    call, positional = arguments[method]
    name = f"ComponentsSweepDisplay.{method} requires matplotlib"
    with pytest.raises(ImportError, match=name):
        call(*positional)
