"""A holder roll is proven whole: nobody can leave a holder out, invent one, age it, or mix two states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import encode_state_proof
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.node.answers import CertifiedHeader, StateAnswer, StateItem
from chain_core.node.chain_view import ChainView
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.values import Value
from contracts.kernel.records import Holding, Security, encode_holding, encode_security
from contracts.kernel.roll import MAX_LISTED, encode_head
from crosschain.complete_lists import ListEvidence, ListMoved, check_fresh, decode_list, encode_list
from crosschain.proofs import check_roll, fetch_roll, roll_keys
from tests.unit.crosschain.chains import Layers, account, op, security
from tests.vectors.state_model import StateModel

SECURITY = bytes(15) + b"\x01"


class Node:
    """Answers as a node does, from a chain's store; ``before`` may do something to the chain first."""

    def __init__(self, layers: Layers, before: Callable[[int], None] = lambda _: None) -> None:
        self.layers, self.before, self.calls = layers, before, 0

    async def state(self, keys: Sequence[bytes]) -> StateAnswer:
        self.before(self.calls)
        self.calls += 1
        proven = [self.layers.local.prove(key) for key in keys]
        latest = CertifiedHeader(*self.layers.local.certified(self.layers.local.height))
        return StateAnswer(latest, tuple(StateItem(item.value, item.proof) for item in proven))


PEOPLE = ("holder", "buyer", "issuer", "bank", "courier")


def rows_of(names: Sequence[str]) -> Value:
    return [{"account": account(name), "quantity": n + 1, "acquired_day": 0} for n, name in enumerate(names)]


def registered(layers: Layers, holders: int) -> bytes:
    """A security of 100 units with so many holders of 1, 2, 3 ... units; its id."""
    local = layers.local
    assert local.one("operator", security("S1")).code == 0
    found = derive_id(local.hash, "security", account("operator"), "S1")
    if holders:
        entry = op("kernel", "register_holding", security=found, rows=rows_of(PEOPLE[:holders]))
        assert local.one("operator", entry).code == 0
    return found


def view_of(layers: Layers) -> ChainView:
    return ChainView(layers.local.genesis_bytes)


def test_an_empty_roll_is_proven_too(layers: Layers) -> None:
    found = registered(layers, 0)
    evidence = asyncio.run(fetch_roll(Node(layers), view_of(layers), found))
    roll = check_roll(view_of(layers), found, evidence)
    assert (roll.total, roll.holders) == (0, ())


def test_a_security_that_does_not_exist(layers: Layers) -> None:
    layers.local.block()
    with pytest.raises(InvalidProof, match="no such security"):
        asyncio.run(fetch_roll(Node(layers), view_of(layers), SECURITY))


# ---- any roll we like, under a header certified by the market's validators


class Sheet:
    """A state with one roll in it."""

    def __init__(self, layers: Layers, quantities: Sequence[int]) -> None:
        self.layers = layers
        layers.local.block()
        self.accounts = [account(f"H{n}") for n in range(len(quantities))]
        chunks = [encode_value(self.accounts[i : i + 64]) for i in range(0, len(quantities), 64)]
        record = Security(
            2, 0, 0, 0, account("issuer"), bytes(16), account("operator"), sum(quantities), sum(quantities)
        )
        self.values = {
            state_key("kernel", b"S" + SECURITY): encode_security(record),
            state_key("kernel", b"R" + SECURITY): encode_head(len(quantities), merkle_root(chunks)),
        }
        for number, chunk in enumerate(chunks):
            self.values[state_key("kernel", b"r" + SECURITY + number.to_bytes(4, "big"))] = chunk
        for slot, (name, quantity) in enumerate(zip(self.accounts, quantities, strict=True)):
            holding = encode_holding(Holding(quantity, 0, 0, slot))
            self.values[state_key("kernel", b"H" + SECURITY + name)] = holding

    def evidence(self, keys: Sequence[bytes] | None = None) -> ListEvidence:
        local, model = self.layers.local, StateModel(self.values, 16)
        real = decode_header(local.certified(local.height)[0])
        header = encode_header(replace(real, state_root=model.root))
        listed = roll_keys(SECURITY, self.values) if keys is None else keys
        items = tuple(StateItem(self.values.get(key), encode_state_proof(model.prove(key))) for key in listed)
        return ListEvidence(CertifiedHeader(header, local.certify(header)), items)

    def check(self, evidence: ListEvidence, **more: int) -> list[int]:
        roll = check_roll(view_of(self.layers), SECURITY, evidence, **more)
        assert [name for name, _ in roll.holders] == self.accounts
        return [holding.total for _, holding in roll.holders]

    def prove_and_check(self) -> None:
        """As much as the state says is its roll, proven and checked."""
        self.check(self.evidence(roll_keys(SECURITY, self.values)))


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 200])
def test_a_roll_of_any_length_is_proven_whole(layers: Layers, count: int) -> None:
    sheet = Sheet(layers, list(range(1, count + 1)))
    evidence = decode_list(encode_list(sheet.evidence()))
    assert sheet.check(evidence) == list(range(1, count + 1))
    assert check_roll(view_of(layers), SECURITY, evidence).total == count * (count + 1) // 2


