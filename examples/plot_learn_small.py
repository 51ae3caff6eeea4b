"""
Few rows, much noise: is a network still worth it?
==================================================

A network needs rows to learn from, and noise asks for more of them. We measure spectra
with one peak, of 40 values, from 50 times to 2000 times and with less or more noise,
and rebuild them from three numbers: with PCA, with a network that has to prove itself
against PCA, and with one that does not.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

SIZE, N_ROWS, NOISE = 3, [50, 100, 200, 500, 2000], [0.1, 0.5, 2.0]

# %%
# A peak has a place, a width and a height: three numbers say all of a spectrum. But a
# peak that moves is no sum of fixed shapes, which is all that PCA has. Noise is given
# as a share of the spread of the spectra.

rng = np.random.default_rng(0)
position = np.linspace(0, 1, 40)


def generate_spectra(n_rows):
    """Return spectra without noise."""
    place = rng.uniform(0.25, 0.75, size=(n_rows, 1))
    width = rng.uniform(0.05, 0.1, size=(n_rows, 1))
    height = rng.uniform(0.5, 1, size=(n_rows, 1))
    return height * np.exp(-np.square((position - place) / width) / 2)


truth = generate_spectra(1000)
spread = np.sqrt(truth.var(axis=0).mean())


def add_noise(spectra, share):
    return spectra + share * spread * rng.normal(size=spectra.shape)


# %%
# By default rows are held out, and the network is kept only if it rebuilds these better
# than PCA does. Up to 600 rows every row is held out once (cross-fitting); with more, a
# tenth of them is. `early_stopping=False` trains on all rows and judges nothing. The
# error is that of new spectra, measured with noise and compared with the truth, as a
# share of the variance: what a model makes of noise counts as an error.


def error(model):
    X_hat = model.inverse_transform(model.transform(X_test))
    return np.square(X_hat - truth).mean() / spread**2


MIDDLE = NOISE[1]
errors, proven, models = {}, {}, {}
for noise in NOISE:
    X_test = add_noise(truth, noise)
    for n_rows in N_ROWS:
        X = add_noise(generate_spectra(n_rows), noise)
        pca = PCA(SIZE).fit(X)
        autoencoder = AutoencoderTransformer(SIZE, random_state=0).fit(X)
        found = {"PCA": error(pca), "autoencoder": error(autoencoder)}
        if noise == MIDDLE:
            models[n_rows] = {"PCA": pca, "autoencoder": autoencoder}
            shown = X_test[0]
            unjudged = AutoencoderTransformer(
                SIZE, early_stopping=False, random_state=0
            )
            found["unjudged"] = error(unjudged.fit(X))
        longer = [error(PCA(size).fit(X)) for size in range(1, 16)]
        found["PCA of any size"] = min(longer)
        found["its size"] = 1 + np.argmin(longer)
        errors[noise, n_rows] = found
        proven[noise, n_rows] = autoencoder.proven_
errors = pd.DataFrame(errors).T.rename_axis(["noise", "rows"])
errors["its size"] = errors["its size"].astype(int)
proven = pd.Series(proven)
print(errors.assign(proven=proven).round(3).to_string(na_rep=""))

# %%
# All errors for the noise in the middle, what the autoencoder gains over PCA of its
# size, and one new spectrum.

figure = plt.figure(figsize=(13, 4), layout="constrained")
left, middle, last = figure.subfigures(1, 3, width_ratios=[1.1, 1, 0.9])
ax = left.subplots()
curves = errors.loc[MIDDLE]
styles = {
    "PCA": ("C0s--", f"PCA, {SIZE} numbers"),
    "PCA of any size": ("C0^:", "PCA, best size (with hindsight)"),
    "unjudged": ("C3v:", f"network unjudged, {SIZE} numbers"),
    "autoencoder": ("C1o-", f"autoencoder, {SIZE} numbers"),
}
for name, (style, label) in styles.items():
    ax.loglog(curves[name], style, label=label)
ax.set_xticks(N_ROWS, N_ROWS)
ticks = [0.03, 0.1, 0.3]
ax.set_yticks(ticks, ticks)
ax.minorticks_off()
ax.set(xlabel="rows to learn from", ylabel="error, as a share of the variance")
ax.set_title(f"Noise {MIDDLE:g} of the spread", fontsize="medium")
ax.grid(alpha=0.3)
ax.legend(fontsize="small", loc="lower left")

ax = middle.subplots()
ratio = (errors["autoencoder"] / errors["PCA"]).unstack()
picture = ax.imshow(ratio, cmap="RdYlGn_r", vmin=0, vmax=2, aspect="auto")
for row, noise in enumerate(NOISE):
    for column, n_rows in enumerate(N_ROWS):
        value = ratio.loc[noise, n_rows]
        words = f"{value:.2f}" if proven[noise, n_rows] else "is PCA"
        color = "w" if value < 0.3 else "k"
        ax.text(column, row, words, color=color, ha="center", va="center")
ax.set_xticks(range(len(N_ROWS)), N_ROWS)
ax.set_yticks(range(len(NOISE)), NOISE)
ax.set(xlabel="rows to learn from", ylabel="noise, as a share of the spread")
ax.set_title(f"Error over PCA's, {SIZE} numbers", fontsize="medium")

axes = last.subplots(3, 1, sharex=True, sharey=True)
for ax, n_rows in zip(axes, [N_ROWS[0], N_ROWS[2], N_ROWS[-1]], strict=True):
    ax.plot(position, shown, ".", color="0.7", label="measured")
    ax.plot(position, truth[0], "k", lw=1, label="truth")
    for (name, model), style in zip(
        models[n_rows].items(), ["C0--", "C1"], strict=True
    ):
        rebuilt = model.inverse_transform(model.transform([shown]))[0]
        ax.plot(position, rebuilt, style, label=name)
    ax.set_title(f"{n_rows} rows, noise {MIDDLE:g}", fontsize="medium")
    ax.set(xticks=[], yticks=[])
last.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

# %%
# In words, from the numbers above.

gain = (curves["unjudged"] / curves["PCA"]).iloc[[0, -1]]
kept = ratio.stack()[proven]
is_best = errors["autoencoder"] < errors["PCA of any size"]
fewest = errors.index.get_level_values("rows")[is_best].min()
n_cases = len(proven)
print(
    f"Noise {MIDDLE:g}, and nobody judges: the network's error is {gain.iloc[0]:.1f} "
    f"times PCA's from {N_ROWS[0]} rows,\n{gain.iloc[1]:.1f} times from {N_ROWS[-1]}. "
    f"The judged one was PCA in {n_cases - len(kept)} of {n_cases} cases; in the "
    f"others its error\nwas {kept.min():.2f} to {kept.max():.2f} of PCA's.\n"
    f"But {SIZE} numbers are few for PCA. If the size is free, the best PCA is better "
    f"in {n_cases - is_best.sum()} of {n_cases}\ncases, among them all with fewer than "
    f"{fewest} rows. So with few rows take PCA, and more\nnumbers; a network is for "
    "short codes that are learnt from many rows. `proven_`\nsays whether they were "
    "enough."
)
