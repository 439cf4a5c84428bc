"""The table event → what it writes (docs/spec/exporter.md §3). An event more is a row more."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chain_core.types.values import Value
from contracts.data.records import DATA
from contracts.templates.contract import TEMPLATES
from local_chain.exporter import bindings, parties, registers
from local_chain.exporter.working import Working

Fields = Mapping[str, Value]
Handler = Callable[[Working, Fields], None]

_INSTANCE_EVENTS = ("instance_created", "instance_state", "instance_migrated", "template_event")


def apply_event(working: Working, contract: str, name: str, fields: Fields) -> None:
    """Carries one event into the work of its block. What the table does not name is noted, never guessed.

    Under ``templates`` a template may emit events of any name; all of them, and only they, name their instance.
    """
    own = contract == TEMPLATES and "instance" in fields and name not in _INSTANCE_EVENTS
    data = contract == DATA
    handler = None if own else (DATA_EVENTS if data else LEDGER_EVENTS).get(name)
    if handler is not None:
        handler(working, fields)
    elif own or name not in (DATA_NOT_EXPORTED if data else NOT_EXPORTED):
        working.unmapped.add(f"{contract}.{name}")


def _recorded(name: str) -> Handler:
    """A supervision record of the event and nothing else."""

    def handler(working: Working, fields: Fields) -> None:
        bindings.record(working, name, fields)

    return handler


def _and_recorded(name: str, handler: Handler) -> Handler:
    """A supervision record beside what the handler writes."""

    def both(working: Working, fields: Fields) -> None:
        handler(working, fields)
        bindings.record(working, name, fields)

    return both


LEDGER_EVENTS: Mapping[str, Handler] = {
    "registered": parties.registered,
    "closed": parties.closed,
    "suitability_set": parties.suitability_set,
    "security_registered": registers.security_registered,
    "holdings_registered": registers.holdings_registered,
    "holdings_unregistered": registers.holdings_unregistered,
    "security_live": registers.security_live,
    "transferred": registers.transferred,
    "shares_entered": registers.shares_entered,
    "shares_ended": registers.shares_ended,
    "action_announced": registers.action_announced,
    "entitlements": registers.entitlements,
    "action_over": registers.action_over,
    "rest_not_given": _recorded("rest_not_given"),
    "status_set": registers.status_set,
    "layer_set": registers.layer_set,
    "family_joined": _recorded("family_joined"),
    "vehicle_set": parties.vehicle_set,
    "held": bindings.held,
    "released": bindings.released,
    "settled": bindings.settled,
    "pledged": bindings.pledged,
    "pledge_released": bindings.pledge_released,
    "pledge_enforced": bindings.pledge_enforced,
    "order_placed": bindings.order_placed,
    "order_renewed": bindings.order_renewed,
    "order_took_effect": bindings.order_took_effect,
    "order_ended": bindings.order_ended,
    "order_executed": bindings.order_executed,
    "locked_up": bindings.locked_up,
    "lock_up_released": bindings.lock_up_released,
    "lock_up_changed": bindings.lock_up_changed,
    "lock_up_moved": bindings.lock_up_moved,
    "holding_frozen": bindings.holding_frozen,
    "holding_unfrozen": bindings.holding_unfrozen,
    "party_frozen": parties.party_frozen,
    "party_unfrozen": parties.party_unfrozen,
    "security_frozen": _and_recorded("security_frozen", registers.security_frozen),
    "security_unfrozen": _and_recorded("security_unfrozen", registers.security_unfrozen),
    "cash_deposited": parties.cash_deposited,
    "cash_withdrawn": parties.cash_withdrawn,
    "paid": parties.paid,
    "resolved": parties.resolved,
    "non_trade_reason": parties.non_trade_reason,
    "corrected": parties.corrected,
    "enterprise_registered": parties.enterprise_registered,
    "disclosed": parties.disclosed,
    "instance_created": parties.instance,
    "instance_state": parties.instance,
    "instance_migrated": parties.instance,
    "rule_fired": _recorded("rule_fired"),
    "rule_failed": _recorded("rule_failed"),
    "rule_switched": _recorded("rule_switched"),
    "template_halted": _recorded("template_halted"),
    "template_resumed": _recorded("template_resumed"),
    "answered": _recorded("answered"),
}
"""Events of ``kernel``, ``templates``, ``watch``, ``accounts`` and the border, which share one set of names."""

DATA_EVENTS: Mapping[str, Handler] = {
    "created": parties.data_created,
    "revised": parties.data_revised,
    "deleted": parties.data_deleted,
}
"""Events of ``data``; its ``held`` is another one than the kernel's."""

_KEYS = "keys and rights on the chain: no business fact of the nine kinds"
_FOLLOWED = "the chain's own work of following another one"
_VOTES = "governance of the chain's parameters: no business fact"
_ACCESS = "who may read and who read: the chain itself is the record"

NOT_EXPORTED: Mapping[str, str] = {
    "transfers_accepted": "a standing consent of the holder: nothing moves by it",
    "code_bound": "the code of an account stands among its private attributes",
    "code_unbound": "the same, taken back",
    "calendar_set": "the market's calendar belongs to no data object",
    "converted": "shares_ended, shares_entered and paid of the same transaction tell of it",
    "funded": "money of one account becomes held: it changes hands by paid alone",
    "defunded": "money of one account becomes available again",
    "template_filing": "the filing of a program, which the chain itself proves",
    "template_event": "what a template tells beside the kernel's events, in words of its own",
    "anchored": "the exporter's own anchors",
    "key_attached": _KEYS,
    "key_revoked": _KEYS,
    "granted": _KEYS,
    "grant_revoked": _KEYS,
    "proposed": _VOTES,
    "approved": _VOTES,
    "rejected": _VOTES,
    "withdrawn": _VOTES,
    "directive": "the outcome of a packet; what a directive does is told by the kernel's events",
    "followed": _FOLLOWED,
    "epoch_followed": _FOLLOWED,
    "frozen": _FOLLOWED,
}
"""Why an event of the ledger says nothing of the nine kinds."""

DATA_NOT_EXPORTED: Mapping[str, str] = {
    "held": _ACCESS,
    "granted": _ACCESS,
    "withdrawn": _ACCESS,
    "accessed": _ACCESS,
    "deletion_ordered": "nothing is destroyed yet: deleted tells of it",
}
"""The same for events of ``data``."""
