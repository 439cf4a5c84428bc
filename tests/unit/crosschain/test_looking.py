"""A holder and an enterprise are shown whole or not at all: whatever is left out, changed, aged or another's is refused
by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import encode_state_proof
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.node.answers import CertifiedHeader, StateItem
from chain_core.node.chain_view import ChainView
from chain_core.types.errors import InvalidProof
from chain_core.types.values import Value
from contracts.data.records import DATA, Descriptor, Grant, body_key, encode, grant_key, object_key, readers_key
from contracts.kernel.codes import BOUND_CODE, INVESTOR_CODE, code_key
from contracts.kernel.orders import Order, encode_order
from contracts.kernel.records import (
    HOLDING,
    HOLDING_FREEZE,
    ORDER,
    ORDER_QUEUE,
    PARTY_FREEZE,
    PLEDGE,
    PLEDGE_LIST,
    SECURITY,
    SECURITY_FREEZE,
    Flag,
    decode_holding,
    decode_pledge,
    decode_security,
    encode_holding,
    encode_pledge,
    encode_security,
)
from contracts.kernel.roll import HELD_HEAD, ISSUED_HEAD, encode_head
from crosschain.complete_lists import ListEvidence, ListMoved, decode_list, encode_list
from crosschain.following import Position
from crosschain.looking.enterprise import EnterpriseInquiry, check_enterprise
from crosschain.looking.holder import HolderInquiry, check_holder
from crosschain.looking.inquiry import Fresh, FromTheFuture, Inquiry, StaleAnswer, fetch
from crosschain.looking.objects import TieredInquiry, TieredObject, check_tiered
from crosschain.looking.securities import own
from local_chain.assembly import local_assembly
from supervisory_chain.looking import cli
from tests.unit.crosschain.chains import Chain, Layers, account, local_genesis, op, security
from tests.unit.crosschain.test_proofs import Node, view_of
from tests.vectors.state_model import StateModel

CODE, OTHER, FREE = "Q000000001", "R000000042", "S999999999"
CREDIT = "91110000MA0000000X"
H, B = account("holder"), account("buyer")
EVIDENCE = bytes(32)


class Story:
    """A market in which a holder has two securities, one of them pledged in part, and an issuer has issued them."""

    def __init__(self, layers: Layers) -> None:
        self.layers, local = layers, layers.local
        self.securities = [derive_id(local.hash, "security", account("operator"), name) for name in ("S1", "S2")]
        enterprise: dict[str, Value] = {"credit_code": CREDIT, "province": "BJ", "attributes": {"industry": "C"}}
        for receipt in local.block(
            local.sign("operator", op("kernel", "bind_code", account=H, code=CODE)),
            local.sign("operator", op("kernel", "bind_code", account=B, code=OTHER)),
            local.sign(
                "operator",
                op("kernel", "register_enterprise", account=account("issuer"), evidence=EVIDENCE, **enterprise),
            ),
            *(local.sign("operator", *self._listed(n)) for n in range(2)),
            local.sign("bank", op("kernel", "deposit", rows=[{"account": H, "amount_fen": 700, "reference": "in-1"}])),
            local.sign(
                "holder",
                op("kernel", "pledge", reference="l", security=self.securities[0], quantity=4, pledgee=account("bank")),
            ),
        ):
            assert receipt.code == 0, receipt
        self.pledge = derive_id(local.hash, "pledge", H, "l")
        self.values = dict(local.store.scan(b"", b"", 100_000))

    def _listed(self, number: int) -> list[object]:
        rows = [{"account": who, "quantity": quantity, "acquired_day": 0} for who, quantity in ((H, 60), (B, 40))]
        found = self.securities[number]
        return [
            security(f"S{number + 1}"),
            op("kernel", "register_holding", security=found, rows=rows),  # type: ignore[arg-type]
            op("kernel", "activate_security", security=found),
        ]

    def evidence(self, inquiry: Inquiry, values: dict[bytes, bytes] | None = None) -> ListEvidence:
        """What a node of a chain in this state would hand over, certified by its quorum."""
        local, values = self.layers.local, self.values if values is None else values
        model = StateModel(values, 16)
        header = encode_header(replace(decode_header(local.certified(local.height)[0]), state_root=model.root))
        items = tuple(StateItem(values.get(k), encode_state_proof(model.prove(k))) for k in inquiry.keys(_All(values)))
        return ListEvidence(CertifiedHeader(header, local.certify(header)), items)

    def view(self) -> ChainView:
        return view_of(self.layers)


class _All(dict[bytes, "bytes | None"]):
    """Every key is known: absent ones as absent."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: bytes) -> None:
        return None


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    layers = Layers.begin(tmp_path_factory.mktemp("looking"))
    yield Story(layers)
    layers.close()


