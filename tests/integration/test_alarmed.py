"""What nodes say of a validator's certificate becomes a proposal when f+1 of them say it, signed by a governor."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import supervisory_chain.cli
from chain_core.node.alarmed_cli import KeyNeeded, agreed_code
from tests.integration.bad_certificates import expire, revoke
from tests.integration.network import NAMES, Network, lay_out, run


@pytest.mark.parametrize(
    ("codes", "needed", "agreed"),
    [
        ({}, 1, ""),
        ({"CERTIFICATE_EXPIRED": ["a"]}, 2, ""),
        ({"CERTIFICATE_EXPIRED": ["a", "a"]}, 2, ""),
        ({"CERTIFICATE_EXPIRED": ["a", "b"]}, 2, "CERTIFICATE_EXPIRED"),
        ({"CERTIFICATE_EXPIRED": ["a", "b"], "CERTIFICATE_REVOKED": ["a", "c"]}, 2, "CERTIFICATE_REVOKED"),
        ({"CERTIFICATE_EXPIRED": ["a"], "CERTIFICATE_REVOKED": ["b"]}, 2, ""),
        ({"CERTIFICATE_REFUSED": ["a", "b"]}, 2, ""),
    ],
)
def test_f_plus_1_have_to_agree(codes: dict[str, list[str]], needed: int, agreed: str) -> None:
    assert agreed_code(codes, needed) == agreed


@pytest.mark.parametrize("names", [NAMES, (*NAMES, "five")], ids=["four", "five"])
def test_a_governor_asks_the_nodes_and_proposes(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Four nodes run, a quorum of five as well."""
    directory = tmp_path / "network"
    lay_out(directory, ("alice", "bob"), names)
    expire(directory, "two")
    revoke(directory, "three")

    async def alarmed(network: Network, *more: object) -> dict[str, Any]:
        nodes = [word for address in network.addresses() for word in ("--node", address)]
        words = ["validators", "alarmed", *nodes, "--genesis", directory / "genesis.bin", "--json", *more]
        call = CliRunner().invoke
        result = await asyncio.to_thread(call, supervisory_chain.cli.app, [str(word) for word in words])
        if result.exception is not None:
            raise result.exception
        found = json.loads(result.stdout)
        assert isinstance(found, dict)
        return found

    async def story(network: Network) -> None:
        alice, client = network.wallets["alice"], network.client()
        await client.submit_until_final([alice.transfer(network.wallets["bob"].account, 1)])
        await network.until(1)
        await client.close()
        async with asyncio.timeout(60):  # each node that links it sees the certificate
            first = await alarmed(network)
            while len(first["validators"]["two"].get("CERTIFICATE_EXPIRED", ())) < 4:
                first = await alarmed(network)
        assert (first["needed"], first["asked"]) == (2, 4)
        assert {name: row["agreed"] for name, row in first["validators"].items()} == {
            "two": "CERTIFICATE_EXPIRED",
            "three": "",  # the list that it stands on has reached itself alone
        }
        with pytest.raises(KeyNeeded):
            await alarmed(network, "--propose")
        key = directory / "accounts" / "alice.key"
        found = await alarmed(network, "--propose", "--account", alice.account.hex(), "--key", key)
        rows = found["validators"]
        assert rows["two"]["agreed"] == "CERTIFICATE_EXPIRED" and len(rows["two"]["CERTIFICATE_EXPIRED"]) == 4
        assert "proposed" not in rows["three"] and rows["three"]["agreed"] == ""
        if len(names) == 4:  # governance has the last word: a chain of four keeps its four
            assert "refused: " in rows["two"]["proposed"] and "4" in rows["two"]["proposed"]
            return
        assert rows["two"]["proposed"].startswith("opened at height ")
        again = await alarmed(network, "--propose", "--account", alice.account.hex(), "--key", key)
        assert again["validators"]["two"]["pending_proposal"] and "proposed" not in again["validators"]["two"]

    run(directory, story)
