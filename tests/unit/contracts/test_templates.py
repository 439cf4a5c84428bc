"""What surrounds a template: identity, roles, states, limits; a template that misbehaves cannot do harm."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import EngineFault
from chain_core.execution.executor import Executor
from contracts.assembly import market_contracts, market_documents, market_grants
from contracts.engine.nodes import encode_tree
from contracts.engine.parser import parse_template
from contracts.hooks.market_hook import MarketHook
from contracts.kernel.contract import Kernel
from contracts.templates.catalogue import SOURCES, catalogue
from contracts.templates.compiled import compile_tree
from contracts.templates.contract import TEMPLATES, Templates
from contracts.templates.filings import newest_key, record_key
from contracts.templates.operations import CAPABILITIES
from tests.unit.contracts.market import Border, Market, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"

PROBE = """
TEMPLATE = {
    "id": "test.probe",
    "version": 1,
    "engine": "tpl/1",
    "title": "试验",
    "category": "试验",
    "capabilities": ["hold"],
    "params": {"what": {"type": "text", "note": "what to do"}},
    "roles": {"anybody": "anybody"},
    "initial": ["open"],
    "states": {"open": ["open"]},
    "create": {"roles": ["anybody"]},
    "methods": {
        "act": {"roles": ["anybody"], "states": ["open"], "args": {"count": {"type": "integer", "max": 1000}}},
    },
    "refusals": {"never": {"zh": "不可 {0}", "en": "never {0}"}},
}


def create(ctx, call):
    return "open"


def act(ctx, call, count):
    what = call["params"]["what"]
    for number in range(count):
        if what == "reads":
            ctx.get("x")
        elif what == "writes":
            ctx.put("k" + str(number), number)
        elif what == "events":
            ctx.emit("noted", {"number": number})
        elif what == "value":
            ctx.put("big", "x" * 8192)
        elif what == "ledger":
            ctx.foresee_trade("0" * 32, seller=call["caller"], buyer=call["creator"], quantity=1)
        elif what == "key":
            ctx.put("键", 1)
        elif what == "long key":
            ctx.put("k" * 129, 1)
        elif what == "state":
            return "elsewhere"
        elif what == "nothing":
            return None
        elif what == "id":
            ctx.release("0" * 31 + "G")
        elif what == "quantity":
            ctx.foresee_trade("0" * 32, seller=call["caller"], buyer=call["creator"], quantity=-1)
        elif what == "fuel":
            for i in range(100000):
                number = i
        elif what == "heavy fact":
            ctx.refuse("never", [0] * 4096)
        elif what == "refuse":
            ctx.refuse("never", number)
    return "open"
"""


def tree_of(source: str) -> bytes:
    """The canonical tree of a source."""
    return encode_tree(parse_template(source.encode()))


def with_templates(*sources: str, **record: object) -> Market:
    """A market whose build has these templates as well, filed like the others."""
    trees = [(shipped.tree, shipped.compiled.template) for shipped in catalogue()]
    market = Market.open()
    for source in sources:
        compiled = compile_tree(tree_of(source))
        trees.append((tree_of(source), compiled.template))
        row = {
            "version": 1,
            "tree_sm3": compiled.identity,
            "source_sm3": sm3(source.encode()),
            "status": "live",
            **record,
        }
        template = compiled.template
        market.state[state_key(TEMPLATES, record_key(template.id, 1))] = encode_value(row)  # type: ignore[arg-type]
        market.state[state_key(TEMPLATES, newest_key(template.id))] = (1).to_bytes(4, "big")
    market.executor = Executor(
        (Kernel(), Templates(trees), Border()), hooks=(MarketHook(),), grants=market_grants("border")
    )
    return market


def probe(market: Market, what: str, count: int) -> str:
    """The rule or the code's number."""
    reference = f"{what}{market.height}"
    market.ok(A, op("create", TEMPLATES, template="test.probe", reference=reference, params={"what": what}))
    instance = market.id_of("instance", A, reference)
    receipt = market.one(B, op("call", TEMPLATES, instance=instance, method="act", args={"count": count}))
    return receipt.rule or str(receipt.code)


