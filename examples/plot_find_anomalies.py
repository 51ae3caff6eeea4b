"""
Where is an image unusual?
==========================

An autoencoder that has seen only clean digits rebuilds clean digits. Where an image is
unlike its reconstruction, something may be wrong. We damage a spot of each test digit,
map the error of each pixel and see whether it points at the spot; PCA does the same.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer

# %%
# Digits as `uint8` images of 8 x 8 pixels. A test image is there twice: clean, and with
# a spot of 3 x 3 pixels that have random values.

digits = load_digits()
images = (digits.images / 16 * 255).astype(np.uint8)
train, clean, _, y_test = train_test_split(
    images, digits.target, train_size=1300, stratify=digits.target, random_state=0
)

rng = np.random.default_rng(0)
damaged, in_spot = clean.copy(), np.zeros(clean.shape, dtype=bool)
corners = rng.integers(6, size=(len(clean), 2))
for spot, (top, left) in zip(in_spot, corners, strict=True):
    spot[top : top + 3, left : left + 3] = True
damaged[in_spot] = rng.integers(256, size=in_spot.sum())

# %%
# A heat map is the squared error of each pixel, in the shape of the image. PCA gets
# several sizes: a long code rebuilds damage as well, a short one not even clean digits.


def flatten(images):
    return images.reshape(len(images), -1) / 255


heat = {}  # of the clean images and of the damaged ones
for size in [4, 8, 12, 16, 24, 32]:
    pca = PCA(size).fit(flatten(train))
    heat["PCA", size] = [
        np.square(
            flatten(X) - pca.inverse_transform(pca.transform(flatten(X)))
        ).reshape(X.shape)
        for X in (clean, damaged)
    ]
for size in [8, 12]:
    autoencoder = AutoencoderTransformer(size, random_state=0).fit(train)
    heat["autoencoder", size] = [
        autoencoder.reconstruction_error(X, per_feature=True) for X in (clean, damaged)
    ]

# %%
# Does the largest error lie in the spot? And does the mean error of an image tell
# damaged images from clean ones? Guessing would be right in 14 % of the images, and
# have an area under the ROC curve of 0.5.

is_damaged = np.repeat([False, True], len(clean))
scores = {key: np.concatenate(maps).mean(axis=(1, 2)) for key, maps in heat.items()}
is_largest = {
    key: maps[1] == maps[1].max((1, 2), keepdims=True) for key, maps in heat.items()
}
table = pd.DataFrame(
    {
        "largest in spot": {key: in_spot[is_largest[key]].mean() for key in heat},
        "ROC AUC": {key: roc_auc_score(is_damaged, scores[key]) for key in heat},
    }
)
table.index.names = ["model", "numbers"]
print(table.to_string(float_format="{:.3f}".format))

# %%
# One test digit of each kind, and its heat maps by models of the same size. To the
# right, these models and the best PCA as an alarm.

SIZE = 8
shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
figure = plt.figure(figsize=(12, 3.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[2.2, 1])
left.suptitle(
    f"Test digits, and heat maps by models of {SIZE} numbers", fontsize="medium"
)
axes = left.subplots(3, 10)
for ax, image in zip(axes[0], damaged[shown], strict=True):
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=255)
for row, name in zip(axes[1:], ["PCA", "autoencoder"], strict=True):
    for ax, error in zip(row, heat[name, SIZE][1][shown], strict=True):
        picture = ax.imshow(error, cmap="magma", vmin=0, vmax=0.5)
for row, title in zip(axes, ["damaged\n(framed)", "PCA", "autoencoder"], strict=True):
    row[0].set_ylabel(title, rotation=0, ha="right", va="center")
    for ax, (down, across) in zip(row, corners[shown], strict=True):
        ax.add_patch(Rectangle((across - 0.5, down - 0.5), 3, 3, fill=False, ec="C2"))
        ax.set(xticks=[], yticks=[])
left.colorbar(picture, ax=axes[1:], label="squared error", extend="max")

ax = right.subplots()
best = table.loc["PCA", "ROC AUC"].idxmax()
for key, style in [
    (("PCA", SIZE), "C0--"),
    (("PCA", best), "C0-"),
    (("autoencoder", SIZE), "C1-"),
]:
    false_alarms, found, _ = roc_curve(is_damaged, scores[key])
    ax.plot(false_alarms, found, style, label=f"{key[0]}, {key[1]} numbers")
ax.set(xlabel="share of clean images", ylabel="share of damaged images")
ax.set_title("Flagged by their mean error", fontsize="medium")
ax.grid(alpha=0.3)
ax.legend(loc="lower right")

plt.show()

# %%
# In words, from the numbers above; each kind of model with the best of its sizes.

top = table.groupby("model").max()
for measure, words in [
    ("largest in spot", "Share of images whose largest error lies in the spot"),
    ("ROC AUC", "Area under the ROC curve of the mean error"),
]:
    mine, other = top.loc["autoencoder", measure], top.loc["PCA", measure]
    print(f"{words}: {mine:.3f}, to {other:.3f} for the best PCA.")
print(
    "In most heat maps the spot is the brightest place, with PCA as well. It is not\n"
    "the only one: damage changes the code, and with it the whole reconstruction."
)
