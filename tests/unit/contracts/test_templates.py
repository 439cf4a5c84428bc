"""What surrounds a template: identity, roles, states, limits; a template that misbehaves cannot do harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Integer
from chain_core.execution.codes import EngineFault
from chain_core.execution.contract import Arguments, RuleText
from chain_core.execution.executor import Executor
from contracts.assembly import market_contracts, market_documents, market_grants
from contracts.hooks.market_hook import MarketHook
from contracts.kernel.contract import Kernel
from contracts.kernel.records import NOBODY
from contracts.templates import negotiated_transfer
from contracts.templates.catalogue import CATALOGUE
from contracts.templates.context import HOLD, REGISTER, TemplateContext
from contracts.templates.contract import TEMPLATES, Filed, Templates
from contracts.templates.interface import Parameter, Role, Source, Template, TemplateMethod
from tests.unit.contracts.market import Border, Market, account, op, transfer
from tests.unit.execution.world import GENESIS_HASH

A, B, C = "investor-0", "investor-1", "investor-2"


def act(ctx: TemplateContext, call: Arguments) -> str:
    """Does as its argument says: a number of one thing."""
    what, count = ctx.params["what"], call["count"]
    assert isinstance(count, int)
    for number in range(count):
        if what == "reads":
            ctx.get("x")
        elif what == "writes":
            ctx.put(f"k{number}", number)
        elif what == "events":
            ctx.emit("noted", number=number)
        elif what == "value":
            ctx.put("big", "x" * 8_192)
        elif what == "ledger":
            ctx.foresee_trade(bytes(16), ctx.caller, ctx.creator, 1)
        elif what == "register":
            ctx.register(bytes(16), [])
        elif what == "key":
            ctx.put("ключ", 1)
        elif what == "state":
            return "elsewhere"
        elif what == "refuse":
            ctx.refuse("never", number)
    return "open"


def begin(ctx: TemplateContext, call: Arguments) -> str:
    return "open"


class AnyText:
    def admits(self, value: object) -> bool:
        return isinstance(value, str)


PROBE = Template(
    id="test.probe",
    version=1,
    title="试验",
    category="试验",
    capabilities=frozenset((HOLD,)),
    params={"what": Parameter(AnyText(), "what to do")},
    roles={"anybody": Role(Source.ANYBODY)},
    initial=("open",),
    states={"open": ("open",)},
    create=TemplateMethod(begin, ("anybody",)),
    methods={"act": TemplateMethod(act, ("anybody",), ("open",), {"count": Integer(0, 1_000)})},
    refusals={"never": RuleText("不可 {0}", "never {0}")},
)


def with_probe(**documents: object) -> Market:
    """A market whose catalogue has the probe as well."""
    filed = (*CATALOGUE, Filed(PROBE, sm3(b"probe")))
    market = Market.open()
    contracts = (Kernel(), Templates(filed), Border())
    market.executor = Executor(contracts, hooks=(MarketHook(),), grants=market_grants("border"))
    row = {"version": 1, "source_sm3": sm3(b"probe"), "filing_number": "", "title": "试验", "status": "live"}
    market.state[state_key(TEMPLATES, b"ttest.probe")] = encode_value({**row, **documents})  # type: ignore[dict-item]
    return market


def probe(market: Market, what: str, count: int) -> str:
    """The rule or the code's number."""
    reference = f"{what}{market.height}"
    market.ok(A, op("create", TEMPLATES, template="test.probe", reference=reference, params={"what": what}))
    instance = market.id_of("instance", A, reference)
    receipt = market.one(B, op("call", TEMPLATES, instance=instance, method="act", args={"count": count}))
    return receipt.rule or str(receipt.code)


# ---- identity


def test_identity_is_the_source_files_hash() -> None:
    market = Market.open(documents=market_documents(filing_numbers={"csrc.negotiated-transfer": "备-2026-001"}))
    raw = market.state[state_key(TEMPLATES, b"tcsrc.negotiated-transfer")]
    row = decode_map(raw)
    source = Path(negotiated_transfer.__file__).read_bytes()
    assert row["source_sm3"] == sm3(source)
    assert (row["filing_number"], row["status"], row["version"]) == ("备-2026-001", "live", 1)


