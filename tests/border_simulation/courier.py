"""Relayers of the simulated world: the real planner on proven state; honest ones, and ones that lie."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.proofs import decode_packet, encode_inclusion
from chain_core.codec.seen import state_key
from chain_core.crypto.merkle import MerkleTree
from chain_core.execution.epochs import set_key
from chain_core.node.answers import ProvenPacket, StateItem
from chain_core.types.packet import InclusionProof
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.following import decode_position
from crosschain.packets import supervision_key
from crosschain.relayer import planner
from crosschain.relayer.planner import Arrived, Closing, Emitted, Issued, Plan, Source
from tests.border_simulation.chain import SimChain

HEARTBEAT_MS = 5_000


def arrived_from(above: SimChain, local: SimChain) -> Arrived:
    return planner.read_arrived([above.get(key) for key in planner.arrived_keys(local.hash)])


def source_of(local: SimChain, above: SimChain) -> Source:
    sent = planner.read_sent([local.get(key) for key in planner.sent_keys(above.hash)])
    return Source(local.certified(local.height), local.height, local.time_ms(), sent)


def emitted_by(local: SimChain, arrived: Arrived, start: int, most: int = planner.MAX_HEADERS) -> list[Emitted]:
    found: list[Emitted] = []
    for height in local.ledger.packets_above(start - 1):
        if len(found) == most:
            break
        raws = local.ledger.outboxes[height]
        tree = MerkleTree(raws)
        rows = []
        for index, raw in enumerate(raws):
            proof = encode_inclusion(InclusionProof(index, tree.count, tree.path(index)))
            rows.append((decode_packet(raw), ProvenPacket(raw, proof)))
        count = planner.settled_below(arrived, height)
        history = b"" if count is None else local.ledger.prove_header(height, count)
        found.append(Emitted(height, local.certified(height), rows, history))
    return found


def closing_of(chain: SimChain, epoch: int) -> Closing | None:
    """The last header of an epoch with the next set, once it is final."""
    info = chain.executor.epoch(chain.ledger, epoch + 1)
    if info is None or info.start > chain.height + 1 or info.start == 0:
        return None
    certified = chain.certified(info.start - 1)
    names = decode_header(certified.header).next_validator_set_hash
    return Closing(certified, chain.get(state_key("governance", set_key(names))) or b"")


def plan_up(above: SimChain, local: SimChain, quiet_through: int = 0) -> Plan:
    """What the real worker would send next (crosschain/relayer/worker.py ``step_up``)."""
    arrived, source = arrived_from(above, local), source_of(local, above)
    if not arrived.admitted or arrived.client.frozen >= 0:
        return ()
    if 0 < arrived.client.height <= local.height:
        own = local.certified(arrived.client.height)
        if planner.contradicts(arrived, own.header):
            return planner.plan_contradiction(local.hash, own)
    if arrived.confirmed > arrived.client.height:
        certified = local.certified(arrived.confirmed)
        epochs = range(arrived.client.epoch, decode_header(certified.header).epoch)
        closings = [closing for epoch in epochs if (closing := closing_of(local, epoch)) is not None]
        return planner.plan_confirmed(local.hash, closings, certified)
    closing = closing_of(local, arrived.client.epoch)
    if closing is not None:
        return planner.plan_epoch_up(local.hash, arrived, closing)
    start = planner.scan_start(arrived, source, quiet_through)
    blocks = [] if start is None else emitted_by(local, arrived, start)
    wanted = [
        block
        for block in blocks
        if any(packet.sequence >= arrived.channels[packet.channel][0] for packet, _ in block.packets)
    ]
    return planner.plan_up(local.hash, arrived, source, wanted, HEARTBEAT_MS)


def plan_down(above: SimChain, local: SimChain) -> Plan:
    position = decode_position(local.get(supervision_key()))
    closing = closing_of(above, position.epoch)
    if closing is not None:
        return planner.plan_epoch_down(position, closing)
    keys = planner.issued_keys(local.hash, position.count)
    following, *rows = [StateItem(*above.ledger.prove(key)) for key in keys[: _needed(above, keys, position.count)]]
    present = [row for row in rows if row.value is not None]
    issued = Issued(above.certified(above.height), above.height, above.time_ms(), following, present)
    return planner.plan_down(position, issued, HEARTBEAT_MS)


def _needed(above: SimChain, keys: Sequence[bytes], executed: int) -> int:
    """The number of directives, and those that exist: proofs of the others' absence are not needed."""
    return 1 + sum(above.get(key) is not None for key in keys[1:])


# ---- lies


def lie(plan: Plan, rng: random.Random) -> Plan:
    """The plan with one byte of one header, certificate, packet or proof changed."""
    operations = list(plan)
    place = rng.randrange(len(operations))
    chosen = operations[place]
    spots = list(_spots(cast(Value, dict(chosen.args)), ()))
    path, data = rng.choice(spots)
    at = rng.randrange(len(data))
    changed = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    args = _replaced(cast(Value, dict(chosen.args)), path, changed)
    operations[place] = replace(chosen, args=cast(dict[str, Value], args))
    return tuple(operations)


Path = tuple[str | int, ...]


def _spots(value: Value, path: Path) -> list[tuple[Path, bytes]]:
    if isinstance(value, bytes):
        return [(path, value)] if value else []
    if isinstance(value, dict):
        return [spot for name, part in value.items() for spot in _spots(part, (*path, name))]
    if isinstance(value, list):
        return [spot for index, part in enumerate(value) for spot in _spots(part, (*path, index))]
    return []


def _replaced(value: Value, path: Path, leaf: bytes) -> Value:
    if not path:
        return leaf
    if isinstance(value, dict):
        return {name: _replaced(part, path[1:], leaf) if name == path[0] else part for name, part in value.items()}
    assert isinstance(value, list)
    return [_replaced(part, path[1:], leaf) if index == path[0] else part for index, part in enumerate(value)]


def withheld(plan: Plan, rng: random.Random) -> Plan:
    """The plan without one of its packets or directives."""
    operations: list[Operation] = []
    for operation in plan:
        args = dict(operation.args)
        for name in ("packets", "directives"):
            rows = args.get(name)
            if isinstance(rows, list) and rows:
                drop = rng.randrange(len(rows))
                args[name] = [row for index, row in enumerate(rows) if index != drop]
        operations.append(replace(operation, args=args))
    return tuple(operations)
