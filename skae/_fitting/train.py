"""The training of one fit: skorch's loop with our callbacks and the user's."""

from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from skorch.callbacks import Callback, ParamMapper
from torch.optim import LBFGS, AdamW

from skae._fitting.build import optimizer_factory
from skae._fitting.callbacks import (
    BestEpoch,
    LoadedStart,
    ProgressLine,
    SklearnCallbacks,
    TimeLimit,
)
from skae._fitting.checkpoint import Checkpoint
from skae._fitting.codec import PCAStart
from skae._fitting.net import OURS
from skae._fitting.parts import Parts, check_penalty
from skae._fitting.plan import Plan, solver_class_and_options
from skae._fitting.rates import share_for_rest, step_shares
from skae._fitting.start import LinearStart
from skae._fitting.step import MLPStep
from skae._fitting.user_callbacks import copied, has_kind
from skae._runtime import (
    RandomStreams,
    import_lazy_parts,
    interrupts_deferred,
    is_out_of_memory,
)

WARM_UP = 0.1  # share of the steps in which the learning rate rises
ROWS_TO_CHECK_BY = 5000  # at most


@dataclass
class Trained:
    """What became of a training.

    Attributes
    ----------
    best_epoch : int
        The epoch whose weights were kept; 0 is the start.

    is_loaded : bool
        Whether a callback of the user's has loaded or set the weights at the start.

    late_error : Exception or None
        That of a callback of the user's, when training was over.
    """

    best_epoch: int = 0
    is_loaded: bool = False
    late_error: Exception | None = None

    @property
    def is_start(self):
        """Whether the net is where training began."""
        return self.best_epoch == 0 and not self.is_loaded


@dataclass
class Training:
    """How a net is trained.

    Attributes
    ----------
    estimator : AutoencoderTransformer
        Read for its parameters only.

    plan : Plan
    parts : Parts
    streams : RandomStreams
    start : LinearStart
    report : SklearnCallbacks, default=None
    checkpoint : Checkpoint, default=None

    keeps_optimizer : bool, default=False
        Whether training may go on later.

    watch : Callback, default=None
        Of ours, told of every epoch.

    is_alone : bool, default=False
        Whether nobody else is told: no report, progress line or callback of the user's.

    max_time : float, default=None
        In seconds.
    """

    estimator: object
    plan: Plan
    parts: Parts
    streams: RandomStreams
    start: LinearStart
    report: SklearnCallbacks | None = None
    checkpoint: Checkpoint | None = None
    keeps_optimizer: bool = False
    watch: Callback | None = None
    is_alone: bool = False
    max_time: float | None = None

    def run(self, net, rows, valid, *, judge, schedule):
        """Train a net, restore its best epoch and return what became of it.

        Parameters
        ----------
        net : AutoencoderNet

        rows, valid : Rows
            Standardised; `valid` are held out, or None.

        judge : callable or None
            ``judge()`` -> loss of the held-out rows at present, if it compares with
            that of an epoch.

        schedule : callable or None
            Makes the learning-rate scheduler of an optimizer.
        """
        estimator, plan, penalty = self.estimator, self.plan, self.parts.penalty
        import_lazy_parts()
        with self.streams.lent():
            check_penalty(penalty, net.module_, net.first_rows(rows))
        best = self._best_epoch(valid, np.inf if judge is None else judge())
        line, loaded = ProgressLine(plan.max_epochs), LoadedStart(best, judge)
        rate = self._learning_rate()
        slow = self._slow_weights(net.module_.recipe["network"], rate)
        with (
            closing(line),
            explained_memory(plan.batch_size),
            explained_batch_norm(len(rows), plan.batch_size),
            explained_compile(estimator.compile),
        ):
            late_error = net.train_on(
                rows,
                valid,
                optimizer=optimizer_factory(estimator.solver, plan.alpha),
                lr=rate,
                schedule=schedule,
                batch_size=plan.batch_size,
                max_epochs=plan.max_epochs,
                streams=self.streams,
                callbacks=self._callbacks(best, line, loaded),
                keeps_optimizer=self.keeps_optimizer,
                step=step_by_hand(net, estimator, self.parts, is_split=bool(slow)),
                compiles=estimator.compile,
                penalty=penalty,
                slow=slow,
                verbose=int(estimator.verbose),
            )
        if valid is None:  # the loss of an epoch is measured before its last step
            losses = net.sample_losses(rows.thinned(ROWS_TO_CHECK_BY))
            check_converged(losses, net)
        return Trained(best.best_epoch_, loaded.is_loaded_, late_error)

    def _learning_rate(self):
        """Return the learning rate, which "auto" makes small where little is left."""
        estimator, parts, rate = self.estimator, self.parts, self.plan.learning_rate
        starts_as_rival = estimator.init == "pca" and parts.has_rival
        if estimator.learning_rate != "auto" or not starts_as_rival:
            return rate
        if parts.corruption is not None:  # then much is left to mend
            return rate
        return rate * share_for_rest(self.start)

    def _slow_weights(self, network, rate):
        """Return the options of the solver for weights that learn more slowly.

        Weight decay is to work on them as on all others.
        """
        solver, _ = solver_class_and_options(self.estimator.solver)
        if issubclass(solver, LBFGS):  # knows no groups
            return {}
        slow = {}
        for name, share in step_shares(self.start, network).items():
            slow[name] = {"lr": share * rate}
            if issubclass(solver, AdamW):
                slow[name]["weight_decay"] = self.plan.alpha / share
        return slow

    def _best_epoch(self, valid, start_loss):
        """Return the callback that keeps the best epoch."""
        monitor = "train_loss" if valid is None else "valid_loss"
        settling = self.parts.bottleneck.settling * self.plan.max_epochs
        patience, tol = self.plan.n_epochs_no_change, self.estimator.tol
        return BestEpoch(monitor, start_loss, patience, tol, settling)

    def _callbacks(self, best, line, loaded):
        """Return skorch callbacks: ours, copies of the user's, and the checkpoint."""
        callbacks = [(f"{OURS}best_epoch", best)]
        if self.max_time is not None:
            callbacks.append((f"{OURS}time_limit", TimeLimit(self.max_time)))
        if self.watch is not None:
            callbacks.append((f"{OURS}watch", self.watch))
        if self.is_alone:
            return callbacks
        if self.report is not None:
            callbacks.append((f"{OURS}report", self.report))
        if self.estimator.verbose:
            callbacks.append((f"{OURS}progress_line", line))
        callbacks += copied(list(self.estimator.callbacks or []))
        if self.estimator.callbacks:
            callbacks.append((f"{OURS}loaded", loaded))
        if self.checkpoint is not None:
            self.checkpoint.best = best
            callbacks.append((f"{OURS}checkpoint", self.checkpoint))
        return callbacks


