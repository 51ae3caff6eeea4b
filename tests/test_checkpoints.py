"""A fit that was killed goes on, and ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

import skae._fitting.checkpoint
from skae import AutoencoderTransformer, dump, load
from skae._files.archive import unpack

X = load_digits().data[:400]
N_EPOCHS = 5


class Killed(Exception):
    pass


class Killer(Callback):
    """End a fit in a way that it cannot recover from, as an epoch begins."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > self.n_epochs:
            raise Killed


class Counter(Callback):
    """Count the epochs that are trained, over all copies."""

    counted = 0

    def on_epoch_end(self, net, **kwargs):
        Counter.counted += 1


def estimator(n_components=4, **settings):
    defaults = {"max_epochs": N_EPOCHS, "random_state": 0, "early_stopping": True}
    return AutoencoderTransformer(n_components, **defaults | settings)


def fit_killed(folder, *, after=3, n_components=4, X=X, **settings):
    """Begin a fit with checkpoints that ends after some epochs."""
    killed = estimator(
        n_components, checkpoint=folder, callbacks=[Killer(after)], **settings
    )
    with pytest.raises(Killed):
        killed.fit(X)


def fit_counted(folder, *, n_components=4, X=X, **settings):
    """Return a fit with checkpoints, and how many epochs it trained."""
    Counter.counted = 0
    fitted = estimator(
        n_components, checkpoint=folder, callbacks=[Counter()], **settings
    ).fit(X)
    return fitted, Counter.counted


def assert_same(fitted, expected):
    """Compare all weights, and all that was written down but the seconds."""
    weights, others = (one.net_.module_.state_dict() for one in (fitted, expected))
    assert set(weights) == set(others)
    for name, weight in weights.items():
        assert_array_equal(weight, others[name])
    for name in ("loss_curve_", "validation_loss_curve_", "best_epoch_", "proven_"):
        assert getattr(fitted, name) == getattr(expected, name)
    assert_array_equal(fitted.transform(X), expected.transform(X))


