"""Applications: from each state the steps of the specification; who may apply, and who may not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.execution.account_records import decode_record, encode_record
from chain_core.execution.codes import Code
from service_registry import applications
from service_registry.records import SERVICES, Application, application_key, decode
from tests.unit.execution.world import account
from tests.unit.service_registry.house import SERVICE, House, assertion_key, prepared, refused, wide
from tests.unit.service_registry.states import STEPS

WRONG = "services.wrong_state"
NONE = "services.no_application"
APPLICATIONS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "none": ((), {"apply": "applied", "confirm": NONE, "refuse": NONE, "withdraw": NONE, "revoke": NONE}),
    "applied": (
        ("apply",),
        {"apply": WRONG, "confirm": "confirmed", "refuse": "refused", "withdraw": "withdrawn", "revoke": WRONG},
    ),
    "confirmed": (
        ("apply", "confirm"),
        {"apply": WRONG, "confirm": WRONG, "refuse": WRONG, "withdraw": "withdrawn", "revoke": "revoked"},
    ),
    "refused": (
        ("apply", "refuse"),
        {"apply": "applied", "confirm": WRONG, "refuse": WRONG, "withdraw": WRONG, "revoke": WRONG},
    ),
    "withdrawn": (
        ("apply", "withdraw"),
        {"apply": "applied", "confirm": WRONG, "refuse": WRONG, "withdraw": WRONG, "revoke": WRONG},
    ),
    "revoked": (
        ("apply", "confirm", "revoke"),
        {"apply": "applied", "confirm": WRONG, "refuse": WRONG, "withdraw": WRONG, "revoke": WRONG},
    ),
}


@pytest.mark.parametrize(("state", "step"), [(state, step) for state in APPLICATIONS for step in STEPS])
def test_applications(states: dict[str, House], state: str, step: str) -> None:
    house, (path, expected) = states["online"].branch(), APPLICATIONS[state]
    for taken in path:
        house.ok(STEPS[taken][0], taken, **STEPS[taken][1])
    receipt = house.do(STEPS[step][0], step, **STEPS[step][1])
    if expected[step].startswith("services."):
        assert refused(receipt)[0] == expected[step]
    else:
        assert receipt.code == Code.OK
        raw = house.world.state[state_key(SERVICES, application_key(SERVICE, account("consumer")))]
        assert decode(Application, raw).status == expected[step]


def test_who_cannot_apply(states: dict[str, House]) -> None:
    house = states["online"].branch()
    house.spell("branch", wide)
    house.certify("branch", "second consumer")
    apply = {"service": SERVICE}
    assert refused(house.do("publisher", "apply", **apply, market="BJ"))[0] == "services.same_side"
    assert refused(house.do("branch", "apply", **apply, market="SH"))[0] == "services.same_side"
    assert refused(house.do("unbound", "apply", **apply, market="JS"))[0] == "services.not_your_market"
    assert house.do("tester", "apply", **apply, market="JS").code == Code.FORBIDDEN
    assert refused(states["tested"].branch().do("consumer", "apply", **apply, market="JS"))[0] == WRONG
    assert refused(house.do("second consumer", "confirm", service=SERVICE, consumer=account("consumer")))[0] == (
        "services.not_publisher"
    )
    house.ok("second consumer", "apply", **apply, market="ZJ")


def test_an_open_service_confirms_whoever_applies_for_the_first_time() -> None:
    house = prepared(lambda house: house.in_force(permission="open"))
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    assert _status(house) == "confirmed"
    house.ok("publisher", "revoke", service=SERVICE, consumer=account("consumer"), reason="over")
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    assert _status(house) == "applied", "whoever was put out does not let himself in again"
    house.ok("consumer", "withdraw", service=SERVICE)
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    assert _status(house) == "applied"


def test_a_listed_service_takes_applications_of_the_listed_markets() -> None:
    house = prepared(lambda house: house.in_force(permission="listed", markets=["JS"]))
    house.certify("second consumer")
    receipt = house.do("second consumer", "apply", service=SERVICE, market="ZJ")
    assert refused(receipt) == ("services.not_listed", ("ZJ",))
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    assert _status(house) == "applied"


def _status(house: House) -> str:
    raw = house.world.state[state_key(SERVICES, application_key(SERVICE, account("consumer")))]
    return decode(Application, raw).status


def test_whoever_tested_it_does_not_consume_it(states: dict[str, House]) -> None:
    house = states["draft"].branch()
    house.certify("consumer's tester")
    house.test("consumer's tester")
    house.spell("consumer", wide)
    house.ok("publisher", "register", service=SERVICE)
    receipt = house.do("consumer", "apply", service=SERVICE, market="JS")
    assert refused(receipt) == ("services.tested_it", (wide("Jiangsu market"),))


def test_both_sides_need_certificates(states: dict[str, House]) -> None:
    house = states["online"].branch()
    receipt = house.do("second consumer", "apply", service=SERVICE, market="ZJ")
    assert refused(receipt) == ("services.no_certificate", (account("second consumer"),))
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    _revoke_assertion_key(house, "publisher")
    receipt = house.do("publisher", "confirm", service=SERVICE, consumer=account("consumer"))
    assert refused(receipt) == ("services.no_certificate", (account("publisher"),))


def test_the_list_of_consumers_has_its_limit(states: dict[str, House], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "MAX_CONSUMERS", 1)
    house = states["online"].branch()
    house.certify("second consumer")
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    receipt = house.do("second consumer", "apply", service=SERVICE, market="ZJ")
    assert refused(receipt) == ("services.too_many_consumers", (1,))
    house.ok("consumer", "withdraw", service=SERVICE)
    house.ok("consumer", "apply", service=SERVICE, market="JS")


def test_without_the_publishers_key_nothing_is_called(states: dict[str, House]) -> None:
    house = states["online"].branch()
    house.ok("consumer", "apply", service=SERVICE, market="JS")
    house.ok("publisher", "confirm", service=SERVICE, consumer=account("consumer"))
    row = house.record("consumer")
    _revoke_assertion_key(house, "publisher")
    receipt = house.do("gateway", "record_access", records=[row])
    assert refused(receipt) == ("services.record_denied", (0, "NO_PUBLISHER_KEY"))


def test_a_certificate_is_of_an_assertion_key_of_ones_own() -> None:
    house = House.begin()
    foreign = house.do("publisher", "upload_certificate", key=assertion_key("consumer"), certificate=bytes(32))
    assert refused(foreign) == ("services.not_assertion_key", (sm3(assertion_key("consumer")),))
    assert house.do("gateway", "upload_certificate", key=bytes(64), certificate=bytes(32)).code == Code.FORBIDDEN


def _revoke_assertion_key(house: House, who: str) -> None:
    place = state_key("accounts", b"a" + account(who))
    record = decode_record(house.world.state[place])
    house.world.state[place] = encode_record(replace(record, keys={"transaction": record.keys["transaction"]}))
