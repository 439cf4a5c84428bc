"""Challenges as files between verifier and holder (docs/spec/identity.md §6): one counts once."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_core.crypto.providers import signing_provider
from chain_core.types.errors import MalformedBytes
from crosschain.identity.challenge import MAX_LIFE_MS, NONCE_BYTES, Challenge, answer, answered, decode_challenge
from crosschain.identity.document import AUTHENTICATION, DidRecord, key_url
from local_chain.identity_desk.proven import key_in


@dataclass(frozen=True, slots=True)
class Answer:
    """The holder's signature, and by which key (DID URL)."""

    url: str
    signature: bytes


def draw(did: str, audience: str, now_ms: int) -> Challenge:
    """A fresh challenge for the holder of the DID."""
    return Challenge(did, audience, secrets.token_bytes(NONCE_BYTES), now_ms + MAX_LIFE_MS)


def write(path: Path, row: dict[str, Any]) -> None:
    """A new JSON file. Raises MalformedBytes."""
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(row, file, ensure_ascii=False, indent=1)
    except OSError as error:
        raise MalformedBytes(
            f"cannot be written: {error.strerror}", where=str(path), next_step="name a new file"
        ) from error


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        row = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MalformedBytes(
            f"no {what}: {error}", where=str(path), next_step=f"name the file of the {what}"
        ) from error
    if not isinstance(row, dict):
        raise MalformedBytes(f"no {what}", where=str(path), next_step=f"name the file of the {what}")
    return row


def read_challenge(path: Path) -> Challenge:
    """Raises MalformedBytes, also for fields of another kind or size."""
    row = _read(path, "challenge")
    try:
        made = Challenge(row["did"], row["audience"], bytes.fromhex(row["nonce"]), row["expires_ms"])
        return decode_challenge(made.encode())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedBytes(f"no challenge: {error}", where=str(path), next_step="ask for another one") from error


def challenge_row(made: Challenge) -> dict[str, Any]:
    """As its file has it."""
    return {
        "did": made.did,
        "audience": made.audience,
        "nonce": made.nonce.hex(),
        "expires_ms": made.expires_ms,
    }


def answer_challenge(
    made: Challenge, record: DidRecord, private: bytes, genesis_hash: bytes, now_ms: int
) -> dict[str, Any]:
    """The answer's row. Raises NotFound for a key that is not the DID's, MalformedBytes for one that is over."""
    key = key_in(record, signing_provider().sm2_public_key(private), AUTHENTICATION)
    try:
        signature = answer(
            made, genesis_hash, now_ms=now_ms, sign=lambda message: signing_provider().sm2_sign(private, message)
        )
    except ValueError as error:
        raise MalformedBytes(str(error), where="challenge", next_step="ask the verifier for another one") from error
    return {"key": key_url(record.did, key), "signature": signature.hex()}


def read_answer(path: Path) -> Answer:
    """Raises MalformedBytes."""
    row = _read(path, "answer")
    try:
        return Answer(str(row["key"]), bytes.fromhex(row["signature"]))
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBytes(f"no answer: {error}", where=str(path), next_step="name the holder's file") from error


def spend(path: Path) -> None:
    """The challenge counts from here on no more: its file gets the suffix ``.used``. Raises MalformedBytes when it has.

    Before anything is checked: two at once cannot both count, a wrong answer uses it up as well.
    """
    used = path.with_name(path.name + ".used")
    try:
        with used.open("x"):
            pass
        path.replace(used)
    except OSError as error:
        raise MalformedBytes(
            f"the challenge was used, or is not there: {error.strerror}",
            where=str(path),
            next_step="draw another one: local did challenge",
        ) from error


def fault(made: Challenge, told: Answer, record: DidRecord, genesis_hash: bytes, now_ms: int) -> str:
    """Empty when the DID's holder answered in time; else what is wrong."""
    if len(told.signature) != 64:
        return "a signature has 64 bytes"
    return answered(made, genesis_hash, told.signature, told.url, record, now_ms=now_ms)
