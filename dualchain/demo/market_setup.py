"""Step: a market's accounts, suitability proofs, rolls taken into custody (登记托管), client money from the bank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from chain_core.codec.signed import derive_id
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from dualchain.demo.actors import Desk, Signed
from dualchain.demo.inputs import Holding, Investor, MarketDay

T = TypeVar("T")

ROWS = 64
OPERATIONS = 16
ACCOUNTS_A_TRANSACTION = 32
CATEGORIES = {"person": 1, "institution": 2, "product": 3}
MIN_ASSETS_FEN = 50_000_000
MIN_EXPERIENCE_YEARS = 2
ROLL_TEMPLATE = "csrc.holder-roll-registration"


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """``items`` in pieces of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def issuer_of(security: str) -> str:
    """The issuer's account name in the demonstration."""
    return f"ISSUER-{security.split('.', maxsplit=1)[0]}"


def security_id(desk: Desk, security: str) -> bytes:
    """Internal id of a security that the operator's roll registration makes."""
    return derive_id(desk.genesis_hash, "security", desk.genesis_actor("operator").account, security)


def qualified(investor: Investor) -> bool:
    """Whether the proof on file makes a qualified investor (a person: 500,000 yuan and two years)."""
    if investor.category != "person":
        return True
    return investor.assets_fen >= MIN_ASSETS_FEN and investor.experience_years >= MIN_EXPERIENCE_YEARS


async def register_investors(desk: Desk, day: MarketDay) -> int:
    """Accounts for every investor and issuer of the market; how many."""
    market = desk.chain.label
    registrar = desk.genesis_actor("registrar")
    names = [i.holder for i in day.investors if i.market == market]
    names += sorted({issuer_of(h.security) for h in day.holdings if h.market == market})
    operations = []
    for name in names:
        keys: dict[str, Value] = {"transaction": [desk.new_actor(name, registrar).public]}
        args: dict[str, Value] = {"reference": name, "entity": name, "roles": [], "keys": keys}
        operations.append(Operation("accounts", "register", args))
    await desk.accepted(
        [desk.sign("investors' accounts", registrar, part) for part in chunks(operations, ACCOUNTS_A_TRANSACTION)]
    )
    return len(names)


async def record_suitability(desk: Desk, day: MarketDay) -> int:
    """The operator records checked proofs of qualified investors (适当性); how many."""
    rows: list[Value] = [
        {
            "account": desk.actors[i.holder].account,
            "category": CATEGORIES[i.category],
            "expires_day": i.valid_until,
            "assets_fen": i.assets_fen,
            "experience_months": i.experience_years * 12,
        }
        for i in day.investors
        if i.market == desk.chain.label and qualified(i)
    ]
    await _hand_in_rows(desk, "suitability proofs", "operator", "set_suitability", rows)
    return len(rows)


def rolls_of(day: MarketDay, market: str) -> dict[str, list[Holding]]:
    """Rows of each security's roll."""
    rolls: dict[str, list[Holding]] = {}
    for holding in day.holdings:
        if holding.market == market:
            rolls.setdefault(holding.security, []).append(holding)
    return rolls


async def take_rolls_into_custody(desk: Desk, day: MarketDay) -> dict[str, int]:
    """Each security's roll through the registration template, confirmed by its issuer; holders by security."""
    operator = desk.genesis_actor("operator")
    entered: list[Signed] = []
    confirmed: list[Signed] = []
    rolls = rolls_of(day, desk.chain.label)
    for security, rows in rolls.items():
        instance = derive_id(desk.genesis_hash, "instance", operator.account, security)
        entered.append(desk.sign(f"roll of {security}", operator, _registration(desk, security, rows, instance)))
        issuer = desk.actors[issuer_of(security)]
        confirm = Operation("templates", "call", {"instance": instance, "method": "confirm", "args": {}})
        confirmed.append(desk.sign(f"issuer confirms the roll of {security}", issuer, [confirm]))
    await desk.accepted(entered)
    await desk.accepted(confirmed)
    return {security: len(rows) for security, rows in rolls.items()}


def _registration(desk: Desk, security: str, rows: Sequence[Holding], instance: bytes) -> list[Operation]:
    params: dict[str, Value] = {
        "reference": security,
        "name": rows[0].name,
        "issuer": desk.actors[issuer_of(security)].account,
        "province": desk.chain.label,
        "unit_decimals": 0,
        "declared": sum(row.quantity for row in rows),
        "legacy": False,
        "declared_holders": len(rows),
    }
    create: dict[str, Value] = {"template": ROLL_TEMPLATE, "reference": security, "params": params}
    operations = [Operation("templates", "create", create)]
    entries: list[Value] = [
        {"account": desk.actors[row.holder].account, "quantity": row.quantity, "acquired_day": row.acquired}
        for row in rows
    ]
    for part in chunks(entries, ROWS):
        call: dict[str, Value] = {"instance": instance, "method": "add_rows", "args": {"rows": part}}
        operations.append(Operation("templates", "call", call))
    return operations


async def deposit_cash(desk: Desk, day: MarketDay) -> int:
    """Client money as the depository bank reports it; the sum in fen."""
    rows: list[Value] = []
    total = 0
    for item in day.cash:
        if item.market == desk.chain.label and item.amount_fen:
            reference = f"cash.csv:{item.line}"
            account = desk.actors[item.holder].account
            rows.append({"account": account, "amount_fen": item.amount_fen, "reference": reference})
            total += item.amount_fen
    await _hand_in_rows(desk, "client money", "bank", "deposit", rows)
    return total


async def _hand_in_rows(desk: Desk, label: str, actor: str, method: str, rows: Sequence[Value]) -> None:
    """Rows for the kernel, as many transactions as they need."""
    operations = [Operation("kernel", method, {"rows": part}) for part in chunks(rows, ROWS)]
    signer = desk.genesis_actor(actor)
    await desk.accepted([desk.sign(label, signer, part) for part in chunks(operations, OPERATIONS)])
