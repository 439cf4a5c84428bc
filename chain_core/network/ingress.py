"""The ingress: decodes and authenticates what arrives, and is the only maker of ``Verified`` (docs/spec/network.md §5).

Each kind of input becomes a *check*: structure is judged at once, the signatures left over stand in ``items``, and
``conclude`` takes their verdicts. So the signatures of everything that waits are verified in one batch, off the event
loop; the ``verify_*`` functions do all three steps in line. Nothing here is thread-safe but the verification itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from chain_core.codec import signed
from chain_core.codec.block import decode_block, decode_header
from chain_core.codec.transaction import decode_envelopes
from chain_core.consensus.messages import Message
from chain_core.crypto.hashing import sm3_many
from chain_core.crypto.merkle import merkle_root
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.network.epoch_book import EpochBook
from chain_core.network.frames import HeldVotes
from chain_core.network.held_votes import held_signatures
from chain_core.network.message_signatures import certified_signatures, signature_triples
from chain_core.network.own_ledger import require, require_held, require_message
from chain_core.network.transaction_refusals import (
    BadSignature,
    Expired,
    MalformedTransaction,
    OversizeTransaction,
    UnknownAccount,
    WindowTooLong,
    WrongLedger,
)
from chain_core.network.verified_before import KnownSignatures, LastChanges, VerifiedCache
from chain_core.types.block import CertifiedBlock, Header
from chain_core.types.errors import InvalidProof, InvalidTransaction, MalformedBytes, PeerFault
from chain_core.types.transaction import MAX_ENVELOPE_BYTES, Envelope, TransactionBody
from chain_core.types.verified import Verified

MessageOutcome = Verified[Message] | PeerFault
EnvelopeOutcome = Verified[Envelope] | InvalidTransaction
BlockOutcome = Verified[CertifiedBlock] | PeerFault
HeldOutcome = Verified[HeldVotes] | PeerFault

OutcomeT = TypeVar("OutcomeT")
PartT = TypeVar("PartT")

_PEER_NEXT = "drop it; a link that repeats this is cut"


class Check(Protocol[OutcomeT]):
    """Something whose structure was judged; ``items`` are the signatures that are left to verify."""

    @property
    def items(self) -> Sequence[VerifyItem]:
        """What to verify, in any batch with others."""
        ...

    def conclude(self, valid: Sequence[bool]) -> list[OutcomeT]:
        """The outcomes, in the order of what was handed in, from one verdict an item."""
        ...


def _nobody_wants(_: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Ingress:
    """Authenticates for one chain and ledger. ``known_account`` and ``max_window_ms`` look at this node's final state.

    ``wanted`` says whether a proposal needs the body of an envelope id: then only its signatures decide, whatever the
    clock and the state here say, for whether a proposal is valid is stateless. ``epochs`` says whose signatures count.
    ``first_header`` is the header of height 0.
    """

    genesis_hash: bytes
    ledger: int
    epochs: EpochBook
    first_header: bytes
    now_ms: Callable[[], int]
    max_window_ms: Callable[[], int]
    known_account: Callable[[bytes, bytes], bool]
    wanted: Callable[[bytes], bool] = _nobody_wants
    cache: VerifiedCache = field(default_factory=VerifiedCache)
    known: KnownSignatures = field(default_factory=KnownSignatures)
    last_changes: LastChanges = field(default_factory=LastChanges)

    # ---- consensus messages

    def check_messages(self, messages: Sequence[Message]) -> Check[MessageOutcome]:
        """Structure of consensus messages; every signature in them, nested ones too, is left to verify, but for those
        that this node has verified before.
        """
        check = _PartsCheck(_bad_message, self.known.add)
        for message in messages:
            try:
                require_message(message, self.ledger)
                items = signature_triples(message, self.epochs, self.genesis_hash, self.first_header)
            except PeerFault as fault:
                check.add(fault)
            except MalformedBytes as error:
                check.add(_fault(error))
            else:
                check.add(message, self.known.fresh(items))
        return check

    def verify_messages(self, messages: Sequence[Message]) -> list[MessageOutcome]:
        """Consensus messages, verified or refused one by one."""
        return _now(self.check_messages(messages))

    def repeated(self, peer: int, message: Message) -> Verified[Message] | None:
        """The message, if it is the VIEW-CHANGE or NEW-VIEW of this peer that was ``remember``ed last; else None."""
        return Verified(message) if self.last_changes.holds(peer, message) else None

    def remember(self, peer: int, message: Verified[Message]) -> None:
        """This peer's message was verified: sent again, it need not be once more."""
        self.last_changes.note(peer, message.value)

    def check_held(self, answer: HeldVotes, asker: int) -> Check[HeldOutcome]:
        """The answer to this signer's question: everything in it must be signed by ``asker``, its key in ``items``."""
        check: _PartsCheck[HeldVotes] = _PartsCheck(lambda part: _bad_part("it", "held votes"))
        try:
            require_held(answer, self.ledger)
            check.add(answer, held_signatures(answer, asker, self.epochs, self.genesis_hash))
        except PeerFault as fault:
            check.add(fault)
        except MalformedBytes as error:
            check.add(_fault(error))
        return check

    # ---- transactions

    def check_envelopes(self, raws: Sequence[bytes], *, from_peer: bool = False) -> Check[EnvelopeOutcome]:
        """Size, decoding, ledger and window, account, cache, in this order; the signatures are left to verify."""
        check = _EnvelopeCheck(self.cache)
        now = self.now_ms()
        latest = now + self.max_window_ms()
        for raw, envelope in zip(raws, decode_envelopes(raws), strict=True):
            if isinstance(envelope, MalformedBytes):
                check.add_outcome(_undecodable(raw, envelope))
                continue
            refusal = self._refusal(envelope, now, latest, from_peer)
            if refusal is not None:
                check.add_outcome(refusal)
            elif self.cache.hit(envelope.envelope_id):
                check.add_outcome(Verified(envelope))
            else:
                check.add_envelope(envelope, self.genesis_hash)
        return check

    def verify_envelopes(self, raws: Sequence[bytes], *, from_peer: bool = False) -> list[EnvelopeOutcome]:
        """Envelopes, verified or refused one by one; signatures verified before are not verified again."""
        return _now(self.check_envelopes(raws, from_peer=from_peer))

    def _refusal(self, envelope: Envelope, now: int, latest: int, from_peer: bool) -> InvalidTransaction | None:
        """Why the envelope may not enter here, its signatures apart."""
        body = envelope.body
        if body.ledger != self.ledger:
            return WrongLedger(
                f"the transaction is for ledger {body.ledger}",
                where="body.ledger",
                next_step=f"hand it in where that ledger runs; this node runs ledger {self.ledger}",
            )
        if from_peer and self.wanted(envelope.envelope_id):
            return None
        return _window_refusal(body, now, latest) or self._account_refusal(envelope)

    def _account_refusal(self, envelope: Envelope) -> InvalidTransaction | None:
        """A local admission check only: what a key may do is decided at execution."""
        body = envelope.body
        for account, signer in zip((body.account, *body.cosigners), envelope.signers, strict=True):
            if not self.known_account(account, signer.public_key):
                return UnknownAccount(
                    f"no account {account.hex()} with this signing key in the final state of this node",
                    where="signers",
                    next_step="wait until the account or key is final here, or use a key that is registered",
                )
        return None

    # ---- blocks

    def check_blocks(self, raws: Sequence[bytes]) -> Check[BlockOutcome]:
        """Structure of certified blocks; the certificates' signatures are left to verify.

        The envelopes' own signatures are not verified again: the certified transaction root commits to their ids,
        and a quorum verified them before it voted.
        """
        check: _PartsCheck[CertifiedBlock] = _PartsCheck(lambda part: _bad_part("the certificate", "block"))
        for raw in raws:
            try:
                block = decode_block(raw)
                require(decode_header(block.header).ledger, self.ledger, "block")
                header, items = certified_signatures(block.header, block.certificate, self.epochs, self.genesis_hash)
                check_block_contents(block, header)
            except PeerFault as fault:
                check.add(fault)
            except (MalformedBytes, InvalidProof) as error:
                check.add(_fault(error))
            else:
                check.add(block, items)
        return check

    def verify_blocks(self, raws: Sequence[bytes]) -> list[BlockOutcome]:
        """Certified blocks, verified or refused one by one."""
        return _now(self.check_blocks(raws))


