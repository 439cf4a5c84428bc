"""Validators who contradict themselves stop their client; the regulator has it go on; nothing is lost or doubled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from chain_core.codec.block import decode_header, encode_header, header_hash, header_message
from chain_core.codec.evidence import encode_equivocation, equivocation
from chain_core.codec.proofs import encode_inclusion
from chain_core.codec.seen import state_key
from chain_core.codec.validator_set import encode_validator_set, hash_of_encoded_set
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.execution.codes import Code
from chain_core.types.evidence import Statement
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.following import Position, decode_position
from crosschain.light_client import MAX_AGE_MS
from crosschain.packets import client_key, received_key
from local_chain.assembly import local_assembly
from supervisory_chain import clients, delivered
from supervisory_chain.cases import case_key, count_key
from tests.unit.crosschain.chains import Chain, Layers, account, op, validators
from tests.unit.crosschain.changing import closing_row, newcomer, propose

OTHER = bytes(31) + b"\x01"
DAY_MS = 86_400_000


def position(layers: Layers) -> Position:
    return decode_position(layers.supervisory.store.get(client_key(layers.local.hash)))


def cases(layers: Layers) -> list[dict[str, Value]]:
    """All cases of the chain: the count says how many there are."""
    count = cast(int, layers.supervisory.value(count_key(layers.local.hash)) or 0)
    return [cast(dict[str, Value], layers.supervisory.value(case_key(layers.local.hash, i))) for i in range(count)]


def up(layers: Layers, *operations: Operation, who: str = "courier") -> Receipt:
    return layers.supervisory.one(who, *operations)


def changed(chain: Chain, height: int, **changes: object) -> bytes:
    return encode_header(replace(decode_header(chain.certified(height)[0]), **changes))  # type: ignore[arg-type]


# ---- stale


def confirm(layers: Layers, who: str, height: int, digest: bytes = b"") -> Receipt:
    digest = digest or header_hash(layers.local.certified(height)[0])
    return up(
        layers, op("clients", "confirm_stale", chain=layers.local.hash, height=height, header_hash=digest), who=who
    )


def silence(layers: Layers, ms: int) -> None:
    """Both chains' clocks go on; the courier sleeps."""
    layers.local.block(after_ms=ms)
    layers.supervisory.block(after_ms=ms)


def test_a_stale_client_waits_for_two_officers_and_its_packets_with_it(layers: Layers) -> None:
    layers.business("S1")
    assert up(layers, layers.headers_up(1)).code == Code.OK
    layers.business("S2")
    assert confirm(layers, "csrc-1", 2).rule == "clients.not_stale"
    silence(layers, MAX_AGE_MS)
    layers.business("S3")
    layers.supervisory.block()
    layers.supervisory.block()
    layers.supervisory.block()
    assert up(layers, layers.headers_up(4)).rule == "header.stale"
    assert up(layers, layers.packets_up(1)).code == Code.OK, "what was accepted stays so"
    past = layers.local.row(2)
    brought = layers.packets_up(2, header=past["header"], certificate=past["certificate"])
    assert up(layers, brought).rule == "header.stale"
    assert confirm(layers, "csrc-1", 1).rule == "clients.not_above"
    assert confirm(layers, "operator", 4).code == Code.FORBIDDEN
    assert confirm(layers, "csrc-1", 4).code == Code.OK
    assert confirm(layers, "csrc-1", 4).code == Code.OK
    assert up(layers, layers.headers_up(4)).rule == "header.stale", "one officer twice is one"
    assert confirm(layers, "csrc-2", 4, OTHER).code == Code.OK, "another header: a proposal of his own"
    assert up(layers, layers.headers_up(4)).rule == "header.stale"
    assert confirm(layers, "csrc-1", 4).code == Code.OK
    assert confirm(layers, "csrc-2", 4).code == Code.OK
    assert confirm(layers, "csrc-2", 4).code == Code.OK, "said twice, not unsaid"
    assert up(layers, layers.headers_up(3)).rule == "header.stale", "only the header they named"
    assert up(layers, layers.headers_up(4)).code == Code.OK
    assert up(layers, brought, layers.packets_up(4)).code == Code.OK, "no packet was lost by waiting"
    assert layers.supervisory.store.get(state_key("clients", b"k" + layers.local.hash)) is None


