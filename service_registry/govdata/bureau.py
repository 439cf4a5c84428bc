"""Asking a data bureau: a port of one method, and its adapter over HTTPS (docs/spec/government-data.md §5)."""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from chain_core.codec import signed
from chain_core.crypto.providers import signing_provider
from chain_core.network.refusals import ServiceRefusal
from service_registry.govdata.receipts import QUERY, BureauAnswer, Query

ASK_S = 10.0
MAX_ANSWER_BYTES = 1_000_000
PATH = "/v1/query"


class BureauUnreachable(ServiceRefusal):
    """No answer in time, or none that can be read; the same question may be asked again."""

    code = "BUREAU_UNREACHABLE"


class BureauRefused(ServiceRefusal):
    """The bureau answered that it gives nothing."""

    code = "BUREAU_REFUSED"


class Bureau(Protocol):
    """A data bureau: one request gets one receipt, however often it is asked."""

    async def ask(self, query: Query) -> BureauAnswer:
        """Raises BureauUnreachable, BureauRefused."""
        ...


def bad_url(url: str) -> bool:
    """Whether the URL is neither HTTPS nor HTTP on this machine."""
    parts = urlsplit(url)
    return not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1")))


class HttpBureau:
    """The bureau behind ``url``; ``private`` signs the queries."""

    def __init__(self, url: str, genesis_hash: bytes, private: bytes, ca: Path | None = None) -> None:
        self._url, self._genesis_hash, self._private = url.rstrip("/") + PATH, genesis_hash, private
        self._tls = ssl.create_default_context(cafile=ca) if url.startswith("https:") else None

    async def ask(self, query: Query) -> BureauAnswer:
        """One request, without redirects, bounded in time and size."""
        raw = query.encode()
        signature = signing_provider().sm2_sign(self._private, signed.message(QUERY, self._genesis_hash, raw))
        body = {"query": base64.b64encode(raw).decode(), "signature": base64.b64encode(signature).decode()}
        try:
            status, answer = await self._post(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise BureauUnreachable(
                f"no answer: {str(error) or type(error).__name__}", where=self._url, next_step="ask again"
            ) from error
        if status != 200:
            what = f"{str(answer.get('error'))[:64]}: {str(answer.get('what'))[:256]}"
            if 400 <= status < 500:
                raise BureauRefused(what, where=self._url, next_step="see what the bureau says")
            raise BureauUnreachable(f"status {status}: {what}", where=self._url, next_step="ask again")
        try:
            parts = [base64.b64decode(str(answer[name]), validate=True) for name in ("receipt", "signature")]
            return BureauAnswer(parts[0], parts[1], str(answer["data"]).encode("utf-8"))
        except (KeyError, binascii.Error) as error:
            raise BureauUnreachable(f"no answer in form: {error}", where=self._url, next_step="ask again") from error

    async def _post(self, body: dict[str, str]) -> tuple[int, dict[str, object]]:
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self._url, json=body, allow_redirects=False, ssl=self._tls or True) as response,
        ):
            raw = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                raw += chunk
                if len(raw) > MAX_ANSWER_BYTES:
                    raise ValueError(f"more than {MAX_ANSWER_BYTES} bytes")
            try:
                found = json.loads(raw)
            except RecursionError:
                raise ValueError("nested too deep") from None
            if not isinstance(found, dict):
                raise ValueError("no JSON object")
            return response.status, found
