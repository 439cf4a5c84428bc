"""Transaction bodies, envelopes and their two ids, receipts (docs/spec/formats.md §4)."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.codec import signed
from chain_core.codec.usual_envelope import read_usual
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.codec.wire import U8, U32, Layout, Reader, Writer, ascending, malformed
from chain_core.crypto.hashing import sm3, sm3_many
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE, FORMAT_VERSION, HASH_SIZE, NO_ACCOUNT, SIGNATURE_SIZE
from chain_core.types.transaction import (
    MAX_BUSINESS_ID_BYTES,
    MAX_COSIGNERS,
    MAX_ENVELOPE_BYTES,
    MAX_NAME_BYTES,
    MAX_OPERATIONS,
    Envelope,
    Operation,
    Receipt,
    Signer,
    TransactionBody,
)

_BODY_HEAD = Layout("BI16s16sQQQ")
_SIGNER = Layout("64s64s")
_RECEIPT_HEAD = Layout("BI32s32s16sQH")
_PLAIN = U8.pack(0) + encode_value([])
"""No rule and no parameters."""


def encode_body(body: TransactionBody) -> bytes:
    """Canonical bytes of a transaction body: what SM3 makes the transaction id of, and what is signed.

    Checked by reading them back: MalformedBytes names the field that no node would accept.
    """
    try:
        raw = _body_bytes(body)
    except (ValueError, TypeError) as error:
        malformed("transaction body", 0, str(error))
    decode_body(raw)
    return raw


def _body_bytes(body: TransactionBody) -> bytes:
    w = Writer()
    w.parts.append(
        _BODY_HEAD.pack(
            FORMAT_VERSION,
            body.ledger,
            body.account,
            body.on_behalf_of,
            body.nonce,
            body.valid_until_ms,
            body.business_time_ms,
        )
    )
    w.name(body.business_id)
    w.u8(len(body.cosigners))
    for account in body.cosigners:
        w.fixed(account, ACCOUNT_ID_SIZE)
    w.u8(len(body.operations))
    for op in body.operations:
        w.name(op.contract).name(op.method).blob(encode_value(op.args))
    return w.take()


def decode_body(data: bytes) -> TransactionBody:
    """A transaction body from its one encoding."""
    r = Reader(data, "transaction body")
    version, ledger, account, behalf, nonce, valid_until, business_time = r.unpack(_BODY_HEAD)
    if version != FORMAT_VERSION:
        r.pos = 0
        r.fail(f"unknown format version {version}")
    if account == NO_ACCOUNT:
        r.fail("the account id is all zeros")
    business_id = r.name(MAX_BUSINESS_ID_BYTES)
    count = r.count(0, MAX_COSIGNERS, r.u8())
    cosigners = tuple([r.fixed(ACCOUNT_ID_SIZE) for _ in range(count)])
    if cosigners and not ascending(cosigners):
        r.fail("cosigners are not strictly ascending")
    if account in cosigners or NO_ACCOUNT in cosigners:
        r.fail("a cosigner is the account itself or all zeros")
    operations = tuple([_operation(r) for _ in range(r.count(1, MAX_OPERATIONS, r.u8()))])
    r.end()
    return TransactionBody(
        ledger, account, nonce, valid_until, operations, behalf, business_id, business_time, cosigners
    )


def _operation(r: Reader) -> Operation:
    contract, method = r.identifier(), r.identifier()
    return Operation(contract, method, decode_map(r.blob(MAX_ENVELOPE_BYTES), "operation arguments"))


def transaction_id(body_bytes: bytes) -> bytes:
    """SM3 of the body: names the transaction in the seen set and in receipts."""
    return sm3(body_bytes)


def encode_envelope(body_bytes: bytes, signers: tuple[Signer, ...]) -> bytes:
    """Canonical envelope: the body as signed, then the signers, account first and cosigners in the body's
    order.

    ValueError for a key or signature of another size, no signer or too many, or an envelope above the
    limit.
    """
    if not 1 <= len(signers) <= MAX_COSIGNERS + 1:
        raise ValueError(f"{len(signers)} signers, an envelope has 1 to {MAX_COSIGNERS + 1}")
    parts = [U8.pack(FORMAT_VERSION), U32.pack(len(body_bytes)), body_bytes, U8.pack(len(signers))]
    parts.extend(_SIGNER.pack(s.public_key, s.signature) for s in signers)
    raw = b"".join(parts)
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise ValueError(f"an envelope of {len(raw)} bytes, at most {MAX_ENVELOPE_BYTES} are allowed")
    return raw


def envelope_id(raw: bytes) -> bytes:
    """SM3(tag || envelope): what is ordered, pooled, fetched and cached."""
    return signed.tagged_hash(signed.ENVELOPE_ID, raw)


def decode_envelope(raw: bytes) -> Envelope:
    """An envelope from its one encoding; signatures are not verified here."""
    body_bytes, body, signers = _parts(raw)
    return Envelope(raw, body_bytes, body, signers, envelope_id(raw), sm3(body_bytes))


def decode_envelopes(raws: Sequence[bytes]) -> list[Envelope | MalformedBytes]:
    """``decode_envelope`` of each, or its refusal, in order; their ids are hashed in two batches."""
    found: list[tuple[bytes, TransactionBody, tuple[Signer, ...]] | MalformedBytes] = []
    for raw in raws:
        try:
            found.append(_parts(raw))
        except MalformedBytes as refusal:
            found.append(refusal)
    good = [(raw, parts) for raw, parts in zip(raws, found, strict=True) if not isinstance(parts, MalformedBytes)]
    envelope_ids = iter(sm3_many([signed.ENVELOPE_ID + raw for raw, _ in good]))
    transaction_ids = iter(sm3_many([parts[0] for _, parts in good]))
    return [
        parts if isinstance(parts, MalformedBytes) else Envelope(raw, *parts, next(envelope_ids), next(transaction_ids))
        for raw, parts in zip(raws, found, strict=True)
    ]


def _parts(raw: bytes) -> tuple[bytes, TransactionBody, tuple[Signer, ...]]:
    """Body bytes, body and signers of an encoded envelope."""
    usual = read_usual(raw)
    if usual is not None:
        return usual
    r = Reader(raw, "envelope")
    if len(raw) > MAX_ENVELOPE_BYTES:
        r.fail(f"{len(raw)} bytes where at most {MAX_ENVELOPE_BYTES} are allowed")
    r.version()
    body_bytes = r.blob(MAX_ENVELOPE_BYTES)
    count = r.count(1, MAX_COSIGNERS + 1, r.u8())
    signers = tuple([Signer(*r.unpack(_SIGNER)) for _ in range(count)])
    r.end()
    body = decode_body(body_bytes)
    if count != 1 + len(body.cosigners):
        r.fail(f"{count} signatures for {1 + len(body.cosigners)} signers")
    return body_bytes, body, signers


def encode_receipt(receipt: Receipt) -> bytes:
    """Canonical receipt: a leaf of the receipt tree, at the index of its envelope.

    ValueError for a field that does not fit, or a rule that is not ASCII of at most 64 characters.
    """
    rule = receipt.rule.encode("ascii")
    if len(rule) > MAX_NAME_BYTES or len(receipt.events_digest) != HASH_SIZE:
        raise ValueError(f"a rule has at most {MAX_NAME_BYTES} bytes, an events digest {HASH_SIZE}")
    head = _RECEIPT_HEAD.pack(
        FORMAT_VERSION,
        receipt.ledger,
        receipt.envelope_id,
        receipt.transaction_id,
        receipt.account,
        receipt.nonce,
        receipt.code,
    )
    return b"".join((head, U8.pack(len(rule)), rule, encode_value(receipt.parameters), receipt.events_digest))


def encode_success(ledger: int, envelope: Envelope, events_digest: bytes) -> bytes:
    """``encode_receipt`` of what most transactions become: code 0, no rule, no parameters."""
    body = envelope.body
    if len(events_digest) != HASH_SIZE:
        raise ValueError(f"an events digest has {HASH_SIZE} bytes")
    ids = envelope.envelope_id, envelope.transaction_id
    return _RECEIPT_HEAD.pack(FORMAT_VERSION, ledger, *ids, body.account, body.nonce, 0) + _PLAIN + events_digest


def decode_receipt(data: bytes) -> Receipt:
    """A receipt from its one encoding."""
    r = Reader(data, "receipt")
    version, ledger, eid, tid, account, nonce, code = r.unpack(_RECEIPT_HEAD)
    if version != FORMAT_VERSION:
        r.fail(f"unknown format version {version}")
    rule = r.name(MAX_NAME_BYTES)
    if not rule.isascii():
        r.fail("the rule is not ASCII")
    parameters = decode_value(data[r.pos : -HASH_SIZE], "receipt parameters")
    if not isinstance(parameters, list):
        r.fail("parameters are not a list")
    return Receipt(ledger, eid, tid, account, nonce, code, rule, tuple(parameters), data[-HASH_SIZE:])


assert SIGNATURE_SIZE == 64 and _SIGNER.size == 128
