"""The HTTPS application: paths to requests, guarded like a node's methods, answers as JSON (docs/spec/node-interface.md
§5).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from google.protobuf.message import Message

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.methods import Method, Unary, as_refusal
from chain_core.network.raw_rpc import RawChannel
from chain_core.network.refusals import Overloaded, PermissionDenied, ServiceRefusal, Unavailable
from chain_core.node.log import event
from chain_core.types.errors import DualchainError, MalformedBytes
from crosschain.jrt0314.messages import to_json
from crosschain.jrt0314.service import REQUESTS, method_name
from local_chain.interface.callers import Callers, Unauthenticated
from local_chain.interface.snapshots import METHOD, Found, StoreDiffers

log = logging.getLogger(__name__)

CALLER: Final = web.RequestKey("caller", Caller)
MAX_RUNNING: Final = 64
"""Requests at once."""
ANSWER_S: Final = 20.0
_STATUS: Final[Mapping[str, int]] = {
    "MALFORMED": 400,
    "MALFORMED_BYTES": 400,
    Unauthenticated.code: 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "WRONG_CHAIN": 404,
    "WRONG_LEDGER": 404,
    "PRUNED": 410,
    "OVERSIZE": 413,
    "QUOTA_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    StoreDiffers.code: 502,
    "STORE_FAULT": 502,
}

PATHS: Final = (
    ("/networks", "Networks"),
    ("/networks/{network_id}/options", "Options"),
    ("/networks/{network_id}/status", "Status"),
    ("/networks/{network_id}/blocks/{height}", "Block"),
    ("/networks/{network_id}/blocks/{height}/transactions/{tx_id}", "Tx"),
    ("/networks/{network_id}/blocks/{height}/state", "State"),
    ("/networks/{network_id}/blocks/{height}/objects", "Ids"),
    ("/networks/{network_id}/blocks/{height}/objects/{object_id}", "Object"),
)
SNAPSHOT_PATH: Final = "/objects/{object_id}/versions/{version}"


def node_methods(node: RawChannel) -> dict[str, Method]:
    """The eight functions, handed to the one node behind this port."""

    def handed(name: str) -> Unary:
        async def call(_: Caller, data: bytes) -> bytes:
            try:
                return await node.unary(name, data, timeout_s=ANSWER_S)
            except PermissionDenied as refusal:  # it is this process that the node refuses, not the caller
                raise Unavailable(
                    f"the node does not answer this interface: {refusal.what}",
                    where=name,
                    next_step="the operator gives it a certificate with the roles client and reader",
                ) from refusal

        return Unary(call)

    return {method_name(short): handed(method_name(short)) for short in REQUESTS}


@dataclass(slots=True)
class Interface:
    """``methods`` are guarded: quota, role and record run before each (docs/spec/access.md §1)."""

    methods: Mapping[str, Method]
    callers: Callers
    count: Callable[[DualchainError], None] = lambda _: None
    running: int = 0

    def application(self, *outer: Middleware) -> web.Application:
        """For aiohttp. What has no path here is 404, another method than GET 405."""
        app = web.Application(middlewares=[*outer, self._guarded], client_max_size=1)
        for path, short in PATHS:
            app.router.add_get(path, self._function(short), allow_head=False)
        app.router.add_get(SNAPSHOT_PATH, self._snapshot, allow_head=False)
        return app

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Room, and every refusal as JSON; who is not known learns not even which paths there are."""
        try:
            if self.running >= MAX_RUNNING:
                raise Overloaded("too many requests at once", where="interface", retry_after_ms=1_000)
            self.running += 1
            try:
                request[CALLER] = self.callers.of(request.transport, request.headers.get("Authorization", ""))
                return await handler(request)
            finally:
                self.running -= 1
        except web.HTTPException as error:
            return _error(error.status, ServiceRefusal(error.reason, where=request.path[:200], code="NOT_FOUND"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a refusal and the log the rest
            refusal = as_refusal(request.path[:200], error)
            if isinstance(refusal, StoreDiffers):
                event(log, logging.ERROR, "STORE_DIFFERS", {"object": refusal.where, "what": refusal.what})
            if isinstance(refusal, Unauthenticated):
                self.count(refusal)
            return _error(_STATUS.get(refusal.code, 400 if isinstance(refusal, MalformedBytes) else 503), refusal)

    def _function(self, short: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        kind, response = REQUESTS[short]

        async def answer(request: web.Request) -> web.Response:
            _check_query(request, ())
            asked = kind(**_members(kind, request.match_info))
            raw = await self._call(method_name(short), request, asked)
            return web.Response(body=_text(to_json(response.FromString(raw))), content_type="application/json")

        return answer

    async def _snapshot(self, request: web.Request) -> web.Response:
        _check_query(request, ("materialised",))
        asked = pb.SnapshotRequest(**request.match_info, materialised=request.query.get("materialised") == "true")
        found = Found.unpacked(await self._call(METHOD, request, asked))
        headers = {"X-Content-SM3": found.hash.hex(), "X-Object-Version": str(found.version)}
        return web.Response(body=found.content, content_type="application/json", headers=headers)

    async def _call(self, name: str, request: web.Request, asked: Message) -> bytes:
        method = self.methods[name]
        assert isinstance(method, Unary)
        return await method.handler(request[CALLER], asked.SerializeToString())


def _members(kind: type[Message], found: Mapping[str, str]) -> dict[str, Any]:
    """The path's parts as the request's members. Raises MalformedBytes."""
    members: dict[str, Any] = dict(found)
    if "height" in members:
        text = members["height"]
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise MalformedBytes(f"{text[:40]!r} is no height", where="height", next_step="an integer from 0")
        members["height"] = int(text)
    return members


def _check_query(request: web.Request, known: tuple[str, ...]) -> None:
    if unknown := sorted(set(request.query) - set(known)):
        raise MalformedBytes(f"unknown query {unknown[0][:40]!r}", where="query", next_step="leave it out")


def _text(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def _error(status: int, refusal: DualchainError) -> web.Response:
    told = {"code": refusal.code, "what": refusal.what, "where": refusal.where, "next_step": refusal.next_step}
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if retry := getattr(refusal, "retry_after_ms", 0):
        headers["Retry-After"] = str(-(-retry // 1_000))
    return web.Response(status=status, body=_text({"error": told}), content_type="application/json", headers=headers)
