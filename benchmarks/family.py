"""Whether each part does its job: denoising, generation, sparsity, order and counts.

    python benchmarks/family.py [--data FOLDER] [--parts denoising generation ...]

All sets of a part are shown. At most 4,000 rows, drawn at random, a quarter of them for
testing; tables are standardised, pixels lie in [0, 1], counts are left as they are.
Without a folder scikit-learn's digits (and counts drawn at random) stand in, which
makes a dry run. skae has random_state=0, one thread, network="mlp" and its defaults but
for the part in question; "plain" is skae without it. Seconds are CPU seconds of a fit.

denoising: (a) Test images are spoilt by Gaussian noise of 0.5, 1 and 2 times s, the
root of the mean variance of a pixel in training, or by setting a quarter of the pixels
to zero, and are reconstructed from 32 numbers. PSNR against the clean images in dB, a
difference of 3 dB being a factor of two in squared error. All train on clean images;
skae also with corruption="gaussian" of scale 1, of one spread for all pixels ("all",
the default for images) and of that of each ("feature"), and with corruption="masking".
(b) Accuracy of logistic regression on codes of 8 numbers, of clean rows in training, of
spoilt rows in testing: noise of 0.5 times the spread, a quarter of the values set to
zero (the mean), or a quarter swapped with other rows. skae trains with the corruptions'
default levels.

generation: A random forest tells held-out rows from as many (at most 500) generated
ones; its area under the ROC curve over 5 folds, 0.5 being the best. As it sees the
rows, and as it sees their first 8 principal components (PCA of the training rows):
there the noise that codes of 8 numbers cannot hold, and values that are all integers,
give away less. "variational" and "wae" draw codes from the prior, the others from a
Gaussian mixture of 10 components fitted to the codes; "by hand" is such a mixture, and
the decoder, of the same variational model.

sparsity: 32 numbers. Active are components of a code above 0.1 of their root mean
square over the test rows. R^2 is `score` on test rows. Beside the sparse codes PCA and
plain skae with all numbers, and with as many as top_k leaves active.

ordered: One model of 16 numbers, bottleneck="ordered", cut to its first k: squared
error on test rows over that of plain skae of size k, and over that of PCA of size k.
The same for OrderedBottleneck(sizes=(2, 8)), in the sizes that it was trained for.

counts: Mean deviance of a cell on held-out rows, codes of 8 numbers. Poisson's, and the
negative binomial's with the dispersion of each feature fitted by moments in training
(the same for all methods). A reconstruction below a share of the mean of its feature is
set to that share; each method has the one of 0.3, 0.1, 0.01 and 0.001 that suits its
training rows best. pbmc68k_reduced: unique molecules of 765 genes in 700 blood cells;
mouse_brain_10x_10k: of 1,000 genes in brain cells; newsgroup_basehock and _pcmac: how
often words occur in postings. All of these are whole numbers as they were counted, with
a variance that is often several times the mean; features seen in fewer than 10 rows,
and rows without a count, are left out. log1p is PCA of log(1 + X).
"""

from functools import partial

import numpy as np
import pandas as pd
from _common import load, parser, progress, report, split, timed, use_one_thread
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.bottlenecks import OrderedBottleneck, TopKBottleneck
from skae.corruption import GaussianNoise
from skae.penalties import SparsityPenalty

PARTS = ("denoising", "generation", "sparsity", "ordered", "counts")
IMAGES = ("fashion_mnist", "frey_faces", "omniglot_small1")
TABLES = ("letter", "satimage", "texture", "spambase")
COUNTS = (
    "pbmc68k_reduced",
    "mouse_brain_10x_10k",
    "newsgroup_basehock",
    "newsgroup_pcmac",
)
MOST_ROWS = 4000
SMALL, MIDDLE, LARGE = 8, 16, 32  # sizes of codes
SEED = 0
NOISE_LEVELS = (0.5, 1, 2)
RATE = 0.25  # share of the values that are masked or swapped
MOST_GENERATED = 500
L1_ALPHAS = (0.01, 0.03, 0.1, 0.3, 1.0)
KEPT = (4, 8)  # by top_k
TRUNCATIONS = (1, 2, 4, 8, 16)
ASKED = (2, 8)  # by sizes=
BAR = 1.05  # ratio of errors that an ordered code may have
SHARES = (0.3, 0.1, 0.01, 0.001)  # of a feature's mean; the least expected count


