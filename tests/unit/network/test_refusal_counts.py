"""Counters of refusals: a fixed few series, each refusal in one of them, whatever callers send."""

import pytest

from chain_core.network import refusals
from chain_core.network.refusal_counts import RefusalCounts, Why
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.types.errors import DualchainError, MalformedBytes, PeerFault

EXPECTED = [
    (SessionRefused(Reason.BAD_RECORD, "x"), "session"),
    (SessionRefused(Reason.REPLAYED, "x"), "session"),
    (SessionRefused(Reason.WRONG_CHAIN, "x"), "session"),
    (SessionRefused(Reason.CERTIFICATE_REFUSED, "x"), "certificate"),
    (SessionRefused(Reason.NOT_A_VALIDATOR, "x"), "certificate"),
    (SessionRefused(Reason.TOO_MANY_HANDSHAKES, "x"), "handshakes"),
    (SessionRefused(Reason.WRONG_ROLE, "x"), "role"),
    (SessionRefused(Reason.OVERSIZE_MESSAGE, "x"), "size"),
    (refusals.PermissionDenied("x"), "role"),
    (refusals.QuotaExceeded("x"), "quota"),
    (refusals.Oversize("x"), "size"),
    (refusals.AuditUnavailable("x"), "audit"),
    (refusals.Overloaded("x"), "busy"),
    (MalformedBytes("x"), "request"),
    (PeerFault("x"), "request"),
]


@pytest.mark.parametrize(("refusal", "reason"), EXPECTED, ids=lambda value: getattr(value, "code", value))
def test_each_refusal_has_one_reason(refusal: DualchainError, reason: str) -> None:
    counts = RefusalCounts("peer", "client")
    counts.count("client", refusal)
    counts.count("client", refusal)
    assert [(port, why.value, n) for port, why, n in counts.items() if n] == [("client", reason, 2)]


def test_every_reason_of_a_session_is_known_and_none_is_the_callers_request() -> None:
    counts = RefusalCounts("peer")
    for reason in Reason:
        counts.count("peer", SessionRefused(reason, "x"))
    found = {why: n for _, why, n in counts.items()}
    assert sum(found.values()) == len(Reason) and not found[Why.REQUEST]


def test_series_are_there_from_the_start_and_do_not_grow() -> None:
    counts = RefusalCounts("peer", "client")
    before = list(counts.items())
    assert len(before) == 2 * len(Why) and not any(n for _, _, n in before)
    for number in range(500):
        refusal = refusals.ServiceRefusal("x")
        refusal.code = f"MADE_UP_{number}"
        counts.count("client", refusal)
    assert [(port, why) for port, why, _ in counts.items()] == [(port, why) for port, why, _ in before]
    assert {(port, why): n for port, why, n in counts.items()}["client", Why.REQUEST] == 500
