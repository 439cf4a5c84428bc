"""What an operator is told about certificates and lists, at which time (docs/spec/certificates.md §9)."""

from __future__ import annotations

import pytest

from chain_core.crypto.x509.errors import Reason
from chain_core.crypto.x509.watch import AlarmCode, ListState, Watched, alarms

DAY, NOW = 86_400_000, 1_800_000_000_000
NO_LISTS = ListState(configured=False)


def told(
    *watched: Watched, lists: ListState = NO_LISTS, now_ms: int = NOW, warn_days: int = 30
) -> list[tuple[AlarmCode, str]]:
    found = alarms(watched, lists, now_ms, warn_ms=warn_days * DAY, chain_kind="local")
    assert all(alarm.what and alarm.next_step for alarm in found)
    return [(alarm.code, alarm.of) for alarm in found]


def one(left_ms: int, refusal: Reason | None = None, *, of: str = "bj-1", own: bool = True) -> Watched:
    return Watched(of, own, 0x99, NOW + left_ms, refusal, "the reason")


@pytest.mark.parametrize(
    ("watched", "code"),
    [
        (one(31 * DAY), None),
        (one(30 * DAY), AlarmCode.CERTIFICATE_EXPIRES_SOON),
        (one(0), AlarmCode.CERTIFICATE_EXPIRES_SOON),
        (one(-999), AlarmCode.CERTIFICATE_EXPIRES_SOON),
        (one(-1000), AlarmCode.CERTIFICATE_EXPIRED),
        (one(-1000, Reason.EXPIRED), AlarmCode.CERTIFICATE_EXPIRED),
        (one(90 * DAY, Reason.EXPIRED), AlarmCode.CERTIFICATE_EXPIRED),  # an authority above it has ended
        (one(90 * DAY, Reason.REVOKED), AlarmCode.CERTIFICATE_REVOKED),
        (one(-DAY, Reason.REVOKED), AlarmCode.CERTIFICATE_REVOKED),
        (one(90 * DAY, Reason.UNTRUSTED), AlarmCode.CERTIFICATE_REFUSED),
        (one(90 * DAY, Reason.NOT_YET_VALID), AlarmCode.CERTIFICATE_REFUSED),
        (one(-DAY, Reason.UNTRUSTED), AlarmCode.CERTIFICATE_EXPIRED),
        (one(90 * DAY, Reason.CRL_MISSING), AlarmCode.CRL_MISSING),
        (one(90 * DAY, Reason.CRL_STALE), None),  # the list alarms, once for all it concerns
        (one(DAY, Reason.CRL_STALE), AlarmCode.CERTIFICATE_EXPIRES_SOON),
    ],
)
@pytest.mark.parametrize("own", [True, False], ids=["own", "a peer's"])
def test_a_certificate(watched: Watched, code: AlarmCode | None, own: bool) -> None:
    facts = Watched("bj-1", own, watched.serial, watched.not_after_ms, watched.refusal, watched.detail)
    assert told(facts) == ([] if code is None else [(code, "bj-1")])


@pytest.mark.parametrize(
    ("lists", "codes"),
    [
        (NO_LISTS, []),
        (ListState(False, "gone", [("CN=a", NOW - DAY)]), []),
        (ListState(True), []),
        (ListState(True, "gone"), [(AlarmCode.CRL_MISSING, "security.crl")]),
        (ListState(True, "", [("CN=a", NOW + 1)]), []),
        (ListState(True, "", [("CN=a", NOW), ("CN=b", NOW + DAY)], DAY), [(AlarmCode.CRL_STALE, "CN=a")]),
        (
            ListState(True, "gone", [("CN=a", NOW - 1)]),
            [(AlarmCode.CRL_MISSING, "security.crl"), (AlarmCode.CRL_STALE, "CN=a")],
        ),
    ],
)
def test_lists(lists: ListState, codes: list[tuple[AlarmCode, str]]) -> None:
    assert told(lists=lists) == codes


def test_it_says_what_still_counts_and_what_no_longer_does() -> None:
    def said(lists: ListState) -> str:
        return alarms([], lists, NOW, warn_ms=0, chain_kind="local")[0].what

    assert "clients are refused" in said(ListState(True, "gone"))
    assert "stay in force" in said(ListState(True, "gone", [("CN=a", NOW + 1)]))
    assert "when the grace is over" in said(ListState(True, "", [("CN=a", NOW)], grace_ms=1))
    assert said(ListState(True, "", [("CN=a", NOW)])).endswith("its clients are refused")


def test_the_weightiest_first_and_each_once() -> None:
    found = told(
        one(DAY, of="c"), one(-DAY, of="b"), one(DAY, Reason.REVOKED, of="z"), one(-DAY, of="b"),
        lists=ListState(True, "gone"),
    )  # fmt: skip
    assert found == [
        (AlarmCode.CERTIFICATE_REVOKED, "z"),
        (AlarmCode.CERTIFICATE_EXPIRED, "b"),
        (AlarmCode.CRL_MISSING, "security.crl"),
        (AlarmCode.CERTIFICATE_EXPIRES_SOON, "c"),
    ]


def test_a_file_that_is_gone_is_told_once() -> None:
    assert told(one(90 * DAY, Reason.CRL_MISSING), lists=ListState(True, "gone")) == [
        (AlarmCode.CRL_MISSING, "security.crl")
    ]


def test_a_revoked_validator_is_the_governors_business_and_the_command_is_named() -> None:
    facts = one(DAY, Reason.REVOKED, of="js-2", own=False)
    step = alarms([facts], NO_LISTS, NOW, warn_ms=0, chain_kind="supervisory")[0].next_step
    assert "dualchain supervisory validators rotate js-2 --purpose transport" in step
    assert "dualchain supervisory validators remove js-2" in step
