"""Carrying out one proven directive on the market's ledger, and acknowledging it (docs/spec/directives.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chain_core.codec.proofs import decode_packet, packet_hash
from chain_core.codec.values import encode_value
from chain_core.execution.codes import Refused
from chain_core.execution.context import CallContext
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import MAIN_LEDGER, NO_ACCOUNT
from chain_core.types.values import Value
from contracts.kernel import directives as ledger
from contracts.templates import halts
from crosschain.packets import (
    ACK_KIND,
    DEMAND_REPORT,
    DIRECTIVE_CHANNEL,
    FREEZE,
    FREEZE_SECURITY,
    HALT_SERVICE,
    HALT_TEMPLATE,
    RECTIFY,
    RESUME_SERVICE,
    RESUME_TEMPLATE,
    SUBJECTS,
    UNFREEZE,
    UNFREEZE_SECURITY,
    Acknowledgement,
    Directive,
    Outcome,
    directive_name,
    read_directive,
)
from local_chain import service_halts

Action = Callable[[CallContext, int, Directive], None]

_NOTHING_TO_CHANGE = frozenset(
    ("kernel.frozen_already", "kernel.no_such_freeze", "templates.no_such_halt", "supervision.no_such_halt")
)
_UNKNOWN = frozenset(("kernel.unknown_security",))


def carry_out(ctx: CallContext, source: bytes, sequence: int, packet_bytes: bytes) -> Mapping[str, Value]:
    """Carries the directive out, emits its acknowledgement towards ``source``, and returns what to keep of it.

    It never refuses: what cannot be done is acknowledged with its code, so that the directives behind it go on.
    """
    kind, directive, outcome = _apply(ctx, source, sequence, packet_bytes)
    account = NO_ACCOUNT if directive is None else directive.account
    ack = Acknowledgement(sequence, packet_hash(packet_bytes), outcome)
    ctx.send_packet(source, MAIN_LEDGER, DIRECTIVE_CHANNEL, ACK_KIND, ack.payload())
    ctx.emit("directive", sequence=sequence, kind=kind, account=account, code=int(outcome))
    kept: dict[str, Value] = {"kind": kind, "account": account, "code": int(outcome), "packet": ack.packet}
    if directive is not None:
        kept |= {"security": directive.security, "template": directive.template, "service": directive.service}
        kept |= {"reference": directive.reference}
    return kept


def _apply(
    ctx: CallContext, source: bytes, sequence: int, packet_bytes: bytes
) -> tuple[str, Directive | None, Outcome]:
    """(kind, directive, outcome); the kind is empty and the directive None when the packet cannot be read."""
    here = (ctx.block.genesis_hash, ctx.block.ledger)
    try:
        packet = decode_packet(packet_bytes)
        if (packet.source_genesis, packet.destination_genesis, packet.destination_ledger) != (source, *here):
            return "", None, Outcome.UNREADABLE
        if (packet.channel, packet.sequence) != (DIRECTIVE_CHANNEL, sequence):
            return "", None, Outcome.UNREADABLE
        action = ACTIONS.get(packet.kind)
        if action is None:
            return packet.kind, None, Outcome.UNKNOWN_KIND
        directive = read_directive(packet.payload)
    except MalformedBytes:
        return "", None, Outcome.UNREADABLE
    subject = SUBJECTS.get(packet.kind)
    if subject is not None and subject not in directive.payload():
        return packet.kind, directive, Outcome.UNREADABLE
    if directive.account != NO_ACCOUNT and ctx.record_of(directive.account) is None:
        return packet.kind, directive, Outcome.UNKNOWN_HOLDER
    refusal = ctx.attempt(lambda: action(ctx, sequence, directive))
    return packet.kind, directive, _outcome(refusal)


def _outcome(refusal: Refused | None) -> Outcome:
    if refusal is None:
        return Outcome.EXECUTED
    if refusal.rule in _UNKNOWN:
        return Outcome.UNKNOWN_HOLDER
    return Outcome.NOTHING_TO_CHANGE if refusal.rule in _NOTHING_TO_CHANGE else Outcome.REFUSED


def _lifted(directive: Directive) -> str | None:
    return None if directive.lifts is None else directive_name(directive.lifts)


def _freeze(ctx: CallContext, sequence: int, directive: Directive) -> None:
    ledger.freeze_holder(ctx, directive.account, directive_name(sequence))


def _unfreeze(ctx: CallContext, sequence: int, directive: Directive) -> None:
    ledger.unfreeze_holder(ctx, directive.account, directive_name(sequence), _lifted(directive))


def _freeze_security(ctx: CallContext, sequence: int, directive: Directive) -> None:
    ledger.freeze_security(ctx, directive.security, directive_name(sequence))


def _unfreeze_security(ctx: CallContext, sequence: int, directive: Directive) -> None:
    ledger.lift_security(ctx, directive.security, directive_name(sequence), _lifted(directive))


def _halt(ctx: CallContext, sequence: int, directive: Directive) -> None:
    halts.halt(ctx, directive.template, directive_name(sequence))


def _resume(ctx: CallContext, sequence: int, directive: Directive) -> None:
    halts.resume(ctx, directive.template, directive_name(sequence), _lifted(directive))


def _halt_service(ctx: CallContext, sequence: int, directive: Directive) -> None:
    service_halts.halt(ctx, directive.service, directive_name(sequence))


def _resume_service(ctx: CallContext, sequence: int, directive: Directive) -> None:
    service_halts.resume(ctx, directive.service, _lifted(directive))


def _demand(ctx: CallContext, sequence: int, directive: Directive) -> None:
    """On record as open, until the market answers it (``supervision.answer``)."""
    ctx.put(demand_key(sequence), encode_value(b""))


def demand_key(sequence: int) -> bytes:
    """Where ``supervision`` keeps a demand: SM3 of the document it was answered with, no bytes while it is open."""
    return b"r" + sequence.to_bytes(8, "big")


ACTIONS: Mapping[str, Action] = {
    FREEZE: _freeze,
    UNFREEZE: _unfreeze,
    FREEZE_SECURITY: _freeze_security,
    UNFREEZE_SECURITY: _unfreeze_security,
    HALT_TEMPLATE: _halt,
    RESUME_TEMPLATE: _resume,
    HALT_SERVICE: _halt_service,
    RESUME_SERVICE: _resume_service,
    RECTIFY: _demand,
    DEMAND_REPORT: _demand,
}
"""What each kind of directive does on this chain."""
