"""The node interface of JR/T 0314 on four real nodes: gRPC on a client port, HTTPS beside two of them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.crypto.hashing import sm3
from chain_core.network.raw_rpc import RawChannel
from crosschain.conformance.kit import run as run_checks
from crosschain.jrt0314.endpoint import Credentials, HttpEndpoint, snapshot_path
from crosschain.jrt0314.messages import to_json
from crosschain.jrt0314.service import method_name
from supervisory_chain.puller.log import Book, Entry
from tests.integration.interface_house import SECRET, Pulled, anchored, pulled

pytestmark = pytest.mark.integration

PATIENCE_S = 120
ROLES = "URI:dualchain://data/role/client,URI:dualchain://data/role/regulator"


@pytest.fixture(autouse=True)
def _openssl() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command on this machine")


def test_two_nodes_answer_alike(tmp_path: Path) -> None:
    """Blocks, roots, ids and objects are equal over gRPC and two HTTPS endpoints, callers are told apart, and the
    joint test is passed.
    """

    async def main() -> None:
        async with pulled(tmp_path) as one:
            height = await anchored(one.house, 0, "create")
            await one.house.until(height)
            channel = RawChannel(one.house.addresses[0])
            request = pb.HeightRequest(network_id=one.paths.network_id, height=height)
            raw = await channel.unary(method_name("Ids"), request.SerializeToString(), timeout_s=10)
            told = to_json(pb.IdsResponse.FromString(raw))
            await channel.close()
            await asyncio.to_thread(compare, one, height, told)
            await anchored(one.house, 1, "update")
            await one.house.until(one.house.nodes["one"].store.final_height)
            report = await asyncio.to_thread(run_checks, one.endpoints(), one.paths.network_id, 1)
            assert report.passed, [row for row in report.checks if row.result != "pass"]

    asyncio.run(main())


async def started(path: Path) -> asyncio.subprocess.Process:
    """The puller as a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "dualchain", "supervisory", "puller", "run", "--config", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=path.with_suffix(".log").open("ab"),
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
    assert line.startswith(b"READY"), path.with_suffix(".log").read_text()
    return process


def logged(path: Path) -> list[Entry]:
    book = Book(path, writing=False)
    try:
        return book.entries()
    finally:
        book.close()


async def until(path: Path, count: int) -> None:
    """So many entries stand in the log."""
    async with asyncio.timeout(PATIENCE_S):
        while len(await asyncio.to_thread(logged, path)) < count:
            pass


PULLER = """
database = "puller.sqlite"
poll_ms = 100

[[chain]]
network_id = "{network}"
endpoints = {urls}
genesis = "chain/genesis.bin"
ca = "authority/ca.pem"
token_file = "token"
"""


def test_the_puller_killed_and_started_again_misses_nothing(tmp_path: Path) -> None:
    """Two TLS endpoints, a process that is killed while the chain goes on, every snapshot in the log exactly once."""

    async def main() -> None:
        async with pulled(tmp_path) as one:
            (tmp_path / "token").write_text(SECRET)
            (tmp_path / "token").chmod(0o600)
            config = tmp_path / "puller.toml"
            config.write_text(PULLER.format(network=one.paths.network_id, urls=json.dumps(one.urls)))
            await anchored(one.house, 0, "create")
            process = await started(config)
            await until(tmp_path / "puller.sqlite", 1)
            process.kill()
            await process.wait()
            for version in (1, 2):
                await anchored(one.house, version, "update")
            process = await started(config)
            await until(tmp_path / "puller.sqlite", 3)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
            rows = logged(tmp_path / "puller.sqlite")
            assert [(row.version, row.result) for row in rows] == [(v, "accepted") for v in range(3)]

    asyncio.run(main())


def compare(one: Pulled, height: int, told: dict[str, object]) -> None:
    first, second = one.endpoints()
    assert first.get(one.paths.ids(height)).json() == told
    for path in (one.paths.block(height), one.paths.ids(height), one.paths.object(height, "supervision-a")):
        answer = first.get(path)
        assert answer.status == 200, answer.body
        assert answer.body == second.get(path).body
    states = [endpoint.get(one.paths.state(height)).json() for endpoint in (first, second)]
    assert states[0] | {"votes": None} == states[1] | {"votes": None}
    snapshot = first.get(snapshot_path("supervision-a", "latest"))
    assert snapshot.status == 200 and snapshot.headers["x-content-sm3"] == sm3(snapshot.body).hex()
    assert first.get(one.paths.networks, "none").status == 401
    certificate, key = one.authority.issue("csrc", ROLES, "clientAuth")
    reader = HttpEndpoint(one.urls[0], Credentials(one.authority.pem, certificate=certificate, key=key))
    assert reader.get(one.paths.block(height)).status == 200
    poor = one.authority.issue("poor", "URI:dualchain://data/role/client", "clientAuth")
    nobody = HttpEndpoint(one.urls[0], Credentials(one.authority.pem, certificate=poor[0], key=poor[1]))
    assert nobody.get(one.paths.block(height)).status == 403
    for endpoint in (first, second, reader, nobody):
        endpoint.close()
    record = (one.house.directory / "interface-0" / "audit" / "reads-0000000000.log").read_text()
    assert f"height {height}, object_id supervision-a" in record
