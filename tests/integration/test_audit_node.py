"""A running node's audit record: on disk before a protected answer leaves, there when it is killed in between, and no
read without it while consensus goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from chain_core.codec.seen import state_key
from chain_core.network.refusals import AuditUnavailable, Unreachable
from chain_core.node.audit import DIRECTORY
from chain_core.node.audit_format import READS, segments, verify
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.config import load_config
from tests.integration.network import Network, lay_out, other_account
from tests.integration.processes import altered
from tests.integration.strace_log import calls
from tests.integration.test_process import PROGRAM, TIMEOUT_S, launch

PREFIX = state_key("coins", b"")
UNDER = ("strace", "-f", "-xx", "-s", "65536", "-e", "trace=openat,write,writev,sendto,sendmsg,fdatasync")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    lay_out(tmp_path / "network")
    return tmp_path / "network"


def audit_of(directory: Path, name: str) -> Path:
    config = load_config(directory / name / "node.toml")
    return config.path(config.node.data_dir) / DIRECTORY


def only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return int(child)


def records(directory: Path) -> list[dict[str, object]]:
    lines = [line for path in segments(directory, READS) for line in path.read_text("ascii").splitlines()]
    return [json.loads(line[65:]) for line in lines]


def test_the_record_is_synced_before_the_answer_is_sent(directory: Path, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    trace = tmp_path / "strace.txt"

    async def story() -> bytes:
        node = await launch(directory, "one", (*UNDER, "-o", str(trace), *PROGRAM))
        await node.ready()
        async with NodeClient(
            load_config(directory / "one" / "node.toml").listen.client, timeout_s=TIMEOUT_S
        ) as client:
            answer = await client.scan(PREFIX)
        os.kill(only_child(node.process.pid), signal.SIGTERM)
        await node.ended()
        return answer.items[0][0]

    key = asyncio.run(story())
    written, synced, sent = b"", b"", 0
    for call in calls(trace):
        if call.name == "write" and b'"what":"read"' in call.data:
            written = call.data
        elif call.name == "fdatasync" and call.result == 0 and written:
            synced = written
        elif call.name in ("sendmsg", "sendto") and key in call.data:
            assert PREFIX.hex().encode() in synced, "the answer was sent before its record was synced"
            sent += 1
    assert sent == 1


def test_killed_between_record_and_answer(directory: Path) -> None:
    async def story() -> None:
        node = await launch(directory, "one", altered("die-reading"))
        await node.ready()
        async with NodeClient(load_config(directory / "one" / "node.toml").listen.client) as client:
            with pytest.raises(Unreachable):
                await client.scan(PREFIX)
        assert await node.ended() == -signal.SIGKILL
        audit = audit_of(directory, "one")
        assert [row["what"] for row in records(audit)] == ["begin", "read"]
        again = await launch(directory, "one", PROGRAM)
        await again.ready()
        async with NodeClient(load_config(directory / "one" / "node.toml").listen.client) as client:
            await client.scan(PREFIX)
        again.process.send_signal(signal.SIGTERM)
        await again.ended()
        assert [row["what"] for row in records(audit)] == ["begin", "read", "read"]
        assert verify(audit, READS).good
        row = records(audit)[1]
        assert (row["object"], row["rule"]) == (f"prefix {PREFIX.hex()}", "plaintext port")

    asyncio.run(story())


def test_without_room_for_records_there_are_no_protected_reads_and_consensus_goes_on(directory: Path) -> None:
    async def story() -> None:
        network = Network(directory)
        audit = audit_of(directory, "one")
        audit.parent.mkdir(exist_ok=True)
        audit.write_text("something stands where the record should be", "ascii")
        await network.start()
        one = network.nodes["one"]
        async with NodeClient(network.addresses("one")[0]) as client:
            with pytest.raises(AuditUnavailable):
                await client.scan(PREFIX)
            assert "AUDIT_FAILED" in {code for code, _ in one.observer.alarms}
            asking = network.client("one")
            receipt, *_ = await asking.submit_until_final(
                [network.wallets["alice"].transfer(other_account("new"), 1)], within_s=TIMEOUT_S
            )
            assert isinstance(receipt, VerifiedReceipt)
            await client.header()
            await asking.close()
            audit.unlink()
            one.guards.audit._not_before = 0.0
            await client.scan(PREFIX)
        await network.stop()
        assert verify(audit, READS).good

    asyncio.run(story())
