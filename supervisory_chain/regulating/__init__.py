"""The regulator's commands: cases, directives, the clients of followed chains (docs/guides/supervise.md)."""
