"""The contract ``identities`` on the supervisory chain: DIDs and credential statuses of all markets, as their chains
proved them (docs/spec/identity.md §3). It has no methods: the inbox alone writes here.
"""

from __future__ import annotations

from chain_core.execution.context import CallContext
from chain_core.execution.contract import Contract, Lane
from chain_core.types.errors import MalformedBytes
from chain_core.types.packet import Packet
from contracts.codes.regions import REGIONS
from crosschain.identity.did import NoDid, is_credential_id, label_of_credential, parse_did
from crosschain.identity.records import (
    IDENTITIES,
    credential_place,
    decode_credential,
    decode_did,
    did_place,
)
from crosschain.packets import CHAINS, CREDENTIAL_KIND, DID_KIND, read_chain


class IdentityRegister(Contract):
    """What markets have on record, under the keys that their own chains use."""

    name = IDENTITIES
    lane = Lane.BORDER

    def __init__(self) -> None:
        self.methods = {}


def take(ctx: CallContext, source: bytes, packet: Packet) -> bool:
    """Whether the packet was a market's record of its own label; it replaces the one before.

    Called by the inbox, which is granted this contract's state. Raises MalformedBytes.
    """
    space, label = ctx.within(IDENTITIES), _label(ctx, source)
    if packet.kind == DID_KIND:
        record = decode_did(packet.payload)
        if _did_label(record.did) != label:
            return False
        space.put(did_place(record.did), packet.payload)
        return True
    if packet.kind == CREDENTIAL_KIND:
        credential = decode_credential(packet.payload)
        # A market speaks of credentials under its own label alone: nobody revokes another market's.
        own = is_credential_id(credential.credential) and label_of_credential(credential.credential) == label
        if not own or _did_label(credential.issuer) != label:
            return False
        space.put(credential_place(credential.credential), packet.payload)
        return True
    return False


def _label(ctx: CallContext, source: bytes) -> str:
    market = read_chain(ctx.read(CHAINS, b"r" + source) or b"")["market"]
    return REGIONS[str(market)].label


def _did_label(did: str) -> str:
    try:
        return parse_did(did).label
    except NoDid as error:
        raise MalformedBytes(str(error), where="identity packet", next_step="mend the market's chain") from None
