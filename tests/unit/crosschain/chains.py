"""Two layers in one process: pure executors on real ledgers, with certificates made from validators' test keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import cast

from chain_core.codec.block import decode_header, encode_batch, encode_certificate, header_hash, header_message
from chain_core.codec.genesis import decode_genesis, encode_genesis, genesis_hash
from chain_core.codec.proofs import encode_inclusion, encode_state_proof
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_receipt, encode_body, encode_envelope, envelope_id, transaction_id
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree
from chain_core.crypto.providers import signing_provider
from chain_core.execution.contract import BlockContext
from chain_core.execution.executor import BlockResult, Executor
from chain_core.execution.roots import StoreRoots, build_genesis_header, build_header
from chain_core.ledger.store import BlockRecord, LedgerStore
from chain_core.node.assembly import Assembly
from chain_core.types.block import Batch, Certificate
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.packet import InclusionProof
from chain_core.types.transaction import Envelope, Operation, Receipt, Signer, TransactionBody
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value
from contracts.assembly import market_documents, market_parameters
from crosschain.packets import directive_key, directive_next_key
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly

START_MS = 1_790_000_000_000
BUCKETS = 64


def account(name: str) -> bytes:
    return sm3(b"account " + name.encode())[:16]


def private_key(name: str) -> bytes:
    return sm3(b"private key of " + name.encode())


def public_key(name: str) -> bytes:
    return signing_provider().sm2_public_key(private_key(name))


def op(contract: str, method: str, **args: Value) -> Operation:
    return Operation(contract, method, args)


def validators(chain: str, count: int = 4, entities: int = 0) -> ValidatorSet:
    """``entities`` legal entities share the votes; without it each validator has its own."""
    return ValidatorSet(
        tuple(
            Validator(
                f"{chain}-{i}",
                f"entity {i % (entities or count)} of {chain}",
                public_key(f"{chain} consensus {i}"),
                public_key(f"{chain} transport {i}"),
            )
            for i in range(count)
        )
    )


def accounts(people: dict[str, tuple[str, ...]]) -> tuple[GenesisAccount, ...]:
    """Accounts with a transaction key each; nothing here checks signatures, that is the ingress's task."""
    return tuple(
        GenesisAccount(account(name), f"entity of {name}", tuple(sorted(roles)), {"transaction": (key_of(name),)})
        for name, roles in people.items()
    )


SIGNERS = frozenset(("courier", "csrc-1", "csrc-2", "second operator", "desk"))


@cache
def key_of(name: str) -> bytes:
    """A public key's 64 bytes; those of SIGNERS alone have a private half (``private_key``)."""
    return public_key(name) if name in SIGNERS else sm3(b"x" + name.encode()) + sm3(b"y" + name.encode())


SUPERVISORY_PEOPLE: dict[str, tuple[str, ...]] = {
    "csrc-1": ("csrc",),
    "csrc-2": ("csrc",),
    "operator": ("operator",),
    "second operator": ("operator",),
    "courier": (),
    "desk": ("csrc",),
    "both": ("csrc", "operator"),
    "governor-1": ("governor",),
    "governor-2": ("governor",),
}
LOCAL_PEOPLE: dict[str, tuple[str, ...]] = {
    "operator": ("operator",),
    "bank": ("depository_bank",),
    "issuer": (),
    "holder": (),
    "buyer": (),
    "courier": (),
    "governor-1": ("governor",),
    "governor-2": ("governor",),
    "officer": ("regulator",),
}


def supervisory_genesis() -> Genesis:
    return Genesis(
        "supervisory-test",
        "supervisory",
        "",
        START_MS,
        validators("supervisory"),
        {**DEFAULT_PARAMETERS, "state_buckets": BUCKETS},
        (),
        accounts(SUPERVISORY_PEOPLE),
    )


def local_genesis(
    name: str = "beijing", market: str = "BJ", *, supervisory: bytes = b"", members: ValidatorSet | None = None
) -> Genesis:
    day = START_MS // 86_400_000
    return Genesis(
        f"{name}-test",
        "local",
        market,
        START_MS,
        members or validators(name),
        {**DEFAULT_PARAMETERS, **market_parameters(), "state_buckets": BUCKETS},
        (),
        accounts(LOCAL_PEOPLE),
        market_documents(opened=range(day - 2, day + 3)),
        supervisory or encode_genesis(supervisory_genesis()),
    )


@dataclass(frozen=True)
class Proven:
    """A value with its proof under ``header``."""

    header: bytes
    certificate: bytes
    value: bytes | None
    proof: bytes


