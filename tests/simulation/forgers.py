"""More Byzantine members: forged and old certificates, wrong digests, other epochs, lying servers, slowness, twins."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from chain_core.codec.block import (
    batch_digest,
    decode_block,
    decode_header,
    encode_batch,
    encode_block,
    encode_header,
    header_hash,
    header_message,
)
from chain_core.codec.votes import encode_vote
from chain_core.consensus.messages import CommitProof, FinalityNotice, Message, PrePrepare
from chain_core.network.frame_codec import encode_frame
from chain_core.network.frames import BlocksFrame, ConsensusFrame, EnvelopesFrame, Frame
from chain_core.node.replica import Replica
from chain_core.types.block import (
    Batch,
    Certificate,
    HeaderVote,
    Phase,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    Vote,
)
from chain_core.types.errors import MalformedBytes
from tests.simulation.byzantine import Outgoing, Strategy, sign_new_view, sign_view_change, sign_vote
from tests.simulation.chain import private_key

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

SLOW_MS = 3_000


class Slow(Strategy):
    """Whatever it says, it says late."""

    def alter(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        data = encode_frame(frame)
        world = node.world
        world.schedule.after(self.random.randrange(SLOW_MS), lambda: world.network.send(node.index, to, data))
        return []


class WrongDigest(Strategy):
    """Votes for batches that nobody proposed."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, SignedVote) and message.vote.signer == node.index and self.random.random() < 0.7:
            return [sign_vote(node, replace(message.vote, digest=self.random.randbytes(32)))]
        return [message]


class OtherEpoch(Strategy):
    """Votes in an epoch that has not begun: counted, such a vote would spoil a certificate."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        match message:
            case SignedVote() if message.vote.signer == node.index:
                return [sign_vote(node, replace(message.vote, epoch=message.vote.epoch + 1))]
            case SignedViewChange() if message.message.signer == node.index and to in self.half:
                return [sign_view_change(node, replace(message.message, epoch=message.message.epoch + 1, prepared=()))]
        return [message]


class StalePrepared(Strategy):
    """Shows in its VIEW-CHANGE what it prepared first, not what it prepared last."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.first: dict[int, PreparedCertificate] = {}

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if not isinstance(message, SignedViewChange) or message.message.signer != node.index:
            return [message]
        shown = tuple(self.first.setdefault(p.batch.height, p) for p in message.message.prepared)
        return [sign_view_change(node, replace(message.message, prepared=shown))]


