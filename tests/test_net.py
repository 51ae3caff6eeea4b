"""X becomes batches, a batch becomes a step."""

import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from torch import nn

from skae import AutoencoderTransformer
from skae._data.rows import INFERENCE_ELEMENTS, INFERENCE_ROWS, BatchIterator, Rows
from skae._fitting.net import AutoencoderNet, sample_losses
from skae._fitting.plan import auto_batch_size, auto_max_epochs
from skae._runtime import RandomStreams
from skae.losses import AbsoluteError, SquaredError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)) * [1, 2, 3, 4] + 10
MEAN, SCALE = X.mean(0), 2.5


def whole(rows):
    """Return all rows as one array."""
    return rows.take(slice(None))[0].numpy()


# Rows


def test_rows_are_centred_and_scaled():
    rows = Rows(X, mean=MEAN, scale=SCALE)
    np.testing.assert_allclose(whole(rows), (X - MEAN) / SCALE, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "source", ["float32", "float64", "float16", "int64", "int8", "uint8", "bool", ">f8"]
)
def test_rows_of_any_dtype_are_cast(source, dtype):
    data = np.abs(X).astype(source)
    rows = Rows(data, mean=MEAN, scale=SCALE, dtype=dtype)
    assert whole(rows).dtype == dtype
    expected = (data.astype("float64") - MEAN) / SCALE
    np.testing.assert_allclose(whole(rows), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_sparse_rows_equal_dense_ones_bit_for_bit(kind, dtype):
    data = X * (RNG.random(X.shape) < 0.3)
    dense, sparse = (
        Rows(data, mean=MEAN, scale=SCALE, dtype=dtype) for data in (data, kind(data))
    )
    np.testing.assert_array_equal(whole(sparse), whole(dense))


def test_rows_read_a_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(whole(Rows(mapped, mean=MEAN)), X - MEAN)


@pytest.fixture
def torch_warns_always():
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("torch_warns_always")
@pytest.mark.parametrize("standardized_target", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_read_only_rows_are_read_without_a_warning(dtype, standardized_target):
    data = X.copy()
    data.flags.writeable = False
    weight = np.ones(len(X))
    weight.flags.writeable = False
    Rows(data, weight, dtype=dtype, standardized_target=standardized_target).take(
        slice(0, 9)
    )


@pytest.mark.parametrize("standardized_target", [True, False])
def test_batches_share_no_memory_with_X(standardized_target):
    rows = Rows(X, standardized_target=standardized_target)
    batch, (target, _) = rows.take(slice(0, 9))
    assert not np.shares_memory(batch.numpy(), X)
    assert not np.shares_memory(target.numpy(), X)


def test_big_offset_survives_float32_batches():
    small = RNG.normal(size=(20, 3))
    offset = 1e9
    rows = Rows(small + offset, mean=np.full(3, offset), dtype="float32")
    np.testing.assert_allclose(whole(rows), small, atol=2e-7, rtol=1e-6)


def test_big_offset_of_integers_survives_float32_batches():
    small = RNG.integers(0, 100, size=(20, 3))
    offset = 2**40
    rows = Rows(small + offset, mean=np.full(3, float(offset)), dtype="float32")
    np.testing.assert_array_equal(whole(rows), small)


def test_unsigned_integers_do_not_wrap_around():
    rows = Rows(np.zeros((2, 3), "uint8"), mean=np.ones(3), dtype="float32")
    np.testing.assert_array_equal(whole(rows), -np.ones((2, 3)))


def test_target_is_the_standardized_batch():
    batch, (target, _) = Rows(X, mean=MEAN, scale=SCALE).take(slice(0, 9))
    assert target is batch


def test_raw_target_is_X():
    rows = Rows(X, mean=MEAN, scale=SCALE, standardized_target=False)
    _, (target, _) = rows.take(slice(0, 9))
    np.testing.assert_array_equal(target.numpy(), X[:9])


@pytest.mark.parametrize("index", [None, np.array([3, 5, 8])])
def test_weights_of_the_chosen_rows_have_mean_one(index):
    weight = RNG.random(len(X)) + 0.1
    rows = Rows(X, weight, index=index)
    assert rows.weights().mean() == pytest.approx(1)
    chosen = weight if index is None else weight[index]
    np.testing.assert_allclose(rows.weights(), chosen / chosen.mean())


def test_weights_of_a_batch_belong_to_its_rows():
    weight = np.arange(1.0, len(X) + 1)
    index = np.array([7, 3, 5])
    rows = Rows(X, weight, index=index)
    _, (_, found) = rows.take(np.array([2, 0]))
    np.testing.assert_allclose(found, np.array([6, 8]) / 6)


def test_index_chooses_rows():
    index = np.array([3, 5, 8, 13])
    rows = Rows(X, index=index)
    assert len(rows) == 4
    np.testing.assert_array_equal(whole(rows), X[index])
    np.testing.assert_array_equal(rows.take(np.array([2, 0]))[0], X[[8, 3]])


@pytest.mark.parametrize(("n_most", "n_rows"), [(100, 50), (50, 50), (20, 17), (1, 1)])
def test_thinned_rows_are_few_and_evenly_spread(n_most, n_rows):
    rows = Rows(X).thinned(n_most)
    assert len(rows) == n_rows
    step = -(-len(X) // n_most)
    np.testing.assert_array_equal(whole(rows), X[::step])


def test_thinned_rows_are_among_the_chosen():
    index = np.arange(1, 40, 2)
    rows = Rows(X, index=index).thinned(5)
    np.testing.assert_array_equal(whole(rows), X[index[::4]])


def test_copy_keeps_what_is_not_changed():
    weight, index = np.ones(len(X)), np.arange(10)
    rows = Rows(X, weight, index=index, mean=MEAN, scale=SCALE, dtype="float32")
    copied = rows.copy(scale=1.0)
    assert copied.X is X
    assert copied.dtype == "float32"
    np.testing.assert_allclose(whole(copied), X[:10] - MEAN, rtol=1e-5)
    np.testing.assert_allclose(whole(rows), (X[:10] - MEAN) / SCALE, rtol=1e-5)


# BatchIterator


def numbered(n_samples):
    return Rows(np.arange(n_samples, dtype="float64")[:, None])


def batches(iterator):
    return [batch.flatten().int().tolist() for batch, _ in iterator]


@pytest.mark.parametrize("order", [None, np.random.default_rng(0)])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 20, 99])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 20, 21])
def test_batches_cover_every_row_once(n_samples, batch_size, order):
    iterator = BatchIterator(numbered(n_samples), batch_size, order)
    found = batches(iterator)
    assert len(found) == len(iterator)
    assert sorted(sum(found, [])) == list(range(n_samples))
    assert min(map(len, found)) >= 1


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "sizes"),
    [
        (21, 10, [10, 11]),
        (22, 10, [10, 10, 2]),
        (20, 10, [10, 10]),
        (5, 10, [5]),
        (1, 10, [1]),
        (3, 1, [1, 2]),
    ],
)
def test_lone_last_row_joins_the_batch_before(n_samples, batch_size, sizes):
    iterator = BatchIterator(numbered(n_samples), batch_size)
    assert list(map(len, batches(iterator))) == sizes


