"""What an operator sees of a running node: where it stands, its counters, metrics and the log lines of view changes."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from chain_core.network.links import PeerLinks
from chain_core.network.verification import VerificationQueue
from chain_core.node.log import event
from chain_core.node.loop_ports import ShellObserver
from chain_core.node.metrics_page import NodeMetrics
from chain_core.node.progress import Waiting, activity
from chain_core.node.reopening import words
from chain_core.node.replica import Replica
from chain_core.node.status import Standing
from chain_core.node.view_summary import ViewSummary

log = logging.getLogger(__name__)


class Instruments:
    """Looks at the parts of one node; changes none of them."""

    def __init__(
        self,
        metrics: NodeMetrics,
        replica: Replica,
        observer: ShellObserver,
        links: PeerLinks,
        queue: VerificationQueue,
        heard: dict[int, int],
        names: Sequence[str],
    ) -> None:
        self.metrics = metrics
        self._replica, self._observer, self._links, self._queue, self._names = replica, observer, links, queue, names
        store = replica.store
        store.measure_writes(metrics.sync.observe)
        metrics.read_from(
            self.standing,
            self.counters,
            lambda: queue.backlog,
            lambda: len(store.equivocations()),
            links,
            heard,
            names,
        )
        replica.watchers.others += [metrics.phases, ViewSummary(names, time.monotonic, _tell)]

    def standing(self) -> Standing:
        """The replica's present state, for Status."""
        replica, state = self._replica, self._replica.core.state
        wanted, halt = replica.bodies.wanted.values(), self._observer.halt
        waiting = Waiting({one.batch.height: len(one.missing) for one in wanted}, len(replica.pool))
        return Standing(
            replica.store.final_height,
            state.config.epoch,
            state.view,
            state.view_changing,
            "; ".join(
                filter(None, (halt, replica.halting.divergence.resynced, words(state, self._names) if halt else ""))
            ),
            replica.absence.words or (replica.quiet.words if replica.quiet is not None else ""),
            replica.exchange.behind,
            replica.snapshots.joiner.progress,
            len(replica.pool),
            replica.pool.size_bytes,
            activity(state, waiting, self._names),
            time.monotonic() - self._observer.last_final_monotonic,
        )

    def counters(self) -> Counter[str]:
        """Counters since the start, and what waits."""
        gauges = Counter(
            frames_dropped=self._links.frames_dropped(),
            verification_backlog=self._queue.backlog,
            bodies_held=self._replica.bodies.held,
        )
        return self._observer.counters + gauges


def _tell(name: str, facts: Mapping[str, str | int]) -> None:
    event(log, logging.INFO, name, facts)
