"""Small files that are there entirely or not at all, and that are overwritten before they go."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

UNFINISHED = ".new-"
"""How the names of files begin that are not written to their end."""


def write_file(path: Path, data: bytes) -> None:
    """Written beside, synced, renamed, mode 0600; the folder synced. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync(path.parent)


def destroy_file(path: Path) -> None:
    """Overwrites with random bytes, syncs, removes. As good as the disk: docs/spec/data-tiers.md §7. Raises OSError."""
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync(path.parent)


def sync(path: Path) -> None:
    """Syncs a file or folder. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
