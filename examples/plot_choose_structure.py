"""
How many numbers does it take, and how large a network?
=======================================================

A light falls on a plate of 10 x 10 sensors. Where it falls and how bright it is are
three numbers; but suppose that we only had the measurements. How many components should
the code have, and which layers the network? `choose_n_components` answers with PCA
beside it, and here we can check, as we know the truth.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, ComponentsSweepDisplay, choose_n_components

# %%
# A table of 100 columns: a light spreads over some sensors, which measure with noise.

rng = np.random.default_rng(0)
sensor = np.arange(10)


def shine(n_lights):
    """Return what sensors without noise would measure, as rows."""
    down, right = rng.uniform(2, 7, size=(2, n_lights, 1, 1))
    brightness = rng.uniform(0.5, 1, size=(n_lights, 1, 1))
    distance = np.square(sensor[:, None] - down) + np.square(sensor - right)
    return (brightness * np.exp(-distance / 4.5)).reshape(n_lights, -1)


def measure(light):
    return light + rng.normal(scale=0.05, size=light.shape)


X_train, truth = measure(shine(1500)), shine(500)
X_test = measure(truth)

# %%
# Every size is fitted and judged on rows that were held out. A longer code always
# rebuilds more, noise at last; chosen is the bend of the curve, up to which a component
# gains more than the average one. Then networks of that size compete: all train for a
# few epochs, and only the better ones go on.

choice = choose_n_components(
    AutoencoderTransformer(max_epochs=20, random_state=0),
    X_train,
    n_components=[1, 2, 3, 4, 6, 8, 12],
    hidden_layer_sizes=[(8,), (32,), (128, 64), "auto"],
    cv=2,
    random_state=0,
)
print(choice.table_.drop(columns="seconds").round(3).to_string())
print(choice.widths_table_.round(3).to_string(index=False))

# %%
# Was it right? Beside the truth, which no search sees, a code that is too long is worse
# again: it brings the noise back.


def error_to_truth(model):
    rebuilt = model.inverse_transform(model.transform(X_test))
    return np.square(rebuilt - truth).mean() / truth.var(axis=0).mean()


SIZES = choice.table_.index
autoencoders = {
    size: clone(choice.best_estimator_).set_params(n_components=size).fit(X_train)
    for size in SIZES
}
pcas = {size: PCA(size).fit(X_train) for size in SIZES}
to_truth = {
    name: {size: error_to_truth(model) for size, model in models.items()}
    for name, models in [("PCA", pcas), ("autoencoder", autoencoders)]
}

# %%
# The search for the size, its check, the search for the widths, and some new lights.

size = choice.n_components_
figure = plt.figure(figsize=(14, 4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[3.2, 1])
sizes, check, widths = left.subplots(1, 3)
display = ComponentsSweepDisplay.from_search(choice, ax=sizes)
sizes.set_title("Sizes, on rows held out", fontsize="medium")

for name, style, drawn in [
    ("PCA", "--", display.pca_errorbar_),
    ("autoencoder", "o-", display.errorbar_),
]:
    color = drawn[0].get_color()
    check.semilogy(pd.Series(to_truth[name]), style, color=color, label=name)
check.axvline(size, color=display.chosen_line_.get_color(), ls=":")
check.set(xlabel="number of components", ylabel="error (share of the variance)")
check.set_xticks(choice.table_.index)
check.set_title("Sizes, beside the truth", fontsize="medium")

for layers, rounds in choice.widths_table_.groupby("hidden_layer_sizes", sort=False):
    rounds = rounds.sort_values("max_epochs")
    widths.plot(rounds["max_epochs"], rounds["error"], "o-", label=f"{layers}")
widths.set(xlabel="epochs", ylabel="held-out error (share of the variance)")
widths.set_xticks(choice.widths_table_["max_epochs"].unique())
widths.set_ylim(0, None)
widths.set_title(f"Networks with {size} components", fontsize="medium")
sizes.legend(fontsize="small", loc="upper right")
check.legend(fontsize="small", loc="upper right")
widths.legend(fontsize="small", loc="upper right", title="hidden_layer_sizes")
for ax in (sizes, check, widths):
    ax.grid(alpha=0.3)

shown = {"measured": X_test[:3], "truth": truth[:3]}
for name, model in [("PCA", pcas[size]), ("autoencoder", autoencoders[size])]:
    shown[f"{name},\n{size} numbers"] = model.inverse_transform(
        model.transform(X_test[:3])
    )
for row, (title, rows) in zip(right.subplots(4, 3), shown.items(), strict=True):
    row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize="small")
    for ax, light in zip(row, rows, strict=True):
        ax.imshow(light.reshape(10, 10), cmap="magma", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
plt.show()

# %%
# In words, from the numbers above.

layers = choice.best_params_["hidden_layer_sizes"]
print(
    f"Chosen: {size} components by the {choice.rule_}, hidden_layer_sizes={layers!r}."
)
for name, errors in to_truth.items():
    best = min(errors, key=errors.get)
    print(
        f"Error to the truth of {name}: {errors[size]:.3f} with {size} components, at "
        f"best {errors[best]:.3f}, with {best}."
    )
finalists = choice.widths_table_.query("max_epochs == max_epochs.max()")["error"]
smaller, chosen = choice.table_.loc[:size, "error"].iloc[-2:]
print(
    f"The last {len(finalists)} networks differ by {np.ptp(finalists):.3f} in their "
    f"held-out error; the next smaller size would cost {smaller - chosen:.3f}.\nSo "
    "look for the size first, and for widths if there is time."
)
