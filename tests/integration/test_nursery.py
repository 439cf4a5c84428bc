"""What comes out of the nursery is a process as any other: its output, exit code and environment, and its end."""

import asyncio
import os
import signal

import pytest

from tests.integration.nursery import finished, forked


def test_a_command_has_its_output_code_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    done = finished("dualchain", "version", within_s=60)
    assert done.returncode == 0 and "Python" in done.stdout and not done.stderr
    monkeypatch.setenv("DUALCHAIN_CREDENTIALS", "/no/such/folder")
    refused = finished("dualchain", "node", "status", "--node", "127.0.0.1:1", within_s=60)
    assert refused.returncode == 1 and "/no/such/folder" in refused.stderr


def test_a_signal_ends_it_and_the_code_says_so() -> None:
    async def story() -> int:
        process = await forked("http.server", ["--bind", "127.0.0.1", "0"])
        process.kill()
        return await process.wait()

    assert asyncio.run(story()) == -signal.SIGKILL


def test_what_a_test_lets_go_of_is_killed() -> None:
    """Its standard output ends, since it was the only one that held the other end."""

    async def story() -> None:
        process = await forked("http.server", ["--bind", "127.0.0.1", "0"])
        os.kill(process.pid, 0)
        process._end.cancel()
        await asyncio.wait_for(process.stdout.read(), 60)
        with pytest.raises(asyncio.CancelledError):
            await process.wait()

    asyncio.run(story())
