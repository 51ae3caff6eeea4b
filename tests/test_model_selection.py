"""The number of components and the widths are chosen by rules that can be checked."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from skae import AutoencoderTransformer, choose_n_components
from skae.model_selection import ComponentsChoice, _choose

SIZES = [1, 2, 4, 6]


def linear(n_samples=120, n_factors=4, noise=0.1, seed=0):
    """Return rows of a few factors in 12 columns; too few rows to train by."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_samples, n_factors))
    X = factors @ np.linalg.qr(rng.normal(size=(12, n_factors)))[0].T
    return X + noise * rng.normal(size=X.shape)


def sheet(n_samples=400, seed=0):
    """Return points of a curved sheet, which is flat for none of seven axes."""
    u, v = np.random.default_rng(seed).uniform(-1, 1, (2, n_samples))
    columns = [u, v, u * u, v * v, u * v, np.sin(3 * u), np.sin(3 * v)]
    return StandardScaler().fit_transform(np.column_stack(columns))


def autoencoder(**settings):
    """Return an estimator that leaves few rows to PCA: no folds with a warm start."""
    return AutoencoderTransformer(**{"random_state": 0, "warm_start": True, **settings})


def pca_error(size, train, test):
    """Return the share of the variance of test rows that PCA does not rebuild."""
    pca = PCA(size).fit(train)
    left = np.square(test - pca.inverse_transform(pca.transform(test))).sum()
    return left / np.square(test - test.mean(0)).sum()


def pca_errors(X, size, cv):
    return [pca_error(size, X[train], X[test]) for train, test in cv.split(X)]


FOLDS = KFold(3, shuffle=True, random_state=7)


@pytest.fixture(scope="module")
def choice():
    return choose_n_components(autoencoder(), linear(), n_components=SIZES, cv=FOLDS)


@pytest.fixture(scope="module")
def trained():
    """Return a choice among networks that were trained."""
    return choose_n_components(
        autoencoder(hidden_layer_sizes=(32, 32), max_epochs=20),
        sheet(),
        n_components=range(1, 6),
        hidden_layer_sizes=[(), (2,), (32, 32), [24]],
        cv=2,
        random_state=0,
    )


# The rule


def errors(*means, spread=0.0):
    """Return errors of two folds with these means."""
    return np.array(means)[:, None] + spread * np.array([-1, 1])


@pytest.mark.parametrize("unit", [1.0, 1e-3])
@pytest.mark.parametrize("bend", [2, 3, 5])
def test_bend_of_two_lines_is_where_they_meet(bend, unit):
    sizes = np.arange(1, 9)
    means = np.maximum(1.0 - 0.15 * (sizes - 1), 1.0 - 0.15 * (bend - 1))
    chosen, rule = _choose(sizes, errors(*unit * means), None)
    assert (sizes[chosen], rule) == (bend, "bend")


def test_bend_is_where_the_next_component_gains_less_than_the_average_one():
    sizes = np.arange(1, 21)
    means = np.exp(-sizes / 3)
    (chosen, _), gains = _choose(sizes, errors(*means), None), -np.diff(means)
    average = (means[0] - means[-1]) / (sizes[-1] - sizes[0])
    assert (gains[:chosen] > average).all()
    assert (gains[chosen:] < average).all()


def test_bend_heeds_the_distance_between_sizes():
    sizes = np.array([1, 2, 4, 8, 16])
    chosen, _ = _choose(sizes, errors(0.9, 0.8, 0.6, 0.2, 0.1), None)
    assert sizes[chosen] == 8  # by rank it would bend at 4 or nowhere


STRAIGHT = [0.8, 0.6, 0.4, 0.2]


@pytest.mark.parametrize(
    ("means", "spread", "size"),
    [
        (STRAIGHT, 0.0, 4),
        (STRAIGHT, 0.25, 3),  # of two folds the spread is the standard error
        (STRAIGHT, 0.45, 2),
        ([0.8, 0.58, 0.4, 0.2], 0.0, 4),  # hardly a bend
        ([0.8, 0.79, 0.7, 0.2], 0.0, 4),  # the last component is worth most
        ([0.5, 0.5, 0.5, 0.5], 0.0, 1),
        ([0.5, 0.6, 0.7, 0.8], 0.0, 1),  # larger codes learn by heart
    ],
)
def test_without_a_bend_one_standard_error_chooses(means, spread, size):
    sizes = np.arange(1, 5)
    with pytest.warns(UserWarning, match="From 1 to 4 components .* no bend") as caught:
        chosen, rule = _choose(sizes, errors(*means, spread=spread), None)
    assert (sizes[chosen], rule) == (size, "one standard error")
    assert f"Chosen is {size}," in str(caught[0].message)


