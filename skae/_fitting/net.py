"""Training through skorch: a batch becomes a step."""

import copy
import warnings
from contextlib import nullcontext

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from skorch.helper import predefined_split

from skae._data.rows import BatchIterator
from skae._files.archive import with_tensors, without_tensors
from skae._runtime import compiled, count_products, in_halves, is_out_of_memory

# Attributes of a net that is not being trained: no data, nothing else that it needs.
NOT_IN_TRAINING = {
    "callbacks": None,
    "callbacks_": [],
    "train_split": None,
    "streams_": None,
    "schedule_": None,
    "scheduler_": None,
    "optimizer_": None,
    "step_": None,
    "penalty_": None,
    "compiled_": None,
    "n_parts_": 1,
}


class AutoencoderNet(NeuralNet):
    """skorch's net for autoencoders: the target of a batch is the batch itself.

    Whoever builds it sets `precision_` and `lends_stream_`, whether the network draws
    from torch's global generator; `train_on` sets the rest. A callback that sets
    `stops_` ends training with the current epoch.
    """

    streams_ = None
    precision_ = "float32"
    schedule_ = None
    scheduler_ = None
    step_ = None
    penalty_ = None
    compiled_ = None
    announces_gradients_ = False
    optimizer_state_ = None
    lends_stream_ = False
    stops_ = False
    interrupted_ = False
    n_epochs_finished_ = n_epochs_before_ = 0
    n_parts_ = 1
    n_products_ = None
    exact_ = None

    def get_default_callbacks(self):
        """Return what records the seconds of an epoch, and prints nothing."""
        return [("epoch_timer", EpochTimer())]

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

    def infer(self, x, **fit_params):
        """Return the output of the decoder for a batch of X."""

        def output(x):
            return self.module_.decode(self.module_.encode(x))

        x = x.to(self.device)
        with self._autocast():
            return in_halves(output, x).to(x.dtype)

    def _autocast(self):
        """Use bfloat16 products to learn, and never to judge."""
        if self.precision_ != "mixed" or not self.module_.training:
            return nullcontext()
        # The cache of rounded weights would outlive the step, as training_modes() is
        # around it: every step would see the weights of the first one.
        device_type = torch.device(self.device).type
        return torch.autocast(device_type, dtype=torch.bfloat16, cache_enabled=False)

    def get_loss(self, y_pred, y_true, X=None, training=False, costs=()):
        """Return the weighted mean of the loss of each sample and of all costs."""
        target, sample_weight = y_true
        losses = sum(costs, self.criterion_(y_pred, target.to(self.device)))
        if sample_weight is not None:
            losses = losses * sample_weight.to(self.device)
        return losses.mean()

    def get_all_learnable_params(self):
        """Return names and parameters; those of a step by hand are one flat tensor."""
        if self.step_ is None:
            return super().get_all_learnable_params()
        return iter([("parameters", self.step_.parameters)])

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
        for batch in iterator:
            if has_listener:
                self.notify("on_batch_begin", batch=batch, training=training)
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
            named = list(self.get_all_learnable_params())
            self.notify(
                "on_grad_computed", named_parameters=named, batch=batch, training=True
            )
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
            warnings.warn(
                f"A batch of {len(X)} rows does not fit into memory. It is computed in "
                f"{self.n_parts_} parts, whose gradients add up: slower, and the same "
                "but for rounding unless rows of a batch depend on each other (batch "
                "normalisation). Lower batch_size to avoid it.",
                UserWarning,
                stacklevel=2,
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
            _lay_out_alike(self.optimizer_)
        self.scheduler_ = self.schedule_ and self.schedule_(self.optimizer_)

    def _kind_of_optimizer(self):
        """Return what has to agree where training goes on with an optimizer's state."""
        shapes = [tuple(weight.shape) for _, weight in self.get_all_learnable_params()]
        return type(self.optimizer_), shapes

    def on_epoch_begin(self, net, **kwargs):
        n_done = len(self.history) - self.n_epochs_before_
        if self.stops_ or n_done >= self.max_epochs:
            raise StopTraining
        self._forget_batches()
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
        _lay_out_alike(self.optimizer_)
        if self.scheduler_ is not None:
            self.scheduler_.load_state_dict(facts["schedule"])

    def slow_down(self, share):
        """Go on with a share of the learning rate and an optimizer that has no memory.

        The schedule keeps its shape.
        """
        self.lr *= share
        self.optimizer_.state.clear()
        for group in self.optimizer_.param_groups:
            for name in ("lr", "initial_lr", "max_lr", "min_lr"):
                if name in group:
                    group[name] *= share

    def _forget_batches(self):
        """Drop skorch's record of each batch of the last epoch: they would pile up."""
        if self.history:
            self.history[-1]["batches"] = []

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
        self._forget_batches()

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
    ):
        """Train on rows, judged by `valid` or None; keep only what is learnt.

        `step` computes loss and gradients in place of autograd, or is None. `compiles`
        is False, True or the name of a backend of torch.compile.
        """
        if compiles:
            backend = "inductor" if compiles is True else compiles
            self.compiled_ = compiled(self.module_.sample, backend)
        self.penalty_ = penalty
        self.optimizer, self.lr, self.schedule_ = optimizer, lr, schedule
        self.batch_size, self.max_epochs = batch_size, max_epochs
        self.streams_, self.callbacks = streams, callbacks
        self.train_split = None if valid is None else predefined_split(valid)
        self.step_ = step
        self.initialize_callbacks()
        self.partial_fit(rows)
        state = self._kind_of_optimizer(), self.optimizer_.state_dict()["state"]
        if step is not None:
            step.release()
        self.optimizer_state_ = state if keeps_optimizer else None
        self.__dict__.update(NOT_IN_TRAINING)

    def snapshot(self):
        """Return a copy for use, which further training does not change."""
        net, module = copy.copy(self), copy.deepcopy(self.module_).eval()
        own = {**_parts_of(module), "history_": copy.copy(self.history)}
        net.__dict__.update(NOT_IN_TRAINING, exact_=None, **own)
        return net

    def exact_module(self):
        """Return the module in double precision, exact whatever the batch.

        A copy, made anew when a weight has changed or was exchanged.
        """
        if self.exact_ is None or not self.exact_[0].is_same():
            exact = copy.deepcopy(self.module_).double()
            self.exact_ = _Weights(self.module_), exact
        return self.exact_[1]

    def n_products(self):
        """Return what `count_products` says of the network."""
        if self.n_products_ is None:
            self.n_products_ = count_products(self.module_)
        return self.n_products_

    def dtype(self):
        """Return the dtype of the weights: "float32" or "float64"."""
        return "float64" if self.precision_ == "float64" else "float32"

    def has_float64(self):
        return torch.device(self.device).type != "mps"

    def sample_losses(self, rows):
        """Return the loss of each row, ndarray of shape (n_samples,)."""
        self.module_.eval()
        return sample_losses(rows, self.criterion_, self.infer)

    def first_rows(self, rows):
        """Return a few rows as the network gets them."""
        return rows.take(slice(0, 4))[0].to(self.device)

    def codes(self, rows):
        """Return the codes of rows, ndarray of shape (n_samples, n_components)."""
        self.module_.eval()
        with torch.no_grad():
            codes = [
                in_halves(self.module_.encode, x.to(self.device))
                for x, _ in rows.blocks()
            ]
        return torch.cat(codes).cpu().double().numpy()

    def explained_shares(self, rows):
        """Return the share of the variance that the first 1, 2, ... components explain.

        An ndarray of shape (n_components,).
        """
        module, loss = self.module_.eval(), self.criterion_
        n_components, total = len(module.units), 0.0
        left = torch.zeros(n_components, dtype=torch.float64)
        with torch.no_grad():
            for x, (target, weight) in rows.blocks():
                x, target = x.to(self.device), target.to(self.device)
                code = module.encode(x)
                weight = torch.ones(len(x)) if weight is None else weight
                weight = weight.to(self.device).double()[:, None]
                centred = target.double()
                if not loss.standardized:
                    mean = torch.from_numpy(rows.output.mean).to(centred)
                    centred = (centred - mean) / rows.output.scale
                total += (weight * centred.square()).sum().item()
                for k in range(n_components):
                    output = module.decode(code[:, : k + 1])
                    residual = output - target
                    if not loss.standardized:
                        residual = loss.inverse_link(output) - target
                        residual = residual / rows.output.scale
                    left[k] += (weight * residual.double().square()).sum().cpu()
        return 1 - left.numpy() / (total or 1.0)

    def code_spread(self, rows):
        """Return the spread of the code, ndarray of shape (n_components,)."""
        code, weight = self.codes(rows.copy(corrupt=None)), rows.weights()
        if weight is not None:  # a row of weight 0 may hold anything
            code, weight = code[weight > 0], np.float64(weight[weight > 0])
        mean = np.average(code, axis=0, weights=weight)
        return np.sqrt(np.average((code - mean) ** 2, axis=0, weights=weight))

    # skorch nests a plain pickle inside its state, which loses classes that live in
    # __main__; plain attributes travel with any pickler. Tensors travel on the CPU.
    def __getstate__(self):
        if torch.device(self.device).type == "cpu":
            return {**self.__dict__, "exact_": None}
        module = copy.deepcopy(self.module_).cpu()
        moved = {"device": "cpu", **_parts_of(module)}
        return {**self.__dict__, **moved, "optimizer_state_": None, "exact_": None}

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __deepcopy__(self, memo):
        net = memo[id(self)] = object.__new__(type(self))
        net.__dict__.update(copy.deepcopy({**self.__dict__, "exact_": None}, memo))
        return net


