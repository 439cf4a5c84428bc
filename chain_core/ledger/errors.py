"""Typed refusals of the ledger store: all are this node's own (LocalFault) and say what the operator does next."""

from __future__ import annotations

from typing import NoReturn

from chain_core.types.errors import LocalFault

CORRUPT_NEXT_STEP = "check the disk, move the directory away and let the node resync from its peers"


class LedgerFault(LocalFault):
    """Root of everything the ledger store raises on purpose; ``where`` is its directory, a height or a key."""

    code = "LEDGER_FAULT"


class OtherVersion(LedgerFault):
    """The directory was written in another format version, or is no ledger at all."""

    code = "OTHER_VERSION"


class WrongGenesis(LedgerFault):
    """The directory belongs to another chain, another ledger of it, or another bucket count."""

    code = "WRONG_GENESIS"


class StoreLocked(LedgerFault):
    """Another process (or another store in this one) has the directory open."""

    code = "STORE_LOCKED"


class StoreCorrupt(LedgerFault):
    """What is on disk is not what this store wrote."""

    code = "STORE_CORRUPT"


class StoreFailed(LedgerFault):
    """The disk refused a read or a write; after a failed write the store takes no more until it is reopened."""

    code = "STORE_FAILED"


class DiskFull(StoreFailed):
    """A write found no room; nothing of it is in the store's memory. Free space, then restart."""

    code = "DISK_FULL"


class BlockRefused(LedgerFault):
    """A genesis or block record that does not continue this ledger, or does not match its staged state."""

    code = "BLOCK_REFUSED"


def corrupt(what: str, where: object) -> NoReturn:
    """Refuse: ``what`` is wrong with the contents of the store at ``where``."""
    raise StoreCorrupt(
        what,
        where=str(where),
        next_step=CORRUPT_NEXT_STEP,
    )
