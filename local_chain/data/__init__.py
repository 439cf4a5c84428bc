"""Sealing, vault, object store, release and commands of limited and private data (docs/spec/data-tiers.md)."""
