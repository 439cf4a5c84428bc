"""A small market in memory: operator, bank, issuer, investors; blocks that are applied at once, invariants after
each.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_value
from chain_core.execution.arguments import ACCOUNT, Integer, Octets, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method
from chain_core.execution.executor import Executor
from chain_core.execution.messages import Messages
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.transaction import Envelope, Operation, Receipt
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value
from contracts.assembly import market_contracts, market_documents, market_grants, market_parameters
from contracts.kernel import directives
from contracts.kernel.invariants import check_state
from contracts.kernel.records import (
    CASH,
    HOLDING,
    KERNEL,
    TRADE_DAYS,
    Cash,
    Holding,
    TradeDays,
    decode_cash,
    decode_holding,
    decode_trade_days,
)
from contracts.kernel.roll import read_roll
from tests.unit.execution.world import GENESIS_HASH, World, account, key

DAY_MS = 86_400_000
MONDAY = 20_738
"""Day 20,738 is Monday, 12 October 2026."""
NO_HOLDING = Holding(0, 0, 0, 0)

STAFF = {
    "operator": ("Exchange House", ("operator", "registrar")),
    "bank": ("Depository Bank", ("depository_bank",)),
    "issuer": ("Works Ltd", ()),
    "governor-1": ("Exchange House", ("governor",)),
    "governor-2": ("Regulator", ("governor",)),
    "governor-3": ("Custodian", ("governor",)),
    "relayer": ("Courier", ()),
}
INVESTORS = tuple(f"investor-{n}" for n in range(12))


def noon(day: int) -> int:
    """Noon, UTC+8, of a day."""
    return day * DAY_MS + 4 * 3_600_000


def op(method: str, contract: str = KERNEL, /, **args: Value) -> Operation:
    return Operation(contract, method, args)


class Border(Contract):
    """Stands for the border contract: carries directives to the ledger, before any business of its block."""

    name = "border"
    lane = Lane.BORDER

    def __init__(self) -> None:
        self.methods = {
            "freeze_holder": Method(self.freeze_holder, {"account": ACCOUNT, "directive": Text(64)}),
            "unfreeze_holder": Method(self.unfreeze_holder, {"account": ACCOUNT, "directive": Text(64)}),
            "lift": Method(self.lift, {"account": ACCOUNT, "directive": Text(64), "lifts": Text(64)}),
            "freeze_security": Method(self.freeze_security, {"security": Octets(16), "directive": Text(64)}),
            "unfreeze_security": Method(self.unfreeze_security, {"security": Octets(16), "directive": Text(64)}),
            "freeze_holding": Method(
                self.freeze_holding,
                {"security": Octets(16), "account": ACCOUNT, "quantity": Integer(), "directive": Text(64)},
            ),
            "unfreeze_holding": Method(
                self.unfreeze_holding, {"security": Octets(16), "account": ACCOUNT, "directive": Text(64)}
            ),
        }

    def freeze_holder(self, ctx: CallContext, args: Arguments) -> None:
        directives.freeze_holder(ctx, args["account"], args["directive"])  # type: ignore[arg-type]

    def unfreeze_holder(self, ctx: CallContext, args: Arguments) -> None:
        directives.unfreeze_holder(ctx, args["account"], args["directive"])  # type: ignore[arg-type]

    def lift(self, ctx: CallContext, args: Arguments) -> None:
        directives.unfreeze_holder(ctx, args["account"], args["directive"], args["lifts"])  # type: ignore[arg-type]

    def freeze_security(self, ctx: CallContext, args: Arguments) -> None:
        directives.freeze_security(ctx, args["security"], args["directive"])  # type: ignore[arg-type]

    def unfreeze_security(self, ctx: CallContext, args: Arguments) -> None:
        directives.unfreeze_security(ctx, args["security"], args["directive"])  # type: ignore[arg-type]

    def freeze_holding(self, ctx: CallContext, args: Arguments) -> None:
        directives.freeze_holding(
            ctx,
            args["security"],
            args["account"],
            args["quantity"],
            args["directive"],  # type: ignore[arg-type]
        )

    def unfreeze_holding(self, ctx: CallContext, args: Arguments) -> None:
        directives.unfreeze_holding(ctx, args["security"], args["account"], args["directive"])  # type: ignore[arg-type]


def genesis(people: Sequence[str], documents: dict[str, Value], parameters: dict[str, int]) -> Genesis:
    """A local market's genesis; investors have no role."""
    validators = ValidatorSet(
        tuple(Validator(f"v{i}", f"entity {i}", key(f"consensus {i}"), key(f"transport {i}")) for i in range(4))
    )
    rows = {**STAFF, **{name: (name, ()) for name in people}}
    accounts = tuple(
        GenesisAccount(account(name), entity, tuple(sorted(roles)), {"transaction": (key(name),)})
        for name, (entity, roles) in rows.items()
    )
    merged = {**DEFAULT_PARAMETERS, **market_parameters(), **parameters}
    return Genesis("market", "local", "BJ", noon(MONDAY), validators, merged, (), accounts, documents, b"above")