def test_a_confirmed_header_brings_the_epochs_before_it_along(layers: Layers) -> None:
    assert up(layers, op("clients", "submit_headers", chain=bytes(32), headers=[])).code != Code.OK
    barrier = propose(layers.local, "add_validator", **newcomer(layers.local, "beijing-4"))
    silence(layers, MAX_AGE_MS + DAY_MS)
    layers.local.block()
    top = layers.local.height
    layers.supervisory.time_ms = layers.local.time_ms
    closing = closing_row(layers.local, barrier - 1)

    def bring(*rows: dict[str, Value]) -> Receipt:
        return up(layers, op("clients", "submit_headers", chain=layers.local.hash, headers=list(rows)))

    assert confirm(layers, "csrc-1", top).code == Code.OK
    assert confirm(layers, "csrc-2", top).code == Code.OK
    assert bring(closing).rule == "header.stale", "the set of the next epoch alone could be anybody's"
    assert bring(layers.local.row(top)).rule == "header.epoch"
    assert bring(closing, layers.local.row(top)).code == Code.OK
    assert (position(layers).epoch, position(layers).height) == (1, top)


def test_a_chain_admitted_late_is_not_stale_at_once(layers: Layers) -> None:
    assert layers.supervisory.value(state_key("chains", b"r" + layers.local.hash))["admitted_ms"] > 0  # type: ignore[index, call-overload, operator]
    silence(layers, MAX_AGE_MS - DAY_MS)
    assert up(layers, layers.headers_up(1)).code == Code.OK


# ---- misbehaviour


def signed_twice(chain: Chain, signer: int, height: int, **changes: object) -> bytes:
    """Proof that a validator signed two headers of one height and attempt."""
    header = decode_header(chain.certified(height)[0])
    other = changed(chain, height, **({"state_root": OTHER} | changes))
    members = chain.genesis.validators
    pairs = []
    for raw in (chain.certified(height)[0], other):
        message = header_message(chain.hash, header_hash(raw))
        pairs.append((raw, signing_provider().sm2_sign(chain.keys[members.key(signer)], message)))
    return encode_equivocation(equivocation(Statement.HEADER, (0, header.epoch, signer), pairs[0], pairs[1]))


def report(layers: Layers, proof: bytes) -> Receipt:
    return up(layers, op("clients", "report_equivocation", chain=layers.local.hash, proof=proof))


def test_one_equivocator_is_a_case_and_f_plus_one_freeze(layers: Layers) -> None:
    layers.business("S1")
    layers.business("S2")
    assert up(layers, layers.headers_up(1, 2)).code == Code.OK
    assert report(layers, signed_twice(layers.local, 0, 1)).code == Code.OK
    assert position(layers).frozen == -1
    assert up(layers, layers.packets_up(1)).code == Code.OK, "one of n = 4 may be faulty"
    (case,) = cases(layers)
    facts = cast(dict[str, Value], case["facts"])
    assert (case["kind"], case["status"], facts["name"], facts["height"]) == ("equivocation", "open", "beijing-0", 1)
    assert report(layers, signed_twice(layers.local, 0, 2)).rule == "clients.known_equivocator"
    assert position(layers).frozen == -1, "one validator twice is one"
    assert report(layers, signed_twice(layers.local, 3, 2)).code == Code.OK
    assert position(layers).frozen == 2
    assert [case["kind"] for case in cases(layers)] == ["equivocation", "equivocation", "equivocators"]
    assert up(layers, layers.packets_up(2)).rule == "header.frozen"


@pytest.mark.parametrize("fault", ["signature", "attempts", "same", "chain", "epoch", "member", "bytes"])
def test_what_proves_nothing_against_a_validator(layers: Layers, fault: str) -> None:
    layers.local.block()
    proof = signed_twice(layers.local, 0, 1)
    forged = {
        "signature": proof[:-1] + bytes([proof[-1] ^ 1]),
        "attempts": signed_twice(layers.local, 0, 1, attempt=1),
        "chain": signed_twice(layers.local, 0, 1, genesis_hash=OTHER),
        "epoch": proof[:6] + (7).to_bytes(8, "big") + proof[14:],
        "member": proof[:14] + (9).to_bytes(2, "big") + proof[16:],
        "same": proof[:-1],
        "bytes": b"\x00",
    }[fault]
    assert report(layers, forged).rule == "clients.no_equivocation"
    assert cases(layers) == []


