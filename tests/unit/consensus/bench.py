"""A bench for the pure core: messages made by hand, and a driver in memory that answers the core's effects.

Signatures are fakes: the core only ever sees what ingress verified. The header of a batch follows from the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chain_core.codec.block import (
    batch_digest,
    decode_header,
    encode_batch,
    encode_certificate,
    encode_header,
    header_hash,
)
from chain_core.codec.reopening import cast_of, encode_statement, new_order
from chain_core.codec.votes import encode_new_view, encode_view_change, encode_vote
from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.consensus.messages import Message, PrePrepare
from chain_core.consensus.pbft import Pbft
from chain_core.consensus.state import ConsensusParameters, RecoveredLog, RecoveredSlot, ReplicaConfig
from chain_core.crypto.hashing import sm3
from chain_core.types.block import (
    Batch,
    Certificate,
    Header,
    HeaderVote,
    NewView,
    Phase,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
    Vote,
)
from chain_core.types.ids import ZERO_HASH
from chain_core.types.reopening import AttemptStatement, Reopening, ReopenOrder, SignedOrder, SignedStatement
from chain_core.types.validator_set import Validator, ValidatorSet, quorum
from chain_core.types.verified import Verified

GENESIS_HASH = sm3(b"genesis of the bench")
NOW_MS = 1_790_000_000_000
PARAMETERS = ConsensusParameters(2_000, 8_000, 500, 5_000, 100, 1, 0)


def validators(n: int) -> ValidatorSet:
    return ValidatorSet(
        tuple(Validator(f"v{i}", f"entity {i}", bytes([i]) * 64, bytes([100 + i]) * 64) for i in range(n))
    )


def _place_of(header: bytes) -> tuple[int, int]:
    decoded = decode_header(header)
    return decoded.height, decoded.attempt


def header_of(height: int, batch: Batch | None = None, salt: bytes = b"", attempt: int = 0) -> bytes:
    """The header that a batch leads to here; ``salt`` makes another execution's result."""
    content = sm3(salt + (encode_batch(batch) if batch is not None else b""))
    header = Header(
        *(GENESIS_HASH, 0, 0, height, attempt, NOW_MS + height, ZERO_HASH, ZERO_HASH, height),
        *(ZERO_HASH, 0, ZERO_HASH, 0, ZERO_HASH, 0, content, ZERO_HASH, ZERO_HASH, ZERO_HASH, ZERO_HASH),
    )
    return encode_header(header)


GENESIS_HEADER = header_of(0)


def batch(height: int, *names: str, time_ms: int = NOW_MS) -> Batch:
    return Batch(0, 0, height, 0, time_ms, tuple(sm3(name.encode()) for name in names or ("a",)))


def digest_of(proposed: Batch) -> bytes:
    return batch_digest(encode_batch(proposed))


def signature(signer: int) -> bytes:
    return bytes([signer]) * 64


def signed_vote(vote: Vote) -> SignedVote:
    return SignedVote(vote, encode_vote(vote), signature(vote.signer))


def vote(phase: Phase, signer: int, proposed: Batch, view: int = 0) -> SignedVote:
    return signed_vote(Vote(phase, 0, 0, proposed.height, view, 0, digest_of(proposed), signer))


def pre_prepare(proposed: Batch, view: int = 0, n: int = 4) -> PrePrepare:
    return PrePrepare(vote(Phase.PRE_PREPARE, view % n, proposed, view), proposed)


def prepare(signer: int, proposed: Batch, view: int = 0) -> SignedVote:
    return vote(Phase.PREPARE, signer, proposed, view)


def commit(signer: int, proposed: Batch, view: int = 0) -> SignedVote:
    return vote(Phase.COMMIT, signer, proposed, view)


def changed(original: SignedVote, **fields: object) -> SignedVote:
    """The same vote with other fields."""
    return signed_vote(replace(original.vote, **fields))  # type: ignore[arg-type]


def prepared(proposed: Batch, view: int = 0, n: int = 4) -> PreparedCertificate:
    primary = view % n
    others = [i for i in range(n) if i != primary][: quorum(n) - 1]
    first = vote(Phase.PRE_PREPARE, primary, proposed, view)
    return PreparedCertificate(proposed, first, tuple(prepare(i, proposed, view) for i in others))


