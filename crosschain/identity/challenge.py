"""Proving that one holds a DID (JR/T 0325-2024 §9, "prove DID"; docs/spec/identity.md §6).

What is signed is a tagged structure of ours around the verifier's nonce: nobody gets a signature over bytes of his own
choosing, so that a challenge is never a transaction, a vote or a credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from chain_core.codec import signed
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.providers import provider
from chain_core.types.errors import MalformedBytes
from crosschain.identity.document import AUTHENTICATION, DidRecord
from crosschain.identity.suite import Sign

CHALLENGE = signed.tag("dualchain/did-challenge/v1")
NONCE_BYTES = 32
MAX_LIFE_MS = 300_000
MAX_AUDIENCE_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Challenge:
    """``audience`` is who asks; it counts until ``expires_ms``, once."""

    did: str
    audience: str
    nonce: bytes
    expires_ms: int

    def encode(self) -> bytes:
        """Canonical map."""
        return encode_value(
            {"did": self.did, "audience": self.audience, "nonce": self.nonce, "expires_ms": self.expires_ms}
        )


def decode_challenge(raw: bytes) -> Challenge:
    """The reverse of ``encode``. Raises MalformedBytes, also for a nonce of another size."""
    row = decode_map(raw, "challenge")
    if set(row) != {"did", "audience", "nonce", "expires_ms"}:
        raise MalformedBytes("challenge: other fields", where="challenge", next_step="ask the verifier for another one")
    made = Challenge(
        cast(str, row["did"]), cast(str, row["audience"]), cast(bytes, row["nonce"]), cast(int, row["expires_ms"])
    )
    kinds = (type(made.did), type(made.audience), type(made.nonce), type(made.expires_ms))
    if (
        kinds != (str, str, bytes, int)
        or len(made.nonce) != NONCE_BYTES
        or len(made.audience) > MAX_AUDIENCE_CHARACTERS
    ):
        raise MalformedBytes("challenge: a field of another kind or size", where="challenge", next_step="ask again")
    return made


def answer(challenge: Challenge, genesis_hash: bytes, *, now_ms: int, sign: Sign) -> bytes:
    """The holder's signature. Raises ValueError for a challenge that lives longer than five minutes, or is over."""
    if not now_ms < challenge.expires_ms <= now_ms + MAX_LIFE_MS:
        raise ValueError(f"a challenge counts for {MAX_LIFE_MS // 1000} s at most, and this one does not count now")
    return sign(signed.message(CHALLENGE, genesis_hash, challenge.encode()))


def answered(
    challenge: Challenge, genesis_hash: bytes, signature: bytes, url: str, record: DidRecord | None, *, now_ms: int
) -> str:
    """Empty when the DID's holder answered in time with an authentication key in force; else what is wrong."""
    if now_ms >= challenge.expires_ms:
        return "the challenge is over"
    if record is None or record.did != challenge.did:
        return f"{challenge.did} is not known"
    if not record.active:
        return f"{challenge.did} is deactivated"
    key = record.key_at(url, AUTHENTICATION, now_ms)
    if key is None:
        return f"{url[:120]} is no authentication key in force"
    message = signed.message(CHALLENGE, genesis_hash, challenge.encode())
    return "" if provider().sm2_verify(key.key, message, signature) else "the signature does not verify"
