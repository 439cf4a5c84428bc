"""The eight functions of JR/T 0314 §6 over a real ledger, and their verification from the answers' bytes alone."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from chain_core.execution.sub_ledgers import SubLedger
from chain_core.network.refusals import NotFound, Oversize
from chain_core.types.errors import MalformedBytes
from crosschain.jrt0314 import mapping, verifier
from tests.meta.sources import ROOT
from tests.unit.crosschain.jrt0314.market import Market, subject


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    made = Market.begin(tmp_path_factory.mktemp("jrt") / "ledger")
    made.anchor(subject("a"), subject("b"))
    made.anchor(*(subject(f"c{i}") for i in range(5)), together=False)
    made.anchor(subject("a", 1, "update"), subject("a", 2, "update"))
    made.chain.block()
    return made


def test_networks_options_and_status(market: Market) -> None:
    (network,) = market.ask("Networks")["networks"]
    assert (network["network_id"], network["subnets"]) == ("beijing-test", [])
    assert network["info"]["genesis_hash"] == market.chain.hash.hex() and network["info"]["ledger"] == 0
    options = market.ask("Options")
    types = [row["type"] for row in options["operations"]]
    assert "anchors.anchor" in types and types == sorted(types)
    assert "REFUSED_BY_RULE" in options["operations"][0]["statuses"]
    status = market.ask("Status")
    assert status["height"] == 4 and status["peers"] == ["a", "b"]
    assert status["hash"] == market.ask("Block", height=4)["hash"]


def test_sub_ledgers_are_subnets_and_networks_of_their_own(market: Market) -> None:
    groups = [SubLedger(1, "equities", 5), SubLedger(2, "funds", 9)]
    found = mapping.networks(market.chain.genesis, market.chain.hash, groups)["networks"]
    assert [row["network_id"] for row in found] == ["beijing-test", "beijing-test.1", "beijing-test.2"]
    assert found[0]["subnets"] == ["beijing-test.1", "beijing-test.2"] and found[1]["subnets"] == []
    assert found[2]["info"]["ledger_name"] == "funds"


def test_blocks_name_their_transactions_and_the_block_before(market: Market) -> None:
    first, second = market.ask("Block", height=1), market.ask("Block", height=2)
    assert second["prev_hash"] == first["hash"] and second["prev_height"] == 1
    assert len(second["tx_ids"]) == 5 and type(second["timestamp"]) is int
    genesis = market.ask("Block", height=0)
    assert genesis["prev_height"] is None and genesis["prev_hash"] is None and genesis["tx_ids"] == []
    answer = market.ask("Tx", height=1, tx_id=first["tx_ids"][0])
    assert answer["operations"] == [{"type": "anchors.anchor", "result": "OK"}] * 2
    json.dumps([first, second, genesis, answer])


def test_ids_are_sorted_and_objects_ascend(market: Market) -> None:
    assert market.ask("Ids", height=1)["object_ids"] == ["supervision-a", "supervision-b"]
    assert market.ask("Ids", height=4)["object_ids"] == []
    items = market.ask("Object", height=3, object_id="supervision-a")["items"]
    assert [(item["version"], item["operation"]) for item in items] == [(1, "update"), (2, "update")]
    assert items[0]["reference"] == "/objects/supervision-a/versions/1" and items[0]["content"] is None


@pytest.mark.parametrize("height", [1, 2, 3, 4])
def test_everything_verifies_from_the_answers(market: Market, height: int) -> None:
    block = verifier.read_block(market.ask("Block", height=height), height)
    state = verifier.read_consensus(market.ask("State", height=height), height)
    verifier.check_quorum(state)
    verifier.check_header(block, state)
    verifier.check_roots(block, state)
    verifier.check_follows(block, verifier.read_block(market.ask("Block", height=height - 1), height - 1))
    for object_id in market.ask("Ids", height=height)["object_ids"]:
        answer = market.ask("Object", height=height, object_id=object_id)
        for record, proof in verifier.read_records(answer, object_id, height):
            verifier.check_record(record, proof, block, state)
            raw = market.snapshots[f"{object_id}/{record.version}"]
            verifier.check_bytes(record, raw)
            assert verifier.check_snapshot(record, raw).object_id == object_id


@pytest.mark.parametrize(
    ("short", "request_"),
    [
        ("Status", {"network_id": "elsewhere"}),
        ("Block", {"height": 99}),
        ("State", {"height": 99}),
        ("Ids", {"height": 99}),
        ("Tx", {"height": 1, "tx_id": "00" * 32}),
        ("Object", {"height": 1, "object_id": "supervision-c0"}),
    ],
)
def test_what_is_not_there_is_not_found(market: Market, short: str, request_: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        market.ask(short, **request_)


def test_long_texts_and_large_blocks_are_refused(market: Market) -> None:
    with pytest.raises(MalformedBytes):
        market.ask("Object", height=1, object_id="x" * 129)
    mapping.check_size(1, 16_000_000)
    with pytest.raises(Oversize):
        mapping.check_size(1, 16_000_001)


@pytest.mark.parametrize("package", ["crosschain/jrt0314/verifier.py", "crosschain/conformance"])
def test_the_verifier_is_independent_of_the_mapping(package: str) -> None:
    place = ROOT / package
    for path in [place] if place.suffix else sorted(place.rglob("*.py")):
        for node in ast.walk(ast.parse(Path(path).read_text("utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{one.name}" for one in node.names]
            assert not [name for name in names if "mapping" in name or "jrt0314.service" in name], path
