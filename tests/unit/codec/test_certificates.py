"""A certificate is exactly q valid signatures of the header's own set, ascending; anything else is refused by name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.block import encode_header, header_hash, header_message
from chain_core.codec.certificates import certificate_signatures, check_certificate, check_receipt, prepared_signatures
from chain_core.crypto.providers import provider
from chain_core.types.block import Certificate, Phase, PreparedCertificate
from chain_core.types.errors import InvalidProof
from chain_core.types.packet import InclusionProof
from chain_core.types.validator_set import ValidatorSet
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

SHARED = Samples(Signatures(may_sign=False))


def certificate_of(samples: Samples, *signers: int) -> Certificate:
    """The stored header votes of these replicas, in this order."""
    votes = [samples.header_votes[index] for index in signers]
    return Certificate(votes[0].header_hash, tuple((vote.signer, vote.signature) for vote in votes))


@pytest.mark.parametrize("signers", [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)])
def test_any_quorum_makes_a_header_final(samples: Samples, signers: tuple[int, ...]) -> None:
    certificate = certificate_of(samples, *signers)
    assert check_certificate(samples.header_bytes, certificate, samples.validators, samples.chain) == samples.header


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        ((0,), "1 signatures where exactly 3"),
        ((0, 1), "2 signatures where exactly 3"),
        ((0, 1, 2, 3), "4 signatures where exactly 3"),
        ((0, 0, 1), "ascending"),
        ((2, 1, 0), "ascending"),
    ],
)
def test_any_other_number_or_order_is_refused(samples: Samples, signers: tuple[int, ...], reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason):
        check_certificate(samples.header_bytes, certificate_of(samples, *signers), samples.validators, samples.chain)


def test_no_signature_at_all(samples: Samples) -> None:
    nobody = Certificate(header_hash(samples.header_bytes), ())
    with pytest.raises(InvalidProof, match="0 signatures"):
        check_certificate(samples.header_bytes, nobody, samples.validators, samples.chain)


def test_a_signature_under_another_name_is_named(samples: Samples) -> None:
    votes = samples.header_votes
    swapped = replace(
        samples.certificate, signatures=((0, votes[0].signature), (1, votes[2].signature), (2, votes[2].signature))
    )
    with pytest.raises(InvalidProof, match=r"validator 1 \(node-1\) does not verify"):
        check_certificate(samples.header_bytes, swapped, samples.validators, samples.chain)


def test_a_signer_outside_the_set_is_refused(samples: Samples) -> None:
    votes = samples.header_votes
    stranger = Certificate(
        votes[0].header_hash, ((0, votes[0].signature), (1, votes[1].signature), (4, votes[3].signature))
    )
    with pytest.raises(InvalidProof, match="signer 4 is no member of a set of 4"):
        check_certificate(samples.header_bytes, stranger, samples.validators, samples.chain)


def test_another_chain_set_header_or_height(samples: Samples) -> None:
    """The same signatures prove nothing about anything else."""
    header, certificate, validators = samples.header, samples.certificate, samples.validators
    turned = ValidatorSet(validators.validators[::-1])
    later = encode_header(replace(header, height=2))
    zero = encode_header(replace(header, height=0))
    cases = [
        (samples.header_bytes, certificate, validators, b"g" * 32, "another chain's"),
        (samples.header_bytes, certificate, turned, samples.chain, "another validator set"),
        (later, certificate, validators, samples.chain, "it certifies header"),
        (zero, replace(certificate, header_hash=header_hash(zero)), validators, samples.chain, "never certified"),
        (samples.header_bytes[:-1], certificate, validators, samples.chain, "ends too early"),
        (b"", certificate, validators, samples.chain, "ends too early"),
        (b"\0\2" + samples.header_bytes[2:], certificate, validators, samples.chain, "unknown version"),
    ]
    for raw, given_certificate, given_set, genesis, reason in cases:
        with pytest.raises(InvalidProof, match=reason) as refusal:
            check_certificate(raw, given_certificate, given_set, genesis)
        assert refusal.value.where
        assert refusal.value.next_step


def test_no_byte_of_a_certified_header_can_change(samples: Samples) -> None:
    certificate = samples.certificate
    for position in range(len(samples.header_bytes)):
        altered = bytearray(samples.header_bytes)
        altered[position] ^= 1
        with pytest.raises(InvalidProof):
            check_certificate(bytes(altered), certificate, samples.validators, samples.chain)


def test_no_byte_of_a_signature_can_change(samples: Samples) -> None:
    index, signature = samples.certificate.signatures[1]
    for position in range(0, 64, 7):
        altered = bytearray(signature)
        altered[position] ^= 1
        signatures = (samples.certificate.signatures[0], (index, bytes(altered)), samples.certificate.signatures[2])
        with pytest.raises(InvalidProof, match="validator 1"):
            check_certificate(
                samples.header_bytes,
                replace(samples.certificate, signatures=signatures),
                samples.validators,
                samples.chain,
            )


def test_what_is_left_to_verify_are_header_votes(samples: Samples) -> None:
    """Tag, genesis hash and header hash, under the signers' consensus keys."""
    _, items = certificate_signatures(samples.header_bytes, samples.certificate, samples.validators, samples.chain)
    message = header_message(samples.chain, header_hash(samples.header_bytes))
    assert [(key, m) for key, m, _ in items] == [(samples.validators.key(i), message) for i in (0, 1, 3)]
    assert message == b"dualchain/header/v1".ljust(32, b"\0") + samples.chain + header_hash(samples.header_bytes)


