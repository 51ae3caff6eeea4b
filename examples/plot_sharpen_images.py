"""
Can an autoencoder sharpen a coarse scan?
=========================================

A page was scanned too coarsely: a letter is five pixels high. Bicubic interpolation
blurs it, and so does regression on PCA's components, which is linear. A network that
has seen other pages, coarse and sharp, knows which strokes there are. How much
sharper does it get, and how far does that knowledge carry: to another font, to a photo?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.font_manager import findfont
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import zoom
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_sample_image,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer

# %%
# The pages are descriptions of scikit-learn's data, set in a font that comes with
# matplotlib. Black is 0, white is 1. The coarse scan has the mean of 3 x 3 pixels.


def set_page(text, font):
    """Return the text as an image."""
    font = ImageFont.truetype(findfont(font), 16)
    lines = [""]
    for word in text.split():
        if word.strip("=-:.|*+_"):  # no rules, no bullets
            longer = f"{lines[-1]} {word}".strip()
            fits = font.getlength(longer) < 470
            lines[-1:] = [longer] if fits else [lines[-1], word]
    page = Image.new("L", (480, 21 * len(lines)), 255)
    for i, line in enumerate(lines):
        ImageDraw.Draw(page).text((5, 21 * i), line, fill=0, font=font)
    return np.asarray(page, dtype=np.float32) / 255


def scan(page):
    height, width = page.shape
    return page.reshape(height // 3, 3, width // 3, 3).mean(axis=(1, 3))


known = "DejaVu Sans"
texts = [load().DESCR for load in (load_digits, load_wine, load_breast_cancer)]
train = set_page(" ".join(texts), known)
photo = load_sample_image("china.jpg").mean(axis=2, dtype=np.float32) / 255
tests = {
    "known font": set_page(load_iris().DESCR, known)[:420],
    "other font": set_page(load_iris().DESCR, "DejaVu Serif")[:420],
    "a photo": photo[:420, :480],
}

# %%
# What does a coarse pixel consist of? The rows of X are 5 x 5 coarse pixels, those of
# `X_target` the 3 x 3 sharp ones inside the middle one. They are cut from all over the
# training page, on and off the raster of the scan.

rng = np.random.default_rng(0)
windows = sliding_window_view(train, (15, 15))
places = [rng.integers(n, size=16_000) for n in windows.shape[:2]]
sharp = windows[tuple(places)]
X = sharp.reshape(-1, 5, 3, 5, 3).mean(axis=(2, 4)).reshape(-1, 25)
X_target = sharp[:, 6:9, 6:9].reshape(-1, 9)

# %%
# `fit(X, X_target=...)` learns to turn one into the other. Its rival is built alike:
# PCA, then linear regression on the components. With all 25 of them PCA loses nothing.
# (`MLPRegressor` could learn it too; it has no code, and takes no images.)

SIZE = 16
autoencoder = AutoencoderTransformer(SIZE, random_state=0).fit(X, X_target=X_target)
linear = {
    size: make_pipeline(PCA(size), LinearRegression()).fit(X, X_target)
    for size in (SIZE, 25)
}

# %%
# A page is sharpened pixel by pixel, each from its 5 x 5 neighbours.


def sharpen(predict, coarse):
    windows = sliding_window_view(np.pad(coarse, 2, mode="edge"), (5, 5))
    blocks = predict(windows.reshape(-1, 25)).reshape(*coarse.shape, 3, 3)
    return blocks.swapaxes(1, 2).reshape(3 * coarse.shape[0], -1).clip(0, 1)


def interpolate(coarse, order):
    larger = zoom(coarse, 3, order=order, mode="nearest", grid_mode=True)
    return larger.clip(0, 1)


results = {}
for name, page in tests.items():
    coarse = scan(page)
    results[name] = {
        "coarse": interpolate(coarse, order=0),
        "bicubic": interpolate(coarse, order=3),
        f"PCA ({SIZE}), regression": sharpen(linear[SIZE].predict, coarse),
        "PCA (25), regression": sharpen(linear[25].predict, coarse),
        f"autoencoder ({SIZE})": sharpen(autoencoder.reconstruct, coarse),
    }


def psnr(page, original):
    return -10 * np.log10(np.square(page - original).mean())


table = pd.DataFrame(
    {
        name: {way: psnr(page, tests[name]) for way, page in ways.items()}
        for name, ways in results.items()
    }
)
print("PSNR of test pages in dB; 6 dB more is half the error")
print(table.to_string(float_format="{:.1f}".format))

# %%
# Three lines of a page in the known font, and a piece of the photo.

figure = plt.figure(figsize=(12, 5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
axes = left.subplots(len(table) + 1, 2, width_ratios=[3, 1])
for row, way in zip(axes, [*table.index, "original"], strict=True):
    row[0].set_ylabel(way.replace(", ", "\n"), rotation=0, ha="right", va="center")
    pieces = [
        results[name][way] if way in table.index else tests[name]
        for name in ("known font", "a photo")
    ]
    row[0].imshow(pieces[0][84:147, :300], cmap="gray", vmin=0, vmax=1)
    row[1].imshow(pieces[1][96:159, 90:190], cmap="gray", vmin=0, vmax=1)
    for ax in row:
        ax.set(xticks=[], yticks=[])

ax = right.subplots()
for i, (way, marker) in enumerate(zip(table.index, "x+s*o", strict=True)):
    color = "k" if i < 2 else f"C{(2, 0, 1)[i - 2]}"
    places = np.arange(len(tests)) + 0.1 * (i - 2)
    ax.plot(places, table.loc[way], marker, ms=8, color=color, label=way)
ax.set_xticks(range(len(tests)), list(tests))
ax.set(ylabel="PSNR in dB", xlim=(-0.5, 2.5))
ax.set_title("Higher is better; 6 dB more is half the error", fontsize="medium")
ax.grid(alpha=0.3, axis="y")
ax.legend(loc="upper left")
plt.show()

# %%
# In words, from the numbers above.

mine = table.loc[f"autoencoder ({SIZE})"]
rivals = table.drop(mine.name)
gain = mine - rivals.max()
print("PSNR of the autoencoder, from that of the best of the others:")
for name in tests:
    print(f"  {name}: {gain[name]:+.1f} dB from {rivals[name].idxmax()!r}")
helped, harmed = (list(gain.index[chosen]) for chosen in (gain > 0, gain <= 0))
print(
    f"It helps with: {', '.join(helped) or 'nothing'}. "
    f"It does not with: {', '.join(harmed) or 'nothing'}.\n"
    "Details that a scan has lost can only come from what the network was shown:\n"
    "it draws them, whether they belong there or not. Sharpen what is like the\n"
    "training pages, interpolate the rest, and trust no single stroke."
)
