"""Training through skorch: a batch becomes a step."""

import copy
import itertools
from contextlib import contextmanager, nullcontext
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from skorch.helper import predefined_split
from skorch.history import History

from skae._data.rows import BatchIterator
from skae._files.archive import with_tensors, without_tensors
from skae._fitting.inference import NOT_IN_TRAINING, InferenceNet, sample_losses
from skae._fitting.optimizers import check_memory, lay_out_alike, slow_down
from skae._fitting.rates import slow_last
from skae._fitting.user_callbacks import as_skorch_tells, is_caching, prepare, tell
from skae._runtime import compiled, is_out_of_memory
from skae._warnings import warn

__all__ = ["AutoencoderNet", "StopTraining", "sample_losses"]

OURS = "skae_"  # begins the names of callbacks that are not the user's


class AutoencoderNet(InferenceNet):
    """skorch's net for autoencoders: the target of a batch is the batch itself.

    Whoever builds it sets `precision_` and `lends_stream_`, whether the network draws
    from torch's global generator; `train_on` sets the rest. A callback that sets
    `stops_` ends training with the current epoch.
    """

    schedule_ = None
    scheduler_ = None
    step_ = None
    penalty_ = None
    compiled_ = None
    announces_gradients_ = False
    late_error_ = None
    optimizer_state_ = None
    slow_ = MappingProxyType({})
    lends_stream_ = False
    stops_ = False
    interrupted_ = False
    n_epochs_finished_ = n_epochs_before_ = 0
    n_parts_ = 1

    def get_default_callbacks(self):
        """Return what records the seconds of an epoch, and prints nothing."""
        return [] if self.streams_ is None else [(f"{OURS}epoch_timer", EpochTimer())]

    def notify(self, method_name, **cb_kwargs):
        """Tell callbacks what skorch tells them: X and y of a batch, and a Dataset."""
        if method_name == "on_grad_computed" and not self.announces_gradients_:
            return
        getattr(self, method_name)(self, **cb_kwargs)
        told = as_skorch_tells(cb_kwargs)
        for name, callback in self.callbacks_:
            try:
                tell(callback, method_name, self, told)
            except Exception as error:
                if method_name != "on_train_end" or name.startswith(OURS):
                    raise
                self.late_error_ = self.late_error_ or error

    def initialize_criterion(self):
        """Take the loss as it is: an object, not a class."""
        self.criterion_ = self.criterion
        return self

    def initialize_optimizer(self, triggered_directly=None):
        """Wait until training begins: a model that stays PCA needs no optimizer."""
        self.optimizer_ = None
        return self

    def get_iterator(self, dataset, training=False):
        if training:
            return BatchIterator(dataset, self.batch_size, self.streams_.order)
        return dataset.blocks()

    def get_loss(self, y_pred, y_true, X=None, training=False, costs=()):
        """Return the weighted mean of the loss of each sample and of all costs."""
        target, sample_weight = y_true
        losses = sum(costs, self.criterion_(y_pred, target.to(self.device)))
        if sample_weight is not None:
            losses = losses * sample_weight.to(self.device)
        return losses.mean()

    def get_all_learnable_params(self):
        """Return names and parameters, slow ones last.

        Those of a step by hand are one flat tensor, or a few.
        """
        if self.step_ is None:
            named = super().get_all_learnable_params()
        else:
            named = self.step_.named_parameters()
        return iter(slow_last(named, self.slow_))

    def get_params_for_optimizer(self, prefix, named_parameters):
        """Return groups of parameters with a learning rate, and other options."""
        named = list(named_parameters)
        slow = [(name, x) for name, x in named if name in self.slow_]
        others = [(name, x) for name, x in named if name not in self.slow_]
        (groups,), options = super().get_params_for_optimizer(prefix, others)
        groups += [{"params": [x], **self.slow_[name]} for name, x in slow]
        return (groups,), options

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch and record its mean loss.

        Batches are recorded and announced only if a callback listens to them.
        """
        if iterator is None:
            return
        total, n_samples, n_batches = 0.0, 0, 0
        has_listener = self._has_listener("on_batch_begin", "on_batch_end")
        if not has_listener and not self.history[-1]["batches"]:
            self.history.new_batch()  # empty; Checkpoint of skorch looks at it
        seen = self._seen(prefix, training)
        self._mind_callbacks(training)
        for batch in iterator:
            if has_listener:
                self.notify("on_batch_begin", batch=batch, training=training)
                self._mind_callbacks(training)
            if seen is not None:
                seen.append(batch[0])
            step = step_fn(batch, **fit_params)
            loss, batch_size = step["loss"].detach(), len(batch[0])
            if has_listener:
                self.history.record_batch(f"{prefix}_loss", loss.item())
                self.history.record_batch(f"{prefix}_batch_size", batch_size)
                self.notify("on_batch_end", batch=batch, training=training, **step)
            total = total + loss * batch_size
            n_samples += batch_size
            n_batches += 1
        loss, name = float(total) / n_samples, f"{prefix}_loss"
        best = min((e.get(name, np.inf) for e in self.history[:-1]), default=np.inf)
        self.history.record(name, loss)
        self.history.record(f"{name}_best", loss < best)  # as skorch's scorers do
        self.history.record(f"{prefix}_batch_count", n_batches)

    def _seen(self, prefix, training):
        """Return a list for the X of each batch, if a score is computed from them."""
        self.seen_.pop(prefix, None)
        if not any(
            is_caching(c) and c.on_train == training for _, c in self.callbacks_
        ):
            return None
        return self.seen_.setdefault(prefix, [])

    def _mind_callbacks(self, training):
        """Take over what a callback has done to weights that are trained by hand."""
        if training and self.step_ is not None:
            self.step_.take_over()

    def _has_listener(self, *hooks):
        """Tell whether a callback defines one of these methods, or reads batches."""
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            or isinstance(callback, PassthroughScoring)
            for _, callback in self.callbacks_
            for hook in hooks
        )

    def train_step(self, batch, **fit_params):
        if self.step_ is not None:
            step = self._train_step_by_hand(batch)
        else:
            stream = (
                self.streams_.lent(self.device) if self.lends_stream_ else nullcontext()
            )
            with stream:
                step = super().train_step(batch, **fit_params)
        if self.scheduler_ is not None:
            self.scheduler_.step()
        return step

    def _train_step_by_hand(self, batch):
        X, (target, sample_weight) = batch
        loss, output = self.step_(X, target, sample_weight)
        if self.announces_gradients_:
            named = list(super().get_all_learnable_params())
            self.notify(
                "on_grad_computed", named_parameters=named, batch=batch, training=True
            )
            self.step_.take_over(of_gradients=True)
        self.optimizer_.step()
        return {"loss": loss, "y_pred": output}

    def train_step_single(self, batch, **fit_params):
        """Compute loss and gradients; the training mode was set with the epoch."""
        return self._in_parts(*batch, training=True)

    def validation_step(self, batch, **fit_params):
        """Compute the objective of held-out rows; chance is the same in each epoch."""
        self.module_.eval()
        stream = nullcontext()
        if self.lends_stream_:
            stream = self.streams_.repeated(self.device)
        with stream, torch.no_grad():
            return self._in_parts(*batch, training=False)

    def _in_parts(self, X, y, training):
        """Compute loss and output, and gradients in training.

        A batch that does not fit into memory is computed in parts, whose gradients add
        up, and so are all later ones.
        """
        while True:
            try:
                return self._of_parts(X, y, training)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self.n_parts_ >= len(X):
                    raise
            self.n_parts_ *= 2
            warn(
                f"A batch of {len(X)} rows does not fit into memory. It is computed in "
                f"{self.n_parts_} parts, whose gradients add up: slower, and the same "
                "but for rounding unless rows of a batch depend on each other (batch "
                "normalisation). Lower batch_size to avoid it."
            )
            if training:
                self._zero_grad_optimizer()

    def _of_parts(self, X, y, training):
        target, weight = y
        outputs, total, n_parts = [], 0.0, min(self.n_parts_, len(X))
        parts = [
            [None] * n_parts if x is None else x.tensor_split(n_parts)
            for x in (X, target, weight)
        ]
        for x, t, w in zip(*parts, strict=True):
            step = self._objective(x, (t, w), training)
            loss = step["loss"] if n_parts == 1 else step["loss"] * (len(x) / len(X))
            if training:
                loss.backward()
            total = total + loss.detach()
            outputs.append(step["y_pred"])
        output = outputs[0] if n_parts == 1 else torch.cat(outputs)
        return {"loss": total, "y_pred": output}

    def _objective(self, X, y, training):
        """Return all that training minimises, and the output."""
        X, costs = X.to(self.device), []
        sample = self.module_.sample
        if training and self.compiled_ is not None:
            sample = self.compiled_
        with self._autocast():
            output, code, cost = sample(X)
        output = output.to(X.dtype)
        if cost is not None:
            costs.append(cost)
        if self.penalty_ is not None:
            costs.append(self.penalty_(code, X, self.module_.code))
        loss = self.get_loss(output, y, X=X, training=training, costs=costs)
        return {"loss": loss, "y_pred": output}

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.check_training_readiness()
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.announces_gradients_ = self._has_listener("on_grad_computed")
        self.stops_ = self.interrupted_ = False
        self.n_epochs_finished_ = self.n_epochs_before_ = len(self.history)
        with self._current_init_context("optimizer"):
            super().initialize_optimizer()
        kind, state = self.optimizer_state_ or (None, None)
        if kind == self._kind_of_optimizer():
            groups = self.optimizer_.state_dict()["param_groups"]
            self.optimizer_.load_state_dict({"state": state, "param_groups": groups})
            lay_out_alike(self.optimizer_)
        self.scheduler_ = self.schedule_ and self.schedule_(self.optimizer_)

    def _kind_of_optimizer(self):
        """Return what has to agree where training goes on with an optimizer's state."""
        shapes = [tuple(weight.shape) for _, weight in self.get_all_learnable_params()]
        return type(self.optimizer_), shapes

    def on_epoch_begin(self, net, **kwargs):
        n_done = len(self.history) - self.n_epochs_before_
        if self.stops_ or n_done >= self.max_epochs:
            raise StopTraining
        self._forget_batches(self.history[-2:-1])  # callbacks may want the last epoch
        self.module_.train()
        if self.max_epochs > 1:
            self.module_.bottleneck.progress = n_done / self.max_epochs
        super().on_epoch_begin(net, **kwargs)

    def optimizer_facts(self, arrays):
        """Return what `take_optimizer` needs, fit for JSON but for the `arrays`."""
        state = self.optimizer_.state_dict()
        schedule = self.scheduler_ and self.scheduler_.state_dict()
        return without_tensors(
            {
                "lr": self.lr,
                "keys": list(state["state"]),
                "entries": list(state["state"].values()),
                "groups": state["param_groups"],
                "schedule": schedule,
            },
            arrays,
            "optimizer",
        )

    def take_optimizer(self, facts, tensors):
        """Take over the state of an optimizer and its schedule."""
        facts = with_tensors(facts, tensors)
        self.lr = facts["lr"]
        state = dict(zip(facts["keys"], facts["entries"], strict=True))
        groups = facts["groups"]
        self.optimizer_.load_state_dict({"state": state, "param_groups": groups})
        lay_out_alike(self.optimizer_)
        if self.scheduler_ is not None:
            self.scheduler_.load_state_dict(facts["schedule"])

    def slow_down(self, share):
        """Go on with a share of the learning rate and an optimizer that has no memory.

        The schedule keeps its shape.
        """
        self.lr *= share
        slow_down(self.optimizer_, share)

    def load_params(self, *args, checkpoint=None, **kwargs):
        """Load what skorch has saved: of an optimizer its memory, not its settings.

        The learning rate and the like are those that the estimator has now.
        """
        self.device = str(self.device)  # as safetensors wants it
        if checkpoint is not None:
            kwargs["checkpoint"] = checkpoint = copy.copy(checkpoint)
            if self.optimizer_ is None:
                checkpoint.f_optimizer = None
        with self._named_after_an_epoch(checkpoint):
            try:
                with self._settings_kept():
                    super().load_params(*args, **kwargs)
            except (KeyError, RuntimeError, ValueError) as error:
                raise ValueError(
                    f"What was saved does not fit this net: {error}\nWeights need the "
                    "same network; an optimizer's memory also needs the same solver, "
                    "and the same callbacks of the kind of Freezer. f_optimizer=None "
                    "in the Checkpoint loads the weights alone."
                ) from error

    def save_params(self, *args, **kwargs):
        """Save as skorch does, each weight as a tensor of its own.

        In a step by hand they are views of one tensor, and those of convolutions lie in
        another order, neither of which safetensors takes.
        """
        module, own = self.module_, copy.deepcopy(self.module_)
        for x in itertools.chain(own.parameters(), own.buffers()):
            x.data = x.data.contiguous()
        try:
            vars(self)["module_"] = own
            super().save_params(*args, **kwargs)
        finally:
            vars(self)["module_"] = module

    @contextmanager
    def _settings_kept(self):
        """Let the optimizer keep its learning rate and the like."""
        if self.optimizer_ is None:
            yield
            return
        kept = [dict(group) for group in self.optimizer_.param_groups]
        yield
        for group, before in zip(self.optimizer_.param_groups, kept, strict=True):
            group.clear()
            group.update(before)
        check_memory(self.optimizer_, partial(self.optimizer, lr=self.lr))
        lay_out_alike(self.optimizer_)

    @contextmanager
    def _named_after_an_epoch(self, checkpoint):
        """Let skorch make names of files where no history is loaded to make them of."""
        before = self.history
        if checkpoint is None or checkpoint.f_history is not None:
            yield
            return
        event = checkpoint.event_name
        if not any(event in epoch for epoch in before):
            names = [str(x) for key, x in vars(checkpoint).items() if key[:2] == "f_"]
            if any("{" in name for name in names):
                raise ValueError(
                    "Checkpoint names its files after an epoch, and f_history=None "
                    "leaves nobody to know which. Set f_history."
                )
            self.history = History([{"batches": [{}], event: True}])
        try:
            yield
        finally:
            self.history = before

    def _forget_batches(self, epochs):
        """Drop skorch's record of batches but for the last one: they would pile up.

        skorch makes names of files of that one.
        """
        for epoch in epochs:
            del epoch["batches"][:-1]

    def fit_loop(self, *args, **kwargs):
        """Run skorch's loop and remember a Ctrl-C, which skorch would swallow."""
        try:
            return super().fit_loop(*args, **kwargs)
        except KeyboardInterrupt as error:
            self.interrupted_ = not _is_request_to_stop(error)
            del self.history[self.n_epochs_finished_ :]
            raise

    def on_train_end(self, net, X=None, y=None, **kwargs):
        super().on_train_end(net, X=X, y=y, **kwargs)
        self.module_.eval()
        self.module_.bottleneck.progress = 1.0

    def train_on(
        self,
        rows,
        valid,
        *,
        optimizer,
        lr,
        schedule,
        batch_size,
        max_epochs,
        streams,
        callbacks,
        keeps_optimizer,
        step,
        penalty,
        compiles,
        slow,
        verbose,
    ):
        """Train on rows, judged by `valid` or None; keep only what is learnt.

        Returns the error of a user's callback when all was over, or None.

        `step` computes loss and gradients in place of autograd, or is None. `compiles`
        is False, True or the name of a backend of torch.compile. `slow` has options of
        the solver for single weights, by their names.
        """
        if compiles:
            backend = "inductor" if compiles is True else compiles
            self.compiled_ = compiled(self.module_.sample, backend)
        self.penalty_ = penalty
        self.optimizer, self.lr, self.schedule_ = optimizer, lr, schedule
        self.batch_size, self.max_epochs = batch_size, max_epochs
        self.streams_, self.callbacks = streams, callbacks
        self.train_split = None if valid is None else predefined_split(valid)
        self.step_, self.slow_ = step, slow
        self.seen_, self.verbose = {}, verbose
        earlier = self.callbacks_
        self.initialize_callbacks()
        prepare(self.callbacks_, earlier)
        self.partial_fit(rows)
        self._forget_batches(self.history)
        state = self._kind_of_optimizer(), self.optimizer_.state_dict()["state"]
        if step is not None:
            step.release()
        self.optimizer_state_ = state if keeps_optimizer else None
        used = [pair for pair in self.callbacks_ if not pair[0].startswith(OURS)]
        error = self.late_error_
        self.__dict__.update(NOT_IN_TRAINING, callbacks_=used)
        return error


def _is_request_to_stop(error):
    """Tell our own or skorch's stop signal, a KeyboardInterrupt too, from a Ctrl-C."""
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised_in = traceback.tb_frame.f_globals.get("__name__", "")
    return isinstance(error, StopTraining) or raised_in.startswith("skorch.callbacks")


class StopTraining(KeyboardInterrupt):
    """Ends training, in the way that skorch understands."""