# ---- identity


def test_identity_is_the_trees_hash_with_the_sources_beside_it() -> None:
    market = Market.open(documents=market_documents(filing_numbers={"csrc.negotiated-transfer": "备-2026-001"}))
    row = decode_map(market.state[state_key(TEMPLATES, record_key("csrc.negotiated-transfer", 1))])
    source = (SOURCES / "csrc.negotiated-transfer.star").read_bytes()
    assert (row["source_sm3"], row["tree_sm3"]) == (sm3(source), sm3(tree_of(source.decode())))
    assert (row["filing_number"], row["status"], row["version"]) == ("备-2026-001", "live", 1)


def test_the_trees_of_this_build_are_those_of_its_sources() -> None:
    """Otherwise: ``dualchain template build``."""
    for path in SOURCES.glob("*.star"):
        found = [shipped for shipped in catalogue() if shipped.compiled.template.id == path.stem]
        assert [shipped.tree for shipped in found] == [tree_of(path.read_text("utf-8"))], path.name


def test_a_genesis_of_another_tree_is_refused() -> None:
    documents = market_documents()
    templates = documents["templates"]
    assert isinstance(templates, dict)
    altered = {
        **templates,
        "csrc.negotiated-transfer": {**templates["csrc.negotiated-transfer"], "tree_sm3": bytes(32)},
    }
    with pytest.raises(Exception, match="tree_sm3"):
        Market.open(documents={**documents, "templates": altered})


def test_a_node_without_the_tree_halts() -> None:
    market = Market.open()
    _, hooks = market_contracts()
    market.executor = Executor((Kernel(), Templates([])), hooks=hooks, grants=market_grants())
    with pytest.raises(EngineFault, match="not in this build"):
        market.one(A, op("create", TEMPLATES, template="csrc.negotiated-transfer", reference="x", params={}))


def test_a_suspended_template_does_nothing() -> None:
    market = with_templates(PROBE, status="suspended")
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


# ---- what a template cannot do


def altered(before: str, after: str, name: str = "csrc.negotiated-transfer") -> str:
    """The source of a common template with one thing changed, under an operator's id."""
    source = (SOURCES / f"{name}.star").read_text("utf-8")
    assert before in source
    return source.replace(before, after).replace(f'"id": "{name}"', '"id": "test.altered"')


def ordered(source: str) -> tuple[Market, bytes]:
    """A market on which A has ordered 5 of his 10 shares to B through an altered template."""
    market = with_templates(source)
    security = market.listed({A: 10})
    market.qualified(A, B, C)
    market.funded(B, 100)
    market.funded(C, 100)
    params = order(market, security)
    market.ok(A, op("create", TEMPLATES, template="test.altered", reference="r", params=params))
    return market, security


def test_holds_are_made_under_the_owners_signature() -> None:
    source = altered('owner=call["caller"],\n        security', f'owner="{account(A).hex()}",\n        security')
    market = with_templates(source)
    security = market.listed({A: 10})
    call = op("create", TEMPLATES, template="test.altered", reference="r", params=order(market, security))
    assert market.one(B, call).rule == "kernel.owner_signs"
    market.ok(B, call, cosigners=(A,))  # the owner signed beside him
    assert market.holding(security, A).frozen == 5


def test_a_held_asset_goes_nowhere_else() -> None:
    """The template lets anybody accept: the hold itself names who may pay for it."""
    market, security = ordered(altered('"buyer": "param:buyer",', '"buyer": "anybody",'))
    instance = market.id_of("instance", A, "r")
    accept = op("call", TEMPLATES, instance=instance, method="accept", args={})
    assert market.refused(C, accept) == "kernel.not_for_you"
    assert market.holding(security, C).total == 0


