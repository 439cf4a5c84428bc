"""Two services of a market on real processes: chains, relayer, gateway, hosts, a bureau; each person at his commands.

Government data: host and bureau are killed at work, and what was begun counts once. Deposits: verified offline.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.identity.did import credit_code_fault
from dualchain.demo import border, onboarding
from dualchain.demo.actors import Actor
from dualchain.demo.layout import SUPERVISORY
from dualchain.demo.ports import draw_ports
from service_registry.config import KeyPair
from service_registry.deposits.cli import app as deposit_app
from service_registry.govdata.cli import app
from tests.integration.test_registry import House

pytestmark = pytest.mark.integration

BUREAU, ENTERPRISE, HOLDER = "91310104MA1FRNWW80", "91310000564759688N", "91320000MA1FRNWW8K"
COMPANY_DID = f"did:rem:beijing:{ENTERPRISE}"
PURPOSE = "股权质押尽职调查"
DATA = {ENTERPRISE: {"basic": {"name": "示例公司"}, "tax": {"grade": "A"}}}


class GovHouse(House):
    """The house of the registry's test, with an enterprise, a bureau and DIDs."""

    holder = ""

    def key(self, name: str) -> bytes:
        private = generate_private_key()
        write_private_key(self.work / f"{name}.key", private)
        return signing_provider().sm2_public_key(private)

    async def settle_in(self) -> None:
        """Accounts and DIDs in Beijing; a relayer carries them to the supervisory chain."""
        lower, upper = self.desks["BJ"], self.desks[SUPERVISORY]
        registrar, operator = lower.genesis_actor("registrar"), lower.genesis_actor("operator")
        operations = []
        for name in ("enterprise", "consumer"):
            actor = lower.new_actor(name, registrar, self.work / f"{name}.key")
            keys: dict[str, Value] = {"transaction": [actor.public]}
            keys["did-auth"] = [self.key(f"{name}-auth")]
            keys["assertion"] = [self.key(f"{name}-assertion")]
            args: dict[str, Value] = {"reference": name, "entity": name, "roles": [], "keys": keys}
            operations.append(Operation("accounts", "register", args))
        await lower.accepted([lower.sign("accounts", registrar, operations)])
        dids = [(COMPANY_DID, "enterprise"), (self.holder, "consumer")]
        rows = [
            Operation("identities", "create", {"did": d, "account": lower.actors[n].account, "evidence": sm3(b"m")})
            for d, n in dids
        ]
        await lower.accepted([lower.sign("DIDs", operator, rows)])
        await onboarding.register_accounts(upper, {"relayer-BJ": ("relayer", ())})
        lower.genesis_actor("relayer")
        border.write_relayer_config(self.work / "relayer.toml", upper, lower, "relayer-BJ", "relayer")
        await self.group.start_all({"relayer": ["relayer", "run", "--config", str(self.work / "relayer.toml")]}, 30)

    def write_files(self) -> None:
        """The files of docs/spec/government-data.md §8."""
        lower, chain = self.desks["BJ"], self.chains["BJ"]
        bureau_at = f"127.0.0.1:{draw_ports(1)[0]}"
        bureau_key, publisher = self.key("bureau"), self.work / "operator-BJ-assertion.key"
        self.bureau_key = bureau_key.hex()
        (self.work / "data.json").write_text(json.dumps(DATA, ensure_ascii=False), "utf-8")
        client = KeyPair.load(publisher).public.hex()
        (self.work / "bureau.toml").write_text(
            f'listen = "{bureau_at}"\nkey = "bureau.key"\ncredit_code = "{BUREAU}"\ngenesis = "{chain.genesis_file}"\n'
            f'clients = ["{client}"]\ndata = "data.json"\nreceipts = "receipts.jsonl"\n'
        )
        operator = lower.genesis_actor("operator")
        (self.work / "govdata.toml").write_text(
            (self.work / "lookup.toml").read_text().replace('"holder-roll"', '"government-data"')
            + f'[operator]\naccount = "{operator.account.hex()}"\nkey = "{self.local_key("operator")}"\n'
            + f'[bureau]\nurl = "http://{bureau_at}"\ncredit_code = "{BUREAU}"\n'
        )
        for name, did in (("enterprise", COMPANY_DID), ("operator", "")):
            actor = lower.actors[name]
            own = self.work / "enterprise.key" if name == "enterprise" else self.local_key(name)
            (self.work / f"party-{name}.toml").write_text(
                f"{self._chain('chain', chain, 'operator')}"
                f'[actor]\naccount = "{actor.account.hex()}"\nkey = "{own}"\ndid = "{did}"\n'
                f'assertion_key = "{name}-assertion.key"\n[keys]\npassphrase_file = "passphrase"\n'
            )
        self.deposits_at = f"127.0.0.1:{draw_ports(1)[0]}"
        (self.work / "deposits.toml").write_text(
            (self.work / "lookup.toml")
            .read_text()
            .replace('"holder-roll"', '"deposit"')
            .replace(f'listen = "{self.lookup}"', f'listen = "{self.deposits_at}"')
            + f'[operator]\naccount = "{operator.account.hex()}"\nkey = "{self.local_key("operator")}"\n'
        )
        text = (self.work / "operator-JS.toml").read_text()
        (self.work / "ask.toml").write_text(f'{text}[identity]\ndid = "{self.holder}"\nkey = "consumer-auth.key"\n')

    def local_key(self, name: str) -> Path:
        return self.chains["BJ"].directory / "accounts" / f"{name}.key"

    async def govdata(self, *words: str, config: str = "", refused: bool = False, app: Typer = app) -> dict[str, Any]:
        """One command; its JSON, or the refusal."""
        line = [*words, *(["--config", str(self.work / config)] if config else []), *(["--json"] if config else [])]
        result = await asyncio.to_thread(CliRunner().invoke, app, line)
        if refused:
            assert isinstance(result.exception, DualchainError), (words, result.output, result.exception)
            return {"refused": str(result.exception)}
        assert result.exit_code == 0, (words, result.output, result.exception)
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    async def kill(self, name: str) -> None:
        """As a power cut does."""
        process = self.group.running.pop(name).process
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def test_data_are_asked_for_by_authorisation_and_never_more_often_than_granted(tmp_path: Path) -> None:
    asyncio.run(story(GovHouse(tmp_path)))


