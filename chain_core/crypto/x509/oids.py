"""Object identifiers of the profile (GB/T 33560, GB/T 20518, RFC 5280, RFC 5480)."""

from __future__ import annotations

from cryptography.x509 import ObjectIdentifier

EC_PUBLIC_KEY = ObjectIdentifier("1.2.840.10045.2.1")
SM2_CURVE = ObjectIdentifier("1.2.156.10197.1.301")
SM2_WITH_SM3 = ObjectIdentifier("1.2.156.10197.1.501")

COUNTRY = ObjectIdentifier("2.5.4.6")
ORGANISATION = ObjectIdentifier("2.5.4.10")
COMMON_NAME = ObjectIdentifier("2.5.4.3")

SUBJECT_KEY_IDENTIFIER = ObjectIdentifier("2.5.29.14")
KEY_USAGE = ObjectIdentifier("2.5.29.15")
SUBJECT_ALTERNATIVE_NAME = ObjectIdentifier("2.5.29.17")
BASIC_CONSTRAINTS = ObjectIdentifier("2.5.29.19")
CRL_NUMBER = ObjectIdentifier("2.5.29.20")
AUTHORITY_KEY_IDENTIFIER = ObjectIdentifier("2.5.29.35")
EXTENDED_KEY_USAGE = ObjectIdentifier("2.5.29.37")
EXTENSION_REQUEST = ObjectIdentifier("1.2.840.113549.1.9.14")
CRL_REASON = ObjectIdentifier("2.5.29.21")

SERVER_AUTH = ObjectIdentifier("1.3.6.1.5.5.7.3.1")
CLIENT_AUTH = ObjectIdentifier("1.3.6.1.5.5.7.3.2")
ANY_EXTENDED_USAGE = ObjectIdentifier("2.5.29.37.0")
