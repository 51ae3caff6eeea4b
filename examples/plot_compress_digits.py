"""
How small can the code of a digit get?
======================================

A handwritten digit of 8 x 8 pixels is 64 numbers. How many are enough to rebuild it,
and to tell which digit it is? We let a grid search choose, and compare with PCA.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderTransformer

SIZES = [2, 8, 16]

# %%
# A quarter of the 1797 digits is for testing.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)

# %%
# The autoencoder is one step of a pipeline, and its `n_components` one more thing to
# search. 30 epochs keep this example short; the default trains longer.

pipeline = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("ae", AutoencoderTransformer(max_epochs=30, random_state=0)),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
)
search = GridSearchCV(pipeline, {"ae__n_components": SIZES}, cv=2)
search.fit(X_train, y_train)

# %%
# Now each size on the test digits, and PCA of that size in the autoencoder's place.
# `inverse_transform` goes back through all steps, here to pixels. The error is the
# squared error, as a share of that of the mean digit: 0 is perfect, 1 is no better than
# the mean.


def reconstruct(model, X):
    """Encode and decode with all steps but the classifier."""
    return model[:-1].inverse_transform(model[:-1].transform(X))


def error(model):
    residual = X_test - reconstruct(model, X_test)
    return np.square(residual).sum() / np.square(X_test - X_train.mean(axis=0)).sum()


models = {}
for size in SIZES:
    for name, reducer in [
        ("PCA", PCA(size)),
        ("autoencoder", clone(pipeline["ae"]).set_params(n_components=size)),
    ]:
        model = clone(pipeline).set_params(ae=reducer)
        models[size, name] = model.fit(X_train, y_train)

table = pd.DataFrame(
    {
        (measure, name): [compute(models[size, name]) for size in SIZES]
        for measure, compute in [
            ("test error", error),
            ("test accuracy", lambda model: model.score(X_test, y_test)),
        ]
        for name in ("PCA", "autoencoder")
    },
    index=pd.Index(SIZES, name="n_components"),
)
print(table.round(3).to_string())

# %%
# One test digit of each kind, and what PCA and the autoencoder make of it.

shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
pictures = {"original": X_test[shown]}
for (size, name), model in models.items():
    pictures[f"{name}\n{size} numbers"] = reconstruct(model, X_test[shown])

figure = plt.figure(figsize=(12, 5.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.6, 1])
axes = left.subplots(len(pictures), 10)
for row, (title, digits) in zip(axes, pictures.items(), strict=True):
    row[0].set_ylabel(title, rotation=0, ha="right", va="center")
    for ax, digit in zip(row, digits, strict=True):
        ax.imshow(digit.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)

for ax, (measure, better) in zip(
    right.subplots(2, 1, sharex=True),
    [("test error", "lower"), ("test accuracy", "higher")],
    strict=True,
):
    for name, style in [("PCA", "s--"), ("autoencoder", "o-")]:
        ax.plot(SIZES, table[measure, name], style, label=name)
    ax.set_title(f"{measure} ({better} is better)", fontsize="medium")
    ax.set_ylim(0, 1)
    ax.grid(alpha=0.3)
ax.set(xlabel="numbers in the code (n_components)", xticks=SIZES)
ax.legend(loc="lower right")

plt.show()

# %%
# In words, from the numbers above.

for size, row in table.iterrows():
    kept = models[size, "autoencoder"]["ae"].proven_
    print(
        f"{size} numbers: the autoencoder's error is "
        f"{row['test error', 'autoencoder'] / row['test error', 'PCA']:.0%} of PCA's, "
        f"its accuracy {row['test accuracy', 'autoencoder']:.3f} "
        f"to PCA's {row['test accuracy', 'PCA']:.3f}"
        f"{'' if kept else ' (held-out rows did not prove it better: it is PCA)'}."
    )
print(
    f"The grid search chose {search.best_params_['ae__n_components']} numbers "
    f"(accuracy {search.best_score_:.3f} in cross-validation, "
    f"{search.score(X_test, y_test):.3f} on the test digits)."
)