def test_a_genesis_of_another_source_is_refused() -> None:
    documents = market_documents()
    templates = documents["templates"]
    assert isinstance(templates, dict)
    altered = {
        **templates,
        "csrc.negotiated-transfer": {**templates["csrc.negotiated-transfer"], "source_sm3": bytes(32)},
    }
    with pytest.raises(Exception, match="source_sm3"):
        Market.open(documents={**documents, "templates": altered})


def test_a_node_with_another_source_halts() -> None:
    market = Market.open()
    _, hooks = market_contracts()
    other = tuple(replace(filed, source_sm3=bytes(32)) for filed in CATALOGUE)
    market.executor = Executor((Kernel(), Templates(other)), hooks=hooks, grants=market_grants())
    with pytest.raises(EngineFault, match="not in this build"):
        market.one(A, op("create", TEMPLATES, template="csrc.negotiated-transfer", reference="x", params={}))


def test_a_suspended_template_does_nothing() -> None:
    market = with_probe(status="suspended")
    call = op("create", TEMPLATES, template="test.probe", reference="r", params={"what": "reads"})
    assert market.one(A, call).rule == "templates.not_live"


# ---- calls


def order(market: Market, security: bytes, **changes: object) -> dict[str, object]:
    return {
        "security": security,
        "quantity": 5,
        "buyer": account(B),
        "price_fen": 100,
        "expires_ms": market.time_ms + 3_600_000,
        **changes,
    }


def test_parameters_and_references_are_checked() -> None:
    market = Market.open()
    security = market.listed({A: 10})

    def create(
        params: Mapping[str, object], reference: str = "r", template: str = "csrc.negotiated-transfer"
    ) -> object:
        return op("create", TEMPLATES, template=template, reference=reference, params=params)  # type: ignore[arg-type]

    good = order(market, security)
    short = {name: value for name, value in good.items() if name != "buyer"}
    for params in (short, {**good, "more": 1}, {**good, "quantity": -1}, {**good, "buyer": "B"}):
        assert market.refused(A, create(params)) == "templates.bad_parameters"
    assert market.refused(A, create(good, template="csrc.stranger")) == "templates.unknown"
    market.ok(A, create(good))
    assert market.refused(A, create(good)) == "templates.exists"
    market.ok(A, create(good, "r2"))
    assert market.holding(security, A).frozen == 10


def test_calls_are_checked() -> None:
    market = Market.open()
    security = market.listed({A: 10})
    create = op("create", TEMPLATES, template="csrc.negotiated-transfer", reference="r", params=order(market, security))
    market.ok(A, create)
    instance = market.id_of("instance", A, "r")

    def call(method: str, who: str, **args: object) -> str:
        return market.refused(who, op("call", TEMPLATES, instance=instance, method=method, args=args))  # type: ignore[arg-type]

    assert call("explode", B) == "templates.no_method"
    assert call("accept", B, more=1) == "templates.bad_arguments"
    assert call("accept", C) == "12"
    assert call("settle", A) == "templates.wrong_state"
    wrong = op("call", TEMPLATES, instance=bytes(16), method="accept", args={})
    assert market.refused(B, wrong) == "templates.no_instance"


def test_a_templates_holds_are_its_own() -> None:
    """Neither the owner nor the counterparty gets at them through the kernel; nor at the register it fills."""
    market = Market.open()
    security = market.listed({A: 10})
    market.funded(B, 100)
    params = order(market, security)
    market.ok(A, op("create", TEMPLATES, template="csrc.negotiated-transfer", reference="r", params=params))
    instance = market.id_of("instance", A, "r")
    hold = market.id_of("hold", A, f"{instance.hex()}.shares")
    assert market.refused(A, op("release", hold=hold)) == "kernel.other_controller"
    assert market.refused(B, op("move_held", hold=hold, payment=bytes(16))) == "kernel.other_controller"
    pay = op("hold_cash", reference="p", against=hold, amount_fen=100, expires_ms=market.time_ms + 1_000_000)
    assert market.refused(B, pay) == "kernel.not_for_you"
    listing = {
        "reference": "BJ000009F.ESVUFR2601",
        "name": "示例",
        "issuer": account("issuer"),
        "province": "BJ",
        "unit_decimals": 0,
        "declared": 10,
        "legacy": False,
        "declared_holders": 1,
    }
    template = "csrc.holder-roll-registration"
    market.ok("operator", op("create", TEMPLATES, template=template, reference="r", params=listing))
    custody = market.id_of("security", "operator", "BJ000009F.ESVUFR2601")
    for call in (
        op("register_holding", security=custody, rows=[{"account": account(A), "quantity": 1, "acquired_day": 0}]),
        op("unregister_holding", security=custody, accounts=[account(A)]),
        op("activate_security", security=custody),
    ):
        assert market.refused("operator", call) == "kernel.not_registrar"


