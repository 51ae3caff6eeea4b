"""Docstrings inherited from scikit-learn: their links to its own pages become words."""

import re

# :ref:`words <label>`, :ref:`label`; the site that they are in is not this one.
REFERENCE = re.compile(r":(?:ref|doc):`(?:([^`<]+?)\s*<[^`>]+>|([^`<]+))`")


def unlink(app, what, name, obj, options, lines):
    """Replace links in a docstring of which the source is not in skae."""
    function = getattr(obj, "fget", obj)
    if getattr(function, "__module__", "skae").partition(".")[0] != "skae":
        lines[:] = [
            REFERENCE.sub(lambda link: link[1] or f"``{link[2]}``", line)
            for line in lines
        ]


def setup(app):
    app.connect("autodoc-process-docstring", unlink, priority=400)  # before numpydoc
    return {"parallel_read_safe": True}