def recorded(message: Message) -> Verified[Message]:
    """A message that this node had verified before its flight recorder wrote it down: for replaying offline, only."""
    return Verified(message)


def unchecked(raws: Sequence[bytes], refusal: InvalidTransaction) -> Check[EnvelopeOutcome]:
    """All of them refused, and nothing looked at."""
    check = _EnvelopeCheck(VerifiedCache())
    for _ in raws:
        check.add_outcome(refusal)
    return check


def _now(check: Check[OutcomeT]) -> list[OutcomeT]:
    return check.conclude(provider().sm2_verify_many(check.items) if check.items else ())


def _undecodable(raw: bytes, error: MalformedBytes) -> InvalidTransaction:
    if len(raw) > MAX_ENVELOPE_BYTES:
        return OversizeTransaction(
            f"{len(raw)} bytes, at most {MAX_ENVELOPE_BYTES} may be",
            where="envelope",
            next_step="split the operations over several transactions, keep documents off chain",
        )
    return MalformedTransaction(error.what, where=error.where, next_step=error.next_step)


def _window_refusal(body: TransactionBody, now: int, latest: int) -> InvalidTransaction | None:
    if body.valid_until_ms <= now:
        return Expired(
            f"valid until {body.valid_until_ms}, it is {now}",
            where="body.valid_until_ms",
            next_step="sign it again with a later end; check the clocks when it was signed just now",
        )
    if body.valid_until_ms > latest:
        return WindowTooLong(
            f"valid until {body.valid_until_ms}, at most {latest} is allowed now",
            where="body.valid_until_ms",
            next_step="sign it with an end within max_window_ms of now",
        )
    return None


