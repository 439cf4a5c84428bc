"""Everything that one node measures, on one page (docs/spec/node-api.md, metrics)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from chain_core.network.refusal_counts import RefusalCounts
from chain_core.node.loop_ports import ALARM
from chain_core.node.metrics import COUNTS, SECONDS, Family, Histogram, Sample, gauge, page
from chain_core.node.phases import PhaseWatch
from chain_core.node.security import Security
from chain_core.node.status import Peers, Standing


class NodeMetrics:
    """Histograms that the node feeds; counters and gauges are read from what Status reads too."""

    def __init__(self) -> None:
        self.phases = PhaseWatch(monotonic)
        self.sync = Histogram("dualchain_sync_seconds", "A synced write to the ledger's database.", SECONDS)
        self.verification = Histogram("dualchain_verification_seconds", "Verification of one batch.", SECONDS)
        self.batches = Histogram("dualchain_verification_signatures", "Signatures of one batch.", COUNTS)
        self._families: list[Family] = []
        self._security: list[Family] = []

    def verified(self, signatures: int, seconds: float) -> None:
        """A batch of signatures was verified."""
        self.verification.observe(seconds)
        self.batches.observe(signatures)

    def read_from(
        self,
        standing: Callable[[], Standing],
        counters: Callable[[], Counter[str]],
        backlog: Callable[[], int],
        proofs: Callable[[], int],
        peers: Peers,
        heard: dict[int, int],
        names: Sequence[str],
    ) -> None:
        """Where counters and gauges come from."""

        def linked() -> Iterable[Sample]:
            for peer in peers.addresses():
                yield {"peer": names[peer], "direction": "out"}, peers.connected_out(peer)
                yield {"peer": names[peer], "direction": "in"}, peers.connected_in(peer)

        def heights() -> Iterable[Sample]:
            return (({"peer": names[peer]}, height) for peer, height in sorted(heard.items()) if peer < len(names))

        self._families = [
            gauge("dualchain_final_height", "Height that is final here.", lambda: standing().height),
            gauge("dualchain_epoch", "Epoch of the validator set.", lambda: standing().epoch),
            gauge("dualchain_view", "View that it is in or asked for.", lambda: standing().view),
            gauge("dualchain_view_changing", "1: no view is on.", lambda: standing().view_changing),
            gauge("dualchain_halted", "1: it stopped voting.", lambda: bool(standing().halted)),
            gauge("dualchain_silent", "1: it does not vote yet.", lambda: bool(standing().silent)),
            gauge("dualchain_seconds_since_final", "Since the last block became final.", lambda: standing().quiet_s),
            gauge("dualchain_pool_transactions", "Transactions in the pool.", lambda: standing().pool_transactions),
            gauge("dualchain_pool_bytes", "Bytes in the pool.", lambda: standing().pool_bytes),
            gauge("dualchain_verification_backlog", "Signatures that wait to be verified.", backlog),
            gauge("dualchain_equivocation_proofs", "Proofs of equivocation kept here.", proofs),
            Family("dualchain_link_up", "gauge", "1: frames pass.", linked),
            Family("dualchain_peer_final_height", "gauge", "As the peer last told.", heights),
            Family("dualchain_alarms_total", "counter", "Alarms by code.", lambda: _alarms(counters())),
            Family("dualchain_events_total", "counter", "The counters of Status.", lambda: _events(counters())),
        ]

    def read_security(self, security: Security, now_ms: Callable[[], int], refusals: RefusalCounts) -> None:
        """What is known about certificates, and what the ports refused; for the whole node, on the page of ledger 0."""

        def raised() -> Iterable[Sample]:
            return (({"code": str(alarm.code), "of": alarm.of}, 1) for alarm in security.alarms())

        def left() -> Iterable[Sample]:
            return (({"of": name}, (end_ms - now_ms()) / 1_000) for name, end_ms in security.ends())

        def refused() -> Iterable[Sample]:
            return (({"port": port, "reason": why.value}, count) for port, why, count in refusals.items())

        self._security = [
            Family("dualchain_refusals_total", "counter", "Refused by a port, by reason.", refused),
            Family("dualchain_security_alarm", "gauge", "1: something is wrong with a certificate or list.", raised),
            Family("dualchain_certificate_seconds_left", "gauge", "Until a certificate ends; negative: over.", left),
        ]

    def text(self) -> str:
        """The page."""
        phases = self.phases
        own = [phases.seconds, phases.blocks, phases.transactions, self.sync, self.verification, self.batches]
        return page([*self._families, *self._security, *own])


def _alarms(counters: Counter[str]) -> Iterable[Sample]:
    """EQUIVOCATION stands there from the start: a missing series alarms nobody."""
    found = {"EQUIVOCATION": 0} | {
        name.removeprefix(ALARM): count for name, count in counters.items() if name.startswith(ALARM)
    }
    return (({"code": code}, count) for code, count in sorted(found.items()))


def _events(counters: Counter[str]) -> Iterable[Sample]:
    return (
        ({"event": re.sub(r"\W", "_", name)}, count)
        for name, count in sorted(counters.items())
        if not name.startswith(ALARM)
    )
