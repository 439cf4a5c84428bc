"""A chain changes its validators, and everybody who follows it comes along: clients, contracts, views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.seen import state_key
from chain_core.codec.validator_set import encode_validator_set
from chain_core.node.answers import CertifiedHeader
from chain_core.node.chain_view import ChainView, EpochAhead
from chain_core.types.errors import InvalidProof
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from crosschain.following import decode_position
from crosschain.light_client import ClientState, Verdict, verify_next, verify_past
from crosschain.packets import CHAINS, CLIENTS, UPWARD_CHANNELS, client_key, supervision_key
from crosschain.relayer import planner
from crosschain.relayer.planner import Closing
from local_chain.assembly import local_assembly
from tests.unit.crosschain.chains import Chain, Layers, local_genesis, op
from tests.unit.crosschain.changing import closing_row, newcomer, propose


class Grown:
    """A chain whose fifth validator joined at ``barrier``, with blocks of the second epoch."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.barrier = propose(chain, "add_validator", **newcomer(chain, "beijing-4"))
        for _ in range(3):
            chain.block()
        self.start = ClientState.at_genesis(chain.hash, chain.genesis)
        self.next_set = cast(bytes, closing_row(chain, self.barrier - 1)["next_set"])
        closing = verify_next(
            self.start, *chain.certified(self.barrier - 1), now_ms=chain.time_ms, next_set=self.next_set
        )
        assert closing.verdict is Verdict.OK and closing.shown is not None
        self.moved = self.start.advanced(closing.shown)

    def next(self, client: ClientState, height: int, next_set: bytes = b"") -> tuple[Verdict, str]:
        found = verify_next(client, *self.chain.certified(height), now_ms=self.chain.time_ms, next_set=next_set)
        return found.verdict, found.predicate

    def by_old_validators(self, height: int) -> tuple[bytes, bytes]:
        """A header above the barrier, of epoch 0, by a quorum of its validators: what stolen keys could make."""
        real = decode_header(self.chain.certified(height)[0])
        last = decode_header(self.chain.certified(self.barrier - 2)[0])
        header = encode_header(
            replace(
                real,
                epoch=0,
                validator_set_hash=last.validator_set_hash,
                next_validator_set_hash=last.validator_set_hash,
            )
        )
        return header, self.chain.certify(header, members=self.chain.genesis.validators)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    made = Grown(Chain.begin(tmp_path_factory.mktemp("chain"), local_genesis(), local_assembly))
    yield made
    made.chain.store.close()


def test_headers_name_their_epoch_and_only_the_last_one_another_set(grown: Grown) -> None:
    headers = [decode_header(grown.chain.certified(h)[0]) for h in range(1, grown.chain.height + 1)]
    for header in headers:
        assert header.epoch == (0 if header.height < grown.barrier else 1)
        closes = header.next_validator_set_hash != header.validator_set_hash
        assert closes == (header.height == grown.barrier - 1)


def test_a_client_moves_by_the_last_header_and_its_set(grown: Grown) -> None:
    assert (grown.moved.epoch, grown.moved.start) == (1, grown.barrier)
    assert [v.name for v in grown.moved.validators.validators][-1] == "beijing-4"
    assert grown.next(grown.moved, grown.barrier) == (Verdict.OK, "")
    assert grown.next(grown.moved, grown.chain.height) == (Verdict.OK, "")


def test_no_epoch_is_skipped(grown: Grown) -> None:
    assert grown.next(grown.start, grown.barrier) == (Verdict.NOT_ENOUGH_TRUST, "epoch")
    assert grown.next(grown.start, grown.barrier, grown.next_set) == (Verdict.NOT_ENOUGH_TRUST, "epoch")


def test_the_set_comes_with_the_closing_header_and_with_no_other(grown: Grown) -> None:
    closing = grown.barrier - 1
    assert grown.next(grown.start, closing) == (Verdict.NOT_ENOUGH_TRUST, "next_set")
    other = encode_validator_set(ValidatorSet(grown.moved.validators.validators[:4]))
    assert grown.next(grown.start, closing, other) == (Verdict.INVALID, "next_set")
    assert grown.next(grown.start, closing, grown.next_set[:-1]) == (Verdict.INVALID, "next_set")
    assert grown.next(grown.start, closing - 1, grown.next_set) == (Verdict.INVALID, "next_set")


def test_who_has_left_signs_in_vain(grown: Grown) -> None:
    """Above the barrier the old set certifies nothing, neither as the next header nor as one of the past."""
    forged = grown.by_old_validators(grown.barrier + 1)
    now = grown.chain.time_ms
    assert verify_next(grown.moved, *forged, now_ms=now).predicate == "epoch"
    closed = grown.start.closed(grown.barrier)
    assert verify_past(closed, *forged, now_ms=now).predicate == "reach"
    assert verify_past(closed, *grown.chain.certified(grown.barrier - 2), now_ms=now).verdict is Verdict.OK
    assert verify_past(grown.moved, *grown.chain.certified(grown.barrier), now_ms=now).verdict is Verdict.OK


