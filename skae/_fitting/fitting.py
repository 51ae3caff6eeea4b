"""One fit from plan to verdict: build, start as PCA, train, keep what is proven."""

import copy
import inspect
import logging
import math
import os
import warnings
from contextlib import closing, contextmanager
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import LRScheduler, ParamMapper
from torch.optim import AdamW

from skae import _validation as check
from skae._fitting.advice import advise_on_code, advise_on_columns, advise_on_units
from skae._fitting.build import (
    build_codec,
    build_net,
    build_network,
    image_arguments,
    solver_class_and_options,
)
from skae._fitting.callbacks import BestEpoch, LoadedStart, ProgressLine, TimeLimit
from skae._fitting.checkpoint import Checkpoint, fingerprint
from skae._fitting.codec import PCAStart, link_at_mean
from skae._fitting.net import OURS, sample_losses
from skae._fitting.plan import AUTO, LEAST_ALPHA, Plan, auto_batch_size, auto_max_epochs
from skae._fitting.start import fit_linear_start
from skae._fitting.step import MLPStep
from skae._fitting.user_callbacks import (
    check_monitors,
    copied,
    has_kind,
    warn_if_untrained,
)
from skae._fitting.verdict import gain_is_proven
from skae._parts import Part
from skae._runtime import (
    choose_device,
    choose_precision,
    choose_threads,
    count_products,
    import_lazy_parts,
    torch_threads,
    training_modes,
)
from skae.bottlenecks import Bottleneck
from skae.corruption import Features
from skae.networks import (
    auto_channels,
    auto_hidden_layer_sizes,
)

logger = logging.getLogger("skae")

FEWEST_HELD_OUT, MOST_HELD_OUT = 40, 5000  # fewer prove too little, more cost rows
ROWS_TO_WARN_BY = 5000  # at most
ROWS_TO_SCALE_BY = 5000  # at most
ROWS_TO_ORDER_BY = 2000  # at most
ROWS_TO_FIT_DENSITY = 5000  # at most
N_GAUSSIANS = 10
MARGIN = 1e-3  # of the mean's loss; a rival closer than that is not worth a warning
# Parameters that shape the net, and cannot change where training goes on with it.
SHAPING = (
    "n_components",
    "network",
    "image_shape",
    "channel_order",
    "hidden_layer_sizes",
    "activation",
    "init",
    "bottleneck",
    "loss",
)
WARM_UP = 0.1  # share of the steps in which the learning rate rises


