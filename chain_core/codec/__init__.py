"""Bytes that are signed, hashed or proven: the strict canonical codec, and values to and from protobuf.

Every decoder returns a value or a typed refusal; a value has exactly one encoding (docs/spec/formats.md).
"""
