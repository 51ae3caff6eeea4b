"""Displays keep the estimator's numbers, draw them, and change nothing."""

import copy
import inspect
import pickle
import re
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris, load_sample_image
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer, displays
from skae.displays._data import in_percent
from skae.displays._error_distribution import ErrorDistributionDisplay
from skae.displays._latent_space import LatentSpaceDisplay
from skae.displays._latent_traversal import LatentTraversalDisplay
from skae.displays._loss_curve import LossCurveDisplay
from skae.displays._reconstruction import ReconstructionDisplay

IMAGES, DIGITS = load_digits(return_X_y=False).images[:240], load_digits().target[:240]
ROWS = IMAGES.reshape(len(IMAGES), -1)
IRIS = load_iris(as_frame=True)
NAMES = list(IRIS.data.columns)


def autoencoder(n_components=2, **parameters):
    settings = {"max_epochs": 2, "hidden_layer_sizes": (8,), "random_state": 0}
    return AutoencoderTransformer(n_components, **settings | parameters)


@pytest.fixture(scope="module")
def of_images():
    return autoencoder(3, hidden_layer_sizes=(4,)).fit(IMAGES)


@pytest.fixture(scope="module")
def of_rows():
    return autoencoder(4).fit(ROWS)


@pytest.fixture(scope="module")
def of_iris():
    """A small autoencoder of a table, trained although its rows are few."""
    return autoencoder(early_stopping=False).fit(IRIS.data)


@pytest.fixture(scope="module")
def scaled_iris():
    pipeline = make_pipeline(StandardScaler(), autoencoder(early_stopping=False))
    return pipeline.fit(IRIS.data)


ALL = [getattr(displays, name) for name in displays.__all__]
FROM_ESTIMATOR = {
    LossCurveDisplay: LossCurveDisplay.from_estimator,
    ReconstructionDisplay: lambda *args, **kw: ReconstructionDisplay.from_estimator(
        args[0], IMAGES, n_samples=2, **kw
    ),
    LatentSpaceDisplay: lambda *args, **kw: LatentSpaceDisplay.from_estimator(
        args[0], IMAGES, DIGITS, grid_resolution=3, **kw
    ),
    LatentTraversalDisplay: lambda *args, **kw: LatentTraversalDisplay.from_estimator(
        args[0], IMAGES, n_steps=2, **kw
    ),
    ErrorDistributionDisplay: lambda *args, **kw: (
        ErrorDistributionDisplay.from_estimator(args[0], IMAGES, DIGITS, **kw)
    ),
}
every_display = pytest.mark.parametrize(
    "draw", FROM_ESTIMATOR.values(), ids=[kind.__name__ for kind in FROM_ESTIMATOR]
)
every_class = pytest.mark.parametrize("kind", FROM_ESTIMATOR, ids=lambda k: k.__name__)


def texts(labels):
    return [label.get_text() for label in labels]


def drawn(image):
    return np.asarray(image.get_array())


# All of them


