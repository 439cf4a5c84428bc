"""Certified blocks between peers: one question at a time, the next peer when one is silent, bounded answers."""

from types import SimpleNamespace

from chain_core.codec.block import decode_block
from chain_core.network.frames import BlocksFrame, PrunedFrame, WantBlocks
from chain_core.node import block_exchange
from chain_core.node.block_exchange import ASK_COUNT, PATIENCE_MS, BlockExchange
from chain_core.types.block import Batch, Certificate, CertifiedBlock
from tests.unit.consensus.bench import certificate, header_of
from tests.unit.node.stage import RecordingTransport


class Blocks:
    """The ledger as far as the exchange looks at it."""

    def __init__(self, final_height: int, size: int = 10) -> None:
        self.final_height, self.size = final_height, size
        self.pruning = SimpleNamespace(height=0)

    def block(self, height: int) -> CertifiedBlock | None:
        proof: Certificate = certificate(header_of(height))
        batch = Batch(0, 0, height, 0, 0, (height.to_bytes(32, "big"),))
        return (
            CertifiedBlock(header_of(height), proof, batch, (bytes(self.size),))
            if height <= self.final_height
            else None
        )


def made(final_height: int, size: int = 10) -> tuple[BlockExchange, Blocks, RecordingTransport]:
    store, transport = Blocks(final_height, size), RecordingTransport()
    return BlockExchange(store, transport, 4, 0), store, transport  # type: ignore[arg-type]


def asked(transport: RecordingTransport) -> list[tuple[int, int, int]]:
    return [(to, f.start, f.count) for to, f in transport.events if isinstance(f, WantBlocks)]  # type: ignore[misc]


def test_it_asks_the_sources_first_and_only_once() -> None:
    exchange, _, transport = made(4)
    exchange.fetch(5, 7, (2, 3), 0)
    exchange.fetch(5, 8, (3,), PATIENCE_MS - 1)
    assert asked(transport) == [(2, 5, 3)] and exchange.behind


def test_a_silent_source_is_left_and_a_good_one_kept() -> None:
    exchange, store, transport = made(4)
    exchange.fetch(5, 60, (2, 3), 0)
    exchange.ask_again(PATIENCE_MS)
    store.final_height = 20
    exchange.go_on(PATIENCE_MS + 1)
    store.final_height = 36
    exchange.go_on(PATIENCE_MS + 2)
    assert asked(transport) == [(2, 5, ASK_COUNT), (3, 5, ASK_COUNT), (3, 21, ASK_COUNT), (3, 37, ASK_COUNT)]


def test_a_clock_that_was_set_back_does_not_stop_the_asking() -> None:
    exchange, _, transport = made(4)
    exchange.fetch(5, 5, (2,), 10 * PATIENCE_MS)
    exchange.ask_again(0)
    assert len(asked(transport)) == 2


def test_everybody_is_asked_in_the_end() -> None:
    exchange, _, transport = made(4)
    exchange.fetch(5, 5, (2,), 0)
    for turn in range(1, 4):
        exchange.ask_again(turn * PATIENCE_MS)
    assert [to for to, _, _ in asked(transport)] == [2, 1, 3, 2]


def test_nothing_is_asked_when_nothing_is_missing() -> None:
    exchange, _, transport = made(4)
    exchange.fetch(3, 4, (2,), 0)
    exchange.fetch(9, 10, (2,), 0)  # there is a gap: the certificate between is on its way
    exchange.ask_again(0), exchange.go_on(0)
    assert transport.events == [] and not exchange.behind


def heights(frame: object) -> list[int]:
    assert isinstance(frame, BlocksFrame)
    return [decode_block(raw).batch.height for raw in frame.blocks]


def test_it_serves_what_it_has_and_no_more_than_fits() -> None:
    exchange, _, transport = made(40)
    exchange.serve(1, 1, 3)
    exchange.serve(1, 39, 10_000)
    exchange.serve(1, 5, 10_000)
    exchange.serve(1, 41, 1)
    exchange.serve(1, 0, 2)
    exchange.serve(7, 1, 1)
    served = [heights(frame) for frame in transport.to(1, BlocksFrame)]
    assert served == [[1, 2, 3], [39, 40], list(range(5, 5 + ASK_COUNT)), [1]]


def test_large_blocks_are_served_one_by_one() -> None:
    exchange, _, transport = made(4, size=200_000)
    limit, block_exchange.SERVE_BYTES = block_exchange.SERVE_BYTES, 500_000
    try:
        exchange.serve(1, 1, 4)
    finally:
        block_exchange.SERVE_BYTES = limit
    assert heights(transport.to(1, BlocksFrame)[0]) == [1, 2]


def test_what_is_pruned_is_named() -> None:
    exchange, store, transport = made(50)
    store.pruning.height = 20
    exchange.serve(1, 20, 3)
    exchange.serve(1, 21, 1)
    assert transport.events[0] == (1, PrunedFrame(20)) and isinstance(transport.events[1][1], BlocksFrame)  # type: ignore[index]
