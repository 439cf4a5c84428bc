"""The predicates, one a function, in the order in which they run (docs/spec/light-client.md §2).

Each returns "" when it holds, else the values that disagree. Cheap ones first, signatures last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chain_core.codec.validator_set import decode_validator_set, hash_of_encoded_set
from chain_core.codec.wire import ascending
from chain_core.types.errors import MalformedBytes
from crosschain.light_client.state import ClientState, Shown

MAX_FUTURE_MS = 60_000
"""How far a header's time may lie after the present: clocks of two chains differ, a lie must not be large."""

MAX_AGE_MS = 14 * 86_400_000
"""How old the last accepted header may be before the regulator has to confirm the next one."""


@dataclass(frozen=True, slots=True)
class Case:
    """One header before one client: ``previous_hash`` is that of the header stored one height below, if any is."""

    client: ClientState
    shown: Shown
    now_ms: int
    previous_hash: bytes | None


Predicate = Callable[[Case], str]


def frozen(client: ClientState) -> str:
    """The client follows its chain no more."""
    return "its validators contradicted themselves" if client.frozen else ""


def genesis(case: Case) -> str:
    """The header is of the followed chain."""
    found = case.shown.header.genesis_hash
    return "" if found == case.client.genesis_hash else f"{_short(found)}, not {_short(case.client.genesis_hash)}"


def ledger(case: Case) -> str:
    """The header is of the followed ledger."""
    return _equal(case.shown.header.ledger, case.client.ledger)


def epoch(case: Case) -> str:
    """The header is of the client's epoch."""
    return _equal(case.shown.header.epoch, case.client.epoch)


def height(case: Case) -> str:
    """The header is above the last accepted one."""
    found, last = case.shown.header.height, case.client.height
    return "" if found > last else f"{found}, the last accepted is {last}"


def above_genesis(case: Case) -> str:
    """A past header: height 0 is computed from the genesis document and never certified."""
    return "" if case.shown.header.height > 0 else "0 is never certified"


def reach(case: Case) -> str:
    """The header's height is one that the epoch's validators certify."""
    found, start, end = case.shown.header.height, case.client.start, case.client.end
    if found < start or (end is not None and found >= end):
        return f"{found}, the epoch has {start} to {'now' if end is None else end - 1}"
    return ""


def stale(case: Case) -> str:
    """What lies above the last accepted header is judged only while that one is not too old (light-client.md §5)."""
    client = case.client
    if client.max_age_ms is None or case.shown.header.height <= client.height:
        return ""
    age_ms = case.now_ms - max(client.time_ms, client.trusted_ms)
    return "" if age_ms <= client.max_age_ms else f"the last accepted is {age_ms} ms old, at most {client.max_age_ms}"


def time(case: Case) -> str:
    """The header's time is after the last accepted one's."""
    found, last = case.shown.header.time_ms, case.client.time_ms
    return "" if found > last else f"{found}, the last accepted is {last}"


def future(case: Case) -> str:
    """The header's time is not far after the present."""
    found, latest = case.shown.header.time_ms, case.now_ms + MAX_FUTURE_MS
    return "" if found <= latest else f"{found}, at most {latest}"


def previous(case: Case) -> str:
    """The header continues the one stored below it."""
    found, stored = case.shown.header.prev_hash, case.previous_hash
    return "" if stored is None or found == stored else f"{_short(found)}, stored is {_short(stored)}"


def validators(case: Case) -> str:
    """The header names the epoch's validator set."""
    found, expected = case.shown.header.validator_set_hash, case.client.validators_hash
    return "" if found == expected else f"{_short(found)}, not {_short(expected)}"


def certified(case: Case) -> str:
    """The certificate is over this header."""
    found, expected = case.shown.certificate.header_hash, case.shown.hash
    return "" if found == expected else f"{_short(found)}, not {_short(expected)}"


def quorum(case: Case) -> str:
    """Exactly q signatures."""
    return _equal(len(case.shown.certificate.signatures), case.client.validators.q)


def signers(case: Case) -> str:
    """Signers strictly ascending: nobody signs twice, and the certificate has one encoding."""
    found = _signers(case)
    return "" if ascending(found) else f"{found} are not strictly ascending"


def members(case: Case) -> str:
    """Every signer is a member of the set."""
    n = case.client.validators.n
    strangers = [signer for signer in _signers(case) if not 0 <= signer < n]
    return f"{strangers[0]} in a set of {n}" if strangers else ""


def next_set(case: Case) -> str:
    """With the last header of an epoch come the next one's validators; with any other nothing."""
    header, raw = case.shown.header, case.shown.next_set
    if not case.client.closed_by(header):
        return "a set, though the header closes no epoch" if raw else ""
    if not raw:
        return f"none, the header closes the epoch and names {_short(header.next_validator_set_hash)}"
    found = hash_of_encoded_set(raw)
    if found != header.next_validator_set_hash:
        return f"{_short(found)}, not {_short(header.next_validator_set_hash)}"
    try:
        decode_validator_set(raw)
    except MalformedBytes as error:
        return error.what
    return ""


_CERTIFIED: tuple[Predicate, ...] = (future, previous, validators, certified, quorum, signers, members)

NEXT: tuple[Predicate, ...] = (genesis, ledger, epoch, height, reach, stale, time, *_CERTIFIED, next_set)
"""What a header that moves the client must satisfy, its signatures besides."""

PAST: tuple[Predicate, ...] = (genesis, ledger, epoch, above_genesis, reach, stale, *_CERTIFIED)
"""What makes a header final wherever it stands relative to the client, its signatures besides."""

SIGNATURES = "signatures"
"""Every signature verifies under its signer's consensus key: the last predicate, tried in batches (``conclude``)."""

NAMES: tuple[str, ...] = ("frozen", "format", *(predicate.__name__ for predicate in NEXT), SIGNATURES)
"""Names of all predicates in their order."""

_NAMED_AS = {"above_genesis": "height"}


def name_of(predicate: Predicate) -> str:
    """The name under which a refusal speaks of ``predicate``."""
    return _NAMED_AS.get(predicate.__name__, predicate.__name__)


def _signers(case: Case) -> list[int]:
    return [signer for signer, _ in case.shown.certificate.signatures]


def _equal(found: int, expected: int) -> str:
    return "" if found == expected else f"{found}, not {expected}"


def _short(value: bytes) -> str:
    return value[:8].hex()
