"""
Which documents are about the same, and which sentence says it?
===============================================================

Word counts of a text are a long row, nearly all of it zeros. We turn the help pages of
SciPy's functions into a few numbers each, look for the pages nearest to a new one, and
pick the sentence that stands for a page. Beside it: PCA, its cousin without centring
(latent semantic analysis, `TruncatedSVD`), and the word counts themselves.
"""

import importlib
import inspect
import re
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.sparse import vstack
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.manifold import TSNE
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.corruption import MaskingNoise

SIZES = [2, 5, 10, 20, 50]
MODULES = (
    "fft integrate interpolate linalg ndimage optimize signal sparse spatial special "
    "stats".split()
)

# %%
# Whoever has scikit-learn has SciPy, and the help of its functions: some 1200 texts,
# each from a module that says what it is about. The first line, a summary by a human,
# is left out, and so are examples and references.


def read_help(function):
    """Return all that a help page explains, and of it the part that is prose."""
    intro, *sections = re.split(r"\n(.+)\n---+\n", inspect.getdoc(function) or "")
    sections = dict(zip(sections[::2], sections[1::2], strict=True))
    for name in ["See Also", "Examples", "References"]:
        sections.pop(name, None)
    notes = sections.pop("Notes", "").partition("**Array API")[0]  # on many pages
    prose = intro.partition("\n\n")[2] + "\n\n" + notes
    return "\n\n".join([prose, *sections.values()]), prose


pages, modules = {}, []
for module in MODULES:
    members = importlib.import_module(f"scipy.{module}")
    for name in sorted(set(members.__all__)):
        text, prose = read_help(getattr(members, name))
        if len(text) > 200 and not inspect.ismodule(getattr(members, name)):
            pages[f"{module}.{name}"] = text, prose
            modules.append(module)
names, modules = np.array(list(pages)), np.array(modules)
texts, proses = zip(*pages.values(), strict=True)
train, test = train_test_split(
    np.arange(len(names)), test_size=0.25, stratify=modules, random_state=0
)

# %%
# TF-IDF makes rows of the texts: how often each word is there, rare ones counting more.
# They stay sparse all the way. Names of the modules are not among the words.

vectorizer = TfidfVectorizer(
    stop_words=[*ENGLISH_STOP_WORDS, *MODULES, "scipy"],
    token_pattern=r"[a-zA-Z]{3,}",
    max_df=0.5,
    min_df=5,
    max_features=800,
    sublinear_tf=True,
    dtype=np.float32,
)
X_train = vectorizer.fit_transform([texts[page] for page in train])
X_test = vectorizer.transform([texts[page] for page in test])
print(f"{X_train.shape[0]} pages to learn from, {X_test.shape[0]} new ones")

# %%
# The autoencoder hides half of the words of each page while it learns, and has to
# return all: so it learns which words go together. A good code of a new page has near
# it pages of the same module. We count how many of the ten nearest ones are.


def share_of_same_module(code_new, code_known, truth):
    """Return how many of the ten nearest known pages are of the right module."""
    nearest = np.argsort(-cosine_similarity(code_new, code_known), axis=1)[:, :10]
    return (modules[train][nearest] == truth[:, None]).mean()


models = {}
for size in SIZES:
    models["LSA", size] = TruncatedSVD(size, random_state=0)
    models["PCA", size] = PCA(size, random_state=0)
    models["autoencoder", size] = AutoencoderTransformer(
        size, corruption=MaskingNoise(0.5), random_state=0
    )
found = {}
for key, model in models.items():
    model.fit(X_train)
    codes = model.transform(X_test), model.transform(X_train)
    found[key] = share_of_same_module(*codes, modules[test])
found = pd.Series(found).unstack(0)[["LSA", "PCA", "autoencoder"]]
found.index.name = "numbers"
found_by_words = share_of_same_module(X_test, X_train, modules[test])
print("Share of the ten nearest pages that are of the same module")
print(found.to_string(float_format="{:.3f}".format))

# %%
# A summary that only quotes: the sentence whose code points most nearly in the
# direction of the code of the whole page. A sentence goes through the same vectorizer
# and the same model, as a very short page. Other sentences to compare with: the first
# one, one at random, and the one with the words most like those of the page.

SIZE = 20


def split_sentences(prose):
    """Return the sentences of the prose of a page."""
    found = []
    for paragraph in re.split(r"\n\s*\n", prose):
        found += re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(paragraph.split()))
    return [x for x in found if re.fullmatch(r"[A-Z].{30,300}\.", x)]


sentences = {page: split_sentences(proses[page]) for page in test}
sentences = {page: found for page, found in sentences.items() if len(found) >= 5}
X_sentences = {page: vectorizer.transform(found) for page, found in sentences.items()}
X_long = vectorizer.transform([texts[page] for page in sentences])


def pick_nearest(encode):
    """Return for each page the number of the sentence that is most like the whole."""
    return [
        cosine_similarity(encode(X), encode(X_page)).argmax()
        for X, X_page in zip(X_sentences.values(), X_long, strict=True)
    ]


rng = np.random.default_rng(0)
picked = {
    "first": [0 for _ in sentences],
    "at random": [rng.integers(len(found)) for found in sentences.values()],
    "like the words": pick_nearest(lambda X: X),
}
for name in found:
    picked[f"like the code\n({name})"] = pick_nearest(models[name, SIZE].transform)

