"""The simulated network: frames as bytes between nodes, lost, doubled, delayed, reordered, kept apart by partitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.simulation.schedule import Schedule

Deliver = Callable[[int, int, bytes], None]
"""(receiver, sender, frame bytes)."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is: probabilities, and delays in milliseconds. Delays are drawn for each frame, so that a
    wide range reorders.
    """

    loss: float = 0.0
    duplication: float = 0.0
    least_delay_ms: int = 1
    most_delay_ms: int = 10


CALM = Weather()


class Network:
    """Links between all nodes."""

    def __init__(self, schedule: Schedule, random: Random, deliver: Deliver) -> None:
        self.weather = CALM
        self._schedule, self._random, self._deliver = schedule, random, deliver
        self._side: dict[int, int] = {}
        self._one_way: set[tuple[int, int]] = set()

    def partition(self, sides: list[set[int]]) -> None:
        """Nodes of different sides do not reach each other."""
        self._side = {node: number for number, side in enumerate(sides) for node in side}

    def cut(self, sender: int, receiver: int) -> None:
        """One direction of one link is dead."""
        self._one_way.add((sender, receiver))

    def heal(self) -> None:
        """No partition, no cut link."""
        self._side.clear()
        self._one_way.clear()

    def reaches(self, sender: int, receiver: int) -> bool:
        """Whether a frame sent or arriving now passes."""
        apart = self._side.get(sender, 0) != self._side.get(receiver, 0)
        return not apart and (sender, receiver) not in self._one_way

    def send(self, sender: int, receiver: int, data: bytes) -> None:
        """One frame on its way; what is on its way when a partition begins is lost too."""
        weather, random = self.weather, self._random
        copies = 2 if random.random() < weather.duplication else 1
        for _ in range(copies):
            if random.random() >= weather.loss:
                delay = random.randint(weather.least_delay_ms, weather.most_delay_ms)
                self._schedule.after(delay, lambda: self._arrive(sender, receiver, data))

    def _arrive(self, sender: int, receiver: int, data: bytes) -> None:
        if self.reaches(sender, receiver):
            self._deliver(receiver, sender, data)
