"""Generated from protos/: dualchain.jrt0314."""
