"""Step: a service's life (赋能服务), from draft through joint test to a call by another market (art. 19-22)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from chain_core.codec.block import decode_block
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import public_key_pem, write_private_key
from chain_core.crypto.providers import generate_private_key
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from dualchain.demo.actors import Actor, Desk, Signed, StoryFault
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.layout import MARKETS
from dualchain.demo.market_setup import security_id
from dualchain.demo.observe import prove
from dualchain.demo.services import ANSWER, NAME, REFERENCE, services_keys
from service_registry.calls import NotAuthorised
from service_registry.chain import Account, RegistryChain
from service_registry.config import KeyPair
from service_registry.consumer import Answered, Consumer
from service_registry.joint_test import JointTest, Outcome
from service_registry.lookup import roll_definition
from service_registry.records import SERVICES
from service_registry.serving import service_id

PUBLISHER, CONSUMER, TESTER, GATEWAY = "operator-BJ", "operator-JS", "tester", "gateway"


class ServiceStory:
    """The publisher's, tester's and consumer's steps on the supervisory chain."""

    def __init__(self, upper: Desk, publisher: Desk, gateway: str, lookup: str) -> None:
        self.upper, self.publisher, self.gateway, self.lookup = upper, publisher, gateway, lookup
        self.keys: dict[str, KeyPair] = {}
        self.chain = RegistryChain(upper.chain.view(), upper.chain.addresses, upper.chain.security())
        self.service = service_id(upper.genesis_hash, self._actor(PUBLISHER).account, REFERENCE)

    async def close(self) -> None:
        """End the connections."""
        await self.chain.close()

    def _actor(self, name: str) -> Actor:
        return self.upper.actors[name]

    def _key_file(self, name: str) -> Path:
        return self.upper.chain.directory / "accounts" / f"{name}-assertion.key"

    def _step(self, label: str, name: str, method: str, args: Mapping[str, Value]) -> Signed:
        return self.upper.sign(label, self._actor(name), [Operation(SERVICES, method, dict(args))])

    def _of(self, label: str, name: str, method: str, **more: Value) -> Signed:
        return self._step(label, name, method, {"service": self.service, **more})

    async def trust(self) -> None:
        """Publisher, consumer and tester attach an assertion key each and upload their certificates; the supervisory
        chain's authority certifies them for sessions with the services."""
        self.upper.chain.certify(
            {
                PUBLISHER: (MARKETS["BJ"][1], ("publisher",)),
                CONSUMER: (MARKETS["JS"][1], ()),
                TESTER: ("跨链联调测试机构", ("tester",)),
            }
        )
        attached, uploaded, upper = [], [], self.upper.chain
        for name in (PUBLISHER, CONSUMER, TESTER):
            self.keys[name] = KeyPair.of(generate_private_key())
            write_private_key(self._key_file(name), self.keys[name].private, upper.protection.passphrase)
            public = self.keys[name].public
            attach = Operation("accounts", "attach_key", {"purpose": "assertion", "key": public})
            attached.append(self.upper.sign(f"assertion key of {name}", self._actor(name), [attach]))
            certificate = sm3(public_key_pem(public).encode("ascii"))
            args = {"key": public, "certificate": certificate}
            uploaded.append(self._step(f"certificate of {name}", name, "upload_certificate", args))
        await self.upper.accepted(attached)
        await self.upper.accepted(uploaded)

    def _supervisory(self, client: str) -> list[str]:
        upper = self.upper.chain
        return [
            "[supervisory]",
            f"genesis = {_quoted(upper.genesis_file)}",
            f"credentials = {_quoted(upper.credentials(client))}",
            f"nodes = {json.dumps(upper.addresses)}",
            "[keys]",
            *upper.protection.lines,
        ]

    def publisher_lines(self, listen: str, reference: str) -> list[str]:
        """Configuration of a host of the publisher's."""
        market = self.publisher.chain
        return [
            *self._supervisory(PUBLISHER),
            "[market]",
            f"genesis = {_quoted(market.genesis_file)}",
            f"credentials = {_quoted(market.credentials('operator'))}",
            f"nodes = {json.dumps(market.addresses)}",
            "[publisher]",
            f'listen = "{listen}"',
            f'account = "{self._actor(PUBLISHER).account.hex()}"',
            f'reference = "{reference}"',
            f"assertion_key = {_quoted(self._key_file(PUBLISHER))}",
        ]

    def write_configs(self, work: Path) -> dict[str, Sequence[str]]:
        """Configurations of gateway and look-up service; their command lines."""
        gateway_key = self.upper.chain.directory / "accounts" / f"{GATEWAY}.key"
        gateway = [
            *self._supervisory(GATEWAY),
            "[gateway]",
            f'listen = "{self.gateway}"',
            f'account = "{self._actor(GATEWAY).account.hex()}"',
            f"key = {_quoted(gateway_key)}",
        ]
        lookup = self.publisher_lines(self.lookup, REFERENCE)
        commands: dict[str, Sequence[str]] = {}
        for name, lines in (("gateway", gateway), ("lookup", lookup)):
            path = work / f"{name}.toml"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            commands[name] = [name, "run", "--config", str(path)]
        return commands

    def caller(self, name: str) -> Consumer:
        """Somebody who calls services, in SM sessions with the gateway."""
        security = self.upper.chain.security(name, GATEWAY)
        return Consumer(self.chain, self.gateway, self._actor(name).account, self.keys[name], security=security)

    async def publish(self, security: str) -> Outcome:
        """Draft; registration before the test is refused; joint test through the gateway; registered, online."""
        example = security_id(self.publisher, security).hex()
        draft: dict[str, Value] = {
            "market": "BJ",
            "reference": REFERENCE,
            "definition": roll_definition(self.lookup, example),
        }
        await self.upper.accepted([self._step("service drafted", PUBLISHER, "draft", draft)])
        early = self._of("service registered before its test", PUBLISHER, "register")
        await self.upper.refused(early, "services.not_tested")
        return await self.bring_online(self.service)

    async def bring_online(self, service: bytes) -> Outcome:
        """A drafted service: joint test through the gateway, registered, online."""
        tester, key = self._actor(TESTER), self.keys[TESTER]
        caller = self.caller(TESTER)
        try:
            account = Account(tester.account, tester.private, tester.public)
            tested = await JointTest(self.chain, caller, account, key).run(service)
        finally:
            await caller.close()
        if tested.report.verdict != "pass":
            raise StoryFault(f"the joint test failed: {', '.join(tested.report.findings)}", where="joint test")
        for method in ("register", "online"):
            await self.upper.accepted([self._step(f"service: {method}", PUBLISHER, method, {"service": service})])
        return tested

    async def admit_consumer(self, service: bytes) -> None:
        """Applied for by the other market, confirmed."""
        named: dict[str, Value] = {"service": service}
        await self.upper.accepted([self._step("service applied for", CONSUMER, "apply", {**named, "market": "JS"})])
        confirmed = {**named, "consumer": self._actor(CONSUMER).account}
        await self.upper.accepted([self._step("application confirmed", PUBLISHER, "confirm", confirmed)])

    async def draft(self, reference: str, definition: dict[str, Value]) -> bytes:
        """A further service of the publisher; its id."""
        args: dict[str, Value] = {"market": "BJ", "reference": reference, "definition": definition}
        await self.upper.accepted([self._step(f"{reference} drafted", PUBLISHER, "draft", args)])
        return service_id(self.upper.genesis_hash, self._actor(PUBLISHER).account, reference)

    async def use(self, security: str, book: EvidenceBook) -> Answered:
        """A call before confirmation is refused; application, confirmation, the call; its answer fully verified."""
        consumer = self._actor(CONSUMER)
        request = json.dumps({"security": security_id(self.publisher, security).hex()}).encode("ascii")
        caller = self.caller(CONSUMER)
        try:
            await self.upper.accepted([self._of("JS applies for the service", CONSUMER, "apply", market="JS")])
            await _refused_call(caller, self.service, request)
            confirmation = self._of("BJ confirms the application", PUBLISHER, "confirm", consumer=consumer.account)
            await self.upper.accepted([confirmation])
            answered = await caller.call(self.service, request)
        finally:
            await caller.close()
        book.documents[ANSWER] = {
            "service": self.service.hex(),
            "tester": self._actor(TESTER).account.hex(),
            "consumer": consumer.account.hex(),
            "request": request.hex(),
            "response": answered.answer.response.hex(),
        }
        return answered

    async def keep_records(self, book: EvidenceBook, after: int) -> None:
        """Transactions of gateway and tester from the blocks above ``after``, and the service's proven state."""
        view, node = self.upper.client.view, self.upper.client.nodes[0]
        accounts = {self._actor(name).account for name in (GATEWAY, TESTER)}
        final = (await self.upper.client.header()).height
        for height in range(after + 1, final + 1):
            answer = await node.block(height)
            for raw in decode_block(answer.block).envelopes:
                envelope = decode_envelope(raw)
                contracts = {operation.contract for operation in envelope.body.operations}
                if envelope.body.account in accounts and contracts == {SERVICES}:
                    told = await node.receipt(envelope.transaction_id)
                    if told.receipt is None:
                        raise StoryFault(f"no receipt of {envelope.transaction_id.hex()}", where="gateway's records")
                    found = view.check_own_receipt(envelope, told.header, told.receipt)
                    method = envelope.body.operations[0].method
                    if not (envelope.body.account == self._actor(TESTER).account and method == "upload_certificate"):
                        book.receipt(self.upper.chain.label, raw, found)
        keys = services_keys(self.service, self._actor(TESTER).account, self._actor(CONSUMER).account)
        await prove(self.upper, book, NAME, [lambda _: keys])


async def _refused_call(caller: Consumer, service: bytes, request: bytes) -> None:
    """A call before the publisher's confirmation; StoryFault unless the gateway refuses it by name."""
    try:
        await caller.call(service, request)
    except DualchainError as refusal:
        if refusal.code == NotAuthorised.code:
            return
        raise
    raise StoryFault("a call before the publisher's confirmation was answered", where="gateway")


def _quoted(path: Path) -> str:
    return json.dumps(str(path.resolve()))
