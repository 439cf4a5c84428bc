"""The contract ``chains``: market chains register, then are admitted (docs/spec/registration.md §1, art. 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.genesis import genesis_hash
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import HASH, Kind, ListOf, Octets, Optional, Record, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.genesis import Genesis, Predecessor
from chain_core.types.ids import ZERO_HASH
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from crosschain.client_types import OWN_TYPE, ClientType, Described
from crosschain.following import decode_followed, encode_followed
from crosschain.light_client import ClientState
from crosschain.packets import CHAINS, CLIENTS, SUCCEEDED, WITHDRAWN, read_chain, read_followed
from supervisory_chain import evidence, joint_tests, registration
from supervisory_chain.admission import (
    APPROVED,
    CSRC,
    GONE,
    OFFICE,
    OPERATOR,
    REGISTERED,
    STEPS,
    Step,
    admission,
    check,
    halt,
    is_open,
    leave,
    note,
    trail_place,
)
from supervisory_chain.admission import RULES as ADMISSION_RULES

_STEP: Mapping[str, Kind] = {"chain": HASH, "document": Optional(HASH)}
_EVENTS = {"admit": "admitted", "suspend": "suspended", "resume": "resumed", "withdraw": "withdrawn"}

_PARAMETERS = {**joint_tests.PARAMETERS, **evidence.PARAMETERS}

MAX_DOCUMENT_BYTES = 240_000
PIECE_BYTES = 60_000

ENDPOINT = Record({"node": Text(255), "address": Text(300)})
DESCRIPTION: Mapping[str, Kind] = {"technology": Text(128), "consensus": Text(128), "endpoints": ListOf(ENDPOINT, 16)}

RULES: Mapping[str, RuleText] = {
    **registration.RULES,
    **joint_tests.RULES,
    **evidence.RULES,
    **ADMISSION_RULES,
    "chains.registered": RuleText(
        "该创世文件（SM3 {0}）已登记", "the genesis document with SM3 {0} is registered already"
    ),
    "chains.market_taken": RuleText(
        "市场 {0} 已有登记的链（SM3 {1}），一个市场只接入一条地方业务链",
        "the market {0} has a chain (SM3 {1}): one chain a market",
    ),
    "chains.chain_id_taken": RuleText("链标识 {0} 已被占用（SM3 {1}）", "the chain id {0} is taken (SM3 {1})"),
    "chains.unknown": RuleText("没有登记过创世文件 SM3 为 {0} 的链", "no chain with genesis hash {0} is registered"),
    "chains.has_predecessor": RuleText(
        "该创世文件是链 {0} 的后继链，请用 successors.propose 提出", "it is a successor of {0}: use successors.propose"
    ),
    "chains.succeeded": RuleText("链 {0} 已由后继链 {1} 接替", "the chain {0} was succeeded by {1}"),
}


class Chains(Contract):
    """The register of market chains, keyed by genesis hash; one chain a market and a chain id."""

    name = CHAINS
    lane = Lane.BORDER
    rules = RULES
    parameters = _PARAMETERS

    def __init__(self, types: Mapping[str, ClientType] | None = None) -> None:
        self.types = types or {}
        judges, operator = frozenset((CSRC, OFFICE)), frozenset((OPERATOR,))
        self.methods = {
            "register": Method(
                self.register,
                {"genesis": Octets(1, MAX_DOCUMENT_BYTES), "client_type": Optional(Text(32)), **DESCRIPTION},
                operator,
            ),
            "amend": Method(self.amend, {"chain": HASH, **DESCRIPTION}),
            "file_report": Method(self.file_report, joint_tests.ARGUMENTS, frozenset((joint_tests.TESTER,))),
            "file_evidence": Method(self.file_evidence, evidence.FILE, operator),
            "accept_evidence": Method(self.judge_evidence, evidence.ACCEPT, judges),
            "return_evidence": Method(self.judge_evidence, evidence.RETURN, judges),
        }
        for step in STEPS.values():
            self.methods[step.name] = Method(partial(self.take, step), _STEP, step.roles)

    def register(self, ctx: CallContext, args: Arguments) -> None:
        """A market's operator enters its chain; all that is kept of validators and names comes from the document."""
        raw, chain = cast(bytes, args["genesis"]), genesis_hash(cast(bytes, args["genesis"]))
        name = cast(str, args.get("client_type", OWN_TYPE))
        if name == OWN_TYPE:
            genesis = registration.read_document(raw, ctx.block.genesis_hash)
            described, past = described_by(chain, genesis), genesis.predecessor
        else:
            if name not in self.types:
                ctx.refuse("chains.unknown_client_type", name)
            described, past = registration.describe_other(self.types[name], raw, ctx.block.genesis_hash), None
        endpoints = cast(Sequence[Mapping[str, Value]], args["endpoints"])
        registration.check_endpoints(endpoints, frozenset(node for node, _ in described.nodes))
        self._check_free(ctx, chain, described, past)
        enter(ctx, chain, raw, described)
        self._store(ctx, chain, new_record(ctx, raw, described, args, name))
        note(ctx, chain, "register")
        ctx.emit("registered", chain=chain, chain_id=described.chain_id, market=described.market)

    def amend(self, ctx: CallContext, args: Arguments) -> None:
        """The registrant keeps technology, consensus and endpoints current (art. 10).

        The validators become those of the epoch that the chain's headers were followed into: nobody tells them.
        """
        chain, record = self._record(ctx, args)
        if record["registrar"] != ctx.account:
            ctx.refuse("chains.not_yours", chain)
        if record["status"] == SUCCEEDED:
            ctx.refuse("chains.succeeded", chain, record["successor"])
        if not is_open(record):
            ctx.refuse("chains.closed", chain)
        changed: dict[str, Value] = {name: args[name] for name in DESCRIPTION}
        if record["client_type"] == OWN_TYPE:
            client = decode_followed(ctx.read(CLIENTS, b"v" + chain) or ctx.get(b"v" + chain) or b"")
            changed |= {"validators": _named(client.validators), "validators_epoch": client.epoch}
        validators = cast(Sequence[Mapping[str, str]], {**record, **changed}["validators"])
        endpoints = cast(Sequence[Mapping[str, Value]], args["endpoints"])
        registration.check_endpoints(endpoints, frozenset(row["name"] for row in validators))
        self._store(ctx, chain, {**record, **changed})
        ctx.emit("amended", chain=chain)

    def file_report(self, ctx: CallContext, args: Arguments) -> None:
        """The report of a joint test of a chain that waits for admission, by its tester."""
        chain, record = self._record(ctx, args)
        if record["status"] not in (REGISTERED, APPROVED):
            ctx.refuse("chains.admitted", chain)
        joint_tests.file(ctx, chain, record, cast(bytes, args["report"]))

    def file_evidence(self, ctx: CallContext, args: Arguments) -> None:
        """A document of the registrant's waits for judgement."""
        evidence.file(ctx, *self._open(ctx, args), args)

    def judge_evidence(self, ctx: CallContext, args: Arguments) -> None:
        """A waiting document counts, or goes back."""
        evidence.judge(ctx, *self._open(ctx, args), args)

    def take(self, step: Step, ctx: CallContext, args: Arguments) -> None:
        """One step of the workflow (docs/spec/admission.md §1)."""
        chain, record = self._record(ctx, args)
        check(ctx, chain, record, step)
        market = cast(str, record["market"])
        if step.target == GONE:
            self._remove(ctx, chain, record)
            ctx.emit("rejected", chain=chain, market=market)
            return
        if step.name in ("approve", "admit"):
            joint_tests.demand(ctx, chain)
        if step.name in ("approve", "admit", "resume"):
            evidence.demand(ctx, chain)
        changed = admission(ctx) if step.name == "admit" else {"status": step.target}
        self._store(ctx, chain, {**record, **changed})
        if step.target == WITHDRAWN:
            ctx.delete(_market_key(market))
            leave(ctx, chain)
        halt(ctx, market, cast(bytes, record["registrar"]), step)
        note(ctx, chain, step.name, cast(bytes, args.get("document", ZERO_HASH)))
        ctx.emit(_EVENTS.get(step.name, "admission_step"), chain=chain, market=market, step=step.name)

    @staticmethod
    def _remove(ctx: CallContext, chain: bytes, record: Mapping[str, Value]) -> None:
        """A registration that is not admitted goes, and frees its market and chain id."""
        delete_document(ctx, chain, cast(int, record["document_bytes"]))
        for key in (
            b"v" + chain,
            b"r" + chain,
            _market_key(cast(str, record["market"])),
            _chain_id_key(cast(str, record["chain_id"])),
            joint_tests.place(chain),
            evidence.place(chain),
            trail_place(chain),
        ):
            ctx.delete(key)

    @staticmethod
    def _check_free(ctx: CallContext, chain: bytes, genesis: Described, past: Predecessor | None) -> None:
        if ctx.get(b"r" + chain) is not None:
            ctx.refuse("chains.registered", chain)
        if past is not None:
            ctx.refuse("chains.has_predecessor", decode_header(past.header).genesis_hash)
        other = ctx.get(_market_key(genesis.market))
        if other is not None:
            ctx.refuse("chains.market_taken", genesis.market, other)
        other = ctx.get(_chain_id_key(genesis.chain_id))
        if other is not None:
            ctx.refuse("chains.chain_id_taken", genesis.chain_id, other)

    @staticmethod
    def _record(ctx: CallContext, args: Arguments) -> tuple[bytes, dict[str, Value]]:
        chain = cast(bytes, args["chain"])
        raw = ctx.get(b"r" + chain)
        if raw is None:
            ctx.refuse("chains.unknown", chain)
        return chain, decode_map(raw, "chain")

    def _open(self, ctx: CallContext, args: Arguments) -> tuple[bytes, dict[str, Value]]:
        chain, record = self._record(ctx, args)
        if not is_open(record):
            ctx.refuse("chains.closed", chain)
        return chain, record

    @staticmethod
    def _store(ctx: CallContext, chain: bytes, record: Mapping[str, Value]) -> None:
        ctx.put(b"r" + chain, encode_value(record))


