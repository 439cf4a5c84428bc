"""Generated from protos/: dualchain.data.v1."""
