"""Headers at fixed offsets, certificates, batches, certified blocks (docs/spec/formats.md §6, §8)."""

from __future__ import annotations

from struct import Struct

from chain_core.codec import signed
from chain_core.codec.values import encode_value
from chain_core.codec.wire import Reader, Writer
from chain_core.crypto.hashing import sm3
from chain_core.types.block import Batch, Certificate, CertifiedBlock, Header
from chain_core.types.ids import FORMAT_VERSION, HASH_SIZE, PROTOCOL_VERSION, SIGNATURE_SIZE
from chain_core.types.transaction import MAX_ENVELOPE_BYTES
from chain_core.types.validator_set import MAX_VALIDATORS, ValidatorSet
from chain_core.types.values import Value

MAX_BLOCK_BYTES = 16_000_000
"""A serialised block, bodies included (JR/T 0314 §6.1)."""
MAX_BATCH_IDS = 65_536

_HEADER = Struct(">HH32sIQQIQ32s32sQ32sI32sI32sI32s32s32s32s32s")
HEADER_SIZE = _HEADER.size
_BATCH_HEAD = Struct(">BIQQIQI")
_VOTER = Struct(">H64s")


def encode_header(h: Header) -> bytes:
    """The 408 bytes of a header."""
    return _HEADER.pack(
        h.format_version,
        h.protocol_version,
        h.genesis_hash,
        h.ledger,
        h.epoch,
        h.height,
        h.attempt,
        h.time_ms,
        h.prev_hash,
        h.history_root,
        h.history_count,
        h.transaction_root,
        h.transaction_count,
        h.receipt_root,
        h.receipt_count,
        h.outbox_root,
        h.outbox_count,
        h.state_root,
        h.seen_root,
        h.validator_set_hash,
        h.next_validator_set_hash,
        h.params_hash,
    )


def decode_header(data: bytes) -> Header:
    """A header from its 408 bytes; MalformedBytes for another size or an unknown version."""
    r = Reader(data, "header")
    fields = r.unpack(_HEADER)
    r.end()
    if fields[0] != FORMAT_VERSION or fields[1] != PROTOCOL_VERSION:
        r.pos = 0
        r.fail(f"unknown version {fields[0]}.{fields[1]}, this build reads {FORMAT_VERSION}.{PROTOCOL_VERSION}")
    return Header(*fields[2:], format_version=fields[0], protocol_version=fields[1])


def header_hash(header_bytes: bytes) -> bytes:
    """SM3 of the header's bytes: the block's identity."""
    return sm3(header_bytes)


def header_message(genesis_hash: bytes, hash_of_header: bytes) -> bytes:
    """M that a header vote signs."""
    return signed.message_of_hash(signed.HEADER, genesis_hash, hash_of_header)


def encode_certificate(certificate: Certificate) -> bytes:
    """Canonical certificate."""
    w = Writer().u8(FORMAT_VERSION).fixed(certificate.header_hash, HASH_SIZE).u16(len(certificate.signatures))
    w.parts.extend(_VOTER.pack(index, signature) for index, signature in certificate.signatures)
    return w.take()


def decode_certificate(data: bytes) -> Certificate:
    """A certificate from its one encoding; signers must be strictly ascending."""
    r = Reader(data, "certificate")
    r.version()
    hash_of_header = r.fixed(HASH_SIZE)
    count = r.count(1, MAX_VALIDATORS, r.u16())
    signatures = tuple(_voter(r) for _ in range(count))
    r.end()
    if any(a[0] >= b[0] for a, b in zip(signatures, signatures[1:], strict=False)):
        r.fail("signers are not strictly ascending")
    return Certificate(hash_of_header, signatures)


def _voter(r: Reader) -> tuple[int, bytes]:
    index, signature = r.unpack(_VOTER)
    return index, signature


def encode_batch(batch: Batch) -> bytes:
    """Canonical batch."""
    head = _BATCH_HEAD.pack(
        FORMAT_VERSION,
        batch.ledger,
        batch.epoch,
        batch.height,
        batch.attempt,
        batch.time_ms,
        len(batch.envelope_ids),
    )
    return head + b"".join(batch.envelope_ids)


def decode_batch(data: bytes) -> Batch:
    """A batch from its one encoding; doubled envelope ids are refused."""
    r = Reader(data, "batch")
    version, ledger, epoch, height, attempt, time_ms, count = r.unpack(_BATCH_HEAD)
    if version != FORMAT_VERSION:
        r.fail(f"unknown format version {version}")
    r.count(0, MAX_BATCH_IDS, count)
    ids = tuple(r.fixed(HASH_SIZE) for _ in range(count))
    r.end()
    if len(set(ids)) != count:
        r.fail("an envelope id stands twice")
    return Batch(ledger, epoch, height, attempt, time_ms, ids)


def batch_digest(batch_bytes: bytes) -> bytes:
    """The digest that ordering votes name."""
    return signed.tagged_hash(signed.BATCH, batch_bytes)


def encode_block(block: CertifiedBlock) -> bytes:
    """A certified block for peers that are behind and for archives."""
    w = Writer().u8(FORMAT_VERSION).fixed(block.header, HEADER_SIZE)
    w.blob(encode_certificate(block.certificate)).blob(encode_batch(block.batch)).u32(len(block.envelopes))
    for raw in block.envelopes:
        w.blob(raw)
    return w.take()


def decode_block(data: bytes) -> CertifiedBlock:
    """A certified block from its one encoding; nothing in it is verified here."""
    r = Reader(data, "block")
    if len(data) > MAX_BLOCK_BYTES:
        r.fail(f"{len(data)} bytes where at most {MAX_BLOCK_BYTES} are allowed")
    r.version()
    header = r.fixed(HEADER_SIZE)
    certificate = decode_certificate(r.blob(MAX_BLOCK_BYTES))
    batch = decode_batch(r.blob(MAX_BLOCK_BYTES))
    count = r.count(0, MAX_BATCH_IDS, r.u32())
    envelopes = tuple(r.blob(MAX_ENVELOPE_BYTES) for _ in range(count))
    r.end()
    if count != len(batch.envelope_ids):
        r.fail("as many envelopes as the batch names are needed")
    return CertifiedBlock(header, certificate, batch, envelopes)


def validator_set_hash(validators: ValidatorSet) -> bytes:
    """SM3(tag || canonical list of validators in order)."""
    rows: list[Value] = [
        {"name": v.name, "entity": v.entity, "consensus_key": v.consensus_key, "transport_key": v.transport_key}
        for v in validators.validators
    ]
    return signed.tagged_hash(signed.VALIDATORS, encode_value(rows))


def params_hash(parameters: dict[str, int], flags: tuple[str, ...]) -> bytes:
    """SM3(tag || canonical {parameters, flags}); flags ascending."""
    return signed.tagged_hash(signed.PARAMS, encode_value({"parameters": parameters, "flags": sorted(flags)}))
