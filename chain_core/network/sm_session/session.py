"""A session in use: calls with their two directions, each a strict sequence of records (docs/spec/sm-session.md §5)."""

from __future__ import annotations

from collections.abc import Callable

from chain_core.network.sm_session.ports import Established, Verify
from chain_core.network.sm_session.records import Header, Kind, Limits, Opener, Sealer, associated_tail, read_header
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.replay_window import ReplayWindow
from chain_core.network.sm_session.suite import Direction
from chain_core.types.errors import DualchainError

_LIMITS = Limits()


class Session:
    """Both directions of one side; ``ended`` once a record did not open, or somebody ended it."""

    def __init__(self, established: Established, side: Direction, limits: Limits = _LIMITS) -> None:
        self.id = established.session_id
        self.binding = established.binding
        self.peer = established.peer
        self.certificates = established.peer_certificates
        self.side = side
        self.ended: SessionRefused | None = None
        self.on_end: Callable[[], object] = lambda: None
        """Called once, when it ends."""
        secrets = (established.client_secret, established.server_secret)
        self.sealer = Sealer(self.id, secrets[side], limits)
        self.opener = Opener(secrets[1 - side], limits)
        self._window = ReplayWindow()
        self._next_call = 0

    def end(self, reason: SessionRefused) -> None:
        """Nothing goes through any more; the first reason stays."""
        if self.ended is None:
            self.ended = reason
            self.on_end()

    def judge_again(self, verify: Verify) -> None:
        """Ends the session when the peer's certificates are refused now."""
        try:
            verify(self.certificates)
        except DualchainError as refusal:
            self.end(SessionRefused(Reason.CERTIFICATE_REFUSED, refusal.what, where="certificate"))

    def begin(self, method: str) -> Call:
        """A call by the client."""
        number = self._next_call
        self._next_call += 1
        return Call(self, method, number)

    def accept(self, method: str, record: bytes) -> tuple[Call, bytes]:
        """A call by its first record, at the server. Raises SessionRefused."""
        header = read_header(record)
        self._window.check(header.call)
        call = Call(self, method, header.call)
        payload = call.open(record)
        self._window.take(header.call)
        return call, payload

    def open(self, header: Header, record: bytes, tail: bytes) -> bytes:
        """A record's payload; the session ends when it does not open. Raises SessionRefused."""
        self.check()
        if header.session_id != self.id:
            raise SessionRefused(Reason.SESSION_UNKNOWN, "a record of another session", where="record")
        try:
            return self.opener.open(header, record, tail)
        except SessionRefused as refusal:
            if refusal.reason in (Reason.BAD_RECORD, Reason.KEY_EXHAUSTED):
                self.end(refusal)
            raise

    def check(self) -> None:
        """Raises the reason for which the session ended."""
        if self.ended is not None:
            raise SessionRefused(self.ended.reason, self.ended.what, where=self.ended.where)


class Call:
    """Both directions of one call at one side: what it seals is numbered, what it opens must be in order."""

    __slots__ = ("_in_tail", "_index_in", "_index_out", "_out_tail", "_session", "complete", "finished", "number")

    def __init__(self, session: Session, method: str, number: int) -> None:
        self._session = session
        self.number = number
        self._out_tail = associated_tail(session.side, method)
        self._in_tail = associated_tail(Direction(1 - session.side), method)
        self._index_out = self._index_in = 0
        self.finished: Kind | None = None
        """How the other side ended its direction; None while it may go on."""
        self.complete = False
        """Whether this side has ended its own direction."""

    def seal(self, payload: bytes, kind: Kind = Kind.DATA, *, last: bool = False) -> bytes:
        """The next record; ``last`` for the only message of a direction, always for an error or an end."""
        self._session.check()
        if self.complete:
            raise SessionRefused(Reason.AFTER_LAST, "this side has ended the call already", where="call")
        last = last or kind in (Kind.ERROR, Kind.END)
        record = self._session.sealer.seal(self.number, self._index_out, kind, last, payload, self._out_tail)
        self._index_out += 1
        self.complete = last
        return record

    def is_over(self) -> bool:
        """Whether the other side has said that it has nothing more to send."""
        return self.finished is Kind.END

    def end(self) -> bytes:
        """The record that ends this side's direction."""
        return self.seal(b"", Kind.END)

    def open(self, record: bytes) -> bytes:
        """The next payload; ``finished`` says afterwards how the other side ended, if it did. Raises SessionRefused."""
        header = read_header(record)
        if self.finished is not None:
            raise SessionRefused(Reason.AFTER_LAST, f"a record after the last of call {self.number}", where="call")
        if header.call != self.number:
            what = f"a record of call {header.call} in call {self.number}"
            raise SessionRefused(Reason.OUT_OF_ORDER, what, where="call")
        # What was written before an error may never be read: the error ends the call, nothing before it is complete.
        late = header.kind is Kind.ERROR and header.index > self._index_in
        if header.index != self._index_in and not late:
            what = f"record {header.index} where {self._index_in} is due"
            raise SessionRefused(Reason.OUT_OF_ORDER, what, where=f"call {self.number}")
        payload = self._session.open(header, record, self._in_tail)
        self._index_in = header.index + 1
        if header.last:
            self.finished = header.kind
        return payload

    def check_finished(self) -> None:
        """Raises SessionRefused TRUNCATED when the other side's bytes ended before its last record."""
        if self.finished is None:
            what = f"{self._index_in} records, and none of them the last"
            raise SessionRefused(Reason.TRUNCATED, what, where=f"call {self.number}")
