"""The contract ``reporting``: one report packet for each block with business in it (docs/spec/packets.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.execution.codes import Code
from chain_core.execution.context import CallContext
from chain_core.execution.contract import BlockOutcome, Contract, Lane
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.transaction import TransactionBody
from contracts.watch.hook import FIRED, WATCH_HOOK, count_of
from crosschain.following import decode_position
from crosschain.packets import REPORT_CHANNEL, REPORT_KIND, REPORTING, SUPERVISION, Report, Totals


class Reporting(Contract):
    """Has no methods: it only speaks at the end of a block. ``quiet`` names the contracts whose use is no business."""

    name = REPORTING
    lane = Lane.BORDER

    def __init__(self, quiet: Iterable[str]) -> None:
        self._quiet = frozenset(quiet)

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """Where reports go: the supervisory chain embedded in this chain's genesis document."""
        writer.put(b"d", genesis_hash(genesis.supervisory_genesis))

    def end_block(self, ctx: CallContext, outcome: BlockOutcome) -> None:
        """Counts the block's business and sends the report; a block without business sends none."""
        codes = [
            code
            for envelope, code in zip(outcome.envelopes, outcome.codes, strict=True)
            if self.is_business(envelope.body)
        ]
        if not codes:
            return
        refusals = sum(1 for code in codes if code != Code.OK)
        alarms = count_of(ctx.read(WATCH_HOOK, FIRED))
        before = read_totals(ctx.get(b"t"))
        totals = Totals(before.reports + 1, before.transactions + len(codes), before.refusals + refusals, alarms)
        ctx.put(b"t", encode_value(totals.payload()))
        followed = decode_position(ctx.read(SUPERVISION, b"s"))
        report = Report(
            ctx.block.height,
            ctx.block.time_ms,
            len(codes),
            refusals,
            merkle_root(outcome.events),
            len(outcome.events),
            totals,
            followed.height,
            followed.count,
        )
        destination = ctx.get(b"d")
        assert destination is not None, "genesis names the supervisory chain"
        ctx.send_packet(destination, MAIN_LEDGER, REPORT_CHANNEL, REPORT_KIND, report.payload())

    def is_business(self, body: TransactionBody) -> bool:
        """Whether the transaction runs in the business lane: unknown contracts do (docs/spec/execution.md §4)."""
        return any(operation.contract not in self._quiet for operation in body.operations)


def totals_key() -> bytes:
    """Full state key of what was reported since genesis."""
    return state_key(REPORTING, b"t")


def read_totals(raw: bytes | None) -> Totals:
    """The totals in state, zero before the first report."""
    if raw is None:
        return Totals()
    row = cast(Mapping[str, int], decode_map(raw, "totals"))
    return Totals(row["reports"], row["transactions"], row["refusals"], row["alarms"])
