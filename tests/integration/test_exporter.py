"""The exporter as a process on four nodes and a versioned bucket: killed, started again, corrected, proven."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from chain_core.codec.signed import derive_id
from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.anchors.contract import decode_anchor, decode_head, full_key, head_key, version_key
from contracts.data_model.seals import verify_seals
from contracts.data_model.snapshot import read_snapshot
from local_chain.exporter.attributes import Attributes
from local_chain.exporter.cli import app
from tests.integration.data_house import DataHouse, data_house
from tests.integration.network import drawn_ports
from tests.unit.local_chain.exporter.exchange import PRODUCT, company, person

pytestmark = pytest.mark.integration

PEOPLE = {"operator": ("operator",), "issuer": (), "ann": (), "bo": (), "custodian": ("custodian",)}
BUCKET = "snapshots-bj"
PATIENCE_S = 60


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    (port,) = drawn_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{port}"
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield endpoint, client
    finally:
        server.stop()


class Process:
    """``dualchain local exporter run``."""

    def __init__(self, config: Path) -> None:
        self.config = config

    async def start(self) -> None:
        command = ("-m", "dualchain", "local", "exporter", "run", "--config", str(self.config))
        log = self.config.with_suffix(".log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=log
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE_S)
        assert line.startswith(b"READY"), self.config.with_suffix(".log").read_text()

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)


def command(config: Path, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*words, "--config", str(config), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


async def until(config: Path, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Asks for the status until it is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await asyncio.to_thread(command, config, "status")
            if enough(found):
                return found


async def laid_out(house: DataHouse, endpoint: str) -> Path:
    """The operator's assertion key, attached on the chain, and the exporter's file."""
    private = generate_private_key()
    write_private_key(house.directory / "seal.key", private)
    args: dict[str, Value] = {"purpose": "assertion", "key": signing_provider().sm2_public_key(private)}
    await house.chain.submit(house.who("operator"), [Operation("accounts", "attach_key", args)])
    nodes = ", ".join(f'"{address}"' for address in house.addresses)
    config = house.directory / "exporter.toml"
    config.write_text(
        f"""
[chain]
genesis = "genesis.bin"
nodes = [{nodes}]

[exporter]
account = "{house.account("operator").hex()}"
key = "accounts/operator.key"
assertion_key = "seal.key"
database = "exporter.sqlite"
attributes = "attributes.sqlite"
market = "{house.account("operator").hex()}"
market_name = "示例股权交易中心"

[store]
bucket = "{BUCKET}"
endpoint = "{endpoint}"
"""
    )
    return config


def tell(house: DataHouse, *names: str) -> None:
    attributes = Attributes(house.directory / "attributes.sqlite")
    for name in names:
        made = person(name) if name in ("ann", "bo") else company(name)
        attributes.put([(f"subject-{house.account(name).hex()}", made)])
    attributes.close()


async def listed(house: DataHouse, reference: str, rows: dict[str, int]) -> bytes:
    operator = house.who("operator")
    security = derive_id(house.view.genesis_hash, "security", operator.account, reference)
    listing: dict[str, Value] = {
        "reference": reference,
        "name": "示例股份",
        "issuer": house.account("issuer"),
        "province": "BJ",
        "unit_decimals": 2,
        "declared": sum(rows.values()),
        "legacy": False,
    }
    listed_rows: list[Value] = [
        {"account": house.account(name), "quantity": units, "acquired_day": 0} for name, units in rows.items()
    ]
    operations = [
        Operation("kernel", "register_security", listing),
        Operation("kernel", "register_holding", {"security": security, "rows": listed_rows}),
        Operation("kernel", "activate_security", {"security": security}),
    ]
    await house.chain.submit(operator, operations)
    return security


async def proven(house: DataHouse, s3: Any) -> int:
    """Every object in the bucket: its bytes are sealed, and their hash is proven on the chain; how many there are."""
    names = [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    for name in names:
        raw = s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        object_id, version = name.removeprefix("snapshots/").rsplit("/", 1)
        keys = [full_key(head_key(object_id)), full_key(version_key(object_id, int(version)))]
        _, (head, anchor) = await house.chain.client.state(keys)
        found, evidence = decode_head(head), decode_anchor(anchor)
        assert found is not None and found.latest >= int(version)
        assert evidence is not None and evidence.hash == sm3(raw)
        assert verify_seals(read_snapshot(raw))
    return len(names)


def test_killed_started_again_corrected_and_proven(tmp_path: Path, bucket: tuple[str, Any]) -> None:
    endpoint, s3 = bucket

    async def story(house: DataHouse) -> None:
        config = await laid_out(house, endpoint)
        tell(house, "operator", "issuer", "ann")  # nobody said who bo is
        process = Process(config)
        await process.start()
        await listed(house, "BJ000001F", {"ann": 10_050, "bo": 500})
        await process.kill()
        await listed(house, "BJ000002F", {"ann": 7})
        await process.start()
        second = derive_id(house.view.genesis_hash, "security", house.account("operator"), "BJ000002F")
        await until(config, lambda row: not row["ready"] and not row["stored"] and row["anchored"] > 0)
        held = command(config, "held")
        bo = f"subject-{house.account('bo').hex()}"
        assert f"{bo}/0" in held["snapshots"] and held["waiting"] > 0
        assert held["snapshots"][f"{bo}/0"]["faults"][0]["rule"] == "required"
        assert await process.stop() == 0
        tell(house, "bo")
        attributes = Attributes(house.directory / "attributes.sqlite")
        first = derive_id(house.view.genesis_hash, "security", house.account("operator"), "BJ000001F")
        attributes.put([(f"product-{one.hex()}", PRODUCT) for one in (first, second)])
        attributes.close()
        command(config, "correct", bo)
        for one in (first, second):
            command(config, "correct", f"product-{one.hex()}")
        assert command(config, "held")["held"] == 0
        await process.start()
        row = await until(config, lambda row: not row["ready"] and not row["stored"] and not row["waiting"])
        assert await process.stop() == 0
        assert await proven(house, s3) >= 12
        shown = command(config, "show", bo)
        assert [one["operation"] for one in shown["snapshots"].values()] == ["create", "overwrite"]
        versions = s3.list_object_versions(Bucket=BUCKET)["Versions"]
        assert len(versions) == row["anchored"], "each snapshot was stored once"

    async def main() -> None:
        async with data_house(tmp_path / "chain", PEOPLE) as house:
            await story(house)

    asyncio.run(main())
