"""What leaves execution: encoded events, the header, and text for people (docs/spec/execution.md §5, §6, §10)."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.block import decode_header, header_hash, params_hash
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.values import encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.execution.accounts import Accounts
from chain_core.execution.codes import Code, EngineFault
from chain_core.execution.context import BlockContext
from chain_core.execution.events import encode_events
from chain_core.execution.governance import Governance
from chain_core.execution.messages import CODE_TEXTS, Messages
from chain_core.execution.roots import StoreRoots, block_time, build_genesis_header, build_header
from tests.unit.execution.world import GENESIS_HASH, START_MS, Coins, World, account, genesis, op

scalars = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.binary(max_size=40) | st.text(max_size=10)
fields = st.dictionaries(st.text(max_size=6), scalars | st.lists(scalars, max_size=3), max_size=5)


@given(st.lists(st.tuples(st.sampled_from(("coins", "券")), st.text(max_size=5), fields), max_size=5))
def test_events_are_encoded_as_any_value(events: list[tuple[str, str, dict[str, Any]]]) -> None:
    assert encode_events(events) == encode_value([list(event) for event in events])


def test_event_shapes_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from chain_core.execution import events

    monkeypatch.setattr(events, "_MAX_SHAPES", 4)
    for number in range(20):
        rows: list[events.Event] = [("coins", f"n{number}", {"a": number})]
        assert encode_events(rows) == encode_value([list(row) for row in rows])
    assert len(events._shapes.known) <= 4


ROOTS = StoreRoots(b"s" * 32, b"e" * 32, b"h" * 32, 1)


def parts() -> tuple[bytes, BlockContext, list[bytes], Any]:
    world = World.begin()
    envelopes = [world.sign("alice", op("coins", "report", channel="up", count=3)), world.sign("bob", op("x", "y"))]
    previous = build_genesis_header(genesis(), GENESIS_HASH, b"a" * 32, b"b" * 32)
    return previous, world.context(), [e.envelope_id for e in envelopes], world.execute(*envelopes)


def test_a_header_commits_to_everything_the_batch_did() -> None:
    previous, block, ids, result = parts()
    header = decode_header(build_header(previous, block, ids, result, ROOTS, b"v" * 32, b"w" * 32))
    assert (header.height, header.time_ms, header.prev_hash) == (1, START_MS + 1_000, header_hash(previous))
    assert (header.transaction_root, header.transaction_count) == (merkle_root(ids), 2)
    assert (header.receipt_root, header.receipt_count) == (merkle_root(result.receipts), 2)
    assert (header.outbox_root, header.outbox_count) == (merkle_root(result.outbox), 3)
    assert (header.state_root, header.seen_root) == (ROOTS.state_root, ROOTS.seen_root)
    assert (header.history_root, header.history_count) == (ROOTS.history_root, 1)
    assert (header.validator_set_hash, header.next_validator_set_hash) == (b"v" * 32, b"w" * 32)
    assert header.params_hash == params_hash(genesis().parameters, ())


@pytest.mark.parametrize(
    ("change", "roots", "words"),
    [
        ({"height": 2}, ROOTS, "does not follow"),
        ({"ledger": 1}, ROOTS, "does not follow"),
        ({"genesis_hash": bytes(32)}, ROOTS, "does not follow"),
        ({"time_ms": START_MS}, ROOTS, "not after the parent"),
        ({}, replace(ROOTS, history_count=2), "do not belong to one block"),
    ],
)
def test_pieces_of_different_blocks_make_no_header(change: dict[str, Any], roots: StoreRoots, words: str) -> None:
    previous, block, ids, result = parts()
    with pytest.raises(EngineFault, match=words):
        build_header(previous, replace(block, **change), ids, result, roots, bytes(32), bytes(32))
    with pytest.raises(EngineFault, match="do not belong"):
        build_header(previous, block, ids[:1], result, ROOTS, bytes(32), bytes(32))


def test_height_0_comes_from_the_document_alone() -> None:
    header = decode_header(build_genesis_header(genesis(), GENESIS_HASH, b"s" * 32, b"e" * 32))
    empty = merkle_root(())
    assert (header.height, header.prev_hash, header.time_ms) == (0, bytes(32), START_MS)
    assert {header.transaction_root, header.receipt_root, header.outbox_root, header.history_root} == {empty}
    assert header.validator_set_hash == header.next_validator_set_hash == validator_set_hash(genesis().validators)
    assert (header.state_root, header.seen_root) == (b"s" * 32, b"e" * 32)


@pytest.mark.parametrize(("batch", "parent", "time"), [(10, 5, 10), (5, 10, 11), (10, 10, 11), (11, 10, 11)])
def test_block_time(batch: int, parent: int, time: int) -> None:
    assert block_time(batch, parent) == time


MESSAGES = Messages((Accounts(), Governance({}, ()), Coins()))


@pytest.mark.parametrize(
    ("code", "rule", "parameters", "zh", "en"),
    [
        (0, "", (), "成功", "done"),
        (
            1,
            "",
            (b"\xab", 7, 3),
            "该交易已在高度 7 序号 3 处理",
            "this transaction was ordered already, at height 7, index 3",
        ),
        (
            13,
            "coins.short",
            (1, 5, 9),
            "第 2 项操作：余额不足：5 < 9（coins.short）",
            "operation 2: balance 5 is below 9 (coins.short)",
        ),
        (
            13,
            "other.rule",
            (0, 5),
            "第 1 项操作：被规则拒绝（other.rule）",
            "operation 1: refused by a rule (other.rule)",
        ),
        (
            11,
            "",
            (-1,),
            "一笔交易不得混合不同通道的操作",
            "a transaction may not mix operations of different lanes",
        ),
        (14, "writes", (-1, 4_096), "超出限额 4096（writes）", "above the limit of 4096 (writes)"),
        (99, "new.rule", (1, b"\x01"), "99 new.rule [1, 01]", "99 new.rule [1, 01]"),
    ],
)
def test_text_for_people(code: int, rule: str, parameters: tuple[Any, ...], zh: str, en: str) -> None:
    assert MESSAGES.render(code, rule, parameters, "zh") == zh
    assert MESSAGES.render(code, rule, parameters, "en") == en


def test_a_parameter_cannot_pose_as_a_placeholder() -> None:
    text = MESSAGES.render(13, "coins.short", (0, "{1}", 9), "en")
    assert text == "operation 1: balance {1} is below 9 (coins.short)"


def test_there_are_two_languages() -> None:
    with pytest.raises(ValueError, match="language fr"):
        MESSAGES.render(0, "", (), "fr")


def test_every_code_has_text_in_both_languages_with_the_same_places() -> None:
    assert set(CODE_TEXTS) == set(Code)
    for text in (*CODE_TEXTS.values(), *MESSAGES.rules.values()):
        assert set(re.findall(r"\{\d\}", text.zh)) <= set(re.findall(r"\{\d\}", text.en)) | {"{0}", "{1}"}
        assert text.zh and text.en and not text.zh.isascii() and text.en.isascii()


def test_codes_never_change_their_number() -> None:
    """These numbers are in hashed receipts."""
    names = (
        "OK DUPLICATE NONCE_USED EXPIRED NOT_YET UNKNOWN_ACCOUNT UNAUTHORISED WRONG_LEDGER UNKNOWN_CONTRACT "
        "UNKNOWN_METHOD BAD_ARGUMENTS MIXED_LANES FORBIDDEN REFUSED_BY_RULE LIMIT"
    )
    assert [code.name for code in sorted(Code)][: len(names.split())] == names.split()
    assert [int(code) for code in sorted(Code)] == list(range(len(Code)))


def test_every_rule_the_engine_refuses_with_has_its_text_and_its_place_in_the_specification() -> None:
    root = Path(__file__).parents[3]
    pages = ("execution.md", "membership.md", "sub-ledgers.md")
    specification = "".join((root / "docs/spec" / page).read_text("utf-8") for page in pages)
    used = set()
    for path in (root / "chain_core/execution").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if re.fullmatch(r"(accounts|governance)\.[a-z_]+", node.value):
                    used.add(node.value)
    assert used == {*Accounts.rules, *Governance.rules}
    assert sorted(rule for rule in used if rule not in specification) == []


def test_an_account_reads_as_hexadecimal() -> None:
    text = MESSAGES.render(13, "accounts.exists", (0, account("x")), "en")
    assert account("x").hex() in text
