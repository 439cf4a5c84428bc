"""Headers at fixed offsets, certificates, batches, certified blocks (docs/spec/formats.md §5, §6, §8)."""

from __future__ import annotations

from operator import attrgetter

from chain_core.codec import signed
from chain_core.codec.values import encode_value
from chain_core.codec.wire import Layout, Reader, Writer, ascending
from chain_core.crypto.hashing import sm3
from chain_core.types.block import Batch, Certificate, CertifiedBlock, Header
from chain_core.types.ids import FORMAT_VERSION, HASH_SIZE, PROTOCOL_VERSION
from chain_core.types.transaction import MAX_ENVELOPE_BYTES
from chain_core.types.validator_set import MAX_VALIDATORS

MAX_BLOCK_BYTES = 16_000_000
"""An encoded certified block, bodies included (JR/T 0314 §6.1)."""
MAX_BATCH_IDS = 65_536
BLOCK_OVERHEAD_BYTES = 20_000
"""More than header, certificate and lengths of a block can take: the rest is for envelopes."""
ENVELOPE_OVERHEAD_BYTES = HASH_SIZE + 4
"""What a block spends on an envelope beside its bytes: its id in the batch and its length."""

HEADER_FIELDS = (
    ("format_version", "H"),
    ("protocol_version", "H"),
    ("genesis_hash", "32s"),
    ("ledger", "I"),
    ("epoch", "Q"),
    ("height", "Q"),
    ("attempt", "I"),
    ("time_ms", "Q"),
    ("prev_hash", "32s"),
    ("history_root", "32s"),
    ("history_count", "Q"),
    ("transaction_root", "32s"),
    ("transaction_count", "I"),
    ("receipt_root", "32s"),
    ("receipt_count", "I"),
    ("outbox_root", "32s"),
    ("outbox_count", "I"),
    ("state_root", "32s"),
    ("seen_root", "32s"),
    ("validator_set_hash", "32s"),
    ("next_validator_set_hash", "32s"),
    ("params_hash", "32s"),
)
"""Name and width of every header field, in order."""

_NAMES = tuple(name for name, _ in HEADER_FIELDS)
_header_values = attrgetter(*_NAMES)
_HEADER = Layout("".join(code for _, code in HEADER_FIELDS))
HEADER_SIZE = _HEADER.size
_BATCH_HEAD = Layout("BIQQIQI")
_VOTER = Layout("H64s")


def encode_header(h: Header) -> bytes:
    """The 408 bytes of a header. ValueError for a field that does not fit."""
    return _HEADER.pack(*_header_values(h))


def decode_header(data: bytes) -> Header:
    """A header from its 408 bytes; MalformedBytes for another size or an unknown version."""
    r = Reader(data, "header")
    header = Header(**dict(zip(_NAMES, r.unpack(_HEADER), strict=True)))
    r.end()
    found = (header.format_version, header.protocol_version)
    if found != (FORMAT_VERSION, PROTOCOL_VERSION):
        r.pos = 0
        r.fail(f"unknown version {found[0]}.{found[1]}, this build reads {FORMAT_VERSION}.{PROTOCOL_VERSION}")
    return header


def header_hash(header_bytes: bytes) -> bytes:
    """SM3 of the header's bytes: the block's identity."""
    return sm3(header_bytes)


def header_message(genesis_hash: bytes, hash_of_header: bytes) -> bytes:
    """M that a header vote signs."""
    return signed.message_of_hash(signed.HEADER, genesis_hash, hash_of_header)


def encode_certificate(certificate: Certificate) -> bytes:
    """Canonical certificate. ValueError unless signers are strictly ascending."""
    if not ascending(index for index, _ in certificate.signatures):
        raise ValueError("a certificate's signers stand in strictly ascending order")
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
    if not ascending(index for index, _ in signatures):
        r.fail("signers are not strictly ascending")
    return Certificate(hash_of_header, signatures)


def _voter(r: Reader) -> tuple[int, bytes]:
    index, signature = r.unpack(_VOTER)
    return index, signature


def encode_batch(batch: Batch) -> bytes:
    """Canonical batch. ValueError for ids of another size or a doubled one."""
    if any(len(item) != HASH_SIZE for item in batch.envelope_ids):
        raise ValueError(f"an envelope id has {HASH_SIZE} bytes")
    if len(set(batch.envelope_ids)) != len(batch.envelope_ids):
        raise ValueError("an envelope id stands twice in a batch")
    if len(batch.skipped) > batch.attempt or not _in_range(batch.skipped, len(batch.envelope_ids)):
        raise ValueError("a batch at attempt k skips at most k of its indices, ascending")
    head = _BATCH_HEAD.pack(
        FORMAT_VERSION,
        batch.ledger,
        batch.epoch,
        batch.height,
        batch.attempt,
        batch.time_ms,
        len(batch.envelope_ids),
    )
    skipped = (len(batch.skipped), *batch.skipped) if batch.attempt else ()
    return head + b"".join(batch.envelope_ids) + b"".join(number.to_bytes(4, "big") for number in skipped)


def _in_range(indices: tuple[int, ...], count: int) -> bool:
    return ascending(indices) and (not indices or 0 <= indices[0] <= indices[-1] < count)


def decode_batch(data: bytes) -> Batch:
    """A batch from its one encoding; doubled envelope ids are refused."""
    r = Reader(data, "batch")
    version, ledger, epoch, height, attempt, time_ms, count = r.unpack(_BATCH_HEAD)
    if version != FORMAT_VERSION:
        r.fail(f"unknown format version {version}")
    r.count(0, MAX_BATCH_IDS, count)
    ids = tuple(r.fixed(HASH_SIZE) for _ in range(count))
    skipped = tuple(r.u32() for _ in range(r.count(0, min(count, attempt), r.u32()))) if attempt else ()
    r.end()
    if len(set(ids)) != count:
        r.fail("an envelope id stands twice")
    if not _in_range(skipped, count):
        r.fail("skipped indices are not ascending indices of its ids")
    return Batch(ledger, epoch, height, attempt, time_ms, ids, skipped)


def skip_digest(digest: bytes, reason: int) -> bytes:
    """What a SKIP names as its digest: the ordered batch and why an envelope of it cannot be executed."""
    return signed.tagged_hash(signed.SKIP, digest + reason.to_bytes(2, "big"))


def batch_digest(batch_bytes: bytes) -> bytes:
    """The digest that ordering votes name."""
    return signed.tagged_hash(signed.BATCH, batch_bytes)


def encode_block(block: CertifiedBlock) -> bytes:
    """A certified block for peers that are behind and for archives. ValueError above ``MAX_BLOCK_BYTES``."""
    w = Writer().u8(FORMAT_VERSION).fixed(block.header, HEADER_SIZE)
    w.blob(encode_certificate(block.certificate)).blob(encode_batch(block.batch)).u32(len(block.envelopes))
    for raw in block.envelopes:
        w.blob(raw)
    data = w.take()
    if len(data) > MAX_BLOCK_BYTES:
        raise ValueError(f"a block of {len(data)} bytes, at most {MAX_BLOCK_BYTES} are allowed")
    return data


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


def params_hash(parameters: dict[str, int], flags: tuple[str, ...]) -> bytes:
    """SM3(tag || canonical {parameters, flags}); flags ascending."""
    return signed.tagged_hash(signed.PARAMS, encode_value({"parameters": parameters, "flags": sorted(set(flags))}))