@every_display
def test_axes_given_are_drawn_on(draw, of_images):
    figure, (ax, other) = plt.subplots(1, 2)
    display = draw(of_images, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not other.has_data()


@every_display
def test_estimator_stays_as_it_was(draw, of_images):
    before = pickle.dumps(of_images)
    draw(of_images)
    assert pickle.dumps(of_images) == before


@every_display
def test_drawn_again_it_is_the_same_on_a_new_figure(draw, of_images):
    display = draw(of_images)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    pictures = []
    for figure in (first, display.figure_):
        figure.canvas.draw()
        pictures.append(np.asarray(figure.canvas.buffer_rgba()))
    np.testing.assert_array_equal(*pictures)


@every_display
def test_a_fitted_search_is_drawn_as_its_best_estimator(draw, of_images):
    search = GridSearchCV(of_images, {"n_components": [3]})
    search.best_estimator_ = of_images
    assert isinstance(draw(search), tuple(ALL))


@every_display
def test_an_estimator_that_is_not_fitted_is_refused(draw):
    with pytest.raises(NotFittedError):
        draw(autoencoder())


@every_display
def test_without_matplotlib_the_error_says_what_to_install(
    draw, of_images, monkeypatch
):
    display = draw(of_images)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for call in (lambda: draw(of_images), display.plot):
        with pytest.raises(ImportError, match="requires matplotlib.*pip install"):
            call()


@every_class
def test_parameters_are_stored_as_they_are(kind):
    parameters = {name: object() for name in inspect.signature(kind).parameters}
    assert vars(kind(**parameters)) == parameters


@every_class
def test_whatever_plot_takes_can_be_passed_from_the_start(kind):
    for name in ("from_estimator", "from_predictions"):
        if hasattr(kind, name):
            taken = inspect.signature(getattr(kind, name)).parameters
            assert set(inspect.signature(kind.plot).parameters) - {"self"} <= set(taken)
            assert all(
                parameter.kind is parameter.KEYWORD_ONLY
                for parameter in list(taken.values())[3:]
            )


def test_displays_can_be_imported_from_both_places():
    for name in displays.__all__:
        assert getattr(skae, name) is getattr(displays, name)


# LossCurveDisplay


def test_curves_are_those_of_the_history(of_images):
    display = LossCurveDisplay.from_estimator(of_images)
    np.testing.assert_array_equal(display.train_loss, of_images.loss_curve_)
    training, validation = display.lines_
    np.testing.assert_array_equal(training.get_ydata(), of_images.loss_curve_)
    np.testing.assert_array_equal(
        validation.get_ydata(), of_images.validation_loss_curve_
    )
    np.testing.assert_array_equal(training.get_xdata(), of_images.history_["epoch"])
    assert display.pca_line_.get_ydata()[0] == of_images.pca_loss_
    assert display.best_line_.get_xdata()[0] == of_images.best_epoch_
    assert "squared_error, standardised units" in display.ax_.get_ylabel()


def test_after_partial_fit_there_is_the_training_loss_alone():
    fitted = autoencoder().partial_fit(ROWS).partial_fit(ROWS)
    display = LossCurveDisplay.from_estimator(fitted)
    assert texts(display.ax_.get_legend().texts) == [
        "training",
        "weights kept: epoch 2",
    ]
    assert display.pca_line_ is None


def test_epochs_without_held_out_rows_leave_a_gap():
    fitted = autoencoder().fit(ROWS).partial_fit(ROWS)
    _, validation = LossCurveDisplay.from_estimator(fitted).lines_
    np.testing.assert_array_equal(
        validation.get_ydata(), [*fitted.validation_loss_curve_, np.nan]
    )


def test_a_loss_between_gaps_is_a_point():
    display = LossCurveDisplay(
        train_loss=[3.0, 2.0, 1.0], validation_loss=[np.nan, 2.0, np.nan]
    ).plot()
    assert [line.get_marker() for line in display.lines_] == ["None", "o"]


def test_one_epoch_is_a_point():
    fitted = autoencoder(max_epochs=1, early_stopping=False).fit(ROWS)
    (line,) = LossCurveDisplay.from_estimator(fitted).lines_
    assert line.get_marker() == "o"


def test_the_start_may_be_best(of_images):
    display = LossCurveDisplay(train_loss=[1.0, 2.0], best_epoch=0).plot()
    assert display.best_line_.get_label() == "weights kept: the start"
    low, high = display.ax_.get_xlim()
    assert low < 0 < high


def test_where_the_model_is_pca_no_epoch_is_called_kept():
    """Also where the held-out curve is below PCA's: by no more than chance."""
    display = LossCurveDisplay(
        train_loss=[3.0, 2.0], validation_loss=[2.0, 1.0], pca_loss=1.5, best_epoch=0
    ).plot()
    assert display.best_line_.get_label() == "kept: PCA, no gain proven"


VERDICT = (
    "The model is PCA, as the network did not prove to be better: on 57 held-out rows "
    "the network's loss is 0.02386, PCA's 0.02965; the gain of 0.0058 has a standard "
    "error of 0.0049."
)


@pytest.mark.parametrize("n_axes", [1, 3])
def test_verdict_of_the_estimator_is_the_title_within_the_axes_width(of_images, n_axes):
    of_images = copy.copy(of_images)
    of_images.verdict_ = VERDICT
    figure, axes = plt.subplots(1, n_axes, squeeze=False, layout="constrained")
    display = LossCurveDisplay.from_estimator(of_images, ax=axes[0, 0])
    assert display.verdict == VERDICT
    assert display.verdict_.get_text().split() == VERDICT.split()
    figure.draw_without_rendering()
    (title, box) = (
        artist.get_window_extent() for artist in (display.verdict_, display.ax_)
    )
    assert title.width < 1.05 * box.width
    assert box.y1 < title.y0 < title.y1 < figure.bbox.y1


def test_axes_keep_their_title_and_no_verdict_no_title():
    _, (ax, other) = plt.subplots(1, 2)
    ax.set_title("mine")
    display = LossCurveDisplay(train_loss=[2.0, 1.0], verdict=VERDICT).plot(ax)
    assert ax.get_title() == "mine"
    assert display.verdict_ is None
    LossCurveDisplay(train_loss=[2.0, 1.0]).plot(other)
    assert other.get_title() == ""


def test_pca_has_no_curve():
    fitted = autoencoder().fit(ROWS[:19])
    with pytest.raises(ValueError, match="trained no epoch.*early_stopping=False"):
        LossCurveDisplay.from_estimator(fitted)


@pytest.mark.parametrize(
    ("parameters", "label"),
    [
        ({"loss": "log_loss"}, "mean loss\n(log_loss)"),
        (
            {"penalty": "l1"},
            "mean loss with costs\n(squared_error, standardised units)",
        ),
    ],
    ids=["log_loss", "penalty"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_minimised_has_its_name(parameters, label):
    display = LossCurveDisplay.from_estimator(autoencoder(**parameters).fit(ROWS / 16))
    assert display.pca_line_ is None
    assert display.ax_.get_ylabel() == label


def test_of_a_pipeline_the_last_step_counts(scaled_iris):
    display = LossCurveDisplay.from_estimator(scaled_iris)
    np.testing.assert_array_equal(display.train_loss, scaled_iris[-1].loss_curve_)


def test_an_estimator_without_a_history_is_refused():
    message = "needs an estimator with history_ .* but PCA has no history_"
    with pytest.raises(TypeError, match=message):
        LossCurveDisplay.from_estimator(PCA(2).fit(ROWS))


def test_styles_given_win_also_by_their_short_names(of_images):
    display = LossCurveDisplay.from_estimator(
        of_images,
        line_kw={"lw": 3},
        pca_line_kw={"ls": ":"},
        best_line_kw={"c": "red"},
    )
    assert {line.get_linewidth() for line in display.lines_} == {3}
    assert display.pca_line_.get_linestyle() == ":"
    assert display.best_line_.get_color() == "red"


# ReconstructionDisplay


def test_reconstructions_are_those_of_the_estimator(of_images):
    display = ReconstructionDisplay.from_estimator(of_images, IMAGES, n_samples=3)
    X_hat = of_images.reconstruct(IMAGES[:3])
    np.testing.assert_array_equal(display.X, IMAGES[:3])
    np.testing.assert_array_equal(display.X_hat, X_hat)
    assert display.images_.shape == (3, 3)
    for j in range(3):
        np.testing.assert_array_equal(drawn(display.images_[0, j]), IMAGES[j])
        np.testing.assert_array_equal(drawn(display.images_[1, j]), X_hat[j])
        np.testing.assert_array_equal(
            drawn(display.images_[2, j]), X_hat[j] - IMAGES[j]
        )
    assert texts(display.ax_.get_yticklabels()) == ["original", "rebuilt", "difference"]


def test_black_and_white_are_those_of_the_originals(of_images):
    display = ReconstructionDisplay.from_estimator(of_images, IMAGES, n_samples=3)
    limits = {image.get_clim() for image in display.images_[:2].ravel()}
    assert limits == {(IMAGES[:3].min(), IMAGES[:3].max())}
    (low, high) = display.images_[2, 0].get_clim()
    assert -low == high == np.abs(display.difference).max()


def test_error_of_each_image_is_written_below(of_images):
    display = ReconstructionDisplay.from_estimator(of_images, IMAGES, n_samples=3)
    errors = np.sqrt(of_images.reconstruction_error(IMAGES[:3]))
    assert texts(display.ax_.get_xticklabels()) == [f"{error:.2g}" for error in errors]


def test_fewer_rows_than_asked_for_are_all_shown(of_images):
    display = ReconstructionDisplay.from_estimator(of_images, IMAGES[:2])
    assert display.images_.shape == (3, 2)


PHOTO = load_sample_image("china.jpg")[::8, ::8][:48, :72]
PATCHES = PHOTO.reshape(4, 12, 6, 12, 3).swapaxes(1, 2).reshape(-1, 12, 12, 3)
GREY = PATCHES.mean(axis=-1)
ALPHA = np.concatenate([PATCHES, np.full_like(PATCHES[..., :1], 255)], axis=-1)
KINDS = {
    "grey": GREY,
    "grey uint8": GREY.astype(np.uint8),
    "uint16": GREY.astype(np.uint16) * 200,
    "bool": GREY > np.median(GREY[0]),
    "float16": (GREY / 255).astype(np.float16),
    "constant": np.zeros_like(GREY),
    "one channel": GREY[..., None],
    "grey and alpha": ALPHA[..., 2:],
    "colour": PATCHES,
    "channels first": np.moveaxis(PATCHES, -1, 1),
    "colour and alpha": ALPHA,
    "float colour": PATCHES / 255,
    "float colour to 255": PATCHES.astype(np.float64),
    "colour around zero": PATCHES / 127.5 - 1,
}
every_kind = pytest.mark.parametrize("images", KINDS.values(), ids=KINDS)


def shown_colours(image):
    """Return the colours that an image has on the screen, alpha apart."""
    return image.to_rgba(image.get_array(), bytes=True, norm=True)[..., :3]


@every_kind
def test_images_of_every_kind_look_as_they_are(images):
    display = ReconstructionDisplay.from_predictions(images, images, n_samples=3)
    assert (display.difference == 0).all()
    for original, rebuilt in display.images_[:2].T:
        np.testing.assert_array_equal(shown_colours(original), shown_colours(rebuilt))
    first = shown_colours(display.images_[0, 0]).astype(float)
    expected = images[:3]
    if expected.ndim == 4:  # any channel but alpha
        expected = expected[..., 0] if expected.shape[1] != 3 else expected[:, 0]
    expected = expected.astype(np.float64)
    if np.ptp(expected) > 0:  # the brighter a pixel, the brighter it is shown
        values, seen = expected[0].ravel(), first[..., 0].ravel()
        assert np.corrcoef(values, seen)[0, 1] > 0.99
    display.figure_.canvas.draw()


def test_uint8_colours_are_shown_to_the_last_bit():
    display = ReconstructionDisplay.from_predictions(PATCHES, PATCHES)
    for image, patch in zip(display.images_[0], PATCHES, strict=False):
        np.testing.assert_array_equal(drawn(image), patch)


def test_difference_of_colours_is_their_root_mean_square():
    darker = (PATCHES * 0.5).astype(np.uint8)
    display = ReconstructionDisplay.from_predictions(PATCHES, darker, n_samples=2)
    expected = np.sqrt(
        np.square(PATCHES[0].astype(float) - darker[0].astype(float)).mean(-1)
    )
    np.testing.assert_allclose(drawn(display.images_[2, 0]), expected)
    assert "root mean square" in display.colorbar_.ax.get_ylabel()


def test_flat_rows_are_images_where_the_estimator_knows(of_rows):
    as_images = autoencoder(2, image_shape=(8, 8), hidden_layer_sizes=(4,)).fit(ROWS)
    display = ReconstructionDisplay.from_estimator(as_images, ROWS, n_samples=2)
    np.testing.assert_array_equal(drawn(display.images_[0, 1]), IMAGES[1])
    behind = make_pipeline(StandardScaler(), as_images).fit(ROWS)
    display = ReconstructionDisplay.from_estimator(behind, ROWS, n_samples=2)
    np.testing.assert_array_equal(drawn(display.images_[0, 1]), IMAGES[1])


def test_flat_rows_are_images_where_it_is_said(of_rows):
    display = ReconstructionDisplay.from_estimator(
        of_rows, ROWS, n_samples=2, image_shape=(8, 8)
    )
    np.testing.assert_array_equal(drawn(display.images_[0, 1]), IMAGES[1])


def test_a_shape_that_does_not_fit_is_refused(of_rows):
    with pytest.raises(ValueError, match=r"image_shape=\(7, 8\) has 56 pixels"):
        ReconstructionDisplay.from_estimator(of_rows, ROWS, image_shape=(7, 8))


def test_too_many_channels_are_refused():
    X = np.zeros((2, 5, 8, 8))
    with pytest.raises(ValueError, match="5 channels.*at most four"):
        ReconstructionDisplay.from_predictions(X, X, channel_order="first")


def test_a_table_is_drawn_in_standard_deviations_of_all_rows(of_iris):
    display = ReconstructionDisplay.from_estimator(of_iris, IRIS.data, n_samples=5)
    X = IRIS.data.to_numpy()
    X_hat = of_iris.reconstruct(IRIS.data.iloc[:5])
    assert display.lines_.shape == (5, 2)
    for row in range(5):
        for line, values in zip(display.lines_[row], (X, X_hat), strict=True):
            expected = (values[row] - X.mean(axis=0)) / X.std(axis=0)
            np.testing.assert_allclose(line.get_xdata(), expected)
    assert texts(display.axes_[0].get_yticklabels()) == NAMES
    labels = {panel.get_xlabel() for panel in display.axes_}
    assert labels == {"", "standard deviations from the mean"}
    assert display.images_ is None


def test_a_table_may_be_drawn_as_it_is(of_iris):
    display = ReconstructionDisplay.from_estimator(
        of_iris, IRIS.data, n_samples=5, standardize=False
    )
    np.testing.assert_array_equal(
        display.lines_[3, 0].get_xdata(), IRIS.data.to_numpy()[3]
    )
    assert display.scale is None


def test_constant_features_and_single_rows_have_no_spread():
    X = np.array([[1.0, 2.0], [1.0, 4.0]])
    display = ReconstructionDisplay.from_predictions(X, X)
    np.testing.assert_array_equal(display.lines_[1, 0].get_xdata(), [0, 1])
    display = ReconstructionDisplay.from_predictions(X[:1], X[:1])
    np.testing.assert_array_equal(display.lines_[0, 0].get_xdata(), X[0])


CONTAINERS = {
    "list": lambda X: X.to_numpy().tolist(),
    "array": lambda X: X.to_numpy(),
    "pandas": lambda X: X,
    "nullable": lambda X: X.convert_dtypes(),
    "polars": pl.from_pandas,
    "sparse": lambda X: sp.csr_array(X.to_numpy()),
    "coordinates": lambda X: sp.coo_array(X.to_numpy()),
}


@pytest.mark.parametrize("convert", CONTAINERS.values(), ids=CONTAINERS)
def test_rows_may_be_kept_in_anything(convert):
    X = convert(IRIS.data)
    fitted = autoencoder(early_stopping=False).fit(X)
    reconstruction = ReconstructionDisplay.from_estimator(fitted, X, n_samples=3)
    np.testing.assert_allclose(reconstruction.X, IRIS.data.to_numpy()[:3])
    assert reconstruction.scale is not None
    traversal = LatentTraversalDisplay.from_estimator(fitted, X)
    np.testing.assert_allclose(traversal.scale, reconstruction.scale)
    space = LatentSpaceDisplay.from_estimator(fitted, X)
    np.testing.assert_allclose(space.code, fitted.transform(X))


def test_codes_in_frames_are_codes():
    fitted = autoencoder(early_stopping=False).set_output(transform="pandas")
    fitted.fit(IRIS.data)
    LatentSpaceDisplay.from_estimator(fitted, IRIS.data)
    LatentTraversalDisplay.from_estimator(fitted, IRIS.data)
    ReconstructionDisplay.from_estimator(fitted, IRIS.data)


def test_a_pipeline_is_compared_in_the_space_of_x(scaled_iris):
    display = ReconstructionDisplay.from_estimator(scaled_iris, IRIS.data, n_samples=2)
    X_hat = scaled_iris.inverse_transform(scaled_iris.transform(IRIS.data[:2]))
    np.testing.assert_allclose(display.X_hat, X_hat)
    np.testing.assert_array_equal(display.X, IRIS.data[:2])
    assert display.feature_names == NAMES


def test_names_given_are_written_and_those_of_a_target_win():
    X = IRIS.data.iloc[:3]
    target = X.add_prefix("true ")
    drawn_names = []
    for options in (
        {"feature_names": np.array(list("abcd"))},
        {"X_target": target},
        {"X_target": target.to_numpy()},
    ):
        display = ReconstructionDisplay.from_predictions(X, X, **options)
        drawn_names.append(texts(display.axes_[0].get_yticklabels()))
    assert drawn_names[:2] == [list("abcd"), list(target.columns)]
    assert not set(drawn_names[2]) & set(NAMES)


@pytest.mark.parametrize("place", ["free", "subfigure"])
def test_panels_take_the_place_of_any_axes(place, of_iris):
    figure = plt.figure()
    if place == "free":
        ax = figure.add_axes((0.1, 0.2, 0.3, 0.6))
    else:
        ax = figure.subfigures(1, 2)[1].subplots()
    display = ReconstructionDisplay.from_estimator(
        of_iris, IRIS.data, n_samples=3, ax=ax
    )
    box = ax.get_position().padded(1e-6)
    for panel in display.axes_:
        inner = panel.get_position()
        assert box.x0 <= inner.x0 < inner.x1 <= box.x1
        assert box.y0 <= inner.y0 < inner.y1 <= box.y1
    figure.canvas.draw()


def test_many_features_are_curves(of_rows):
    display = ReconstructionDisplay.from_estimator(
        of_rows, ROWS, n_samples=2, standardize=False
    )
    np.testing.assert_array_equal(display.lines_[1, 0].get_ydata(), ROWS[1])
    assert len(display.axes_) == len(display.differences_) == 2


@pytest.mark.parametrize("order", ["first", "last"])
def test_signals_with_channels_have_a_panel_for_each(order):
    signals = np.random.default_rng(0).normal(size=(4, 2, 30))
    X = signals if order == "first" else np.moveaxis(signals, 1, -1)
    display = ReconstructionDisplay.from_predictions(X, X + 1, n_samples=3)
    assert display.lines_.shape == (6, 2)
    for panel, (row, channel) in enumerate(np.ndindex(3, 2)):
        original, rebuilt = display.lines_[panel]
        np.testing.assert_array_equal(original.get_ydata(), signals[row, channel])
        np.testing.assert_allclose(rebuilt.get_ydata(), signals[row, channel] + 1)
    assert display.scale is None


@pytest.fixture(scope="module")
def noisy():
    return IMAGES + np.random.default_rng(0).normal(size=IMAGES.shape)


@pytest.fixture(scope="module")
def cleaner(noisy):
    return autoencoder(2, hidden_layer_sizes=(4,)).fit(noisy, X_target=IMAGES)


def test_with_a_target_that_is_what_counts(cleaner, noisy):
    display = ReconstructionDisplay.from_estimator(
        cleaner, noisy, X_target=IMAGES, n_samples=2
    )
    assert texts(display.ax_.get_yticklabels()) == [
        "input",
        "target",
        "rebuilt",
        "difference",
    ]
    np.testing.assert_array_equal(drawn(display.images_[0, 1]), noisy[1])
    np.testing.assert_array_equal(drawn(display.images_[1, 1]), IMAGES[1])
    X_hat = cleaner.reconstruct(noisy[:2])
    np.testing.assert_array_equal(drawn(display.images_[3, 1]), X_hat[1] - IMAGES[1])
    assert display.colorbar_.ax.get_ylabel() == "rebuilt - target"


def test_images_of_another_size_have_no_difference_without_a_target():
    coarse = IMAGES.reshape(-1, 4, 2, 4, 2).mean((2, 4))
    sharpener = autoencoder(2, hidden_layer_sizes=(4,)).fit(coarse, X_target=IMAGES)
    display = ReconstructionDisplay.from_estimator(sharpener, coarse, n_samples=2)
    assert texts(display.ax_.get_yticklabels()) == ["input", "rebuilt"]
    assert display.difference is None
    display = ReconstructionDisplay.from_estimator(
        sharpener, coarse, X_target=IMAGES, n_samples=2
    )
    assert display.images_.shape == (4, 2)


def test_a_table_made_of_images_is_a_table():
    X, X_hat = IMAGES[:3], ROWS[:3, :5]
    display = ReconstructionDisplay.from_predictions(X, X_hat)
    assert display.lines_.shape == (3, 1)
    assert display.differences_ is None
    display = ReconstructionDisplay.from_predictions(X, X_hat, X_target=X_hat + 1)
    assert display.lines_[0, 0].get_label() == "target"


def test_pca_can_be_looked_at_in_the_same_way():
    pca = PCA(3).fit(ROWS)
    display = ReconstructionDisplay.from_estimator(pca, ROWS, image_shape=(8, 8))
    X_hat = pca.inverse_transform(pca.transform(ROWS[:8]))
    np.testing.assert_allclose(display.X_hat, X_hat)
    space = LatentSpaceDisplay.from_estimator(pca, ROWS, image_shape=(8, 8))
    assert space.images_ is not None
    assert "% of variance" in space.ax_.get_xlabel()
    LatentTraversalDisplay.from_estimator(pca, ROWS)
    scores = ErrorDistributionDisplay.from_estimator(pca, ROWS).scores
    np.testing.assert_array_equal(scores, pca.score_samples(ROWS))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: ReconstructionDisplay.from_predictions(X, X[:5]), "X has 240 rows"),
        (
            lambda X: ReconstructionDisplay.from_predictions(X, X, X_target=X[:, :3]),
            r"X_target has the shape \(240, 3\), but X_hat has \(240, 64\)",
        ),
        (
            lambda X: ReconstructionDisplay.from_predictions(X, X, n_samples=0),
            "n_samples=0 must be a whole number of at least 1",
        ),
        (
            lambda X: ReconstructionDisplay.from_predictions(X, X, standardize="no"),
            "standardize='no' must be True, False or 'auto'",
        ),
        (
            lambda X: ReconstructionDisplay.from_predictions(X[:0], X[:0]),
            "X has no rows",
        ),
    ],
    ids=["rows", "target", "n_samples", "standardize", "empty"],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(ROWS)


# A Pipeline in which a step is missing something


def test_a_last_step_that_is_no_transformer_is_named(of_iris):
    pipeline = make_pipeline(of_iris, LogisticRegression()).fit(IRIS.data, IRIS.target)
    message = r"step 'logisticregression' .* has no transform. Pass pipeline\[:-1\]"
    with pytest.raises(TypeError, match=message):
        ReconstructionDisplay.from_estimator(pipeline, IRIS.data)
    ReconstructionDisplay.from_estimator(pipeline[:-1], IRIS.data)


@pytest.fixture(scope="module")
def one_way():
    """A Pipeline whose first step does not go back."""
    columns = ColumnTransformer([("all", StandardScaler(), NAMES)])
    pipeline = make_pipeline(columns, autoencoder(early_stopping=False))
    return pipeline.fit(IRIS.data)


def test_a_step_that_does_not_go_back_is_named(one_way):
    message = r"'columntransformer' .* no inverse_transform. Pass pipeline\[-1\]"
    for kind in (ReconstructionDisplay, LatentTraversalDisplay):
        with pytest.raises(TypeError, match=message):
            kind.from_estimator(one_way, IRIS.data)
    inner = one_way[:-1].transform(IRIS.data)
    ReconstructionDisplay.from_estimator(one_way[-1], inner)


def test_codes_are_drawn_also_where_nothing_goes_back(one_way):
    display = LatentSpaceDisplay.from_estimator(one_way, IRIS.data)
    assert display.grid_X_hat is None


# LatentSpaceDisplay


def test_points_are_the_codes(of_rows):
    display = LatentSpaceDisplay.from_estimator(of_rows, ROWS, components=(3, 1))
    code = of_rows.transform(ROWS)
    np.testing.assert_array_equal(display.code, code)
    (points,) = display.scatters_
    np.testing.assert_array_equal(points.get_offsets(), code[:, [3, 1]])
    assert display.ax_.get_xlabel() == "component 3"
    assert display.ax_.get_ylabel() == "component 1"


def test_labels_have_a_colour_each(of_rows):
    y = pd.Series(np.array(["no", "yes"])[DIGITS % 2], name="odd")
    display = LatentSpaceDisplay.from_estimator(of_rows, ROWS, y)
    code = of_rows.transform(ROWS)
    for points, label in zip(display.scatters_, ["no", "yes"], strict=True):
        np.testing.assert_array_equal(points.get_offsets(), code[y == label][:, :2])
    assert len({tuple(p.get_facecolor()[0]) for p in display.scatters_}) == 2
    assert texts(display.legend_.texts) == ["no", "yes"]
    assert display.legend_.get_title().get_text() == "odd"
    assert display.colorbar_ is None


@pytest.mark.parametrize(
    "y",
    [
        DIGITS,
        DIGITS.astype(float),
        DIGITS.astype(str),
        pd.Series(DIGITS).astype("category"),
        pd.Series(DIGITS).astype("Int64"),
        pl.Series(DIGITS),
        pd.DataFrame({"y": DIGITS}),
        DIGITS.tolist(),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_labels_of_every_type_have_the_same_names(y, of_rows):
    display = LatentSpaceDisplay.from_estimator(of_rows, ROWS, y)
    assert texts(display.legend_.texts) == [str(digit) for digit in range(10)]


def test_thirty_classes_can_be_told_apart(of_rows):
    y = np.char.add("class ", (np.arange(len(ROWS)) % 30).astype(str))
    display = LatentSpaceDisplay.from_estimator(of_rows, ROWS, y)
    looks = {
        (*points.get_facecolor()[0], points.get_paths()[0].vertices.tobytes())
        for points in display.scatters_
    }
    assert len(looks) == 30


def test_more_classes_than_looks_are_refused(of_rows):
    y = np.arange(len(ROWS)).astype(str)
    with pytest.raises(ValueError, match="240 different labels; at most 30 can be"):
        LatentSpaceDisplay.from_estimator(of_rows, ROWS, y)


@pytest.mark.parametrize("convert", [np.asarray, pd.Series], ids=["array", "Series"])
def test_numbers_have_a_colour_bar(of_rows, convert):
    y = convert(ROWS.mean(axis=1))
    display = LatentSpaceDisplay.from_estimator(of_rows, ROWS, y)
    (points,) = display.scatters_
    np.testing.assert_array_equal(points.get_array(), y)
    assert display.colorbar_.ax.get_ylabel() == "y"
    assert display.legend_ is None


def test_rows_without_a_number_are_drawn_too(of_rows):
    y = np.where(DIGITS == 0, np.nan, ROWS.mean(axis=1))
    display = LatentSpaceDisplay.from_estimator(of_rows, ROWS, y)
    display.figure_.canvas.draw()
    (points,) = display.scatters_
    assert len(points.get_offsets()) == len(ROWS)
    grey = mpl.colors.to_rgba("0.7")
    np.testing.assert_array_equal((points.get_facecolor() == grey).all(1), DIGITS == 0)


def test_y_needs_an_entry_for_each_row(of_rows):
    with pytest.raises(ValueError, match="y has 5 entries for 240 rows"):
        LatentSpaceDisplay.from_estimator(of_rows, ROWS, DIGITS[:5])


def test_grid_is_what_its_codes_are_decoded_to(of_images):
    display = LatentSpaceDisplay.from_estimator(
        of_images, IMAGES, components=(2, 0), grid_resolution=4
    )
    code = of_images.transform(IMAGES)
    across, up = display.grid_values
    for values, component in ((across, 2), (up, 0)):
        expected = np.linspace(code[:, component].min(), code[:, component].max(), 4)
        np.testing.assert_allclose(values, expected)
    at = code.mean(axis=0)
    at[[2, 0]] = across[1], up[2]
    expected = of_images.inverse_transform([at])[0]
    np.testing.assert_allclose(display.grid_X_hat[2, 1], expected, rtol=1e-5)
    image = display.images_[2, 1]
    np.testing.assert_array_equal(drawn(image), display.grid_X_hat[2, 1])
    left, right, bottom, top = image.get_extent()
    np.testing.assert_allclose([(left + right) / 2, (bottom + top) / 2], at[[2, 0]])


def test_all_points_are_within_the_grid(of_images):
    display = LatentSpaceDisplay.from_estimator(of_images, IMAGES)
    code = of_images.transform(IMAGES)
    for limits, values in (
        (display.ax_.get_xlim(), code[:, 0]),
        (display.ax_.get_ylim(), code[:, 1]),
    ):
        assert limits[0] < values.min() < values.max() < limits[1]


def test_nothing_is_drawn_far_from_all_codes():
    code = np.array([[0.0, 0.0], [10.0, 10.0]])
    values = np.arange(11.0)
    display = LatentSpaceDisplay(
        code=code,
        grid_values=(values, values),
        grid_X_hat=np.ones((11, 11, 4, 4)) * np.arange(4.0),
    ).plot()
    there = {tuple(place) for place in np.argwhere(display.images_ != None)}  # noqa: E711
    near = {(i, j) for i in (0, 1) for j in (0, 1)}
    assert there == near | {(10 - i, 10 - j) for i, j in near}


def test_grid_can_be_left_out(of_images):
    display = LatentSpaceDisplay.from_estimator(of_images, IMAGES, grid=False)
    assert display.grid_X_hat is None
    assert display.images_ is None


def test_tables_have_no_grid(of_iris):
    display = LatentSpaceDisplay.from_estimator(of_iris, IRIS.data)
    assert display.grid_X_hat is None


def test_mostly_dark_images_are_negatives_unless_asked(of_images):
    def colours(**options):
        display = LatentSpaceDisplay.from_estimator(of_images, IMAGES, **options)
        return {image.get_cmap().name for image in display.images_.ravel() if image}

    assert colours() == {"gray_r"}
    assert colours(im_kw={"cmap": "gray"}) == {"gray"}


@pytest.fixture(scope="module")
def of_one_component():
    return autoencoder(1, early_stopping=False).fit(IRIS.data)


def test_one_component_is_a_histogram(of_one_component):
    display = LatentSpaceDisplay.from_estimator(of_one_component, IRIS.data)
    assert sum(bar.get_height() for bar in display.bars_) == len(IRIS.data)
    assert display.scatters_ == []
    assert display.ax_.get_ylabel() == "rows"


@pytest.mark.parametrize("components", [(0, 1), (0,), 0])
def test_one_component_is_drawn_against_labels(of_one_component, components):
    display = LatentSpaceDisplay.from_estimator(
        of_one_component, IRIS.data, IRIS.target, components=components
    )
    across, up = display.scatters_[0].get_offsets().T
    np.testing.assert_array_equal(across, of_one_component.transform(IRIS.data)[:, 0])
    np.testing.assert_array_equal(np.rint(up), IRIS.target)
    assert texts(display.ax_.get_yticklabels()) == ["0", "1", "2"]


def test_one_of_many_components_is_drawn_alone(of_rows):
    display = LatentSpaceDisplay.from_estimator(of_rows, ROWS, components=2)
    heights = [bar.get_height() for bar in display.bars_]
    expected, _ = np.histogram(of_rows.transform(ROWS)[:, 2], len(heights))
    np.testing.assert_array_equal(heights, expected)


def test_one_component_is_drawn_against_numbers(of_one_component):
    y = IRIS.data["petal width (cm)"]
    display = LatentSpaceDisplay.from_estimator(of_one_component, IRIS.data, y)
    np.testing.assert_array_equal(display.scatters_[0].get_offsets()[:, 1], y)
    assert display.ax_.get_ylabel() == "petal width (cm)"


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ((0, 4), r"components=\(0, 4\) has 4, .* n_components=4.* from 0 to 3"),
        ((0, -1), "has -1"),
        ((0, 1.5), "has 1.5"),
        ((True, 0), "has True"),
        ((1, 1), "names one twice"),
        ((), "is empty"),
        ((0, 1, 2), "must be one or two: across and up"),
    ],
)
def test_components_that_are_not_there_are_refused(of_rows, components, message):
    with pytest.raises(ValueError, match=message):
        LatentSpaceDisplay.from_estimator(of_rows, ROWS, components=components)


def test_a_grid_of_one_image_is_refused(of_rows):
    with pytest.raises(ValueError, match="grid_resolution=1 .* at least 2"):
        LatentSpaceDisplay.from_estimator(of_rows, ROWS, grid_resolution=1)


@pytest.mark.parametrize("kind", [LatentSpaceDisplay, LatentTraversalDisplay])
def test_no_rows_are_refused(of_rows, kind):
    with pytest.raises(ValueError, match="X has no rows"):
        kind.from_estimator(of_rows, ROWS[:0])


# LatentTraversalDisplay


def test_each_step_is_what_its_code_is_decoded_to(of_images):
    display = LatentTraversalDisplay.from_estimator(
        of_images, IMAGES, components=[2, 0], n_steps=3, percentiles=(0.1, 0.8)
    )
    code = of_images.transform(IMAGES)
    np.testing.assert_allclose(display.code, code.mean(axis=0))
    for place, component in enumerate([2, 0]):
        low, high = np.quantile(code[:, component], [0.1, 0.8])
        expected = np.linspace(low, high, 3)
        np.testing.assert_allclose(display.values[place], expected, rtol=1e-5)
        for step in range(3):
            at = code.mean(axis=0)
            at[component] = expected[step]
            X_hat = of_images.inverse_transform([at])[0]
            np.testing.assert_allclose(display.X_hat[place, step], X_hat, rtol=1e-4)
            np.testing.assert_array_equal(
                drawn(display.images_[place, step]), display.X_hat[place, step]
            )
    assert texts(display.ax_.get_xticklabels()) == ["percentile 10", "percentile 80"]


def test_other_components_may_stay_at_those_of_a_row(of_rows):
    display = LatentTraversalDisplay.from_estimator(of_rows, ROWS, row=7, n_steps=2)
    code = of_rows.transform(ROWS)[7]
    np.testing.assert_array_equal(display.code, code)
    at = np.array([display.values[0, 1], *code[1:]])
    np.testing.assert_allclose(display.X_hat[0, 1], of_rows.inverse_transform([at])[0])


def test_first_components_are_taken_where_there_are_many():
    pca = PCA(12).fit(ROWS)
    display = LatentTraversalDisplay.from_estimator(pca, ROWS)
    assert display.components == list(range(8))
    assert LatentTraversalDisplay.from_estimator(pca, ROWS, components=11).values.shape


def test_a_component_of_pca_moves_features_along_its_axis():
    pca = PCA(2).fit(IRIS.data)
    display = LatentTraversalDisplay.from_estimator(pca, IRIS.data)
    spread = IRIS.data.to_numpy().std(axis=0)
    for place in range(2):
        moved = np.array([line.get_xdata() for line in display.lines_[place]])
        way = (moved[-1] - moved[0]) * spread
        np.testing.assert_allclose(
            way / np.ptp(display.values[place]), pca.components_[place]
        )
    assert texts(display.axes_[0].get_yticklabels()) == NAMES


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100%"),
        (0.174, "17%"),
        (0.0174, "1.7%"),
        (2e-3, "0.2%"),
        (1e-9, "<0.01%"),
        (-0.02, "-2%"),
    ],
)
def test_shares_are_written_in_a_few_letters(share, text):
    assert in_percent(share) == text


