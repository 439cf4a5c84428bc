"""The sessions of one port, bounded in every way (docs/spec/sm-session.md section 6)."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from chain_core.network.identity import Caller
from chain_core.network.secured.security import SM, Bounds
from chain_core.network.sm_session.ports import Verify
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.session import Session


@dataclass(slots=True, eq=False)
class Entry:
    """A session at its port; times in seconds of the table's clock."""

    session: Session
    caller: Caller
    begun: float
    used: float


class SessionTable:
    """``clock``: seconds, never going back."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._bounds, self._clock = bounds, clock
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()  # the one idle longest first
        self._half_open: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def half_open(self) -> int:
        """Handshakes under way."""
        return self._half_open.total()

    @contextmanager
    def handshake(self, address: str) -> Iterator[None]:
        """Counts a handshake while it lasts. Raises SessionRefused TOO_MANY_HANDSHAKES."""
        bounds = self._bounds
        if self._half_open.total() >= bounds.half_open or self._half_open[address] >= bounds.half_open_an_address:
            what = f"{self._half_open[address]} handshakes of {address} are under way, {self._half_open.total()} in all"
            raise SessionRefused(Reason.TOO_MANY_HANDSHAKES, what, where="handshake", retry_after_ms=100)
        self._half_open[address] += 1
        try:
            yield
        finally:
            self._half_open[address] -= 1
            if not self._half_open[address]:
                del self._half_open[address]

    def add(self, session: Session, address: str = "") -> Entry:
        """Takes a session in; the one idle longest makes room. ``address``: where its handshake came from."""
        now = self._clock()
        peer = session.peer
        caller = Caller(SM, peer.subject, peer.roles, peer.fingerprint, peer.public_key, peer.entity, address)
        if len(self._entries) >= self._bounds.sessions:
            oldest = next(iter(self._entries.values()))
            oldest.session.end(SessionRefused(Reason.SESSION_UNKNOWN, "newer sessions took its place", where="session"))
        entry = self._entries[session.id] = Entry(session, caller, now, now)
        session.on_end = partial(self._entries.pop, session.id, None)
        return entry

    def find(self, session_id: bytes) -> Entry:
        """The session, used now. Raises SessionRefused: SESSION_UNKNOWN, SESSION_EXPIRED, or why it ended."""
        entry = self._entries.get(session_id)
        if entry is None:
            raise SessionRefused(Reason.SESSION_UNKNOWN, "no such session", where="session")
        if not self._expire(entry):
            self.touch(entry)
        entry.session.check()
        return entry

    def touch(self, entry: Entry) -> None:
        """A record came or went."""
        entry.used = self._clock()
        if entry.session.id in self._entries:
            self._entries.move_to_end(entry.session.id)

    def _expire(self, entry: Entry) -> bool:
        now = self._clock()
        idle, age = now - entry.used, now - entry.begun
        if idle < self._bounds.idle_s and age < self._bounds.lifetime_s:
            return False
        what = f"{age:.0f} s old, {idle:.0f} s without a record"
        entry.session.end(SessionRefused(Reason.SESSION_EXPIRED, what, where="session"))
        return True

    def sweep(self) -> None:
        """Ends what expired."""
        for entry in list(self._entries.values()):
            self._expire(entry)

    def verify_again(self, verify: Verify) -> None:
        """Ends the sessions whose certificates are refused now: revoked or expired meanwhile."""
        for entry in list(self._entries.values()):
            entry.session.judge_again(verify)

    def end_all(self) -> None:
        """The port closes."""
        for entry in list(self._entries.values()):
            entry.session.end(SessionRefused(Reason.SESSION_UNKNOWN, "the port closes", where="session"))
