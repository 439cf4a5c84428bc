"""Headers go up: verified before stored, refused by the predicate's name, bounded in number; a fork freezes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import HEADERS_A_BLOCK, Position, decode_position
from crosschain.packets import client_key
from supervisory_chain import clients
from supervisory_chain.clients import MAX_HEADERS, header_key
from tests.unit.crosschain.chains import Layers, account, op

OTHER = bytes(31) + b"\x01"


def position(layers: Layers) -> Position:
    return decode_position(layers.supervisory.store.get(client_key(layers.local.hash)))


def stored(layers: Layers) -> list[int]:
    """Heights of the headers kept."""
    prefix = state_key("clients", b"h" + layers.local.hash)
    return [int.from_bytes(key[-8:], "big") for key, _ in layers.supervisory.store.scan(prefix)]


def submit(layers: Layers, *rows: dict[str, Value], chain: bytes = b"") -> Receipt:
    target = chain or layers.local.hash
    return layers.supervisory.one("courier", op("clients", "submit_headers", chain=target, headers=list(rows)))


def forged(layers: Layers, height: int, **changes: object) -> dict[str, Value]:
    """A header of that height with other contents, certified by the local validators."""
    header = encode_header(replace(decode_header(layers.local.certified(height)[0]), **changes))  # type: ignore[arg-type]
    return {"header": header, "certificate": layers.local.certify(header)}


def grow(layers: Layers, blocks: int) -> None:
    for _ in range(blocks):
        layers.local.block()


def test_headers_are_stored_in_batches_with_gaps(layers: Layers) -> None:
    grow(layers, 6)
    assert layers.supervisory.one("courier", layers.headers_up(1, 2, 4)).code == Code.OK
    assert layers.supervisory.one("operator", layers.headers_up(6)).code == Code.OK
    assert stored(layers) == [1, 2, 4, 6]
    assert position(layers).height == 6
    assert position(layers).count == 4
    kept = layers.supervisory.store.get(state_key("clients", header_key(layers.local.hash, 4)))
    assert kept == layers.local.certified(4)[0]


def test_a_batch_is_stored_whole_or_not_at_all(layers: Layers) -> None:
    grow(layers, 4)
    rows = [layers.local.row(height) for height in (1, 2, 3)]
    rows[2] = {**rows[2], "certificate": layers.local.row(4)["certificate"]}
    receipt = submit(layers, *rows)
    assert (receipt.rule, receipt.parameters[1]) == ("header.certified", 3)
    assert stored(layers) == []


@pytest.mark.parametrize(
    ("heights", "rule"),
    [((2, 2), "header.height"), ((3, 2), "header.height"), ((1, 2, 1), "header.height")],
)
def test_headers_out_of_order_or_replayed(layers: Layers, heights: tuple[int, ...], rule: str) -> None:
    grow(layers, 3)
    assert layers.supervisory.one("courier", layers.headers_up(*heights)).rule == rule


def test_a_header_once_accepted_is_not_accepted_again(layers: Layers) -> None:
    grow(layers, 2)
    assert layers.supervisory.one("courier", layers.headers_up(2)).code == Code.OK
    assert layers.supervisory.one("courier", layers.headers_up(2)).rule == "header.height"
    assert layers.supervisory.one("courier", layers.headers_up(1)).rule == "header.height"


def test_too_few_and_forged_votes_and_other_chains(layers: Layers) -> None:
    grow(layers, 2)
    header = layers.local.certified(2)[0]
    few: dict[str, Value] = {"header": header, "certificate": layers.local.certify(header, [0, 1])}
    assert submit(layers, few).rule == "header.quorum"
    strangers = layers.supervisory.certify(header)  # the supervisory chain's own validators are not the market's
    assert submit(layers, {"header": header, "certificate": strangers}).rule == "header.signatures"
    assert submit(layers, layers.supervisory.row(1)).rule == "header.genesis"
    assert submit(layers, layers.local.row(2), chain=bytes(32)).rule == "clients.not_admitted"
    assert submit(layers, forged(layers, 2, epoch=1)).rule == "header.epoch"
    assert submit(layers, forged(layers, 2, ledger=1)).rule == "header.ledger"
    assert submit(layers, forged(layers, 2, validator_set_hash=OTHER)).rule == "header.validators"


def test_the_previous_hash_is_compared_where_the_previous_header_is_stored(layers: Layers) -> None:
    grow(layers, 4)
    assert layers.supervisory.one("courier", layers.headers_up(2)).code == Code.OK
    assert submit(layers, forged(layers, 3, prev_hash=OTHER)).rule == "header.previous"
    assert submit(layers, forged(layers, 4, prev_hash=OTHER)).code == Code.OK


def test_a_header_from_the_future_waits(layers: Layers) -> None:
    grow(layers, 2)
    late = layers.supervisory.time_ms + 600_000
    assert submit(layers, forged(layers, 2, time_ms=late)).rule == "header.future"


def test_two_certified_headers_of_one_height_freeze_the_client(layers: Layers) -> None:
    layers.business("S1")
    layers.business("S2")
    grow(layers, 2)
    assert layers.supervisory.one("courier", layers.headers_up(1, 2, 3)).code == Code.OK
    assert submit(layers, forged(layers, 2, state_root=OTHER)).code == Code.OK
    assert ("clients", "frozen") in layers.supervisory.events()
    assert position(layers).frozen == 2
    assert layers.supervisory.one("courier", layers.headers_up(4)).rule == "header.frozen"
    assert layers.supervisory.one("courier", layers.packets_up(1)).rule == "header.frozen"
    assert position(layers).height == 3


def test_directives_to_a_frozen_chain_go_on(layers: Layers) -> None:
    grow(layers, 2)
    assert layers.supervisory.one("courier", layers.headers_up(2)).code == Code.OK
    assert submit(layers, forged(layers, 2, state_root=OTHER)).code == Code.OK
    assert position(layers).frozen == 2
    assert layers.direct("freeze_holder", "holder") == 0
    assert layers.local.one("courier", layers.update_down(0, 1)).code == Code.OK
    assert layers.local.store.get(state_key("kernel", b"Z" + account("holder"))) is not None


def test_a_contradiction_without_a_quorum_freezes_nothing(layers: Layers) -> None:
    grow(layers, 2)
    assert layers.supervisory.one("courier", layers.headers_up(2)).code == Code.OK
    header = forged(layers, 2, state_root=OTHER)["header"]
    assert isinstance(header, bytes)
    for signers in ([0, 1], [0, 1, 2, 3]):
        receipt = submit(layers, {"header": header, "certificate": layers.local.certify(header, signers)})
        assert receipt.rule == "header.height"
    assert position(layers).frozen == -1


def test_anybody_reports_a_fork_also_of_headers_that_were_never_stored(layers: Layers) -> None:
    grow(layers, 3)
    assert layers.supervisory.one("courier", layers.headers_up(3)).code == Code.OK
    honest, other = layers.local.row(2), forged(layers, 2, state_root=OTHER)

    def report(*rows: dict[str, Value]) -> Receipt:
        args: dict[str, Value] = {"chain": layers.local.hash, "headers": list(rows)}
        return layers.supervisory.one("courier", Operation("clients", "report_fork", args))

    assert report(honest, honest).rule == "clients.no_fork"
    assert report(honest, layers.local.row(1)).rule == "clients.no_fork"
    assert report(honest, {**other, "certificate": honest["certificate"]}).rule == "header.certified"
    assert report(honest, other).code == Code.OK
    assert position(layers).frozen == 2
    assert report(honest, other).rule == "header.frozen"


def test_only_the_newest_headers_are_kept(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "KEPT_HEADERS", 3)
    grow(layers, 8)
    for heights in ((1, 2), (4, 5, 6), (8,)):
        assert layers.supervisory.one("courier", layers.headers_up(*heights)).code == Code.OK
    assert stored(layers) == [5, 6, 8]
    slots = layers.supervisory.store.scan(state_key("clients", b"o" + layers.local.hash))
    assert len(slots) == 3


def test_no_more_than_a_batch_at_once(layers: Layers) -> None:
    grow(layers, MAX_HEADERS + 1)
    receipt = layers.supervisory.one("courier", layers.headers_up(*range(1, MAX_HEADERS + 2)))
    assert receipt.code == Code.BAD_ARGUMENTS
    assert layers.supervisory.one("courier", layers.headers_up(*range(1, MAX_HEADERS + 1))).code == Code.OK
    assert submit(layers).code == Code.BAD_ARGUMENTS


# ---- what headers cost every node


def spoilt(row: dict[str, Value]) -> dict[str, Value]:
    """The last signature of the certificate does not hold any more."""
    certificate = row["certificate"]
    assert isinstance(certificate, bytes)
    return {**row, "certificate": certificate[:-1] + bytes([certificate[-1] ^ 1])}


def headers_op(layers: Layers, *rows: dict[str, Value]) -> Operation:
    return Operation("clients", "submit_headers", {"chain": layers.local.hash, "headers": list(rows)})


def test_all_signatures_of_an_operation_are_one_batch_after_everything_else(layers: Layers, batches: list[int]) -> None:
    grow(layers, 4)
    rows = [layers.local.row(height) for height in (1, 2, 3)]
    assert submit(layers, *rows, forged(layers, 4, epoch=1)).rule == "header.epoch"
    assert submit(layers, *rows, layers.local.row(3)).rule == "header.height"
    assert batches == []
    assert submit(layers, *rows).code == Code.OK
    assert batches == [3 * layers.local.genesis.validators.q]


def test_one_signature_that_does_not_hold_ends_the_account_s_headers_for_this_block(
    layers: Layers, batches: list[int]
) -> None:
    grow(layers, 4)
    chain, bad = layers.supervisory, headers_op(layers, *map(layers.local.row, (1, 2)), spoilt(layers.local.row(3)))
    receipts = chain.block(
        chain.sign("courier", bad),
        chain.sign("courier", bad),
        chain.sign("courier", layers.headers_up(1)),
        chain.sign("operator", layers.headers_up(2)),
    )
    assert [receipt.rule for receipt in receipts] == ["header.signatures", "header.budget", "header.budget", ""]
    assert (receipts[0].parameters[1], receipts[1].parameters[1:]) == (3, (0, HEADERS_A_BLOCK, 3))
    q = layers.local.genesis.validators.q
    assert batches == [3 * q, q]
    assert chain.one("courier", layers.headers_up(3)).code == Code.OK, "the next block is another one"


def test_what_is_refused_for_another_reason_counts_as_well(
    layers: Layers, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEADERS_A_BLOCK", 4)
    grow(layers, 4)
    chain = layers.supervisory
    undone = chain.sign("courier", layers.headers_up(1, 2), layers.headers_up(1))
    again = [chain.sign("courier", layers.headers_up(1, 2), layers.headers_up(1)) for _ in range(2)]
    rules = [receipt.rule for receipt in chain.block(undone, *again)]
    assert rules == ["header.height", "header.height", "header.budget"]
    assert len(batches) == 2


def test_headers_that_do_not_contradict_each_other_cost_no_signature(layers: Layers, batches: list[int]) -> None:
    grow(layers, 2)
    rows: list[Value] = [layers.local.row(1), layers.local.row(2)]
    report = op("clients", "report_fork", chain=layers.local.hash, headers=rows)
    assert layers.supervisory.one("courier", report).rule == "clients.no_fork"
    assert batches == []