def test_share_of_the_variance_stands_beside_an_ordered_component():
    fitted = autoencoder(3, bottleneck="ordered").fit(ROWS)
    display = LatentTraversalDisplay.from_estimator(
        fitted, ROWS, image_shape=(8, 8), n_steps=2
    )
    for label, share in zip(
        texts(display.ax_.get_yticklabels()),
        fitted.explained_variance_ratio_,
        strict=True,
    ):
        written = re.search(r"\((.*)% of variance\)", label)[1]
        assert float(written) == pytest.approx(100 * share, abs=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": [4]}, r"components=\[4\] has 4.*n_components=4"),
        ({"components": []}, "is empty"),
        ({"n_steps": 1}, "n_steps=1 must be a whole number of at least 2"),
        ({"percentiles": (0.9, 0.1)}, "two growing numbers"),
        ({"percentiles": 0.5}, "two growing numbers"),
        ({"percentiles": (5, 95)}, "two growing numbers"),
        ({"row": 240}, "row=240 must be None.*from 0 to 239"),
        ({"row": "mean"}, "row='mean' must be None"),
        ({"standardize": None}, "standardize=None must be True, False or 'auto'"),
    ],
    ids=str,
)
def test_steps_that_cannot_be_taken_are_refused(of_rows, options, message):
    with pytest.raises(ValueError, match=message):
        LatentTraversalDisplay.from_estimator(of_rows, ROWS, **options)


