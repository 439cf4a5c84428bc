"""Generated from protos/: dualchain.node.v1."""
