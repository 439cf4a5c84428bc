"""A holder of the genesis document believes what was certified, and not one changed byte of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.block import encode_certificate, encode_header, header_hash, header_message
from chain_core.codec.proofs import encode_inclusion, encode_state_proof
from chain_core.codec.seen import seen_key
from chain_core.codec.transaction import decode_envelope, encode_envelope, encode_receipt
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree
from chain_core.execution.codes import Code
from chain_core.node.answers import CertifiedHeader, OutboxAnswer, ProvenPacket, ProvenReceipt, StateAnswer, StateItem
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Certificate, Header
from chain_core.types.errors import InvalidProof
from chain_core.types.packet import InclusionProof
from chain_core.types.transaction import Signer
from tests.vectors.keys import Signatures, public_key
from tests.vectors.samples import OPERATOR, WITNESS, Samples

S = Samples(Signatures(may_sign=True))
CERTIFIED = CertifiedHeader(S.header_bytes, encode_certificate(S.certificate))
KEYS = (*sorted(S.state.values)[:2], b"\x06kernel-nothing")


def fresh(genesis_header: bytes = b"") -> ChainView:
    return ChainView(S.genesis_bytes, genesis_header=genesis_header)


def certified(header: Header, signers: tuple[int, ...] = (0, 1, 3)) -> CertifiedHeader:
    """A header with the signatures of these validators."""
    raw = encode_header(header)
    message = header_message(S.chain, header_hash(raw))
    votes = tuple((i, S.signatures.sign(i, message)) for i in signers)
    return CertifiedHeader(raw, encode_certificate(Certificate(header_hash(raw), votes)))


def receipt(index: int = 0) -> ProvenReceipt:
    return ProvenReceipt(1, S.receipt_bytes[index], encode_inclusion(S.inclusion(S.receipt_bytes, index)))


def state_answer(*keys: bytes) -> StateAnswer:
    items = tuple(StateItem(S.state.values.get(key), encode_state_proof(S.state.prove(key))) for key in keys)
    return StateAnswer(CERTIFIED, items)


def outbox() -> OutboxAnswer:
    packets = tuple(
        ProvenPacket(raw, encode_inclusion(S.inclusion(S.outbox, index))) for index, raw in enumerate(S.outbox)
    )
    return OutboxAnswer(CERTIFIED, packets)


def test_what_is_certified_is_believed() -> None:
    view = fresh()
    assert view.check_header(CERTIFIED) == S.header
    assert view.check_receipt(CERTIFIED, receipt(1)).receipt == S.receipts[1]
    view.check_receipts(S.header, S.receipt_bytes)
    assert view.check_own_receipt(S.envelope, CERTIFIED, receipt(0)).receipt == S.receipts[0]
    header, values = view.check_state(KEYS, state_answer(*KEYS))
    assert (header, values) == (S.header, [S.state.values.get(key) for key in KEYS])
    assert view.check_outbox(outbox()) == (S.header, [S.packet, S.acknowledgement])
    absent = S.seen.prove(seen_key(0, OPERATOR, 4))
    assert view.check_unused(OPERATOR, 4, CERTIFIED, encode_state_proof(absent)) == S.header


def test_a_certificate_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    view = fresh()
    view.check_header(CERTIFIED)
    monkeypatch.setattr("chain_core.node.chain_view.check_certificate", lambda *_: pytest.fail("verified again"))
    view.check_header(CERTIFIED)
    view.check_header(replace(CERTIFIED, certificate=b"the header itself is known by now"))


def flipped(data: bytes, place: int, bit: int) -> bytes:
    at = place % len(data)
    return data[:at] + bytes((data[at] ^ (1 << bit),)) + data[at + 1 :]


KNOWING = fresh()
KNOWING.check_header(CERTIFIED)
ABSENCE = encode_state_proof(S.seen.prove(seen_key(0, OPERATOR, 4)))
STATE_PROOF = encode_state_proof(S.state.prove(KEYS[0]))
PLACES: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "header": (CERTIFIED.header, lambda raw: fresh().check_header(replace(CERTIFIED, header=raw))),
    "certificate": (CERTIFIED.certificate, lambda raw: fresh().check_header(replace(CERTIFIED, certificate=raw))),
    "receipt": (receipt().receipt, lambda raw: KNOWING.check_receipt(CERTIFIED, replace(receipt(), receipt=raw))),
    "receipt's proof": (receipt().proof, lambda raw: KNOWING.check_receipt(CERTIFIED, replace(receipt(), proof=raw))),
    "one of all receipts": (
        S.receipt_bytes[1],
        lambda raw: KNOWING.check_receipts(S.header, (S.receipt_bytes[0], raw)),
    ),
    "value": (
        S.state.values[KEYS[0]],
        lambda raw: KNOWING.check_state(KEYS[:1], StateAnswer(CERTIFIED, (StateItem(raw, STATE_PROOF),))),
    ),
    "state proof": (
        STATE_PROOF,
        lambda raw: KNOWING.check_state(KEYS[:1], StateAnswer(CERTIFIED, (StateItem(S.state.values[KEYS[0]], raw),))),
    ),
    "absence": (ABSENCE, lambda raw: KNOWING.check_unused(OPERATOR, 4, CERTIFIED, raw)),
    "packet": (
        S.outbox[0],
        lambda raw: KNOWING.check_outbox(
            replace(outbox(), packets=(replace(outbox().packets[0], packet=raw), outbox().packets[1]))
        ),
    ),
    "packet's proof": (
        outbox().packets[0].proof,
        lambda raw: KNOWING.check_outbox(
            replace(outbox(), packets=(replace(outbox().packets[0], proof=raw), outbox().packets[1]))
        ),
    ),
}


@pytest.mark.parametrize("name", PLACES)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(name: str, place: int, bit: int) -> None:
    good, check = PLACES[name]
    check(good)
    with pytest.raises(InvalidProof) as caught:
        check(flipped(good, place, bit))
    assert caught.value.what


def refused(check: Callable[[], object], reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason) as caught:
        check()
    assert caught.value.where


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        (certified(S.header, (0, 1)), "exactly 3"),
        (certified(S.header, (0, 1, 2, 3)), "exactly 3"),
        (certified(replace(S.header, genesis_hash=b"g" * 32)), "another chain"),
        (certified(replace(S.header, ledger=5)), "ledger 5"),
        (certified(replace(S.header, validator_set_hash=b"v" * 32)), "another validator set"),
        (CertifiedHeader(S.genesis_header, b""), "height 0 has no certificate"),
        (CertifiedHeader(b"", b""), "header"),
    ],
)
def test_headers_that_are_not_final(claimed: CertifiedHeader, reason: str) -> None:
    refused(lambda: fresh().check_header(claimed), reason)


def test_a_fork_is_called_a_fork() -> None:
    view = fresh()
    view.check_header(CERTIFIED)
    other = certified(replace(S.header, state_root=b"x" * 32))
    refused(lambda: view.check_header(other), "forked")


def test_height_0_is_believed_by_who_computed_it() -> None:
    claimed = CertifiedHeader(S.genesis_header, b"")
    assert fresh(S.genesis_header).check_header(claimed).height == 0
    changed = CertifiedHeader(flipped(S.genesis_header, 300, 0), b"")
    refused(lambda: fresh(S.genesis_header).check_header(changed), "height 0")


def under_one_receipt(code: Code, envelope_id: bytes) -> tuple[CertifiedHeader, ProvenReceipt]:
    """A certified header over one receipt of the sample transaction, ordered as another envelope."""
    raw = encode_receipt(replace(S.receipts[0], envelope_id=envelope_id, code=code))
    tree = MerkleTree((raw,))
    header = certified(replace(S.header, height=9, receipt_root=tree.root, receipt_count=1))
    return header, ProvenReceipt(9, raw, encode_inclusion(InclusionProof(0, 1, ())))


def test_another_envelope_with_the_same_body_counts_when_it_used_the_nonce() -> None:
    header, proven = under_one_receipt(Code.OK, b"e" * 32)
    assert fresh().check_own_receipt(S.envelope, header, proven).receipt.code == Code.OK
    for code in (Code.UNAUTHORISED, Code.EXPIRED):
        header, proven = under_one_receipt(code, b"e" * 32)
        with pytest.raises(InvalidProof, match="envelope"):
            fresh().check_own_receipt(S.envelope, header, proven)
    header, proven = under_one_receipt(Code.EXPIRED, S.envelope.envelope_id)
    assert fresh().check_own_receipt(S.envelope, header, proven).receipt.code == Code.EXPIRED


def test_a_strangers_receipt_is_not_ones_own() -> None:
    refused(lambda: fresh().check_own_receipt(S.plain_envelope, CERTIFIED, receipt(0)), "envelope")
    resigned = decode_envelope(
        encode_envelope(S.plain_envelope.body_bytes, (Signer(public_key(5), sm3(b"r") + sm3(b"s")),))
    )
    refused(lambda: fresh().check_own_receipt(resigned, CERTIFIED, receipt(0)), "envelope")


def test_answers_that_are_too_short_or_in_another_order() -> None:
    answer = state_answer(*KEYS)
    refused(lambda: fresh().check_state(KEYS, replace(answer, items=answer.items[:2])), "2 values for 3 keys")
    refused(lambda: fresh().check_state(KEYS, replace(answer, items=answer.items[::-1])), "bucket")
    packets = outbox().packets
    refused(lambda: fresh().check_outbox(replace(outbox(), packets=packets[:1])), "counts 2")
    refused(lambda: fresh().check_outbox(replace(outbox(), packets=packets[::-1])), "proven at index")
    refused(lambda: fresh().check_receipts(S.header, S.receipt_bytes[:1]), "root")
    used = encode_state_proof(S.seen.prove(seen_key(0, WITNESS, 0)))
    refused(lambda: fresh().check_unused(WITNESS, 0, CERTIFIED, used), "presence")
