"""
Can an autoencoder mend spoilt pictures?
========================================

A camera watches one scene. Some pictures come with grain, some with dead pixels, some
with a block that was lost on the way. PCA keeps what is typical and drops the rest. An
autoencoder can be shown what spoils a picture, and what it should have been. What has
to be shown so that it helps, and what does it cost the pictures that were fine?
"""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import AutoencoderTransformer
from skae.corruption import BlockMasking, Choice, GaussianNoise, SaltAndPepperNoise

SIZE = 8  # numbers in the code of a picture

# %%
# The pictures are `uint8` of shape (n, 24, 24, 3): views of one photo, shifted by up to
# five pixels in steps of a thirteenth, and more or less bright. 300 are for testing.

photo = load_sample_image("flower.jpg")
rng = np.random.default_rng(0)


def take_picture():
    """Return a view of the photo; each pixel is the mean of 13 x 13."""
    top, left = rng.integers(65, size=2) + [32, 120]
    view = photo[top : top + 312, left : left + 312].reshape(24, 13, 24, 13, 3)
    pixels = view.mean(axis=1).mean(axis=2)  # several times faster than both at once
    return (pixels * rng.uniform(0.6, 1.2)).clip(0, 255)


pictures = np.array([take_picture() for _ in range(1300)]).round().astype(np.uint8)
train, test = np.split(pictures, [1000])

# %%
# Four things can happen to a picture; the first is nothing.


def keep(pictures):
    return pictures


def add_grain(pictures):
    """Add normal noise, a fifth of white in size."""
    noisy = pictures + rng.normal(0, 51, size=pictures.shape)
    return noisy.clip(0, 255).round().astype(np.uint8)


def kill_pixels(pictures):
    """Make a fifth of the pixels black or white."""
    dead = rng.random(pictures.shape[:3]) < 0.2
    pictures = pictures.copy()
    pictures[dead] = 255 * rng.integers(2, size=(dead.sum(), 1))
    return pictures


def lose_block(pictures):
    """Make a square of 11 x 11 pixels black, somewhere."""
    pictures = pictures.copy()
    corners = rng.integers(14, size=(len(pictures), 2))
    for picture, (top, left) in zip(pictures, corners, strict=True):
        picture[top : top + 11, left : left + 11] = 0
    return pictures


FAULTS = {
    "no fault": keep,
    "grain": add_grain,
    "dead pixels": kill_pixels,
    "lost block": lose_block,
}
spoilt = {name: spoil(test) for name, spoil in FAULTS.items()}

# %%
# Three ways to fit, all with the same network on the same clean pictures.
#
# - *Plain*: it never sees a fault.
# - `corruption=`: the library spoils pictures, anew in each epoch, if you can say what
#   the faults are like. `Choice` gives each picture one of several, and none to three
#   in ten: all faults at once, in every picture, would be a scene that no camera takes.
#   How much grain, or how many dead pixels, is drawn for each picture.
#   As pictures are new in each epoch, such a fit takes twice as many of them.
# - `X_target=`: pairs of a spoilt picture and a clean one. What is spoilt is up to you;
#   here each picture is there twice, each time with one of the four, so some are fine.
#
# `network="mlp"` trains several times faster than convolutions. There are few pictures
# of one scene; convolutions gained nothing here.


def autoencoder(**options):
    return AutoencoderTransformer(SIZE, network="mlp", random_state=0, **options)


corruption = Choice(
    [
        GaussianNoise((0, 1.2)),
        SaltAndPepperNoise((0, 0.3)),
        BlockMasking(0.45),
    ],
    clean_rate=0.3,
)
clean = np.concatenate([train, train])
which = rng.integers(len(FAULTS), size=len(clean))
seen = np.choose(
    which[:, None, None, None], [spoil(clean) for spoil in FAULTS.values()]
)
models = {
    "plain": autoencoder().fit(train),
    "corruption=": autoencoder(corruption=corruption).fit(train),
    "X_target=": autoencoder().fit(seen, X_target=clean),
}

# %%
# What was proven, and of which pictures? `proven_` is about pictures that were held out
# and spoilt like the others. `verdict_` says by what, and compares both on the same
# pictures as they came.

