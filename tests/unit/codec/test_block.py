"""Headers, certificates, batches, blocks and votes: what is refused to read, and to write (formats.md §6-§8)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain_core.codec import block, votes
from chain_core.codec.block import (
    BLOCK_OVERHEAD_BYTES,
    ENVELOPE_OVERHEAD_BYTES,
    HEADER_FIELDS,
    HEADER_SIZE,
    MAX_BLOCK_BYTES,
    batch_digest,
    decode_batch,
    decode_block,
    decode_certificate,
    decode_header,
    encode_batch,
    encode_block,
    encode_certificate,
    encode_header,
)
from chain_core.codec.seen import SeenEntry, decode_seen, encode_seen, seen_key, split_seen_key, state_key
from chain_core.codec.votes import decode_new_view, decode_prepared, decode_view_change, decode_vote
from chain_core.types.block import Batch, Certificate, CertifiedBlock, Phase
from chain_core.types.errors import MalformedBytes
from chain_core.types.validator_set import MAX_VALIDATORS
from tests.vectors.samples import Samples


def test_every_header_field_lies_at_its_offset(samples: Samples) -> None:
    """Cut out by offset alone, as ``dd`` would."""
    offset = 0
    for name, code in HEADER_FIELDS:
        size = {"H": 2, "I": 4, "Q": 8, "32s": 32}[code]
        cut = samples.header_bytes[offset : offset + size]
        value = getattr(samples.header, name)
        assert cut == (value if code == "32s" else value.to_bytes(size, "big")), name
        offset += size
    assert offset == HEADER_SIZE == 408


@pytest.mark.parametrize("name", [name for name, code in HEADER_FIELDS if code == "32s"])
@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_hash_of_another_size_is_not_padded(samples: Samples, name: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes"):
        encode_header(replace(samples.header, **{name: bytes(size)}))


@pytest.mark.parametrize("name", [name for name, code in HEADER_FIELDS if code != "32s"])
@pytest.mark.parametrize("value", [-1, 1 << 64, b"x"])
def test_a_number_out_of_range_is_not_written(samples: Samples, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_header(replace(samples.header, **{name: value}))


@pytest.mark.parametrize("change", [{"format_version": 2}, {"protocol_version": 0}])
def test_a_header_of_another_version_is_refused(samples: Samples, change: dict[str, int]) -> None:
    with pytest.raises(MalformedBytes, match="unknown version"):
        decode_header(encode_header(replace(samples.header, **change)))


SIGNED = b"s" * 64


def certificate_bytes(signers: list[int]) -> bytes:
    """Written without the encoder's own checks."""
    head = b"\x01" + b"h" * 32 + len(signers).to_bytes(2, "big")
    return head + b"".join(index.to_bytes(2, "big") + SIGNED for index in signers)


@pytest.mark.parametrize(
    ("signers", "reason"),
    [([], "count 0"), ([1, 0], "ascending"), ([0, 0], "ascending"), ([*range(MAX_VALIDATORS + 1)], "count 257")],
    ids=["none", "descending", "twice", "too many"],
)
def test_a_certificate_has_its_signers_in_one_order(signers: list[int], reason: str) -> None:
    with pytest.raises(MalformedBytes, match=reason):
        decode_certificate(certificate_bytes(signers))
    if reason == "ascending":
        with pytest.raises(ValueError, match="ascending"):
            encode_certificate(Certificate(b"h" * 32, tuple((index, SIGNED) for index in signers)))


def test_a_short_signature_is_not_padded() -> None:
    with pytest.raises(ValueError, match="63 bytes"):
        encode_certificate(Certificate(b"h" * 32, ((0, b"s" * 63),)))


