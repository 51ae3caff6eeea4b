"""One call of `partial_fit`: a piece of rows, beside PCA of all pieces so far."""

import copy

from skae._fitting.fitting import Fitting
from skae._fitting.stream import ROWS_TO_COMPARE_BY, Stream, losses_above, split_piece
from skae._fitting.user_callbacks import check_monitors, warn_if_untrained
from skae._fitting.verdict import Verdict

__all__ = ["PieceFitting"]

SLACK = 0.005  # of the loss; rows that PCA has seen flatter it


class PieceFitting(Fitting):
    """One call of `partial_fit`.

    Parameters and attributes are those of `Fitting`.
    """

    is_partial = True

    def fit(self, previous=None, stream=None):
        """Train one epoch on the piece; `stream` knows the rows of earlier calls.

        Where PCA is a rival, the start is PCA of all rows so far until there are enough
        of them, and again whenever the network turns out to be worse.
        """
        check_monitors(self.estimator.callbacks, "partial_fit holds out no rows")
        with self._begun(self.rows, 1, previous):
            if self._may_settle():
                self._settle(stream, previous)
            if self.stream is None:
                self._run_piece(self.rows)
            elif self.stream.is_trained:
                self._advance()
            else:
                warn_if_untrained(self.estimator.callbacks, self.stream.n_samples)
            if self._is_far_below():
                self._start_again()
            self.verdict = Verdict.of_piece(self.stream)
            self._measure_shares(self._plain(self.rows))
        return self

    def _advance(self):
        """Train one epoch, and undo it if rows that were held out of it get worse."""
        learnt, valid = split_piece(self.rows, self.streams.split_seed)
        if valid is None or self.parts.has_costs:  # which the loss does not show
            self._run_piece(self.rows)
            return
        valid, module = self._standardized(valid), self.net.module_
        before, loss = copy.deepcopy(module.state_dict()), self._mean_loss(valid)
        self._run_piece(learnt)
        if self._mean_loss(valid) > loss:
            module.load_state_dict(before)
            self.stream.lose()

    def _run_piece(self, rows):
        """Train one epoch on some rows of a piece."""
        is_auto = self.estimator.learning_rate == "auto"
        self._run(rows, None, self._schedule(len(rows)) if is_auto else None)

    def _may_settle(self):
        """Tell whether PCA of all rows so far is a rival that one asked for."""
        is_wanted = self.estimator.early_stopping is not False
        return is_wanted and self.estimator.init == "pca" and self.parts.keeps_pca

    def _settle(self, stream, previous):
        """Take the rows into the stream, and begin where they say."""
        if stream is None and previous is not None:
            stream = Stream.after_fit(self.start)
        elif stream is None:
            target = self.rows.target
            n_targets = 0 if target is None else target.n_features
            stream = Stream.empty(self.rows.n_features, n_targets)
        self.stream = stream.with_rows(self.rows, len(self.start.spread))
        if not stream.is_trained:
            if stream.n_samples > 0:
                self._start_again()
            self.stream.is_trained = self.stream.is_settled()
        elif stream.n_samples > 0:
            is_worse = self.stream.is_worse(self._lags(stream))
            if is_worse:
                self._start_again()
            elif is_worse is not None:
                self.stream.earn()
        if self.estimator.learning_rate == "auto":
            self.plan.learning_rate *= self.stream.rate

    def _lags(self, stream):
        """Return by how much the loss of each row is above that of PCA of a stream."""
        start = stream.start(len(self.start.spread))
        return losses_above(self.net, start, self._standardized(self.rows))

    def _is_far_below(self):
        """Tell whether training has left the rows worse than PCA by more than slack."""
        if self.stream is None or len(self.rows) < ROWS_TO_COMPARE_BY:
            return False
        return self._lags(self.stream).mean() > SLACK

    def _start_again(self):
        """Make the net PCA of all rows of the stream."""
        start = self.stream.start(len(self.start.spread))
        self._rebuild(self._new(self.rows), start)
        self.stream.lose()
