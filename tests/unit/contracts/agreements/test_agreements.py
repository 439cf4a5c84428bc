"""Documents deposited, and agreements that move as the table of docs/spec/agreements.md says, and in no other way."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.signed import derive_id
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.agreements.contract import Agreements
from contracts.agreements.machines import OPEN, STATES, STEPS, When, Whose
from contracts.agreements.records import (
    AGREEMENTS,
    DEPOSITS_A_DAY,
    PROPOSALS_A_DAY,
    Agreement,
    agreement_key,
    agreement_place,
    decode_agreement,
    decode_deposit,
    deposit_key,
    encode_agreement,
    quota_place,
    statement_message,
)
from contracts.agreements.texts import RULES
from contracts.data.commitments import commitment
from tests.unit.contracts.market import MONDAY, Market, op
from tests.unit.execution.world import GENESIS_HASH, account

SPEC = Path(__file__).parents[4] / "docs/spec/agreements.md"
DAY_MS = 86_400_000
PEOPLE = ("ann", "bo", "cy", "stranger")
PARTIES = PEOPLE[:3]
SALT, TEXT = sm3(b"salt"), "投资协议".encode()
COMMITTED = commitment(SALT, TEXT)
REFERENCE = "0" * 31 + "1"
PROPOSED = derive_id(GENESIS_HASH, "agreement", account("issuer"), REFERENCE)


def test_the_program_is_the_table() -> None:
    found = {}
    for line in SPEC.read_text("utf-8").split("\n## 3. ", 1)[1].split("\n## ", 1)[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            name = re.findall(r"`([a-z_]+)", cells[0])[0]
            found[name] = (re.findall(r"`([a-z]+)`", cells[1]), re.findall(r"`([a-z]+)`", cells[2]), cells[3])
    assert found.keys() == STEPS.keys()
    for name, step in STEPS.items():
        source, targets, who = found[name]
        assert ([step.source] if step.source else [], list(step.targets)) == (source, targets), name
        assert who.startswith(step.whose.value), (name, who)
    assert {target for step in STEPS.values() for target in step.targets} == STATES


def test_the_rules_are_those_of_the_page() -> None:
    rows = SPEC.read_text("utf-8").split("\n## 4. ", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"`(agreements\.[a-z_]+)`", rows)) == RULES.keys()


# ---- a market


def private(name: str) -> bytes:
    return sm3(b"assertion key of " + name.encode())


@cache
def public(name: str) -> bytes:
    return signing_provider().sm2_public_key(private(name))


def agreement_op(method: str, **args: Value) -> Operation:
    return op(method, AGREEMENTS, **args)


def opened(order: str = "free") -> Market:
    """Three parties, of whom bo has an assertion key; the issuer's proposal is open for a day."""
    market = Market.open(PEOPLE, extra=(Agreements(),))
    market.ok("bo", op("attach_key", "accounts", purpose="assertion", key=public("bo")))
    market.ok("issuer", proposal(market, order=order))
    return market


def proposal(market: Market, **changes: Value) -> Operation:
    args: dict[str, Value] = {
        "reference": REFERENCE,
        "commitment": COMMITTED,
        "parties": [account(name) for name in PARTIES],
        "order": "free",
        "deadline_ms": market.time_ms + DAY_MS,
    }
    return agreement_op("propose", **{**args, **changes})


def sign(**changes: Value) -> Operation:
    args: dict[str, Value] = {"agreement": PROPOSED, "commitment": COMMITTED}
    return agreement_op("sign", **{**args, **changes})


def plain(method: str) -> Operation:
    return agreement_op(method, agreement=PROPOSED)


def sign_for(market: Market, who: str, **changes: Value) -> Operation:
    message = statement_message(GENESIS_HASH, PROPOSED, agreement(market), account(who))
    args: dict[str, Value] = {
        "agreement": PROPOSED,
        "party": account(who),
        "key": public(who),
        "signature": signing_provider().sm2_sign(private(who), message),
    }
    return agreement_op("sign_for", **{**args, **changes})


def agreement(market: Market) -> Agreement:
    raw = market.state.get(agreement_key(PROPOSED))
    assert raw is not None
    return decode_agreement(raw)


