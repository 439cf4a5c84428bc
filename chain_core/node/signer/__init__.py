"""The signer: a process that holds consensus keys and serves votes and nothing else (docs/spec/keys.md §5)."""
