"""Frames that reach a node: verified by the production ingress, handed to the replica."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chain_core.consensus.messages import Message
from chain_core.network.epoch_book import UnknownEpoch
from chain_core.network.frames import (
    BlocksFrame,
    ConsensusFrame,
    EnvelopesFrame,
    Frame,
    HeldVotes,
    PrunedFrame,
    SnapshotPart,
    SnapshotRequest,
    WantBlocks,
    WantEnvelopes,
    WantVotes,
)
from chain_core.network.ingress import Check
from chain_core.node.ports import Origin
from chain_core.types.errors import PeerFault
from chain_core.types.verified import Verified

if TYPE_CHECKING:
    from tests.simulation.node import SimNode
    from tests.simulation.world import World


def take(node: SimNode, sender: int, frame: Frame) -> None:
    """What the frame makes this node do."""
    replica, ingress = node.replica, node.ingress
    assert replica is not None and ingress is not None
    match frame:
        case ConsensusFrame(message=message):
            _message(node, sender, message)
        case EnvelopesFrame(envelopes=raws):
            replica.admit(verified(node.world, ingress.check_envelopes(raws, from_peer=True)), Origin.PEER)
        case BlocksFrame(blocks=blocks):
            replica.on_blocks(verified(node.world, ingress.check_blocks(blocks)))
        case WantEnvelopes(ids=ids):
            replica.on_want_envelopes(sender, ids)
        case WantBlocks(start=start, count=count):
            replica.on_want_blocks(sender, start, count)
        case SnapshotRequest() | SnapshotPart() | PrunedFrame():
            replica.on_snapshot(sender, frame)
        case WantVotes(nonce=nonce):
            replica.on_want_votes(sender, nonce)
        case HeldVotes(nonce=nonce):
            if replica.awaits(sender, nonce):
                for found in verified(node.world, ingress.check_held(frame, node.index)):
                    replica.on_held_votes(sender, found)


def _message(node: SimNode, sender: int, message: Message) -> None:
    world, replica, ingress = node.world, node.replica, node.ingress
    assert replica is not None and ingress is not None
    check = ingress.check_messages((message,))
    (outcome,) = check.conclude(world.verify(check.items))
    if isinstance(outcome, Verified):
        replica.on_message(outcome)
        if node.correct:
            world.checker.duties.took(node.index, message)
            world.checker.forgotten.heard(node, message)
    elif isinstance(outcome, PeerFault) and not isinstance(outcome, UnknownEpoch):
        world.counted["messages refused"] += 1
        if world.nodes[sender].correct:
            world.checker.misunderstood(sender, node.index, f"{type(message).__name__}: {outcome.what}")


def verified(world: World, check: Check[Any]) -> list[Any]:
    """What of it verifies."""
    outcomes = check.conclude(world.verify(check.items))
    good = [outcome for outcome in outcomes if isinstance(outcome, Verified)]
    world.counted["messages refused"] += len(outcomes) - len(good)
    return good
