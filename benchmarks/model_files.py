"""Whether damaged and forged model files are refused, or work.

    python benchmarks/model_files.py [--count 20000] [--damaged 20000] [--seed 0]

Small models of twelve kinds are dumped (tables, images, a target, all sorts of
bottlenecks and parts, a density, names and containers, the optimizer, pieces), and
their files changed at random. Each is read by `skae.load`; refused is a ModelFileError.

Damaged: bits flipped, bytes replaced, pieces cut out, doubled, zeroed or swapped, the
end cut off or random bytes added. Such a file is refused, or gives the same codes as
the first one, to the last bit (unchanged).

Forged: one to three changes of what the header says or of the arrays, and checksums
that are right again. Values become others of their type or of another one, words that
mean something elsewhere, or what another model's file has in that place; keys and
arrays are dropped, added, renamed and exchanged; arrays get other shapes, dtypes and
values. Such a file is refused, or works: transform, inverse_transform, reconstruct,
score, score_samples, reconstruction_error, sample, interpolate, quantize, attributes,
repr and HTML, pickle, dump and load again, and partial_fit do what they should, with
finite numbers where no array was filled with others. Where partial_fit refuses to go on
for the sake of a parameter, as it does for the same value in `set_params`, the file
counts as "works, says why it is not trained on".

Everything else is an escape: another exception, other codes, or something that was
executed, imported or written. Memory is the largest growth of the process; above 200 MB
it is an escape too.
"""

import io
import pickle
import sys
import warnings
from collections import Counter
from functools import partial

import numpy as np
import pandas as pd
import torch
from _common import parser, peak, progress, report, use_one_thread
from _forger import Forger, damaged
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer, ModelFileError, dump, load
from skae.bottlenecks import VectorQuantizedBottleneck
from skae.corruption import Chain, MaskingNoise, SwapNoise
from skae.losses import Huber
from skae.penalties import ContractivePenalty, SparsityPenalty, Sum

