"""The regulator looks into three markets at once: recorded first, proven, complete; who lies or lags is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.network.refusals import ServiceRefusal
from chain_core.node.chain_view import ChainView
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.complete_lists import decode_list
from crosschain.looking.holder import check_holder
from supervisory_chain.looking import cli, questions
from supervisory_chain.looking.asking import Question
from supervisory_chain.looking.config import DeskConfig
from supervisory_chain.looking.desk import Desk, Query
from supervisory_chain.looking.store import stored_versions
from tests.integration.regulators_house import CODE, CREDIT, EVIDENCE, B, H, House, run, security_of
from tests.integration.served_chain import Alter
from tests.unit.crosschain.chains import (
    account,
    op,
)


def changed_item(method: str, answer: bytes) -> bytes:
    """The last value that was asked for is another one."""
    if method != "QueryState":
        return answer
    response = pb.QueryStateResponse.FromString(answer)
    response.items[-1].value = b"\x01" + response.items[-1].value[1:] + b"\x01"
    return response.SerializeToString()


def test_a_holder_over_all_markets(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        looked = await house.holder()
        assert looked.complete() and looked.alarms == () and looked.query.markets == ("BJ", "SH", "ZJ")
        for code in ("BJ", "SH"):
            found = looked.answers[code].answer.found
            assert found.party is not None and found.party.account == H
            assert [(one.security.security, one.holding.total) for one in found.holdings] == [
                (security_of(house.markets[code]), 50)
            ]
        assert looked.answers["ZJ"].answer.found.party is None, "proven to be bound to nobody"
        assert looked.record.receipt.account == account("desk") and house.log().count == 1
        assert len(list((tmp_path / "documents").iterdir())) == 3
        again = await house.holder("SH")
        assert list(again.answers) == ["SH"] and house.log().count == 2
        with pytest.raises(ServiceRefusal, match="no chain of market GD"):
            await house.holder("GD")
        assert house.log().count == 2

    run(tmp_path, story)


def test_without_a_final_record_nothing_is_asked(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        await house.desk.close()
        house.desk = house.desk_of("courier")
        with pytest.raises(ServiceRefusal, match="NOT_RECORDED"):
            await house.holder()
        assert all(not node.calls for nodes in house.below.values() for node in nodes)
        assert house.log("courier").count == 0

    run(tmp_path, story)


def of_another_branch(house: House) -> Alter:
    """The header at the followed height, changed and certified by the market's own validators."""
    chain = house.markets["BJ"]

    def alter(method: str, answer: bytes) -> bytes:
        if method != "GetHeader":
            return answer
        header = encode_header(replace(decode_header(chain.certified(chain.height)[0]), time_ms=chain.time_ms + 1))
        certified = pb.CertifiedHeader(header=header, certificate=chain.certify(header))
        return pb.GetHeaderResponse(header=certified).SerializeToString()

    return alter


def other_chains(house: House) -> Alter:
    """Shanghai's header over Beijing's values."""

    def alter(method: str, answer: bytes) -> bytes:
        if method != "QueryState":
            return answer
        response = pb.QueryStateResponse.FromString(answer)
        header, certificate = house.markets["SH"].certified(house.markets["SH"].height)
        response.header.CopyFrom(pb.CertifiedHeader(header=header, certificate=certificate))
        return response.SerializeToString()

    return alter


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (lambda house: changed_item, "INVALID_PROOF"),
        (other_chains, "INVALID_PROOF"),
        (of_another_branch, "OTHER_BRANCH"),
        (lambda house: lambda method, answer: b"\xff" * 9, "MALFORMED"),
    ],
)
def test_of_a_lying_endpoint_the_other_is_asked_and_it_is_told(
    tmp_path: Path, lie: Callable[[House], Alter], code: str
) -> None:
    async def story(house: House) -> None:
        liar, honest = house.below["BJ"]
        liar.alter = lie(house)
        looked = await house.holder()
        assert looked.complete()
        told = looked.answers["BJ"]
        assert told.endpoint == honest.address and told.answer.found.holdings[0].holding.total == 50
        assert [(one.market, one.endpoint, one.code) for one in looked.alarms] == [("BJ", liar.address, code)]
        assert looked.alarms[0].line().startswith(f"ALARM BJ {liar.address} {code}: ")
        honest.alter = lie(house)
        await house.desk.close()
        house.desk = house.desk_of("desk")
        looked = await house.holder()
        assert not looked.complete() and looked.missing["BJ"].code == code
        assert sorted(looked.answers) == ["SH", "ZJ"], "never silently left out"

    run(tmp_path, story)