def test_batches_without_an_order_are_in_order():
    assert batches(BatchIterator(numbered(5), 2)) == [[0, 1], [2, 3, 4]]


def test_every_epoch_is_shuffled_differently():
    iterator = BatchIterator(numbered(20), 5, np.random.default_rng(0))
    epochs = [sum(batches(iterator), []) for _ in range(3)]
    assert len({tuple(epoch) for epoch in [*epochs, range(20)]}) == 4


def test_batches_of_no_rows_are_none():
    assert batches(BatchIterator(numbered(0), 5)) == []


@pytest.mark.parametrize("n_features", [1, 1000, INFERENCE_ELEMENTS + 1])
def test_blocks_are_bounded_in_rows_and_cells(n_features):
    rows = Rows(sp.csr_matrix((10_000, n_features)))
    n_rows = rows.blocks().batch_size
    assert 1 <= n_rows <= INFERENCE_ROWS
    assert n_rows == 1 or n_rows * n_features <= INFERENCE_ELEMENTS


@pytest.mark.parametrize(
    ("n_samples", "batch_size"),
    [
        (1, 1),
        (99, 99),
        (100, 16),
        (135, 16),
        (136, 17),
        (1000, 125),
        (1024, 128),
        (20_480, 128),
        (20_640, 129),
        (32_000, 200),
        (81_920, 512),
        (10**6, 512),
    ],
)
def test_auto_batch_size(n_samples, batch_size):
    assert auto_batch_size(n_samples) == batch_size


