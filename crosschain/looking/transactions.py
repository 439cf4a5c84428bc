"""A transaction in one market, from order to settlement to roll: its receipt and events, and what has become of the
holds, pledges and holdings that it touched (docs/spec/see-through.md §6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from chain_core.codec import signed
from chain_core.codec.proofs import decode_inclusion
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.node.answers import CertifiedHeader, EventsAnswer, ProvenReceipt, ReceiptAnswer
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE
from contracts.kernel.orders import Order, decode_order
from contracts.kernel.records import (
    HOLD,
    HOLDING,
    NOBODY,
    ORDER,
    PLEDGE,
    Hold,
    Holding,
    Pledge,
    decode_hold,
    decode_holding,
    decode_pledge,
)
from contracts.kernel.roll import CHUNK_IDS, ROLL_HEAD, chunk_key, decode_chunk, decode_head
from crosschain.complete_lists import ListEvidence, Values
from crosschain.looking.inquiry import Fresh, Inquiry, prove
from crosschain.looking.securities import NamedSecurity, freeze_keys, own, record_keys, security_of

MAX_ENTRIES = 128
_PARTIES = ("source", "target", "account", "owner")
_NEXT = "ask another node; these bytes prove nothing"


class BlockSource(Protocol):
    """Where receipts and events come from: a node's client."""

    async def receipt(self, transaction_id: bytes) -> ReceiptAnswer: ...

    async def events(self, height: int) -> EventsAnswer: ...


@dataclass(frozen=True, slots=True)
class Event:
    """One event that the receipt's digest names."""

    contract: str
    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToldTransaction:
    """A receipt as it is handed over, with the bytes of its events."""

    certified: CertifiedHeader
    proven: ProvenReceipt
    events: bytes


@dataclass(frozen=True, slots=True)
class RollPosition:
    """A party's holding of a security now, and the place in the roll where it is proven to stand; both or neither."""

    security: NamedSecurity
    account: bytes
    holding: Holding | None
    slot: int | None
    holders: int


@dataclass(frozen=True, slots=True)
class Became:
    """What has become of all that a transaction touched, under ``header``; None: proven to be there no more."""

    header: Header
    holds: Mapping[bytes, Hold | None]
    pledges: Mapping[bytes, Pledge | None]
    orders: Mapping[bytes, Order | None]
    positions: tuple[RollPosition, ...]
    entries_left: int


async def fetch_transaction(node: BlockSource, transaction_id: bytes) -> ToldTransaction:
    """Receipt and events from one node, unverified. Raises NotFound, MalformedBytes, the node's refusal."""
    answer = await node.receipt(transaction_id)
    if answer.receipt is None:
        raise InvalidProof("a receipt was asked for, its absence is shown", where="receipt", next_step=_NEXT)
    events = await node.events(answer.receipt.height)
    index = decode_inclusion(answer.receipt.proof).index
    if index >= len(events.events):
        raise InvalidProof(f"no events at index {index}", where=f"height {answer.receipt.height}", next_step=_NEXT)
    return ToldTransaction(answer.header, answer.receipt, events.events[index])


def check_transaction(
    view: ChainView, transaction_id: bytes, told: ToldTransaction
) -> tuple[VerifiedReceipt, tuple[Event, ...]]:
    """The receipt and its events, when they are this transaction's. Raises InvalidProof."""
    verified = view.check_receipt(told.certified, told.proven)
    where = f"height {verified.header.height}"
    if verified.receipt.transaction_id != transaction_id:
        found = verified.receipt.transaction_id.hex()
        raise InvalidProof(f"the receipt is that of transaction {found}", where=where, next_step=_NEXT)
    if sm3(signed.EVENTS + told.events) != verified.receipt.events_digest:
        raise InvalidProof("the events are not those of the receipt", where=where, next_step=_NEXT)
    try:
        rows = cast(Sequence[Sequence[Any]], decode_value(told.events, "events"))
    except MalformedBytes as error:
        raise InvalidProof(error.what, where=where, next_step=_NEXT) from error
    return verified, tuple(Event(contract, name, fields) for contract, name, fields in rows)


