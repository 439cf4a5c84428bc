"""Life of an object in each tier, and each refusal of the contract ``data``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.data.records import DATA, MAX_READERS, AccessLog, Deletion, decode
from contracts.data.texts import RULES
from tests.unit.contracts.data.house import (
    House,
    access,
    custodian,
    described,
    op,
    reference,
    row,
    sealing,
    wrap,
)
from tests.unit.execution.world import account, key


@pytest.fixture
def house() -> House:
    return House.open()


def test_public_data_is_in_plain_and_revised_in_order(house: House) -> None:
    identity = house.public("bylaws")
    assert house.read(DATA, b"b" + identity) == b"in plain"
    house.ok("owner", op("revise", object=identity, version=1, body=b"changed"))
    assert house.read(DATA, b"b" + identity) == b"changed" and house.descriptor(identity).version == 2
    assert house.refused("owner", op("revise", object=identity, version=1, body=b"late")) == "data.wrong_version"


def test_limited_data_lists_its_readers_and_a_new_version_withdraws(house: House) -> None:
    identity = house.limited("contract", "ann", "bo")
    assert house.readers(identity) == sorted((account("ann"), account("bo")))
    house.ok("owner", op("share", object=identity, version=1, grants=[row("cy", house.soon())]))
    assert len(house.readers(identity)) == 3
    sealed = bytes(28 + 512)
    args = house.sealed_args(row("ann", house.soon()), sealed=sealed)
    house.ok("owner", op("reseal", object=identity, version=1, **args))
    assert house.readers(identity) == [account("ann")]
    assert house.grant(identity, "bo") is None and house.read(DATA, b"b" + identity) == sealed
    assert house.descriptor(identity).size_class == 9 and house.descriptor(identity).version == 2
    assert sorted(house.events()) == ["granted", "revised", "withdrawn", "withdrawn"]


def test_an_access_is_counted_and_chained(house: House) -> None:
    identity = house.limited("contract", "ann")
    one = house.ok("ann", access(identity, "ann"))
    two = house.ok("ann", access(identity, "ann", purpose="judicial"))
    log = decode(AccessLog, house.read(DATA, b"l" + identity + account("ann")) or b"")
    digest = sm3(sm3(bytes(32) + one.transaction_id) + two.transaction_id)
    expected = AccessLog(2, 1, house.time_ms, house.height, "judicial", sealing("ann"), digest)
    assert log == expected


def test_private_data_is_ordered_away_and_confirmed(house: House) -> None:
    identity = house.private("card", "ann")
    before = house.descriptor(identity)
    house.ok("owner", op("delete", object=identity, reason="request"))
    assert house.descriptor(identity).status == "deleting" and not house.readers(identity)
    assert house.grant(identity, "ann") is None
    house.ok("vault", op("confirm_deletion", object=identity))
    record = decode(Deletion, house.read(DATA, b"x" + identity) or b"")
    assert record.by == account("owner") and record.custodian == account("vault")
    assert record.ordered_height + 1 == record.destroyed_height == house.height
    after = house.descriptor(identity)
    assert after.status == "deleted" and after.commitment == before.commitment


def test_a_regulator_grants_itself_and_holds(house: House) -> None:
    identity = house.private("card")
    house.ok("csrc", op("allow", object=identity, reader=account("csrc"), expires_ms=house.soon()))
    house.ok("csrc", access(identity, "csrc", purpose="supervision"))
    house.ok("csrc", op("hold", object=identity, held=True))
    assert house.refused("owner", op("delete", object=identity, reason="request")) == "data.held"
    house.ok("csrc-2", op("hold", object=identity, held=False))
    house.ok("owner", op("delete", object=identity, reason="request"))


def test_an_ended_regulators_grant_is_the_owners_again(house: House) -> None:
    identity = house.private("card")
    reader, end = account("ann"), house.soon()
    house.ok("csrc", op("allow", object=identity, reader=reader, expires_ms=end))
    longer = op("allow", object=identity, reader=reader, expires_ms=end + 1_000_000_000)
    assert house.refused("owner", longer) == "data.regulators_grant"
    house.time_ms = end
    house.ok("owner", longer)
    grant = house.grant(identity, "ann")
    assert grant is not None and grant.by == "owner"


def test_ended_grants_make_room_and_no_others_do(house: House) -> None:
    identity = house.private("card")
    names = [f"reader-{n}" for n in range(MAX_READERS)]
    registered = [house.sign("owner", op("allow", object=identity, reader=account("ann"), expires_ms=house.soon()))]
    assert house.block(*registered)[0].code == 0
    for name in names[1:]:  # filled past the methods: accounts of so many readers are of no interest here
        house.state[_grant_key(identity, name)] = house.state[_grant_key(identity, "ann")]
    listed = sorted([account("ann"), *map(account, names[1:])])
    house.state[_full(b"n" + identity)] = encode_value(list[Value](listed))
    more = op("allow", object=identity, reader=account("bo"), expires_ms=house.soon(9))
    assert house.refused("owner", more) == "data.too_many_readers"
    house.time_ms = house.soon(2)
    house.ok("owner", more)
    assert house.readers(identity) == [account("bo")]


def test_acting_for_somebody_reads_as_him(house: House) -> None:
    identity = house.limited("contract", "ann")
    house.ok("ann", Operation("accounts", "grant", {"account": account("bo")}))
    house.ok("bo", access(identity, "ann"), on_behalf_of=account("ann"))
    assert house.read(DATA, b"l" + identity + account("ann")) is not None


def _full(own: bytes) -> bytes:
    return state_key(DATA, own)


def _grant_key(identity: bytes, name: str) -> bytes:
    return _full(b"g" + identity + account(name))


Story = Callable[[House], tuple[str, Operation]]


def seal(h: House, *grants: dict[str, Value], **changes: Value) -> tuple[str, Operation]:
    args = h.sealed_args(*grants, **changes)
    return "owner", op("seal", reference=reference("new"), kind="agreement", **args)


def with_wraps(h: House, *wraps: bytes) -> dict[str, Value]:
    return row("ann", h.soon()) | {"wraps": list(wraps)}


def allow(identity: bytes, reader: str, expires_ms: int) -> Operation:
    return op("allow", object=identity, reader=account(reader), expires_ms=expires_ms)


def resealed(h: House, who: str, **changes: Value) -> tuple[str, Operation]:
    return who, op("reseal", object=h.limited("a"), **({"version": 1} | h.sealed_args() | changes))


REFUSALS: list[tuple[str, Story]] = [
    ("12", lambda h: ("ann", op("publish", reference=reference("a"), kind="other", body=b"x"))),
    ("12", lambda h: ("ann", op("describe", **described("a")))),
    ("12", lambda h: ("owner", op("hold", object=h.private("a"), held=True))),
    ("10", lambda h: ("owner", op("publish", reference="110101199001011234", kind="other", body=b"x"))),
    ("10", lambda h: ("owner", op("publish", reference=reference("a"), kind="free words", body=b"x"))),
    ("10", lambda h: ("owner", op("publish", reference=reference("a"), kind="other", body=bytes(32_769)))),
    ("data.exists", lambda h: (h.public("a"), ("owner", op("describe", **described("a"))))[1]),
    ("data.unknown", lambda h: ("owner", op("delete", object=bytes(16), reason="error"))),
    ("data.unknown", lambda h: ("ann", access(bytes(16), "ann"))),
    ("data.not_owner", lambda h: ("operator", op("delete", object=h.private("a"), reason="error"))),
    ("data.not_owner", lambda h: resealed(h, "operator")),
    ("data.not_owner", lambda h: ("ann", op("revise", object=h.public("a"), version=1, body=b"x"))),
    ("data.not_owner", lambda h: ("csrc", op("withdraw", object=h.private("a", "ann"), reader=account("ann")))),
    ("data.not_allowed", lambda h: ("ann", allow(h.private("a"), "ann", h.soon()))),
    ("data.not_allowed", lambda h: ("vault", allow(h.private("a"), "vault", h.soon()))),
    ("data.not_allowed", lambda h: ("ann", op("withdraw", object=h.private("a", "ann"), reader=account("ann")))),
    ("data.wrong_tier", lambda h: ("owner", op("delete", object=h.public("a"), reason="error"))),
    ("data.wrong_tier", lambda h: ("owner", op("share", object=h.private("a"), version=1, grants=[]))),
    ("data.reseal", lambda h: ("owner", op("withdraw", object=h.limited("a", "ann"), reader=account("ann")))),
    ("data.wrong_version", lambda h: resealed(h, "owner", version=2)),
    ("data.wrong_version", lambda h: ("owner", op("share", object=h.limited("a"), version=2, grants=[]))),
    ("data.wrong_version", lambda h: ("ann", access(h.limited("a", "ann"), "ann", 2))),
    ("data.bad_sealed", lambda h: seal(h, sealed=bytes(28 + 257))),
    ("data.bad_wrap", lambda h: seal(h, with_wraps(h, wrap("ann")[:-1]))),
    ("data.bad_wrap", lambda h: seal(h, own={"key": sealing("owner"), "wrap": b"in plain"})),
    ("data.bad_wraps", lambda h: seal(h, with_wraps(h, wrap("ann"), wrap("ann")))),
    ("data.no_reader", lambda h: seal(h, row("ann", h.soon()) | {"reader": account("nobody")})),
    ("data.no_reader", lambda h: ("owner", allow(h.private("a"), "nobody", h.soon()))),
    ("data.no_sealing_key", lambda h: seal(h, row("ann", h.soon()) | {"key": key("ann")})),
    ("data.no_sealing_key", lambda h: seal(h, row("ann", h.soon()) | {"key": sealing("bo")})),
    ("data.no_sealing_key", lambda h: seal(h, custodians=[custodian() | {"key": key("vault asserts")}])),
    ("data.no_sealing_key", lambda h: seal(h, own={"key": key("owner"), "wrap": wrap("owner")})),
    ("data.no_sealing_key", lambda h: ("ann", access(h.private("a", "ann"), "ann", key=key("ann asserts")))),
    ("data.no_custodian", lambda h: seal(h, custodians=[{"account": account("bo"), "key": sealing("bo")}])),
    ("data.no_custodian", lambda h: ("owner", op("describe", **described("a", custodian=custodian("csrc"))))),
    ("data.own", lambda h: seal(h, row("owner", h.soon()))),
    ("data.twice", lambda h: seal(h, row("ann", h.soon()), row("ann", h.soon()))),
    ("data.twice", lambda h: seal(h, custodians=[custodian(), custodian()])),
    ("data.expired", lambda h: seal(h, row("ann", h.time_ms + 1_000))),
    ("data.expired", lambda h: ("owner", allow(h.private("a"), "ann", h.time_ms))),
    ("data.no_grant", lambda h: ("bo", access(h.limited("a", "ann"), "bo"))),
    ("data.no_grant", lambda h: ("owner", op("withdraw", object=h.private("a"), reader=account("ann")))),
    ("data.no_grant", lambda h: ("csrc", access(h.private("a"), "csrc"))),
    ("data.not_custodian", lambda h: ("vault-2", op("confirm_deletion", object=deleting(h)))),
    ("data.not_custodian", lambda h: ("owner", op("confirm_deletion", object=deleting(h)))),
    ("data.wrong_state", lambda h: ("vault", op("confirm_deletion", object=h.private("a")))),
    ("data.wrong_state", lambda h: ("owner", allow(deleting(h), "ann", h.soon()))),
    ("data.wrong_state", lambda h: ("ann", access(deleting(h), "ann"))),
    ("data.regulators_grant", lambda h: ("owner", op("withdraw", object=regulated(h), reader=account("ann")))),
]


def deleting(h: House) -> bytes:
    identity = h.private("a", "ann")
    h.ok("owner", op("delete", object=identity, reason="error"))
    return identity


def regulated(h: House) -> bytes:
    identity = h.private("a")
    h.ok("csrc", allow(identity, "ann", h.soon()))
    return identity


@pytest.mark.parametrize(("rule", "story"), REFUSALS, ids=[f"{i}-{rule}" for i, (rule, _) in enumerate(REFUSALS)])
def test_refusals(house: House, rule: str, story: Story) -> None:
    who, operation = story(house)
    state = dict(house.state)
    assert house.refused(who, operation) == rule
    assert house.state == state


def test_a_grant_ends(house: House) -> None:
    identity = house.limited("a", "ann")
    house.time_ms = house.soon() + 1
    assert house.refused("ann", access(identity, "ann")) == "data.grant_over"


def test_a_limited_grant_is_for_one_key(house: House) -> None:
    identity = house.limited("a", "ann")
    attach: dict[str, Value] = {"purpose": "sealing", "key": sealing("ann's second")}
    house.ok("ann", Operation("accounts", "attach_key", attach))
    assert house.refused("ann", access(identity, "ann", key=sealing("ann's second"))) == "data.other_key"
    house.ok(
        "owner", op("share", object=identity, version=1, grants=[row("ann", house.soon()) | {"key": attach["key"]}])
    )
    house.ok("ann", access(identity, "ann", key=sealing("ann's second")))


def test_every_rule_has_its_case() -> None:
    elsewhere = {"data.held", "data.too_many_readers", "data.grant_over", "data.other_key"}
    assert set(RULES) == {rule for rule, _ in REFUSALS if rule.startswith("data.")} | elsewhere
