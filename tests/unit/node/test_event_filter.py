"""Which transactions a subscriber wants: lists are joined by "and", entries by "or"."""

from __future__ import annotations

import pytest

from chain_core.codec.transaction import encode_receipt
from chain_core.execution.events import encode_events
from chain_core.node.event_filter import EventFilter
from chain_core.types.transaction import Receipt

OWN, NAMED, LISTED, OTHER = (bytes([n]) * 16 for n in range(1, 5))
ID = b"t" * 32
EVENTS = encode_events(
    [
        ("coins", "moved", {"source": OWN, "to": NAMED, "amount": 3}),
        ("roll", "written", {"holders": [LISTED], "note": OTHER.hex()}),
    ]
)
NONE = encode_events([])
RECEIPT = encode_receipt(Receipt(0, b"e" * 32, ID, OWN, 7, 0, "", (), b"d" * 32))


def fits(events: bytes = EVENTS, **lists: frozenset[object]) -> bool:
    return EventFilter(**lists).fits(RECEIPT, events)  # type: ignore[arg-type]


def of(*entries: object) -> frozenset[object]:
    return frozenset(entries)


@pytest.mark.parametrize(
    ("lists", "wanted"),
    [
        ({}, True),
        ({"accounts": of(OWN)}, True),
        ({"accounts": of(NAMED, OTHER)}, True),
        ({"accounts": of(LISTED)}, True),
        ({"accounts": of(OTHER)}, False),
        ({"contracts": of("coins")}, True),
        ({"contracts": of("coin")}, False),
        ({"kinds": of("written", "x")}, True),
        ({"kinds": of("coins")}, False),
        ({"contracts": of("coins"), "kinds": of("moved")}, True),
        ({"contracts": of("coins"), "kinds": of("written")}, False),
        ({"contracts": of("roll"), "accounts": of(NAMED)}, True),
        ({"contracts": of("roll"), "accounts": of(OTHER)}, False),
        ({"transaction_ids": of(ID)}, True),
        ({"transaction_ids": of(b"e" * 32)}, False),
        ({"transaction_ids": of(ID), "kinds": of("x")}, False),
    ],
)
def test_lists(lists: dict[str, frozenset[object]], wanted: bool) -> None:
    assert fits(**lists) is wanted


def test_a_transaction_without_events() -> None:
    assert fits(NONE) and fits(NONE, accounts=of(OWN)) and fits(NONE, transaction_ids=of(ID))
    assert not fits(NONE, accounts=of(NAMED)) and not fits(NONE, kinds=of("moved"))


def test_a_name_that_stands_elsewhere_in_the_bytes_is_no_event() -> None:
    tricky = encode_events([("coins", "moved", {"memo": "written", "to": OTHER})])
    assert not fits(tricky, kinds=of("written"))
    assert not fits(tricky, contracts=of("moved"))


@pytest.mark.parametrize(
    "lists", [{}, {"contracts": of("coins")}, {"kinds": of("moved")}], ids=["", "contract", "kind"]
)
def test_an_account_within_other_bytes_is_not_named(lists: dict[str, frozenset[object]]) -> None:
    """The quick look at the encoded events finds it, the fields do not hold it."""
    inside = encode_events([("coins", "moved", {"memo": NAMED + b"!", "to": LISTED})])
    assert NAMED in inside and not fits(inside, accounts=of(NAMED), **lists)
    assert fits(inside, accounts=of(LISTED), **lists)
