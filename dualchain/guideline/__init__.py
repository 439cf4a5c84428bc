"""The guideline's articles asked of a running network (docs/spec/guideline.md)."""
