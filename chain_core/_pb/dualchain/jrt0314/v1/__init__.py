"""Generated from protos/: dualchain.jrt0314.v1."""
