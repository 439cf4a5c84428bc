"""A resolver over HTTP: DIDs and credential statuses from proven state, foreign labels from the global resolver
(docs/spec/identity.md §4).

``read`` answers a full state key with what is proven of it, and raises DualchainError when nothing fresh is. A resolver
with an ``upstream`` is a local one: what is of another label it asks there, once, and changes nothing of the answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from chain_core.network.quota import Limit
from chain_core.types.errors import DualchainError
from crosschain.identity.callers import Callers, caller_of
from crosschain.identity.did import NoDid, is_credential_id, label_of_credential
from crosschain.identity.records import credential_key, decode_credential, decode_did, did_key
from crosschain.identity.resolution import (
    INTERNAL,
    INVALID,
    MEDIA_TYPE,
    NOT_FOUND,
    NOT_SUPPORTED,
    Result,
    did_in,
    failed,
    found,
    label_of,
    same_document,
    status_answer,
    wanted,
)

log = logging.getLogger(__name__)

UPSTREAM_S = 5.0
MAX_UPSTREAM_BYTES = 262_144
MAX_RUNNING = 256
CALLER_LIMIT = Limit(20, 100)
_JSON = "application/json"

Read = Callable[[bytes], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class Answered:
    """Whose DIDs are answered from ``read``: ``label``, or every market's when it is empty."""

    read: Read
    label: str = ""
    upstream: str = ""


class Resolver:
    """The two functions as an aiohttp application."""

    def __init__(
        self, answered: Answered, limit: Limit = CALLER_LIMIT, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._from = answered
        self._callers, self._clock_ns = Callers(limit), clock_ns
        self._running = asyncio.Semaphore(MAX_RUNNING)

    def application(self) -> web.Application:
        """Paths: ``/did:rem:…`` and ``/status/<credential>``."""
        made = web.Application(client_max_size=0, middlewares=[self._limited])
        made.router.add_get("/status/{credential:.+}", self._status)
        made.router.add_get("/{did:.+}", self._resolve)
        return made

    @web.middleware
    async def _limited(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """429 with the seconds to wait, before anything is asked of a node."""
        wait_ns = self._callers.wait_ns(caller_of(request.remote), self._clock_ns())
        if not wait_ns:
            return await handler(request)
        after = {"Retry-After": str(-(-wait_ns // 1_000_000_000))}
        body = failed(INTERNAL).encoded()
        return web.Response(status=429, body=body, headers=after, content_type=_JSON, charset="utf-8")

    async def _resolve(self, request: web.Request) -> web.Response:
        async with self._running:
            result = await self.resolve(request.raw_path.partition("?")[0], request)
        return web.Response(status=result.status, body=result.encoded(), content_type=_JSON, charset="utf-8")

    async def resolve(self, path: str, request: web.Request) -> Result:
        """The answer to one request. It never raises: what cannot be asked is ``internalError``."""
        if not wanted(request.headers):
            return failed(NOT_SUPPORTED)
        try:
            did = did_in(path)
        except (NoDid, UnicodeDecodeError):
            return failed(INVALID)
        label = label_of(did)
        if isinstance(label, Result):
            return label
        try:
            if self._from.label and label != self._from.label:
                return await self._ask_upstream(did)
            raw = await self._from.read(did_key(did))
            return failed(NOT_FOUND) if raw is None else found(decode_did(raw))
        except (DualchainError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("%s cannot be resolved now: %s", did, error)
            return failed(INTERNAL)

    async def _ask_upstream(self, did: str) -> Result:
        """The global resolver's answer as it is. Without one, a foreign DID cannot be answered: no ``notFound``."""
        if not self._from.upstream:
            return failed(INTERNAL)
        status, body = await self._get(f"{self._from.upstream}/{did}", {"Accept": MEDIA_TYPE})
        result = Result(status, body)
        if not same_document(body, did) or (status == 200) is bool(result.error):
            return failed(INTERNAL)
        return result

    async def _status(self, request: web.Request) -> web.Response:
        credential = request.match_info["credential"]
        try:
            async with self._running:
                answer = await self.status(credential)
        except (DualchainError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("the status of %s cannot be told now: %s", credential[:80], error)
            return web.json_response({"error": INTERNAL}, status=500)
        return web.json_response(answer)

    async def status(self, credential: str) -> dict[str, str]:
        """``VCStatus2022`` of a credential. Raises what reading raises: unknown is not ``notExist``."""
        if not is_credential_id(credential):
            return status_answer(credential[:128], None)
        if self._from.label and label_of_credential(credential) != self._from.label:
            if not self._from.upstream:
                raise ValueError("no global resolver is configured")
            _, body = await self._get(f"{self._from.upstream}/status/{credential}", {"Accept": _JSON})
            if body.get("id") != credential or not isinstance(body.get("credentialStatus"), str):
                raise ValueError("the global resolver answered about something else")
            return status_answer(credential, body["credentialStatus"])
        raw = await self._from.read(credential_key(credential))
        return status_answer(credential, None if raw is None else decode_credential(raw).status)

    @staticmethod
    async def _get(url: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """One request without redirects, bounded in time and size. Raises ClientError, TimeoutError, ValueError."""
        timeout = aiohttp.ClientTimeout(total=UPSTREAM_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            raw = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                raw += chunk
                if len(raw) > MAX_UPSTREAM_BYTES:
                    raise ValueError(f"the global resolver's answer has more than {MAX_UPSTREAM_BYTES} bytes")
            try:
                body = json.loads(raw)
            except RecursionError:
                raise ValueError("the global resolver's answer is nested too deep") from None
            if not isinstance(body, dict):
                raise ValueError("the global resolver's answer is no JSON object")
            return response.status, body