@dataclass
class Chain:
    """One chain: ``block`` makes the next final block at once and returns its receipts."""

    genesis_bytes: bytes
    executor: Executor
    store: LedgerStore
    keys: dict[bytes, bytes]
    """Consensus keys, private by public."""
    time_ms: int = START_MS
    nonces: dict[str, int] = field(default_factory=dict)
    last: BlockResult | None = None

    @classmethod
    def begin(cls, path: Path, genesis: Genesis, assembly: Callable[[Genesis], Assembly]) -> Chain:
        raw = encode_genesis(genesis)
        chain = genesis_hash(raw)
        executor = assembly(genesis).executor()
        store = LedgerStore.open(path, genesis_hash=chain, state_buckets=BUCKETS)
        writes = executor.genesis_writes(genesis, chain)
        staged = store.stage(dict(writes), {}, ())
        store.install_genesis(build_genesis_header(genesis, chain, staged.state_root, staged.seen_root), writes)
        name = genesis.validators.validators[0].name.rpartition("-")[0]
        made = [private_key(f"{name} consensus {i}") for i in range(genesis.validators.n)]
        keys = {signing_provider().sm2_public_key(key): key for key in made}
        return cls(raw, executor, store, keys)

    def again(self, path: Path, assembly: Callable[[Genesis], Assembly]) -> Chain:
        """The same chain on a copy of its ledger."""
        store = LedgerStore.open(path, genesis_hash=self.hash, state_buckets=BUCKETS)
        return replace(self, executor=assembly(self.genesis).executor(), store=store, nonces=dict(self.nonces))

    @property
    def hash(self) -> bytes:
        return genesis_hash(self.genesis_bytes)

    @property
    def genesis(self) -> Genesis:
        return decode_genesis(self.genesis_bytes)

    @property
    def height(self) -> int:
        return self.store.final_height

    def sign(self, name: str, *operations: Operation) -> Envelope:
        nonce = self.nonces[name] = self.nonces.get(name, 0) + 1
        body = TransactionBody(self.store.ledger, account(name), nonce, self.time_ms + 300_000, operations)
        raw_body = encode_body(body)
        signers = (Signer(key_of(name), bytes(64)),)
        raw = encode_envelope(raw_body, signers)
        return Envelope(raw, raw_body, body, signers, envelope_id(raw), transaction_id(raw_body))

    def block(self, *envelopes: Envelope, after_ms: int = 1_000) -> list[Receipt]:
        store, height = self.store, self.height + 1
        self.time_ms += after_ms
        now, after = (self.executor.epoch_at(store, h) for h in (height, height + 1))
        context = BlockContext(self.hash, store.ledger, height, now.epoch, 0, self.time_ms)
        result = self.executor.execute(context, envelopes, store, store)
        staged = store.stage(result.writes, result.seen_added, result.seen_removed)
        parent = store.header(height - 1)
        assert parent is not None
        ids = tuple(envelope.envelope_id for envelope in envelopes)
        roots = StoreRoots(staged.state_root, staged.seen_root, *store.history_root_of(height))
        header = build_header(parent, context, ids, result, roots, now.set_hash, after.set_hash)
        store.commit_block(
            BlockRecord(
                header,
                self.certify(header),
                encode_batch(Batch(store.ledger, now.epoch, height, 0, self.time_ms, ids)),
                tuple(envelope.raw for envelope in envelopes),
                result.receipts,
                result.events,
                result.outbox,
                staged,
            )
        )
        self.last = result
        return [decode_receipt(raw) for raw in result.receipts]

    def try_one(self, name: str, *operations: Operation) -> Receipt:
        """The receipt that this transaction would have in the next block; nothing is kept."""
        epoch = self.executor.epoch_at(self.store, self.height + 1).epoch
        context = BlockContext(self.hash, self.store.ledger, self.height + 1, epoch, 0, self.time_ms + 1_000)
        result = self.executor.execute(context, [self.sign(name, *operations)], self.store, self.store)
        return decode_receipt(result.receipts[0])

    def one(self, name: str, *operations: Operation) -> Receipt:
        """A block with one transaction; its receipt."""
        (receipt,) = self.block(self.sign(name, *operations))
        return receipt

    def certify(
        self, header: bytes, signers: Sequence[int] | None = None, members: ValidatorSet | None = None
    ) -> bytes:
        """A certificate by the first q validators of the header's epoch, unless told otherwise."""
        epoch = self.executor.epoch(self.store, decode_header(header).epoch)
        members = members or (self.genesis if epoch is None else epoch).validators
        hashed = header_hash(header)
        message = header_message(self.hash, hashed)
        chosen = range(members.q) if signers is None else signers
        signatures = tuple((i, signing_provider().sm2_sign(self.keys[members.key(i)], message)) for i in chosen)
        return encode_certificate(Certificate(hashed, signatures))

    def certified(self, height: int) -> tuple[bytes, bytes]:
        header, certificate = self.store.header(height), self.store.certificate(height)
        assert header is not None and certificate is not None
        return header, certificate

    def row(self, height: int) -> dict[str, Value]:
        """A header with its certificate, as an argument."""
        header, certificate = self.certified(height)
        return {"header": header, "certificate": certificate}

    def value(self, key: bytes) -> Value:
        """A decoded value of the final state, None when absent."""
        raw = self.store.get(key)
        return None if raw is None else decode_value(raw)

    def events(self) -> list[tuple[str, str]]:
        """(contract, name) of all events of the last block."""
        assert self.last is not None
        rows = [row for raw in self.last.events for row in cast(list[list[str]], decode_value(raw))]
        return [(row[0], row[1]) for row in rows]

    def prove(self, key: bytes) -> Proven:
        """A value of the final state with its proof."""
        header, certificate = self.certified(self.height)
        value, proof = self.store.prove_state(key)
        return Proven(header, certificate, value, encode_state_proof(proof))

    def packets(self, height: int) -> list[dict[str, Value]]:
        """A block's packets with their proofs, as arguments."""
        return proven_rows(self.store.outbox(height))


