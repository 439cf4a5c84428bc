"""The kernel's state keys and packed values (docs/spec/kernel.md §2). Sizes are fixed; integers are big-endian.

Decoders refuse any other size with MalformedBytes: another chain's proven state is read with them too. Those of values
that many movements share remember what they decoded, by its bytes.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - struct's name is an ordinary word
from typing import Any, NamedTuple

from chain_core.codec.wire import malformed
from chain_core.types.ids import NO_ACCOUNT

KERNEL = "kernel"
MAX_QUANTITY = (1 << 63) - 1
MAX_ROWS = 64

HOLDING, SECURITY, LABEL, CASH, TRADE_DAYS = b"H", b"S", b"s", b"C", b"T"
HOLD, PLEDGE, SUITABILITY, INSTRUCTION, ACCEPTANCE = b"O", b"P", b"Q", b"I", b"A"
PARTY_FREEZE, HOLDING_FREEZE, SECURITY_FREEZE = b"Z", b"F", b"X"
LOTS, VEHICLE, COUNTED_HOLDERS, FAMILY_MEMBER = b"K", b"V", b"N", b"n"
ORDER, ORDER_QUEUE, PLEDGE_LIST = b"J", b"j", b"p"
RESOLUTION, REDUCED, ACTION = b"U", b"u", b"E"
ENTERPRISE, DISCLOSURE, CORRECTION = b"e", b"D", b"Y"
MONEY, CALENDAR, RULES, MARKET = b"M", b"calendar", b"rules", b"market"

NOBODY = NO_ACCOUNT
"""Sixteen zero bytes: no controller, no payment."""

_HOLDING = Struct(">QQQI")
_SECURITY = Struct(">BBBB16s16s16sQQBBBI16s")
_CASH = Struct(">QQ")
_TRADE_DAYS = Struct(">II")
_HOLD = Struct(">B16s16s16s16s16sQQQ")
_PLEDGE = Struct(">16s16s16sQQ")
_VEHICLE = Struct(">IB")
_COUNT = Struct(">I")
_RESOLUTION = Struct(">B16s16s16s16sQQQQQQI")
_SUITABILITY = Struct(">BIQH")
_MONEY = Struct(">Q")


def _fields(layout: Struct, raw: bytes, record: str) -> tuple[Any, ...]:
    try:
        return layout.unpack(raw)
    except StructError:
        malformed(record, len(raw), f"{len(raw)} bytes, not {layout.size}")


class Status(IntEnum):
    """A security's life: only a live one is traded; a suspended or delisted one stays registered and in custody."""

    REGISTERING = 1
    LIVE = 2
    SUSPENDED = 3
    DELISTED = 4
    CLOSED = 5


class Instrument(IntEnum):
    """What a security is: nothing else is registered."""

    SHARE = 1
    CONVERTIBLE_BOND = 2
    FUND_SHARE = 3


class Flag(IntFlag):
    """What the register of a security has; what it has not costs its movements no reading."""

    LOTS = 1
    ORDERS = 2
    COUNTED = 4


class HoldKind(IntEnum):
    """What a hold binds."""

    SHARES = 1
    CASH = 2
    OFFER = 3
    """New shares promised under an issue resolution: binds nothing that exists."""


class Holding(NamedTuple):
    """One holder's shares of one security. ``frozen`` counts what holds bind and what directives freeze; ``slot`` is
    his place in the roll.
    """

    available: int
    pledged: int
    frozen: int
    slot: int

    @property
    def total(self) -> int:
        """The whole holding."""
        return self.available + self.pledged + self.frozen


class Security(NamedTuple):
    """A security's working record; its names stand apart. ``controller`` is the template instance that registers it.

    ``layer`` is the market's board (0: in custody only), ``closed_from`` the first day on which the register is closed
    for a corporate action (0: open), ``family`` the first of the staged issues whose holders are counted together.
    """

    status: int
    frozen: int
    legacy: int
    unit_decimals: int
    issuer: bytes
    controller: bytes
    registrar: bytes
    declared: int
    total: int
    layer: int = 0
    flags: int = 0
    instrument: int = 1
    closed_from: int = 0
    family: bytes = NOBODY


class Cash(NamedTuple):
    """Client money in fen; ``held`` is bound by holds."""

    available: int
    held: int


class TradeDays(NamedTuple):
    """Days of the last buy and the last sale of one security by one party; 0 is never."""

    bought: int
    sold: int


class Hold(NamedTuple):
    """Shares or money bound for one counterparty. ``quantity`` is in units or fen, ``price_fen`` for the whole of it.

    A hold of cash names in ``against`` the hold of shares it pays for.
    """

    kind: int
    owner: bytes
    counterparty: bytes
    security: bytes
    against: bytes
    controller: bytes
    quantity: int
    price_fen: int
    expires_ms: int


class Pledge(NamedTuple):
    """Shares pledged to a creditor; ``fruit_fen`` are their dividends, held with them."""

    security: bytes
    owner: bytes
    pledgee: bytes
    quantity: int
    fruit_fen: int = 0


