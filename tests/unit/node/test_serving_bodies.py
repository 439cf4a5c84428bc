"""Bodies are served to whoever asks: each once, and no more at a time than a proposal could need."""

from dataclasses import replace
from pathlib import Path

from chain_core.codec.block import MAX_BLOCK_BYTES
from chain_core.execution.executor import Executor
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.network.frames import EnvelopesFrame
from chain_core.node.intake import Intake
from tests.simulation.chain import Tally
from tests.unit.node.stage import CHAIN, RecordingTransport, envelopes, open_ledger


def test_one_question_does_not_make_a_node_send_without_end(tmp_path: Path) -> None:
    transport, executor = RecordingTransport(), Executor((Tally(),))
    with open_ledger(tmp_path / "ledger") as store:
        pool = TransactionPool(PoolLimits.from_parameters(executor.parameters(store)))
        intake = Intake(store, executor, pool, transport, range(1, CHAIN.validators.n))
        small, *large = envelopes(41)
        intake.bodies.pooled[small.envelope_id] = small
        for envelope in large:
            intake.bodies.pooled[envelope.envelope_id] = replace(envelope, raw=bytes(1_000_000))

        intake.serve(2, [small.envelope_id] * 1_000)
        assert transport.to(2, EnvelopesFrame) == [EnvelopesFrame((small.raw,))]

        transport.events.clear()
        intake.serve(2, [envelope.envelope_id for envelope in large])
        served = [
            raw
            for frame in transport.to(2, EnvelopesFrame)
            if isinstance(frame, EnvelopesFrame)
            for raw in frame.envelopes
        ]
        assert 0 < sum(map(len, served)) <= MAX_BLOCK_BYTES