@pytest.mark.parametrize(
    ("n_batches", "epoch_work", "max_epochs"),
    [
        (8, 1e6, 100),
        (8, 1e8, 100),
        (8, 2e8, 50),
        (8, 5e8, 20),
        (8, 1e9, 18),
        (8, 1e15, 18),
        (1100, 1e15, 18),
        (2000, 1e15, 10),
        (19_000, 1e15, 2),
        (10**7, 1e15, 1),
    ],
)
def test_auto_max_epochs(n_batches, epoch_work, max_epochs):
    assert auto_max_epochs(n_batches, epoch_work) == max_epochs


# Losses of rows


def test_sample_losses_follow_the_formula():
    rows = Rows(X, mean=MEAN, scale=SCALE)
    losses = sample_losses(rows, SquaredError(), torch.zeros_like)
    expected = np.square((X - MEAN) / SCALE).mean(1)
    np.testing.assert_allclose(losses, expected, rtol=1e-13)


# The net

SETTINGS = {"random_state": 0, "early_stopping": False, "precision": "float64"}
pytestmark = pytest.mark.filterwarnings(  # of a few epochs from random weights
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


def estimator(**settings):
    return AutoencoderTransformer(**SETTINGS | {"max_epochs": 3} | settings)


class StartAndOrder(Callback):
    """Notes the first weights and the batches; the lists outlive skorch's copies."""

    def __init__(self):
        self.log = Log()

    def on_train_begin(self, net, **kwargs):
        for weight in net.module_.parameters():
            self.log.start.append(weight.detach().clone())
        for group in net.optimizer_.param_groups:
            self.log.options = {**group, "params": None}

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.log.batches.append(batch)
            self.log.rates.append(net.optimizer_.param_groups[0]["lr"])


class Log(SimpleNamespace):
    """Stays itself when callbacks are copied for a fit."""

    def __init__(self):
        super().__init__(start=[], batches=[], rates=[], options=None)

    def __deepcopy__(self, memo):
        return self


SIZES = {"n_components": 2, "hidden_layer_sizes": (6,), "activation": "tanh"}


def plain_network(start):
    """Return the two halves of the same network in plain torch, with these weights."""
    halves = [
        nn.Sequential(nn.Linear(n_in, 6), nn.Tanh(), nn.Linear(6, n_out)).double()
        for n_in, n_out in ((4, 2), (2, 4))
    ]
    weights = [weight for half in halves for weight in half.parameters()]
    with torch.no_grad():
        for weight, value in zip(weights, start, strict=True):
            weight.copy_(value)
    return halves, weights


@pytest.mark.parametrize("weighted", [False, True])
def test_training_agrees_with_a_loop_written_by_hand(weighted):
    weight = RNG.random(len(X)) + 0.5 if weighted else None
    noting = StartAndOrder()
    fitted = estimator(
        init="random",
        schedule="constant",
        batch_size=16,
        alpha=0.05,
        learning_rate=0.01,
        callbacks=[noting],
        tol=0,
        **SIZES,
    ).fit(X, sample_weight=weight)

    (encoder, decoder), weights = plain_network(noting.log.start)
    optimizer = torch.optim.AdamW(
        weights, lr=0.01, betas=(0.8, 0.9), weight_decay=0.05, eps=1e-7
    )
    known = torch.from_numpy((X - fitted.mean_) / fitted.scale_)
    for batch, target in noting.log.batches:
        optimizer.zero_grad()
        losses = (decoder(encoder(batch)) - target).square().mean(1)
        if weighted:
            rows = torch.cdist(batch, known).argmin(1)
            losses = losses * torch.from_numpy(weight / weight.mean())[rows]
        losses.mean().backward()
        optimizer.step()

    assert fitted.best_epoch_ == 3
    for found, expected in zip(fitted.net_.module_.parameters(), weights, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_net_is_fed_every_row_once_an_epoch():
    noting = StartAndOrder()
    fitted = estimator(batch_size=16, callbacks=[noting]).fit(X)
    expected = np.sort((X - fitted.mean_) / fitted.scale_, 0)
    seen = torch.cat([batch for batch, _ in noting.log.batches]).numpy()
    for epoch in np.split(seen, 3):
        np.testing.assert_allclose(np.sort(epoch, 0), expected)


def test_one_cycle_follows_torch():
    noting = StartAndOrder()
    estimator(
        batch_size=16, max_epochs=5, learning_rate=0.01, callbacks=[noting], tol=0
    ).fit(X)
    n_steps = len(noting.log.rates)
    assert n_steps == 5 * 4
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        0.01,
        total_steps=n_steps + 1,
        pct_start=0.1,
        anneal_strategy="linear",
        cycle_momentum=False,
    )
    expected = []
    for _ in range(n_steps):
        optimizer.step()
        expected.append(schedule.get_last_lr()[0])
        schedule.step()
    np.testing.assert_allclose(noting.log.rates, expected, rtol=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 8, 9, 10, 11, 19])