def test_holds_are_made_under_the_owners_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that names another owner than the signer is refused by the kernel."""

    def steal(ctx: TemplateContext, call: Arguments) -> str:
        ctx.hold_shares(account(A), ctx.params["security"], 5, ctx.caller, 1, ctx.now_ms + 1_000)  # type: ignore[arg-type]
        return "ordered"

    template = negotiated_transfer.TEMPLATE
    broken = replace(template, create=TemplateMethod(steal, ("seller",)))
    market = Market.open()
    security = market.listed({A: 10})
    filed = [Filed(broken, f.source_sm3) if f.template is template else f for f in CATALOGUE]
    market.executor = Executor((Kernel(), Templates(filed)), hooks=(MarketHook(),), grants=market_grants())
    params = order(market, security)
    call = op("create", TEMPLATES, template=template.id, reference="r", params=params)
    assert market.one(B, call).rule == "kernel.owner_signs"
    market.ok(B, call, cosigners=(A,))  # the owner signed beside him
    assert market.holding(security, A).frozen == 5


# ---- limits and faults


@pytest.mark.parametrize(
    ("what", "limit"), [("reads", 64), ("writes", 64), ("events", 16), ("refuse", 0), ("ledger", 0)]
)
def test_limits(what: str, limit: int) -> None:
    market = with_probe()
    assert probe(market, what, limit) == "0"
    expected = {
        "refuse": "test.probe.never",
        "ledger": "kernel.unknown_security",
    }.get(what, f"template_{what}")
    assert probe(market, what, limit + 1) == expected


def test_a_value_has_its_limit() -> None:
    assert probe(with_probe(), "value", 1) == "template_value_bytes"


@pytest.mark.parametrize(
    ("what", "fault"),
    [("register", "not filed for it"), ("key", "ASCII"), ("state", "never declared")],
)
def test_a_template_that_breaks_its_word_halts_the_node(what: str, fault: str) -> None:
    with pytest.raises(EngineFault, match=fault):
        probe(with_probe(), what, 1)


def test_instances_have_names_of_their_own() -> None:
    market = with_probe()
    assert probe(market, "writes", 2) == "0"
    keys = [key for key in market.state if key.startswith(state_key(TEMPLATES, b"d"))]
    instance = market.id_of("instance", A, f"writes{market.height - 2}")
    assert sorted(keys) == [state_key(TEMPLATES, b"d" + instance + name) for name in (b"k0", b"k1")]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "Not An Identifier"},
        {"initial": ("nowhere",)},
        {"states": {"open": ("open",), "unused": ()}},
        {"methods": {"act": TemplateMethod(act, ("stranger",), ("open",))}},
        {"roles": {"anybody": Role(Source.PARAMETER, "missing")}},
    ],
)
def test_a_template_that_contradicts_itself_is_not_built(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"probe|Identifier"):
        replace(PROBE, **changes)  # type: ignore[arg-type]


def test_the_common_templates_are_what_they_were_filed_as() -> None:
    ids = [filed.template.id for filed in CATALOGUE]
    assert ids == ["csrc.holder-roll-registration", "csrc.negotiated-transfer"]
    for filed in CATALOGUE:
        assert filed.template.capabilities <= {HOLD, REGISTER}
        assert all(parameter.note for parameter in filed.template.params.values())
    assert bytes(16) == NOBODY and len(GENESIS_HASH) == 32


def test_a_plain_transfer_beside_a_template() -> None:
    """What one order holds, another transfer cannot take; the rest is free."""
    market = Market.open()
    security = market.listed({A: 10})
    market.qualified(B, C)
    params = order(market, security, quantity=8)
    market.ok(A, op("create", TEMPLATES, template="csrc.negotiated-transfer", reference="r", params=params))
    assert market.refused(A, transfer(security, C, 3)) == "csrc.encumbered"
    market.ok(A, transfer(security, C, 2))
