"""The ledger's invariants over a whole state (docs/spec/kernel.md §8). Pure: for tests, the demonstration and
verification.

For each security: sum of holdings = total = what its roll lists, no more and no less; for each holding: pledged is
what pledges bind, frozen is what holds and freezes bind; for money: sum of accounts = all money, held is what holds
bind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.types.errors import LocalFault
from contracts.kernel import records
from contracts.kernel.records import Holding, HoldKind, Security, Status
from contracts.kernel.roll import CHUNK_IDS, ROLL_CHUNK, ROLL_HEAD, chunk_count, decode_chunk, decode_head, roll_digest

PREFIX = state_key(records.KERNEL, b"")
_ID = 16


class BrokenInvariant(LocalFault):
    """A state that no sequence of transactions can lead to: this build or this disk is at fault."""

    code = "BROKEN_INVARIANT"


@dataclass
class _Books:
    """Everything the invariants look at, by security and account."""

    securities: dict[bytes, Security] = field(default_factory=dict)
    holdings: dict[bytes, Holding] = field(default_factory=dict)
    heads: dict[bytes, bytes] = field(default_factory=dict)
    chunks: dict[bytes, bytes] = field(default_factory=dict)
    cash: dict[bytes, records.Cash] = field(default_factory=dict)
    bound: dict[bytes, int] = field(default_factory=dict)
    pledged: dict[bytes, int] = field(default_factory=dict)
    held_cash: dict[bytes, int] = field(default_factory=dict)
    frozen: dict[bytes, bool] = field(default_factory=dict)
    money: int = 0

    def read(self, own: bytes, value: bytes) -> None:
        """One state entry of the kernel."""
        kind, rest = own[:1], own[1:]
        if kind == records.HOLDING and len(rest) == 2 * _ID:
            self.holdings[rest] = records.decode_holding(value)
        elif kind == records.SECURITY and len(rest) == _ID:
            self.securities[rest] = records.decode_security(value)
        elif kind == ROLL_HEAD and len(rest) == _ID:
            self.heads[rest] = value
        elif kind == ROLL_CHUNK and len(rest) == _ID + 4:
            self.chunks[rest] = value
        elif kind == records.CASH and len(rest) == _ID:
            self.cash[rest] = records.decode_cash(value)
        elif own == records.MONEY:
            self.money = records.decode_money(value)
        else:
            self._read_bound(kind, rest, value)

    def _read_bound(self, kind: bytes, rest: bytes, value: bytes) -> None:
        """Holds, pledges and freezes."""
        if kind == records.HOLD and len(rest) == _ID:
            hold = records.decode_hold(value)
            if hold.kind == HoldKind.SHARES:
                _add(self.bound, hold.security + hold.owner, hold.quantity)
            else:
                _add(self.held_cash, hold.owner, hold.quantity)
        elif kind == records.PLEDGE and len(rest) == _ID:
            pledge = records.decode_pledge(value)
            _add(self.pledged, pledge.security + pledge.owner, pledge.quantity)
        elif kind == records.HOLDING_FREEZE and len(rest) == 2 * _ID:
            for _, quantity in cast(list[tuple[str, int]], decode_value(value)):
                _add(self.bound, rest, quantity)
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
    for security in sorted(books.securities.keys() | {key[:_ID] for key in books.holdings}):
        _check_security(books, security)
    _check_bound(books)
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


def _check_security(books: _Books, security: bytes) -> None:
    where = f"security {security.hex()}"
    record = books.securities.get(security)
    if record is None:
        raise _fail("holdings of a security that is not registered", where)
    holdings = {key[_ID:]: holding for key, holding in books.holdings.items() if key[:_ID] == security}
    total = sum(holding.total for holding in holdings.values())
    if total != record.total or total > record.declared:
        raise _fail(f"holdings sum to {total}, the security's total is {record.total} of {record.declared}", where)
    if record.status == Status.LIVE and total != record.declared:
        raise _fail(f"live with {total} of {record.declared} declared", where)
    if bool(record.frozen) != books.frozen.get(security, False):
        raise _fail("its frozen mark and its list of freezes differ", where)
    _check_roll(books, security, holdings, where)


def _check_roll(books: _Books, security: bytes, holdings: Mapping[bytes, Holding], where: str) -> None:
    head = books.heads.get(security)
    count, chunks, digest = decode_head(head) if head is not None else (0, 0, roll_digest([]))
    numbers = [security + number.to_bytes(4, "big") for number in range(chunks)]
    present = sorted(key for key in books.chunks if key[:_ID] == security)
    if chunks != chunk_count(count) or present != numbers:
        raise _fail(f"the roll has chunks {len(present)}, its head says {chunks} for {count} holders", where)
    raws = [books.chunks[key] for key in numbers]
    listed = [decode_chunk(raw) for raw in raws]
    accounts = [account for chunk in listed for account in chunk]
    if len(accounts) != count or any(len(chunk) != CHUNK_IDS for chunk in listed[:-1]):
        raise _fail(f"the roll lists {len(accounts)} holders in uneven chunks, its head says {count}", where)
    if digest != roll_digest(raws):
        raise _fail("the roll's digest is not that of its chunks", where)
    if len(set(accounts)) != count or set(accounts) != set(holdings):
        raise _fail("the roll and the holdings name different holders", where)
    for slot, account in enumerate(accounts):
        if holdings[account].slot != slot or holdings[account].total == 0:
            raise _fail(f"holder {account.hex()} has another slot than the roll, or nothing", where)


def _check_bound(books: _Books) -> None:
    for key in books.holdings.keys() | books.bound.keys() | books.pledged.keys():
        holding = books.holdings.get(key, Holding(0, 0, 0, 0))
        where = f"holding {key.hex()}"
        if holding.frozen != books.bound.get(key, 0):
            raise _fail(f"frozen {holding.frozen}, holds and freezes bind {books.bound.get(key, 0)}", where)
        if holding.pledged != books.pledged.get(key, 0):
            raise _fail(f"pledged {holding.pledged}, pledges bind {books.pledged.get(key, 0)}", where)


def _check_cash(books: _Books) -> None:
    total = sum(cash.available + cash.held for cash in books.cash.values())
    if total != books.money:
        raise _fail(f"accounts sum to {total} fen, the chain holds {books.money}", "cash")
    for account in books.cash.keys() | books.held_cash.keys():
        held = books.cash.get(account, records.NO_CASH).held
        if held != books.held_cash.get(account, 0):
            raise _fail(f"held {held} fen, holds bind {books.held_cash.get(account, 0)}", f"cash {account.hex()}")
