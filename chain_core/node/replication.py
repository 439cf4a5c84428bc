"""REPLICATED: f+1 nodes have a body on disk and will pool it again after a restart (docs/spec/node-api.md).

The receiving node keeps a body itself and asks the others to; an answer counts when it brings back the nonce that only
that peer's address was sent. A body that is final meanwhile needs no keeping.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from chain_core.ledger.kept import KeptBodies
from chain_core.network.frames import NONCE_SIZE, BodiesKept, EnvelopesFrame, KeepBodies
from chain_core.network.refusals import Overloaded, Unavailable
from chain_core.node.intake import PUSH_BYTES, chunks
from chain_core.node.ports import Clock, FinalBlock, Transport
from chain_core.types.transaction import Envelope

MAX_CALLS = 64
"""Calls that wait at once; each has at most 2,000 envelopes."""
POOLED_AT_ONCE = 2_000
"""Kept bodies pooled in one go, as many as a client may hand in."""
LEAST_PAUSE_MS = 10
"""For a refusal that names no time."""


@dataclass(slots=True)
class Keeping:
    """One call's envelopes by id: who has them on disk, and whether that is enough."""

    envelopes: dict[bytes, Envelope]
    enough: int
    nonces: dict[int, bytes]
    keepers: dict[bytes, set[int]] = field(default_factory=dict)
    """By envelope id; this node itself stands as -1."""
    done: set[bytes] = field(default_factory=set)
    all_done: asyncio.Event = field(default_factory=asyncio.Event)

    def kept_by(self, who: int, ids: Sequence[bytes] | set[bytes]) -> None:
        """``who`` has these on disk."""
        for name in ids:
            if name in self.envelopes:
                keepers = self.keepers.setdefault(name, set())
                keepers.add(who)
                if len(keepers) >= self.enough:
                    self.settle(name)

    def settle(self, name: bytes) -> None:
        """On enough disks, or final."""
        if name in self.envelopes:
            self.done.add(name)
            if len(self.done) == len(self.envelopes):
                self.all_done.set()

    def missing(self, peer: int) -> list[bytes]:
        """What is not settled and not known to be on the peer's disk."""
        return [n for n in self.envelopes if n not in self.done and peer not in self.keepers.get(n, ())]


ITSELF = -1


class Replication:
    """Both sides of it. ``body`` finds a verified body of the pool; ``peers`` and ``f`` are the present epoch's."""

    def __init__(
        self,
        kept: KeptBodies,
        transport: Transport,
        clock: Clock,
        peers: Callable[[], Sequence[int]],
        f: Callable[[], int],
        body: Callable[[bytes], Envelope | None],
        draw: Callable[[int], bytes],
    ) -> None:
        self._kept, self._transport, self._clock, self._peers = kept, transport, clock, peers
        self._f, self._body, self._draw = f, body, draw
        self._open: dict[int, Keeping] = {}

    # -- the node that a client asked

    def begin(self, envelopes: Sequence[Envelope]) -> Keeping | None:
        """Keep them here, synced, and ask all others; None when too many calls wait already."""
        if len(self._open) >= MAX_CALLS:
            return None
        by_id = {envelope.envelope_id: envelope for envelope in envelopes}
        keeping = Keeping(by_id, self._f() + 1, self._nonces())
        self._open[id(keeping)] = keeping
        keeping.kept_by(ITSELF, self._keep(envelopes))
        for peer in keeping.nonces:
            self._transport.send(peer, KeepBodies(keeping.nonces[peer], tuple(by_id)))
        return keeping

    def members_changed(self) -> None:
        """Indices name other validators now: what peers said before does not count any more."""
        for keeping in self._open.values():
            keeping.nonces, keeping.enough = self._nonces(), self._f() + 1
            for keepers in keeping.keepers.values():
                keepers.intersection_update((ITSELF,))

    def _nonces(self) -> dict[int, bytes]:
        return {peer: self._draw(NONCE_SIZE) for peer in self._peers()}

    def end(self, keeping: Keeping) -> None:
        """The call is answered."""
        self._open.pop(id(keeping), None)

    def on_kept(self, peer: int, answer: BodiesKept) -> None:
        """A peer has bodies on disk."""
        for keeping in self._open.values():
            if keeping.nonces.get(peer) == answer.nonce:
                keeping.kept_by(peer, answer.ids)

    def ask_again(self) -> None:
        """The re-sending period: frames get lost, and so may the bodies that were pushed before the question."""
        for keeping in self._open.values():
            for peer in keeping.nonces:
                missing = keeping.missing(peer)
                for chunk in chunks([keeping.envelopes[name].raw for name in missing], PUSH_BYTES):
                    self._transport.send(peer, EnvelopesFrame(tuple(chunk)))
                if missing:
                    self._transport.send(peer, KeepBodies(keeping.nonces[peer], tuple(missing)))

    # -- the others

    def on_keep(self, peer: int, question: KeepBodies) -> None:
        """Write what is pooled here, synced, and say what is on disk; what is not here is asked for again."""
        if peer not in self._peers():
            return
        found = [e for e in (self._body(name) for name in question.ids) if e is not None]
        kept = self._keep(found) | {name for name in question.ids if name in self._kept}
        if kept:
            self._transport.send(peer, BodiesKept(question.nonce, tuple(n for n in question.ids if n in kept)))

    def _keep(self, envelopes: Sequence[Envelope]) -> set[bytes]:
        bodies = {e.envelope_id: (e.body.valid_until_ms, e.raw) for e in envelopes}
        return self._kept.keep(bodies, self._clock.now_ms())

    def finalised(self, block: FinalBlock) -> None:
        """A block is final: its bodies need no keeping."""
        self._kept.forget(block.envelope_ids)
        for keeping in self._open.values():
            for name in block.envelope_ids:
                keeping.settle(name)


async def pool_again(
    raws: Sequence[bytes],
    submit: Callable[[Sequence[bytes]], Awaitable[object]],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """At start: what this node keeps for clients is pooled again, verified anew, and pushed to the others.

    Goes on when there is room again, as the refusal says; ends when the node does, whose disk still has the rest.
    """
    waiting = list(raws)
    while waiting:
        try:
            await submit(waiting[:POOLED_AT_ONCE])
            del waiting[:POOLED_AT_ONCE]
        except Overloaded as refusal:
            await pause(max(refusal.retry_after_ms, LEAST_PAUSE_MS) / 1_000)
        except Unavailable:
            return
