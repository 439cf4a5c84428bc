"""Lists that are complete by construction (docs/spec/formats.md §11), read from a node and proven to anybody.

Head, chunks and the record of every entry stand under one state root of one certified header. Whoever hands a list
over can neither leave an entry out nor invent one. What a list is of is the caller's: ``Question`` says which keys
belong to it, ``crosschain.proofs`` knows the two kinds that the kernel keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from chain_core.codec.proofs import check_state_proof, decode_state_proof
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.network.refusals import ServiceRefusal
from chain_core.node.answers import CertifiedHeader, StateAnswer, StateItem
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.values import Value
from contracts.kernel.roll import CHUNK_IDS, MAX_LISTED, chunk_count

MAX_LIST_BYTES = 16_000_000
_KEYS_AT_ONCE = 256
_TRIES = 12
_NEXT = "ask another node; these bytes prove nothing"

Values = Mapping[bytes, bytes | None]


class ListMoved(ServiceRefusal):
    """The list kept changing while it was read: no single header covers what was fetched."""

    code = "LIST_MOVED"


class StateSource(Protocol):
    """Where values with proofs come from: a node's client."""

    async def state(self, keys: Sequence[bytes]) -> StateAnswer: ...


@dataclass(frozen=True, slots=True)
class ListEvidence:
    """A list as it is handed over: one certified header, and values with proofs in the order of ``Question.keys``."""

    header: CertifiedHeader
    items: tuple[StateItem, ...]


class Asked(Protocol):
    """Which values make up an answer; ``keys`` only ever grows at its end as more of them are known."""

    @property
    def what(self) -> str:
        """In words, for refusals."""

    def keys(self, known: Values) -> list[bytes]:
        """All full state keys as far as ``known`` values tell. Raises InvalidProof."""

    def refuse(self, what: str) -> InvalidProof:
        """What does not hold, about this answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which list. ``first`` are the full state keys known beforehand, the head last; ``chunk`` gives a chunk's key by
    number, ``record`` the key of what the list names.
    """

    what: str
    first: tuple[bytes, ...]
    chunk: Callable[[int], bytes]
    record: Callable[[bytes], bytes]

    def keys(self, known: Values) -> list[bytes]:
        """All keys of the list as far as ``known`` values tell: ``first``, then chunks, then records.

        With every value of a list known these are exactly its keys. Raises InvalidProof for a head or chunk that is
        none.
        """
        head = known.get(self.first[-1])
        if head is None:
            return list(self.first)
        chunks = self.chunks(head)
        keys = [*self.first, *chunks]
        for key in chunks:
            raw = known.get(key)
            if raw is not None:
                keys += [self.record(entry) for entry in self._chunk(raw)]
        return keys

    def entries(self, values: Values) -> list[bytes]:
        """What the list names, in its order; InvalidProof unless the values are a whole list."""
        if not values.keys() >= set(self.keys(values)):
            raise self.refuse("part of the list is missing")
        return self.named(values)

    def chunks(self, head: bytes | None) -> list[bytes]:
        """The keys of all chunks that a head counts."""
        return [] if head is None else [self.chunk(number) for number in range(chunk_count(self._head(head)[0]))]

    def named(self, values: Values) -> list[bytes]:
        """The same from head and chunks alone; InvalidProof unless they are of one piece."""
        head = values[self.first[-1]]
        if head is None:
            return []
        count, digest = self._head(head)
        chunks = [values[self.chunk(number)] or b"" for number in range(chunk_count(count))]
        listed = [self._chunk(raw) for raw in chunks]
        entries = [entry for chunk in listed for entry in chunk]
        if merkle_root(chunks) != digest or len(entries) != count or len(set(entries)) != count:
            raise self.refuse("head and chunks of the list disagree")
        if any(len(chunk) != CHUNK_IDS for chunk in listed[:-1]):
            raise self.refuse("a chunk before the last is not full")
        return entries

    def refuse(self, what: str) -> InvalidProof:
        """What does not hold, about this list."""
        return InvalidProof(what, where=self.what, next_step=_NEXT)

    def _head(self, raw: bytes) -> tuple[int, bytes]:
        """(count, digest) as the kernel writes them."""
        try:
            row = decode_map(raw, "head of a list")
            count, chunks, digest = row["count"], row["chunks"], row["digest"]
        except (MalformedBytes, KeyError) as error:
            raise self.refuse(f"the head cannot be read: {error}") from error
        if type(count) is not int or not 0 <= count <= MAX_LISTED or not isinstance(digest, bytes):
            raise self.refuse(f"the head is out of bounds: count {count!r}")
        if chunks != chunk_count(count):
            raise self.refuse(f"the head counts its chunks wrongly: {chunks!r} for {count}")
        return count, digest

    def _chunk(self, raw: bytes) -> list[bytes]:
        try:
            entries = decode_value(raw, "chunk of a list")
        except MalformedBytes as error:
            raise self.refuse(f"a chunk cannot be read: {error.where}") from error
        if not isinstance(entries, list) or len(entries) > CHUNK_IDS:
            raise self.refuse("a chunk is no list of ids")
        if not all(isinstance(entry, bytes) and len(entry) == ACCOUNT_ID_SIZE for entry in entries):
            raise self.refuse("a chunk holds something that is no id")
        return cast(list[bytes], entries)


