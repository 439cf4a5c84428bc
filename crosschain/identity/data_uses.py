"""What a market's chain keeps of data authorisations' uses (docs/spec/government-data.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import ACCOUNT, HASH, PUBLIC_KEY, Integer, Kind, Octets, Record, Text
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import HASH_SIZE
from chain_core.types.values import Value

GOVDATA = "govdata"
"""The contract's name: part of proven state keys."""
MAX_USES = 1_000
"""Of one authorisation."""


@dataclass(frozen=True, slots=True)
class Bureau:
    """A data bureau and the key that signs its receipts."""

    name: str
    key: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Granted:
    """How often a credential may be used, and how many uses were begun."""

    uses: int
    used: int
    height: int


@dataclass(frozen=True, slots=True)
class Use:
    """One use; ``bureau`` and ``receipt`` (SM3) are empty until it is settled."""

    request: bytes
    consumer: bytes
    by: bytes
    begun_ms: int
    bureau: str
    receipt: bytes
    height: int

    @property
    def settled(self) -> bool:
        """Whether the bureau's receipt is on record."""
        return bool(self.receipt)


def bureau_place(credit_code: str) -> bytes:
    """Key inside the contract of a bureau."""
    return b"b" + credit_code.encode("ascii")


def grant_place(credential: str) -> bytes:
    """Key inside the contract of a credential's uses."""
    return b"g" + sm3(credential.encode("utf-8"))


def use_place(credential: str, number: int) -> bytes:
    """Key inside the contract of one use, counted from 1."""
    return b"u" + sm3(credential.encode("utf-8")) + number.to_bytes(4, "big")


def request_place(request: bytes) -> bytes:
    """Key inside the contract of the use that a request began."""
    return b"q" + request


def full_key(place: bytes) -> bytes:
    """The full state key."""
    return state_key(GOVDATA, place)


def encode(row: Bureau | Granted | Use) -> bytes:
    """The state value: a map of the fields."""
    return encode_value({name: cast(Value, getattr(row, name)) for name in row.__slots__})


_HEIGHT = Integer()
_KINDS: Mapping[type, Kind] = {
    Bureau: Record({"name": Text(128), "key": PUBLIC_KEY, "height": _HEIGHT}),
    Granted: Record({"uses": Integer(1, MAX_USES), "used": Integer(0, MAX_USES), "height": _HEIGHT}),
    Use: Record(
        {
            "request": HASH,
            "consumer": ACCOUNT,
            "by": ACCOUNT,
            "begun_ms": Integer(),
            "bureau": Text(18, 0),
            "receipt": Octets(0, HASH_SIZE),
            "height": _HEIGHT,
        }
    ),
}


def _fields(raw: bytes, kind: type, what: str) -> Mapping[str, Any]:
    """The map, when it is of this kind: another market's chain wrote it."""
    row = decode_map(raw, what)
    if not _KINDS[kind].admits(cast(Value, row)):
        raise MalformedBytes(f"{what}: other fields", where=GOVDATA, next_step="ask another node")
    return row


def decode_bureau(raw: bytes) -> Bureau:
    """Raises MalformedBytes."""
    return Bureau(**_fields(raw, Bureau, "bureau"))


def decode_granted(raw: bytes) -> Granted:
    """Raises MalformedBytes."""
    return Granted(**_fields(raw, Granted, "granted uses"))


def decode_use(raw: bytes) -> Use:
    """Raises MalformedBytes."""
    return Use(**_fields(raw, Use, "use"))


def encode_begun(credential: str, number: int) -> bytes:
    """The value behind a request."""
    return encode_value([sm3(credential.encode("utf-8")), number])


def decode_begun(raw: bytes) -> int:
    """The number of the use that a request began. Raises MalformedBytes."""
    row = decode_value(raw, "begun request")
    if not isinstance(row, list) or len(row) != 2 or type(row[1]) is not int:
        raise MalformedBytes("begun request: other fields", where=GOVDATA, next_step="ask another node")
    return row[1]