def one_cycle(plan, n_train):
    """Return a function that makes a schedule which rises, then falls to zero."""
    n_steps = -(-n_train // plan.batch_size) * plan.max_epochs + 1

    def schedule(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=n_steps,
            pct_start=max(WARM_UP, 2 / n_steps),  # torch divides by zero at one step
            anneal_strategy="linear",
            cycle_momentum=False,
        )

    return schedule


def step_by_hand(net, estimator, parts, *, is_split):
    """Return what computes loss and gradients without autograd, or None.

    Only our own network on a CPU is known well enough, and only our own solvers
    are known to treat each number by itself, so that one flat tensor is the same.
    A callback that freezes single layers would not reach into it.
    """
    module, paths = net.module_, None
    if isinstance(module, PCAStart):
        paths = module.encoder_path, module.decoder_path
    network = module.network
    suits = (
        module.recipe["network"] == "mlp"
        and len(network.encoder) > 1
        and not parts.has_costs
        and estimator.compile is False
        and not any(True for _ in parts.loss.parameters())
        and torch.device(net.device).type == "cpu"
        and net.precision_ != "mixed"
        and isinstance(estimator.solver, str)
        and not has_kind(estimator.callbacks, ParamMapper)
        and all(weight.requires_grad for weight in module.parameters())
    )
    if not suits:
        return None
    halves = network.encoder, network.decoder
    return MLPStep(*halves, paths, parts.loss, is_split=is_split)


def check_converged(losses, net):
    """Raise if training ended with losses that are not finite."""
    if not np.isfinite(losses).all():
        raise ValueError(
            "Training diverged: the loss is not finite after the last step. Lower "
            f"learning_rate (now {net.lr:g}), or scale X if a few of its values are "
            "much larger than the rest."
        )


@contextmanager
def explained_batch_norm(n_samples, batch_size):
    """Say what was too small where torch only says "more than 1 value"."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "The batch normalisation in network needs two rows or more in a batch, but "
            f"n_samples={n_samples} and batch_size={batch_size}. Pass more rows, a "
            "larger batch_size, or a network without it."
        ) from error


@contextmanager
def explained_memory(batch_size):
    """Say what to do where memory does not even do for a part of a batch."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            f"Training ran out of memory with batch_size={batch_size}: {error} Lower "
            "batch_size or hidden_layer_sizes, or set precision='float32'."
        ) from error


def check_compile(backend):
    """Raise if torch.compile does not know the backend."""
    if not isinstance(backend, str):
        return
    with interrupts_deferred():  # it imports much of torch
        known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise ValueError(
            f"compile={backend!r} is no backend of torch.compile. Known here: "
            f"{', '.join(known)}; True is 'inductor', False compiles nothing."
        )


@contextmanager
def explained_compile(backend):
    """Say which parameter it was if torch.compile fails."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        raise RuntimeError(
            f"compile={backend!r} failed: {error}\nIs there a C++ compiler? Set "
            "compile=False, or another backend (torch.compiler.list_backends())."
        ) from error
