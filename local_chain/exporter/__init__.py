"""The operator's exporter: from final events to sealed, stored, anchored snapshots (docs/spec/exporter.md)."""
