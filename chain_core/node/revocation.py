"""A file of revocation lists, read again when it changes (docs/spec/certificates.md §6)."""

from __future__ import annotations

from pathlib import Path

from chain_core.crypto.x509.crl import Crl, Crls
from chain_core.crypto.x509.files import CertificateFileRefused, load_crls

HOUR_MS = 3_600_000


class RevocationLists:
    """``path`` None: nothing is checked. ``current`` is what judgements take; ``missing`` says what is wrong."""

    def __init__(self, path: Path | None, grace_hours: int) -> None:
        self._path, self._grace_ms = path, grace_hours * HOUR_MS
        self._stamp: tuple[int, int, int] | None = None
        self.current: Crls | None = None
        self.missing = ""
        self.read()

    @property
    def held(self) -> tuple[Crl, ...]:
        """The lists in force."""
        return tuple(self.current.lists) if self.current is not None else ()

    def read(self) -> None:
        """Read the lists again when the file changed; what was read stays when it is gone or damaged. May take long:
        in a thread of its own it disturbs nobody."""
        if self._path is None:
            return
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            lists = load_crls(self._path)
        except OSError as error:
            self._failed(f"{self._path} cannot be read: {error.strerror}")
            return
        except CertificateFileRefused as refusal:
            self._failed(f"{self._path}: {refusal.what}")
            return
        self._stamp, self.missing = stamp, ""
        self.current = Crls(self._not_older(lists), grace_ms=self._grace_ms)

    def _failed(self, why: str) -> None:
        self._stamp, self.missing = None, why
        self.current = self.current or Crls(())  # configured and never read: every client is CRL_MISSING

    def _not_older(self, lists: list[Crl]) -> list[Crl]:
        """An older list in the file's place takes nothing back while this process runs."""
        newest = {_of(one): one for one in sorted(lists, key=age)}
        for one in self.held:
            if (new := newest.get(_of(one))) is not None and age(new) < age(one):
                newest[_of(one)] = one
        return list(newest.values())


def _of(one: Crl) -> tuple[str, bytes | None]:
    """Whose list it is; an authority that changed its key has two."""
    return one.issuer.rfc4514_string(), one.authority_key_id


def age(one: Crl) -> tuple[int, int]:
    """Sorts lists of one authority, oldest first."""
    return one.number, one.this_update_ms
