"""Who may read an object now: one judgement for the contract, which records an access, and for the custodian, who
releases on the strength of that record (docs/spec/data-tiers.md §4, §8).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from chain_core.execution.account_records import ACCOUNTS, decode_record
from chain_core.execution.account_records import ACTIVE as ACTIVE_ACCOUNT
from contracts.data.records import (
    ACTIVE,
    DATA,
    SEALING,
    AccessLog,
    Descriptor,
    Grant,
    Read,
    find,
    grant_key,
    log_key,
    object_key,
)

RELEASE_WINDOW_MS = 600_000
"""An access record is good for releases until this long after its block's time."""


class Denied(Enum):
    """Why not; the value says it in words."""

    UNKNOWN_OBJECT = "no such object"
    NOT_ACTIVE = "the object is being deleted, or is deleted"
    OTHER_CUSTODIAN = "another custodian keeps this object"
    NO_GRANT = "no grant names this reader"
    GRANT_OVER = "the grant has ended"
    NOT_RECORDED = "no access of this version is recorded"
    RECORD_OVER = "the last recorded access is too long ago"
    KEY_REVOKED = "the key of the record is no active sealing key of the reader"


@dataclass(frozen=True, slots=True)
class Permit:
    """A reader's right to record an access now."""

    descriptor: Descriptor
    grant: Grant


@dataclass(frozen=True, slots=True)
class ReleasePermit:
    """A reader's right to be released an object to: by the recorded access, to ``log.key``. ``place`` is the
    custodian's among the object's.
    """

    descriptor: Descriptor
    grant: Grant
    log: AccessLog
    place: int


def release_keys(identity: bytes, reader: bytes) -> list[tuple[str, bytes]]:
    """What ``judge_release`` reads, as (contract, key)."""
    return [
        (DATA, object_key(identity)),
        (DATA, grant_key(identity, reader)),
        (DATA, log_key(identity, reader)),
        (ACCOUNTS, b"a" + reader),
    ]


def judge_access(read: Read, identity: bytes, reader: bytes, now_ms: int) -> Permit | Denied:
    """Whether the reader may read at ``now_ms``, the version in force."""
    descriptor = find(Descriptor, read(DATA, object_key(identity)))
    if descriptor is None:
        return Denied.UNKNOWN_OBJECT
    if descriptor.status != ACTIVE:
        return Denied.NOT_ACTIVE
    grant = find(Grant, read(DATA, grant_key(identity, reader)))
    if grant is None:
        return Denied.NO_GRANT
    if now_ms >= grant.expires_ms:
        return Denied.GRANT_OVER
    return Permit(descriptor, grant)


def judge_release(read: Read, identity: bytes, reader: bytes, custodian: bytes, now_ms: int) -> ReleasePermit | Denied:
    """Whether the custodian may release the version in force to the reader, by the last access that is recorded."""
    permit = judge_access(read, identity, reader, now_ms)
    if isinstance(permit, Denied):
        return permit
    place = permit.descriptor.place_of(custodian)
    if place is None:
        return Denied.OTHER_CUSTODIAN
    log = find(AccessLog, read(DATA, log_key(identity, reader)))
    if log is None or log.version != permit.descriptor.version:
        return Denied.NOT_RECORDED
    if now_ms - log.time_ms > RELEASE_WINDOW_MS:
        return Denied.RECORD_OVER
    if not is_sealing_key(read, reader, log.key) or permit.grant.key not in (b"", log.key):
        return Denied.KEY_REVOKED
    return ReleasePermit(permit.descriptor, permit.grant, log, place)


def is_sealing_key(read: Read, account: bytes, key: bytes) -> bool:
    """Whether the key is an active one of purpose ``sealing`` of an active account."""
    raw = read(ACCOUNTS, b"a" + account)
    record = None if raw is None else decode_record(raw)
    return record is not None and record.status == ACTIVE_ACCOUNT and key in record.keys.get(SEALING, ())