class Fitting:
    """One call of `fit` or `partial_fit`.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Read for its parameters only.

    data : Rows
        The rows to learn from, not yet standardised.

    loss, bottleneck : Loss and Bottleneck
        Copies, which this fit trains.

    streams : RandomStreams

    form, target_form : ImageForm, default=None
        What the rows, and those that are to be reconstructed, look like if they are
        images.

    penalty : Penalty, default=None

    corruption : Corruption, default=None

    report : SklearnCallbacks, default=None
        Told of the fit and of every epoch.

    Attributes
    ----------
    plan : Plan

    net : AutoencoderNet
        The net to keep.

    start : LinearStart
        Where `net` started from; its mean and scale belong to `net`.

    proven : bool or None
        Whether held-out rows showed that `net` is better than PCA; None if they were
        not asked. If False, `net` is PCA.

    pca_loss : float or None
        PCA's mean loss on the held-out rows.

    best_epoch : int
        The epoch whose weights were kept; 0 is the start.

    interrupted : bool
        Whether Ctrl-C cut the training short.

    is_loaded : bool
        Whether a callback of the user's has loaded or set the weights at the start.

    late_error : Exception or None
        That of a callback of the user's, when training was over.
    """

    n_components = None
    n_kept = None
    recipe = None
    explained_variance_ratio = None
    density = None
    proven = None
    pca_loss = None
    best_epoch = 0
    interrupted = False
    is_loaded = False
    late_error = None
    is_partial = False
    checkpoint = None

    def __init__(
        self,
        estimator,
        data,
        streams,
        *,
        loss,
        bottleneck,
        penalty=None,
        corruption=None,
        form=None,
        target_form=None,
        report=None,
    ):
        self.estimator = estimator
        self.data = data
        self.streams = streams
        self.loss = loss
        self.bottleneck = bottleneck
        self.penalty = penalty
        self.corruption = corruption
        self.form = form
        self.target_form = target_form
        self.report = report
        self.spoil = None

    def fit(self, previous=None):
        """Hold rows out, train on the rest, judge; `previous` is (net, start)."""
        estimator = self.estimator
        self._prepare_checkpoint(previous)
        train, valid = self._hold_out()
        has_rival = estimator.init == "pca" and self._has_rival()
        if has_rival and valid is None and estimator.early_stopping == "auto":
            logger.info("%d rows are too few to judge by: the model is PCA", len(train))
            with self._begun(train, 0, None):
                self.proven = False
                self._finish()
            warn_if_untrained(
                estimator.callbacks,
                f"{len(train)} rows are too few",
                "Set early_stopping=False to train all the same.",
            )
            return self
        if valid is None:
            how = f"early_stopping={estimator.early_stopping!r}, {len(train)} rows"
            check_monitors(estimator.callbacks, f"no rows are held out ({how})")
        with self._begun(train, estimator.max_epochs, previous):
            is_plain = self.corruption is None
            if has_rival and is_plain and previous is None and self.start.is_exact():
                logger.info("PCA loses nothing of the rows: the model is PCA of them")
                self._return_to_pca()
                warn_if_untrained(
                    estimator.callbacks,
                    "PCA loses nothing of the rows",
                    "A smaller n_components leaves something to learn.",
                )
            else:
                self._train(train, valid, self._schedule(len(train)))
                if has_rival and valid is not None:
                    self._judge(train, valid, is_continued=previous is not None)
                else:
                    self._warn_if_poor(train if valid is None else valid)
                    self._warn_if_nothing_learnt(valid)
            self._finish()
            self._advise()
        if self.checkpoint is not None and not self.interrupted:
            self.checkpoint.remove()
        return self

    def _advise(self):
        """Warn of what is odd about the data or the code."""
        if self.interrupted:
            return
        if self.form is None and self.loss.standardized:
            names = getattr(self.estimator, "feature_names_in_", None)
            advise_on_columns(self.data, names)
        rows = self._standardized(self.data).copy(corrupt=None)
        spread = self.net.code_spread(rows.thinned(ROWS_TO_WARN_BY))
        advise_on_code(spread, self.start, self.bottleneck.has_prior)
        is_trained = self.proven is not False and self.start.spread.any()
        if self._network_name() == "mlp" and is_trained:
            few = rows.thinned(ROWS_TO_WARN_BY).take(slice(0, 500))[0]
            advise_on_units(self.net.module_, few.to(self.plan.device))

    def _prepare_checkpoint(self, previous):
        """Look for what an earlier run of this very fit has left."""
        folder, every = self.estimator.checkpoint, self.estimator.checkpoint_every
        if folder is None:
            return
        name = fingerprint(self.estimator, self.data, self.streams, previous)
        path = os.path.join(os.fspath(folder), f"{name}.safetensors")
        self.checkpoint = Checkpoint(path, every, self.streams)

    def _has_rival(self):
        """Tell whether PCA does all that is asked for."""
        has_bottleneck = self.bottleneck.keeps_pca and self.penalty is None
        return self.loss.standardized and has_bottleneck

    def partial_fit(self, previous=None):
        """Train one epoch on all rows, at a constant learning rate."""
        self.is_partial = True
        check_monitors(self.estimator.callbacks, "partial_fit holds out no rows")
        with self._begun(self.data, 1, previous):
            self._train(self.data, None, schedule=None)
        return self

    def fitted_attributes(self):
        """Return what the estimator learns from this fit."""
        continues = self.is_partial or self.estimator.warm_start
        return {
            **described(self.net, self.start, self.form, self.n_kept),
            "_streams": self.streams if continues else None,
            "_target_form": self.target_form,
            "_structure": {name: self._as_it_was(name) for name in SHAPING},
            "_dtype": self.data.output.result_dtype(),
            "explained_variance_ratio_": self.explained_variance_ratio,
            "density_": self.density,
            "batch_size_": self.plan.batch_size,
            "proven_": self.proven,
            "pca_loss_": self.pca_loss,
            "best_epoch_": self.best_epoch,
        }

    def _as_it_was(self, name):
        """Return a parameter, or a copy of a part, which may be changed after fit."""
        value = getattr(self.estimator, name)
        return clone(value) if isinstance(value, Part) else value

    def _present_attributes(self):
        """Return what the estimator would have learnt if training stopped now."""
        attributes = self.fitted_attributes()
        return {**attributes, "net_": self.net.snapshot()}

    def _hold_out(self):
        """Split the rows into those to learn from and those to judge by, or None."""
        n_samples, early_stopping = len(self.data), self.estimator.early_stopping
        n_held_out = round(n_samples * self.estimator.validation_fraction)
        if early_stopping == "auto":
            n_held_out = int(np.clip(n_held_out, FEWEST_HELD_OUT, MOST_HELD_OUT))
            early_stopping = n_samples >= 4 * FEWEST_HELD_OUT
        if not early_stopping or n_samples < 2:
            return self.data, None
        n_held_out = min(max(n_held_out, 1), n_samples - 1)
        # The same rows each time that a fit goes on: it has not seen those it held out.
        shuffled = np.random.default_rng(self.streams.split_seed).permutation(n_samples)
        valid, train = np.sort(shuffled[:n_held_out]), np.sort(shuffled[n_held_out:])
        return self.data.copy(index=train), self.data.copy(index=valid)

    @contextmanager
    def _begun(self, train, max_epochs, previous):
        """Set the plan, the start and the net, in the modes that training needs."""
        with training_modes():
            if previous is None:
                self.n_components = self._count_components(train)
                network = self._network()
            else:
                net, self.start = previous
                self.net = copy.deepcopy(net)
                network = self.net.module_
                network.n_kept = None
                self.recipe = network.recipe
                self.n_components = len(self.start.spread)
                self.loss, self.bottleneck = network.loss, network.bottleneck
            self.plan = self._plan(network, len(train), max_epochs)
            with torch_threads(self.plan.n_threads):
                if previous is None:
                    self._build(network, train)
                if self.corruption is not None:
                    self._prepare_corruption(train)
                if self.report is not None:
                    self.report.begin(self.plan.max_epochs, self._present_attributes)
                yield
                if self.report is not None:
                    self.report.end()

    def _count_components(self, train):
        """Return n_components, or how many PCA needs for that share of the variance."""
        n_components = self.estimator.n_components
        if isinstance(n_components, Integral):
            return int(n_components)
        most = min(len(train), train.n_features)
        start = fit_linear_start(train, most, self.streams.init)
        shares = np.cumsum(np.square(start.spread)) / train.n_features
        return _fewest(shares, n_components)

    def _network(self):
        """Return a new network."""
        estimator, network = self.estimator, self._network_name()
        n_features, n_components = self.data.n_features, self.n_components
        n_encoded, extra = self.bottleneck.n_encoded(n_components), {}
        n_outputs = self.data.output.n_features
        if n_encoded != n_components:
            extra["n_encoded"] = n_encoded
        if n_outputs != n_features:
            extra["n_outputs"] = n_outputs
        if network is not None:
            extra = {
                "activation": estimator.activation,
                **self._sizes(network),
                **extra,
            }
        self.recipe = {
            "network": network,
            "arguments": {
                "n_features": n_features,
                "n_components": n_components,
                **extra,
            },
        }
        if network is not None:
            return build_network(network, self.recipe["arguments"], self.streams.init)
        with self.streams.lent():
            network = build_network(estimator.network, self.recipe["arguments"])
        sizes = (n_features, n_components, n_encoded, n_outputs)
        check.check_built_network(network, *sizes)
        return network

    def _network_name(self):
        """Return the name of one of our networks, or None for one of the user's."""
        network = self.estimator.network
        if network == "auto":
            return "mlp" if self.form is None else "conv"
        return network if isinstance(network, str) else None

    def _sizes(self, network):
        """Return what shapes one of our networks, as arguments of its class."""
        sizes = self.estimator.hidden_layer_sizes
        if network == "mlp":
            if sizes == "auto":
                sizes = auto_hidden_layer_sizes(len(self.data), self.n_components)
            return {"hidden_layer_sizes": tuple(sizes)}
        form, target_form = self.form, self.target_form or self.form
        if sizes == "auto":
            sizes = auto_channels(max(form.size, target_form.size, key=math.prod))
        arguments = image_arguments(form)
        if image_arguments(target_form) != arguments:
            arguments |= image_arguments(target_form, "out_")
        return {"hidden_layer_sizes": tuple(sizes), **arguments}

    def _plan(self, network, n_train, max_epochs):
        """Decide what depends on the size of the network and of the data."""
        estimator, device = self.estimator, choose_device(self.estimator.device)
        rules = AUTO[self._network_name()]
        batch_size = estimator.batch_size
        if batch_size == "auto":
            batch_size = min(auto_batch_size(n_train), rules.most_rows)
        row_work = 6 * max(count_products(network), 1)  # forward 2, backward 4
        step_work = row_work * min(batch_size, n_train)
        if max_epochs == "auto":
            n_batches = -(-n_train // batch_size)
            max_epochs = auto_max_epochs(n_batches, row_work * n_train)
            max_epochs *= self.bottleneck.effort
        precision = choose_precision(
            estimator.precision,
            self.data.result_dtype(),
            step_work=step_work,
            fit_work=row_work * n_train * max_epochs,
            device=device,
        )
        patience = estimator.n_iter_no_change
        if patience == "auto":  # of little use before the learning rate has come down
            patience = 10 if estimator.schedule == "constant" else max_epochs
        alpha = estimator.alpha
        if alpha == "auto":
            alpha = self._auto_alpha(n_train, rules)
        learning_rate = estimator.learning_rate
        if learning_rate == "auto":
            learning_rate = min(rules.learning_rate, self.loss.most_learning_rate)
        return Plan(
            batch_size=batch_size,
            max_epochs=max_epochs,
            n_epochs_no_change=patience,
            alpha=alpha,
            learning_rate=learning_rate,
            precision=precision,
            device=device,
            n_threads=choose_threads(estimator.n_jobs, step_work),
        )

    def _auto_alpha(self, n_train, rules):
        """Return the decay by shape, for solvers that decay apart from gradients."""
        if not issubclass(solver_class_and_options(self.estimator.solver)[0], AdamW):
            return 0.0
        if self.is_partial or self.bottleneck.has_prior:  # decay stretches codes
            return LEAST_ALPHA
        return rules.alpha(n_train, self.data.n_features)

    def _build(self, network, rows):
        """Set the start and an untrained net from `rows`."""
        estimator, plan, n_components = self.estimator, self.plan, self.n_components
        self.start = fit_linear_start(rows, n_components, self.streams.init)
        check.check_start(self.start)
        self.loss.build(self.start.output.mean)
        n_outputs = len(self.start.output.mean)
        lost = n_outputs * self.start.share_lost() / max(n_outputs - n_components, 1)
        nat = self.loss.nat(max(float(lost), self.start.rounding))
        self.recipe["nat"] = nat / n_outputs
        with self.streams.lent():
            self.bottleneck.build(n_components, self.recipe["nat"])
        module = build_codec(
            estimator.init, network, self.start, self.loss, self.bottleneck
        )
        module.recipe = self.recipe
        dtype = torch.float64 if plan.precision == "float64" else torch.float32
        self.net = build_net(module.to(dtype).eval(), plan.device, plan.precision)
        is_ours = isinstance(estimator.network, str)
        self.net.lends_stream_ = not is_ours or self._has_costs()
        self.net.initialize()

    def _prepare_corruption(self, rows):
        """Learn of the features what the corruption may want to know."""
        features = Features.of(self._standardized(rows), self.form)
        corruption, streams = self.corruption, self.streams

        def spoil(X, start):
            generator = streams.corruption
            if start is not None:  # rows to judge by: the same whenever they are asked
                seed = (streams.split_seed + start) % 2**63
                generator = torch.Generator().manual_seed(seed)
            spoilt = corruption.corrupt(X, features, generator)
            check.check_corrupted(spoilt, X, corruption)
            return spoilt.to(X.dtype)

        self.spoil = spoil

    def _standardized(self, rows):
        """Return rows as the net wants them."""
        start, dtype, target = self.start, self.net.dtype(), rows.target
        if target is not None:
            mean, scale = start.target.mean, start.target.scale
            target = target.copy(mean=mean, scale=scale, dtype=dtype)
        return rows.copy(
            mean=start.mean,
            scale=start.scale,
            dtype=dtype,
            corrupt=self.spoil,
            target=target,
        )

    def _optimizer(self):
        """Return the optimizer's class with its options."""
        solver, options = solver_class_and_options(self.estimator.solver)
        if "weight_decay" in inspect.signature(solver).parameters:
            options = {**options, "weight_decay": self.plan.alpha}
        return partial(solver, **options)

    def _schedule(self, n_train):
        """Return a function that makes the learning-rate scheduler, or None.

        A schedule among the user's callbacks takes its place.
        """
        has_own = has_kind(self.estimator.callbacks, LRScheduler)
        if self.estimator.schedule == "constant" or has_own:
            return None
        n_steps = -(-n_train // self.plan.batch_size) * self.plan.max_epochs + 1
        return partial(
            torch.optim.lr_scheduler.OneCycleLR,
            max_lr=self.plan.learning_rate,
            total_steps=n_steps,
            pct_start=max(WARM_UP, 2 / n_steps),  # torch divides by zero at one step
            anneal_strategy="linear",
            cycle_momentum=False,
        )

    def _train(self, train, valid, schedule):
        """Train the net and restore its best epoch."""
        net, estimator = self.net, self.estimator
        import_lazy_parts()
        if isinstance(net.module_, PCAStart):
            net.module_.half_whiten(self.start)
        train, monitor, start_loss = self._standardized(train), "train_loss", np.inf
        if valid is not None:
            valid, monitor = self._standardized(valid), "valid_loss"
            if not self._has_costs():  # PCA has never heard of those
                start_loss = self._held_out_loss(valid)
        with self.streams.lent():
            check.check_penalty(self.penalty, net.module_, net.first_rows(train))
        patience = self.plan.n_epochs_no_change
        settling = self.bottleneck.settling * self.plan.max_epochs
        best = BestEpoch(monitor, start_loss, patience, estimator.tol, settling)
        line = ProgressLine(self.plan.max_epochs)
        callbacks = [(f"{OURS}best_epoch", best), *self._callbacks(line)]
        judge = None
        if np.isfinite(start_loss):
            judge = partial(self._held_out_loss, valid)
        loaded = LoadedStart(best, judge)
        if estimator.callbacks:
            callbacks.append((f"{OURS}loaded", loaded))
        if self.checkpoint is not None:
            self.checkpoint.best = best
            callbacks.append((f"{OURS}checkpoint", self.checkpoint))
        with (
            closing(line),
            check.explained_memory(self.plan.batch_size),
            check.explained_batch_norm(len(train), self.plan.batch_size),
            check.explained_compile(estimator.compile),
        ):
            self.late_error = net.train_on(
                train,
                valid,
                optimizer=self._optimizer(),
                lr=self.plan.learning_rate,
                schedule=schedule,
                batch_size=self.plan.batch_size,
                max_epochs=self.plan.max_epochs,
                streams=self.streams,
                callbacks=callbacks,
                keeps_optimizer=self.is_partial or estimator.warm_start,
                step=self._step_by_hand(),
                compiles=estimator.compile,
                penalty=self.penalty,
                verbose=int(estimator.verbose),
            )
        if valid is None:  # the loss of an epoch is measured before its last step
            losses = net.sample_losses(train.thinned(ROWS_TO_WARN_BY))
            check.check_converged(losses, net)
        if self.bottleneck.has_prior:  # the prior's units
            net.module_.units.fill_(1 / self.start.scale)
        elif isinstance(net.module_, PCAStart) and not self.is_partial:
            code_spread = net.code_spread(train.thinned(ROWS_TO_SCALE_BY))
            net.module_.half_whiten(self.start, code_spread)
        self.best_epoch = best.best_epoch_
        self.interrupted = net.interrupted_
        self.is_loaded = loaded.is_loaded_

    def _held_out_loss(self, valid):
        """Return the mean loss of standardised rows at present."""
        return _mean(self.net.sample_losses(valid), valid.weights())

    def _has_costs(self):
        """Tell whether training minimises more than the loss of the code alone."""
        return type(self.bottleneck) is not Bottleneck or self.penalty is not None

    def _step_by_hand(self):
        """Return what computes loss and gradients without autograd, or None.

        Only our own network on a CPU is known well enough, and only our own solvers
        are known to treat each number by itself, so that one flat tensor is the same.
        A callback that freezes single layers would not reach into it.
        """
        module, paths = self.net.module_, None
        if isinstance(module, PCAStart):
            paths = module.encoder_path, module.decoder_path
        network = module.network
        suits = (
            self._network_name() == "mlp"
            and len(network.encoder) > 1
            and not self._has_costs()
            and self.estimator.compile is False
            and not any(True for _ in self.loss.parameters())
            and self.plan.device.type == "cpu"
            and self.net.precision_ != "mixed"
            and isinstance(self.estimator.solver, str)
            and not has_kind(self.estimator.callbacks, ParamMapper)
            and all(weight.requires_grad for weight in module.parameters())
        )
        if not suits:
            return None
        return MLPStep(network.encoder, network.decoder, paths, self.loss)

    def _callbacks(self, line):
        """Return skorch callbacks: ours, the caller's, then copies of the user's."""
        callbacks = []
        if self.estimator.max_time is not None:
            callbacks.append((f"{OURS}time_limit", TimeLimit(self.estimator.max_time)))
        if self.report is not None:
            callbacks.append((f"{OURS}report", self.report))
        if self.estimator.verbose:
            callbacks.append((f"{OURS}progress_line", line))
        return callbacks + copied(list(self.estimator.callbacks or []))

    def _judge(self, train, valid, is_continued):
        """Return to PCA of all rows unless the held-out ones prove a gain over it."""
        pca = self.start
        if is_continued:
            n_components = len(pca.spread)
            pca = fit_linear_start(train, n_components, self.streams.init)
        rows = self._standardized(valid)
        losses, pca_losses = [], []
        for size in self._sizes_to_judge():
            self.net.module_.n_kept = size
            losses.append(self.net.sample_losses(rows))
            reconstruct = partial(pca.reconstruct, units=rows, n_kept=size)
            pca_losses.append(sample_losses(rows, self.loss, reconstruct))
        self.net.module_.n_kept = None
        weights = rows.weights()
        is_nowhere_worse = all(
            _mean(network, weights) <= _mean(linear, weights)
            for network, linear in zip(losses, pca_losses, strict=True)
        )
        loss, self.pca_loss = _mean(losses[0], weights), _mean(pca_losses[0], weights)
        losses, pca_losses = np.mean(losses, axis=0), np.mean(pca_losses, axis=0)
        is_start = self.best_epoch == 0 and not self.is_loaded
        is_pca = is_start and not is_continued  # rounding proves nothing
        is_better = is_nowhere_worse and gain_is_proven(pca_losses, losses, weights)
        self.proven = is_better and not is_pca
        verdict = (
            "the network is kept" if self.proven else "the model is PCA of all rows"
        )
        logger.info("held-out loss %.4g, PCA's %.4g: %s", loss, self.pca_loss, verdict)
        if not self.proven:
            self._return_to_pca()

    def _sizes_to_judge(self):
        """Return sizes of codes in which the network has to be better than PCA."""
        sizes = [self.n_components]
        while self.bottleneck.is_ordered and sizes[-1] > 1:
            sizes.append(sizes[-1] // 2)
        return sizes

    def _finish(self):
        """Learn what is asked for besides the net, once that is settled."""
        rows = self._standardized(self.data).copy(corrupt=None)
        if self.bottleneck.is_ordered:
            shares = self.net.explained_shares(rows.thinned(ROWS_TO_ORDER_BY))
            if not isinstance(self.estimator.n_components, Integral):
                self.n_kept = _fewest(shares, self.estimator.n_components)
                self.net.module_.n_kept = self.n_kept
            ratios = np.diff(shares, prepend=0.0)
            self.explained_variance_ratio = ratios[: self.n_kept]
        if self.estimator.density is not None:
            self.density = self._fit_density(rows)

    def _fit_density(self, rows):
        """Return what was asked for, fitted to codes of some rows."""
        from sklearn.mixture import GaussianMixture

        seed, weight = self.streams.split_seed % 2**32, rows.weights()
        if weight is None:
            rows = rows.thinned(ROWS_TO_FIT_DENSITY)
        else:  # densities know no weights, so draw rows by them
            n_rows = min(len(rows), ROWS_TO_FIT_DENSITY)
            chances = np.float64(weight) / np.sum(weight, dtype=np.float64)
            generator = np.random.default_rng(seed)
            index = generator.choice(len(rows), n_rows, p=chances)
            rows = rows.copy(index=index, sample_weight=None)
        code = self.net.codes(rows) * self.start.scale
        density = self.estimator.density
        if density == "gaussian_mixture":
            n_gaussians = min(N_GAUSSIANS, len(code))
            density = GaussianMixture(n_gaussians, random_state=seed)
        with config_context(array_api_dispatch=False):
            return clone(density).fit(code)

    def _return_to_pca(self):
        """Make the model PCA of all rows; keep the history of what was tried."""
        history, callbacks = self.net.history, self.net.callbacks_
        self._build(self._network(), self.data)
        self.net.history, self.net.callbacks_ = history, callbacks
        self.proven, self.best_epoch = False, 0

    def _warn_if_poor(self, rows):
        """Warn if the net is worse than the mean, or than PCA where they compare."""
        rows = self._standardized(rows.thinned(ROWS_TO_WARN_BY))

        def mean_loss(predict):
            return _mean(sample_losses(rows, self.loss, predict), rows.weights())

        mean = torch.from_numpy(link_at_mean(self.start, self.loss)[0])
        rivals = {
            "the mean of each feature": mean_loss(
                lambda x: mean.to(x).expand(len(x), -1)
            )
        }
        slack = MARGIN * rivals["the mean of each feature"]
        if self._has_rival() and self.start.components is not None:
            pca = partial(self.start.reconstruct, units=rows)
            rivals["PCA with as many components"] = mean_loss(pca)
        loss = _mean(self.net.sample_losses(rows), rows.weights())
        for name, rival_loss in rivals.items():
            if not loss <= rival_loss + slack:
                warnings.warn(
                    f"The autoencoder reconstructs worse than {name}: its loss is "
                    f"{loss:.4g}, against {rival_loss:.4g}. Train longer (max_epochs), "
                    "change learning_rate or hidden_layer_sizes, or use init='pca' "
                    "with early_stopping='auto', which returns PCA where nothing "
                    "better is learnt.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
                return

    def _warn_if_nothing_learnt(self, valid):
        """Warn if held-out rows sent the net back to where it started."""
        is_start = self.best_epoch == 0 and not self.is_loaded
        if valid is not None and is_start and not self.interrupted:
            warnings.warn(
                "No epoch made the loss of the held-out rows smaller: the model is the "
                f"start, with PCA's codes. Lower learning_rate (now {self.net.lr:g}), "
                "raise alpha, or pass more rows.",
                ConvergenceWarning,
                stacklevel=5,
            )


def described(net, start, form, n_kept):
    """Return the fitted attributes that follow from the net and its start."""
    losses = net.history
    return {
        "net_": net,
        "_start": start,
        "_form": form,
        "image_shape_": form and form.image_shape,
        "channel_order_": form and form.channel_order,
        "n_components_": n_kept or len(start.spread),
        "mean_": start.mean,
        "scale_": start.scale,
        "explained_variance_": np.square(start.spread[:n_kept] * start.scale),
        "precision_": net.precision_,
        "device_": str(net.device),
        "n_epochs_": len(losses),
        "loss_curve_": [float(epoch["train_loss"]) for epoch in losses],
        "validation_loss_curve_": [
            float(epoch["valid_loss"]) for epoch in losses if "valid_loss" in epoch
        ],
    }


def _fewest(shares, least):
    """Return the smallest number of components whose share is `least`, or all."""
    enough = np.flatnonzero(shares >= least)
    return int(enough[0]) + 1 if len(enough) else len(shares)


def _mean(losses, weights):
    return float(np.average(losses, weights=weights))