class _Weights:
    """All parameters and buffers of a module, to tell whether they changed.

    A tenth of the time of `module.parameters()`.
    """

    def __init__(self, module):
        self.slots = [
            (owner, name, value)
            for part in module.modules()
            for owner in (part._parameters, part._buffers, part._modules)
            for name, value in owner.items()
        ]
        self.tensors = [x for *_, x in self.slots if isinstance(x, torch.Tensor)]
        self.versions = self._versions()

    def _versions(self):
        return [None if x.is_inference() else x._version for x in self.tensors]

    def is_same(self):
        return (
            all(owner.get(name) is value for owner, name, value in self.slots)
            and self._versions() == self.versions
        )


def _lay_out_alike(optimizer):
    """Lay out in memory what an optimizer remembers as its weights: steps need it."""
    for weight, entry in optimizer.state.items():
        for name, value in entry.items():
            if isinstance(value, torch.Tensor) and value.shape == weight.shape:
                entry[name] = torch.empty_like(weight).copy_(value)


def _parts_of(module):
    """Return what of a net is a module, or a part of one."""
    return {
        "module": module,
        "module_": module,
        "criterion": module.loss,
        "criterion_": module.loss,
    }


def sample_losses(rows, loss, predict):
    """Return the loss of ``predict(X)`` for each row, ndarray of shape (n_samples,)."""
    losses = []
    with torch.no_grad():
        for X, (target, _) in rows.blocks():
            output = predict(X)
            losses.append(loss(output, target.to(output.device)))
    return torch.cat(losses).double().cpu().numpy()


def _is_request_to_stop(error):
    """Tell our own or skorch's stop signal, a KeyboardInterrupt too, from a Ctrl-C."""
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised_in = traceback.tb_frame.f_globals.get("__name__", "")
    return isinstance(error, StopTraining) or raised_in.startswith("skorch.callbacks")


class StopTraining(KeyboardInterrupt):
    """Ends training, in the way that skorch understands."""
