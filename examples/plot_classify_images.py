"""
Few labels: what does a classifier gain from unlabelled images?
===============================================================

Images are plenty, labels are dear: 1300 digits, of which a hundred say which digit they
are. An autoencoder learns from all of them how to describe a digit in a few numbers; a
classifier learns from the hundred. We compare with PCA's numbers, and with raw pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedShuffleSplit,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderTransformer

SIZES = [4, 8, 16]

# %%
# Flat rows of 64 pixels. The labels of the training digits are not used yet.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=1300, stratify=y, random_state=0
)

# %%
# Behind a scaler that wants flat rows, `image_shape` tells the autoencoder that they
# are images. Both steps learn from all 1300 training digits, without labels.

encoders = {("raw pixels", 64): MinMaxScaler().fit(X_train)}
for size in SIZES:
    autoencoder = AutoencoderTransformer(size, image_shape=(8, 8), random_state=0)
    for name, reducer in [("PCA", PCA(size)), ("autoencoder", autoencoder)]:
        encoders[name, size] = make_pipeline(MinMaxScaler(), reducer).fit(X_train)

# %%
# A frozen step is not fitted again, so the classifier behind it can learn from ten
# labelled digits of each kind. One such hundred is luckier than another: we draw ten.


def classifier(encoder):
    return Pipeline(
        [
            ("encode", FrozenEstimator(encoder)),
            ("classify", KNeighborsClassifier(n_neighbors=1)),
        ]
    )


draws = StratifiedShuffleSplit(n_splits=10, train_size=100, random_state=0)
labelled = [rows for rows, _ in draws.split(X_train, y_train)]
accuracy = pd.DataFrame(
    {
        key: [
            classifier(encoder).fit(X_train[rows], y_train[rows]).score(X_test, y_test)
            for rows in labelled
        ]
        for key, encoder in encoders.items()
    }
)
table = accuracy.mean().unstack(0)[["PCA", "autoencoder", "raw pixels"]]
table.index.name = "numbers"
print("Test accuracy, mean of ten draws of 100 labels")
print(table.to_string(float_format="{:.3f}".format, na_rep=""))

# %%
# Which one would we take? The hundred labels can tell, by cross-validation: the encoder
# is one more thing to search.

first = labelled[0]
search = GridSearchCV(
    classifier(encoders["raw pixels", 64]),
    {
        "encode": [FrozenEstimator(encoder) for encoder in encoders.values()],
        "classify__n_neighbors": [1, 3],
    },
    cv=5,
).fit(X_train[first], y_train[first])

# %%
# Accuracy by size, and test digits as the shortest codes keep them.

figure = plt.figure(figsize=(12, 3.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.5])
ax = left.subplots()
for name, style in [("PCA", "s--"), ("autoencoder", "o-")]:
    scores = accuracy[name]
    ax.errorbar(SIZES, scores.mean(), scores.std(), fmt=style, capsize=3, label=name)
ax.axhline(
    accuracy["raw pixels", 64].mean(), color="k", ls=":", label="raw pixels (64)"
)
ax.set(xlabel="numbers in the code", ylabel="test accuracy", xticks=SIZES)
ax.set_title("100 labels: mean and spread of ten draws", fontsize="medium")
ax.grid(alpha=0.3)
ax.legend(loc="lower right")

right.suptitle(
    f"Rebuilt from {SIZES[0]} numbers; what the classifier says, red if wrong"
)
shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
axes = right.subplots(3, 10)
for row, key in zip(
    axes,
    [("raw pixels", 64), ("PCA", SIZES[0]), ("autoencoder", SIZES[0])],
    strict=True,
):
    encoder = encoders[key]
    model = classifier(encoder).fit(X_train[first], y_train[first])
    digits = encoder.inverse_transform(encoder.transform(X_test[shown]))
    row[0].set_ylabel(key[0], rotation=0, ha="right", va="center")
    said = model.predict(X_test[shown])
    for ax, digit, label, truth in zip(row, digits, said, y_test[shown], strict=True):
        ax.imshow(digit.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(f"a {label}", color="k" if label == truth else "C3")

plt.show()

# %%
# In words, from the numbers above.

for size in SIZES:
    gain = accuracy["autoencoder", size] - accuracy["PCA", size]
    print(
        f"{size} numbers: the autoencoder's accuracy is {gain.mean():+.3f} from PCA's, "
        f"and the higher one in {(gain > 0).sum()} of 10 draws."
    )
chosen = search.best_params_["encode"].estimator
name, size = next(key for key, encoder in encoders.items() if encoder is chosen)
print(
    "So the autoencoder gains where the code has to be short; else PCA does as well.\n"
    "Where 64 numbers are not too many, raw pixels are hard to beat on these digits:\n"
    f"the grid search took {name} ({size} numbers), with an accuracy of "
    f"{search.score(X_test, y_test):.3f}."
)
