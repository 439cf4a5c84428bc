"""The node interface of JR/T 0314-2024 §6 and its verification (docs/spec/node-interface.md)."""