EXECUTING = (
    *("compile", "ctypes.dlopen", "exec", "import", "open"),
    *("os.exec", "os.fork", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename"),
    *("os.system", "shutil.rmtree", "socket.connect", "subprocess.Popen"),
    *("tempfile.mkdtemp", "tempfile.mkstemp"),
)
MOST_MEMORY = 200  # MB of growth; the files have 0.1
ATTRIBUTES = (
    *("decoder_", "encoder_", "explained_variance_", "hidden_layer_sizes_", "history_"),
    *("mean_", "n_parameters_", "validation_loss_"),
)
# Why training may not go on: what partial_fit says of a parameter or of X.
WORKS = ("works", "works, says why it is not trained on")
SAYS_WHY = (
    "was built with",
    "diverged",
    "Fitting the mixture model failed",
    "is not available",
    "no weight decay",
    "needs",
)


# Models: each function returns a fitted one, X, X_target and options of dump

X = load_digits().data[:120]
IMAGES = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
TARGET = IMAGES[:, ::2, ::2]
FRAME = pd.DataFrame(X[:, :12], columns=[f"pixel {k}" for k in range(12)])
TRAINED = {"early_stopping": False}  # from the first piece on
WITH_OPTIMIZER = {"keep_optimizer": True, "keep_components": True}


def new(n_components=2, **settings):
    small = {"hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0}
    return AutoencoderTransformer(n_components, **{**small, **settings})


def of_table(*sizes, **settings):
    return new(*sizes, **settings).fit(X), X, None, {}


def of_images():
    model = new(network="conv", hidden_layer_sizes=(2,), max_epochs=1)
    return model.fit(IMAGES), IMAGES, None, {}


def of_target():
    return new(network="mlp").fit(IMAGES, X_target=TARGET), IMAGES, TARGET, {}


def of_names():
    model = new(density="gaussian_mixture").set_output(transform="pandas")
    return model.fit(FRAME), FRAME, None, {}


def of_pieces(**settings):
    model = new(**settings).partial_fit(X).partial_fit(X)
    return model, X, None, WITH_OPTIMIZER


def of_parts():
    return of_pieces(
        loss=Huber(0.5),
        penalty=Sum([SparsityPenalty(), ContractivePenalty(0.1)]),
        corruption=Chain([MaskingNoise(), SwapNoise(0.2)]),
        solver=torch.optim.RMSprop,
        random_state=np.random.RandomState(0),
    )


MODELS = {
    "table": partial(of_table, early_stopping=True),
    "random": partial(of_table, init="random", precision="float32"),
    "variational": partial(of_table, bottleneck="variational"),
    "codebook": lambda: of_table(4, bottleneck=VectorQuantizedBottleneck(8, 2)),
    "ordered": partial(of_table, 0.5, bottleneck="ordered"),
    "images": of_images,
    "target": of_target,
    "density": of_names,
    "parts": of_parts,
    "counts": partial(of_pieces, loss="negative_binomial", solver="sgd", **TRAINED),
    "optimizer": partial(of_pieces, **TRAINED),
    "pieces": of_pieces,
}


# What comes of them


class Watch:
    """Notes what the interpreter is asked to do that reading a file does not need."""

    def __init__(self):
        self.is_on, self.seen = False, []
        sys.addaudithook(self)

    def __enter__(self):
        self.is_on = True

    def __exit__(self, *error):
        self.is_on = False

    def __call__(self, event, arguments):
        if not self.is_on or event not in EXECUTING:
            return
        is_read = event == "open" and "r" in str(arguments[1] or "r")
        is_known = event == "import" and arguments[0] in sys.modules
        if not (is_read or is_known):
            self.seen.append((event, str(arguments)[:80]))


def used(model, X, target):
    """Use a model in every way; return its codes, and why it is not trained on."""
    X, target = as_it_says(model, X, target)
    code = np.asarray(model.transform(X))
    model.get_feature_names_out()
    given = {"X_target": target}
    results = [
        code,
        model.inverse_transform(code),
        model.reconstruct(X),
        model.score(X, **given),
        model.score_samples(X, **given),
        model.reconstruction_error(X, **given),
        model.interpolate(X[:2], X[2:4], 3),
    ]
    if model.density_ is not None or model.net_.module_.bottleneck.has_prior:
        results.append(model.sample(3, random_state=0))
    if hasattr(model, "quantize"):
        results += [model.quantize(X), model.codebook_]
    for name in ATTRIBUTES:
        getattr(model, name)
    str(model).encode(), model._repr_html_().encode(), model.verdict_.encode()
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.transform(X), code, equal_nan=True)
    assert repr(again).partition(" at 0x")[0] == repr(model).partition(" at 0x")[0]
    file = io.BytesIO()
    dump(model, file, keep_optimizer=True)
    file.seek(0)
    assert np.array_equal(load(file).transform(X), code, equal_nan=True)
    is_finite = all(np.isfinite(np.asarray(one, float)).all() for one in results)
    return code, is_finite, trained_on(again, X, target)


def as_it_says(model, X, target):
    """Return X and X_target with the names, the shape and the dtype of the header."""
    if isinstance(X, pd.DataFrame):
        return X.set_axis(getattr(model, "feature_names_in_", X.columns), axis=1), None
    forms = (model._form, X), (model._target_form, target)
    return [
        x
        if x is None
        else x.reshape(-1, *form.row_shape).astype(form.result_dtype(x.dtype))
        for form, x in forms
    ]


def trained_on(model, X, target):
    """Return None, or why partial_fit does not go on."""
    try:
        model.set_params(compile=False).partial_fit(X, X_target=target)
    except ValueError as error:
        if not any(words in str(error) for words in SAYS_WHY):
            raise
        return str(error)
    return None


def outcome(file, X, target, code, is_filled):
    """Return what comes of a file, in words; `code` is what it should be, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load(io.BytesIO(file))
            if code is not None:
                return (
                    "unchanged"
                    if np.array_equal(model.transform(X), code)
                    else "escape"
                )
            found, is_finite, why = used(model, X, target)
    except ModelFileError:
        return "refused"
    except Exception as error:
        return f"escape: {type(error).__name__}: {str(error)[:90]}"
    if not (is_finite or is_filled):
        return "escape: not finite"
    return "works" if why is None else "works, says why it is not trained on"


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--count", type=int, default=20_000)
    arguments.add_argument("--damaged", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    use_one_thread()
    rng, counts = np.random.default_rng(options.seed), Counter()
    models = {name: make() for name, make in MODELS.items()}
    files = {name: dumped(model, **o) for name, (model, _, _, o) in models.items()}
    codes = {name: np.asarray(m.transform(X)) for name, (m, X, *_) in models.items()}
    forger = Forger(list(files.values()), rng)
    torch.compiler.list_backends()  # imports what use may need, as does the next line
    for name, (_, X, target, _) in models.items():
        assert outcome(files[name], X, target, None, False) == "works"
    watch, before = Watch(), peak()
    for number in range(options.count + options.damaged):
        name = list(models)[number % len(models)]
        _, X, target, _ = models[name]
        kind = "forged" if number < options.count else "damaged"
        if kind == "forged":
            code, (file, is_filled) = None, forger(files[name])
        else:
            code, file, is_filled = codes[name], damaged(files[name], rng), False
        with watch:
            found = outcome(file, X, target, code, is_filled)
        counts[kind, name, found] += 1
        if "escape" in found:
            progress(f"{number} {name}: {found}")
    show(counts, Counter(watch.seen), peak() - before, options)


def dumped(model, **options):
    """Return the file of a model."""
    file = io.BytesIO()
    dump(model, file, **options)
    return file.getvalue()


def show(counts, asked, grown, options):
    """Write the report; fail if a file has escaped."""
    total = Counter()
    for (kind, _, found), count in counts.items():
        total[kind, found] += count
    table = pd.DataFrame(
        [(*key, count) for key, count in sorted(total.items())],
        columns=["file", "outcome", "count"],
    )
    kinds = pd.DataFrame(
        [
            (name, *(counts["forged", name, found] for found in ("refused", *WORKS)))
            for name in sorted({name for _, name, _ in counts})
        ],
        columns=["forged", "refused", *WORKS],
    )
    words = (
        f"Forged: {options.count}, damaged: {options.damaged}. Asked for meanwhile: "
        f"{asked or 'nothing'}. Memory: {grown:.0f} MB."
    )
    report(__doc__, options.output, table, kinds, words)
    has_escaped = any("escape" in found for _, found in total)
    if asked or has_escaped or grown > MOST_MEMORY:
        raise SystemExit("A file has escaped.")


if __name__ == "__main__":
    main()
