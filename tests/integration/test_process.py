"""A node as a process: says READY, stops on a signal, refuses to start with a reason, fails and loses nothing."""

import asyncio
import json
import resource
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope
from chain_core.codec.values import encode_value
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.lifetime import EXIT_FAULT, EXIT_STOPPED
from chain_core.types.errors import DualchainError
from tests.integration.coins_node import app
from tests.integration.network import Network, lay_out, run
from tests.integration.nursery import Forked, forked
from tests.meta.sources import ROOT

PROGRAM = (sys.executable, "-m", "tests.integration.coins_node")
TIMEOUT_S = 40


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    lay_out(tmp_path / "network")
    return tmp_path / "network"


class Started:
    """A node process; its standard error is read as it comes."""

    def __init__(self, process: Process | Forked) -> None:
        self.process = process
        self.log: list[str] = []
        self.more = asyncio.Event()
        self.reader = asyncio.create_task(self.read())

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode())
            self.more.set()
        self.more.set()

    async def says(self, text: str) -> str:
        """The first log line with this text, which may be still to come."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                self.more.clear()
                found = next((line for line in self.log if text in line), "")
                if found:
                    return found
                assert not self.reader.done(), self.text
                await self.more.wait()

    async def ready(self) -> str:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), TIMEOUT_S)
        return line.decode().strip()

    async def ended(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), TIMEOUT_S)
        await self.reader
        return code

    @property
    def text(self) -> str:
        return "".join(self.log)


def limit_files(node: Started, size_bytes: int) -> None:
    """From outside: a call between fork and exec could meet a lock that one of gRPC's threads holds."""
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


async def launch(directory: Path, name: str, program: Sequence[str] = PROGRAM) -> Started:
    config = directory / name / "node.toml"
    return await started(*program, "run", "--config", str(config))


async def started(*command: str) -> Started:
    """A module of Python comes out of the nursery; anything else is executed."""
    if command[:2] == (sys.executable, "-m"):
        return Started(await forked(command[2], command[3:]))
    return Started(await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE))


