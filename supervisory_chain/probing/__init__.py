"""The process that asks the markets' registered endpoints (docs/spec/drift.md §2)."""
