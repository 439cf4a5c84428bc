"""The adapter for business systems (art. 20): idempotent hand-in, back-fill, reconciliation (docs/spec/adapter.md)."""
