"""An observer of a market who knows the rules and none of the kernel's code: it recomputes holdings, money, counts of
holders and last trades from the events alone, and objects where a movement broke a rule or the state says otherwise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any

from chain_core.codec.values import decode_value

GAP = 5
TRADE, NON_TRADE, ISSUE, CANCELLATION, ENTITLEMENT = 2, 3, 4, 5, 6
PREFIX = b"\x06kernel"
_HOLDING, _LOT, _CASH, _SUITABLE = Struct(">QQQI"), Struct(">BIQ"), Struct(">QQ"), ">BIQH"
_REGISTERING = 1
Place = tuple[bytes, bytes]


class RuleBroken(AssertionError):
    """What happened, and which rule it broke."""


def _trades(day: int) -> bool:
    return (day + 3) % 7 < 5


class Observer:
    """``cap`` is the chain's; every other figure is the regulation's."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.shares: Counter[Place] = Counter()
        self.proofs: dict[bytes, int] = {}
        self.bought: dict[Place, int] = {}
        self.sold: dict[Place, int] = {}
        self.parties: defaultdict[bytes, list[str]] = defaultdict(list)
        self.instruments: defaultdict[bytes, list[str]] = defaultdict(list)
        self.suspended: set[bytes] = set()
        self.live: set[bytes] = set()
        self.legacy: set[bytes] = set()
        self.lots: defaultdict[Place, Counter[tuple[int, int]]] = defaultdict(Counter)
        self.vehicles: dict[bytes, int] = {}
        self.families: dict[bytes, bytes] = {}
        self.counts: dict[bytes, int] = {}
        self.money = 0
        self.seen: Counter[str] = Counter()

    # ---- a block

    def block(self, day: int, events: tuple[bytes, ...], state: Mapping[bytes, bytes]) -> None:
        """Takes in what a block told, then compares with the state after it."""
        self.day = day
        self.unsure: set[Place] = set()
        self.grown_alone = False
        for raw in events:
            for contract, name, fields in decode_value(raw):  # type: ignore[union-attr, misc]
                self.seen[name] += 1  # type: ignore[index]
                handle = getattr(self, f"_{name}", None)
                if handle is not None and contract in ("kernel", "templates", "border"):
                    handle(fields)
        self._compare(state)
        self._count_holders()

    def must(self, holds: bool, rule: str, facts: object) -> None:
        if not holds:
            raise RuleBroken(f"{rule}: {facts} on day {self.day}")

    def _days_since(self, day: int) -> int:
        return sum(1 for one in range(day + 1, self.day + 1) if _trades(one))

    # ---- who may

    def _free_to_move(self, security: bytes, *parties: bytes) -> None:
        self.must(not self.instruments[security], "frozen security", security)
        for party in parties:
            self.must(not self.parties[party], "frozen party", party)

    def _may_buy(self, security: bytes, buyer: bytes) -> None:
        self.must(self.proofs.get(buyer, 0) >= self.day, "qualified investor", buyer)
        sold = self.sold.get((security, buyer))
        self.must(sold is None or self._days_since(sold) >= GAP, "trade gap after a sale", buyer)

    def _may_sell(self, security: bytes, seller: bytes, left: int) -> None:
        bought = self.bought.get((security, seller))
        self.must(bought is None or self._days_since(bought) >= GAP, "trade gap after a purchase", seller)
        locked = sum(n for (_, release), n in self.lots[security, seller].items() if release > self.day)
        self.must(left >= locked, "lock-up", (seller, left, locked))

    # ---- shares

    def _transferred(self, e: Mapping[str, Any]) -> None:
        security, source, target, quantity = e["security"], e["source"], e["target"], e["quantity"]
        self._free_to_move(security, source, target)
        self.must(source != target and quantity > 0, "two parties", source)
        if e["kind"] == TRADE:
            self.must(_trades(self.day), "trading day", security)
            self.must(security in self.live and security not in self.suspended, "security status", security)
            self._may_buy(security, target)
            self._may_sell(security, source, self.shares[security, source] - quantity)
            self.sold[security, source] = self.bought[security, target] = self.day
        self._give(security, source, -quantity)
        self._give(security, target, quantity)

    def _give(self, security: bytes, account: bytes, quantity: int) -> None:
        self.shares[security, account] += quantity
        self.must(self.shares[security, account] >= 0, "nothing negative", account)

    def _holdings_registered(self, e: Mapping[str, Any]) -> None:
        self._free_to_move(e["security"])
        self.must(e["security"] not in self.live, "registration while registering", e["security"])
        for account, quantity in e["rows"]:
            self._give(e["security"], account, quantity)

    def _holdings_unregistered(self, e: Mapping[str, Any]) -> None:
        for account in e["accounts"]:
            self.shares[e["security"], account] = 0
            self.lots.pop((e["security"], account), None)

    def _shares_entered(self, e: Mapping[str, Any]) -> None:
        security, account = e["security"], e["account"]
        self._free_to_move(security, *(() if e["kind"] == ENTITLEMENT else (account,)))
        if e["kind"] == ISSUE:
            self._may_buy(security, account)
            self.bought[security, account] = self.day
        self._give(security, account, e["quantity"])
        self.unsure.add((security, account))

    def _shares_ended(self, e: Mapping[str, Any]) -> None:
        self._free_to_move(e["security"], e["account"])
        self._give(e["security"], e["account"], -e["quantity"])
        self.unsure.add((e["security"], e["account"]))

    def _entitlements(self, e: Mapping[str, Any]) -> None:
        self._free_to_move(e["security"])
        for account, quantity, *_ in e["rows"]:
            self._give(e["security"], account, quantity)
            self.unsure.add((e["security"], account))

    def _held(self, e: Mapping[str, Any]) -> None:
        if e["kind"] == 1:
            self._free_to_move(e["security"], e["owner"])

    def _pledged(self, e: Mapping[str, Any]) -> None:
        self._free_to_move(e["security"], e["owner"])

    # ---- lots

    def _locked_up(self, e: Mapping[str, Any]) -> None:
        kind, release, quantity = e["lot"]
        self.lots[e["security"], e["account"]][kind, release] += quantity

    def _lock_up_released(self, e: Mapping[str, Any]) -> None:
        kind, release, quantity = e["lot"]
        self.lots[e["security"], e["account"]][kind, release] -= quantity

    def _lock_up_changed(self, e: Mapping[str, Any]) -> None:
        self._lock_up_released(e)
        self.lots[e["security"], e["account"]][e["to_class"], e["to_day"]] += e["lot"][2]

    def _lock_up_moved(self, e: Mapping[str, Any]) -> None:
        for kind, release, quantity in e["lots"]:
            self.lots[e["security"], e["source"]][kind, release] -= quantity
            self.lots[e["security"], e["target"]][kind, release] += quantity

    # ---- standing

    def _security_registered(self, e: Mapping[str, Any]) -> None:
        if e["legacy"]:
            self.legacy.add(e["security"])

    def _security_live(self, e: Mapping[str, Any]) -> None:
        self.live.add(e["security"])

    def _status_set(self, e: Mapping[str, Any]) -> None:
        if e["status"] == 2:
            self.suspended.discard(e["security"])
        else:
            self.suspended.add(e["security"])

    def _suitability_set(self, e: Mapping[str, Any]) -> None:
        self.proofs |= {account: expires for account, _, expires in e["rows"]}

    def _party_frozen(self, e: Mapping[str, Any]) -> None:
        self.parties[e["account"]].append(e["directive"])

    def _party_unfrozen(self, e: Mapping[str, Any]) -> None:
        self.parties[e["account"]] = [d for d in self.parties[e["account"]] if e["lifts"] and d != e["lifts"]]

    def _security_frozen(self, e: Mapping[str, Any]) -> None:
        self.instruments[e["security"]].append(e["directive"])

    def _security_unfrozen(self, e: Mapping[str, Any]) -> None:
        self.instruments[e["security"]].remove(e["directive"])

    def _vehicle_set(self, e: Mapping[str, Any]) -> None:
        self.vehicles[e["account"]] = 1 if e["exempt"] else e["owners"]
        self.grown_alone = True

    def _family_joined(self, e: Mapping[str, Any]) -> None:
        first = self.families.get(e["family"], e["family"])
        self.families[first] = self.families[e["security"]] = first

    def _cash_deposited(self, e: Mapping[str, Any]) -> None:
        self.money += e["amount_fen"]

    def _cash_withdrawn(self, e: Mapping[str, Any]) -> None:
        self.money -= e["amount_fen"]

    # ---- against the state

    def _rows(self, state: Mapping[bytes, bytes], tag: bytes, size: int) -> Iterator[tuple[bytes, bytes]]:
        start = PREFIX + tag
        for key, value in state.items():
            if key.startswith(start) and len(key) == len(start) + size:
                yield key[len(start) :], value

    def _compare(self, state: Mapping[bytes, bytes]) -> None:
        totals: Counter[bytes] = Counter()
        found = {}
        for key, raw in self._rows(state, b"H", 32):
            available, pledged, frozen, _ = _HOLDING.unpack(raw)
            found[key[:16], key[16:]] = available + pledged + frozen
            totals[key[:16]] += available + pledged + frozen
        self.must(found == {place: n for place, n in self.shares.items() if n}, "holdings as told", "the state differs")
        for security, raw in self._rows(state, b"S", 16):
            total = int.from_bytes(raw[60:68], "big")
            self.must(total == totals[security], "sum of holdings is the total", (total, totals[security]))
            province = decode_value(state[PREFIX + b"s" + security])["province"]  # type: ignore[index, call-overload]
            self.must(province == "BJ", "province", province)
        held = sum(sum(_CASH.unpack(raw)) for _, raw in self._rows(state, b"C", 16))
        self.must(held == self.money, "money in is money here", (held, self.money))
        for place in self.unsure:
            raw = state.get(PREFIX + b"K" + place[0] + place[1], b"")
            self.lots[place] = Counter({(kind, release): n for kind, release, n in _LOT.iter_unpack(raw)})

    def _count_holders(self) -> None:
        registers: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for (security, account), quantity in self.shares.items():
            if quantity:
                registers[self.families.get(security, security)].add(account)
        before, self.counts = self.counts, {}
        for register, holders in registers.items():
            count = self.counts[register] = sum(self.vehicles.get(account, 1) for account in holders)
            grew = count > before.get(register, 0) and not self.grown_alone
            excepted = register in self.legacy - self.live  # the initial registration of a legacy register
            self.must(not grew or excepted or count <= self.cap, "holder cap", (register, count, self.cap))
