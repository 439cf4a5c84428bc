"""The small chain that the simulator runs: its keys, its one toy contract, its transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from chain_core.codec import signed
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope, encode_body, encode_envelope
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.execution.arguments import Integer
from chain_core.execution.contract import Arguments, CallContext, Contract, Method, RuleText
from chain_core.execution.executor import Executor
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.transaction import Envelope, Operation, Signer, TransactionBody
from chain_core.types.validator_set import Validator, ValidatorSet
from tests.simulation.signatures import RealSm2, Signatures

START_MS = 1_790_000_000_000
CLIENTS = 6
GOVERNORS = (CLIENTS, CLIENTS + 1)
"""Two clients more, of two entities."""
TOTAL = state_key("tally", b"total")
POISON = 6_666_666
"""An amount that breaks the contract on every node: no refusal, a fault of the engine."""
_PRIVATE_KEYS: dict[bytes, bytes] = {}


class Tally(Contract):
    """Adds amounts up, for each account and in all; refuses multiples of seven, so that refusals are ordered too."""

    name = "tally"
    rules = MappingProxyType({"tally.seven": RuleText("不接受 {0}", "{0} is not accepted")})

    def __init__(self) -> None:
        self.methods = {"add": Method(self.add, {"amount": Integer(1)})}

    def add(self, ctx: CallContext, args: Arguments) -> None:
        amount = args["amount"]
        assert isinstance(amount, int)
        if amount == POISON:
            raise RuntimeError("a poison transaction")
        for place in (ctx.account, b"total"):
            raw = ctx.get(place)
            before = 0 if raw is None else decode_value(raw)
            assert isinstance(before, int)
            ctx.put(place, encode_value(before + amount))
        if amount % 7 == 0:
            ctx.refuse("tally.seven", amount)


@cache
def private_key(name: str) -> bytes:
    """The same key in every run; the simulator's runs differ by their seed alone."""
    return sm3(b"simulated key of " + name.encode())


@cache
def public_key(name: str) -> bytes:
    made = signing_provider().sm2_public_key(private_key(name))
    _PRIVATE_KEYS[made] = private_key(name)
    return made


def private_of(public: bytes) -> bytes | None:
    """The private key of a simulated public one."""
    return _PRIVATE_KEYS.get(public)


def account_of(client: int) -> bytes:
    return sm3(b"simulated account %d" % client)[:16]


def amount_of(envelope: Envelope) -> int:
    """What a transaction adds up: nothing, when it is one of a governor."""
    if envelope.body.operations[0].contract != Tally.name:
        return 0
    amount = envelope.body.operations[0].args["amount"]
    assert isinstance(amount, int)
    return amount


_GOVERNANCE = {"governance_approvals": 1, "governance_delay": 1, "governance_expiry": 1_000}


def _tally() -> Executor:
    return Executor((Tally(),))


@dataclass(frozen=True, slots=True)
class Chain:
    """A genesis document with its hash, the scheme by which everybody on it signs, and what executes its blocks."""

    genesis: Genesis
    genesis_hash: bytes
    signatures: Signatures = field(default_factory=RealSm2)
    executor: Callable[[], Executor] = _tally

    @property
    def validators(self) -> ValidatorSet:
        return self.genesis.validators

    def sign(self, name: str, kind: bytes, body: bytes) -> bytes:
        """Somebody's signature over the message M of a body."""
        return self.signatures.sign(private_key(name), signed.message(kind, self.genesis_hash, body))

    def transaction(self, client: int, nonce: int, valid_until_ms: int, call: Operation | None = None) -> Envelope:
        """A transaction of a client; without ``call`` it adds an amount that follows from client and nonce."""
        call = call or Operation("tally", "add", {"amount": 10 * nonce + client + 1})
        body = encode_body(TransactionBody(0, account_of(client), nonce, valid_until_ms, (call,)))
        name = f"client {client}"
        signature = self.sign(name, signed.TX, body)
        return decode_envelope(encode_envelope(body, (Signer(public_key(name), signature),)))


def newcomer(index: int) -> Validator:
    """A validator that is none yet."""
    name = f"v{index}"
    return Validator(name, f"示例机构 {index}", public_key(name), public_key(f"transport {index}"))


@cache
def chain(n: int, **parameters: int) -> Chain:
    """A chain of ``n`` validators with small trees, else the default parameters."""
    validators = ValidatorSet(tuple(newcomer(index) for index in range(n)))
    accounts = tuple(
        GenesisAccount(account_of(c), f"client {c}", (), {"transaction": (public_key(f"client {c}"),)})
        for c in range(CLIENTS)
    ) + tuple(
        GenesisAccount(account_of(g), f"监管机构 {g}", ("governor",), {"transaction": (public_key(f"client {g}"),)})
        for g in GOVERNORS
    )
    chosen = {**DEFAULT_PARAMETERS, "state_buckets": 16, "idle_block_ms": 0, **_GOVERNANCE, **parameters}
    genesis = Genesis("simulated", "supervisory", "", START_MS, validators, chosen, (), accounts)
    return Chain(genesis, genesis_hash(encode_genesis(genesis)))
