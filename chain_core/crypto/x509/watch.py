"""Alarms about certificates and revocation lists: facts and time in, what an operator has to know out (pure).

Nothing here ends a link or a session: between validators only the chain's own status does (certificates.md §9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chain_core.crypto.x509.errors import Reason

_LAST_SECOND_MS = 1_000


class AlarmCode(StrEnum):
    """In the order of their weight."""

    CERTIFICATE_REVOKED = "CERTIFICATE_REVOKED"
    CERTIFICATE_EXPIRED = "CERTIFICATE_EXPIRED"
    CERTIFICATE_REFUSED = "CERTIFICATE_REFUSED"
    """Its path or purpose is at fault: untrusted, forged, of another role, not valid yet."""
    CRL_MISSING = "CRL_MISSING"
    CRL_STALE = "CRL_STALE"
    CERTIFICATE_EXPIRES_SOON = "CERTIFICATE_EXPIRES_SOON"


@dataclass(frozen=True, slots=True)
class Watched:
    """A certificate in use: ``of`` names its holder, ``own`` this node's chain; ``refusal`` None: it verifies."""

    of: str
    own: bool
    serial: int
    not_after_ms: int
    refusal: Reason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ListState:
    """The revocation lists: ``configured`` False: nothing is checked; ``missing``: why the file cannot be read now."""

    configured: bool
    missing: str = ""
    next_updates: Sequence[tuple[str, int]] = ()
    """(issuer, time in ms) of each list that is held."""
    grace_ms: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """``of``: a node's name, or the issuer of a list."""

    code: AlarmCode
    of: str
    what: str
    next_step: str


def alarms(
    watched: Iterable[Watched], lists: ListState, now_ms: int, *, warn_ms: int, chain_kind: str
) -> tuple[Alarm, ...]:
    """Everything that is wrong at ``now_ms``, the weightiest first; ``chain_kind`` names the persona's command."""
    found = [alarm for one in watched if (alarm := _of_certificate(one, now_ms, warn_ms, chain_kind)) is not None]
    if lists.missing:  # one cause, told once
        found = [alarm for alarm in found if alarm.code is not AlarmCode.CRL_MISSING]
    found += _of_lists(lists, now_ms)
    order = list(AlarmCode)
    return tuple(sorted(dict.fromkeys(found), key=lambda alarm: (order.index(alarm.code), alarm.of)))


def _of_certificate(one: Watched, now_ms: int, warn_ms: int, chain_kind: str) -> Alarm | None:
    what, validators = f"serial {one.serial:x}", f"dualchain {chain_kind} validators"
    if one.refusal is Reason.REVOKED:
        return Alarm(
            AlarmCode.CERTIFICATE_REVOKED,
            one.of,
            f"{what}: its issuer has revoked it, the link stays until the chain decides",
            f"a governor proposes a new key, or that it leaves: {validators} rotate {one.of} --purpose transport "
            f"--new-key KEY ..., or {validators} remove {one.of} ...",
        )
    if now_ms >= one.not_after_ms + _LAST_SECOND_MS:
        ago = (now_ms - one.not_after_ms) // 1_000
        renew = "dualchain ca issue --for node --key transport.key ... writes a new one, then restart"
        away = f"its operator renews it; if nobody does, a governor proposes: {validators} remove {one.of} ..."
        return Alarm(AlarmCode.CERTIFICATE_EXPIRED, one.of, f"{what} ended {ago} s ago", renew if one.own else away)
    if one.refusal is Reason.EXPIRED:
        return Alarm(
            AlarmCode.CERTIFICATE_EXPIRED,
            one.of,
            f"{what}: an authority above it has ended; {one.detail}",
            "have it issued by an authority that has not" if one.own else "ask its operator",
        )
    if one.refusal not in (None, Reason.CRL_MISSING, Reason.CRL_STALE):
        return Alarm(
            AlarmCode.CERTIFICATE_REFUSED,
            one.of,
            f"{what}: {one.detail or one.refusal}",
            "dualchain ca verify says the same; have it issued again" if one.own else "ask its operator",
        )
    if now_ms >= one.not_after_ms - warn_ms:
        left = max(0, one.not_after_ms - now_ms) // 86_400_000
        renew = "dualchain ca issue --for node --key transport.key ..." if one.own else "remind its operator"
        return Alarm(AlarmCode.CERTIFICATE_EXPIRES_SOON, one.of, f"{what} ends in {left} days", renew)
    if one.refusal is Reason.CRL_MISSING:
        return Alarm(
            AlarmCode.CRL_MISSING, one.of, one.detail, "add the issuer's revocation list to the file of security.crl"
        )
    return None


def _of_lists(lists: ListState, now_ms: int) -> list[Alarm]:
    if not lists.configured:
        return []
    found = []
    if lists.missing:
        kept = "the lists read last stay in force" if lists.next_updates else "clients are refused"
        step = "restore the file that security.crl names; it is read again by itself"
        found.append(Alarm(AlarmCode.CRL_MISSING, "security.crl", f"{lists.missing}; {kept}", step))
    for issuer, next_update_ms in lists.next_updates:
        if now_ms >= next_update_ms:
            over = now_ms >= next_update_ms + lists.grace_ms
            late = f"was to be renewed {(now_ms - next_update_ms) // 1_000} s ago"
            bound = "its clients are refused" if over else "its clients are refused when the grace is over"
            step = "fetch its newest list to the file of security.crl (dualchain ca crl makes one)"
            found.append(Alarm(AlarmCode.CRL_STALE, issuer, f"{late}; {bound}", step))
    return found
