"""Generated from protos/: dualchain.data."""