# ---- receipts


def test_a_receipt_stands_under_its_header(samples: Samples) -> None:
    for index, raw in enumerate(samples.receipt_bytes):
        proof = samples.inclusion(samples.receipt_bytes, index)
        receipt = check_receipt(raw, proof, samples.header, samples.batch.envelope_ids[index])
        assert receipt == samples.receipts[index]


def test_another_receipt_place_or_owner_is_refused(samples: Samples) -> None:
    first, second = samples.receipt_bytes
    proof = samples.inclusion(samples.receipt_bytes, 0)
    other_ledger = replace(samples.header, ledger=1)
    cases = [
        (second, proof, samples.header, None, "does not lead to the root"),
        (first[:-1] + b"\0", proof, samples.header, None, "does not lead to the root"),
        (first, replace(proof, index=1), samples.header, None, "does not lead to the root"),
        (first, InclusionProof(0, 1, ()), samples.header, None, "for 1 leaves"),
        (first, proof, other_ledger, None, "of ledger 0"),
        (first, proof, samples.header, b"e" * 32, "that of envelope"),
    ]
    for raw, inclusion, header, own, reason in cases:
        with pytest.raises(InvalidProof, match=reason):
            check_receipt(raw, inclusion, header, own)


# ---- prepared certificates


def test_a_prepared_certificate_is_q_votes(samples: Samples) -> None:
    items = prepared_signatures(samples.prepared, samples.validators, samples.chain)
    assert [key for key, _, _ in items] == [samples.validators.key(i) for i in (0, 1, 2)]
    assert all(provider().sm2_verify_many(items))
    assert {message[:32] for _, message, _ in items} == {b"dualchain/vote/v1".ljust(32, b"\0")}


def test_what_is_no_prepared_certificate(samples: Samples) -> None:
    good, vote = samples.prepared, samples.vote
    prepares = good.prepares
    outsider = replace(prepares[1], vote=replace(prepares[1].vote, signer=4))
    cases: list[tuple[PreparedCertificate, str]] = [
        (replace(good, prepares=prepares[:1]), "1 PREPAREs where exactly 2"),
        (replace(good, prepares=(*prepares, vote(Phase.COMMIT, 3))), "3 PREPAREs where exactly 2"),
        (replace(good, prepares=prepares[::-1]), "ascending"),
        (replace(good, prepares=(prepares[0], prepares[0])), "ascending"),
        (replace(good, prepares=(prepares[0], vote(Phase.COMMIT, 3))), "no PREPARE for it"),
        (replace(good, prepares=(prepares[0], outsider)), "signer 4 is no member"),
        (replace(good, pre_prepare=vote(Phase.COMMIT, 3)), "a COMMIT where a PRE-PREPARE belongs"),
        (replace(good, batch=replace(good.batch, time_ms=1)), "the digest is not the batch's"),
        (replace(good, batch=replace(good.batch, height=3)), "another ledger, epoch, height or attempt"),
        (replace(good, batch=replace(good.batch, attempt=1)), "another ledger, epoch, height or attempt"),
        (replace(good, pre_prepare=vote(Phase.PRE_PREPARE, 1, view=1)), "beside its PRE-PREPARE"),
    ]
    for prepared, reason in cases:
        with pytest.raises(InvalidProof, match=reason):
            prepared_signatures(prepared, samples.validators, samples.chain)


@pytest.mark.parametrize("name", ["ledger", "epoch", "height", "view", "attempt", "digest"])
def test_a_prepare_for_anything_else_does_not_count(samples: Samples, name: str) -> None:
    first, second = samples.prepared.prepares
    other = b"d" * 32 if name == "digest" else getattr(second.vote, name) + 1
    stray = replace(second, vote=replace(second.vote, **{name: other}))
    with pytest.raises(InvalidProof, match="no PREPARE for it"):
        prepared_signatures(replace(samples.prepared, prepares=(first, stray)), samples.validators, samples.chain)


def test_the_primary_has_no_second_say(samples: Samples) -> None:
    primary = replace(samples.prepared.prepares[0], vote=replace(samples.prepared.prepares[0].vote, signer=0))
    both = replace(samples.prepared, prepares=(primary, samples.prepared.prepares[1]))
    with pytest.raises(InvalidProof, match="beside its PRE-PREPARE"):
        prepared_signatures(both, samples.validators, samples.chain)


def test_only_the_primary_of_the_view_proposes(samples: Samples) -> None:
    pre_prepare = samples.prepared.pre_prepare
    usurper = replace(pre_prepare, vote=replace(pre_prepare.vote, signer=3))
    with pytest.raises(InvalidProof, match="replica 3 is not the primary of view 0"):
        prepared_signatures(replace(samples.prepared, pre_prepare=usurper), samples.validators, samples.chain)


@given(st.lists(st.integers(0, 6), max_size=5))
def test_only_ascending_quorums_of_members_pass_the_structural_half(signers: list[int]) -> None:
    samples = SHARED
    certificate = Certificate(header_hash(samples.header_bytes), tuple((i, b"s" * 64) for i in signers))
    well_formed = len(signers) == 3 and signers == sorted(set(signers)) and signers[-1] < 4
    try:
        certificate_signatures(samples.header_bytes, certificate, samples.validators, samples.chain)
        passed = True
    except InvalidProof:
        passed = False
    assert passed is well_formed
