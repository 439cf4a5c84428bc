"""Identity over markets: DIDs, their documents, credentials (docs/spec/identity.md; JR/T 0325-2024)."""
