"""The contract ``successors``: a market moves to the successor of its chain (docs/spec/successor.md §6).

The operator proposes with the new document and the predecessor's last certified header, the regulator confirms. Only
then does anything change: ``chains``, ``clients``, ``inbox`` and ``directives`` go on under the new genesis hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, cast

from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.genesis import continues, decode_genesis, genesis_hash, lineage
from chain_core.codec.proofs import check_state_proof, decode_state_proof
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import HASH, Boolean, ListOf, Octets, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.genesis import Genesis, Predecessor
from chain_core.types.validator_set import same_entity
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import CERTIFICATE_BYTES
from crosschain.light_client import ClientState, Examined, Finding, Verdict, examine_past
from crosschain.packets import CHAINS, UPWARD_CHANNELS, read_chain
from supervisory_chain import chains, registration
from supervisory_chain.admission import CSRC, OPERATOR
from supervisory_chain.chains import DESCRIPTION, MAX_DOCUMENT_BYTES
from supervisory_chain.client_state import client_of, judge_of
from supervisory_chain.desk.contract import DAYS
from supervisory_chain.desk.in_force import migration
from supervisory_chain.handover import Carried, carried_keys, differing_counter, hand_over, in_flight, read_carried

SUCCESSORS = "successors"

MAX_PROOF_BYTES = 8_192
MAX_VALUE_BYTES = 512

_PROVEN = Record({"value": Octets(0, MAX_VALUE_BYTES), "proof": Octets(1, MAX_PROOF_BYTES)})
_COUNTERS = ListOf(_PROVEN, len(UPWARD_CHANNELS) + 1, len(UPWARD_CHANNELS) + 1)
_MAX_DETAIL = following.MAX_DETAIL_CHARACTERS

RULES: Mapping[str, RuleText] = {
    **registration.RULES,
    **following.RULES,
    "successors.no_predecessor": RuleText("该创世文件没有前驱链", "this genesis document names no predecessor"),
    "successors.not_admitted": RuleText(
        "前驱链 {0} 未准入或已被接替", "the predecessor {0} is not admitted, or was succeeded already"
    ),
    "successors.not_yours": RuleText(
        "只有链 {0} 的登记机构可以提出或撤回其后继链", "that is for the institution that registered the chain {0}"
    ),
    "successors.pending": RuleText("链 {0} 已有待确认的后继链 {1}", "the chain {0} has a proposed successor: {1}"),
    "successors.other_document": RuleText(
        "创世文件改动了前驱链 {0} 文件中不得改动的内容", "it changes more of the document of {0} than a successor may"
    ),
    "successors.lineage": RuleText("谱系哈希不符", "the lineage is not that of the predecessor's document and header"),
    "successors.key_reused": RuleText(
        "验证者 {0} 的密钥曾用于前驱链", "a key of {0} was a validator's of the predecessor"
    ),
    "successors.below_followed": RuleText(
        "前驱链区块头高度 {0} 低于已接受的 {1}", "the predecessor's header {0} is below {1}, which was accepted"
    ),
    "successors.other_branch": RuleText(
        "高度 {0} 的区块头不是已接受的那一个", "header {0} is not the one that was accepted at its height"
    ),
    "successors.counter_proof": RuleText("计数 {0} 未获证明：{1}", "counter {0} is not proven: {1}"),
    "successors.counters": RuleText(
        "{0}：前驱链最后状态为 {1}，与本链的 {2} 矛盾", "{0}: {1} in the predecessor's last state contradicts {2} here"
    ),
    "successors.unknown": RuleText("没有待确认的后继链 {0}", "no successor {0} is proposed"),
    "successors.own": RuleText(
        "提出与确认须由不同机构作出（四眼原则）",
        "another institution than the proposer's confirms (four-eyes principle)",
    ),
    "successors.not_agreed": RuleText(
        "提出时 give_up 为 {0}，确认时为 {1}", "give_up was proposed as {0} and is confirmed as {1}"
    ),
    "successors.not_announced": RuleText(
        "链 {0} 没有生效中的迁移通知", "no notice of the migration of {0} is waived or in force at the desk"
    ),
    "successors.in_flight": RuleText(
        "通道 {0} 尚有 {1} 个报文未送达：请先送达，或双方同意放弃",
        "{1} packets of channel {0} were not delivered: bring them first, or both agree to give them up",
    ),
}


class Successors(Contract):
    """Two institutions move a market: its operator proposes, the regulator confirms."""

    name = SUCCESSORS
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        proposal = {
            "genesis": Octets(1, MAX_DOCUMENT_BYTES),
            **DESCRIPTION,
            "certificate": CERTIFICATE_BYTES,
            "counters": _COUNTERS,
            "give_up": Boolean(),
        }
        self.methods = {
            "propose": Method(self.propose, proposal, frozenset((OPERATOR,))),
            "confirm": Method(self.confirm, {"chain": HASH, "give_up": Boolean()}, frozenset((CSRC,))),
            "withdraw": Method(self.withdraw, {"chain": HASH}),
        }

    def propose(self, ctx: CallContext, args: Arguments) -> None:
        """The successor's document, all that a registration needs, and the predecessor's last state as far as counted.

        ``certificate`` is over the header that the document names; ``counters`` are the values of ``carried_keys``
        under its state root. Signatures come last, at the account's budget.
        """
        raw = cast(bytes, args["genesis"])
        genesis, chain = registration.read_document(raw, ctx.block.genesis_hash), genesis_hash(raw)
        past = genesis.predecessor
        if past is None:
            ctx.refuse("successors.no_predecessor")
        endpoints = cast(Sequence[Mapping[str, Value]], args["endpoints"])
        registration.check_endpoints(endpoints, frozenset(v.name for v in genesis.validators.validators))
        header = decode_header(past.header)
        before = header.genesis_hash
        client, record = _predecessor(ctx, before)
        if same_entity(cast(str, record["registrar_entity"])) != same_entity(ctx.entity):
            ctx.refuse("successors.not_yours", before)
        pending = ctx.get(b"p" + before)
        if pending is not None:
            ctx.refuse("successors.pending", before, pending)
        _check_document(ctx, genesis, past, client, cast(int, record["document_bytes"]))
        _check_position(ctx, client, header, past.header)
        examined = _examine(ctx, client, past.header, cast(bytes, args["certificate"]))
        carried = _proven_counters(ctx, header, cast(Sequence[Mapping[str, bytes]], args["counters"]))
        _check_counters(ctx, before, carried)
        (finding,) = following.verified(ctx, (examined,))
        if finding.verdict is not Verdict.OK:
            following.refuse_header(ctx, finding)
        chains.put_document(ctx, chain, raw)
        row: dict[str, Value] = {
            "record": {**chains.new_record(ctx, raw, chains.described_by(chain, genesis), args), "predecessor": before},
            "carried": carried.payload(),
            "give_up": args["give_up"],
        }
        ctx.put(b"r" + chain, encode_value(row))
        ctx.put(b"p" + before, chain)
        ctx.emit("proposed", chain=chain, predecessor=before, market=genesis.market, height=header.height)

    def confirm(self, ctx: CallContext, args: Arguments) -> None:
        """The market moves: from now on the successor's headers and packets are taken, the predecessor's no more."""
        chain, pending = _pending(ctx, args)
        record = cast(dict[str, Value], pending["record"])
        same_hand = same_entity(cast(str, record["registrar_entity"])) == same_entity(ctx.entity)
        if same_hand or record["registrar"] == ctx.account:
            ctx.refuse("successors.own")
        if pending["give_up"] is not args["give_up"]:
            ctx.refuse("successors.not_agreed", pending["give_up"], args["give_up"])
        raw = chains.get_document(ctx.get, chain, cast(int, record["document_bytes"]))
        genesis, before = decode_genesis(raw), cast(bytes, record["predecessor"])
        past = cast(Predecessor, genesis.predecessor)
        client, _ = _predecessor(ctx, before)
        if ctx.parameters.get(DAYS, 0) and migration(ctx, before) is None:
            ctx.refuse("successors.not_announced", before)
        # What was judged when it was proposed holds still, unless the predecessor was followed further since then.
        _check_position(ctx, client, decode_header(past.header), past.header)
        carried = read_carried(cast(Mapping[str, int], pending["carried"]))
        _check_counters(ctx, before, carried)
        left = in_flight(ctx, before, carried)
        if not args["give_up"]:
            for channel, packets in left.items():
                ctx.refuse("successors.in_flight", channel, packets)
        self._forget(ctx, chain, record)
        record["given_up"] = dict(left)
        moved = hand_over(ctx, before, chain, raw, genesis, record, carried)
        ctx.emit(
            "succeeded", chain=chain, predecessor=before, market=genesis.market, directives=moved, given_up=dict(left)
        )

    def withdraw(self, ctx: CallContext, args: Arguments) -> None:
        """Ends a proposal: by its proposer's account, or by the regulator."""
        chain, pending = _pending(ctx, args)
        record = cast(dict[str, Value], pending["record"])
        if record["registrar"] != ctx.account and CSRC not in ctx.roles:
            ctx.refuse("successors.not_yours", record["predecessor"])
        self._forget(ctx, chain, record)
        ctx.emit("withdrawn", chain=chain, predecessor=record["predecessor"])

    @staticmethod
    def _forget(ctx: CallContext, chain: bytes, record: Mapping[str, Value]) -> None:
        chains.delete_document(ctx, chain, cast(int, record["document_bytes"]))
        ctx.delete(b"r" + chain)
        ctx.delete(b"p" + cast(bytes, record["predecessor"]))


