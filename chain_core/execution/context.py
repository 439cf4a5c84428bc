"""What a contract sees while it runs: its namespace, the caller, the block (docs/spec/execution.md §2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from chain_core.codec.proofs import MAX_PACKET_BYTES, encode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.account_records import RECORD_PREFIX, AccountBook, AccountRecord
from chain_core.execution.codes import Code, EngineFault, Refused
from chain_core.execution.events import encode_events
from chain_core.execution.line import earlier_chains
from chain_core.execution.overlay import Namespace, Overlay
from chain_core.types.ids import HASH_SIZE, NO_ACCOUNT, ZERO_HASH
from chain_core.types.packet import Packet
from chain_core.types.transaction import Envelope, TransactionBody
from chain_core.types.values import Value

MAX_WRITES = 4_096
MAX_EVENTS = 1_024
MAX_EVENT_BYTES = 65_536
MAX_PACKETS = 64
MAX_CHANNEL_BYTES = 64
"""Limits of one transaction; passing one refuses it with LIMIT and the limit's name."""

OUTBOX = "outbox"
"""Namespace of the next sequences, (destination genesis, ledger, channel) -> canonical integer; no contract has it."""


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The block being executed. ``time_ms`` is block time: max(batch time, parent time + 1)."""

    genesis_hash: bytes
    ledger: int
    height: int
    epoch: int
    attempt: int
    time_ms: int


class CallContext(Namespace):
    """A contract's (or hook's) view of one transaction; in block phases, of the block without a caller.

    One object serves a whole block: contracts do not keep it. ``account`` signed and answers for what is done;
    ``principal`` is whom it is done for (``on_behalf_of`` when given, else the account). ``parameters`` and ``flags``
    are those in force in this block: every change of execution's meaning asks ``flags``. ``memo`` is for what a
    contract computes once a block from facts that no transaction of the block changes; it ends with the block.
    """

    __slots__ = (
        "_accounts",
        "_earlier",
        "_events",
        "_grants",
        "_in_block_phase",
        "_moves",
        "_outbox",
        "_overlay",
        "_prefixes",
        "_record",
        "_spaces",
        "_spent",
        "block",
        "body",
        "contract",
        "flags",
        "memo",
        "operation_index",
        "parameters",
        "transaction_id",
    )

    def __init__(
        self, block: BlockContext, overlay: Overlay, accounts: AccountBook, grants: Mapping[str, frozenset[str]]
    ) -> None:
        super().__init__(overlay, OUTBOX)
        self.block = block
        self.contract = ""
        self.body: TransactionBody = _NO_BODY
        self.transaction_id = ZERO_HASH
        self.operation_index = 0
        self.parameters: Mapping[str, int] = {}
        self.flags: tuple[str, ...] = ()
        self.memo: dict[str, object] = {}
        self._overlay = overlay
        self._accounts = accounts
        self._grants = grants
        self._record = _NOBODY
        self._in_block_phase = False
        self._earlier: tuple[bytes, ...] | None = None
        self._events: list[tuple[str, str, dict[str, Value]]] = []
        self._moves: list[object] = []
        self._outbox: list[bytes] = []
        self._prefixes: dict[str, bytes] = {}
        self._spaces: dict[str, Namespace] = {}
        self._spent: dict[tuple[str, bytes], int] = {}

    # ---- who

    @property
    def account(self) -> bytes:
        """The account whose nonce the transaction uses; all zeros in block phases."""
        return self.body.account

    @property
    def entity(self) -> str:
        """The legal entity of the account."""
        return self._record.entity

    @property
    def roles(self) -> frozenset[str]:
        """The account's roles."""
        return self._record.roles

    @property
    def cosigners(self) -> tuple[bytes, ...]:
        """Accounts that signed as well; the engine has checked their keys."""
        return self.body.cosigners

    @property
    def on_behalf_of(self) -> bytes:
        """The account acted for under its grant, all zeros without."""
        return self.body.on_behalf_of

    @property
    def principal(self) -> bytes:
        """``on_behalf_of`` when given, else ``account``."""
        return self.body.account if self.body.on_behalf_of == NO_ACCOUNT else self.body.on_behalf_of

    def record_of(self, account: bytes) -> AccountRecord | None:
        """The registry's record of any account, None when there is none."""
        raw = self.anywhere(RECORD_PREFIX + account)
        return None if raw is None else self._accounts.of(raw)

    # ---- what

    def read(self, contract: str, key: bytes) -> bytes | None:
        """A value of another contract."""
        return self._overlay.get(self._prefix_of(contract) + key)

    def within(self, contract: str) -> Namespace:
        """Another contract's namespace, to write in; only what the assembly granted, else EngineFault."""
        if contract not in self._grants.get(self.contract, ()):
            raise EngineFault(f"{self.contract} was granted no access to the state of {contract}")
        space = self._spaces.get(contract)
        if space is None:
            space = self._spaces[contract] = Namespace(self._overlay, contract)
        return space

    def new_id(
        self, kind: str, registrar: bytes, reference: str, find: Callable[[bytes], object | None], rule: str
    ) -> bytes:
        """The id of what ``registrar`` makes under its own ``reference`` (docs/spec/formats.md §3).

        Refuses with ``rule``, naming the id, when the same reference stands for something already (``find``): what was
        made on an earlier chain of a line of successors included, whose id holds that chain's genesis hash.
        """
        if self._earlier is None:
            self._earlier = earlier_chains(self._overlay.get)
        made = derive_id(self.block.genesis_hash, kind, registrar, reference)
        if find(made) is not None:
            self.refuse(rule, made)
        for chain in self._earlier:
            known = derive_id(chain, kind, registrar, reference)
            if find(known) is not None:
                self.refuse(rule, known)
        return made

    def emit(self, name: str, **fields: Value) -> None:
        """Adds the event [contract, name, fields] to the transaction's; dropped when it is refused."""
        if self._in_block_phase:
            raise EngineFault(f"{self.contract}: events belong to transactions, not to a block's begin or end")
        if len(self._events) >= MAX_EVENTS:
            raise Refused(Code.LIMIT, "events", (MAX_EVENTS,))
        self._events.append((self.contract, name, fields))

    def record_move(self, move: object) -> None:
        """Tells the hooks' ``after_call`` of a change that matters to them, in the kernel's own terms."""
        self._moves.append(move)

    def send_packet(
        self, destination_genesis: bytes, destination_ledger: int, channel: str, kind: str, payload: Mapping[str, Value]
    ) -> int:
        """Puts a packet into the block's outbox; returns its sequence: 0, 1, 2 ... for each destination and channel."""
        if len(self._outbox) >= MAX_PACKETS and not self._in_block_phase:
            raise Refused(Code.LIMIT, "packets", (MAX_PACKETS,))
        encoded = encode_value(payload)
        if len(encoded) > MAX_PACKET_BYTES:
            raise Refused(Code.LIMIT, "packet_bytes", (MAX_PACKET_BYTES,))
        key = sequence_key(destination_genesis, destination_ledger, channel)
        sequence = self._sequence(key)
        self._overlay.pending[key] = encode_value(sequence + 1)
        here = self.block
        self._outbox.append(
            encode_packet(
                Packet(
                    here.genesis_hash,
                    here.ledger,
                    destination_genesis,
                    destination_ledger,
                    channel,
                    sequence,
                    kind,
                    encoded,
                )
            )
        )
        return sequence

    def next_sequence(self, destination_genesis: bytes, destination_ledger: int, channel: str) -> int:
        """The sequence the next packet there will have: how many were sent so far."""
        return self._sequence(sequence_key(destination_genesis, destination_ledger, channel))

    def spend(self, budget: str, amount: int) -> None:
        """Counts costly work done for the account in this block; a refusal does not take it back."""
        self._spent[budget, self.account] = self.spent(budget) + amount

    def spent(self, budget: str) -> int:
        """What the account's transactions of this block, refused ones too, have spent of ``budget``."""
        return self._spent.get((budget, self.account), 0)

    def refuse(self, rule: str, *params: Value) -> NoReturn:
        """Ends the transaction: nothing of it remains but a receipt with REFUSED_BY_RULE, ``rule`` and ``params``."""
        raise Refused(Code.REFUSED_BY_RULE, rule, params)

    def attempt(self, action: Callable[[], None]) -> Refused | None:
        """Runs ``action``; when it is refused, takes back all it did and returns the refusal."""
        saved = self._save()
        try:
            action()
        except Refused as refusal:
            self._restore(saved)
            return refusal
        return None

    def rehearse(self, action: Callable[[], None]) -> Refused | None:
        """Runs ``action`` and takes back all it did; the refusal it would meet, None when it would succeed."""
        saved = self._save()
        try:
            return self.attempt(action)
        finally:
            self._restore(saved)

    def _save(self) -> tuple[dict[bytes, bytes | None], int, int, int]:
        return dict(self._pending), len(self._events), len(self._moves), len(self._outbox)

    def _restore(self, saved: tuple[dict[bytes, bytes | None], int, int, int]) -> None:
        pending, events, moves, packets = saved
        self._pending.clear()
        self._pending.update(pending)
        del self._events[events:], self._moves[moves:], self._outbox[packets:]

    def _prefix_of(self, name: str) -> bytes:
        prefix = self._prefixes.get(name)
        if prefix is None:
            prefix = self._prefixes[name] = state_key(name, b"")
        return prefix

    def _sequence(self, full: bytes) -> int:
        raw = self._overlay.get(full)
        if raw is None:
            return 0
        sequence = decode_value(raw, "sequence")
        if type(sequence) is not int:
            raise EngineFault("a channel's next sequence is no integer")
        return sequence


