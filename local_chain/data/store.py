"""The object store of private data: a folder, or an S3-compatible bucket, by ``obstore`` (docs/spec/data-tiers.md §6).

It is trusted with availability only: names are random, contents sealed.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from contracts.data.records import MAX_CLASS, SEALED_OVERHEAD
from local_chain.data.durable import sync
from local_chain.data.errors import NotReleased, StoreFault

NAME_SIZE = 16
_MAX_OBJECT_BYTES = (1 << MAX_CLASS) + SEALED_OVERHEAD
_PREFIX, _SNAPSHOTS = "items", "snapshots"
_TIMEOUT, _RETRIES, _RETRY_S = "20s", 3, 30


class ObjectStore:
    """Sealed items by random name. All methods raise StoreFault."""

    def __init__(self, store: LocalStore | S3Store, place: str, directory: Path | None = None) -> None:
        self._store = store
        self._directory = directory
        self.place = place

    @classmethod
    def folder(cls, directory: Path) -> ObjectStore:
        """A folder, made when it is missing."""
        try:
            return cls(LocalStore(directory, mkdir=True), str(directory), directory)
        except (BaseError, OSError) as error:
            raise StoreFault(_reason(error), where=str(directory), next_step="check the folder") from error

    @classmethod
    def bucket(cls, bucket: str, endpoint: str = "", region: str = "") -> ObjectStore:
        """An S3-compatible bucket; credentials come from the environment (AWS_ACCESS_KEY_ID ...).

        A plain-text ``endpoint`` (http://) is accepted: what travels is ciphertext under random names.
        """
        options = {"endpoint": endpoint} if endpoint else {}
        try:
            store = S3Store(
                bucket,
                region=region or "us-east-1",
                retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)},
                client_options={"allow_http": endpoint.startswith("http://"), "timeout": _TIMEOUT},
                **options,  # type: ignore[arg-type]
            )
        except BaseError as error:
            raise StoreFault(_reason(error), where=bucket, next_step="check [store]") from error
        return cls(store, f"s3://{bucket}")

    async def put(self, name: bytes, sealed: bytes) -> None:
        """Stores an item; names are drawn at random, so nothing is ever replaced."""
        try:
            await obstore.put_async(self._store, _path(name), sealed)
            if self._directory is not None:  # a bucket answers when it is durable, a folder does not
                sync(self._directory / _path(name))
                sync(self._directory / _PREFIX)
        except (BaseError, OSError) as error:
            raise self._fault(error) from error

    async def get(self, name: bytes) -> bytes:
        """An item. Raises NotReleased (NOT_IN_STORE)."""
        try:
            found = await obstore.get_async(self._store, _path(name))
            if found.meta["size"] > _MAX_OBJECT_BYTES:
                raise StoreFault(f"{found.meta['size']} bytes are no item", where=self.place)
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError) as error:
            raise NotReleased(
                "the store does not have the item",
                where=name.hex(),
                next_step="restore the store from its backup",
                code="NOT_IN_STORE",
            ) from error
        except (BaseError, OSError) as error:
            raise self._fault(error) from error

    async def put_snapshot(self, name: str, raw: bytes) -> None:
        """Stores a snapshot under ``<object_id>/<version>``; the same bytes again write nothing. A bucket with versions
        keeps what an overwrite replaces, a folder does not.
        """
        path = f"{_SNAPSHOTS}/{name}"
        try:
            if await self._read(path) == raw:
                return
            await obstore.put_async(self._store, path, raw)
            if self._directory is not None:
                for place in (path, *map(str, Path(path).parents)):
                    sync(self._directory / place)
        except (BaseError, OSError) as error:
            raise self._fault(error) from error

    async def get_snapshot(self, name: str) -> bytes | None:
        """A snapshot's stored bytes; None when it is not there."""
        try:
            return await self._read(f"{_SNAPSHOTS}/{name}")
        except (BaseError, OSError) as error:
            raise self._fault(error) from error

    async def _read(self, path: str) -> bytes | None:
        try:
            return bytes(await (await obstore.get_async(self._store, path)).bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None

    async def remove(self, name: bytes) -> None:
        """Removes an item; old versions of a versioned bucket stay, sealed. Nothing happens when it is gone."""
        try:
            await obstore.delete_async(self._store, _path(name))
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> StoreFault:
        return StoreFault(_reason(error), where=self.place, next_step="check the store, then repeat the command")


def _path(name: bytes) -> str:
    return f"{_PREFIX}/{name.hex()}"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
