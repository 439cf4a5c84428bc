"""The line of chains that a successor stands in (docs/spec/successor.md §3), as its state tells it.

State key inside ``governance``: ``predecessor``: the map {genesis_hash, height, header_hash, lineage, earlier}; a chain
that began with a genesis of its own has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.execution.parameters import GOVERNANCE

PREDECESSOR = b"predecessor"
PREDECESSOR_KEY = state_key(GOVERNANCE, PREDECESSOR)


def earlier_chains(read: Callable[[bytes], bytes | None]) -> tuple[bytes, ...]:
    """Genesis hashes of all chains of the line before this one, the predecessor's first; ``read`` takes full keys."""
    raw = read(PREDECESSOR_KEY)
    if raw is None:
        return ()
    row = decode_map(raw, "predecessor")
    return cast(bytes, row["genesis_hash"]), *cast(list[bytes], row["earlier"])