HOLDER, ENTERPRISE = HolderInquiry(CODE), EnterpriseInquiry(CREDIT)


def test_a_holder_is_shown_whole(story: Story) -> None:
    """By the node's own answers, carried as bytes."""
    evidence = decode_list(encode_list(asyncio.run(fetch(Node(story.layers), HOLDER))))
    found = check_holder(story.view(), CODE, evidence)
    assert found.party is not None and found.party.account == H and found.party.cash.available == 700
    assert [(one.security.security, one.holding.total) for one in found.holdings] == [
        (name, 60) for name in story.securities
    ]
    assert found.holdings[0].holding.pledged == 4 and found.holdings[0].security.reference == "S1"
    assert [(key, one.quantity) for key, one in found.holdings[0].pledges] == [(story.pledge, 4)]
    assert found.holdings[1].pledges == ()


def test_a_code_that_nobody_has_is_proven_to_be_nobodys(story: Story) -> None:
    evidence = asyncio.run(fetch(Node(story.layers), HolderInquiry(FREE)))
    assert len(evidence.items) == 1 and check_holder(story.view(), FREE, evidence).party is None
    with pytest.raises(InvalidProof):
        check_holder(story.view(), CODE, evidence)


def test_an_enterprise_is_shown_with_the_whole_roll_of_all_it_issued(story: Story) -> None:
    evidence = decode_list(encode_list(asyncio.run(fetch(Node(story.layers), ENTERPRISE))))
    found = check_enterprise(story.view(), CREDIT, evidence)
    assert found.account == account("issuer") and found.province == "BJ" and found.attributes == {"industry": "C"}
    assert [one.security.security for one in found.securities] == story.securities
    for one in found.securities:
        assert one.total == 100 and [(who, held.total) for who, held in one.holders] == [(H, 60), (B, 40)]
    nobody = "9" * 18
    assert (
        check_enterprise(
            story.view(), nobody, asyncio.run(fetch(Node(story.layers), EnterpriseInquiry(nobody)))
        ).account
        is None
    )


@pytest.mark.parametrize("inquiry", [HOLDER, ENTERPRISE], ids=["holder", "enterprise"])
def test_without_any_one_item_or_with_it_changed_nothing_is_shown(story: Story, inquiry: Inquiry) -> None:
    evidence, view = story.evidence(inquiry), story.view()

    def check(changed: tuple[StateItem, ...]) -> None:
        altered = replace(evidence, items=changed)
        if isinstance(inquiry, HolderInquiry):
            check_holder(view, CODE, altered)
        else:
            check_enterprise(view, CREDIT, altered)

    items = evidence.items
    check(items)
    assert len(items) > 15
    for place, item in enumerate(items):
        before, after = items[:place], items[place + 1 :]
        other = item.value[:-1] + bytes([item.value[-1] ^ 1]) if item.value else b"\x01"
        for changed in (
            (*before, *after),
            (*before, item, item, *after),
            (*before, replace(item, value=None if item.value else b"\x00"), *after),
            (*before, replace(item, value=other), *after),
            (*before, replace(item, proof=items[place - 1].proof), *after),
        ):
            with pytest.raises(InvalidProof):
                check(changed)
        if after:
            with pytest.raises(InvalidProof):
                check((*before, after[0], item, *after[1:]))


Change = Callable[[Story, dict[bytes, bytes]], None]


def holding(changes: dict[str, int]) -> Change:
    def apply(story: Story, values: dict[bytes, bytes]) -> None:
        key = own(HOLDING + story.securities[0] + H)
        values[key] = encode_holding(decode_holding(values[key])._replace(**changes))

    return apply


def gone(key: Callable[[Story], bytes]) -> Change:
    return lambda story, values: values.__delitem__(own(key(story)))


def stored(key: Callable[[Story], bytes], value: Callable[[Story], bytes]) -> Change:
    return lambda story, values: values.__setitem__(own(key(story)), value(story))


def marked(**changes: int) -> Change:
    def apply(story: Story, values: dict[bytes, bytes]) -> None:
        key = own(SECURITY + story.securities[0])
        values[key] = encode_security(decode_security(values[key])._replace(**changes))

    return apply


