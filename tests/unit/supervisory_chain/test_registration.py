"""A market's chain enters the supervisory one: what is taken from its genesis, and what is refused by which rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.chains import PIECE_BYTES
from tests.unit.crosschain.chains import (
    Chain,
    Layers,
    account,
    local_genesis,
    op,
    registration,
    supervisory_genesis,
    validators,
)


@pytest.fixture
def supervisory(tmp_path: Path) -> Iterator[Chain]:
    chain = Chain.begin(tmp_path, supervisory_genesis(), supervisory_assembly)
    yield chain
    chain.store.close()


def rule(receipt: Receipt) -> str:
    assert receipt.code == Code.REFUSED_BY_RULE, receipt
    return receipt.rule


LOCAL = encode_genesis(local_genesis())


def test_all_that_is_kept_comes_from_the_document(supervisory: Chain) -> None:
    assert supervisory.one("operator", registration(LOCAL)).code == Code.OK
    record = supervisory.value(state_key("chains", b"r" + genesis_hash(LOCAL)))
    assert isinstance(record, dict)
    assert (record["chain_id"], record["market"], record["status"]) == ("beijing-test", "BJ", "registered")
    names = [{"name": f"beijing-{i}", "entity": f"entity {i} of beijing"} for i in range(4)]
    assert record["validators"] == names
    assert record["registrar"] == account("operator")
    assert supervisory.value(state_key("chains", b"r" + bytes(32))) is None
    pieces = [supervisory.store.get(state_key("chains", b"g" + genesis_hash(LOCAL) + bytes(4)))]
    assert pieces == [LOCAL]


def test_a_long_document_is_kept_in_pieces_and_goes_with_a_rejection(supervisory: Chain) -> None:
    genesis = replace(local_genesis(), documents={"kernel": {"note": "x" * (2 * PIECE_BYTES)}})
    raw = encode_genesis(genesis)
    key = state_key("chains", b"g" + genesis_hash(raw))
    assert supervisory.one("operator", registration(raw)).code == Code.OK
    assert b"".join(value for _, value in supervisory.store.scan(key)) == raw
    assert supervisory.one("csrc-1", op("chains", "reject", chain=genesis_hash(raw))).code == Code.OK
    left = [key for key, _ in supervisory.store.scan(state_key("chains", b""))]
    assert left == []
    assert supervisory.one("second operator", registration(raw)).code == Code.OK


def document(**changes: object) -> bytes:
    return encode_genesis(replace(local_genesis(), **changes))  # type: ignore[arg-type]


def short_set() -> bytes:
    """Three validators: no genesis document can be made of them, so its bytes are cut by hand."""
    row = decode_value(LOCAL)
    assert isinstance(row, dict) and isinstance(row["validators"], list)
    changed: dict[str, Value] = {**row, "validators": row["validators"][:3]}
    return encode_value(changed)


def another_supervisor() -> bytes:
    other = replace(supervisory_genesis(), time_ms=supervisory_genesis().time_ms + 1)
    return encode_genesis(local_genesis(supervisory=encode_genesis(other)))


REFUSED_DOCUMENTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "no document": ("chains.malformed_genesis", lambda: b"\x00" * 100),
    "one trailing byte": ("chains.malformed_genesis", lambda: LOCAL + b"\x00"),
    "three validators": ("chains.too_few_validators", short_set),
    "a supervisory chain": ("chains.not_local", lambda: encode_genesis(supervisory_genesis())),
    "no region of the standard": ("chains.unknown_market", lambda: document(market="XZ")),
    "another supervisory chain": ("chains.foreign_supervisor", another_supervisor),
    "two of four votes": ("chains.entity_third", lambda: document(validators=validators("beijing", 4, entities=3))),
    "a third of six votes": ("chains.entity_third", lambda: document(validators=validators("beijing", 6, entities=3))),
}


@pytest.mark.parametrize("name", REFUSED_DOCUMENTS)
def test_a_document_that_may_not_register(supervisory: Chain, name: str) -> None:
    expected, make = REFUSED_DOCUMENTS[name]
    assert rule(supervisory.one("operator", registration(make(), endpoints=[]))) == expected


@pytest.mark.parametrize(
    "spelling", [" entity 0 of beijing ", "entity  0\u3000of beijing", "ｅｎｔｉｔｙ ０ of beijing"]
)
def test_another_spelling_is_not_another_entity(supervisory: Chain, spelling: str) -> None:
    members = list(local_genesis().validators.validators)
    assert members[0].entity == "entity 0 of beijing"
    members[1] = replace(members[1], entity=spelling)
    refused = supervisory.one("operator", registration(document(validators=ValidatorSet(tuple(members)))))
    assert rule(refused) == "chains.entity_third"
    assert refused.parameters[1:] == ("entity 0 of beijing", 2, 4)


def test_just_below_a_third_of_the_votes_registers(supervisory: Chain) -> None:
    raw = document(validators=validators("beijing", 7, entities=4))
    assert supervisory.one("operator", registration(raw)).code == Code.OK


def endpoint(node: int, address: str) -> dict[str, Value]:
    return {"node": f"beijing-{node}", "address": address}


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ([], "chains.too_few_endpoints"),
        ([endpoint(0, "a:1")], "chains.too_few_endpoints"),
        ([endpoint(0, "a:1"), endpoint(0, "b:1")], "chains.endpoint_doubled"),
        ([endpoint(0, "a:1"), endpoint(1, "a:1")], "chains.endpoint_doubled"),
        ([endpoint(0, "rpc.example:1"), endpoint(1, "RPC.Example:1")], "chains.endpoint_doubled"),
        ([endpoint(0, "a:1"), endpoint(9, "b:1")], "chains.unknown_node"),
        ([endpoint(0, "a:1"), endpoint(1, "b")], "chains.bad_endpoint"),
        ([endpoint(0, "a:1"), endpoint(1, "b:0")], "chains.bad_endpoint"),
        ([endpoint(0, "a:1"), endpoint(1, "b:65536")], "chains.bad_endpoint"),
        ([endpoint(0, "a:1"), endpoint(1, "http://b:80")], "chains.bad_endpoint"),
        ([endpoint(0, "a:1"), endpoint(1, "b:1\n")], "chains.bad_endpoint"),
    ],
)
def test_endpoints_stand_on_two_nodes_of_the_chain(
    supervisory: Chain, endpoints: list[dict[str, Value]], expected: str
) -> None:
    assert rule(supervisory.one("operator", registration(LOCAL, endpoints=endpoints))) == expected


def test_one_chain_a_market_and_a_chain_id(supervisory: Chain) -> None:
    assert supervisory.one("operator", registration(LOCAL)).code == Code.OK
    second = document(chain_id="second-test", validators=validators("second"))
    third = document(market="JS", validators=validators("third"))
    assert rule(supervisory.one("second operator", registration(LOCAL))) == "chains.registered"
    refused = supervisory.one("second operator", registration(second))
    assert rule(refused) == "chains.market_taken"
    assert refused.parameters[1:] == ("BJ", genesis_hash(LOCAL))
    assert rule(supervisory.one("second operator", registration(third))) == "chains.chain_id_taken"
    free = encode_genesis(local_genesis("jiangsu", "JS"))
    assert supervisory.one("second operator", registration(free)).code == Code.OK


def test_two_registrations_in_one_block_take_the_market_once(supervisory: Chain) -> None:
    other = document(chain_id="second-test", validators=validators("second"))
    receipts = supervisory.block(
        supervisory.sign("operator", registration(LOCAL)), supervisory.sign("second operator", registration(other))
    )
    assert [receipt.rule for receipt in receipts] == ["", "chains.market_taken"]


def test_admission_needs_another_pair_of_eyes(supervisory: Chain) -> None:
    chain = genesis_hash(LOCAL)
    assert rule(supervisory.one("csrc-1", op("chains", "admit", chain=chain))) == "chains.unknown"
    assert supervisory.one("both", registration(LOCAL)).code == Code.OK
    assert rule(supervisory.one("both", op("chains", "admit", chain=chain))) == "chains.own_registration"
    assert rule(supervisory.one("both", op("chains", "reject", chain=chain))) == "chains.own_registration"
    assert supervisory.one("operator", op("chains", "admit", chain=chain)).code == Code.FORBIDDEN
    assert supervisory.one("csrc-2", op("chains", "approve", chain=chain)).code == Code.OK
    assert supervisory.one("courier", op("chains", "admit", chain=chain)).code == Code.FORBIDDEN
    assert supervisory.one("csrc-1", op("chains", "admit", chain=chain)).code == Code.OK
    for method in ("admit", "reject"):
        assert rule(supervisory.one("csrc-2", op("chains", method, chain=chain))) == "chains.admitted"


def test_only_operators_register_and_only_the_registrant_amends(supervisory: Chain) -> None:
    assert supervisory.one("csrc-1", registration(LOCAL)).code == Code.FORBIDDEN
    assert supervisory.one("courier", registration(LOCAL)).code == Code.FORBIDDEN
    assert supervisory.one("operator", registration(LOCAL)).code == Code.OK
    fresh: dict[str, Value] = {
        "chain": genesis_hash(LOCAL),
        "technology": "dualchain 2",
        "consensus": "PBFT",
        "endpoints": [endpoint(2, "c:1"), endpoint(3, "d:1")],
    }
    amend = Operation("chains", "amend", fresh)
    assert rule(supervisory.one("second operator", amend)) == "chains.not_yours"
    few = Operation("chains", "amend", {**fresh, "endpoints": [endpoint(2, "c:1")]})
    assert rule(supervisory.one("operator", few)) == "chains.too_few_endpoints"
    assert supervisory.one("operator", amend).code == Code.OK
    record = supervisory.value(state_key("chains", b"r" + genesis_hash(LOCAL)))
    assert isinstance(record, dict)
    assert (record["technology"], record["endpoints"]) == ("dualchain 2", fresh["endpoints"])
    assert record["validators"] == [{"name": f"beijing-{i}", "entity": f"entity {i} of beijing"} for i in range(4)]


def test_the_table_of_regions_is_the_standard_s() -> None:
    assert len(REGIONS) == 35
    assert len({region.label for region in REGIONS.values()}) == 35
    assert {code for code in REGIONS if len(code) == 3} == {"SZX", "DLC", "NGB", "XMN", "TAO"}
    # The traps that JR/T 0326 sets: Henan and Hunan, Hebei and Hubei, Shanxi and Shaanxi.
    assert [REGIONS[code].zh for code in ("HA", "HN", "HE", "HB", "SX", "SN")] == [
        "河南",
        "湖南",
        "河北",
        "湖北",
        "山西",
        "陕西",
    ]
    assert not {"XZ", "HK", "SZ", "QD"} & REGIONS.keys()


def test_nothing_of_a_chain_is_taken_before_its_admission(tmp_path: Path) -> None:
    layers = Layers.begin(tmp_path)
    layers.register(admit=False)
    layers.business("S1")
    supervisory, target = layers.supervisory, layers.local.hash
    assert rule(supervisory.one("courier", layers.headers_up(1))) == "clients.not_admitted"
    assert rule(supervisory.one("courier", layers.packets_up(1))) == "inbox.not_admitted"
    directive = op(
        "directives",
        "issue",
        chain=target,
        kind="freeze_holder",
        account=account("holder"),
        deadline_ms=supervisory.time_ms + 60_000,
        reference="example",
    )
    assert rule(supervisory.one("csrc-1", directive)) == "directives.not_admitted"
    layers.close()