KINDS = {
    "table": {},
    "images": {"network": "conv", "image_shape": (8, 8)},
    "all rows": {"early_stopping": False},
    "single precision": {"precision": "float32"},
    "constant learning rate": {"schedule": "constant", "solver": "sgd"},
    "autograd": {"solver": "adam", "penalty": "l2"},
    "noise": {"corruption": "gaussian"},
    "chance in the code": {"bottleneck": "variational"},
    "codebook": {"bottleneck": "vector_quantized"},
    "ordered": {"bottleneck": "ordered"},
    "target of counts": {"loss": "negative_binomial"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_killed_fit_ends_with_the_same_bytes(kind, tmp_path):
    settings = KINDS[kind]
    fit_killed(tmp_path, **settings)
    fitted, n_trained = fit_counted(tmp_path, **settings)
    assert n_trained == N_EPOCHS - 3
    assert_same(fitted, estimator(**settings).fit(X))
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_change_nothing(tmp_path):
    assert_same(estimator(checkpoint=tmp_path).fit(X), estimator().fit(X))


def test_fit_is_killed_twice(tmp_path):
    fit_killed(tmp_path, after=1)
    fit_killed(tmp_path, after=4)
    fitted, n_trained = fit_counted(tmp_path)
    assert n_trained == N_EPOCHS - 4
    assert_same(fitted, estimator().fit(X))


def test_fit_without_seed_keeps_its_rows_held_out(tmp_path):
    fit_killed(tmp_path, random_state=None)
    (path,) = tmp_path.iterdir()
    facts, _ = unpack(path.read_bytes(), skae._fitting.checkpoint.FORMAT, 1)
    fitted, n_trained = fit_counted(tmp_path, random_state=None)
    assert n_trained == N_EPOCHS - 3
    assert fitted.validation_loss_curve_[:3] == [
        epoch["valid_loss"] for epoch in facts["history"]
    ]
    # The rest of the curve goes on from there: it was trained on the same rows.
    assert max(fitted.validation_loss_curve_[3:]) < fitted.validation_loss_curve_[0]


def test_continued_fit_is_killed(tmp_path):
    def begun():
        return estimator(warm_start=True).fit(X)

    expected = begun().fit(X)
    killed = begun()
    dump(killed, tmp_path / "model", keep_optimizer=True)
    folder = tmp_path / "folder"
    killed.set_params(checkpoint=folder, callbacks=[Killer(N_EPOCHS + 2)])
    with pytest.raises(Killed):
        killed.fit(X)
    reloaded = load(tmp_path / "model").set_params(
        checkpoint=folder, callbacks=[Counter()]
    )
    Counter.counted = 0
    assert_same(reloaded.fit(X), expected)
    assert Counter.counted == N_EPOCHS - 2


def test_grid_search_shares_a_folder(tmp_path):
    def search(**settings):
        grid = {"n_components": [2, 3]}
        return GridSearchCV(estimator(**settings), grid, cv=2, refit=False)

    with pytest.raises(Killed):
        search(checkpoint=tmp_path, callbacks=[Killer(3)]).set_params(
            error_score="raise"
        ).fit(X)
    assert len(list(tmp_path.iterdir())) == 1
    Counter.counted = 0
    found = search(checkpoint=tmp_path, callbacks=[Counter()]).fit(X)
    assert Counter.counted == 4 * N_EPOCHS - 3
    scores = search().fit(X).cv_results_["mean_test_score"]
    assert_array_equal(found.cv_results_["mean_test_score"], scores)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"n_components": 3}, {"alpha": 0.02}, {"random_state": 1}, {"X": 2 * X}],
    ids=lambda change: ", ".join(change),
)
def test_another_fit_does_not_go_on_from_it(change, tmp_path):
    fit_killed(tmp_path)
    assert fit_counted(tmp_path, **change)[1] == N_EPOCHS
    assert len(list(tmp_path.iterdir())) == 1  # of the first fit, still


def test_every_other_epoch(tmp_path):
    fit_killed(tmp_path, checkpoint_every=2)
    fitted, n_trained = fit_counted(tmp_path, checkpoint_every=2)
    assert n_trained == N_EPOCHS - 2
    assert_same(fitted, estimator().fit(X))


def test_stopped_training_is_not_taken_up_again(tmp_path, monkeypatch):
    """A process may also be killed after training, before the verdict."""
    settings = {"n_iter_no_change": 1, "tol": 0.9}
    expected = estimator(**settings).fit(X)
    assert expected.n_epochs_ < N_EPOCHS
    with monkeypatch.context() as patch:
        patch.setattr("skae._fitting.verdict.gain_is_proven", _kill)
        with pytest.raises(Killed):
            estimator(checkpoint=tmp_path, **settings).fit(X)
    fitted, n_trained = fit_counted(tmp_path, **settings)
    assert n_trained == 0
    assert_same(fitted, expected)


def _kill(*arguments):
    raise Killed


def test_time_before_the_kill_counts(tmp_path):
    class Slow(Killer):
        def on_epoch_begin(self, net, **kwargs):
            super().on_epoch_begin(net, **kwargs)
            time.sleep(0.6)

    slow = estimator(max_epochs=1000, max_time=3.0, checkpoint=tmp_path)
    with pytest.raises(Killed):
        slow.set_params(callbacks=[Slow(2)]).fit(X)
    slow.set_params(callbacks=[Slow(1000)]).fit(X)
    assert slow.n_epochs_ <= 5


