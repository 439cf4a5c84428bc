"""One simulated chain: the real contracts and the real executor on a ledger in memory, certified by its validators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import cast

from chain_core.codec.block import decode_header, encode_certificate, header_hash, header_message
from chain_core.codec.genesis import decode_genesis, encode_genesis, genesis_hash
from chain_core.codec.transaction import decode_receipt, encode_body, encode_envelope, envelope_id, transaction_id
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.contract import BlockContext
from chain_core.execution.executor import Executor
from chain_core.execution.roots import StoreRoots, build_genesis_header, build_header
from chain_core.node.answers import CertifiedHeader
from chain_core.types.block import Certificate
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Envelope, Operation, Receipt, Signer, TransactionBody
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from tests.border_simulation.ledger import MemoryLedger
from tests.simulation.signatures import Signatures
from tests.unit.crosschain.chains import account, key_of

_key_of = cache(key_of)
SEEN_ROOT = sm3(b"the seen tree is not simulated")
Event = tuple[str, str, dict[str, Value]]


@dataclass
class SimChain:
    """``block`` makes the next final block at once; ``events`` are those of the last one."""

    name: str
    genesis: Genesis
    hash: bytes
    executor: Executor
    ledger: MemoryLedger
    keys: dict[bytes, bytes]
    """Consensus keys, private by public."""
    signatures: Signatures
    nonces: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @classmethod
    def begin(
        cls, name: str, genesis: Genesis, executor: Executor, keys: dict[bytes, bytes], signatures: Signatures
    ) -> SimChain:
        raw = encode_genesis(genesis)
        identity = genesis_hash(raw)
        ledger = MemoryLedger({})
        root = ledger.write(dict(executor.genesis_writes(genesis, identity)))
        ledger.append(build_genesis_header(genesis, identity, root, SEEN_ROOT), b"", ())
        return cls(name, decode_genesis(raw), identity, executor, ledger, keys, signatures)

    def copy(self, signatures: Signatures) -> SimChain:
        """The same chain, to go on by itself."""
        ledger, nonces = self.ledger.copy(), dict(self.nonces)
        return SimChain(self.name, self.genesis, self.hash, self.executor, ledger, self.keys, signatures, nonces)

    @property
    def height(self) -> int:
        return self.ledger.height

    def get(self, key: bytes) -> bytes | None:
        return self.ledger.get(key)

    def value(self, key: bytes) -> Value:
        raw = self.ledger.get(key)
        return None if raw is None else decode_value(raw)

    def certified(self, height: int) -> CertifiedHeader:
        return CertifiedHeader(self.ledger.headers[height], self.ledger.certificates[height])

    def time_ms(self) -> int:
        return decode_header(self.ledger.headers[-1]).time_ms

    def sign(self, who: str, now_ms: int, *operations: Operation) -> Envelope:
        nonce = self.nonces[who] = self.nonces.get(who, 0) + 1
        body = TransactionBody(0, account(who), nonce, now_ms + 300_000, operations)
        raw_body = encode_body(body)
        signers = (Signer(_key_of(who), bytes(64)),)
        raw = encode_envelope(raw_body, signers)
        return Envelope(raw, raw_body, body, signers, envelope_id(raw), transaction_id(raw_body))

    def block(self, now_ms: int, *envelopes: Envelope) -> list[Receipt]:
        ledger, height = self.ledger, self.height + 1
        now_ms = max(now_ms, self.time_ms() + 1)
        now, after = (self.executor.epoch_at(ledger, h) for h in (height, height + 1))
        context = BlockContext(self.hash, 0, height, now.epoch, 0, now_ms)
        result = self.executor.execute(context, envelopes, ledger, ledger)
        root = ledger.write(result.writes, result.seen_added)
        ids = tuple(envelope.envelope_id for envelope in envelopes)
        roots = StoreRoots(root, SEEN_ROOT, ledger.history.root, ledger.history.count)
        header = build_header(ledger.headers[-1], context, ids, result, roots, now.set_hash, after.set_hash)
        ledger.append(header, self.certify(header, now.validators), result.outbox)
        rows = [row for raw in result.events for row in cast(list[list[Value]], decode_value(raw))]
        self.events = [cast(Event, tuple(row)) for row in rows]
        return [decode_receipt(raw) for raw in result.receipts]

    def certify(self, header: bytes, members: ValidatorSet, signers: Sequence[int] | None = None) -> bytes:
        """A certificate by the first q members, unless told otherwise."""
        hashed = header_hash(header)
        message = header_message(self.hash, hashed)
        chosen = range(members.q) if signers is None else signers
        made = tuple((i, self.signatures.sign(self.keys[members.key(i)], message)) for i in chosen)
        return encode_certificate(Certificate(hashed, made))
