"""
Which rows of a table are unusual?
==================================

A model that has learnt what is usual rebuilds usual rows well and others badly, so its
error is a score of outliers. When is that better than an isolation forest, and is an
autoencoder better at it than PCA? We look at two tables. In one the unusual rows have
large values; in the other each value is a usual one, but they do not go together.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

rng = np.random.default_rng(0)

# %%
# The first table describes tumours. The detectors see benign ones only; malignant ones
# are unusual to them.

cancer = load_breast_cancer(as_frame=True)
benign, malignant = (cancer.data[cancer.target == kind] for kind in (1, 0))
train, usual = train_test_split(benign, test_size=120, random_state=0)
tables = {"tumours": (train, usual, malignant)}

# %%
# The second is the log of a pump, made up: eleven sensors that follow from its speed, a
# valve and the air. In an unusual row one sensor shows what it showed at another time.


def log_pump(n_rows):
    """Return rows of a pump that works as it should."""
    speed, valve = rng.uniform(0.4, 1, n_rows), rng.uniform(0.2, 1, n_rows)
    air = rng.normal(20, 6, n_rows)
    flow = speed * valve / np.sqrt(0.3 + valve**2)
    lift = speed**2 - 0.3 * flow**2
    power = 24 * flow * lift + 3 * speed**3
    oil = air + 45 * (1 - np.exp(-power / 8))
    vibration = 1.5 * speed + 4 / (1 + ((speed - 0.7) / 0.05) ** 2)  # a resonance
    sensors = pd.DataFrame(
        {
            "speed": speed,
            "valve": valve,
            "air": air,
            "flow": flow,
            "lift": lift,
            "power": power,
            "current": power / np.tanh(power / 6),
            "oil": oil,
            "bearing": oil + 25 * speed**2,
            "vibration": vibration,
            "noise": 20 * np.log10(power) + vibration,
        }
    )
    noise = rng.normal(scale=0.03, size=sensors.shape)
    return sensors + noise * sensors.std().to_numpy()


train, usual, unusual = log_pump(3000), log_pump(1000), log_pump(1000)
faulty = rng.integers(unusual.shape[1], size=len(unusual))
is_faulty = faulty[:, None] == np.arange(unusual.shape[1])
unusual = unusual.mask(is_faulty, log_pump(len(unusual)))
tables["pump"] = (train, usual, unusual)

# %%
# All detectors have `score_samples`: the higher, the more usual. For the autoencoder it
# is minus the error, for PCA the log-likelihood. Scale first, or the column with the
# largest numbers decides alone. PCA and the autoencoder get the same sizes.

SIZES = [2, 4, 8]


def detectors():
    models = {
        ("isolation forest", ""): IsolationForest(random_state=0),
        ("nearest neighbours", ""): LocalOutlierFactor(novelty=True),
    }
    for size in SIZES:
        models["PCA", size] = PCA(size)
        models["autoencoder", size] = AutoencoderTransformer(size, random_state=0)
    return {key: make_pipeline(StandardScaler(), m) for key, m in models.items()}


def auc(detector, usual, unusual):
    """Return how often an unusual row has the lower score in a pair of rows."""
    score = detector.score_samples(pd.concat([usual, unusual]))
    return roc_auc_score(np.arange(len(score)) < len(usual), score)


fitted, rows = {}, {}
for name, (train, usual, unusual) in tables.items():
    fitted[name] = {key: model.fit(train) for key, model in detectors().items()}
    rows[name] = {k: auc(model, usual, unusual) for k, model in fitted[name].items()}
table = pd.DataFrame(rows).sort_index(level=0, sort_remaining=False)
table.index.names = ["detector", "numbers"]
print("Area under the ROC curve")
print(table.to_string(float_format="{:.3f}".format))

# %%
# An alarm needs a threshold. For one false alarm in a hundred rows it is the first
# percentile of the scores of usual rows. Those of the training rows are a little too
# good, as the model has seen them; rows set aside are more honest. Half of the usual
# test rows serve as such, the other half count false alarms.

train, usual, unusual = tables["pump"]
detector = fitted["pump"]["autoencoder", table.loc["autoencoder", "pump"].idxmax()]
aside, counted = train_test_split(usual, test_size=0.5, random_state=0)
thresholds = {
    name: np.quantile(detector.score_samples(X), 0.01)
    for name, X in [("training rows", train), ("rows set aside", aside)]
}

# %%
# Which column is to blame? `reconstruction_error` has an answer for each cell. A
# pipeline does not pass it on, so the scaler and the autoencoder are called in turn.

scaler, autoencoder = detector
error = autoencoder.reconstruction_error(scaler.transform(unusual), per_feature=True)
blamed_rightly = (error.argmax(axis=1) == faulty).mean()

# %%
# The three answers: how well, from which score on, and in which column.

figure = plt.figure(figsize=(12, 3.9), layout="constrained")
left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
best = table.groupby("detector").max().sort_values("pump")
for name, marker in zip(tables, "os", strict=True):
    left.plot(best[name], best.index, marker, ms=8, label=name)
left.set(xlabel="area under the ROC curve", xlim=(0.5, 1), ylim=(-0.5, 3.5))
left.set_title("How well? (best of the sizes)", fontsize="medium")
left.grid(alpha=0.3)
left.legend(loc="upper left")

errors = {"usual": counted, "unusual": unusual}
bins = np.geomspace(1e-4, 10, 40)
for name, X in errors.items():
    middle.hist(
        -detector.score_samples(X),
        bins,
        weights=np.full(len(X), 1 / len(X)),
        alpha=0.6,
        label=name,
    )
middle.axvline(-thresholds["rows set aside"], color="k", ls="--", label="threshold")
middle.set(xscale="log", xlabel="error (minus score_samples)", ylabel="share of rows")
middle.set_title("From where on? (pump)", fontsize="medium")
middle.legend()

columns = range(unusual.shape[1])
shown = np.concatenate([np.flatnonzero(faulty == column)[:2] for column in columns])
picture = right.imshow(error[shown].T, cmap="magma_r", vmax=0.5, aspect="auto")
right.plot(np.arange(len(shown)), faulty[shown], "s", mfc="none", mec="C2", ms=10)
right.set_yticks(columns, unusual.columns)
right.set(xlabel="unusual rows, two for each sensor", xticks=[])
right.set_title("In which column? (framed: faulty)", fontsize="medium")
figure.colorbar(picture, ax=right, label="squared error", extend="max")
plt.show()

# %%
# In words, from the numbers above.

for name in tables:
    first, *others = (
        f"{method} {x:.3f}"
        for method, x in best[name].sort_values(ascending=False).items()
    )
    print(f"{name}: {first},\n  before {', '.join(others)}.")
models = fitted["tumours"]
proven = [size for size in SIZES if models["autoencoder", size][-1].proven_]
print(
    f"Of the autoencoders of tumours, {len(proven)} of {len(SIZES)} are proven better "
    "than PCA by held-out rows;\nthe others are PCA, whose score here is the error.\n"
    "An isolation forest splits one column at a time: it sees values that are large,\n"
    "but hardly that two do not go together. For that take a model of how they do:\n"
    "PCA if they are proportional, an autoencoder if not and rows are many. Try all.\n"
    "The pump's threshold, for 1% false alarms:"
)
for name, threshold in thresholds.items():
    false, found = (
        (detector.score_samples(X) < threshold).mean() for X in (counted, unusual)
    )
    print(f"  from {name}: {false:.1%} false alarms, {found:.0%} of the faults found")
print(f"The column with the largest error is the faulty one in {blamed_rightly:.0%}.")
