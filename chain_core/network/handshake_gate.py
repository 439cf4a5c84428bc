"""Handshakes, capped by address and in all, before any of them costs something (docs/spec/access.md §4)."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from chain_core.network.quota import SECOND_NS, Bucket, Limit
from chain_core.network.sm_session.refused import Reason, SessionRefused

AN_ADDRESS: Final = Limit(5, 32)
IN_ALL: Final = Limit(50, 200)
MAX_ADDRESSES = 4_096


class HandshakeGate:
    """``admit`` is a port's hook (``SmServer.admit``). ``clock_ns`` never goes back."""

    def __init__(
        self,
        clock_ns: Callable[[], int],
        an_address: Limit = AN_ADDRESS,
        in_all: Limit = IN_ALL,
        known: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """``known``: addresses that the whole's limit keeps out never, the validators' at a peer port."""
        self._clock_ns, self._limit = clock_ns, an_address
        self._known = known
        self._all = Bucket(in_all, clock_ns())
        self._addresses: OrderedDict[str, Bucket] = OrderedDict()

    def admit(self, address: str) -> None:
        """A handshake from ``address``, without its port. Raises SessionRefused TOO_MANY_HANDSHAKES."""
        now_ns = self._clock_ns()
        block = address_block(address)
        bucket = self._addresses.get(block)
        if bucket is None:
            bucket = self._addresses[block] = Bucket(self._limit, now_ns)
            if len(self._addresses) > MAX_ADDRESSES:
                self._addresses.popitem(last=False)
        self._addresses.move_to_end(block)
        # Its own bucket first: whoever has used that up takes nothing from the others.
        wait_ns = bucket.take(1, now_ns)
        place = f"handshakes of {block}"
        if not wait_ns:
            wait_ns, place = self._all.take(1, now_ns), "handshakes of this port"
            if wait_ns and block in {address_block(one) for one in self._known()}:
                return
        if wait_ns:
            raise SessionRefused(
                Reason.TOO_MANY_HANDSHAKES,
                "too many handshakes a second",
                where=place,
                retry_after_ms=-(-wait_ns * 1_000 // SECOND_NS),
            )


def address_block(address: str) -> str:
    """What counts as one address: of IPv6 the /64, which one subscriber has all of; others as they are."""
    host = address.removeprefix("[").removesuffix("]").replace("%5B", "").replace("%5D", "")
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
