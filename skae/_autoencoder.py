"""`AutoencoderTransformer`: what users hold."""

import copy
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae import _validation as check
from skae._callbacks import SklearnCallbacks
from skae._fitting import SOLVERS, Fitting, solver_class_and_options
from skae._images import (
    check_form_suits,
    check_image_shape,
    check_image_values,
    full_range,
    read_image_form,
)
from skae._pca_start import fit_mean
from skae._runtime import (
    RandomStreams,
    choose_threads,
    count_products,
    inference_modes,
    torch_threads,
)
from skae._training import Rows
from skae._validation import (
    CallbackSupportMixin,
    Interval,
    Options,
    StrOptions,
    fit_context,
)
from skae.losses import LOSSES, CallableLoss, Loss
from skae.networks import ACTIVATIONS, NETWORKS, Decoder, Encoder


class AutoencoderTransformer(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """Dimensionality reduction with an autoencoder that starts as PCA.

    An encoder turns each row of X into a code of `n_components` numbers, a decoder
    turns the code back into a row, and both are trained to make the two rows alike.
    What training learns is kept only where rows that were held out show that it
    reconstructs better than PCA; otherwise the model is PCA (`proven_` says which).

    Wherever X is asked for it may also be images, of shape (n_samples, height, width),
    (n_samples, height, width, n_channels) or (n_samples, n_channels, height, width),
    or signals. Their features are the pixels of all channels.

    Read more in the :doc:`user guide </user_guide>`.

    Parameters
    ----------
    n_components : int, default=2
        Size of the code. It may exceed the number of features, with a warning.

    network : {"auto", "mlp", "conv"} or callable, default="auto"
        What encodes and decodes. "mlp" is fully connected, "conv" convolutional, for
        images and signals; "auto" is "conv" for these, else "mlp". A class or function
        is called as ``network(n_features=..., n_components=...)`` and returns an
        `nn.Module` with ``encode(X)`` and ``decode(code)``; it sees flat rows of X,
        centred and scaled. A module that is already built is refused.

    image_shape : tuple of int, default=None
        Shape of one image or signal where X is flat: (height, width), three numbers
        with the channels, or (length,). None takes it from X.

    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image has the channels. "auto" takes the first or last one if
        it has at most 4 entries and the other more; two axes of more are height and
        width. An array of images of three axes that leaves it open is refused.

    hidden_layer_sizes : "auto" or tuple of int, default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. ``()`` is a
        linear autoencoder. For "mlp", "auto" is ``(128, 128, 64)``, or
        ``(256, 256, 128)`` from 20,000 rows on, with no width below `n_components`.
        For "conv" they are the channels after each convolution (see
        `skae.networks.ConvAutoencoder`), and "auto" is ``(16, 32)`` for images of up to
        40 x 40 pixels, with another 64 for each doubling of the side.

    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, \
            default="silu"
        What follows each hidden layer. Not for a network of your own.

    init : {"pca", "random"}, default="pca"
        "pca" puts a linear path beside each half of the network; these paths start as
        PCA's projection and reconstruction and the network at zero, so that the whole
        starts as PCA. "random" starts the network alone, at random weights.

    loss : {"squared_error", "absolute_error", "huber", "log_loss"}, Loss or callable, \
            default="squared_error"
        What training minimises; each is a mean over features. "log_loss" needs X in
        [0, 1], or images of a dtype of pixels. A callable gets ``(output, X)``, tensors
        of shape (n_samples, n_features) in standardised units, and returns one number
        per sample.

    alpha : "auto" or float, default="auto"
        Weight decay, in [0, inf). "auto" is ``((n_features + 200) / n_samples)**2``,
        at least 0.01 and at most 1; for ``network="conv"`` it is the root of
        ``7500 / n_samples``, at most 1. It is 0.01 in `partial_fit`, and 0 for solvers
        other than AdamW, where decay works on the gradient.

    solver : {"adamw", "adam", "sgd"} or torch optimizer class, default="adamw"
        "adamw" and "adam" have betas of 0.8 and 0.9, as training is short; "sgd" has a
        Nesterov momentum of 0.9.

    learning_rate : "auto" or float, default="auto"
        Step size of the solver, in (0, inf); the largest one if there is a schedule.
        "auto" is 0.003 for ``network="conv"``, whose layers are wider, else 0.01.

    schedule : {"one_cycle", "constant"}, default="one_cycle"
        "one_cycle" raises the learning rate over the first tenth of all steps and
        lowers it to zero afterwards, both along a line.

    batch_size : "auto" or int, default="auto"
        Rows in a step. "auto" is all rows below 100, else an eighth of them, at least
        16 and at most 128; from 20,480 rows on, but not for ``network="conv"``, a 160th
        of them, at most 512. A last batch of one row joins the one before.

    max_epochs : "auto" or int, default="auto"
        Most passes over the data. "auto" is 18; more, up to 100, while all together
        take less than 1e10 operations; fewer where they make more than 20,000 steps.

    tol : float, default=1e-4
        An epoch counts as an improvement if its loss is smaller than the best so far by
        more than `tol` times that.

    early_stopping : "auto" or bool, default="auto"
        Whether to hold rows out, to stop by them and to judge by them. "auto" does from
        160 rows on; with fewer rows, ``init="pca"`` and a loss in standardised units
        nothing is trained and the model is PCA. False trains on all rows and judges
        nothing.

    validation_fraction : float, default=0.1
        Share of the rows held out, in (0, 1), drawn at random. With
        ``early_stopping="auto"`` at least 40 and at most 5000 rows.

    n_iter_no_change : "auto" or int, default="auto"
        Epochs in a row without an improvement (of the held-out loss if there is one,
        else of the training loss) after which training stops. "auto" is 10 with
        ``schedule="constant"``; with "one_cycle" all epochs are trained, as the last
        ones, with small steps, gain most.

    precision : {"auto", "mixed", "float32", "float64"}, default="auto"
        Of weights and training. "auto" is the dtype of X for fits of about a second,
        then "mixed" where the hardware multiplies bfloat16 matrices and the network is
        wide enough, else "float32". Codes and reconstructions have the dtype of X and
        are never computed in less than float32.

    device : str or torch.device, default="cpu"
        Where to compute; "auto" takes a GPU if there is one.

    n_jobs : int, default=None
        Threads of torch. None is one for small networks; for large ones torch's own
        setting, but (on Linux) not more than there are free cores when the work
        begins. -1 is torch's own setting.

    warm_start : bool, default=False
        Whether `fit` goes on from the previous solution (which PCA of the new rows
        replaces where it is not proven, or where they are too few to judge by).

    callbacks : list of skorch callbacks, default=None
        Copied for each fit. Those that score need ``use_caching=False``. scikit-learn's
        callbacks are set by `set_callbacks`.

    verbose : int or bool, default=0
        Above 0, a line shows progress.

    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, held-out rows and order of rows. The same int gives the
        same bytes, whatever torch's and NumPy's global generators.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; the network is its ``module_``.

    encoder_ : torch.nn.Module
        From X (a tensor in the space of the data) to code; a copy at each access.

    decoder_ : torch.nn.Module
        From code to X in the space of the data; a copy at each access.

    proven_ : bool or None
        True if held-out rows showed, by more than two standard errors, that the network
        reconstructs better than PCA of that size. If False, the model is PCA of all
        rows. None if it was not judged: nothing held out, ``init="random"``,
        `partial_fit`, or a loss with a link ("log_loss").

    pca_loss_ : float or None
        PCA's loss on the held-out rows, to compare with `validation_loss_curve_`.

    n_components_ : int
        Size of the code.

    mean_ : ndarray of shape (n_features,)
        Mean of the training data, by which the network's input is centred. White is 1
        where X had a dtype of pixels.

    scale_ : float
        The one number by which the network's input is divided: the root of the mean
        variance of the features; 1.0 if all are constant.

    components_ : ndarray of shape (n_components, n_features)
        Principal axes of the training data, zero beyond its rank. With ``init="pca"``
        the linear paths started from them.

    explained_variance_ : ndarray of shape (n_components,)
        Variance along each axis, with n_samples as the denominator.

    n_epochs_ : int
        Number of epochs trained; 0 if there were too few rows to judge, or if PCA of
        that size loses nothing of them.

    best_epoch_ : int
        The epoch whose weights were kept; 0 is the start.

    loss_curve_ : list of float
        Training loss of each epoch. All losses are in standardised units, in which PCA
        without components has a squared error of one.

    validation_loss_curve_ : list of float
        Held-out loss of each epoch; empty if nothing was held out.

    history_ : DataFrame
        One row per epoch: number, seconds, losses and, if it was judged, PCA's
        held-out loss (the same in all rows).

    batch_size_ : int
        Rows in a step.

    precision_ : {"mixed", "float32", "float64"}
        Precision of the last fit.

    device_ : str
        Device of the net.

    image_shape_ : tuple of int or None
        Shape of one image or signal, with its channels; None if X was a table.

    channel_order_ : {"first", "last"} or None
        Where the channels were taken to be; None if there is no axis for them.

    n_features_in_ : int
        Number of features seen during :term:`fit`; of images, pixels times channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during :term:`fit`, if they are all strings.

    See Also
    --------
    sklearn.decomposition.PCA : The best linear autoencoder.
    sklearn.decomposition.KernelPCA : A non-linear code without a trained decoder.
    sklearn.neural_network.MLPRegressor : A network that can be fitted to (X, X), but
        has no `transform`.

    Notes
    -----
    Images of the dtypes uint8, uint16 and bool are divided by what is white in their
    dtype (255, 65535, 1), one batch at a time, here and in all methods; images of other
    dtypes are taken as they are. `inverse_transform` and `reconstruct` undo it.

    With standardised rows x = (X - mean_) / scale_, training minimises the mean over
    rows of loss(output, x), where with ``init="pca"``

        z = A x + f(x),    output = B z + b + g(z),    code = scale_ u z.

    f and g are the two halves of the network, whose last layers start at zero. A and B
    start as PCA's projection to unit variance and its reconstruction. Where the model
    is PCA, u is the spread s along each axis, and the code is PCA's. For a network it
    makes the spread of the code half-way between that and a whitened one, scale_ times
    sqrt(s_1 s_j): the first component has the units of the data, and small ones are
    not lost beside it in a distance. With ``init="random"``, z = f(x), output = g(z)
    and u = 1.

    Held-out rows judge by a one-sided paired t test of the loss per row against PCA of
    the training rows, at the level that two standard errors have in a large sample.

    References
    ----------
    Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with neural
    networks", Science 313.

    Loshchilov and Hutter (2019), "Decoupled weight decay regularization", ICLR.

    Smith and Topin (2019), "Super-convergence: very fast training of neural networks
    using large learning rates".

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> angle = np.linspace(0, 2 * np.pi, 200)
    >>> circle = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    >>> autoencoder = AutoencoderTransformer(n_components=1, random_state=0).fit(circle)
    >>> autoencoder.transform(circle).shape
    (200, 1)
    >>> autoencoder.proven_  # better than PCA, on rows held out
    True
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "network": [StrOptions({"auto", *NETWORKS}), callable],
        "image_shape": [tuple, list, None],
        "channel_order": [StrOptions({"auto", "first", "last"})],
        "hidden_layer_sizes": [tuple, list, StrOptions({"auto"})],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "init": [StrOptions({"pca", "random"})],
        "loss": [StrOptions(set(LOSSES)), callable],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "solver": [StrOptions(set(SOLVERS)), callable],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "schedule": [StrOptions({"one_cycle", "constant"})],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "precision": [StrOptions({"auto", "mixed", "float32", "float64"})],
        "device": [str, torch.device],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Options(Integral, {-1}),
            None,
        ],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components=2,
        *,
        network="auto",
        image_shape=None,
        channel_order="auto",
        hidden_layer_sizes="auto",
        activation="silu",
        init="pca",
        loss="squared_error",
        alpha="auto",
        solver="adamw",
        learning_rate="auto",
        schedule="one_cycle",
        batch_size="auto",
        max_epochs="auto",
        tol=1e-4,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change="auto",
        precision="auto",
        device="cpu",
        n_jobs=None,
        warm_start=False,
        callbacks=None,
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.network = network
        self.image_shape = image_shape
        self.channel_order = channel_order
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.loss = loss
        self.alpha = alpha
        self.solver = solver
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.precision = precision
        self.device = device
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn to encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Training data of any real dtype; never copied as a whole.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, the mean, the scale and PCA. A row of
            weight zero counts as absent.

        Returns
        -------
        self : AutoencoderTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter cannot be used, or if training diverges.

        TypeError
            If `network` is an instance, or `solver` not an optimizer class.

        KeyboardInterrupt
            On Ctrl-C, after the best epoch so far was restored: the estimator is
            fitted.
        """
        previous = self._previous() if self.warm_start else None
        with self._features_kept_on_error():
            fitting = self._fitting(X, sample_weight, reset=previous is None)
            fitting.fit(previous)
        return self._publish(fitting)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train one more epoch on X, at a constant learning rate.

        The first call sets the mean, the scale and the linear start from its X. Nothing
        is held out, so nothing is judged (`proven_` is None).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Training data of any real dtype.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss.

        Returns
        -------
        self : AutoencoderTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter cannot be used, or if training diverges; the estimator
            is then as it was before the call.
        """
        previous = self._previous()
        with self._features_kept_on_error():
            fitting = self._fitting(X, sample_weight, reset=previous is None)
            fitting.partial_fit(previous)
        return self._publish(fitting)

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data; zero rows are allowed.

        Returns
        -------
        code : ndarray of shape (n_samples, n_components)
            In the dtype of X if that is float32 or float64, float32 for images of
            uint8, uint16 and bool, else float64. Where the model is PCA, this is what
            PCA returns, in the units of the data; else see Notes.
        """
        rows = self._check_rows(X)
        code = np.empty((len(rows), self.n_components_), rows.dtype)
        self._map(lambda module, x, target: module.encode(x), rows, out=code)
        code *= self.scale_
        return code

    def inverse_transform(self, X, *, as_float=False):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them.

        as_float : bool, default=False
            Whether images come in the dtype of the codes instead of that which `fit`
            saw: not rounded or clipped, white being 1 where `fit` saw a dtype of
            pixels.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), or that of the images
            Reconstructions in the space of the data. Rows have the dtype of the codes,
            images the shape and the dtype that `fit` saw.
        """
        check_is_fitted(self)
        code = check.check_code(self, X)
        rows = Rows(code, scale=self.scale_)
        rows = rows.copy(dtype=rows.result_dtype())
        return self._reconstruct(
            lambda module, code: module.decode(code), rows, as_float
        )

    def reconstruct(self, X, *, as_float=False):
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data; zero rows are allowed.

        as_float : bool, default=False
            As for `inverse_transform`.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), or that of the images
            What ``inverse_transform(transform(X))`` returns.
        """
        return self._reconstruct(_output, self._check_rows(X), as_float)

    def reconstruction_error(self, X, *, per_feature=False):
        """Return the squared error of the reconstruction, whatever the loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data.

        per_feature : bool, default=False
            Whether to return the error of each feature instead of their mean.

        Returns
        -------
        error : ndarray of shape (n_samples,) or of the shape of X
            In squared units of the data (where `fit` saw a dtype of pixels, white is
            1); lower is better. With `per_feature`, images give heat maps.
        """
        rows = self._check_rows(X)
        shape = (len(rows), *self._row_shape()) if per_feature else len(rows)

        def squared(module, x, target):
            square = self._residual(module, x, target).square()
            return square if per_feature else square.mean(1)

        return self._map(squared, rows, out=np.empty(shape)) * self.scale_**2

    def score_samples(self, X):
        """Return minus the loss of each row: the higher, the better it is rebuilt.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data.

        Returns
        -------
        score : ndarray of shape (n_samples,)
            In the units of the loss, for ``"squared_error"`` the squared units of the
            data. A callable loss is in standardised units.
        """
        rows = self._check_rows(X)
        loss = self.net_.criterion_
        losses = self._map(
            lambda module, x, target: loss(_output(module, x), target),
            rows,
            out=np.empty(len(rows)),
        )
        return -losses * self.scale_**loss.degree

    def score(self, X, y=None, sample_weight=None):
        """Return the share of the variance of X that the reconstruction explains.

        It is R^2 over all cells of X: 1 for a perfect reconstruction, 0 for one no
        better than the mean of each feature, negative for a worse one. For PCA it is
        the sum of `explained_variance_ratio_` on its training data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            At most 1; greater is better.
        """
        rows = self._check_rows(X, min_samples=1)
        weight = check.check_weight(sample_weight, rows.X)
        mean = fit_mean(rows.copy(sample_weight=weight, dtype="float64"))

        def squares(module, x, target):
            error = self._residual(module, x, target).square().sum(1)
            return torch.stack([error, (x - mean.to(x)).square().sum(1)], 1)

        sums = self._map(squares, rows, out=np.empty((len(rows), 2)))
        with np.errstate(invalid="ignore"):  # rows beyond what squares can hold
            error, total = weight @ sums
        if not np.isfinite(error):
            return -np.inf
        if total > 0:
            return float(1 - error / total)
        return 1.0 if error == 0 else 0.0

    @property
    def encoder_(self):
        """A copy of the encoder as a torch module: data in, code out."""
        module = copy.deepcopy(self.net_.module_)
        return Encoder(module, *self._standardization()).eval()

    @property
    def decoder_(self):
        """A copy of the decoder as a torch module: code in, data out."""
        module, loss = copy.deepcopy(self.net_.module_), self.net_.criterion_
        return Decoder(module, *self._standardization(), loss, self._row_shape()).eval()

    @property
    def history_(self):
        """One row per epoch: number, seconds, losses, and PCA's held-out loss."""
        import pandas as pd

        history = pd.DataFrame([dict(epoch) for epoch in self.net_.history])
        columns = ["epoch", "dur", "train_loss"]
        if "valid_loss" in history:
            columns.append("valid_loss")
        history = history.reindex(columns=columns)
        if self.pca_loss_ is not None:
            history["pca_loss"] = self.pca_loss_
        return history

    # Fit

    @contextmanager
    def _features_kept_on_error(self):
        """Let a fit that fails leave a fitted estimator with the features it knows."""
        names = ("n_features_in_", "feature_names_in_")
        known = {name: vars(self)[name] for name in names if name in vars(self)}
        try:
            yield
        except Exception:
            if hasattr(self, "net_"):
                vars(self).pop("feature_names_in_", None)
                vars(self).update(known)
            raise

    def _previous(self):
        """Return the net and the start of an earlier fit, or None."""
        if not hasattr(self, "net_"):
            return None
        return self.net_, self._start

    def _fitting(self, X, sample_weight, *, reset):
        """Check all arguments and return the fit, ready to run."""
        check.check_network(self.network)
        check.check_device(self.device)
        check.check_loss(self.loss)
        check.check_callbacks(self.callbacks)
        check.check_solver(solver_class_and_options(self.solver)[0], self.alpha)
        check.check_hidden_layer_sizes(self.hidden_layer_sizes)
        check_image_shape(self.image_shape)
        form = None if reset else self._form
        X, sample_weight = check.check_training_input(
            self, X, sample_weight, reset=reset, form=form
        )
        if reset:
            form = read_image_form(X, self.image_shape, self.channel_order)
            check_form_suits(form, self.network, self.channel_order)
            check.check_n_components(self.n_components, self.n_features_in_)
        else:
            check.check_same_structure(self, self._structure)
        loss = self._loss()
        check.check_loss_result(loss, self.n_features_in_)
        data = self._rows(X, form, sample_weight, standardized=loss.standardized)
        check.check_target_range(X, loss, self.loss, data.full_range)
        if form is not None and not reset:
            check_image_values(X, form)
        report = None
        if hasattr(self, "_init_callback_context"):
            report = SklearnCallbacks(self, data)
        return Fitting(self, data, loss, self._random_streams(reset), form, report)

    @staticmethod
    def _rows(X, form, sample_weight, *, standardized):
        """Return X as rows that are not standardised yet."""
        white = None if form is None else full_range(X.dtype)
        return Rows(
            X, sample_weight, full_range=white, standardized_target=standardized
        )

    def _loss(self):
        if isinstance(self.loss, str):
            return LOSSES[self.loss]()
        return self.loss if isinstance(self.loss, Loss) else CallableLoss(self.loss)

    def _random_streams(self, reset):
        """Return new random streams, or those left behind by the fit to go on from."""
        if not reset and self._streams is not None:
            return copy.deepcopy(self._streams)  # a fit that fails changes nothing
        random_state = check_random_state(self.random_state)
        return RandomStreams(random_state.randint(np.iinfo(np.int32).max))

    def _publish(self, fitting):
        """Take over what a fit has found; raise if Ctrl-C ended it."""
        vars(self).update(fitting.fitted_attributes())
        if fitting.interrupted:
            raise KeyboardInterrupt
        return self

    # Use

    def _check_rows(self, X, *, min_samples=0):
        """Return X as rows for the fitted net."""
        check_is_fitted(self)
        X = check.check_input(
            self, X, reset=False, form=self._form, min_samples=min_samples
        )
        if self._form is not None:
            check_image_values(X, self._form)
        standardized = self.net_.criterion_.standardized
        rows = self._rows(X, self._form, None, standardized=standardized)
        return rows.copy(mean=self.mean_, scale=self.scale_, dtype=rows.result_dtype())

    def _map(self, function, rows, out, finish=lambda result: result):
        """Write ``function(module, X, target)`` of each batch of rows into `out`.

        `finish` turns the array of a batch into what is written.
        """
        net, module = self.net_, self.net_.module_
        if rows.dtype == "float64" and net.dtype() == "float32" and net.has_float64():
            module = copy.deepcopy(module).double()  # exact whatever the batch
        else:
            rows = rows.copy(dtype=net.dtype())
        blocks = rows.blocks(width=self.n_features_in_)
        work = 2 * count_products(module) * blocks.batch_size
        n_threads = choose_threads(self.n_jobs, work)
        start = 0
        with inference_modes(), torch_threads(n_threads):
            for x, (target, _) in blocks:
                result = function(module, x.to(net.device), target.to(net.device))
                part = out[start : start + len(x)]
                part[:] = finish(result.cpu().numpy()).reshape(part.shape)
                start += len(x)
        return out

    def _reconstruct(self, function, rows, as_float):
        """Return the output that `function` computes, in data space."""
        loss, dtype = self.net_.criterion_, np.dtype(rows.dtype)
        mean = self.mean_.astype(dtype)
        restores = self._form is not None and not as_float

        def finish(X_hat):
            X_hat = X_hat.astype(dtype, copy=False)
            if loss.standardized:
                X_hat = X_hat * dtype.type(self.scale_) + mean
            return self._form.restore(X_hat) if restores else X_hat

        shape = len(rows), *self._row_shape()
        return self._map(
            lambda module, x, target: loss.inverse_link(function(module, x)),
            rows,
            out=np.empty(shape, self._form.dtype if restores else dtype),
            finish=finish,
        )

    def _row_shape(self):
        """Return the shape of a row of the X that `fit` saw."""
        return (self.n_features_in_,) if self._form is None else self._form.row_shape

    def _residual(self, module, x, target):
        """Return reconstruction minus data, in standardised units."""
        loss, output = self.net_.criterion_, _output(module, x)
        if loss.standardized:
            return output - target
        return (loss.inverse_link(output) - target) / self.scale_

    def _standardization(self):
        """Return mean and scale as tensors like the weights of the net."""
        weight = next(self.net_.module_.parameters())
        numbers = (self.mean_, self.scale_)
        return tuple(torch.tensor(x, dtype=torch.float64).to(weight) for x in numbers)

    # What scikit-learn asks

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _output(module, x):
    return module.decode(module.encode(x))