async def story(house: GovHouse) -> None:
    house.holder = _did(HOLDER)
    try:
        await house.start()
        await house.onboard()
        house.configure()
        await house.settle_in()
        house.write_files()
        await house.group.start_all(
            {
                "gateway": ["gateway", "run", "--config", str(house.work / "gateway.toml")],
                "bureau": ["demo", "bureau", "--config", str(house.work / "bureau.toml")],
                "host": ["govdata", "serve", "--config", str(house.work / "govdata.toml")],
                "deposits": ["deposits", "serve", "--config", str(house.work / "deposits.toml")],
            },
            30,
        )
        await name_bureau(house)
        definition = await house.govdata("definition", "--endpoint", house.lookup)
        service = await published(house, "government-data", definition)
        await uses(house, service)
        await deposits(house)
        house.group.check()
    finally:
        await house.stop()


def _did(seventeen: str) -> str:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    code = next(seventeen[:17] + c for c in alphabet if not credit_code_fault(seventeen[:17] + c))
    return f"did:rem:beijing:{code}"


async def name_bureau(house: GovHouse) -> None:
    """On record by the operator and another house."""
    governor: Actor = house.desks["BJ"].genesis_actor("governor-bank")
    named = await house.govdata(
        "name-bureau", BUREAU, "--name", "示例政务数据局", "--bureau-key", house.bureau_key,
        "--cosigner", governor.account.hex(), "--cosigner-key", str(house.local_key("governor-bank")),
        config="party-operator.toml",
    )  # fmt: skip
    assert named["final"]
    file = house.work / "certificate"
    file.write_bytes(b"certificate")
    for who in ("operator-BJ", "operator-JS", "tester"):
        await house.command(who, "certificate", "--file", str(file))