class PreparedForger(Strategy):
    """Shows a prepared certificate of the highest view that nobody made: of wrong signatures, or of too few votes."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if not isinstance(message, SignedViewChange) or message.message.signer != node.index:
            return [message]
        asked = message.message
        height = decode_header(asked.final_header).height + 1
        template = next((p.batch for p in asked.prepared if p.batch.height == height), None)
        replica = node.replica
        if template is None or replica is None or asked.new_view == 0:
            return [message]
        batch = replace(template, time_ms=template.time_ms + 11)
        view, validators = asked.new_view - 1, node.world.chain.validators
        digest = batch_digest(encode_batch(batch))
        signers = [validators.primary(view), *(i for i in range(validators.n) if i != validators.primary(view))]
        if self.random.random() < 0.5:  # as many votes as there must be, or what a member alone can make
            signers = signers[: validators.q]
        else:
            signers = [signers[0], node.index] if node.index != signers[0] else signers[:2]
        votes = [self._vote(node, batch_vote(batch, view, digest, s, s == signers[0])) for s in signers]
        forged = PreparedCertificate(batch, votes[0], tuple(votes[1:]))
        rest = tuple(p for p in asked.prepared if p.batch.height != height)
        return [sign_view_change(node, replace(asked, prepared=(forged, *rest)))]

    def _vote(self, node: SimNode, vote: Vote) -> SignedVote:
        if vote.signer == node.index:
            return sign_vote(node, vote)
        return SignedVote(vote, encode_vote(vote), self.random.randbytes(64))


def batch_vote(batch: Batch, view: int, digest: bytes, signer: int, leads: bool) -> Vote:
    return Vote(Phase.PRE_PREPARE if leads else Phase.PREPARE, 0, batch.epoch, batch.height, view, 0, digest, signer)


class CertificateForger(Strategy):
    """Certificates of too few votes, of one vote many times, in the wrong order; of real headers and made-up ones."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.votes: dict[bytes, dict[int, HeaderVote]] = {}

    def hear(self, node: SimNode, sender: int, data: bytes) -> None:
        try:
            frame = node.decode(data)
        except MalformedBytes:
            return
        if isinstance(frame, ConsensusFrame) and isinstance(frame.message, HeaderVote):
            self._collect(node, frame.message)

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, HeaderVote):
            self._collect(node, message)
        return [message]

    def _collect(self, node: SimNode, vote: HeaderVote) -> None:
        """With one vote less than a quorum it goes to somebody as a certificate, and once in a while with more."""
        votes = self.votes.setdefault(vote.header_bytes, {})
        votes[vote.signer] = vote
        q = node.world.chain.validators.q
        if len(votes) == q - 1 or (len(votes) == q and self.random.random() < 0.3):
            signatures = tuple((s, votes[s].signature) for s in sorted(votes))
            self._give(node, vote.header_bytes, signatures, self.random.random() < 0.5)
        while len(self.votes) > 8:
            del self.votes[next(iter(self.votes))]

    def _give(self, node: SimNode, header: bytes, signatures: tuple[tuple[int, bytes], ...], turned: bool) -> None:
        whole = encode_frame(ConsensusFrame(FinalityNotice(header, Certificate(header_hash(header), signatures))))
        if turned and len(signatures) > 1:  # the production encoder makes ascending ones only
            entries = [index.to_bytes(2, "big") + signature for index, signature in signatures]
            whole = whole.replace(b"".join(entries), b"".join(reversed(entries)))
        node.world.network.send(node.index, self.peer(node), whole)

    def tick(self, node: SimNode) -> None:
        """A header of its own, signed by itself as often as it takes."""
        replica, chain = node.replica, node.world.chain
        if replica is None or self.random.random() < 0.5:
            return
        final = decode_header(replica.core.state.final_header)
        made = encode_header(replace(final, height=final.height + 1, time_ms=final.time_ms + 1))
        message = header_message(chain.genesis_hash, header_hash(made))
        signature = chain.signatures.sign(private_key(f"v{node.index}"), message)
        q = chain.validators.q
        entries = tuple((index, index.to_bytes(2, "big") * 32) for index in range(q))
        whole = encode_frame(ConsensusFrame(FinalityNotice(made, Certificate(header_hash(made), entries))))
        old = b"".join(index.to_bytes(2, "big") + filler for index, filler in entries)
        whole = whole.replace(old, (node.index.to_bytes(2, "big") + signature) * q)
        node.world.network.send(node.index, self.peer(node), whole)


class ProofForger(Strategy):
    """Commit proofs of the COMMITs it heard: of different views, of too few."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.batches: dict[bytes, PrePrepare] = {}
        self.commits: dict[tuple[bytes, int], SignedVote] = {}

    def hear(self, node: SimNode, sender: int, data: bytes) -> None:
        try:
            frame = node.decode(data)
        except MalformedBytes:
            return
        if not isinstance(frame, ConsensusFrame):
            return
        message = frame.message
        if isinstance(message, PrePrepare):
            self.batches[message.vote.vote.digest] = message
        elif isinstance(message, SignedVote) and message.vote.phase is Phase.COMMIT:
            self.commits[(message.vote.digest, message.vote.signer)] = message
        if len(self.batches) > 64 or len(self.commits) > 256:
            self.batches.clear()
            self.commits.clear()

    def tick(self, node: SimNode) -> None:
        if not self.batches:
            return
        digest, proposal = self.random.choice(list(self.batches.items()))
        vote = proposal.vote.vote
        mine = sign_vote(node, replace(vote, phase=Phase.COMMIT, signer=node.index))
        commits = {signer: commit for (of, signer), commit in self.commits.items() if of == digest}
        commits[node.index] = mine
        self.tell(node, self.peer(node), CommitProof(proposal.batch, tuple(commits[s] for s in sorted(commits))))


class LyingServer(Strategy):
    """Serves blocks with another time, with foreign bodies, with another certificate; answers questions with junk."""

    def alter_other(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        match frame:
            case BlocksFrame(blocks=blocks):
                return [(to, BlocksFrame(tuple(self._spoiled(raw) for raw in blocks)))]
            case EnvelopesFrame(envelopes=raws) if self.random.random() < 0.5:
                return [(to, EnvelopesFrame(tuple(raw[:-1] + bytes([raw[-1] ^ 1]) for raw in raws)))]
        return [(to, frame)]

    def _spoiled(self, raw: bytes) -> bytes:
        block = decode_block(raw)
        header = decode_header(block.header)
        batch = block.batch
        made = self.random.choice(
            (
                replace(block, batch=replace(batch, time_ms=max(0, batch.time_ms - 1))),
                replace(block, envelopes=(), batch=replace(batch, envelope_ids=(), skipped=())),
                replace(block, header=encode_header(replace(header, state_root=self.random.randbytes(32)))),
                replace(block, certificate=replace(block.certificate, signatures=block.certificate.signatures[1:])),
                block,
            )
        )
        return encode_block(made)


class TwoViews(Strategy):
    """Asks each half for another view, and starts views that it leads from whatever it can get."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, SignedViewChange) and message.message.signer == node.index and to in self.half:
            further = message.message.new_view + self.random.choice((1, 2, node.world.n))
            return [sign_view_change(node, replace(message.message, new_view=further))]
        if isinstance(message, SignedNewView) and message.message.signer == node.index and to in self.half:
            fewer = message.message.view_changes[1:]
            return [sign_new_view(node, replace(message.message, view_changes=fewer))]
        return [message]


