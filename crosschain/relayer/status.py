"""How far the two chains have followed each other: proven state of both, read now."""

from __future__ import annotations

from typing import Any

from chain_core.types.errors import DualchainError
from crosschain.channel_state import local_received_key
from crosschain.following import decode_position
from crosschain.packets import SERVICE_CHANNEL, UPWARD_CHANNELS, count_in, read_channel, sent_key, supervision_key
from crosschain.relayer import planner
from crosschain.relayer.link import NotBegun
from crosschain.relayer.worker import Relayer


async def read_status(relayer: Relayer) -> dict[str, Any]:
    """Both directions as a plain dictionary; ``error`` where a chain cannot be read. Closes the relayer's links."""
    row: dict[str, Any] = {
        "supervisory_genesis": relayer.supervisory.genesis_hash.hex(),
        "local_genesis": relayer.local.genesis_hash.hex(),
    }
    try:
        for way, read in (("up", _up), ("down", _down)):
            try:
                row[way] = await read(relayer)
            except DualchainError as error:
                row[way] = {"error": str(error)}
    finally:
        await relayer.supervisory.close()
        await relayer.local.close()
    return row


async def _up(relayer: Relayer) -> dict[str, Any]:
    arrived, source = await relayer.read_arrived(), await relayer.read_source()
    height, sent = (source.height, source.sent) if source else (0, dict.fromkeys(UPWARD_CHANNELS, 0))
    return {
        "admitted": arrived.admitted,
        "frozen": arrived.client.frozen >= 0,
        "local_height": height,
        "followed_height": arrived.client.height,
        "behind_heights": height - arrived.client.height,
        "channels": {
            channel: {"sent": sent[channel], "arrived": arrived.channels[channel][0]} for channel in UPWARD_CHANNELS
        },
    }


async def _down(relayer: Relayer) -> dict[str, Any]:
    try:
        position = decode_position((await relayer.local.state([supervision_key()])).values[0])
    except NotBegun:
        position = decode_position(None)
    try:
        state = await relayer.supervisory.state(planner.issued_keys(relayer.local.genesis_hash, position.count))
    except NotBegun:
        return {"supervisory_height": 0, "followed_height": 0, "behind_heights": 0, "issued": 0, "executed": 0}
    return {
        "frozen": position.frozen >= 0,
        "supervisory_height": state.header.height,
        "followed_height": position.height,
        "behind_heights": state.header.height - position.height,
        "issued": count_in(state.values[0]),
        "executed": position.count,
        "channels": {SERVICE_CHANNEL: await _services(relayer)},
    }


async def _services(relayer: Relayer) -> dict[str, int]:
    """Requests and answers towards the local chain."""
    pair = relayer.local.genesis_hash, relayer.supervisory.genesis_hash
    sent = await relayer.supervisory.state([sent_key(pair[0], SERVICE_CHANNEL)])
    try:
        taken = (await relayer.local.state([local_received_key(*pair)])).values[0]
    except NotBegun:
        taken = None
    return {"sent": count_in(sent.values[0]), "arrived": read_channel(taken)[0]}