class Market(World):
    """A chain with the market's contracts; every block is followed by a check of all invariants."""

    messages: Messages

    @classmethod
    def open(
        cls,
        people: Sequence[str] = INVESTORS,
        *,
        day: int = MONDAY,
        documents: dict[str, Value] | None = None,
        parameters: dict[str, int] | None = None,
        extra: tuple[Contract, ...] = (),
        accepting: bool = True,
    ) -> Market:
        """The chain after genesis; with ``accepting``, after a block in which all the people accepted transfers."""
        contracts, hooks = market_contracts()
        contracts = (*contracts, Border(), *extra)
        grants = market_grants("border", *(contract.name for contract in extra))
        market = cls(Executor(contracts, hooks=hooks, grants=grants))
        market.messages = Messages(market.executor.assembly.contracts, hooks)
        document = genesis(people, market_documents() if documents is None else documents, parameters or {})
        market.state.update(market.executor.genesis_writes(document, GENESIS_HASH))
        market.time_ms = noon(day) - 1_000
        if accepting:
            market.time_ms -= 1_000
            market.block(*(market.sign(name, accept_transfers()) for name in people))
        return market

    # ---- days

    @property
    def day(self) -> int:
        return (self.time_ms + 28_800_000) // DAY_MS

    def go_to(self, day: int) -> None:
        """The next block is at noon of ``day``."""
        self.time_ms = noon(day) - 1_000

    # ---- blocks

    def block(self, *envelopes: Envelope, after_ms: int = 1_000) -> list[Receipt]:
        receipts = super().block(*envelopes, after_ms=after_ms)
        check_state(self.pairs())
        return receipts

    def pairs(self) -> list[tuple[bytes, bytes]]:
        return sorted(self.state.items())

    def ok(self, name: str, *operations: Operation, **options: object) -> Receipt:
        """One transaction that must succeed."""
        receipt = self.one(name, *operations, **options)
        assert receipt.code == 0, self.text(receipt)
        return receipt

    def refused(self, name: str, *operations: Operation, **options: object) -> str:
        """One transaction that must be refused; the rule, or the code's name where no rule is named."""
        receipt = self.one(name, *operations, **options)
        assert receipt.code != 0, "accepted"
        for language in ("zh", "en"):
            text = self.text(receipt, language)
            assert "{" not in text and text
        return receipt.rule or str(receipt.code)

    def text(self, receipt: Receipt, language: str = "en") -> str:
        return self.messages.render(receipt.code, receipt.rule, receipt.parameters, language, self.get)

    def events(self, place: int = 0) -> list[list[Value]]:
        """Events of the last block's transaction at ``place``."""
        assert self.last is not None
        return decode_value(self.last.events[place])  # type: ignore[return-value]

    # ---- reading

    def kernel(self, own_key: bytes) -> bytes | None:
        return self.state.get(state_key(KERNEL, own_key))

    def holding(self, security: bytes, name: str) -> Holding:
        raw = self.kernel(HOLDING + security + account(name))
        return NO_HOLDING if raw is None else decode_holding(raw)

    def cash(self, name: str) -> Cash:
        return decode_cash(self.kernel(CASH + account(name)))

    def trade_days(self, security: bytes, name: str) -> TradeDays:
        return decode_trade_days(self.kernel(TRADE_DAYS + security + account(name)))

    def roll(self, security: bytes) -> list[bytes]:
        return read_roll(self.kernel, security)

    @staticmethod
    def id_of(kind: str, name: str, reference: str) -> bytes:
        return derive_id(GENESIS_HASH, kind, account(name), reference)

    # ---- usual steps

    def listed(
        self, rows: dict[str, int], reference: str = "BJ000001F.ESVUFR2401", *, legacy: bool = False, acquired: int = 0
    ) -> bytes:
        """A live security with this register; its id."""
        security = self.registering(sum(rows.values()), reference, legacy=legacy)
        items = list(rows.items())
        for start in range(0, len(items), 64):
            self.ok("operator", register(security, dict(items[start : start + 64]), acquired))
        self.ok("operator", op("activate_security", security=security))
        return security

    def registering(self, declared: int, reference: str = "BJ000001F.ESVUFR2401", *, legacy: bool = False) -> bytes:
        """A security whose register is empty; its id."""
        self.ok("operator", listing(declared, reference, legacy=legacy), cosigners=("governor-2",) if legacy else ())
        return self.id_of("security", "operator", reference)

    def qualified(self, *names: str, until: int = MONDAY + 300) -> None:
        rows = [proof(name, until) for name in names]
        for start in range(0, len(rows), 64):
            self.ok("operator", op("set_suitability", rows=rows[start : start + 64]))

    def funded(self, name: str, amount_fen: int) -> None:
        reference = f"in-{name}-{self.height}"
        row = {"account": account(name), "amount_fen": amount_fen, "reference": reference}
        self.ok("bank", op("deposit", rows=[row]))


def listing(declared: int, reference: str, *, legacy: bool = False, province: str = "BJ") -> Operation:
    return op(
        "register_security",
        reference=reference,
        name="示例股份",
        issuer=account("issuer"),
        province=province,
        unit_decimals=0,
        declared=declared,
        legacy=legacy,
    )


def register(security: bytes, rows: dict[str, int], acquired: int = 0) -> Operation:
    listed = [{"account": account(n), "quantity": q, "acquired_day": acquired} for n, q in rows.items()]
    return op("register_holding", security=security, rows=listed)


def proof(name: str, until: int, **changes: Value) -> dict[str, Value]:
    """A natural person's proof that just suffices."""
    facts: dict[str, Value] = {"assets_fen": 50_000_000, "experience_months": 24}
    return {"account": account(name), "category": 1, "expires_day": until, **facts, **changes}


def transfer(security: bytes, to: str, quantity: int) -> Operation:
    return op("transfer", security=security, to=account(to), quantity=quantity)


def accept_transfers(accept: bool = True) -> Operation:
    return op("accept_transfers", accept=accept)
