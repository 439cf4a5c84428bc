"""What an authority has issued and revoked: one JSON document, replaced whole (docs/spec/certificates.md §8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chain_core.crypto.x509.certificate import Certificate
from chain_core.crypto.x509.crl import REASONS
from chain_core.types.errors import LocalFault

FORMAT = "dualchain ca 1"
_DAMAGED = "restore index.json from backup: without it nothing can be revoked"


class IndexRefused(LocalFault):
    """The index of an authority is damaged, or does not know what is asked for."""

    code = "CA_INDEX_REFUSED"


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate. ``revoked_ms`` 0: it is not revoked; ``fingerprint`` in hexadecimal."""

    serial: int
    kind: str
    subject: str
    entity: str
    uris: tuple[str, ...]
    not_before_ms: int
    not_after_ms: int
    fingerprint: str
    revoked_ms: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """Every certificate by serial, and the number of the last revocation list."""

    entries: Mapping[int, Entry]
    crl_number: int = 0

    def with_entry(self, entry: Entry) -> Index:
        """A new certificate. Raises IndexRefused for a serial that was given before."""
        if entry.serial in self.entries:
            raise IndexRefused(f"serial {entry.serial:x} was given before", next_step="issue it again")
        return replace(self, entries={**self.entries, entry.serial: entry})

    def revoked(self, serial: int, at_ms: int, reason: str) -> Index:
        """Raises IndexRefused: a serial that was never given, or revoked before; no such reason."""
        entry = self.entries.get(serial)
        if entry is None:
            raise IndexRefused(f"serial {serial:x} is not in this authority's index", next_step="see dualchain ca list")
        if entry.revoked_ms:
            raise IndexRefused(f"serial {serial:x} is revoked already ({entry.reason})", next_step="nothing is to do")
        if reason not in REASONS:
            raise IndexRefused(f"{reason!r} is no reason", next_step=f"use one of {', '.join(REASONS)}")
        return replace(self, entries={**self.entries, serial: replace(entry, revoked_ms=at_ms, reason=reason)})

    def revocations(self) -> dict[int, tuple[int, str]]:
        """What a revocation list says: serial -> (time in ms, reason). Expired ones stay on it: a list only grows."""
        return {one.serial: (one.revoked_ms, one.reason) for one in self.entries.values() if one.revoked_ms}


def entry_of(certificate: Certificate, kind: str) -> Entry:
    """The row of a certificate."""
    return Entry(
        certificate.serial,
        kind,
        certificate.name.common_name,
        certificate.name.entity,
        certificate.extensions.uris,
        certificate.not_before_ms,
        certificate.not_after_ms,
        certificate.fingerprint.hex(),
    )


def encode_index(index: Index) -> str:
    """JSON, one certificate a line, so that a difference of two versions reads well."""
    rows = [json.dumps(_row(one), ensure_ascii=False) for one in index.entries.values()]
    head = f'{{"format": "{FORMAT}", "crl_number": {index.crl_number}, "certificates": ['
    return head + ("\n " + ",\n ".join(rows) + "\n" if rows else "") + "]}\n"


def _row(one: Entry) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in Entry.__slots__}
    return row | {"serial": f"{one.serial:x}", "uris": list(one.uris)}


def decode_index(text: str, where: str) -> Index:
    """Raises IndexRefused."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}")
        entries = [_entry(row) for row in document["certificates"]]
        number = document["crl_number"]
        if type(number) is not int or number < 0 or len({one.serial for one in entries}) != len(entries):
            raise ValueError("a doubled serial, or no number")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexRefused(f"damaged: {error}", where=where, next_step=_DAMAGED) from error
    return Index({one.serial: one for one in entries}, number)


def _entry(row: dict[str, Any]) -> Entry:
    kinds = {"not_before_ms": int, "not_after_ms": int, "revoked_ms": int, "uris": list}
    if row.keys() != set(Entry.__slots__):
        raise ValueError("a row with other fields")
    for name, value in row.items():
        if type(value) is not kinds.get(name, str):
            raise ValueError(f"{name} {value!r}")
    return Entry(**row | {"serial": int(row["serial"], 16), "uris": tuple(row["uris"])})
