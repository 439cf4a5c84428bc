"""One replica of one ledger: the consensus core, its log, its bodies and its blocks, driven synchronously.

The only place that performs the core's effects. Each public method runs to completion, synced writes included, so that
the same code runs under the asyncio shell and in the simulator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from chain_core.codec.block import decode_header, encode_certificate
from chain_core.codec.seen import decode_seen, seen_key
from chain_core.codec.transaction import decode_envelope
from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.consensus.messages import Message
from chain_core.consensus.pbft import Pbft
from chain_core.consensus.state import ConsensusParameters, ReplicaConfig
from chain_core.execution.executor import Executor
from chain_core.execution.pool import Admission as PoolAdmission
from chain_core.execution.pool import TransactionPool
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import ConsensusFrame, EnvelopesFrame, WantEnvelopes
from chain_core.node import journal
from chain_core.node.block_builder import BlockBuilder, BuiltBlock
from chain_core.node.block_exchange import BlockExchange
from chain_core.node.bodies import Bodies
from chain_core.node.ports import Admission, Clock, FinalBlock, Observer, Origin, Timers, Transport
from chain_core.node.safe_signer import Sign, SigningRefused
from chain_core.node.twin_guard import foreign_vote
from chain_core.node.voting import Cast, Voter
from chain_core.types.block import Batch, CertifiedBlock
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Envelope
from chain_core.types.verified import Verified

Outside: TypeAlias = fx.Broadcast | fx.SendTo | fx.FetchBlocks | fx.SendBlocks | fx.SetTimer | fx.CancelTimer | fx.Alarm

FORWARD_LIMIT = 512
PUSH_BYTES = 1_000_000
BLOCK_HEADROOM_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Ports:
    """The world outside."""

    transport: Transport
    clock: Clock
    timers: Timers
    observer: Observer


class Replica:
    """Runs consensus for the validator ``me`` (None: an observer that follows)."""

    def __init__(
        self,
        genesis: Genesis,
        genesis_hash: bytes,
        me: int | None,
        sign: Sign,
        store: LedgerStore,
        executor: Executor,
        pool: TransactionPool,
        ports: Ports,
    ) -> None:
        self.genesis, self.genesis_hash, self.me = genesis, genesis_hash, me
        self.store, self.executor, self.pool, self.ports = store, executor, pool, ports
        self.bodies = Bodies()
        self.builder = BlockBuilder(store, executor, genesis_hash, genesis.validators)
        self.exchange = BlockExchange(store, ports.transport, genesis.validators.n, me)
        log, signer = journal.recover(store, me, genesis_hash, sign)
        self.voter = Voter(signer, store, self.bodies, ports.transport) if signer is not None else None
        parameters = ConsensusParameters.from_chain(executor.parameters(store))
        config = ReplicaConfig(genesis.validators, me, 0, 0, genesis_hash, parameters)
        for envelope_id, raw in store.logged_bodies():
            self.bodies.held[envelope_id] = decode_envelope(raw)
        self.core = Pbft(config, log)
        self.built: BuiltBlock | None = None
        self.halted: str = ""
        self._inputs: deque[inp.Input] = deque()
        self._forwarded: set[bytes] = set()
        self._running = False

    # -- what the shell calls ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Resume from the log: re-send stored votes, arm the timers."""
        self._run(inp.Started())

    def on_message(self, message: Verified[Message]) -> None:
        """A verified consensus message from a peer."""
        if self._key_used_elsewhere(message.value):
            return
        self._run(inp.MessageReceived(message))

    def on_timer(self, timer: inp.Timer) -> None:
        """A timer ran out. The re-sending one also asks again for what is missing."""
        if timer is inp.Timer.RESEND:
            self._ask_again()
            self.pool.drop_expired(self.ports.clock.now_ms(), self.bodies.pooled.pop)
            self._forward_unforwarded()
        self._run(inp.TimerFired(timer))

    def admit(self, envelopes: Sequence[Verified[Envelope]], origin: Origin) -> list[Admission]:
        """Take verified envelopes into the pool and push a client's to all peers."""
        answers, fresh = [], []
        completed = []
        for verified in envelopes:
            envelope = verified.value
            completed.extend(self.bodies.arrived(envelope))
            answer = self._admit_one(envelope)
            answers.append(answer)
            if answer is Admission.ACCEPTED and envelope.envelope_id not in self.bodies.pooled:
                self.bodies.pooled[envelope.envelope_id] = envelope
                fresh.append(envelope)
        if origin is Origin.CLIENT and fresh:
            self._push(fresh)
            self._forwarded.update(e.envelope_id for e in fresh)
        for wanted in completed:
            self._inputs.append(inp.BodiesHeld(wanted.batch.height, wanted.view, wanted.digest))
        if fresh and (origin is Origin.CLIENT or self.core.state.is_primary):
            self._inputs.append(inp.WorkAvailable())
        self._drain()
        return answers

    def on_want_envelopes(self, peer: int, ids: Sequence[bytes]) -> None:
        """Serve bodies: the pooled ones, and those of the window."""
        found = [e.raw for e in map(self.bodies.get, ids) if e is not None]
        for chunk in _chunks(found, PUSH_BYTES):
            self.ports.transport.send(peer, EnvelopesFrame(tuple(chunk)))

    def on_want_blocks(self, peer: int, start: int, count: int) -> None:
        """Serve certified blocks."""
        self.exchange.serve(peer, start, count)

    def on_blocks(self, blocks: Sequence[Verified[CertifiedBlock]]) -> None:
        """Certified blocks from a peer: execute, compare with the certified header, commit."""
        for block in blocks:
            if not self._apply(block.value):
                return
        self.exchange.go_on(self.ports.clock.now_ms())

    # -- the loop ------------------------------------------------------------------------------------------------

    def _run(self, event: inp.Input) -> None:
        self._inputs.append(event)
        self._drain()

    def _drain(self) -> None:
        if self._running:
            return
        self._running = True
        try:
            while self._inputs:
                event = self._inputs.popleft()
                for effect in self.core.step(event, self.ports.clock.now_ms()):
                    self._perform(effect)
        finally:
            self._running = False

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case (
                fx.CastPrePrepare()
                | fx.CastPrepare()
                | fx.CastCommit()
                | fx.CastHeaderVote()
                | fx.CastViewChange()
                | fx.CastNewView()
                | fx.StoreNewView()
            ):
                self._cast(effect)
            case fx.BuildBatch():
                self._inputs.append(inp.BatchBuilt(effect.height, effect.view, self._build_batch(effect)))
            case fx.HoldBodies():
                self._hold(effect)
            case fx.Execute(batch, digest):
                self._execute(batch, digest)
            case fx.Finalise():
                self._finalise(effect.header_bytes, encode_certificate(effect.certificate))
            case fx.ReleaseBatch(batch):
                self.pool.release(batch.envelope_ids)
            case fx.ForwardPool(peers):
                self._forward(peers)
            case fx.Halt(code, facts):
                self._halt(code, dict(facts))
            case _:
                self._perform_outside(effect)

    def _perform_outside(self, effect: Outside) -> None:
        """Effects that only touch the world outside."""
        match effect:
            case fx.Broadcast(message):
                self.ports.transport.broadcast(ConsensusFrame(message))
            case fx.SendTo(peer, message):
                self.ports.transport.send(peer, ConsensusFrame(message))
            case fx.FetchBlocks(start, end, sources):
                self.exchange.fetch(start, end, sources, self.ports.clock.now_ms())
            case fx.SendBlocks(peer, start):
                self.exchange.serve(peer, start, 16)
            case fx.SetTimer(timer, after_ms):
                self.ports.timers.set(timer, after_ms)
            case fx.CancelTimer(timer):
                self.ports.timers.cancel(timer)
            case fx.Alarm(code, facts):
                self.ports.observer.alarm(code, dict(facts))
            case _:
                assert_never(effect)

    # -- votes -----------------------------------------------------------------------------------------------------

    def _cast(self, effect: Cast) -> None:
        if self.voter is None or self.halted:
            return
        try:
            own = self.voter.cast(effect)
        except SigningRefused as refusal:
            self.ports.observer.alarm(refusal.code, {"what": refusal.what, "where": refusal.where})
            return
        if own is not None:
            self._inputs.append(own)

    def _key_used_elsewhere(self, message: Message) -> bool:
        """A vote under the own key that this node never logged: another process has the key, or this disk is old."""
        if self.voter is None or self.me is None:
            return False
        foreign = foreign_vote(message, self.me, self.voter.signer, self.store.final_height)
        if foreign:
            self._halt("KEY_USED_ELSEWHERE", {"vote": foreign})
        return bool(foreign)

    def _halt(self, code: str, facts: dict[str, str | int]) -> None:
        if not self.halted:
            self.halted = code
            self.core.state.halted = True
            self.ports.observer.halted(code, facts)

    # -- bodies ----------------------------------------------------------------------------------------------------

    def _admit_one(self, envelope: Envelope) -> Admission:
        body = envelope.body
        raw = self.store.seen(seen_key(body.ledger, body.account, body.nonce))
        if raw is not None:
            first = decode_seen(raw)
            return Admission.ALREADY_FINAL if first.transaction_id == envelope.transaction_id else Admission.NONCE_USED
        answer = self.pool.add(
            envelope.envelope_id,
            self.executor.lane_of(body),
            len(envelope.raw),
            body.account,
            body.valid_until_ms,
        )
        return Admission.POOL_FULL if answer is PoolAdmission.FULL else Admission.ACCEPTED

    def _push(self, envelopes: Sequence[Envelope]) -> None:
        for chunk in _chunks([e.raw for e in envelopes], PUSH_BYTES):
            self.ports.transport.broadcast(EnvelopesFrame(tuple(chunk)))

    def _forward(self, peers: tuple[int, ...]) -> None:
        ids = self.pool.oldest(FORWARD_LIMIT)
        raws = [self.bodies.pooled[i].raw for i in ids if i in self.bodies.pooled]
        for chunk in _chunks(raws, PUSH_BYTES):
            for peer in peers:
                self.ports.transport.send(peer, EnvelopesFrame(tuple(chunk)))
        self._forwarded.update(ids)

    def _forward_unforwarded(self) -> None:
        """A body pushed by a peer and not final a period later: make sure the primary has it, then count it."""
        state = self.core.state
        if self.me is None or state.is_primary or state.work or not self.pool.oldest(1):
            return
        self._forward((state.config.validators.primary(state.view),))
        self._inputs.append(inp.WorkAvailable())

    def _build_batch(self, effect: fx.BuildBatch) -> Batch | None:
        parameters = self.executor.parameters(self.store)
        ids = self.pool.take(parameters["max_block_transactions"], parameters["max_block_bytes"] - BLOCK_HEADROOM_BYTES)
        if not ids:
            return None
        batch = Batch(0, 0, effect.height, effect.attempt, self.ports.clock.now_ms(), tuple(ids))
        self.bodies.pin(batch)
        return batch

    def _hold(self, effect: fx.HoldBodies) -> None:
        wanted = self.bodies.want(effect.batch, effect.view, effect.digest, effect.sources)
        if not wanted.missing:
            self._inputs.append(inp.BodiesHeld(effect.batch.height, effect.view, effect.digest))
        else:
            self._ask_bodies()

    def _ask_bodies(self) -> None:
        for wanted in self.bodies.wanted.values():
            peers = [p for p in wanted.sources if p != self.me]
            peers += [p for p in range(self.genesis.validators.n) if p != self.me and p not in peers]
            peer = peers[wanted.asked % len(peers)]
            wanted.asked += 1
            self.ports.transport.send(peer, WantEnvelopes(tuple(sorted(wanted.missing))))

    def _ask_again(self) -> None:
        self._ask_bodies()
        self.exchange.ask_again(self.ports.clock.now_ms())

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _execute(self, batch: Batch, digest: bytes) -> None:
        built = self.builder.build(batch, self.bodies.of(batch))
        self.built = built
        self._inputs.append(inp.Executed(batch.height, batch.attempt, digest, built.header_bytes))

    def _apply(self, block: CertifiedBlock) -> bool:
        """Catch-up: True when the block is final here afterwards."""
        height = decode_header(block.header).height
        if height <= self.store.final_height:
            return True
        if height != self.store.final_height + 1 or self.halted:
            return False
        built = self.built
        if built is None or built.header_bytes != block.header:
            built = self.builder.build(block.batch, tuple(decode_envelope(raw) for raw in block.envelopes))
        if built.header_bytes != block.header:
            self._halt("EXECUTION_DIVERGED", {"height": height, "reason": "certified block executes otherwise"})
            return False
        self.built = built
        self._finalise(block.header, encode_certificate(block.certificate))
        self._drain()
        return True

    def _finalise(self, header_bytes: bytes, certificate_bytes: bytes) -> None:
        built = self.built
        if built is None or built.header_bytes != header_bytes:
            raise ValueError("the block to finalise was not built here")
        self.store.commit_block(built.record(certificate_bytes))
        self.built = None
        ids = built.batch.envelope_ids
        self.pool.forget(ids)
        self.bodies.finalised(ids)
        self._forwarded.difference_update(ids)
        if self.voter is not None:
            self.voter.signer.prune(built.batch.height)
        self._adopt_parameters()
        self._inputs.append(inp.Finalised(header_bytes, certificate_bytes))
        if self._has_work():
            self._inputs.append(inp.WorkAvailable())
        self.ports.observer.finalised(
            FinalBlock(built.batch.height, header_bytes, certificate_bytes, ids, built.result.receipts)
        )

    def _has_work(self) -> bool:
        """The primary proposes whatever is pooled; a backup's timer counts only what the primary was given."""
        if self.core.state.is_primary:
            return bool(self.pool.oldest(1))
        return any(i in self._forwarded for i in self.pool.oldest(FORWARD_LIMIT))

    def _adopt_parameters(self) -> None:
        parameters = ConsensusParameters.from_chain(self.executor.parameters(self.store))
        if parameters != self.core.state.config.parameters:
            self.core.set_parameters(parameters)


def _chunks(raws: Sequence[bytes], limit_bytes: int) -> list[list[bytes]]:
    """Split so that no chunk is much over the limit."""
    chunks: list[list[bytes]] = []
    size = limit_bytes
    for raw in raws:
        if size + len(raw) > limit_bytes:
            chunks.append([])
            size = 0
        chunks[-1].append(raw)
        size += len(raw)
    return chunks
