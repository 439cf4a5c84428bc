"""X.509 with SM2 after GB/T 20518 (docs/spec/certificates.md).

Certificates, requests, revocation lists, path validation. Bytes in, values out; ``files`` and ``authority`` alone know
of a disk. ASN.1 is the work of ``cryptography``.
"""