@pytest.mark.parametrize(
    ("ids", "reason"), [((b"i" * 32, b"i" * 32), "twice"), ((b"i" * 31, b"j" * 33), "32 bytes")], ids=["twice", "sizes"]
)
def test_a_batch_names_each_envelope_once(samples: Samples, ids: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        encode_batch(replace(samples.batch, envelope_ids=ids))


def test_a_doubled_id_is_refused(samples: Samples) -> None:
    raw = encode_batch(samples.batch)
    head, first = raw[:37], raw[37:69]
    with pytest.raises(MalformedBytes, match="twice"):
        decode_batch(head + first + first)


def test_a_batch_of_too_many_is_refused_before_it_is_read(samples: Samples) -> None:
    raw = encode_batch(samples.batch)
    with pytest.raises(MalformedBytes, match="count 65537"):
        decode_batch(raw[:33] + (65_537).to_bytes(4, "big"))


def test_a_batch_digest_commits_to_everything_but_the_view(samples: Samples) -> None:
    batch = samples.batch
    changes = ("ledger", "epoch", "height", "time_ms")
    variants = [replace(batch, **{name: getattr(batch, name) + 1}) for name in changes]
    variants += [replace(batch, envelope_ids=batch.envelope_ids[::-1]), replace(batch, envelope_ids=())]
    variants += [replace(batch, attempt=1, skipped=(index,)) for index in range(2)]
    digests = {batch_digest(encode_batch(variant)) for variant in [batch, *variants]}
    assert len(digests) == len(variants) + 1


@pytest.mark.parametrize(
    ("attempt", "skipped"), [(0, (0,)), (1, (0, 1)), (1, (2,)), (2, (1, 0)), (2, (1, 1))],
    ids=["at attempt 0", "more than attempts", "beyond its ids", "descending", "twice"],
)  # fmt: skip
def test_a_batch_at_attempt_k_skips_at_most_k_of_its_indices(
    samples: Samples, attempt: int, skipped: tuple[int, ...]
) -> None:
    odd = replace(samples.batch, attempt=attempt, skipped=skipped)
    with pytest.raises(ValueError, match="skips at most k"):
        encode_batch(odd)
    good = bytearray(encode_batch(samples.batch))
    good[21:25] = attempt.to_bytes(4, "big")
    raw = bytes(good) + b"".join(number.to_bytes(4, "big") for number in (len(skipped), *skipped))
    with pytest.raises(MalformedBytes):
        decode_batch(raw)


def test_a_reopened_batch_names_its_attempt_and_skips_nothing(samples: Samples) -> None:
    again = replace(samples.batch, attempt=2, skipped=())
    assert decode_batch(encode_batch(again)) == again
    assert len(encode_batch(again)) == len(encode_batch(samples.batch)) + 4


def test_a_block_has_as_many_envelopes_as_its_batch_names(samples: Samples) -> None:
    short = replace(samples.block, envelopes=samples.block.envelopes[:1])
    with pytest.raises(MalformedBytes, match="as many envelopes"):
        decode_block(encode_block(short))


def test_a_block_of_too_many_is_refused_before_it_is_read(samples: Samples) -> None:
    raw = encode_block(replace(samples.block, envelopes=()))
    with pytest.raises(MalformedBytes, match="count 65537"):
        decode_block(raw[:-4] + (65_537).to_bytes(4, "big"))


def test_a_block_stays_below_its_limit_when_envelopes_do(samples: Samples) -> None:
    """BLOCK_OVERHEAD_BYTES and ENVELOPE_OVERHEAD_BYTES cover the largest certificate."""
    certificate = Certificate(b"h" * 32, tuple((index, SIGNED) for index in range(MAX_VALIDATORS)))
    count = 70
    size = (MAX_BLOCK_BYTES - BLOCK_OVERHEAD_BYTES - count * ENVELOPE_OVERHEAD_BYTES) // count
    ids = tuple(number.to_bytes(32, "big") for number in range(count))
    envelopes = tuple(bytes(size) for _ in range(count))
    full = CertifiedBlock(samples.header_bytes, certificate, Batch(0, 0, 1, 0, 0, ids), envelopes)
    assert decode_block(encode_block(full)) == full
    with pytest.raises(ValueError, match="at most 16000000"):
        encode_block(replace(full, envelopes=(*envelopes[:-1], bytes(size + BLOCK_OVERHEAD_BYTES))))
    with pytest.raises(MalformedBytes, match="at most 16000000"):
        decode_block(bytes(MAX_BLOCK_BYTES + 1))


@pytest.mark.parametrize("phase", [0, 5, 255])
def test_a_vote_of_no_known_phase_is_refused(samples: Samples, phase: int) -> None:
    body = samples.vote(Phase.COMMIT, 3).body
    with pytest.raises(MalformedBytes, match=f"unknown phase {phase}"):
        decode_vote(body[:1] + bytes((phase,)) + body[2:])


@pytest.mark.parametrize("name", ["ledger", "epoch", "height", "view", "attempt", "digest", "signer"])
def test_a_vote_field_out_of_range_is_not_written(samples: Samples, name: str) -> None:
    with pytest.raises(ValueError, match=r"does not fit|bytes"):
        votes.encode_vote(replace(samples.vote(Phase.COMMIT, 3).vote, **{name: b"x" if name == "digest" else 1 << 64}))


def test_sets_are_written_in_their_one_order(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writers refuse another order, and so do the readers when a writer does not care."""
    prepared, change, new_view = samples.prepared, samples.view_change(1).message, samples.new_view.message
    disordered: list[tuple[Callable[[], bytes], Callable[[bytes], Any], str]] = [
        (
            lambda: votes.encode_prepared(replace(prepared, prepares=prepared.prepares[::-1])),
            decode_prepared,
            "PREPAREs",
        ),
        (
            lambda: votes.encode_view_change(replace(change, prepared=(prepared, prepared))),
            decode_view_change,
            "prepared certificates",
        ),
        (
            lambda: votes.encode_new_view(replace(new_view, view_changes=new_view.view_changes[::-1])),
            decode_new_view,
            "VIEW-CHANGEs",
        ),
        (
            lambda: votes.encode_new_view(replace(new_view, pre_prepares=new_view.pre_prepares * 2)),
            decode_new_view,
            "PRE-PREPAREs",
        ),
    ]
    for write, _, reason in disordered:
        with pytest.raises(ValueError, match=f"{reason} .* ascending"):
            write()
    with monkeypatch.context() as careless:
        careless.setattr(votes, "ascending", lambda items: True)
        written = [write() for write, _, _ in disordered]
    for raw, (_, read, reason) in zip(written, disordered, strict=True):
        with pytest.raises(MalformedBytes, match=f"{reason} are not strictly ascending"):
            read(raw)


def test_counts_are_refused_before_what_they_count_is_read(samples: Samples) -> None:
    """Each record is cut where its count stands, and given another one."""
    prepared, change, new_view = samples.prepared, samples.view_change(3, first=True), samples.new_view.message
    vote_blob = 4 + votes.VOTE_SIZE + 64
    prepared_head = votes.encode_prepared(prepared)[: -2 * vote_blob - 2]
    new_view_head = votes.encode_new_view(new_view)[:23]
    no_pre_prepares = votes.encode_new_view(replace(new_view, pre_prepares=()))
    cases: list[tuple[Callable[[bytes], Any], bytes, str]] = [
        (decode_prepared, prepared_head + b"\x00\x00", r"count 0 outside 1\.\.256"),
        (decode_prepared, prepared_head + b"\x01\x01", r"count 257 outside 1\.\.256"),
        (decode_view_change, change.body[:-1] + b"\x41", r"count 65 outside 0\.\.64"),
        (decode_new_view, new_view_head + b"\x00\x00", r"count 0 outside 1\.\.256"),
        (decode_new_view, new_view_head + b"\x01\x01", r"count 257 outside 1\.\.256"),
        (decode_new_view, no_pre_prepares[:-1] + b"\x41", r"count 65 outside 0\.\.64"),
    ]
    for read, raw, reason in cases:
        with pytest.raises(MalformedBytes, match=reason):
            read(raw)


def test_the_blocks_module_names_its_fields_once() -> None:
    assert len({name for name, _ in block.HEADER_FIELDS}) == len(block.HEADER_FIELDS) == 22


def test_keys_and_values_of_the_seen_tree() -> None:
    key = seen_key(3, b"a" * 16, 9)
    assert (len(key), split_seen_key(key)) == (28, (3, b"a" * 16, 9))
    entry = SeenEntry(b"t" * 32, 1, 2, 3)
    assert decode_seen(encode_seen(entry)) == entry
    with pytest.raises(ValueError, match="15 bytes"):
        seen_key(0, b"a" * 15, 0)
    with pytest.raises(ValueError, match="31 bytes"):
        encode_seen(replace(entry, transaction_id=b"t" * 31))
    for bad in (key[:-1], key + b"\0"):
        with pytest.raises(MalformedBytes):
            split_seen_key(bad)


def test_state_keys_of_two_contracts_never_meet() -> None:
    assert state_key("ab", b"c") == b"\x02abc"
    assert state_key("a", b"bc") == b"\x01abc"
