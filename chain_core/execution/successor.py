"""What a successor's height 0 changes of its predecessor's last state (docs/spec/successor.md §3).

Only ``governance`` is touched: other validators from epoch 0 on, no proposal pending, and where the chain came from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution import epochs, membership
from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.key_purposes import is_accounts
from chain_core.execution.line import PREDECESSOR, earlier_chains
from chain_core.execution.overlay import Namespace, Overlay, StateReader
from chain_core.execution.parameters import FLAGS_KEY, GOVERNANCE, PARAMETERS_KEY
from chain_core.execution.proposals import EXPIRED, ProposalBook
from chain_core.execution.sub_ledgers import sub_ledgers
from chain_core.types.genesis import Genesis
from chain_core.types.values import Value


def settings(state: StateReader) -> tuple[dict[str, int], tuple[str, ...]]:
    """Parameters and flags in force in the predecessor's last state: the successor's document states the same."""
    parameters, flags = state.get(PARAMETERS_KEY) or b"", state.get(FLAGS_KEY) or b""
    return cast(dict[str, int], decode_map(parameters, "parameters")), tuple(cast(list[str], decode_value(flags)))


def succession_writes(genesis: Genesis, state: StateReader) -> dict[bytes, bytes | None]:
    """The writes (None removes a key) on ``state``, the predecessor's at the header that the document names.

    They depend on neither the successor's genesis hash nor the ``state_root`` in its document. Raises InvalidGenesis.
    """
    past = genesis.predecessor
    if past is None:
        raise InvalidGenesis(
            "no predecessor is named", where="predecessor", next_step="this chain has a genesis of its own"
        )
    if sub_ledgers(state):
        raise InvalidGenesis(
            "the predecessor has sub-ledgers, and a successor takes over ledger 0 only",
            where="predecessor",
            next_step="keep the predecessor's snapshots until a release takes over all ledgers",
        )
    if settings(state) != (genesis.parameters, genesis.flags):
        raise InvalidGenesis(
            "parameters and flags are not those in force when the predecessor ended",
            where="parameters",
            next_step="copy them from the predecessor's state; governance may change them afterwards",
        )
    overlay = Overlay(state)
    space = Namespace(overlay, GOVERNANCE)
    for validator in genesis.validators.validators:
        for key in (validator.consensus_key, validator.transport_key):
            if membership.is_used(space, key):
                raise InvalidGenesis(
                    f"a key of {validator.name} was a validator's of the predecessor",
                    where="validators",
                    next_step="make new keys for all validators, those who stay too",
                )
            if is_accounts(state.get, key):
                raise InvalidGenesis(
                    f"a key of {validator.name} is or was an account's of the predecessor",
                    where="validators",
                    next_step="make new keys: a key has one purpose",
                )
    epochs.forget(space)
    epochs.install(space, genesis.validators)
    membership.claim_keys(space, 0, genesis.validators.validators)
    book = ProposalBook(space)
    for number, _ in book.agenda():
        proposal = book.find(number)
        assert proposal is not None, "the agenda names a proposal that is not stored"
        book.store(number, replace(proposal, status=EXPIRED))
    header = decode_header(past.header)
    origin: dict[str, Value] = {
        "genesis_hash": header.genesis_hash,
        "height": header.height,
        "header_hash": header_hash(past.header),
        "lineage": past.lineage,
        "earlier": earlier_chains(state.get),
    }
    space.put(PREDECESSOR, encode_value(origin))
    overlay.commit()
    return overlay.writes()