# ErrorDistributionDisplay


def test_scores_are_those_of_the_estimator(of_images):
    display = ErrorDistributionDisplay.from_estimator(of_images, IMAGES)
    scores = of_images.score_samples(IMAGES)
    np.testing.assert_array_equal(display.scores, scores)
    (bars,) = display.bars_
    heights = [bar.get_height() for bar in bars]
    edges = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
    np.testing.assert_array_equal(heights, np.histogram(scores, edges)[0])
    assert sum(heights) == len(scores)
    assert "minus squared_error" in display.ax_.get_xlabel()


def test_rows_below_the_threshold_are_counted(of_images):
    scores = of_images.score_samples(IMAGES)
    threshold = np.median(scores)
    display = ErrorDistributionDisplay.from_estimator(
        of_images, IMAGES, threshold=threshold
    )
    assert display.below_ == [120]
    assert display.line_.get_xdata()[0] == threshold
    legend = texts(display.ax_.get_legend().texts)
    assert legend[0] == "all rows: 120 of 240 below"


@pytest.mark.parametrize("n_labels", [2, 4])
def test_each_class_is_shown_in_shares_of_its_rows(n_labels):
    y = np.arange(60) % n_labels
    y[:5] = 0
    scores = np.random.default_rng(0).normal(size=60)
    display = ErrorDistributionDisplay.from_predictions(scores, y)
    assert display.labels_ == [str(label) for label in range(n_labels)]
    if n_labels == 2:
        for bars in display.bars_:
            assert sum(bar.get_height() for bar in bars) == pytest.approx(1)
    assert display.ax_.get_ylabel() == "share of the rows of each class"


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        ([1, 1, -1, 1], ["inlier", "outlier"]),
        ([1, 1, 1, 1], ["inlier"]),
        ([0, 0, 1, 0], ["0", "1"]),
        ([True, True, False, True], ["False", "True"]),
        (["fine", "fine", "odd", "fine"], ["fine", "odd"]),
    ],
    ids=str,
)
def test_only_scikit_learns_labels_are_translated(y, labels):
    display = ErrorDistributionDisplay.from_predictions([-1, -2, -9, -1], y)
    assert display.labels_ == labels


