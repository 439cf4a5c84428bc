"""A legacy book comes onto the chain whole, once, to the last share; what is wrong is named by file and line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from chain_core.node.verifying_client import NotFinal, Settled
from chain_core.types.transaction import Operation
from local_chain.adapter.errors import BusinessIdReused, ImportStopped, RollRefused
from local_chain.adapter.reconcile import Report, reconcile
from local_chain.adapter.roll_files import read_roll
from local_chain.adapter.submitter import MAX_WAITS, Job, nonce_of
from tests.unit.contracts.market import Market, accept_transfers, account
from tests.unit.local_chain.adapter.books import HEAD_HOLDINGS, HEAD_SECURITIES, Desk, write_book

REGISTERS = {"BJ000001F": 3, "BJ000002F": 70, "BJ000003F": 600, "BJ000004F": 1}


def legacy(reference: str) -> bool:
    return reference == "BJ000003F"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, Market.open((), accepting=False))


def compared(desk: Desk, securities: Path, holdings: Path) -> Report:
    return asyncio.run(reconcile(read_roll(securities, holdings), desk.naming, desk.chain))


def test_a_book_is_brought_in_and_reconciled_to_the_last_share(desk: Desk, tmp_path: Path) -> None:
    securities, holdings, accounts = write_book(tmp_path, REGISTERS, 700, legacy=legacy)
    roll, told = read_roll(securities, holdings, accounts), list[tuple[str, int, int]]()
    done = asyncio.run(desk.importer(lambda *row: told.append(row)).run(roll))
    assert (done.accounts, done.securities, done.holdings, done.earlier) == (700, 4, 674, 0)
    assert told[-1] == ("holdings", 674, 674) and ("accounts", 700, 700) in told
    report = compared(desk, securities, holdings)
    assert report.equal and report.units_in_book == report.units_on_chain > 674
    again = asyncio.run(desk.importer().run(roll))
    assert again.earlier == 674 + 700, "the same files again send nothing"


@pytest.mark.parametrize("lost", [False, True])
def test_interrupted_anywhere_it_goes_on_and_nothing_is_twice(tmp_path: Path, lost: bool) -> None:
    """Must show 5 in small. ``lost``: the journal's disk is gone as well; the nonces know."""
    desk = Desk(tmp_path, Market.open((), accepting=False))
    desk.chain.block_size = 3
    securities, holdings, accounts = write_book(tmp_path, REGISTERS, 700, legacy=legacy)
    roll, interruptions = read_roll(securities, holdings, accounts), 0
    while True:
        desk.chain.crash_after = 7
        try:
            asyncio.run(desk.importer(at_once=4).run(roll))
            break
        except ConnectionError:
            interruptions += 1
            desk.again(lost=lost and interruptions == 2)
            desk.chain.crash_after = 7 + interruptions
            if interruptions > 3:
                desk.chain.crash_after = 10**9
                asyncio.run(desk.importer().run(roll))
                break
    assert interruptions > 1 and compared(desk, securities, holdings).equal


def test_a_refused_register_is_named_mended_and_the_rest_is_not_sent_again(desk: Desk, tmp_path: Path) -> None:
    securities, holdings, accounts = write_book(tmp_path, {"BJ000001F": 2, "BJ000002F": 2}, 5)
    text = securities.read_text("utf-8")
    securities.write_text(
        text.replace("BJ000002F,企业1,", "BJ000002F,企业1,").replace(",BJ,0,21,", ",SH,0,21,"), "utf-8"
    )
    with pytest.raises(ImportStopped) as stopped:
        asyncio.run(desk.importer().run(read_roll(securities, holdings, accounts)))
    assert "csrc.province" in stopped.value.what and "securities, line " in stopped.value.where
    securities.write_text(text, "utf-8")
    done = asyncio.run(desk.importer().run(read_roll(securities, holdings, accounts)))
    assert done.earlier == 5 + 2 and compared(desk, securities, holdings).equal


