"""What a relayer does, without network: the planner on proven state of two chains in one process."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_core.codec.block import decode_header
from chain_core.codec.proofs import decode_packet
from chain_core.node.answers import CertifiedHeader, ProvenPacket, StateItem
from chain_core.types.transaction import Receipt
from crosschain.following import decode_position
from crosschain.packets import supervision_key
from crosschain.relayer import planner, services
from crosschain.relayer.planner import Arrived, Emitted, Issued, Plan, Source
from crosschain.relayer.services import Side
from tests.unit.crosschain.chains import Chain, Layers

HEARTBEAT_MS = 30_000


def certified(chain: Chain, height: int) -> CertifiedHeader:
    return CertifiedHeader(*chain.certified(height))


def arrived(layers: Layers) -> Arrived:
    values = [layers.supervisory.store.get(key) for key in planner.arrived_keys(layers.local.hash)]
    return planner.read_arrived(values)


def source(layers: Layers) -> Source:
    local = layers.local
    sent = planner.read_sent([local.store.get(key) for key in planner.sent_keys(layers.supervisory.hash)])
    latest = certified(local, local.height)
    return Source(latest, local.height, decode_header(latest.header).time_ms, sent)


def emitted(layers: Layers, start: int, end: int) -> list[Emitted]:
    found = []
    for height in range(start, end + 1):
        rows = [ProvenPacket(bytes(row["packet"]), bytes(row["proof"])) for row in layers.local.packets(height)]  # type: ignore[arg-type]
        if rows:
            packets = [(decode_packet(row.packet), row) for row in rows]
            found.append(Emitted(height, certified(layers.local, height), packets))
    return found


def plan_up(layers: Layers, quiet_through: int = 0) -> Plan:
    taken, sent = arrived(layers), source(layers)
    start = planner.scan_start(taken, sent, quiet_through)
    blocks = [] if start is None else emitted(layers, start, sent.height)
    return planner.plan_up(layers.local.hash, taken, sent, blocks, HEARTBEAT_MS)


def plan_down(layers: Layers) -> Plan:
    position = decode_position(layers.local.store.get(supervision_key()))
    keys = planner.issued_keys(layers.local.hash, position.count)
    proven = [layers.supervisory.prove(key) for key in keys]
    items = [StateItem(item.value, item.proof) for item in proven]
    latest = CertifiedHeader(proven[0].header, proven[0].certificate)
    header = decode_header(latest.header)
    present = [item for item in items[1:] if item.value is not None]
    return planner.plan_down(position, Issued(latest, header.height, header.time_ms, items[0], present), HEARTBEAT_MS)


def sides(layers: Layers) -> tuple[Side, Side]:
    """How the channel stands on the supervisory chain, and on the local one."""
    above, below = layers.supervisory, layers.local
    keys = services.supervisory_keys(below.hash, above.hash), services.local_keys(below.hash, above.hash)
    return _side(above, keys[0]), _side(below, keys[1])


def _side(chain: Chain, keys: list[bytes]) -> Side:
    items = [StateItem(item.value, item.proof) for item in map(chain.prove, keys)]
    return services.read_side(certified(chain, chain.height), items)


def plan_services_down(layers: Layers) -> Plan:
    above, below = sides(layers)
    start = services.scan_start(above, below, 0)
    found = []
    for height in range(start or 1, above.height + 1 if start else 0):
        rows = [ProvenPacket(bytes(row["packet"]), bytes(row["proof"])) for row in layers.supervisory.packets(height)]  # type: ignore[arg-type]
        packets = [(decode_packet(row.packet), row) for row in rows]
        mine = [row for row in packets if row[0].destination_genesis == layers.local.hash]
        if mine:
            found.append(Emitted(height, certified(layers.supervisory, height), mine))
    return services.plan_down(below, found)


def plan_refund_above(layers: Layers) -> Plan:
    return services.plan_refund_above(layers.local.hash, *sides(layers))


def plan_refund_below(layers: Layers) -> Plan:
    return services.plan_refund_below(*sides(layers))


@dataclass
class Courier:
    """Carries until nothing is left to carry."""

    layers: Layers
    receipts: list[Receipt] = field(default_factory=list)

    def up(self) -> int:
        """How many transactions it took to bring everything up."""
        return self._carry(self.layers.supervisory, lambda: plan_up(self.layers))

    def down(self) -> int:
        """How many transactions it took to bring everything down."""
        return self._carry(self.layers.local, lambda: plan_down(self.layers))

    def services_down(self) -> int:
        """How many transactions it took to bring requests and answers down."""
        return self._carry(self.layers.local, lambda: plan_services_down(self.layers))

    def refunds(self) -> int:
        """How many refunds were due, on both chains."""
        above = self._carry(self.layers.supervisory, lambda: plan_refund_above(self.layers))
        return above + self._carry(self.layers.local, lambda: plan_refund_below(self.layers))

    def _carry(self, target: Chain, plan: object) -> int:
        assert callable(plan)
        count = 0
        while operations := plan():
            # The clocks of two chains agree to within seconds.
            target.time_ms = max(self.layers.local.time_ms, self.layers.supervisory.time_ms)
            receipt = target.one("courier", *operations)
            assert receipt.code == 0, receipt
            self.receipts.append(receipt)
            count += 1
            assert count < 100, "the courier does not come to an end"
        return count
