"""One replica of one ledger: the consensus core, its log, its bodies and its blocks, driven synchronously.

The only place that performs the core's effects. Each public method runs to completion, synced writes included, so that
the same code runs under the asyncio shell and in the simulator; or up to a signature that a signer's process owes
(``parked``), and the shell holds back everything else until it is there. What a method raises ends the node: it must
not go on with half of a step done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chain_core.codec.block import decode_header, encode_certificate
from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.consensus.finality import DIVERGED
from chain_core.consensus.messages import FinalityNotice, Heartbeat, Message
from chain_core.consensus.pbft import Pbft
from chain_core.consensus.state import RecoveredLog
from chain_core.execution.codes import Poisoned
from chain_core.execution.epochs import EpochInfo
from chain_core.execution.executor import Executor
from chain_core.execution.pool import TransactionPool
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import ConsensusFrame, HeldVotes, PrunedFrame, SnapshotPart, SnapshotRequest
from chain_core.node import journal
from chain_core.node.block_builder import BlockBuilder, BuiltBlock
from chain_core.node.block_exchange import BlockExchange
from chain_core.node.bodies import Wanted
from chain_core.node.certified_blocks import fits_its_header
from chain_core.node.epoch_turn import ClosingNotices, config_of, present_epoch, take_place
from chain_core.node.halting import KEY_USED_ELSEWHERE, UNKNOWN_FLAG, Halting
from chain_core.node.intake import Intake
from chain_core.node.outside import perform_outside
from chain_core.node.ports import Admission, FinalBlock, Origin, Ports
from chain_core.node.primary_watch import has_work, watch_primary
from chain_core.node.quiet_start import QuietStart
from chain_core.node.reopening import Witness, judge_order
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer_absence import SignerAbsence
from chain_core.node.signer_questions import Lost, SignerQuestions, held_votes, place_of
from chain_core.node.snapshot_exchange import SnapshotExchange
from chain_core.node.steps import Steps
from chain_core.node.twin_guard import foreign_certificate, foreign_vote
from chain_core.node.vote_keys import Sign, SignerAway
from chain_core.node.voting import Cast, Voter
from chain_core.node.watching import Watchers
from chain_core.types.block import Batch, CertifiedBlock
from chain_core.types.genesis import Genesis
from chain_core.types.reopening import SignedOrder
from chain_core.types.transaction import Envelope
from chain_core.types.verified import Verified


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
        questions: SignerQuestions | None = None,
        *,
        own_keys: Sequence[bytes] = (),
    ) -> None:
        """``own_keys``: under which this node may be a member (``sign`` uses the present one); else ``me``'s."""
        self.genesis, self.genesis_hash, self.sign = genesis, genesis_hash, sign
        self.own_keys: Sequence[bytes] = own_keys or ((genesis.validators.key(me),) if me is not None else ())
        self.store, self.executor, self.pool, self.ports = store, executor, pool, ports
        config = config_of(present_epoch(store, executor), store, executor, genesis_hash, self.own_keys)
        self.me, n = config.me, config.validators.n
        self.peers = tuple(peer for peer in range(n) if peer != self.me)
        self.intake = Intake(store, executor, pool, ports.transport, self.peers)
        self.bodies = self.intake.bodies
        self.builder = BlockBuilder(store, executor, genesis_hash)
        self.snapshots = SnapshotExchange(store, ports.transport, ports.observer.alarm, n, self.me)
        self.exchange = BlockExchange(store, ports.transport, n, self.me, self.snapshots)
        log, signer = journal.recover(store, self.me, genesis_hash, sign, config.epoch)
        self.voter = Voter(signer, store, self.bodies, ports.transport) if signer is not None else None
        self.core = Pbft(replace(config, parameters=self.intake.limits.parameters()), log)
        self.closing = ClosingNotices(store, executor)
        self.on_epoch: list[Callable[[EpochInfo], None]] = []
        """Told when an epoch begins, before anything is sent in it: indices are those of its set from then on."""
        self.quiet = QuietStart(questions, signer, store, self.core, ports) if questions is not None else None
        self.built: BuiltBlock | None = None
        self.witness = Witness(store, ports.observer)
        self.halting = Halting(ports.observer)
        self.watchers = Watchers()
        self.absence = SignerAbsence(self)
        step = lambda event: self.watchers.step(self.core, event, ports.clock.now_ms())  # noqa: E731
        self.steps = Steps(step, self._perform, self._turn_epoch)
        self.inputs = self.steps.inputs
        self._blocks: Sequence[Verified[CertifiedBlock]] = ()

    # -- what the shell calls ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Resume from the log: re-send stored votes, arm the timers; first of all ask for votes that it may lack."""
        self._stop_at_unknown_flag()
        if self.quiet is not None:
            self.quiet.begin()
        self._run(inp.Started())

    def on_message(self, message: Verified[Message]) -> None:
        """A verified consensus message from a peer."""
        if self.voter is not None and (what := foreign_vote(message.value, self.voter.signer)):
            self._found_foreign(Lost(what, *place_of(message.value)))
        if self.witness.refuses(message.value):
            return
        if self.core.state.silent and not isinstance(message.value, FinalityNotice | Heartbeat):
            return  # it is sent again when votes may be cast on it
        if isinstance(message.value, Heartbeat):
            for peer, notice in self.closing.answer(message.value, self.core.state.config):
                self.ports.transport.send(peer, ConsensusFrame(notice))
        self._run(inp.MessageReceived(message))

    def take_order(self, order: SignedOrder) -> None:
        """This node's operator hands in an order to reopen a height. Raises ReopeningRefused."""
        judge_order(order, self.core.state, self.store, self.executor)
        known = self.core.state.slot.order
        if known is None or known.order_hash != order.order_hash:
            self.store.log_write([journal.order_record(order)])
        self._run(inp.OrderTaken(order))

    def on_timer(self, timer: inp.Timer) -> None:
        """A timer ran out. The re-sending one also asks again for what is missing and watches the primary, the ordering
        one first looks whether what it ran for is still the primary's to do.
        """
        now = self.ports.clock.now_ms()
        if timer is inp.Timer.ORDER and not self.intake.primary_is_late(now):
            self.inputs.append(inp.WorkGone())  # the core goes on with a proposal or view change of its own
        if timer is inp.Timer.RESEND:
            if self.absence.look():
                self._speak_if_safe()  # what it had asked at its start may be answered meanwhile
            if self.quiet is not None:
                self.quiet.ask()
            self.closing.period_over()
            self.intake.ask()
            self.snapshots.joiner.tick(now)
            self.exchange.ask_again(now)
            self.intake.drop_expired(now)
            self.inputs.extend(watch_primary(self.core.state, self.intake, self.peers, now))
        self._run(inp.TimerFired(timer))

    def admit(self, envelopes: Sequence[Verified[Envelope]], origin: Origin) -> list[Admission]:
        """Take verified envelopes into the pool and push a client's to all peers."""
        if self.halting.code and origin is Origin.CLIENT:
            return [Admission.NOT_SERVING] * len(envelopes)
        admitted = self.intake.admit(envelopes, origin, self.ports.clock.now_ms())
        for wanted in admitted.settled:
            self._bodies_settled(wanted)
        if admitted.fresh and (origin is Origin.CLIENT or self.core.state.is_primary):
            self.inputs.append(inp.WorkAvailable())
        self.steps.run()
        return admitted.answers

    def wants(self, envelope_id: bytes) -> bool:
        """Whether a proposal lacks this body: then only its signatures decide whether it is taken."""
        return any(envelope_id in wanted.missing for wanted in self.bodies.wanted.values())

    def on_want_envelopes(self, peer: int, ids: Sequence[bytes]) -> None:
        """Serve bodies: the pooled ones, and those of the window."""
        self.intake.serve(peer, ids)

    def on_snapshot(self, peer: int, frame: SnapshotRequest | SnapshotPart | PrunedFrame) -> None:
        """Serve a snapshot, or take a piece of one."""
        self.snapshots.on_frame(peer, frame, self.ports.clock.now_ms())

    def on_want_blocks(self, peer: int, start: int, count: int) -> None:
        """Serve certified blocks."""
        self.exchange.serve(peer, start, count)

    def on_blocks(self, blocks: Sequence[Verified[CertifiedBlock]]) -> None:
        """Certified blocks from a peer: execute, compare with the certified header, commit."""
        for place, block in enumerate(blocks):
            if self.parked:
                self._blocks = blocks[place:]
                return
            certified = (block.value.header, block.value.certificate)
            if self.voter is not None and (what := foreign_certificate(*certified, self.voter.signer)):
                self._found_foreign(Lost(what, decode_header(block.value.header).height))
            if self.witness.denied(*certified) or not self._apply(block.value):
                return
        self.exchange.go_on(self.ports.clock.now_ms())

    # -- what the signer asks at start ---------------------------------------------------------------------------

    def on_want_votes(self, peer: int, nonce: bytes) -> None:
        """A peer starts: say what is held here under its key, whether or not this replica votes itself."""
        if peer in self.peers:
            self.ports.transport.send(peer, held_votes(self.core.state, peer, nonce))

    def awaits(self, peer: int, nonce: bytes) -> bool:
        """Whether this answer was asked for."""
        return self.quiet is not None and self.quiet.questions.awaits(peer, nonce)

    def on_held_votes(self, peer: int, answer: Verified[HeldVotes]) -> None:
        """A peer's answer: with enough of them, and nothing lost, votes are cast from now on."""
        if self.quiet is not None:
            self.quiet.take(peer, answer.value)
            self._speak_if_safe()
            self.steps.run()

    def _speak_if_safe(self) -> None:
        if self.quiet is not None and not self.absence.words and self.quiet.ends():
            self._speak()

    def _speak(self) -> None:
        """Votes may be cast from now on."""
        self.inputs.append(inp.Started(self.quiet.forgotten_view if self.quiet is not None else -1))
        if has_work(self.core.state, self.intake):
            self.inputs.append(inp.WorkAvailable())

    def _found_foreign(self, vote: Lost) -> None:
        """A vote under the own key that this node never logged: its log was lost, or another process has the key."""
        if self.quiet is None or self.absence.words or not self.quiet.expects(vote):
            self._halt(KEY_USED_ELSEWHERE, {"vote": vote.what})

    # -- the loop ------------------------------------------------------------------------------------------------

    def _run(self, event: inp.Input) -> None:
        self.inputs.append(event)
        self.steps.run()

    @property
    def parked(self) -> bool:
        """A signature is awaited: until ``go_on`` nothing but questions may be put to this replica."""
        return self.steps.parked

    def go_on(self) -> None:
        """The signer may have answered: what waits for it is tried again."""
        self.steps.go_on()
        if self._blocks and not self.parked:
            blocks, self._blocks = self._blocks, ()
            self.on_blocks(blocks)

    def _perform(self, effect: fx.Effect) -> None:
        if isinstance(effect, Cast):
            self._cast(effect)
            return
        match effect:
            case fx.BuildBatch():
                epoch = self.core.state.config.epoch
                empty = Batch(self.store.ledger, epoch, effect.height, effect.attempt, self.ports.clock.now_ms(), ())
                batch = self.intake.build(empty, effect.view, full=effect.full)
                self.inputs.append(inp.BatchBuilt(effect.height, effect.view, batch))
            case fx.HoldBodies(batch, view, digest, sources, fresh):
                leads = self.core.state.is_primary
                self.intake.pace.proposed(batch.height, self.ports.clock.now_ms())
                wanted = self.intake.hold(batch, view, digest, sources, fresh=fresh, own=leads)
                if not wanted.missing or not wanted.fits:
                    self._bodies_settled(wanted)
            case fx.Execute():
                self._execute(effect)
            case fx.Finalise():
                self._finalise(effect.header_bytes, encode_certificate(effect.certificate))
            case fx.ReleaseBatch(batch):
                self.intake.release(batch)
            case fx.ForwardPool(peers):
                self.intake.forward(self.intake.forwarding.oldest(), peers, self.ports.clock.now_ms())
            case fx.Accuse(proof):
                self.store.add_equivocation(proof)
            case fx.Halt(code, facts):
                self._halt(code, dict(facts))
            case fx.Resume():
                self._resume()
            case _:
                perform_outside(effect, self.ports, self.exchange)

    # -- votes -----------------------------------------------------------------------------------------------------

    def _cast(self, effect: Cast) -> None:
        if self.voter is None or not self.halting.allows(effect) or self.core.state.silent:
            return
        try:
            own = self.voter.cast(effect)
        except (SigningRefused, SignerAway) as refusal:
            if isinstance(refusal, SignerAway):
                self.absence.begin(refusal)
            else:
                self.ports.observer.alarm(refusal.code, {"what": refusal.what, "where": refusal.where})
            if isinstance(effect, fx.CastPrePrepare):  # nobody saw it: what it took may be proposed by another
                self.intake.release(effect.batch)
            return
        if isinstance(effect, fx.StoreReopening):
            self.witness.closed(effect.reopening)
        if own is not None:
            self.inputs.append(own)

    def _halt(self, code: str, facts: dict[str, str | int]) -> None:
        built = self.built if code == DIVERGED else None
        self.halting.halt(self.core.state, code, facts, built)
        self.built = None if code == DIVERGED else self.built

    def _resume(self) -> None:
        """Diverging execution stopped this replica, and all have agreed how the height goes on."""
        if self.halting.resume(self.core.state):
            self._speak()

    # -- bodies ----------------------------------------------------------------------------------------------------

    def _bodies_settled(self, wanted: Wanted) -> None:
        if wanted.fits:
            self.inputs.append(inp.BodiesHeld(wanted.batch.height, wanted.view, wanted.digest))
        elif wanted.batch.height == self.store.final_height + 1 and wanted.size_bytes > self.intake.limits.size_bytes:
            facts = {"height": wanted.batch.height, "view": wanted.view, "bytes": wanted.size_bytes}
            self.ports.observer.alarm("BAD_PROPOSAL", {**facts})

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _execute(self, asked: fx.Execute) -> None:
        if not self.halting.follows:
            return
        batch, bodies = asked.batch, self.bodies.of(asked.batch)
        try:
            built = self.builder.build(replace(batch, attempt=asked.attempt, skipped=asked.skipped), bodies)
        except Poisoned as poison:
            self.ports.observer.alarm("ENGINE_FAULT", {"height": batch.height, "what": str(poison)})
            self.inputs.append(inp.Faulted(batch.height, asked.attempt, asked.digest, poison.index))
            return
        self.built = built
        self.inputs.append(inp.Executed(batch.height, asked.attempt, asked.digest, built.header_bytes))

    def _apply(self, block: CertifiedBlock) -> bool:
        """Catch-up: True when the block is final here afterwards."""
        header = decode_header(block.header)
        if header.height <= self.store.final_height:
            return True
        if header.height != self.store.final_height + 1 or not self.halting.follows:
            return False
        if not fits_its_header(block, self.store.header(header.height - 1)):
            self.ports.observer.alarm("BAD_BLOCK", {"height": header.height, "batch_time_ms": block.batch.time_ms})
            return False
        built = self.halting.divergence.execute(block, self.built, self.builder, self.bodies.pooled)
        if isinstance(built, str):
            self.built = None
            if built:
                self._halt(DIVERGED, {"height": header.height, "reason": built, "keys": self.halting.divergence.keys})
            return False
        self.built = built
        self._finalise(block.header, encode_certificate(block.certificate))
        self.steps.run()
        return True

    def _finalise(self, header_bytes: bytes, certificate_bytes: bytes) -> None:
        built = self.built
        if built is None or built.header_bytes != header_bytes:
            raise ValueError("the block to finalise was not built here")
        self.store.commit_block(built.record(certificate_bytes))
        self.built = None
        ids = built.batch.envelope_ids
        self.intake.finalised(built.batch.height, ids, self.ports.clock.now_ms())
        if self.voter is not None:
            self.voter.signer.prune(built.batch.height)
        self.core.set_parameters(self.intake.limits.parameters())
        self._stop_at_unknown_flag()
        self.inputs.append(inp.Finalised(header_bytes, certificate_bytes))
        self._speak_if_safe()
        if has_work(self.core.state, self.intake):
            self.inputs.append(inp.WorkAvailable())
        self.snapshots.server.finalised(built.batch.height)
        self.ports.observer.finalised(
            FinalBlock(built.batch.height, header_bytes, certificate_bytes, ids, built.result.receipts)
        )

    def _turn_epoch(self, event: inp.Input) -> None:
        """After a block: the next epoch begins when the last height of this one is final, or becomes known."""
        if not isinstance(event, inp.Finalised):
            return
        info, config = present_epoch(self.store, self.executor), self.core.state.config
        if info.epoch == config.epoch:
            barrier = self.executor.barrier(self.store)
            if barrier is not None and barrier > info.start and barrier != config.barrier:
                self.inputs.append(inp.BarrierSet(barrier))
            return
        old, config = self.core.state, config_of(info, self.store, self.executor, self.genesis_hash, self.own_keys)
        self.inputs.clear()  # what the driver owed to the instance that is over
        self.core = Pbft(config, RecoveredLog(old.final_header, old.final_certificate))
        self.core.state.halted, self.core.state.silent = old.halted, old.silent
        take_place(self, config)
        for tell in self.on_epoch:
            tell(info)
        if self.quiet is not None:
            self.quiet.ask()  # under the indices of now
        self.inputs.append(inp.Started())
        if has_work(self.core.state, self.intake):
            self.inputs.append(inp.WorkAvailable())

    def _stop_at_unknown_flag(self) -> None:
        """A height that runs under a rule this build does not know is neither voted on nor executed."""
        unknown = self.executor.unknown_flags(self.store, self.store.final_height + 1)
        if unknown:
            self._halt(UNKNOWN_FLAG, {"height": self.store.final_height + 1, "flags": ", ".join(unknown)})
