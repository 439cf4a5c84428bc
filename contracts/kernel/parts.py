"""The parts of one holding: reading them, and moving shares between them (docs/spec/kernel.md §8).

Nothing here changes a total. Callers keep the record that binds what is pledged or frozen.
"""

from __future__ import annotations

from chain_core.execution.codes import EngineFault
from chain_core.execution.overlay import Namespace
from contracts.kernel.records import HOLDING, Holding, decode_holding, encode_holding

NO_HOLDING = Holding(0, 0, 0, 0)


def read_holding(space: Namespace, security: bytes, account: bytes) -> Holding:
    """The holding; nothing is all zeros."""
    raw = space.get(HOLDING + security + account)
    return NO_HOLDING if raw is None else decode_holding(raw)


def shift(space: Namespace, security: bytes, owner: bytes, *, pledged: int = 0, frozen: int = 0) -> None:
    """Takes shares from available into pledged and frozen, negative ones back. EngineFault for more than there is."""
    if not pledged and not frozen:
        return
    before = read_holding(space, security, owner)
    after = Holding(before.available - pledged - frozen, before.pledged + pledged, before.frozen + frozen, before.slot)
    if min(after[:3]) < 0:
        raise EngineFault(f"a part of the holding {security.hex()} {owner.hex()} would be negative")
    space.put(HOLDING + security + owner, encode_holding(after))
