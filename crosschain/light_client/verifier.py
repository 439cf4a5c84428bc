"""Verdicts over headers: predicates in order, the first that fails decides (docs/spec/light-client.md §2-§4)."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.codec.block import decode_certificate, decode_header, header_hash, header_message
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ZERO_HASH
from crosschain.light_client import predicates
from crosschain.light_client.predicates import Case, Predicate
from crosschain.light_client.state import ClientState, Examined, Finding, Shown, Verdict


def verify_next(
    client: ClientState, header_bytes: bytes, certificate_bytes: bytes, *, now_ms: int, next_set: bytes = b""
) -> Finding:
    """Whether the client may move to this header; ``next_set`` comes with the last header of an epoch."""
    return _concluded(examine_next(client, header_bytes, certificate_bytes, now_ms=now_ms, next_set=next_set))


def examine_next(
    client: ClientState, header_bytes: bytes, certificate_bytes: bytes, *, now_ms: int, next_set: bytes = b""
) -> Examined | Finding:
    """``verify_next`` without the signatures, which ``conclude`` verifies; a finding when a predicate fails."""
    shown = _show(header_bytes, certificate_bytes, next_set)
    if isinstance(shown, Finding):
        return _frozen(client) or shown
    follows = client.header_hash != ZERO_HASH and shown.header.height == client.height + 1
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

    ``client`` is that of the header's epoch: one of the past for a header of the past (``ClientState.closed``).
    ``previous_hash`` is that of the header stored one height below, None when none is.
    """
    return _concluded(examine_past(client, header_bytes, certificate_bytes, now_ms=now_ms, previous_hash=previous_hash))


def examine_past(
    client: ClientState,
    header_bytes: bytes,
    certificate_bytes: bytes,
    *,
    now_ms: int,
    previous_hash: bytes | None = None,
) -> Examined | Finding:
    """``verify_past`` without the signatures, which ``conclude`` verifies; a finding when a predicate fails."""
    shown = _show(header_bytes, certificate_bytes)
    if isinstance(shown, Finding):
        return _frozen(client) or shown
    return _judge(Case(client, shown, now_ms, previous_hash), predicates.PAST)


def conclude(examined: Sequence[Examined]) -> list[Finding]:
    """The verdict over each header, by its signatures; those of all headers are verified in one batch."""
    items: list[VerifyItem] = []
    for one in examined:
        client, shown = one.client, one.shown
        message = header_message(client.genesis_hash, shown.hash)
        items += [
            (client.validators.key(signer), message, signature) for signer, signature in shown.certificate.signatures
        ]
    valid = iter(provider().sm2_verify_many(items))
    findings: list[Finding] = []
    for one in examined:
        bad = [signer for (signer, _), holds in zip(one.shown.certificate.signatures, valid, strict=False) if not holds]
        if bad:
            detail = f"validator {bad[0]}'s does not verify"
            findings.append(Finding(Verdict.INVALID, predicates.SIGNATURES, detail, one.shown))
        else:
            findings.append(Finding(Verdict.OK, shown=one.shown))
    return findings


def contradict(a: Shown, b: Shown) -> bool:
    """Whether two headers cannot both be of one chain: one height, two hashes."""
    return a.header.height == b.header.height and a.hash != b.hash


def is_fork(first: Finding, second: Finding) -> bool:
    """Whether two headers that were both found final contradict each other: one height, two hashes."""
    a, b = first.shown, second.shown
    if first.verdict is not Verdict.OK or second.verdict is not Verdict.OK or a is None or b is None:
        return False
    return contradict(a, b)


def _concluded(examined: Examined | Finding) -> Finding:
    return examined if isinstance(examined, Finding) else conclude([examined])[0]


def _show(header_bytes: bytes, certificate_bytes: bytes, next_set: bytes = b"") -> Shown | Finding:
    """Header and certificate decoded, or the finding that names ``format``."""
    try:
        header, certificate = decode_header(header_bytes), decode_certificate(certificate_bytes)
    except MalformedBytes as error:
        return Finding(Verdict.INVALID, "format", f"{error.what}, {error.where}")
    return Shown(header_bytes, header, header_hash(header_bytes), certificate, next_set)


def _judge(case: Case, ordered: tuple[Predicate, ...]) -> Examined | Finding:
    """The first that fails decides; what is left when all hold are the signatures."""
    stopped = _frozen(case.client)
    if stopped is not None:
        return stopped
    for predicate in ordered:
        detail = predicate(case)
        if detail:
            return Finding(_verdict(predicate, case), predicates.name_of(predicate), detail, case.shown)
    return Examined(case.client, case.shown)


def _frozen(client: ClientState) -> Finding | None:
    detail = predicates.frozen(client)
    return Finding(Verdict.INVALID, "frozen", detail) if detail else None


def _verdict(predicate: Predicate, case: Case) -> Verdict:
    ahead = predicate is predicates.epoch and case.shown.header.epoch > case.client.epoch
    ahead = ahead or predicate is predicates.stale or (predicate is predicates.next_set and not case.shown.next_set)
    return Verdict.NOT_ENOUGH_TRUST if ahead else Verdict.INVALID
