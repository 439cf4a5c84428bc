"""A network on this machine in which services are tried out (docs/spec/publishing.md §4)."""
