"""
How real are images that a model makes up?
==========================================

An autoencoder makes new images from new codes. Where do these come from? A variational
one asks its codes to look normal, so that normal draws may do; or a density is fitted
to the codes of any autoencoder. PCA can do that too: draw components from a mixture, go
back to pixels. We let classifiers try to tell what is made up from what is real.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer

SIZE = 16  # numbers in the code

# %%
# Handwritten digits of 8 x 8 pixels, whole numbers from 0 to 16. The models see two
# thirds of them; the others are for comparison.

X, y = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, test_size=600, stratify=y, random_state=0)
n = len(X_test)
rng = np.random.default_rng(0)

# %%
# Three autoencoders, and PCA of two sizes. Where there is a density, it is a mixture of
# 30 normal distributions; `density` takes any estimator that has `fit` and `sample`.
# (Draws from a mixture come sorted. `AutoencoderTransformer.sample` shuffles them.)

mixture = GaussianMixture(30, random_state=0)
autoencoders = {
    "variational": {"bottleneck": "variational"},
    "variational, mixture": {"bottleneck": "variational", "density": mixture},
    "plain, mixture": {"density": mixture},
}
made = {}
for size in (SIZE, 2 * SIZE):
    pca = PCA(size).fit(X_train)
    code, _ = clone(mixture).fit(pca.transform(X_train)).sample(n)
    made[f"PCA ({size}), mixture"] = pca.inverse_transform(rng.permutation(code))
for name, options in autoencoders.items():
    autoencoder = AutoencoderTransformer(SIZE, random_state=0, **options)
    made[name] = autoencoder.fit(X_train).sample(n, random_state=0)

# %%
# What is made up becomes whole numbers too, or anybody could tell. As a control, real
# digits of the training set go through the same tests.

made = {name: images.round().clip(0, 16) for name, images in made.items()}
made["real"] = X_train[:n]

# %%
# Can a classifier tell? It learns from half of what is real and what is made up, and
# judges the other half. An area under the ROC curve (AUC) of 0.5 is guessing; at 1 it
# is never wrong. The 15 nearest neighbours see the whole image, as from afar; a forest
# looks at single pixels.
#
# And are they copies? Then the distance to the nearest training digit, as a share of
# that of a real new digit, is far below one.

JUDGES = {
    "from afar": KNeighborsClassifier(15),
    "close up": RandomForestClassifier(100, min_samples_leaf=2, random_state=0),
}
halves = StratifiedKFold(2, shuffle=True, random_state=0)
is_made = np.repeat([0, 1], n)


def tell(judge, images):
    """Return the AUC of a classifier that has to tell images from real ones."""
    both = np.concatenate([X_test, images])
    chance = cross_val_predict(judge, both, is_made, cv=halves, method="predict_proba")
    return roc_auc_score(is_made, chance[:, 1])


def distance(images):
    """Return the median distance to the nearest training digit."""
    return np.median(cdist(images, X_train).min(axis=1))


table = pd.DataFrame(
    {
        **{
            f"AUC {name}": {way: tell(judge, images) for way, images in made.items()}
            for name, judge in JUDGES.items()
        },
        "distance": {
            way: distance(images) / distance(X_test) for way, images in made.items()
        },
    }
)
table.loc["real", "distance"] = np.nan  # each is its own nearest
print(table.to_string(float_format="{:.2f}".format, na_rep=""))

# %%
# The first of each kind, unselected.

figure = plt.figure(figsize=(12, 4.4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.6, 1])
rows = ["real", *(way for way in made if way != "real")]
for row, way in zip(left.subplots(len(rows), 11), rows, strict=True):
    row[0].set_ylabel(way, rotation=0, ha="right", va="center")
    for ax, image in zip(row, made[way], strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])

ax = right.subplots()
places = np.arange(len(rows))
for name, marker in zip(JUDGES, "os", strict=True):
    ax.plot(table.loc[rows, f"AUC {name}"], places, marker, ms=8, label=name)
ax.set_yticks(places, rows)
ax.invert_yaxis()
ax.axvline(0.5, color="k", ls=":", lw=1)
ax.set(xlabel="AUC (0.5: cannot tell, 1: always can)", xlim=(0.45, 1.03))
ax.set_title("Told from real digits", fontsize="medium")
ax.grid(alpha=0.3)
ax.legend(loc="upper right")
plt.show()

# %%
# In words, from the numbers above.

made_up = table.drop("real")
for name in JUDGES:
    auc = made_up[f"AUC {name}"].sort_values()
    print(
        f"Judged {name}, {auc.index[0]!r} is the hardest to tell from real digits "
        f"({auc.iloc[0]:.2f}),\n  {auc.index[-1]!r} the easiest ({auc.iloc[-1]:.2f})."
    )
afar = table["AUC from afar"]
print(
    "Codes of ten kinds of digits are not quite normal, variational or not: with a\n"
    f"mixture in place of normal draws the AUC from afar is {afar.iloc[3]:.2f}, "
    f"not {afar.iloc[2]:.2f}.\n"
    f"With {SIZE} numbers the best autoencoder has {afar.iloc[2:5].min():.2f}, PCA "
    f"{afar.iloc[0]:.2f}; PCA with {2 * SIZE} has {afar.iloc[1]:.2f}.\n"
    "If the code may be long, PCA and a mixture are the simpler way.\n"
    "Real they are not: of a real and a made-up one, a forest knows which is which in\n"
    f"{made_up['AUC close up'].min():.0%} of all pairs or more. Find that out for your "
    "data before you rely on such rows."
)
