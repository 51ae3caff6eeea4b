"""What a net answers: outputs, codes and losses of rows, while it learns and after."""

import copy
from contextlib import nullcontext

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.metrics import r2_score
from skorch import NeuralNet

from skae._data.rows import Rows, RowsAsDataset
from skae._runtime import count_products, in_halves

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
    "slow_": {},
    "penalty_": None,
    "compiled_": None,
    "n_parts_": 1,
    "seen_": {},
    "late_error_": None,
    "verbose": 0,
}


class InferenceNet(NeuralNet):
    """skorch's net for autoencoders, without the training.

    What it takes are rows in its own units: flat, standardised if its loss is. Whoever
    builds it sets `precision_`.
    """

    precision_ = "float32"
    streams_ = None
    n_products_ = None
    exact_ = None

    def infer(self, x, **fit_params):
        """Return the output of the decoder for a batch of X."""

        def output(x):
            return self.module_.decode(self.module_.encode(x))

        dtype = getattr(torch, self.dtype())
        x = torch.as_tensor(x, dtype=dtype, device=self.device)
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

    # What skorch offers of a net

    def get_dataset(self, X, y=None):
        """Return rows, an array or a tensor in the net's units, as Rows."""
        if isinstance(X, RowsAsDataset):
            return X.rows
        if isinstance(X, Rows):
            return X
        if isinstance(X, torch.Tensor):
            X = X.detach().cpu().to(getattr(torch, self.dtype())).numpy()
        X = X.tocsr() if sp.issparse(X) else np.asarray(X)
        rows = Rows(X, dtype=self.dtype())
        n_features = self.module_.recipe["arguments"]["n_features"]
        if X.ndim < 2 or rows.n_features != n_features:
            raise ValueError(
                f"X has the shape {X.shape}; the net takes rows of {n_features} "
                "numbers, standardised as (X - mean_) / scale_. For X as it is use "
                "transform, reconstruct or score of the estimator."
            )
        return rows

    def forward_iter(self, X, training=False, device="cpu"):
        """Yield the output for each block of X, before the link of the loss.

        Parameters
        ----------
        X : {array-like, tensor, sparse matrix} of shape (n_samples, n_features)
            Standardised rows.

        training : bool, default=False
            Whether the network is in its training mode and gradients are kept.

        device : str, default="cpu"
            Where the outputs are put.
        """
        for batch in self.get_dataset(X).blocks():
            yield self.evaluation_step(batch, training=training).to(device)

    def evaluation_step(self, batch, training=False):
        """Return the output for a batch; all modules keep the mode they are in."""
        modes = [(module, module.training) for module in self.module_.modules()]
        self.module_.train(training)
        try:
            with torch.set_grad_enabled(training):
                return self.infer(batch[0])
        finally:
            for module, mode in modes:
                module.training = mode

    def predict_proba(self, X):
        """Return reconstructions in the units of the target, as `predict` does.

        Parameters
        ----------
        X : {array-like, tensor, sparse matrix} of shape (n_samples, n_features)
            Standardised rows.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_outputs)
            Standardised too, unless the loss has a link.
        """
        link = self.criterion_.inverse_link
        with torch.no_grad():
            parts = [link(output.detach()).cpu() for output in self.forward_iter(X)]
        return torch.cat(parts).numpy()

    def score(self, X, y=None):
        """Return R^2 over all cells of what is to be rebuilt: y, or X itself."""
        if y is None and not self.criterion_.standardized:
            raise ValueError(
                "score of net_ needs y: what is to be rebuilt, in its own units, as "
                "the loss has a link. score of the estimator takes X as it is."
            )
        if y is None:
            y = RowsAsDataset(self.get_dataset(X)).y
        return float(r2_score(y, self.predict(X), multioutput="variance_weighted"))

    def check_training_readiness(self):
        """Raise if the net is one that a fit has left: it has no data and no plan."""
        if self.initialized_ and self.streams_ is None:
            raise NotImplementedError(
                "net_ is what a fit has left behind and is not trained by itself. To "
                "go on with training use partial_fit of the estimator, or fit with "
                "warm_start=True."
            )
        super().check_training_readiness()

    # What a fit asks of it

    def snapshot(self):
        """Return a copy for use, which further training does not change."""
        net, module = object.__new__(type(self)), copy.deepcopy(self.module_).eval()
        own = {**_parts_of(module), "history_": copy.copy(self.history)}
        net.__dict__.update(self.__dict__ | NOT_IN_TRAINING | {"exact_": None} | own)
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
        return self._of_each(rows, self.module_.encode)

    def _of_each(self, rows, function):
        """Return what a function makes of each row, as an ndarray."""
        self.module_.eval()
        with torch.no_grad():
            found = [in_halves(function, x.to(self.device)) for x, _ in rows.blocks()]
        return torch.cat(found).cpu().double().numpy()

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
        mean = np.average(code, axis=0, weights=weight)
        return np.sqrt(np.average((code - mean) ** 2, axis=0, weights=weight))

    def prior_spread(self, rows):
        """Return the root mean square of drawn codes, ndarray (n_components,).

        None if the bottleneck does not tell.
        """
        module, rows = self.module_.eval(), rows.copy(corrupt=None)

        def moments(x):
            return module.bottleneck.second_moment(module.encoded(x))

        with torch.no_grad():
            if moments(self.first_rows(rows)) is None:
                return None
        found = self._of_each(rows, moments)
        return np.sqrt(np.average(found, axis=0, weights=rows.weights()))

    # skorch nests a plain pickle inside its state, which loses classes that live in
    # __main__; plain attributes travel with any pickler. Tensors travel on the CPU, and
    # callbacks, which may hold what cannot be pickled, not at all.
    def __getstate__(self):
        is_in_training = self.streams_ is not None
        state = {**self.__dict__, **NOT_IN_TRAINING, "exact_": None}
        if is_in_training or torch.device(self.device).type != "cpu":
            module = copy.deepcopy(self.module_).cpu()
            module = module.eval() if is_in_training else module
            state |= {"device": "cpu", "optimizer_state_": None, **_parts_of(module)}
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __deepcopy__(self, memo):
        net = memo[id(self)] = object.__new__(type(self))
        shared = {"exact_": None, "callbacks_": list(self.callbacks_)}
        own = {name: x for name, x in self.__dict__.items() if name not in shared}
        net.__dict__.update(copy.deepcopy(own, memo), **shared)
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
