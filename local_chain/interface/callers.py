"""Who calls the HTTPS port: a client certificate, a bearer token, or nobody (docs/spec/node-interface.md §5)."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chain_core.crypto.hashing import sm3
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.ordinary import parse_ordinary
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.network.refusals import ServiceRefusal
from chain_core.network.tls import TLS
from chain_core.node.config import ConfigRefused

TOKEN: Final = "token"  # noqa: S105 - the kind of a caller
MAX_TOKENS, MIN_TOKEN_CHARACTERS = 1_024, 20
_FIELDS: Final = 3
_NEXT: Final = "a line: SM3 of the token in hexadecimal, name, roles with commas (docs/spec/node-interface.md §5)"


class Unauthenticated(ServiceRefusal):
    """No credentials, or unknown ones: HTTP 401."""

    code = "UNAUTHENTICATED"


@dataclass(frozen=True, slots=True)
class Token:
    """Whose a bearer token is, and what its bearer may act as."""

    name: str
    roles: tuple[str, ...]


def read_tokens(path: Path) -> dict[bytes, Token]:
    """Tokens by their SM3; the file holds no token. Raises ConfigRefused."""
    try:
        mode, text = path.stat().st_mode, path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigRefused(f"cannot be read: {error}", where=str(path), next_step=_NEXT) from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigRefused("others can read the tokens' file", where=str(path), next_step=f"chmod 600 {path}")
    found: dict[bytes, Token] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split()
        try:
            digest = bytes.fromhex(parts[0])
        except ValueError:
            digest = b""
        if len(parts) != _FIELDS or len(digest) != len(sm3(b"")) or digest in found or len(found) >= MAX_TOKENS:
            raise ConfigRefused("no token, or one that stands twice", where=f"{path}, line {number}", next_step=_NEXT)
        found[digest] = Token(parts[1][:64], tuple(parts[2].split(",")))
    return found


@dataclass(frozen=True, slots=True)
class Callers:
    """``everybody``: a plaintext port without tokens, whose callers have no names."""

    chain_id: str
    tokens: Mapping[bytes, Token]
    everybody: bool = False

    def of(self, transport: Any, authorization: str) -> Caller:
        """Raises Unauthenticated."""
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if authorization:
            return self._bearer(authorization, address)
        secured = transport.get_extra_info("ssl_object")
        der = secured.getpeercert(binary_form=True) if secured is not None else None
        if der:
            return self._certified(der, address)
        if self.everybody:
            return Caller(LOOPBACK, address, address=address)
        raise _unknown("the request shows no credentials")

    def _bearer(self, authorization: str, address: str) -> Caller:
        scheme, _, text = authorization.partition(" ")
        known = self.tokens.get(sm3(text.strip().encode("utf-8", "replace"))) if scheme.lower() == "bearer" else None
        if known is None:
            raise _unknown("these credentials are not known here")
        return Caller(TOKEN, known.name, known.roles, address=address)

    def _certified(self, der: bytes, address: str) -> Caller:
        try:
            found = parse_ordinary(der)
            roles = found.roles(self.chain_id)
        except CertificateRefused as refusal:
            raise _unknown(refusal.what) from refusal
        return Caller(TLS, found.name, roles, fingerprint=found.fingerprint, entity=found.entity, address=address)


def _unknown(what: str) -> Unauthenticated:
    return Unauthenticated(
        what, where="credentials", next_step="show a client certificate or a bearer token that the operator has given"
    )
