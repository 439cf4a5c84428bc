"""A market in memory, for a template's examples before it is filed. Off chain (docs/spec/template-cases.md)."""