class Resolution(NamedTuple):
    """``used`` and ``reserved`` (by open offers) count against ``limit``; ``escrow_fen`` is the issuer's money held for
    it. A conversion gives ``face_fen`` a unit of the security in shares of ``target`` at ``price_fen`` each.
    """

    purpose: int
    security: bytes
    issuer: bytes
    controller: bytes
    target: bytes
    limit: int
    used: int
    reserved: int
    face_fen: int
    price_fen: int
    escrow_fen: int
    expires_day: int


class Vehicle(NamedTuple):
    """A pooled vehicle: how many beneficial owners stand behind the account; an exempt one counts as one holder."""

    owners: int
    exempt: int


class Suitability(NamedTuple):
    """A checked proof: category 1 person, 2 institution, 3 product; valid through ``expires_day``.

    Attested of a person: financial assets, in fen, and experience of investing, in months.
    """

    category: int
    expires_day: int
    assets_fen: int = 0
    experience_months: int = 0


pack_holding = _HOLDING.pack
"""28 bytes of (available, pledged, frozen, slot), for the path that every transfer takes."""
unpack_holding = _HOLDING.unpack
"""(available, pledged, frozen, slot)."""

NEVER = TradeDays(0, 0)
NO_CASH = Cash(0, 0)


def encode_holding(holding: Holding) -> bytes:
    """28 bytes."""
    return _HOLDING.pack(*holding)


def decode_holding(raw: bytes) -> Holding:
    """The reverse of ``encode_holding``."""
    return Holding._make(_fields(_HOLDING, raw, "holding"))


def encode_security(security: Security) -> bytes:
    """91 bytes."""
    return _SECURITY.pack(*security)


@lru_cache(maxsize=4_096)
def decode_security(raw: bytes) -> Security:
    """The reverse of ``encode_security``."""
    return Security._make(_fields(_SECURITY, raw, "security"))


def encode_cash(cash: Cash) -> bytes:
    """16 bytes."""
    return _CASH.pack(*cash)


def decode_cash(raw: bytes | None) -> Cash:
    """The reverse of ``encode_cash``; nothing is no money."""
    return NO_CASH if raw is None else Cash._make(_fields(_CASH, raw, "cash"))


def encode_trade_days(days: TradeDays) -> bytes:
    """8 bytes."""
    return _TRADE_DAYS.pack(*days)


@lru_cache(maxsize=4_096)
def decode_trade_days(raw: bytes | None) -> TradeDays:
    """The reverse of ``encode_trade_days``; nothing is never."""
    return NEVER if raw is None else TradeDays._make(_fields(_TRADE_DAYS, raw, "trade days"))


def encode_hold(hold: Hold) -> bytes:
    """105 bytes."""
    return _HOLD.pack(*hold)


def decode_hold(raw: bytes) -> Hold:
    """The reverse of ``encode_hold``."""
    return Hold._make(_fields(_HOLD, raw, "hold"))


def encode_pledge(pledge: Pledge) -> bytes:
    """64 bytes."""
    return _PLEDGE.pack(*pledge)


def decode_pledge(raw: bytes) -> Pledge:
    """The reverse of ``encode_pledge``."""
    return Pledge._make(_fields(_PLEDGE, raw, "pledge"))


def encode_suitability(suitability: Suitability) -> bytes:
    """15 bytes."""
    return _SUITABILITY.pack(*suitability)


@lru_cache(maxsize=4_096)
def decode_suitability(raw: bytes) -> Suitability:
    """The reverse of ``encode_suitability``."""
    return Suitability._make(_fields(_SUITABILITY, raw, "suitability"))


def encode_money(amount_fen: int) -> bytes:
    """8 bytes: all client money, and the heights of bank instructions."""
    return _MONEY.pack(amount_fen)


def decode_money(raw: bytes | None) -> int:
    """The reverse of ``encode_money``; nothing is zero."""
    return 0 if raw is None else int(_fields(_MONEY, raw, "amount")[0])


def encode_vehicle(vehicle: Vehicle) -> bytes:
    """5 bytes."""
    return _VEHICLE.pack(*vehicle)


@lru_cache(maxsize=4_096)
def decode_vehicle(raw: bytes) -> Vehicle:
    """The reverse of ``encode_vehicle``."""
    return Vehicle._make(_fields(_VEHICLE, raw, "vehicle"))


def encode_count(count: int) -> bytes:
    """4 bytes."""
    return _COUNT.pack(count)


def decode_count(raw: bytes | None) -> int:
    """The reverse of ``encode_count``; nothing is zero."""
    return 0 if raw is None else int(_fields(_COUNT, raw, "count")[0])


def encode_resolution(resolution: Resolution) -> bytes:
    """117 bytes."""
    return _RESOLUTION.pack(*resolution)


def decode_resolution(raw: bytes) -> Resolution:
    """The reverse of ``encode_resolution``."""
    return Resolution._make(_fields(_RESOLUTION, raw, "resolution"))