@dataclass
class Layers:
    """The supervisory chain and one local chain, registered and admitted on request."""

    supervisory: Chain
    local: Chain

    @classmethod
    def begin(cls, path: Path) -> Layers:
        supervisory = Chain.begin(path / "supervisory", supervisory_genesis(), supervisory_assembly)
        local = Chain.begin(path / "local", local_genesis(), local_assembly)
        return cls(supervisory, local)

    def again(self, path: Path) -> Layers:
        """The same two, once they are closed and their files were copied to ``path``."""
        return Layers(
            self.supervisory.again(path / "supervisory", supervisory_assembly),
            self.local.again(path / "local", local_assembly),
        )

    def close(self) -> None:
        self.supervisory.store.close()
        self.local.store.close()

    # ---- what a courier does

    def headers_up(self, *heights: int) -> Operation:
        return op("clients", "submit_headers", chain=self.local.hash, headers=[self.local.row(h) for h in heights])

    def packets_up(self, height: int, *chosen: int, **changes: Value) -> Operation:
        """Packets of a local block, those at ``chosen`` places only when given."""
        packets = self.local.packets(height)
        picked = [packets[i] for i in chosen] if chosen else packets
        return Operation(
            "inbox",
            "deliver",
            {"source": self.local.hash, "height": height, "packets": picked, **changes},
        )

    def update_args(self, first: int, count: int) -> dict[str, Value]:
        """The latest supervisory header with ``directive_next`` and ``count`` directives from ``first``."""
        following = self.supervisory.prove(directive_next_key(self.local.hash))
        proven = [self.supervisory.prove(directive_key(self.local.hash, first + i)) for i in range(count)]
        return {
            "header": following.header,
            "certificate": following.certificate,
            "next": {"value": following.value or b"", "proof": following.proof},
            "directives": [{"packet": item.value, "proof": item.proof} for item in proven],
        }

    def update_down(self, first: int, count: int) -> Operation:
        return Operation("supervision", "update", self.update_args(first, count))

    def direct(self, kind: str, who: str, *, deadline_ms: int = 60_000, **more: Value) -> int:
        """A directive, issued by one account of the regulator and confirmed by another; its sequence."""
        supervisory, target = self.supervisory, self.local.hash
        args: dict[str, Value] = {
            "chain": target,
            "kind": kind,
            "account": account(who),
            "deadline_ms": supervisory.time_ms + deadline_ms,
            "reference": "example document",
            **more,
        }
        assert supervisory.one("csrc-1", Operation("directives", "issue", args)).code == 0
        queue = cast(dict[str, int], supervisory.value(state_key("directives", b"q")))
        assert supervisory.one("csrc-2", op("directives", "confirm", number=queue["last"])).code == 0
        return cast(int, supervisory.value(directive_next_key(target))) - 1

    def business(self, *references: str) -> int:
        """A local block with that much business, all of it accepted; its height."""
        envelopes = [self.local.sign("operator", security(reference)) for reference in references]
        assert {receipt.code for receipt in self.local.block(*envelopes)} <= {0}
        return self.local.height

    def register(self, *, admit: bool = True) -> None:
        assert self.supervisory.one("operator", registration(self.local.genesis_bytes)).code == 0
        if admit:
            assert self.supervisory.one("csrc-2", op("chains", "approve", chain=self.local.hash)).code == 0
            assert self.supervisory.one("csrc-1", op("chains", "admit", chain=self.local.hash)).code == 0


def security(reference: str) -> Operation:
    """Any piece of business: a security enters the register."""
    return op(
        "kernel",
        "register_security",
        reference=reference,
        name="example",
        issuer=account("issuer"),
        province="BJ",
        unit_decimals=0,
        declared=100,
        legacy=False,
    )


def registration(genesis: bytes, **changes: Value) -> Operation:
    """A registration with endpoints on the first two nodes, unless told otherwise."""
    if "endpoints" not in changes:
        names = [v.name for v in decode_genesis(genesis).validators.validators]
        changes["endpoints"] = [{"node": names[i], "address": f"127.0.0.1:{20_000 + i}"} for i in range(2)]
    args: dict[str, Value] = {"genesis": genesis, "technology": "dualchain", "consensus": "PBFT", **changes}
    return Operation("chains", "register", args)


def proven_rows(packets: Sequence[bytes]) -> list[dict[str, Value]]:
    """Packets with their proofs under the root over them, as arguments."""
    tree = MerkleTree(packets)
    return [
        {"packet": packet, "proof": encode_inclusion(InclusionProof(i, tree.count, tree.path(i)))}
        for i, packet in enumerate(packets)
    ]
