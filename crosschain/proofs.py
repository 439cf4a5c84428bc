"""Proven reads across a border: how old an answer may be, and the whole holder roll of a security (股东名册).

A roll is complete by construction (docs/spec/formats.md §11): head, chunks, holdings and the security's total stand
under one state root of one certified header. Whoever hands it over can neither leave a holder out nor invent one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from chain_core.codec.proofs import check_state_proof, decode_state_proof
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.network.refusals import ServiceRefusal
from chain_core.node.answers import CertifiedHeader, StateAnswer, StateItem
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.values import Value
from contracts.kernel.records import HOLDING, KERNEL, SECURITY, Holding, decode_holding, decode_security
from contracts.kernel.roll import CHUNK_IDS, ROLL_HEAD, chunk_count, chunk_key

MAX_ROLL_BYTES = 16_000_000
MAX_HOLDERS = 10_000
_KEYS_AT_ONCE = 256
_TRIES = 12
_NEXT = "ask another node; these bytes prove nothing"


class RollMoved(ServiceRefusal):
    """The roll kept changing while it was read: no single header covers what was fetched."""

    code = "ROLL_MOVED"


class StateSource(Protocol):
    """Where values with proofs come from: a node's client."""

    async def state(self, keys: Sequence[bytes]) -> StateAnswer: ...


@dataclass(frozen=True, slots=True)
class RollEvidence:
    """A roll as it is handed over: one certified header, and values with proofs in the order of ``roll_keys``."""

    header: CertifiedHeader
    items: tuple[StateItem, ...]


@dataclass(frozen=True, slots=True)
class HolderRoll:
    """A proven roll: every holder of ``security`` under ``header``, in the order of the roll."""

    header: Header
    security: bytes
    total: int
    holders: tuple[tuple[bytes, Holding], ...]


def check_fresh(header: Header, not_before_ms: int) -> None:
    """InvalidProof when what the header proves is older than the reader accepts. Block time, milliseconds."""
    if header.time_ms < not_before_ms:
        raise InvalidProof(
            f"proven at block time {header.time_ms}, asked for {not_before_ms} or later",
            where=f"height {header.height}",
            next_step="ask a node that is up to date",
        )


def roll_keys(security: bytes, known: Mapping[bytes, bytes | None]) -> list[bytes]:
    """All keys of the roll as far as ``known`` values tell: security, head, then chunks, then holdings.

    With every value of a roll known these are exactly its keys. Raises InvalidProof for a head or chunk that is none.
    """
    keys = [state_key(KERNEL, SECURITY + security), state_key(KERNEL, ROLL_HEAD + security)]
    head = known.get(keys[1])
    if head is None:
        return keys
    count, _ = _head(head)
    chunks = [state_key(KERNEL, chunk_key(security, number)) for number in range(chunk_count(count))]
    keys += chunks
    for key in chunks:
        raw = known.get(key)
        if raw is not None:
            keys += [state_key(KERNEL, HOLDING + security + account) for account in _chunk(raw)]
    return keys


async def fetch_roll(node: StateSource, view: ChainView, security: bytes) -> RollEvidence:
    """The roll from one node, verified, all of it under one header. Raises InvalidProof, RollMoved, the node's refusal.

    What the keys are is in the roll itself: it is asked for again until an answer contains all that it speaks of.
    """
    keys = roll_keys(security, {})
    for _ in range(_TRIES):
        answers = [await node.state(keys[i : i + _KEYS_AT_ONCE]) for i in range(0, len(keys), _KEYS_AT_ONCE)]
        if len({answer.header.header for answer in answers}) > 1:
            continue
        values: dict[bytes, bytes | None] = {}
        for place, answer in enumerate(answers):
            asked = keys[place * _KEYS_AT_ONCE : (place + 1) * _KEYS_AT_ONCE]
            values.update(zip(asked, view.check_state(asked, answer)[1], strict=True))
        wanted = roll_keys(security, values)
        if values.keys() >= set(wanted):
            items = dict(zip(keys, (item for answer in answers for item in answer.items), strict=True))
            evidence = RollEvidence(answers[0].header, tuple(items[key] for key in wanted))
            check_roll(view, security, evidence)
            return evidence
        keys = wanted
    raise RollMoved(
        "the roll changed while it was read",
        where=f"security {security.hex()}",
        next_step="ask again",
        retry_after_ms=200,
    )


def check_roll(view: ChainView, security: bytes, evidence: RollEvidence, *, not_before_ms: int = 0) -> HolderRoll:
    """The roll that the evidence proves, complete. Raises InvalidProof that says what does not hold."""
    header = view.check_header(evidence.header)
    check_fresh(header, not_before_ms)
    values: dict[bytes, bytes | None] = {}
    keys: list[bytes] = []
    # Three rounds: security and head, then the chunks the head counts, then the holdings the chunks name.
    while len(more := roll_keys(security, values)) > len(keys):
        for place in range(len(keys), len(more)):
            if place >= len(evidence.items):
                raise _refuse("part of the roll is missing", security)
            values[more[place]] = _proven(header, more[place], evidence.items[place])
        keys = more
    if len(keys) != len(evidence.items):
        raise _refuse(f"{len(evidence.items) - len(keys)} items that belong to no roll", security)
    total, holders = roll_of(security, values)
    return HolderRoll(header, security, total, holders)