def test_a_node_s_answer_is_read_until_it_is_of_one_state(layers: Layers) -> None:
    found = registered(layers, 4)
    node = Node(layers)
    evidence = asyncio.run(fetch_roll(node, view_of(layers), found))
    roll = check_roll(view_of(layers), found, evidence)
    assert [(name, holding.total) for name, holding in roll.holders] == [(account(PEOPLE[n]), n + 1) for n in range(4)]
    assert roll.total == 10
    assert node.calls == 3


def test_a_chain_that_moves_on_in_between_is_read_again(layers: Layers) -> None:
    found = registered(layers, 3)

    def move(call: int) -> None:
        if call == 2:
            entry = op("kernel", "register_holding", security=found, rows=rows_of(PEOPLE)[3:])  # type: ignore[index]
            assert layers.local.one("operator", entry).code == 0

    evidence = asyncio.run(fetch_roll(Node(layers, move), view_of(layers), found))
    roll = check_roll(view_of(layers), found, evidence)
    assert roll.header.height == layers.local.height
    assert [name for name, _ in roll.holders] == [account(name) for name in PEOPLE]


def test_a_roll_that_never_stands_still_is_not_made_up(layers: Layers) -> None:
    sheet = Sheet(layers, [1] * 300)

    class Restless:
        async def state(self, keys: Sequence[bytes]) -> StateAnswer:
            layers.local.block()
            evidence = sheet.evidence(keys)
            return StateAnswer(evidence.header, evidence.items)

    with pytest.raises(ListMoved):
        asyncio.run(fetch_roll(Restless(), view_of(layers), SECURITY))


def left_out(evidence: ListEvidence) -> ListEvidence:
    return replace(evidence, items=evidence.items[:-1])


def doubled(evidence: ListEvidence) -> ListEvidence:
    return replace(evidence, items=(*evidence.items, evidence.items[-1]))


def exchanged(evidence: ListEvidence) -> ListEvidence:
    *first, a, b = evidence.items
    return replace(evidence, items=(*first, b, a))


def denied(evidence: ListEvidence) -> ListEvidence:
    return replace(evidence, items=(*evidence.items[:-1], replace(evidence.items[-1], value=None)))


def raised(evidence: ListEvidence) -> ListEvidence:
    value = encode_holding(Holding(1_000_000, 0, 0, 2))
    return replace(evidence, items=(*evidence.items[:-1], replace(evidence.items[-1], value=value)))


@pytest.mark.parametrize("alter", [left_out, doubled, exchanged, denied, raised])
def test_an_altered_roll_is_refused(layers: Layers, alter: Callable[[ListEvidence], ListEvidence]) -> None:
    sheet = Sheet(layers, [1, 2, 3])
    with pytest.raises(InvalidProof):
        sheet.check(alter(sheet.evidence()))