def test_counts_below_are_those_of_each_class():
    display = ErrorDistributionDisplay.from_predictions(
        [-1, -6, -9, -1], [1, 1, -1, 1], threshold=-5
    )
    assert display.below_ == [1, 1]
    assert texts(display.ax_.get_legend().texts)[:2] == [
        "inlier: 1 of 3 below",
        "outlier: 1 of 1 below",
    ]


def test_errors_against_a_target_are_those_against_a_target(cleaner, noisy):
    display = ErrorDistributionDisplay.from_estimator(cleaner, noisy, X_target=IMAGES)
    expected = cleaner.score_samples(noisy, X_target=IMAGES)
    np.testing.assert_array_equal(display.scores, expected)


def test_errors_against_a_target_go_through_a_pipeline():
    X, target = IRIS.data.to_numpy(), IRIS.data.to_numpy()[:, :2]
    pipeline = make_pipeline(StandardScaler(), autoencoder(1, early_stopping=False))
    pipeline.fit(X, autoencodertransformer__X_target=target)
    display = ErrorDistributionDisplay.from_estimator(pipeline, X, X_target=target)
    expected = pipeline[-1].score_samples(pipeline[:-1].transform(X), X_target=target)
    np.testing.assert_array_equal(display.scores, expected)


def test_other_detectors_can_be_looked_at_in_the_same_way():
    forest = IsolationForest(n_estimators=5, random_state=0).fit(ROWS)
    display = ErrorDistributionDisplay.from_estimator(
        forest, ROWS, forest.predict(ROWS), threshold=forest.offset_
    )
    assert display.ax_.get_xlabel() == "score_samples"
    assert display.below_[0] == 0
    assert display.below_[1] == (forest.predict(ROWS) == -1).sum()