def test_one_cycle_takes_any_number_of_steps(n_steps):
    noting = StartAndOrder()
    settings = {"batch_size": 50, "max_epochs": n_steps, "tol": 0}
    estimator(callbacks=[noting], n_iter_no_change=20, **settings).fit(X)
    assert len(noting.log.rates) == n_steps
    assert min(noting.log.rates) > 0


def test_constant_schedule_keeps_the_learning_rate():
    noting = StartAndOrder()
    estimator(schedule="constant", learning_rate=0.01, callbacks=[noting]).fit(X)
    assert set(noting.log.rates) == {0.01}


def test_partial_fit_keeps_the_learning_rate():
    noting = StartAndOrder()
    estimator(learning_rate=0.01, callbacks=[noting]).partial_fit(X)
    assert set(noting.log.rates) == {0.01}


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("adamw", {"weight_decay": 0.5}),
        ("adam", {"weight_decay": 0.5}),
        ("sgd", {"weight_decay": 0.5, "momentum": 0.9, "nesterov": True}),
        (torch.optim.RMSprop, {"weight_decay": 0.5}),
    ],
)
def test_alpha_is_the_weight_decay_of_the_solver(solver, options):
    noting = StartAndOrder()
    estimator(solver=solver, alpha=0.5, callbacks=[noting], max_epochs=1).fit(X)
    assert {name: noting.log.options[name] for name in options} == options


def test_solver_without_weight_decay_trains_with_alpha_zero():
    fitted = estimator(solver=torch.optim.Rprop, alpha=0).fit(X)
    assert np.isfinite(fitted.loss_curve_).all()


@pytest.mark.parametrize("precision", ["float32", "float64", "mixed"])
@pytest.mark.parametrize("setting", [{}, {"hidden_layer_sizes": ()}], ids=str)
def test_every_parameter_changes_in_one_epoch(setting, precision):
    noting = StartAndOrder()
    fitted = estimator(
        init="random",
        max_epochs=1,
        alpha=0,
        callbacks=[noting],
        precision=precision,
        **setting,
    ).fit(X)
    for before, after in zip(
        noting.log.start, fitted.net_.module_.parameters(), strict=True
    ):
        assert not before.equal(after)


def test_mixed_precision_learns_as_float32_does():
    curves = [
        estimator(init="random", learning_rate=1e-3, precision=precision, max_epochs=5)
        .fit(X)
        .loss_curve_
        for precision in ("mixed", "float32")
    ]
    np.testing.assert_allclose(*curves, rtol=0.02)


def test_every_parameter_changes_in_a_few_steps_from_pca():
    noting = StartAndOrder()
    fitted = estimator(batch_size=10, alpha=0, callbacks=[noting]).fit(X)
    for before, after in zip(
        noting.log.start, fitted.net_.module_.parameters(), strict=True
    ):
        assert not before.equal(after)


def test_training_loss_of_an_epoch_is_the_weighted_mean():
    weight = np.arange(1.0, len(X) + 1)
    fitted = estimator(
        init="random", max_epochs=1, batch_size=len(X), learning_rate=1e-12
    ).fit(X, sample_weight=weight)
    error = fitted.reconstruction_error(X) / fitted.scale_**2
    expected = np.average(error, weights=weight)
    assert fitted.loss_curve_ == [pytest.approx(expected, rel=1e-9)]


