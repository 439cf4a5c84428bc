"""Generated from protos/: dualchain.registry."""