def test_a_business_id_stands_for_one_business(desk: Desk) -> None:
    calendar = Operation("kernel", "accept_transfers", {"accept": True})
    job = Job("a", (calendar,), business_time_ms=1)
    first = asyncio.run(desk.submitter().submit([job]))
    height = desk.world.height
    assert asyncio.run(desk.submitter().submit([job])) == first and desk.world.height == height
    desk.again(lost=True)
    (found,) = asyncio.run(desk.submitter().submit([job]))
    assert (found.transaction_id, found.height) == (first[0].transaction_id, first[0].height)
    other = Job("a", (Operation("kernel", "accept_transfers", {"accept": False}),))
    with pytest.raises(BusinessIdReused):
        asyncio.run(desk.submitter().submit([other]))
    with pytest.raises(BusinessIdReused):
        asyncio.run(desk.submitter().submit([Job("b", job.operations), Job("b", job.operations)]))
    assert nonce_of("a", 0) != nonce_of("a", 1) != nonce_of("b", 0) and nonce_of("a", 0) < 1 << 63


def test_a_chain_that_is_slow_for_a_while_ends_no_import(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not final in time is handed in again, as it was; a chain that stays away ends it, and nothing is lost."""
    handed: list[list[bytes]] = []
    slow = MAX_WAITS
    settle = desk.chain.submit_many

    async def submit_many(raws: Sequence[bytes]) -> list[Settled]:
        handed.append(list(raws))
        if len(handed) <= slow:
            raise NotFinal("1 of 1 transactions are not final", where="chain", next_step="hand them in again")
        return await settle(raws)

    monkeypatch.setattr(desk.chain, "submit_many", submit_many)
    job = Job("slow", (accept_transfers(),))
    (entry,) = asyncio.run(desk.submitter().submit([job]))
    assert entry.done and len(handed) == MAX_WAITS + 1 and all(raws == handed[0] for raws in handed)
    handed.clear()
    slow = MAX_WAITS + 1
    other = Job("slower", (accept_transfers(),))
    with pytest.raises(NotFinal):
        asyncio.run(desk.submitter().submit([other]))
    handed.clear()
    slow = 0
    (entry,) = asyncio.run(desk.submitter().submit([other]))
    assert entry.done and handed


def test_legacy_registers_take_four_eyes(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Market.open((), accepting=False), four_eyes=False)
    securities, holdings, accounts = write_book(tmp_path, {"BJ000001F": 201}, 300, legacy=lambda _: True)
    with pytest.raises(RollRefused, match="双人复核") as refused:
        asyncio.run(desk.importer().run(read_roll(securities, holdings, accounts)))
    assert refused.value.where == "securities, line 2" and desk.world.height == 0


GOOD = f"R1,name,{account('issuer').hex()},BJ,0,30,0,2019-06-03"
ROWS = ("R1,a,10,", "R1,b,20,2019-05-31")


@pytest.mark.parametrize(
    ("securities", "holdings", "what", "line"),
    [
        ([GOOD.replace("30", "31")], ROWS, "sum to 30, 31 are declared", "securities.csv, line 2"),
        ([GOOD, GOOD], ROWS, "holdings sum to 0", "securities.csv, line 3"),
        ([GOOD.replace("R1", "R2")], ROWS, "holdings sum to 0", "securities.csv, line 2"),
        ([GOOD], (*ROWS, "R9,a,1,"), "in no line of", "holdings.csv, line 4"),
        ([GOOD], ("R1,a,10,", "R1,a,20,"), "already", "holdings.csv, line 3"),
        ([GOOD], ("R1,a,ten,", "R1,b,20,"), "not a whole number", "holdings.csv, line 2"),
        ([GOOD], ("R1,a,0,", "R1,b,30,"), "not a whole number", "holdings.csv, line 2"),
        ([GOOD], ("R1,a,9223372036854775808,",), "not a whole number", "holdings.csv, line 2"),
        ([GOOD], ("R1,a,10,31.5.2019", "R1,b,20,"), "not a date", "holdings.csv, line 2"),
        ([GOOD], ("R1,a,10", "R1,b,20,"), "3 cells", "holdings.csv, line 2"),
        ([GOOD], ("R1, a,10,", "R1,b,20,"), "blanks", "holdings.csv, line 2"),
        ([GOOD.replace("BJ,0,30,0", "BJ,9,30,0")], ROWS, "9 decimals", "securities.csv, line 2"),
        ([GOOD.replace("30,0,", "30,yes,")], ROWS, "legacy is 'yes'", "securities.csv, line 2"),
        ([GOOD], tuple(f"R1,h{n},1," for n in range(201)), "are declared", "securities.csv, line 2"),
        (
            [GOOD.replace(",30,", ",201,")],
            tuple(f"R1,h{n},1," for n in range(201)),
            "above 200",
            "securities.csv, line 2",
        ),
    ],
)
def test_a_wrong_line_is_named(
    tmp_path: Path, securities: list[str], holdings: tuple[str, ...], what: str, line: str
) -> None:
    one, two = tmp_path / "securities.csv", tmp_path / "holdings.csv"
    one.write_text("\n".join([HEAD_SECURITIES, *securities]), "utf-8")
    two.write_text("\n".join([HEAD_HOLDINGS, *holdings]), "utf-8")
    with pytest.raises(RollRefused, match=what) as refused:
        read_roll(one, two)
    assert refused.value.where.endswith(line) and refused.value.next_step


def test_files_that_are_none(tmp_path: Path) -> None:
    one, two = tmp_path / "s.csv", tmp_path / "h.csv"
    one.write_bytes(b"\xff\xfe")
    two.write_text("a,b\n", "utf-8")
    with pytest.raises(RollRefused, match="columns"):
        read_roll(one, two)
    two.write_text(HEAD_HOLDINGS + "\n", "utf-8")
    with pytest.raises(RollRefused, match="cannot be read"):
        read_roll(one, two)
    with pytest.raises(RollRefused, match="cannot be read"):
        read_roll(tmp_path / "missing.csv", two)


def test_differences_are_told_one_by_one(desk: Desk, tmp_path: Path) -> None:
    securities, holdings, accounts = write_book(tmp_path, {"BJ000001F": 3, "BJ000002F": 2}, 9)
    asyncio.run(desk.importer().run(read_roll(securities, holdings, accounts)))
    lines = holdings.read_text("utf-8").splitlines()
    lines[1] = lines[1].replace(",10,", ",12,")
    lines[2] = lines[2].replace("holder-000001", "holder-000008").replace(",11,", ",9,")
    lines.append("BJ000009F,holder-000001,5,")
    holdings.write_text("\n".join(lines), "utf-8")
    added = f"BJ000009F,x,{account('issuer').hex()},BJ,0,5,0,"
    securities.write_text(securities.read_text("utf-8") + added + "\n", "utf-8")
    report = compared(desk, securities, holdings)
    found = sorted((one.kind, one.security, one.line, one.in_book, one.on_chain) for one in report.differences)
    assert found == [
        ("extra", "BJ000001F", 0, 0, 11),
        ("missing", "BJ000001F", 3, 9, 0),
        ("no_security", "BJ000009F", 4, 5, 0),
        ("quantity", "BJ000001F", 2, 12, 10),
    ]
    assert not report.equal and report.count == 4


def test_what_is_on_its_way_is_handed_in_again_byte_for_byte(desk: Desk) -> None:
    job, sent = Job("a", (Operation("kernel", "accept_transfers", {"accept": True}),)), list[bytes]()
    honest = desk.chain.submit_many

    async def listening(raws: Sequence[bytes]) -> list[Settled]:
        sent.extend(raws)
        return await honest(raws)

    desk.chain.submit_many = listening  # type: ignore[method-assign]
    desk.chain.crash_after = 1
    with pytest.raises(ConnectionError):
        asyncio.run(desk.submitter().submit([job]))
    desk.again()
    desk.world.time_ms += 5_000
    (entry,) = asyncio.run(desk.submitter().submit([job]))
    assert entry.done and len(sent) == 2 and sent[0] == sent[1], "stored before it was sent"


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_refused_is_tried_again_under_another_nonce(desk: Desk, lost: bool) -> None:
    job = Job("a", (Operation("kernel", "activate_security", {"security": desk.naming.security("R1")}),))
    (first,) = asyncio.run(desk.submitter().submit([job]))
    assert first.rule == "kernel.unknown_security" and not first.done
    security = desk.naming.security("R1")
    listing = {"reference": "R1", "name": "x", "issuer": account("issuer"), "province": "BJ", "unit_decimals": 0}
    desk.world.one("operator", Operation("kernel", "register_security", listing | {"declared": 1, "legacy": False}))
    rows = [{"account": account("issuer"), "quantity": 1, "acquired_day": 0}]
    desk.world.one("operator", Operation("kernel", "register_holding", {"security": security, "rows": rows}))
    desk.again(lost=lost)
    (second,) = asyncio.run(desk.submitter().submit([job]))
    assert second.done and second.attempt == 1 and second.transaction_id != first.transaction_id
