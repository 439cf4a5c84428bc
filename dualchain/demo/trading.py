"""Step: the day's orders through the negotiated-transfer template (协议转让), delivery versus payment."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from chain_core.codec.signed import derive_id
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from dualchain.demo.actors import Desk, Signed
from dualchain.demo.days import date_of
from dualchain.demo.inputs import MarketDay, Order
from dualchain.demo.market_setup import rolls_of, security_id

TRANSFER_TEMPLATE = "csrc.negotiated-transfer"
ORDER_LIFE_MS = 3_600_000
_DAY = re.compile(r"第 ([1-9][0-9]{4}) 日|day ([1-9][0-9]{4})\b")
STEPS = ("ordered", "accepted", "settled")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order: how far it came, and the receipt of its last transaction."""

    order: Order
    reached: str
    last: VerifiedReceipt

    @property
    def settled(self) -> bool:
        """Whether shares and money changed hands."""
        return self.reached == STEPS[-1]


def waves(orders: Sequence[Order]) -> list[list[Order]]:
    """Orders in groups that run together; two that share a party stay in the order of the file."""
    latest: dict[str, int] = {}
    groups: list[list[Order]] = []
    for order in orders:
        wave = 1 + max(latest.get(order.seller, -1), latest.get(order.buyer, -1))
        latest[order.seller] = latest[order.buyer] = wave
        if wave == len(groups):
            groups.append([])
        groups[wave].append(order)
    return groups


async def run_orders(desk: Desk, orders: Sequence[Order]) -> list[Outcome]:
    """All orders of one market; refusals are outcomes like any other."""
    outcomes: list[Outcome] = []
    for wave in waves(orders):
        outcomes.extend(await _run_wave(desk, wave))
    place = {order.order: number for number, order in enumerate(orders)}
    return sorted(outcomes, key=lambda outcome: place[outcome.order.order])


def in_the_input_s_words(desk: Desk, day: MarketDay, text: str) -> str:
    """A refusal as it is rendered from its receipt, with the input files' names for ids and dates for day numbers."""
    for name, actor in desk.actors.items():
        text = text.replace(actor.account.hex(), name)
    for security in rolls_of(day, desk.chain.label):
        text = text.replace(security_id(desk, security).hex(), security)
    return _DAY.sub(lambda found: f"{' ' if found[1] else ''}{date_of(int(found[1] or found[2]))}", text)


async def _run_wave(desk: Desk, orders: Sequence[Order]) -> list[Outcome]:
    """The seller's signed order, the buyer's acceptance, settlement: each for all orders still alive."""
    alive = list(orders)
    ended: list[Outcome] = []
    for step in STEPS:
        receipts = await desk.settle([_transaction(desk, step, order) for order in alive])
        following = []
        for order, receipt in zip(alive, receipts, strict=True):
            if receipt.receipt.code:
                ended.append(_refused(order, step, receipt))
            elif step == STEPS[-1]:
                ended.append(Outcome(order, step, receipt))
            else:
                following.append(order)
        alive = following
    return ended


def _refused(order: Order, step: str, receipt: VerifiedReceipt) -> Outcome:
    """Refused on the way to ``step``: it came as far as the step before."""
    place = STEPS.index(step)
    return Outcome(order, STEPS[place - 1] if place else "refused", receipt)


def _transaction(desk: Desk, step: str, order: Order) -> Signed:
    seller, buyer = desk.actors[order.seller], desk.actors[order.buyer]
    instance = derive_id(desk.genesis_hash, "instance", seller.account, order.order)
    label = f"{order.order} {step}"
    if step == "ordered":
        params: dict[str, Value] = {
            "security": security_id(desk, order.security),
            "quantity": order.quantity,
            "buyer": buyer.account,
            "price_fen": order.price_fen,
            "expires_ms": time.time_ns() // 1_000_000 + ORDER_LIFE_MS,
        }
        args: dict[str, Value] = {"template": TRANSFER_TEMPLATE, "reference": order.order, "params": params}
        return desk.sign(label, seller, [Operation("templates", "create", args)])
    method, actor = ("accept", buyer) if step == "accepted" else ("settle", desk.genesis_actor("operator"))
    call: dict[str, Value] = {"instance": instance, "method": method, "args": {}}
    return desk.sign(label, actor, [Operation("templates", "call", call)])