@pytest.mark.parametrize(("max_error", "size"), [(0.8, 1), (0.5, 3), (0.4, 3)])
def test_max_error_takes_the_fewest_components_that_reach_it(max_error, size):
    sizes = np.arange(1, 5)
    chosen, rule = _choose(sizes, errors(*STRAIGHT), max_error)
    assert (sizes[chosen], rule) == (size, "max_error")


def test_max_error_that_no_size_reaches_is_said():
    with pytest.warns(UserWarning, match=r"max_error=0.1; the smallest is 0.2\."):
        chosen, _ = _choose(np.arange(1, 5), errors(*STRAIGHT), 0.1)
    assert chosen == 3


# What is chosen


@pytest.mark.parametrize("n_factors", [2, 3, 4])
@pytest.mark.parametrize("noise", [0.03, 0.3])
def test_linear_data_have_as_many_components_as_factors(n_factors, noise):
    X = linear(n_factors=n_factors, noise=noise)
    choice = choose_n_components(
        autoencoder(), X, n_components=range(1, 9), random_state=0
    )
    assert choice.n_components_ == n_factors
    assert choice.rule_ == "bend"


def test_sheet_takes_two_components_however_it_is_curved(trained):
    assert trained.n_components_ == 2
    table = trained.table_
    assert table["error"][2] < 0.1 < 0.4 < table["pca_error"][2]


def test_noise_has_no_bend():
    noise = np.random.default_rng(0).normal(size=(150, 12))
    with pytest.warns(UserWarning, match="no bend"):
        choice = choose_n_components(autoencoder(), noise, random_state=0)
    assert choice.rule_ == "one standard error"


def test_max_error_counts_on_held_out_rows():
    choice = choose_n_components(
        autoencoder(), linear(), n_components=[2, 6], max_error=0.1, random_state=0
    )
    assert choice.table_["error"][2] > 0.1
    assert (choice.n_components_, choice.rule_) == (6, "max_error")
    assert choice.max_error_ == 0.1


def test_best_estimator_is_fitted_to_all_rows(choice):
    assert choice.best_params_ == {"n_components": 4}
    fitted = autoencoder(n_components=4).fit(linear())
    assert choice.best_estimator_.n_components_ == choice.n_components_ == 4
    assert_array_equal(
        choice.best_estimator_.transform(linear()), fitted.transform(linear())
    )


def test_estimator_is_not_touched():
    estimator = autoencoder(n_components=5)
    before = repr(estimator)
    choose_n_components(estimator, linear(), n_components=SIZES, random_state=0)
    assert not hasattr(estimator, "net_")
    assert repr(estimator) == before


def test_choice_is_shown_with_its_table(choice):
    shown = repr(choice)
    assert shown.startswith("ComponentsChoice(best_params_={'n_components': 4})")
    assert "pca_error" in shown


# The table


def test_table_has_a_row_for_each_size(choice):
    table = choice.table_
    columns = ["error", "std_error", "pca_error", "pca_std_error", "seconds"]
    assert list(table.columns) == columns
    assert table.index.name == "n_components"
    assert list(table.index) == SIZES
    assert (table["seconds"] > 0).all()


def test_error_is_one_minus_the_score_of_held_out_rows():
    settings = {"early_stopping": True, "max_epochs": 2, "hidden_layer_sizes": (8,)}
    estimator, X = autoencoder(**settings), sheet(200)
    sizes = [1, 2, 5]
    found = choose_n_components(estimator, X, n_components=sizes, cv=FOLDS).table_
    for size in sizes:
        of_this_size = clone(estimator).set_params(n_components=size)
        expected = 1 - cross_val_score(of_this_size, X, cv=FOLDS)
        assert found["error"][size] == pytest.approx(expected.mean())
        std_error = expected.std(ddof=1) / np.sqrt(3)
        assert found["std_error"][size] == pytest.approx(std_error)


def test_error_of_pca_is_that_of_held_out_rows(choice):
    X = linear()
    for size in SIZES:
        expected = np.array(pca_errors(X, size, FOLDS))
        assert choice.table_["pca_error"][size] == pytest.approx(expected.mean())
        std_error = expected.std(ddof=1) / np.sqrt(3)
        assert choice.table_["pca_std_error"][size] == pytest.approx(std_error)


def test_errors_are_the_same_where_the_model_is_pca(choice):
    assert_allclose(choice.table_["error"], choice.table_["pca_error"], rtol=1e-6)