print(fill(models["corruption="].verdict_, 88) + "\n")

# %%
# PCA's only choice is the number of components: few drop the fault and the details,
# many keep both. It gets several sizes, and in the table the best one for each fault.


def flatten(pictures):
    return pictures.reshape(len(pictures), -1).astype(np.float32)


def unflatten(rows):
    return rows.clip(0, 255).round().astype(np.uint8).reshape(-1, *train.shape[1:])


def fit_pca(size):
    to_rows = FunctionTransformer(flatten, unflatten)
    return make_pipeline(to_rows, PCA(size, random_state=0)).fit(train)


pca = {size: fit_pca(size) for size in [4, 8, 16, 32, 64]}

# %%
# The peak signal-to-noise ratio (PSNR) of what each model makes of the test pictures:
# 6 dB more is half the error (the root of the mean square).


def psnr(pictures):
    return -10 * np.log10(np.square(pictures / 255 - test / 255).mean())


def mend(model, pictures):
    return model.inverse_transform(model.transform(pictures))


tries = {
    name: {size: mend(model, X) for size, model in pca.items()}
    for name, X in spoilt.items()
}
best = {
    name: max(mended, key=lambda size: psnr(mended[size]))
    for name, mended in tries.items()
}
mended = {
    "as it came": spoilt,
    "PCA": {name: tries[name][best[name]] for name in FAULTS},
}
for way, model in models.items():
    mended[way] = {name: mend(model, X) for name, X in spoilt.items()}
with np.errstate(divide="ignore"):  # a picture that nothing happened to is perfect
    table = pd.DataFrame(
        {
            name: {way: psnr(results[name]) for way, results in mended.items()}
            for name in FAULTS
        }
    )
print("PSNR of test pictures in dB, by what had happened to them")
print(table.to_string(float_format="{:.1f}".format))
print(f"Components that PCA did best with: {list(best.values())}")

# %%
# Two test pictures of each kind, and what becomes of them.

figure = plt.figure(figsize=(12, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.9, 1])
axes = left.subplots(len(mended), 8)
for row, (way, results) in zip(axes, mended.items(), strict=True):
    row[0].set_ylabel(way, rotation=0, ha="right", va="center")
    shown = [X[2 * i + j] for i, X in enumerate(results.values()) for j in range(2)]
    for ax, picture in zip(row, shown, strict=True):
        ax.imshow(picture)
        ax.set(xticks=[], yticks=[])
for ax, name in zip(axes[0, ::2], FAULTS, strict=True):
    ax.set_title(name, loc="left", fontsize="medium")

ax = right.subplots()
for i, (way, marker) in enumerate(zip(table.index, "x*so^", strict=True)):
    places = np.arange(len(FAULTS)) + 0.12 * (i - 2)
    color = "k" if i == 0 else f"C{i - 1}"
    ax.plot(places, table.loc[way], marker, ms=8, color=color, label=way)
ax.set_xticks(range(len(FAULTS)), list(FAULTS))
ax.set(ylabel="PSNR in dB", xlim=(-0.5, 3.5))
ax.set_title("Higher is better; 6 dB more is half the error", fontsize="medium")
ax.grid(alpha=0.3, axis="y")
ax.legend()
plt.show()

# %%
# In words, from the numbers above.

for name, size in best.items():
    way = table.loc[list(models), name].idxmax()
    gain = table.loc[way, name] - table.loc["PCA", name]
    print(
        f"{name}: the best autoencoder is {way!r}, {gain:+.1f} dB from PCA "
        f"with {size} components."
    )
gains = (table.loc["corruption="] - table.loc["PCA"])[1:]
print(
    "'corruption=' from the best PCA: "
    + ", ".join(f"{name} {gain:+.1f} dB" for name, gain in gains.items())
    + "."
)
fine = table["no fault"]
costs = fine - fine["plain"]
print(
    f"The price, where nothing was to mend: {costs['corruption=']:+.1f} dB with "
    f"'corruption=' and {costs['X_target=']:+.1f} dB\nwith 'X_target=', from 'plain'. "
    "A network mends what it was shown: put in all faults that\nwill come, of all "
    "strengths, and pictures that are fine."
)
