"""A seed from beginning to end."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time
from unittest import mock

from chain_core.crypto.provider import VerifyItem
from tests.border_simulation.ending import check
from tests.border_simulation.setting import setting
from tests.border_simulation.world import Violation, World
from tests.simulation.signatures import Signatures

MARKETS, TICKS = 35, 40
REAL_EVERY = 100
"""One seed in so many signs and verifies with SM2."""


@dataclass(frozen=True)
class Run:
    """What became of a seed; ``violation`` is empty when everything held."""

    seed: int
    violation: str
    tally: dict[str, int]
    cpu_s: float


@contextmanager
def verified_by(signatures: Signatures) -> Iterator[None]:
    """The light client and the judge of equivocations verify with the seed's scheme."""

    class Scheme:
        @staticmethod
        def sm2_verify_many(items: Sequence[VerifyItem]) -> list[bool]:
            return signatures.verify_many(items)

    with (
        mock.patch("crosschain.light_client.verifier.provider", Scheme),
        mock.patch("chain_core.codec.evidence.provider", Scheme),
    ):
        yield


def run(seed: int, *, markets: int = MARKETS, ticks: int = TICKS, real: bool | None = None) -> Run:
    """Runs one seed; never raises for a broken promise."""
    began = setting(markets)
    start = process_time()
    copied = began.copy(seed % REAL_EVERY == 0 if real is None else real)
    world = World(copied, random.Random(seed), ticks)
    violation = ""
    with verified_by(copied.supervisory.signatures):
        try:
            world.run()
            check(world)
        except Violation as broken:
            violation = str(broken)
    return Run(seed, violation, world.tally, process_time() - start)