def test_error_of_pca_of_too_many_components_is_zero():
    X, sizes = linear(30, noise=0)[:, :3], [1, 2, 5]
    with pytest.warns(UserWarning, match="not smaller than n_features=3"):
        table = choose_n_components(
            autoencoder(), X, n_components=sizes, cv=2, random_state=0
        ).table_
    assert_allclose(table[["error", "pca_error"]].loc[5], 0, atol=1e-12)


# Data


def as_images(X, dtype=np.float64):
    images = X.reshape(-1, 3, 4)
    if dtype == np.uint8:
        images = (images - images.min()) / np.ptp(images) * 255
    return images.astype(dtype)


KINDS = {
    "list": lambda X: X.tolist(),
    "frame": lambda X: pd.DataFrame(X, columns=[f"x{i}" for i in range(12)]),
    "float32": lambda X: X.astype(np.float32),
    "sparse": sp.csr_array,
    "sparse matrix": sp.csc_matrix,
    "images": as_images,
    "uint8": lambda X: as_images(X, np.uint8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_all_kinds_are_compared(kind, choice):
    X = KINDS[kind](linear())
    found = choose_n_components(autoencoder(), X, n_components=SIZES, cv=FOLDS)
    assert found.n_components_ == 4
    table, expected = found.table_, choice.table_
    rtol = 0.1 if kind == "uint8" else 1e-3
    for name in ("error", "pca_error"):
        assert_allclose(table[name], expected[name], rtol=rtol)


def test_rows_are_shuffled_before_they_are_cut():
    X = linear()
    X = X[np.argsort(X[:, 0])]
    settings = {"n_components": SIZES, "cv": 2}
    tables = [
        choose_n_components(autoencoder(), X, random_state=seed, **settings).table_
        for seed in (0, 0, 1)
    ]
    tables = [table.drop(columns="seconds") for table in tables]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not np.allclose(tables[0], tables[2])
    halves = [np.arange(60), np.arange(60, 120)]
    unshuffled = pca_error(1, X[halves[0]], X[halves[1]])
    assert tables[0]["pca_error"][1] < unshuffled


def test_splitter_gets_y_and_groups():
    seen = []

    class Spy(GroupKFold):
        def split(self, X, y=None, groups=None):
            seen.append((y, groups))
            return super().split(X, y, groups)

    X, y, groups = linear(), np.arange(120) % 2, np.arange(120) % 5
    choose_n_components(
        autoencoder(), X, y, n_components=SIZES, cv=Spy(3), groups=groups
    )
    assert len(seen) == 1
    assert_array_equal(seen[0][0], y)
    assert_array_equal(seen[0][1], groups)


@pytest.mark.parametrize(
    "cv",
    [
        StratifiedKFold(2),
        ShuffleSplit(2, random_state=0),
        [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))],
    ],
    ids=["stratified", "shuffled", "pairs"],
)
def test_folds_come_from_any_splitter(cv):
    X, y = linear(), np.arange(120) % 2
    choice = choose_n_components(autoencoder(), X, y, n_components=SIZES, cv=cv)
    pairs = cv.split(X, y) if hasattr(cv, "split") else cv
    expected = [pca_error(2, X[train], X[test]) for train, test in pairs]
    assert choice.table_["pca_error"][2] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((90, 4), [1, 2, 3]),
        ((90, 7), [1, 2, 3]),
        ((90, 20), [1, 2, 3, 4, 5, 6, 8, 10]),
        ((30, 100), [1, 2, 3, 4, 5, 6, 8, 10]),  # 20 rows to train on
        ((150, 300), [1, 2, 4, 6, 9, 14, 21, 32, 50]),
    ],
)
def test_default_sizes_end_at_half_of_features_or_rows(shape, sizes):
    X = np.random.default_rng(0).normal(size=shape) * np.geomspace(9, 1, shape[1])
    choice = choose_n_components(autoencoder(), X, max_error=0.99, random_state=0)
    assert list(choice.table_.index) == sizes


def test_default_sizes_end_at_64():
    scale = np.geomspace(9, 1, 200)
    X = np.random.default_rng(0).normal(size=(310, 200)) * scale
    estimator = autoencoder(hidden_layer_sizes=(), max_epochs=1)
    choice = choose_n_components(estimator, X, max_error=0.99, cv=2, random_state=0)
    assert choice.table_.index[-1] == 64


def test_sizes_are_sorted_and_counted_once():
    sizes = np.array([6, 2, 4, 2, 1])
    choice = choose_n_components(autoencoder(), linear(), n_components=sizes)
    assert list(choice.table_.index) == SIZES
    assert type(choice.n_components_) is int


# Pipelines