def test_histogram_can_be_styled():
    display = ErrorDistributionDisplay.from_predictions(
        [-1.0, -2.0], hist_kw={"bins": 5, "fc": "red"}, line_kw={"lw": 3}, threshold=-1
    )
    (bars,) = display.bars_
    assert len(bars) == 5
    assert bars[0].get_facecolor() == mpl.colors.to_rgba("red")
    assert display.line_.get_linewidth() == 3


def test_equal_and_infinite_scores_are_drawn():
    display = ErrorDistributionDisplay.from_predictions([-1.0, -1.0, -1.0])
    assert sum(bar.get_height() for bar in display.bars_[0]) == 3
    ErrorDistributionDisplay.from_predictions([-1.0, -2.0, -np.inf], threshold=-5)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ([], {}, r"scores of shape \(0,\)"),
        ([[1.0]], {}, r"scores of shape \(1, 1\)"),
        ([1.0, np.nan], {}, "none of them NaN"),
        ([1.0], {"threshold": "auto"}, "threshold='auto' must be None or a number"),
        ([1.0], {"threshold": np.inf}, "threshold=inf"),
        ([1.0], {"y": [1, 2]}, "y has 2 entries for 1 rows"),
        (np.arange(50), {"y": np.arange(50)}, "50 different labels"),
    ],
    ids=["none", "two axes", "NaN", "threshold", "infinite", "y", "numbers"],
)
def test_what_is_no_distribution_is_refused(scores, options, message):
    with pytest.raises(ValueError, match=message):
        ErrorDistributionDisplay.from_predictions(scores, **options)
