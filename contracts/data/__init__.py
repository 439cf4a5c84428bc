"""Data of three tiers: descriptors, sealed bodies, grants and accesses on the chain (docs/spec/data-tiers.md)."""
