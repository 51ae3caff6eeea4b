"""
Which autoencoder does my classifier want?
==========================================

The one that rebuilds best need not be the one whose codes are best to classify by. So
let the classifier choose: in a grid search over a whole pipeline, size, corruption and
penalty are parameters like any other, and PCA is one more candidate.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, ParameterGrid, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderTransformer
from skae.corruption import SwapNoise
from skae.penalties import SparsityPenalty

# %%
# Digits as rows of 64 numbers; two thirds of them are for testing.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=600, stratify=y, random_state=0
)

# %%
# The parameters of a step are `step__parameter`, and those of a part of the autoencoder
# `step__part__parameter`. A part has to be there to have parameters, so each kind of
# autoencoder gets a grid of its own. With `memory` an encoder is fitted once and not
# again for each number of neighbours.

memory = tempfile.TemporaryDirectory()
pipeline = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("ae", AutoencoderTransformer(max_epochs=10, random_state=0)),
        ("classify", KNeighborsClassifier()),
    ],
    memory=memory.name,
)
shared = {"ae__n_components": [2, 4, 8], "classify__n_neighbors": [1, 5, 15]}
grids = {
    "PCA": {"ae": [PCA(random_state=0)]},
    "plain": {},
    "swap noise": {
        "ae__corruption": [SwapNoise()],
        "ae__corruption__rate": [0.1, 0.3],
    },
    "sparse": {
        "ae__penalty": [SparsityPenalty()],
        "ae__penalty__alpha": [0.03, 0.3],
    },
}

# %%
# Two measures, both the higher the better: the accuracy, by which the search decides,
# and the share of the variance of the scaled pixels that is rebuilt. The latter is what
# `score` of the autoencoder itself returns, by which a search without labels decides.


def share_rebuilt(model, X, y=None):
    scaled, reducer = model["scale"].transform(X), model["ae"]
    rebuilt = reducer.inverse_transform(reducer.transform(scaled))
    return r2_score(scaled, rebuilt, multioutput="variance_weighted")


search = GridSearchCV(
    pipeline,
    [shared | grid for grid in grids.values()],
    scoring={"accuracy": "accuracy", "rebuilt": share_rebuilt},
    refit="accuracy",
    cv=3,
)
search.fit(X_train, y_train)

# %%
# A fitted search has to give what it promises. `score` of the autoencoder is the share
# that we computed, and a clone has all parameters, those of the parts as well, so that
# it becomes the same model again.

best = search.best_estimator_
scaled = best["scale"].transform(X_test)
if isinstance(best["ae"], AutoencoderTransformer):
    assert np.isclose(best["ae"].score(scaled), share_rebuilt(best, X_test))
again = clone(best).set_params(memory=None).fit(X_train, y_train)
assert np.array_equal(again[:-1].transform(X_test), best[:-1].transform(X_test))
memory.cleanup()

# %%
# The best candidate of each kind and size, with the standard error over the folds.

results = pd.DataFrame(search.cv_results_)
n_candidates = [len(ParameterGrid(shared | grid)) for grid in grids.values()]
results["kind"] = np.repeat(list(grids), n_candidates)
results["numbers"] = results["param_ae__n_components"].astype(int)
results["accuracy"] = results["mean_test_accuracy"]
results["standard error"] = results["std_test_accuracy"] / np.sqrt(search.n_splits_)
results["rebuilt"] = results["mean_test_rebuilt"]
best_of = results.groupby(["kind", "numbers"], sort=False)["accuracy"].idxmax()
columns = ["accuracy", "standard error", "rebuilt"]
table = results.loc[best_of, columns].set_axis(best_of.index)
print(table.round(3).to_string())

# %%
# Accuracy by size, and beside what is rebuilt.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)
for (kind, rows), style in zip(
    table.groupby("kind", sort=False), ["C0s--", "C1o-", "C2^-", "C3v-"], strict=True
):
    numbers = rows.index.get_level_values("numbers")
    error = rows["standard error"]
    for ax, x in zip(axes, [numbers, rows["rebuilt"]], strict=True):
        ax.errorbar(x, rows["accuracy"], error, fmt=style, capsize=3, label=kind)
axes[0].set_xscale("log", base=2)
axes[0].set_xticks(numbers, numbers)
axes[0].minorticks_off()
axes[0].set(xlabel="numbers in the code", ylabel="accuracy in cross-validation")
axes[0].set_title("By size", fontsize="medium")
axes[0].legend(loc="lower right")
axes[1].set_xlabel("share of the variance that is rebuilt")
axes[1].set_title("By what is rebuilt", fontsize="medium")
for ax in axes:
    ax.grid(alpha=0.3)
plt.show()

# %%
# In words, from the numbers above. Candidates within one standard error of the best are
# as good as it; of these the one with fewest numbers is the simplest, and PCA simpler
# than a network.

others = table.drop("PCA")
for size, pca in table.loc["PCA"].iterrows():
    best_other = others.xs(size, level="numbers")["accuracy"].idxmax()
    row = others.loc[best_other, size]
    print(
        f"{size} numbers: the best autoencoder ({best_other}) rebuilds "
        f"{row['rebuilt']:.0%} to PCA's {pca['rebuilt']:.0%};\n  its accuracy is "
        f"{row['accuracy'] - pca['accuracy']:+.3f} from PCA's."
    )
enough = table["accuracy"].max() - table["standard error"][table["accuracy"].idxmax()]
good = table[table["accuracy"] >= enough].reset_index()
kind, size = good.loc[good["numbers"].idxmin(), ["kind", "numbers"]]  # PCA comes first
simplest = clone(pipeline).set_params(**results.loc[best_of[kind, size], "params"])
simplest.set_params(memory=None).fit(X_train, y_train)
accuracy = [model.score(X_test, y_test) for model in (search, simplest)]
chosen = results.loc[search.best_index_]
print(
    f"The search took: {chosen['kind']}, {chosen['numbers']} numbers. Its accuracy on "
    f"test digits is {accuracy[0]:.3f}.\nThe simplest that is as good by one standard "
    f"error: {kind}, {size} numbers, with {accuracy[1]:.3f}.\nTo be rebuilt better is "
    "not yet to be classified better: let the next step choose."
)
