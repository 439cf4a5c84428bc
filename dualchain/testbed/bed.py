"""The testbed: the supervisory chain of the demonstration, its people with all their keys, a gateway
(docs/spec/publishing.md §4).
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.authority import Wish, open_authority
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.names import Subject
from chain_core.node.certify import AUTHORITY, ISSUING, LEAF_DAYS
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import LocalFault
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from dualchain.demo import onboarding
from dualchain.demo.actors import Desk
from dualchain.demo.days import Calendar, day_of_ms
from dualchain.demo.layout import MARKETS, SUPERVISORY, lay_out
from dualchain.demo.processes import ProcessGroup
from service_registry.records import SERVICES

START_S = 60.0
GATEWAY = "gateway"
PEOPLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "publisher": (MARKETS["BJ"][1], ("operator",)),
    "consumer": (MARKETS["JS"][1], ("operator",)),
    "tester": ("联调测试机构", ("tester",)),
    GATEWAY: ("赋能服务平台", ("gateway",)),
}
"""Legal entity and roles of each account on the supervisory chain."""
MARKET_OF = {"publisher": "BJ", "consumer": "JS"}
CLIENTS: dict[str, tuple[str, ...]] = {
    "publisher": ("publisher", "operator"),
    "consumer": ("operator",),
    "tester": ("tester", "auditor"),
}
"""Further roles in the certificates of those who open sessions."""


class DirectoryTaken(LocalFault):
    """A directory that is there already."""

    code = "DIRECTORY_TAKEN"


class Testbed:
    """One network. ``start``, then ``watch`` until it ends, then ``stop``, whatever happened."""

    def __init__(self, work: Path) -> None:
        try:
            work.mkdir(parents=True)
        except OSError as error:
            raise DirectoryTaken(
                f"cannot be made: {error.strerror}", where=str(work), next_step="name a new directory"
            ) from error
        now_ms = time.time_ns() // 1_000_000
        layout = lay_out(work, Calendar(frozenset(), frozenset()).opening(day_of_ms(now_ms)), now_ms)
        self.work, self.gateway, self._chains = work.resolve(), layout.gateway, layout.chains
        self._upper = layout.chains[SUPERVISORY]
        self._group = ProcessGroup(work / "logs")

    async def start(self) -> None:
        """Nodes, accounts, markets, gateway. Raises ProcessFailed, StoryFault."""
        await self._group.start_all(self._upper.commands(), START_S)
        desk = Desk(self._upper, VerifyingClient(self._upper.view(), self._upper.addresses, self._upper.security()))
        try:
            await self._people(desk)
            for name, market in MARKET_OF.items():
                await onboarding.admit(desk, desk.actors[name], self._chains[market])
            self._configure(desk)
        finally:
            await desk.client.close()
        await self._group.start_all({GATEWAY: [GATEWAY, "run", "--config", str(self.work / "gateway.toml")]}, START_S)

    async def watch(self) -> None:
        """Until a process ends by itself: ProcessFailed."""
        await self._group.watch()

    async def stop(self) -> None:
        """Ends all processes."""
        await self._group.stop()

    async def _people(self, desk: Desk) -> None:
        """Accounts; an assertion key for each, certified for all but the gateway; credentials for sessions."""
        await onboarding.register_accounts(desk, PEOPLE)
        attached, wishes = [], []
        for name in PEOPLE:
            private = generate_private_key()
            if name in CLIENTS:
                subject = Subject(f"{name} assertion", PEOPLE[name][0])
                wishes.append(Wish(Kind.SIGNING, subject, signing_provider().sm2_public_key(private), LEAF_DAYS))
            write_private_key(self.work / f"{name}-assertion.key", private, self._upper.protection.passphrase)
            args: dict[str, Value] = {"purpose": "assertion", "key": signing_provider().sm2_public_key(private)}
            operation = Operation("accounts", "attach_key", args)
            attached.append(desk.sign(f"assertion key of {name}", desk.actors[name], [operation]))
        await desk.accepted(attached)
        await self._authorities(desk, wishes)
        self._upper.certify({name: (PEOPLE[name][0], roles) for name, roles in CLIENTS.items()})

    async def _authorities(self, desk: Desk, wishes: list[Wish]) -> None:
        """Certificates of the assertion keys; the regulator's two officers name the authority that issued them."""
        authority = open_authority(self._upper.directory / AUTHORITY / ISSUING, self._upper.protection.unlock)
        for name, made in zip(CLIENTS, authority.issue_all(wishes, time.time_ns() // 1_000_000), strict=True):
            (self.work / f"{name}-assertion.pem").write_text(authority.chain_pem(made), "ascii")
        anchors = self._upper.credentials("cli") / "anchors.pem"
        named: dict[str, Value] = {"certificates": [one.der for one in load_certificates(anchors)]}
        for officer in ("csrc-issuer", "csrc-checker"):
            operation = Operation(SERVICES, "name_authorities", named)
            await desk.accepted([desk.sign("authorities for services", desk.genesis_actor(officer), [operation])])

    def _configure(self, desk: Desk) -> None:
        """The files of docs/spec/service-registry.md §11."""
        for name in PEOPLE:
            account = desk.actors[name].account.hex()
            key = json.dumps(str(self._upper.directory.resolve() / "accounts" / f"{name}.key"))
            lines = [
                "[supervisory]",
                f"genesis = {json.dumps(str(self._upper.genesis_file.resolve()))}",
                f"credentials = {json.dumps(str(self._upper.credentials(name).resolve()))}",
                f"nodes = {json.dumps(self._upper.addresses)}",
                "[keys]",
                *self._upper.protection.lines,
            ]
            if name == GATEWAY:
                lines += ["[gateway]", f'listen = "{self.gateway}"', f'account = "{account}"', f"key = {key}"]
                lines += ['store = "gateway-records"', f'assertion_key = "{name}-assertion.key"']
            else:
                lines += ["[actor]", f'account = "{account}"', f"key = {key}"]
                lines.append(f'assertion_key = "{name}-assertion.key"')
                lines += [f'market = "{MARKET_OF[name]}"'] if name in MARKET_OF else []
                lines += ["[gateway]", f'address = "{self.gateway}"']
            (self.work / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


async def run(directory: Path, say: Callable[[str], None]) -> None:
    """A testbed until SIGTERM or Ctrl-C. Raises DirectoryTaken, ProcessFailed, StoryFault."""
    bed, stop = Testbed(directory), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        say("starting four nodes, accounts, two markets, gateway: about half a minute")
        asked = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(_kept(bed, directory, say))
        done, _ = await asyncio.wait([asked, starting], return_when=asyncio.FIRST_COMPLETED)
        if starting in done:
            starting.result()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    finally:
        await bed.stop()
    say(f"stopped; {directory} can be removed")


async def _kept(bed: Testbed, directory: Path, say: Callable[[str], None]) -> None:
    await bed.start()
    for line in _told(directory):
        say(line)
    print(f"READY directory={directory} gateway={bed.gateway}", flush=True)
    await bed.watch()


def _told(directory: Path) -> list[str]:
    """What a newcomer does next."""
    files = " ".join(f"{directory}/{name}.toml" for name in CLIENTS)
    return [
        f"you are {files}",
        "in another terminal (docs/guides/publish-a-service.md):",
        "  dualchain registry init-service price-index",
        f"  dualchain registry publish price-index --config {directory}/publisher.toml",
        f"  dualchain registry serve price-index --config {directory}/publisher.toml",
        "Ctrl-C ends the network",
    ]
