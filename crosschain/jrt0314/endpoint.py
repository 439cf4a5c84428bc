"""One HTTPS endpoint of a chain, asked by a puller or an examiner: bounded, one request at a time, nothing believed.

``http.client`` of the standard library: no redirects are followed, no proxies used, no cookies kept.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from chain_core.network.identity import require_loopback
from chain_core.types.errors import DualchainError, LocalFault

TIMEOUT_S: Final = 20.0
MAX_ANSWER_BYTES: Final = 40_000_000
"""A block of 16,000,000 bytes, encoded as hexadecimal text, and room."""


class EndpointAway(DualchainError):
    """No answer, or none that can be read."""

    code = "ENDPOINT_AWAY"


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The JSON value. Raises EndpointAway."""
        try:
            return json.loads(self.body.decode("utf-8"), parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise EndpointAway(f"no JSON: {error}"[:200], where="body", next_step="see the endpoint's log") from error


class Endpoint(Protocol):
    """What is asked."""

    @property
    def name(self) -> str:
        """Its URL."""

    @property
    def secure(self) -> bool:
        """Whether nobody on the way can read or change what it answers: TLS, or the same machine."""

    def get(self, path: str, credentials: str = "own") -> Response:
        """``credentials``: ``own``, ``none``, ``wrong``. Raises EndpointAway."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How an endpoint is asked: roots to believe (empty: the system's), a bearer token, a client certificate."""

    ca: Path | None = None
    token: str = field(default="", repr=False)
    certificate: Path | None = None
    key: Path | None = None


class HttpEndpoint:
    """``url``: ``https://host:port``, or ``http://`` on the loopback interface. Raises LocalFault for another."""

    def __init__(self, url: str, credentials: Credentials = Credentials(), timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise LocalFault("no endpoint", where=url[:200], next_step="write https://host:port")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        if parts.scheme == "http":
            require_loopback(f"{host}:{parts.port or 80}")
        self.name, self.secure = f"{parts.scheme}://{host}:{parts.port or 443}", True
        self.address = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = parts.scheme == "https"
        self._credentials, self._timeout_s = credentials, timeout_s
        self._kept: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Ends the connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def get(self, path: str, credentials: str = "own") -> Response:
        """One request; a connection that was idle too long is opened once more."""
        if credentials != "own":
            return self._asked(self._open(shown=False), path, {} if credentials == "none" else _bearer("wrong" * 8))
        fresh = self._kept is None
        try:
            return self._own(path)
        except EndpointAway:
            self.close()
            if fresh:
                raise
            return self._own(path)

    def _own(self, path: str) -> Response:
        self._kept = self._kept or self._open(shown=True)
        return self._asked(self._kept, path, _bearer(self._credentials.token) if self._credentials.token else {})

    def _open(self, *, shown: bool) -> http.client.HTTPConnection:
        host, port = self.address
        if not self._tls:
            return http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        own = self._credentials
        try:
            context = ssl.create_default_context(cafile=str(own.ca) if own.ca else None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if shown and own.certificate is not None:
                context.load_cert_chain(own.certificate, own.key)
        except (OSError, ssl.SSLError) as error:
            raise LocalFault(f"cannot be read: {error}", where="credentials", next_step="name PEM files") from error
        return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)

    def _asked(self, connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> Response:
        try:
            connection.request("GET", path, headers={"Accept": "application/json", **headers})
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES + 1)
            if len(body) > MAX_ANSWER_BYTES:
                raise EndpointAway("more than an answer may have", where=f"{self.name}{path}"[:300])
            return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            reason = str(error) or type(error).__name__
            raise EndpointAway(
                f"no answer: {reason}"[:300],
                where=f"{self.name}{path}"[:300],
                next_step="ask the chain's operator whether it runs, and compare certificates with --ca",
            ) from error
        finally:
            if connection is not self._kept:
                connection.close()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the functions of one network are (docs/spec/node-interface.md §5)."""

    network_id: str

    @property
    def networks(self) -> str:
        """The list."""
        return "/networks"

    def of(self, name: str) -> str:
        """``options`` or ``status``."""
        return f"/networks/{quote(self.network_id, safe='')}/{name}"

    def block(self, height: int) -> str:
        """A block."""
        return f"{self.of('blocks')}/{height}"

    def state(self, height: int) -> str:
        """Its consensus state."""
        return f"{self.block(height)}/state"

    def tx(self, height: int, tx_id: str) -> str:
        """A transaction of it."""
        return f"{self.block(height)}/transactions/{quote(tx_id, safe='')}"

    def ids(self, height: int) -> str:
        """Its data objects."""
        return f"{self.block(height)}/objects"

    def object(self, height: int, object_id: str) -> str:
        """What it has of one."""
        return f"{self.ids(height)}/{quote(object_id, safe='')}"


def snapshot_path(object_id: str, version: int | str) -> str:
    """A snapshot's (§4.1 of the standard)."""
    return f"/objects/{quote(object_id, safe='')}/versions/{version}"


@dataclass(frozen=True, slots=True)
class Plain:
    """A URL in plaintext that leads to another machine: it is never asked, no credentials leave."""

    name: str
    secure: bool = False

    @classmethod
    def of(cls, url: str) -> Plain | None:
        """None for a URL that may be asked, or that is none."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            return None
        try:
            require_loopback(f"[{parts.hostname}]:80" if ":" in parts.hostname else f"{parts.hostname}:80")
        except LocalFault:
            return cls(url)
        return None

    def get(self, path: str, credentials: str = "own") -> Response:
        """Raises EndpointAway."""
        raise EndpointAway("not asked: plaintext", where=self.name, next_step="offer HTTPS")


def read_token(path: Path) -> str:
    """A bearer token in a file of its own, mode 0600. Raises LocalFault."""
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise LocalFault(f"cannot be read: {error}", where=str(path), next_step="name the token's file") from error
    if mode & 0o077:
        raise LocalFault("others can read the token's file", where=str(path), next_step=f"chmod 600 {path}")
    if not text or not text.isprintable() or " " in text:
        raise LocalFault("no token", where=str(path), next_step="one line, as it was given to you")
    return text
