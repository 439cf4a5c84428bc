"""Risk indicators of the markets, their thresholds and alarms (docs/spec/risk.md)."""
