"""A service's life on real processes: two chains of four nodes, gateway, look-up, and each person's commands."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from dualchain.demo import market_setup, onboarding
from dualchain.demo.actors import Desk
from dualchain.demo.days import Calendar, day_of_ms
from dualchain.demo.inputs import Holding, MarketDay
from dualchain.demo.layout import MARKETS, SUPERVISORY, Chain, lay_out
from dualchain.demo.processes import ProcessGroup
from service_registry import cli, lookup_cli

pytestmark = pytest.mark.integration

HOLDERS = 70
"""More than one chunk of the roll."""
SECURITY = "900001.BJ"
PEOPLE: dict[str, tuple[str, tuple[str, ...]]] = {
    **{f"operator-{market}": (MARKETS[market][1], ("operator",)) for market in MARKETS},
    "gateway": ("赋能服务平台", ("gateway",)),
    "tester": ("联调测试机构", ("tester",)),
}


class House:
    """The laid-out chains, the running processes, and one configuration file a person."""

    def __init__(self, work: Path) -> None:
        now_ms = time.time_ns() // 1_000_000
        self.work, self.today = work, day_of_ms(now_ms)
        calendar = Calendar(frozenset(), frozenset()).opening(self.today)
        layout = lay_out(work, calendar, now_ms)
        self.chains, self.gateway, self.lookup = layout.chains, layout.gateway, layout.lookup
        self.group = ProcessGroup(work / "logs")
        self.desks: dict[str, Desk] = {}

    @property
    def upper(self) -> Chain:
        return self.chains[SUPERVISORY]

    async def start(self) -> None:
        nodes = {name: line for label in (SUPERVISORY, "BJ") for name, line in self.chains[label].commands().items()}
        await self.group.start_all(nodes, 30)
        for label in (SUPERVISORY, "BJ"):
            chain = self.chains[label]
            self.desks[label] = Desk(chain, VerifyingClient(chain.view(), chain.addresses, chain.security()))

    async def stop(self) -> None:
        await asyncio.gather(*(desk.client.close() for desk in self.desks.values()))
        await self.group.stop()

    async def onboard(self) -> None:
        """Accounts with assertion keys; both markets registered and admitted; a roll in Beijing."""
        upper = self.desks[SUPERVISORY]
        await onboarding.register_accounts(upper, PEOPLE)
        attached = []
        for name in PEOPLE:
            private = generate_private_key()
            write_private_key(self.work / f"{name}-assertion.key", private)
            args: dict[str, Value] = {
                "purpose": "assertion",
                "key": signing_provider().sm2_public_key(private),
            }
            attached.append(
                upper.sign(f"key of {name}", upper.actors[name], [Operation("accounts", "attach_key", args)])
            )
        await upper.accepted(attached)
        for market in MARKETS:
            await onboarding.admit(upper, upper.actors[f"operator-{market}"], self.chains[market])
        await self._roll()

    async def _roll(self) -> None:
        desk = self.desks["BJ"]
        registrar, operations = desk.genesis_actor("registrar"), list[Operation]()
        names = [f"H{n:03}" for n in range(HOLDERS)]
        for name in (*names, market_setup.issuer_of(SECURITY)):
            keys: dict[str, Value] = {"transaction": [desk.new_actor(name, registrar).public]}
            operations.append(
                Operation("accounts", "register", {"reference": name, "entity": name, "roles": [], "keys": keys})
            )
        parts = market_setup.chunks(operations, 32)
        await desk.accepted([desk.sign("accounts", registrar, part) for part in parts])
        rows = [Holding(n, "BJ", SECURITY, "示例公司", name, 100 + n, self.today - 10) for n, name in enumerate(names)]
        calendar = Calendar(frozenset(), frozenset())
        day = MarketDay(self.today, calendar, tuple(rows), (), (), (), ())
        assert await market_setup.take_rolls_into_custody(desk, day) == {SECURITY: HOLDERS}

    def configure(self) -> None:
        """Files of gateway, look-up and persons, as docs/spec/service-registry.md §11 says."""
        self.upper.certify(
            {
                "operator-BJ": (PEOPLE["operator-BJ"][0], ("publisher",)),
                "operator-JS": (PEOPLE["operator-JS"][0], ()),
                "tester": (PEOPLE["tester"][0], ("tester", "auditor")),  # reads whole blocks, to recompute digests
            }
        )
        above = {
            name: self._chain("supervisory", self.upper, name) + '[keys]\npassphrase_file = "passphrase"\n'
            for name in PEOPLE
        }
        who = self.desks[SUPERVISORY].actors
        keys = self.upper.directory / "accounts"
        (self.work / "gateway.toml").write_text(
            f'{above["gateway"]}[gateway]\nlisten = "{self.gateway}"\naccount = "{who["gateway"].account.hex()}"\n'
            f'key = "{keys / "gateway.key"}"\n'
        )
        (self.work / "lookup.toml").write_text(
            f"{above['operator-BJ']}{self._chain('market', self.chains['BJ'], 'operator')}"
            f'[publisher]\nlisten = "{self.lookup}"\n'
            f'account = "{who["operator-BJ"].account.hex()}"\nreference = "holder-roll"\n'
            'assertion_key = "operator-BJ-assertion.key"\n'
        )
        for name in (name for name in PEOPLE if name != "gateway"):
            market = f'market = "{name[-2:]}"\n' if name.startswith("operator-") else ""
            (self.work / f"{name}.toml").write_text(
                f'{above[name]}[actor]\naccount = "{who[name].account.hex()}"\nkey = "{keys / f"{name}.key"}"\n'
                f'assertion_key = "{name}-assertion.key"\n{market}[gateway]\naddress = "{self.gateway}"\n'
            )

    @staticmethod
    def _chain(section: str, chain: Chain, client: str) -> str:
        place = f'genesis = "{chain.genesis_file}"\ncredentials = "{chain.credentials(client)}"\n'
        return f"[{section}]\n{place}nodes = {json.dumps(chain.addresses)}\n"

    async def command(self, who: str, *arguments: str, refused: bool = False) -> dict[str, Any]:
        """One command as that person; its JSON, or the refusal."""

        def invoke() -> dict[str, Any]:
            line = [*arguments, "--config", str(self.work / f"{who}.toml"), "--json"]
            result = CliRunner().invoke(cli.app, line)
            if refused:
                assert result.exception is not None, result.output
                return {"refused": str(result.exception)}
            assert result.exit_code == 0, (arguments, result.output, result.exception)
            found: dict[str, Any] = json.loads(result.stdout)
            return found

        return await asyncio.to_thread(invoke)


def test_a_service_is_published_tested_applied_for_called_and_audited(tmp_path: Path) -> None:
    asyncio.run(story(House(tmp_path)))


async def story(house: House) -> None:
    try:
        await house.start()
        await house.onboard()
        house.configure()
        servers = {name: [name, "run", "--config", str(house.work / f"{name}.toml")] for name in ("gateway", "lookup")}
        await house.group.start_all(servers, 30)
        await life(house)
        house.group.check()
    finally:
        await house.stop()


async def life(house: House) -> None:
    publisher, consumer = "operator-BJ", "operator-JS"
    security = market_setup.security_id(house.desks["BJ"], SECURITY).hex()
    definition = house.work / "definition.json"
    printed = CliRunner().invoke(lookup_cli.app, ["definition", "--endpoint", house.lookup, "--security", security])
    definition.write_text(printed.stdout, "utf-8")
    for who in (publisher, consumer, "tester"):
        await house.command(who, "certificate", "--file", str(definition))
    drafted = await house.command(publisher, "draft", "--reference", "holder-roll", "--definition", str(definition))
    service = drafted["service"]
    early = await house.command(publisher, "register", service, refused=True)
    assert "services.not_tested" in early["refused"]
    tested = await house.command("tester", "joint-test", service)
    assert (tested["verdict"], tested["checks"]) == ("pass", ["schema", "signature", "compatibility", "proof"])
    await house.command(publisher, "register", service)
    await house.command(publisher, "online", service)
    request = json.dumps({"security": security})
    denied = await house.command(consumer, "call", service, "--request", request, refused=True)
    assert "NOT_CONFIRMED" in denied["refused"] and "recorded as NOT_AUTHORISED" in denied["refused"]
    applied = await house.command(consumer, "apply", service)
    await house.command(publisher, "confirm", service, "--consumer", applied["consumer"])
    answer = await house.command(consumer, "call", service, "--request", request)
    assert answer["holders"] == HOLDERS and answer["total"] == sum(100 + n for n in range(HOLDERS))
    assert answer["chain"] == house.chains["BJ"].view().genesis_hash.hex()
    unknown = json.dumps({"security": "00" * 16})
    error = await house.command(consumer, "call", service, "--request", unknown, refused=True)
    assert "UNKNOWN_SECURITY" in error["refused"]
    await look_back(house, service, applied["consumer"])
    await house.command(publisher, "offline", service)
    offline = await house.command(consumer, "call", service, "--request", request, refused=True)
    assert "NOT_ONLINE" in offline["refused"]


async def look_back(house: House, service: str, consumer: str) -> None:
    """Everything that happened is on chain, and adds up."""
    rows = (await house.command("tester", "records", service))["callers"]
    counts = {row["caller"]: (row["calls"], row["failures"]) for row in rows}
    assert counts[consumer] == (3, 2) and len(counts) == 2
    audited = await house.command("tester", "records", service, "--audit")
    codes = [row["code"] for row in audited["records"]]
    assert codes == ["OK", "BAD_REQUEST", "NOT_AUTHORISED", "OK", "SERVICE_ERROR"]
    shown = await house.command("tester", "show", service)
    assert shown["status"] == "online" and shown["versions"][0]["report"]["verdict"] == "pass"
    listed = (await house.command("tester", "list"))["services"]
    assert [row["service"] for row in listed] == [service]
