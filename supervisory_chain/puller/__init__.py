"""Pulls what market chains offer by JR/T 0314, verifies and logs it (docs/spec/node-interface.md §6)."""
