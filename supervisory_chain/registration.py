"""What a registration must satisfy to become state (docs/spec/registration.md §1; guideline art. 6, 7, 10, 16)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from chain_core.codec.genesis import decode_genesis
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code, Refused
from chain_core.execution.contract import RuleText
from chain_core.types.errors import MalformedBytes
from chain_core.types.genesis import Genesis
from chain_core.types.validator_set import MIN_VALIDATORS, InvalidValidatorSet, ValidatorSet, same_entity
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from crosschain.client_types import ClientType, Described, Objection

MIN_ENDPOINTS = 2
_ADDRESS = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):([1-9][0-9]{0,4})\Z")
_MAX_PORT = 65_535
_MAX_DETAIL = 120

RULES: Mapping[str, RuleText] = {
    "chains.malformed_genesis": RuleText("创世文件不正确：{0}", "the genesis document is wrong: {0}"),
    "chains.unknown_client_type": RuleText("没有名为 {0} 的技术类型", "this build follows no chains of the type {0}"),
    "chains.document": RuleText(
        "该技术类型不接受此文件（{0}）：{1}", "its type does not accept the document ({0}): {1}"
    ),
    "chains.too_few_validators": RuleText(
        "共识节点不足或不能构成验证者集合：{0}", "not enough consensus nodes, or no validator set: {0}"
    ),
    "chains.not_local": RuleText(
        "只有地方业务链可以登记，该文件为 {0}", "only a market's chain registers here, this is a {0} chain's document"
    ),
    "chains.unknown_market": RuleText("辖区编码 {0} 不在 JR/T 0326 表 1 中", "no region of JR/T 0326 has the code {0}"),
    "chains.foreign_supervisor": RuleText(
        "创世文件内嵌的不是本监管链的创世文件（SM3 {0}）",
        "the supervisory document inside is not this chain's own (its SM3 is {0})",
    ),
    "chains.entity_third": RuleText(
        "机构“{0}”持有 {2} 票中的 {1} 票，达到三分之一", "{0} holds {1} of {2} votes: a third or more"
    ),
    "chains.too_few_endpoints": RuleText(
        "RPC 端点 {0} 个，至少需要 {1} 个", "{0} RPC endpoints, at least {1} are needed"
    ),
    "chains.bad_endpoint": RuleText("端点地址 {0} 不是 主机:端口", "the endpoint {0} is not host:port"),
    "chains.unknown_node": RuleText("端点所属节点 {0} 不在创世文件中", "no validator of the document is called {0}"),
    "chains.endpoint_doubled": RuleText(
        "端点须来自不同节点和不同地址，{0} 重复", "endpoints need different nodes and addresses: {0} stands twice"
    ),
}


def read_document(raw: bytes, supervisory_hash: bytes) -> Genesis:
    """The local genesis document, when a chain may register with it. Raises Refused with the rule that fails."""
    try:
        genesis = decode_genesis(raw)
    except InvalidValidatorSet as error:
        _refuse("chains.too_few_validators", f"{error.what} ({MIN_VALIDATORS})"[:_MAX_DETAIL])
    except MalformedBytes as error:
        _refuse("chains.malformed_genesis", f"{error.what}, {error.where}"[:_MAX_DETAIL])
    if genesis.kind != "local":
        _refuse("chains.not_local", genesis.kind)
    _check_market(genesis.market)
    embedded = sm3(genesis.supervisory_genesis)
    if embedded != supervisory_hash:
        _refuse("chains.foreign_supervisor", embedded)
    _check_entities(genesis.validators.entity_votes(), genesis.validators.n)
    return genesis


def describe_other(kind: ClientType, raw: bytes, supervisory_hash: bytes) -> Described:
    """The chain of another technology's document, when it may register. Raises Refused with the rule that fails."""
    described = kind.describe(raw, supervisory_hash)
    if isinstance(described, Objection):
        _refuse("chains.document", described.predicate, described.detail[:_MAX_DETAIL])
    _check_market(described.market)
    if len(described.nodes) < MIN_VALIDATORS:
        _refuse("chains.too_few_validators", f"{len(described.nodes)} ({MIN_VALIDATORS})")
    _check_entities(Counter(same_entity(entity) for _, entity in described.nodes), len(described.nodes))
    return described


def _check_market(market: str) -> None:
    if market not in REGIONS:
        _refuse("chains.unknown_market", market)


def _check_entities(votes: Mapping[str, int], nodes: int) -> None:
    for entity, count in sorted(votes.items()):
        if 3 * count >= nodes:
            _refuse("chains.entity_third", entity, count, nodes)


def differing_validators(registered: Mapping[str, str], found: ValidatorSet) -> dict[str, Value]:
    """What a chain's headers say of its validators that its registration does not: names, ascending.

    ``registered``: legal entity by validator name. ``third``: entities with a third of the votes or more.
    """
    now = {v.name: v.entity for v in found.validators}
    return {
        "joined": sorted(now.keys() - registered.keys()),
        "left": sorted(registered.keys() - now.keys()),
        "changed": sorted(name for name in now.keys() & registered.keys() if now[name] != registered[name]),
        "third": sorted(entity for entity, count in found.entity_votes().items() if 3 * count >= found.n),
    }


def check_endpoints(endpoints: Sequence[Mapping[str, Value]], nodes: frozenset[str]) -> None:
    """Raises Refused unless there are two or more endpoints on different nodes of the chain and different addresses."""
    if len(endpoints) < MIN_ENDPOINTS:
        _refuse("chains.too_few_endpoints", len(endpoints), MIN_ENDPOINTS)
    taken: set[str] = set()
    for endpoint in endpoints:
        node, address = cast(str, endpoint["node"]), cast(str, endpoint["address"])
        match = _ADDRESS.match(address)
        if match is None or int(match[1]) > _MAX_PORT:
            _refuse("chains.bad_endpoint", address)
        if node not in nodes:
            _refuse("chains.unknown_node", node)
        # Host names are not case-sensitive; a node's name is, and never looks like host:port.
        place = address.lower()
        for name in (f"node {node}", place):
            if name in taken:
                _refuse("chains.endpoint_doubled", address if name == place else node)
            taken.add(name)


def _refuse(rule: str, *params: Value) -> NoReturn:
    raise Refused(Code.REFUSED_BY_RULE, rule, params)
