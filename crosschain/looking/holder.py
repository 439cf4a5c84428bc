"""A holder in one market, by investor code: account, money, freezes, suitability, everything held, with pledges and
court orders on it, complete (docs/spec/see-through.md §4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from chain_core.codec.values import decode_value
from chain_core.execution.account_records import RECORD_PREFIX, AccountRecord, decode_record
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from chain_core.types.ids import ACCOUNT_ID_SIZE
from contracts.kernel.codes import BOUND_CODE, INVESTOR_CODE, code_key
from contracts.kernel.lots import Lot, decode_lots
from contracts.kernel.orders import Order, decode_order
from contracts.kernel.records import (
    CASH,
    HOLDING,
    HOLDING_FREEZE,
    LOTS,
    ORDER,
    ORDER_QUEUE,
    PARTY_FREEZE,
    PLEDGE,
    PLEDGE_LIST,
    SECURITY,
    SUITABILITY,
    Cash,
    Flag,
    Holding,
    Pledge,
    Suitability,
    decode_cash,
    decode_holding,
    decode_pledge,
    decode_security,
    decode_suitability,
)
from contracts.kernel.roll import HELD_HEAD, held_chunk_key
from crosschain.complete_lists import ListEvidence, Question, Values
from crosschain.looking.inquiry import Fresh, Inquiry, prove
from crosschain.looking.securities import NamedSecurity, freeze_keys, own, record_keys, security_of, texts


@dataclass(frozen=True, slots=True)
class Freeze:
    """What a directive froze of a holding; ``fruit_fen`` are dividends held with it."""

    directive: str
    quantity: int
    fruit_fen: int


@dataclass(frozen=True, slots=True)
class HeldSecurity:
    """One holding with all that lies on it."""

    security: NamedSecurity
    holding: Holding
    freezes: tuple[Freeze, ...]
    lots: tuple[Lot, ...]
    pledges: tuple[tuple[bytes, Pledge], ...]
    orders: tuple[tuple[bytes, Order], ...]


@dataclass(frozen=True, slots=True)
class Party:
    """The account that a code leads to."""

    account: bytes
    record: AccountRecord
    cash: Cash
    suitability: Suitability | None
    freezes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HolderInMarket:
    """All that ``code`` has in one market under ``header``; no ``party``: proven to be bound to nobody there."""

    header: Header
    code: str
    party: Party | None
    holdings: tuple[HeldSecurity, ...] = ()


@dataclass(frozen=True, slots=True)
class HolderInquiry(Inquiry):
    """What is asked about the holder with ``code``."""

    code: str

    @property
    def what(self) -> str:
        return f"holder {self.code}"

    @property
    def code_key(self) -> bytes:
        """Where the code leads from."""
        return own(code_key(INVESTOR_CODE, self.code))

    def rounds(self, known: Values) -> Iterator[Sequence[bytes]]:
        yield [self.code_key]
        account = known[self.code_key]
        if account is None:
            return
        if len(account) != ACCOUNT_ID_SIZE:
            raise self.refuse("the code leads to something that is no account")
        yield party_keys(account)
        held = held_list(account)
        yield [held.first[0]]
        yield held.chunks(known[held.first[0]])
        securities = held.named(known)
        yield [key for security in securities for key in _first_keys(security, account)]
        yield [key for security in securities for key in self._further_keys(known, security, account)]
        yield [
            own(ORDER + order)
            for security in securities
            if _has_orders(known, security)
            for order in ids(known[own(ORDER_QUEUE + security + account)])
        ]

    def _further_keys(self, known: Values, security: bytes, account: bytes) -> list[bytes]:
        """What records and holding say that there is."""
        raw, record = known[own(HOLDING + security + account)], known[own(SECURITY + security)]
        if raw is None or record is None:
            raise self.refuse(f"security {security.hex()} is listed, but none of it is held")
        holding, of = decode_holding(raw), security + account
        keys = freeze_keys(known, security)
        keys += [own(PLEDGE + pledge) for pledge in ids(known[own(PLEDGE_LIST + of)])]
        keys += [own(HOLDING_FREEZE + of)] if holding.frozen else []
        keys += [own(LOTS + of)] if decode_security(record).flags & Flag.LOTS else []
        return keys + ([own(ORDER_QUEUE + of)] if _has_orders(known, security) else [])


def party_keys(account: bytes) -> list[bytes]:
    """Account record, reverse binding, money, suitability, freezes of the party."""
    mine = (BOUND_CODE, CASH, SUITABILITY, PARTY_FREEZE)
    return [RECORD_PREFIX + account, *(own(tag + account) for tag in mine)]


def held_list(account: bytes) -> Question:
    """The complete list of what an account holds."""
    return Question(
        f"holdings of account {account.hex()}",
        (own(HELD_HEAD + account),),
        lambda number: own(held_chunk_key(account, number)),
        lambda security: own(HOLDING + security + account),
    )


def ids(raw: bytes | None) -> list[bytes]:
    """A stored row of 16-byte ids."""
    raw = raw or b""
    return [raw[start : start + ACCOUNT_ID_SIZE] for start in range(0, len(raw), ACCOUNT_ID_SIZE)]


def _first_keys(security: bytes, account: bytes) -> list[bytes]:
    return [own(HOLDING + security + account), *record_keys(security), own(PLEDGE_LIST + security + account)]


def _has_orders(known: Values, security: bytes) -> bool:
    return bool(decode_security(known[own(SECURITY + security)] or b"").flags & Flag.ORDERS)


def check_holder(view: ChainView, code: str, evidence: ListEvidence, fresh: Fresh | None = None) -> HolderInMarket:
    """What the evidence proves of the holder, complete. Raises InvalidProof, MalformedBytes: what does not hold."""
    inquiry = HolderInquiry(code)
    header, values = prove(view, inquiry, evidence, fresh or Fresh())
    account = values[inquiry.code_key]
    if account is None:
        return HolderInMarket(header, code, None)
    party = _party(inquiry, values, account)
    holdings = tuple(_held(inquiry, values, security, account) for security in held_list(account).named(values))
    return HolderInMarket(header, code, party, holdings)


def _party(inquiry: HolderInquiry, values: Values, account: bytes) -> Party:
    raw, reverse, cash, suitability, freezes = (values[key] for key in party_keys(account))
    if reverse != inquiry.code.encode("ascii"):
        raise inquiry.refuse(f"account {account.hex()} has another code than the one that leads to it")
    if raw is None:
        raise inquiry.refuse(f"the code leads to {account.hex()}, which is no account")
    proof = None if suitability is None else decode_suitability(suitability)
    return Party(account, decode_record(raw), decode_cash(cash), proof, texts(freezes))


def _held(inquiry: HolderInquiry, values: Values, security: bytes, account: bytes) -> HeldSecurity:
    of, name = security + account, security.hex()
    holding = decode_holding(values[own(HOLDING + of)] or b"")
    if holding.total == 0:
        raise inquiry.refuse(f"security {name} is listed, but none of it is held")
    pledges = tuple((one, _pledge(inquiry, values, one, of)) for one in ids(values[own(PLEDGE_LIST + of)]))
    orders = tuple((one, _order(inquiry, values, one, of)) for one in ids(values.get(own(ORDER_QUEUE + of))))
    freezes = _freezes(values.get(own(HOLDING_FREEZE + of)))
    if len({one for one, _ in pledges}) != len(pledges) or sum(p.quantity for _, p in pledges) != holding.pledged:
        raise inquiry.refuse(f"the pledges shown are not the {holding.pledged} pledged of security {name}")
    bound = sum(order.held for _, order in orders) + sum(freeze.quantity for freeze in freezes)
    if bound > holding.frozen:
        raise inquiry.refuse(f"orders and freezes bind {bound} of security {name}, frozen are {holding.frozen}")
    lots = tuple(decode_lots(values.get(own(LOTS + of))))
    return HeldSecurity(security_of(inquiry, values, security), holding, freezes, lots, pledges, orders)


def _pledge(inquiry: HolderInquiry, values: Values, pledge: bytes, of: bytes) -> Pledge:
    raw = values[own(PLEDGE + pledge)]
    found = None if raw is None else decode_pledge(raw)
    if found is None or found.security + found.owner != of:
        raise inquiry.refuse(f"pledge {pledge.hex()} is listed on a holding that it does not pledge")
    return found


def _order(inquiry: HolderInquiry, values: Values, order: bytes, of: bytes) -> Order:
    raw = values[own(ORDER + order)]
    found = None if raw is None else decode_order(raw)
    if found is None or found.security + found.owner != of:
        raise inquiry.refuse(f"court order {order.hex()} is listed on a holding that it does not freeze")
    return found


def _freezes(raw: bytes | None) -> tuple[Freeze, ...]:
    rows = [] if raw is None else cast(list[list[Any]], decode_value(raw, "freezes"))
    return tuple(Freeze(directive, quantity, sum(fruit)) for directive, quantity, *fruit in rows)