def load_set(name, folder):
    """Return what `load` does, but digits with pixels in [0, 1]."""
    if folder is None:
        X, y, _ = load("digits", None)
        return X / 16, y, True
    return load(name, folder)


def data(names, folder, reader=load_set):
    """Yield name, training rows, test rows and labels (of both) of each set."""
    for name in names if folder else ["stand-in"]:
        X, y, is_ready = reader(name, folder)
        X, y = drawn(X, y)
        yield name, *split(X, y, standardise=not is_ready)


def drawn(X, y):
    """Return at most MOST_ROWS rows and their labels."""
    rows = np.random.default_rng(SEED).permutation(len(X))[:MOST_ROWS]
    return X[rows], None if y is None else y[rows]


def skae_fit(X, size, **options):
    """Return a fitted model and the CPU seconds that it took."""
    model = AutoencoderTransformer(
        size, network="mlp", random_state=SEED, n_jobs=1, **options
    )
    return timed(model.fit, X)


def pca_fit(X, size):
    return PCA(size, random_state=SEED).fit(X)


def rebuilt(model, X):
    return model.inverse_transform(model.transform(X))


def squared_error(X_hat, X):
    return float(np.square(X_hat - X).mean())


def r2(X_hat, X):
    return 1 - squared_error(X_hat, X) / squared_error(X.mean(0), X)


# Denoising


def noise(X, scale, rng):
    return X + rng.normal(scale=scale, size=X.shape).astype(X.dtype)


def masked(X, rng):
    return np.where(rng.random(X.shape) < RATE, 0, X).astype(X.dtype)


def swapped(X, rng):
    other = rng.permuted(X, axis=0)
    return np.where(rng.random(X.shape) < RATE, other, X)


def psnr(X_hat, X):
    return -10 * np.log10(squared_error(X_hat, X))


def denoised_images(folder):
    """Return the table of (a)."""
    corruptions = {
        "plain": None,
        "all": GaussianNoise(scale=1.0, relative_to="all"),
        "feature": GaussianNoise(scale=1.0, relative_to="feature"),
        "masking": "masking",
    }
    rows = []
    for name, train, test, _ in data(IMAGES, folder):
        scale = np.sqrt(train.var(0).mean())
        models, seconds = {"PCA": pca_fit(train, LARGE)}, 0.0
        for key, corruption in corruptions.items():
            models[key], taken = skae_fit(train, LARGE, corruption=corruption)
            seconds += taken
        rng = np.random.default_rng(SEED)
        spoilt = {
            f"{level} s": noise(test, level * scale, rng) for level in NOISE_LEVELS
        }
        spoilt["masking"] = masked(test, rng)
        for key, X in {"clean": test, **spoilt}.items():
            found = {rival: psnr(rebuilt(models[rival], X), test) for rival in models}
            before = psnr(X, test) if key != "clean" else np.nan
            row = {"set": name, "test noise": key, "as it is": before, **found}
            rows.append({**row, "seconds": seconds / len(corruptions)})
            progress(rows[-1])
    return pd.DataFrame(rows)


