"""Slips (存证凭条): what whoever holds a document keeps beside it (docs/spec/agreements.md §1)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from chain_core.types.errors import MalformedBytes
from contracts.data.commitments import SALT_SIZE, commitment

Kind = Literal["deposit", "agreement"]
MAX_SLIP_BYTES = 16_000_000
MAX_DOCUMENT_BYTES = 1_000_000_000
_NEXT = "name the slip that was written beside the document"


@dataclass(frozen=True, slots=True)
class Slip:
    """``size`` is the document's, in bytes; ``more`` what a service answered."""

    genesis_hash: bytes
    kind: Kind
    id: bytes
    salt: bytes
    commitment: bytes
    size: int
    more: dict[str, Any] | None = None

    def fits(self, document: bytes) -> bool:
        """Whether this is the document."""
        return len(document) == self.size and commitment(self.salt, document) == self.commitment


def new_salt() -> bytes:
    """A fresh salt."""
    return os.urandom(SALT_SIZE)


def write_slip(path: Path, slip: Slip) -> None:
    """A new file, readable by its owner alone: with the salt a document can be recognised.

    Raises MalformedBytes for a file that is there.
    """
    row: dict[str, Any] = {
        "genesis_hash": slip.genesis_hash.hex(),
        "kind": slip.kind,
        "id": slip.id.hex(),
        "salt": slip.salt.hex(),
        "commitment": slip.commitment.hex(),
        "bytes": slip.size,
    }
    if slip.more is not None:
        row["answer"] = slip.more
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(row, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MalformedBytes(
            f"cannot be written: {error.strerror}", where=str(path), next_step="name a new file"
        ) from error


def require_new(path: Path) -> None:
    """Before anything is sent: MalformedBytes for a file that is there already."""
    if path.exists():
        raise MalformedBytes("the file is there already", where=str(path), next_step="name a new file")


def read_slip(path: Path) -> Slip:
    """Raises MalformedBytes."""
    try:
        if path.stat().st_size > MAX_SLIP_BYTES:
            raise MalformedBytes("too large for a slip", where=str(path), next_step=_NEXT)
        row = json.loads(path.read_text("utf-8"))
        found = Slip(
            bytes.fromhex(row["genesis_hash"]),
            row["kind"],
            bytes.fromhex(row["id"]),
            bytes.fromhex(row["salt"]),
            bytes.fromhex(row["commitment"]),
            row["bytes"],
            row.get("answer"),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedBytes(f"no slip: {error}", where=str(path), next_step=_NEXT) from error
    sizes = (len(found.genesis_hash), len(found.id), len(found.salt), len(found.commitment))
    if sizes != (32, 16, SALT_SIZE, 32) or found.kind not in get_args(Kind) or type(found.size) is not int:
        raise MalformedBytes("no slip: a field of another kind or size", where=str(path), next_step=_NEXT)
    return found


def read_document(path: Path) -> bytes:
    """Raises MalformedBytes."""
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise MalformedBytes(f"more than {MAX_DOCUMENT_BYTES} bytes", where=str(path), next_step="split it")
        return path.read_bytes()
    except OSError as error:
        raise MalformedBytes(f"cannot be read: {error.strerror}", where=str(path), next_step="name the file") from error


def require_document(slip: Slip, document: bytes) -> None:
    """Raises MalformedBytes unless the slip is of this document."""
    if not slip.fits(document):
        raise MalformedBytes(
            "document and slip do not belong together 文件与凭条不符",
            where="document",
            next_step="name the document as it was deposited, byte for byte",
        )
