"""Catch-up from a certified block that a peer serves: what the certificate does not cover is checked all the same."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.block import (
    decode_certificate,
    encode_block,
    encode_certificate,
    header_hash,
    header_message,
)
from chain_core.consensus.inputs import Timer
from chain_core.crypto.providers import signing_provider
from chain_core.execution.executor import Executor
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.execution.roots import build_genesis_header
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import Frame
from chain_core.network.ingress import Ingress
from chain_core.node.block_builder import BlockBuilder
from chain_core.node.ports import FinalBlock, Ports
from chain_core.node.replica import Replica
from chain_core.node.vote_keys import signing_messages
from chain_core.types.block import Batch, Certificate, CertifiedBlock
from chain_core.types.verified import Verified
from tests.one_epoch import OneEpoch
from tests.simulation.chain import START_MS, Chain, Tally, chain, private_key

CHAIN: Chain = chain(4)
LATE_MS = START_MS + 5_000


class World:
    """Everything outside a replica: says the time, sends nothing, remembers what it is told."""

    def __init__(self) -> None:
        self.alarms: list[str] = []
        self.halts: list[str] = []

    def send(self, peer: int, frame: Frame) -> None: ...
    def broadcast(self, frame: Frame) -> None: ...
    def set(self, timer: Timer, after_ms: int) -> None: ...
    def cancel(self, timer: Timer) -> None: ...
    def finalised(self, block: FinalBlock) -> None: ...

    def now_ms(self) -> int:
        return LATE_MS

    def alarm(self, code: str, facts: dict[str, str | int]) -> None:
        self.alarms.append(code)

    def halted(self, code: str, facts: dict[str, str | int]) -> None:
        self.halts.append(code)


OpenStore = Callable[[str], LedgerStore]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    opened: list[LedgerStore] = []

    def open_one(name: str) -> LedgerStore:
        store = LedgerStore.open(tmp_path / name, genesis_hash=CHAIN.genesis_hash, state_buckets=16, seen_buckets=16)
        opened.append(store)
        writes = Executor((Tally(),)).genesis_writes(CHAIN.genesis, CHAIN.genesis_hash)
        staged = store.stage(dict(writes), {}, ())
        header = build_genesis_header(CHAIN.genesis, CHAIN.genesis_hash, staged.state_root, staged.seen_root)
        store.install_genesis(header, writes)
        return store

    yield open_one
    for store in opened:
        store.close()


def first_block(store: LedgerStore, time_ms: int) -> CertifiedBlock:
    """Height 1 with one transaction, certified by a quorum."""
    envelope = CHAIN.transaction(0, 1, time_ms + 60_000)
    builder = BlockBuilder(store, Executor((Tally(),)), CHAIN.genesis_hash)
    built = builder.build(Batch(0, 0, 1, 0, time_ms, (envelope.envelope_id,)), (envelope,))
    digest = header_hash(built.header_bytes)
    message = header_message(CHAIN.genesis_hash, digest)
    votes = tuple((i, signing_provider().sm2_sign(private_key(f"v{i}"), message)) for i in range(CHAIN.validators.q))
    raw = encode_certificate(Certificate(digest, votes))
    return CertifiedBlock(built.header_bytes, decode_certificate(raw), built.batch, (envelope.raw,))


def replica_on(store: LedgerStore, world: World) -> Replica:
    executor = Executor((Tally(),))
    pool = TransactionPool(PoolLimits.from_parameters(executor.parameters(store)))
    sign = lambda message: signing_provider().sm2_sign(private_key("v3"), message)  # noqa: E731
    ports = Ports(world, world, world, world)
    return Replica(
        CHAIN.genesis, CHAIN.genesis_hash, 3, signing_messages(CHAIN.genesis_hash, sign), store, executor, pool, ports
    )


def verified(block: CertifiedBlock) -> list[Verified[CertifiedBlock]]:
    """What the ingress makes of the block's bytes: every one of these passes it."""
    ingress = Ingress(
        CHAIN.genesis_hash,
        0,
        OneEpoch(CHAIN.validators),
        b"",
        lambda: LATE_MS,
        lambda: 60_000,
        lambda account, key: True,
    )
    found = ingress.verify_blocks([encode_block(block)])
    good = [outcome for outcome in found if isinstance(outcome, Verified)]
    assert len(good) == 1
    return good


@pytest.mark.parametrize("behind_ms", [1, LATE_MS - START_MS, LATE_MS])
def test_a_batch_time_that_the_server_changed_does_not_halt_who_catches_up(
    open_store: OpenStore, behind_ms: int
) -> None:
    block = first_block(open_store("served"), LATE_MS)
    forged = replace(block, batch=replace(block.batch, time_ms=block.batch.time_ms - behind_ms))
    store, world = open_store("behind"), World()
    replica = replica_on(store, world)
    replica.start()
    replica.on_blocks(verified(forged))
    assert (store.final_height, world.alarms, world.halts) == (0, ["BAD_BLOCK"], [])
    replica.on_blocks(verified(block))
    assert (store.final_height, store.header(1), world.halts) == (1, block.header, [])


def test_a_batch_older_than_its_parent_is_taken(open_store: OpenStore) -> None:
    """A re-proposed batch may be as old as the view change took: its block's time is the parent's and a millisecond."""
    block = first_block(open_store("served"), START_MS - 3_000)
    store, world = open_store("behind"), World()
    replica = replica_on(store, world)
    replica.start()
    replica.on_blocks(verified(block))
    assert (store.final_height, world.alarms, world.halts) == (1, [], [])