def _proven(header: Header, key: bytes, item: StateItem) -> bytes | None:
    try:
        check_state_proof(key, item.value, decode_state_proof(item.proof), header.state_root)
    except MalformedBytes as error:
        raise InvalidProof(error.what, where=f"state key {key.hex()}, {error.where}", next_step=_NEXT) from error
    return item.value


def roll_of(security: bytes, values: Mapping[bytes, bytes | None]) -> tuple[int, tuple[tuple[bytes, Holding], ...]]:
    """(total, holders) from values all proven under one header; InvalidProof unless they make a whole roll."""
    keys = roll_keys(security, values)
    if not values.keys() >= set(keys):
        raise _refuse("part of the roll is missing", security)
    record, head = values[keys[0]], values[keys[1]]
    if record is None:
        raise _refuse("the chain has no such security", security)
    total = decode_security(record).total
    if head is None:
        if total:
            raise _refuse(f"no holders, but {total} units", security)
        return 0, ()
    count, digest = _head(head)
    chunks = [values[key] or b"" for key in keys[2 : 2 + chunk_count(count)]]
    accounts = [account for raw in chunks for account in _chunk(raw)]
    if merkle_root(chunks) != digest or len(accounts) != count or len(set(accounts)) != count:
        raise _refuse("head and chunks of the roll disagree", security)
    if any(len(_chunk(raw)) != CHUNK_IDS for raw in chunks[:-1]):
        raise _refuse("a chunk before the last is not full", security)
    holders = []
    for slot, account in enumerate(accounts):
        raw = values[state_key(KERNEL, HOLDING + security + account)]
        holding = decode_holding(raw) if raw is not None else None
        if holding is None or holding.slot != slot:
            raise _refuse(f"holder {account.hex()} has no holding at slot {slot}", security)
        holders.append((account, holding))
    found = sum(holding.total for _, holding in holders)
    if found != total:
        raise _refuse(f"holdings sum to {found}, the security has {total}", security)
    return total, tuple(holders)


def encode_roll(evidence: RollEvidence) -> bytes:
    """The evidence as one canonical value, to be handed to another market."""
    return encode_value(
        {
            "header": evidence.header.header,
            "certificate": evidence.header.certificate,
            "items": [{"value": item.value, "proof": item.proof} for item in evidence.items],
        }
    )


def decode_roll(raw: bytes) -> RollEvidence:
    """The reverse; nothing is verified here. Raises MalformedBytes."""
    if len(raw) > MAX_ROLL_BYTES:
        raise _malformed(f"{len(raw)} bytes where at most {MAX_ROLL_BYTES} are allowed")
    row = decode_map(raw, "roll evidence")
    header, certificate, listed = row.get("header"), row.get("certificate"), row.get("items")
    if len(row) != 3 or not isinstance(header, bytes) or not isinstance(certificate, bytes):
        raise _malformed("not exactly header, certificate and items")
    if not isinstance(listed, list):
        raise _malformed("items are no list")
    return RollEvidence(CertifiedHeader(header, certificate), tuple(_item(row) for row in listed))


def _item(row: Value) -> StateItem:
    if isinstance(row, dict) and len(row) == 2:
        value, proof = row.get("value"), row.get("proof")
        if isinstance(proof, bytes) and (value is None or isinstance(value, bytes)):
            return StateItem(value, proof)
    raise _malformed("an item is not exactly value and proof")


def _head(raw: bytes) -> tuple[int, bytes]:
    """(count, digest) of a roll's head, as the kernel writes it."""
    try:
        row = decode_map(raw, "roll head")
        count, chunks, digest = row["count"], row["chunks"], row["digest"]
    except (MalformedBytes, KeyError) as error:
        raise InvalidProof("a roll's head cannot be read", where=str(error), next_step=_NEXT) from error
    if type(count) is not int or not 0 <= count <= MAX_HOLDERS or not isinstance(digest, bytes):
        raise InvalidProof("a roll's head is out of bounds", where=f"count {count!r}", next_step=_NEXT)
    if chunks != chunk_count(count):
        raise InvalidProof("a roll's head counts its chunks wrongly", where=f"count {count}", next_step=_NEXT)
    return count, digest


def _chunk(raw: bytes) -> list[bytes]:
    try:
        accounts = decode_value(raw, "roll chunk")
    except MalformedBytes as error:
        raise InvalidProof("a roll's chunk cannot be read", where=error.where, next_step=_NEXT) from error
    if not isinstance(accounts, list) or len(accounts) > CHUNK_IDS:
        raise InvalidProof("a roll's chunk is no list of accounts", where="chunk", next_step=_NEXT)
    if not all(isinstance(account, bytes) and len(account) == ACCOUNT_ID_SIZE for account in accounts):
        raise InvalidProof("a roll's chunk holds something that is no account", where="chunk", next_step=_NEXT)
    return cast(list[bytes], accounts)


def _refuse(what: str, security: bytes) -> InvalidProof:
    return InvalidProof(what, where=f"roll of security {security.hex()}", next_step=_NEXT)


def _malformed(what: str) -> MalformedBytes:
    return MalformedBytes(f"roll evidence: {what}", where="bytes", next_step="send what encode_roll wrote")
