"""Step: the joint test (联调测试) of a market's node interface, before admission (art. 6)."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.data_model.seals import seal_many
from contracts.data_model.snapshot import Operation as Change
from contracts.data_model.snapshot import Snapshot
from crosschain.conformance.kit import run as run_checks
from crosschain.conformance.report import Report, signed
from crosschain.jrt0314.endpoint import Credentials, HttpEndpoint
from dualchain.demo.actors import Desk, StoryFault
from dualchain.demo.ports import LOOPBACK
from local_chain.data.store import ObjectStore
from local_chain.interface.config import Desk as InterfaceDesk
from local_chain.interface.config import load
from local_chain.interface.process import InterfacePort

MODEL = "2.0.0"
OBJECT = "supervision-quarterly"
_KEY = 0o600


async def anchor_objects(desk: Desk, folder: Path) -> None:
    """Two versions of a data object: sealed by the operator, stored, anchored on chain."""
    operator, store = desk.genesis_actor("operator"), ObjectStore.folder(folder)
    now_s = time.time_ns() // 1_000_000_000
    for version, change in enumerate((Change.CREATE, Change.UPDATE)):
        body = {"record": f"{desk.chain.label} 季度报表 quarterly report, version {version}"}
        metadata = {"content_mode": "full"} if version else {}
        snapshot = Snapshot("supervision", OBJECT, version, change, now_s + version, body, metadata)
        (raw,) = seal_many([snapshot], operator.private, operator.public)
        await store.put_snapshot(snapshot.reference, raw)
        row: dict[str, Value] = {
            "object": OBJECT,
            "kind": "supervision",
            "version": version,
            "operation": change.value,
            "hash": sm3(raw),
        }
        anchored = Operation("anchors", "anchor", {"model": MODEL, "rows": [row]})
        await desk.accepted([desk.sign(f"data object, version {version}", operator, [anchored])])


def _config(desk: Desk, work: Path, number: int, token: str) -> Path:
    """The interface beside one node: plaintext on this machine, a token tells who asks."""
    tokens = work / "tokens"
    tokens.touch(_KEY)
    tokens.write_text(f"{sm3(token.encode()).hex()} tester client,regulator\n", encoding="utf-8")
    chain = desk.chain
    lines = [
        "[chain]",
        f"genesis = {json.dumps(str(chain.genesis_file.resolve()))}",
        f"credentials = {json.dumps(str(chain.credentials('cli').resolve()))}",
        f"nodes = {json.dumps([chain.addresses[number]])}",
        "[interface]",
        f'listen = "{LOOPBACK}:0"',
        f'data_dir = "audit-{number}"',
        'security = "plaintext"',
        'tokens = "tokens"',
        "[store]",
        'directory = "snapshots"',
        "[keys]",
        *chain.protection.lines,
    ]
    path = work / f"interface-{number}.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


async def examine(desk: Desk, work: Path) -> Report:
    """The conformance kit on two nodes' interfaces. StoryFault names the first check that did not pass."""
    await anchor_objects(desk, work / "snapshots")
    token = secrets.token_hex(32)
    ports = [InterfacePort(InterfaceDesk(load(_config(desk, work, number, token)))) for number in (0, 1)]
    try:
        for port in ports:
            await port.start()
        urls = [f"http://{port.address}" for port in ports]
        report = await asyncio.to_thread(_checked, urls, token, desk.chain.genesis.chain_id)
    finally:
        await asyncio.gather(*(port.stop() for port in ports))
    for row in report.checks:
        if row.result.value != "pass":
            raise StoryFault(f"the joint test: {row.check}: {row.detail}", where=desk.chain.label)
    return report


def _checked(urls: Sequence[str], token: str, network: str) -> Report:
    endpoints = [HttpEndpoint(url, Credentials(token=token)) for url in urls]
    try:
        return run_checks(endpoints, network, time.time_ns() // 1_000_000, lambda _: None)
    finally:
        for one in endpoints:
            one.close()


def written(report: Report, key: bytes, path: Path) -> bytes:
    """The signed report, as a file and as the bytes that are filed."""
    raw = signed(report, key)
    path.write_bytes(raw)
    path.chmod(_KEY)
    return raw
