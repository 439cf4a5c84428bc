"""Evidence bundles 证据包: what a court or an auditor checks with openssl and a POSIX shell (docs/spec/evidence.md)."""
