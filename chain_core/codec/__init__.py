"""Bytes that are signed, hashed or proven: the strict canonical codec, and the mapping from values to protobuf.

Every decoder returns a value or a typed refusal; a value has exactly one encoding (docs/spec/formats.md).
"""