def test_pipeline_is_compared_by_what_the_autoencoder_gets(choice):
    X = linear() * np.geomspace(1e-3, 1e3, 12)
    pipeline = make_pipeline(StandardScaler(), autoencoder())
    found = choose_n_components(pipeline, X, n_components=SIZES, cv=FOLDS)
    assert found.best_params_ == {
        "autoencodertransformer__n_components": found.n_components_
    }
    assert found.best_estimator_[-1].n_components_ == found.n_components_
    expected = []
    for train, test in FOLDS.split(X):
        scaler = StandardScaler().fit(X[train])
        expected.append(
            pca_error(2, scaler.transform(X[train]), scaler.transform(X[test]))
        )
    assert found.table_["pca_error"][2] == pytest.approx(np.mean(expected))
    assert_allclose(found.table_["error"], found.table_["pca_error"], rtol=1e-6)


def test_pipeline_of_one_step_is_its_step(choice):
    found = choose_n_components(
        make_pipeline(autoencoder()), linear(), n_components=SIZES, cv=FOLDS
    )
    columns = ["error", "pca_error"]
    assert_allclose(found.table_[columns], choice.table_[columns])


def test_pipeline_takes_what_its_first_step_takes():
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "one", "two", "three", "cat", "dog"])
    texts = [" ".join(rng.choice(words, 5)) for _ in range(60)]
    pipeline = make_pipeline(CountVectorizer(), autoencoder())
    choice = choose_n_components(
        pipeline, texts, n_components=[1, 2, 6], max_error=0.5, random_state=0
    )
    assert choice.best_estimator_.transform(texts).shape == (60, choice.n_components_)
    assert_allclose(choice.table_["error"], choice.table_["pca_error"], rtol=1e-6)


def test_pipeline_may_make_images():
    to_images = FunctionTransformer(as_images)
    pipeline = make_pipeline(to_images, autoencoder())
    choice = choose_n_components(pipeline, linear(), n_components=SIZES, cv=FOLDS)
    assert choice.n_components_ == 4
    assert choice.best_estimator_[-1].image_shape_ == (3, 4)


# Widths


def test_widths_with_the_smallest_error_are_chosen(trained):
    sizes = trained.best_params_["hidden_layer_sizes"]
    table = trained.widths_table_
    last = table[table["max_epochs"] == table["max_epochs"].max()]
    assert table["hidden_layer_sizes"][0] == sizes
    assert table["error"][0] == last["error"].min()
    assert sizes == (32, 32)
    assert trained.best_estimator_.hidden_layer_sizes_ == sizes
    assert trained.best_estimator_.n_components_ == 2


def test_widths_are_halved_by_rounds_of_epochs(trained):
    table = trained.widths_table_
    columns = ["hidden_layer_sizes", "max_epochs", "error", "std_error", "seconds"]
    assert list(table.columns) == columns
    first = table[table["max_epochs"] == 6]  # a third of 20
    assert set(first["hidden_layer_sizes"]) == {(), (2,), (32, 32), (24,)}
    last = table[table["max_epochs"] == 18]  # three times as many
    kept = first.nsmallest(2, "error")["hidden_layer_sizes"]
    assert len(last) == 2
    assert set(last["hidden_layer_sizes"]) == set(kept)


def test_error_of_a_linear_network_is_that_of_pca(trained):
    table = trained.widths_table_
    linear = table[table["hidden_layer_sizes"] == ()]["error"]
    assert_allclose(linear, trained.table_["pca_error"][2], rtol=1e-2)


def test_epochs_of_the_last_round_are_those_of_auto(monkeypatch):
    monkeypatch.setattr("skae._fitting.plan.MOST_EPOCHS", 20)
    estimator = make_pipeline(StandardScaler(), autoencoder(hidden_layer_sizes=(4,)))
    choice = choose_n_components(
        estimator,
        sheet(170),  # of a half the model is PCA, of all rows it is trained
        n_components=[1, 2],
        max_error=0.9,
        hidden_layer_sizes=[(), (2,)],
        cv=2,
        random_state=0,
    )
    assert choice.best_estimator_[-1].max_epochs == "auto"
    assert list(choice.best_params_) == [
        "autoencodertransformer__n_components",
        "autoencodertransformer__hidden_layer_sizes",
    ]
    assert list(choice.widths_table_["max_epochs"]) == [20, 20]


def test_widths_are_not_searched_where_nothing_is_trained():
    with pytest.warns(UserWarning, match="no network is trained"):
        choice = choose_n_components(
            autoencoder(),
            linear(),
            n_components=SIZES,
            hidden_layer_sizes=[(8,), (16,)],
            random_state=0,
        )
    assert choice.widths_table_ is None
    assert choice.best_params_ == {"n_components": 4}


