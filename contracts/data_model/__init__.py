"""Data objects after JR/T 0314 and 0315: snapshots, schemas, seals, life (docs/spec/data-objects.md)."""