@dataclass(frozen=True, slots=True)
class Touched:
    """Ids that events name, each once, in their order; ``entries`` are (security, account)."""

    holds: tuple[bytes, ...]
    pledges: tuple[bytes, ...]
    orders: tuple[bytes, ...]
    entries: tuple[tuple[bytes, bytes], ...]
    entries_left: int


def touched(events: Sequence[Event]) -> Touched:
    """What the events of a transaction speak of."""
    named: dict[str, dict[bytes, None]] = {"hold": {}, "pledge": {}, "order": {}}
    entries: dict[tuple[bytes, bytes], None] = {}
    for event in events:
        fields = event.fields
        for field, kind in (("hold", "hold"), ("payment", "hold"), ("pledge", "pledge"), ("order", "order")):
            if _is_id(fields.get(field)):
                named[kind][fields[field]] = None
        if _is_id(fields.get("security")):
            for party in _PARTIES:
                if _is_id(fields.get(party)):
                    entries[fields["security"], fields[party]] = None
    first = tuple(entries)[:MAX_ENTRIES]
    holds, pledges, orders = (tuple(named[kind])[:MAX_ENTRIES] for kind in ("hold", "pledge", "order"))
    return Touched(holds, pledges, orders, first, len(entries) - len(first))


def _is_id(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == ACCOUNT_ID_SIZE and value != NOBODY


@dataclass(frozen=True, slots=True)
class BecameInquiry(Inquiry):
    """What has become of what a transaction touched."""

    transaction_id: bytes
    of: Touched

    @property
    def what(self) -> str:
        return f"transaction {self.transaction_id.hex()}"

    @property
    def securities(self) -> list[bytes]:
        """Each once."""
        return list(dict.fromkeys(security for security, _ in self.of.entries))

    def rounds(self, known: Values) -> Iterator[Sequence[bytes]]:
        of = self.of
        yield [
            *(own(HOLD + one) for one in of.holds),
            *(own(PLEDGE + one) for one in of.pledges),
            *(own(ORDER + one) for one in of.orders),
            *(own(HOLDING + security + account) for security, account in of.entries),
        ]
        yield [key for security in self.securities for key in (*record_keys(security), own(ROLL_HEAD + security))]
        yield [key for security in self.securities for key in freeze_keys(known, security)]
        yield list(dict.fromkeys(key for entry in of.entries if (key := self._chunk_of(known, entry)) is not None))

    def _chunk_of(self, known: Values, entry: tuple[bytes, bytes]) -> bytes | None:
        """Key of the chunk in which a holding says that its holder stands."""
        raw = known[own(HOLDING + entry[0] + entry[1])]
        return None if raw is None else own(chunk_key(entry[0], decode_holding(raw).slot // CHUNK_IDS))


def check_became(view: ChainView, inquiry: BecameInquiry, evidence: ListEvidence, fresh: Fresh | None = None) -> Became:
    """What the evidence proves. Raises InvalidProof, MalformedBytes."""
    header, values = prove(view, inquiry, evidence, fresh or Fresh())
    of = inquiry.of
    return Became(
        header,
        {one: None if (raw := values[own(HOLD + one)]) is None else decode_hold(raw) for one in of.holds},
        {one: None if (raw := values[own(PLEDGE + one)]) is None else decode_pledge(raw) for one in of.pledges},
        {one: None if (raw := values[own(ORDER + one)]) is None else decode_order(raw) for one in of.orders},
        tuple(_position(inquiry, values, security, account) for security, account in of.entries),
        of.entries_left,
    )


def _position(inquiry: BecameInquiry, values: Values, security: bytes, account: bytes) -> RollPosition:
    named = security_of(inquiry, values, security)
    head, raw = values[own(ROLL_HEAD + security)], values[own(HOLDING + security + account)]
    holders = 0 if head is None else decode_head(head)[0]
    if raw is None:
        return RollPosition(named, account, None, None, holders)
    holding = decode_holding(raw)
    number, place = divmod(holding.slot, CHUNK_IDS)
    chunk = values[own(chunk_key(security, number))]
    listed = [] if chunk is None else decode_chunk(chunk)
    if holding.slot >= holders or place >= len(listed) or listed[place] != account:
        raise inquiry.refuse(f"the roll of {security.hex()} has another holder at place {holding.slot}")
    return RollPosition(named, account, holding, holding.slot, holders)