def test_the_regulator_closes_a_case_once(layers: Layers) -> None:
    layers.local.block()
    assert report(layers, signed_twice(layers.local, 1, 1)).code == Code.OK
    close = op("cases", "close", chain=layers.local.hash, number=0, reference="document 7")
    assert up(layers, close).code == Code.FORBIDDEN
    assert up(layers, close, who="csrc-1").code == Code.OK
    assert up(layers, close, who="csrc-2").rule == "cases.closed"
    assert up(layers, op("cases", "close", chain=layers.local.hash, number=1, reference="x"), who="csrc-1").rule == (
        "cases.unknown"
    )
    assert (cases(layers)[0]["status"], cases(layers)[0]["closed_by"]) == ("closed", account("csrc-1"))


# ---- recovery


@dataclass
class Forked:
    """A market whose validators went on with two branches above height 2: A was followed, B contradicts it."""

    layers: Layers
    a: Chain
    b: Chain

    def of(self, chain: Chain) -> Layers:
        return replace(self.layers, local=chain)

    def propose(self, who: str, chain: Chain, height: int, **more: Value) -> Receipt:
        row = {**chain.row(height), "since": 3, **more}
        args: dict[str, Value] = {"chain": chain.hash, **row, "reference": "decision 1"}
        return up(self.layers, Operation("clients", "propose_recovery", args), who=who)

    def confirm(self, who: str, header: bytes) -> Receipt:
        args: dict[str, Value] = {"chain": self.a.hash, "header_hash": header_hash(header)}
        return up(self.layers, Operation("clients", "confirm_recovery", args), who=who)

    def history(self, chain: Chain, height: int, top: int) -> bytes:
        return encode_inclusion(chain.store.history.prove_header(height, top))


@pytest.fixture
def forked(layers: Layers, tmp_path: Path) -> Iterator[Forked]:
    """A delivered up to height 4 (sequences 0..3); B has other business at 3 and 4, and more above."""
    for reference in ("S1", "S2"):
        layers.business(reference)
    layers.local.store.close()
    shutil.copytree(tmp_path / "local", tmp_path / "branch")
    a = layers.local.again(tmp_path / "local", local_assembly)
    b = layers.local.again(tmp_path / "branch", local_assembly)
    layers.local = a
    for reference in ("A3", "A4", "A5"):
        Layers(layers.supervisory, a).business(reference)
    for reference in ("B3", "B4", "B5", "B6"):
        Layers(layers.supervisory, b).business(reference)
    assert up(layers, layers.headers_up(1, 2, 3, 4)).code == Code.OK
    assert up(layers, *(layers.packets_up(h) for h in (1, 2, 3, 4))).code == Code.OK
    made = Forked(layers, a, b)
    yield made
    b.store.close()


def freeze(forked: Forked) -> None:
    fork = op("clients", "report_fork", chain=forked.a.hash, headers=[forked.a.row(3), forked.b.row(3)])
    assert up(forked.layers, fork).code == Code.OK
    assert position(forked.layers).frozen == 3


def deliver(forked: Forked, chain: Chain, height: int, method: str = "deliver", **more: Value) -> Receipt:
    row = {**chain.row(height), **more}
    plain = forked.of(chain).packets_up(height, **row)
    return up(forked.layers, Operation("inbox", method, plain.args))