class LastWords(Strategy):
    """Correct for a while; then it gives a COMMIT or header vote to one peer, and nothing more to anybody."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.left = random.randrange(5, 60)
        self.heir = random.randrange(n)

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        commit = isinstance(message, SignedVote) and message.vote.phase is Phase.COMMIT
        last = commit or isinstance(message, HeaderVote)
        self.left -= last
        if self.left > 0:
            return [message]
        return [message] if last and self.left > -12 and to == self.heir else []


class ShortPrepared(Strategy):
    """As primary it proposes one thing to one peer, and shows that peer's PREPARE as if it were a quorum."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.proposals: dict[bytes, PrePrepare] = {}
        self.prepares: dict[bytes, dict[int, SignedVote]] = {}

    def hear(self, node: SimNode, sender: int, data: bytes) -> None:
        try:
            frame = node.decode(data)
        except MalformedBytes:
            return
        if isinstance(frame, ConsensusFrame):
            self._keep(frame.message)

    def _keep(self, message: Message) -> None:
        if isinstance(message, PrePrepare):
            self.proposals[message.vote.vote.digest] = message
        elif isinstance(message, SignedVote) and message.vote.phase is Phase.PREPARE:
            self.prepares.setdefault(message.vote.digest, {})[message.vote.signer] = message
        if len(self.proposals) > 40 or len(self.prepares) > 40:
            self.proposals.clear()
            self.prepares.clear()

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, PrePrepare | SignedVote):
            self._keep(message)
        if isinstance(message, SignedViewChange) and message.message.signer == node.index:
            return [sign_view_change(node, replace(message.message, prepared=self._shown(node, message)))]
        return [message]

    def _shown(self, node: SimNode, change: SignedViewChange) -> tuple[PreparedCertificate, ...]:
        asked = change.message
        final = decode_header(asked.final_header).height
        shown = {prepared.batch.height: prepared for prepared in asked.prepared}
        for digest, proposal in self.proposals.items():
            vote = proposal.vote.vote
            votes = [v for s, v in sorted(self.prepares.get(digest, {}).items()) if s != vote.signer]
            votes = [v for v in votes if v.vote.view == vote.view][: node.world.chain.validators.q - 1]
            votes = votes[: self.random.choice((1, len(votes)))]
            known = shown.get(vote.height)
            if votes and final < vote.height and vote.view < asked.new_view:
                if known is None or known.pre_prepare.vote.view <= vote.view:
                    shown[vote.height] = PreparedCertificate(proposal.batch, proposal.vote, tuple(votes))
        return tuple(shown[height] for height in sorted(shown))


class Bodiless(Strategy):
    """Gives no body to anybody: neither pushed, nor forwarded, nor when asked."""

    def alter_other(self, node: SimNode, to: int, frame: Frame) -> Outgoing:
        return [] if isinstance(frame, EnvelopesFrame) else [(to, frame)]


class Junk(Strategy):
    """Many valid messages that lead nowhere: ever new views, heights in the window, old ones."""

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.count = 0

    def tick(self, node: SimNode) -> None:
        replica = node.replica
        if replica is None:
            return
        state = replica.core.state
        for _ in range(5):
            self.count += 1
            height = state.final_height + self.random.choice((0, 1, 1, 2, 3, 70))
            phase = self.random.choice((Phase.PREPARE, Phase.COMMIT))
            vote = Vote(
                phase, 0, node.epoch, height, state.view + self.count % 90, 0, self.random.randbytes(32), node.index
            )
            self.tell(node, self.peer(node), sign_vote(node, vote))


class Twin(Strategy):
    """One key, two replicas on two disks: each hears some of the others, both speak to all (ARCHITECTURE, consensus).

    Both run the production code, but for the guard that would stop them.
    """

    def booted(self, replica: Replica) -> None:
        replica.quiet = None
        replica._found_foreign = lambda vote: None  # type: ignore[method-assign]
