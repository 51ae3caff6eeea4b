"""
How many bytes does a picture need?
===================================

A camera that is not held still takes pictures of one scene, in changing light. We keep
a few bytes of each and rebuild the pictures. Counting all bytes, also those of the
model that rebuilds, when does that pay? And when is PCA better?
"""

import pickle
import zlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import AutoencoderTransformer

SIZE = 8  # numbers for each picture

# %%
# The pictures are `uint8` of shape (n, 24, 24, 3): views of one photo, shifted by up to
# six pixels in steps of an eighth, and more or less bright. 300 are for testing.

photo = load_sample_image("china.jpg")
rng = np.random.default_rng(0)


def take_picture():
    """Return a view of the photo; each pixel is the mean of 8 x 8."""
    top, left = rng.integers(48, size=2) + [60, 20]
    view = photo[top : top + 192, left : left + 192] * rng.uniform(0.7, 1)
    return view.reshape(24, 8, 24, 8, 3).mean(axis=(1, 3)).round().astype(np.uint8)


train, test = np.split(np.array([take_picture() for _ in range(1300)]), [1000])

# %%
# The autoencoder takes pictures as they are. Few channels make a small model, which
# counts here. PCA needs flat rows of floats, and its own floats made into pictures.


def flatten(pictures):
    return pictures.reshape(len(pictures), -1).astype(np.float32)


def unflatten(rows):
    return rows.clip(0, 255).round().astype(np.uint8).reshape(-1, *train.shape[1:])


def fit_pca(size):
    to_rows = FunctionTransformer(flatten, unflatten)
    return make_pipeline(to_rows, PCA(size, random_state=0)).fit(train)


autoencoder = AutoencoderTransformer(
    SIZE, hidden_layer_sizes=(16, 16), random_state=0
).fit(train)

# %%
# A number of the code becomes one byte: its place between the smallest and the largest
# one of the training pictures. Half precision would be two bytes.


def code_in_bytes(model):
    """Return the codes of the test pictures, each number rounded to one of 256."""
    known = model.transform(train)
    low, step = known.min(axis=0), np.ptp(known, axis=0) / 255
    places = ((model.transform(test) - low) / step).round().clip(0, 255)
    return places * step + low


def squared_error(X_hat):
    """Return the mean squared error of the test pictures; white is 1."""
    return np.square(X_hat / 255 - test / 255).mean()


# %%
# How many numbers does PCA need to be as good? Zeros leave the last of 100 out.

goal = squared_error(autoencoder.inverse_transform(code_in_bytes(autoencoder)))
pca = fit_pca(100)
code, places = code_in_bytes(pca), np.arange(100)
enough = next(
    n
    for n in range(101)
    if squared_error(pca.inverse_transform(code * (places < n))) <= goal
)

# %%
# All bytes. A model is pickled with both its halves, as one would keep it.

zipped = np.mean([len(zlib.compress(picture, 9)) for picture in test])
rows = {"raw": (test[0].size, 0, 0), "zlib": (zipped, 0, 0)}
shown = {"original": test}
for name, size, model in [
    ("PCA", SIZE, fit_pca(SIZE)),
    ("larger PCA", enough, fit_pca(enough)),
    ("autoencoder", SIZE, autoencoder),
]:
    shown[name] = model.inverse_transform(code_in_bytes(model))
    rows[name] = (size, len(pickle.dumps(model)), squared_error(shown[name]))
columns = ["bytes each", "bytes of model", "squared error"]
table = pd.DataFrame(rows, index=columns).T
table["PSNR in dB"] = -10 * np.log10(table["squared error"].iloc[2:])
print(table.to_string(float_format="{:,.5g}".format, na_rep="exact"))

# %%
# Some test pictures, and the bytes of each with its share of the model.

figure = plt.figure(figsize=(12, 4.4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.7, 1])
left.suptitle("Test pictures")
for row, (name, pictures) in zip(left.subplots(4, 8), shown.items(), strict=True):
    n_bytes = table["bytes each"].get(name, test[0].size)
    row[0].set_ylabel(
        f"{name}\n{n_bytes:.0f} bytes", rotation=0, ha="right", va="center"
    )
    for ax, picture in zip(row, pictures, strict=False):
        ax.imshow(picture)
        ax.set(xticks=[], yticks=[])

ax = right.subplots()
n_pictures = np.geomspace(10, 1e7)
for name, style in zip(table.index, ["k:", "k-.", "C0--", "C0-", "C1-"], strict=True):
    each, shared = table.loc[name, ["bytes each", "bytes of model"]]
    ax.loglog(n_pictures, each + shared / n_pictures, style, label=name)
ax.set(xlabel="number of pictures", ylabel="bytes for each, model included")
ax.set_title("With its share of the model")
ax.grid(alpha=0.3)
ax.legend()

plt.show()

# %%
# In words, from the numbers above.


def pays_from(name, other):
    """Return from how many pictures on one takes fewer bytes than another."""
    saved = table.loc[other] - table.loc[name]
    return -saved["bytes of model"] / saved["bytes each"]


ratio = goal / table.loc["PCA", "squared error"]
own = table.loc["autoencoder", "bytes of model"] / 1e6
from_raw, from_pca = (pays_from("autoencoder", x) for x in ("raw", "larger PCA"))
print(
    f"With {SIZE} bytes in place of {test[0].size}, the autoencoder's squared error is "
    f"{ratio:.0%} of PCA's;\nPCA needs {enough} bytes to be as good. "
    f"But the autoencoder itself takes {own:.1f} MB.\nIt pays from {from_raw:,.0f} "
    f"pictures on against raw ones, and from {from_pca:,.0f} on against "
    "the\nlarger PCA. Below that, PCA with more numbers is as good with fewer bytes."
)

# %%
# All this is about many pictures of one kind. It is no rival of JPEG on one picture:
# patches of 8 x 8 pixels of `flower.jpg` taught PCA and an autoencoder (as above, one
# byte for a number, the model not counted) to compress `china.jpg` in grey. At 4, 8 and
# 16 bytes for a patch they came to 21, 22 and 23 dB; JPEG files of as many bytes came
# to 25, 28 and 35.