def check_fresh(header: Header, not_before_ms: int) -> None:
    """InvalidProof when what the header proves is older than the reader accepts. Block time, milliseconds."""
    if header.time_ms < not_before_ms:
        raise InvalidProof(
            f"proven at block time {header.time_ms}, asked for {not_before_ms} or later",
            where=f"height {header.height}",
            next_step="ask a node that is up to date",
        )


async def fetch_list(
    node: StateSource, view: ChainView, question: Question
) -> tuple[ListEvidence, Header, dict[bytes, bytes | None]]:
    """The list from one node: its evidence, and what this proves, all of it under one header. Each proof is checked
    once. Raises InvalidProof, ListMoved, the node's refusal.

    What the keys are is in the list itself: it is asked for again until an answer contains all that it speaks of.
    Whether the values make a whole list is for ``Question.entries``.
    """
    keys = question.keys({})
    for _ in range(_TRIES):
        answers = [await node.state(keys[i : i + _KEYS_AT_ONCE]) for i in range(0, len(keys), _KEYS_AT_ONCE)]
        if len({answer.header.header for answer in answers}) > 1:
            continue
        proven = [
            view.check_state(keys[place * _KEYS_AT_ONCE : (place + 1) * _KEYS_AT_ONCE], answer)
            for place, answer in enumerate(answers)
        ]
        values = dict(zip(keys, (value for _, found in proven for value in found), strict=True))
        wanted = question.keys(values)
        if values.keys() >= set(wanted):
            items = dict(zip(keys, (item for answer in answers for item in answer.items), strict=True))
            evidence = ListEvidence(answers[0].header, tuple(items[key] for key in wanted))
            return evidence, proven[0][0], {key: values[key] for key in wanted}
        keys = wanted
    raise ListMoved(
        "the list changed while it was read", where=question.what, next_step="ask again", retry_after_ms=200
    )


def prove_list(
    view: ChainView, question: Asked, evidence: ListEvidence, not_before_ms: int
) -> tuple[Header, dict[bytes, bytes | None]]:
    """(header, value by key) of evidence whose proofs hold and which has exactly the list's keys. Raises InvalidProof.

    Whether the values make a whole list is for ``Question.entries``.
    """
    header = view.check_header(evidence.header)
    check_fresh(header, not_before_ms)
    values: dict[bytes, bytes | None] = {}
    keys: list[bytes] = []
    # In rounds, of a list three: the first keys with the head, the chunks the head counts, what the chunks name.
    while len(more := question.keys(values)) > len(keys):
        for place in range(len(keys), len(more)):
            if place >= len(evidence.items):
                raise question.refuse("part of the list is missing")
            values[more[place]] = _proven(header, more[place], evidence.items[place])
        keys = more
    if len(keys) != len(evidence.items):
        raise question.refuse(f"{len(evidence.items) - len(keys)} items too many, which belong to no list")
    return header, values


def _proven(header: Header, key: bytes, item: StateItem) -> bytes | None:
    try:
        check_state_proof(key, item.value, decode_state_proof(item.proof), header.state_root)
    except MalformedBytes as error:
        raise InvalidProof(error.what, where=f"state key {key.hex()}, {error.where}", next_step=_NEXT) from error
    return item.value


def encode_list(evidence: ListEvidence) -> bytes:
    """The evidence as one canonical value, to be handed to another market."""
    return encode_value(
        {
            "header": evidence.header.header,
            "certificate": evidence.header.certificate,
            "items": [{"value": item.value, "proof": item.proof} for item in evidence.items],
        }
    )


def decode_list(raw: bytes) -> ListEvidence:
    """The reverse; nothing is verified here. Raises MalformedBytes."""
    if len(raw) > MAX_LIST_BYTES:
        raise _malformed(f"{len(raw)} bytes where at most {MAX_LIST_BYTES} are allowed")
    row = decode_map(raw, "list evidence")
    header, certificate, listed = row.get("header"), row.get("certificate"), row.get("items")
    if len(row) != 3 or not isinstance(header, bytes) or not isinstance(certificate, bytes):
        raise _malformed("not exactly header, certificate and items")
    if not isinstance(listed, list):
        raise _malformed("items are no list")
    return ListEvidence(CertifiedHeader(header, certificate), tuple(_item(row) for row in listed))


def _item(row: Value) -> StateItem:
    if isinstance(row, dict) and len(row) == 2:
        value, proof = row.get("value"), row.get("proof")
        if isinstance(proof, bytes) and (value is None or isinstance(value, bytes)):
            return StateItem(value, proof)
    raise _malformed("an item is not exactly value and proof")


def _malformed(what: str) -> MalformedBytes:
    return MalformedBytes(f"list evidence: {what}", where="bytes", next_step="send what encode_list wrote")