def _pending(ctx: CallContext, args: Arguments) -> tuple[bytes, dict[str, Value]]:
    chain = cast(bytes, args["chain"])
    raw = ctx.get(b"r" + chain)
    if raw is None:
        ctx.refuse("successors.unknown", chain)
    return chain, decode_map(raw, "proposed successor")


def _predecessor(ctx: CallContext, before: bytes) -> tuple[ClientState, Mapping[str, Value]]:
    """The client of the chain that is to be succeeded, and its registration."""
    client = client_of(ctx, before)
    if client is None:
        ctx.refuse("successors.not_admitted", before)
    return client, read_chain(ctx.read(CHAINS, b"r" + before) or b"")


def _check_document(ctx: CallContext, genesis: Genesis, past: Predecessor, client: ClientState, size: int) -> None:
    """That it is the registered document but for what may change, of this line, with new keys.

    Which keys the predecessor ever used is in its state alone: the successor's own nodes check all of them.
    """
    chain = client.genesis_hash
    before = decode_genesis(chains.get_document(lambda key: ctx.read(CHAINS, key), chain, size))
    if not continues(genesis, before):
        ctx.refuse("successors.other_document", chain)
    if past.lineage != lineage(before, past.header):
        ctx.refuse("successors.lineage")
    known = (*before.validators.validators, *client.validators.validators)
    used = {key for v in known for key in (v.consensus_key, v.transport_key)}
    for validator in genesis.validators.validators:
        if used & {validator.consensus_key, validator.transport_key}:
            ctx.refuse("successors.key_reused", validator.name)


