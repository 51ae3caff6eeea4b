"""
A class is rare: does the code know of it?
==========================================

A code keeps what makes most rows differ. What only a few rows have, it drops, and then
no classifier finds it there. Heartbeats of 60 values show it: 2000 are regular, and of
two irregular kinds there are 40 each. `sample_weight` lets a rare row count as much as
several others. What does that gain, what does it cost, and does PCA gain as well?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import FunctionTransformer

from skae import AutoencoderTransformer

KINDS = ["regular", "raised end", "early dip"]
SIZE, WEIGHTS = 4, [1, 3, 7, 20, 50]

# %%
# Generated beats: three waves and a dip, whose places and heights vary. One rare kind
# does not go back to zero after the second wave, the other has a dip before it. Of the
# beats for testing all kinds have as many.

rng = np.random.default_rng(0)
time = np.linspace(0, 1, 60)


def generate(kind, n_beats):
    """Return beats of one kind, with some noise."""

    def wave(place, width, height):
        place, height = (
            rng.uniform(*ends, size=(n_beats, 1)) for ends in (place, height)
        )
        return height * np.exp(-np.square((time - place) / width) / 2)

    beats = wave([0.14, 0.24], 0.03, [0.1, 0.2]) + wave([0.38, 0.42], 0.025, [0.8, 1.2])
    beats += wave([0.64, 0.76], 0.05, [0.2, 0.4]) - wave([0.47, 0.47], 0.02, [0.1, 0.3])
    if kind == "raised end":
        beats += wave([0.54, 0.54], 0.05, [0.1, 0.3])
    if kind == "early dip":
        beats -= wave([0.3, 0.3], 0.02, [0.1, 0.3])
    return beats + rng.normal(scale=0.05, size=beats.shape)


def generate_all(numbers):
    X = [generate(kind, n) for kind, n in zip(KINDS, numbers, strict=True)]
    return np.concatenate(X), np.repeat(KINDS, numbers)


X_train, y_train = generate_all([2000, 40, 40])
X_test, y_test = generate_all([500, 500, 500])

# %%
# A rare row gets a weight of 1, 3, ... and at last 50, with which all classes count
# alike ("balanced"). scikit-learn's PCA takes no weights, so its rows are repeated. The
# error is a share of the variance of a beat; the classifier behind the code is told
# that the classes are not of the same size.
#
# The verdict, whether the network is better than PCA, is about rebuilding held-out rows
# with their weights. Of each rare kind these are about four, and at last they count for
# two thirds. So we also train networks that nobody judges.

scale = X_test.var(axis=0).mean()


def assess(model):
    """Return the error of each kind, and what a classifier makes of the codes."""
    code, code_test = model.transform(X_train), model.transform(X_test)
    error = np.square(model.inverse_transform(code_test) - X_test).mean(axis=1) / scale
    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    said = classifier.fit(code, y_train).predict(code_test)
    return {
        **{kind: error[y_test == kind].mean() for kind in KINDS},
        "balanced accuracy": balanced_accuracy_score(y_test, said),
    }


is_rare = y_train != "regular"
models = {}
for weight in WEIGHTS:
    times = np.where(is_rare, weight, 1)
    models["PCA", weight] = PCA(SIZE).fit(np.repeat(X_train, times, axis=0))
    for name, early_stopping in [("autoencoder", "auto"), ("unjudged", False)]:
        autoencoder = AutoencoderTransformer(
            SIZE, early_stopping=early_stopping, random_state=0
        )
        models[name, weight] = autoencoder.fit(X_train, sample_weight=times)
table = pd.DataFrame({key: assess(model) for key, model in models.items()}).T
table = table.rename_axis(["model", "weight"]).sort_index()
proven = pd.Series(
    {weight: models["autoencoder", weight].proven_ for weight in WEIGHTS}
)
print(table.round(3).to_string())

# %%
# To compare with: all 60 values as they are, and a PCA of four times the size.

longer = PCA(4 * SIZE).fit(X_train)
limits = {"all 60 values": FunctionTransformer(), f"PCA, {4 * SIZE} numbers": longer}
limits = {
    name: assess(model.fit(X_train))["balanced accuracy"]
    for name, model in limits.items()
}
print(pd.Series(limits).round(3).to_string())

# %%
# One test beat of each kind and what two of the unjudged networks make of it, their
# errors beside PCA's, and the accuracy. Where a network could not prove itself, the
# marker is hollow: there the model is PCA with weights.

FEW, MANY = WEIGHTS[0], WEIGHTS[-2]
figure = plt.figure(figsize=(13, 4.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 2])
axes = left.subplots(3, 1, sharex=True, sharey=True)
for ax, kind in zip(axes, KINDS, strict=True):
    beat = X_test[y_test == kind][:1]
    ax.plot(time, beat[0], ".", color="0.6", ms=4, label="beat")
    for weight, style in [(FEW, "C3--"), (MANY, "C1-")]:
        rebuilt = models["unjudged", weight].reconstruct(beat)[0]
        ax.plot(time, rebuilt, style, label=f"rare rows x {weight}")
    ax.set_title(kind, fontsize="medium")
    ax.set(xticks=[], yticks=[])
handles = axes[0].get_legend_handles_labels()
left.legend(*handles, loc="outside lower center", ncols=3, fontsize="small")

names = {"PCA": "PCA", "unjudged": "network", "autoencoder": "autoencoder (judged)"}
errors, accuracy = right.subplots(1, 2)
for color, kind in zip(["C2", "C4", "C5"], KINDS, strict=True):
    for name, style in [("PCA", "--"), ("unjudged", "o-")]:
        values = table.loc[name, kind]
        errors.plot(values, style, color=color, label=f"{kind}, {names[name]}")
errors.set_title("Error, as a share of the variance", fontsize="medium")
errors.set_ylim(0, None)
for name, style in [("PCA", "C0s--"), ("unjudged", "C3v:"), ("autoencoder", "C1o-")]:
    accuracy.plot(table.loc[name, "balanced accuracy"], style, label=names[name])
not_proven = proven.index[~proven.astype(bool)]
values = table.loc["autoencoder", "balanced accuracy"][not_proven]
accuracy.plot(values, "o", color="C1", markerfacecolor="w")
for (name, value), style in zip(limits.items(), [":", "-."], strict=True):
    accuracy.axhline(value, color="k", ls=style, lw=1, label=f"{name}, no weights")
accuracy.set_title("Balanced accuracy of a classifier", fontsize="medium")
accuracy.set_ylim(1 / 3, 1)
for ax in (errors, accuracy):
    ax.set_xscale("log")
    ax.set_xticks(WEIGHTS, WEIGHTS)
    ax.minorticks_off()
    ax.set_xlabel("weight of a rare row")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", loc="lower right")
plt.show()

# %%
# In words, from the numbers above.

print(f"Guessing has a balanced accuracy of {1 / len(KINDS):.2f}.")
for weight in [WEIGHTS[0], WEIGHTS[-1]]:
    print(f"Rare rows with a weight of {weight}:")
    for name in ["PCA", "unjudged"]:
        row = table.loc[name, weight]
        print(
            f"  {names[name]}: error {row[KINDS[1:]].mean():.2f} for rare beats, "
            f"{row['regular']:.2f} for regular ones; balanced accuracy "
            f"{row['balanced accuracy']:.2f}"
        )
if len(not_proven):
    print(
        "With a weight of "
        f"{' and of '.join(map(str, not_proven))} the verdict was for PCA. It is about "
        "rebuilding: a few\nheavy rows are soon learnt by heart. For a classifier let "
        "the classifier judge,\nby cross-validation."
    )
print(
    f"A longer code is the other way: PCA with {4 * SIZE} numbers and no weights leads "
    f"to {limits[f'PCA, {4 * SIZE} numbers']:.2f}. Weights\nare for codes that have to "
    "be short."
)
