"""Supervision templates 监管合约: rules of a regulator that see every movement (docs/spec/watch.md)."""
