"""Whatever an endpoint answers becomes an observation (docs/spec/drift.md §2)."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest

from chain_core.network.refusals import PermissionDenied, Unreachable
from chain_core.network.secured.security import PLAINTEXT
from chain_core.types.errors import DualchainError, MalformedBytes
from crosschain.jrt0314.endpoint import Credentials, EndpointAway, Response
from supervisory_chain.probing import asking

STATUS, OPTIONS = {"height": 12, "hash": "00"}, {"node_version": "3.1", "operations": []}


class FakeEndpoint:
    """An HTTPS interface that answers what the test says, by the end of the path."""

    answers: ClassVar[dict[str, Any]] = {}

    def __init__(self, url: str, credentials: Credentials, timeout_s: float) -> None:
        assert url == "https://10.0.0.1:8443"

    def get(self, path: str, credentials: str = "own") -> Response:
        answer = self.answers[path.rsplit("/", 1)[1]]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else Response(200, {}, json.dumps(answer).encode())

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, ""),
        ({"status": EndpointAway("gone")}, "unreachable"),
        ({"status": Response(403, {}, b"")}, "refused"),
        ({"status": Response(200, {}, b"not json")}, "unreachable"),
        ({"status": []}, "malformed"),
        ({"status": {"height": "12"}}, "malformed"),
        ({"status": {"height": 1 << 63}}, "malformed"),
        ({"options": {}}, "malformed"),
        ({"options": {"node_version": "x" * 65}}, "malformed"),
    ],
)
def test_an_interface_answers_or_has_a_fault(
    changes: dict[str, Any], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "HttpEndpoint", FakeEndpoint)
    monkeypatch.setattr(FakeEndpoint, "answers", {"status": STATUS, "options": OPTIONS, **changes})
    seen = asyncio.run(asking.by_interface("n", "10.0.0.1:8443", "net", Credentials(), 1.0))
    assert seen.fault == fault
    if not fault:
        assert (seen.height, seen.version, seen.chain_id, seen.genesis_hash) == (12, "3.1", "net", b"")


@pytest.mark.parametrize(
    ("refusal", "fault"),
    [
        (Unreachable("gone"), "unreachable"),
        (TimeoutError(), "unreachable"),
        (PermissionDenied("no"), "refused"),
        (MalformedBytes("no answer of ours"), "malformed"),
    ],
)
def test_a_node_that_does_not_answer_has_a_fault(
    refusal: DualchainError | TimeoutError, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def status(self: object) -> None:
        raise refusal

    monkeypatch.setattr(asking.NodeClient, "status", status)
    seen = asyncio.run(asking.by_status("n", "127.0.0.1:1", PLAINTEXT, 1.0))
    assert (seen.fault, seen.argument()["fault"], seen.height) == (fault, fault, 0)
