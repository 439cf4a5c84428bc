"""Where a node keeps its ledgers, and how one is begun: ``ledger-0``, ``ledger-<k>`` of each sub-ledger beside it."""

from __future__ import annotations

from pathlib import Path

from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.roots import build_genesis_header
from chain_core.execution.sub_ledgers import Origin, SubLedger, origin_of
from chain_core.ledger.store import NO_HEIGHT, LedgerStore
from chain_core.node.assembly import Assembly
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis, Predecessor
from chain_core.types.ids import MAIN_LEDGER

LEDGER_DIRECTORY = "ledger-0"
RECORDING_DIRECTORY = "recording"


def recording_directory(data_dir: Path, ledger: int) -> Path:
    """Of the flight recorder of one ledger."""
    return data_dir / (RECORDING_DIRECTORY if ledger == MAIN_LEDGER else f"{RECORDING_DIRECTORY}-{ledger}")


def open_ledger(
    data_dir: Path, assembly: Assembly, genesis: Genesis, genesis_hash: bytes, origin: Origin | None = None
) -> LedgerStore:
    """A ledger of this node, its height 0 installed when it is new; a sub-ledger when it has an ``origin``.

    Raises the store's own refusals, InvalidGenesis, and LocalFault when the directory cannot be made.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalFault(
            f"the data directory cannot be made: {error.strerror}",
            where=str(data_dir),
            next_step="check node.data_dir, its owner and the space on its disk",
        ) from error
    buckets = genesis.parameters["state_buckets"]
    ledger = MAIN_LEDGER if origin is None else origin.sub_ledger.ledger
    store = LedgerStore.open(
        data_dir / f"ledger-{ledger}", genesis_hash=genesis_hash, ledger=ledger, state_buckets=buckets
    )
    try:
        if store.final_height == NO_HEIGHT:
            executor = assembly.of_ledger(ledger).executor()
            writes: dict[bytes, bytes | None] = {}
            if genesis.predecessor is not None and origin is None:
                _check_foundation(store, genesis.predecessor)
                writes.update(executor.succession_writes(genesis, store))
            else:
                writes.update(executor.genesis_writes(genesis, genesis_hash, origin))
            staged = store.stage(writes, {}, ())
            if genesis.predecessor is not None and origin is None:
                _check_root(genesis.predecessor, staged.state_root)
            header = build_genesis_header(genesis, genesis_hash, staged.state_root, staged.seen_root, origin)
            store.install_genesis(header, writes)
    except BaseException:
        store.close()
        raise
    return store


class NotBegun(LocalFault):
    """A successor's node whose ledger does not stand on its predecessor's state yet."""

    code = "NOT_BEGUN"


def _check_foundation(store: LedgerStore, predecessor: Predecessor) -> None:
    if store.foundation is None:
        raise NotBegun(
            "this chain is a successor, and the predecessor's state is not here",
            where=str(store.path),
            next_step="run `dualchain node begin` with the predecessor's snapshot, then start the node",
        )
    if store.foundation != predecessor.header:
        raise NotBegun(
            "this ledger holds the state of another header than the one the genesis document names",
            where=str(store.path),
            next_step="move the directory away and run `dualchain node begin` with the right snapshot",
        )


def _check_root(predecessor: Predecessor, state_root: bytes) -> None:
    if state_root != predecessor.state_root:
        raise InvalidGenesis(
            f"the state of height 0 has the root {state_root.hex()}, not the one that the document names",
            where="predecessor.state_root",
            next_step="make the document with `dualchain ... successor` of this release",
        )


def open_sub_ledger(
    data_dir: Path, assembly: Assembly, genesis: Genesis, genesis_hash: bytes, main: LedgerStore, sub_ledger: SubLedger
) -> LedgerStore:
    """One of those that the final state of ledger 0 (``main``) names. Raises as ``open_ledger``."""
    origin = origin_of(main, sub_ledger, main.header(sub_ledger.created) or b"")
    return open_ledger(data_dir, assembly, genesis, genesis_hash, origin)
