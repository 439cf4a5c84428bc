"""Random days of a small market against an observer who knows the rules and none of the kernel's code.

The observer foretells each movement: which rules it would break, or that it must succeed. Every block is followed by
a check of all invariants.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chain_core.types.transaction import Receipt
from tests.unit.contracts.market import MONDAY, Market, account, op, register, transfer

PEOPLE = ("ann", "bo", "cy", "di", "ed", "flo")
CAP, GAP = 4, 5
UNLOCK = MONDAY + 40
"""The release day of every lock-up: nobody has more than one lot."""
QUANTITY = st.integers(1, 12)
PERSON = st.sampled_from(PEOPLE)


class MarketDays(RuleBasedStateMachine):
    """``must`` are the rules a movement breaks in the observer's eyes; the receipt has to name one of them, or
    succeed.
    """

    market: Market
    security: bytes

    @initialize()
    def open(self) -> None:
        self.market = Market.open(PEOPLE, parameters={"holder_cap": CAP, "trade_gap_days": GAP})
        self.security = self.market.listed({"ann": 10, "bo": 10, "cy": 12})
        self.market.go_to(MONDAY + 3)
        self.proofs = dict.fromkeys(("ann", "bo", "di", "ed"), MONDAY + 12)
        self.market.qualified(*self.proofs, until=MONDAY + 12)
        self.frozen: dict[str, int] = {}
        self.security_freezes = 0
        self.bought: dict[str, int] = {}
        self.sold: dict[str, int] = {}
        self.shares = {"ann": 10, "bo": 10, "cy": 12}
        self.bound: dict[str, int] = {}
        self.money: dict[str, int] = {}
        self.held: dict[bytes, tuple[str, str, int, int]] = {}
        self.paid_for: dict[bytes, bytes] = {}
        self.pledges: dict[bytes, tuple[str, int]] = {}
        self.last: tuple[str, str, int] | tuple[()] = ()
        self.locked: dict[str, int] = {}
        self.number = 0

    # ---- what the observer knows

    def reference(self) -> str:
        self.number += 1
        return f"ref-{self.number}"

    def trading(self, day: int) -> bool:
        return (day - MONDAY) % 7 < 5

    def days_since(self, day: int) -> int:
        return sum(1 for d in range(day + 1, self.market.day + 1) if self.trading(d))

    def locked_of(self, name: str) -> int:
        return self.locked.get(name, 0) if self.market.day < UNLOCK else 0

    def broken(self, seller: str, buyer: str, quantity: int, *, trade: bool, held: bool = False) -> set[str]:
        """The rules this movement would break."""
        day, found = self.market.day, set[str]()
        if self.security_freezes:
            found.add("csrc.frozen_security")
        if seller in self.frozen or buyer in self.frozen:
            found.add("csrc.frozen_party")
        if trade:
            if not self.trading(day):
                found.add("csrc.trading_day")
            if self.proofs.get(buyer, 0) < day:
                found.add("csrc.qualified_investor")
            last = [d for d in (self.bought.get(seller), self.sold.get(buyer)) if d]
            if any(self.days_since(d) < GAP for d in last):
                found.add("csrc.trade_gap")
        has = self.shares.get(seller, 0)
        if trade and self.locked_of(seller) > max(has - quantity, 0):
            found.add("csrc.lock_up")
        joins, leaves = not self.shares.get(buyer), has == quantity
        holders = sum(1 for n in self.shares.values() if n)
        if joins and not leaves and holders + 1 > CAP:
            found.add("csrc.holder_cap")
        if not held and has - self.bound.get(seller, 0) < quantity:
            found.add("csrc.encumbered" if has >= quantity else "kernel.insufficient")
        if seller == buyer:
            found.add("kernel.same_party")
        return found

    def judge(self, receipt: Receipt, must: set[str]) -> bool:
        if must:
            assert receipt.rule in must, (receipt.rule, must)
        else:
            assert receipt.code == 0, self.market.text(receipt)
        return receipt.code == 0

    def moved(self, seller: str, buyer: str, quantity: int, *, trade: bool) -> None:
        if not trade:  # what is locked goes along in proportion, rounded up
            went = -(-self.locked_of(seller) * quantity // self.shares[seller])
            self.locked[seller] = self.locked.get(seller, 0) - went
            self.locked[buyer] = self.locked.get(buyer, 0) + went
        self.shares[seller] -= quantity
        self.shares[buyer] = self.shares.get(buyer, 0) + quantity
        if trade:
            self.last = (seller, buyer, quantity)
            self.sold[seller] = self.bought[buyer] = self.market.day
        for name in PEOPLE:
            assert self.market.holding(self.security, name).total == self.shares.get(name, 0)

    def caller_is_frozen(self, name: str, receipt: Receipt) -> bool:
        """A frozen party does no business, whatever it is."""
        if name in self.frozen:
            assert receipt.rule == "csrc.frozen_party"
        return name in self.frozen

    # ---- days, proofs, freezes

    @rule(days=st.integers(1, 4))
    def pass_days(self, days: int) -> None:
        self.market.go_to(self.market.day + days)
        self.market.block()

    @rule(name=PERSON, days=st.integers(0, 6))
    def prove(self, name: str, days: int) -> None:
        self.proofs[name] = self.market.day + days
        self.market.qualified(name, until=self.market.day + days)

    @rule(name=PERSON)
    def freeze(self, name: str) -> None:
        order = self.reference()
        self.market.ok("relayer", op("freeze_holder", "border", account=account(name), directive=order))
        self.frozen[name] = self.frozen.get(name, 0) + 1

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def unfreeze(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.frozen)))
        order = self.reference()
        self.market.ok("relayer", op("unfreeze_holder", "border", account=account(name), directive=order))
        del self.frozen[name]

    @rule()
    def freeze_security(self) -> None:
        if self.security_freezes:
            method, self.security_freezes = "unfreeze_security", 0
        else:
            method, self.security_freezes = "freeze_security", 1
        self.market.ok("relayer", op(method, "border", security=self.security, directive="D"))

    @rule(name=PERSON, quantity=st.integers(1, 9))
    def lock_up(self, name: str, quantity: int) -> None:
        lot = {"class": 1, "release_day": UNLOCK, "quantity": quantity}
        place = {"security": self.security, "account": account(name)}
        receipt = self.market.one("operator", op("lock_up", lot=lot, evidence=bytes(32), **place))
        if self.market.day >= UNLOCK:
            assert receipt.rule == "kernel.bad_lot"
        elif self.locked_of(name) + quantity > self.shares.get(name, 0):
            assert receipt.rule == "kernel.locked_too_much"
        else:
            assert receipt.code == 0, self.market.text(receipt)
            self.locked[name] = self.locked.get(name, 0) + quantity

    # ---- movements

    @rule(seller=PERSON, buyer=PERSON, quantity=QUANTITY)
    def transfer(self, seller: str, buyer: str, quantity: int) -> None:
        must = self.broken(seller, buyer, quantity, trade=True)
        if self.judge(self.market.one(seller, transfer(self.security, buyer, quantity)), must):
            self.moved(seller, buyer, quantity, trade=True)

    @rule(name=st.sampled_from(("di", "ed", "flo")), quantity=st.integers(1, 2))
    def newcomer(self, name: str, quantity: int) -> None:
        """Somebody who holds nothing at first buys a little."""
        self.transfer("cy", name, quantity)

    @precondition(lambda self: self.last)
    @rule()
    def trade_back(self) -> None:
        """The last buyer sells to the last seller."""
        seller, buyer, quantity = self.last  # type: ignore[misc]
        self.transfer(buyer, seller, quantity)

    @rule(seller=PERSON, buyer=PERSON, quantity=QUANTITY)
    def inherit(self, seller: str, buyer: str, quantity: int) -> None:
        must = self.broken(seller, buyer, quantity, trade=False)
        call = op(
            "transfer_non_trade",
            security=self.security,
            to=account(buyer),
            quantity=quantity,
            reason="inheritance",
            evidence=bytes(32),
            **{"from": account(seller)},
        )
        if self.judge(self.market.one("operator", call), must):
            self.moved(seller, buyer, quantity, trade=False)

    @rule(name=PERSON, amount=st.integers(1, 100))
    def deposit(self, name: str, amount: int) -> None:
        self.market.funded(name, amount)
        self.money[name] = self.money.get(name, 0) + amount

    @rule(seller=PERSON, buyer=PERSON, quantity=QUANTITY, price=st.integers(0, 60))
    def hold(self, seller: str, buyer: str, quantity: int, price: int) -> None:
        reference = self.reference()
        call = op(
            "hold",
            reference=reference,
            security=self.security,
            quantity=quantity,
            counterparty=account(buyer),
            price_fen=price,
            expires_ms=self.market.time_ms + 10 * 86_400_000,
        )
        receipt = self.market.one(seller, call)
        if self.caller_is_frozen(seller, receipt):
            return
        free = self.shares.get(seller, 0) - self.bound.get(seller, 0)
        if self.security_freezes or seller == buyer or free < quantity:
            assert receipt.code != 0
            return
        assert receipt.code == 0, self.market.text(receipt)
        self.bound[seller] = self.bound.get(seller, 0) + quantity
        self.held[self.market.id_of("hold", seller, reference)] = (seller, buyer, quantity, price)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def pay(self, data: st.DataObject) -> None:
        """The buyer binds the price of what is held for him."""
        hold = data.draw(st.sampled_from(sorted(self.held)))
        _, buyer, _, price = self.held[hold]
        reference = self.reference()
        if not price or hold in self.paid_for:
            return
        call = op(
            "hold_cash",
            reference=reference,
            against=hold,
            amount_fen=price,
            expires_ms=self.market.time_ms + 10 * 86_400_000,
        )
        receipt = self.market.one(buyer, call)
        if self.caller_is_frozen(buyer, receipt):
            return
        if self.money.get(buyer, 0) < price:
            assert receipt.rule == "kernel.insufficient_cash"
            return
        assert receipt.code == 0, self.market.text(receipt)
        self.money[buyer] -= price
        self.paid_for[hold] = self.market.id_of("hold", buyer, reference)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), by_owner=st.booleans())
    def settle(self, data: st.DataObject, by_owner: bool) -> None:
        hold = data.draw(st.sampled_from(sorted(self.held)))
        seller, buyer, quantity, price = self.held[hold]
        payment = self.paid_for.get(hold, bytes(16))
        must = self.broken(seller, buyer, quantity, trade=True, held=True)
        if price and payment == bytes(16):
            must.add("kernel.payment_missing")
        if self.market.time_ms + 1_000 > self._expires(hold):
            must.add("kernel.hold_expired")
        receipt = self.market.one(seller if by_owner else buyer, op("move_held", hold=hold, payment=payment))
        if self.judge(receipt, must):
            del self.held[hold]
            self.paid_for.pop(hold, None)
            self.bound[seller] -= quantity
            self.money[seller] = self.money.get(seller, 0) + price
            self.moved(seller, buyer, quantity, trade=True)
            assert self.market.cash(seller).available == self.money[seller]

    def _expires(self, hold: bytes) -> int:
        raw = self.market.kernel(b"O" + hold)
        payment = self.market.kernel(b"O" + self.paid_for.get(hold, b""))
        assert raw is not None
        return min(int.from_bytes(r[-8:], "big") for r in (raw, payment) if r is not None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        hold = data.draw(st.sampled_from(sorted(self.held)))
        seller, _, quantity, _ = self.held[hold]
        if hold in self.paid_for:
            return
        if self.caller_is_frozen(seller, self.market.one(seller, op("release", hold=hold))):
            return
        del self.held[hold]
        self.bound[seller] -= quantity
        assert self.market.holding(self.security, seller).total == self.shares[seller]

    @rule(owner=PERSON, bank=PERSON, quantity=QUANTITY)
    def pledge(self, owner: str, bank: str, quantity: int) -> None:
        reference = self.reference()
        call = op("pledge", reference=reference, security=self.security, quantity=quantity, pledgee=account(bank))
        receipt = self.market.one(owner, call)
        if self.caller_is_frozen(owner, receipt):
            return
        free = self.shares.get(owner, 0) - self.bound.get(owner, 0)
        if self.security_freezes or owner == bank or free < quantity:
            assert receipt.code != 0
            return
        assert receipt.code == 0, self.market.text(receipt)
        self.bound[owner] = self.bound.get(owner, 0) + quantity
        self.pledges[self.market.id_of("pledge", owner, reference)] = (bank, quantity)

    @rule(name=PERSON, quantity=QUANTITY)
    def new_rows_are_refused(self, name: str, quantity: int) -> None:
        """Nobody enters a live register but by a movement."""
        assert self.market.refused("operator", register(self.security, {name: quantity})) == "kernel.not_registering"
