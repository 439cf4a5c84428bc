"""Who looks into the markets stands on the chain, entry by entry, before anything is shown."""

from __future__ import annotations

from typing import cast

import pytest

from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.lookups import LOOKUPS, LookupLog, decode_log, entry_key, log_key
from tests.unit.crosschain.chains import Layers, account, op

ARGUMENTS: dict[str, Value] = {
    "kind": "holder",
    "subject": "Q000000001",
    "markets": ["BJ", "SH"],
    "purpose": "supervision",
    "reference": "case 7",
    "contents": False,
}


def record(**changes: Value) -> Operation:
    return op(LOOKUPS, "record", **{**ARGUMENTS, **changes})


def log(layers: Layers, who: str) -> LookupLog:
    return decode_log(layers.supervisory.store.get(log_key(account(who))))


def test_each_reader_has_a_list_without_gaps_and_a_digest_over_it(layers: Layers) -> None:
    chain = layers.supervisory
    digest = bytes(32)
    for number in range(3):
        receipt = chain.one("csrc-1", record(subject=f"Q00000000{number}"))
        assert receipt.code == Code.OK
        digest = sm3(digest + receipt.transaction_id)
        entry = decode_map(chain.store.get(entry_key(account("csrc-1"), number)) or b"")
        assert entry["subject"] == f"Q00000000{number}" and entry["transaction"] == receipt.transaction_id
        assert {name: entry[name] for name in ("markets", "purpose", "reference", "contents")} == {
            name: ARGUMENTS[name] for name in ("markets", "purpose", "reference", "contents")
        }
        assert chain.events() == [(LOOKUPS, "looked_up")]
    found = log(layers, "csrc-1")
    assert (found.count, found.digest, found.height, found.kind) == (3, digest, chain.height, "holder")
    assert chain.store.get(entry_key(account("csrc-1"), 3)) is None
    assert log(layers, "csrc-2") == LookupLog()


@pytest.mark.parametrize(
    ("who", "changes", "told"),
    [
        ("operator", {}, Code.FORBIDDEN),
        ("courier", {}, Code.FORBIDDEN),
        ("csrc-1", {"kind": "everything"}, Code.BAD_ARGUMENTS),
        ("csrc-1", {"purpose": "curiosity"}, Code.BAD_ARGUMENTS),
        ("csrc-1", {"reference": ""}, Code.BAD_ARGUMENTS),
        ("csrc-1", {"subject": "x" * 129}, Code.BAD_ARGUMENTS),
        ("csrc-1", {"markets": []}, Code.BAD_ARGUMENTS),
        ("csrc-1", {"markets": ["SH", "BJ"]}, "lookups.markets"),
        ("csrc-1", {"markets": ["BJ", "BJ"]}, "lookups.markets"),
        ("csrc-1", {"markets": ["XZ"]}, "lookups.markets"),
    ],
)
def test_what_is_no_record_is_refused(layers: Layers, who: str, changes: dict[str, Value], told: Code | str) -> None:
    receipt = layers.supervisory.one(who, record(**changes))
    assert receipt.code != Code.OK and told in (receipt.code, receipt.rule)
    assert log(layers, who) == LookupLog()


def test_the_records_are_read_with_a_reading_role_only(layers: Layers) -> None:
    assert cast(tuple[str, ...], supervisory_assembly(layers.supervisory.genesis).protected) == (LOOKUPS, "services")
