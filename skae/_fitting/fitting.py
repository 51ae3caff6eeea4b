"""One fit from plan to verdict: build, start as PCA, train, keep what is proven."""

import copy
import logging
import os
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import LRScheduler

from skae._fitting.advice import advise_on_code, advise_on_columns, advise_on_units
from skae._fitting.build import build_net_at, new_network
from skae._fitting.callbacks import KnownLosses
from skae._fitting.checkpoint import Checkpoint, fingerprint
from skae._fitting.codec import PCAStart
from skae._fitting.density import fit_density
from skae._fitting.folds import CrossFit, obstacle
from skae._fitting.parameters import SHAPING
from skae._fitting.parts import spoiler
from skae._fitting.plan import N_FOLDS, make_plan
from skae._fitting.shares import (
    count_components,
    count_kept,
    explained_shares,
    ordered_shares,
)
from skae._fitting.start import check_spread, fit_linear_start, standardized
from skae._fitting.train import Trained, Training, one_cycle
from skae._fitting.user_callbacks import (
    check_monitors,
    has_kind,
    warn_if_untrained,
)
from skae._fitting.verdict import (
    Verdict,
    hold_out,
    judge,
    mean_loss,
    warn_if_coarse,
    warn_if_nothing_learnt,
    warn_if_poor,
)
from skae._parts import Part
from skae._runtime import torch_threads, training_modes

logger = logging.getLogger("skae")

ROWS_TO_ADVISE_BY = 5000  # at most
ROWS_TO_SCALE_BY = 5000  # at most
MOST_STRETCH = 1.3  # of a code beside its prior


