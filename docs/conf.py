"""How Sphinx builds the site: `make docs`. Nothing is fetched from the network."""

import os
import sys
from pathlib import Path

os.environ["SCIPY_ARRAY_API"] = "1"  # read once, when scipy is imported; for a check
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import skae

project = "skae"
author = copyright = "The skae developers"
version = release = skae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "tables",
]
exclude_patterns = ["**/GALLERY_HEADER.rst", "auto_examples/**.ipynb"]
templates_path = ["_templates"]
smartquotes = False  # "--data" and "auto" are meant as they stand
default_role = "py:obj"  # `name` in a docstring links where there is something to link

myst_heading_anchors = 3  # user_guide.md#which-loss
autosummary_ignore_module_all = False
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # autodoc does, by the templates of autosummary
viewcode_line_numbers = True
autodoc_typehints = "none"  # numpydoc says them in words

# Examples: no list of them anywhere. Each plot_*.py is run, and is a page.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[\\/]plot_",
    "ignore_pattern": r"(^|[\\/])run\.py$",
    "within_subsection_order": "ExampleTitleSortKey",
    "backreferences_dir": "auto_examples/backreferences",
    "doc_module": ("skae",),
    "reference_url": {"skae": None},
    "image_srcset": ["2x"],
    "parallel": 2,
    "thumbnail_size": (640, 280),
    "abort_on_example_error": True,
    "show_signature": False,
    "write_computation_times": False,
}

WIDE = [f"benchmarks/{page.stem}" for page in HERE.glob("benchmarks/*.md")]
PAGES_WITHOUT_SECTIONS = [
    "start",
    "user_guide",
    "extending",
    "when_worth_it",
    "conformity",
    "criteria",
    "security",
    "changelog",
    "glossary",
]
html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_context = {"default_mode": "auto"}  # light or dark, as the browser asks
html_static_path = ["_static"]
html_sidebars = {page: [] for page in PAGES_WITHOUT_SECTIONS}
html_css_files = ["skae.css"]
html_logo = html_favicon = "_static/logo.svg"
html_copy_source = False
html_theme_options = {
    "logo": {"text": "skae"},
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"]} | dict.fromkeys(WIDE, []),
    "footer_start": ["copyright"],
    "footer_end": [],
}
