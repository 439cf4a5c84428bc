"""The template engine ``tpl/1``: a metered subset of Python and Starlark (docs/spec/tpl-1.md)."""