def test_divergence_before_the_kill_counts(tmp_path):
    """Training goes back once, not once more in each process."""

    class Diverging(Killer):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) in (2, 4):
                net.module_.decoder_path.weight.data.fill_(np.nan)

    settings = {"checkpoint": tmp_path, "max_epochs": 8}
    with (
        pytest.raises(Killed),
        pytest.warns(ConvergenceWarning, match="epoch 3. It goes on from epoch"),
    ):
        estimator(callbacks=[Diverging(3)], **settings).fit(X)
    with pytest.raises(ValueError, match="diverged: .* epoch 5. Lower learning_rate"):
        estimator(callbacks=[Diverging(99)], **settings).fit(X)


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
def test_damaged_checkpoint_is_said(damage, tmp_path):
    fit_killed(tmp_path)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    damaged = {"cut": data[:-20], "changed": data, "foreign": b"no checkpoint"}
    path.write_bytes(damaged[damage])
    with pytest.warns(UserWarning, match="cannot be used: .*Training starts anew"):
        fitted, n_trained = fit_counted(tmp_path)
    assert n_trained == N_EPOCHS
    assert_same(fitted, estimator().fit(X))


def test_checkpoint_of_other_versions_is_said(tmp_path, monkeypatch):
    fit_killed(tmp_path)
    monkeypatch.setattr(skae._fitting.checkpoint, "versions", lambda: {"skae": "99"})
    with pytest.warns(UserWarning, match="other versions"):
        assert fit_counted(tmp_path)[1] == N_EPOCHS


@contextmanager
def files_of_at_most(n_bytes):
    """Have the system refuse to write more, as a full disk does."""
    resource = pytest.importorskip("resource", reason="no limits of a process")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_is_warned_of_and_training_goes_on(tmp_path):
    with (
        files_of_at_most(20_000),
        pytest.warns(UserWarning, match="No checkpoint after epoch") as caught,
    ):
        fitted = estimator(checkpoint=tmp_path).fit(X)
    assert len(caught) == N_EPOCHS
    assert_same(fitted, estimator().fit(X))
    assert list(tmp_path.iterdir()) == []  # no draft is left


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_folder_that_cannot_be_is_named(where, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="checkpoint=.* is no folder that can be"):
        estimator(checkpoint=tmp_path / where).fit(X)


def test_partial_fit_writes_nothing(tmp_path):
    estimator(checkpoint=tmp_path).partial_fit(X)
    assert list(tmp_path.iterdir()) == []


def test_model_file_leaves_the_folder_out(tmp_path):
    fitted = estimator(checkpoint=tmp_path / "folder").fit(X)
    dump(fitted, tmp_path / "model")
    assert load(tmp_path / "model").checkpoint is None


LONG = {
    "n_components": 4,
    "max_epochs": 15,
    "random_state": 0,
    "network": "conv",
    "image_shape": (8, 8),
    "n_jobs": 1,
}
SCRIPT = f"""
import sys
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer
X = load_digits().data[:400]
AutoencoderTransformer(checkpoint=sys.argv[1], **{LONG}).fit(X)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_process_goes_on(tmp_path):
    """The real thing; benchmarks/checkpoints.py does it many times."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path])
    while process.poll() is None and not list(tmp_path.glob("*.safetensors")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (path,) = tmp_path.glob("*.safetensors")
    facts, _ = unpack(path.read_bytes(), skae._fitting.checkpoint.FORMAT, 1)
    kept = [epoch["dur"] for epoch in facts["history"]]
    resumed = AutoencoderTransformer(checkpoint=tmp_path, **LONG).fit(X)
    assert list(resumed.history_["dur"][: len(kept)]) == kept  # not trained again
    assert_same(resumed, AutoencoderTransformer(**LONG).fit(X))


def test_checkpoints_change_nothing_where_few_rows_judge(tmp_path):
    few = X[:100]
    settings = {"early_stopping": "auto", "max_epochs": 20}
    expected = estimator(**settings).fit(few)
    assert "each held out once" in expected.verdict_
    found = estimator(checkpoint=tmp_path, **settings).fit(few)
    assert_same(found, expected)
    assert not list(tmp_path.iterdir())
