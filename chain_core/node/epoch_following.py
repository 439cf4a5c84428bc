"""A view follows its chain through changes of validators, from what any node says; nothing of that is believed.

A node tells where the next epoch starts and which bytes are its set; the last header below that start, certified by the
validators known already, names the hash of the set. A node that lies brings a view nowhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.execution.epochs import epoch_key, set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.node.answers import CertifiedHeader
from chain_core.node.chain_view import ChainView, EpochAhead
from chain_core.node.client import NodeClient
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import MAX_U64

T = TypeVar("T")


async def through_epochs(view: ChainView, node: NodeClient, ask: Callable[[NodeClient], Awaitable[T]]) -> T:
    """What ``ask`` answers, after ``view`` has followed the chain into the epoch that the answer is of."""
    try:
        return await ask(node)
    except EpochAhead:
        await follow(view, node)
        return await ask(node)


async def follow(view: ChainView, node: NodeClient) -> None:
    """As far as this node's chain has come. Raises InvalidProof, MalformedBytes, and the node's refusals."""
    while True:
        found = await closing_header(node, view.epoch)
        if found is None:
            return
        view.follow(*found)


async def closing_header(node: NodeClient, epoch: int) -> tuple[CertifiedHeader, bytes] | None:
    """The last header of an epoch with the next one's encoded set, unverified; None while the epoch lasts."""
    answer = await node.state([state_key(GOVERNANCE, epoch_key(epoch + 1))])
    raw = answer.items[0].value
    if raw is None:
        return None
    row = decode_value(raw, "epoch history")
    if not isinstance(row, list) or len(row) != 2:
        raise InvalidProof("no start and set hash of an epoch", where=node.address)
    start, set_hash = row
    if not isinstance(start, int) or not 1 < start <= MAX_U64 or not isinstance(set_hash, bytes):
        raise InvalidProof("no start and set hash of an epoch", where=node.address)
    if start > decode_header(answer.header.header).height + 1:
        return None  # decided, and not begun
    closing = await node.header(start - 1)
    encoded = (await node.state([state_key(GOVERNANCE, set_key(set_hash))])).items[0].value
    if encoded is None:
        raise InvalidProof("the node knows an epoch and not its validators", where=node.address)
    return closing, encoded
