"""A node's side of its signer: one connection, calls that end in time, and what to do when there is no answer.

Calls are synchronous: a node makes them on a thread of their own (``patience``), and its replica may wait as long as
the limit on their time.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer import protocol as p
from chain_core.node.vote_keys import SignerAway
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import PUBLIC_KEY_SIZE

CALL_WITHIN_S = 2.0
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 16.0
SCHEME = "unix:"
_AWAY = "the node follows and casts no votes; start the signer, or look into its log"


class RemoteSigner:
    """The keys of a signer process. ``known`` are those it had when it was last seen, kept in ``cache``."""

    def __init__(
        self,
        path: Path,
        genesis_hash: bytes,
        cache: Path,
        known: Sequence[bytes] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects if it can. ``known``: what to go by when it is away and there is no cache."""
        self._path, self._genesis_hash, self._cache, self._now = path, genesis_hash, cache, now
        self._socket: socket.socket | None = None
        self._pause, self._not_before, self._why = FIRST_PAUSE_S, 0.0, ""
        self.public_keys: tuple[bytes, ...] = _read_cache(cache) or tuple(known)
        try:
            self._connect()
        except SignerAway as away:
            self.away = away.what
        else:
            self.away = ""

    def close(self) -> None:
        """Let the signer go, for whoever connects next."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def sign(self, public_key: bytes, tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """A signature for each body, all or none. Without bodies: only to see whether it is there.

        Raises SignerAway; SigningRefused when it would contradict what it signed.
        """
        found: list[bytes] = []
        for start in range(0, max(1, len(bodies)), p.MAX_BODIES):
            part = tuple(bodies[start : start + p.MAX_BODIES])
            answer = self._ask(p.SignRequest(tag, self._genesis_hash, public_key, part))
            if not isinstance(answer, p.Signatures) or len(answer.signatures) != len(part):
                raise self._lost("its answer is none to what was asked")
            found += answer.signatures
        return found

    def _ask(self, request: p.SignRequest) -> p.Answer:
        if self._now() < self._not_before:
            raise SignerAway(self._why, where=str(self._path), next_step=_AWAY)
        fresh = self._socket is None
        if fresh:
            self._connect()
        try:
            answer = self._call(request)
        except (ConnectionError, EOFError) as error:
            if fresh:
                raise self._lost(f"the connection ended: {error}") from error
            self.close()  # it was started again since the last vote
            return self._ask(request)
        except (OSError, MalformedBytes) as error:
            raise self._failed(error) from error
        if isinstance(answer, p.Refusal):
            if answer.code == SigningRefused.code:
                raise SigningRefused(f"the signer refuses: {answer.what}", where=answer.where, next_step="see its log")
            raise self._lost(f"{answer.code}: {answer.what}")
        return answer

    def _connect(self) -> None:
        if self._now() < self._not_before:
            raise SignerAway(self._why, where=str(self._path), next_step=_AWAY)
        made = self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(CALL_WITHIN_S)
        try:
            made.connect(str(self._path))
            answer = self._call(p.HelloRequest(self._genesis_hash))
        except (OSError, EOFError, MalformedBytes) as error:
            raise self._failed(error) from error
        if isinstance(answer, p.Refusal):
            raise self._lost(f"{answer.code}: {answer.what}")
        if not isinstance(answer, p.Welcome):
            raise self._lost("its answer is none to a hello")
        self._pause, self._not_before = FIRST_PAUSE_S, 0.0
        if answer.public_keys != self.public_keys or not self._cache.is_file():
            self.public_keys = answer.public_keys
            _write_cache(self._cache, self.public_keys)

    def _call(self, request: p.Request) -> p.Answer:
        """One frame out, one in, within the limit. Raises OSError (TimeoutError), EOFError, MalformedBytes."""
        assert self._socket is not None
        ends = self._now() + CALL_WITHIN_S
        self._socket.settimeout(CALL_WITHIN_S)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # why it closed may stand in what it sent
            self._socket.sendall(p.frame(p.encode_request(request)))
        return p.decode_answer(self._read(p.frame_size(self._read(p.LENGTH.size, ends)), ends))

    def _read(self, size: int, ends: float) -> bytes:
        assert self._socket is not None
        parts = bytearray()
        while len(parts) < size:
            left = ends - self._now()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
            part = self._socket.recv(size - len(parts))
            if not part:
                raise EOFError("the signer closed the connection")
            parts += part
        return bytes(parts)

    def _failed(self, error: Exception) -> SignerAway:
        """After a call that ran into its limit the next one waits: a node must not stand still half of its time."""
        if isinstance(error, TimeoutError):
            away = self._lost(f"no answer within {CALL_WITHIN_S:.0f} s")
            self._not_before, self._why = self._now() + self._pause, away.what
            self._pause = min(2 * self._pause, LAST_PAUSE_S)
            return away
        return self._lost(str(error))

    def _lost(self, what: str) -> SignerAway:
        self.close()
        return SignerAway(f"the signer does not sign: {what}", where=str(self._path), next_step=_AWAY)


def _read_cache(cache: Path) -> tuple[bytes, ...]:
    """The keys that were last seen; none when the file is missing or damaged."""
    try:
        keys = [bytes.fromhex(line) for line in cache.read_text("ascii").split()]
    except (OSError, ValueError):
        return ()
    return tuple(key for key in keys if len(key) == PUBLIC_KEY_SIZE)[: p.MAX_KEYS]


def _write_cache(cache: Path, keys: Sequence[bytes]) -> None:
    """Public keys, a line each. What is lost of it is asked for again."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    temporary = cache.with_name(f".{cache.name}.new")
    temporary.write_text("".join(f"{key.hex()}\n" for key in keys), "ascii")
    temporary.replace(cache)
