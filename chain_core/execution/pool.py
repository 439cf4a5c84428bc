"""The transaction pool: envelope ids waiting to be ordered, bounded, in lanes (docs/spec/execution.md §9).

It knows ids and sizes only; the node keeps the bodies. Ids that stand in a proposal are *in flight*: they stay in the
pool, and are not taken again until they are released (the proposal was lost) or forgotten (the block is final).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from chain_core.execution.contract import Lane
from chain_core.types.transaction import MAX_ENVELOPE_BYTES

_RESERVED_LANES = (Lane.GOVERNANCE, Lane.BORDER)
_LEAST_SHARE = 16


class Outcome(Enum):
    """What became of an id offered to the pool."""

    ACCEPTED = "accepted"
    KNOWN = "known"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Admission:
    """The pool's answer; when FULL, ``limit`` names what is exhausted: "transactions", "bytes" or "account"."""

    outcome: Outcome
    limit: str = ""
    retry_after_ms: int = 0


ACCEPTED = Admission(Outcome.ACCEPTED)
KNOWN = Admission(Outcome.KNOWN)


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """``reserved_*``: room that the governance and the border lane each have for themselves."""

    transactions: int
    size_bytes: int
    reserved_transactions: int
    reserved_bytes: int
    per_account: int
    retry_after_ms: int

    @property
    def lane_transactions(self) -> int:
        """What one account may hold of a reserved lane: a few accounts do not fill what is reserved for all."""
        return max(_LEAST_SHARE, self.reserved_transactions // 10)

    @property
    def lane_bytes(self) -> int:
        """The same in bytes; room for two of the largest envelopes in any case."""
        return max(2 * MAX_ENVELOPE_BYTES, self.reserved_bytes // 10)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, int]) -> PoolLimits:
        """Limits from on-chain parameters: reserved bytes in proportion, a tenth of the pool for one account."""
        transactions, size = parameters["pool_transactions"], parameters["pool_bytes"]
        reserved = parameters["pool_reserved_transactions"]
        return cls(
            transactions,
            size,
            reserved,
            max(MAX_ENVELOPE_BYTES, size * reserved // transactions),
            max(1, transactions // 10),
            parameters["resend_ms"],
        )


class _Entry:
    __slots__ = ("account", "in_flight", "lane", "sequence", "size", "valid_until_ms")

    def __init__(self, lane: Lane, size: int, account: bytes, valid_until_ms: int, sequence: int) -> None:
        self.lane = lane
        self.size = size
        self.account = account
        self.valid_until_ms = valid_until_ms
        self.sequence = sequence
        self.in_flight = False


class _Room:
    """One bound (count or bytes) over the lanes: what a lane uses beyond its reserve comes out of the shared part."""

    __slots__ = ("_reserves", "_shared_left", "used")

    def __init__(self, total: int, reserved: int) -> None:
        self.used = [0 for _ in Lane]
        self._reserves = [reserved if lane in _RESERVED_LANES else 0 for lane in Lane]
        self._shared_left = total - sum(self._reserves)

    def shared_need(self, lane: Lane, amount: int) -> int:
        """What the shared part loses when the lane uses ``amount`` more (or, negative, less)."""
        used, reserve = self.used[lane], self._reserves[lane]
        after = used + amount
        return (after - reserve if after > reserve else 0) - (used - reserve if used > reserve else 0)

    def fits(self, lane: Lane, amount: int) -> bool:
        """Whether the lane may use ``amount`` more."""
        need = self.shared_need(lane, amount)
        return not need or need <= self._shared_left

    def use(self, lane: Lane, amount: int) -> None:
        """Takes ``amount`` more, or gives it back when negative."""
        self._shared_left -= self.shared_need(lane, amount)
        self.used[lane] += amount


class TransactionPool:
    """First in, first out inside a lane. Every operation costs O(1) an id (O(log n) where expiry is concerned)."""

    def __init__(self, limits: PoolLimits) -> None:
        self.limits = limits
        self._entries: dict[bytes, _Entry] = {}
        self._waiting: list[OrderedDict[bytes, _Entry]] = [OrderedDict() for _ in Lane]
        self._count = _Room(limits.transactions, limits.reserved_transactions)
        self._bytes = _Room(limits.size_bytes, limits.reserved_bytes)
        self._by_account: dict[bytes, int] = {}
        self._in_lane: dict[tuple[Lane, bytes], tuple[int, int]] = {}
        self._expiry: list[tuple[int, int, bytes]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, envelope_id: bytes) -> bool:
        return envelope_id in self._entries

    def waiting(self, lane: Lane) -> int:
        """How many ids of the lane may be taken."""
        return len(self._waiting[lane])

    @property
    def size_bytes(self) -> int:
        """Bytes of all envelopes named here."""
        return sum(self._bytes.used)

    @property
    def in_flight(self) -> int:
        """How many ids stand in proposals."""
        return len(self._entries) - sum(len(queue) for queue in self._waiting)

    def add(self, envelope_id: bytes, lane: Lane, size_bytes: int, account: bytes, valid_until_ms: int) -> Admission:
        """Offers an id; the caller has verified its envelope and its window."""
        if envelope_id in self._entries:
            return KNOWN
        by_account = self._by_account.get(account, 0)
        if by_account >= self.limits.per_account or not self._has_share(lane, account, size_bytes):
            return Admission(Outcome.FULL, "account", self.limits.retry_after_ms)
        if not self._count.fits(lane, 1):
            return Admission(Outcome.FULL, "transactions", self.limits.retry_after_ms)
        if not self._bytes.fits(lane, size_bytes):
            return Admission(Outcome.FULL, "bytes", self.limits.retry_after_ms)
        self._sequence += 1
        entry = _Entry(lane, size_bytes, account, valid_until_ms, self._sequence)
        self._entries[envelope_id] = self._waiting[lane][envelope_id] = entry
        self._count.use(lane, 1)
        self._bytes.use(lane, size_bytes)
        self._by_account[account] = by_account + 1
        self._share(lane, account, 1, size_bytes)
        self._watch(envelope_id, entry)
        return ACCEPTED

    def take(self, max_count: int, max_bytes: int) -> list[bytes]:
        """The next ids for a proposal, marked in flight: governance, border, business.

        The first two lanes get at most half of a block (always room for one envelope) while business waits, and
        governance at most half of that while the border waits: no flood of one starves another. An id that does not fit
        ends the taking from its lane: nothing overtakes.
        """
        taken: list[bytes] = []
        room = [max_count, max_bytes]
        if self._waiting[Lane.BUSINESS]:
            self._take_half(self._take_reserved, room, taken)
            self._take_from(Lane.BUSINESS, room, taken)
        self._take_reserved(room, taken)
        return taken

    def mark_in_flight(self, envelope_ids: Iterable[bytes]) -> None:
        """Another replica proposed these; ids not held here are passed over."""
        for envelope_id in envelope_ids:
            entry = self._entries.get(envelope_id)
            if entry is not None and not entry.in_flight:
                entry.in_flight = True
                del self._waiting[entry.lane][envelope_id]

    def flying(self) -> list[bytes]:
        """The ids that stand in proposals."""
        return [envelope_id for envelope_id, entry in self._entries.items() if entry.in_flight]

    def release(self, envelope_ids: Iterable[bytes]) -> None:
        """The proposal that held these was lost: they wait again, at the head of their lanes in their old order."""
        back = [(entry.sequence, envelope_id, entry) for envelope_id, entry in self._flying(envelope_ids)]
        for _, envelope_id, entry in sorted(back, key=lambda row: row[0], reverse=True):
            entry.in_flight = False
            queue = self._waiting[entry.lane]
            queue[envelope_id] = entry
            queue.move_to_end(envelope_id, last=False)
            self._watch(envelope_id, entry)

    def forget(self, envelope_ids: Iterable[bytes]) -> None:
        """These are final, or their bodies are gone: they leave, in flight or not."""
        for envelope_id in envelope_ids:
            entry = self._entries.pop(envelope_id, None)
            if entry is None:
                continue
            if not entry.in_flight:
                del self._waiting[entry.lane][envelope_id]
            self._count.use(entry.lane, -1)
            self._bytes.use(entry.lane, -entry.size)
            self._share(entry.lane, entry.account, -1, -entry.size)
            left = self._by_account[entry.account] - 1
            if left:
                self._by_account[entry.account] = left
            else:
                del self._by_account[entry.account]

    def drop_expired(self, now_ms: int) -> list[bytes]:
        """Forgets waiting ids whose window ended before ``now_ms`` and returns them; those in flight stay."""
        dropped: list[bytes] = []
        while self._expiry and self._expiry[0][0] < now_ms:
            _, sequence, envelope_id = heapq.heappop(self._expiry)
            entry = self._entries.get(envelope_id)
            if entry is not None and entry.sequence == sequence and not entry.in_flight:
                self.forget((envelope_id,))
                dropped.append(envelope_id)
        return dropped

    def _has_share(self, lane: Lane, account: bytes, size_bytes: int) -> bool:
        """Whether the account may hold that much more of a reserved lane."""
        if lane not in _RESERVED_LANES:
            return True
        count, size = self._in_lane.get((lane, account), (0, 0))
        return count < self.limits.lane_transactions and size + size_bytes <= self.limits.lane_bytes

    def _share(self, lane: Lane, account: bytes, count: int, size_bytes: int) -> None:
        """Counts what the account holds of a reserved lane."""
        if lane not in _RESERVED_LANES:
            return
        held, size = self._in_lane.get((lane, account), (0, 0))
        if held + count:
            self._in_lane[lane, account] = held + count, size + size_bytes
        else:
            del self._in_lane[lane, account]

    @staticmethod
    def _take_half(take: Callable[[list[int], list[bytes]], None], room: list[int], taken: list[bytes]) -> None:
        """Lets ``take`` use half of ``room``, always enough for one envelope."""
        share = (room[0] + 1) // 2, min(room[1], max(room[1] // 2, MAX_ENVELOPE_BYTES))
        left = list(share)
        take(left, taken)
        room[0] -= share[0] - left[0]
        room[1] -= share[1] - left[1]

    def _take_governance(self, room: list[int], taken: list[bytes]) -> None:
        self._take_from(Lane.GOVERNANCE, room, taken)

    def _take_reserved(self, room: list[int], taken: list[bytes]) -> None:
        """Governance and the border; what the border leaves is governance's."""
        if self._waiting[Lane.BORDER]:
            self._take_half(self._take_governance, room, taken)
            self._take_from(Lane.BORDER, room, taken)
        self._take_governance(room, taken)

    def _take_from(self, lane: Lane, room: list[int], taken: list[bytes]) -> None:
        queue = self._waiting[lane]
        while queue and room[0] > 0:
            envelope_id, entry = next(iter(queue.items()))
            if entry.size > room[1]:
                return
            del queue[envelope_id]
            entry.in_flight = True
            room[0] -= 1
            room[1] -= entry.size
            taken.append(envelope_id)

    def _flying(self, envelope_ids: Iterable[bytes]) -> list[tuple[bytes, _Entry]]:
        found = ((envelope_id, self._entries.get(envelope_id)) for envelope_id in dict.fromkeys(envelope_ids))
        return [(envelope_id, entry) for envelope_id, entry in found if entry is not None and entry.in_flight]

    def _watch(self, envelope_id: bytes, entry: _Entry) -> None:
        """Puts the end of the window under watch; the heap is rebuilt before the forgotten outnumber the held."""
        if len(self._expiry) > 2 * len(self._entries) + 1_024:
            self._expiry = [(e.valid_until_ms, e.sequence, i) for i, e in self._entries.items()]
            heapq.heapify(self._expiry)
        else:
            heapq.heappush(self._expiry, (entry.valid_until_ms, entry.sequence, envelope_id))