def _check_position(ctx: CallContext, client: ClientState, header: Header, raw: bytes) -> None:
    """That nothing which was accepted of the predecessor is taken back."""
    if header.height < client.height:
        ctx.refuse("successors.below_followed", header.height, client.height)
    if header.height == client.height and header_hash(raw) != client.header_hash:
        ctx.refuse("successors.other_branch", header.height)


def _examine(ctx: CallContext, client: ClientState, raw: bytes, certificate: bytes) -> Examined:
    """The last header before the client of its epoch. A frozen or stale client does not hinder: what follows a fork,
    and on which branch, is what the two institutions decide here.
    """
    judge = judge_of(ctx, client.genesis_hash, client, raw)
    follows = decode_header(raw).height == client.height + 1 and client.height > 0
    examined = examine_past(
        replace(judge, frozen=False, max_age_ms=None),
        raw,
        certificate,
        now_ms=ctx.block.time_ms,
        previous_hash=client.header_hash if follows else None,
    )
    if isinstance(examined, Finding):
        following.refuse_header(ctx, examined)
    return examined


def _proven_counters(ctx: CallContext, header: Header, rows: Sequence[Mapping[str, bytes]]) -> Carried:
    values: list[bytes | None] = []
    for number, (key, row) in enumerate(zip(carried_keys(ctx.block.genesis_hash), rows, strict=True)):
        value = row["value"] or None
        try:
            check_state_proof(key, value, decode_state_proof(row["proof"]), header.state_root)
        except (InvalidProof, MalformedBytes) as error:
            _refuse_counter(ctx, number, error)
        values.append(value)
    try:
        return Carried.of(values)
    except MalformedBytes as error:
        _refuse_counter(ctx, len(values), error)


def _refuse_counter(ctx: CallContext, number: int, error: InvalidProof | MalformedBytes) -> NoReturn:
    ctx.refuse("successors.counter_proof", number, error.what[:_MAX_DETAIL])


def _check_counters(ctx: CallContext, before: bytes, carried: Carried) -> None:
    differing = differing_counter(ctx, before, carried)
    if differing is not None:
        ctx.refuse("successors.counters", *differing)
