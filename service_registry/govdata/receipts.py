"""What is asked of a data bureau and what it signs (docs/spec/government-data.md §5). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from chain_core.codec import signed
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.provider import SIGNATURE_SIZE
from chain_core.crypto.providers import provider
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.values import Value

QUERY = signed.tag("dualchain/bureau-query/v1")
RECEIPT = signed.tag("dualchain/bureau-receipt/v1")
MAX_RECEIPT_BYTES = 4_096
_NEXT = "do not use the data; tell the publisher and the bureau"


@dataclass(frozen=True, slots=True)
class Query:
    """One question: ``request`` is the consumer's request hash, ``digest`` the authorisation's."""

    request: bytes
    bureau: str
    credit_code: str
    items: tuple[str, ...]
    purpose: str
    authorisation: str
    digest: bytes
    requester: str
    time_ms: int

    def encode(self) -> bytes:
        """Canonical map."""
        return _encode(self)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the bureau says it gave to whom; ``data_hash`` is SM3 of the data's bytes."""

    request: bytes
    bureau: str
    credit_code: str
    items: tuple[str, ...]
    authorisation: str
    data_hash: bytes
    time_ms: int

    def encode(self) -> bytes:
        """Canonical map."""
        return _encode(self)


@dataclass(frozen=True, slots=True)
class BureauAnswer:
    """An answer as it came: nothing is checked yet."""

    receipt: bytes
    signature: bytes
    data: bytes


_QUERY_KINDS = (bytes, str, str, list, str, str, bytes, str, int)
_RECEIPT_KINDS = (bytes, str, str, list, str, bytes, int)


def read_query(raw: bytes) -> Query:
    """Raises MalformedBytes."""
    row = _decode(raw, Query, _QUERY_KINDS)
    return Query(**{**row, "items": tuple(cast(list[str], row["items"]))})  # type: ignore[arg-type]


def read_receipt(raw: bytes) -> Receipt:
    """Raises MalformedBytes."""
    row = _decode(raw, Receipt, _RECEIPT_KINDS)
    return Receipt(**{**row, "items": tuple(cast(list[str], row["items"]))})  # type: ignore[arg-type]


def _encode(record: Query | Receipt) -> bytes:
    fields = {name: getattr(record, name) for name in record.__slots__}
    return encode_value({**fields, "items": list(record.items)})


def _decode(raw: bytes, kind: type, kinds: tuple[type, ...]) -> dict[str, Value]:
    if len(raw) > MAX_RECEIPT_BYTES:
        raise MalformedBytes(f"{len(raw)} bytes", where=kind.__name__, next_step=_NEXT)
    row = decode_map(raw, kind.__name__)
    names: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]
    if set(row) != set(names) or any(type(row[n]) is not k for n, k in zip(names, kinds, strict=True)):
        raise MalformedBytes("other fields", where=kind.__name__, next_step=_NEXT)
    if not all(isinstance(one, str) for one in cast(list[Value], row["items"])):
        raise MalformedBytes("items are no texts", where=kind.__name__, next_step=_NEXT)
    return row


def check_answer(answer: BureauAnswer, query: Query, genesis_hash: bytes, key: bytes) -> Receipt:
    """The receipt, when the bureau signed it about this query and this data. Raises InvalidProof."""
    message = signed.message(RECEIPT, genesis_hash, answer.receipt)
    if len(answer.signature) != SIGNATURE_SIZE or not provider().sm2_verify(key, message, answer.signature):
        raise InvalidProof("not signed by the bureau's key", where="receipt", next_step=_NEXT)
    try:
        receipt = read_receipt(answer.receipt)
    except MalformedBytes as error:
        raise InvalidProof(error.what, where=error.where, next_step=_NEXT) from error
    for name in ("request", "bureau", "credit_code", "items", "authorisation"):
        if getattr(receipt, name) != getattr(query, name):
            raise InvalidProof("about something else than asked", where=f"receipt.{name}", next_step=_NEXT)
    if receipt.data_hash != sm3(answer.data):
        raise InvalidProof("the data are not those of the receipt", where="data", next_step=_NEXT)
    return receipt