def certified(grown: Grown, height: int) -> CertifiedHeader:
    return CertifiedHeader(*grown.chain.certified(height))


def test_a_view_says_that_it_is_behind_and_follows(grown: Grown) -> None:
    view = ChainView(grown.chain.genesis_bytes)
    with pytest.raises(EpochAhead):
        view.check_header(certified(grown, grown.barrier))
    for height, wrong in ((grown.barrier - 2, grown.next_set), (grown.barrier - 1, b"\x07\x00\x00\x00\x00")):
        with pytest.raises(InvalidProof):
            view.follow(certified(grown, height), wrong)
    view.follow(certified(grown, grown.barrier - 1), grown.next_set)
    assert view.epoch == 1 and view.validators.n == 5
    for height in (1, grown.barrier - 1, grown.barrier, grown.chain.height):
        assert view.check_header(certified(grown, height)).height == height
    with pytest.raises(InvalidProof, match="is not one of epoch 0"):
        ChainView.check_header(view, CertifiedHeader(*grown.by_old_validators(grown.barrier + 2)))
    with pytest.raises(InvalidProof):  # once is enough
        view.follow(certified(grown, grown.barrier - 1), grown.next_set)


# ---- contracts


def refused(chain: Chain, operation: object) -> str:
    return chain.try_one("courier", operation).rule  # type: ignore[arg-type]


def test_the_supervisory_chain_follows_and_compares_with_the_registration(layers: Layers) -> None:
    local, supervisory = layers.local, layers.supervisory
    early = layers.business("before")
    barrier = propose(local, "replace_validator", name="beijing-1", by=newcomer(local, "beijing-9"))
    late = layers.business("after")
    chain = local.hash

    assert refused(supervisory, layers.headers_up(late)) == "header.epoch"
    assert refused(supervisory, layers.headers_up(barrier - 1)) == "header.next_set"
    rows = [closing_row(local, barrier - 1), local.row(late)]
    assert supervisory.one("courier", op("clients", "submit_headers", chain=chain, headers=rows)).code == 0
    assert ("clients", "validators_differ") in supervisory.events()
    alarm = cast(dict[str, Value], supervisory.value(state_key(CLIENTS, b"w" + chain)))
    assert (alarm["epoch"], alarm["joined"], alarm["left"], alarm["third"]) == (1, ["beijing-9"], ["beijing-1"], [])
    position = decode_position(supervisory.store.get(client_key(chain)))
    assert (position.epoch, position.height) == (1, late)

    # Packets of both epochs arrive: the old one's header comes along and is judged by its own validators.
    past = layers.packets_up(early, **local.row(early))
    assert supervisory.one("courier", past).code == 0
    assert supervisory.one("courier", layers.packets_up(late)).code == 0

    endpoints: list[Value] = [{"node": n, "address": f"127.0.0.1:{p}"} for n, p in (("beijing-0", 1), ("beijing-9", 2))]
    amend = op("chains", "amend", chain=chain, technology="dualchain", consensus="PBFT", endpoints=endpoints)
    assert supervisory.one("operator", amend).code == 0
    record = cast(dict[str, Value], supervisory.value(state_key(CHAINS, b"r" + chain)))
    named = [row["name"] for row in cast(list[dict[str, str]], record["validators"])]
    assert named == ["beijing-0", "beijing-9", "beijing-2", "beijing-3"] and record["validators_epoch"] == 1


def test_a_fork_in_an_epoch_of_the_past_still_freezes(layers: Layers) -> None:
    local, supervisory = layers.local, layers.supervisory
    barrier = propose(local, "add_validator", **newcomer(local, "beijing-4"))
    local.block()
    rows: list[Value] = [closing_row(local, barrier - 1), local.row(barrier)]
    assert supervisory.one("courier", op("clients", "submit_headers", chain=local.hash, headers=rows)).code == 0
    real = local.certified(barrier - 5)
    forged = encode_header(replace(decode_header(real[0]), state_root=bytes(32)))
    pair: list[Value] = [local.row(barrier - 5), {"header": forged, "certificate": local.certify(forged)}]
    assert supervisory.one("courier", op("clients", "report_fork", chain=local.hash, headers=pair)).code == 0
    assert decode_position(supervisory.store.get(client_key(local.hash))).frozen == barrier - 5


