"""What Byzantine members do: the production replica with what it says altered, and messages made up with its key."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from chain_core.codec import signed
from chain_core.codec.block import (
    batch_digest,
    decode_header,
    encode_batch,
    encode_header,
    header_hash,
    header_message,
)
from chain_core.codec.votes import encode_new_view, encode_view_change, encode_vote
from chain_core.consensus.messages import CommitProof, Heartbeat, Message, PrePrepare
from chain_core.execution.contract import Lane
from chain_core.execution.pool import KNOWN, Admission
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import ConsensusFrame, EnvelopesFrame, Frame
from chain_core.node.replica import Replica
from chain_core.types.block import (
    Batch,
    HeaderVote,
    NewView,
    Phase,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
    Vote,
)
from tests.simulation.chain import CLIENTS, account_of, private_key

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

Outgoing = list[tuple[int, Frame]]
FAR = 1 << 40


def sign_vote(node: SimNode, vote: Vote) -> SignedVote:
    body = encode_vote(vote)
    return SignedVote(vote, body, node.world.chain.sign(f"v{node.index}", signed.VOTE, body))


def sign_view_change(node: SimNode, message: ViewChange) -> SignedViewChange:
    body = encode_view_change(message)
    return SignedViewChange(message, body, node.world.chain.sign(f"v{node.index}", signed.VIEW_CHANGE, body))


def sign_new_view(node: SimNode, message: NewView) -> SignedNewView:
    body = encode_new_view(message)
    return SignedNewView(message, body, node.world.chain.sign(f"v{node.index}", signed.NEW_VIEW, body))


def propose(node: SimNode, vote: Vote, batch: Batch) -> PrePrepare:
    """A PRE-PREPARE like ``vote`` for another batch."""
    return PrePrepare(sign_vote(node, replace(vote, digest=batch_digest(encode_batch(batch)))), batch)


class Strategy:
    """Does nothing wrong. ``half`` are the peers that are told one story, the others hear another one."""

    def __init__(self, random: Random, n: int) -> None:
        self.random = random
        self.half = {peer for peer in range(n) if random.random() < 0.5}

    def alter(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        """What leaves instead of a frame."""
        if not isinstance(frame, ConsensusFrame):
            return self.alter_other(node, to, frame)
        return [(to, ConsensusFrame(message)) for message in self.say(node, to, frame.message)]

    def alter_other(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        return [(to, frame)]

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        """What is said instead of a consensus message."""
        return [message]

    def booted(self, replica: Replica) -> None:
        """The replica is built and about to start."""

    def hear(self, node: SimNode, sender: int, data: bytes) -> None:
        """A frame arrived."""

    def tick(self, node: SimNode) -> None:
        """A moment to act on its own."""

    def tell(self, node: SimNode, to: int, message: Message) -> None:
        node.world.network.send(node.index, to, encode_frame(ConsensusFrame(message)))

    def peer(self, node: SimNode) -> int:
        return self.random.choice([peer for peer in range(node.world.n) if peer != node.index])


class Silent(Strategy):
    """Sends nothing at all."""

    def alter(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        return []


class Dies(Strategy):
    """Correct until some moment, then gone for good, perhaps in the middle of a broadcast."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.frames_left = random.randrange(20, 500)

    def alter(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        self.frames_left -= 1
        return [(to, frame)] if self.frames_left > 0 else []


class SilentPrimary(Strategy):
    """Never proposes and never starts a view, else correct."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        return [] if isinstance(message, PrePrepare | SignedNewView) else [message]


class Equivocator(Strategy):
    """Proposes two batches to two halves, and votes for each half's own."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.other: dict[bytes, bytes] = {}

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if to in self.half:
            return [message]
        match message:
            case PrePrepare(vote=vote, batch=batch) if vote.vote.signer == node.index:
                told = propose(node, vote.vote, replace(batch, time_ms=batch.time_ms + 7))
                self.other[vote.vote.digest] = told.vote.vote.digest
                return [told]
            case SignedVote() if message.vote.digest in self.other:
                return [sign_vote(node, replace(message.vote, digest=self.other[message.vote.digest]))]
        return [message]


class Withholder(Strategy):
    """Proposes a body that it gives to nobody, or to one."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.hidden: set[bytes] = set()
        self.nonce = 1_000_000 * (1 + random.randrange(1_000))
        self.friend = random.randrange(n)
        self.made: dict[bytes, PrePrepare] = {}

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if not isinstance(message, PrePrepare) or message.vote.vote.signer != node.index:
            return [message]
        digest = message.vote.vote.digest
        if digest not in self.made:
            self.nonce += 1
            envelope = node.world.transaction(self.nonce % CLIENTS, self.nonce, 300_000)
            self.hidden.add(envelope.raw)
            ids = (*message.batch.envelope_ids, envelope.envelope_id)
            self.made[digest] = propose(node, message.vote.vote, replace(message.batch, envelope_ids=ids))
            node.world.network.send(node.index, self.friend, encode_frame(EnvelopesFrame((envelope.raw,))))
        return [self.made[digest]]


class HugeView(Strategy):
    """Asks for views that nobody will ever reach."""

    def tick(self, node: SimNode) -> None:
        replica = node.replica
        assert replica is not None
        state = replica.core.state
        view = FAR + self.random.randrange(1_000)
        message = ViewChange(0, node.epoch, view, node.index, state.final_header, state.final_certificate, ())
        self.tell(node, self.peer(node), sign_view_change(node, message))


class Replayer(Strategy):
    """Sends what it heard before again, to anybody, also to those who said it."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.heard: list[bytes] = []

    def hear(self, node: SimNode, sender: int, data: bytes) -> None:
        if len(self.heard) < 400:
            self.heard.append(data)
        elif self.random.random() < 0.1:
            self.heard[self.random.randrange(400)] = data

    def tick(self, node: SimNode) -> None:
        for _ in range(min(6, len(self.heard))):
            node.world.network.send(node.index, self.peer(node), self.random.choice(self.heard))


class Garbler(Strategy):
    """Random bytes, flipped bits, forged signatures, made-up commit proofs."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.last = b""

    def hear(self, node: SimNode, sender: int, data: bytes) -> None:
        self.last = data

    def tick(self, node: SimNode) -> None:
        send = node.world.network.send
        send(node.index, self.peer(node), self.random.randbytes(self.random.randrange(200)))
        if self.last:
            flipped = bytearray(self.last)
            flipped[self.random.randrange(len(flipped))] ^= 1 << self.random.randrange(8)
            send(node.index, self.peer(node), bytes(flipped))
        replica = node.replica
        assert replica is not None
        height = replica.store.final_height + 1
        batch = Batch(0, node.epoch, height, 0, node.now_ms(), (self.random.randbytes(32),))
        digest = batch_digest(encode_batch(batch))
        forged = []
        for signer in range(node.world.chain.validators.q):
            vote = Vote(Phase.COMMIT, 0, node.epoch, height, replica.core.state.view, 0, digest, signer)
            forged.append(SignedVote(vote, encode_vote(vote), self.random.randbytes(64)))
        self.tell(node, self.peer(node), self.random.choice(forged))
        self.tell(node, self.peer(node), CommitProof(batch, tuple(forged)))


class TwoFacedViewChange(Strategy):
    """Tells one half that it prepared nothing."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, SignedViewChange) and message.message.signer == node.index and to in self.half:
            return [sign_view_change(node, replace(message.message, prepared=()))]
        return [message]


class LyingNewView(Strategy):
    """Starts views without what was prepared, or with something else, or from other VIEW-CHANGEs for each half."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if not isinstance(message, SignedNewView) or message.message.signer != node.index:
            return [message]
        whole = message.message
        if to in self.half:
            return [sign_new_view(node, replace(whole, pre_prepares=()))]
        wrong = tuple(sign_vote(node, replace(v.vote, digest=self.random.randbytes(32))) for v in whole.pre_prepares)
        return [sign_new_view(node, replace(whole, pre_prepares=wrong))]


class StaleFinal(Strategy):
    """Claims heights that it does not have, and signs headers that nobody else computes."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, HeaderVote) and to in self.half:
            header = encode_header(replace(decode_header(message.header_bytes), state_root=bytes([to]) * 32))
            digest = header_hash(header)
            key = private_key(f"v{node.index}")
            signature = node.world.chain.signatures.sign(key, header_message(node.world.chain.genesis_hash, digest))
            return [HeaderVote(decode_header(header), header, digest, node.index, signature)]
        return [message]

    def tick(self, node: SimNode) -> None:
        claimed = self.random.choice((0, 3, FAR))
        sender = self.random.randrange(node.world.n)
        self.tell(
            node, self.peer(node), Heartbeat(sender, claimed, node.epoch, self.random.choice((0, FAR)), claimed == 3)
        )


class OtherAttempt(Strategy):
    """Votes at an attempt that was never opened: counted, such a vote would spoil a certificate."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        match message:
            case SignedVote() if message.vote.signer == node.index:
                return [sign_vote(node, replace(message.vote, attempt=7))]
            case SignedNewView() if message.message.signer == node.index:
                odd = tuple(sign_vote(node, replace(v.vote, attempt=7)) for v in message.message.pre_prepares)
                return [sign_new_view(node, replace(message.message, pre_prepares=odd))]
        return [message]


class SelectiveVoter(Strategy):
    """Gives its COMMITs and header votes to one peer only."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.friend = random.randrange(n)

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        commit = isinstance(message, SignedVote) and message.vote.phase is Phase.COMMIT
        return [] if (commit or isinstance(message, HeaderVote)) and to != self.friend else [message]


class BadProposer(Strategy):
    """Proposes what no correct primary would: the far future, nothing, too much, unknown bodies."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if not isinstance(message, PrePrepare) or message.vote.vote.signer != node.index:
            return [message]
        batch = message.batch
        many = tuple(number.to_bytes(32, "big") for number in range(2_001))
        bad = self.random.choice(
            (
                replace(batch, time_ms=batch.time_ms + 3_600_000),
                replace(batch, envelope_ids=()),
                replace(batch, envelope_ids=many),
                replace(batch, envelope_ids=(*batch.envelope_ids, self.random.randbytes(32))),
            )
        )
        return [propose(node, message.vote.vote, bad)]


class Censor(Strategy):
    """Orders everything but one client's transactions: its pool takes none of them."""

    def booted(self, replica: Replica) -> None:
        pool, add = replica.pool, replica.pool.add

        def picky(envelope_id: bytes, lane: Lane, size_bytes: int, account: bytes, valid_until_ms: int) -> Admission:
            return KNOWN if account == account_of(0) else add(envelope_id, lane, size_bytes, account, valid_until_ms)

        pool.add = picky  # type: ignore[method-assign]


class BorderCensor(Strategy):
    """Orders everything but what crosses the border, directives therefore: its pool takes nothing of that lane."""

    def booted(self, replica: Replica) -> None:
        pool, add = replica.pool, replica.pool.add

        def picky(envelope_id: bytes, lane: Lane, size_bytes: int, account: bytes, valid_until_ms: int) -> Admission:
            return KNOWN if lane is Lane.BORDER else add(envelope_id, lane, size_bytes, account, valid_until_ms)

        pool.add = picky  # type: ignore[method-assign]


class FarAhead(Strategy):
    """Votes for heights and views far ahead, under its own name: whatever is kept of it must be bounded."""

    def tick(self, node: SimNode) -> None:
        replica = node.replica
        assert replica is not None
        state = replica.core.state
        far = FAR + self.random.randrange(1_000_000)
        for phase in (Phase.PREPARE, Phase.COMMIT) * 4:
            height = state.slot.height + self.random.choice((0, 1, 2, far))
            view = state.view + self.random.choice((0, 1, far))
            vote = Vote(phase, 0, node.epoch, height, view, 0, self.random.randbytes(32), node.index)
            self.tell(node, self.peer(node), sign_vote(node, vote))
