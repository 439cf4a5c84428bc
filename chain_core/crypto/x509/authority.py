"""A certificate authority in a directory: its key, its certificate, and a memory of what it issued.

``authority.key``, ``authority.pem``, ``chain.pem`` (what holders send behind their own: this certificate and those
above it, without the root), ``anchors.pem`` (the root), ``index.json``, ``crl.pem``. A certificate is in the index,
synced, before anybody gets it: whatever was handed out can be revoked.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chain_core.crypto.keys import load_private_key, write_private_key
from chain_core.crypto.passphrase import Passphrase, Unlock
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509 import files, pem
from chain_core.crypto.x509.certificate import Certificate, parse_certificate
from chain_core.crypto.x509.crl import issue_crl
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.files import CertificateFileRefused, load_certificates, write_new
from chain_core.crypto.x509.index import Entry, Index, decode_index, encode_index, entry_of
from chain_core.crypto.x509.issue import Kind, Order, issue
from chain_core.crypto.x509.names import Subject

KEY, CERTIFICATE, CHAIN, ANCHORS = "authority.key", "authority.pem", "chain.pem", "anchors.pem"
INDEX, CRL, LOCK = "index.json", "crl.pem", "lock"
DAY_MS = 86_400_000
BACKDATED_MS = 300_000
"""Certificates and lists begin five minutes ago: the clocks of those who check them differ."""
_SERIAL_BITS = 128
_INDEX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What a certificate is asked to say; the authority adds serial, times and its name."""

    kind: Kind
    subject: Subject
    public_key: bytes
    days: int
    server: bool = False
    uris: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    path_length: int | None = None


class Authority:
    """One opened authority; several processes may use a directory, one at a time."""

    def __init__(self, directory: Path, private_key: bytes) -> None:
        """Raises CertificateFileRefused: no authority there, or its key is another one's."""
        self.directory = directory
        self._key = private_key
        self.certificate = load_certificates(directory / CERTIFICATE)[0]
        if signing_provider().sm2_public_key(private_key) != self.certificate.public_key:
            raise CertificateFileRefused(
                "key and certificate are of different authorities", where=str(directory), next_step="restore both"
            )

    def issue(self, wish: Wish, now_ms: int) -> Certificate:
        """A certificate, in the index. It never outlives the authority's own.

        Raises CertificateRefused, CertificateFileRefused, IndexRefused.
        """
        return self.issue_all([wish], now_ms)[0]

    def issue_all(self, wishes: Sequence[Wish], now_ms: int) -> list[Certificate]:
        """The same for many, with one write of the index."""
        if self.certificate.not_after_ms <= now_ms:
            raise CertificateRefused(Reason.EXPIRED, "the authority itself has ended", where=self.certificate.label)
        with self._locked():
            index = self.index()
            made = []
            for wish in wishes:
                der = issue(self._order(wish, now_ms), self.certificate, self._key)
                made.append(parse_certificate(der))
                index = index.with_entry(entry_of(made[-1], wish.kind))
            self._save(index)
        return made

    def _order(self, wish: Wish, now_ms: int) -> Order:
        if wish.kind is Kind.INTERMEDIATE and self.certificate.extensions.path_length == 0:
            raise CertificateRefused(
                Reason.PATH_TOO_LONG, "no authority may stand below this one", where=self.certificate.label
            )
        return Order(
            wish.kind,
            wish.subject,
            wish.public_key,
            new_serial(),
            max(now_ms - BACKDATED_MS, self.certificate.not_before_ms),
            min(now_ms + wish.days * DAY_MS, self.certificate.not_after_ms),
            wish.server,
            wish.uris,
            wish.addresses,
            wish.path_length,
        )

    def revoke(self, serial: int, reason: str, now_ms: int) -> Entry:
        """Mark it; the next list says so. Raises IndexRefused."""
        with self._locked():
            index = self.index().revoked(serial, now_ms, reason)
            self._save(index)
        return index.entries[serial]

    def write_crl(self, days: float, now_ms: int) -> Path:
        """A new list of everything revoked, in ``crl.pem``; its number is one more."""
        with self._locked():
            index = self.index()
            index = replace(index, crl_number=index.crl_number + 1)
            der = issue_crl(
                self.certificate,
                self._key,
                index.revocations(),
                number=index.crl_number,
                this_update_ms=now_ms - BACKDATED_MS,
                next_update_ms=now_ms + int(days * DAY_MS),
            )
            # The number first: two different lists of one number must never be about.
            self._save(index)
            files.replace(self.directory / CRL, pem.to_pem(pem.REVOCATION_LIST, der))
        return self.directory / CRL

    def chain_pem(self, leaf: Certificate) -> str:
        """What the holder of ``leaf`` shows: it, and the authorities above it without the root."""
        chain = self.directory / CHAIN
        above = chain.read_text("ascii") if chain.exists() else ""
        return pem.to_pem(pem.CERTIFICATE, leaf.der) + above

    def anchors_pem(self) -> str:
        """The root, for whoever is to trust what this authority issues."""
        return (self.directory / ANCHORS).read_text("ascii")

    def index(self) -> Index:
        """What was issued. Raises IndexRefused, CertificateFileRefused."""
        return read_index(self.directory)

    def _save(self, index: Index) -> None:
        files.replace(self.directory / INDEX, encode_index(index), 0o600)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def new_serial() -> int:
    """128 random bits behind a set one: never zero, never short, not to be guessed (RFC 5280 section 4.1.2.2)."""
    return (1 << _SERIAL_BITS) | secrets.randbits(_SERIAL_BITS)