def over(market: Market) -> None:
    market.go_to(MONDAY + 2)


@pytest.fixture
def market() -> Market:
    return opened()


def test_a_deposit_is_there_from_its_block_on(market: Market) -> None:
    put = agreement_op("deposit", reference=REFERENCE, kind="evidence", commitment=COMMITTED)
    market.ok("ann", put)
    raw = market.state.get(deposit_key(derive_id(GENESIS_HASH, "deposit", account("ann"), REFERENCE)))
    found = decode_deposit(raw or b"")
    assert (found.owner, found.commitment, found.time_ms, found.depositor) == (
        account("ann"),
        COMMITTED,
        market.time_ms,
        b"",
    )
    assert market.refused("ann", put) == "agreements.exists"
    market.ok("operator", agreement_op("deposit", **{**dict(put.args), "depositor": account("far")}))
    assert TEXT not in b"".join(market.state.values()) and SALT not in b"".join(market.state.values())


def test_all_have_signed_each_in_his_way(market: Market) -> None:
    market.ok("cy", sign())
    market.ok("operator", sign_for(market, "bo"))
    assert agreement(market).status == OPEN
    market.ok("ann", sign())
    found = agreement(market)
    assert found.status == "completed"
    assert {one.chain for one in found.signatures} == {GENESIS_HASH}
    assert [(one.party, one.method) for one in found.signatures] == [
        (account("cy"), "transaction"),
        (account("bo"), "assertion"),
        (account("ann"), "transaction"),
    ]
    assert market.refused("issuer", plain("withdraw")) == "agreements.closed"


def test_in_sequence_each_waits_for_the_one_before() -> None:
    market = opened("sequential")
    assert market.refused("cy", sign()) == "agreements.not_your_turn"
    assert market.refused("operator", sign_for(market, "bo")) == "agreements.not_your_turn"
    for step in (("ann", sign()), ("operator", sign_for(market, "bo")), ("cy", sign())):
        market.ok(*step)
    assert agreement(market).status == "completed"


def signed(market: Market) -> None:
    market.ok("ann", sign())


def nothing(market: Market) -> None:
    pass


def suspended(market: Market) -> None:
    market.ok("bo", op("revoke_key", "accounts", key=public("bo")))


