"""What no correct replica sends is the peer's fault; what passes names every signature it rests on, each once."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain_core.codec import signed
from chain_core.codec.block import decode_header, encode_header
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.crypto.providers import provider
from chain_core.network.message_signatures import signature_triples
from chain_core.types.block import HeaderVote, NewView, Phase, SignedNewView, SignedViewChange, SignedVote, ViewChange
from chain_core.types.errors import PeerFault
from chain_core.types.validator_set import ValidatorSet
from tests.one_epoch import OneEpoch
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=False))
PRE_PREPARE = PrePrepare(S.vote(Phase.PRE_PREPARE, 0), S.next_batch)
PREPARE, COMMIT = S.vote(Phase.PREPARE, 1), S.vote(Phase.COMMIT, 3)
PROOF = CommitProof(S.next_batch, S.commits)
NOTICE = FinalityNotice(S.header_bytes, S.certificate)
CHANGE, FIRST, NEW_VIEW = S.view_change(1), S.view_change(3, first=True), S.new_view
HEARTBEAT = Heartbeat(3, 1, 0, 0, False)

# message, how many different signatures it rests on
GOOD: dict[str, tuple[Message, int]] = {
    "PRE-PREPARE": (PRE_PREPARE, 1),
    "PREPARE": (PREPARE, 1),
    "COMMIT": (COMMIT, 1),
    "commit proof": (PROOF, 3),
    "header vote": (S.header_votes[2], 1),
    "finality notice": (NOTICE, 3),
    "VIEW-CHANGE at height 0": (FIRST, 1),
    "VIEW-CHANGE with certificate and prepared": (CHANGE, 1 + 3 + 3),
    "NEW-VIEW": (NEW_VIEW, 1 + 1 + 3 + 3 + 3),
    "heartbeat": (HEARTBEAT, 0),
}


@pytest.mark.parametrize(("message", "count"), GOOD.values(), ids=GOOD)
def test_every_signature_is_named_once(message: Message, count: int) -> None:
    triples = signature_triples(message, OneEpoch(S.validators), S.chain, S.genesis_header)
    assert len(triples) == len(set(triples)) == count
    assert all(provider().sm2_verify_many(triples))


@pytest.mark.parametrize(("message", "count"), GOOD.values(), ids=GOOD)
def test_no_signature_is_good_on_another_chain(message: Message, count: int) -> None:
    """Either the structure already names the other chain, or every signature fails."""
    try:
        triples = signature_triples(message, OneEpoch(S.validators), b"g" * 32, S.genesis_header)
    except PeerFault:
        return
    assert len(triples) == count
    assert not any(provider().sm2_verify_many(triples))


@pytest.mark.parametrize(("message", "count"), GOOD.values(), ids=GOOD)
def test_nested_signatures_are_not_forgotten(message: Message, count: int) -> None:
    """Breaking any one signature inside a message breaks one of its triples."""
    broken = sum(
        not all(
            provider().sm2_verify_many(signature_triples(variant, OneEpoch(S.validators), S.chain, S.genesis_header))
        )
        for variant in with_one_broken(message)
    )
    assert broken == count


def spoil(signature: bytes) -> bytes:
    return signature[:-1] + bytes((signature[-1] ^ 1,))


def with_one_broken(message: Message) -> list[Message]:
    """The message again and again, with one different signature spoiled each time, wherever it occurs."""
    found = {
        signature for _, _, signature in signature_triples(message, OneEpoch(S.validators), S.chain, S.genesis_header)
    }
    return [spoiled(message, signature) for signature in sorted(found)]


def spoiled(message: Message, bad: bytes) -> Message:
    """The message with this signature spoiled in every place. Bodies stay: only nested values are looked at."""

    def vote(v: SignedVote) -> SignedVote:
        return replace(v, signature=spoil(bad)) if v.signature == bad else v

    def certificate_signatures(pairs: tuple[tuple[int, bytes], ...]) -> tuple[tuple[int, bytes], ...]:
        return tuple((i, spoil(s) if s == bad else s) for i, s in pairs)

    def change(c: SignedViewChange) -> SignedViewChange:
        final, inner = c.message.final_certificate, c.message
        if final is not None:
            final = replace(final, signatures=certificate_signatures(final.signatures))
        prepared = tuple(
            replace(p, pre_prepare=vote(p.pre_prepare), prepares=tuple(map(vote, p.prepares))) for p in inner.prepared
        )
        inner = replace(inner, final_certificate=final, prepared=prepared)
        return SignedViewChange(inner, c.body, spoil(bad) if c.signature == bad else c.signature)

    match message:
        case PrePrepare():
            return replace(message, vote=vote(message.vote))
        case SignedVote():
            return vote(message)
        case CommitProof():
            return replace(message, commits=tuple(map(vote, message.commits)))
        case HeaderVote():
            return replace(message, signature=spoil(bad))
        case FinalityNotice(certificate=c):
            return replace(message, certificate=replace(c, signatures=certificate_signatures(c.signatures)))
        case SignedViewChange():
            return change(message)
        case SignedNewView():
            inner = replace(
                message.message,
                view_changes=tuple(map(change, message.message.view_changes)),
                pre_prepares=tuple(map(vote, message.message.pre_prepares)),
            )
            return SignedNewView(inner, message.body, spoil(bad) if message.signature == bad else message.signature)
        case _:
            return message


# ---- what no correct replica sends


def bad_vote(message: SignedVote, **change: int) -> SignedVote:
    return replace(message, vote=replace(message.vote, **change))


def bad_header(**change: object) -> HeaderVote:
    vote = S.header_votes[0]
    return replace(vote, header=replace(vote.header, **change))  # type: ignore[arg-type]


def bad_change(**change: object) -> SignedViewChange:
    return replace(CHANGE, message=replace(CHANGE.message, **change))  # type: ignore[arg-type]


def bad_new_view(**change: object) -> SignedNewView:
    return replace(NEW_VIEW, message=replace(NEW_VIEW.message, **change))  # type: ignore[arg-type]


def inner_change(**change: object) -> SignedNewView:
    changes = NEW_VIEW.message.view_changes
    first = replace(changes[0], message=replace(changes[0].message, **change))  # type: ignore[arg-type]
    return bad_new_view(view_changes=(first, *changes[1:]))


def genesis_header(**change: object) -> bytes:
    return encode_header(replace(decode_header(S.genesis_header), **change))  # type: ignore[arg-type]


HIGHER = replace(S.prepared, pre_prepare=bad_vote(S.prepared.pre_prepare, height=200))
BAD: dict[str, tuple[Message, str]] = {
    "PRE-PREPARE alone": (S.vote(Phase.PRE_PREPARE, 0), "without its batch"),
    "PREPARE of the primary": (bad_vote(PREPARE, signer=0), "the view's own primary"),
    "vote of a stranger": (bad_vote(COMMIT, signer=4), "signer 4 is no member"),
    "PRE-PREPARE of a backup": (PrePrepare(bad_vote(PRE_PREPARE.vote, signer=2), S.next_batch), "not the primary"),
    "PRE-PREPARE with another batch": (PrePrepare(PRE_PREPARE.vote, S.batch), "another ledger, epoch, height"),
    "PRE-PREPARE with an altered batch": (
        PrePrepare(PRE_PREPARE.vote, replace(S.next_batch, time_ms=1)),
        "the digest is not",
    ),
    "COMMIT as PRE-PREPARE": (PrePrepare(COMMIT, S.next_batch), "a COMMIT where"),
    "header vote of a stranger": (replace(S.header_votes[0], signer=4), "replica 4 is no member"),
    "header vote on another chain": (bad_header(genesis_hash=b"g" * 32), "another chain's"),
    "header vote of another set": (bad_header(validator_set_hash=b"g" * 32), "another validator set"),
    "header vote on height 0": (bad_header(height=0), "never certified"),
    "commit proof of two": (replace(PROOF, commits=S.commits[:2]), "2 COMMITs where exactly 3"),
    "commit proof of nobody": (replace(PROOF, commits=()), "0 COMMITs where exactly 3"),
    "commit proof of four": (replace(PROOF, commits=(*S.commits, S.commits[0])), "4 COMMITs where exactly 3"),
    "commit proof out of order": (replace(PROOF, commits=S.commits[::-1]), "COMMITs are not strictly ascending"),
    "commit proof of one replica": (replace(PROOF, commits=S.commits[:1] * 3), "COMMITs are not strictly ascending"),
    "commit proof with a PREPARE": (replace(PROOF, commits=(PREPARE, *S.commits[1:])), "no COMMIT for its batch"),
    "commit proof of two views": (
        replace(PROOF, commits=(*S.commits[:2], bad_vote(S.commits[2], view=1))),
        "no COMMIT for its batch",
    ),
    "commit proof of another batch": (replace(PROOF, batch=S.batch), "no COMMIT for its batch"),
    "commit proof of an altered batch": (
        replace(PROOF, batch=replace(S.next_batch, time_ms=1)),
        "no COMMIT for its batch",
    ),
    "commit proof with a stranger": (
        replace(PROOF, commits=(*S.commits[:2], bad_vote(S.commits[2], signer=4))),
        "signer 4 is no member",
    ),
    "heartbeat of a stranger": (replace(HEARTBEAT, sender=4), "no member"),
    "notice with garbage": (FinalityNotice(b"garbage", S.certificate), "ends too early"),
    "notice of another header": (FinalityNotice(S.genesis_header, S.certificate), "never certified"),
    "VIEW-CHANGE of a stranger": (bad_change(signer=9), "replica 9 is no member"),
    "VIEW-CHANGE to view 0": (
        replace(FIRST, message=replace(FIRST.message, new_view=0)),
        "view 0 is where an epoch begins",
    ),
    "VIEW-CHANGE without certificate": (bad_change(final_certificate=None), "height 1 has no certificate"),
    "VIEW-CHANGE with a garbled header": (bad_change(final_header=bytes(408)), "unknown version"),
    "VIEW-CHANGE of another ledger": (bad_change(ledger=1), "final header is of ledger 0"),
    "VIEW-CHANGE prepared in another epoch": (
        bad_change(prepared=(replace(S.prepared, pre_prepare=bad_vote(S.prepared.pre_prepare, epoch=1)),)),
        "another ledger or epoch",
    ),
    "VIEW-CHANGE prepared below final": (
        bad_change(prepared=(replace(S.prepared, pre_prepare=bad_vote(S.prepared.pre_prepare, height=1)),)),
        "not above the final 1",
    ),
    "VIEW-CHANGE prepared beyond any window": (bad_change(prepared=(HIGHER,)), "not above the final 1"),
    "VIEW-CHANGE prepared in the new view": (
        bad_change(prepared=(replace(S.prepared, pre_prepare=bad_vote(S.prepared.pre_prepare, view=1)),)),
        "not before the new one",
    ),
    "VIEW-CHANGE with a short prepared certificate": (
        bad_change(prepared=(replace(S.prepared, prepares=S.prepared.prepares[:1]),)),
        "1 PREPAREs where exactly 2",
    ),
    "VIEW-CHANGE at a forged height 0": (
        replace(FIRST, message=replace(FIRST.message, final_header=genesis_header(epoch=1))),
        "height 0 is not this ledger's",
    ),
    "NEW-VIEW of a backup": (bad_new_view(signer=2), "not the primary of a new view 1"),
    "NEW-VIEW of view 0": (bad_new_view(view=0, signer=0), "not the primary of a new view 0"),
    "NEW-VIEW with two changes": (bad_new_view(view_changes=NEW_VIEW.message.view_changes[:2]), "2 VIEW-CHANGEs"),
    "NEW-VIEW with changes of one replica": (
        bad_new_view(view_changes=(NEW_VIEW.message.view_changes[0],) * 3),
        "ascending by signer",
    ),
    "NEW-VIEW with a change to another view": (inner_change(new_view=2), "for another view"),
    "NEW-VIEW with a change of another epoch": (inner_change(epoch=1), "for another view"),
    "NEW-VIEW with a bad change": (inner_change(final_certificate=None), "has no certificate"),
    "NEW-VIEW with another's PRE-PREPARE": (
        bad_new_view(pre_prepares=(PRE_PREPARE.vote,)),
        "another ledger, epoch, view",
    ),
    "NEW-VIEW with a PREPARE": (bad_new_view(pre_prepares=(PREPARE,)), "a PREPARE where"),
    "NEW-VIEW with one height twice": (bad_new_view(pre_prepares=NEW_VIEW.message.pre_prepares * 2), "by height"),
}


@pytest.mark.parametrize(("message", "reason"), BAD.values(), ids=BAD)
def test_what_no_correct_replica_sends(message: Message, reason: str) -> None:
    with pytest.raises(PeerFault, match=reason) as fault:
        signature_triples(message, OneEpoch(S.validators), S.chain, S.genesis_header)
    assert fault.value.where
    assert fault.value.next_step


def first_change(ledger: int, header: bytes) -> SignedViewChange:
    return replace(FIRST, message=replace(FIRST.message, ledger=ledger, final_header=header))


SPRUNG = {
    "a successor": (0, genesis_header(prev_hash=S.certificate.header_hash)),
    "a sub-ledger": (1, genesis_header(ledger=1, prev_hash=S.certificate.header_hash)),
}


@pytest.mark.parametrize(("ledger", "first"), SPRUNG.values(), ids=SPRUNG)
def test_a_chain_whose_height_0_follows_a_header_changes_its_view_there(ledger: int, first: bytes) -> None:
    """Its own header of height 0 is the measure: no other one is uncertified there."""
    change = first_change(ledger, first)
    assert len(signature_triples(change, OneEpoch(S.validators), S.chain, first)) == 1
    for other in (genesis_header(ledger=ledger), genesis_header(ledger=ledger, prev_hash=first[:32])):
        with pytest.raises(PeerFault, match="height 0 is not this ledger's"):
            signature_triples(first_change(ledger, other), OneEpoch(S.validators), S.chain, first)


def test_n_f_and_keys_come_from_the_given_set() -> None:
    """Seven validators: the same messages lack votes there, and its header votes are another set's."""
    keys = [signed.tag(f"key {n}") + signed.tag("y") for n in range(6)]
    extra = tuple(
        replace(S.validators.validators[0], name=f"n{n}", consensus_key=keys[n], transport_key=keys[n + 3])
        for n in range(3)
    )
    seven = ValidatorSet((*S.validators.validators, *extra))
    calls: list[Callable[[], object]] = [
        lambda: signature_triples(CHANGE, OneEpoch(seven), S.chain, S.genesis_header),
        lambda: signature_triples(NEW_VIEW, OneEpoch(seven), S.chain, S.genesis_header),
        lambda: signature_triples(NOTICE, OneEpoch(seven), S.chain, S.genesis_header),
    ]
    for call in calls:
        with pytest.raises(PeerFault):
            call()
    assert len(signature_triples(COMMIT, OneEpoch(seven), S.chain, S.genesis_header)) == 1


def test_the_samples_are_whole() -> None:
    """The signed bodies are those of the values above, else the cases would prove little."""
    assert isinstance(NEW_VIEW.message, NewView)
    assert isinstance(CHANGE.message, ViewChange)
    assert {m[:32] for _, m, _ in signature_triples(NEW_VIEW, OneEpoch(S.validators), S.chain, S.genesis_header)} == {
        signed.NEW_VIEW,
        signed.VIEW_CHANGE,
        signed.HEADER,
        signed.VOTE,
    }