def test_another_instances_hold_is_out_of_reach() -> None:
    """A template that releases whatever hold its caller names gets at its own instance's alone."""
    released = 'ctx.release(call["params"]["security"])\n    return "ordered"'
    market = with_templates(altered('ctx.put("shares", shares)\n    return "ordered"', released))
    security = market.listed({A: 10})
    good = op("create", TEMPLATES, template="csrc.negotiated-transfer", reference="s", params=order(market, security))
    market.ok(A, good)
    hold = market.id_of("hold", A, f"{market.id_of('instance', A, 's').hex()}.shares")
    source = released.replace('call["params"]["security"]', f'"{hold.hex()}"')
    market.executor = with_templates(altered('ctx.put("shares", shares)\n    return "ordered"', source)).executor
    thief = compile_tree(tree_of(altered('ctx.put("shares", shares)\n    return "ordered"', source)))
    row = {"version": 1, "tree_sm3": thief.identity, "status": "live"}
    market.state[state_key(TEMPLATES, record_key("test.altered", 1))] = encode_value(row)
    market.state[state_key(TEMPLATES, newest_key("test.altered"))] = (1).to_bytes(4, "big")
    steal = op("create", TEMPLATES, template="test.altered", reference="t", params=order(market, security))
    assert market.refused(A, steal) == "kernel.other_controller"


def test_another_instances_data_is_out_of_reach() -> None:
    """Keys are text inside the instance's own name space, whatever they say."""
    market = with_templates(PROBE)
    assert probe(market, "writes", 2) == "0"
    keys = [key for key in market.state if key.startswith(state_key(TEMPLATES, b"d"))]
    instance = market.id_of("instance", A, f"writes{market.height - 2}")
    assert sorted(keys) == [state_key(TEMPLATES, b"d" + instance + name) for name in (b"k0", b"k1")]


def test_no_step_is_hidden() -> None:
    """What happened is told by the kernel and by the contract, whether the template says anything or not."""
    market, _ = ordered(altered('ctx.put("shares", shares)', 'ctx.put("shares", shares)\n    ctx.put("x", 1)'))
    names = [str(event[1]) for event in market.events()]
    assert names == ["instance_created", "held", "instance_state"]


def test_its_events_are_not_the_kernels() -> None:
    market = with_templates(PROBE)
    assert probe(market, "events", 1) == "0"
    [[contract, name, fields]] = market.events()
    assert isinstance(fields, dict)
    assert (contract, name, fields["event"]) == ("templates", "template_event", "noted")


# ---- limits


LIMITS = {"reads": 64, "writes": 64, "events": 16, "refuse": 0, "ledger": 0}


@pytest.mark.parametrize(("what", "limit"), LIMITS.items())
def test_limits(what: str, limit: int) -> None:
    market = with_templates(PROBE)
    assert probe(market, what, limit) == "0"
    expected = {"refuse": "test.probe.never", "ledger": "kernel.unknown_security"}.get(what, f"template_{what}")
    assert probe(market, what, limit + 1) == expected


ENDS = {
    "value": "template_value_bytes",
    "key": "template_key",
    "long key": "tpl.bad_argument",
    "state": "templates.wrong_transition",
    "nothing": "templates.wrong_transition",
    "id": "tpl.bad_argument",
    "quantity": "tpl.bad_argument",
    "fuel": "tpl.fuel",
    "heavy fact": "tpl.bad_argument",
}


@pytest.mark.parametrize(("what", "rule"), ENDS.items())
def test_a_template_that_errs_is_refused_and_nothing_remains(what: str, rule: str) -> None:
    assert probe(with_templates(PROBE), what, 1) == rule


def test_the_common_templates_are_what_they_were_filed_as() -> None:
    found = [shipped.compiled.template for shipped in catalogue()]
    assert sorted(template.id for template in found) == [path.stem for path in sorted(SOURCES.glob("*.star"))]
    for template in found:
        assert template.id.startswith("csrc.") and template.capabilities <= CAPABILITIES
        assert all(parameter.note for parameter in template.params.values())


def test_a_plain_transfer_beside_a_template() -> None:
    """What one order holds, another transfer cannot take; the rest is free."""
    market = Market.open()
    security = market.listed({A: 10})
    market.qualified(B, C)
    params = order(market, security, quantity=8)
    market.ok(A, op("create", TEMPLATES, template="csrc.negotiated-transfer", reference="r", params=params))
    assert market.refused(A, transfer(security, C, 3)) == "csrc.encumbered"
    market.ok(A, transfer(security, C, 2))
