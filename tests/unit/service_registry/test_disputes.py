"""Disputes and claims: the contract rules by record and signature; its steps are those of the specification."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.execution.codes import Code
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from service_registry.batch_records import Judged, batch_root
from service_registry.bodies import AccessCode
from service_registry.disputes import (
    ANSWER_MS,
    BROKEN,
    CLAIM_MS,
    CLAIMS,
    DISPUTES,
    KEPT,
    OPEN,
    STRUCK,
    UPHELD,
    WITHDRAWN,
    Step,
    Whose,
    claim_key,
    decode_claim,
)
from service_registry.records import SERVICES
from tests.unit.execution.world import account
from tests.unit.service_registry.batching import Made, batch, gateway_log, hand_in, judged, promise, recorded, usage
from tests.unit.service_registry.house import House, prepared, refused

SPEC = Path(__file__).parents[3] / "docs/spec/service-records.md"


@pytest.fixture(scope="module")
def confirmed() -> House:
    return prepared(House.confirmed)


@pytest.fixture
def house(confirmed: House) -> House:
    return confirmed.branch()


def rows_of(heading: str) -> dict[str, tuple[str, frozenset[str], str]]:
    """(from, to, who) by step, as the page tells."""
    text = SPEC.read_text("utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            step, source, target = (re.findall(r"`([a-z_]+)", cell) for cell in cells[:3])
            found[step[0]] = (source[0] if source else "", frozenset(target), cells[3])
    return found


@pytest.mark.parametrize(("heading", "steps"), [("## 5. Disputes\n", DISPUTES), ("## 6. Claims\n", CLAIMS)])
def test_the_program_is_the_table(heading: str, steps: Mapping[str, Step]) -> None:
    table = rows_of(heading)
    assert table.keys() == steps.keys()
    for name, step in steps.items():
        source, targets, who = table[name]
        assert (source, targets) == (step.source, step.targets)
        assert who.replace("the consumer", "the promise's consumer").startswith(step.whose.value)


# ---- disputes


def tampered(code: AccessCode = AccessCode.OK, **changes: Any) -> Callable[[House], Judged]:
    def make(house: House) -> Judged:
        return judged({**house.record("consumer", code=code), **changes})

    return make


def _unsigned(house: House) -> Judged:
    return judged(house.record("consumer", signer="gateway"))


def _not_the_consumers(house: House) -> Judged:
    return judged({**house.record("consumer"), "consumer_signature": house.record("consumer")["consumer_signature"]})


def _claimed_refused(house: House) -> Judged:
    """A call that was answered, recorded as one whose request was bad: the publisher shall not be paid."""
    return judged({**house.record("consumer"), "code": int(AccessCode.BAD_REQUEST)})


def _claimed_ok(house: House) -> Judged:
    """A typed error that is recorded as an answer, to be paid for."""
    return judged({**house.record("consumer", code=AccessCode.SERVICE_ERROR), "code": int(AccessCode.OK)})


def _anothers_reply(house: House) -> Judged:
    other = house.record("consumer")
    house.call_ids[account("consumer")] -= 1
    mine = house.record("consumer", time_ms=house.world.time_ms + 1)
    return judged({**mine, "reply": other["reply"], "publisher_signature": other["publisher_signature"]})


RECORDS: dict[str, tuple[Callable[[House], Judged], str, int]] = {
    "answered": (tampered(), UPHELD, 0),
    "typed error": (tampered(AccessCode.SERVICE_ERROR), UPHELD, 0),
    "refused": (tampered(AccessCode.OVER_QUOTA), UPHELD, 0),
    "paid for, but not signed by the publisher": (_unsigned, STRUCK, 100),
    "paid for, but the reply is no reply": (tampered(reply=b"\0"), STRUCK, 100),
    "paid for, but there was none": (tampered(reply=b"", publisher_signature=b""), STRUCK, 100),
    "paid for, but another call's reply": (_anothers_reply, STRUCK, 100),
    "paid for, but it was an error": (_claimed_ok, STRUCK, 100),
    "never called": (_not_the_consumers, STRUCK, 100),
    "answered, but told as refused": (_claimed_refused, STRUCK, 0),
}


@pytest.mark.parametrize("who", ["consumer", "publisher"])
@pytest.mark.parametrize("case", RECORDS)
def test_the_record_decides(house: House, case: str, who: str) -> None:
    make, ruling, struck_fen = RECORDS[case]
    made = batch(house, [judged(house.record("consumer")), make(house)])
    assert hand_in(house, made).code == Code.OK
    before = usage(house)
    house.ok(who, "dispute", **made.dispute(1))
    after = usage(house)
    assert after.struck_fen == struck_fen and sum(after.struck) == (ruling == STRUCK)
    assert (after.codes, after.amount_fen) == (before.codes, before.amount_fen)
    assert after.due_fen == before.amount_fen - struck_fen
    assert gateway_log(house).faults == (ruling != UPHELD)
    for again in ("consumer", "publisher"):
        assert refused(house.do(again, "dispute", **made.dispute(1))) == ("services.ruled", (ruling,))


def test_who_disputes_does_not_choose_the_ruling_by_naming_another_row(house: House) -> None:
    """An honest record, held against the row of another day of the same parties, would look like none of that row."""
    today = house.record("consumer")
    yesterday = house.record("consumer", time_ms=house.world.time_ms - 86_400_000)
    made = recorded(house, yesterday, today)
    assert len(made.rows) == 2
    place = made.rows.index(next(row for row in made.rows if row["day"] == day_of(house.world.time_ms)))
    wrong = house.do("consumer", "dispute", **made.dispute(1, row=1 - place))
    assert refused(wrong) == ("services.dispute_evidence", (f"the record is of row {place}",))
    house.ok("consumer", "dispute", **made.dispute(1, row=place))
    assert gateway_log(house).faults == 0


def _foreign_root(house: House) -> Made:
    """Rows of the consumer's calls over a root of something else."""
    honest, other = judged(house.record("consumer")), judged(house.record("consumer"))
    return replace(batch(house, [honest], root=batch_root([other])), records=[other])


