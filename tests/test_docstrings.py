"""Docstrings are complete, and say what the code does."""

import ast
import inspect
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.utils._testing import check_docstring_parameters

import skae
from skae import (
    AutoencoderTransformer,
    bottlenecks,
    corruption,
    displays,
    losses,
    model_selection,
    networks,
    penalties,
)
from skae._fitted import FittedAttributes
from skae._sklearn import StrOptions

docscrape = pytest.importorskip("numpydoc.docscrape")
validate = pytest.importorskip("numpydoc.validate").validate

METHODS = [
    "fit",
    "partial_fit",
    "transform",
    "inverse_transform",
    "reconstruct",
    "reconstruction_error",
    "score_samples",
    "score",
    "sample",
    "interpolate",
    "quantize",
]
PROPERTIES = [
    "components_",
    "explained_variance_",
    "mean_",
    "singular_values_",
    "encoder_",
    "decoder_",
    "callbacks_",
    "history_",
    "codebook_",
    "hidden_layer_sizes_",
    "n_parameters_",
    "validation_loss_",
]
# What only the docstring of the estimator has, for all of its methods.
NO_EXTENDED_SUMMARY, NO_SEE_ALSO, NO_EXAMPLES = "ES01", "SA01", "EX01"
NAMED_RETURN = "RT02"  # scikit-learn names what is returned
SUMMARY_BESIDE_QUOTES = "GL01"  # an error for numpydoc 1.8, no longer for 1.11
IGNORED = {
    NO_EXTENDED_SUMMARY,
    NO_SEE_ALSO,
    NO_EXAMPLES,
    NAMED_RETURN,
    SUMMARY_BESIDE_QUOTES,
}
MODULES = (losses, networks, bottlenecks, penalties, corruption, model_selection)
PARTS = [
    part
    for module in MODULES
    for _, part in inspect.getmembers(module)
    if inspect.getmodule(part) is module
    and (inspect.isclass(part) or inspect.isfunction(part))
    and not part.__name__.startswith("_")
]


def sections(documented):
    return docscrape.NumpyDocString(inspect.getdoc(documented))


def parameters(documented):
    """Return the type of each parameter in a docstring, by name."""
    return {entry.name: entry.type for entry in sections(documented)["Parameters"]}


def signature(documented):
    """Return the default of each parameter in a signature, by name."""
    names = dict(inspect.signature(documented).parameters)
    names.pop("self", None)
    return {name: parameter.default for name, parameter in names.items()}


def documented_default(type_):
    """Return what stands behind ``default=``, or the sign for nothing."""
    match = re.search(r"default=(.*)$", type_)
    return ast.literal_eval(match[1]) if match else inspect.Parameter.empty


def methods():
    return [getattr(AutoencoderTransformer, name) for name in METHODS]


def in_words(documented):
    return documented.__qualname__


CLASSES = [part for part in PARTS if inspect.isclass(part)]
DISPLAYS = [getattr(displays, name) for name in displays.__all__]
METHODS_OF_DISPLAYS = [
    getattr(display, name)
    for display in DISPLAYS
    for name in vars(display)
    if not name.startswith("_") and callable(getattr(display, name))
]
WITH_PARAMETERS = [
    part
    for part in [
        AutoencoderTransformer,
        *methods(),
        *CLASSES,
        *DISPLAYS,
        *METHODS_OF_DISPLAYS,
        skae.choose_n_components,
    ]
    if sections(part)["Parameters"]
]


# Form


def test_docstring_of_the_estimator_is_valid():
    errors = dict(validate("skae.AutoencoderTransformer")["errors"])
    assert errors.keys() <= {SUMMARY_BESIDE_QUOTES}, errors


@pytest.mark.parametrize("name", METHODS + PROPERTIES)
def test_docstring_of_a_method_is_valid(name):
    errors = dict(validate(f"skae.AutoencoderTransformer.{name}")["errors"])
    assert errors.keys() <= IGNORED, errors


@pytest.mark.parametrize("part", CLASSES, ids=in_words)
def test_docstring_of_a_part_is_valid(part):
    errors = dict(validate(f"{part.__module__}.{part.__name__}")["errors"])
    if not sections(part)["Parameters"]:
        errors.pop("PR01", None)  # parameters explained in words
    assert errors.keys() <= IGNORED, errors


def full_name(documented):
    return f"{documented.__module__}.{documented.__qualname__}"


def test_docstring_of_the_choice_of_a_size_is_valid():
    choose = skae.choose_n_components
    errors = dict(validate(full_name(choose))["errors"])
    assert errors.keys() <= {NAMED_RETURN, SUMMARY_BESIDE_QUOTES}, errors


NAMED = [
    *losses.LOSSES.values(),
    *bottlenecks.BOTTLENECKS.values(),
    *penalties.PENALTIES.values(),
    *corruption.CORRUPTIONS.values(),
    *networks.NETWORKS.values(),
]
PUBLIC = [getattr(skae, name) for name in skae.__all__ if name != "__version__"]


@pytest.mark.parametrize("part", [*NAMED, *PUBLIC], ids=in_words)
def test_what_has_a_name_has_an_example(part):
    assert ">>> " in "".join(sections(part)["Examples"])


