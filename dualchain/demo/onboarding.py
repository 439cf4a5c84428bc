"""Step: accounts on the supervisory chain; registrations, and what may not register (guideline art. 6-10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.node.provision import NodePlan
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from dualchain.demo.actors import Actor, Desk, Signed
from dualchain.demo.layout import Chain

TECHNOLOGY = "dualchain 1, LevelDB, gRPC, SM2/SM3"
CONSENSUS = "PBFT"


def endpoints_of(plans: Sequence[NodePlan]) -> list[Value]:
    """RPC services of the first two nodes (art. 10: at least two, on different nodes)."""
    return [{"node": plan.name, "address": f"{plan.host}:{plan.client_port}"} for plan in plans[:2]]


def registration(desk: Desk, operator: Actor, label: str, document: bytes, endpoints: Sequence[Value]) -> Signed:
    """A market operator's application to enter its chain."""
    args: dict[str, Value] = {
        "genesis": document,
        "technology": TECHNOLOGY,
        "consensus": CONSENSUS,
        "endpoints": endpoints,
    }
    return desk.sign(label, operator, [Operation("chains", "register", args)])


async def register_accounts(desk: Desk, names: Mapping[str, tuple[str, Sequence[str]]]) -> None:
    """New accounts on the supervisory chain by its registrar: name -> (entity, roles)."""
    registrar = desk.genesis_actor("registrar")
    operations = []
    for name, (entity, roles) in names.items():
        key_file = desk.chain.directory / "accounts" / f"{name}.key"
        actor = desk.new_actor(name, registrar, key_file)
        keys: dict[str, Value] = {"transaction": [actor.public]}
        args: dict[str, Value] = {"reference": name, "entity": entity, "roles": sorted(roles), "keys": keys}
        operations.append(Operation("accounts", "register", args))
    await desk.accepted([desk.sign("accounts of operators, relayers, gateway, tester", registrar, operations)])


def _document_with(document: bytes, **changes: Value) -> bytes:
    """A genesis document with fields replaced; canonical, though no chain would start from it."""
    return encode_value({**decode_map(document), **changes})


async def refuse_bad_registrations(desk: Desk, operator: Actor, chain: Chain) -> list[tuple[str, str]]:
    """What may not enter: (case, rule that refused it)."""
    good, endpoints = chain.genesis_bytes, endpoints_of(chain.plans)
    validators = cast(Sequence[Mapping[str, Value]], decode_map(good)["validators"])
    one_hand = [{**row, "entity": validators[0]["entity"]} if i < 2 else row for i, row in enumerate(validators)]
    three = _document_with(good, validators=validators[:3])
    half = _document_with(good, validators=one_hand)
    other = _document_with(chain.genesis.supervisory_genesis, chain_id="rem-other-supervisory")
    foreign = _document_with(good, supervisory_genesis=other)
    cases = [
        ("three consensus nodes", three, endpoints, "chains.too_few_validators"),
        ("one RPC endpoint", good, endpoints[:1], "chains.too_few_endpoints"),
        ("one entity with half of the votes", half, endpoints, "chains.entity_third"),
        ("a genesis under another supervisory chain", foreign, endpoints, "chains.foreign_supervisor"),
    ]
    refused = []
    for case, document, offered, rule in cases:
        await desk.refused(registration(desk, operator, f"refused: {case}", document, offered), rule)
        refused.append((case, rule))
    return refused


async def admit(desk: Desk, operator: Actor, chain: Chain) -> None:
    """Registration and admission by two officers, on a chain that demands neither test nor evidence."""
    label = f"registration of {chain.genesis.chain_id}"
    await desk.accepted([registration(desk, operator, label, chain.genesis_bytes, endpoints_of(chain.plans))])
    for step, officer in (("approve", "csrc-issuer"), ("admit", "csrc-checker")):
        operation = Operation("chains", step, {"chain": chain.view().genesis_hash})
        await desk.accepted([desk.sign(f"{step} {chain.genesis.chain_id}", desk.genesis_actor(officer), [operation])])


async def refuse_second_chain(desk: Desk, operator: Actor, chain: Chain) -> tuple[str, str]:
    """A market has one chain (art. 6)."""
    document = _document_with(chain.genesis_bytes, chain_id=f"{chain.genesis.chain_id}-2")
    case = registration(
        desk, operator, f"refused: a second chain of market {chain.label}", document, endpoints_of(chain.plans)
    )
    await desk.refused(case, "chains.market_taken")
    return f"a second chain of market {chain.label}", "chains.market_taken"
