"""Whom a node talks to: the validators of the present epoch, those about to join, those about to leave (network.md §3).

Indices are places in the present epoch's set, as consensus counts; whoever else is linked stands behind them. Names
outlive epochs, so that a link does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chain_core.execution.epochs import EpochInfo


@dataclass(frozen=True, slots=True)
class Roster:
    """``names`` by index, this node's own among them when it is a member; ports and keys by name, as far as known."""

    names: tuple[str, ...]
    addresses: Mapping[str, str]
    transport_keys: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    """By name, of all who are linked, this node too: more than one while a key is being rotated."""

    def index(self, name: str) -> int | None:
        """The index of a name, None for a stranger."""
        return self.names.index(name) if name in self.names else None


def roster_of(
    own_name: str,
    present: EpochInfo,
    scheduled: EpochInfo | None,
    leaving: EpochInfo | None,
    contacts: Mapping[str, str],
) -> Roster:
    """Who is linked when the next height is one of ``present``.

    ``leaving``: the epoch before, while none of the present one's heights is certified: its members still need the last
    header of theirs. ``contacts``: the configuration's peer ports. For a member they tell the addresses of those who
    were there from the start; one who is no member yet has nobody else to turn to and keeps them all. An address that a
    proposal brought is on chain, and counts before the configuration's.
    """
    names = [validator.name for validator in present.validators.validators]
    others: set[str] = set()
    for epoch in (scheduled, leaving):
        if epoch is not None:
            others |= {validator.name for validator in epoch.validators.validators}
    if own_name not in names:
        others |= contacts.keys()
    ordered = (*names, *sorted(others - set(names)))
    told = {**contacts, **(leaving.addresses if leaving else {}), **present.addresses}
    told |= scheduled.addresses if scheduled else {}
    keys: dict[str, tuple[bytes, ...]] = {}
    for epoch in (present, scheduled, leaving):
        for validator in epoch.validators.validators if epoch is not None else ():
            listed = keys.get(validator.name, ())
            if validator.transport_key not in listed and (epoch is not leaving or validator.name not in names):
                keys[validator.name] = (*listed, validator.transport_key)
    return Roster(ordered, {name: told[name] for name in ordered if name in told and name != own_name}, keys)
