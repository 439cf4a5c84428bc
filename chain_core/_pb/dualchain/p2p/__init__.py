"""Generated from protos/: dualchain.p2p."""
