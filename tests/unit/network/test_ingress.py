"""Only ingress makes verified values, in a stated order of checks, and verifies every signature once."""

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chain_core.codec import signed
from chain_core.codec.block import batch_digest, encode_batch, encode_block
from chain_core.codec.transaction import decode_envelope, encode_body, encode_envelope
from chain_core.codec.votes import encode_vote
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider, signing_provider
from chain_core.network import ingress as module
from chain_core.network.frames import HeldVotes
from chain_core.network.ingress import EnvelopeOutcome, Ingress
from chain_core.network.signing import sign_transaction
from chain_core.network.transaction_refusals import (
    BadSignature,
    Expired,
    MalformedTransaction,
    OversizeTransaction,
    UnknownAccount,
    WindowTooLong,
    WrongLedger,
)
from chain_core.network.verified_before import KnownSignatures, VerifiedCache
from chain_core.types.block import Phase, SignedVote, Vote
from chain_core.types.errors import InvalidTransaction, PeerFault
from chain_core.types.transaction import MAX_ENVELOPE_BYTES, Operation, Signer, TransactionBody
from chain_core.types.verified import Verified
from tests.meta.sources import PACKAGES, ROOT, modules
from tests.one_epoch import OneEpoch
from tests.vectors.keys import Signatures, private_key, public_key
from tests.vectors.samples import OPERATOR, TIME_MS, WITNESS, Samples

S = Samples(Signatures(may_sign=True))
WINDOW_MS = 600_000
KNOWN = {(OPERATOR, public_key(0)), (WITNESS, public_key(8))}


def made(*, wanted: Callable[[bytes], bool] = lambda _: False, cache: VerifiedCache | None = None) -> Ingress:
    return Ingress(
        S.chain,
        0,
        OneEpoch(S.validators),
        S.genesis_header,
        lambda: TIME_MS,
        lambda: WINDOW_MS,
        lambda account, key: (account, key) in KNOWN,
        wanted,
        cache or VerifiedCache(),
    )


def transaction(key: int = 8, cosigner: int = 0, **changes: object) -> bytes:
    body = TransactionBody(0, WITNESS, 1, TIME_MS + 60_000, (Operation("kernel", "ping", {}),))
    body = replace(body, **changes)  # type: ignore[arg-type]
    keys = [(private_key(key), public_key(key))]
    if body.cosigners:
        keys.append((private_key(cosigner), public_key(cosigner)))
    return sign_transaction(S.chain, body, keys)


def spoiled(raw: bytes) -> bytes:
    envelope = decode_envelope(raw)
    last = envelope.signers[-1]
    bad = Signer(last.public_key, last.signature[:-1] + bytes((last.signature[-1] ^ 1,)))
    return encode_envelope(envelope.body_bytes, (*envelope.signers[:-1], bad))


def refusal_of(outcome: EnvelopeOutcome) -> type[InvalidTransaction] | None:
    return type(outcome) if isinstance(outcome, InvalidTransaction) else None


GOOD = transaction()

# Each row breaks one check and, where it can, all later ones: the earliest must speak.
REFUSALS: dict[str, tuple[bytes, type[InvalidTransaction]]] = {
    "oversize": (bytes(MAX_ENVELOPE_BYTES + 1), OversizeTransaction),
    "empty": (b"", MalformedTransaction),
    "cut short": (GOOD[:-1], MalformedTransaction),
    "trailing byte": (GOOD + b"\0", MalformedTransaction),
    "another ledger": (transaction(key=5, ledger=3, valid_until_ms=1), WrongLedger),
    "expired": (transaction(key=5, valid_until_ms=TIME_MS), Expired),
    "window too long": (transaction(key=5, valid_until_ms=TIME_MS + WINDOW_MS + 1), WindowTooLong),
    "unknown account": (spoiled(transaction(account=b"nobody".ljust(16))), UnknownAccount),
    "another's key": (spoiled(transaction(key=5)), UnknownAccount),
    "cosigner's unknown key": (transaction(cosigners=(OPERATOR,), cosigner=5), UnknownAccount),
    "bad signature": (spoiled(GOOD), BadSignature),
    "cosigner's bad signature": (spoiled(transaction(cosigners=(OPERATOR,))), BadSignature),
}