Case = tuple[Callable[[Market], None], str, Callable[[Market], Operation], str]
REFUSED: dict[str, Case] = {
    "unknown": (nothing, "ann", lambda m: sign(agreement=bytes(16)), "agreements.unknown"),
    "another text": (nothing, "ann", lambda m: sign(commitment=sm3(b"x")), "agreements.commitment"),
    "a stranger signs": (nothing, "stranger", lambda m: sign(), "agreements.not_party"),
    "a stranger declines": (nothing, "stranger", lambda m: plain("decline"), "agreements.not_party"),
    "signed twice": (signed, "ann", lambda m: sign(), "agreements.signed"),
    "signed, then declined": (signed, "ann", lambda m: plain("decline"), "agreements.signed"),
    "withdrawn by a party": (nothing, "ann", lambda m: plain("withdraw"), "agreements.not_proposer"),
    "signed too late": (over, "ann", lambda m: sign(), "agreements.over"),
    "handed in too late": (over, "operator", lambda m: sign_for(m, "bo"), "agreements.over"),
    "declined too late": (over, "ann", lambda m: plain("decline"), "agreements.over"),
    "withdrawn too late": (over, "issuer", lambda m: plain("withdraw"), "agreements.over"),
    "expired too early": (nothing, "stranger", lambda m: plain("expire"), "agreements.not_over"),
    "handed in for a stranger": (nothing, "operator", lambda m: sign_for(m, "stranger"), "agreements.not_party"),
    "with no key of his": (nothing, "operator", lambda m: sign_for(m, "ann"), "agreements.key"),
    "with a revoked key": (suspended, "operator", lambda m: sign_for(m, "bo"), "agreements.key"),
    "with another signature": (
        nothing,
        "operator",
        lambda m: sign_for(m, "bo", signature=signing_provider().sm2_sign(private("bo"), b"something else")),
        "agreements.signature",
    ),
    "without a day": (nothing, "ann", lambda m: proposal(m, deadline_ms=m.time_ms), "agreements.deadline"),
    "for too long": (
        nothing,
        "ann",
        lambda m: proposal(m, deadline_ms=m.time_ms + 368 * DAY_MS),
        "agreements.deadline",
    ),
    "with nobody": (
        nothing,
        "ann",
        lambda m: proposal(m, parties=[account("ann"), account("nobody")]),
        "agreements.party",
    ),
    "proposed twice": (nothing, "issuer", lambda m: proposal(m), "agreements.exists"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(market: Market, case: str) -> None:
    before, who, operation, rule = REFUSED[case]
    before(market)
    assert market.refused(who, operation(market)) == rule


@pytest.mark.parametrize(
    "changes", [{"parties": [account("ann")]}, {"parties": [account("ann")] * 2}, {"order": "any"}, {"reference": "1"}]
)
def test_what_is_no_proposal(market: Market, changes: dict[str, Value]) -> None:
    receipt = market.one("ann", proposal(market, **changes))
    assert (receipt.code, receipt.rule) != (0, "") and not receipt.rule.startswith("agreements.")


@pytest.mark.parametrize(("what", "bound"), [("deposits", DEPOSITS_A_DAY), ("proposals", PROPOSALS_A_DAY)])
def test_nobody_fills_the_state_in_a_day(market: Market, what: str, bound: int) -> None:
    from chain_core.codec.seen import state_key
    from chain_core.codec.values import encode_value

    used: dict[str, Value] = {"day": market.day, "deposits": 0, "proposals": 0}
    market.state[state_key(AGREEMENTS, quota_place(account("ann")))] = encode_value({**used, what: bound})
    put = agreement_op("deposit", reference=REFERENCE, kind="other", commitment=COMMITTED)
    again = put if what == "deposits" else proposal(market)
    assert market.refused("ann", again) == "agreements.quota"
    over(market)
    market.ok("ann", put if what == "deposits" else proposal(market))


# ---- whatever the order of steps


WALK = st.lists(
    st.tuples(
        st.sampled_from(["sign", "sign_for", "decline", "withdraw", "expire", "day"]),
        st.sampled_from([*PARTIES, "issuer", "operator", "stranger"]),
    ),
    max_size=10,
)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["free", "sequential"]), WALK)
def test_no_walk_takes_a_step_that_the_table_does_not_have(order: str, walk: list[tuple[str, str]]) -> None:
    market = opened(order)
    for name, who in walk:
        if name == "day":
            over(market)
            continue
        before, late = agreement(market), market.time_ms + 1_000 >= agreement(market).deadline_ms
        operation = {"sign": sign(), "sign_for": sign_for(market, "bo")}.get(name) or plain(name)
        done = market.one(who, operation).code == 0
        after, step = agreement(market), STEPS[name]
        assert done is allowed(before, name, who, late), (name, who)
        if done:
            assert before.status == step.source and after.status in step.targets
            assert late is (step.when is When.AFTER)
        else:
            assert after == before
        assert (after.status == "completed") is (set(after.signed) == set(after.parties))
        assert len(set(after.signed)) == len(after.signed)
        if order == "sequential":
            assert after.signed == after.parties[: len(after.signed)]


def allowed(before: Agreement, name: str, who: str, late: bool) -> bool:
    """What the page says, in other words than the program's."""
    if before.status != OPEN or late is (name != "expire"):
        return False
    signer = "bo" if name == "sign_for" else who
    open_party = account(signer) in set(before.parties) - set(before.signed)
    turn = before.order == "free" or before.parties[len(before.signatures)] == account(signer)
    return {
        Whose.ANY: True,
        Whose.PROPOSER: who == "issuer",
        Whose.OPERATOR: who == "operator" and open_party and turn,
        Whose.PARTY: open_party and (turn or name == "decline"),
    }[STEPS[name].whose]


def test_a_record_is_read_as_it_was_written(market: Market) -> None:
    market.ok("operator", sign_for(market, "bo"))
    found = agreement(market)
    assert decode_agreement(encode_agreement(found)) == found
    assert market.state[agreement_key(PROPOSED)] == encode_agreement(found)
    assert agreement_place(PROPOSED) == b"a" + PROPOSED