class Fitting:
    """One call of `fit`.

    Parameters
    ----------
    estimator : AutoencoderTransformer
        Read for its parameters only.

    data : TrainingData
        The rows to learn from, not yet standardised, and their form.

    parts : Parts
        Copies, which this fit trains.

    streams : RandomStreams

    report : SklearnCallbacks, default=None
        Told of the fit and of every epoch.

    Attributes
    ----------
    plan : Plan

    net : AutoencoderNet
        The net to keep.

    start : LinearStart
        Where `net` started from; its mean and scale belong to `net`.

    verdict : Verdict
        Whether held-out rows showed that `net` is better than PCA. If they did not,
        `net` is PCA.

    trained : Trained
        What became of the training.

    interrupted : bool
        Whether Ctrl-C cut the training short.
    """

    n_kept = None
    recipe = None
    held_out = None
    explained_variance_ratio = None
    density = None
    verdict = Verdict.none("training is not at its end")
    trained = Trained()
    interrupted = False
    is_partial = is_folded = False
    checkpoint = None
    spoil = None
    stream = None

    def __init__(self, estimator, data, parts, streams, report=None):
        self.estimator = estimator
        self.data = data
        self.rows = data.rows
        self.parts = parts
        self.streams = streams
        self.report = report

    def fit(self, previous=None):
        """Hold rows out, train on the rest, judge; `previous` is (net, start)."""
        self._look_for_checkpoint(previous)
        obstacle_to_folds = self._obstacle_to_folds()
        self.is_folded = obstacle_to_folds is None
        learnt, valid = self.rows, None
        if not self.is_folded:
            learnt, valid = hold_out(self.rows, self.estimator, self.streams)
        self.held_out = valid
        if self._is_left_to_pca(valid):
            logger.info(
                "%d rows are too few to judge by: the model is PCA", len(learnt)
            )
            with self._begun(learnt, 0, None):
                self.verdict = Verdict.of_few_rows(len(learnt), obstacle_to_folds)
                self._finish()
            warn_if_untrained(self.estimator.callbacks, len(learnt))
            return self
        if valid is None and not self.is_folded:
            how = f"early_stopping={self.estimator.early_stopping!r}"
            reason = f"no rows are held out ({how}, {len(learnt)} rows)"
            check_monitors(self.estimator.callbacks, reason)
        with self._begun(learnt, self.estimator.max_epochs, previous):
            if previous is None and self._is_exact():
                logger.info("PCA loses nothing of the rows: the model is PCA of them")
                self._return_to_pca(Verdict.of_exact_pca())
                warn_if_untrained(self.estimator.callbacks)
            else:
                self._train(learnt, valid, is_continued=previous is not None)
            self._finish()
            self._advise()
        if self.checkpoint is not None and not self.interrupted:
            self.checkpoint.remove()
        return self

    @property
    def _has_rival(self):
        """Tell whether PCA does all that is asked for, and is the start."""
        return self.estimator.init == "pca" and self.parts.has_rival

    def _is_left_to_pca(self, valid):
        """Tell whether rows are too few to judge by, and a judge is wanted."""
        is_auto = self.estimator.early_stopping == "auto"
        return self._has_rival and valid is None and is_auto and not self.is_folded

    def _obstacle_to_folds(self):
        """Return why rows do not judge by cross-fitting, or None (see `obstacle`)."""
        if self.estimator.early_stopping != "auto" or not self._has_rival:
            return ""
        return obstacle(
            self.estimator,
            self.data,
            self.parts.bottleneck,
            self._count_components,
            self.streams.copy(),
        )

    def _is_exact(self):
        """Tell whether PCA loses nothing of the rows, so that there is no use."""
        is_plain = self.parts.corruption is None
        return self._has_rival and is_plain and self.start.is_exact()

    def _look_for_checkpoint(self, previous):
        """Look for what an earlier run of this very fit has left."""
        folder, every = self.estimator.checkpoint, self.estimator.checkpoint_every
        if folder is None:
            return
        name = fingerprint(self.estimator, self.rows, self.streams, previous)
        path = os.path.join(os.fspath(folder), f"{name}.safetensors")
        self.checkpoint = Checkpoint(path, every, self.streams)

    @contextmanager
    def _begun(self, learnt, max_epochs, previous):
        """Set the plan, the start and the net, in the modes that training needs."""
        with training_modes():
            network = self._taken_up(previous) if previous else self._new(learnt)
            self.plan = make_plan(
                self.estimator,
                network,
                self.parts,
                self.data,
                len(learnt),
                max_epochs=max_epochs,
                is_partial=self.is_partial,
                is_folded=self.is_folded,
            )
            with torch_threads(self.plan.n_threads):
                if previous is None:
                    self._build(network, self._linear_start(learnt))
                if self.parts.corruption is not None:
                    self.spoil = spoiler(
                        self.parts.corruption,
                        self._standardized(learnt),
                        self.data.form,
                        self.streams,
                    )
                if self.report is not None:
                    self.report.begin(self.plan.max_epochs, self._present_attributes)
                yield
                if self.report is not None:
                    self.report.end()

    def _taken_up(self, previous):
        """Take up the net of an earlier fit, and return what is learnt in it."""
        net, self.start = previous
        self.net = copy.deepcopy(net)
        module = self.net.module_
        module.n_kept, self.recipe = None, module.recipe
        self.parts = replace(self.parts, loss=module.loss, bottleneck=module.bottleneck)
        return module

    def _new(self, learnt):
        """Return a new network."""
        network, self.recipe = new_network(
            self.estimator,
            self.data,
            self.parts.bottleneck,
            self._count_components(learnt),
            self.streams,
        )
        return network

    def _count_components(self, learnt):
        """Return n_components, or how many PCA needs for that share of the variance."""
        if self.recipe is not None:
            return self.recipe["arguments"]["n_components"]
        wanted, stream = self.estimator.n_components, self.streams.init
        judges = self.held_out if self.parts.bottleneck.is_ordered else None
        return count_components(wanted, learnt, judges, stream)

    def _linear_start(self, rows):
        """Return PCA of rows."""
        n_components = self.recipe["arguments"]["n_components"]
        return fit_linear_start(rows, n_components, self.streams.init)

    def _build(self, network, start):
        """Set an untrained net at a linear start."""
        self.start = start
        dtypes = {self.plan.precision, self.rows.result_dtype()}
        check_spread(start, self.estimator, self.parts, dtypes)
        self.net = build_net_at(
            start,
            network,
            self.recipe,
            self.parts,
            self.estimator,
            self.plan,
            self.streams,
        )

    def _rebuild(self, network, start):
        """Set an untrained net in place of another one, whose history it takes over."""
        history, callbacks = self.net.history, self.net.callbacks_
        self._build(network, start)
        self.net.history, self.net.callbacks_ = history, callbacks

    def _train(self, learnt, valid, is_continued):
        """Train the net, and keep what held-out rows prove."""
        if self.is_folded:
            self._train_by_folds(learnt)
            return
        self._run(learnt, valid, self._schedule(len(learnt)))
        if self._has_rival and valid is not None:
            self._judge(learnt, valid, is_continued)
            return
        self.verdict = Verdict.none(self._why_not_judged())
        rows = self._standardized(learnt if valid is None else valid)
        has_rival = self.parts.has_rival
        warn_if_poor(self.net, self.start, rows, has_rival=has_rival)
        if not self.parts.has_costs:
            warn_if_coarse(self.net, self.start, rows, self.estimator.loss)
        is_start = valid is not None and self.trained.is_start
        if is_start and not self.interrupted:
            warn_if_nothing_learnt(self.net)

    def _train_by_folds(self, rows):
        """Train as long as is best for rows left out, if that is better than PCA."""
        folds = CrossFit(
            self.estimator,
            self.plan,
            self.parts,
            self.data,
            self.streams,
            self.net,
            self._max_time(),
        )
        crossed = folds.run(rows, self._schedule)
        self.interrupted = crossed is None
        if self.interrupted:
            self.verdict = Verdict.of_interrupted_folds()
            return
        self.verdict = crossed.verdict(self.parts.corruption)
        if not self.verdict.proven:
            crossed.record(self.net.history)
            return
        schedule = self._schedule(len(rows))
        self.plan = replace(self.plan, max_epochs=crossed.best_epoch())
        self._run(rows, None, schedule, crossed.curve())

    def _schedule(self, n_train):
        """Return a function that makes the learning-rate scheduler, or None.

        A schedule among the user's callbacks takes its place.
        """
        has_own = has_kind(self.estimator.callbacks, LRScheduler)
        if self.estimator.schedule == "constant" or has_own:
            return None
        return one_cycle(self.plan, n_train)

    def _run(self, learnt, valid, schedule, curve=None):
        """Train the net and restore its best epoch; `curve` has held-out losses."""
        net, module, judge = self.net, self.net.module_, None
        if isinstance(module, PCAStart):
            module.half_whiten(self.start)
        learnt = self._standardized(learnt)
        if valid is not None:
            valid = self._standardized(valid)
            if not self.parts.has_costs:  # PCA has never heard of those
                judge = partial(self._mean_loss, valid)
        training = Training(
            self.estimator,
            self.plan,
            self.parts,
            self.streams,
            self.start,
            self.report,
            self.checkpoint,
            keeps_optimizer=self._may_go_on(),
            watch=None if curve is None else KnownLosses(curve),
            max_time=self._max_time(),
        )
        self.trained = training.run(net, learnt, valid, judge=judge, schedule=schedule)
        self.interrupted = net.interrupted_
        if self.parts.bottleneck.has_prior:  # the prior's units
            module.units.fill_(1 / self.start.scale)
            spread = net.prior_spread(learnt.thinned(ROWS_TO_SCALE_BY))
            if spread is not None:
                spread = np.where(spread > MOST_STRETCH, spread, 1.0)
                module.units.div_(torch.from_numpy(spread).to(module.units))
        elif isinstance(module, PCAStart) and not self.is_partial:
            code_spread = net.code_spread(learnt.thinned(ROWS_TO_SCALE_BY))
            module.half_whiten(self.start, code_spread)

    def _max_time(self):
        """Return how many seconds one training may take, or None."""
        seconds = self.estimator.max_time
        return seconds / (N_FOLDS + 1) if seconds and self.is_folded else seconds

    def _mean_loss(self, rows):
        """Return the mean loss of standardised rows at present."""
        return mean_loss(self.net.sample_losses(rows), rows.weights())

    def _may_go_on(self):
        """Tell whether training may go on later."""
        return self.is_partial or self.estimator.warm_start

    def _judge(self, learnt, valid, is_continued):
        """Return to PCA of all rows unless the held-out ones prove a gain over it."""
        pca = self.start
        if is_continued:
            pca = fit_linear_start(learnt, len(pca.spread), self.streams.init)
        is_start = self.trained.is_start and not is_continued
        valid = self._standardized(valid)
        corruption = self.parts.corruption
        self.verdict = judge(
            self.net, pca, valid, is_start=is_start, corruption=corruption
        )
        if not self.verdict.proven:
            self._return_to_pca(self.verdict)

    def _return_to_pca(self, verdict):
        """Make the model PCA of all rows; keep the history of what was tried."""
        self._rebuild(self._new(self.rows), self._linear_start(self.rows))
        self.verdict, self.trained = verdict, replace(self.trained, best_epoch=0)

    def _why_not_judged(self):
        """Say why no rows compared the network with PCA."""
        if self.estimator.init != "pca":
            return "it did not start from PCA (init='random')"
        if not self.parts.loss.standardized:
            return f"PCA does not have the loss {self.estimator.loss!r}"
        if not self.parts.has_rival:
            return "PCA has no such bottleneck or penalty"
        return "no rows were held out (early_stopping)"

    def _finish(self):
        """Learn what is asked for besides the net, once that is settled."""
        rows = self._plain(self.rows)
        self._measure_shares(rows)
        if self.estimator.density is not None:
            seed = self.streams.split_seed % 2**32
            self.density = fit_density(
                self.estimator.density, self.net, rows, self.start.scale, seed
            )

    def _plain(self, rows):
        """Return rows as the net wants them, not corrupted."""
        return self._standardized(rows).copy(corrupt=None)

    def _measure_shares(self, rows):
        """Set the share of the variance that each component adds, and `n_kept`."""
        is_pca = self.verdict.proven is False
        if not self.parts.bottleneck.is_ordered:
            shares = self.start.shares() if is_pca else explained_shares(self.net, rows)
            self.explained_variance_ratio = shares
            return
        shares, wanted = ordered_shares(self.net, rows), self.estimator.n_components
        if isinstance(wanted, float):
            judges = self.held_out and self._plain(self.held_out)
            self.n_kept = count_kept(self.net, shares, wanted, judges, is_pca=is_pca)
            self.net.module_.n_kept = self.n_kept
        self.explained_variance_ratio = np.diff(shares, prepend=0.0)[: self.n_kept]

    def _advise(self):
        """Warn of what is odd about the data or the code."""
        if self.interrupted:
            return
        if not self.data.form.is_image and self.parts.loss.standardized:
            names = getattr(self.estimator, "feature_names_in_", None)
            advise_on_columns(self.rows, names)
        rows = self._plain(self.rows).thinned(ROWS_TO_ADVISE_BY)
        spread = self.net.code_spread(rows)
        advise_on_code(spread, self.start, self.parts.bottleneck.has_prior)
        is_trained = self.verdict.proven is not False and self.start.spread.any()
        if self.recipe["network"] == "mlp" and is_trained:
            few = rows.take(slice(0, 500))[0]
            advise_on_units(self.net.module_, few.to(self.plan.device))

    def _standardized(self, rows):
        """Return rows as the net wants them."""
        return standardized(rows, self.start, self.net.dtype(), self.spoil)

    def fitted_attributes(self):
        """Return what the estimator learns from this fit."""
        return {
            **described(self.net, self.start, self.data.form, self.n_kept),
            "_streams": self.streams if self._may_go_on() else None,
            "_target_form": self.data.target_form,
            "_seen": self.data.seen,
            "_structure": {name: self._as_it_was(name) for name in SHAPING},
            "_stream": self.stream,
            "_dtype": self.rows.output.result_dtype(),
            "_X_dtype": self.rows.result_dtype(),
            "verdict_": self.verdict.sentence,
            "explained_variance_ratio_": self.explained_variance_ratio,
            "density_": self.density,
            "batch_size_": self.plan.batch_size,
            "proven_": self.verdict.proven,
            "pca_loss_": self.verdict.pca_loss,
            "best_epoch_": self.trained.best_epoch,
        }

    def _as_it_was(self, name):
        """Return a parameter, or a copy of a part, which may be changed after fit."""
        value = getattr(self.estimator, name)
        return clone(value) if isinstance(value, Part) else value

    def _present_attributes(self):
        """Return what the estimator would have learnt if training stopped now."""
        attributes = self.fitted_attributes()
        return {**attributes, "net_": self.net.snapshot()}


def described(net, start, form, n_kept):
    """Return the fitted attributes that follow from the net and its start."""
    losses = net.history
    return {
        "net_": net,
        "_start": start,
        "_form": form,
        "image_shape_": form.image_shape,
        "channel_order_": form.channel_order,
        "n_components_": n_kept or len(start.spread),
        "scale_": start.scale,
        "precision_": net.precision_,
        "device_": str(net.device),
        "n_epochs_": len(losses),
        "loss_curve_": [float(epoch["train_loss"]) for epoch in losses],
        "validation_loss_curve_": [
            float(epoch["valid_loss"]) for epoch in losses if "valid_loss" in epoch
        ],
    }
