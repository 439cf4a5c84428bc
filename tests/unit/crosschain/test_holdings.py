"""What an account holds is proven whole: nobody can leave a security out, invent one, or age the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import encode_state_proof
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.node.answers import CertifiedHeader, StateItem
from chain_core.types.errors import InvalidProof
from contracts.kernel.records import Holding, encode_holding
from contracts.kernel.roll import MAX_LISTED, Held, encode_head, held_chunk_key
from crosschain.complete_lists import ListEvidence, decode_list, encode_list
from crosschain.proofs import check_holdings, fetch_holdings, holdings_keys, holdings_of
from tests.unit.contracts.test_roll import Space
from tests.unit.crosschain.chains import Layers, account, op, security
from tests.unit.crosschain.test_proofs import Node, rows_of, view_of
from tests.vectors.state_model import StateModel

HOLDER = account("holder")


class Sheet:
    """A state with one account's holdings in it: 1, 2, 3 ... units of so many securities."""

    def __init__(self, layers: Layers, count: int) -> None:
        self.layers = layers
        layers.local.block()
        self.securities = [account(f"S{n}") for n in range(count)]
        self.values: dict[bytes, bytes] = {}
        for n, found in enumerate(self.securities):
            self.values[state_key("kernel", b"H" + found + HOLDER)] = encode_holding(Holding(n + 1, 0, 0, 7))
        self.list(self.securities)

    def list(self, securities: Sequence[bytes], count: int | None = None) -> None:
        """The account's list names these."""
        chunks = [encode_value(list(securities[i : i + 64])) for i in range(0, len(securities), 64)]
        for number, chunk in enumerate(chunks):
            self.values[state_key("kernel", held_chunk_key(HOLDER, number))] = chunk
        head = encode_head(len(securities) if count is None else count, merkle_root(chunks))
        self.values[state_key("kernel", b"L" + HOLDER)] = head

    def evidence(self) -> ListEvidence:
        local, model = self.layers.local, StateModel(self.values, 16)
        real = decode_header(local.certified(local.height)[0])
        header = encode_header(replace(real, state_root=model.root))
        keys = holdings_keys(HOLDER, self.values)
        items = tuple(StateItem(self.values.get(key), encode_state_proof(model.prove(key))) for key in keys)
        return ListEvidence(CertifiedHeader(header, local.certify(header)), items)

    def check(self, evidence: ListEvidence, **more: int) -> list[tuple[bytes, int]]:
        found = check_holdings(view_of(self.layers), HOLDER, evidence, **more)
        return [(name, holding.total) for name, holding in found.holdings]


def test_the_kernel_s_own_list_is_proven(layers: Layers) -> None:
    """Three securities registered for five accounts; who holds nothing is proven to hold nothing."""
    local, found = layers.local, []
    for reference in ("S1", "S2", "S3"):
        assert local.one("operator", security(reference)).code == 0
        found.append(derive_id(local.hash, "security", account("operator"), reference))
        entry = op("kernel", "register_holding", security=found[-1], rows=rows_of(("holder", "buyer")))
        assert local.one("operator", entry).code == 0
    gone = op("kernel", "unregister_holding", security=found[0], accounts=[HOLDER])
    assert local.one("operator", gone).code == 0
    view = view_of(layers)
    for name, expected in (
        ("holder", [(found[2], 1), (found[1], 1)]),  # the last took the place of the first
        ("buyer", [(one, 2) for one in found]),
        ("issuer", []),
    ):
        evidence = asyncio.run(fetch_holdings(Node(layers), view, account(name)))
        proven = check_holdings(view, account(name), decode_list(encode_list(evidence)))
        assert [(one, holding.total) for one, holding in proven.holdings] == expected
        assert proven.header.height == local.height


@pytest.mark.parametrize("count", [1, 63, 64, 65, 130])
def test_a_list_of_any_length_is_proven_whole(layers: Layers, count: int) -> None:
    sheet = Sheet(layers, count)
    assert sheet.check(sheet.evidence()) == [(sheet.securities[n], n + 1) for n in range(count)]


def left_out(evidence: ListEvidence) -> ListEvidence:
    return replace(evidence, items=evidence.items[:-1])


def doubled(evidence: ListEvidence) -> ListEvidence:
    return replace(evidence, items=(*evidence.items, evidence.items[-1]))


def exchanged(evidence: ListEvidence) -> ListEvidence:
    *first, a, b = evidence.items
    return replace(evidence, items=(*first, b, a))