def test_an_endpoint_that_lags_behind_what_was_followed_is_told(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        slow, _ = house.below["BJ"]
        kept: list[bytes] = []

        def record(method: str, answer: bytes) -> bytes:
            if method == "QueryState":
                kept.append(answer)
            return answer

        slow.alter = record
        assert (await house.holder()).alarms == ()
        house.markets["BJ"].block()
        house.follow("BJ")
        slow.alter = lambda method, answer: kept.pop(0) if method == "QueryState" else answer
        looked = await house.holder()
        assert looked.complete() and [one.code for one in looked.alarms] == ["STALE_ANSWER"]

    run(tmp_path, story)


def test_a_market_that_is_silent_or_frozen_is_shown_as_missing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        for node in house.below["ZJ"]:
            await node.stop()
        chain = house.markets["SH"]
        other = encode_header(replace(decode_header(chain.certified(chain.height)[0]), state_root=bytes(32)))
        rows: list[Value] = [
            chain.row(chain.height),
            {"header": other, "certificate": chain.certify(other)},
        ]
        report = op("clients", "report_fork", chain=chain.hash, headers=cast(Value, rows))
        assert house.supervisory.one("courier", report).code == 0
        looked = await house.holder()
        assert sorted(looked.answers) == ["BJ"] and not looked.complete()
        assert looked.missing["SH"].code == "CLIENT_FROZEN" and looked.missing["ZJ"].code == "UNREACHABLE"
        assert all(not node.calls for node in house.below["SH"])

    run(tmp_path, story)


def test_a_transaction_from_order_to_roll(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        chain = house.markets["BJ"]
        moved: dict[str, Value] = {"from": H, "to": account("bank"), "reason": "gift", "evidence": EVIDENCE}
        more: dict[str, Value] = {"security": security_of(chain), "quantity": 50}
        receipt = chain.one("operator", Operation("kernel", "transfer_non_trade", {**moved, **more}))
        assert receipt.code == 0, receipt
        identity = receipt.transaction_id
        query = Query("transaction", identity.hex(), "judicial", "order 9")
        looked, unknown = questions.known_elsewhere(await house.desk.look(query, questions.transaction(identity)))
        assert looked.complete() and looked.alarms == () and sorted(unknown) == ["SH", "ZJ"]
        found = looked.answers["BJ"].answer.found
        assert [event.name for event in found.events] == ["transferred", "non_trade_reason"]
        assert [(one.account, one.holding and one.holding.total, one.slot) for one in found.became.positions] == [
            (H, None, None), (account("bank"), 50, 0)
        ]  # fmt: skip
        nothing = Query("transaction", bytes(32).hex(), "judicial", "order 9")
        looked, unknown = questions.known_elsewhere(await house.desk.look(nothing, questions.transaction(bytes(32))))
        assert not looked.complete() and sorted(unknown) == ["BJ", "SH", "ZJ"], "no proof of absence"

        liar, honest = house.below["BJ"]

        def other_events(method: str, answer: bytes) -> bytes:
            if method != "GetEvents":
                return answer
            response = pb.GetEventsResponse.FromString(answer)
            response.events[0] = b"\x07\x00\x00\x00\x00"
            return response.SerializeToString()

        liar.alter = other_events
        looked, _ = questions.known_elsewhere(await house.desk.look(query, questions.transaction(identity)))
        assert looked.answers["BJ"].endpoint == honest.address and looked.alarms[0].code == "INVALID_PROOF"

    run(tmp_path, story)


def test_an_enterprise_and_an_objects_history(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        query = Query("enterprise", CREDIT, "supervision", "case 7")
        looked = await house.desk.look(query, questions.enterprise(CREDIT))
        assert looked.complete() and looked.answers["ZJ"].answer.found.account is None
        issued = looked.answers["SH"].answer.found.securities
        assert [(one.total, [who for who, _ in one.holders]) for one in issued] == [(100, [H, B])]

        chain, raws = house.markets["SH"], [b"first", b"second"]
        rows: list[Value] = [
            {"object": "subject-1", "kind": "subject", "version": n, "operation": operation, "hash": sm3(raw)}
            for n, (raw, operation) in enumerate(zip(raws, ("create", "update"), strict=True))
        ]
        assert chain.one("operator", op("anchors", "anchor", model="2.0.0", rows=cast(Value, rows))).code == 0
        query = Query("object", "subject-1", "audit", "plan 3")
        shown = await house.desk.look(query, questions.anchored("subject-1"))
        assert shown.answers["BJ"].answer.found.head is None
        history = shown.answers["SH"].answer.found
        assert [one.hash for one in history.versions] == [sm3(raw) for raw in raws]
        folder = tmp_path / "store" / "snapshots" / "subject-1"
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(raws[0])
        (folder / "1").write_bytes(b"another")
        section = (
            DeskConfig.model_validate(
                {
                    **house.config.model_dump(exclude={"directory"}),
                    "directory": tmp_path,
                    "markets": {"SH": {"store": {"directory": "store"}}},
                }
            )
            .of_market("SH")
            .store
        )
        assert section is not None
        stored = await stored_versions(section, tmp_path, history)
        assert {n: state for n, (state, _) in stored.items()} == {0: "ok", 1: "differs"} and stored[0][1] == b"first"

    run(tmp_path, story)


def test_a_node_that_answers_with_values_of_any_form_ends_no_query(tmp_path: Path) -> None:
    """What tells which keys to ask for is not proven yet."""

    def story_of(value: bytes) -> Alter:
        def alter(method: str, answer: bytes) -> bytes:
            if method != "QueryState":
                return answer
            response = pb.QueryStateResponse.FromString(answer)
            for item in response.items:
                item.present, item.value = True, value
            return response.SerializeToString()

        return alter

    async def story(house: House) -> None:
        liar, honest = house.below["BJ"]
        head: dict[str, Value] = {"object": 1, "kind": 2, "owner": 3, "latest": "x", "deleted": 4, "rewriting": 5}
        for value in (encode_value(head), encode_value({}), encode_value(7), bytes(16), b""):
            liar.alter = story_of(value)
            for kind, subject, question in (
                ("holder", CODE, questions.holder(CODE)),
                ("enterprise", CREDIT, questions.enterprise(CREDIT)),
                ("object", "subject-1", questions.anchored("subject-1")),
            ):
                await house.desk.close()
                house.desk = house.desk_of("desk")
                query = Query(kind, subject, "audit", "plan 3", ("BJ",))
                looked = await house.desk.look(query, cast(Question[object], question))
                assert looked.complete() and looked.answers["BJ"].endpoint == honest.address
                assert [one.code for one in looked.alarms] in (["INVALID_PROOF"], ["MALFORMED"])

    run(tmp_path, story)


def test_the_command_prints_writes_evidence_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(house: House) -> None:
        (tmp_path / "desk.toml").write_text(
            f'[supervisory]\ngenesis = "genesis.bin"\nnodes = ["{house.above.address}"]\n'
            f'[actor]\naccount = "{account("desk").hex()}"\nkey = "unused.key"\n[look]\nfresh_within_s = 3600\n'
        )
        monkeypatch.setattr(Desk, "open", classmethod(lambda *_: house.desk_of("desk")))
        asked = ["--config", str(tmp_path / "desk.toml"), "--purpose", "supervision", "--reference", "case 7", "--json"]
        folder = tmp_path / "shown"
        words = ["holder", CODE, *asked, "--evidence", str(folder)]
        result = await asyncio.to_thread(CliRunner().invoke, cli.app, words)
        assert result.exit_code == 0, result.output
        row = json.loads(result.stdout)
        assert row["complete"] and row["record"]["reference"] == "case 7" and row["missing"] == {}
        assert row["markets"]["BJ"]["holdings"][0]["total"] == 50 and row["markets"]["ZJ"]["bound"] is False
        assert json.loads((folder / "answer.json").read_text("utf-8"))["markets"] == row["markets"]
        again = check_holder(
            ChainView((folder / "BJ.genesis").read_bytes()),
            CODE,
            decode_list((folder / "BJ.evidence").read_bytes()),
        )
        assert again.holdings[0].holding.total == 50
        for node in house.below["BJ"]:
            await node.stop()
        result = await asyncio.to_thread(CliRunner().invoke, cli.app, ["holder", CODE, *asked])
        assert result.exit_code == cli.INCOMPLETE and "INCOMPLETE" in result.output
        assert "ALARM BJ" in result.output
        wrong = await asyncio.to_thread(CliRunner().invoke, cli.app, ["holder", "q1", *asked])
        assert wrong.exit_code == 1 and "no investor code" in str(wrong.exception)
        listed = await asyncio.to_thread(CliRunner().invoke, cli.app, ["log", *asked[:2], "--json"])
        found = json.loads(listed.stdout)
        assert found["count"] == 2 and found["lookups"][0]["subject"] == CODE

    run(tmp_path, story)