# %%
# Is it a good sentence? Who reads nothing else should learn the subject, that is, find
# pages of the same module by it; and the function, that is, find this very page among
# all new ones. This reader compares words, not codes.

own = np.flatnonzero(
    np.isin(test, list(sentences))
)  # `sentences` is in order of `test`
told = {}
for name, numbers in picked.items():
    X_picked = vstack(
        [X[[number]] for X, number in zip(X_sentences.values(), numbers, strict=True)]
    )
    nearest = cosine_similarity(X_picked, X_test).argmax(axis=1)
    told[name] = {
        "subject": share_of_same_module(X_picked, X_train, modules[test[own]]),
        "page": (nearest == own).mean(),
    }
told = pd.DataFrame(told).T
print(f"What one sentence tells, of {len(sentences)} new pages")
print(told.rename(lambda name: name.replace("\n", " ")).round(3).to_string())

# %%
# New pages on a map that t-SNE draws from their codes, the share of neighbours that are
# right, and what sentences tell.

figure, axes = plt.subplots(
    1, 3, figsize=(13, 4.4), layout="constrained", width_ratios=[1.15, 1, 1]
)
tsne = TSNE(metric="cosine", perplexity=15, random_state=0)
place = tsne.fit_transform(models["autoencoder", 10].transform(X_test))
for number, module in enumerate(MODULES):
    points = place[modules[test] == module]
    axes[0].scatter(*points.T, s=12, color=plt.cm.tab20(number), label=module)
axes[0].set(xticks=[], yticks=[])
axes[0].set_title("New pages, by 10 numbers of the autoencoder", fontsize="medium")
axes[0].legend(
    loc="upper center",
    bbox_to_anchor=(0.5, 0),
    ncols=4,
    fontsize="small",
    frameon=False,
    handletextpad=0,
    columnspacing=0.5,
)

for name, style in [("LSA", "C2^:"), ("PCA", "C0s--"), ("autoencoder", "C1o-")]:
    axes[1].plot(SIZES, found[name], style, label=name)
axes[1].axhline(
    found_by_words, color="k", ls=":", label=f"words ({X_train.shape[1]} numbers)"
)
axes[1].set_xscale("log", base=2)
axes[1].set_xticks(SIZES, SIZES)
axes[1].minorticks_off()
axes[1].set(xlabel="numbers in the code", ylabel="share", ylim=(0, 1))
axes[1].set_title("Ten nearest pages: of the same module", fontsize="medium")
axes[1].grid(alpha=0.3)
axes[1].legend(loc="lower right")

rows = np.arange(len(told))
for shift, color, (measure, share) in zip(
    [-0.2, 0.2], ["C4", "C7"], told.items(), strict=True
):
    bars = axes[2].barh(rows + shift, share, 0.4, color=color, label=measure)
    axes[2].bar_label(bars, fmt="%.2f", padding=2, fontsize="small")
axes[2].set_yticks(rows, told.index)
axes[2].invert_yaxis()
axes[2].set(xlabel="share of pages found", xlim=(0, 1.25), xticks=[0, 0.5, 1])
axes[2].set_title(f"What a sentence tells ({SIZE} numbers)", fontsize="medium")
axes[2].legend(loc="upper right")
plt.show()

# %%
# In words, from the numbers above.

for size in [SIZES[1], SIZES[-1]]:
    gain = found.loc[size, "autoencoder"] - found.loc[size, ["LSA", "PCA"]].max()
    print(
        f"With {size} numbers {found.loc[size, 'autoencoder']:.0%} of the ten nearest "
        f"pages are of the right module,\n{gain:+.1%} from the better of PCA and LSA."
    )
by_words = told.loc["like the words"]
by_pca, by_code = (
    told.loc[f"like the code\n({name})"] for name in ["PCA", "autoencoder"]
)
print(
    f"With all {X_train.shape[1]} words it is {found_by_words:.0%}. So a network is "
    "for codes that have to be short.\nWhere 50 numbers are not too many take LSA: "
    "nothing is trained.\n"
    "Of the pages nearest to a sentence that is like its page by code, "
    f"{by_code['subject']:.0%} are\nof the right module (PCA's code: "
    f"{by_pca['subject']:.0%}, words: {by_words['subject']:.0%}); the page itself\n"
    f"comes first for {by_code['page']:.0%} (PCA's code: {by_pca['page']:.0%}, words: "
    f"{by_words['page']:.0%}).\nA code keeps what pages have in common; what is said "
    "on one page alone is in its words.\nSo find related texts by codes, and choose "
    "what to quote by words:"
)
by = {"code": "like the code\n(autoencoder)", "words": "like the words"}
quotes = {
    page: [found[picked[name][number]] for name in by.values()]
    for number, (page, found) in enumerate(sentences.items())
}
page = next(page for page, (by_code, by_words) in quotes.items() if by_code != by_words)
for name, quote in zip(by, quotes[page], strict=True):
    quote = f"{names[page]}, by {name}: {quote}"
    print(textwrap.fill(quote, 88, initial_indent="- ", subsequent_indent="  "))
