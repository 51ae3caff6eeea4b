"""
What does each number of a code mean?
=====================================

Codes are said to be hard to interpret. PCA's are read from its loadings: one picture
for each component, the same for all rows. A decoder that is not linear has no such
picture, but it can be asked: what changes if this number alone does? We ask by walking
along each component, and by the Jacobian, and check the answers on faces of which we
know how they were drawn.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skae import AutoencoderTransformer
from skae.displays import LatentTraversalDisplay

SIDE = 24
FACTORS = ["width", "smile", "gaze", "brows"]

# %%
# Each face is drawn from four numbers between -1 and 1. Black is 0, white is 1.


def draw(factors):
    """Return images of faces, of shape (n, 24, 24)."""
    width, smile, gaze, brows = factors.T[:, :, None, None]
    down, across = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]

    def inside(distance):  # from the rim; a soft edge, one pixel wide
        return 1 / (1 + np.exp(-30 * distance))

    half = 0.68 + 0.2 * width
    radius = np.hypot(across / half, down / 0.92)
    rim = np.exp(-np.square((radius - 1) * half / 0.06))
    faces = 0.95 - 0.3 * inside((1 - radius) * half) - 0.45 * rim
    for side in (-1, 1):
        x = across - 0.42 * side * half
        eye = inside(0.16 - np.hypot(x, down + 0.2))
        pupil = inside(0.075 - np.hypot(x - 0.085 * gaze, down + 0.2))
        brow = np.exp(-np.square((down + 0.5 + 0.1 * brows) / 0.045))
        faces = faces * (1 - eye) + eye
        faces = faces * (1 - pupil) - 0.6 * brow * inside(0.17 - abs(x))
    corner = across / (0.45 * half)
    mouth = np.exp(-np.square((down - 0.45 - smile * (0.14 - 0.35 * corner**2)) / 0.05))
    faces = faces - 0.7 * mouth * inside(0.45 * half - abs(across))
    return faces.clip(0, 1).astype(np.float32)


factors = np.random.default_rng(0).uniform(-1, 1, size=(2000, len(FACTORS)))
train, test = np.split(draw(factors), [1500])
known, asked = np.split(factors, [1500])

# %%
# PCA, a plain autoencoder and an ordered one. Nobody tells them the factors. An ordered
# code puts what matters most first, as PCA does, and that leaves less freedom to mix.


def flatten(images):
    return images.reshape(len(images), -1)


def autoencoder(**options):
    return AutoencoderTransformer(4, network="mlp", random_state=0, **options)


pca = PCA(4, random_state=0).fit(flatten(train))
plain = autoencoder().fit(train)
ordered = autoencoder(bottleneck="ordered").fit(train)
codes = {
    "PCA": (pca.transform(flatten(train)), pca.transform(flatten(test))),
    "plain": (plain.transform(train), plain.transform(test)),
    "ordered": (ordered.transform(train), ordered.transform(test)),
}

# %%
# What changes if one number does? The Jacobian says it for the smallest of changes: it
# has the slope of each pixel by each number of the code. `decoder_` is a torch module,
# so torch gives it. It differs from face to face: here for a narrow and for a wide one,
# per standard deviation of the component.

pair = draw(np.array([[-1.0, 0.5, 0, 0], [1.0, 0.5, 0, 0]]))
decoder = ordered.decoder_
slopes = torch.func.vmap(torch.func.jacrev(lambda code: decoder(code[None])[0]))(
    torch.from_numpy(ordered.transform(pair))
)
slopes = slopes.detach().numpy() * codes["ordered"][0].std(axis=0)  # (2, 24, 24, 4)
loadings = pca.components_.T.reshape(SIDE, SIDE, 4) * codes["PCA"][0].std(axis=0)

# %%
# The check: how much of a factor can be told from one component alone? A spline may
# bend as it likes, so that only what the component does not know is missing. It is the
# share of the factor's variance, on test faces.


def told(code, code_of_test):
    """Return shares of variance, one row for each component."""
    shares = np.empty((4, 4))
    for j in range(4):
        spline = make_pipeline(
            SplineTransformer(8, extrapolation="linear"), LinearRegression()
        ).fit(code[:, [j]], known)
        residual = asked - spline.predict(code_of_test[:, [j]])
        shares[j] = 1 - np.square(residual).mean(axis=0) / asked.var(axis=0)
    return pd.DataFrame(shares.clip(0), columns=FACTORS)


table = pd.concat({name: told(*pair) for name, pair in codes.items()})
table.index.names = ["model", "component"]
print("Share of a factor that one component tells")
print(table.to_string(float_format="{:.2f}".format))

# %%
# `LatentTraversalDisplay` answers for large changes: it walks along each component from
# its 5th to its 95th percentile, with the others at their median. Beside its pictures
# are the slopes, or PCA's loadings. Below, the check of all three models.

figure = plt.figure(figsize=(12, 6.2), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[1.7, 1])
left, right = above.subfigures(1, 2, width_ratios=[1.15, 1])
narrow, wide = slopes
for part, title, model, X, maps in [
    (left, "ordered: walk", ordered, train, {"narrow": narrow, "wide": wide}),
    (right, "PCA: walk", pca, flatten(train), {"all faces": loadings}),
]:
    widths = [5] + [1] * len(maps)
    walk, *others = part.subplots(1, len(widths), width_ratios=widths)
    LatentTraversalDisplay.from_estimator(
        model, X, n_steps=5, image_shape=(SIDE, SIDE), ax=walk
    )
    walk.set_title(title)
    for ax, (which, slope) in zip(others, maps.items(), strict=True):
        column = slope.transpose(2, 0, 1).reshape(-1, SIDE)
        ax.imshow(column, cmap="RdBu_r", vmin=-0.4, vmax=0.4)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"slopes,\n{which}", fontsize="medium")

for ax, name in zip(below.subplots(1, 3, sharey=True), codes, strict=True):
    shares = table.loc[name].to_numpy()
    ax.imshow(shares, cmap="Greens", vmin=0, vmax=1, aspect="auto")
    for (j, i), share in np.ndenumerate(shares):
        color = "w" if share > 0.5 else "k"
        ax.text(i, j, f"{share:.2f}", color=color, ha="center", va="center", size=8)
    ax.set_xticks(range(4), FACTORS)
    ax.set_yticks(range(4), [f"component {j}" for j in range(4)])
    ax.set_title(f"{name}: told by one component", fontsize="medium")
plt.show()

# %%
# In words, from the numbers above.

errors = {
    "PCA": np.square(pca.inverse_transform(codes["PCA"][1]) - flatten(test)).mean(),
    "plain": plain.reconstruction_error(test).mean(),
    "ordered": ordered.reconstruction_error(test).mean(),
}
print("What one component tells, by more than half:")
for name in codes:
    shares = table.loc[name]
    clear = [
        f"{factor} ({shares[factor].idxmax()})"
        for factor in FACTORS
        if shares[factor].max() > 0.5
    ]
    print(
        f"  {name}: {', '.join(clear) or 'nothing'}; "
        f"the squared error is {errors[name] / errors['PCA']:.2f} of PCA's"
    )
lengths = np.linalg.norm(slopes, axis=(1, 2))
cosines = np.sum(slopes[0] * slopes[1], axis=(0, 1)) / np.prod(lengths, axis=0)
print(
    "The slopes of a narrow and a wide face have cosines of "
    + ", ".join(f"{cosine:.2f}" for cosine in cosines)
    + "\n(PCA's: 1). So ask at the rows that you care about, and look before you name\n"
    "a component: nothing forces a code to keep apart what you have words for, and\n"
    "factors that matter alike, or another seed, can come mixed. If you know them for\n"
    "some rows, do the check."
)
