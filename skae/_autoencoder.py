"""`AutoencoderTransformer`: what users hold."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae._data.intake import (
    check_n_samples,
    check_weight,
    features_kept_on_error,
    read_code_rows,
    read_compared_rows,
    read_rows,
    read_training_data,
)
from skae._files.pickles import pickled, unpickled
from skae._fitted import FittedAttributes, is_quantized
from skae._fitting.callbacks import SklearnCallbacks
from skae._fitting.density import check_density, draw_codes
from skae._fitting.fitting import Fitting
from skae._fitting.parameters import (
    check_n_components,
    check_parameters,
    check_same_structure,
)
from skae._fitting.parts import NAMED, check_parts, read_parts
from skae._fitting.pieces import PieceFitting
from skae._fitting.plan import SOLVERS
from skae._fitting.user_callbacks import copied
from skae._inference import (
    codes_between,
    encode,
    map_rows,
    output,
    output_shape,
    reconstruct,
    residual,
    squared_sums,
)
from skae._parts import check_nested
from skae._runtime import RandomStreams
from skae._sklearn import (
    BaseEstimator,
    CallbackSupportMixin,
    HasMethods,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    TransformerMixin,
    available_if,
    fit_context,
)
from skae._typing import (
    Activation,
    Array,
    ArrayLike,
    BottleneckName,
    ChannelOrder,
    CorruptionFunction,
    CorruptionName,
    Density,
    LossFunction,
    LossName,
    MatrixLike,
    NetworkFunction,
    PenaltyFunction,
    PenaltyName,
    RandomState,
    Sizes,
)
from skae.bottlenecks import BOTTLENECKS, Bottleneck
from skae.corruption import CORRUPTIONS, Corruption
from skae.losses import LOSSES, Loss
from skae.networks import ACTIVATIONS, NETWORKS
from skae.penalties import PENALTIES, Penalty

if TYPE_CHECKING:
    from skorch.callbacks import Callback
    from torch.optim import Optimizer


class AutoencoderTransformer(
    FittedAttributes,
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
    n_components : int, float or None, default=2
        Size of the code. It may exceed the number of features, with a warning. A number
        in (0, 1) asks for that share of the variance: it takes as many components as
        PCA needs for it on the training rows, so new rows are rebuilt a little worse.
        With ``bottleneck="ordered"`` it takes as few as the network needs, on held-out
        rows; on the training rows where none are held out (`early_stopping`, up to 600
        rows, `partial_fit`). None keeps all, ``min(n_samples, n_features)``, as in PCA.

    network : {"auto", "mlp", "conv"}, callable or pair of callables, default="auto"
        What encodes and decodes. "mlp" is fully connected, "conv" convolutional, for
        images and signals; "auto" is "conv" for these, else "mlp". A class or function
        is called as ``network(n_features=..., n_components=...)`` and returns an
        `nn.Module` with ``encode(X)`` and ``decode(code)``; it sees flat rows of X,
        centred and scaled. Of a pair (encoder, decoder) each is called so, and the
        `nn.Module` that it returns is called itself. A module that is already built is
        refused.

    image_shape : tuple of int, default=None
        Shape of one image or signal where X is flat: (height, width), three numbers
        with the channels, or (length,). None takes it from X.

    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image has the channels. "auto" takes the first or last one if
        it has at most 4 entries and the other more. Two axes of more are height and
        width, but sensors and steps of a signal if one has at most 16 entries and the
        other four times as many, unless X has a dtype of pixels. An array of images of
        three axes that leaves it open is refused.

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

    bottleneck : {"variational", "wae", "top_k", "vector_quantized", "ordered"} or \
            Bottleneck, default=None
        What makes the code of what the encoder says, and may charge for it (see
        `skae.bottlenecks`). Only for "ordered", as for None, does the network have to
        prove that it is better than PCA.

    loss : {"squared_error", "absolute_error", "huber", "log_loss", "poisson", \
            "negative_binomial", "cosine"}, Loss or callable, default="squared_error"
        What training minimises (see `skae.losses`). "log_loss" needs X in [0, 1], or
        images of a dtype of pixels; "poisson" and "negative_binomial" are for counts,
        which are never negative. A callable gets ``(output, X)``, tensors
        of shape (n_samples, n_features) in standardised units, and returns one number
        per sample.

    penalty : {"l1", "kl", "contractive", "decorrelation", "l2", "neighbours"}, \
            Penalty or callable, default=None
        What else is asked of the code (see `skae.penalties`). With a penalty the
        network does not have to prove that it is better than PCA. A callable gets
        ``(code, X, encode)`` and returns one number per sample.

    corruption : {"gaussian", "masking", "salt_and_pepper", "swap", "block_masking", \
            "down_up_sampling"}, Corruption or callable, default=None
        How rows are spoilt, anew for each batch, before the network sees them in
        training; it is to return them clean (see `skae.corruption`). Rows held out are
        spoilt too, always in the same way, to judge by. "block_masking" and
        "down_up_sampling" are for images. A callable gets ``(X, generator)``,
        standardised rows and a `torch.Generator`, and returns a tensor of that shape.

    density : {"gaussian_mixture"} or estimator with `fit` and `sample`, default=None
        What is fitted to the codes of at most 5000 training rows, for `sample` to draw
        from. "gaussian_mixture" is scikit-learn's with 10 components.

    alpha : "auto" or float, default="auto"
        Weight decay, in [0, inf). "auto" is ``((n_features + 200) / n_samples)**2``,
        at least 0.01 and at most 1; for ``network="conv"`` it is the root of
        ``7500 / n_samples``, at most 1. Layers of 1000 or more in `hidden_layer_sizes`
        get at least half of that, narrower ones less, and layers up to 300 nothing
        more. A fit of more epochs than ``max_epochs="auto"`` would take decays more by
        the root of that factor, up to 1, or 3 for "conv". It is 0.01 in `partial_fit`
        and for the bottlenecks "variational" and "wae", whose prior it would work
        against, and 0 for solvers other than AdamW, where decay works on the gradient.

    solver : {"adamw", "adam", "sgd"} or torch optimizer class, default="adamw"
        "adamw" and "adam" have betas of 0.8 and 0.9, as training is short; "sgd" has a
        Nesterov momentum of 0.9.

    learning_rate : "auto" or float, default="auto"
        Step size of the solver, in (0, inf); the largest one if there is a schedule.
        "auto" is 0.003 for ``network="conv"``, whose layers are wider, and for the
        losses of counts, which are steep, else 0.01; less for layers of more than 300
        in `hidden_layer_sizes`, 0.003 for layers of 1000; where rows judge by
        cross-fitting, 0.003 up to 150 of them, then in proportion; less where PCA
        leaves less than 0.3 % of the variance. Weights that X itself is multiplied by
        get a share of it, the smaller the further all values of a row swing together:
        the linear path at most 32, and the first layer of "mlp" at most 128, over
        ``sqrt(n_features)`` times the standardised spread along the first principal
        axis. A scheduler in `callbacks` that sets rates by number (OneCycleLR) sets
        all alike.

    schedule : {"one_cycle", "constant"}, default="one_cycle"
        "one_cycle" raises the learning rate over the first tenth of all steps and
        lowers it to zero afterwards, both along a line.

    batch_size : "auto" or int, default="auto"
        Rows in a step. "auto" is all rows below 100, else an eighth of them, at least
        16 and at most 128; from 20,480 rows on, but not for ``network="conv"``, a 160th
        of them, at most 512. For "conv" no more than hold two million pixels, but 16 at
        least. A last batch of one row joins the one before.

    max_epochs : "auto" or int, default="auto"
        Most passes over the data. "auto" is 18, or 36 with a `corruption`, as rows are
        new each time; more, up to 100, while all together take less than 1e10
        operations; fewer where they make more than 20,000 steps. Where rows judge by
        cross-fitting, up to 40, while those of a fold take less than 5e9. Four times as
        many with ``bottleneck="ordered"``.

    max_time : float, default=None
        Seconds that training may take, in (0, inf): it ends, with the best epoch so
        far, before an epoch that would end later if it took as long as the last one.
        One epoch is always trained. None is no limit. With a limit results depend on
        the speed of the machine, and with "one_cycle" steps are still large when it
        ends.

    checkpoint : str or path-like, default=None
        Folder in which `fit` keeps what it takes to go on after the process was killed:
        the same call, with the same data and parameters, then ends with the same bytes
        as if it had never been interrupted. Each fit has a file of its own there, which
        it removes at its end; so a grid search can share a folder. Cross-fitting begins
        anew (see `early_stopping`). A file that cannot
        be written (a full disk) is warned of. Of `callbacks` nothing is kept, nor of a
        GPU's random stream. None keeps nothing; `partial_fit` never does.

    checkpoint_every : int, default=1
        Epochs from one checkpoint to the next.

    tol : float, default=1e-4
        An epoch counts as an improvement if its loss is smaller than the best so far by
        more than `tol` times that.

    early_stopping : "auto" or bool, default="auto"
        Whether to hold rows out, to stop by them and to judge by them. "auto" does from
        601 rows on. Up to 600 rows judge by cross-fitting: each of 5 folds is held out
        once, and the network is trained on all rows for the number of epochs that was
        best for rows held out. That takes up to five times as long, so it is done where
        the folds take some seconds; and where PCA is a rival (see `proven_`), without
        `warm_start` and `callbacks`, which are of one training. Otherwise "auto" holds
        rows out from 160 on. With fewer rows than that, or than 20 for cross-fitting,
        nothing is trained and the model is PCA, if it is a rival. True holds out
        `validation_fraction`, of however few rows; False trains on all rows and judges
        nothing.

    validation_fraction : float, default=0.1
        Share of the rows held out, in (0, 1), drawn at random. With
        ``early_stopping="auto"`` at least 40 and at most 5000 rows. Not for rows that
        judge by cross-fitting.

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

    compile : bool or str, default=False
        Whether `torch.compile` compiles the training steps; a string names its backend.
        It takes up to a minute first, which only long fits of large networks earn back.

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
        Copied for each fit (see `callbacks_`), but for what they write to. A
        learning-rate schedule among them takes the place of `schedule`.
        scikit-learn's callbacks are set by `set_callbacks`.

    verbose : int or bool, default=0
        Above 0, one live line shows progress, in a terminal or a notebook. Nothing is
        written elsewhere, such as to a log, nor by worker processes.

    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, held-out rows and order of rows. The same int gives the
        same bytes, whatever torch's and NumPy's global generators.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; the network is its ``module_``. Its `predict`, `forward` and
        `score` take rows in the units of the net, flat and standardised:
        ``(X - mean_) / scale_``. It is trained further by the estimator only.

    callbacks_ : list of (str, skorch callback)
        Names and copies of `callbacks`, as the last fit has left them. Empty if nothing
        was trained, and after pickling or `load`.

    codebook_ : ndarray of shape (n_groups, n_codes, n_components / n_groups)
        With ``bottleneck="vector_quantized"``, the vectors that codes consist of.

    encoder_ : torch.nn.Module
        From X (a tensor in the space of the data) to code; a copy at each access.

    decoder_ : torch.nn.Module
        From code to X in the space of the data; a copy at each access.

    verdict_ : str
        The verdict in words, with the two losses and the standard error of the gain:
        whether the model is the network or PCA, and why. With a `corruption` it says
        what the held-out rows were spoilt by, and compares both on rows as they came.

    proven_ : bool or None
        True if held-out rows showed, by more than two standard errors, that the network
        reconstructs better than PCA of that size. If False, the model is PCA of all
        rows. None if it was not judged: nothing held out, ``init="random"``,
        `partial_fit`, a loss with a link ("log_loss"), a penalty, or a bottleneck that
        PCA does not have (any but "ordered"). With a `corruption` the held-out rows
        are spoilt by it: True then says that the network mends these better than PCA
        of the clean rows does, not that it is better on clean rows, nor on rows with
        other faults.

    validation_loss_ : float or None
        Smallest held-out loss of an epoch: that of the network that was kept or, where
        `proven_` is False, was not. None if nothing was held out. With a `corruption`
        it and `pca_loss_` are of spoilt rows.

    pca_loss_ : float or None
        PCA's loss on the held-out rows, to compare with `validation_loss_`; None if it
        was not judged.

    hidden_layer_sizes_ : tuple of int or None
        Widths of the encoder's hidden layers, or channels of its convolutions; None for
        a network of your own.

    n_parameters_ : int
        Number of weights that the solver trains: both halves of the network, the linear
        paths beside them, and what the loss learns.

    n_components_ : int
        Size of the code.

    mean_ : ndarray of shape (n_features,)
        Mean of the rows that the model is of, by which the network's input is centred:
        of those that were not held out where `proven_` is True, else, or after
        cross-fitting, of all. White is 1
        where X had a dtype of pixels. This attribute and the next ones have the dtype
        of X if that is float32, else float64.

    scale_ : float
        The one number by which the network's input is divided: the root of the mean
        variance of the features; 1.0 if all are constant.

    components_ : ndarray of shape (n_components, n_features)
        Principal axes of the same rows as `mean_`, zero beyond their rank. With
        ``init="pca"`` the linear paths started from them. Model files have them only on
        demand.

    explained_variance_ : ndarray of shape (n_components,)
        Variance along each axis, with n_samples as the denominator (PCA: n_samples -
        1). float64 where squares of a float32 X are beyond its dtype.

    singular_values_ : ndarray of shape (n_components,)
        Root of ``n_samples * explained_variance_``: those of the centred rows, as in
        PCA.

    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of the training rows, as in PCA, that each component adds
        to those before it. Where the model is PCA this is PCA's; for a network it is
        measured, on at most 2000 of all rows, held-out ones among them: with
        ``bottleneck="ordered"`` by what it decodes from the first components alone
        (between two sizes of an `OrderedBottleneck` the share is spread evenly), else
        by a linear reconstruction from the code, which explains less than the network
        does (`score`).

    density_ : estimator or None
        What `density` became.

    n_epochs_ : int
        Number of epochs trained; 0 if there were too few rows to judge, or if PCA of
        that size loses nothing of them. Where cross-fitting left the model PCA, those
        that all folds were trained.

    best_epoch_ : int
        The epoch whose weights were kept; 0 is the start.

    loss_curve_ : list of float
        Training loss of each epoch. All losses are in standardised units, in which PCA
        without components has a squared error of one.

    validation_loss_curve_ : list of float
        Held-out loss of each epoch; empty if nothing was held out. With cross-fitting
        that of all rows, each by the network that has not seen it.

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

    feature_names_in_ : ndarray of shape (n_features,)
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
    dtype (255, 65535, 1), one batch at a time, here and in all methods, but not with a
    loss of counts; images of other dtypes are taken as they are. `inverse_transform`
    and `reconstruct` undo it.

    With standardised rows ``x = (X - mean_) / scale_``, training minimises the mean
    over rows of ``loss(output, x)``, where with ``init="pca"`` ::

        z = A x + f(x),    output = B z + b + g(z),    code = scale_ u z.

    f and g are the two halves of the network, whose last layers start at zero. A and B
    start as PCA's projection to unit variance and its reconstruction. Where the model
    is PCA, u is the spread s along each axis, and the code is PCA's. For a network it
    makes the spread of the code half-way between that and a whitened one, ``scale_``
    times ``sqrt(s_1 s_j)``: the first component has the units of the data, and small
    ones are not lost beside it in a distance. With ``init="random"``, z = f(x),
    output = g(z) and u = 1.

    Held-out rows judge by a one-sided paired t test of the loss per row against PCA of
    the training rows, at the level that two standard errors have in a large sample.
    With cross-fitting these are all rows.

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
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"mle"}),  # refused with advice
            None,
        ],
        "network": [StrOptions({"auto", *NETWORKS}), callable, tuple, list],
        "image_shape": [tuple, list, None],
        "channel_order": [StrOptions({"auto", "first", "last"})],
        "hidden_layer_sizes": [tuple, list, StrOptions({"auto"})],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "init": [StrOptions({"pca", "random"})],
        "bottleneck": [StrOptions(set(BOTTLENECKS)), Bottleneck, None],
        "loss": [StrOptions(set(LOSSES)), callable],
        "penalty": [StrOptions(set(PENALTIES)), callable, None],
        "corruption": [StrOptions(set(CORRUPTIONS)), Corruption, callable, None],
        "density": [
            StrOptions({"gaussian_mixture"}),
            HasMethods(["fit", "sample"]),
            None,
        ],
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
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "precision": [StrOptions({"auto", "mixed", "float32", "float64"})],
        "compile": ["boolean", str],
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
        n_components: float | None = 2,
        *,
        network: Literal["auto", "mlp", "conv"]
        | NetworkFunction
        | Sequence[NetworkFunction] = "auto",
        image_shape: Sizes | None = None,
        channel_order: ChannelOrder = "auto",
        hidden_layer_sizes: Literal["auto"] | Sizes = "auto",
        activation: Activation = "silu",
        init: Literal["pca", "random"] = "pca",
        bottleneck: BottleneckName | Bottleneck | None = None,
        loss: LossName | Loss | LossFunction = "squared_error",
        penalty: PenaltyName | Penalty | PenaltyFunction | None = None,
        corruption: CorruptionName | Corruption | CorruptionFunction | None = None,
        density: Literal["gaussian_mixture"] | Density | None = None,
        alpha: Literal["auto"] | float = "auto",
        solver: Literal["adamw", "adam", "sgd"] | type[Optimizer] = "adamw",
        learning_rate: Literal["auto"] | float = "auto",
        schedule: Literal["one_cycle", "constant"] = "one_cycle",
        batch_size: Literal["auto"] | int = "auto",
        max_epochs: Literal["auto"] | int = "auto",
        max_time: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        tol: float = 1e-4,
        early_stopping: Literal["auto"] | bool = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: Literal["auto"] | int = "auto",
        precision: Literal["auto", "mixed", "float32", "float64"] = "auto",
        compile: bool | str = False,
        device: str | torch.device = "cpu",
        n_jobs: int | None = None,
        warm_start: bool = False,
        callbacks: Sequence[Callback] | None = None,
        verbose: int = 0,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.network = network
        self.image_shape = image_shape
        self.channel_order = channel_order
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.bottleneck = bottleneck
        self.loss = loss
        self.penalty = penalty
        self.corruption = corruption
        self.density = density
        self.alpha = alpha
        self.solver = solver
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.max_time = max_time
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.precision = precision
        self.compile = compile
        self.device = device
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def set_params(self, **params: object) -> Self:
        """Set parameters, and those of parts that are objects.

        Parameters
        ----------
        **params : dict
            Values by name; ``penalty__alpha`` is the `alpha` of `penalty`, which has to
            be an object such as ``SparsityPenalty()``, not a name.

        Returns
        -------
        self : AutoencoderTransformer
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        check_nested(self, params, NAMED)
        return super().set_params(**params)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        X_target: MatrixLike | None = None,
    ) -> Self:
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

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            What the decoder is to return for each row, if not X itself: clean images
            for noisy ones, sharp for coarse ones. Everything that is decoded then has
            its shape, dtype and units, and the rival is not PCA but linear regression
            on PCA's code.

        Returns
        -------
        self : AutoencoderTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter cannot be used, or if training diverges again after it
            went back to the best epoch with a tenth of the learning rate.

        TypeError
            If `network` is an instance, or `solver` not an optimizer class.

        MemoryError
            If not even a part of a batch fits into memory.

        KeyboardInterrupt
            On Ctrl-C, after the best epoch so far was restored: the estimator is
            fitted.
        """
        previous = self._previous() if self.warm_start else None
        with features_kept_on_error(self):
            fitting = self._begin(Fitting, previous, X, sample_weight, X_target)
            fitting.fit(previous)
        return self._publish(fitting)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        X_target: MatrixLike | None = None,
    ) -> Self:
        """Learn from one more piece of X.

        Until there are rows enough (as many as features, but 160 to 1000), the model is
        PCA of all rows so far. Then each call trains one epoch, with small steps at
        first and larger ones while the network is better than PCA on rows that neither
        has seen. An epoch is undone if some rows of the piece, held out of it, get
        worse; where the network is worse than PCA it begins anew as PCA of all rows so
        far. That PCA is kept as a few directions, not as rows. `proven_` is None.

        With ``early_stopping=False``, ``init="random"``, a penalty, or a bottleneck
        that PCA does not have, each call trains, from the mean, the scale and the
        linear start of the first one. A `learning_rate` that is given stays constant.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Training data of any real dtype.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss.

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            As for `fit`.

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
        with features_kept_on_error(self):
            fitting = self._begin(PieceFitting, previous, X, sample_weight, X_target)
            fitting.fit(previous, getattr(self, "_stream", None))
        return self._publish(fitting)

    def transform(self, X: MatrixLike) -> Array:
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
        return encode(self, X)

    def inverse_transform(
        self, X: ArrayLike, *, as_float: bool = False, clip: bool = False
    ) -> Array:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them. With ``bottleneck="ordered"`` their
            first columns are enough.

        as_float : bool, default=False
            Whether images come in the dtype of the codes instead of that which `fit`
            saw: not rounded or clipped, white being 1 where `fit` saw a dtype of
            pixels.

        clip : bool, default=False
            Whether values beyond those of the training data are set to their smallest
            or largest one, over all features; so images of floats stay in their range.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), or that of the images
            Reconstructions in the space of the data. Rows have the dtype of the codes,
            images the shape and the dtype that `fit` saw.
        """
        check_is_fitted(self)
        rows = read_code_rows(self, X)
        return reconstruct(
            self, lambda module, code: module.decode(code), rows, as_float, clip
        )

    def reconstruct(
        self, X: MatrixLike, *, as_float: bool = False, clip: bool = False
    ) -> Array:
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data; zero rows are allowed.

        as_float : bool, default=False
            As for `inverse_transform`.

        clip : bool, default=False
            As for `inverse_transform`.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), or that of the images
            What ``inverse_transform(transform(X))`` returns.
        """
        return reconstruct(self, output, read_rows(self, X), as_float, clip)

    def sample(
        self,
        n_samples: int = 1,
        random_state: RandomState = None,
        *,
        as_float: bool = False,
        clip: bool = False,
    ) -> Array:
        """Generate new rows.

        Codes are drawn from `density_` if there is one, else from a standard normal
        distribution where the bottleneck made codes look like that ("variational",
        "wae"), and decoded.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, in [1, inf).

        random_state : int, RandomState instance or None, default=None
            Where chance comes from.

        as_float : bool, default=False
            As for `inverse_transform`.

        clip : bool, default=False
            As for `inverse_transform`.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features), or that of the images
            Rows in the space of the data, in the dtype of codes of the training rows.

        Raises
        ------
        ValueError
            If there is nothing to draw from.
        """
        check_is_fitted(self)
        check_n_samples(n_samples)
        random_state = check_random_state(random_state)
        has_prior = self.net_.module_.bottleneck.has_prior
        if has_prior and self.density_ is None:
            code = random_state.standard_normal((n_samples, self.n_components_))
        else:
            check_density(self.density_, self.density)
            code = draw_codes(self.density_, n_samples, random_state)
        code = code.astype(self._dtype, copy=False)
        return self.inverse_transform(code, as_float=as_float, clip=clip)

    def interpolate(
        self,
        X_a: MatrixLike,
        X_b: MatrixLike,
        n_steps: int = 10,
        *,
        as_float: bool = False,
        clip: bool = False,
    ) -> Array:
        """Go from rows to other rows along straight lines between their codes.

        Parameters
        ----------
        X_a : array-like of shape (n_samples, n_features), or images
            Rows to start from.

        X_b : array-like of shape (n_samples, n_features), or images
            Rows to go to.

        n_steps : int, default=10
            Number of rows on each way, the reconstructions of both ends included, in
            [1, inf).

        as_float : bool, default=False
            As for `inverse_transform`.

        clip : bool, default=False
            As for `inverse_transform`.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_steps, n_features), or images likewise
            The rows on each way, in the space of the data.
        """
        check_n_samples(n_steps, "n_steps")
        code = codes_between(encode(self, X_a), encode(self, X_b), n_steps)
        flat = code.reshape(-1, code.shape[2])
        X_new = self.inverse_transform(flat, as_float=as_float, clip=clip)
        return X_new.reshape(*code.shape[:2], *X_new.shape[1:])

    @available_if(is_quantized)
    def quantize(self, X: MatrixLike) -> Array:
        """Return codes as whole numbers; only with ``bottleneck="vector_quantized"``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data.

        Returns
        -------
        numbers : ndarray of int, of shape (n_samples, n_groups)
            Which vector of `codebook_` each piece of the code is: row by row,
            ``codebook_[group, number]`` side by side is what `transform` returns.
        """
        rows = read_rows(self, X)
        n_groups = self.net_.module_.bottleneck.n_groups
        return map_rows(
            self,
            lambda module, x, target: module.bottleneck.numbers(module.encoded(x)),
            rows,
            out=np.empty((len(rows), n_groups), np.int64),
        )

    def reconstruction_error(
        self,
        X: MatrixLike,
        *,
        X_target: MatrixLike | None = None,
        per_feature: bool = False,
    ) -> Array:
        """Return the squared error of the reconstruction, whatever the loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data.

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            What the rows should have become; needed if `fit` saw an X_target.

        per_feature : bool, default=False
            Whether to return the error of each feature instead of their mean.

        Returns
        -------
        error : ndarray of shape (n_samples,) or of the shape of X
            In squared units of the data (where `fit` saw a dtype of pixels, white is
            1); lower is better. With `per_feature`, images give heat maps.
        """
        rows, scale = read_compared_rows(self, X, X_target), self._start.output.scale
        shape = (len(rows), *output_shape(self)) if per_feature else len(rows)

        def squared(module, x, target):
            square = residual(self, module, x, target).square()
            return square if per_feature else square.mean(1)

        return map_rows(self, squared, rows, out=np.empty(shape)) * scale**2

    def score_samples(
        self, X: MatrixLike, *, X_target: MatrixLike | None = None
    ) -> Array:
        """Return minus the loss of each row: the higher, the better it is rebuilt.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images
            Data.

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            What the rows should have become; needed if `fit` saw an X_target.

        Returns
        -------
        score : ndarray of shape (n_samples,)
            In the units of the loss, for ``"squared_error"`` the squared units of the
            data. A callable loss is in standardised units.
        """
        rows = read_compared_rows(self, X, X_target)
        loss = self.net_.criterion_
        losses = map_rows(
            self,
            lambda module, x, target: loss(output(module, x), target),
            rows,
            out=np.empty(len(rows)),
        )
        return -losses * self._start.output.scale**loss.degree

    def score(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        X_target: MatrixLike | None = None,
    ) -> float:
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

        X_target : array-like of shape (n_samples, n_targets), or images, default=None
            What the rows should have become; needed if `fit` saw an X_target.

        Returns
        -------
        score : float
            At most 1; greater is better.
        """
        rows = read_compared_rows(self, X, X_target, min_samples=1)
        error, total = squared_sums(self, rows, check_weight(sample_weight, rows.X))
        if not np.isfinite(error):
            return -np.inf
        if total > 0:
            return float(1 - error / total)
        return 1.0 if error == 0 else 0.0

    # Fit

    def _previous(self):
        """Return the net and the start of an earlier fit, or None."""
        if not hasattr(self, "net_"):
            return None
        return self.net_, self._start

    def _begin(self, kind, previous, X, sample_weight, X_target):
        """Check parameters and data, and return a fit of a kind, ready to run."""
        reset = previous is None
        check_parameters(self)
        parts = read_parts(self)
        data = read_training_data(
            self, X, sample_weight, X_target, parts.loss, reset=reset
        )
        check_parts(self, parts, data)
        if reset:
            check_n_components(self.n_components, self.n_features_in_)
        else:
            check_same_structure(self, self._structure)
        report = None
        if hasattr(self, "_init_callback_context"):
            report = SklearnCallbacks(self, data.rows)
        return kind(self, data, parts, self._random_streams(reset), report)

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
        if fitting.trained.late_error is not None:
            raise fitting.trained.late_error
        return self

    # Pickles hold numbers and arrays instead of objects of torch and skorch.

    def __getstate__(self):
        return pickled(self, super().__getstate__())

    def __setstate__(self, state):
        state, learnt = unpickled(state)
        super().__setstate__(state)
        vars(self).update(learnt)

    # What scikit-learn asks

    def __sklearn_clone__(self):
        """Clone as scikit-learn does, but callbacks as each fit copies them.

        They may hold a connection, or have attributes that are no parameters.
        """
        bare = object.__new__(type(self))
        vars(bare).update(vars(self), callbacks=None)
        clone = super(AutoencoderTransformer, bare).__sklearn_clone__()
        clone.callbacks = copied(self.callbacks)
        return clone

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        loss = LOSSES.get(self.loss) if isinstance(self.loss, str) else self.loss
        lowest, _ = getattr(loss, "target_range", (-np.inf, np.inf))
        tags.input_tags.positive_only = lowest >= 0
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
