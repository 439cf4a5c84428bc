"""A book by CSV onto four nodes, by the commands: imported, given again, reconciled with proven rolls."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local_chain.adapter.cli import app
from tests.integration.data_house import DataHouse, data_house
from tests.unit.contracts.market import account
from tests.unit.local_chain.adapter.books import write_book

pytestmark = pytest.mark.integration

PEOPLE = {
    "operator": ("operator",),
    "registrar": ("registrar",),
    "issuer": (),
    "governor-1": ("governor",),
    "governor-2": ("governor",),
    "governor-3": ("governor",),
    "custodian": ("custodian",),
}


def command(*words: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.output)
    return done.exit_code, found


def configured(house: DataHouse) -> Path:
    nodes = ", ".join(f'"{address}"' for address in house.addresses)
    parties = "".join(
        f'\n[{section}]\naccount = "{house.account(name).hex()}"\nkey = "accounts/{name}.key"\n'
        for section, name in (("operator", "operator"), ("registrar", "registrar"), ("cosigner", "governor-2"))
    )
    config = house.directory / "adapter.toml"
    config.write_text(f'journal = "journal.sqlite"\n[chain]\ngenesis = "genesis.bin"\nnodes = [{nodes}]\n{parties}')
    return config


def test_import_and_reconcile(tmp_path: Path) -> None:
    async def story(house: DataHouse) -> None:
        config = configured(house)
        paths = write_book(tmp_path, {"BJ000001F": 3, "BJ000002F": 260}, 300, legacy=lambda one: one == "BJ000002F")
        text = paths[0].read_text("utf-8").replace(account("issuer").hex(), house.account("issuer").hex())
        paths[0].write_text(text, "utf-8")
        book = ("--config", str(config), "--securities", str(paths[0]), "--holdings", str(paths[1]))
        code, first = await asyncio.to_thread(command, "import", *book, "--accounts", str(paths[2]))
        assert (code, first["holdings"], first["earlier"]) == (0, 263, 0)
        code, again = await asyncio.to_thread(command, "import", *book, "--accounts", str(paths[2]))
        assert (code, again["earlier"]) == (0, 563)
        code, report = await asyncio.to_thread(command, "reconcile", *book)
        assert code == 0 and report["equal"] and report["verified"]
        assert report["units_in_book"] == report["units_on_chain"] and report["holdings"] == 263
        lines = paths[1].read_text("utf-8").splitlines()
        lines[1] = lines[1].replace("holder-000000", "holder-000299")
        paths[1].write_text("\n".join(lines), "utf-8")
        out = tmp_path / "differences.csv"
        code, report = await asyncio.to_thread(command, "reconcile", *book, "--out", str(out))
        assert (code, report["differences"]) == (2, 2) and len(out.read_text("utf-8").splitlines()) == 3

    async def main() -> None:
        async with data_house(tmp_path / "chain", PEOPLE) as house:
            await story(house)

    asyncio.run(main())
