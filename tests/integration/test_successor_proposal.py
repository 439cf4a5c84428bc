"""A market's institution proposes the successor of its chain, the regulator confirms it: the commands, live."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from chain_core.node.provision import NodePlan
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.transaction import Operation
from dualchain.demo import onboarding
from dualchain.demo.actors import Actor, Desk
from dualchain.demo.days import Calendar, day_of_ms
from dualchain.demo.kept import environment
from dualchain.demo.layout import MARKETS, SUPERVISORY, Chain, lay_out
from dualchain.demo.ports import LOOPBACK, draw_ports
from dualchain.demo.processes import ProcessGroup
from tests.integration.test_successor import dualchain

pytestmark = pytest.mark.integration

OPERATOR = "operator-BJ"
NOT_BROUGHT = "packets of channel report were not delivered"


class Office:
    """The commands of both institutions, each with its own key, to the nodes of the supervisory chain."""

    def __init__(self, upper: Chain) -> None:
        self.where = ["--genesis", str(upper.genesis_file), *(f"--node={address}" for address in upper.addresses)]
        self.keys = upper.directory / "accounts"
        self.source = f"file:{upper.directory.parent / 'passphrase'}"

    def says(self, who: Actor, *words: str, code: int = 0) -> dict[str, Any]:
        key = ["--account", who.account.hex(), "--key", str(self.keys / f"{who.name}.key")]
        key += ["--passphrase-from", self.source]
        return dualchain("supervisory", "successor", *words, *key, *self.where, "--json", code=code)

    def shown(self, *words: str) -> dict[str, Any]:
        return dualchain("supervisory", *words, *self.where, "--json")


async def business(chain: Chain) -> None:
    """One block of the market with something to report, which no relayer ever brings."""
    desk = Desk(chain, VerifyingClient(chain.view(), chain.addresses, chain.security()))
    registrar = desk.genesis_actor("registrar")
    holder = desk.new_actor("H1", registrar)
    keys = {"transaction": [holder.public]}
    args = {"reference": "H1", "entity": "H1", "roles": [], "keys": keys}
    await desk.accepted([desk.sign("account", registrar, [Operation("accounts", "register", args)])])
    row = {"account": holder.account, "amount_fen": 100, "reference": "in-1"}
    bank = desk.genesis_actor("bank")
    await desk.accepted([desk.sign("money", bank, [Operation("kernel", "deposit", {"rows": [row]})])])
    await desk.client.close()


def successor_of(chain: Chain, directory: Path) -> tuple[Path, list[NodePlan], Path]:
    """Its genesis document and nodes, and the snapshot of the one node that is left of the predecessor."""
    source, plan, ports = directory / "snapshot", chain.plans[0], draw_ports(8)
    dualchain("node", "snapshot", "--config", chain.directory / plan.name / "node.toml", "--to", source, "--json")
    plans = [NodePlan(f"next-{i}", f"Institution {i}", LOOPBACK, ports[2 * i], ports[2 * i + 1]) for i in range(4)]
    nodes = [f"--node={p.name},{p.entity},{p.host},{p.peer_port},{p.client_port}" for p in plans]
    dualchain("local", "successor", directory / "next", "--from", source, *nodes, "--plain-keys", "--json")
    return directory / "next" / "genesis.bin", plans, source


def two_institutions_decide(office: Office, operator: Actor, officer: Actor, chain: Chain, directory: Path) -> None:
    document, plans, source = successor_of(chain, directory)
    before = chain.view().genesis_hash.hex()
    endpoints = [f"--endpoint={p.name}={p.host}:{p.client_port}" for p in plans[:2]]
    words = ["propose", str(document), "--from", str(source), *endpoints]
    assert not office.shown("successor", "show", before)["proposed"]
    after = office.says(operator, *words)["chain"]
    shown = office.shown("successor", "show", before)
    assert (shown["proposed"], shown["chain"], shown["give_up"]) == (True, after, False)
    # The last reports were never brought, and nobody has said that they are given up.
    refusal = office.says(officer, "confirm", after, code=1)["refusal"]
    assert NOT_BROUGHT in refusal and "successor show" in refusal
    office.says(operator, "withdraw", after)
    office.says(operator, *words, "--give-up")
    office.says(officer, "confirm", after, "--give-up")
    market = office.shown("market", "BJ")
    assert (market["chain"], market["status"], market["predecessor"]) == (after, "admitted", before)
    assert market["given_up"]["report"] > 0 and not office.shown("successor", "show", before)["proposed"]


async def story(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = time.time_ns() // 1_000_000
    chains = lay_out(directory, Calendar(frozenset(), frozenset()).opening(day_of_ms(now_ms)), now_ms).chains
    upper, market = chains[SUPERVISORY], chains["BJ"]
    for name, value in environment(upper).items():
        monkeypatch.setenv(name, value)
    group, past = ProcessGroup(directory / "logs"), ProcessGroup(directory / "past-logs")
    desk = Desk(upper, VerifyingClient(upper.view(), upper.addresses, upper.security()))
    try:
        await past.start_all(market.commands(), 60)
        await business(market)
        await past.stop()
        await group.start_all(upper.commands(), 60)
        await onboarding.register_accounts(desk, {OPERATOR: (MARKETS["BJ"][1], ("operator",))})
        operator, officer = desk.actors[OPERATOR], desk.genesis_actor("csrc-checker")
        await onboarding.admit(desk, operator, market)
        await asyncio.to_thread(two_institutions_decide, Office(upper), operator, officer, market, directory)
    finally:
        await desk.client.close()
        await past.stop()
        await group.stop()


def test_propose_show_withdraw_and_confirm_move_the_market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(story(tmp_path, monkeypatch))
