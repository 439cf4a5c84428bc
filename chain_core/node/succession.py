"""From a chain that lost too many nodes to its successor: snapshot, document, first ledger (docs/spec/successor.md).

A *bequest* is a directory with the predecessor's genesis document and its last certified state.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chain_core.codec.genesis import continues, decode_genesis, encode_genesis, genesis_hash, lineage
from chain_core.codec.seen import state_key
from chain_core.execution.epochs import current_epoch, epoch_by_number, set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.successor import settings
from chain_core.ledger.archive_file import write_whole
from chain_core.ledger.binding import Binding
from chain_core.ledger.foundation import lay_foundation
from chain_core.ledger.roots import SEEN_BUCKETS
from chain_core.ledger.snapshot_file import Closing, SnapshotFile, write_snapshot
from chain_core.ledger.store import LedgerStore
from chain_core.node.assembly import Assembly
from chain_core.node.ledger_files import LEDGER_DIRECTORY, open_ledger
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, LocalFault
from chain_core.types.genesis import Genesis, Predecessor
from chain_core.types.ids import MAIN_LEDGER, ZERO_HASH
from chain_core.types.packet import StateProof
from chain_core.types.validator_set import ValidatorSet

GENESIS, STATE_FILE = "genesis.bin", "state.dcs"


class SuccessionRefused(LocalFault):
    """What was asked for cannot be done with this ledger or this directory."""

    code = "SUCCESSION_REFUSED"


@dataclass(frozen=True, slots=True)
class Bequest:
    """The directory of a bequest, with the predecessor's genesis document. The state is read when it is asked for."""

    directory: Path
    genesis: Genesis
    genesis_hash: bytes

    @classmethod
    def open(cls, directory: Path, genesis: bytes | None = None) -> Bequest:
        """With the directory's own document, or the given one, which is trusted. Raises SuccessionRefused,
        MalformedBytes.
        """
        if not (directory / GENESIS).is_file() or not (directory / STATE_FILE).is_file():
            raise SuccessionRefused(
                "no snapshot is here",
                where=str(directory),
                next_step=f"name the directory with {GENESIS}, {STATE_FILE}",
            )
        raw = (directory / GENESIS).read_bytes() if genesis is None else genesis
        return cls(directory, decode_genesis(raw), genesis_hash(raw))

    def state(self) -> SnapshotFile:
        """The state with its certified header. Raises InvalidProof."""
        return SnapshotFile(self.directory / STATE_FILE, self.genesis.validators, self.genesis_hash)

    def verify(self) -> Header:
        """The certified header, everything in the file verified against it. Raises InvalidProof."""
        with self.state() as state:
            state.read_trees(lambda tree, items, size: None)
            return state.header


def bequeath(store: LedgerStore, genesis: bytes, directory: Path) -> Header:
    """Writes the last certified state of a ledger 0 whose node is stopped, and verifies it. Raises SuccessionRefused,
    InvalidProof, OSError.
    """
    header, certificate = store.header(store.final_height), store.certificate(store.final_height)
    if header is None or certificate is None:
        raise SuccessionRefused(
            "nothing is certified here yet", where=str(store.path), next_step="begin the chain again with its genesis"
        )
    if (directory / STATE_FILE).exists():
        raise SuccessionRefused(
            "a snapshot is here already", where=str(directory), next_step="name a new directory; nothing was changed"
        )
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / GENESIS, genesis)
    view = store.view()
    try:
        write_snapshot(directory / STATE_FILE, view, certificate, _closings(store))
    finally:
        view.close()
    return Bequest.open(directory).verify()


def _closings(store: LedgerStore) -> list[Closing]:
    """The last header of each epoch before the present one, with the set that follows it."""
    found = []
    for number in range(1, current_epoch(store).epoch + 1):
        epoch = epoch_by_number(store, number)
        assert epoch is not None, "the state knows every epoch up to the present one"
        header, certificate = store.header(epoch.start - 1), store.certificate(epoch.start - 1)
        next_set = store.get(state_key(GOVERNANCE, set_key(epoch.set_hash)))
        if header is None or certificate is None or next_set is None:
            raise SuccessionRefused(
                f"the header that closes epoch {number - 1} is not here",
                where=str(store.path),
                next_step="take the snapshot from another node",
            )
        found.append(Closing(header, certificate, next_set))
    return found


