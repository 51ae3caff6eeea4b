"""
Can one model serve all sizes of code?
======================================

PCA is fitted once: whoever needs a shorter code drops the last components. An
autoencoder of 16 numbers has no last ones; each means something only beside the others.
With `bottleneck="ordered"` it learns to put the important ones first. What does that
cost, beside a model of its own for each size, and beside PCA?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

SIZES = [1, 2, 4, 8, 16]
LARGEST = SIZES[-1]

# %%
# The pictures are `uint8` of shape (n, 20, 20, 3). A camera looks at a pagoda, moves in
# two directions, zooms, and has more light or less. 300 pictures are for testing.

photo = Image.fromarray(load_sample_image("china.jpg"))
rng = np.random.default_rng(0)


def take_picture():
    left, top = rng.uniform(10, 100), rng.uniform(10, 80)
    side = rng.uniform(240, 330)
    box = left, top, left + side, top + side
    view = photo.resize((20, 20), Image.Resampling.BOX, box)
    return (np.asarray(view) * rng.uniform(0.6, 1)).round().astype(np.uint8)


train, test = np.split(np.array([take_picture() for _ in range(1100)]), [800])

# %%
# One ordered model: in training, half of the pictures have to do with the first few of
# its components. That is much to learn, and it trains four times as long. Then a model
# for each size, and PCA. `network="mlp"` is enough for so few pictures, and quick.


def autoencoder(size, **options):
    return AutoencoderTransformer(size, network="mlp", random_state=0, **options)


def flatten(pictures):
    return pictures.reshape(len(pictures), -1) / 255


ordered = autoencoder(LARGEST, bottleneck="ordered").fit(train)
own = {size: autoencoder(size).fit(train) for size in SIZES}
pca = PCA(LARGEST, random_state=0).fit(flatten(train))

# %%
# Codes of `LARGEST` numbers are cut to their first ones. The ordered model takes the
# short code as it is. PCA and a plain autoencoder want all columns: the mean of the
# training codes takes the place of those that were dropped.


def cut(model, code, size):
    """Rebuild pictures from the first numbers of their codes."""
    typical = model.transform(train).mean(axis=0)
    kept = np.arange(LARGEST) < size
    return model.inverse_transform(np.where(kept, code, typical).astype(code.dtype))


code, plain_code = ordered.transform(test), own[LARGEST].transform(test)
pca_code = pca.transform(flatten(test))
results = {
    "PCA, cut": {
        size: pca_code[:, :size] @ pca.components_[:size] + pca.mean_ for size in SIZES
    },
    "plain, cut": {size: cut(own[LARGEST], plain_code, size) for size in SIZES},
    "ordered, cut": {size: ordered.inverse_transform(code[:, :size]) for size in SIZES},
    "one model each": {size: own[size].reconstruct(test) for size in SIZES},
}

# %%
# The squared error on test pictures, as a share of that of the mean picture.


def as_pictures(X_hat):
    """Return rows of PCA and `uint8` pictures alike: floats, white is 1."""
    if X_hat.dtype == np.uint8:
        X_hat = X_hat / 255
    return X_hat.reshape(test.shape).clip(0, 1)


results = {
    name: {size: as_pictures(X_hat) for size, X_hat in by_size.items()}
    for name, by_size in results.items()
}
total = np.square(test / 255 - train.mean(axis=0) / 255).sum()
table = pd.DataFrame(
    {
        name: {
            size: np.square(X_hat - test / 255).sum() / total
            for size, X_hat in by_size.items()
        }
        for name, by_size in results.items()
    }
)
table.index.name = "numbers"
print(table.to_string(float_format="{:.3f}".format))

# %%
# Two test pictures rebuilt from one number, two, four ..., and the error of all.

figure = plt.figure(figsize=(12, 3.2), layout="constrained")
first, second, right = figure.subfigures(1, 3, width_ratios=[1.38, 1.08, 1])
for part, shown in [(first, 0), (second, 1)]:
    axes = part.subplots(len(results), len(SIZES) + 1)
    for ax, size in zip(axes[0], [*SIZES, "original"], strict=True):
        ax.set_title(size, fontsize="medium")
    for row, (name, by_size) in zip(axes, results.items(), strict=True):
        pictures = [by_size[size][shown] for size in SIZES] + [test[shown]]
        for ax, picture in zip(row, pictures, strict=True):
            ax.imshow(picture)
            ax.set(xticks=[], yticks=[])
        if part is first:
            row[0].set_ylabel(name, rotation=0, ha="right", va="center")

ax = right.subplots()
for name, style in zip(table, ["C0s--", "C2^:", "C1o-", "kx:"], strict=True):
    ax.loglog(table.index, table[name], style, label=name)
ax.set_xticks(SIZES, SIZES)
ax.set_yticks([0.05, 0.1, 0.2, 0.5], [0.05, 0.1, 0.2, 0.5])
ax.minorticks_off()
ax.set(xlabel="numbers used of the code", ylabel="squared error (mean picture: 1)")
ax.grid(alpha=0.3)
ax.legend(loc="upper right", fontsize="small")
plt.show()

# %%
# As with PCA, `explained_variance_ratio_` says what each component adds, and so how
# many to keep. (`n_components=0.9` does that by itself, and asks held-out pictures.)

shares = {"PCA": pca, "ordered": ordered}
for name, model in shares.items():
    share = np.cumsum(model.explained_variance_ratio_)
    enough = np.flatnonzero(share >= 0.9)
    words = (
        f"{enough[0] + 1} numbers" if len(enough) else f"more than {LARGEST} numbers"
    )
    print(f"{name}: 90% of the variance of the training pictures takes {words}.")

# %%
# In words, from the numbers above.

to_own, to_pca = (
    table["ordered, cut"] / table[other] for other in ("one model each", "PCA, cut")
)
ratios = ", ".join(f"{ratio:.2f} at {size}" for size, ratio in to_own.items())
better = [str(size) for size in SIZES if to_own[size] > 1]
print(
    f"One ordered model stands in for {len(SIZES)}. Its error, over that of a model of "
    f"each size:\n{ratios}. Over that of PCA: {to_pca.min():.2f} to "
    f"{to_pca.max():.2f}.\n"
    "Take it if you need codes of several sizes, or do not know the size yet.\n"
    "If you do, a model of that size may be better (here at sizes: "
    f"{', '.join(better) or 'none'}).\n"
    "To cut a plain code is no way: its numbers have no order."
)
