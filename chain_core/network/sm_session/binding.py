"""What a session is for: chain, ledger, role and protocol version, in both transcripts (docs/spec/sm-session.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from chain_core.codec.wire import Layout
from chain_core.network.sm_session.reading import Reader
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.types.ids import PROTOCOL_VERSION

ALL_LEDGERS: Final = 0xFFFF_FFFF
_LAYOUT: Final = Layout("H32sIB")


class Role(IntEnum):
    """As what the client comes: which port it wants."""

    PEER = 1
    CLIENT = 2


@dataclass(frozen=True, slots=True)
class Binding:
    """``genesis_hash`` 32 bytes; ``ledger`` ALL_LEDGERS unless the port serves one alone."""

    genesis_hash: bytes
    role: Role
    ledger: int = ALL_LEDGERS
    protocol_version: int = PROTOCOL_VERSION


def encode_binding(binding: Binding) -> bytes:
    """39 bytes."""
    return _LAYOUT.pack(binding.protocol_version, binding.genesis_hash, binding.ledger, binding.role)


def read_binding(reader: Reader) -> Binding:
    """Raises SessionRefused: MALFORMED_MESSAGE, WRONG_ROLE."""
    version, genesis_hash, ledger, role = _LAYOUT.unpack_from(reader.take(_LAYOUT.size), 0)
    reader.end()
    if role not in set(Role):
        raise SessionRefused(Reason.WRONG_ROLE, f"there is no role {role}", where=reader.name)
    return Binding(genesis_hash, Role(role), ledger, version)


def check_binding(ours: Binding, theirs: Binding) -> None:
    """Raises SessionRefused, naming what differs: WRONG_VERSION, WRONG_CHAIN, WRONG_LEDGER, WRONG_ROLE."""
    if theirs.protocol_version != ours.protocol_version:
        what = f"protocol version {theirs.protocol_version} meets {ours.protocol_version}"
        raise SessionRefused(Reason.WRONG_VERSION, what, where="binding")
    if theirs.genesis_hash != ours.genesis_hash:
        what = f"chain {theirs.genesis_hash.hex()} meets {ours.genesis_hash.hex()}"
        raise SessionRefused(Reason.WRONG_CHAIN, what, where="binding")
    if theirs.ledger != ours.ledger:
        raise SessionRefused(Reason.WRONG_LEDGER, f"ledger {theirs.ledger} meets {ours.ledger}", where="binding")
    if theirs.role != ours.role:
        what = f"a session as {theirs.role.name.lower()} meets one as {ours.role.name.lower()}"
        raise SessionRefused(Reason.WRONG_ROLE, what, where="binding")