def test_a_fork_of_the_epoch_that_the_same_transaction_left_freezes_too(layers: Layers) -> None:
    local, supervisory = layers.local, layers.supervisory
    barrier = propose(local, "add_validator", **newcomer(local, "beijing-4"))
    local.block()
    forged = encode_header(replace(decode_header(local.certified(barrier - 5)[0]), state_root=bytes(32)))
    rows: list[Value] = [
        local.row(barrier - 5),
        closing_row(local, barrier - 1),
        {"header": forged, "certificate": local.certify(forged)},
    ]
    assert supervisory.one("courier", op("clients", "submit_headers", chain=local.hash, headers=rows)).code == 0
    assert decode_position(supervisory.store.get(client_key(local.hash))).frozen == barrier - 5


def test_left_validators_cannot_freeze_the_client(layers: Layers) -> None:
    local, supervisory = layers.local, layers.supervisory
    barrier = propose(local, "add_validator", **newcomer(local, "beijing-4"))
    local.block()
    rows: list[Value] = [closing_row(local, barrier - 1), local.row(barrier)]
    last = decode_header(local.certified(barrier - 2)[0])
    names = {"validator_set_hash": last.validator_set_hash, "next_validator_set_hash": last.validator_set_hash}
    header = encode_header(replace(decode_header(local.certified(barrier)[0]), epoch=0, **names))
    forged: Value = {"header": header, "certificate": local.certify(header, members=local.genesis.validators)}
    together = op("clients", "submit_headers", chain=local.hash, headers=[*rows, forged])
    assert refused(supervisory, together) == "header.epoch"
    assert supervisory.one("courier", op("clients", "submit_headers", chain=local.hash, headers=rows)).code == 0
    pair: list[Value] = [local.row(barrier), forged]
    fork = op("clients", "report_fork", chain=local.hash, headers=pair)
    assert refused(supervisory, fork) == "header.reach"


def test_a_local_chain_follows_the_supervisory_one_and_misses_no_directive(layers: Layers) -> None:
    local, supervisory = layers.local, layers.supervisory
    assert local.one("courier", layers.update_down(0, 0)).code == 0
    seen = decode_position(local.store.get(supervision_key()))
    layers.direct("freeze_holder", "holder")
    barrier = propose(supervisory, "add_validator", **newcomer(supervisory, "supervisory-4"))
    supervisory.block()

    assert refused(local, layers.update_down(0, 1)) == "header.epoch"
    closing = closing_row(supervisory, barrier - 1)
    plain = {**supervisory.row(barrier - 3), "next_set": closing["next_set"]}
    assert refused(local, op("supervision", "follow_epoch", **plain)) == "header.next_set"
    (follow,) = planner.plan_epoch_down(
        seen, Closing(CertifiedHeader(*supervisory.certified(barrier - 1)), cast(bytes, closing["next_set"]))
    )
    assert local.one("courier", follow).code == 0
    moved = decode_position(local.store.get(supervision_key()))
    assert (moved.epoch, moved.height, moved.count) == (1, seen.height, 0)  # nothing is taken as seen

    assert refused(local, layers.update_down(1, 0)) == "supervision.missing_directives"
    assert local.one("courier", layers.update_down(0, 1)).code == 0
    now = decode_position(local.store.get(supervision_key()))
    assert (now.epoch, now.height, now.count) == (1, barrier, 1)


def test_an_update_whose_header_closes_the_epoch_brings_the_set(layers: Layers) -> None:
    local, supervisory = layers.local, layers.supervisory
    barrier = propose(supervisory, "add_validator", **newcomer(supervisory, "supervisory-4"))
    assert supervisory.height == barrier - 1
    args = layers.update_args(0, 0)
    assert refused(local, op("supervision", "update", **args)) == "header.next_set"
    closing = closing_row(supervisory, barrier - 1)["next_set"]
    assert local.one("courier", op("supervision", "update", **args, next_set=closing)).code == 0
    supervisory.block()
    assert local.one("courier", layers.update_down(0, 0)).code == 0


def test_the_planner_takes_no_header_beyond_the_epoch_that_is_followed(layers: Layers) -> None:
    local = layers.local
    barrier = propose(local, "add_validator", **newcomer(local, "beijing-4"))
    local.block()

    def plan(height: int, epoch: int) -> planner.Plan:
        client = replace(decode_position(None), epoch=epoch)
        arrived = planner.Arrived(True, client, dict.fromkeys(UPWARD_CHANNELS, (0, 0)))
        latest = CertifiedHeader(*local.certified(height))
        source = planner.Source(latest, height, local.time_ms, dict.fromkeys(UPWARD_CHANNELS, 0))
        return planner.plan_up(local.hash, arrived, source, (), 1)

    assert plan(barrier - 2, 0) and plan(barrier, 1)
    assert plan(barrier - 1, 0) == plan(barrier, 0) == ()