def test_the_regulator_chooses_a_branch_and_nothing_is_lost_or_executed_twice(forked: Forked) -> None:
    freeze(forked)
    a, b, layers = forked.a, forked.b, forked.layers
    assert up(layers, layers.packets_up(4)).rule == "header.frozen"
    assert forked.propose("courier", b, 5).code == Code.FORBIDDEN
    assert forked.propose("csrc-1", b, 2).rule == "clients.below_fork"
    assert forked.propose("csrc-1", b, 5, since=4).rule == "clients.above_fork"
    few: dict[str, Value] = {"certificate": b.certify(b.certified(5)[0], [0, 1])}
    assert forked.propose("csrc-1", b, 5, **few).rule == "header.quorum"
    assert forked.confirm("csrc-2", b.certified(5)[0]).rule == "clients.no_recovery"
    assert forked.propose("csrc-1", b, 5).code == Code.OK
    assert forked.confirm("csrc-1", b.certified(5)[0]).rule == "clients.own_recovery"
    assert forked.confirm("csrc-2", a.certified(5)[0]).rule == "clients.no_recovery"
    assert position(layers).frozen == 3, "nothing moved yet"
    assert forked.confirm("csrc-2", b.certified(5)[0]).code == Code.OK
    assert (position(layers).frozen, position(layers).height) == (-1, 5)
    # Sequences 2 and 3 came from A. B's are compared, not executed; its later ones are delivered.
    assert deliver(forked, b, 3, history=forked.history(b, 3, 5)).rule == "inbox.replayed"
    assert deliver(forked, b, 3, "compare", history=forked.history(b, 3, 5)).code == Code.OK
    assert deliver(forked, b, 4, "compare", history=forked.history(b, 4, 5)).code == Code.OK
    assert deliver(forked, b, 4, "compare", history=forked.history(b, 4, 5)).code == Code.OK
    assert [case["kind"] for case in cases(layers)] == ["fork", "conflicting_packet", "conflicting_packet"]
    facts = cast(dict[str, Value], cases(layers)[1]["facts"])
    assert (facts["channel"], facts["sequence"]) == ("report", 2)
    assert facts["delivered"] == sm3_packet(a, 3) and facts["proven"] == sm3_packet(b, 3)
    assert up(layers, forked.of(b).packets_up(5)).code == Code.OK, "the chosen header is stored"
    assert up(layers, forked.of(b).headers_up(6), forked.of(b).packets_up(6)).code == Code.OK
    tally = cast(dict[str, Value], layers.supervisory.value(state_key("inbox", b"r" + a.hash)))
    assert tally["reports"] == 6, "sequences 0 to 5, each once"
    assert layers.supervisory.value(received_key(a.hash, "report")) == {"next": 6, "height": 6}


def sm3_packet(chain: Chain, height: int) -> bytes:
    return sm3(cast(bytes, chain.packets(height)[0]["packet"]))


def test_the_branch_that_was_given_up_counts_no_more(forked: Forked) -> None:
    freeze(forked)
    a, b = forked.a, forked.b
    assert forked.propose("csrc-1", b, 6).code == Code.OK
    assert forked.confirm("csrc-2", b.certified(6)[0]).code == Code.OK
    assert deliver(forked, a, 5).rule == "inbox.discarded"
    assert deliver(forked, a, 5, history=forked.history(a, 5, 6)).rule == "inbox.discarded"
    assert deliver(forked, b, 5).rule == "inbox.discarded"
    assert deliver(forked, b, 5, history=forked.history(b, 4, 6)).rule == "inbox.discarded"
    assert deliver(forked, b, 5, history=b"\x00").rule == "inbox.discarded"
    assert deliver(forked, b, 5, history=forked.history(b, 5, 6)).code == Code.OK
    again = op("clients", "report_fork", chain=a.hash, headers=[a.row(3), b.row(3)])
    assert up(forked.layers, again).rule == "clients.settled"
    stored = forked.layers.supervisory.store.get
    assert stored(state_key("clients", clients.header_key(a.hash, 4))) is None
    assert stored(state_key("clients", clients.header_key(a.hash, 2))) is not None


def test_the_branch_that_was_followed_may_be_the_one_chosen(forked: Forked) -> None:
    freeze(forked)
    a = forked.a
    assert forked.propose("csrc-2", a, 4).code == Code.OK
    assert forked.confirm("csrc-1", a.certified(4)[0]).code == Code.OK
    assert up(forked.layers, forked.layers.headers_up(5), forked.layers.packets_up(5)).code == Code.OK
    assert deliver(forked, a, 3, "compare", history=forked.history(a, 3, 4)).code == Code.OK
    assert [case["kind"] for case in cases(forked.layers)] == ["fork"], "the same packet is no case"
    decided = cast(list[dict[str, Value]], forked.layers.supervisory.value(state_key("clients", b"u" + a.hash)))
    row = decided[0]
    assert (row["from"], row["height"], row["by"], row["confirmed_by"], row["reference"]) == (
        3,
        4,
        account("csrc-2"),
        account("csrc-1"),
        "decision 1",
    )


