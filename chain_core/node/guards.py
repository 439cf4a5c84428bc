"""What stands before a node's handlers: quotas, roles, audit record, gates of handshakes (docs/spec/access.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

from chain_core.execution.key_purposes import Read
from chain_core.network.access import CLIENT, PEER, Access, by_certificate
from chain_core.network.handshake_gate import HandshakeGate
from chain_core.network.methods import Method
from chain_core.network.quota import Quotas, SignatureQuota
from chain_core.network.refusal_counts import RefusalCounts
from chain_core.network.secured.serving import HANDSHAKE_METHOD
from chain_core.network.sm_session.refused import SessionRefused
from chain_core.node.access_rules import PEER_RULES, client_rules
from chain_core.node.assembly import Assembly
from chain_core.node.audit import DIRECTORY, Alarm, AuditLog, Clocks
from chain_core.node.audit_series import Origin
from chain_core.node.config import Membership, NodeConfig
from chain_core.node.loop_ports import SystemClock
from chain_core.node.standing import ChainStanding


class Guards:
    """One a node, inside its event loop. ``read`` is final state of ledger 0; ``alarm`` tells the operator.

    The ``run`` of ``audit`` is a task of the node; ``close`` it when that has ended.
    """

    def __init__(self, config: NodeConfig, member: Membership, assembly: Assembly, read: Read, alarm: Alarm) -> None:
        self._alarm, self._assembly = alarm, assembly
        self.audit = AuditLog(
            config.path(config.node.data_dir) / DIRECTORY,
            Origin(member.genesis_hash.hex(), member.name),
            Clocks(SystemClock().now_ms, time.monotonic_ns),
            alarm,
        )
        limits = config.quotas.limits()
        quotas = Quotas(limits)
        self.signatures = SignatureQuota(quotas, time.monotonic_ns, self._blocked)
        # A validator's links are counted apart: no crowd of clients makes its entry leave the table.
        clock_ns = time.monotonic_ns
        self.refusals = RefusalCounts(PEER, CLIENT)
        self._peer = Access(
            PEER_RULES, Quotas(limits), by_certificate, self.audit, clock_ns, count=partial(self.refusals.count, PEER)
        )
        further = [rule for one in assembly.interfaces for rule in one.rules.items()]
        self._client = Access(
            client_rules(assembly.protected) | dict(further),
            quotas,
            ChainStanding(read),
            self.audit,
            clock_ns,
            count=partial(self.refusals.count, CLIENT),
        )
        self._handshakes = config.quotas.handshake_limits()

    def client(self, methods: Mapping[str, Method]) -> dict[str, Method]:
        """The client port's methods behind their rules."""
        return self._client.guard(methods)

    def peer(self, methods: Mapping[str, Method]) -> dict[str, Method]:
        """The peer port's."""
        return self._peer.guard(methods)

    def gate(self, known: Callable[[], Collection[str]] = tuple) -> Callable[[str], None]:
        """A port's own gate for handshakes: ``SmServer.admit``. ``known``: addresses that a crowd never keeps out."""
        return HandshakeGate(time.monotonic_ns, *self._handshakes, known).admit

    def session_refused(self, port: str) -> Callable[[str, SessionRefused], None]:
        """``SmServer.refused`` of a port."""
        return partial(self._session_refused, port)

    def _session_refused(self, port: str, address: str, refusal: SessionRefused) -> None:
        """A handshake or a record was refused; whose it was is not known, or not proven."""
        self.refusals.count(port, refusal)
        by = {"kind": "address", "name": "", "at": address}
        facts = {"by": by, "method": HANDSHAKE_METHOD, "object": refusal.what[:200], "rule": refusal.code}
        self.audit.refused(facts)

    async def close(self) -> None:
        """The record is written to its end."""
        await self.audit.close()

    def _blocked(self, key: str, seconds: int) -> None:
        self._alarm("CALLER_BLOCKED", {"caller": key, "seconds": seconds, "reason": "bad signatures"})