def test_a_root_over_something_else_is_the_gateways_fault(house: House) -> None:
    made = _foreign_root(house)
    assert hand_in(house, made).code == Code.OK
    house.ok("consumer", "dispute", **made.dispute(0))
    assert (gateway_log(house).faults, usage(house).struck_fen) == (1, 0)


EVIDENCE: dict[str, tuple[dict[str, Any], str]] = {
    "no such batch": ({"number": 7}, "there is no such batch any more"),
    "of another gateway": ({"gateway": account("tester")}, "there is no such batch any more"),
    "other rows": ({"rows": "other"}, "the batch has other rows"),
    "no such row": ({"row": 5}, "there is no row 5"),
    "another place": ({"number": 1, "path": [bytes(32)]}, "the path does not lead from the record to the root"),
    "no path": ({"path": []}, "the path does not lead from the record to the root"),
    "another record": ({"record": b"\0"}, "the path does not lead from the record to the root"),
}


@pytest.mark.parametrize("case", EVIDENCE)
def test_evidence_that_does_not_hold_changes_nothing(house: House, case: str) -> None:
    changes, what = EVIDENCE[case]
    made = recorded(house, house.record("consumer"), house.record("consumer"))
    if changes.get("rows") == "other":
        changes = {"rows": [{**made.rows[0], "version": 2}]}
    told = refused(house.do("consumer", "dispute", **made.dispute(1, **changes)))
    assert told == ("services.dispute_evidence", (what,))
    assert gateway_log(house).faults == 0


def test_strangers_dispute_nothing(house: House) -> None:
    made = recorded(house, house.record("consumer"))
    assert refused(house.do("second consumer", "dispute", **made.dispute(0)))[0] == "services.dispute_party"
    assert house.do("nobody", "dispute", **made.dispute(0)).code == Code.FORBIDDEN


# ---- claims


def claim_state(house: House, raw: bytes) -> str:
    kept = house.world.state.get(state_key(SERVICES, claim_key(raw)))
    return "" if kept is None else decode_claim(kept).state


def test_a_promise_without_a_record_stays_with_the_gateway(house: House) -> None:
    claim = promise(house, judged(house.record("consumer")))
    house.ok("consumer", "claim_record", **claim)
    assert refused(house.do("nobody", "lapse_claim", promise=claim["promise"]))[0] == "services.claim_early"
    house.world.time_ms += ANSWER_MS
    house.ok("nobody", "lapse_claim", promise=claim["promise"])
    assert claim_state(house, claim["promise"]) == BROKEN and gateway_log(house).strikes == 1


