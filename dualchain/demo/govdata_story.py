"""Step: government data (政务数据通道) of an enterprise, by its own authorisation, for another market (art. 12)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.identity.data_uses import GOVDATA, bureau_place, full_key, grant_place, use_place
from crosschain.identity.records import credential_key, did_key
from dualchain.demo.actors import Actor, Desk, StoryFault
from dualchain.demo.border import until
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.observe import prove
from dualchain.demo.ports import LOOPBACK, draw_ports
from dualchain.demo.service_story import CONSUMER, ServiceStory
from service_registry.chain import Account, RegistryChain
from service_registry.config import KeyPair
from service_registry.govdata import parties
from service_registry.govdata.definition import govdata_definition
from service_registry.govdata.evidence import GovernmentData

NAME = "government data"
REFERENCE = "government-data"
BUREAU, BUREAU_NAME = "91310104MA1FRNWW80", "示例政务数据局"
ENTERPRISE = "91310000564759688N"
COMPANY_DID, HOLDER_DID = f"did:rem:beijing:{ENTERPRISE}", "did:rem:jiangsu:91320000MA1FRNWW85"
PURPOSE, ITEM, OTHER_ITEM = "股权质押尽职调查", "tax", "court"
DATA = {ENTERPRISE: {"basic": {"name": "示例公司"}, ITEM: {"grade": "A"}, OTHER_ITEM: {"cases": 0}}}
USES = 1
LIFE_MS = 30 * 86_400_000
_FILE_MODE = 0o600


class GovernmentDataStory:
    """BJ's enterprise authorises JS's operator; BJ publishes the channel, the bureau is a process of its own."""

    def __init__(self, service: ServiceStory, lower: Desk, other: Desk, enterprise: Actor) -> None:
        self.service, self.lower, self.other, self.enterprise = service, lower, other, enterprise
        self.assertion, self.holder = (KeyPair.of(generate_private_key()) for _ in range(2))
        self.bureau_at, self.listen = (f"{LOOPBACK}:{port}" for port in draw_ports(2))
        self.credential = ""

    async def settle_in(self) -> None:
        """DIDs of enterprise and holder, known to the supervisory chain; the bureau named by two houses."""
        keys = {"assertion": self.assertion.public, "did-auth": KeyPair.of(generate_private_key()).public}
        await self._identify(self.lower, self.enterprise, COMPANY_DID, keys)
        holder = self.other.genesis_actor("operator")
        await self._identify(self.other, holder, HOLDER_DID, {"did-auth": self.holder.public})
        upper = self.service.upper
        known = [did_key(COMPANY_DID), did_key(HOLDER_DID)]
        await until(upper, known, lambda values: None not in values, "the DIDs")

    @staticmethod
    async def _identify(desk: Desk, who: Actor, did: str, keys: dict[str, bytes]) -> None:
        attached = [Operation("accounts", "attach_key", {"purpose": p, "key": key}) for p, key in keys.items()]
        await desk.accepted([desk.sign(f"keys of {who.name}"[:48], who, attached)])
        create: dict[str, Value] = {"did": did, "account": who.account, "evidence": sm3(b"material")}
        operator = desk.genesis_actor("operator")
        await desk.accepted([desk.sign("DID made", operator, [Operation("identities", "create", create)])])

    async def write_configs(self, work: Path) -> dict[str, Sequence[str]]:
        """Bureau and host; their command lines. The bureau's key is named on chain."""
        bureau, chain = KeyPair.of(generate_private_key()), self.lower.chain
        write_private_key(work / "bureau.key", bureau.private, chain.protection.passphrase)
        named: dict[str, Value] = {"bureau": BUREAU, "name": BUREAU_NAME, "key": bureau.public}
        operator, second = self.lower.genesis_actor("operator"), self.lower.genesis_actor("governor-bank")
        signed = self.lower.sign("bureau named", operator, [Operation(GOVDATA, "name_bureau", named)], [second])
        await self.lower.accepted([signed])
        client = self.service.keys["operator-BJ"].public.hex()
        (work / "bureau-data.json").write_text(json.dumps(DATA, ensure_ascii=False), encoding="utf-8")
        lines = {
            "bureau": [
                f'listen = "{self.bureau_at}"',
                'key = "bureau.key"',
                f'credit_code = "{BUREAU}"',
                f"genesis = {json.dumps(str(chain.genesis_file.resolve()))}",
                f'clients = ["{client}"]',
                'data = "bureau-data.json"',
                'receipts = "bureau-receipts.jsonl"',
                "[keys]",
                *chain.protection.lines,
            ],
            "govdata": [
                *self.service.publisher_lines(self.listen, REFERENCE),
                "[operator]",
                f'account = "{operator.account.hex()}"',
                f"key = {json.dumps(str((chain.directory / 'accounts' / 'operator.key').resolve()))}",
                "[bureau]",
                f'url = "http://{self.bureau_at}"',
                f'credit_code = "{BUREAU}"',
            ],
        }
        for name, text in lines.items():
            (work / f"{name}.toml").write_text("\n".join(text) + "\n", encoding="utf-8")
        return {
            "bureau": ["demo", "bureau", "--config", str(work / "bureau.toml")],
            "govdata": ["govdata", "serve", "--config", str(work / "govdata.toml")],
        }

    async def publish(self) -> bytes:
        """The channel as a service: tested, registered, online, the consumer confirmed."""
        service = await self.service.draft(REFERENCE, govdata_definition(self.listen))
        await self.service.bring_online(service)
        await self.service.admit_consumer(service)
        return service

    async def authorise(self) -> dict[str, Any]:
        """The enterprise's credential for one item, one purpose, one use."""
        now_ms = time.time_ns() // 1_000_000
        granting = parties.Granting(
            [HOLDER_DID], [ITEM], PURPOSE, USES, now_ms, now_ms + LIFE_MS, "示例公司", ENTERPRISE
        )
        chain = RegistryChain(self.lower.chain.view(), self.lower.chain.addresses, self.lower.chain.security())
        who = Account(self.enterprise.account, self.enterprise.private, self.enterprise.public)
        try:
            raw, row = await parties.authorise(chain, who, COMPANY_DID, self.assertion, granting)
        finally:
            await chain.close()
        self.credential = str(row["credential"])
        document: dict[str, Any] = json.loads(raw)
        return document

    async def ask(self, service: bytes, document: dict[str, Any]) -> GovernmentData:
        """What was not authorised is refused; what was is answered once, and refused the second time."""
        upper = self.service.upper
        caller = self.service.caller(CONSUMER)
        account = upper.actors[CONSUMER].account
        asking = parties.Asking(self.service.chain, caller, account, HOLDER_DID, self.holder)
        try:
            await _refused(asking, service, document, OTHER_ITEM, "ITEM_NOT_AUTHORISED")
            found = await asking.ask(service, document, [ITEM], PURPOSE)
            await _refused(asking, service, document, ITEM, "USED_UP")
        finally:
            await caller.close()
        return found

    async def keep(self, book: EvidenceBook) -> None:
        """Credential, grant, use and bureau, under one header."""
        keys = govdata_keys(self.credential)
        book.documents[REFERENCE] = {"credential": self.credential}
        await prove(self.lower, book, NAME, [lambda _: keys])


def govdata_keys(credential: str) -> list[bytes]:
    """Full state keys of what is proven about the one authorisation."""
    places = (grant_place(credential), use_place(credential, 1), bureau_place(BUREAU))
    return [credential_key(credential), *map(full_key, places)]


async def _refused(asking: parties.Asking, service: bytes, document: dict[str, Any], item: str, code: str) -> None:
    try:
        await asking.ask(service, document, [item], PURPOSE)
    except DualchainError as refusal:
        if code in str(refusal):
            return
        raise
    raise StoryFault(f"{item} was given without authorisation", where="government data")
