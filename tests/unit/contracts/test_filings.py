"""The life of a template on chain: filed by one house, approved by another, suspended, revoked, replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from contracts.templates.contract import TEMPLATES
from tests.unit.contracts.market import Market, op
from tests.unit.contracts.test_templates import PROBE, A, tree_of

OPERATOR, GOVERNOR, SECOND = "operator", "governor-2", "governor-3"
COUNTER = PROBE.replace("test.probe", "test.counter")


def file(source: str = COUNTER, name: str = "test.counter", version: int = 1, **changes: object) -> Operation:
    arguments = {"title": "试验", "tree": tree_of(source), "source": source.encode(), "cases": b"", **changes}
    return op("file", TEMPLATES, template=name, version=version, **arguments)  # type: ignore[arg-type]


def approve(source: str = COUNTER, name: str = "test.counter", version: int = 1, **changes: object) -> Operation:
    hashes = {"tree_sm3": sm3(tree_of(source)), "source_sm3": sm3(source.encode()), "filing_number": "备-7", **changes}
    return op("approve", TEMPLATES, template=name, version=version, **hashes)  # type: ignore[arg-type]


def step(name: str, version: int = 1) -> Operation:
    return op(name, TEMPLATES, template="test.counter", version=version)


def create(reference: str = "r", template: str = "test.counter") -> Operation:
    return op("create", TEMPLATES, template=template, reference=reference, params={"what": "writes"})


def act(market: Market, reference: str = "r") -> Operation:
    return op("call", TEMPLATES, instance=market.id_of("instance", A, reference), method="act", args={"count": 1})


def test_filed_approved_used() -> None:
    market = Market.open()
    assert market.refused(A, file()) == "12", "an investor files nothing"
    market.ok(OPERATOR, file())
    assert market.refused(A, create()) == "templates.unknown"
    assert market.refused(OPERATOR, approve()) == "12"
    market.ok(GOVERNOR, approve())
    market.ok(A, create())
    market.ok(A, act(market))
    assert market.refused(OPERATOR, file()) == "templates.filed_already"


REFUSED = {
    "another tree": (file(), approve(tree_sm3=bytes(32)), "templates.other_tree"),
    "another source": (file(), approve(source_sm3=bytes(32)), "templates.other_tree"),
    "never filed": (file(), approve(name="test.other"), "templates.unknown"),
    "no tree at all": (
        file(tree=b"\x01\x00\x00\x00\x00\x07"),
        approve(tree_sm3=sm3(b"\x01\x00\x00\x00\x00\x07")),
        "templates.no_template",
    ),
    "a tree without TEMPLATE": (
        file(tree=tree_of("A = 1\n")),
        approve(tree_sm3=sm3(tree_of("A = 1\n"))),
        "templates.no_template",
    ),
    "another name": (
        file(PROBE, "test.counter"),
        approve(PROBE, "test.counter"),
        "templates.other_name",
    ),
    "another title": (file(title="别名"), approve(), "templates.other_name"),
}  # fmt: skip


@pytest.mark.parametrize(("filing", "approval", "rule"), REFUSED.values(), ids=REFUSED.keys())
def test_what_an_approver_is_kept_from(filing: Operation, approval: Operation, rule: str) -> None:
    market = Market.open()
    market.ok(OPERATOR, filing)
    assert market.refused(GOVERNOR, approval) == rule
    assert market.refused(A, create()) == "templates.unknown"


@pytest.mark.parametrize("name", ["模板", "Test.Counter", "test counter", "\u0430.b"])
def test_a_name_is_ascii_before_anything_is_stored_under_it(name: str) -> None:
    """A key of the state is made of it: otherwise one filing would stop every node."""
    market = Market.open()
    for operation in (file(name=name), step("suspend"), create(template=name)):
        renamed = replace(operation, args={**operation.args, "template": name})
        assert market.one(OPERATOR, renamed).code != 0
    assert market.one(OPERATOR, file(name=name)).rule == ""


def test_nobody_approves_his_own_houses_filing() -> None:
    market = Market.open()
    market.ok(GOVERNOR, file())
    assert market.refused(GOVERNOR, approve()) == "templates.own_filing"


def test_a_common_template_takes_two_houses() -> None:
    source = COUNTER.replace("test.counter", "csrc.counter")
    market = Market.open()
    market.ok(OPERATOR, file(source, "csrc.counter"))
    assert market.refused(GOVERNOR, approve(source, "csrc.counter")) == "kernel.four_eyes"
    market.ok(GOVERNOR, approve(source, "csrc.counter"), cosigners=(SECOND,))
    market.ok(A, create(template="csrc.counter"))


def test_suspended_resumed_revoked() -> None:
    market = Market.open()
    market.ok(OPERATOR, file())
    market.ok(GOVERNOR, approve())
    market.ok(A, create())
    market.ok(GOVERNOR, step("suspend"))
    assert market.refused(A, act(market)) == "templates.not_live"
    assert market.refused(A, create("r2")) == "templates.not_live"
    assert market.refused(GOVERNOR, step("suspend")) == "templates.wrong_status"
    market.ok(GOVERNOR, step("resume"))
    market.ok(A, act(market))
    market.ok(GOVERNOR, step("revoke"))
    assert market.refused(A, act(market)) == "templates.not_live"
    assert market.refused(GOVERNOR, step("resume")) == "templates.wrong_status"
    assert market.refused(OPERATOR, step("suspend")) == "12"


def test_withdrawn_and_filed_again() -> None:
    market = Market.open()
    market.ok(OPERATOR, file())
    assert market.refused(A, step("withdraw")) == "12"
    market.ok(OPERATOR, step("withdraw"))
    assert market.refused(GOVERNOR, approve()) == "templates.wrong_status"
    market.ok(OPERATOR, file())
    market.ok(GOVERNOR, approve())
    assert market.refused(OPERATOR, step("withdraw")) == "templates.wrong_status"


def test_filings_that_wait_are_bounded() -> None:
    market = Market.open()
    for version in range(1, 9):
        market.ok(OPERATOR, file(version=version, tree=bytes([version])))
    assert market.refused(OPERATOR, file(version=9)) == "templates.too_many_open"
    market.ok(OPERATOR, step("withdraw", 3))
    market.ok(OPERATOR, file(version=9))


MIGRATE = """def migrate(ctx, call):
    ctx.put("moved", call["state"])
    return "open"


