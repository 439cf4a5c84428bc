"""Counting holders through pooled vehicles (穿透) and over staged issues (docs/spec/kernel.md §4).

An account is one holder; a vehicle counts as many as it has beneficial owners, an exempt one (a qualified fund) as one.
Securities of one family, which is named after its first, count together, each account once. A register without vehicles
and without a family is counted by its roll; one with either keeps its count in state, changed where somebody joins or
leaves.
"""

from __future__ import annotations

from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.records import (
    COUNTED_HOLDERS,
    FAMILY_MEMBER,
    NOBODY,
    SECURITY,
    VEHICLE,
    Flag,
    Security,
    Vehicle,
    decode_count,
    decode_security,
    decode_vehicle,
    encode_count,
    encode_security,
    encode_vehicle,
)
from contracts.kernel.roll import holder_count, read_held, read_roll

_COUNTED = int(Flag.COUNTED)  # asked for each holder that joins: a plain number is three times as fast

MAX_OWNERS = 100_000
MAX_VEHICLE_SECURITIES = 256
MAX_FAMILY_START = 2_000


def weight_of(space: Namespace, account: bytes) -> int:
    """As how many holders the account counts."""
    raw = space.get(VEHICLE + account)
    if raw is None:
        return 1
    vehicle = decode_vehicle(raw)
    return 1 if vehicle.exempt else vehicle.owners


def _register_of(security: bytes, record: Security) -> bytes:
    return security if record.family == NOBODY else record.family


def is_counted(record: Security) -> bool:
    """Whether the count stands in state."""
    return bool(record.flags & _COUNTED) or record.family != NOBODY


def counted(space: Namespace, security: bytes, record: Security) -> int:
    """Holders, looked through and merged."""
    if not is_counted(record):
        return holder_count(space, security)
    return decode_count(space.get(COUNTED_HOLDERS + _register_of(security, record)))


def _memberships(space: Namespace, family: bytes, account: bytes) -> int:
    return decode_count(space.get(FAMILY_MEMBER + family + account))


def foresee(
    space: Namespace, security: bytes, record: Security, joins: bytes | None, leaves: bytes | None
) -> tuple[int, int]:
    """(holders before, holders after) if ``joins`` entered this security's roll and ``leaves`` left it."""
    before = after = counted(space, security, record)
    family = record.family
    if joins is not None and (family == NOBODY or not _memberships(space, family, joins)):
        after += weight_of(space, joins)
    if leaves is not None and (family == NOBODY or _memberships(space, family, leaves) == 1):
        after -= weight_of(space, leaves)
    return before, after


def note_join(space: Namespace, security: bytes, record: Security, account: bytes, before: int) -> None:
    """Keeps the count when ``account`` enters the roll, which had ``before`` entries."""
    weight = weight_of(space, account)
    if not is_counted(record):
        if weight != 1:
            _begin(space, security, before + weight)
        return
    if record.family == NOBODY or _step(space, record.family, account, 1) == 0:
        _change(space, _register_of(security, record), weight)


def note_leave(space: Namespace, security: bytes, record: Security, account: bytes) -> None:
    """Keeps the count when ``account`` leaves the roll."""
    if is_counted(record) and (record.family == NOBODY or _step(space, record.family, account, -1) == 1):
        _change(space, _register_of(security, record), -weight_of(space, account))


def _begin(space: Namespace, security: bytes, count: int) -> None:
    """From here on the security's count stands in state."""
    raw = space.get(SECURITY + security)
    assert raw is not None
    record = decode_security(raw)
    space.put(SECURITY + security, encode_security(record._replace(flags=record.flags | Flag.COUNTED)))
    space.put(COUNTED_HOLDERS + security, encode_count(count))


def _step(space: Namespace, family: bytes, account: bytes, by: int) -> int:
    """Counts the securities of a family that an account holds; how many there were before."""
    key = FAMILY_MEMBER + family + account
    before = decode_count(space.get(key))
    if before + by:
        space.put(key, encode_count(before + by))
    else:
        space.delete(key)
    return before


def _change(space: Namespace, register: bytes, by: int) -> None:
    key = COUNTED_HOLDERS + register
    space.put(key, encode_count(decode_count(space.get(key)) + by))


def set_vehicle(space: Namespace, ctx: CallContext, account: bytes, owners: int, exempt: bool, evidence: bytes) -> None:
    """Records how many beneficial owners stand behind an account; 1 and not exempt is an ordinary one.

    The truth is recorded even where it lifts a register above the cap: such a register may only shrink. To count a
    vehicle, or fewer than before, as less than its owners lifts a limit and takes a second pair of eyes. Refuses with
    kernel.too_many_securities for a vehicle in more than 256 registers. Emits ``vehicle_set``.
    """
    if ctx.record_of(account) is None:
        ctx.refuse("kernel.unknown_party", account)
    if not 1 <= owners <= MAX_OWNERS:
        ctx.refuse("kernel.bad_quantity", owners)
    before = weight_of(space, account)
    after = 1 if exempt else owners
    if exempt or after < before:
        require_second_house(ctx)
    held = read_held(space.get, account)
    if len(held) > MAX_VEHICLE_SECURITIES:
        ctx.refuse("kernel.too_many_securities", account, MAX_VEHICLE_SECURITIES)
    registers = set[bytes]()
    for security in held:
        raw = space.get(SECURITY + security)
        assert raw is not None
        record = decode_security(raw)
        if not is_counted(record):
            _begin(space, security, holder_count(space, security))
        registers.add(_register_of(security, record))
    for register in sorted(registers):
        _change(space, register, after - before)
    if owners == 1 and not exempt:
        space.delete(VEHICLE + account)
    else:
        space.put(VEHICLE + account, encode_vehicle(Vehicle(owners, int(exempt))))
    ctx.emit("vehicle_set", account=account, owners=owners, exempt=exempt, evidence=evidence)


def join_family(space: Namespace, ctx: CallContext, security: bytes, first: bytes) -> None:
    """A security whose register is still empty becomes a further stage of ``first``: their holders count together.

    Refuses with kernel.not_of_family unless both are of one issuer and one kind. Emits ``family_joined``.
    """
    raw, raw_first = space.get(SECURITY + security), space.get(SECURITY + first)
    if raw is None or raw_first is None:
        ctx.refuse("kernel.unknown_security", security if raw is None else first)
    record, head = decode_security(raw), decode_security(raw_first)
    alike = record.issuer == head.issuer and record.instrument == head.instrument
    if not alike or security == first or record.family != NOBODY or head.family not in (NOBODY, first):
        ctx.refuse("kernel.not_of_family", security, first)
    if holder_count(space, security):
        ctx.refuse("kernel.register_not_empty", security)
    if head.family == NOBODY:
        _found_family(space, ctx, first, head)
    space.put(SECURITY + security, encode_security(record._replace(family=first)))
    ctx.emit("family_joined", security=security, family=first)


def _found_family(space: Namespace, ctx: CallContext, first: bytes, head: Security) -> None:
    holders = read_roll(space.get, first)
    if len(holders) > MAX_FAMILY_START:
        ctx.refuse("kernel.list_full", first, MAX_FAMILY_START)
    for account in holders:
        _step(space, first, account, 1)
    space.put(COUNTED_HOLDERS + first, encode_count(sum(weight_of(space, account) for account in holders)))
    space.put(SECURITY + first, encode_security(head._replace(family=first)))
