"""
Which letters are missing in a promoter?
========================================

A promoter is the stretch of DNA where the reading of a gene starts. It is known by two
boxes, short words that are nearly the same in all promoters of a family; between them
stand letters that mean nothing. From sequences without labels an autoencoder learns
what belongs together: hide one box, and it says what it was. Its code also tells a
classifier with few labels which sequences are promoters. PCA has the same chance.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.svm import SVC

from skae import AutoencoderTransformer
from skae.corruption import BlockMasking

# %%
# Generated sequences of 48 letters, 40 % of them G or C. Every second one is a promoter
# of one of four families of *Escherichia coli*: first box, gap, second box, at one of
# six places. One letter in ten of a box is drawn at random.

FAMILIES = {
    "sigma 70": ("TTGACA", 17, "TATAAT"),
    "sigma 54": ("TGGCACG", 4, "TTGCA"),
    "sigma 32": ("CTTGAA", 14, "CCCCAT"),
    "sigma 28": ("TAAAGTTT", 11, "GCCGATAA"),
}
LETTERS, LENGTH, CHANGED = "ACGT", 48, 0.1
rng = np.random.default_rng(0)


def generate(n_sequences):
    """Return letters as numbers, the same before chance, and which box is where."""
    letters = rng.choice(4, size=(n_sequences, LENGTH), p=[0.3, 0.2, 0.2, 0.3])
    families = rng.integers(-4, 4, size=n_sequences)  # below zero: not a promoter
    meant, boxes = letters.copy(), np.zeros(letters.shape, dtype=int)
    for row in np.flatnonzero(families >= 0):
        first, gap, second = list(FAMILIES.values())[families[row]]
        start = rng.integers(4, 10)
        for number, word in [(1, first), (2, second)]:
            place = slice(start, start + len(word))
            meant[row, place] = [LETTERS.index(letter) for letter in word]
            boxes[row, place] = number
            start += len(word) + gap
    is_kept = (boxes > 0) & (rng.random(letters.shape) > CHANGED)
    return np.where(is_kept, meant, letters), meant, boxes


train, _, boxes_train = generate(3000)
test, meant, boxes = generate(1000)

# %%
# One-hot: a signal of 48 positions with four channels, one for each letter. In every
# test promoter one of the boxes is hidden: all four channels are zero there.


def one_hot(letters):
    return np.eye(4, dtype=np.float32)[letters]  # (n, 48, 4)


hidden = boxes == rng.integers(1, 3, size=(len(test), 1))
X_train, X_test = one_hot(train), one_hot(test)
X_hidden = np.where(hidden[:, :, None], 0, X_test)

# %%
# The autoencoder takes signals as they are. While it learns, a fifth of each sequence
# is hidden, anywhere, and it is to return the whole: it never sees where boxes are. The
# log loss makes probabilities of its output. PCA learns from whole sequences; a hidden
# letter is to it an average one, which is as much as it can be told.


def flatten(X):
    return X.reshape(len(X), -1)


rebuilt, codes = {}, {}
frequencies = X_train.mean(axis=0)
for size in [2, 4, 8, 16, 32]:
    pca = PCA(size, random_state=0).fit(flatten(X_train))
    X_mean = flatten(np.where(hidden[:, :, None], frequencies, X_test))
    X_hat = pca.inverse_transform(pca.transform(X_mean))
    rebuilt["PCA", size] = X_hat.reshape(X_test.shape)
    codes["PCA", size] = [pca.transform(flatten(X)) for X in (X_train, X_test)]
for size in [4, 8]:
    autoencoder = AutoencoderTransformer(
        size,
        channel_order="last",
        loss="log_loss",
        corruption=BlockMasking(0.2),
        random_state=0,
    ).fit(X_train)
    rebuilt["autoencoder", size] = autoencoder.reconstruct(X_hidden)
    codes["autoencoder", size] = [autoencoder.transform(X) for X in (X_train, X_test)]

# %%
# How many of the hidden letters are right, if the likeliest one is taken? Always saying
# the most frequent letter of the position is the least that one can do; who knows the
# families and sees all is wrong where chance has changed a letter.


def share_right(X_hat):
    return (X_hat.argmax(axis=-1) == test)[hidden].mean()


right = pd.Series({key: share_right(X_hat) for key, X_hat in rebuilt.items()})
right = right.unstack(0)[["PCA", "autoencoder"]].rename_axis("numbers")
least = share_right(np.broadcast_to(frequencies, X_test.shape))
most = (meant == test)[hidden].mean()
print("Share of the hidden letters that are right")
print(right.to_string(float_format="{:.3f}".format, na_rep=""))

# %%
# Promoter or not? A support vector machine learns it from some of the training
# sequences: from their codes, from all letters, or from counts of words of four
# letters, as is often done. Which labels there are is drawn five times.

SIZE, LABELS = 8, [50, 100, 200, 400]
y_train, y_test = boxes_train.any(axis=1), boxes.any(axis=1)
counter = CountVectorizer(analyzer="char", ngram_range=(4, 4), lowercase=False)
spelt = [["".join(LETTERS[x] for x in row) for row in rows] for rows in (train, test)]
known = {
    "words of four": [counter.fit_transform(spelt[0]), counter.transform(spelt[1])],
    "all letters": [flatten(X_train), flatten(X_test)],
    "PCA": codes["PCA", SIZE],
    "autoencoder": codes["autoencoder", SIZE],
}
draws = [rng.permutation(len(train)) for _ in range(5)]


def accuracy_with(X, X_new, n_labels):
    """Return the mean test accuracy of classifiers with so many labels each."""
    scores = []
    for rows in draws:
        classifier = SVC().fit(X[rows[:n_labels]], y_train[rows[:n_labels]])
        scores.append(classifier.score(X_new, y_test))
    return np.mean(scores)


accuracy = pd.DataFrame(
    {name: [accuracy_with(*X, n) for n in LABELS] for name, X in known.items()},
    index=pd.Index(LABELS, name="labels"),
)
print(f"Test accuracy, mean of five draws; codes of {SIZE} numbers")
print(accuracy.to_string(float_format="{:.3f}".format))

# %%
# A promoter without its second box, how likely each letter is there, and both tables.
# What the letters are is framed where they are hidden.

example = np.flatnonzero((hidden & (boxes == 2)).any(axis=1))[0]
place = np.flatnonzero(hidden[example])
figure = plt.figure(figsize=(13, 4.6), layout="constrained")
left, right_part = figure.subfigures(1, 2, width_ratios=[1.25, 1])
views = {
    "seen": X_hidden[example],
    f"PCA\n({SIZE} numbers)": rebuilt["PCA", SIZE][example],
    f"autoencoder\n({SIZE} numbers)": rebuilt["autoencoder", SIZE][example],
}
left.suptitle("A test promoter without its second box", fontsize="medium")
axes = left.subplots(len(views), 1, sharex=True)
for ax, (title, view) in zip(axes, views.items(), strict=True):
    picture = ax.imshow(view.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_yticks(range(4), LETTERS, family="monospace", fontsize="small")
    ax.set_ylabel(title, rotation=0, ha="right", va="center", labelpad=12)
    for position in place:
        corner = position - 0.5, test[example, position] - 0.5
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, ec="C3", lw=1.5))
axes[-1].set_xlabel("position")
left.colorbar(picture, ax=axes, label="how likely", shrink=0.8)

ax, other = right_part.subplots(1, 2)
for name, style in [("PCA", "C0s--"), ("autoencoder", "C1o-")]:
    ax.plot(right[name].dropna(), style, label=name)
ax.axhline(most, color="k", ls="--", lw=1, label="most that can be known")
ax.axhline(least, color="k", ls=":", label="most frequent letter")
ax.set_xscale("log", base=2)
ax.set_xticks(right.index, right.index)
ax.set(xlabel="numbers in the code", ylim=(0, 1))
ax.set_title("Hidden letters: share right", fontsize="medium")
styles = ["C2^:", "C7v:", "C0s--", "C1o-"]
for (name, values), style in zip(accuracy.items(), styles, strict=True):
    other.plot(values, style, label=name)
other.set_xscale("log", base=2)
other.set_xticks(LABELS, LABELS)
other.set(xlabel="labelled sequences", ylim=(0.45, 1))
other.set_title("Promoter or not: accuracy", fontsize="medium")
for ax in right_part.axes:
    ax.minorticks_off()
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right", fontsize="small")
plt.show()

# %%
# In words, from the numbers above.

for name, values in right.items():
    size = values.idxmax()
    print(
        f"Of the letters of a hidden box {values[size]:.0%} are right with the best "
        f"{name} ({size} numbers)."
    )
print(
    f"The most frequent letters are right for {least:.0%}, and {most:.0%} is the most "
    "that can be.\nA box may stand at six places: for PCA these are six words that "
    "have little in common."
)
for n, row in accuracy.iloc[[0, -1]].iterrows():
    print(
        f"With {n} labels the autoencoder's code tells {row['autoencoder']:.0%} of the "
        f"test sequences right, PCA's\ncode {row['PCA']:.0%}, counts of words of four "
        f"letters {row['words of four']:.0%}, all letters {row['all letters']:.0%}."
    )
