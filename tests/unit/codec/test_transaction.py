"""Bodies, envelopes and receipts: what is refused, by name (docs/spec/formats.md §4)."""

from dataclasses import replace
from typing import Any

import pytest

from chain_core.codec import signed
from chain_core.codec.transaction import (
    decode_body,
    decode_envelope,
    decode_envelopes,
    decode_receipt,
    encode_body,
    encode_envelope,
    encode_receipt,
    encode_success,
    envelope_id,
    transaction_id,
)
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import MAX_U64, NO_ACCOUNT
from chain_core.types.transaction import MAX_ENVELOPE_BYTES, MAX_OPERATIONS, Envelope, Operation, Receipt, Signer
from tests.vectors.samples import OPERATOR, REGULATOR, WITNESS, Samples

PING = Operation("kernel", "ping", {})
SIGNER = Signer(b"k" * 64, b"s" * 64)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"account": NO_ACCOUNT}, "all zeros"),
        ({"account": b"short"}, "16"),
        ({"on_behalf_of": b"x" * 17}, "16"),
        ({"ledger": -1}, "does not fit"),
        ({"ledger": 1 << 32}, "does not fit"),
        ({"nonce": MAX_U64 + 1}, "does not fit"),
        ({"valid_until_ms": 1.5}, "does not fit"),
        ({"business_id": "x" * 65}, "65 bytes"),
        ({"business_id": "业" * 22}, "66 bytes"),
        ({"business_id": "x" * 256}, "256"),
        ({"operations": ()}, "count 0"),
        ({"operations": (PING,) * (MAX_OPERATIONS + 1)}, "count 65"),
        ({"operations": (PING,) * 256}, "256"),
        ({"operations": (Operation("Kernel", "ping", {}),)}, "lower-case"),
        ({"operations": (Operation("kernel", "", {}),)}, "lower-case"),
        ({"operations": (Operation("kernel", "p" * 65, {}),)}, "65 bytes"),
        ({"operations": (Operation("内核", "ping", {}),)}, "lower-case"),
        ({"operations": (Operation("kernel", "ping\n", {}),)}, "lower-case"),
        ({"operations": (Operation("kernel", "ping", {"price": 1.5}),)}, "float"),
        ({"operations": (Operation("kernel", "ping", {1: 2}),)}, "text keys"),
        ({"cosigners": (WITNESS, REGULATOR, WITNESS)}, "ascending"),
        ({"cosigners": (WITNESS, WITNESS)}, "ascending"),
        ({"cosigners": (OPERATOR,)}, "the account itself"),
        ({"cosigners": (NO_ACCOUNT,)}, "all zeros"),
        ({"cosigners": tuple(bytes([i]) * 16 for i in range(1, 9))}, "count 8"),
    ],
)
def test_a_body_no_node_would_take_is_not_written(samples: Samples, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedBytes, match=reason):
        encode_body(replace(samples.body, **change))


def test_a_body_of_another_version_is_refused(samples: Samples) -> None:
    with pytest.raises(MalformedBytes, match="version 2"):
        decode_body(b"\x02" + samples.body_bytes[1:])


def test_the_two_ids(samples: Samples) -> None:
    """One body with two valid signatures is one transaction in two envelopes."""
    envelope = samples.envelope
    assert envelope.transaction_id == transaction_id(envelope.body_bytes) == sm3(samples.body_bytes)
    assert envelope.envelope_id == envelope_id(envelope.raw) == sm3(signed.tag("dualchain/envelope/v1") + envelope.raw)
    signers = (replace(envelope.signers[0], signature=b"s" * 64), envelope.signers[1])
    other = decode_envelope(encode_envelope(envelope.body_bytes, signers))
    assert other.transaction_id == envelope.transaction_id
    assert other.envelope_id != envelope.envelope_id


def test_an_envelope_has_one_signature_a_signer(samples: Samples) -> None:
    envelope = samples.envelope
    for count in (1, 3):
        raw = encode_envelope(envelope.body_bytes, (SIGNER,) * count)
        with pytest.raises(MalformedBytes, match=f"{count} signatures for 2 signers"):
            decode_envelope(raw)


@pytest.mark.parametrize("count", [0, 9])
def test_a_number_of_signers_that_no_envelope_has(samples: Samples, count: int) -> None:
    head = b"\x01" + len(samples.body_bytes).to_bytes(4, "big") + samples.body_bytes
    with pytest.raises(MalformedBytes, match=f"count {count} outside 1..8"):
        decode_envelope(head + bytes((count,)) + b"s" * 128 * count)


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        ((), "0 signers"),
        ((SIGNER,) * 9, "9 signers"),
        ((Signer(b"k" * 63, b"s" * 64),), "63 bytes"),
        ((Signer(b"k" * 64, b"s" * 72),), "72 bytes"),
    ],
)
def test_an_envelope_that_does_not_fit_is_not_written(
    samples: Samples, signers: tuple[Signer, ...], reason: str
) -> None:
    """struct alone would pad a short key with zeros and cut a long signature."""
    with pytest.raises(ValueError, match=reason):
        encode_envelope(samples.body_bytes, signers)