class EngineContext(CallContext):
    """The executor's side of a context."""

    __slots__ = ()

    def begin_phase(self, name: str) -> None:
        """A contract's genesis, begin_block or end_block: no transaction, no caller, no events."""
        self._in_block_phase = True
        self.body, self._record, self.transaction_id = _NO_BODY, _NOBODY, ZERO_HASH
        self._events.clear()
        self._moves.clear()
        self._outbox.clear()
        self.enter(name)

    def begin_transaction(self, envelope: Envelope, record: AccountRecord) -> None:
        """The next transaction, whose account has ``record``."""
        self._in_block_phase = False
        self.body, self._record, self.transaction_id = envelope.body, record, envelope.transaction_id
        if self._events:
            self._events.clear()
        if self._moves:
            self._moves.clear()
        if self._outbox:
            self._outbox.clear()

    def enter(self, name: str) -> None:
        """From here on the context is the one of this contract or hook."""
        self.contract = name
        prefix = self._prefixes.get(name)
        self._prefix = self._prefix_of(name) if prefix is None else prefix

    def take_moves(self) -> tuple[object, ...]:
        """The moves recorded since the last taking."""
        if not self._moves:
            return ()
        moves = tuple(self._moves)
        self._moves.clear()
        return moves

    def take_packets(self) -> Sequence[bytes]:
        """The packets sent since the last taking."""
        if not self._outbox:
            return ()
        packets = list(self._outbox)
        self._outbox.clear()
        return packets

    def take_events(self) -> bytes | None:
        """The transaction's encoded events, None when there are none. Refuses with LIMIT above 65,536 bytes."""
        if not self._events:
            return None
        encoded = encode_events(self._events)
        if len(encoded) > MAX_EVENT_BYTES:
            raise Refused(Code.LIMIT, "event_bytes", (MAX_EVENT_BYTES,))
        return encoded


def sequence_key(destination_genesis: bytes, destination_ledger: int, channel: str) -> bytes:
    """Full state key of a channel's next sequence: destination genesis (32), ledger (u32), channel."""
    name = channel.encode("ascii")
    if len(destination_genesis) != HASH_SIZE or not 0 < len(name) <= MAX_CHANNEL_BYTES:
        raise EngineFault("a packet goes to a 32-byte genesis hash, on a channel of 1 to 64 ASCII characters")
    return state_key(OUTBOX, destination_genesis + destination_ledger.to_bytes(4, "big") + name)


_NO_BODY = TransactionBody(0, NO_ACCOUNT, 0, 0, ())
_NOBODY = AccountRecord("", frozenset(), "", {}, NO_ACCOUNT, "", 0)
