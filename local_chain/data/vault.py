"""The custodian's vault: key and salt of each private item, made unreadable for ever by destroying an epoch key
(docs/spec/data-tiers.md §7).

Nothing is cached between calls: what another process destroyed must not live on here.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from chain_core.codec import signed
from chain_core.codec.values import decode_value, encode_value
from chain_core.codec.wire import U64
from chain_core.crypto.errors import CryptoError
from chain_core.crypto.sm2_encryption import sm2_decrypt, sm2_encrypt
from chain_core.crypto.sm4_gcm import KEY_SIZE
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from local_chain.data.durable import UNFINISHED, destroy_file, sync, write_file
from local_chain.data.errors import VaultFault
from local_chain.data.items import seal, unseal
from service_registry.config import KeyPair

TAG = signed.tag("dualchain/vault/v1")
MARKER = "vault-keys"
MAX_KEY_DIRECTORIES = 3
_BASE = re.compile(r"base-([0-9]{1,18})\.vault")
_ITEM = re.compile(r"item-([0-9]{1,18})-([0-9a-f]{32})\.vault")
_KEY = re.compile(r"epoch-([0-9]{1,18})\.key")


@dataclass(frozen=True, slots=True)
class Entry:
    """One item's secrets, and where its sealed bytes are. ``made_ms``: when it was put here.

    Without key and salt it is the mark of a destruction that its owner has not been told of yet.
    """

    identity: bytes
    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    store: bytes
    made_ms: int

    @property
    def destroyed(self) -> bool:
        """Whether key and salt are gone."""
        return not self.key

    def row(self) -> dict[str, Value]:
        """As a canonical map."""
        return {
            "object": self.identity,
            "key": self.key,
            "salt": self.salt,
            "store": self.store,
            "made_ms": self.made_ms,
        }


@dataclass(frozen=True, slots=True)
class _Epoch:
    number: int
    key: bytes = field(repr=False)

    @property
    def associated(self) -> bytes:
        return TAG + U64.pack(self.number)


class Vault:
    """One folder with its key folders; every method takes the folder's lock and raises VaultFault."""

    def __init__(self, directory: Path, key_directories: Sequence[Path], key: KeyPair) -> None:
        """``key`` is the vault's own, on no chain: it opens the files of the key folders."""
        self._directory = directory
        self._key_directories = tuple(key_directories)
        self._own = key

    @classmethod
    def create(cls, directory: Path, key_directories: Sequence[Path], key: KeyPair) -> Vault:
        """A new, empty vault: epoch 1. The key folders exist and are empty; the vault's own is made."""
        vault = cls(directory, key_directories, key)
        with _as_fault(directory):
            for folder in key_directories:
                if any(folder.iterdir()):
                    raise VaultFault("not empty", where=str(folder), next_step="name an empty key folder")
            directory.mkdir(mode=0o700)
            for folder in key_directories:
                write_file(folder / MARKER, b"key folder of a data vault: never back it up\n")
        with vault._locked():
            epoch = vault._new_epoch(1)
            vault._write_base(epoch, {})
        return vault

    # ---- entries

    def put(self, entry: Entry) -> None:
        """Keeps an entry, synced."""
        with self._locked():
            epoch = self._settled()
            if self._entry(epoch, entry.identity) is not None:
                raise VaultFault("it has this item already", where=entry.identity.hex())
            sealed = seal(epoch.key, encode_value(entry.row()), epoch.associated + entry.identity)
            write_file(self._item(epoch, entry.identity), sealed)

    def get(self, identity: bytes) -> Entry | None:
        """An entry; None when it was destroyed, or never here."""
        with self._locked():
            found = self._entry(self._settled(), identity)
        return None if found is None or found.destroyed else found

    def entries(self) -> dict[bytes, Entry]:
        """All entries, the marks of destroyed ones among them."""
        with self._locked():
            return self._entries(self._settled())

    def destroy(self, identities: Collection[bytes]) -> None:
        """Makes these entries unreadable here and in every backup of the vault's folder; a mark of each stays.

        Refused, before anything is changed, when a key folder is not there: the old key would survive in it.
        """
        with self._locked():
            epoch = self._settled()
            entries = self._entries(epoch)
            doomed = [one for one in entries.values() if one.identity in identities and not one.destroyed]
            if not doomed:
                return
            entries |= {one.identity: replace(one, key=b"", salt=b"") for one in doomed}
            for folder in self._key_directories:
                self._require_marker(folder)
            self._write_base(self._new_epoch(epoch.number + 1), entries)
            self._settled()

    def forget(self, identity: bytes) -> None:
        """Drops the mark of a destruction that is confirmed."""
        with self._locked():
            epoch = self._settled()
            entries = self._entries(epoch)
            if identity in entries and entries[identity].destroyed:
                del entries[identity]
                self._write_base(epoch, entries)

    # ---- epochs

    def _settled(self) -> _Epoch:
        """The epoch in force; what an interrupted destruction left is finished first."""
        bases = _numbered(self._directory, _BASE)
        if not bases:
            raise VaultFault("holds no vault", where=str(self._directory), next_step="dualchain local data vault")
        epoch = self._read_key(max(bases))
        self._open(self._directory / f"base-{epoch.number}.vault", epoch, b"")
        for folder in self._key_directories:
            if not (folder / MARKER).exists():
                continue
            for path in list(folder.iterdir()):
                found = _KEY.fullmatch(path.name)
                if path.name.startswith(UNFINISHED) or (found and int(found[1]) != epoch.number):
                    destroy_file(path)
        for pattern in (_BASE, _ITEM):
            for path in list(self._directory.iterdir()):
                found = pattern.fullmatch(path.name)
                if found and int(found[1]) != epoch.number:
                    path.unlink()
        sync(self._directory)
        return epoch

    def _new_epoch(self, number: int) -> _Epoch:
        """Draws the key and writes it to every key folder."""
        epoch = _Epoch(number, secrets.token_bytes(KEY_SIZE))
        for folder in self._key_directories:
            self._require_marker(folder)
            write_file(folder / f"epoch-{number}.key", sm2_encrypt(self._own.public, epoch.key + U64.pack(number)))
        return epoch

    def _read_key(self, number: int) -> _Epoch:
        for folder in self._key_directories:
            with suppress(FileNotFoundError):
                wrapped = (folder / f"epoch-{number}.key").read_bytes()
                try:
                    plain = sm2_decrypt(self._own.private, wrapped)
                except CryptoError as error:
                    raise VaultFault(
                        f"epoch key {number} does not open: {error.what}",
                        where=str(folder),
                        next_step="use the key that the vault was made with",
                    ) from error
                if plain[KEY_SIZE:] != U64.pack(number):
                    raise VaultFault(f"not the key of epoch {number}", where=str(folder))
                return _Epoch(number, plain[:KEY_SIZE])
        raise VaultFault(
            f"the key of epoch {number} is in no key folder",
            where=", ".join(map(str, self._key_directories)),
            next_step="mount the key folders; a backup from before a deletion never opens again",
        )

    @staticmethod
    def _require_marker(folder: Path) -> None:
        if not (folder / MARKER).exists():
            raise VaultFault(
                f"no key folder: {MARKER} is missing",
                where=str(folder),
                next_step="mount it: a key that is out of reach cannot be destroyed",
            )

    # ---- files

    def _item(self, epoch: _Epoch, identity: bytes) -> Path:
        return self._directory / f"item-{epoch.number}-{identity.hex()}.vault"

    def _entry(self, epoch: _Epoch, identity: bytes) -> Entry | None:
        """One entry, without opening the files of all others."""
        path = self._item(epoch, identity)
        if path.exists():
            return _entry(self._open(path, epoch, identity))
        return self._base(epoch).get(identity)

    def _base(self, epoch: _Epoch) -> dict[bytes, Entry]:
        rows = cast(Sequence[Value], self._open(self._directory / f"base-{epoch.number}.vault", epoch, b""))
        return {entry.identity: entry for entry in map(_entry, rows)}

    def _entries(self, epoch: _Epoch) -> dict[bytes, Entry]:
        found = self._base(epoch)
        for path in self._directory.iterdir():
            matched = _ITEM.fullmatch(path.name)
            if matched and int(matched[1]) == epoch.number:
                identity = bytes.fromhex(matched[2])
                found[identity] = _entry(self._open(path, epoch, identity))
        return found

    def _write_base(self, epoch: _Epoch, entries: Mapping[bytes, Entry]) -> None:
        rows: list[Value] = [entries[identity].row() for identity in sorted(entries)]
        sealed = seal(epoch.key, encode_value(rows), epoch.associated)
        write_file(self._directory / f"base-{epoch.number}.vault", sealed)

    def _open(self, path: Path, epoch: _Epoch, identity: bytes) -> Value:
        try:
            return decode_value(unseal(epoch.key, path.read_bytes(), epoch.associated + identity), "vault")
        except (CryptoError, MalformedBytes) as error:
            raise VaultFault(
                f"does not open: {error.what}", where=str(path), next_step="restore the vault folder from its backup"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _as_fault(self._directory):
            descriptor = os.open(self._directory, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


@contextmanager
def _as_fault(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VaultFault(
            f"{error.strerror or error}", where=str(error.filename or where), next_step="check the folder and its owner"
        ) from error


def _numbered(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    matches = [(pattern.fullmatch(path.name), path) for path in folder.iterdir()]
    return {int(found[1]): path for found, path in matches if found}


def _entry(value: Value) -> Entry:
    row: Mapping[str, Any] = cast(Mapping[str, Any], value)
    return Entry(row["object"], row["key"], row["salt"], row["store"], row["made_ms"])
