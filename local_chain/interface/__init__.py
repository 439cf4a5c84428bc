"""The node interface of JR/T 0314 over HTTPS, beside a node (docs/spec/node-interface.md §5)."""
