"""Verdicts over headers: predicates in order, the first that fails decides (docs/spec/light-client.md §2-§4)."""

from __future__ import annotations

from chain_core.codec.block import decode_certificate, decode_header, header_hash
from chain_core.types.errors import MalformedBytes
from crosschain.light_client import predicates
from crosschain.light_client.predicates import Case, Predicate
from crosschain.light_client.state import ClientState, Finding, Shown, Verdict


def verify_next(client: ClientState, header_bytes: bytes, certificate_bytes: bytes, *, now_ms: int) -> Finding:
    """Whether the client may move to this header."""
    shown = _show(header_bytes, certificate_bytes)
    if isinstance(shown, Finding):
        return _frozen(client) or shown
    follows = client.height > 0 and shown.header.height == client.height + 1
    return _judge(Case(client, shown, now_ms, client.header_hash if follows else None), predicates.NEXT)


def verify_past(
    client: ClientState,
    header_bytes: bytes,
    certificate_bytes: bytes,
    *,
    now_ms: int,
    previous_hash: bytes | None = None,
) -> Finding:
    """Whether this header is final, wherever it stands; a verdict of OK does not move the client.

    ``previous_hash`` is that of the header stored one height below, None when none is.
    """
    shown = _show(header_bytes, certificate_bytes)
    if isinstance(shown, Finding):
        return _frozen(client) or shown
    return _judge(Case(client, shown, now_ms, previous_hash), predicates.PAST)


def is_fork(first: Finding, second: Finding) -> bool:
    """Whether two headers that were both found final contradict each other: one height, two hashes."""
    a, b = first.shown, second.shown
    if first.verdict is not Verdict.OK or second.verdict is not Verdict.OK or a is None or b is None:
        return False
    return a.header.height == b.header.height and a.hash != b.hash


def _show(header_bytes: bytes, certificate_bytes: bytes) -> Shown | Finding:
    """Header and certificate decoded, or the finding that names ``format``."""
    try:
        header, certificate = decode_header(header_bytes), decode_certificate(certificate_bytes)
    except MalformedBytes as error:
        return Finding(Verdict.INVALID, "format", f"{error.what}, {error.where}")
    return Shown(header_bytes, header, header_hash(header_bytes), certificate)


def _judge(case: Case, ordered: tuple[Predicate, ...]) -> Finding:
    """The first that fails decides; OK when all hold."""
    stopped = _frozen(case.client)
    if stopped is not None:
        return stopped
    for predicate in ordered:
        detail = predicate(case)
        if detail:
            return Finding(_verdict(predicate, case), predicates.name_of(predicate), detail, case.shown)
    return Finding(Verdict.OK, shown=case.shown)


def _frozen(client: ClientState) -> Finding | None:
    detail = predicates.frozen(client)
    return Finding(Verdict.INVALID, "frozen", detail) if detail else None


def _verdict(predicate: Predicate, case: Case) -> Verdict:
    ahead = predicate is predicates.epoch and case.shown.header.epoch > case.client.epoch
    return Verdict.NOT_ENOUGH_TRUST if ahead else Verdict.INVALID
