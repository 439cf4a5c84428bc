"""What the checks of a joint test share: answers, each asked once; the heights looked at; what was read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crosschain.jrt0314 import verifier
from crosschain.jrt0314.endpoint import Endpoint, EndpointAway, Paths, Response

NEWEST, WITH_OBJECTS, SEARCHED = 6, 12, 2_000
"""Heights looked at: the newest ones, and those with data objects among so many newest."""
MAX_OBJECTS: Final = 64
"""Data objects of one height, and in all, that are looked at."""
MAX_REQUESTS: Final = 20_000


class Failed(Exception):
    """A check's verdict: what was found, and what the chain's operator may do."""

    def __init__(self, detail: str, next_step: str = "") -> None:
        super().__init__(detail)
        self.detail, self.next_step = detail, next_step


@dataclass(frozen=True, slots=True)
class Anchored:
    """A record of an examined block with its proof."""

    height: int
    record: verifier.Record
    proof: Mapping[str, Any]


@dataclass(slots=True)
class Examination:
    """One joint test. What a check has read, later ones use: they are skipped when it failed."""

    endpoints: Sequence[Endpoint]
    paths: Paths
    tip: int = 0
    heights: tuple[int, ...] = ()
    genesis_hash: str = ""
    types: dict[str, frozenset[str]] = field(default_factory=dict)
    statuses: list[Mapping[str, Any]] = field(default_factory=list)
    blocks: dict[int, verifier.Block] = field(default_factory=dict)
    states: dict[tuple[int, int], verifier.Consensus] = field(default_factory=dict)
    """By endpoint and height: certificates differ."""
    ids: dict[int, tuple[str, ...]] = field(default_factory=dict)
    anchored: list[Anchored] = field(default_factory=list)
    snapshots: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """Newest stored bytes by object and version."""
    requests: int = 0
    _answers: dict[tuple[int, str], Response] = field(default_factory=dict)

    def ask(self, path: str, endpoint: int = 0) -> Response:
        """The answer, asked once. Raises EndpointAway."""
        found = self._answers.get((endpoint, path))
        if found is None:
            found = self._answers[endpoint, path] = self.once(path, endpoint)
        return found

    def once(self, path: str, endpoint: int = 0, credentials: str = "own") -> Response:
        """The answer, not remembered. Raises EndpointAway."""
        self.requests += 1
        if self.requests > MAX_REQUESTS:
            raise EndpointAway(f"more than {MAX_REQUESTS} requests", where=path)
        return self.endpoints[endpoint].get(path, credentials)

    def json(self, path: str, endpoint: int = 0) -> Any:
        """An answer's JSON. Raises Failed unless its status is 200; EndpointAway."""
        answer = self.ask(path, endpoint)
        if answer.status != 200:
            raise Failed(f"GET {path}: status {answer.status} where 200 is expected")
        return answer.json()

    def refuses(self, path: str) -> None:
        """What is not there is 404. Raises Failed."""
        answer = self.ask(path)
        if answer.status != 404:
            raise Failed(
                f"GET {path}: status {answer.status} where 404 is expected", "answer 404 for what is not there"
            )

    def find_heights(self) -> None:
        """The tip that all endpoints have, and the heights to look at. Raises Failed, EndpointAway."""
        self.tip = min(int(one["height"]) for one in self.statuses)
        chosen = {0, min(1, self.tip), *range(max(0, self.tip - NEWEST + 1), self.tip + 1)}
        found = 0
        for height in range(self.tip, max(0, self.tip - SEARCHED), -1):
            answer = self.ask(self.paths.ids(height))
            named = answer.json() if answer.status == 200 else None
            if isinstance(named, dict) and named.get("object_ids"):
                chosen.add(height)
                found += 1
                if found == WITH_OBJECTS:
                    break
        self.heights = tuple(sorted(chosen))

    def above_genesis(self) -> list[int]:
        """Heights that have a consensus state with votes."""
        return [height for height in self.heights if height]

    def newest(self) -> list[Anchored]:
        """The last record of each version: earlier ones may have been overwritten in the store."""
        last = {(one.record.object_id, one.record.version): one for one in self.anchored}
        return list(last.values())[-MAX_OBJECTS:]
