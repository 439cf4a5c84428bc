"""What may not be proposed as a successor, and by which rule it is refused (docs/spec/successor.md §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from chain_core.codec.genesis import decode_genesis
from chain_core.codec.proofs import encode_state_proof
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.execution.context import CallContext
from chain_core.node.succession import prove_last_state
from chain_core.types.genesis import Predecessor
from chain_core.types.transaction import Operation
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from supervisory_chain.handover import Carried, carried_keys, differing_counter
from tests.unit.crosschain.chains import registration, validators
from tests.unit.supervisory_chain.ending import NAMES, End, changed, upon, with_past


def old_key(end: End) -> bytes:
    members = list(decode_genesis(end.document).validators.validators)
    old = end.layers.local.genesis.validators.validators[0]
    members[0] = replace(members[0], transport_key=old.consensus_key)
    return changed(end, validators=ValidatorSet(tuple(members)))


def another_certificate(end: End) -> Operation:
    return end.proposal(certificate=end.layers.local.certified(1)[1])


def few_votes(end: End) -> Operation:
    header = cast(Predecessor, decode_genesis(end.document).predecessor).header
    return end.proposal(certificate=end.layers.local.certify(header, [0, 1]))


def spoilt_votes(end: End) -> Operation:
    certificate = end.certificate
    return end.proposal(certificate=certificate[:-1] + bytes([certificate[-1] ^ 1]))


def more_sent(end: End) -> Operation:
    counters = cast(list[dict[str, Value]], end.counters)
    return end.proposal(counters=[counters[1], *counters[1:]])


def unproven_absence(end: End) -> Operation:
    counters = cast(list[dict[str, Value]], end.counters)
    return end.proposal(counters=[*counters[:-1], {**counters[-1], "value": b""}])


REFUSED: dict[str, tuple[str, Callable[[End], Operation]]] = {
    "no predecessor": ("successors.no_predecessor", lambda end: end.proposal(changed(end, predecessor=None))),
    "no endpoint": ("chains.too_few_endpoints", lambda end: end.proposal(endpoints=[])),
    "a third in one hand": (
        "chains.entity_third",
        lambda end: end.proposal(changed(end, validators=validators(NAMES, entities=3))),
    ),
    "another chain's": ("successors.not_admitted", lambda end: upon(end, genesis_hash=bytes(32))),
    "another market": ("successors.other_document", lambda end: end.proposal(changed(end, market="JS"))),
    "another account": ("successors.other_document", lambda end: end.proposal(changed(end, accounts=()))),
    "another lineage": ("successors.lineage", lambda end: end.proposal(with_past(end, lineage=bytes(32)))),
    "an old key": ("successors.key_reused", lambda end: end.proposal(old_key(end))),
    "a header below": ("successors.below_followed", lambda end: upon(end, height=1)),
    "another header there": ("successors.other_branch", lambda end: upon(end, state_root=bytes(32))),
    "another header's votes": ("header.certified", another_certificate),
    "too few votes": ("header.quorum", few_votes),
    "forged votes": ("header.signatures", spoilt_votes),
    "another epoch's header": ("header.epoch", lambda end: upon(end, height=99, epoch=1)),
    "another counter": ("successors.counter_proof", more_sent),
    "a counter left out": ("successors.counter_proof", unproven_absence),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_be_proposed(still: End, case: str) -> None:
    expected, make = REFUSED[case]
    receipt = still.layers.supervisory.try_one("operator", make(still))
    assert (receipt.code, receipt.rule) == (Code.REFUSED_BY_RULE, expected), receipt


def test_signatures_come_last(still: End, batches: list[int]) -> None:
    for expected, make in REFUSED.values():
        before = list(batches)
        still.layers.supervisory.try_one("operator", make(still))
        assert (batches == before) is (expected != "header.signatures")


def test_a_successor_does_not_register_as_a_chain_of_its_own(still: End) -> None:
    refused = still.layers.supervisory.try_one("operator", registration(still.document))
    assert (refused.rule, refused.parameters[1:]) == ("chains.has_predecessor", (still.before,))


@pytest.mark.parametrize(
    ("sent", "executed", "expected"),
    [
        ((1, 1), 1, None),
        ((5, 1), 2, None),
        ((0, 1), 1, ("report", 0, 1)),
        ((1, 0), 1, ("directive", 0, 1)),
        ((1, 1), 0, ("acknowledged", 0, 1)),
        ((1, 1), 3, None),
        ((1, 1), 4, ("issued", 4, 3)),
    ],
)
def test_counters_that_cannot_be_of_one_chain(
    still: End, sent: tuple[int, int], executed: int, expected: tuple[str, int, int] | None
) -> None:
    class State:
        @staticmethod
        def read(contract: str, key: bytes) -> bytes | None:
            return still.layers.supervisory.store.get(state_key(contract, key))

    carried = Carried({"report": sent[0], "directive": sent[1]}, executed)
    assert differing_counter(cast(CallContext, State()), still.before, carried) == expected


def test_a_snapshot_proves_the_counters_without_a_node(still: End) -> None:
    proven = prove_last_state(still.bequest, carried_keys(still.layers.supervisory.hash), still.scratch)
    assert [{"value": value or b"", "proof": encode_state_proof(proof)} for value, proof in proven] == still.counters