@pytest.mark.parametrize(("raw", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_the_first_check_that_fails_speaks(raw: bytes, kind: type[InvalidTransaction]) -> None:
    (outcome,) = made().verify_envelopes([raw])
    assert isinstance(outcome, kind)
    assert outcome.what and outcome.where and outcome.next_step


@pytest.mark.parametrize(
    "changes",
    [{}, {"valid_until_ms": TIME_MS + 1}, {"valid_until_ms": TIME_MS + WINDOW_MS}, {"cosigners": (OPERATOR,)}],
    ids=str,
)
def test_good_transactions(changes: dict[str, Any]) -> None:
    raw = transaction(**changes)
    (outcome,) = made().verify_envelopes([raw])
    assert outcome == Verified(decode_envelope(raw))


def test_another_chains_signature() -> None:
    body = TransactionBody(0, WITNESS, 1, TIME_MS + 60_000, (Operation("kernel", "ping", {}),))
    raw = sign_transaction(b"g" * 32, body, [(private_key(8), public_key(8))])
    (outcome,) = made().verify_envelopes([raw])
    assert isinstance(outcome, BadSignature)


def test_outcomes_stand_in_the_order_handed_in() -> None:
    rows = [*REFUSALS.values(), (GOOD, None), *REFUSALS.values(), (transaction(nonce=2), None)]
    outcomes = made().verify_envelopes([raw for raw, _ in rows])
    assert [refusal_of(outcome) for outcome in outcomes] == [kind for _, kind in rows]


def test_what_was_verified_is_not_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    real = provider().sm2_verify_many

    def counted(items: Sequence[VerifyItem]) -> list[bool]:
        batches.append(len(items))
        return real(items)

    class Counting:
        sm2_verify_many = staticmethod(counted)

    monkeypatch.setattr(module, "provider", Counting)
    gate = made()
    first, second = GOOD, transaction(nonce=2, cosigners=(OPERATOR,))
    gate.verify_envelopes([first, second])
    gate.verify_envelopes([first, second, transaction(nonce=3)])
    gate.verify_envelopes([first])
    assert batches == [3, 1]


def test_a_cached_signature_does_not_vouch_for_window_and_account() -> None:
    cache = VerifiedCache()
    made(cache=cache).verify_envelopes([GOOD])
    late = replace(made(cache=cache), now_ms=lambda: TIME_MS + 60_000)
    (outcome,) = late.verify_envelopes([GOOD])
    assert isinstance(outcome, Expired)
    stranger = replace(made(cache=cache), known_account=lambda account, key: False)
    (outcome,) = stranger.verify_envelopes([GOOD])
    assert isinstance(outcome, UnknownAccount)


def test_bad_signatures_are_not_cached() -> None:
    gate = made()
    for _ in range(2):
        (outcome,) = gate.verify_envelopes([spoiled(GOOD)])
        assert isinstance(outcome, BadSignature)
    assert len(gate.cache) == 0


def test_the_cache_forgets_the_least_recently_used() -> None:
    cache = VerifiedCache(limit=2)
    for name in (b"a", b"b"):
        cache.add(name)
    assert cache.hit(b"a")
    cache.add(b"c")
    assert (cache.hit(b"a"), cache.hit(b"b"), cache.hit(b"c"), len(cache)) == (True, False, True, 2)


@pytest.mark.parametrize("name", ["expired", "window too long", "cosigner's unknown key"])
def test_a_body_that_a_proposal_needs_is_judged_by_its_signatures_alone(name: str) -> None:
    """Whether a proposal is valid is stateless: this node's clock and state have no say."""
    raw, kind = REFUSALS[name]
    assert [refusal_of(o) for o in made().verify_envelopes([raw], from_peer=True)] == [kind]
    wanting = made(wanted=lambda envelope_id: envelope_id == decode_envelope(raw).envelope_id)
    assert [refusal_of(o) for o in wanting.verify_envelopes([raw], from_peer=True)] == [None]
    assert [refusal_of(o) for o in wanting.verify_envelopes([raw])] == [kind], "a client's is not wanted by anybody"


@pytest.mark.parametrize("name", ["another ledger", "bad signature", "trailing byte"])
def test_wanted_or_not_these_stay_refused(name: str) -> None:
    raw, kind = REFUSALS[name]
    assert [refusal_of(o) for o in made(wanted=lambda _: True).verify_envelopes([raw], from_peer=True)] == [kind]


# ---- consensus messages


def commit_proof(*, signers: tuple[int, ...] = (0, 1, 3), spoil: int = -1, **changes: object) -> CommitProof:
    votes = []
    for place, signer in enumerate(signers):
        digest = batch_digest(encode_batch(S.next_batch))
        vote = replace(Vote(Phase.COMMIT, 0, 0, 2, 0, 0, digest, signer), **(changes if place == 1 else {}))  # type: ignore[arg-type]
        body = encode_vote(vote)
        message = signed.message(signed.VOTE, S.chain, body)
        signature = signing_provider().sm2_sign(private_key(signer), message)
        if place == spoil:
            signature = signature[:-1] + bytes((signature[-1] ^ 1,))
        votes.append(SignedVote(vote, body, signature))
    return CommitProof(S.next_batch, tuple(votes))


MESSAGES: dict[str, Message] = {
    "PRE-PREPARE": PrePrepare(S.vote(Phase.PRE_PREPARE, 0), S.next_batch),
    "PREPARE": S.vote(Phase.PREPARE, 1),
    "commit proof": CommitProof(S.next_batch, S.commits),
    "header vote": S.header_votes[2],
    "finality notice": FinalityNotice(S.header_bytes, S.certificate),
    "VIEW-CHANGE": S.view_change(1),
    "NEW-VIEW": S.new_view,
}


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_signed_for_one_ledger_is_shown_on_no_other(name: str) -> None:
    """The validators' keys are the same on all ledgers: only the ledger's number tells such a message apart."""
    message = MESSAGES[name]

    assert made().verify_messages([message]) == [Verified(message)]
    (outcome,) = replace(made(), ledger=1).verify_messages([message])
    assert isinstance(outcome, PeerFault) and "of ledger 0 on a link of ledger 1" in outcome.what


def test_nor_are_blocks_and_answers_to_a_signers_question() -> None:
    other = replace(made(), ledger=1)
    (outcome,) = other.verify_blocks([encode_block(S.block)])
    assert isinstance(outcome, PeerFault) and "of ledger 0" in outcome.what

    own = S.vote(Phase.PREPARE, 1)
    answers = (
        HeldVotes(bytes(16), b"", None, (own,), (), None),
        HeldVotes(bytes(16), b"", None, (), (S.header_votes[1],), None),
        HeldVotes(bytes(16), b"", None, (), (), S.view_change(1)),
        HeldVotes(bytes(16), S.header_bytes, S.certificate, (), (), None),
    )
    for answer in answers:
        assert not isinstance(made().check_held(answer, 1).conclude([True] * 9)[0], PeerFault)
        (held,) = other.check_held(answer, 1).conclude([True] * 9)
        assert isinstance(held, PeerFault) and "of ledger 0" in held.what


def test_messages_are_verified_one_by_one() -> None:
    good = S.vote(Phase.PREPARE, 1)
    bad = replace(good, signature=bytes(64))
    twisted = PrePrepare(S.vote(Phase.PRE_PREPARE, 0), S.batch)
    heartbeat = Heartbeat(2, 5, 0, 0, False)
    outcomes = made().verify_messages([good, bad, twisted, heartbeat, S.new_view])
    assert outcomes[0] == Verified(good)
    assert isinstance(outcomes[1], PeerFault) and "does not verify" in outcomes[1].what
    assert isinstance(outcomes[2], PeerFault)
    assert outcomes[3:] == [Verified(heartbeat), Verified(S.new_view)]


def test_validators_signatures_are_verified_once_alone_or_in_what_carries_them() -> None:
    ingress, vote = made(), S.vote(Phase.COMMIT, 1)
    forged = replace(vote, signature=bytes(64))
    assert len(ingress.check_messages([vote, forged]).items) == 2
    assert [type(outcome) for outcome in ingress.verify_messages([vote, forged])] == [Verified, PeerFault]
    check = ingress.check_messages([vote, forged])
    assert len(check.items) == 1, "the good one is known, the bad one stays bad"
    assert [type(outcome) for outcome in check.conclude([False])] == [Verified, PeerFault]
    whole = len(ingress.check_messages([S.new_view]).items)
    ingress.verify_messages([S.new_view.message.view_changes[0]])
    assert 0 < len(ingress.check_messages([S.new_view]).items) < whole
    ingress.verify_messages([S.new_view])
    assert not ingress.check_messages([S.new_view]).items


def test_known_signatures_are_bounded() -> None:
    known = KnownSignatures(2)
    items = [(bytes([i]), b"", b"") for i in range(3)]
    for item in items:
        known.add([item])
    assert len(known) == 2 and known.fresh(items) == items[:1]


def test_a_commit_proof() -> None:
    proof = commit_proof()
    assert made().verify_messages([proof]) == [Verified(proof)]


@pytest.mark.parametrize(
    "proof",
    [
        commit_proof(signers=(0, 1)),
        commit_proof(signers=(0, 1, 2, 3)),
        commit_proof(signers=(1, 0, 3)),
        commit_proof(signers=(0, 0, 3)),
        commit_proof(phase=Phase.PREPARE),
        commit_proof(view=1),
        commit_proof(height=3),
        commit_proof(attempt=1),
        commit_proof(digest=bytes(32)),
        commit_proof(signer=9),
        commit_proof(spoil=2),
        replace(commit_proof(), batch=S.batch),
    ],
    ids=["too few", "too many", "order", "twice", "phase", "view", "height", "attempt", "digest", "signer", "signature",
         "batch"],
)  # fmt: skip
def test_a_commit_proof_that_proves_nothing(proof: CommitProof) -> None:
    (outcome,) = made().verify_messages([proof])
    assert isinstance(outcome, PeerFault)
    assert outcome.what and outcome.where


# ---- blocks


def test_a_certified_block() -> None:
    assert made().verify_blocks([encode_block(S.block)]) == [Verified(S.block)]


def other_envelope() -> bytes:
    body = encode_body(replace(S.plain_envelope.body, nonce=9))
    return encode_envelope(body, S.plain_envelope.signers)


@pytest.mark.parametrize(
    "block",
    [
        replace(S.block, certificate=replace(S.certificate, signatures=S.certificate.signatures[:2])),
        replace(
            S.block,
            certificate=replace(S.certificate, signatures=(*S.certificate.signatures[:2], (3, bytes(64)))),
        ),
        replace(S.block, batch=replace(S.batch, height=2)),
        replace(S.block, batch=replace(S.batch, time_ms=S.header.time_ms + 1)),
        replace(S.block, envelopes=(S.envelope.raw, other_envelope())),
        replace(
            S.block,
            batch=replace(S.batch, envelope_ids=S.batch.envelope_ids[::-1]),
            envelopes=S.block.envelopes[::-1],
        ),
        replace(S.block, batch=replace(S.batch, envelope_ids=S.batch.envelope_ids[:1]), envelopes=(S.envelope.raw,)),
        replace(S.block, batch=replace(S.batch, envelope_ids=S.batch.envelope_ids[::-1])),
    ],
    ids=["too few votes", "forged vote", "height", "time", "another body", "order", "one left out", "batch"],
)
def test_a_block_that_is_not_what_was_certified(block: object) -> None:
    (outcome,) = made().verify_blocks([encode_block(block)])  # type: ignore[arg-type]
    assert isinstance(outcome, PeerFault)
    assert outcome.what and outcome.where


def test_garbage_is_no_block() -> None:
    outcomes = made().verify_blocks([b"", b"x" * 500, encode_block(S.block)])
    assert [isinstance(outcome, PeerFault) for outcome in outcomes] == [True, True, False]


# ---- who may make them


def makers(source: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Verified"
    ]


def test_only_ingress_makes_verified_values() -> None:
    found = {str(path.relative_to(ROOT)) for path in modules(*PACKAGES) if makers(path.read_text("utf-8"))}
    assert found == {"chain_core/network/ingress.py"}


def test_nothing_but_the_replay_of_recordings_vouches_for_what_it_read() -> None:
    """``recorded`` makes Verified values without looking at a signature: offline, of what this node had verified."""
    users = {
        str(path.relative_to(ROOT))
        for path in modules(*PACKAGES)
        if "ingress import recorded" in path.read_text("utf-8")
    }
    assert users == {"chain_core/node/recording_codec.py"}
    decoders = {
        str(path.relative_to(ROOT)) for path in modules(*PACKAGES) if "recording_codec" in path.read_text("utf-8")
    }
    assert decoders == {"chain_core/node/recorder.py", "chain_core/node/replay.py"}