def header_vote(signer: int, header: bytes) -> HeaderVote:
    return HeaderVote(decode_header(header), header, header_hash(header), signer, signature(signer))


def reopen_order(height: int = 1, attempt: int = 0, reason: str = "a faulty build") -> SignedOrder:
    return new_order(ReopenOrder(0, 0, height, attempt, reason))


def statement(signer: int, order: SignedOrder, cast: HeaderVote | SignedVote | None = None) -> SignedStatement:
    """What a signer states to have cast at the order's attempt; a liar may state anything."""
    o = order.order
    said = AttemptStatement(order.order_hash, o.ledger, o.epoch, o.height, o.attempt, signer, *cast_of(cast))
    return SignedStatement(said, encode_statement(said), cast, signature(signer))


def certificate(header: bytes, signers: Iterable[int] = (0, 1, 2)) -> Certificate:
    return Certificate(header_hash(header), tuple((i, signature(i)) for i in signers))


def view_change(
    signer: int, new_view: int, *shown: PreparedCertificate, final: bytes = GENESIS_HEADER
) -> SignedViewChange:
    proof = certificate(final) if decode_header(final).height else None
    message = ViewChange(0, 0, new_view, signer, final, proof, shown)
    return SignedViewChange(message, encode_view_change(message), signature(signer))


def new_view(view: int, changes: Sequence[SignedViewChange], *re_proposed: Batch, n: int = 4) -> SignedNewView:
    votes = tuple(vote(Phase.PRE_PREPARE, view % n, b, view) for b in re_proposed)
    return sign_new_view(NewView(0, 0, view, view % n, tuple(changes), votes))


def sign_new_view(message: NewView) -> SignedNewView:
    return SignedNewView(message, encode_new_view(message), signature(message.signer))


@dataclass(slots=True)
class Memory:
    """What the driver logged, as ``node/journal.py`` would read it back."""

    final_header: bytes = GENESIS_HEADER
    final_certificate: Certificate | None = None
    accepted: dict[tuple[int, int], PrePrepare] = field(default_factory=dict)
    """By height and view."""
    votes: list[SignedVote] = field(default_factory=list)
    prepared: dict[int, PreparedCertificate] = field(default_factory=dict)
    headers: dict[tuple[int, int], HeaderVote] = field(default_factory=dict)
    """By height and attempt."""
    skips: list[SignedVote] = field(default_factory=list)
    skip_proofs: list[tuple[SignedVote, ...]] = field(default_factory=list)
    reopenings: list[Reopening] = field(default_factory=list)
    order: SignedOrder | None = None
    statement: SignedStatement | None = None
    view_change: SignedViewChange | None = None
    new_view: SignedNewView | None = None

    def recovered(self) -> RecoveredLog:
        asked = self.view_change.message.new_view if self.view_change else 0
        entered = self.new_view.message.view if self.new_view else 0
        view = max([asked, entered, *(v for _, v in self.accepted), *(v.vote.view for v in self.votes)])
        heights = (
            {h for h, _ in self.accepted}
            | {v.vote.height for v in self.votes}
            | {*self.prepared, *(h for h, _ in self.headers)}
            | ({self.order.order.height} if self.order is not None else set())
        )
        return RecoveredLog(
            self.final_header,
            self.final_certificate,
            view,
            self.view_change if asked > entered else None,
            self.new_view,
            tuple(self._slot(height, view) for height in sorted(heights)),
        )

    def _slot(self, height: int, view: int) -> RecoveredSlot:
        votes = [v for v in self.votes if v.vote.height == height]
        latest = {v.vote.phase: v for v in sorted(votes, key=lambda v: v.vote.view)}
        return RecoveredSlot(
            height,
            self.accepted.get((height, view)),
            self.prepared.get(height),
            latest.get(Phase.PREPARE),
            latest.get(Phase.COMMIT),
            tuple(v for (h, _), v in sorted(self.headers.items()) if h == height),
            tuple(v for v in self.skips if v.vote.height == height),
            tuple(p for p in self.skip_proofs if p[0].vote.height == height),
            tuple(r for r in self.reopenings if r.order.order.height == height),
            self.order if self.order and self.order.order.height == height else None,
            self.statement if self.statement and self.statement.statement.height == height else None,
        )

    def finalised(self, header: bytes, proof: Certificate) -> None:
        self.final_header, self.final_certificate = header, proof
        height = decode_header(header).height
        self.accepted = {place: a for place, a in self.accepted.items() if place[0] > height}
        self.votes = [v for v in self.votes if v.vote.height > height]
        self.prepared = {h: p for h, p in self.prepared.items() if h > height}
        self.headers = {place: v for place, v in self.headers.items() if place[0] > height}


