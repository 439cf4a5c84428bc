"""Depositing and signing documents from the command line (存证, 电子签约; docs/spec/agreements.md §8)."""
