"""A signer that nobody waits for on the event loop (docs/spec/keys.md §5).

Who asks gets SignaturePending, is told when there is an answer, and asks the same again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from chain_core.crypto.hashing import sm3
from chain_core.node.vote_keys import SignaturePending, VoteKeys

MAX_ANSWERS = 64
"""Kept: an effect that needs several signatures asks for the first ones again."""


class PatientKeys:
    """``VoteKeys`` around blocking ones, which are asked on one thread. For the event loop only."""

    def __init__(self, keys: VoteKeys) -> None:
        self.keys = keys
        self.told: list[Callable[[], None]] = []
        """Called on the event loop after each answer."""
        self._lane: ThreadPoolExecutor | None = None
        self._answers: OrderedDict[tuple[bytes, bytes, bytes], Future[list[bytes]]] = OrderedDict()

    @property
    def public_keys(self) -> Sequence[bytes]:
        """As the signer had them when it was last seen."""
        return self.keys.public_keys

    def sign(self, public_key: bytes, tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """The answer to this question when it is there; a fault is raised once, then the signer is asked anew.

        Raises SignaturePending, SignerAway, SigningRefused.
        """
        asked = public_key, tag, sm3(b"".join(len(body).to_bytes(8, "big") + body for body in bodies))
        answer = self._answers.get(asked)
        if answer is None:
            self._ask(asked, tuple(bodies))
            raise SignaturePending
        if not answer.done():
            raise SignaturePending
        if answer.exception() is not None:
            self._forget()
        elif not bodies:
            del self._answers[asked]  # whether it is there is asked again each time
        return answer.result()

    def _forget(self) -> None:
        """After a fault nothing that was said before it counts, least of all that the signer is there."""
        for asked in [asked for asked, answer in self._answers.items() if answer.done()]:
            del self._answers[asked]

    def _ask(self, asked: tuple[bytes, bytes, bytes], bodies: tuple[bytes, ...]) -> None:
        if self._lane is None:
            self._lane = ThreadPoolExecutor(max_workers=1, thread_name_prefix="signer")
        answer = self._lane.submit(self.keys.sign, asked[0], asked[1], bodies)
        self._answers[asked] = answer
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)
        answer.add_done_callback(partial(self._answered, asyncio.get_running_loop()))

    def _answered(self, loop: asyncio.AbstractEventLoop, _: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever asked
            loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        for told in tuple(self.told):
            told()
