"""The bytes of anchored snapshots in a market's object store, compared with their anchors (docs/spec/exporter.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from chain_core.crypto.hashing import sm3
from crosschain.looking.objects import AnchoredObject
from supervisory_chain.looking.config import StoreSection

OK, DIFFERS, UNREACHABLE, ABSENT = "ok", "differs", "unreachable", "absent"
MAX_BYTES = 16_777_216
_TIMEOUT, _RETRY_S = "10s", 10


async def stored_versions(
    section: StoreSection, directory: Path, found: AnchoredObject
) -> Mapping[int, tuple[str, bytes]]:
    """Of each version: what the store's bytes are, compared with the anchor, and the bytes where they are the anchored
    ones. A store that does not answer says nothing about the object.
    """
    if found.object_id in (".", ".."):
        return dict.fromkeys(range(len(found.versions)), (ABSENT, b""))
    try:
        store = _open(section, directory)
    except (BaseError, OSError):
        return dict.fromkeys(range(len(found.versions)), (UNREACHABLE, b""))
    return {
        number: await _version(store, f"snapshots/{found.object_id}/{number}", anchor.hash)
        for number, anchor in enumerate(found.versions)
    }


def _open(section: StoreSection, directory: Path) -> LocalStore | S3Store:
    if section.directory:
        return LocalStore(directory / section.directory)
    options = {"endpoint": section.endpoint} if section.endpoint else {}
    return S3Store(
        section.bucket,
        region=section.region or "us-east-1",
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=_RETRY_S)},
        client_options={"allow_http": section.endpoint.startswith("http://"), "timeout": _TIMEOUT},
        **options,  # type: ignore[arg-type]
    )


async def _version(store: LocalStore | S3Store, path: str, anchored: bytes) -> tuple[str, bytes]:
    try:
        answer = await obstore.get_async(store, path)
        if answer.meta["size"] > MAX_BYTES:
            return DIFFERS, b""
        raw = bytes(await answer.bytes_async())
    except (NotFoundError, FileNotFoundError):
        return ABSENT, b""
    except (BaseError, OSError):
        return UNREACHABLE, b""
    return (OK, raw) if sm3(raw) == anchored else (DIFFERS, b"")
