"""A small chain in memory for execution's tests: accounts, a toy ledger of coins, blocks that are applied at once."""

from dataclasses import dataclass, field
from types import MappingProxyType

from chain_core.codec.seen import decode_seen
from chain_core.codec.signed import derive_id
from chain_core.codec.transaction import decode_receipt, encode_body, encode_envelope, envelope_id, transaction_id
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import ACCOUNT, Integer, Octets, Optional, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, BlockContext, Contract, Hook, Lane, Method, RuleText
from chain_core.execution.executor import BlockResult, Executor
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.ids import NO_ACCOUNT
from chain_core.types.transaction import Envelope, Operation, Receipt, Signer, TransactionBody
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value

GENESIS_HASH = sm3(b"a chain for tests")
START_MS = 1_790_000_000_000


def account(name: str) -> bytes:
    return sm3(name.encode())[:16]


def key(name: str) -> bytes:
    """A public key's 64 bytes; nothing here checks signatures, that is ingress's task."""
    return sm3(b"x" + name.encode()) + sm3(b"y" + name.encode())


def op(contract: str, method: str, **args: Value) -> Operation:
    return Operation(contract, method, args)


class Coins(Contract):
    """Balances that a transfer moves: two reads, two writes."""

    name = "coins"
    lane = Lane.BUSINESS
    rules = MappingProxyType({"coins.short": RuleText("余额不足：{0} < {1}", "balance {0} is below {1}")})

    def __init__(self) -> None:
        self.methods = {
            "transfer": Method(self.transfer, {"to": ACCOUNT, "amount": Integer(1)}),
            "mint": Method(self.mint, {"to": ACCOUNT, "amount": Integer(1)}, frozenset(("issuer",))),
            "note": Method(self.note, {"key": Octets(0, 300), "size": Integer(0, 100_000)}),
            "report": Method(self.report, {"channel": Text(16), "count": Integer(0, 100), "size": Optional(Integer())}),
            "shout": Method(self.shout, {"count": Integer(0, 5_000), "size": Integer(0, 5_000)}),
            "scatter": Method(self.scatter, {"count": Integer(0, 5_000)}),
            "break": Method(self.fail, {}),
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        for row in genesis.accounts:
            writer.put(row.account, encode_value(1_000))

    def transfer(self, ctx: CallContext, args: Arguments) -> None:
        amount, to = args["amount"], args["to"]
        assert isinstance(amount, int) and isinstance(to, bytes)
        source = ctx.principal
        left = self.balance(ctx, source) - amount
        if left < 0:
            ctx.refuse("coins.short", left + amount, amount)
        ctx.put(source, encode_value(left))
        ctx.put(to, encode_value(self.balance(ctx, to) + amount))
        ctx.record_move((source, to, amount))
        ctx.emit("moved", source=source, to=to, amount=amount)

    def mint(self, ctx: CallContext, args: Arguments) -> None:
        amount, to = args["amount"], args["to"]
        assert isinstance(amount, int) and isinstance(to, bytes)
        ctx.put(to, encode_value(self.balance(ctx, to) + amount))

    def note(self, ctx: CallContext, args: Arguments) -> None:
        place, size = args["key"], args["size"]
        assert isinstance(place, bytes) and isinstance(size, int)
        ctx.put(b"note" + place, bytes(size))

    def report(self, ctx: CallContext, args: Arguments) -> None:
        channel, count, size = args["channel"], args["count"], args.get("size", 0)
        assert isinstance(channel, str) and isinstance(count, int) and isinstance(size, int)
        for number in range(count):
            payload: dict[str, Value] = {"number": number}
            ctx.send_packet(bytes(32), 0, channel, "report", payload | ({"fill": bytes(size)} if size else {}))

    def shout(self, ctx: CallContext, args: Arguments) -> None:
        count, size = args["count"], args["size"]
        assert isinstance(count, int) and isinstance(size, int)
        for _ in range(count):
            ctx.emit("shouted", text="a" * size)

    def scatter(self, ctx: CallContext, args: Arguments) -> None:
        count = args["count"]
        assert isinstance(count, int)
        for number in range(count):
            ctx.put(b"n%d" % number, b"1")

    def fail(self, ctx: CallContext, args: Arguments) -> None:
        ctx.put(b"half", b"done")
        raise ZeroDivisionError("a bug in a contract")

    @staticmethod
    def balance(ctx: CallContext, holder: bytes) -> int:
        raw = ctx.get(holder)
        amount = 0 if raw is None else decode_value(raw)
        assert isinstance(amount, int)
        return amount


class Border(Contract):
    """Something of the border lane: a value that business of the same block can see."""

    name = "border"
    lane = Lane.BORDER

    def __init__(self) -> None:
        self.methods = {"mark": Method(self.mark, {"value": Octets(1, 8)}, frozenset(("relayer",)))}

    def mark(self, ctx: CallContext, args: Arguments) -> None:
        value = args["value"]
        assert isinstance(value, bytes)
        ctx.put(b"mark", value)


PEOPLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "alice": ("Trading House", ("issuer",)),
    "bob": ("Second House", ()),
    "carol": ("Third House", ("relayer",)),
    "registrar": ("Operator", ("registrar",)),
    "governor-1": ("Operator", ("governor",)),
    "governor-2": ("Operator", ("governor",)),
    "governor-3": ("Regulator", ("governor",)),
    "governor-4": ("Custodian", ("governor",)),
}


