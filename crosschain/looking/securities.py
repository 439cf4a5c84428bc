"""What is read of every security that an answer names: its record, its names, the directives that freeze it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from contracts.kernel.records import KERNEL, LABEL, SECURITY, SECURITY_FREEZE, Security, decode_security
from crosschain.complete_lists import Values
from crosschain.looking.inquiry import Inquiry


@dataclass(frozen=True, slots=True)
class NamedSecurity:
    """A security as its market registers it; ``freezes`` are the directives in force."""

    security: bytes
    record: Security
    reference: str
    name: str
    freezes: tuple[str, ...]


def own(key: bytes) -> bytes:
    """The full state key of one of the kernel's own."""
    return state_key(KERNEL, key)


def record_keys(security: bytes) -> list[bytes]:
    """Record and names."""
    return [own(SECURITY + security), own(LABEL + security)]


def freeze_keys(known: Values, security: bytes) -> list[bytes]:
    """The list of freezes, of a security whose record says that there are some."""
    raw = known[own(SECURITY + security)]
    return [own(SECURITY_FREEZE + security)] if raw is not None and decode_security(raw).frozen else []


def security_of(inquiry: Inquiry, values: Values, security: bytes) -> NamedSecurity:
    """The security from proven values; InvalidProof when the chain has none, or contradicts itself about it."""
    raw, label = values[own(SECURITY + security)], values[own(LABEL + security)]
    if raw is None or label is None:
        raise inquiry.refuse(f"security {security.hex()} is named, and the chain has none")
    record, names = decode_security(raw), decode_map(label, "names of a security")
    frozen = freeze_keys(values, security)
    freezes = texts(values[frozen[0]]) if frozen else ()
    if frozen and not freezes:
        raise inquiry.refuse(f"security {security.hex()} is frozen, and no directive is shown")
    return NamedSecurity(security, record, cast(str, names["reference"]), cast(str, names["name"]), freezes)


def texts(raw: bytes | None) -> tuple[str, ...]:
    """A stored list of texts; nothing is none. Raises MalformedBytes."""
    return () if raw is None else tuple(cast(Sequence[str], decode_value(raw, "list of texts")))