def all_of(*changes: Change) -> Change:
    def apply(story: Story, values: dict[bytes, bytes]) -> None:
        for change in changes:
            change(story, values)

    return apply


def ordered(held: int) -> Change:
    """A court order of 9 shares that holds so many of them."""
    name = bytes(15) + b"\x09"
    return all_of(
        marked(flags=Flag.ORDERS),
        stored(lambda s: ORDER_QUEUE + s.securities[0] + H, lambda s: name),
        stored(lambda s: ORDER + name, lambda s: encode_order(Order(s.securities[0], H, 9, held, 0, 99_999))),
    )


def another_pledge(story: Story, values: dict[bytes, bytes]) -> None:
    key = own(PLEDGE + story.pledge)
    values[key] = encode_pledge(decode_pledge(values[key])._replace(owner=B))


CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    "a code that leads to another's account": (
        stored(lambda s: code_key(INVESTOR_CODE, CODE), lambda s: B), "has another code"
    ),
    "an account without its code": (gone(lambda s: BOUND_CODE + H), "has another code"),
    "a code that leads to no account": (stored(lambda s: code_key(INVESTOR_CODE, CODE), lambda s: b"x"), "no account"),
    "a security left out of the list": (
        stored(lambda s: HELD_HEAD + H, lambda s: encode_head(1, bytes(32))), "disagree"
    ),
    "a holding that is none": (gone(lambda s: HOLDING + s.securities[1] + H), "none of it is held"),
    "an empty holding": (holding({"available": 0, "pledged": 0}), "none of it is held"),
    "a security that is none": (gone(lambda s: SECURITY + s.securities[1]), "none of it is held"),
    "a pledge left out": (gone(lambda s: PLEDGE_LIST + s.securities[0] + H), "not the 4 pledged"),
    "a pledge twice": (
        stored(lambda s: PLEDGE_LIST + s.securities[0] + H, lambda s: 2 * s.pledge), "not the 4 pledged"
    ),
    "a pledge that counts twice": (
        all_of(stored(lambda s: PLEDGE_LIST + s.securities[0] + H, lambda s: 2 * s.pledge), holding({"pledged": 8})),
        "not the 8 pledged",
    ),
    "a pledge of nothing": (gone(lambda s: PLEDGE + s.pledge), "does not pledge"),
    "another's pledge": (another_pledge, "does not pledge"),
    "more pledged than the pledges": (holding({"pledged": 5}), "not the 5 pledged"),
    "an order of nothing": (all_of(ordered(0), gone(lambda s: ORDER + bytes(15) + b"\x09")), "does not freeze"),
    "an order beyond what is frozen": (ordered(3), "frozen are 0"),
    "a frozen security without a directive": (marked(frozen=1), "no directive"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_state_that_contradicts_itself_is_said_to(story: Story, name: str) -> None:
    """Only a market whose quorum lies could prove these."""
    apply, message = CONTRADICTIONS[name]
    values = dict(story.values)
    apply(story, values)
    with pytest.raises(InvalidProof, match=message):
        check_holder(story.view(), CODE, story.evidence(HOLDER, values))


def test_freezes_and_orders_are_shown_with_what_they_bind(story: Story) -> None:
    values = dict(story.values)
    all_of(
        holding({"available": 50, "frozen": 6}),
        ordered(2),
        stored(lambda s: HOLDING_FREEZE + s.securities[0] + H, lambda s: encode_value([["d-1", 3], ["d-2", 1, 5]])),
        marked(flags=Flag.ORDERS, frozen=1),
        stored(lambda s: SECURITY_FREEZE + s.securities[0], lambda s: encode_value(["d-3"])),
        stored(lambda s: PARTY_FREEZE + H, lambda s: encode_value(["d-4"])),
    )(story, values)
    found = check_holder(story.view(), CODE, story.evidence(HOLDER, values))
    first = found.holdings[0]
    assert found.party is not None and found.party.freezes == ("d-4",) and first.security.freezes == ("d-3",)
    assert [(one.directive, one.quantity, one.fruit_fen) for one in first.freezes] == [("d-1", 3, 0), ("d-2", 1, 5)]
    assert [order.held for _, order in first.orders] == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (gone(lambda s: b"e" + account("issuer")), "no enterprise"),
        (stored(lambda s: ISSUED_HEAD + account("issuer"), lambda s: encode_head(1, bytes(32))), "disagree"),
        (marked(issuer=B), "another account issued it"),
        (marked(total=99), "sum to 100"),
        (holding({"slot": 1}), "no holding at slot 0"),
    ],
)
def test_an_enterprise_that_contradicts_itself_is_said_to(story: Story, change: Change, message: str) -> None:
    values = dict(story.values)
    change(story, values)
    with pytest.raises(InvalidProof, match=message):
        check_enterprise(story.view(), CREDIT, story.evidence(ENTERPRISE, values))


