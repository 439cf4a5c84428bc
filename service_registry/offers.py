"""The source mark of an offered service: what is offered, by whom, signed by the publisher's certified key
(docs/spec/service-registry.md §5; guideline art. 19).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from chain_core.codec import signed
from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import malformed
from chain_core.crypto.providers import provider
from chain_core.execution.arguments import PUBLIC_KEY, Octets, Record
from chain_core.execution.context import CallContext
from chain_core.types.ids import SIGNATURE_SIZE
from chain_core.types.values import Value
from service_registry.authority import trusted_key
from service_registry.records import AUTHORITIES_KEY, Service, offer_key
from service_registry.trust import decode_authorities


@dataclass(frozen=True, slots=True)
class Offer:
    """A version's source mark as it was signed, with the key."""

    offer: bytes
    signature: bytes
    key: bytes


def offer_bytes(service: bytes, found: Service, version: int, definition_hash: bytes) -> bytes:
    """What the publisher signs."""
    return encode_value(
        {
            "service": service,
            "version": version,
            "definition_hash": definition_hash,
            "publisher": found.publisher,
            "entity": found.entity,
            "market": found.market,
            "chain": found.chain,
        }
    )


def offer_values(offer: bytes) -> Mapping[str, Value]:
    """What a mark says. Raises MalformedBytes."""
    return decode_map(offer, "offer")


def offer_message(genesis_hash: bytes, offer: bytes) -> bytes:
    """M of an offer."""
    return signed.message(signed.OFFER, genesis_hash, offer)


def decode_offer(raw: bytes) -> Offer:
    """The reverse of ``encode_offer``. Raises MalformedBytes."""
    row = decode_map(raw, "offer")
    if not _OFFER.admits(dict(row)):
        malformed("offer", 0, "not exactly its fields")
    return Offer(**cast(Mapping[str, Any], row))


_OFFER = Record({"offer": Octets(1, 1_024), "signature": Octets(SIGNATURE_SIZE), "key": PUBLIC_KEY})


def encode_offer(offer: Offer) -> bytes:
    """Canonical map."""
    return encode_value({"offer": offer.offer, "signature": offer.signature, "key": offer.key})


def put_offer(
    ctx: CallContext, service: bytes, found: Service, version: int, definition_hash: bytes, signature: bytes | None
) -> None:
    """Keeps the mark of a version that is registered; it may be left out while no authorities are named."""
    if signature is None:
        if decode_authorities(ctx.get(AUTHORITIES_KEY)).certificates:
            ctx.refuse("services.not_marked", version)
        return
    offer, key = offer_bytes(service, found, version, definition_hash), trusted_key(ctx.read, found.publisher)
    if key is None or not provider().sm2_verify(key, offer_message(ctx.block.genesis_hash, offer), signature):
        ctx.refuse("services.offer_signature")
    ctx.put(offer_key(service, version), encode_offer(Offer(offer, signature, key)))
