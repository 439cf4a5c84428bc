"""Generated from protos/: dualchain.node."""