async def published(house: GovHouse, reference: str, row: dict[str, Any]) -> str:
    """A service, online, with a confirmed consumer."""
    publisher, consumer = "operator-BJ", "operator-JS"
    definition = house.work / f"{reference}.json"
    definition.write_text(json.dumps(row), "utf-8")
    drafted = await house.command(publisher, "draft", "--reference", reference, "--definition", str(definition))
    service: str = drafted["service"]
    assert (await house.command("tester", "joint-test", service))["verdict"] == "pass"
    for step in ("register", "online"):
        await house.command(publisher, step, service)
    applied = await house.command(consumer, "apply", service)
    await house.command(publisher, "confirm", service, "--consumer", applied["consumer"])
    return service


async def uses(house: GovHouse, service: str) -> None:
    credential = house.work / "authorisation.json"
    authorised = await house.govdata(
        "authorise", "--to", house.holder, "--item", "basic", "--item", "tax", "--purpose", PURPOSE, "--uses", "2",
        "--days", "30", "--enterprise", "示例公司", "--credit-code", ENTERPRISE, "--output", str(credential),
        config="party-enterprise.toml",
    )  # fmt: skip
    ask = ("ask", service, "--authorisation", str(credential), "--purpose", PURPOSE, "--item")
    first = await house.govdata(*ask, "tax", config="ask.toml")
    assert (first["data"], first["use"], first["of"]) == ({"tax": DATA[ENTERPRISE]["tax"]}, 1, 2)
    assert "示例政务数据局" in first["source"]
    denied = await house.govdata(*ask, "court", config="ask.toml", refused=True)
    assert "ITEM_NOT_AUTHORISED" in denied["refused"] and "未授权" in denied["refused"]
    # The bureau is cut off: a use is begun and not answered. Then the host dies as well.
    await house.kill("bureau")
    cut = await house.govdata(*ask, "basic", config="ask.toml", refused=True)
    assert "BUREAU_UNREACHABLE" in cut["refused"]
    await house.kill("host")
    again = {
        "bureau": ["demo", "bureau", "--config", str(house.work / "bureau.toml")],
        "host": ["govdata", "serve", "--config", str(house.work / "govdata.toml")],
    }
    await house.group.start_all(again, 30)
    over = await house.govdata(*ask, "basic", config="ask.toml", refused=True)
    assert "USED_UP" in over["refused"]
    shown = await house.govdata("show", authorised["credential"], config="party-enterprise.toml")
    assert (shown["used"], [row["state"] for row in shown["records"]]) == (2, ["settled", "begun"])
    records = await house.command("tester", "records", service, "--audit")
    assert [row["code"] for row in records["records"]][-4:] == ["OK", *["SERVICE_ERROR"] * 3]


async def deposits(house: GovHouse) -> None:
    """A document of Jiangsu on Beijing's chain: made through the gateway, verified with the genesis document alone."""
    row = await house.govdata("definition", "--endpoint", house.deposits_at, app=deposit_app)
    service = await published(house, "deposit", row)
    document, slip = house.work / "contract.pdf", house.work / "contract.slip"
    document.write_bytes(b"%PDF a contract")
    held = ("--document", str(document))
    made = await house.govdata("ask", service, *held, "--slip", str(slip), config="operator-JS.toml", app=deposit_app)
    genesis = str(house.chains["BJ"].genesis_file)
    checked = await house.govdata("verify", str(slip), *held, "--genesis", genesis, "--json", app=deposit_app)
    assert (checked["deposit"], checked["verified"]) == (made["deposit"], True)
    assert document.read_bytes() not in slip.read_bytes()
    document.write_bytes(b"%PDF another contract")
    result = await asyncio.to_thread(
        CliRunner().invoke, deposit_app, ["verify", str(slip), *held, "--genesis", genesis, "--json"]
    )
    assert isinstance(result.exception, DualchainError) and "不符" in str(result.exception)
