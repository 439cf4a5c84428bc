"""The revocation lists of a TLS client port: ``tls.crl``, read again when it changes (docs/spec/sm-session.md §7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.files import CertificateFileRefused, read_pem
from chain_core.crypto.x509.ordinary import OrdinaryCertificate
from chain_core.crypto.x509.ordinary_crl import OrdinaryLists, parse_ordinary_crl
from chain_core.network.refusals import PermissionDenied
from chain_core.node.revocation import HOUR_MS
from chain_core.node.security import REPEAT_MS, Tell

TLS_LISTS: Final = "TLS_LISTS"
"""The alarm."""


class TlsRevocation:
    """What was read last stays in force while the file is gone or damaged; ``missing`` says what is wrong with it.

    A file that was never read refuses every client: CRL_MISSING.
    """

    def __init__(
        self, path: Path, authorities: Sequence[OrdinaryCertificate], grace_hours: int, now_ms: Callable[[], int]
    ) -> None:
        self._path, self._authorities, self._now_ms = path, tuple(authorities), now_ms
        self._stamp: tuple[int, int, int] | None = None
        self._lists = OrdinaryLists((), grace_ms=grace_hours * HOUR_MS)
        self._grace_ms = grace_hours * HOUR_MS
        self.missing = ""
        self._told: tuple[str, int] = ("", 0)
        self.read()

    def read(self) -> None:
        """Read the lists again when the file changed. May take long: in a thread of its own it disturbs nobody."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            ders = read_pem(self._path, pem.REVOCATION_LIST)
            lists = OrdinaryLists(
                [parse_ordinary_crl(der, self._authorities) for der in ders], grace_ms=self._grace_ms
            ).not_older_than(self._lists)
        except OSError as error:
            self._stamp, self.missing = None, f"{self._path} cannot be read: {error.strerror}"
            return
        except (CertificateFileRefused, CertificateRefused) as refusal:
            self._stamp, self.missing = None, f"{self._path}: {refusal.what}"
            return
        self._stamp, self._lists, self.missing = stamp, lists, ""

    def tick(self, tell: Tell) -> None:
        """Tell what is wrong with the file, once and again each hour."""
        now, (what, at) = self._now_ms(), self._told
        if self.missing and (self.missing != what or now - at >= REPEAT_MS):
            self._told = (self.missing, now)
            tell(TLS_LISTS, {"what": self.missing, "next": "restore the file; the lists read last stay in force"})
        elif not self.missing:
            self._told = ("", 0)

    def check(self, certificate: OrdinaryCertificate) -> None:
        """Raises PermissionDenied, which names REVOKED, CRL_STALE or CRL_MISSING."""
        try:
            self._lists.check(certificate, self._now_ms())
        except CertificateRefused as refusal:
            raise PermissionDenied(
                f"the client's certificate does not stand ({refusal.reason}): {refusal.what}",
                where=certificate.name,
                next_step="ask the node's operator: a new certificate, or a newer list in tls.crl",
            ) from refusal
