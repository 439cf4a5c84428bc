"""Whether headers continue a chain: hashes, certificates, and sets that the headers before introduce. No state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chain_core.codec.block import HEADER_SIZE, decode_certificate, decode_header, header_hash
from chain_core.codec.certificates import certificate_signatures
from chain_core.codec.validator_set import decode_validator_set
from chain_core.crypto.provider import VerifyItem
from chain_core.types.errors import InvalidProof, MalformedBytes

_NEXT = "drop the peer that sent it and ask another one"
KnownSet = Callable[[bytes], bytes | None]
"""Encoded validator set by hash."""
Verify = Callable[[Sequence[VerifyItem]], list[bool]]
"""A verdict for each signature."""


def check_headers(
    previous: bytes,
    parts: Sequence[bytes],
    sets: Mapping[bytes, bytes],
    known: KnownSet,
    genesis_hash: bytes,
    verify: Verify,
) -> list[tuple[bytes, bytes]]:
    """(header, certificate) of each part, which follow ``previous`` one by one and are certified.

    ``sets`` came with them, by hash. Raises InvalidProof, MalformedBytes.
    """
    before, before_hash = decode_header(previous), header_hash(previous)
    found: list[tuple[bytes, bytes]] = []
    items: list[VerifyItem] = []
    for part in parts:
        raw, encoded = part[:HEADER_SIZE], part[HEADER_SIZE:]
        header = decode_header(raw)
        where = f"height {before.height + 1}"
        expected = (before.height + 1, before_hash, before.next_validator_set_hash, before.ledger)
        if (header.height, header.prev_hash, header.validator_set_hash, header.ledger) != expected:
            raise InvalidProof("the header does not follow the one before it", where=where, next_step=_NEXT)
        set_bytes = known(header.validator_set_hash) or sets.get(header.validator_set_hash)
        if set_bytes is None:
            raise InvalidProof("the set that certifies it did not come with it", where=where, next_step=_NEXT)
        try:
            validators = decode_validator_set(set_bytes)
        except MalformedBytes as error:
            raise InvalidProof(f"no validator set: {error.what}", where=where, next_step=_NEXT) from error
        items.extend(certificate_signatures(raw, decode_certificate(encoded), validators, genesis_hash)[1])
        found.append((raw, encoded))
        before, before_hash = header, header_hash(raw)
    if items and not all(verify(items)):
        raise InvalidProof("a signature in a certificate does not verify", where="headers", next_step=_NEXT)
    return found
