"""Generated from protos/: dualchain.registry.v1."""
