"""Whatever owners, regulators, readers and time do in whatever order: a release needs a grant in force at that time and
an access of that version recorded before it. The observer knows the rules and none of the contract's code.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chain_core.types.transaction import Operation
from contracts.data.authority import Denied, ReleasePermit, judge_release
from tests.unit.contracts.data.house import DAY_MS, House, access, op, row, sealing
from tests.unit.execution.world import account

READERS = ("ann", "bo", "csrc")
READER = st.sampled_from(READERS)
OBJECT = st.sampled_from(("limited", "private"))
WINDOW_MS = 600_000


@dataclass
class Seen:
    """What the observer knows of an object."""

    version: int = 1
    gone: bool = False
    held: bool = False
    grants: dict[str, tuple[int, str]] = field(default_factory=dict)
    accesses: dict[str, tuple[int, int]] = field(default_factory=dict)


class Releases(RuleBasedStateMachine):
    """Each step says whether it must succeed."""

    @initialize()
    def open(self) -> None:
        self.house = House.open()
        made = (self.house.limited("l", *READERS), self.house.private("p", *READERS))
        self.ids = dict(zip(("limited", "private"), made, strict=True))
        self.seen = {name: Seen() for name in self.ids}
        for name, identity in self.ids.items():
            for reader in READERS:
                grant = self.house.grant(identity, reader)
                assert grant is not None
                self.seen[name].grants[reader] = grant.expires_ms, "owner"
        self.revoked: set[str] = set()

    def step(self, who: str, operation: Operation, allowed: bool) -> bool:
        receipt = self.house.one(who, operation)
        assert (receipt.code == 0) is allowed, (receipt.rule, operation)
        return allowed

    def in_force(self, name: str, reader: str) -> bool:
        grant = self.seen[name].grants.get(reader)
        return grant is not None and self.house.time_ms < grant[0]

    @rule(reader=READER, days=st.integers(1, 3))
    def share(self, reader: str, days: int) -> None:
        one, end = self.seen["limited"], self.house.soon(days)
        operation = op("share", object=self.ids["limited"], version=one.version, grants=[row(reader, end)])
        if self.step("owner", operation, reader not in self.revoked):
            one.grants[reader] = end, "owner"

    @rule(kept=st.sets(READER))
    def reseal(self, kept: set[str]) -> None:
        one, end = self.seen["limited"], self.house.soon(2)
        args = self.house.sealed_args(*(row(reader, end) for reader in sorted(kept)))
        operation = op("reseal", object=self.ids["limited"], version=one.version, **args)
        if self.step("owner", operation, not kept & self.revoked):
            one.version += 1
            one.grants = dict.fromkeys(kept, (end, "owner"))

    @rule(reader=READER, days=st.integers(1, 3), who=st.sampled_from(("owner", "csrc", "bo")))
    def allow(self, reader: str, days: int, who: str) -> None:
        one, end = self.seen["private"], self.house.soon(days)
        theirs = one.grants.get(reader, (0, ""))
        by = {"owner": "owner", "csrc": "regulator"}.get(who, "")
        weaker = by == "owner" and theirs[1] == "regulator" and theirs[0] > self.house.time_ms + 1_000
        operation = op("allow", object=self.ids["private"], reader=account(reader), expires_ms=end)
        if self.step(who, operation, bool(by) and not one.gone and not weaker):
            one.grants[reader] = end, by

    @rule(reader=READER, who=st.sampled_from(("owner", "csrc", "bo")))
    def withdraw(self, reader: str, who: str) -> None:
        one = self.seen["private"]
        by = {"owner": "owner", "csrc": "regulator"}.get(who, "")
        allowed = not one.gone and reader in one.grants and one.grants[reader][1] == by
        if self.step(who, op("withdraw", object=self.ids["private"], reader=account(reader)), allowed):
            del one.grants[reader]

    @rule(reader=READER, name=OBJECT)
    def one_records(self, reader: str, name: str) -> None:
        self.record(reader, name)

    def record(self, reader: str, name: str) -> None:
        one = self.seen[name]
        grant = one.grants.get(reader)
        in_force = grant is not None and self.house.time_ms + 1_000 < grant[0]
        operation = access(self.ids[name], reader, one.version)
        if self.step(reader, operation, in_force and not one.gone and reader not in self.revoked):
            one.accesses[reader] = one.version, self.house.time_ms

    @rule(name=OBJECT)
    def all_record(self, name: str) -> None:
        for reader in READERS:
            self.record(reader, name)

    @rule(reader=READER)
    def revoke_key(self, reader: str) -> None:
        if self.step(reader, Operation("accounts", "revoke_key", {"key": sealing(reader)}), reader not in self.revoked):
            self.revoked.add(reader)

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        one = self.seen["private"]
        if self.step("csrc", op("hold", object=self.ids["private"], held=held), not one.gone):
            one.held = held

    @rule()
    def delete(self) -> None:
        one = self.seen["private"]
        allowed = not one.gone and not one.held
        if self.step("owner", op("delete", object=self.ids["private"], reason="request"), allowed):
            one.gone, one.grants = True, {}

    @rule(after_ms=st.sampled_from((1_000, WINDOW_MS - 1_000, WINDOW_MS, DAY_MS)))
    def pass_time(self, after_ms: int) -> None:
        self.house.block(after_ms=after_ms)

    @invariant()
    def released_to_nobody_else(self) -> None:
        if not hasattr(self, "ids"):
            return
        now = self.house.time_ms
        for name, identity in self.ids.items():
            one = self.seen[name]
            for reader in (*READERS, "cy", "owner"):
                version, time_ms = one.accesses.get(reader, (0, 0))
                expected = (
                    not one.gone
                    and self.in_force(name, reader)
                    and version == one.version
                    and now - time_ms <= WINDOW_MS
                    and reader not in self.revoked
                )
                found = judge_release(self.house.read, identity, account(reader), account("vault"), now)
                assert isinstance(found, ReleasePermit) is expected, (name, reader, found)
                other = judge_release(self.house.read, identity, account(reader), account("vault-2"), now)
                assert not isinstance(other, ReleasePermit)


def denied(house: House, identity: bytes, name: str, custodian: str = "vault") -> Denied | None:
    """What a custodian would say now."""
    found = judge_release(house.read, identity, account(name), account(custodian), house.time_ms)
    return found if isinstance(found, Denied) else None


def test_a_record_is_of_one_version() -> None:
    house = House.open()
    identity = house.limited("a", "ann")
    assert denied(house, identity, "ann") is Denied.NOT_RECORDED
    house.ok("ann", access(identity, "ann"))
    assert denied(house, identity, "ann") is None
    args = house.sealed_args(row("ann", house.soon()))
    house.ok("owner", op("reseal", object=identity, version=1, **args))
    assert denied(house, identity, "ann") is Denied.NOT_RECORDED


@pytest.mark.parametrize("name", ["limited", "private"])
def test_each_reason(name: str) -> None:
    house = House.open()
    identity = house.limited("a", "ann") if name == "limited" else house.private("a", "ann")
    house.ok("ann", access(identity, "ann"))
    assert denied(house, bytes(16), "ann") is Denied.UNKNOWN_OBJECT
    assert denied(house, identity, "bo") is Denied.NO_GRANT
    assert denied(house, identity, "ann", "vault-2") is Denied.OTHER_CUSTODIAN
    house.time_ms += WINDOW_MS
    assert denied(house, identity, "ann") is None
    house.time_ms += 1
    assert denied(house, identity, "ann") is Denied.RECORD_OVER
    house.ok("ann", access(identity, "ann"))
    assert denied(house, identity, "ann") is None
    house.ok("ann", Operation("accounts", "revoke_key", {"key": sealing("ann")}))
    assert denied(house, identity, "ann") is Denied.KEY_REVOKED
    house.time_ms = house.soon()
    assert denied(house, identity, "ann") is Denied.GRANT_OVER
    if name == "private":
        house.ok("owner", op("delete", object=identity, reason="error"))
        assert denied(house, identity, "ann") is Denied.NOT_ACTIVE


TestReleases = Releases.TestCase
TestReleases.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
