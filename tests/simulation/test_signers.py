"""Signers that go and come back in bad weather: a node resumes from its log, and all that is promised stays true.

The absences are drawn beside the seed's own faults, which stay what they are: several nodes at once, in the middle of a
step, for a single call or for seconds, across crashes, view changes and ends of epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

import pytest

from chain_core.node.signer_absence import SIGNER_BACK
from chain_core.node.vote_keys import Sign, SignerAway, signing_messages
from tests.simulation import node as simulated
from tests.simulation.node import SimNode
from tests.simulation.runs import run_seed, size_of

SEEDS = (1, 2, 3, 6, 7, 9, 11, 14)
STUMBLE = 0.02
"""How often a single call finds nobody."""
ABSENCES = 4


class Signers:
    """When each node's signer is away; nobody's once the network has healed."""

    def __init__(self, seed: int, ends_ms: int) -> None:
        self.random, self.ends_ms = Random(seed), ends_ms
        self.away: dict[int, list[tuple[int, int]]] = {}
        self.begins_ms: int | None = None
        self.refused = 0

    def is_away(self, node: SimNode) -> bool:
        now = node.world.schedule.now_ms
        if self.begins_ms is None:
            self.begins_ms = now
        since = now - self.begins_ms
        if since >= self.ends_ms:
            return False
        if node.index not in self.away:
            starts = (self.random.randrange(self.ends_ms) for _ in range(ABSENCES))
            self.away[node.index] = [(start, start + self.random.randint(50, 6_000)) for start in starts]
        gone = any(start <= since < end for start, end in self.away[node.index]) or self.random.random() < STUMBLE
        self.refused += gone
        return gone

    def signing(self, genesis_hash: bytes, sign: Callable[[bytes], bytes]) -> Sign:
        node, plain = cast(SimNode, cast(Any, sign).__self__), signing_messages(genesis_hash, sign)

        def call(tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
            if self.is_away(node):
                raise SignerAway("gone", where=f"signer of {node.index}", next_step="wait")
            return plain(tag, bodies)

        return call


def resumed(self: SimNode, code: str, facts: dict[str, str | int]) -> None:
    """What the replaced core was asked for is as forgotten as after a restart: it is asked again."""
    if code == SIGNER_BACK and self.correct:
        self.world.checker.past[self.index].asked_by.clear()
        self.world.checker.forgotten.restarted(self.index)
    _ALARM(self, code, facts)


_ALARM = SimNode.alarm


def told(seed: int, patch: pytest.MonkeyPatch) -> tuple[Signers, dict[str, int]]:
    size = size_of(seed, small=True)
    signers = Signers(seed, size.bad_weather_ms)
    patch.setattr(simulated, "signing_messages", signers.signing)
    patch.setattr(SimNode, "alarm", resumed)
    outcome = run_seed(seed, size)
    return signers, dict(outcome.counted)


@pytest.mark.simulation
@pytest.mark.parametrize("seed", SEEDS)
def test_signers_go_and_come_back(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    signers, counted = told(seed, monkeypatch)
    assert signers.refused
    assert counted["alarms SIGNER_GONE"] >= 1
    assert counted["alarms SIGNER_BACK"] >= 1
