"""What brings a sub-ledger up to ledger 0: the calls of contract ``main-ledger`` that anybody may hand in."""

from __future__ import annotations

from chain_core.codec.seen import state_key
from chain_core.execution.epochs import CURRENT_KEY, set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.sub_ledgers import ORIGIN
from chain_core.node.client import NodeClient
from chain_core.node.epoch_following import closing_header
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.light_client import ClientState
from local_chain.main_ledger import FOLLOWED, NAME, POSITION, VALUES, followed, own_key

MAX_EPOCHS = 32
"""Walked by one transaction; the next one goes on."""


async def standing(sub: VerifyingClient) -> tuple[Header, ClientState]:
    """A sub-ledger's proven header, and its client of ledger 0."""
    keys = [FOLLOWED, POSITION]
    full = [*(own_key(key) for key in keys), state_key(GOVERNANCE, ORIGIN), CURRENT_KEY]
    header, values = await sub.state(full)
    own = dict(zip(keys, values, strict=False)).get
    by_key = dict(zip(full, values, strict=True))

    def governance(contract: str, key: bytes) -> bytes | None:
        return by_key[state_key(contract, key)]

    return header, followed(sub.view.genesis_hash, own, governance)


async def operations(main: VerifyingClient, sub: VerifyingClient) -> list[Operation]:
    """The next transaction's: through the epochs of ledger 0 to its latest header. Empty when nothing is newer."""
    _, client = await standing(sub)

    async def ask(node: NodeClient) -> list[Operation]:
        answer = await node.state(list(VALUES.values()))
        header, _ = main.view.check_state(list(VALUES.values()), answer)
        if header.height <= client.height:
            return []
        made: list[Operation] = []
        for epoch in range(client.epoch, header.epoch):
            if len(made) == MAX_EPOCHS:
                return made
            found = await closing_header(node, epoch)
            if found is None:
                raise InvalidProof(f"the node does not know how epoch {epoch} ended", where=node.address)
            closing, next_set = found
            made.append(_call("follow_epoch", closing.header, closing.certificate, next_set))
        next_set = b""
        if header.next_validator_set_hash != header.validator_set_hash:
            key = state_key(GOVERNANCE, set_key(header.next_validator_set_hash))
            next_set = (await node.state([key])).items[0].value or b""
        values: dict[str, Value] = {
            name: {"value": item.value or b"", "proof": item.proof}
            for name, item in zip(VALUES, answer.items, strict=True)
        }
        made.append(_call("follow", answer.header.header, answer.header.certificate, next_set, values))
        return made

    return await main.from_any(ask)


def _call(
    method: str, header: bytes, certificate: bytes, next_set: bytes, values: dict[str, Value] | None = None
) -> Operation:
    args: dict[str, Value] = {"header": header, "certificate": certificate}
    if next_set:
        args["next_set"] = next_set
    return Operation(NAME, method, args if values is None else args | {"values": values})
