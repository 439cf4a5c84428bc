"""Market rules as data, the guards that judge each movement, and the executor's hook (docs/spec/kernel.md §4)."""
