"""The SM session (docs/spec/sm-session.md): TLS 1.3's handshake and key schedule with RFC 8998, records for gRPC calls.

Pure: bytes in, bytes out. Time, randomness, ephemeral keys, signing and certificate checks are inputs.
"""
