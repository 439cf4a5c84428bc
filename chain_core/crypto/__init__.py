"""SM2, SM3 and SM4 behind interchangeable providers; Merkle trees; key files.

Nothing here implements a primitive: each provider drives a library, and all of them are held to the same
vectors and to the same answers on malformed keys and signatures (docs/spec/crypto.md).
"""
