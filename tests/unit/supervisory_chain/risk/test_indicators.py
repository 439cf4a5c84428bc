"""Indicators and alarms as pure functions: the specification's table, hysteresis, windows (docs/spec/risk.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.values import Value
from contracts.kernel.calendar import DAY_MS, day_of
from crosschain.following import Position, encode_position
from supervisory_chain.cases import SEVERITIES
from supervisory_chain.probes import PROBES, probed_place
from supervisory_chain.risk.indicators import MAX_DIRECTIVES, encode_window, measure, permille, window_place
from supervisory_chain.risk.thresholds import INDICATORS, Threshold, decode_threshold, encode_threshold, stands

SPEC = Path(__file__).parents[4] / "docs/spec/risk.md"
CHAIN = sm3(b"chain")
NOW = 20_000 * DAY_MS

State = dict[tuple[str, bytes], bytes]
THRESHOLDS = st.builds(
    lambda clear, gap, severity: Threshold(clear + gap, clear, severity),
    st.integers(0, 1_000),
    st.integers(1, 1_000),
    st.integers(1, 3),
)


def test_the_program_has_the_indicators_of_the_specification() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| .* \| (\d+) \| (\d+) \| (\d) \|$", SPEC.read_text("utf-8"), re.MULTILINE
    )
    said = {name: (kind, int(up), int(down), int(severity)) for name, kind, up, down, severity in rows}
    made = {n: (i.kind, i.default.raise_at, i.default.clear_at, i.default.severity) for n, i in INDICATORS.items()}
    assert said == made


def test_the_specification_names_the_grave_kinds() -> None:
    (text,) = re.findall(r"those of severity 3 among them: (.*?) \|", SPEC.read_text("utf-8"))
    assert set(re.findall(r"`(\w+)`", text)) == {kind for kind, severity in SEVERITIES.items() if severity == 3}


@given(threshold=THRESHOLDS, values=st.lists(st.integers(0, 2_500), max_size=50))
def test_an_alarm_comes_above_goes_below_and_does_not_flutter_between(threshold: Threshold, values: list[int]) -> None:
    active = False
    for value in values:
        after = stands(active, value, threshold)
        if value >= threshold.raise_at:
            assert after
        elif value <= threshold.clear_at:
            assert not after
        else:
            assert after is active
        assert stands(after, value, threshold) is after, "the same value again changes nothing"
        active = after
    assert not stands(active, 10_000, Threshold(0, 0, 1)), "switched off, it stands no more"


@given(threshold=THRESHOLDS)
def test_a_threshold_is_written_in_one_form(threshold: Threshold) -> None:
    assert decode_threshold(encode_threshold(threshold)) == threshold


@given(part=st.integers(0, 10**9), rest=st.integers(0, 10**9), least=st.integers(1, 1_000))
def test_a_share_is_between_none_and_all(part: int, rest: int, least: int) -> None:
    found = permille(part, part + rest, least)
    assert 0 <= found <= 1_000
    assert found == (part * 1_000 // (part + rest) if part + rest >= least else 0)


# ---- from state


def state(**changes: Value) -> State:
    """A chain admitted five seconds ago, of which nothing else is known, with ``contract_kind=value`` besides."""
    made: State = {
        ("chains", b"r" + CHAIN): encode_value({"status": "admitted", "admitted_ms": NOW - 5_000, "market": "BJ"})
    }
    for name, value in changes.items():
        contract, kind = name.rsplit("_", 1)
        made[contract, kind.encode() + CHAIN] = value if isinstance(value, bytes) else encode_value(value)
    return made


def measured(made: State, now_ms: int = NOW) -> dict[str, int]:
    return measure(lambda contract, key: made.get((contract, key)), CHAIN, now_ms)[0]


def tally(alarms: int, transactions: int, refusals: int) -> Value:
    return {"last": {"totals": {"alarms": alarms}}, "transactions": transactions, "refusals": refusals}


def observation(**changes: Value) -> Value:
    return {"height": 90, "tip": 100, "rejected": 4, "alarm": "", "time_ms": NOW - 1_000, "by": b"", **changes}


def test_of_a_chain_that_nothing_is_known_of_all_is_quiet() -> None:
    found = measured(state())
    assert found.keys() == INDICATORS.keys()
    assert {name: value for name, value in found.items() if value} == {"lag_ms": 5_000}


@pytest.mark.parametrize(
    ("changes", "indicator", "value"),
    [
        ({"clients_c": encode_position(Position(9, bytes(32), NOW - 77_000))}, "lag_ms", 77_000),
        ({"clients_c": encode_position(Position(9, bytes(32), NOW + 9))}, "lag_ms", 0),
        ({"cases_o": [1, 2, 4]}, "open_cases", 7),
        ({"cases_o": [1, 2, 4]}, "grave_cases", 4),
        ({"clients_q": {"epoch": 0, "validators": [1, 3]}}, "equivocators", 2),
        ({"clients_q": {"epoch": 4, "validators": [1, 3]}}, "equivocators", 0),
        ({"risk_o": observation()}, "unpulled_heights", 10),
        ({"risk_o": observation(tip=80)}, "unpulled_heights", 0),
        ({"risk_o": observation()}, "observation_age_ms", 1_000),
        ({"risk_o": observation(alarm="NOT_VERIFIED")}, "puller_alarm", 1),
        ({"inbox_r": tally(5, 500, 50)}, "business_alarms", 0),
    ],
)
def test_each_indicator_has_its_source(changes: dict[str, Value], indicator: str, value: int) -> None:
    assert measured(state(**changes))[indicator] == value


def test_failing_endpoints_and_overdue_directives_are_counted() -> None:
    made = state()
    rows: Value = {"endpoints": [{"case": 1}, {"case": -1}, {"case": 0}], "versions": []}
    made[PROBES, probed_place(CHAIN)] = encode_value(rows)
    made["directives", b"a" + CHAIN] = encode_value(2)
    made["directives", b"n" + CHAIN] = encode_value(500)
    for sequence in range(500):
        row = encode_value({"deadline_ms": NOW - 1 if sequence % 2 else NOW})
        made["directives", b"s" + CHAIN + sequence.to_bytes(8, "big")] = row
    found = measured(made)
    assert (found["failing_endpoints"], found["overdue_directives"]) == (2, MAX_DIRECTIVES // 2)


def test_what_is_counted_in_a_day_begins_anew_with_it() -> None:
    counted: Value = {"calls": 1_000, "failures": 10}
    made = state(inbox_r=tally(5, 500, 50), risk_o=observation())
    made["services", b"#BJ"] = encode_value(counted)
    _, window = measure(lambda contract, key: made.get((contract, key)), CHAIN, NOW)
    assert (window.day, window.alarms, window.rejected, window.calls) == (day_of(NOW), 5, 4, 1_000)
    made["risk", window_place(CHAIN)] = encode_window(window)
    made["inbox", b"r" + CHAIN] = encode_value(tally(12, 600, 90))
    made["risk", b"o" + CHAIN] = encode_value(observation(rejected=3))
    made["services", b"#BJ"] = encode_value({"calls": 1_100, "failures": 35})
    found = measured(made)
    assert (found["business_alarms"], found["refused_permille"], found["failed_calls_permille"]) == (7, 400, 250)
    assert found["rejected_snapshots"] == 0, "a puller that began anew counts from there"
    assert measured(made, NOW + DAY_MS)["business_alarms"] == 0
