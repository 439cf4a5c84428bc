"""A supervisory chain of real node processes, a gateway, a publisher's host and a confirmed consumer: what is needed to
call a service that is recorded by batch.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key
from chain_core.crypto.x509.roles import GATEWAY
from chain_core.network.secured.security import ClientSecurity
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from dualchain.demo import onboarding
from dualchain.demo.actors import Desk
from dualchain.demo.days import Calendar, day_of_ms
from dualchain.demo.layout import MARKETS, SUPERVISORY, Chain, lay_out
from dualchain.demo.processes import ProcessGroup, Running
from service_registry.chain import Account, RegistryChain
from service_registry.config import KeyPair
from service_registry.consumer import Consumer
from service_registry.definition import USUAL
from service_registry.joint_test import JointTest
from service_registry.records import SERVICES
from service_registry.serving import service_id

PUBLISHER, CONSUMER, TESTER, GATE = "operator-BJ", "operator-JS", "tester", "gateway"
REFERENCE = "echo"
PEOPLE: dict[str, tuple[str, tuple[str, ...]]] = {
    **{f"operator-{market}": (MARKETS[market][1], ("operator",)) for market in MARKETS},
    GATE: ("赋能服务平台", ("gateway",)),
    TESTER: ("联调测试机构", ("tester",)),
}
_NUMBER = '{"type":"object","required":["%s"],"additionalProperties":false,"properties":{"%s":{"type":"integer"}}}'


def definition(endpoint: str, recording: str) -> dict[str, Value]:
    """A service that answers a number with that number."""
    interface: dict[str, Value] = {"kind": "json-schema", "descriptor": ""}
    interface |= {"request": _NUMBER % ("question", "question"), "response": _NUMBER % ("answer", "answer")}
    return {
        **USUAL,
        "name": "echo",
        "description": "answers a number with that number",
        "interface": interface,
        "endpoints": [endpoint],
        "price_fen": 7,
        "quota": {"calls_a_day": 0, "at_once": 64},
        "sla": {"deadline_ms": 5_000, "available_permille": 0},
        "recording": recording,
        "examples": [{"request": '{"question":1}'}],
        "wrong_request": '{"question":"what"}',
    }


@dataclass(slots=True)
class GatewayNetwork:
    """Processes and people; ``begin`` makes it, ``stop`` ends it."""

    work: Path
    chain: Chain
    group: ProcessGroup
    desk: Desk
    registry: RegistryChain
    gateway: str
    endpoint: str
    keys: dict[str, KeyPair]
    service: bytes

    @classmethod
    async def begin(cls, work: Path, recording: str = "batch") -> GatewayNetwork:
        """The service is online, and the consumer confirmed."""
        now_ms = time.time_ns() // 1_000_000
        await asyncio.to_thread(work.mkdir, parents=True, exist_ok=True)
        layout = lay_out(work, Calendar(frozenset(), frozenset()).opening(day_of_ms(now_ms)), now_ms)
        chain, group = layout.chains[SUPERVISORY], ProcessGroup(work / "logs")
        try:
            await group.start_all(chain.commands(), 60)
            desk = Desk(chain, VerifyingClient(chain.view(), chain.addresses, chain.security()))
            registry = RegistryChain(chain.view(), chain.addresses, chain.security())
            await onboarding.register_accounts(desk, PEOPLE)
            service = service_id(registry.genesis_hash, desk.actors[PUBLISHER].account, REFERENCE)
            made = cls(work, chain, group, desk, registry, layout.gateway, layout.lookup, {}, service)
            await made._keys()
            for market in MARKETS:
                await onboarding.admit(desk, desk.actors[f"operator-{market}"], layout.chains[market])
            made._configure(layout.chains["BJ"])
            await made.start_host()
            await made.start_gateway()
            await made._publish(recording)
        except BaseException:
            await group.stop()
            raise
        return made

    async def stop(self) -> None:
        """Ends everything."""
        await self.registry.close()
        await self.desk.client.close()
        await self.group.stop()

    # ---- processes

    async def start_host(self) -> Running:
        """The publisher's host."""
        log = self.work / "logs" / "host.log"
        with log.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.echo_host", str(self.work / "host.toml"), str(self.runs)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            )
        started = self.group.running["host"] = Running("host", process, log)
        await self.group.ready(started, 30)
        return started

    async def start_gateway(self) -> Running:
        """The gateway; after a kill on the same store."""
        started = await self.group.start("gateway", ["gateway", "run", "--config", str(self.work / "gateway.toml")])
        await self.group.ready(started, 30)
        return started

    @property
    def runs(self) -> Path:
        """Ids of the calls that the host carried out."""
        return self.work / "runs"

    # ---- people

    def account(self, name: str) -> Account:
        """Somebody with his transaction key."""
        actor = self.desk.actors[name]
        return Account(actor.account, actor.private, actor.public)

    def security(self, name: str, role: str = GATEWAY) -> ClientSecurity:
        """Sessions of somebody with who has this role."""
        return self.chain.security(name, role)

    def consumer(self, name: str = CONSUMER) -> Consumer:
        """Somebody who calls through the gateway."""
        who = self.desk.actors[name].account
        return Consumer(self.registry, self.gateway, who, self.keys[name], security=self.security(name))

    async def submit(self, who: str, method: str, **args: Value) -> None:
        """One operation on ``services``, final."""
        await self.registry.submit(self.account(who), [Operation(SERVICES, method, args)])

    async def _keys(self) -> None:
        self.chain.certify(
            {
                PUBLISHER: (PEOPLE[PUBLISHER][0], ("publisher",)),
                CONSUMER: (PEOPLE[CONSUMER][0], ()),
                TESTER: (PEOPLE[TESTER][0], ("tester", "auditor")),
            }
        )
        for name in PEOPLE:
            self.keys[name] = KeyPair.of(generate_private_key())
            file = self.chain.directory / "accounts" / f"{name}-assertion.key"
            write_private_key(file, self.keys[name].private, self.chain.protection.passphrase)
            key = self.keys[name].public
            attach = Operation("accounts", "attach_key", {"purpose": "assertion", "key": key})
            await self.registry.submit(self.account(name), [attach])
            if name != GATE:
                await self.submit(name, "upload_certificate", key=key, certificate=sm3(key))

    def _configure(self, market: Chain) -> None:
        accounts = self.chain.directory / "accounts"
        gateway = [
            *self._section("supervisory", self.chain, GATE),
            "[keys]",
            *self.chain.protection.lines,
            "[gateway]",
            f'listen = "{self.gateway}"',
            f'account = "{self.desk.actors[GATE].account.hex()}"',
            f'key = "{accounts / "gateway.key"}"',
            'store = "gateway-records"',
            f'assertion_key = "{accounts / "gateway-assertion.key"}"',
        ]
        host = [
            *self._section("supervisory", self.chain, PUBLISHER),
            *self._section("market", market, "operator"),
            "[keys]",
            *self.chain.protection.lines,
            "[publisher]",
            f'listen = "{self.endpoint}"',
            f'account = "{self.desk.actors[PUBLISHER].account.hex()}"',
            f'reference = "{REFERENCE}"',
            f'assertion_key = "{accounts / f"{PUBLISHER}-assertion.key"}"',
        ]
        consumer = [
            *self._section("supervisory", self.chain, CONSUMER),
            "[keys]",
            *self.chain.protection.lines,
            "[actor]",
            f'account = "{self.desk.actors[CONSUMER].account.hex()}"',
            f'key = "{accounts / f"{CONSUMER}.key"}"',
            f'assertion_key = "{accounts / f"{CONSUMER}-assertion.key"}"',
            "[gateway]",
            f'address = "{self.gateway}"',
        ]
        for name, lines in (("gateway", gateway), ("host", host), ("consumer", consumer)):
            (self.work / f"{name}.toml").write_text("\n".join(lines) + "\n", "utf-8")

    @staticmethod
    def _section(section: str, chain: Chain, client: str) -> list[str]:
        return [
            f"[{section}]",
            f'genesis = "{chain.genesis_file}"',
            f'credentials = "{chain.credentials(client)}"',
            f"nodes = {json.dumps(chain.addresses)}",
        ]

    async def _publish(self, recording: str) -> None:
        row = definition(self.endpoint, recording)
        await self.submit(PUBLISHER, "draft", market="BJ", reference=REFERENCE, definition=row)
        tester = self.consumer(TESTER)
        try:
            outcome = await JointTest(self.registry, tester, self.account(TESTER), self.keys[TESTER]).run(self.service)
        finally:
            await tester.close()
        if outcome.report.verdict != "pass":
            raise RuntimeError(f"the joint test failed: {outcome.report.findings}")
        for who, method, more in (
            (PUBLISHER, "register", {}),
            (PUBLISHER, "online", {}),
            (CONSUMER, "apply", {"market": "JS"}),
            (PUBLISHER, "confirm", {"consumer": self.desk.actors[CONSUMER].account}),
        ):
            arguments: dict[str, Value] = {"service": self.service, **more}
            await self.submit(who, method, **arguments)
