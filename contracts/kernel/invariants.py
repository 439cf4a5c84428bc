"""The ledger's invariants over a whole state (docs/spec/kernel.md §8). Pure: for tests, the demonstration and
verification.

For each security: sum of holdings = total = what its roll lists, no more and no less; for each account: the securities
it holds are those its own list names; for each holding: pledged is what pledges bind, frozen is what holds and freezes
bind; for money: sum of accounts = all money, held is what holds bind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.types.errors import LocalFault
from contracts.kernel import records
from contracts.kernel.codes import BOUND_CODE, CODE, CREDIT_CODE, INVESTOR_CODE, code_key
from contracts.kernel.lots import decode_lots
from contracts.kernel.orders import decode_order
from contracts.kernel.records import Holding, HoldKind, Security, Status
from contracts.kernel.roll import (
    CHUNK_IDS,
    HELD_CHUNK,
    HELD_HEAD,
    ISSUED_CHUNK,
    ISSUED_HEAD,
    ROLL_CHUNK,
    ROLL_HEAD,
    chunk_count,
    decode_chunk,
    decode_head,
    list_digest,
)

PREFIX = state_key(records.KERNEL, b"")
_ID = 16
_HASH = 32
_CODES = (CODE, BOUND_CODE, records.ENTERPRISE)
_COUNTING = (records.LOTS, records.VEHICLE, records.COUNTED_HOLDERS, records.FAMILY_MEMBER)


class BrokenInvariant(LocalFault):
    """A state that no sequence of transactions can lead to: this build or this disk is at fault."""

    code = "BROKEN_INVARIANT"


@dataclass
class _Lists:
    """Complete lists of one kind: heads by owner, chunks by owner and number."""

    heads: dict[bytes, bytes] = field(default_factory=dict)
    chunks: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)

    def owners(self) -> set[bytes]:
        """Everybody of whom there is any part of a list."""
        return self.heads.keys() | self.chunks.keys()

    def entries(self, owner: bytes, where: str) -> list[bytes]:
        """What the list names, after a check that head and chunks are of one piece."""
        head, chunks = self.heads.get(owner), self.chunks.get(owner, {})
        count, said, digest = decode_head(head) if head is not None else (0, 0, list_digest([]))
        if said != chunk_count(count) or sorted(chunks) != [n.to_bytes(4, "big") for n in range(said)]:
            raise _fail(f"a list has {len(chunks)} chunks, its head says {said} for {count} entries", where)
        raws = [chunks[number] for number in sorted(chunks)]
        listed = [decode_chunk(raw) for raw in raws]
        found = [entry for chunk in listed for entry in chunk]
        if len(found) != count or any(len(chunk) != CHUNK_IDS for chunk in listed[:-1]):
            raise _fail(f"a list names {len(found)} entries in uneven chunks, its head says {count}", where)
        if digest != list_digest(raws):
            raise _fail("a list's digest is not that of its chunks", where)
        if len(set(found)) != count:
            raise _fail("a list names an entry twice", where)
        return found


@dataclass
class _Books:
    """Everything the invariants look at, by security and account."""

    securities: dict[bytes, Security] = field(default_factory=dict)
    holdings: dict[bytes, Holding] = field(default_factory=dict)
    rolls: _Lists = field(default_factory=_Lists)
    held: _Lists = field(default_factory=_Lists)
    issued: _Lists = field(default_factory=_Lists)
    codes: dict[bytes, bytes] = field(default_factory=dict)
    bound_codes: dict[bytes, bytes] = field(default_factory=dict)
    cash: dict[bytes, records.Cash] = field(default_factory=dict)
    bound: dict[bytes, int] = field(default_factory=dict)
    pledged: dict[bytes, int] = field(default_factory=dict)
    held_cash: dict[bytes, int] = field(default_factory=dict)
    frozen: dict[bytes, bool] = field(default_factory=dict)
    lots: dict[bytes, int] = field(default_factory=dict)
    weights: dict[bytes, int] = field(default_factory=dict)
    counts: dict[bytes, int] = field(default_factory=dict)
    members: dict[bytes, int] = field(default_factory=dict)
    made: set[bytes] = field(default_factory=set)
    listed: set[bytes] = field(default_factory=set)
    money: int = 0

    def read(self, own: bytes, value: bytes) -> None:
        """One state entry of the kernel."""
        kind, rest = own[:1], own[1:]
        if kind == records.HOLDING and len(rest) == 2 * _ID:
            self.holdings[rest] = records.decode_holding(value)
        elif kind == records.SECURITY and len(rest) == _ID:
            self.securities[rest] = records.decode_security(value)
        elif kind == ROLL_HEAD and len(rest) == _ID:
            self.rolls.heads[rest] = value
        elif kind == ROLL_CHUNK and len(rest) == _ID + 4:
            self.rolls.chunks.setdefault(rest[:_ID], {})[rest[_ID:]] = value
        elif kind == HELD_HEAD and len(rest) == _ID:
            self.held.heads[rest] = value
        elif kind == HELD_CHUNK and len(rest) == _ID + 4:
            self.held.chunks.setdefault(rest[:_ID], {})[rest[_ID:]] = value
        elif kind == records.CASH and len(rest) == _ID:
            self.cash[rest] = records.decode_cash(value)
        elif own == records.MONEY:
            self.money = records.decode_money(value)
        elif kind == ISSUED_HEAD and len(rest) == _ID:
            self.issued.heads[rest] = value
        elif kind == ISSUED_CHUNK and len(rest) == _ID + 4:
            self.issued.chunks.setdefault(rest[:_ID], {})[rest[_ID:]] = value
        elif kind in _CODES:
            self._read_code(kind, rest, value)
        elif kind in _COUNTING:
            self._read_counting(kind, rest, value)
        else:
            self._read_bound(kind, rest, value)

    def _read_code(self, kind: bytes, rest: bytes, value: bytes) -> None:
        """Where codes lead, and who says that he has one."""
        if kind == CODE and len(rest) == _HASH:
            self.codes[rest] = value
        elif kind == BOUND_CODE and len(rest) == _ID:
            self.bound_codes[code_key(INVESTOR_CODE, value.decode("ascii"))[1:]] = rest
        elif kind == records.ENTERPRISE and len(rest) == _ID:
            code = cast(str, decode_map(value, "enterprise")["credit_code"])
            self.bound_codes[code_key(CREDIT_CODE, code)[1:]] = rest

    def _read_counting(self, kind: bytes, rest: bytes, value: bytes) -> None:
        """Lots, vehicles, counts."""
        if kind == records.LOTS and len(rest) == 2 * _ID:
            self.lots[rest] = sum(lot.quantity for lot in decode_lots(value))
        elif kind == records.VEHICLE and len(rest) == _ID:
            vehicle = records.decode_vehicle(value)
            self.weights[rest] = 1 if vehicle.exempt else vehicle.owners
        elif kind == records.COUNTED_HOLDERS and len(rest) == _ID:
            self.counts[rest] = records.decode_count(value)
        elif kind == records.FAMILY_MEMBER and len(rest) == 2 * _ID:
            self.members[rest] = records.decode_count(value)

    def _read_bound(self, kind: bytes, rest: bytes, value: bytes) -> None:
        """Holds, pledges and freezes."""
        if kind == records.HOLD and len(rest) == _ID:
            hold = records.decode_hold(value)
            if hold.kind == HoldKind.SHARES:
                _add(self.bound, hold.security + hold.owner, hold.quantity)
            elif hold.kind == HoldKind.CASH:
                _add(self.held_cash, hold.owner, hold.quantity)
        elif kind == records.PLEDGE and len(rest) == _ID:
            pledge = records.decode_pledge(value)
            self.made.add(records.PLEDGE_LIST + pledge.security + pledge.owner + rest)
            _add(self.pledged, pledge.security + pledge.owner, pledge.quantity)
            _add(self.held_cash, pledge.owner, pledge.fruit_fen)
        elif kind in (records.PLEDGE_LIST, records.ORDER_QUEUE) and len(rest) == 2 * _ID:
            self.listed |= {kind + rest + value[start : start + _ID] for start in range(0, len(value), _ID)}
        elif kind == records.RESOLUTION and len(rest) == _ID:
            resolution = records.decode_resolution(value)
            _add(self.held_cash, resolution.issuer, resolution.escrow_fen)
        elif kind == records.ACTION and len(rest) == _ID:
            action = decode_map(value, "action")
            if "escrow_fen" in action:
                _add(self.held_cash, cast(bytes, action["issuer"]), cast(int, action["escrow_fen"]))
        elif kind == records.ORDER and len(rest) == _ID:
            order = decode_order(value)
            self.made.add(records.ORDER_QUEUE + order.security + order.owner + rest)
            _add(self.bound, order.security + order.owner, order.held)
            _add(self.held_cash, order.owner, order.fruit_fen)
        elif kind == records.HOLDING_FREEZE and len(rest) == 2 * _ID:
            for _, quantity, *fruit_fen in cast(list[list[Any]], decode_value(value)):
                _add(self.bound, rest, quantity)
                _add(self.held_cash, rest[_ID:], sum(fruit_fen))
        elif kind == records.SECURITY_FREEZE and len(rest) == _ID:
            self.frozen[rest] = True


def check_state(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, int]:
    """Checks every invariant over (full key, value) pairs, in any order; entries of other contracts are passed over.

    Returns counts: ``securities``, ``holdings``, ``money_fen``. Raises BrokenInvariant naming the first that is broken.
    """
    books = _Books()
    for key, value in pairs:
        if key.startswith(PREFIX):
            books.read(key[len(PREFIX) :], value)
    of_security: dict[bytes, dict[bytes, Holding]] = {}
    of_account: dict[bytes, dict[bytes, Holding]] = {}
    for key, holding in books.holdings.items():
        of_security.setdefault(key[:_ID], {})[key[_ID:]] = holding
        of_account.setdefault(key[_ID:], {})[key[:_ID]] = holding
    for security in sorted(books.securities.keys() | of_security.keys() | books.rolls.owners()):
        _check_security(books, security, of_security.get(security, {}))
    for account in sorted(of_account.keys() | books.held.owners()):
        _check_held(books, account, of_account.get(account, {}))
    _check_issued(books)
    _check_bound(books)
    _check_counts(books, of_security)
    _check_cash(books)
    return {"securities": len(books.securities), "holdings": len(books.holdings), "money_fen": books.money}


def check_store(scan: Callable[[bytes, bytes], list[tuple[bytes, bytes]]]) -> dict[str, int]:
    """``check_state`` of a store: ``scan(prefix, after)`` gives the next entries in order, none at the end."""

    def pairs() -> Iterable[tuple[bytes, bytes]]:
        after = b""
        while page := scan(PREFIX, after):
            yield from page
            after = page[-1][0]

    return check_state(pairs())


def _fail(what: str, where: str) -> BrokenInvariant:
    return BrokenInvariant(what, where=where, next_step="stop this node and compare its state root with the others'")


def _add(sums: dict[bytes, int], key: bytes, quantity: int) -> None:
    sums[key] = sums.get(key, 0) + quantity


def _check_security(books: _Books, security: bytes, holdings: Mapping[bytes, Holding]) -> None:
    where = f"security {security.hex()}"
    record = books.securities.get(security)
    if record is None:
        raise _fail("holdings or roll of a security that is not registered", where)
    total = sum(holding.total for holding in holdings.values())
    if total != record.total or total > record.declared:
        raise _fail(f"holdings sum to {total}, the security's total is {record.total} of {record.declared}", where)
    if record.status != Status.REGISTERING and total != record.declared:
        raise _fail(f"live with {total} of {record.declared} declared", where)
    if bool(record.frozen) != books.frozen.get(security, False):
        raise _fail("its frozen mark and its list of freezes differ", where)
    accounts = books.rolls.entries(security, where)
    if set(accounts) != set(holdings):
        raise _fail("the roll and the holdings name different holders", where)
    for slot, account in enumerate(accounts):
        if holdings[account].slot != slot or holdings[account].total == 0:
            raise _fail(f"holder {account.hex()} has another slot than the roll, or nothing", where)


def _check_held(books: _Books, account: bytes, holdings: Mapping[bytes, Holding]) -> None:
    where = f"account {account.hex()}"
    if set(books.held.entries(account, where)) != set(holdings):
        raise _fail("its list and its holdings name different securities", where)


def _check_issued(books: _Books) -> None:
    """What each account issued, and where codes lead."""
    of_issuer: dict[bytes, set[bytes]] = {}
    for security, record in books.securities.items():
        of_issuer.setdefault(record.issuer, set()).add(security)
    for issuer in sorted(of_issuer.keys() | books.issued.owners()):
        where = f"issuer {issuer.hex()}"
        if set(books.issued.entries(issuer, where)) != of_issuer.get(issuer, set()):
            raise _fail("its list and the securities' records name different securities", where)
    if books.codes != books.bound_codes:
        raise _fail("codes lead to other accounts than those that have them", "codes")


def _check_bound(books: _Books) -> None:
    if books.made != books.listed:
        raise _fail("pledges or orders are not those that their holdings list", "pledges and orders")
    for key in books.holdings.keys() | books.bound.keys() | books.pledged.keys():
        holding = books.holdings.get(key, Holding(0, 0, 0, 0))
        where = f"holding {key.hex()}"
        if holding.frozen != books.bound.get(key, 0):
            raise _fail(f"frozen {holding.frozen}, holds and freezes bind {books.bound.get(key, 0)}", where)
        if holding.pledged != books.pledged.get(key, 0):
            raise _fail(f"pledged {holding.pledged}, pledges bind {books.pledged.get(key, 0)}", where)


def _check_counts(books: _Books, of_security: Mapping[bytes, Mapping[bytes, Holding]]) -> None:
    """Lots lie over holdings; the counts of holders are those of the rolls, looked through and merged."""
    for key, quantity in books.lots.items():
        if quantity > books.holdings.get(key, Holding(0, 0, 0, 0)).total:
            raise _fail(f"lock-up lots of {quantity} lie over fewer shares", f"holding {key.hex()}")
    counts: dict[bytes, int] = {}
    members: dict[bytes, int] = {}
    for security, record in books.securities.items():
        accounts = of_security.get(security, {})
        weights = {account: books.weights.get(account, 1) for account in accounts}
        if record.family != records.NOBODY:
            for account in accounts:
                _add(members, record.family + account, 1)
            counts.setdefault(record.family, 0)
        elif record.flags & records.Flag.COUNTED:
            counts[security] = sum(weights.values())
        elif any(weight != 1 for weight in weights.values()):
            raise _fail("vehicles are in its roll and are not counted", f"security {security.hex()}")
    for key in members:
        counts[key[:_ID]] += books.weights.get(key[_ID:], 1)
    if members != books.members:
        raise _fail("the members of a family are not those of its rolls", "families")
    for register in counts.keys() | books.counts.keys():
        if counts.get(register) != books.counts.get(register):
            where = f"register {register.hex()}"
            raise _fail(f"{counts.get(register)} holders count, the state says {books.counts.get(register)}", where)


def _check_cash(books: _Books) -> None:
    total = sum(cash.available + cash.held for cash in books.cash.values())
    if total != books.money:
        raise _fail(f"accounts sum to {total} fen, the chain holds {books.money}", "cash")
    for account in books.cash.keys() | books.held_cash.keys():
        held = books.cash.get(account, records.NO_CASH).held
        if held != books.held_cash.get(account, 0):
            raise _fail(f"held {held} fen, holds bind {books.held_cash.get(account, 0)}", f"cash {account.hex()}")
