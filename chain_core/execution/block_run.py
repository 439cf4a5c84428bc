"""One batch on one state, from the first begin_block to the receipts (docs/spec/execution.md §4).

Order of checks for each envelope: ledger, account and keys, window, seen, grant, lanes; then its operations, each with
role, arguments, hooks before, handler, hooks after. The first that fails decides the receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_core.codec import signed
from chain_core.codec.seen import decode_seen, seen_key, seen_value
from chain_core.codec.transaction import encode_receipt, encode_success
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3_many
from chain_core.execution.account_records import ACTIVE, grant_key
from chain_core.execution.arguments import wrong_argument
from chain_core.execution.assembly import Assembly
from chain_core.execution.codes import FIRST_OPERATION_CODE, Code, EngineFault, Poisoned, Refused
from chain_core.execution.context import (
    MAX_WRITES,
    BlockContext,
    EngineContext,
)
from chain_core.execution.contract import BlockOutcome, Contract, Hook
from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.key_purposes import other_purpose
from chain_core.execution.overlay import Overlay, SeenReader, StateReader
from chain_core.execution.sub_ledgers import Origin, begin
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER, NO_ACCOUNT
from chain_core.types.transaction import Envelope, Receipt
from chain_core.types.values import Value

NO_EVENTS = encode_value([])
MAX_NAMED_BYTES = 64
SEEN_REMOVED_FACTOR = 2
"""A block removes at most so many times the entries it can add: the set shrinks, no block pays for an idle hour."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """All that a batch did. ``receipts``, ``events`` (encoded lists) and ``codes`` stand at their envelope's index.

    ``writes`` are full state keys (None: removed). ``parameters`` and ``flags`` were in force while the transactions
    ran: the block's header names them.
    """

    receipts: tuple[bytes, ...]
    events: tuple[bytes, ...]
    outbox: tuple[bytes, ...]
    writes: dict[bytes, bytes | None]
    seen_added: dict[bytes, bytes]
    seen_removed: tuple[bytes, ...]
    codes: tuple[int, ...]
    parameters: dict[str, int]
    flags: tuple[str, ...]


class _EmptyState:
    def get(self, key: bytes) -> bytes | None:
        return None


def genesis_state(
    assembly: Assembly, genesis: Genesis, genesis_hash: bytes, origin: Origin | None = None
) -> dict[bytes, bytes]:
    """Every contract's writes of height 0, in order of assembly. Raises InvalidGenesis."""
    overlay = Overlay(_EmptyState())
    ctx = EngineContext(_height_0(genesis, genesis_hash, origin), overlay, assembly.accounts, assembly.grants)
    ctx.parameters, ctx.flags = genesis.parameters, tuple(sorted(genesis.flags))
    for contract in assembly.contracts:
        ctx.begin_phase(contract.name)
        try:
            contract.genesis(genesis, ctx)
        except Refused as refusal:
            raise InvalidGenesis(
                f"rule {refusal.rule or refusal.code.name} {refusal.params}",
                where=f"what {contract.name} reads",
                next_step="correct the genesis document and begin again",
            ) from refusal
        overlay.commit()
    if origin is not None:
        ctx.begin_phase(assembly.governance.name)
        begin(ctx, origin)
        overlay.commit()
    if ctx.take_packets():
        raise EngineFault("a contract sent a packet at height 0, whose outbox is empty")
    return {key: value for key, value in overlay.writes().items() if value is not None}


def _height_0(genesis: Genesis, genesis_hash: bytes, origin: Origin | None) -> BlockContext:
    if origin is None:
        return BlockContext(genesis_hash, MAIN_LEDGER, 0, 0, 0, genesis.time_ms)
    return BlockContext(genesis_hash, origin.sub_ledger.ledger, 0, 0, 0, origin.time_ms)