def classifier_accuracy(encode, train, y, tests, y_test):
    """Return how often logistic regression on codes is right, for each test set."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(encode(train), y)
    return {key: model.score(encode(X), y_test) for key, X in tests.items()}


def denoised_codes(folder):
    """Return the table of (b)."""
    tables = []
    for name, train, test, (y, y_test) in data(TABLES, folder):
        rng = np.random.default_rng(SEED)
        tests = {
            "clean": test,
            "0.5 s": noise(test, 0.5 * train.std(0), rng),
            "masking": masked(test, rng),
            "swap": swapped(test, rng),
        }
        models, seconds = {"PCA": pca_fit(train, SMALL)}, 0.0
        for corruption in (None, "gaussian", "masking", "swap"):
            model, taken = skae_fit(train, SMALL, corruption=corruption)
            models[corruption or "plain"] = model
            seconds += taken / 4
        found = {
            key: classifier_accuracy(model.transform, train, y, tests, y_test)
            for key, model in models.items()
        }
        table = pd.DataFrame(found).rename_axis("test noise").reset_index()
        table.insert(0, "set", name)
        table["seconds"] = seconds
        progress(table)
        tables.append(table)
    return pd.concat(tables)


def denoising(options):
    """Return both tables."""
    images, codes = denoised_images(options.data), denoised_codes(options.data)
    noisy = images[images["test noise"].isin(["0.5 s", "1 s", "2 s"])]
    holes = images[images["test noise"] == "masking"]
    verdict = (
        f"Mean gain over plain and over PCA: all {_gain(noisy, 'all')}, "
        f"feature {_gain(noisy, 'feature')} in noise, masking "
        f"{_gain(holes, 'masking')} in masked images."
    )
    means = codes.groupby("test noise", sort=False).mean(numeric_only=True)
    means = means.reset_index()
    means.insert(0, "set", "mean")
    return [
        "## Denoising: images, PSNR in dB",
        images,
        verdict,
        "## Denoising: accuracy on codes of spoilt rows",
        pd.concat([codes, means]),
    ]


def _gain(table, key):
    gains = [(table[key] - table[rival]).mean() for rival in ("plain", "PCA")]
    return "{:+.2f} and {:+.2f} dB".format(*gains)


# Generation


def told_apart(X, X_new):
    """Return how well a forest tells rows from others: area under the ROC curve."""
    y = np.repeat([0, 1], [len(X), len(X_new)])
    forest = RandomForestClassifier(50, min_samples_leaf=3, random_state=SEED)
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    both = np.concatenate([X, X_new])
    return cross_val_score(forest, both, y, cv=folds, scoring="roc_auc").mean()


def from_mixture(model, X, n_samples):
    """Return rows decoded from a Gaussian mixture of the codes of X."""
    code = model.transform(X).astype(float)
    mixture = GaussianMixture(10, random_state=SEED).fit(code)
    return model.inverse_transform(mixture.sample(n_samples)[0].astype(X.dtype))


def generated(train, n_samples):
    """Yield the name of a method, its rows, its model and the seconds of the fit."""
    pca, seconds = timed(pca_fit, train, SMALL)
    yield "PCA + mixture", from_mixture(pca, train, n_samples), pca, seconds
    for name, parts in {
        "plain + mixture": {"density": "gaussian_mixture"},
        "l2 + mixture": {"density": "gaussian_mixture", "penalty": "l2"},
        "variational": {"bottleneck": "variational"},
        "wae": {"bottleneck": "wae"},
    }.items():
        model, seconds = skae_fit(train, SMALL, **parts)
        yield name, model.sample(n_samples, random_state=SEED), model, seconds
        if "bottleneck" in parts:
            drawn = from_mixture(model, train, n_samples)
            yield f"{name}, mixture by hand", drawn, model, np.nan


def generation(options):
    """Return how well generated rows are told from real ones."""
    rows = []
    for name, train, test, _ in data((*TABLES, *IMAGES[:2]), options.data):
        test = test[:MOST_GENERATED]
        view = pca_fit(train, SMALL).transform
        for method, drawn, model, seconds in generated(train, len(test)):
            areas = told_apart(test, drawn), told_apart(view(test), view(drawn))
            rows.append([name, method, *areas, r2(rebuilt(model, test), test), seconds])
            progress(rows[-1])
    columns = ["set", "", "AUC, rows", "AUC, 8 components", "R^2", "seconds"]
    table = pd.DataFrame(rows, columns=columns)
    means = table.groupby("", sort=False)[columns[2:]].mean().reset_index()
    means.insert(0, "set", "mean")
    return ["## Generation", pd.concat([table, means])]


# Sparsity


def active_share(code):
    """Return the share of the numbers above 0.1 of their root mean square."""
    return float((np.abs(code) > 0.1 * np.sqrt(np.square(code).mean(0))).mean())


def sparsity(options):
    """Return how many numbers of a code are active, and what that costs."""
    rows = []
    names = (*TABLES[1:], "isolet", *IMAGES[:2])
    for name, train, test, _ in data(names, options.data):
        size = min(LARGE, train.shape[1] - 1)
        rivals = [("plain", size, {})]
        rivals += [
            (f"l1, alpha={alpha}", size, {"penalty": SparsityPenalty(alpha)})
            for alpha in L1_ALPHAS
        ]
        for k in KEPT:
            rivals.append((f"top_k={k}", size, {"bottleneck": TopKBottleneck(k)}))
            rivals.append(("plain", k, {}))
        for n_components in (size, *KEPT):
            pca = pca_fit(train, n_components)
            share = active_share(pca.transform(test))
            score = r2(rebuilt(pca, test), test)
            rows.append([name, "PCA", n_components, share, score, np.nan])
        for key, n_components, parts in rivals:
            model, seconds = skae_fit(train, n_components, **parts)
            share, score = active_share(model.transform(test)), model.score(test)
            rows.append([name, key, n_components, share, score, seconds])
            progress(rows[-1])
    columns = ["set", "", "numbers", "active", "R^2", "seconds"]
    table = pd.DataFrame(rows, columns=columns)
    texts = ["## Sparsity: share of active components, and R^2"]
    means = table.groupby(["", "numbers"], sort=False)[columns[3:]].mean().reset_index()
    means.insert(0, "set", "mean")
    return [*texts, pd.concat([table, means])]


# Order


def ordered(options):
    """Return errors of one model cut to k numbers over those of models of size k."""
    names = (*TABLES[1:], "covertype_15k", *IMAGES)
    tables = [[], [], [], []]  # over plain and over PCA, of all sizes and of a few
    for name, train, test, _ in data(names, options.data):
        fits = {k: skae_fit(train, k) for k in TRUNCATIONS}
        plain = {k: model.reconstruct(test) for k, (model, _) in fits.items()}
        pca = {k: rebuilt(pca_fit(train, k), test) for k in TRUNCATIONS}
        all_seconds = sum(seconds for _, seconds in fits.values())
        for place, sizes in ((0, TRUNCATIONS), (2, (*ASKED, max(TRUNCATIONS)))):
            part = OrderedBottleneck(sizes=ASKED if place else None)
            whole, seconds = skae_fit(train, max(sizes), bottleneck=part)
            code = whole.transform(test)
            times = {"seconds": seconds, "five fits, s": all_seconds}
            times = {"kept": "network" if whole.proven_ else "PCA", **times}
            for table, rival, more in ((place, plain, times), (place + 1, pca, {})):
                row = {"set": name}
                for k in sizes:
                    error = squared_error(whole.inverse_transform(code[:, :k]), test)
                    row[f"k = {k}"] = error / squared_error(rival[k], test)
                tables[table].append({**row, **more})
        progress([table[-1] for table in tables])
    over_plain, over_pca, few_over_plain, few_over_pca = map(pd.DataFrame, tables)
    texts = ["## Ordered: error of one model cut to k, over plain models of size k"]
    texts += [over_plain, "The same over PCA of size k:", over_pca]
    texts += [worst_ratios(over_plain, over_pca)]
    texts += [f"With sizes={ASKED}, over plain models:", few_over_plain]
    texts += ["Over PCA:", few_over_pca, worst_ratios(few_over_plain, few_over_pca)]
    return texts


def worst_ratios(*tables):
    """Say how far errors are above those of plain models, and of PCA."""
    plain, pca = (table.filter(like="k = ").to_numpy() for table in tables)
    return (
        f"Worst ratio to plain {plain.max():.3f}, {(plain > BAR).sum()} of "
        f"{plain.size} beyond {BAR}; worst ratio to PCA {pca.max():.3f}."
    )


# Counts


def load_counts(name, folder):
    """Return counts, without rows of none and features seen in fewer than 10 rows."""
    if folder is None:
        rng = np.random.default_rng(SEED)
        rates = np.exp(rng.normal(size=(1200, 3)) @ rng.normal(size=(3, 60)) - 0.5)
        return rng.poisson(rates).astype(np.float32), None, True
    X, *_ = load(name, folder)
    X = X[:, (X > 0).sum(0) >= 10]
    return X[X.sum(1) > 0], None, True


def poisson_deviance(mu, X):
    """Return the mean over cells."""
    ratio = np.where(X > 0, X / mu, 1)
    return float(2 * (X * np.log(ratio) - X + mu).mean())


def negative_binomial_deviance(mu, X, theta):
    """Return the mean over cells; the variance is mu + mu**2 / theta."""
    ratio = np.where(X > 0, X / mu, 1)
    rest = (X + theta) * np.log((X + theta) / (mu + theta))
    return float(2 * (X * np.log(ratio) - rest).mean())


def dispersion(X):
    """Return theta of each feature by moments, at most 1000 (which is Poisson)."""
    mean, variance = X.mean(0, dtype=float), X.var(0, dtype=float)
    excess = np.maximum(variance - mean, mean**2 / 1000 + 1e-12)
    return np.clip(mean**2 / excess, 1e-3, 1000)


def deviances(predict, train, test):
    """Return both deviances on test rows, predictions cut off where it suits best."""
    theta = dispersion(train)
    measures = (
        poisson_deviance,
        lambda mu, X: negative_binomial_deviance(mu, X, theta),
    )
    mean = np.maximum(train.mean(0, dtype=float), 1e-6)
    hats = [(predict(X).astype(float), X.astype(float)) for X in (train, test)]
    found = []
    for measure in measures:
        cut = [
            [measure(np.maximum(X_hat, share * mean), X) for X_hat, X in hats]
            for share in SHARES
        ]
        found.append(min(cut)[1])
    return found


def mean_of(train, X):
    return np.broadcast_to(train.mean(0), X.shape)


def log_rebuilt(pca, X):
    return np.expm1(rebuilt(pca, np.log1p(X)))


def counts(options):
    """Return deviances of losses for counts beside squared error and PCA."""
    rows = []
    for name, train, test, _ in data(COUNTS, options.data, load_counts):
        predictions = {
            "mean": (partial(mean_of, train), np.nan),
            "PCA": (partial(rebuilt, pca_fit(train, SMALL)), np.nan),
            "log1p": (partial(log_rebuilt, pca_fit(np.log1p(train), SMALL)), np.nan),
        }
        for loss in ("squared_error", "poisson", "negative_binomial"):
            model, seconds = skae_fit(train, SMALL, loss=loss)
            predictions[loss] = model.reconstruct, seconds
        for key, (predict, seconds) in predictions.items():
            found = deviances(predict, train, test)
            rows.append([name, len(train), train.shape[1], key, *found, seconds])
            progress(rows[-1])
    columns = ["set", "rows", "features", "", "Poisson", "neg. binomial", "seconds"]
    return ["## Counts: held-out deviance", pd.DataFrame(rows, columns=columns)]


def main():
    found = parser(__doc__)
    found.add_argument("--data", help="folder with the sets")
    found.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = found.parse_args()
    use_one_thread()
    functions = dict(
        zip(PARTS, (denoising, generation, sparsity, ordered, counts), strict=True)
    )
    parts, times = [], []
    for name in options.parts:
        texts, seconds = timed(functions[name], options)
        parts += texts
        times.append(f"{name} {seconds:.0f}")
    parts.append(f"CPU seconds of the parts: {', '.join(times)}.")
    report(__doc__, options.output, *parts)


if __name__ == "__main__":
    main()