def create_root(
    directory: Path,
    subject: Subject,
    *,
    days: int,
    now_ms: int,
    path_length: int | None = None,
    passphrase: Passphrase | None = None,
) -> Authority:
    """A new root in a new directory. Raises CertificateFileRefused when something stands there."""
    _new(directory)
    private = generate_private_key()
    order = Order(
        Kind.ROOT,
        subject,
        signing_provider().sm2_public_key(private),
        new_serial(),
        now_ms - BACKDATED_MS,
        now_ms + days * DAY_MS,
        path_length=path_length,
    )
    der = issue(order, None, private)
    return _lay_out(directory, der, private, chain="", anchors=pem.to_pem(pem.CERTIFICATE, der), passphrase=passphrase)


def create_intermediate(
    parent: Authority,
    directory: Path,
    subject: Subject,
    *,
    days: int,
    now_ms: int,
    path_length: int = 0,
    passphrase: Passphrase | None = None,
) -> Authority:
    """A new authority below ``parent`` in a new directory."""
    _new(directory)
    private = generate_private_key()
    public = signing_provider().sm2_public_key(private)
    made = parent.issue(Wish(Kind.INTERMEDIATE, subject, public, days, path_length=path_length), now_ms)
    chain, anchors = parent.chain_pem(made), parent.anchors_pem()
    return _lay_out(directory, made.der, private, chain=chain, anchors=anchors, passphrase=passphrase)


def open_authority(directory: Path, unlock: Unlock | None = None) -> Authority:
    """Raises KeyFileRefused, PassphraseRefused, CertificateFileRefused."""
    if not (directory / CERTIFICATE).exists():
        raise CertificateFileRefused(
            "no certificate authority is here", where=str(directory), next_step="make one with: dualchain ca init"
        )
    return Authority(directory, load_private_key(directory / KEY, unlock))


def read_index(directory: Path) -> Index:
    """The index alone: no key is needed to look. Raises IndexRefused, CertificateFileRefused."""
    path = directory / INDEX
    try:
        with path.open(encoding="utf-8") as file:
            return decode_index(file.read(_INDEX_BYTES), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise CertificateFileRefused(
            f"cannot be read: {error}", where=str(path), next_step="name an authority's directory"
        ) from error


def _new(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise CertificateFileRefused(
            "it exists already", where=str(directory), next_step="name a new directory; nothing was changed"
        ) from error
    except OSError as error:
        raise CertificateFileRefused(
            f"no directory can be made there: {error.strerror}", where=str(directory), next_step="name another"
        ) from error


def _lay_out(
    directory: Path, der: bytes, private: bytes, *, chain: str, anchors: str, passphrase: Passphrase | None
) -> Authority:
    write_private_key(directory / KEY, private, passphrase)
    if chain:
        write_new(directory / CHAIN, chain)
    write_new(directory / ANCHORS, anchors)
    write_new(directory / INDEX, encode_index(Index({})), 0o600)
    write_new(directory / CERTIFICATE, pem.to_pem(pem.CERTIFICATE, der))
    return Authority(directory, private)