def denied(evidence: ListEvidence) -> ListEvidence:
    """The head is said to be absent: an account that holds nothing."""
    return replace(evidence, items=(replace(evidence.items[0], value=None),))


def shortened(evidence: ListEvidence) -> ListEvidence:
    """Head and chunk without the last security, consistent with each other, proofs of the true ones."""
    head, chunk, *holdings = evidence.items
    short = b"\x07" + (2).to_bytes(4, "big") + (chunk.value or b"")[5 : 5 + 2 * 21]
    changed = replace(head, value=encode_head(2, merkle_root([short]))), replace(chunk, value=short)
    return replace(evidence, items=(*changed, *holdings[:2]))


def raised(evidence: ListEvidence) -> ListEvidence:
    more = replace(evidence.items[-1], value=encode_holding(Holding(1_000_000, 0, 0, 7)))
    return replace(evidence, items=(*evidence.items[:-1], more))


@pytest.mark.parametrize("alter", [left_out, doubled, exchanged, denied, shortened, raised])
def test_an_altered_answer_is_refused(layers: Layers, alter: Callable[[ListEvidence], ListEvidence]) -> None:
    sheet = Sheet(layers, 3)
    with pytest.raises(InvalidProof):
        sheet.check(alter(sheet.evidence()))


def test_a_state_that_contradicts_itself_is_said_to(layers: Layers) -> None:
    """Only a market whose quorum lies could prove these."""

    def gone(sheet: Sheet) -> None:
        del sheet.values[state_key("kernel", b"H" + sheet.securities[1] + HOLDER)]

    def empty(sheet: Sheet) -> None:
        sheet.values[state_key("kernel", b"H" + sheet.securities[1] + HOLDER)] = encode_holding(Holding(0, 0, 0, 7))

    def twice(sheet: Sheet) -> None:
        sheet.list([sheet.securities[0], *sheet.securities[:2]])

    def counted_less(sheet: Sheet) -> None:
        sheet.list(sheet.securities, count=2)

    def another_digest(sheet: Sheet) -> None:
        sheet.values[state_key("kernel", b"L" + HOLDER)] = encode_head(3, bytes(32))

    def unread(sheet: Sheet) -> None:
        sheet.values[state_key("kernel", b"L" + HOLDER)] = b"\x00"

    def too_long(sheet: Sheet) -> None:
        sheet.values[state_key("kernel", b"L" + HOLDER)] = encode_head(MAX_LISTED + 1, bytes(32))

    cases: list[tuple[Callable[[Sheet], None], str]] = [
        (gone, "none of it is held"),
        (empty, "none of it is held"),
        (twice, "disagree"),
        (counted_less, "disagree"),
        (another_digest, "disagree"),
        (unread, "cannot be read"),
        (too_long, "out of bounds"),
    ]
    for change, message in cases:
        sheet = Sheet(layers, 3)
        change(sheet)
        with pytest.raises(InvalidProof, match=message):
            sheet.check(sheet.evidence())


def test_an_old_answer_is_too_old_for_who_says_so(layers: Layers) -> None:
    sheet = Sheet(layers, 1)
    evidence, now = sheet.evidence(), layers.local.time_ms
    assert sheet.check(evidence, not_before_ms=now) == [(sheet.securities[0], 1)]
    with pytest.raises(InvalidProof, match="asked for"):
        sheet.check(evidence, not_before_ms=now + 1)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 140), max_size=200), st.data())
def test_whatever_joins_and_leaves_the_list_proves_what_is_held(steps: list[int], data: st.DataObject) -> None:
    """Values as the kernel writes them, for any order of joining and leaving; without any one of them, no answer."""
    space, books = Space(), dict[bytes, int]()
    for number, step in enumerate(steps):
        name = account(f"S{step}")
        held = Held(space, HOLDER)  # type: ignore[arg-type]
        if name in books:
            held.drop(name)
            del books[name]
            space.delete(b"H" + name + HOLDER)
        else:
            held.append(name)
            books[name] = number + 1
            space.put(b"H" + name + HOLDER, encode_holding(Holding(number + 1, 0, 0, 0)))
        held.save()
    stored = {state_key("kernel", key): value for key, value in space.values.items()}
    values = {key: stored.get(key) for key in holdings_keys(HOLDER, stored)}
    assert {name: holding.total for name, holding in holdings_of(HOLDER, values)} == books
    if books:
        lost = data.draw(st.sampled_from(sorted(key for key in values if key != state_key("kernel", b"L" + HOLDER))))
        with pytest.raises(InvalidProof):
            holdings_of(HOLDER, {**values, lost: None})
