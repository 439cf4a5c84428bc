"""An effect that waits for a signature stops everything behind it; nothing is overtaken, nothing is done twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from chain_core.node.signer.patience import MAX_ANSWERS, PatientKeys
from chain_core.node.steps import Steps
from chain_core.node.vote_keys import SignaturePending, SignerAway


class Core:
    """Inputs are words; each asks for its letters. A capital one needs a signature, there from its second try."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.asked: set[str] = set()
        self.steps = Steps(cast(Any, tuple), cast(Any, self.perform), cast(Any, self.after))

    def perform(self, letter: str) -> None:
        if letter.isupper() and letter not in self.asked:
            self.asked.add(letter)
            raise SignaturePending
        self.done.append(letter)
        if letter == "x":  # as an effect whose result is an input
            self.steps.inputs.append(cast(Any, "q"))
            self.steps.run()

    def after(self, word: str) -> None:
        self.done.append(f"/{word}")

    def put(self, word: str) -> None:
        self.steps.inputs.append(cast(Any, word))
        self.steps.run()


def test_what_comes_behind_a_signature_waits_in_its_order() -> None:
    core = Core()
    core.put("axB" + "c")
    assert (core.done, core.steps.parked) == (["a", "x"], True)
    core.put("d")
    assert core.done == ["a", "x"]
    core.steps.go_on()
    assert core.done == ["a", "x", "B", "c", "/axBc", "q", "/q", "d", "/d"]
    core.steps.go_on()
    assert not core.steps.parked and core.done[-1] == "/d"


def test_one_after_the_other_may_wait() -> None:
    core = Core()
    core.put("AB")
    core.put("C")
    for done in ([], ["A"], ["A", "B", "/AB"]):
        assert (core.done, core.steps.parked) == (done, True)
        core.steps.go_on()
    assert core.done == ["A", "B", "/AB", "C", "/C"]


class Slow:
    """Keys whose signer answers when it is let."""

    def __init__(self) -> None:
        self.public_keys: Sequence[bytes] = (b"key",)
        self.calls: list[Sequence[bytes]] = []
        self.let = threading.Event()
        self.away = False

    def sign(self, public_key: bytes, tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        self.calls.append(bodies)
        assert self.let.wait(60)
        if self.away:
            raise SignerAway("gone", where="socket")
        return [public_key + tag + body for body in bodies]


def test_a_signer_is_asked_once_and_nobody_waits() -> None:
    async def story() -> None:
        slow, told = Slow(), asyncio.Event()
        keys = PatientKeys(slow)
        keys.told.append(told.set)
        for _ in range(3):
            with pytest.raises(SignaturePending):
                keys.sign(b"k", b"t", [b"1", b"2"])
        slow.let.set()
        await told.wait()
        assert keys.sign(b"k", b"t", [b"1", b"2"]) == keys.sign(b"k", b"t", [b"1", b"2"]) == [b"kt1", b"kt2"]
        assert slow.calls == [(b"1", b"2")]
        with pytest.raises(SignaturePending):
            keys.sign(b"k", b"t", [b"12"])  # other bodies, whatever they are together

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_fault_is_told_once_and_a_question_without_bodies_is_asked_each_time() -> None:
    async def story() -> None:
        slow, told = Slow(), asyncio.Event()
        keys = PatientKeys(slow)
        keys.told.append(told.set)
        slow.let.set()

        async def answered(*bodies: bytes) -> list[bytes]:
            told.clear()
            with pytest.raises(SignaturePending):
                keys.sign(b"k", b"t", bodies)
            await told.wait()
            return keys.sign(b"k", b"t", bodies)

        with pytest.raises(SignaturePending):
            keys.sign(b"k", b"t", ())
        await told.wait()  # it is there, which nobody has looked at when it goes
        slow.away = True
        with pytest.raises(SignerAway):
            await answered(b"1")
        with pytest.raises(SignerAway):
            await answered()
        slow.away = False
        assert await answered(b"1") == [b"kt1"]
        assert await answered() == [] and await answered() == []
        for number in range(MAX_ANSWERS):
            await answered(b"%d" % (number + 2))
        assert await answered(b"1") == [b"kt1"], "the oldest answer was forgotten, and is asked for again"

    asyncio.run(asyncio.wait_for(story(), 60))
