"""Owner, reader, custodian and regulator at their command lines, each with his own file, against running nodes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from chain_core.types.errors import DualchainError
from dualchain.demo.processes import ProcessGroup
from local_chain.data.cli import app
from tests.integration.data_house import DataHouse, lay_out
from tests.integration.network import NAMES, drawn_ports

pytestmark = pytest.mark.integration

LETTER = "对赌条款 side letter".encode()
SCAN = b"scan of an identity card"


class Commands:
    """Runs ``dualchain local data`` for one person, by his own file."""

    def __init__(self, house: DataHouse, directory: Path) -> None:
        self.house, self.directory = house, directory
        self.listen = f"127.0.0.1:{drawn_ports(1)[0]}"

    def configure(self, *names: str) -> None:
        accounts = self.house.directory / "accounts"
        for name in names:
            sealing = accounts / f"{name}-sealing.key"
            nodes = json.dumps(self.house.addresses)
            text = (
                f'[chain]\ngenesis = "{self.house.directory / "genesis.bin"}"\nnodes = {nodes}\n'
                f'credentials = "{self.house.directory / "clients" / name}"\n'
                f'[actor]\naccount = "{self.house.account(name).hex()}"\nkey = "{accounts / f"{name}.key"}"\n'
                f'sealing_key = "{sealing}"\n'
                f'[release]\naddresses = ["{self.listen}"]\ncustodians = ["{self.house.account("custodian").hex()}"]\n'
            )
            if name in ("owner", "custodian"):  # here the owner's business system runs beside the vault
                text += (
                    f'[custodian]\naccount = "{self.house.account("custodian").hex()}"\nlisten = "{self.listen}"\n'
                    f'key = "{accounts / "custodian.key"}"\nsealing_key = "{accounts / "custodian-sealing.key"}"\n'
                    '[vault]\ndirectory = "own-vault"\nkey_directories = ["own-keys"]\nkey = "vault.key"\n'
                    '[store]\ndirectory = "own-objects"\n'
                )
            (self.directory / f"{name}.toml").write_text(text)

    async def invoke(self, name: str, *words: str) -> Result:
        line = [*words, "--config", str(self.directory / f"{name}.toml")]
        return await asyncio.to_thread(CliRunner().invoke, app, line)

    async def ok(self, name: str, *words: str) -> dict[str, Any]:
        result = await self.invoke(name, *words, "--json")
        assert result.exit_code == 0, (words, result.output, result.exception)
        row: dict[str, Any] = json.loads(result.stdout)
        return row

    async def content(self, name: str, *words: str) -> bytes:
        """What a command writes to standard output, and nothing else."""
        result = await self.invoke(name, *words)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout_bytes

    async def refused(self, name: str, *words: str) -> str:
        result = await self.invoke(name, *words)
        assert isinstance(result.exception, DualchainError), (words, result.output)
        return str(result.exception)


def test_a_day_with_the_commands(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))


async def story(directory: Path) -> None:
    lay_out(directory / "chain", "sm")
    house, group = DataHouse(directory / "chain"), ProcessGroup(directory / "logs")
    run = Commands(house, directory)
    run.configure("owner", "ann", "bo", "cy", "csrc", "custodian")
    (directory / "own-keys").mkdir()
    try:
        nodes = {name: ["node", "run", "--config", str(house.directory / name / "node.toml")] for name in NAMES}
        await group.start_all(nodes, 60)
        assert "已建立" in (await run.ok("custodian", "vault"))["done"]
        await run.ok("cy", "key")  # the first block: nothing can be proven before
        serving = ["local", "data", "serve", "--config", str(directory / "custodian.toml")]
        await group.start_all({"custodian": serving}, 60)
        await limited(run, house)
        await private(run, house)
        group.check()
    finally:
        await group.stop()
    logged = (directory / "logs" / "custodian.log").read_bytes()
    assert b"RELEASED" in logged and LETTER not in logged and SCAN not in logged


async def limited(run: Commands, house: DataHouse) -> None:
    ann, cy = house.account("ann").hex(), house.account("cy").hex()
    (run.directory / "letter").write_bytes(LETTER)
    made = await run.ok(
        "owner", "put", str(run.directory / "letter"), "--tier", "limited", "--kind", "agreement", "--reader", ann
    )
    identity = made["object"]
    await run.ok("owner", "grant", identity, "--reader", cy, "--days", "2")
    assert await run.content("cy", "get", identity, "--purpose", "audit") == LETTER
    await run.ok("owner", "withdraw", identity, "--reader", cy)
    assert "data.no_grant" in await run.refused("cy", "get", identity)
    shown = await run.ok("bo", "show", identity)
    assert shown["tier"] == "limited 受限" and shown["version"] == 2 and set(shown["readers"]) == {ann}
    assert await run.content("owner", "get", identity) == LETTER


async def private(run: Commands, house: DataHouse) -> None:
    ann = house.account("ann").hex()
    (run.directory / "scan").write_bytes(SCAN)
    made = await run.ok(
        "owner", "put", str(run.directory / "scan"), "--tier", "private", "--kind", "identity", "--reader", ann
    )
    identity, out = made["object"], run.directory / "got"
    read = await run.ok("ann", "get", identity, "--out", str(out))
    assert out.read_bytes() == SCAN and out.stat().st_mode & 0o077 == 0 and read["access_height"] > made["height"]
    await run.ok("csrc", "hold", identity)
    refused = await run.refused("owner", "delete", identity, "--reason", "request")
    assert "监管方要求留存" in refused and "data.held" in refused
    await run.ok("csrc", "hold", identity, "--lift")
    deleted = await run.ok("owner", "delete", identity, "--reason", "request")
    assert deleted["done"] == "密钥与盐值已销毁 key and salt destroyed"
    shown = await run.ok("ann", "show", identity)
    assert shown["status"] == "deleted 已销毁" and shown["deletion"]["destroyed_height"] > 0
    assert len(bytes.fromhex(shown["commitment"])) == 32 and not shown["readers"]
    assert "data.wrong_state" in await run.refused("ann", "get", identity)
    public = await run.ok("owner", "put", str(run.directory / "scan"), "--tier", "public", "--kind", "other")
    assert await run.content("bo", "get", public["object"]) == SCAN