def test_whole_number_weights_equal_repetition():
    weight = np.arange(len(X)) % 3
    repeated = np.repeat(X, weight, axis=0)
    settings = {"init": "random", "batch_size": 1000, "alpha": 0}
    by_weight = estimator(**settings).fit(X, sample_weight=weight)
    by_repetition = estimator(**settings).fit(repeated)
    np.testing.assert_allclose(
        by_weight.transform(X), by_repetition.transform(X), rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_history_does_not_grow_with_the_batches(early_stopping):
    fitted = estimator(early_stopping=early_stopping, batch_size=4).fit(X)
    assert len(fitted.net_.history) == 3
    assert all(len(epoch["batches"]) <= 1 for epoch in fitted.net_.history)


class EpochEnd(Callback):
    """Notes the batches that are on record when an epoch ends."""

    def __init__(self):
        self.log = Log()

    def on_epoch_end(self, net, **kwargs):
        self.log.batches.append([dict(batch) for batch in net.history[-1, "batches"]])


class EpochAndBatchEnd(EpochEnd):
    def on_batch_end(self, net, **kwargs):
        pass


class EpochEndAndBatchBegin(EpochEnd):
    def on_batch_begin(self, net, **kwargs):
        pass


SOLVERS = pytest.mark.parametrize(  # with and without autograd
    "solver", ["adamw", torch.optim.AdamW], ids=["by hand", "autograd"]
)
LISTENERS = pytest.mark.parametrize(
    "listener", [EpochAndBatchEnd, EpochEndAndBatchBegin]
)


@SOLVERS
@pytest.mark.parametrize("early_stopping", [False, True])
def test_batches_are_not_recorded_where_nobody_listens(early_stopping, solver):
    noting = EpochEnd()
    settings = {"early_stopping": early_stopping, "solver": solver}
    estimator(batch_size=4, callbacks=[noting], **settings).fit(X)
    assert len(noting.log.batches) == 3
    assert not any(record for epoch in noting.log.batches for record in epoch)


@SOLVERS
@LISTENERS
def test_batches_are_recorded_where_a_callback_listens(listener, solver):
    noting = listener()
    settings = {"early_stopping": True, "solver": solver, "batch_size": 7}
    fitted = estimator(callbacks=[noting], **settings).fit(X)
    for prefix, curve, n_rows in (
        ("train", fitted.loss_curve_, 45),
        ("valid", fitted.validation_loss_curve_, 5),
    ):
        for records, mean in zip(noting.log.batches, curve, strict=True):
            found = [record for record in records if f"{prefix}_loss" in record]
            losses = [record[f"{prefix}_loss"] for record in found]
            seen = [record[f"{prefix}_batch_size"] for record in found]
            assert sum(seen) == n_rows
            assert np.average(losses, weights=seen) == pytest.approx(mean, rel=1e-12)


@SOLVERS
@LISTENERS
def test_listening_changes_nothing(listener, solver):
    quiet, heard = (
        estimator(batch_size=7, solver=solver, callbacks=callbacks).fit(X)
        for callbacks in (None, [listener()])
    )
    np.testing.assert_array_equal(quiet.transform(X), heard.transform(X))
    assert quiet.loss_curve_ == heard.loss_curve_


@pytest.fixture
def notified(monkeypatch):
    """Return the list of the events that callbacks are notified of."""
    events, notify = [], AutoencoderNet.notify

    def counting(net, name, **kwargs):
        events.append(name)
        notify(net, name, **kwargs)

    monkeypatch.setattr(AutoencoderNet, "notify", counting)
    return events


def test_callbacks_without_batch_hooks_are_not_notified_of_batches(notified):
    stopping = EarlyStopping("train_loss", patience=100)
    settings = {"early_stopping": True, "verbose": 1, "batch_size": 7}
    estimator(callbacks=[stopping, EpochEnd()], **settings).fit(X)
    epochs = ["on_epoch_begin", "on_epoch_end"] * 3
    assert notified == ["on_train_begin", *epochs, "on_train_end"]


def test_callback_with_a_batch_hook_is_notified_of_each_batch(notified):
    estimator(callbacks=[EpochAndBatchEnd()], batch_size=10).fit(X)
    assert notified.count("on_batch_begin") == notified.count("on_batch_end") == 3 * 5


def test_callback_that_wants_gradients_is_notified_of_each_step(notified):
    clipping = GradientNormClipping(1.0)
    estimator(callbacks=[clipping], batch_size=10, early_stopping=True).fit(X)
    assert notified.count("on_grad_computed") == 3 * 5
    assert "on_batch_end" not in notified


@pytest.mark.parametrize("name", ["train_loss", "valid_loss"])
def test_history_says_which_epochs_were_the_best_so_far(name):
    settings = {"schedule": "constant", "learning_rate": 0.1, "max_epochs": 20}
    history = estimator(early_stopping=True, **settings).fit(X).net_.history
    losses = np.array(history[:, name])
    expected = [True, *(losses[1:] < np.minimum.accumulate(losses)[:-1])]
    assert history[:, f"{name}_best"] == expected
    assert not all(expected)


def test_losses_of_the_history_are_numbers_of_python():
    fitted = estimator(early_stopping=True, batch_size=15).fit(X)
    epoch = fitted.net_.history[-1]
    for name in ("train_loss", "valid_loss"):
        assert type(epoch[name]) is float
        assert type(epoch[f"{name}_best"]) is bool
    assert epoch["train_batch_count"] == 3
    assert epoch["valid_batch_count"] == 1


@pytest.mark.parametrize("warm_start", [False, True])
def test_fitted_estimator_keeps_no_training_data(warm_start):
    sizes = [
        len(pickle.dumps(estimator(warm_start=warm_start, **SIZES).fit(rows)))
        for rows in (X, np.tile(X, (100, 1)))
    ]
    assert sizes[1] < sizes[0] + 1000


def test_state_of_the_optimizer_is_kept_only_where_training_goes_on():
    assert estimator().fit(X).net_.optimizer_state_ is None
    assert estimator(warm_start=True).fit(X).net_.optimizer_state_ is not None
    assert estimator().partial_fit(X).net_.optimizer_state_ is not None


def test_held_out_rows_are_shuffled():
    ordered = np.repeat(np.eye(4), 50, axis=0) + 0.01 * RNG.normal(size=(200, 4))
    fitted = estimator(early_stopping=True).fit(ordered)
    # If one class alone were held out, its loss would be far from that of the rest.
    assert fitted.validation_loss_curve_[0] < 3 * fitted.loss_curve_[0]


def test_training_with_dropout_lends_a_stream():
    class Network(nn.Module):
        def __init__(self, n_features, n_components):
            super().__init__()
            self.encode = nn.Sequential(
                nn.Linear(n_features, n_components), nn.Dropout(0.5)
            )
            self.decode = nn.Linear(n_components, n_features)

    curves = [
        estimator(network=Network, init="random").fit(X).loss_curve_ for _ in range(2)
    ]
    assert curves[0] == curves[1]


def test_infer_gives_the_output_of_the_decoder():
    fitted = estimator(loss=AbsoluteError()).fit(X)
    batch = torch.from_numpy((X - fitted.mean_) / fitted.scale_)
    with torch.no_grad():
        output = fitted.net_.infer(batch).numpy()
    np.testing.assert_allclose(
        output * fitted.scale_ + fitted.mean_, fitted.reconstruct(X), rtol=1e-10
    )


def test_streams_of_the_net_are_those_of_the_seed():
    order = RandomStreams(5).order
    iterator = BatchIterator(numbered(9), 9, RandomStreams(5).order)
    assert batches(iterator) == [order.permutation(9).tolist()]


# Memory

# Run in a process of its own; prints the rise of the memory in each use, in bytes.
MEMORY = """
import threading, time
import numpy as np, psutil, scipy.sparse as sp
from skae import AutoencoderTransformer
from skae._fitting import start

start.POWER_ITERATIONS = 1  # more take longer, not more memory
process, rng = psutil.Process(), np.random.default_rng(0)

def estimator(**settings):
    return AutoencoderTransformer(
        hidden_layer_sizes=(8,), precision="float32", max_epochs=1, n_jobs=1,
        random_state=0, **settings)

def rise_of_memory(use, X):
    before = process.memory_info().rss
    peak, running = before, True

    def watch():
        nonlocal peak
        while running:
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    use(X)
    running = False
    thread.join()
    return peak - before

def fit(X):
    estimator(batch_size=4096).fit(X)

def fit_transform_score(X):
    fitted = estimator(batch_size=256, early_stopping=False).fit(X)
    fitted.transform(X)
    fitted.score(X)

fit(rng.normal(size=(300, 4)))  # imports all
print(rise_of_memory(fit, rng.normal(size=(500_000, 40))))  # 160 MB

shape, n_cells = (16_000, 4_000), 100_000  # 512 MB if it were dense
cells = tuple(rng.integers(size, size=n_cells) for size in shape)
X = sp.csr_matrix((rng.random(n_cells), cells), shape)
print(rise_of_memory(fit_transform_score, X))
"""


def test_fit_copies_no_X_and_makes_no_sparse_one_dense():
    pytest.importorskip("psutil")
    command = [sys.executable, "-c", MEMORY]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tall, sparse = (int(rise) / 1e6 for rise in done.stdout.split())
    assert tall < 0.2 * 160
    assert sparse < 150
