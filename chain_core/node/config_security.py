"""[security] of a node's configuration: certificates, whom they are believed from, and what binds clients."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.roles import role_uri
from chain_core.types.ids import HASH_SIZE


class SecuritySection(BaseModel):
    """[security]: paths of PEM files; without ``certificate`` the node has none (docs/spec/certificates.md §6, §9)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    transport_key: str = ""
    """Path of the transport key, which the validator set lists: SM2 PKCS#8 PEM, mode 0600."""
    certificate: str = ""
    """The transport key's certificate and those above it, leaf first."""
    anchors: str = ""
    """The operator's own authorities: they give roles."""
    foreign_anchors: str = ""
    """Other authorities: their certificates have only the roles of ``grants``."""
    crl: str = ""
    """Revocation lists of all authorities in use, read again when they change; empty: nothing is checked."""
    crl_grace_hours: int = Field(default=24, ge=0, le=8_760)
    """How long past its next update a list still counts."""
    warn_days: int = Field(default=30, ge=1, le=3_650)
    """How long before its end a certificate alarms."""
    grants: dict[str, list[str]] = {}
    """[security.grants]: roles by SM3 of a certificate's DER, in hexadecimal."""

    @field_validator("grants")
    @classmethod
    def _fingerprints(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, roles in value.items():
            try:
                sized = len(bytes.fromhex(name)) == HASH_SIZE
            except ValueError:
                sized = False
            if not sized:
                raise ValueError(f"{name!r} is no fingerprint of {2 * HASH_SIZE} hexadecimal digits")
            for role in roles:
                try:
                    role_uri(role)
                except CertificateRefused as refusal:
                    raise ValueError(refusal.what) from refusal
        return value
