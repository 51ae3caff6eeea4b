"""What autodoc has to be told of our classes, and of what they inherit."""

import inspect
import re

# :ref:`words <label>`, :term:`word`; the site that they lead to is not this one.
REFERENCE = re.compile(r":(?:ref|doc|term):`(?:([^`<]+?)\s*<[^`>]+>|([^`<]+))`")


def unlink(app, what, name, obj, options, lines):
    """Make words of the links in docstrings that come from scikit-learn."""
    function = getattr(obj, "fget", obj)
    if getattr(function, "__module__", "skae").partition(".")[0] != "skae":
        lines[:] = [
            REFERENCE.sub(lambda link: link[1] or f"``{link[2]}``", line)
            for line in lines
        ]


def sign(app, what, name, obj, options, signature, return_annotation):
    """Show the signature of a class as Python sees it: that of its `__init__`."""
    if what == "class":
        signature = inspect.signature(obj)
        bare = [
            parameter.replace(annotation=parameter.empty)
            for parameter in signature.parameters.values()
        ]
        empty = signature.empty
        return str(signature.replace(parameters=bare, return_annotation=empty)), None
    return None


def setup(app):
    app.connect("autodoc-process-docstring", unlink, priority=400)  # before numpydoc
    app.connect("autodoc-process-signature", sign, priority=600)  # after numpydoc
    return {"parallel_read_safe": True}
