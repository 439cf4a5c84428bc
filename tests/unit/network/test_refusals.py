"""A refusal crosses the wire and is the same refusal again."""

from typing import Any

import grpc
import pytest

from chain_core._pb.dualchain.node.v1.refusal_pb2 import Refusal
from chain_core.ledger.errors import DiskFull
from chain_core.network import refusals
from chain_core.network.identity import BadAddress, NotLoopback, require_loopback, split_address
from chain_core.network.transaction_refusals import Expired, PoolFull
from chain_core.types.errors import DualchainError, InvalidProof, InvalidTransaction, MalformedBytes, PeerFault

TOLD: dict[str, Any] = {"where": "field 3", "next_step": "write it again"}

SAME_TYPE: list[DualchainError] = [
    MalformedBytes("bytes", **TOLD),
    InvalidTransaction("transaction", **TOLD),
    InvalidProof("proof", **TOLD),
    refusals.NotFound("height 9", **TOLD),
    refusals.WrongChain("chain", **TOLD),
    refusals.Overloaded("full", retry_after_ms=250, **TOLD),
    refusals.Oversize("17 MB", **TOLD),
    refusals.Unavailable("stopping", **TOLD),
    refusals.Internal("a defect", **TOLD),
]


@pytest.mark.parametrize("refusal", SAME_TYPE, ids=lambda refusal: refusal.code)
def test_round_trip(refusal: DualchainError) -> None:
    back = refusals.from_metadata(refusals.to_message(refusal).SerializeToString())
    assert type(back) is type(refusal)
    assert (back.code, back.what, back.where, back.next_step) == (
        refusal.code,
        refusal.what,
        refusal.where,
        refusal.next_step,
    )
    assert getattr(back, "retry_after_ms", 0) == getattr(refusal, "retry_after_ms", 0)
    assert str(back) == str(refusal)


def test_a_code_without_a_type_here_keeps_its_code() -> None:
    back = refusals.from_message(Refusal(code="SOMETHING_NEW", what="w", retry_after_ms=7))
    assert type(back) is refusals.ServiceRefusal
    assert (back.code, back.retry_after_ms) == ("SOMETHING_NEW", 7)
    assert str(back).startswith("SOMETHING_NEW: w")


@pytest.mark.parametrize("refusal", [Expired("late", **TOLD), PoolFull("full", **TOLD)], ids=lambda r: r.code)
def test_items_keep_code_and_hint(refusal: DualchainError) -> None:
    back = refusals.from_message(refusals.to_message(refusal))
    assert back.code == refusal.code
    assert getattr(back, "retry_after_ms", 0) == getattr(refusal, "retry_after_ms", 0)


def test_a_fault_of_that_machine_is_not_a_fault_of_this_one() -> None:
    back = refusals.from_message(refusals.to_message(DiskFull("no room", **TOLD)))
    assert isinstance(back, refusals.ServiceRefusal)
    assert back.code == "DISK_FULL"


def test_long_texts_are_cut() -> None:
    message = refusals.to_message(MalformedBytes("w" * 10_000, where="x" * 10_000, next_step="y" * 10_000))
    assert message.ByteSize() < 4_000


def test_nonsense_in_the_metadata() -> None:
    assert isinstance(refusals.from_metadata(b"\xff\xff\xff"), refusals.ServiceRefusal)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (MalformedBytes("x"), grpc.StatusCode.INVALID_ARGUMENT),
        (refusals.NotFound("x"), grpc.StatusCode.NOT_FOUND),
        (refusals.Overloaded("x"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (refusals.WrongChain("x"), grpc.StatusCode.FAILED_PRECONDITION),
        (PeerFault("x"), grpc.StatusCode.PERMISSION_DENIED),
        (DiskFull("x"), grpc.StatusCode.UNAVAILABLE),
        (refusals.Internal("x"), grpc.StatusCode.INTERNAL),
    ],
)
def test_status(refusal: DualchainError, status: grpc.StatusCode) -> None:
    assert refusals.status_of(refusal) is status


@pytest.mark.parametrize(
    ("status", "details", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "connection refused", refusals.Unreachable),
        (grpc.StatusCode.OK, "", refusals.Unreachable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", refusals.DeadlinePassed),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", refusals.UnknownMethod),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 8)", refusals.Oversize),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls", refusals.Overloaded),
        (grpc.StatusCode.INTERNAL, "Internal error from Core", refusals.Cut),
        (grpc.StatusCode.DATA_LOSS, "?", refusals.ServiceRefusal),
    ],
)
def test_bare_statuses(status: grpc.StatusCode, details: str, kind: type[DualchainError]) -> None:
    assert type(refusals.from_status(status, details, "there")) is kind


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.1:65535", "127.8.8.8:7000", "[::1]:7000"])
def test_loopback_addresses(address: str) -> None:
    assert require_loopback(address) == address


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0:7000", NotLoopback),
        ("10.0.0.1:7000", NotLoopback),
        ("[::]:7000", NotLoopback),
        ("localhost:7000", NotLoopback),
        ("example.org:7000", NotLoopback),
        ("unix:/tmp/socket", BadAddress),
        ("127.0.0.1", BadAddress),
        ("127.0.0.1:", BadAddress),
        (":7000", BadAddress),
        ("127.0.0.1:70000", BadAddress),
        ("127.0.0.1:x", BadAddress),
        ("127.0.0.1:٣", BadAddress),
        ("", BadAddress),
    ],
)
def test_other_addresses_are_refused(address: str, kind: type[DualchainError]) -> None:
    with pytest.raises(kind) as caught:
        require_loopback(address)
    assert caught.value.where == address
    assert caught.value.next_step


def test_split_address() -> None:
    assert split_address("[::1]:7000") == ("::1", 7000)