def test_a_gateway_answers_with_the_record(house: House) -> None:
    made = recorded(house, house.record("consumer"), house.record("consumer"))
    claim, raw = promise(house, made.records[1]), {}
    house.ok("consumer", "claim_record", **claim)
    raw = {"promise": claim["promise"]}
    assert refused(house.do("gateway", "answer_claim", **raw, **made.evidence(0)))[0] == "services.dispute_evidence"
    house.ok("gateway", "answer_claim", **raw, **made.evidence(1))
    house.world.time_ms += ANSWER_MS
    assert refused(house.do("nobody", "lapse_claim", **raw)) == ("services.claim_state", (KEPT, "lapse_claim"))


def test_an_honest_gateway_can_answer_the_latest_claim_to_its_last_day(house: House) -> None:
    made = recorded(house, house.record("consumer"))
    claim = promise(house, made.records[0], deadline_ms=house.world.time_ms + 60_000)
    latest = house.branch()
    house.world.time_ms += CLAIM_MS + 59_000
    house.ok("consumer", "claim_record", **claim)
    house.world.time_ms += ANSWER_MS - 2_000
    recorded(house, house.record("consumer"))
    house.ok("gateway", "answer_claim", promise=claim["promise"], **made.evidence(0))
    latest.world.time_ms += CLAIM_MS + 61_000
    assert refused(latest.do("consumer", "claim_record", **claim))[0] == "services.claim_late"


CLAIMED: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "somebody else's": ("second consumer", {}, 0, "services.claim_party"),
    "before its deadline": ("consumer", {"deadline_ms": 1 << 50}, 0, "services.claim_early"),
    "long after": ("consumer", {}, CLAIM_MS + 1_000, "services.claim_late"),
    "in a name that is no gateway's": ("consumer", {"gateway": account("tester")}, 0, "services.claim_signature"),
    "of no account": ("consumer", {"gateway": b"x" * 16}, 0, "services.claim_signature"),
}


@pytest.mark.parametrize("case", CLAIMED)
def test_what_may_not_be_claimed(house: House, case: str) -> None:
    who, changes, later, rule = CLAIMED[case]
    claim = promise(house, judged(house.record("consumer")), **changes)
    house.world.time_ms += later
    assert refused(house.do(who, "claim_record", **claim))[0] == rule
    assert claim_state(house, claim["promise"]) == ""


def test_a_promise_is_the_gateways_only_with_its_signature(house: House) -> None:
    claim = promise(house, judged(house.record("consumer")))
    told = house.do("consumer", "claim_record", **{**claim, "signature": bytes(64)})
    assert refused(told)[0] == "services.claim_signature"
    told = house.do("consumer", "claim_record", **{**claim, "promise": encode_value({"gateway": b""})})
    assert refused(told)[0] == "services.claim_malformed"
    assert refused(house.do("consumer", "withdraw_claim", promise=b"x"))[0] == "services.claim_unknown"


PEOPLE = ("consumer", "second consumer", "publisher", "tester", "gateway", "nobody")
STEPS = st.lists(
    st.tuples(st.sampled_from(list(CLAIMS)), st.sampled_from(PEOPLE), st.booleans()), min_size=1, max_size=10
)
MAY: Mapping[Whose, tuple[str, ...]] = {
    Whose.CONSUMER: ("consumer",),
    Whose.GATEWAY: ("gateway",),
    Whose.ANYBODY: PEOPLE,
}


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_no_walk_takes_a_step_that_the_table_does_not_have(confirmed: House, walk: list[tuple[str, str, bool]]) -> None:
    house = confirmed.branch()
    made = recorded(house, house.record("consumer"))
    claim = promise(house, made.records[0])
    opened_ms = 0
    for name, who, wait in walk:
        house.world.time_ms += ANSWER_MS if wait else 0
        before, step = claim_state(house, claim["promise"]), CLAIMS[name]
        args: dict[str, Value] = {"promise": claim["promise"]}
        args |= {"claim_record": {"signature": claim["signature"]}, "answer_claim": made.evidence(0)}.get(name, {})
        receipt: Receipt = house.do(who, name, **args)
        late = name != "lapse_claim" or house.world.time_ms > opened_ms + ANSWER_MS
        allowed = before == step.source and who in MAY[step.whose] and late
        after = claim_state(house, claim["promise"])
        assert (receipt.code == Code.OK) == allowed, (name, who, before, receipt.rule)
        assert {after} == (step.targets if allowed else {before})
        opened_ms = house.world.time_ms if allowed and name == "claim_record" else opened_ms
    assert after in ("", OPEN, KEPT, WITHDRAWN, BROKEN)
    assert gateway_log(house).strikes == (after == BROKEN)
