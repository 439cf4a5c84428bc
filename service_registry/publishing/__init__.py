"""What a publisher works with: the folder of a service, its checks, its host (docs/spec/publishing.md)."""