def test_any_altered_byte_of_the_evidence_is_refused(layers: Layers) -> None:
    sheet = Sheet(layers, [5, 7])
    evidence = sheet.evidence()
    raw = encode_list(evidence)
    certificate = raw.index(evidence.header.certificate)
    seen = view_of(layers)
    check_roll(seen, SECURITY, decode_list(raw))
    for offset in range(len(raw)):
        altered = raw[:offset] + bytes((raw[offset] ^ 1 << offset % 8,)) + raw[offset + 1 :]
        try:
            decoded = decode_list(altered)
        except MalformedBytes:
            continue
        # A certificate is verified once a header: to look at it, a view must not know the header yet.
        view = seen if offset < certificate else view_of(layers)
        with pytest.raises(InvalidProof):
            check_roll(view, SECURITY, decoded)


def test_a_state_that_contradicts_itself_is_said_to(layers: Layers) -> None:
    """Only a market whose quorum lies could prove these."""
    key = {name: state_key("kernel", tag + SECURITY) for name, tag in (("security", b"S"), ("head", b"R"))}
    chunk = state_key("kernel", b"r" + SECURITY + bytes(4))
    ids = [account(f"H{n}") for n in range(3)]
    holding = state_key("kernel", b"H" + SECURITY + ids[2])
    short = encode_value(ids[:2])
    cases: list[tuple[dict[bytes, bytes | None], str]] = [
        ({key["head"]: None}, "sum to 0, the security has 6"),
        ({chunk: short}, "disagree"),
        ({chunk: short, key["head"]: encode_head(3, merkle_root([short]))}, "disagree"),
        ({chunk: short, key["head"]: encode_head(2, merkle_root([short]))}, "sum to 3"),
        ({chunk: encode_value([*ids[:2], ids[0]])}, "disagree"),
        ({holding: encode_holding(Holding(3, 0, 0, 1))}, "no holding at slot 2"),
        ({holding: None}, "no holding at slot 2"),
        ({key["head"]: b"\x00"}, "cannot be read"),
        ({key["head"]: encode_head(MAX_LISTED + 1, bytes(32))}, "out of bounds"),
        ({key["head"]: encode_value({"count": 3, "chunks": 2, "digest": bytes(32)})}, "counts its chunks wrongly"),
        ({chunk: encode_value([b"short"])}, "no id"),
    ]
    for changes, message in cases:
        sheet = Sheet(layers, [1, 2, 3])
        for changed, value in changes.items():
            if value is None:
                del sheet.values[changed]
            else:
                sheet.values[changed] = value
        with pytest.raises(InvalidProof, match=message):
            sheet.prove_and_check()


def test_a_chunk_that_is_not_full_before_the_last(layers: Layers) -> None:
    sheet = Sheet(layers, [1] * 65)
    chunks = [encode_value(sheet.accounts[:63]), encode_value(sheet.accounts[63:])]
    for number, chunk in enumerate(chunks):
        sheet.values[state_key("kernel", b"r" + SECURITY + number.to_bytes(4, "big"))] = chunk
    sheet.values[state_key("kernel", b"R" + SECURITY)] = encode_head(65, merkle_root(chunks))
    with pytest.raises(InvalidProof, match="not full"):
        sheet.check(sheet.evidence())


def test_an_old_proof_is_too_old_for_who_says_so(layers: Layers) -> None:
    sheet = Sheet(layers, [1])
    evidence = sheet.evidence()
    now = layers.local.time_ms
    assert sheet.check(evidence, not_before_ms=now) == [1]
    with pytest.raises(InvalidProof, match="asked for"):
        sheet.check(evidence, not_before_ms=now + 1)
    check_fresh(decode_header(evidence.header.header), 0)


def test_evidence_of_another_chain_proves_nothing_here(layers: Layers) -> None:
    evidence = Sheet(layers, [1]).evidence()
    with pytest.raises(InvalidProof, match="another chain"):
        check_roll(ChainView(layers.supervisory.genesis_bytes), SECURITY, evidence)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        encode_value({}),
        encode_value({"header": b"", "certificate": b"", "items": 1}),
        encode_value({"header": b"", "certificate": b"", "items": [], "more": 1}),
        encode_value({"header": b"", "certificate": b"", "items": [{"value": 1, "proof": b""}]}),
        encode_value({"header": b"", "certificate": b"", "items": [[]]}),
        encode_value({"header": 1, "certificate": b"", "items": []}),
    ],
)
def test_bytes_that_are_no_evidence(raw: bytes) -> None:
    with pytest.raises(MalformedBytes):
        decode_list(raw)