class Bench:
    """One core with a driver that obeys: signs, logs, holds bodies unless told not to, executes, finalises."""

    def __init__(
        self, me: int | None, n: int = 4, memory: Memory | None = None, parameters: ConsensusParameters = PARAMETERS
    ) -> None:
        self.me, self.n = me, n
        self.memory = memory or Memory()
        self.now_ms = NOW_MS
        self.pool: list[str] = []
        self.salt = b""
        self.poison: set[int] = set()
        """Indices whose execution breaks the engine here."""
        self.lacks: set[bytes] = set()
        """Digests whose bodies are not here."""
        self.sent: list[Message] = []
        self.posted: list[tuple[int | None, Message]] = []
        """What was sent, with the receiver; None: to all."""
        config = ReplicaConfig(validators(n), me, 0, 0, GENESIS_HASH, parameters)
        self.core = Pbft(config, self.memory.recovered())
        self._inputs: deque[inp.Input] = deque()

    def restart(self) -> Bench:
        """Another core over what this one's driver logged."""
        return Bench(self.me, self.n, self.memory, self.core.state.config.parameters)

    def do(self, *events: inp.Input) -> list[fx.Effect]:
        """Give inputs, let the driver answer until it is quiet; all effects in order."""
        self._inputs.extend(events)
        effects: list[fx.Effect] = []
        while self._inputs:
            for effect in self.core.step(self._inputs.popleft(), self.now_ms):
                effects.append(effect)
                self._perform(effect)
        return effects

    def hear(self, *messages: Message) -> list[fx.Effect]:
        """Verified messages arrive."""
        return self.do(*(inp.MessageReceived(Verified(message)) for message in messages))

    def bodies_arrive(self, proposed: Batch) -> list[fx.Effect]:
        self.lacks.discard(digest_of(proposed))
        return self.do(inp.BodiesHeld(proposed.height, self.core.state.view, digest_of(proposed)))

    def block_arrives(self, proposed: Batch, signers: Iterable[int] = (0, 1, 2)) -> list[fx.Effect]:
        """Catch-up: a peer's certified block was executed and is on disk."""
        header = header_of(proposed.height, proposed)
        proof = certificate(header, signers)
        self.memory.finalised(header, proof)
        return self.do(inp.Finalised(header, encode_certificate(proof)))

    def ordered(self, order: SignedOrder) -> list[fx.Effect]:
        """The operator handed in an order, and the driver took it."""
        self.memory.order = order
        return self.do(inp.OrderTaken(order))

    def fire(self, timer: inp.Timer) -> list[fx.Effect]:
        return self.do(inp.TimerFired(timer))

    def work(self, *names: str) -> list[fx.Effect]:
        self.pool.extend(names)
        return self.do(inp.WorkAvailable())

    # -- the driver

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.BuildBatch():
                full = self.core.state.config.parameters.max_block_transactions
                count = 0 if effect.full and len(self.pool) < full else full
                taken, self.pool = self.pool[:count], self.pool[count:]
                made = batch(effect.height, *taken, time_ms=self.now_ms) if taken else None
                self._inputs.append(inp.BatchBuilt(effect.height, effect.view, made))
            case fx.HoldBodies():
                if effect.digest not in self.lacks:
                    self._inputs.append(inp.BodiesHeld(effect.batch.height, effect.view, effect.digest))
            case fx.Execute(proposed, digest, attempt, skipped):
                poison = next((i for i in sorted(self.poison) if i not in skipped), None)
                if poison is not None:
                    self._inputs.append(inp.Faulted(proposed.height, attempt, digest, poison))
                else:
                    header = header_of(proposed.height, proposed, self.salt, attempt)
                    self._inputs.append(inp.Executed(proposed.height, attempt, digest, header))
            case fx.Finalise(header, proof):
                self.memory.finalised(header, proof)
                self._inputs.append(inp.Finalised(header, encode_certificate(proof)))
            case fx.Broadcast(message) | fx.SendTo(_, message):
                self._post(getattr(effect, "peer", None), message)
            case _:
                self._cast(effect)

    def _cast(self, effect: fx.Effect) -> None:
        memory, own = self.memory, None
        match effect:
            case fx.CastPrePrepare(asked, proposed):
                own = inp.OwnPrePrepare(PrePrepare(signed_vote(asked), proposed))
                memory.accepted[asked.height, asked.view] = own.message
                self._post(None, own.message)
            case fx.CastPrepare(asked, accepted):
                memory.accepted[asked.height, asked.view] = accepted
                own = self._own_vote(asked)
            case fx.CastCommit(asked, proof):
                memory.prepared[asked.height] = proof
                own = self._own_vote(asked)
            case fx.CastHeaderVote(header) if self.me is not None:
                made = memory.headers[_place_of(header)] = header_vote(self.me, header)
                own = inp.OwnHeaderVote(made)
                self._post(None, made)
            case fx.CastViewChange(message):
                memory.view_change = SignedViewChange(message, encode_view_change(message), signature(message.signer))
                own = inp.OwnViewChange(memory.view_change)
                self._post(None, memory.view_change)
            case fx.CastNewView(message, re_proposals):
                votes = tuple(signed_vote(v) for v, _ in re_proposals)
                memory.new_view = sign_new_view(replace(message, pre_prepares=votes))
                own = inp.OwnNewView(memory.new_view)
                self._post(None, memory.new_view)
            case fx.StoreNewView(entered):
                memory.new_view = entered
            case fx.CastSkip(asked):
                made = signed_vote(asked)
                memory.skips.append(made)
                self._post(None, made)
                own = inp.OwnVote(made)
            case fx.StoreSkips(votes):
                memory.skip_proofs.append(votes)
            case fx.CastStatement(order) if self.me is not None:
                place = order.order.height, order.order.attempt
                skips = [v for v in memory.skips if (v.vote.height, v.vote.attempt) == place]
                memory.statement = statement(self.me, order, memory.headers.get(place) or (skips[0] if skips else None))
                self._post(None, memory.statement)
                own = inp.OwnStatement(memory.statement)
            case fx.StoreReopening(reopening):
                memory.reopenings.append(reopening)
            case fx.Resume():
                self.core.state.halted = False
                self._inputs.append(inp.Started())
            case _:
                pass
        if own is not None:
            self._inputs.append(own)

    def _post(self, to: int | None, message: Message) -> None:
        self.sent.append(message)
        self.posted.append((to, message))

    def _own_vote(self, asked: Vote) -> inp.OwnVote:
        made = signed_vote(asked)
        self.memory.votes.append(made)
        self._post(None, made)
        return inp.OwnVote(made)


def kinds(effects: Iterable[fx.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def alarms(effects: Iterable[fx.Effect]) -> list[str]:
    return [effect.code for effect in effects if isinstance(effect, fx.Alarm)]


def of_kind(effects: Iterable[fx.Effect], kind: type[fx.Effect]) -> list[fx.Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def block_final(bench: Bench, proposed: Batch, signers: Sequence[int] = (0, 1, 2, 3)) -> None:
    """The others order and finalise ``proposed`` with this replica in view 0."""
    others = [i for i in signers if i != bench.me]
    if bench.me != 0:
        bench.hear(pre_prepare(proposed))
    bench.hear(*(prepare(i, proposed) for i in others if i != 0))
    bench.hear(*(commit(i, proposed) for i in others))
    bench.hear(*(header_vote(i, header_of(proposed.height, proposed)) for i in others))
