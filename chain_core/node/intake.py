"""From verified envelopes to proposals: the pool, its bodies, and giving them to those who need them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chain_core.codec.block import MAX_BLOCK_BYTES
from chain_core.codec.seen import decode_seen, seen_key
from chain_core.execution.contract import Lane
from chain_core.execution.executor import Executor
from chain_core.execution.pool import Outcome, TransactionPool
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import EnvelopesFrame, WantEnvelopes
from chain_core.node.block_limits import RecentLimits
from chain_core.node.block_pace import BlockPace
from chain_core.node.block_room import room
from chain_core.node.bodies import Bodies, Wanted
from chain_core.node.forwarding import Forwarding
from chain_core.node.ports import Admission, Origin, Transport
from chain_core.types.block import Batch
from chain_core.types.transaction import Envelope
from chain_core.types.verified import Verified

PUSH_BYTES = 1_000_000
"""About the size of one frame of bodies."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What came of envelopes: an answer each, proposals that now have all their bodies (or too much), new work."""

    answers: list[Admission]
    settled: list[Wanted]
    fresh: list[Envelope]


class Intake:
    """The bodies of one node. ``peers`` are the other validators' indices."""

    def __init__(
        self, store: LedgerStore, executor: Executor, pool: TransactionPool, transport: Transport, peers: Sequence[int]
    ) -> None:
        self.pool = pool
        self.bodies = Bodies(store.logged_body)
        self.forwarding = Forwarding()
        self.pace = BlockPace()
        self._store, self._executor, self._transport = store, executor, transport
        self._peers = tuple(peers)
        self.limits = RecentLimits(store, executor)

    def follow(self, peers: Sequence[int]) -> None:
        """Another epoch has begun: these are the others now, and no proposal is in flight."""
        self._peers = tuple(peers)
        self.bodies.let_go()
        self.pool.release(self.pool.flying())

    @property
    def proposable(self) -> bool:
        """Whether bodies wait that this node could propose."""
        return any(self.pool.waiting(lane) for lane in Lane)

    # -- in

    def admit(self, envelopes: Sequence[Verified[Envelope]], origin: Origin, now_ms: int) -> Admitted:
        """Pool verified envelopes, and push a client's to all peers; a body that a proposal lacked is held for it."""
        admitted = Admitted([], [], [])
        for verified in envelopes:
            envelope = verified.value
            needed, settled = self.bodies.arrived(envelope)
            admitted.settled.extend(settled)
            if needed and origin is Origin.PEER:  # its signatures were checked, its window and account were not
                admitted.answers.append(Admission.ACCEPTED)
                continue
            answer = self._pool(envelope)
            admitted.answers.append(answer)
            if answer is Admission.ACCEPTED and envelope.envelope_id not in self.bodies.pooled:
                self.bodies.pooled[envelope.envelope_id] = envelope
                self.forwarding.arrived(envelope.envelope_id, now_ms)
                admitted.fresh.append(envelope)
        if origin is Origin.CLIENT and admitted.fresh:
            for chunk in chunks([e.raw for e in admitted.fresh], PUSH_BYTES):
                self._transport.broadcast(EnvelopesFrame(tuple(chunk)))
            self.forwarding.give((e.envelope_id for e in admitted.fresh), now_ms)
        return admitted

    def _pool(self, envelope: Envelope) -> Admission:
        body = envelope.body
        raw = self._store.seen(seen_key(body.ledger, body.account, body.nonce))
        if raw is not None:
            same = decode_seen(raw).transaction_id == envelope.transaction_id
            return Admission.ALREADY_FINAL if same else Admission.NONCE_USED
        lane = self._executor.lane_of(body)
        answer = self.pool.add(envelope.envelope_id, lane, len(envelope.raw), body.account, body.valid_until_ms)
        return Admission.POOL_FULL if answer.outcome is Outcome.FULL else Admission.ACCEPTED

    # -- out

    def forward(self, envelope_ids: Iterable[bytes], peers: Sequence[int], now_ms: int) -> None:
        """Give pooled bodies to ``peers``: the primary, or everybody."""
        given = [i for i in envelope_ids if i in self.bodies.pooled]
        for chunk in chunks([self.bodies.pooled[i].raw for i in given], PUSH_BYTES):
            for peer in peers:
                self._transport.send(peer, EnvelopesFrame(tuple(chunk)))
        self.forwarding.give(given, now_ms)

    def serve(self, peer: int, ids: Sequence[bytes]) -> None:
        """Send a peer the bodies that are here, pooled, held or logged: each once, and no more than a block takes."""
        found: list[bytes] = []
        room = MAX_BLOCK_BYTES
        for raw in map(self.bodies.raw, dict.fromkeys(ids)):
            if raw is None:
                continue
            room -= len(raw)
            if room < 0:
                break
            found.append(raw)
        for chunk in chunks(found, PUSH_BYTES):
            self._transport.send(peer, EnvelopesFrame(tuple(chunk)))

    def ask(self) -> None:
        """Ask for the bodies that proposals lack: their sources first, then everybody in turn."""
        for wanted in self.bodies.wanted.values():
            peers = wanted.sources + tuple(p for p in self._peers if p not in wanted.sources)
            peer = peers[wanted.asked % len(peers)]
            wanted.asked += 1
            self._transport.send(peer, WantEnvelopes(tuple(sorted(wanted.missing))))

    # -- proposals

    def build(self, empty: Batch, view: int, *, full: bool = False) -> Batch | None:
        """``empty`` with ids of verified bodies in it, or None when there are none, or (``full``) they would not fill
        it; the bodies are pinned."""
        count, size_bytes = room(self._executor.parameters(self._store))
        count = self.pace.limit(count)
        if full and not self._fills(count, size_bytes):
            return None
        ids = self.pool.take(count, size_bytes)
        if not ids:
            return None
        batch = Batch(empty.ledger, empty.epoch, empty.height, empty.attempt, empty.time_ms, tuple(ids))
        self.bodies.pin(batch, view)
        return batch

    def _fills(self, count: int, size_bytes: int) -> bool:
        """Whether what waits fills a block, by number or (on the pool's average) by bytes."""
        waiting = sum(self.pool.waiting(lane) for lane in Lane)
        return waiting >= count or waiting * self.pool.size_bytes >= size_bytes * max(1, len(self.pool))

    def hold(
        self, batch: Batch, view: int, digest: bytes, sources: tuple[int, ...], *, fresh: bool = True, own: bool = False
    ) -> Wanted:
        """Collect a proposal's bodies; what is missing is asked for. ``fresh``: the chain's limits bind it, else
        those of the format. ``own``: this node leads, and must not propose them again at another height.
        """
        limit = self.limits.size_bytes if fresh else MAX_BLOCK_BYTES
        wanted = self.bodies.want(batch, view, digest, sources, limit)
        if own:
            self.pool.mark_in_flight(batch.envelope_ids)
        if wanted.missing and wanted.fits:
            self.ask()
        return wanted

    def release(self, batch: Batch) -> None:
        """A proposal was lost: what it took from the pool, and no other one has, may be proposed again."""
        self.pool.release(self.bodies.unpin(batch))

    def drop_expired(self, now_ms: int) -> None:
        """Forget bodies whose window has ended."""
        self._drop(self.pool.drop_expired(now_ms))

    def primary_is_late(self, now_ms: int) -> bool:
        """Whether the primary was given a body that any correct one would propose.

        A body that others refuse must depose nobody: what this node's own final state refuses by now is dropped, and
        what clocks may judge differently, close to the ends of its window, does not count.
        """
        parameters = self._executor.parameters(self._store)
        window = parameters["max_window_ms"]
        tolerance = min(parameters["clock_tolerance_ms"], window // 4)
        for envelope_id in self.forwarding.given():
            envelope = self.bodies.pooled.get(envelope_id)
            if envelope is None or not self._orderable(envelope):
                self._drop((envelope_id,))
            elif tolerance < envelope.body.valid_until_ms - now_ms <= window - tolerance:
                return True
        return False

    def _orderable(self, envelope: Envelope) -> bool:
        """Whether its nonce is unused and its keys are known in the final state."""
        body = envelope.body
        if self._store.seen(seen_key(body.ledger, body.account, body.nonce)) is not None:
            return False
        accounts = (body.account, *body.cosigners)
        known = self._executor.known_account
        return all(known(self._store, a, s.public_key) for a, s in zip(accounts, envelope.signers, strict=True))

    def _drop(self, envelope_ids: Sequence[bytes]) -> None:
        self.pool.forget(envelope_ids)
        for envelope_id in envelope_ids:
            self.bodies.pooled.pop(envelope_id, None)
        self.forwarding.gone(envelope_ids)

    def finalised(self, height: int, envelope_ids: tuple[bytes, ...], now_ms: int) -> None:
        """A block is final: its bodies leave."""
        order_timeout_ms = self._executor.parameters(self._store)["order_timeout_ms"]
        self.pace.finalised(height, len(envelope_ids), now_ms, order_timeout_ms)
        self.pool.forget(envelope_ids)
        self.bodies.finalised(height, envelope_ids)
        self.limits.finalised(height)
        self.forwarding.gone(envelope_ids)


def chunks(raws: Sequence[bytes], limit_bytes: int) -> list[list[bytes]]:
    """Split so that no chunk is much over the limit."""
    made: list[list[bytes]] = []
    size = limit_bytes
    for raw in raws:
        if size + len(raw) > limit_bytes:
            made.append([])
            size = 0
        made[-1].append(raw)
        size += len(raw)
    return made