def test_an_old_answer_or_one_from_the_future_is_refused(story: Story) -> None:
    evidence, local = story.evidence(HOLDER), story.layers.local
    now, height = local.time_ms, local.height
    good = Fresh(Position(height=height, time_ms=now), now, now)
    assert check_holder(story.view(), CODE, evidence, good).header.height == height
    for fresh, kind in (
        (Fresh(Position(height=height + 1)), StaleAnswer),
        (Fresh(Position(time_ms=now + 1)), StaleAnswer),
        (Fresh(not_before_ms=now + 1), StaleAnswer),
        (Fresh(not_after_ms=now - 1), FromTheFuture),
    ):
        with pytest.raises(kind):
            check_holder(story.view(), CODE, evidence, fresh)


def test_another_chains_header_and_another_holders_answer_prove_nothing(story: Story, tmp_path: Path) -> None:
    other = Chain.begin(tmp_path, local_genesis("shanghai", "SH"), local_assembly)
    other.block()
    header = CertifiedHeader(*other.certified(1))
    other.store.close()
    evidence = story.evidence(HOLDER)
    with pytest.raises(InvalidProof):
        check_holder(story.view(), CODE, replace(evidence, header=header))
    with pytest.raises(InvalidProof):
        check_holder(story.view(), CODE, story.evidence(HolderInquiry(OTHER)))
    with pytest.raises(InvalidProof):
        check_holder(ChainView(other.genesis_bytes), CODE, evidence)


def test_an_answer_is_of_one_header_while_the_chain_goes_on(layers: Layers) -> None:
    story = Story(layers)

    def once(call: int) -> None:
        if call == 2:
            layers.local.block()

    evidence = asyncio.run(fetch(Node(layers, once), HOLDER))
    assert check_holder(view_of(layers), CODE, evidence).header.height == layers.local.height
    with pytest.raises(ListMoved):
        asyncio.run(fetch(Node(layers, lambda _: layers.local.block() and None), ENTERPRISE))
    assert story.securities


OBJECT, READER = bytes(15) + b"\x07", account("buyer")


def tiered(story: Story, tier: str, *, listed: bool, granted_until: int = 0) -> dict[bytes, bytes]:
    """The story's state with an object of this tier, and a reader who is listed, or holds a grant."""
    values = dict(story.values)
    row = Descriptor(tier, "financial", H, "active", 1, 8, bytes(32), b"", ())
    values[state_key(DATA, object_key(OBJECT))] = encode(row)
    values[state_key(DATA, body_key(OBJECT))] = b"what it says"
    if listed:
        values[state_key(DATA, readers_key(OBJECT))] = encode_value([READER])
    if granted_until:
        values[state_key(DATA, grant_key(OBJECT, READER))] = encode(Grant(granted_until, "owner"))
    return values


def test_contents_of_a_protected_tier_need_a_grant_in_force(story: Story) -> None:
    inquiry, now = TieredInquiry(OBJECT, READER, contents=True), story.layers.local.time_ms

    def found(tier: str, until: int) -> TieredObject:
        values = tiered(story, tier, listed=until > 0, granted_until=until)
        return check_tiered(story.view(), inquiry, story.evidence(inquiry, values))

    assert found("public", 0).body == b"what it says"
    for tier in ("limited", "private"):
        for until, allowed in ((0, False), (now, False), (now + 1, True)):
            one = found(tier, until)
            assert one.authorised() is allowed and one.body is None and one.descriptor is not None
            row = cli._released
            if allowed:
                assert "dualchain local data get" in row(one, True)["next"]
            else:
                with pytest.raises(cli.NotAuthorised):
                    row(one, True)
            assert row(one, False)["tier"] == tier, "descriptors are shown to every reader"
    unlisted = tiered(story, "private", listed=False, granted_until=now + 1)
    with pytest.raises(InvalidProof, match="contradict"):
        check_tiered(story.view(), inquiry, story.evidence(inquiry, unlisted))
