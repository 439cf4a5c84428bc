"""Each method that a node serves has a rule, and protected reads are named without their contents."""

from pathlib import Path

import pytest
from google.protobuf.message import Message

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core._pb.dualchain.p2p.v1 import p2p_pb2
from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.network.access import Named
from chain_core.network.quota import DEFAULT_LIMITS, Limit, Quota
from chain_core.node.access_rules import HEALTH_METHOD, PEER_RULES, READING_ROLES, client_rules
from chain_core.node.api import Health, method_table
from chain_core.node.api_names import method_name
from chain_core.node.config_quotas import QuotaSection
from chain_core.types.errors import MalformedBytes

RULES = client_rules(("kernel", "data"))
K, D, A = state_key("kernel", b"H1"), state_key("data", b"d2"), state_key("accounts", b"a3")
S = pb.Scope(ledger=2)


def test_each_method_of_the_protocols_has_a_rule() -> None:
    served = {f"/{s.full_name}/{m.name}" for s in pb.DESCRIPTOR.services_by_name.values() for m in s.methods}
    assert set(RULES) == served | {HEALTH_METHOD}
    assert set(Health().methods()) == {HEALTH_METHOD}
    linked = {f"/{s.full_name}/{m.name}" for s in p2p_pb2.DESCRIPTOR.services_by_name.values() for m in s.methods}
    assert set(PEER_RULES) == linked
    assert set(method_table(*(_Anything() for _ in range(5)))) == served  # type: ignore[arg-type]


class _Anything:
    def __getattr__(self, name: str) -> object:
        return None


def test_what_reads_blocks_whole_needs_a_reading_role_and_is_recorded() -> None:
    bulk = {method_name(short) for short in ("ScanState", "GetBlock", "GetEvents", "Subscribe")}
    assert {name for name, rule in RULES.items() if rule.one_of == READING_ROLES} == bulk
    assert {name for name, rule in RULES.items() if rule.protected} == bulk | {method_name("QueryState")}
    assert {rule.door for rule in RULES.values()} == {"client"}


@pytest.mark.parametrize(
    ("short", "request_", "what"),
    [
        ("QueryState", pb.QueryStateRequest(scope=S, keys=[A]), None),
        ("QueryState", pb.QueryStateRequest(scope=S), None),
        ("QueryState", pb.QueryStateRequest(scope=S, keys=[A, K, D]), f"keys {K.hex()} {D.hex()}"),
        ("QueryState", pb.QueryStateRequest(scope=S, keys=[K] * 257), None),  # refused as OVERSIZE
        ("ScanState", pb.ScanStateRequest(scope=S, prefix=K[:3]), f"prefix {K[:3].hex()}"),
        ("ScanState", pb.ScanStateRequest(scope=S, prefix=K, after=D), f"prefix {K.hex()} behind {D.hex()}"),
        ("GetBlock", pb.GetBlockRequest(scope=S, height=7), "height 7"),
        ("GetEvents", pb.GetEventsRequest(scope=S, height=7, start=3), "height 7 from 3"),
        ("Subscribe", pb.SubscribeRequest(scope=S), "from the next block"),
        (
            "Subscribe",
            pb.SubscribeRequest(scope=S, from_height=4, accounts=[bytes(16)], kinds=["sold"]),
            f"from height 4, accounts {bytes(16).hex()}, kinds {b'sold'.hex()}",
        ),
    ],
)
def test_what_is_read_is_named(short: str, request_: Message, what: str | None) -> None:
    protected = RULES[method_name(short)].protected
    assert protected is not None
    assert protected(request_.SerializeToString()) == (Named(2, what) if what else None)
    with pytest.raises(MalformedBytes):
        protected(b"\xff\xff")


def test_a_record_is_bounded_whatever_is_asked() -> None:
    protected = RULES[method_name("QueryState")].protected
    assert protected is not None
    keys = [state_key("kernel", bytes([n]) * 300) for n in range(256)]
    named = protected(pb.QueryStateRequest(keys=keys).SerializeToString())
    assert named is not None
    assert named.what.endswith(f"256 in all, sm3 {sm3(b''.join(keys)).hex()}")
    assert len(named.what) < 6_000


def test_quotas_of_the_configuration() -> None:
    assert QuotaSection().limits() == DEFAULT_LIMITS
    section = QuotaSection.model_validate({"read": [5, 10], "handshakes": [7, 8]})
    assert section.limits()[Quota.READ] == Limit(5, 10)
    assert section.handshake_limits()[1] == Limit(7, 8)


@pytest.mark.parametrize(
    "wrong", [{"read": [5]}, {"read": [0, 1]}, {"bytes": [1, 1_000]}, {"signatures": [1, 100]}, {"other": [1, 1]}]
)
def test_quotas_that_are_refused(wrong: dict[str, list[int]]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        QuotaSection.model_validate(wrong)


def test_the_specification_names_each_method() -> None:
    text = (Path(__file__).parents[3] / "docs/spec/access.md").read_text("utf-8")
    for name in (*RULES, *PEER_RULES):
        assert name.rpartition("/")[2] in text
