"""The regulator's desk: notices and inspections (docs/spec/desk.md)."""