@pytest.mark.parametrize("display", DISPLAYS, ids=in_words)
def test_docstring_of_a_display_is_valid(display):
    errors = dict(validate(full_name(display))["errors"])
    assert errors.keys() <= {SUMMARY_BESIDE_QUOTES}, errors


@pytest.mark.parametrize("method", METHODS_OF_DISPLAYS, ids=in_words)
def test_docstring_of_a_method_of_a_display_is_valid(method):
    """What draws from data has an example of its own, and names its relatives."""
    ignored = {NO_EXTENDED_SUMMARY, NAMED_RETURN, SUMMARY_BESIDE_QUOTES}
    if method.__name__ == "plot":
        ignored |= {NO_SEE_ALSO, NO_EXAMPLES}
    errors = dict(validate(full_name(method))["errors"])
    assert errors.keys() <= ignored, errors


@pytest.mark.parametrize("display", DISPLAYS, ids=in_words)
def test_attributes_of_a_display_are_those_that_plot_sets(display):
    source = inspect.getsource(display)
    found = set(re.findall(r"self\.([a-z]\w*_)\b", source))
    documented = {entry.name for entry in sections(display)["Attributes"]}
    assert found == documented


@pytest.mark.parametrize(
    "documented",
    [
        AutoencoderTransformer,
        *methods(),
        *DISPLAYS,
        *METHODS_OF_DISPLAYS,
        skae.choose_n_components,
    ],
    ids=in_words,
)
def test_scikit_learns_own_check_finds_nothing(documented):
    assert check_docstring_parameters(documented) == []


def test_all_public_methods_of_the_estimator_are_checked():
    own = {**vars(AutoencoderTransformer), **vars(FittedAttributes)}
    # scikit-learn adds the methods for metadata routing.
    public = {name for name in own if not re.match(r"_|set_\w+_request", name)}
    assert public == {*METHODS, *PROPERTIES, "set_params"}


@pytest.mark.parametrize("part", PARTS, ids=in_words)
def test_public_part_has_a_docstring(part):
    assert re.match(r"[A-Z].*\.$", inspect.getdoc(part).splitlines()[0])


@pytest.mark.parametrize(
    "module", [skae, displays, *MODULES], ids=lambda module: module.__name__
)
def test_public_names_exist(module):
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


# Content


@pytest.mark.parametrize("documented", WITH_PARAMETERS, ids=in_words)
def test_parameters_are_in_the_order_of_the_signature(documented):
    assert list(parameters(documented)) == list(signature(documented))


@pytest.mark.parametrize("documented", WITH_PARAMETERS, ids=in_words)
def test_default_in_the_docstring_is_that_of_the_signature(documented):
    in_docstring = {
        name: documented_default(type_)
        for name, type_ in parameters(documented).items()
        if type_ != "Ignored"
    }
    in_signature = {name: signature(documented)[name] for name in in_docstring}
    assert in_docstring == in_signature


@pytest.mark.parametrize(
    "name", [*inspect.signature(AutoencoderTransformer).parameters]
)
def test_choices_in_the_docstring_are_those_allowed(name):
    type_ = parameters(AutoencoderTransformer)[name].split("default=")[0]
    allowed = set()
    for constraint in AutoencoderTransformer._parameter_constraints[name]:
        if isinstance(constraint, StrOptions):
            allowed |= constraint.options - {"mle"}  # refused with advice
    assert set(re.findall(r'"(\w+)"', type_)) == allowed


def test_activations_in_the_docstring_are_those_allowed():
    type_ = parameters(networks.MLPAutoencoder)["activation"].split("default=")[0]
    assert set(re.findall(r'"(\w+)"', type_)) == set(networks.ACTIVATIONS)


@pytest.fixture(scope="module")
def fitted():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=list("abc"))
    return AutoencoderTransformer(n_components=2, bottleneck="ordered").fit(X)


ATTRIBUTES = {
    entry.name: entry.type for entry in sections(AutoencoderTransformer)["Attributes"]
}
SIZES = {"n_components": 2, "n_features": 3, "n_features_in_": 3}


def test_every_fitted_attribute_is_documented(fitted):
    names = [*vars(fitted), *PROPERTIES]
    learnt = {name for name in names if re.fullmatch(r"[a-z].*_", name)}
    assert learnt == set(ATTRIBUTES)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, type_ in ATTRIBUTES.items()
        if "of shape" in type_ and name != "codebook_"
    ],
)
def test_fitted_attribute_has_the_documented_shape(fitted, name):
    sizes = re.search(r"of shape \((.*)\)", ATTRIBUTES[name])[1].split(",")
    shape = tuple(SIZES[size.strip()] for size in sizes if size)
    assert getattr(fitted, name).shape == shape


@pytest.mark.parametrize(
    ("parameter", "names"),
    [
        ("network", networks.NETWORKS),
        ("bottleneck", bottlenecks.BOTTLENECKS),
        ("loss", losses.LOSSES),
        ("penalty", penalties.PENALTIES),
        ("corruption", corruption.CORRUPTIONS),
    ],
)
def test_every_part_of_the_library_is_named_in_the_docstring(parameter, names):
    type_ = parameters(AutoencoderTransformer)[parameter]
    for name in names:
        assert f'"{name}"' in type_
