"""The stand-in data bureau and the adapter that asks it: one request one receipt, and each refusal by its name."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from chain_core.codec import signed
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.types.errors import InvalidProof
from dualchain.demo import bureau as program
from dualchain.demo.bureau import DataBureau, Refused
from service_registry.config import KeyPair
from service_registry.govdata import bureau as adapter
from service_registry.govdata.bureau import BureauRefused, BureauUnreachable, HttpBureau, bad_url
from service_registry.govdata.receipts import QUERY, Query, check_answer

CHAIN, CODE, ENTERPRISE = sm3(b"chain"), "91310104MA1FRNWW80", "91310000564759688N"
OWN, MARKET = KeyPair.of(sm3(b"bureau")), KeyPair.of(sm3(b"market"))
NOW_MS = 1_790_000_000_000
DATA = {ENTERPRISE: {"tax": {"grade": "A"}, "basic": "示例公司"}}


def query(**changes: object) -> Query:
    made = Query(sm3(b"request"), CODE, ENTERPRISE, ("tax",), "purpose", "did:vc", bytes(32), "did:holder", NOW_MS)
    return replace(made, **changes)  # type: ignore[arg-type]


def signature(raw: bytes, private: bytes = MARKET.private, chain: bytes = CHAIN) -> bytes:
    return signing_provider().sm2_sign(private, signed.message(QUERY, chain, raw))


@pytest.fixture
def bureau(tmp_path: Path) -> DataBureau:
    return DataBureau(CHAIN, CODE, OWN, frozenset((MARKET.public,)), DATA, tmp_path / "receipts")


def test_one_request_has_one_receipt_also_after_a_restart(bureau: DataBureau, tmp_path: Path) -> None:
    raw = query().encode()
    first = bureau.answer(raw, signature(raw), NOW_MS)
    assert bureau.answer(raw, signature(raw), NOW_MS + 99) == first
    again = DataBureau(CHAIN, CODE, OWN, frozenset((MARKET.public,)), DATA, tmp_path / "receipts")
    assert again.answer(raw, signature(raw), NOW_MS + 10**9) == first
    assert json.loads(first["data"]) == {"tax": {"grade": "A"}}


RAW = query().encode()
REFUSED: dict[str, tuple[bytes, bytes, str]] = {
    "a stranger": (RAW, signature(RAW, sm3(b"stranger")), "UNKNOWN_CLIENT"),
    "for another chain": (RAW, signature(RAW, chain=bytes(32)), "UNKNOWN_CLIENT"),
    "no signature": (RAW, b"", "UNKNOWN_CLIENT"),
    "no query": (b"x", signature(b"x"), "MALFORMED"),
    **{
        name: (made.encode(), signature(made.encode()), code)
        for name, made, code in (
            ("another bureau", query(bureau=ENTERPRISE), "NOT_FOR_US"),
            ("an old query", query(time_ms=NOW_MS - 600_001), "NOT_FOR_US"),
            ("an unknown enterprise", query(credit_code=CODE), "UNKNOWN_ENTERPRISE"),
            ("an unknown item", query(items=("tax", "court")), "UNKNOWN_ITEM"),
        )
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_bureau_refuses(bureau: DataBureau, case: str) -> None:
    raw, made, code = REFUSED[case]
    with pytest.raises(Refused) as refused:
        bureau.answer(raw, made, NOW_MS)
    assert refused.value.code == code


def test_a_full_bureau_says_so(bureau: DataBureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MAX_RECEIPTS", 0)
    with pytest.raises(Refused, match="FULL"):
        bureau.answer(RAW, signature(RAW), NOW_MS)


# ---- over HTTP


def over_http(application: web.Application, story: Callable[[HttpBureau], Awaitable[None]]) -> None:
    async def main() -> None:
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            await story(HttpBureau(f"http://127.0.0.1:{runner.addresses[0][1]}/", CHAIN, MARKET.private))
        finally:
            await runner.cleanup()

    asyncio.run(main())


def test_asked_over_http(bureau: DataBureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.time, "time_ns", lambda: NOW_MS * 1_000_000)

    async def story(client: HttpBureau) -> None:
        answer = await client.ask(query())
        assert check_answer(answer, query(), CHAIN, OWN.public).time_ms == NOW_MS
        with pytest.raises(InvalidProof):
            check_answer(answer, query(), CHAIN, MARKET.public)
        with pytest.raises(BureauRefused, match="UNKNOWN_ITEM"):
            await client.ask(query(request=bytes(32), items=("court",)))

    over_http(bureau.application(), story)


async def redirected(request: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:1/")


async def broken(request: web.Request) -> web.Response:
    return web.json_response({"error": "DOWN"}, status=503)


async def too_large(request: web.Request) -> web.Response:
    return web.Response(body=b'"' + b"x" * adapter.MAX_ANSWER_BYTES + b'"')


async def nested(request: web.Request) -> web.Response:
    return web.Response(body=b"[" * 100_000)


async def a_list(request: web.Request) -> web.Response:
    return web.json_response([])


async def without_receipt(request: web.Request) -> web.Response:
    return web.json_response({"signature": "", "data": "{}"})


async def no_base64(request: web.Request) -> web.Response:
    return web.json_response({"receipt": "?", "signature": base64.b64encode(bytes(64)).decode(), "data": "{}"})


@pytest.mark.parametrize("handler", [redirected, broken, too_large, nested, a_list, without_receipt, no_base64])
def test_what_is_no_answer(handler: Callable[[web.Request], Awaitable[web.Response]]) -> None:
    made = web.Application()
    made.router.add_post(adapter.PATH, handler)

    async def story(client: HttpBureau) -> None:
        with pytest.raises(BureauUnreachable):
            await client.ask(query())

    over_http(made, story)


def test_nobody_there() -> None:
    async def main() -> None:
        with pytest.raises(BureauUnreachable):
            await HttpBureau("http://127.0.0.1:1", CHAIN, MARKET.private).ask(query())

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "bad"),
    [
        ("https://bureau.example", False),
        ("http://127.0.0.1:80", False),
        ("http://bureau.example", True),
        ("http://127.0.0.1.evil.example", True),
        ("file:///etc", True),
        ("", True),
    ],
)
def test_where_a_bureau_may_be(url: str, bad: bool) -> None:
    assert bad_url(url) is bad
