"""The government-data channel (政务数据通道): a service over the registry (docs/spec/government-data.md; art. 12)."""
