"""Evidence deposits and agreements between several parties (存证, 电子签约; docs/spec/agreements.md)."""
