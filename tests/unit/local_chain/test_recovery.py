"""The supervisory chain certifies two headers of one height: its follower freezes, both sides have it go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import encode_inclusion
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.types.values import Value
from crosschain.packets import chosen_key
from tests.unit.crosschain.chains import Layers, account, op
from tests.unit.local_chain.branches import DOCUMENT, Forked, branched, follow_a_and_stop, go_on


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[Forked]:
    with branched(tmp_path, "holder") as made:
        made.a.direct("freeze_holder", "buyer")
        made.b.direct("freeze_holder", "issuer")
        made.market.time_ms = made.a.supervisory.time_ms
        yield made


@pytest.fixture
def stopped(forked: Forked) -> Forked:
    follow_a_and_stop(forked, 0, 2)
    assert (forked.frozen("holder"), forked.frozen("buyer"), forked.frozen("issuer")) == (True, True, False)
    return forked


def history(layers: Layers, height: int) -> bytes:
    chain = layers.supervisory
    return encode_inclusion(chain.store.history.prove_header(height, chain.height))


def test_neither_side_decides_alone(stopped: Forked) -> None:
    height = stopped.b.supervisory.height
    assert stopped.propose("governor-1", stopped.b, height).code == Code.FORBIDDEN
    assert stopped.confirm("governor-1", stopped.b, height).rule == "supervision.no_recovery"
    assert stopped.propose("officer", stopped.b, height).code == Code.OK
    assert stopped.confirm("officer", stopped.b, height).code == Code.FORBIDDEN
    assert stopped.confirm("governor-1", stopped.a, height).rule == "supervision.no_recovery"
    assert stopped.confirm("governor-1", stopped.b, height, since=1).rule == "supervision.no_recovery"
    assert stopped.confirm("governor-1", stopped.b, height, document=bytes(32)).rule == "supervision.no_recovery"
    assert stopped.confirm("governor-1", stopped.b, height).code == Code.OK
    assert stopped.confirm("governor-1", stopped.b, height).rule == "supervision.same_entity"
    assert stopped.position().frozen == height, "one institution is not enough"
    assert stopped.update(stopped.b, 2, 0).rule == "header.frozen"
    assert stopped.confirm("governor-2", stopped.b, height).code == Code.OK
    assert stopped.position().frozen == -1
    assert stopped.confirm("governor-2", stopped.b, height).rule == "supervision.no_recovery"


def test_another_proposal_begins_anew(stopped: Forked) -> None:
    height = stopped.b.supervisory.height
    assert stopped.propose("officer", stopped.a, height).code == Code.OK
    assert stopped.confirm("governor-1", stopped.a, height).code == Code.OK
    assert stopped.propose("officer", stopped.b, height).code == Code.OK
    assert stopped.confirm("governor-2", stopped.a, height).rule == "supervision.no_recovery"
    assert stopped.confirm("governor-2", stopped.b, height).code == Code.OK
    assert stopped.position().frozen == height


def test_what_is_proposed_is_certified_and_not_below_the_fork(forked: Forked) -> None:
    height = forked.b.supervisory.height
    assert forked.propose("officer", forked.b, height).rule == "supervision.not_frozen"
    follow_a_and_stop(forked, 0, 2)
    assert forked.propose("officer", forked.b, height - 1).rule == "supervision.below_fork"
    assert forked.propose("officer", forked.b, height, since=3).rule == "supervision.bad_since"
    header = forked.b.supervisory.certified(height)[0]
    few: dict[str, Value] = {"certificate": forked.b.supervisory.certify(header, [0, 1])}
    assert forked.propose("officer", forked.b, height, **few).rule == "header.quorum"
    alien: dict[str, Value] = dict(forked.market.row(1))
    assert forked.propose("officer", forked.b, height, **alien).rule == "header.genesis"
    epoch: Value = {"start": 1, "set": b"no set"}
    assert forked.propose("officer", forked.b, height, epoch=epoch).rule == "supervision.bad_epoch"


def test_directives_of_the_branch_chosen_bind_and_none_binds_twice(stopped: Forked) -> None:
    b = stopped.b
    go_on(stopped, b, b.supervisory.height)
    assert stopped.position().count == 0, "all are compared"
    assert stopped.update(b, 0, 2).code == Code.OK
    assert stopped.acknowledged() == [(0, 0), (1, 0)]
    assert (stopped.frozen("holder"), stopped.frozen("issuer")) == (True, True)
    assert stopped.frozen("buyer"), "what the branch given up did stays until it is lifted"
    record = cast(dict[str, Value], stopped.market.value(state_key("supervision", b"d" + (1).to_bytes(8, "big"))))
    assert record["account"] == account("issuer") and "replaced" in record
    assert stopped.market.store.get(chosen_key()) is None
    b.direct("unfreeze_holder", "buyer")
    assert stopped.update(b, 2, 1).code == Code.OK
    assert not stopped.frozen("buyer")


def test_the_branch_given_up_is_not_taken_any_more(stopped: Forked) -> None:
    b, height = stopped.b, stopped.b.supervisory.height
    go_on(stopped, b, height)
    refused = stopped.update(stopped.a, 0, 2)
    assert (refused.rule, stopped.position().frozen) == ("header.previous", -1)
    sibling = encode_header(replace(decode_header(b.supervisory.certified(height)[0]), outbox_root=bytes(32)))
    certified: dict[str, Value] = {"header": sibling, "certificate": b.supervisory.certify(sibling)}
    assert stopped.update(b, 0, 2, **certified).rule == "supervision.given_up"
    stopped.a.direct("freeze_holder", "operator")
    higher = stopped.update(stopped.a, 0, 3)
    assert (higher.rule, higher.parameters[-1]) == ("supervision.given_up", "no proof")
    assert stopped.update(stopped.a, 0, 3, history=history(stopped.a, height)).rule == "supervision.given_up"
    b.direct("freeze_holder", "operator")
    assert stopped.update(b, 0, 3).rule == "supervision.given_up"
    assert stopped.update(b, 0, 3, history=history(b, height - 1)).rule == "supervision.given_up"
    assert stopped.update(b, 0, 3, history=b"no proof").rule == "supervision.given_up"
    assert stopped.update(b, 0, 3, history=history(b, height)).code == Code.OK
    assert stopped.position() == replace(stopped.position(), height=b.supervisory.height, count=3)
    b.direct("freeze_holder", "bank")
    assert stopped.update(b, 3, 1).code == Code.OK, "from here on no proof is needed"


def test_a_known_beginning_is_not_compared_again(stopped: Forked) -> None:
    b = stopped.b
    go_on(stopped, b, b.supervisory.height, since=1)
    assert stopped.update(b, 0, 2).rule == "supervision.missing_directives"
    assert stopped.update(b, 1, 1).code == Code.OK
    assert stopped.acknowledged() == [(1, 0)]


def test_a_demand_of_the_branch_given_up_waits_for_nothing(tmp_path: Path) -> None:
    with branched(tmp_path) as made:
        made.a.direct("rectify", "holder")
        made.b.direct("freeze_holder", "holder")
        follow_a_and_stop(made, 0, 1)
        go_on(made, made.b, made.b.supervisory.height)
        assert made.update(made.b, 0, 1).code == Code.OK
        answer = op("supervision", "answer", sequence=0, document=DOCUMENT, reference="late")
        assert made.market.one("operator", answer).rule == "supervision.no_demand"
