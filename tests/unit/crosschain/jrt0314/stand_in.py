"""A stand-in server: answers what an honest interface answers, changed by one fault, for one clause each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from crosschain.jrt0314.endpoint import HttpEndpoint, Response
from tests.unit.crosschain.jrt0314.serving import SECRET

Json = dict[str, Any]
Change = Callable[[Json], None]
"""Changes an honest answer in place."""


def function_of(path: str) -> str:
    """Which of the functions a path asks for."""
    parts = path.partition("?")[0].strip("/").split("/")
    match parts:
        case ["networks"]:
            return "networks"
        case ["networks", _, name]:
            return name
        case ["networks", _, "blocks", _]:
            return "block"
        case ["networks", _, "blocks", _, "objects"]:
            return "ids"
        case ["networks", _, "blocks", _, name, *_]:
            return {"transactions": "tx", "state": "state", "objects": "object"}[name]
    return "snapshot"


def _flip(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _set(*path: str | int, value: Any) -> Change:
    def change(answer: Json) -> None:
        inner: Any = answer
        for part in path[:-1]:
            if not inner[part]:
                return
            inner = inner[part]
        inner[path[-1]] = value(inner[path[-1]]) if callable(value) else value

    return change


def _one_vote_less(answer: Json) -> None:
    answer["votes"]["signatures"] = answer["votes"]["signatures"][1:]
    answer["votes"]["participants"] = answer["votes"]["participants"][1:]


def _three_nodes(answer: Json) -> None:
    voters = answer["votes"]["participants"]
    answer["validators"] = [row for row in answer["validators"] if row["id"] in voters]


def _reversed(answer: Json) -> None:
    answer["object_ids"].reverse()


FAULTS: dict[str, tuple[str, Change]] = {
    "networks": ("networks", _set("networks", value=[])),
    "options": ("options", _set("operations", 0, "statuses", value=[])),
    "status": ("status", _set("height", value=str)),
    "status_final": ("status", _set("hash", value=_flip)),
    "block": ("block", _set("tx_ids", value=None)),
    "chain": ("block", _set("prev_hash", value=lambda text: text and _flip(text))),
    "block_size": ("block", _set("size_bytes", value=16_000_001)),
    "transaction": ("tx", _set("operations", 0, "result", value="PERHAPS")),
    "state": ("state", _set("validators", 0, "pub_key", value="04")),
    "consensus": ("state", _three_nodes),
    "quorum": ("state", _one_vote_less),
    "signatures": ("state", _set("votes", "signatures", 0, "signature", value=_flip)),
    "header_hash": ("block", _set("header", "encoded", value=_flip)),
    "roots": ("state", _set("state_root", value=_flip)),
    "ids": ("ids", _reversed),
    "object": ("object", _set("items", 0, "version", value=-1)),
    "merkle_proof": ("object", _set("items", 0, "proof", "record", value=_flip)),
}
"""Check -> the function whose answer is wrong, and how."""


def altered(fault: str, path: str, honest: Response) -> Response:
    """What the stand-in answers to somebody it knows."""
    asked = function_of(path)
    if fault == "off_chain_hash" and asked == "snapshot" and "?" not in path and honest.status == 200:
        return Response(200, honest.headers, honest.body + b" ")
    if fault == "snapshot_query" and asked == "snapshot" and honest.status == 404:
        return Response(200, {}, b"{}")
    if fault == "unknown_network" and asked == "status" and honest.status == 404:
        return Response(200, {}, b"{}")
    if fault == "above_tip" and asked == "block" and honest.status == 404:
        return Response(200, {}, b"{}")
    if fault not in FAULTS or FAULTS[fault][0] != asked or honest.status != 200:
        return honest
    answer = honest.json()
    FAULTS[fault][1](answer)
    return Response(200, honest.headers, json.dumps(answer).encode())


def stand_in(fault: str, honest_url: str) -> web.Application:
    """The server: an ordinary one but for its fault."""
    from crosschain.jrt0314.endpoint import Credentials

    async def answer(request: web.Request) -> web.Response:
        authorization = request.headers.get("Authorization", "")
        credentials = "none" if not authorization else "own" if authorization.endswith(SECRET) else "wrong"
        if fault == "authentication":
            credentials = "own"

        def ask() -> Response:
            honest = HttpEndpoint(honest_url, Credentials(token=SECRET))
            try:
                return honest.get(request.raw_path, credentials)
            finally:
                honest.close()

        found = await asyncio.to_thread(ask)
        if found.status != 401:
            found = altered(fault, request.raw_path, found)
        kept = {name: found.headers[name] for name in ("x-content-sm3",) if name in found.headers}
        return web.Response(status=found.status, body=found.body, headers=kept)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app