def test_jobs_do_not_change_the_choice():
    settings = {"hidden_layer_sizes": (8,), "max_epochs": 3}
    tables = []
    for n_jobs in (1, 2):
        with parallel_config(backend="threading"):
            choice = choose_n_components(
                autoencoder(**settings),
                sheet(),
                n_components=[1, 2, 4],
                hidden_layer_sizes=[(8,), (4,), ()],
                cv=2,
                n_jobs=n_jobs,
                random_state=0,
            )
        tables.append(choice)
    for name in ("table_", "widths_table_"):
        one, two = (getattr(x, name).drop(columns="seconds") for x in tables)
        pd.testing.assert_frame_equal(one, two)


def test_verbose_tells_of_fits(capsys):
    settings = {"n_components": SIZES, "cv": 2, "random_state": 0}
    choose_n_components(autoencoder(), linear(), verbose=1, **settings)
    assert "4 candidates, totalling 8 fits" in capsys.readouterr().out
    choose_n_components(autoencoder(), linear(), **settings)
    assert capsys.readouterr() == ("", "")


# Errors


class Own(nn.Module):
    pass


WRONG = {
    "estimator": (
        TypeError,
        {"estimator": PCA()},
        "must be an AutoencoderTransformer, or a Pipeline whose last step is one; it "
        "ends with a PCA",
    ),
    "class": (TypeError, {"estimator": AutoencoderTransformer}, "estimator"),
    "pipeline": (
        TypeError,
        {"estimator": make_pipeline(autoencoder(), KNeighborsClassifier())},
        "ends with a KNeighborsClassifier.*GridSearchCV",
    ),
    "one size": (ValueError, {"n_components": 4}, "at least 3 sizes.*n_components=4 "),
    "two sizes": (
        ValueError,
        {"n_components": [4, 8, 4]},
        r"at least 3 sizes to choose one\. n_components=\[4, 8, 4\]",
    ),
    "one size and max_error": (
        ValueError,
        {"n_components": [4], "max_error": 0.1},
        "at least 2 sizes",
    ),
    "share": (ValueError, {"n_components": [1, 0.5, 2]}, "has the size 0.5; .* whole"),
    "zero": (ValueError, {"n_components": [0, 1, 2]}, "has the size 0; .* at least 1"),
    "bool": (ValueError, {"n_components": [True, 2, 3]}, "has the size True"),
    "word": (ValueError, {"n_components": "auto"}, "has the size 'a'"),
    "narrow": (ValueError, {"X": linear()[:, :2]}, "X, of 2 features or rows"),
    "max_error": (ValueError, {"max_error": 1.5}, r"max_error=1.5 .* in \(0, 1\)"),
    "one network": (
        ValueError,
        {"hidden_layer_sizes": (64, 32)},
        r"hidden_layer_sizes=\(64, 32\) must be a list of at least two networks",
    ),
    "too few networks": (
        ValueError,
        {"hidden_layer_sizes": [(64, 32)]},
        "at least two networks",
    ),
    "auto": (ValueError, {"hidden_layer_sizes": "auto"}, "at least two networks"),
    "width": (
        ValueError,
        {"hidden_layer_sizes": [(64,), (0,)]},
        r"hidden_layer_sizes=\(0,\) has the width 0",
    ),
    "own network": (
        ValueError,
        {
            "estimator": AutoencoderTransformer(network=Own),
            "hidden_layer_sizes": [(64,), (32,)],
        },
        "network of your own",
    ),
    "one fold": (ValueError, {"cv": ShuffleSplit(1)}, "gives 1 fold; .* at least two"),
    "cv": (ValueError, {"cv": "five"}, "Expected .?cv.? as an integer"),
    "nan": (ValueError, {"X": np.full((50, 4), np.nan)}, "contains NaN"),
    "vector": (ValueError, {"X": np.arange(9.0)}, "Expected 2D array"),
    "fit": (
        ValueError,
        {"estimator": AutoencoderTransformer(alpha=-1)},
        "'alpha' parameter",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_error_says_what_is_wrong(fault):
    error, settings, message = WRONG[fault]
    settings = {"estimator": autoencoder(), "X": linear(), **settings}
    with pytest.raises(error, match=message):
        choose_n_components(**settings)


# Real data


def test_iris_bends_at_two():
    choice = choose_n_components(autoencoder(), load_iris().data, random_state=0)
    assert choice.n_components_ == 2
    assert isinstance(choice, ComponentsChoice)
