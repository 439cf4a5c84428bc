"""Chain data as people and programs read it on the command line: plain dictionaries, bytes in hexadecimal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from chain_core.codec.block import decode_certificate, decode_header, header_hash
from chain_core.codec.evidence import decode_equivocation
from chain_core.codec.transaction import decode_envelope, decode_receipt
from chain_core.codec.values import decode_value
from chain_core.execution.codes import Code
from chain_core.node.answers import BlockAnswer, CertifiedHeader, ProvenReceipt
from chain_core.node.event_stream import EventBlock
from chain_core.types.block import CertifiedBlock
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value

Row = dict[str, Any]


def plain(value: Value) -> Any:
    """A canonical value with bytes as hexadecimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def header(certified: CertifiedHeader, names: Sequence[str]) -> Row:
    """A header with who certified it. Raises MalformedBytes."""
    decoded = decode_header(certified.header)
    row: Row = {"hash": header_hash(certified.header).hex()}
    row |= {field.name: plain(getattr(decoded, field.name)) for field in fields(decoded)}
    signers: list[str] = []
    if certified.certificate:
        signers = [
            names[index] if index < len(names) else str(index)
            for index, _ in decode_certificate(certified.certificate).signatures
        ]
    return row | {"certified_by": signers}


def receipt(proven: ProvenReceipt) -> Row:
    """A receipt with its texts. Raises MalformedBytes."""
    decoded = decode_receipt(proven.receipt)
    known = decoded.code in Code.__members__.values()
    return {
        "height": proven.height,
        "envelope_id": decoded.envelope_id.hex(),
        "transaction_id": decoded.transaction_id.hex(),
        "account": decoded.account.hex(),
        "nonce": decoded.nonce,
        "code": decoded.code,
        "code_name": Code(decoded.code).name if known else "",
        "rule": decoded.rule,
        "parameters": plain(list(decoded.parameters)),
        "events_digest": decoded.events_digest.hex(),
        "text_zh": proven.text_zh,
        "text_en": proven.text_en,
    }


def events(block: EventBlock) -> list[Row]:
    """One row a transaction: its receipt's essentials and its events."""
    return [
        {
            "height": block.header.height,
            "time_ms": block.header.time_ms,
            "index": item.index,
            "transaction_id": item.receipt.receipt.transaction_id.hex(),
            "account": item.receipt.receipt.account.hex(),
            "code": item.receipt.receipt.code,
            "rule": item.receipt.receipt.rule,
            "events": plain(list(item.events)),
        }
        for item in block.transactions
    ]


def equivocation(proof: bytes, names: Sequence[str]) -> Row:
    """What a proof says. Raises MalformedBytes."""
    decoded = decode_equivocation(proof)
    signer = decoded.signer
    return {
        "validator": names[signer] if signer < len(names) else str(signer),
        "statement": decoded.statement.name,
        "ledger": decoded.ledger,
        "epoch": decoded.epoch,
        "first": decoded.first.hex(),
        "first_signature": decoded.first_signature.hex(),
        "second": decoded.second.hex(),
        "second_signature": decoded.second_signature.hex(),
        "proof": proof.hex(),
    }


def block(block: CertifiedBlock, answer: BlockAnswer, names: Sequence[str]) -> Row:
    """A block: its header, and each transaction with what became of it. Raises MalformedBytes."""
    transactions = []
    for raw, encoded in zip(block.envelopes, answer.receipts, strict=True):
        envelope, told = decode_envelope(raw), decode_receipt(encoded)
        transactions.append(
            {
                "transaction_id": envelope.transaction_id.hex(),
                "account": envelope.body.account.hex(),
                "nonce": envelope.body.nonce,
                "operations": [f"{operation.contract}.{operation.method}" for operation in envelope.body.operations],
                "code": told.code,
                "rule": told.rule,
            }
        )
    head = header(CertifiedHeader(block.header, b""), names)
    head["certified_by"] = [names[index] for index, _ in block.certificate.signatures if index < len(names)]
    return {"header": head, "transactions": transactions}


def value(raw: bytes | None) -> Any:
    """A state value: decoded when it is one canonical value, else hexadecimal, None when absent."""
    if raw is None:
        return None
    try:
        return plain(decode_value(raw))
    except MalformedBytes:
        return raw.hex()


def lines(row: Mapping[str, Any], indent: int = 0) -> list[str]:
    """``key: value`` lines of a dictionary, nested ones indented."""
    found: list[str] = []
    pad = "  " * indent
    for key, item in row.items():
        if isinstance(item, Mapping):
            found += [f"{pad}{key}:", *lines(item, indent + 1)]
        elif isinstance(item, list) and item and isinstance(item[0], Mapping):
            found.append(f"{pad}{key}:")
            for entry in item:
                found += [f"{pad}  -", *lines(entry, indent + 2)]
        elif isinstance(item, list):
            found.append(f"{pad}{key}: {', '.join(map(str, item))}")
        else:
            found.append(f"{pad}{key}: {item}")
    return found
