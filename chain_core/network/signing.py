"""Signing transactions on a client's side: the body's canonical bytes, then one signature a signer."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.codec import signed
from chain_core.codec.transaction import encode_body, encode_envelope
from chain_core.crypto.providers import signing_provider
from chain_core.types.transaction import Signer, TransactionBody


def sign_transaction(genesis_hash: bytes, body: TransactionBody, keys: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The encoded envelope of ``body``, signed for one chain.

    ``keys`` are (private key, public key): the account's first, then the cosigners' in the body's order. Raises
    MalformedBytes for a body no node would accept, ValueError for a wrong number of keys, InvalidKey, SigningFailed.
    """
    if len(keys) != 1 + len(body.cosigners):
        raise ValueError(f"{len(keys)} keys for {1 + len(body.cosigners)} signers")
    body_bytes = encode_body(body)
    message = signed.message(signed.TX, genesis_hash, body_bytes)
    sign = signing_provider().sm2_sign
    return encode_envelope(body_bytes, tuple(Signer(public, sign(private, message)) for private, public in keys))
