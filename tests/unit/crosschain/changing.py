"""Changes of validators on the chains of ``chains.py``, from the proposal to the barrier."""

from __future__ import annotations

from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.crypto.providers import signing_provider
from chain_core.execution.epochs import set_key
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from tests.unit.crosschain.chains import Chain, op, private_key, public_key


def propose(chain: Chain, kind: str, **content: Value) -> int:
    """A change of validators, decided, and all blocks below the barrier; the barrier's height."""
    propose: dict[str, Value] = {"kind": kind, "content": content, "effective_height": 0}
    assert chain.one("governor-1", Operation("governance", "propose", propose)).code == 0
    number = cast(int, chain.value(state_key("governance", b"last")))
    assert chain.one("governor-2", op("governance", "approve", proposal=number)).code == 0
    while chain.executor.barrier(chain.store) is None:
        chain.block(after_ms=10)
    barrier = chain.executor.barrier(chain.store)
    assert barrier is not None
    while chain.height < barrier - 1:
        chain.block(after_ms=10)
    return barrier


def newcomer(chain: Chain, name: str, entity: str = "") -> dict[str, Value]:
    """The fields of a validator to be, whose private key is kept."""
    private = private_key(f"{name} consensus")
    consensus = signing_provider().sm2_public_key(private)
    chain.keys[consensus] = private
    return {
        "name": name,
        "entity": entity or f"entity of {name}",
        "consensus_key": consensus,
        "transport_key": public_key(f"{name} transport"),
        "address": "127.0.0.1:7009",
    }


def closing_row(chain: Chain, height: int) -> dict[str, Value]:
    """The last header of an epoch with the next one's validators, as an argument."""
    names = decode_header(chain.certified(height)[0]).next_validator_set_hash
    encoded = chain.store.get(state_key("governance", set_key(names)))
    return {**chain.row(height), "next_set": encoded}