class BlockRun:
    """One execution of one batch; used once."""

    def __init__(
        self,
        assembly: Assembly,
        block: BlockContext,
        envelopes: Sequence[Envelope],
        state: StateReader,
        seen: SeenReader,
        skipped: Sequence[int] = (),
    ) -> None:
        self.assembly = assembly
        self.skipped = frozenset(skipped)
        self.block = block
        self.envelopes = envelopes
        self.overlay = Overlay(state)
        self.ctx = EngineContext(block, self.overlay, assembly.accounts, assembly.grants)
        self.seen = seen
        self.seen_added: dict[bytes, bytes] = {}
        self.outbox: list[bytes] = []
        self.codes: list[int] = [0] * len(envelopes)
        self.rules = [""] * len(envelopes)
        self.params: list[tuple[Value, ...]] = [()] * len(envelopes)
        self.events = [NO_EVENTS] * len(envelopes)
        self.latest_ms = 0
        # A hook that leaves one of the two to the protocol has nothing to do there.
        self.before = [(h.name, h.before_call) for h in assembly.hooks if type(h).before_call is not Hook.before_call]
        self.after = [(h.name, h.after_call) for h in assembly.hooks if type(h).after_call is not Hook.after_call]

    def run(self) -> BlockResult:
        """Begins the block, runs the transactions by lane, ends the block."""
        assembly, ctx = self.assembly, self.ctx
        self._settle_parameters()
        for contract in assembly.with_begin:
            self._phase(contract, None)
        self._settle_parameters()
        self.latest_ms = self.block.time_ms + ctx.parameters["max_window_ms"]
        for index in self._order():
            if index in self.skipped:
                self._skip(index, self.envelopes[index])
            else:
                self._transaction(index, self.envelopes[index])
        outcome = BlockOutcome(self.envelopes, self.codes, self.rules, self.events)
        for contract in assembly.with_end:
            self._phase(contract, outcome)
        before = self.block.time_ms - ctx.parameters["seen_retention_ms"]
        most = SEEN_REMOVED_FACTOR * ctx.parameters["max_block_transactions"]
        return BlockResult(
            self._receipts(),
            tuple(self.events),
            tuple(self.outbox),
            self.overlay.writes(),
            self.seen_added,
            tuple(self.seen.seen_expired(before, most)) if before > 0 else (),
            tuple(self.codes),
            assembly.settings.parameters(self.overlay),
            assembly.settings.flags(self.overlay),
        )

    def _settle_parameters(self) -> None:
        self.ctx.parameters = self.assembly.settings.parameters(self.overlay)
        self.ctx.flags = self.assembly.settings.flags(self.overlay)

    def _order(self) -> Sequence[int]:
        """Indices in the order of execution: by lane, then as the batch has them."""
        lane_of = self.assembly.lane_of
        lanes = [lane_of(envelope.body) for envelope in self.envelopes]
        indices = range(len(lanes))
        if min(lanes, default=0) == max(lanes, default=0):
            return indices
        return sorted(indices, key=lanes.__getitem__)

    def _phase(self, contract: Contract, outcome: BlockOutcome | None) -> None:
        """A contract's begin_block (no outcome yet) or end_block."""
        ctx = self.ctx
        ctx.begin_phase(contract.name)
        try:
            if outcome is None:
                contract.begin_block(ctx)
            else:
                contract.end_block(ctx, outcome)
        except Refused as refusal:
            raise EngineFault(f"{contract.name} refused outside a transaction: {refusal}") from refusal
        self.overlay.commit()
        self.outbox.extend(ctx.take_packets())

    def _transaction(self, index: int, envelope: Envelope) -> None:
        ctx = self.ctx
        try:
            self._admit(index, envelope)
            self._operations(envelope)
            ctx.operation_index = -1
            if len(self.overlay.pending) > MAX_WRITES:
                raise Refused(Code.LIMIT, "writes", (MAX_WRITES,))
            self.events[index] = ctx.take_events() or NO_EVENTS
            self.overlay.commit()
            if packets := ctx.take_packets():
                self.outbox.extend(packets)
        except Refused as refusal:
            self.overlay.pending.clear()
            self.codes[index] = refusal.code
            self.rules[index] = refusal.rule
            within = refusal.code >= FIRST_OPERATION_CODE
            self.params[index] = (ctx.operation_index, *refusal.params) if within else refusal.params
        except (LocalFault, MemoryError):
            raise  # this machine's trouble: no reason to skip anything
        except Exception as failure:
            raise Poisoned(
                index,
                f"{type(failure).__name__}: {failure}; while executing transaction {envelope.transaction_id.hex()}, "
                f"index {index} of height {self.block.height}, operation {ctx.operation_index}",
            ) from failure

    def _skip(self, index: int, envelope: Envelope) -> None:
        """A quorum skips it: no operation runs, its nonce is used up if its keys may act, so that it is not ordered and
        skipped again."""
        try:
            self._admit(index, envelope)
        except (LocalFault, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - what it breaks may be the admission itself: the quorum knows, the receipt says
            self.ctx.operation_index = -1
        self.overlay.pending.clear()
        self.codes[index] = Code.SKIPPED
        self.params[index] = (-1,)

    def _admit(self, index: int, envelope: Envelope) -> None:
        """All checks before the first operation; enters the nonce into the seen set once they allow it."""
        body, ctx, block = envelope.body, self.ctx, self.block
        ctx.operation_index = -1
        if body.ledger != block.ledger:
            raise Refused(Code.WRONG_LEDGER, "", (block.ledger,))
        account = body.account
        record = ctx.record_of(account)
        if record is None:
            raise Refused(Code.UNKNOWN_ACCOUNT, "", (account,))
        signers = envelope.signers
        if signers[0].public_key not in record.signing_keys:
            raise self._unauthorised(account, signers[0].public_key)
        if body.cosigners:
            self._check_cosigners(envelope)
        valid_until = body.valid_until_ms
        if valid_until < block.time_ms:
            raise Refused(Code.EXPIRED, "", (block.time_ms,))
        if valid_until > self.latest_ms:
            raise Refused(Code.NOT_YET, "", (self.latest_ms,))
        key = seen_key(body.ledger, account, body.nonce)
        first = self.seen_added.get(key) or self.seen.seen(key)
        if first is not None:
            self._refuse_seen(envelope, first)
        self.seen_added[key] = seen_value(envelope.transaction_id, block.height, index, valid_until)
        ctx.begin_transaction(envelope, record)
        if body.on_behalf_of != NO_ACCOUNT:
            self._check_grant(account, body.on_behalf_of)
        if len(body.operations) > 1:
            lanes = self.assembly.lanes
            if len({lanes.get(operation.contract) for operation in body.operations} - {None}) > 1:
                raise Refused(Code.MIXED_LANES)

    def _check_cosigners(self, envelope: Envelope) -> None:
        for account, signer in zip(envelope.body.cosigners, envelope.signers[1:], strict=True):
            record = self.ctx.record_of(account)
            if record is None:
                raise Refused(Code.UNKNOWN_ACCOUNT, "", (account,))
            if signer.public_key not in record.signing_keys:
                raise self._unauthorised(account, signer.public_key)

    def _unauthorised(self, account: bytes, key: bytes) -> Refused:
        """Which of the reasons it is: a key of another purpose is named, for its holder has mixed up two files."""
        purpose = other_purpose(self.overlay.get, account, key)
        if purpose:
            return Refused(Code.UNAUTHORISED, "accounts.key_purpose", (account, purpose))
        return Refused(Code.UNAUTHORISED, "", (account,))

    def _refuse_seen(self, envelope: Envelope, entry: bytes) -> None:
        first = decode_seen(entry)
        same = first.transaction_id == envelope.transaction_id
        raise Refused(
            Code.DUPLICATE if same else Code.NONCE_USED, "", (first.transaction_id, first.height, first.index)
        )

    def _check_grant(self, account: bytes, principal: bytes) -> None:
        record = self.ctx.record_of(principal)
        granted = self.overlay.get(grant_key(principal, account)) is not None
        if record is None or record.status != ACTIVE or not granted:
            raise Refused(Code.FORBIDDEN, "accounts.no_grant", (principal,))

    def _operations(self, envelope: Envelope) -> None:
        ctx, methods = self.ctx, self.assembly.methods
        for place, operation in enumerate(envelope.body.operations):
            ctx.operation_index = place
            table = methods.get(operation.contract)
            if table is None:
                raise Refused(Code.UNKNOWN_CONTRACT, "", (operation.contract,))
            method = table.get(operation.method)
            if method is None:
                raise Refused(Code.UNKNOWN_METHOD, "", (operation.contract, operation.method))
            if method.roles and method.roles.isdisjoint(ctx.roles):
                raise Refused(Code.FORBIDDEN, "", (operation.contract, operation.method))
            wrong = wrong_argument(method.args, operation.args)
            if wrong is not None:
                raise Refused(Code.BAD_ARGUMENTS, "", (operation.contract, operation.method, wrong[:MAX_NAMED_BYTES]))
            for name, before in self.before:
                ctx.enter(name)
                before(ctx, operation)
            ctx.enter(operation.contract)
            method.handler(ctx, operation.args)
            if self.after:
                moves = ctx.take_moves()
                for name, after in self.after:
                    ctx.enter(name)
                    after(ctx, operation, moves)

    def _receipts(self) -> tuple[bytes, ...]:
        ledger, envelopes = self.block.ledger, self.envelopes
        digests = sm3_many([signed.EVENTS + events for events in self.events])
        return tuple(
            encode_success(ledger, envelope, digest)
            if not code
            else encode_receipt(
                Receipt(
                    ledger,
                    envelope.envelope_id,
                    envelope.transaction_id,
                    envelope.body.account,
                    envelope.body.nonce,
                    code,
                    rule,
                    params,
                    digest,
                )
            )
            for envelope, code, rule, params, digest in zip(
                envelopes, self.codes, self.rules, self.params, digests, strict=True
            )
        )
