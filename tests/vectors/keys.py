"""Fixed key pairs of the golden vectors, and the signatures made with them once and kept.

Validator 0 has the sample key of GB/T 32918.5-2017 annex A; the others' private keys are SM3("dualchain
vector key N").
"""

from __future__ import annotations

import json
from pathlib import Path

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider, signing_provider

HERE = Path(__file__).parent / "formats"
SIGNATURES = HERE / "signatures.json"

_SAMPLE = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")


def private_key(number: int) -> bytes:
    """The private key with this number; 0 is the standard's sample key."""
    return _SAMPLE if number == 0 else sm3(b"dualchain vector key %d" % number)


def public_key(number: int) -> bytes:
    """x || y of the key with this number."""
    return signing_provider().sm2_public_key(private_key(number))


class Signatures:
    """Stored signatures by key number and message. SM2 draws a nonce, so they are made once and kept."""

    def __init__(self, *, may_sign: bool) -> None:
        self._may_sign = may_sign
        self._stored: dict[tuple[int, bytes], bytes] = {}
        self._used: set[tuple[int, bytes]] = set()
        if SIGNATURES.exists():
            for row in json.loads(SIGNATURES.read_text("utf-8"))["signatures"]:
                self._stored[row["key"], bytes.fromhex(row["message"])] = bytes.fromhex(row["signature"])

    def sign(self, number: int, message: bytes) -> bytes:
        """The stored signature when it verifies; else a fresh one, if this run may sign."""
        place = (number, message)
        self._used.add(place)
        stored = self._stored.get(place)
        if stored is not None and provider().sm2_verify(public_key(number), message, stored):
            return stored
        if not self._may_sign:
            raise LookupError(f"no stored signature of key {number} over {message.hex()} verifies")
        self._stored[place] = signing_provider().sm2_sign(private_key(number), message)
        return self._stored[place]

    def document(self) -> dict[str, object]:
        """What belongs into ``signatures.json``: those that were asked for."""
        rows = [
            {"key": number, "message": message.hex(), "signature": self._stored[number, message].hex()}
            for number, message in sorted(self._used)
        ]
        keys = {number for number, _ in self._used}
        return {
            "source": "made for this project; key 0 is the sample key of GB/T 32918.5-2017 annex A",
            "user_id": "1234567812345678",
            "keys": [{"key": number, "public_key": public_key(number).hex()} for number in sorted(keys)],
            "signatures": rows,
        }
