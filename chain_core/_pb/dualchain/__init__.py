"""Generated from protos/: dualchain."""
