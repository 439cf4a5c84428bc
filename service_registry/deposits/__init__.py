"""Evidence deposits (存证) as a service of the registry (docs/spec/agreements.md §6)."""
