"""Evidence on the chain of data objects that are stored off it (docs/spec/exporter.md §2)."""