def successor_document(
    bequest: Bequest, validators: ValidatorSet, time_ms: int, assembly: Assembly, scratch: Path
) -> Genesis:
    """The successor's genesis document: the predecessor's, with these validators, and its last state as origin.

    The state is laid in a directory under ``scratch`` for a while, to know the root of height 0. Raises InvalidProof,
    InvalidGenesis, and the store's own refusals.
    """
    with _laid(bequest, scratch) as (store, raw):
        parameters, flags = settings(store)
        past = Predecessor(raw, lineage(bequest.genesis, raw), ZERO_HASH)
        genesis = replace(
            bequest.genesis,
            time_ms=time_ms,
            validators=validators,
            parameters=parameters,
            flags=flags,
            predecessor=past,
        )
        writes = assembly.executor().succession_writes(genesis, store)
        root = store.stage(writes, {}, ()).state_root
    genesis = replace(genesis, predecessor=replace(past, state_root=root))
    encode_genesis(genesis)
    return genesis


def prove_last_state(
    bequest: Bequest, state_keys: Sequence[bytes], scratch: Path
) -> list[tuple[bytes | None, StateProof]]:
    """Values of full state keys with their proofs under the bequest's last header; no node has to run for it.

    Laid in a directory under ``scratch`` for a while. Raises InvalidProof and the store's own refusals.
    """
    with _laid(bequest, scratch) as (store, _):
        return [store.prove_state(key) for key in state_keys]


@contextmanager
def _laid(bequest: Bequest, scratch: Path) -> Iterator[tuple[LedgerStore, bytes]]:
    directory = Path(tempfile.mkdtemp(prefix="state-", dir=scratch))
    buckets = bequest.genesis.parameters["state_buckets"]
    try:
        with bequest.state() as state:
            lay_foundation(directory / "ledger", Binding(ZERO_HASH, MAIN_LEDGER, buckets, SEEN_BUCKETS), state)
        with LedgerStore.open(directory / "ledger", genesis_hash=ZERO_HASH, state_buckets=buckets) as store:
            yield store, state.header_bytes
    finally:
        shutil.rmtree(directory)


def begin(data_dir: Path, assembly: Assembly, genesis: bytes, bequest: Bequest) -> Header:
    """Makes the ledger of a node of a successor: the verified state, then height 0; the predecessor's last header.

    Nothing of the bequest is believed: the document names the header, its certificate and epochs lead back to the
    predecessor's genesis document, the header to every entry. Raises InvalidProof, SuccessionRefused, InvalidGenesis,
    and the store's own refusals.
    """
    document, chain = decode_genesis(genesis), genesis_hash(genesis)
    check_succession(document, bequest)
    buckets = document.parameters["state_buckets"]
    with bequest.state() as state:
        if document.predecessor is None or state.header_bytes != document.predecessor.header:
            raise InvalidProof(
                "the state is of another header than the genesis document names",
                where=str(bequest.directory),
                next_step="take the snapshot that the document was made from",
            )
        data_dir.mkdir(parents=True, exist_ok=True)
        lay_foundation(data_dir / LEDGER_DIRECTORY, Binding(chain, MAIN_LEDGER, buckets, SEEN_BUCKETS), state)
        open_ledger(data_dir, assembly, document, chain).close()
        return state.header


def check_succession(document: Genesis, bequest: Bequest) -> None:
    """Whether a document is that of a successor of the bequest's chain. Raises SuccessionRefused, InvalidProof."""
    past, before = document.predecessor, bequest.genesis
    if past is None:
        raise SuccessionRefused(
            "this chain has no predecessor",
            where="genesis document",
            next_step="start the node; nothing is to begin from",
        )
    if past.lineage != lineage(before, past.header):
        raise InvalidProof(
            "the lineage is not that of the predecessor's document and header",
            where="predecessor.lineage",
            next_step="compare the genesis hashes of both documents with what the operator published",
        )
    if not continues(document, before):
        raise InvalidProof(
            "it changes more of the predecessor's document than time, validators, parameters and flags",
            where="genesis document",
            next_step="make it with `dualchain ... successor`",
        )
