"""A house files a template of its own, the regulator approves and ends it: by the commands, on four nodes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local_chain.filing.cli import app
from local_chain.filing.sources import SourceRefused
from tests.integration.data_house import DataHouse, data_house
from tests.unit.local_chain.test_template_command import author

pytestmark = pytest.mark.integration

PEOPLE = {
    "operator": ("operator",),
    "governor-1": ("governor",),
    "governor-2": ("governor",),
    "governor-3": ("governor",),
    "custodian": ("custodian",),
}


def command(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.output)
    return found


def desk(house: DataHouse, name: str) -> str:
    """The configuration of one person's desk."""
    nodes = ", ".join(f'"{address}"' for address in house.addresses)
    config = house.directory / f"{name}.toml"
    config.write_text(
        f'journal = "{name}.sqlite"\n[chain]\ngenesis = "genesis.bin"\nnodes = [{nodes}]\n'
        f'[operator]\naccount = "{house.account(name).hex()}"\nkey = "accounts/{name}.key"\n'
    )
    return str(config)


def test_from_source_to_revocation(tmp_path: Path) -> None:
    async def story(house: DataHouse) -> None:
        mine = str(author(tmp_path))
        exchange, regulator = desk(house, "operator"), desk(house, "governor-2")

        async def run(*words: str) -> dict[str, Any]:
            return await asyncio.to_thread(command, *words)

        async def status() -> str:
            nodes = [word for address in house.addresses for word in ("--node", address)]
            shown = await run("show", "bj.transfer", "--genesis", str(house.directory / "genesis.bin"), *nodes)
            assert shown["verified"]
            return str(shown["status"]).partition(" ")[0]

        assert await status() == "未备案"
        filed = await run("file", mine, "--config", exchange)
        assert filed["template"] == "bj.transfer" and await status() == "filed"
        again = await run("file", mine, "--config", exchange)
        assert again["height"] == filed["height"], "the same filing takes effect once"
        with pytest.raises(SourceRefused, match="refused"):
            await run("approve", mine, "--config", exchange, "--filing-number", "自核")
        other = author(tmp_path / "other", '"quantity": {"type"', '"quantity":  {"type"')
        with pytest.raises(SourceRefused, match="other_tree"):
            await run("approve", str(other), "--config", regulator, "--filing-number", "备-1")
        await run("approve", mine, "--config", regulator, "--filing-number", "备-2")
        assert await status() == "live"
        steps = {"suspend": "suspended", "resume": "live", "revoke": "revoked"}
        for step in ("suspend", "resume", "suspend", "revoke"):
            await run(step, "bj.transfer", "--config", regulator)
            assert await status() == steps[step]

    async def main() -> None:
        (tmp_path / "other").mkdir()
        async with data_house(tmp_path / "chain", PEOPLE) as house:
            await story(house)

    asyncio.run(main())
