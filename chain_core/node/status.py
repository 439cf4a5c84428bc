"""How a node is doing, in words an operator understands (GetStatus). Nothing in it is proven."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.crypto.x509.watch import Alarm
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import parse
from chain_core.network.roster import Roster
from chain_core.node.progress import NO_WORK
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.validator_set import ValidatorSet

_IDLE_AFTER_S = 5.0
_SHOWN_ALARMS = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """What the replica says of itself at one moment."""

    height: int
    epoch: int
    view: int
    view_changing: bool
    halted: str
    silent: str
    """Why it casts no votes yet (docs/spec/pbft.md §6); empty when it may."""
    behind: bool
    """Certified blocks above ``height`` are known to exist and are being fetched."""
    joining: str
    """How far a snapshot has come in, in words; empty when none is on its way."""
    pool_transactions: int
    pool_bytes: int
    activity: str
    """What stands between the height in flight and finality (``progress``)."""
    quiet_s: float
    """Seconds since the last block became final here, or since the start."""


class Peers(Protocol):
    """What the links know."""

    def connected_out(self, peer: int) -> bool:
        """Whether our frames reach the peer."""

    def connected_in(self, peer: int) -> bool:
        """Whether its frames reach us."""

    def addresses(self) -> dict[int, str]:
        """Peer ports by validator index."""


class Watch(Protocol):
    """What is wrong with certificates and lists (``security.Security``)."""

    def alarms(self) -> tuple[Alarm, ...]:
        """The weightiest first."""

    def revocation(self) -> str:
        """How clients are checked."""


class Standpoint(Protocol):
    """Who this node is (``place.Place``)."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def roster(self) -> Roster:
        """Names by index."""

    @property
    def validators(self) -> ValidatorSet:
        """Those of the present epoch."""

    @property
    def index(self) -> int | None:
        """Its own among them."""


@dataclass(slots=True)
class StatusReport:
    """The GetStatus method of one ledger of a node."""

    genesis: Genesis
    genesis_hash: bytes
    place: Standpoint
    version: str
    assembly: str
    provider: str
    standing: Callable[[], Standing]
    peers: Peers
    heard: dict[int, int]
    counters: Callable[[], Counter[str]]
    started: float
    """Monotonic seconds."""
    ledger: int = MAIN_LEDGER
    security: Watch | None = None
    """Certificates: of ledger 0, for the whole node."""
    others: Callable[[], Sequence[StatusReport]] = tuple
    """Those of the sub-ledgers, which the one of ledger 0 shows in brief."""

    async def status(self, caller: Caller, data: bytes) -> bytes:
        """GetStatus."""
        parse(pb.GetStatusRequest, data)
        return self.report().SerializeToString()

    def report(self) -> pb.GetStatusResponse:
        """The present state."""
        now = self.standing()
        names = self.place.roster.names
        validators, index = self.place.validators, self.place.index
        primary = names[validators.primary(now.view)]
        response = pb.GetStatusResponse(
            not_progressing=self._obstacle(now, names),
            chain_id=self.genesis.chain_id,
            genesis_hash=self.genesis_hash,
            ledger=self.ledger,
            node=self.place.name,
            validator=-1 if index is None else index,
            height=now.height,
            epoch=now.epoch,
            view=now.view,
            view_changing=now.view_changing,
            primary=primary,
            pool_transactions=now.pool_transactions,
            pool_bytes=now.pool_bytes,
            crypto_provider=self.provider,
            halted=now.halted,
            version=self.version,
            assembly=self.assembly,
            uptime_ms=int((time.monotonic() - self.started) * 1_000),
            counters=self.counters(),
            activity=now.activity,
        )
        response.ledgers.extend(other.brief() for other in self.others())
        reached = 0
        for peer, address in sorted(self.peers.addresses().items()):
            out, into = self.peers.connected_out(peer), self.peers.connected_in(peer)
            reached += out and into
            response.peers.add(
                name=names[peer],
                validator=peer,
                address=address,
                connected_out=out,
                connected_in=into,
                final_height=self.heard.get(peer, 0),
            )
        alarms = self.security.alarms() if self.security is not None else ()
        for alarm in alarms:
            response.security_alarms.add(code=alarm.code, of=alarm.of, what=alarm.what, next_step=alarm.next_step)
        response.revocation = self.security.revocation() if self.security is not None else ""
        ledger = f", ledger {self.ledger}" if self.ledger != MAIN_LEDGER else ""
        response.summary = (
            f"{self.place.name} of {self.genesis.chain_id}{ledger}: height {now.height}, "
            f"view {now.view} under {primary}, {reached} of {len(self.peers.addresses())} peers, "
            f"{now.pool_transactions} transactions waiting; " + (response.not_progressing or _well(alarms))
        )
        return response

    def brief(self) -> pb.LedgerStatus:
        """The present state in a few words."""
        now, index = self.standing(), self.place.index
        return pb.LedgerStatus(
            ledger=self.ledger,
            height=now.height,
            epoch=now.epoch,
            view=now.view,
            validator=-1 if index is None else index,
            halted=now.halted,
            not_progressing=self._obstacle(now, self.place.roster.names),
        )

    def _obstacle(self, now: Standing, names: Sequence[str]) -> str:
        """Why no block is being made here; empty when nothing is in the way or nothing is to be done."""
        if now.halted:
            return f"this node stopped voting: {now.halted}"
        validators = self.place.validators
        if self.place.index is None and not any(map(self.peers.connected_in, self.peers.addresses())):
            return "it is no validator (any more, or yet) and nobody sends it blocks"
        others = [peer for peer in self.peers.addresses() if peer < validators.n]
        present = (self.place.index is not None) + sum(
            self.peers.connected_out(peer) and self.peers.connected_in(peer) for peer in others
        )
        if present < validators.q:
            missing = [names[peer] for peer in self.peers.addresses() if not self.peers.connected_out(peer)]
            away = f" ({', '.join(missing)} cannot be reached)" if missing else ""
            return f"{present} of {validators.n} validators are connected here, a quorum is {validators.q}{away}"
        if now.joining:
            return now.joining
        if now.silent:
            return now.silent
        if now.behind:
            return f"fetching blocks above {now.height} from the others{self._others(names)}"
        if now.view_changing:
            return now.activity
        if now.activity != NO_WORK and now.quiet_s > _IDLE_AFTER_S:
            return f"{now.activity}, for {int(now.quiet_s)} seconds"
        return ""

    def _others(self, names: Sequence[str]) -> str:
        told = [f"{names[peer]} is at {height}" for peer, height in sorted(self.heard.items()) if peer < len(names)]
        return f" ({', '.join(told)})" if told else ""


def _well(alarms: Sequence[Alarm]) -> str:
    """The chain runs; certificates may want somebody."""
    if not alarms:
        return "all is well"
    return "blocks are made; " + ", ".join(f"{alarm.code} of {alarm.of}" for alarm in alarms[:_SHOWN_ALARMS])