def described_by(chain: bytes, genesis: Genesis) -> Described:
    """What our own genesis document says of its chain."""
    nodes = tuple((v.name, v.entity) for v in genesis.validators.validators)
    first = encode_followed(ClientState.at_genesis(chain, genesis))
    return Described(genesis.chain_id, genesis.market, nodes, genesis.time_ms, first)


def enter(space: Namespace, chain: bytes, raw: bytes, genesis: Described) -> None:
    """The document, the followed chain at its genesis, and its hold on market and chain id; the record is not in it."""
    put_document(space, chain, raw)
    space.put(b"v" + chain, genesis.state)
    space.put(_market_key(genesis.market), chain)
    space.put(_chain_id_key(genesis.chain_id), chain)


def new_record(
    ctx: CallContext, raw: bytes, genesis: Described, args: Arguments, client_type: str = OWN_TYPE
) -> dict[str, Value]:
    """What is kept of a chain that the calling account registers: names from the document, the rest as described."""
    return {
        "chain_id": genesis.chain_id,
        "market": genesis.market,
        "client_type": client_type,
        **{name: args[name] for name in DESCRIPTION},
        "validators": [{"name": name, "entity": entity} for name, entity in genesis.nodes],
        "validators_epoch": 0,
        "document_bytes": len(raw),
        "registrar": ctx.account,
        "registrar_entity": ctx.entity,
        "status": REGISTERED,
        "height": ctx.block.height,
        "admitted_by": b"",
        "admitted_height": 0,
        "admitted_ms": 0,
        "predecessor": b"",
        "successor": b"",
        "given_up": {},
    }


