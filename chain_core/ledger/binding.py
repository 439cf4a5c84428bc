"""What a database belongs to: format version, chain, ledger, bucket counts; written once, checked at opening."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from chain_core.ledger import keys
from chain_core.ledger.database import Database
from chain_core.ledger.errors import OtherVersion, WrongGenesis

_VERSION = Struct(">I")
_BINDING = Struct(">32sIII")


@dataclass(frozen=True, slots=True)
class Binding:
    """Fixed for a database's life."""

    genesis_hash: bytes
    ledger: int
    state_buckets: int
    seen_buckets: int


def bind(database: Database, wanted: Binding) -> None:
    """Marks an empty database as ``wanted``, or checks that it is. Raises OtherVersion, WrongGenesis."""
    if min(wanted.state_buckets, wanted.seen_buckets) < 1 or len(wanted.genesis_hash) != 32:
        raise ValueError("a ledger needs a 32-byte genesis hash and at least one bucket in each tree")
    where = str(database.path)
    mark = database.get(keys.META_FORMAT)
    written = _BINDING.pack(wanted.genesis_hash, wanted.ledger, wanted.state_buckets, wanted.seen_buckets)
    if mark is None and not database.scan(b"", None, 1):
        batch = database.batch()
        batch.put(keys.META_FORMAT, keys.FORMAT_NAME + _VERSION.pack(keys.STORE_VERSION))
        batch.put(keys.META_BINDING, written)
        database.write(batch)
        return
    if mark is None or not mark.startswith(keys.FORMAT_NAME):
        raise OtherVersion(
            f"a LevelDB that no ledger store wrote; this build writes ledger format {keys.STORE_VERSION}",
            where=where,
            next_step="name the node's own directory, or an empty one",
        )
    version = int.from_bytes(mark[len(keys.FORMAT_NAME) :], "big")
    if version != keys.STORE_VERSION:
        raise OtherVersion(
            f"the directory is in ledger format {version}, this build reads format {keys.STORE_VERSION}",
            where=where,
            next_step="run the build that wrote it, or move it away and let the node resync from its peers",
        )
    found = database.get(keys.META_BINDING)
    if found != written:
        raise WrongGenesis(
            f"the directory holds {_described(found)}, not {_described(written)}",
            where=where,
            next_step="name the directory of this chain's ledger, or an empty one",
        )


def _described(binding: bytes | None) -> str:
    if binding is None or len(binding) != _BINDING.size:
        return "no readable mark of its chain"
    genesis_hash, ledger, state_buckets, seen_buckets = _BINDING.unpack(binding)
    return f"genesis {genesis_hash.hex()} ledger {ledger} ({state_buckets} state and {seen_buckets} seen buckets)"