def test_an_envelope_ends_at_the_limit(samples: Samples) -> None:
    def envelope_of(memo_bytes: int) -> bytes:
        memo = Operation("kernel", "note", {"memo": b"m" * memo_bytes})
        return encode_envelope(encode_body(replace(samples.body, operations=(memo,), cosigners=())), (SIGNER,))

    spare = MAX_ENVELOPE_BYTES - len(envelope_of(0))
    assert len(decode_envelope(envelope_of(spare)).raw) == MAX_ENVELOPE_BYTES
    with pytest.raises(ValueError, match="at most 262144"):
        envelope_of(spare + 1)
    with pytest.raises(MalformedBytes, match="at most 262144"):
        decode_envelope(envelope_of(spare) + b"\0")


def test_a_batch_of_envelopes_decodes_as_one_by_one(samples: Samples) -> None:
    """Good ones as alone, bad ones as their refusal, in order."""
    good, bad = samples.envelope, samples.envelope.raw[:-1]
    results = decode_envelopes([good.raw, bad, samples.plain_envelope.raw, b""])
    assert results[0] == good
    assert results[2] == samples.plain_envelope
    for result, raw in ((results[1], bad), (results[3], b"")):
        with pytest.raises(MalformedBytes) as alone:
            decode_envelope(raw)
        assert not isinstance(result, Envelope)
        assert str(result) == str(alone.value)
    assert decode_envelopes([]) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"envelope_id": b"e" * 31}, "31 bytes"),
        ({"transaction_id": b"t" * 33}, "33 bytes"),
        ({"account": b""}, "0 bytes"),
        ({"code": 1 << 16}, "does not fit"),
        ({"rule": "r" * 65}, "at most 64"),
        ({"rule": "持有人上限"}, "ascii"),
        ({"events_digest": b"d" * 31}, "events digest"),
    ],
)
def test_a_receipt_that_does_not_fit_is_not_written(samples: Samples, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        encode_receipt(replace(samples.receipts[0], **change))


def test_a_rule_is_ascii(samples: Samples) -> None:
    raw = encode_receipt(replace(samples.receipts[1], rule="ab"))
    assert raw[95:98] == b"\x02ab"
    with pytest.raises(MalformedBytes, match="not ASCII"):
        decode_receipt(raw[:96] + "é".encode() + raw[98:])


def test_receipt_parameters_are_a_list(samples: Samples) -> None:
    raw = samples.receipt_bytes[0]
    assert raw[-37:-32] == encode_value([])
    with pytest.raises(MalformedBytes, match="not a list"):
        decode_receipt(raw[:-37] + encode_value({}) + raw[-32:])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((b"g" * 31, "account", OPERATOR, "x"), "32-byte genesis"),
        ((b"g" * 32, "account", OPERATOR[:15], "x"), "16-byte registrar"),
        ((b"g" * 32, "a-kind-of-17-char", OPERATOR, "x"), "1 to 16"),
        ((b"g" * 32, "", OPERATOR, "x"), "1 to 16"),
    ],
)
def test_fields_of_a_derived_id_cannot_run_into_each_other(arguments: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        signed.derive_id(*arguments)


def test_derived_ids_differ_by_chain_kind_registrar_and_reference() -> None:
    base = (b"g" * 32, "account", OPERATOR, "H1")
    others = [
        (b"h" * 32, "account", OPERATOR, "H1"),
        (b"g" * 32, "security", OPERATOR, "H1"),
        (b"g" * 32, "account", WITNESS, "H1"),
        (b"g" * 32, "account", OPERATOR, "H2"),
    ]
    ids = {signed.derive_id(*arguments) for arguments in [base, *others]}
    assert len(ids) == 5
    assert {len(value) for value in ids} == {16}


def test_tags_are_32_bytes_and_all_different() -> None:
    tags = [value for value in vars(signed).values() if isinstance(value, bytes)]
    assert len(tags) == len(set(tags)) >= 16
    assert {len(value) for value in tags} == {32}
    for name in ("", "x" * 33):
        with pytest.raises(ValueError, match="1 to 32"):
            signed.tag(name)


def test_the_receipt_of_a_success_is_a_receipt(samples: Samples) -> None:
    envelope = samples.envelope
    ids = (3, envelope.envelope_id, envelope.transaction_id, envelope.body.account, envelope.body.nonce)
    assert encode_success(3, envelope, b"e" * 32) == encode_receipt(Receipt(*ids, 0, "", (), b"e" * 32))
    with pytest.raises(ValueError, match="32 bytes"):
        encode_success(3, envelope, b"e" * 31)