def genesis(
    parameters: dict[str, int] | None = None, flags: tuple[str, ...] = (), people: dict[str, object] | None = None
) -> Genesis:
    validators = ValidatorSet(
        tuple(Validator(f"v{i}", f"entity {i}", key(f"consensus {i}"), key(f"transport {i}")) for i in range(4))
    )
    rows = tuple(
        GenesisAccount(account(name), entity, tuple(sorted(roles)), {"transaction": (key(name),)})
        for name, (entity, roles) in PEOPLE.items()
    )
    return Genesis(
        "test-chain",
        "supervisory",
        "",
        START_MS,
        validators,
        {**DEFAULT_PARAMETERS, **(parameters or {})},
        flags,
        rows,
        {"accounts": {"grantable_roles": ["investor", "issuer"]}},
    )


@dataclass
class World:
    """A chain of one process: ``block`` executes, keeps what results, and returns the receipts."""

    executor: Executor
    state: dict[bytes, bytes] = field(default_factory=dict)
    seen_tree: dict[bytes, bytes] = field(default_factory=dict)
    height: int = 0
    time_ms: int = START_MS
    nonces: dict[str, int] = field(default_factory=dict)
    last: BlockResult | None = None
    ledger: int = 0
    chain: bytes = GENESIS_HASH

    @classmethod
    def begin(
        cls,
        *,
        parameters: dict[str, int] | None = None,
        flags: tuple[str, ...] = (),
        known_flags: tuple[str, ...] = (),
        contracts: tuple[Contract, ...] = (),
        hooks: tuple[Hook, ...] = (),
        grants: dict[str, tuple[str, ...]] | None = None,
        max_ledgers: int = 0,
    ) -> "World":
        executor = Executor(
            (Coins(), Border(), *contracts),
            hooks=hooks,
            grants=grants,
            known_flags=known_flags or flags,
            max_ledgers=max_ledgers,
        )
        world = cls(executor)
        world.state.update(executor.genesis_writes(genesis(parameters, flags), GENESIS_HASH))
        return world

    def get(self, full: bytes) -> bytes | None:
        return self.state.get(full)

    def seen(self, full: bytes) -> bytes | None:
        return self.seen_tree.get(full)

    def seen_expired(self, before_ms: int, limit: int) -> list[bytes]:
        ends = sorted((decode_seen(v).valid_until_ms, k) for k, v in self.seen_tree.items())
        return [k for until, k in ends if until < before_ms][:limit]

    def sign(
        self,
        name: str,
        *operations: Operation,
        signer: str = "",
        nonce: int | None = None,
        valid_for_ms: int = 60_000,
        on_behalf_of: bytes = NO_ACCOUNT,
        cosigners: tuple[str, ...] = (),
        cosigner_keys: tuple[str, ...] = (),
        ledger: int | None = None,
        as_account: bytes | None = None,
        signature: bytes = bytes(64),
    ) -> Envelope:
        if nonce is None:
            nonce = self.nonces[name] = self.nonces.get(name, 0) + 1
        ordered = sorted(cosigners, key=account)
        body = TransactionBody(
            self.ledger if ledger is None else ledger,
            account(name) if as_account is None else as_account,
            nonce,
            self.time_ms + valid_for_ms,
            operations,
            on_behalf_of,
            cosigners=tuple(account(cosigner) for cosigner in ordered),
        )
        raw_body = encode_body(body)
        keys = [key(signer or name), *(key(k) for k in (cosigner_keys or ordered))]
        signers = tuple(Signer(k, signature) for k in keys)
        raw = encode_envelope(raw_body, signers)
        return Envelope(raw, raw_body, body, signers, envelope_id(raw), transaction_id(raw_body))

    def context(self, after_ms: int = 1_000) -> BlockContext:
        epoch = self.executor.epoch_at(self, self.height + 1).epoch
        return BlockContext(self.chain, self.ledger, self.height + 1, epoch, 0, self.time_ms + after_ms)

    def execute(self, *envelopes: Envelope, after_ms: int = 1_000) -> BlockResult:
        """What the next block would do; nothing is kept."""
        return self.executor.execute(self.context(after_ms), envelopes, self, self)

    def block(self, *envelopes: Envelope, after_ms: int = 1_000) -> list[Receipt]:
        context = self.context(after_ms)
        result = self.executor.execute(context, envelopes, self, self)
        for full, value in result.writes.items():
            if value is None:
                del self.state[full]
            else:
                self.state[full] = value
        for full in result.seen_removed:
            del self.seen_tree[full]
        assert not result.seen_added.keys() & self.seen_tree.keys()
        self.seen_tree.update(result.seen_added)
        self.height, self.time_ms, self.last = context.height, context.time_ms, result
        return [decode_receipt(raw) for raw in result.receipts]

    def pass_blocks(self, count: int) -> None:
        for _ in range(count):
            self.block()

    def one(self, name: str, *operations: Operation, **options: object) -> Receipt:
        """A block with one transaction; its receipt."""
        (receipt,) = self.block(self.sign(name, *operations, **options))  # type: ignore[arg-type]
        return receipt

    def balance(self, name: str) -> int:
        raw = self.state.get(b"\x05coins" + account(name))
        amount = 0 if raw is None else decode_value(raw)
        assert isinstance(amount, int)
        return amount

    def registered(self, reference: str) -> bytes:
        return derive_id(GENESIS_HASH, "account", account("registrar"), reference)