def test_branches_that_parted_below_the_fork_shown_are_found_out(forked: Forked) -> None:
    """The fork is proven at 4, the branches parted at 3: nothing of the other one counts from there either."""
    a, b, layers = forked.a, forked.b, forked.layers
    fork = op("clients", "report_fork", chain=a.hash, headers=[a.row(4), b.row(4)])
    assert up(layers, fork).code == Code.OK
    assert forked.propose("csrc-1", b, 6, since=1).code == Code.OK
    assert forked.confirm("csrc-2", b.certified(6)[0]).code == Code.OK
    stored = layers.supervisory.store.get
    assert stored(state_key("clients", clients.header_key(a.hash, 3))) is None
    assert deliver(forked, a, 3, "compare").rule == "inbox.discarded"
    assert deliver(forked, b, 3, "compare", history=forked.history(b, 3, 6)).code == Code.OK
    assert [case["kind"] for case in cases(layers)] == ["fork", "conflicting_packet"]


def test_a_client_that_is_not_frozen_is_not_moved(forked: Forked) -> None:
    assert forked.propose("csrc-1", forked.b, 5).rule == "clients.not_frozen"
    assert deliver(forked, forked.a, 5, "compare").rule == "inbox.not_delivered"


def test_a_digest_that_is_not_kept_says_so(forked: Forked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivered, "KEPT_DIGESTS", 2)
    for chain_height in (5,):
        assert up(forked.layers, forked.layers.headers_up(chain_height)).code == Code.OK
        assert up(forked.layers, forked.layers.packets_up(chain_height)).code == Code.OK
    assert deliver(forked, forked.a, 1, "compare").rule == "inbox.too_old"
    assert deliver(forked, forked.a, 5, "compare").code == Code.OK


def test_a_fork_about_the_validators_goes_on_with_those_the_regulator_names(forked: Forked) -> None:
    freeze(forked)
    b, members = forked.b, validators("beijing")
    other = replace(members, validators=(*members.validators[1:], members.validators[0]))
    encoded = encode_validator_set(other)
    digest = hash_of_encoded_set(encoded)
    header = changed(b, 5, epoch=1, validator_set_hash=digest, next_validator_set_hash=digest)
    row: dict[str, Value] = {"header": header, "certificate": b.certify(header, members=other)}

    def given(start: int, raw: bytes = encoded) -> Receipt:
        return forked.propose("csrc-1", b, 5, **row, epoch={"start": start, "set": raw})

    assert given(0).code == Code.BAD_ARGUMENTS
    assert given(6).rule == "header.reach"
    assert given(4, b"\x00").rule == "clients.bad_epoch"
    assert given(4).code == Code.OK
    assert forked.confirm("csrc-2", header).code == Code.OK
    assert (position(forked.layers).epoch, position(forked.layers).height) == (1, 5)
    later = changed(
        b, 6, epoch=1, prev_hash=header_hash(header), validator_set_hash=digest, next_validator_set_hash=digest
    )
    rows: list[Value] = [{"header": later, "certificate": b.certify(later, members=other)}]
    assert up(forked.layers, op("clients", "submit_headers", chain=b.hash, headers=rows)).code == Code.OK
    # What the epoch before certified above its new end proves nothing any more.
    assert deliver(forked, forked.a, 5).rule == "header.reach"
    assert deliver(forked, forked.a, 3, "compare").rule == "inbox.discarded"


def test_one_market_takes_no_more_than_its_share_of_a_block(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "HEADERS_A_CHAIN", 3)
    monkeypatch.setattr(delivered, "PACKETS_A_SOURCE", 2)
    for reference in ("S1", "S2", "S3", "S4"):
        layers.business(reference)
    chain = layers.supervisory
    receipts = chain.block(
        chain.sign("courier", layers.headers_up(1, 2, 3)),
        chain.sign("operator", layers.headers_up(4)),
        chain.sign("courier", layers.packets_up(1)),
        chain.sign("operator", layers.packets_up(2)),
        chain.sign("courier", layers.packets_up(3)),
    )
    assert [receipt.rule for receipt in receipts] == ["", "clients.rate", "", "", "inbox.rate"]
    assert up(layers, layers.headers_up(4), layers.packets_up(3), layers.packets_up(4)).code == Code.OK
