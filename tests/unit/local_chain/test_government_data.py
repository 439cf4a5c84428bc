"""Uses of a data authorisation: granted by the enterprise, counted on its market's chain before they are made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.identity.data_uses import (
    GOVDATA,
    Granted,
    Use,
    bureau_place,
    decode_bureau,
    decode_granted,
    decode_use,
    full_key,
    grant_place,
    use_place,
)
from crosschain.identity.document import ASSERTION, AUTHENTICATION
from local_chain.government_data import GovernmentData
from local_chain.identities import Identities
from tests.unit.contracts.market import MONDAY, Market, noon, op
from tests.unit.execution.world import account

BUREAU = "91310104MA1FRNWW80"
COMPANY = "did:rem:beijing:BJ000001F"
CREDENTIAL, OTHER = "did:rem:beijing:VC000001", "did:rem:beijing:VC000002"
EVIDENCE, RECEIPT = sm3(b"material"), sm3(b"receipt")
TWO = ("governor-2",)


def key(name: str) -> bytes:
    return sm3(b"x " + name.encode()) + sm3(b"y " + name.encode())


def gov(method: str, **args: Value) -> Operation:
    return op(method, GOVDATA, **args)


def issue(market: Market, credential: str = CREDENTIAL, **changes: Value) -> Operation:
    args: dict[str, Value] = {
        "credential": credential,
        "issuer": COMPANY,
        "digest": sm3(b"the credential"),
        "kind": "DataAuthorization",
        "subject": COMPANY,
        "valid_from_ms": market.time_ms,
        "expires_ms": noon(MONDAY + 30),
    }
    return op("issue", "identities", **{**args, **changes})


def begin(request: str, credential: str = CREDENTIAL) -> Operation:
    return gov("begin", credential=credential, request=sm3(request.encode()), consumer=account("consumer"))


def settle(number: int = 1, **changes: Value) -> Operation:
    args: dict[str, Value] = {"credential": CREDENTIAL, "number": number, "bureau": BUREAU, "receipt": RECEIPT}
    return gov("settle", **{**args, **changes})


def opened(uses: int = 2) -> Market:
    """The issuer has a DID with an assertion key, a credential on record and two uses granted; a bureau is named."""
    market = Market.open((), extra=(Identities(), GovernmentData()))
    for purpose in (AUTHENTICATION, ASSERTION):
        market.ok("issuer", op("attach_key", "accounts", purpose=purpose, key=key(purpose)))
    market.ok("operator", op("create", "identities", did=COMPANY, account=account("issuer"), evidence=EVIDENCE))
    market.ok("operator", gov("name_bureau", bureau=BUREAU, name="政务数据局", key=key("bureau")), cosigners=TWO)
    market.ok("issuer", issue(market), gov("authorise", credential=CREDENTIAL, uses=uses))
    return market


@pytest.fixture
def market() -> Market:
    return opened()


def granted(market: Market) -> Granted:
    raw = market.state.get(full_key(grant_place(CREDENTIAL)))
    assert raw is not None
    return decode_granted(raw)


def use(market: Market, number: int = 1) -> Use:
    raw = market.state.get(full_key(use_place(CREDENTIAL, number)))
    assert raw is not None
    return decode_use(raw)


def test_a_use_is_counted_before_it_is_made_and_settled_once(market: Market) -> None:
    market.ok("operator", begin("first"))
    assert (granted(market).uses, granted(market).used) == (2, 1)
    assert not use(market).settled and use(market).consumer == account("consumer")
    market.ok("operator", settle())
    assert (use(market).bureau, use(market).receipt) == (BUREAU, RECEIPT)
    assert market.refused("operator", settle()) == "govdata.settled"
    market.ok("operator", begin("second"))
    assert market.refused("operator", begin("third")) == "govdata.used_up"
    assert granted(market).used == 2


def test_one_request_counts_once(market: Market) -> None:
    market.ok("operator", begin("first"))
    assert market.refused("operator", begin("first")) == "govdata.begun"
    market.ok("issuer", issue(market, OTHER), gov("authorise", credential=OTHER, uses=1))
    assert market.refused("operator", begin("first", OTHER)) == "govdata.begun"
    assert granted(market).used == 1


def test_a_bureau_is_named_by_two_houses(market: Market) -> None:
    other = gov("name_bureau", bureau=BUREAU, name="bureau", key=key("another"))
    assert market.refused("operator", other) == "kernel.four_eyes"
    market.ok("operator", other, cosigners=TWO)
    raw = market.state.get(full_key(bureau_place(BUREAU)))
    assert raw is not None and decode_bureau(raw).key == key("another")
    wrong = gov("name_bureau", bureau="91310104MA1FRNWW81", name="bureau", key=key("another"))
    assert market.refused("operator", wrong, cosigners=TWO) == "govdata.bad_bureau"


def revoked(market: Market) -> None:
    market.ok("issuer", op("revoke", "identities", credential=CREDENTIAL, evidence=EVIDENCE))


def deactivated(market: Market) -> None:
    market.ok("operator", op("deactivate", "identities", did=COMPANY, evidence=EVIDENCE))


def over(market: Market) -> None:
    market.go_to(MONDAY + 31)


def begun(market: Market) -> None:
    market.ok("operator", begin("first"))


def nothing(market: Market) -> None:
    pass


REFUSED: dict[str, tuple[Callable[[Market], None], str, Callable[[Market], Operation], str]] = {
    "revoked": (revoked, "operator", lambda m: begin("first"), "govdata.revoked"),
    "its issuer is gone": (deactivated, "operator", lambda m: begin("first"), "govdata.revoked"),
    "over": (over, "operator", lambda m: begin("first"), "govdata.over"),
    "not granted": (nothing, "operator", lambda m: begin("first", OTHER), "govdata.no_grant"),
    "granted twice": (nothing, "issuer", lambda m: gov("authorise", credential=CREDENTIAL, uses=9), "govdata.granted"),
    "granted by a stranger": (
        nothing,
        "operator",
        lambda m: gov("authorise", credential=CREDENTIAL, uses=9),
        "govdata.not_issuer",
    ),
    "granted for nothing on record": (
        nothing,
        "issuer",
        lambda m: gov("authorise", credential=OTHER, uses=9),
        "govdata.no_credential",
    ),
    "settled without a use": (nothing, "operator", lambda m: settle(), "govdata.no_use"),
    "settled by another": (begun, "issuer", lambda m: settle(), "govdata.not_yours"),
    "settled by an unknown bureau": (begun, "operator", lambda m: settle(bureau="9" * 18), "govdata.no_bureau"),
    "settled by a bureau that no key can name": (
        begun,
        "operator",
        lambda m: settle(bureau="政" * 6),
        "govdata.no_bureau",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(market: Market, case: str) -> None:
    before, who, operation, rule = REFUSED[case]
    before(market)
    assert market.refused(who, operation(market)) == rule


@pytest.mark.parametrize(
    "changes", [{"kind": "CreditData"}, {"subject": "did:rem:beijing:BJ000002F"}], ids=["kind", "somebody else"]
)
def test_only_an_authorisation_about_oneself_is_granted(market: Market, changes: dict[str, Value]) -> None:
    market.ok("issuer", issue(market, OTHER, **changes))
    assert market.refused("issuer", gov("authorise", credential=OTHER, uses=1)) == "govdata.wrong_kind"


def test_only_the_operator_begins(market: Market) -> None:
    for who in ("issuer", "bank"):
        assert market.refused(who, begin("first")) == str(market.one(who, begin("first")).code)
    assert granted(market).used == 0


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["begin", "settle", "revoke"]), st.integers(1, 5)), max_size=12))
def test_never_more_uses_than_granted(steps: list[tuple[str, int]]) -> None:
    """Whatever the order: used counts the uses there are, never above what was granted, none after revocation."""
    market, requests, ended = opened(3), set[int](), False
    for step, which in steps:
        if step == "begin":
            allowed = which not in requests and len(requests) < 3 and not ended
            assert (market.one("operator", begin(str(which))).code == 0) is allowed
            requests |= {which} if allowed else set()
        elif step == "settle":
            there = which <= len(requests) and not use(market, which).settled
            assert (market.one("operator", settle(which)).code == 0) is there
        elif not ended:
            revoked(market)
            ended = True
        assert granted(market).used == len(requests) <= granted(market).uses