def create(ctx, call):"""
NEXT = COUNTER.replace("def create(ctx, call):", MIGRATE).replace(
    '"version": 1,', '"version": 2, "replaces": 1, "migrate": {"roles": ["anybody"], "states": ["open"]},'
)


def test_instances_stay_with_their_version_until_they_migrate() -> None:
    market = Market.open()
    market.ok(OPERATOR, file())
    market.ok(GOVERNOR, approve())
    market.ok(A, create("old"))
    market.ok(OPERATOR, file(NEXT, version=2))
    market.ok(GOVERNOR, approve(NEXT, version=2))
    market.ok(A, create("new"))
    market.ok(GOVERNOR, step("revoke"))
    assert market.refused(A, act(market, "old")) == "templates.not_live"
    market.ok(A, act(market, "new"))
    move = op("migrate", TEMPLATES, instance=market.id_of("instance", A, "old"), version=2)
    market.ok(A, move)
    market.ok(A, act(market, "old"))
    assert market.refused(A, move) == "templates.no_migration"
    sideways = replace(move, args={**move.args, "version": 1})
    assert market.refused(A, sideways) == "templates.not_live"


def test_what_a_filed_template_refuses_is_said_in_its_own_words() -> None:
    """Of an approved version on the chain, the newest that declares the reason, suspended ones too; nothing of one that
    nobody has approved, and nothing without the chain.
    """
    market = Market.open()
    market.ok(OPERATOR, file())
    market.ok(GOVERNOR, approve())
    market.ok(A, replace(create(), args={**create().args, "params": {"what": "refuse"}}))
    receipt = market.one(A, act(market))
    assert receipt.rule == "test.counter.never"
    assert market.text(receipt, "zh") == "第 1 项操作：不可 0（test.counter.never）"
    assert market.text(receipt) == "operation 1: never 0 (test.counter.never)"
    blind = market.messages.render(receipt.code, receipt.rule, receipt.parameters, "en")
    assert blind == "operation 1: refused by a rule (test.counter.never)"
    later = NEXT.replace("never {0}", "not even {0}")
    market.ok(OPERATOR, file(later, version=2))
    assert "never 0" in market.text(receipt)
    market.ok(GOVERNOR, approve(later, version=2))
    assert "not even 0" in market.text(receipt)
    for name in ("suspend", "revoke"):
        market.ok(GOVERNOR, step(name, 2))
        assert "not even 0" in market.text(receipt)
    without = later.replace('"never"', '"not_now"')
    third = without.replace('"version": 2', '"version": 3').replace('"replaces": 1', '"replaces": 2')
    market.ok(OPERATOR, file(third, version=3))
    market.ok(GOVERNOR, approve(third, version=3))
    assert "not even 0" in market.text(receipt)
