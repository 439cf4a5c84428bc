"""The table of a port's sessions: bounded by count, idleness, age and half-open handshakes."""

from contextlib import ExitStack

import pytest

from chain_core.network.secured.security import Bounds
from chain_core.network.secured.session_table import SessionTable
from chain_core.network.sm_session.ports import PeerIdentity
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.session import Session
from chain_core.network.sm_session.suite import Direction
from chain_core.types.errors import PeerFault
from tests.unit.network.sm_session.support import client, server, shake


def session() -> Session:
    return Session(shake(client(), server())[1], Direction.SERVER)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def table(**bounds: float) -> tuple[SessionTable, Clock]:
    clock = Clock()
    return SessionTable(Bounds(**bounds), clock), clock  # type: ignore[arg-type]


def reason(session_id: bytes, sessions: SessionTable) -> Reason:
    with pytest.raises(SessionRefused) as refused:
        sessions.find(session_id)
    return refused.value.reason


def test_the_one_idle_longest_makes_room() -> None:
    sessions, clock = table(sessions=2)
    one, two, three = session(), session(), session()
    sessions.add(one)
    sessions.add(two)
    clock.now = 1.0
    assert sessions.find(one.id).caller.name == "alice"
    sessions.add(three)
    assert reason(two.id, sessions) is Reason.SESSION_UNKNOWN and two.ended is not None
    assert sessions.find(one.id).session is one and sessions.find(three.id).session is three


def test_idle_and_old() -> None:
    sessions, clock = table(idle_s=10.0, lifetime_s=25.0)
    one, two = session(), session()
    sessions.add(one)
    sessions.add(two)
    for clock.now in (9.0, 18.0, 24.0):
        sessions.touch(sessions.find(one.id))
    assert reason(two.id, sessions) is Reason.SESSION_EXPIRED
    assert reason(two.id, sessions) is Reason.SESSION_UNKNOWN
    clock.now = 25.0
    sessions.sweep()
    assert len(sessions) == 0 and one.ended is not None and one.ended.reason is Reason.SESSION_EXPIRED


def test_a_broken_session_is_gone() -> None:
    sessions, _ = table()
    one = session()
    sessions.add(one)
    one.end(SessionRefused(Reason.BAD_RECORD, "test"))
    assert len(sessions) == 0 and reason(one.id, sessions) is Reason.SESSION_UNKNOWN


def test_half_open_handshakes() -> None:
    """Capped in all and an address; what has ended, well or badly, counts no more."""
    sessions, _ = table(half_open=3, half_open_an_address=2)
    with ExitStack() as stack:
        for address in ("a", "a", "b"):
            stack.enter_context(sessions.handshake(address))
        assert sessions.half_open == 3
        for address in ("a", "b", "c"):
            with pytest.raises(SessionRefused) as refused, sessions.handshake(address):
                pass
            assert refused.value.reason is Reason.TOO_MANY_HANDSHAKES and refused.value.retry_after_ms > 0
    assert sessions.half_open == 0
    with ExitStack() as stack:
        stack.enter_context(sessions.handshake("a"))
        stack.enter_context(sessions.handshake("a"))
        with pytest.raises(SessionRefused), sessions.handshake("a"):
            pass
        with sessions.handshake("b"):
            pass
    assert not sessions._half_open


def test_certificates_are_asked_about_again() -> None:
    sessions, _ = table()
    one = session()
    sessions.add(one)
    sessions.verify_again(lambda certificates: one.peer)
    assert len(sessions) == 1

    def revoked(certificates: object) -> object:
        raise PeerFault("revoked")

    sessions.verify_again(revoked)  # type: ignore[arg-type]
    assert len(sessions) == 0 and one.ended is not None and one.ended.reason is Reason.CERTIFICATE_REFUSED
    sessions.add(session())
    sessions.end_all()
    assert len(sessions) == 0


def test_a_side_that_dials_judges_its_session_again_too() -> None:
    one, refused = session(), SessionRefused(Reason.NOT_A_VALIDATOR, "two: another key is listed", where="certificate")

    def no_more(_: object) -> PeerIdentity:
        raise refused

    one.judge_again(lambda certificates: one.peer)
    assert one.ended is None
    one.judge_again(no_more)
    assert one.ended is not None and (one.ended.reason, one.ended.what) == (Reason.CERTIFICATE_REFUSED, refused.what)
    with pytest.raises(SessionRefused, match="another key is listed"):
        one.begin("/test.Service/One").seal(b"")
