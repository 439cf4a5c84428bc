"""The SM session on gRPC: ports that take nothing else, channels that speak nothing else (docs/spec/sm-session.md)."""
