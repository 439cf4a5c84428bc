"""DIDs and credentials from the command line (docs/spec/identity.md §8)."""
