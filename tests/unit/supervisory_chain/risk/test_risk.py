"""Alarms rise, are one case each, and go again; thresholds are two officers' (docs/spec/risk.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from chain_core.codec.genesis import encode_genesis
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from crosschain.packets import count_in
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cases import case_key, count_key, decode_open, open_place
from supervisory_chain.risk.contract import REGIONS_A_BLOCK, alarms_place
from supervisory_chain.risk.indicators import window_place
from tests.unit.crosschain.chains import SUPERVISORY_PEOPLE, Chain, Layers, accounts, local_genesis, op
from tests.unit.crosschain.chains import supervisory_genesis as plain_genesis

ROUND = -(-len(REGIONS) // REGIONS_A_BLOCK)
LAG_MS = 600_000


class Watch(Layers):
    """Both layers with an inspector, ``desk``; nothing was reported yet."""

    @property
    def chain(self) -> bytes:
        return self.local.hash

    def by(self, who: str, method: str, **args: Value) -> Receipt:
        return self.supervisory.one(who, op("risk", method, **args))

    def assess(self) -> dict[str, Any]:
        """The alarms that stand after an assessment."""
        assert self.by("courier", "assess", chain=self.chain).code == Code.OK
        return self.alarms()

    def alarms(self) -> dict[str, Any]:
        found = self.supervisory.value(state_key("risk", alarms_place(self.chain)))
        return cast(dict[str, Any], found or {})

    def cases(self) -> list[dict[str, Any]]:
        numbers = range(count_in(self.supervisory.store.get(count_key(self.chain))))
        return [cast(dict[str, Any], self.supervisory.value(case_key(self.chain, number))) for number in numbers]

    def observe(self, **changes: Value) -> Receipt:
        args: dict[str, Value] = {"height": 10, "tip": 12, "rejected": 0, "alarm": "", **changes}
        return self.by("desk", "observe", chain=self.chain, **args)

    def follow(self) -> None:
        self.local.time_ms = self.supervisory.time_ms
        height = self.business(f"S{self.local.height}")
        assert self.supervisory.one("courier", self.headers_up(height), self.packets_up(height)).code == Code.OK


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    genesis = replace(plain_genesis(), accounts=accounts({**SUPERVISORY_PEOPLE, "desk": ("inspector",)}))
    above = Chain.begin(tmp_path / "above", genesis, supervisory_assembly)
    below = Chain.begin(tmp_path / "below", local_genesis(supervisory=encode_genesis(genesis)), local_assembly)
    made = Watch(above, below)
    made.register()
    yield made
    made.close()


def test_an_alarm_is_one_case_until_it_clears(watch: Watch) -> None:
    watch.follow()
    assert watch.assess() == {}
    watch.supervisory.time_ms += LAG_MS
    assert watch.assess().keys() == {"lag_ms"}
    assert ("risk", "alarm_raised") in watch.supervisory.events()
    watch.supervisory.time_ms += LAG_MS
    assert watch.assess().keys() == {"lag_ms"}
    (case,) = watch.cases()
    assert (case["kind"], case["facts"]["indicator"], case["facts"]["severity"]) == ("risk_alarm", "lag_ms", 2)
    assert case["facts"]["value"] >= case["facts"]["raise_at"] == LAG_MS
    watch.follow()
    watch.supervisory.time_ms += 130_000
    assert watch.assess().keys() == {"lag_ms"}, "between the two values it stays as it is"
    watch.follow()
    assert watch.assess() == {} and ("risk", "alarm_cleared") in watch.supervisory.events()
    assert watch.cases()[0]["facts"]["cleared_ms"] == watch.supervisory.time_ms
    watch.supervisory.time_ms += LAG_MS
    watch.assess()
    assert len(watch.cases()) == 2, "the next one is another case"


def test_the_end_of_blocks_looks_at_every_market_in_turn(watch: Watch) -> None:
    watch.follow()
    watch.supervisory.time_ms += LAG_MS
    for _ in range(ROUND):
        watch.supervisory.block()
    assert watch.alarms().keys() == {"lag_ms"}
    writes = watch.supervisory.store.get(state_key("risk", window_place(watch.chain)))
    for _ in range(ROUND):
        watch.supervisory.block()
    assert len(watch.cases()) == 1
    assert watch.supervisory.store.get(state_key("risk", window_place(watch.chain))) == writes


def test_what_the_puller_reports_is_looked_at(watch: Watch) -> None:
    watch.follow()
    assert (
        watch.by("csrc-1", "observe", chain=watch.chain, height=1, tip=1, rejected=0, alarm="").code == Code.FORBIDDEN
    )
    assert watch.observe(alarm="BORED").code == Code.BAD_ARGUMENTS
    assert watch.observe(rejected=7).code == Code.OK
    assert watch.assess() == {}, "what was rejected before the first look counts for no day"
    watch.observe(rejected=12, alarm="ENDPOINTS_DIFFER", tip=600)
    assert watch.assess().keys() == {"rejected_snapshots", "puller_alarm", "unpulled_heights"}
    watch.observe(rejected=12)
    assert watch.assess().keys() == {"rejected_snapshots"}
    watch.supervisory.time_ms += 86_400_000
    watch.follow()
    assert watch.assess().keys() == {"observation_age_ms"}, "another day, and a puller that says nothing"


def test_grave_cases_count_and_alarms_do_not_count_themselves(watch: Watch) -> None:
    watch.follow()
    for number in range(11):
        args: dict[str, Value] = {"chain": watch.chain, "subject": "s", "severity": 1, "document": bytes(32)}
        assert watch.supervisory.one("csrc-1", op("desk", "open_inspection", **args)).code == Code.OK
        day = watch.supervisory.time_ms // 86_400_000 + 2
        order = op("desk", "order_rectification", number=number, document=bytes(32), deadline_day=day)
        assert watch.supervisory.one("csrc-1", order).code == Code.OK
    watch.supervisory.time_ms += 4 * 86_400_000
    watch.follow()
    for number in range(11):
        late = op("desk", "escalate", number=number, document=bytes(32))
        assert watch.supervisory.one("courier", late).code == Code.OK
    assert watch.assess().keys() == {"open_cases"}
    assert decode_open(watch.supervisory.store.get(state_key("cases", open_place(watch.chain)))) == (0, 11, 0)
    for number in range(6):
        close = op("cases", "close", chain=watch.chain, number=number, reference="r")
        assert watch.supervisory.one("csrc-1", close).code == Code.OK
    assert watch.assess() == {}


def test_a_threshold_is_set_by_two_and_may_switch_off(watch: Watch) -> None:
    lower: dict[str, Value] = {"indicator": "lag_ms", "raise_at": 50_000, "clear_at": 10_000, "severity": 3}
    assert watch.by("operator", "set_threshold", **lower).code == Code.FORBIDDEN
    assert watch.by("csrc-1", "set_threshold", **{**lower, "clear_at": 50_000}).rule == "risk.bad_threshold"
    assert watch.by("csrc-1", "set_threshold", **{**lower, "indicator": "weather"}).code == Code.BAD_ARGUMENTS
    watch.follow()
    watch.supervisory.time_ms += 60_000
    for who, alarms in (("csrc-1", set()), ("csrc-1", set()), ("csrc-2", {"lag_ms"})):
        assert watch.by(who, "set_threshold", **lower).code == Code.OK
        assert watch.assess().keys() == alarms, "one officer alone sets nothing"
    off: dict[str, Value] = {**lower, "raise_at": 0, "clear_at": 0}
    assert watch.by("csrc-2", "set_threshold", **off).code == watch.by("csrc-1", "set_threshold", **off).code == Code.OK
    assert watch.assess() == {}


def test_only_markets_that_are_followed_are_assessed(watch: Watch) -> None:
    assert watch.by("courier", "assess", chain=bytes(32)).rule == "risk.no_chain"
    assert watch.by("desk", "observe", chain=bytes(32), height=1, tip=1, rejected=0, alarm="").rule == "risk.no_chain"
