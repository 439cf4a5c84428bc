"""``dualchain local crosslog``: what the regulator's puller made of this market's snapshots (node-interface.md §7)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.crypto.passphrase import Unlock, parse_source
from chain_core.network.raw_rpc import RawChannel
from chain_core.network.secured.security import ClientSecurity
from chain_core.node import render
from chain_core.node.client_security import configured
from chain_core.node.command import JSON, PASSPHRASE, show
from chain_core.node.config import read_genesis
from crosschain.jrt0314.messages import to_json
from crosschain.jrt0314.service_names import CROSSLOG, QUERY

_ANSWER_S = 20.0
_PAGES = 1_000


async def entries(
    address: str, security: ClientSecurity, request: pb.LogRequest, pages: int = _PAGES
) -> list[pb.LogEntry]:
    """All entries that fit, page by page. Raises PermissionDenied, Unreachable, and what a session raises."""
    channel = RawChannel(address, security)
    found: list[pb.LogEntry] = []
    try:
        for _ in range(pages):
            raw = await channel.unary(QUERY, request.SerializeToString(), timeout_s=_ANSWER_S)
            answer = pb.LogResponse.FromString(raw)
            found.extend(answer.entries)
            if not answer.more or not answer.entries:
                break
            request.after = answer.entries[-1].number
    finally:
        await channel.close()
    return found


def crosslog(
    address: Annotated[str, typer.Option("--address", help="Where the puller's log is asked: host:port.")],
    network: Annotated[str, typer.Option("--network", help="Network identifier of this market's chain.")],
    genesis: Annotated[
        Path | None, typer.Option("--genesis", help="The supervisory genesis document; with --credentials.")
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option("--credentials", help="Folder of the client's key and certificates, else plaintext.")
    ] = None,
    object_: Annotated[str, typer.Option("--object", help="Of this data object 数据对象.")] = "",
    rejected: Annotated[bool, typer.Option("--rejected", help="Rejected ones only: what to correct 未通过.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, help="Entries behind this number.")] = 0,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """What came of the snapshots that the regulator pulled 跨链日志; correct by `local exporter correct`."""
    security = configured(None, b"", None)
    if credentials is not None and genesis is not None:
        unlock = Unlock(parse_source(passphrase or "prompt"), plain=True)
        security = configured(credentials, read_genesis(genesis)[1], unlock, role=CROSSLOG)
    request = pb.LogRequest(network_id=network, object_id=object_, rejected=rejected, after=after)
    found = asyncio.run(entries(address, security, request))
    rows: render.Row = {str(one.number): to_json(one) for one in found}
    show(rows, as_json)
