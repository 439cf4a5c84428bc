"""Carrying out one proven directive on the market's ledger, and acknowledging it (docs/spec/directives.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chain_core.codec.proofs import decode_packet, packet_hash
from chain_core.execution.codes import Refused
from chain_core.execution.context import CallContext
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import MAIN_LEDGER, NO_ACCOUNT
from chain_core.types.values import Value
from contracts.kernel import directives as ledger
from crosschain.packets import (
    ACK_KIND,
    DIRECTIVE_CHANNEL,
    FREEZE,
    UNFREEZE,
    Acknowledgement,
    Directive,
    Outcome,
    read_directive,
)

Action = Callable[[CallContext, int, Directive], None]

_NOTHING_TO_CHANGE = frozenset(("kernel.frozen_already", "kernel.no_such_freeze"))


def directive_name(sequence: int) -> str:
    """The name under which the ledger keeps a freeze, and by which its refusals speak of it."""
    return f"csrc/{sequence}"


def carry_out(ctx: CallContext, source: bytes, sequence: int, packet_bytes: bytes) -> Mapping[str, Value]:
    """Carries the directive out, emits its acknowledgement towards ``source``, and returns what to keep of it.

    It never refuses: what cannot be done is acknowledged with its code, so that the directives behind it go on.
    """
    kind, account, outcome = _apply(ctx, source, sequence, packet_bytes)
    ack = Acknowledgement(sequence, packet_hash(packet_bytes), outcome)
    ctx.send_packet(source, MAIN_LEDGER, DIRECTIVE_CHANNEL, ACK_KIND, ack.payload())
    ctx.emit("directive", sequence=sequence, kind=kind, account=account, code=int(outcome))
    return {"kind": kind, "account": account, "code": int(outcome), "packet": ack.packet}


def _apply(ctx: CallContext, source: bytes, sequence: int, packet_bytes: bytes) -> tuple[str, bytes, Outcome]:
    """(kind, account, outcome) of one directive; kind and account empty when the packet cannot be read."""
    here = (ctx.block.genesis_hash, ctx.block.ledger)
    try:
        packet = decode_packet(packet_bytes)
        if (packet.source_genesis, packet.destination_genesis, packet.destination_ledger) != (source, *here):
            return "", NO_ACCOUNT, Outcome.UNREADABLE
        if (packet.channel, packet.sequence) != (DIRECTIVE_CHANNEL, sequence):
            return "", NO_ACCOUNT, Outcome.UNREADABLE
        action = ACTIONS.get(packet.kind)
        if action is None:
            return packet.kind, NO_ACCOUNT, Outcome.UNKNOWN_KIND
        directive = read_directive(packet.payload)
    except MalformedBytes:
        return "", NO_ACCOUNT, Outcome.UNREADABLE
    if ctx.record_of(directive.account) is None:
        return packet.kind, directive.account, Outcome.UNKNOWN_HOLDER
    refusal = ctx.attempt(lambda: action(ctx, sequence, directive))
    return packet.kind, directive.account, _outcome(refusal)


def _outcome(refusal: Refused | None) -> Outcome:
    if refusal is None:
        return Outcome.EXECUTED
    return Outcome.NOTHING_TO_CHANGE if refusal.rule in _NOTHING_TO_CHANGE else Outcome.REFUSED


def _freeze(ctx: CallContext, sequence: int, directive: Directive) -> None:
    ledger.freeze_holder(ctx, directive.account, directive_name(sequence))


def _unfreeze(ctx: CallContext, sequence: int, directive: Directive) -> None:
    lifts = None if directive.lifts is None else directive_name(directive.lifts)
    ledger.unfreeze_holder(ctx, directive.account, directive_name(sequence), lifts)


ACTIONS: Mapping[str, Action] = {FREEZE: _freeze, UNFREEZE: _unfreeze}
"""What each kind of directive does to the ledger."""
