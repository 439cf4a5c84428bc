"""When a relayer looks: at once on news, else after a while, later after failures, behind those that were faster."""

from __future__ import annotations

import asyncio
import re

from chain_core.network.refusals import Unreachable
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.relayer import pacing
from crosschain.relayer.link import Behind, Overtaken
from crosschain.relayer.metrics import RelayerMetrics, load_of
from crosschain.relayer.pacing import Pace

Outcome = bool | DualchainError


class Rounds:
    """Plays what each step comes to, and remembers for how long was waited in between; no time passes."""

    def __init__(self, *outcomes: Outcome, news: frozenset[int] = frozenset()) -> None:
        self.outcomes, self.news = list(outcomes), news
        self.waits: list[float] = []
        self.said: list[str] = []
        self.turns = self.steps = 0
        self.metrics = RelayerMetrics()
        self.stop = asyncio.Event()
        self.pace = Pace("up", lambda: 2.0, self.stop, self.metrics, self.wait, lambda low, high: high)

    async def step(self) -> bool:
        outcome = self.outcomes[self.steps]
        self.steps += 1
        if self.steps in self.news:
            self.pace.bell.set()
        if self.steps == len(self.outcomes):
            self.stop.set()
            self.pace.bell.set()
        if isinstance(outcome, DualchainError):
            raise outcome
        return outcome

    def turn(self) -> None:
        self.turns += 1

    def say(self, error: DualchainError | None) -> None:
        self.said.append(error.code if error else "")

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return event.is_set()

    def play(self) -> Rounds:
        asyncio.run(self.pace.keep(self.step, self.turn, self.say))
        return self

    def count(self, line: str) -> int:
        found = re.search(rf"^dualchain_relayer_{re.escape(line)} (\d+)$", self.metrics.text(), re.MULTILINE)
        assert found is not None, line
        return int(found[1])


def test_what_is_carried_is_followed_by_the_next_look_at_once() -> None:
    rounds = Rounds(True, True, False).play()
    assert (rounds.waits, rounds.turns) == ([2.0], 1)


def test_news_calls_before_the_poll() -> None:
    rounds = Rounds(False, False, False, news=frozenset({1})).play()
    assert rounds.waits == [2.0] * 3
    assert (rounds.count('wakes_total{way="up",by="news"}'), rounds.count('wakes_total{way="up",by="poll"}')) == (2, 1)


def test_failures_put_the_next_look_off_and_say_why() -> None:
    gone = Unreachable("gone")
    rounds = Rounds(*[gone] * 7, False, gone, True, news=frozenset(range(9))).play()
    assert rounds.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 2.0, 0.5]
    assert rounds.said == ["UNREACHABLE"] * 7 + ["", "UNREACHABLE", ""]
    assert rounds.count('transactions_total{way="up",outcome="failed"}') == 8


def test_nodes_that_are_behind_are_asked_again_soon_and_in_turn() -> None:
    rounds = Rounds(Behind("behind"), True).play()
    assert (rounds.waits, rounds.turns, rounds.said) == ([pacing.BEHIND_S], 1, [""])


def test_who_was_overtaken_leaves_the_others_a_head_start_until_it_is_first_itself() -> None:
    lost = Overtaken("header.height")
    rounds = Rounds(lost, lost, lost, lost, False, True, lost, False, news=frozenset({5})).play()
    assert rounds.waits == [0.25, 0.5, 1.0, 1.0, 2.0, 1.0, 0.25, 2.0, 0.25]
    assert rounds.count('transactions_total{way="up",outcome="overtaken"}') == 5
    assert set(rounds.said) == {""}


def test_what_a_transaction_brings() -> None:
    row: dict[str, Value] = {"header": b"h", "certificate": b"c"}
    up = (
        Operation("clients", "submit_headers", {"chain": b"", "headers": [row, row]}),
        Operation("inbox", "deliver", {"packets": [{}, {}, {}], "height": 1}),
        Operation("inbox", "deliver", {"packets": [{}], "height": 2, **row}),
    )
    assert load_of(up) == (3, 4)
    assert load_of((Operation("supervision", "update", {**row, "directives": [{}, {}]}),)) == (1, 2)