def envelope_ids(raws: Sequence[bytes]) -> list[bytes]:
    """The envelope id of each, hashed in one batch; nothing is decoded."""
    return sm3_many([signed.ENVELOPE_ID + raw for raw in raws])


def check_block_contents(block: CertifiedBlock, header: Header) -> None:
    """InvalidProof unless the batch and the envelopes are what the header commits to."""
    where = f"block {header.height}"
    batch = block.batch
    expected = (header.ledger, header.epoch, header.height, header.attempt)
    if (batch.ledger, batch.epoch, batch.height, batch.attempt) != expected or batch.time_ms > header.time_ms:
        raise InvalidProof("the batch is of another ledger, epoch, height, attempt or time", where=where)
    ids = envelope_ids(block.envelopes)
    if tuple(ids) != batch.envelope_ids:
        raise InvalidProof("the envelopes are not those the batch names", where=where)
    if len(ids) != header.transaction_count or merkle_root(ids) != header.transaction_root:
        raise InvalidProof("the envelopes do not lead to the header's transaction root", where=where)


@dataclass(slots=True)
class _PartsCheck(Generic[PartT]):
    """Parts judged one by one, each by its next so many signatures; a fault is its own verdict."""

    bad: Callable[[PartT], PeerFault]
    """What a part is refused with when one of its signatures does not hold."""
    hold: Callable[[Sequence[VerifyItem]], None] | None = None
    """Told of the signatures of each part that is good."""
    items: list[VerifyItem] = field(default_factory=list)
    parts: list[tuple[PartT | PeerFault, int]] = field(default_factory=list)

    def add(self, part: PartT | PeerFault, items: Sequence[VerifyItem] = ()) -> None:
        """The next part with its signatures."""
        self.parts.append((part, len(items)))
        self.items.extend(items)

    def conclude(self, valid: Sequence[bool]) -> list[Verified[PartT] | PeerFault]:
        outcomes: list[Verified[PartT] | PeerFault] = []
        start = 0
        for part, count in self.parts:
            good = all(valid[start : start + count])
            if good and count and self.hold is not None:
                self.hold(self.items[start : start + count])
            start += count
            if isinstance(part, PeerFault):
                outcomes.append(part)
            else:
                outcomes.append(Verified(part) if good else self.bad(part))
        return outcomes


def _fault(error: MalformedBytes | InvalidProof) -> PeerFault:
    return PeerFault(error.what, where=error.where, next_step=_PEER_NEXT)


def _bad_part(what: str, where: str) -> PeerFault:
    return PeerFault(f"a signature in {what} does not verify", where=where, next_step=_PEER_NEXT)


def _bad_message(message: Message) -> PeerFault:
    name = type(message).__name__
    return _bad_part(f"a {name}", name)


class _EnvelopeCheck:
    __slots__ = ("_cache", "_outcomes", "_waiting", "items")

    def __init__(self, cache: VerifiedCache) -> None:
        self.items: list[VerifyItem] = []
        self._cache = cache
        self._outcomes: list[EnvelopeOutcome | None] = []
        self._waiting: list[tuple[int, Envelope]] = []

    def add_outcome(self, outcome: EnvelopeOutcome) -> None:
        self._outcomes.append(outcome)

    def add_envelope(self, envelope: Envelope, genesis_hash: bytes) -> None:
        message = signed.message_of_hash(signed.TX, genesis_hash, envelope.transaction_id)
        for signer in envelope.signers:
            self.items.append((signer.public_key, message, signer.signature))
        self._waiting.append((len(self._outcomes), envelope))
        self._outcomes.append(None)

    def conclude(self, valid: Sequence[bool]) -> list[EnvelopeOutcome]:
        start = 0
        for index, envelope in self._waiting:
            end = start + len(envelope.signers)
            if all(valid[start:end]):
                self._cache.add(envelope.envelope_id)
                self._outcomes[index] = Verified(envelope)
            else:
                self._outcomes[index] = _bad_signature(valid[start:end])
            start = end
        return [outcome for outcome in self._outcomes if outcome is not None]


def _bad_signature(valid: Sequence[bool]) -> BadSignature:
    return BadSignature(
        f"signature {list(valid).index(False)} of {len(valid)} does not verify",
        where="signers",
        next_step="sign M = tag || this chain's genesis hash || SM3(body) with the account's key",
    )
