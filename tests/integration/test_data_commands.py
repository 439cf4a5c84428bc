"""Owner, reader, custodian and regulator at their command lines, each with his own file, against running nodes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.data_house import DataHouse, data_house
from tests.integration.network import drawn_ports

pytestmark = pytest.mark.integration

LETTER = "对赌条款 side letter".encode()
SCAN = b"scan of an identity card"


class Commands:
    """Runs ``dualchain local data`` as a process for one person."""

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

    async def run(self, name: str, *words: str) -> tuple[int, bytes, bytes]:
        process = await self.process(name, *words)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out, err

    async def process(self, name: str, *words: str) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "dualchain.cli", "local", "data", *words]
        command += ["--config", str(self.directory / f"{name}.toml")]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)

    async def ok(self, name: str, *words: str) -> dict[str, Any]:
        code, out, err = await self.run(name, *words, "--json")
        assert code == 0, err.decode()
        row: dict[str, Any] = json.loads(out)
        return row

    async def refused(self, name: str, *words: str) -> str:
        code, _, err = await self.run(name, *words)
        assert code == 1
        (line,) = err.decode().splitlines()
        return line


def test_a_day_with_the_commands(tmp_path: Path) -> None:
    async def story(house: DataHouse) -> None:
        run = Commands(house, tmp_path)
        run.configure("owner", "ann", "bo", "cy", "csrc", "custodian")
        (tmp_path / "own-keys").mkdir()
        assert "已建立" in (await run.ok("custodian", "vault"))["done"]
        serving = await run.process("custodian", "serve")
        assert serving.stdout is not None
        try:
            assert (await serving.stdout.readline()).startswith(b"READY custodian=")
            await limited(run, house)
            await private(run, house)
        finally:
            serving.terminate()
            _, logged = await serving.communicate()
        assert serving.returncode == 0
        assert b"RELEASED" in logged and LETTER not in logged and SCAN not in logged

    async def main() -> None:
        async with data_house(tmp_path / "chain") as house:
            await story(house)

    asyncio.run(main())


async def limited(run: Commands, house: DataHouse) -> None:
    ann, cy = house.account("ann").hex(), house.account("cy").hex()
    (run.directory / "letter").write_bytes(LETTER)
    await run.ok("cy", "key")
    made = await run.ok(
        "owner", "put", str(run.directory / "letter"), "--tier", "limited", "--kind", "agreement", "--reader", ann
    )
    identity = made["object"]
    await run.ok("owner", "grant", identity, "--reader", cy, "--days", "2")
    code, out, _ = await run.run("cy", "get", identity, "--purpose", "audit")
    assert (code, out) == (0, LETTER)
    await run.ok("owner", "withdraw", identity, "--reader", cy)
    assert "data.no_grant" in await run.refused("cy", "get", identity)
    shown = await run.ok("bo", "show", identity)
    assert shown["tier"] == "limited 受限" and shown["version"] == 2 and set(shown["readers"]) == {ann}
    code, out, _ = await run.run("owner", "get", identity)
    assert (code, out) == (0, LETTER)


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
    code, content, _ = await run.run("bo", "get", public["object"])
    assert (code, content) == (0, SCAN)
