"""The one-pass reader of usual envelopes and the strict readers agree on every input (codec/usual_envelope.py)."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec import transaction
from chain_core.codec.transaction import decode_envelopes, encode_body, encode_envelope
from chain_core.codec.usual_envelope import read_usual
from chain_core.types.errors import MalformedBytes
from chain_core.types.transaction import Operation, Signer, TransactionBody

ALICE, BOB, CAROL = (bytes([number]) * 16 for number in (1, 2, 3))
KEY = Signer(bytes(range(64)), bytes(64))
TRANSFER = Operation("kernel", "transfer", {"security": bytes(16), "to": BOB, "quantity": 7, "why": {"n": [1, None]}})


def envelope(*operations: Operation, cosigners: tuple[bytes, ...] = (), business_id: str = "") -> bytes:
    body = TransactionBody(3, ALICE, 9, 1_000, operations or (TRANSFER,), CAROL, business_id, 5, cosigners)
    return encode_envelope(encode_body(body), (KEY,) * (1 + len(cosigners)))


def both_ways(raw: bytes) -> tuple[object, object]:
    """What comes out with the one-pass reader, and without it; a refusal as its text and place."""
    with patch.object(transaction, "read_usual", lambda _: None):
        (strict,) = decode_envelopes([raw])
    (usual,) = decode_envelopes([raw])
    return tuple(  # type: ignore[return-value]
        (found.what, found.where) if isinstance(found, MalformedBytes) else found for found in (usual, strict)
    )


def test_the_usual_form_is_read_in_one_pass_and_others_are_left_to_the_strict_readers() -> None:
    assert read_usual(envelope()) is not None
    assert read_usual(envelope(TRANSFER, TRANSFER, business_id="订单-1")) is not None
    assert read_usual(envelope(cosigners=(BOB,))) is None
    for raw in (envelope(), envelope(TRANSFER, TRANSFER, business_id="订单-1"), envelope(cosigners=(BOB,))):
        usual, strict = both_ways(raw)
        assert usual == strict and not isinstance(usual, tuple)


def test_an_envelope_cut_anywhere_is_refused_alike() -> None:
    raw = envelope(TRANSFER, TRANSFER, business_id="x")
    for end in range(len(raw)):
        usual, strict = both_ways(raw[:end])
        assert usual == strict and isinstance(usual, tuple)


def test_each_byte_changed_in_a_few_ways_is_judged_alike() -> None:
    raw = envelope(TRANSFER, business_id="x")
    for place in range(len(raw) - 120):  # a key's and a signature's bytes may be any
        for value in {0, 1, 2, 64, 65, 255, raw[place] ^ 1, (raw[place] + 1) % 256} - {raw[place]}:
            changed = raw[:place] + bytes([value]) + raw[place + 1 :]
            usual, strict = both_ways(changed)
            assert usual == strict, (place, value)


def test_what_only_several_bytes_can_break_is_judged_alike() -> None:
    raw = envelope(TRANSFER)
    names = raw.index(b"\x06kernel")
    for changed in (
        raw[:10] + bytes(16) + raw[26:],  # no account
        raw[:names] + b"\x41" + b"k" * 65 + raw[names + 7 :],  # a name of 65 letters
        raw + bytes(262_144),
    ):
        usual, strict = both_ways(changed)
        assert usual == strict and isinstance(usual, tuple)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_several_changes_at_once_are_judged_alike(data: st.DataObject) -> None:
    raw = bytearray(envelope(TRANSFER, TRANSFER, business_id="x"))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(("set", "drop", "add"))):
            case "set":
                raw[place] = data.draw(st.integers(0, 255))
            case "drop":
                del raw[place]
            case _:
                raw.insert(place, data.draw(st.integers(0, 255)))
    usual, strict = both_ways(bytes(raw))
    assert usual == strict