async def command(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, and standard error or the refusal; run in a thread, with an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    if isinstance(result.exception, DualchainError):
        return 1, result.stdout, str(result.exception)
    return result.exit_code, result.stdout, result.stderr


def told(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await story()

    asyncio.run(main())


def edit(directory: Path, name: str, old: str, new: str) -> None:
    path = directory / name / "node.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_ready_then_stopped_by_a_signal(directory: Path, number: signal.Signals) -> None:
    async def story() -> None:
        node = await launch(directory, "one")
        line = await node.ready()
        listen = Network(directory).configs["one"].listen
        assert line == f"READY chain=coins-of-four node=one height=0 peer={listen.peer} client={listen.client}"
        node.process.send_signal(number)
        assert await node.ended() == EXIT_STOPPED
        assert f"INFO {line}" in node.text
        assert "STOPPED node=one height=0" in node.log[-1]
        assert "Traceback" not in node.text

    told(story)


def test_log_lines_as_json(directory: Path) -> None:
    async def story() -> None:
        with (directory / "one" / "node.toml").open("a", encoding="utf-8") as file:
            file.write('[log]\nformat = "json"\n')
        node = await launch(directory, "one")
        await node.ready()
        node.process.terminate()
        assert await node.ended() == EXIT_STOPPED
        rows = [json.loads(line) for line in node.log]
        assert {"READY", "STOPPED"} <= {row["event"] for row in rows}
        ready = next(row for row in rows if row["event"] == "READY")
        assert (ready["chain"], ready["node"], ready["height"]) == ("coins-of-four", "one", 0)

    told(story)


async def refused(directory: Path, name: str, code: str) -> str:
    node = await launch(directory, name)
    assert await node.ended() == 1
    assert len(node.log) == 1, node.text
    assert node.log[0].startswith(f"{code}: ")
    assert "; next: " in node.log[0]
    return node.log[0]


def test_who_has_the_port_the_directory_the_other_chain(directory: Path, tmp_path: Path) -> None:
    async def story() -> None:
        first = await launch(directory, "one")
        await first.ready()
        listen = Network(directory).configs["one"].listen

        assert str(directory / "one" / "data") in await refused(directory, "one", "STORE_LOCKED")

        two = Network(directory).configs["two"].listen
        edit(directory, "two", two.client, listen.client)
        assert listen.client in await refused(directory, "two", "PORT_TAKEN")
        edit(directory, "two", listen.client, two.client)

        first.process.terminate()
        assert await first.ended() == EXIT_STOPPED

        lay_out(tmp_path / "other")
        edit(tmp_path / "other", "one", 'data_dir = "data"', f'data_dir = "{directory / "one" / "data"}"')
        assert "genesis" in await refused(tmp_path / "other", "one", "WRONG_GENESIS")
        edit(directory, "three", 'consensus_key = "consensus.key"', 'consensus_key = "transport.key"')
        assert "node.consensus_key" in await refused(directory, "three", "CONFIG_REFUSED")
        (directory / "four" / "genesis.bin").write_bytes(b"not a genesis document")
        assert "genesis.bin" in await refused(directory, "four", "CONFIG_REFUSED")

    told(story)


def test_a_full_disk_stops_one_node_and_loses_nothing(directory: Path) -> None:
    """The operating system refuses larger files to one of four nodes: it stops with a reason, the others go on."""

    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client("one", "two", "three")
        poor = await launch(directory, "four")
        limit_files(poor, 400_000)
        await poor.ready()
        ended = asyncio.create_task(poor.ended())
        sent = 0
        while not ended.done():
            await client.submit_until_final([alice.transfer(bob.account, 1) for _ in range(40)])
            sent += 40
            assert sent < 20_000
        assert await ended == EXIT_FAULT
        assert "FAULT " in poor.text and "next: " in poor.text
        assert "Traceback" not in poor.text

        height = (await client.header()).height
        await network.start("four")
        await network.until(height, "four")
        assert network.roots_agree()
        header, (value,) = await network.client("four").state([state_key("coins", bob.account)])
        assert header.height >= height
        assert value == encode_value(1_000 + sent)
        await client.close()

    run(directory, story, "one", "two", "three")


def test_a_killed_node_comes_back(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client("one", "two", "three")
        node = await launch(directory, "four")
        await node.ready()
        await client.submit_until_final([alice.transfer(bob.account, 1) for _ in range(20)])
        node.process.kill()
        await node.ended()
        await client.submit_until_final([alice.transfer(bob.account, 1) for _ in range(20)])
        node = await launch(directory, "four")
        await node.ready()
        raw = alice.transfer(bob.account, 1)
        (settled,) = await network.client("four").submit_until_final([raw])
        assert isinstance(settled, VerifiedReceipt)
        node.process.terminate()
        assert await node.ended() == EXIT_STOPPED
        await client.close()

    run(directory, story, "one", "two", "three")


def test_asking_on_the_command_line(directory: Path) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        raws = [alice.transfer(bob.account, 1), alice.transfer(bob.account, 5_000)]
        settled = await network.client("one").submit_until_final(raws)
        assert isinstance(settled[1], VerifiedReceipt)
        height = str(settled[1].header.height)
        node, genesis = ("--node", network.addresses("one")[0]), ("--genesis", str(directory / "genesis.bin"))
        ids = [decode_envelope(raw).transaction_id.hex() for raw in raws]

        async def ask(*arguments: str) -> dict[str, object]:
            code, out, err = await command(*arguments, *node, "--json")
            assert code == 0, err
            found = json.loads(out)
            assert isinstance(found, dict)
            return found

        assert (await ask("status"))["summary"]
        header = await ask("header", *genesis)
        assert header["verified"] is True and len(str(header["certified_by"])) > 0
        block = await ask("block", "--height", height, *genesis)
        assert ids[1] in json.dumps(block)
        receipt = await ask("receipt", "--transaction", ids[1], *genesis)
        assert (receipt["code_name"], receipt["verified"]) == ("REFUSED_BY_RULE", True)
        assert "余额不足" in str(receipt["text_zh"])
        absent = await ask("receipt", "--account", alice.account.hex(), "--nonce", "999", *genesis)
        assert (absent["found"], absent["verified"]) == (False, True)
        key = f"coins:{alice.account.hex()}"
        assert (await ask("state", key, *genesis))["values"] == {key: 999}
        assert key in json.dumps(await ask("scan", "coins:"))
        document = await ask("genesis", "--out", str(directory / "copy.bin"))
        assert document["genesis_hash"] == network.view.genesis_hash.hex()
        assert (directory / "copy.bin").read_bytes() == network.genesis

        code, out, _ = await command("status", *node)
        assert code == 0 and "height: " in out
        for wrong in (("header", "--height", "999"), ("state", "nocolon"), ("receipt", "--transaction", "zz")):
            code, out, err = await command(*wrong, *node)
            assert code == 1 and out == "" and "; next: " in err and len(err.splitlines()) == 1
        code, _, err = await command("receipt", *node)
        assert code == 2 and "--transaction" in err

    run(directory, story)