def put_document(space: Namespace, chain: bytes, raw: bytes) -> None:
    """A genesis document in pieces."""
    for start in range(0, len(raw), PIECE_BYTES):
        space.put(_piece_key(chain, start // PIECE_BYTES), raw[start : start + PIECE_BYTES])


def get_document(get: Callable[[bytes], bytes | None], chain: bytes, size: int) -> bytes:
    """The genesis document of ``size`` bytes again; ``get`` reads the contract's own keys."""
    return b"".join(get(_piece_key(chain, number)) or b"" for number in range(_pieces(size)))


def delete_document(space: Namespace, chain: bytes, size: int) -> None:
    """Removes its pieces."""
    for number in range(_pieces(size)):
        space.delete(_piece_key(chain, number))


def _pieces(size: int) -> int:
    return -(-size // PIECE_BYTES)


def _named(validators: ValidatorSet) -> list[Value]:
    return [{"name": v.name, "entity": v.entity} for v in validators.validators]


def registered_validators(ctx: CallContext, chain: bytes) -> dict[str, str]:
    """Legal entity by validator name, as registered; for other contracts."""
    record = read_chain(ctx.read(CHAINS, b"r" + chain) or b"")
    rows = cast(Sequence[Mapping[str, str]], record["validators"])
    return {row["name"]: row["entity"] for row in rows}


def followed_record(ctx: CallContext, chain: bytes) -> bytes | None:
    """The record by which a chain of our technology is followed (``crosschain.following``); None for any
    other.
    """
    raw = ctx.read(CHAINS, b"r" + chain)
    if raw is None or not read_followed(raw) or read_chain(raw)["client_type"] != OWN_TYPE:
        return None
    return ctx.read(CHAINS, b"v" + chain)


def is_followed(ctx: CallContext, chain: bytes) -> bool:
    """Whether a chain, of whatever technology, is followed."""
    return read_followed(ctx.read(CHAINS, b"r" + chain))


def admitted_ms(ctx: CallContext, chain: bytes) -> int:
    """Block time of a registered chain's admission."""
    return cast(int, read_chain(ctx.read(CHAINS, b"r" + chain) or b"")["admitted_ms"])


def _piece_key(chain: bytes, number: int) -> bytes:
    return b"g" + chain + number.to_bytes(4, "big")


def _market_key(market: str) -> bytes:
    return b"m" + market.encode("ascii")


def _chain_id_key(chain_id: str) -> bytes:
    return b"i" + chain_id.encode("ascii")
