"""A market's resolver and the global one over HTTP, in front of real node APIs: documents from proven state alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.node.config import ConfigRefused
from crosschain.identity.document import ASSERTION, AUTHENTICATION
from crosschain.identity.resolution import MEDIA_TYPE
from service_registry.resolving import ResolverPort, load
from tests.integration.served_chain import Served, serve
from tests.unit.crosschain.chains import Chain, Layers, account, op

COMPANY = "did:rem:beijing:BJ000001F"
NOBODY = "did:rem:beijing:BJ000009"
FOREIGN = "did:rem:shanghai:SH000001F"
CREDENTIAL = "did:rem:beijing:VC000001"


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    made.register()
    yield made
    made.close()


@dataclass
class Pair:
    """Both resolvers, and what a client of each sees."""

    served: Served
    local: ResolverPort
    above: ResolverPort
    session: aiohttp.ClientSession
    ahead_ms: int = 0

    def now_ms(self) -> int:
        layers = self.served.layers
        return max(layers.local.time_ms, layers.supervisory.time_ms) + self.ahead_ms

    async def get(self, port: ResolverPort, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
        async with self.session.get(f"http://{port.address}/{path}", headers=headers) as response:
            return response.status, json.loads(await response.read())


def configured(folder: Path, name: str, chain: Chain, nodes: list[str], upstream: str = "") -> Path:
    (folder / f"{name}.bin").write_bytes(chain.genesis_bytes)
    listed = ", ".join(f'"{node}"' for node in nodes)
    path = folder / f"{name}.toml"
    path.write_text(
        f'[chain]\ngenesis = "{name}.bin"\nnodes = [{listed}]\n'
        f'[resolver]\nlisten = "127.0.0.1:0"\nsecurity = "plaintext"\nupstream = "{upstream}"\n'
    )
    return path


@asynccontextmanager
async def resolvers(layers: Layers, folder: Path) -> AsyncIterator[Pair]:
    async with serve(layers) as served, aiohttp.ClientSession() as session:
        pair: Pair | None = None

        def now_ms() -> int:
            assert pair is not None
            return pair.now_ms()

        nodes = [node.address for node in served.above]
        above = ResolverPort(load(configured(folder, "above", layers.supervisory, nodes)), "supervisory", now_ms)
        await above.start()
        below = [node.address for node in served.below]
        path = configured(folder, "local", layers.local, below, f"http://{above.address}")
        local = ResolverPort(load(path), "local", now_ms)
        await local.start()
        pair = Pair(served, local, above, session)
        try:
            yield pair
        finally:
            await local.stop()
            await above.stop()


def registered(layers: Layers) -> None:
    """The issuer has a DID and put a credential on record."""
    local = layers.local
    for purpose in (AUTHENTICATION, ASSERTION):
        attach = op("accounts", "attach_key", purpose=purpose, key=sm3(purpose.encode()) + sm3(b"y"))
        assert local.one("issuer", attach).code == Code.OK
    made = op("identities", "create", did=COMPANY, account=account("issuer"), evidence=sm3(b"material"))
    assert local.one("operator", made).code == Code.OK
    issued = op(
        "identities",
        "issue",
        credential=CREDENTIAL,
        issuer=COMPANY,
        digest=sm3(b"the credential"),
        kind="CreditData",
        subject=COMPANY,
        valid_from_ms=local.time_ms,
        expires_ms=local.time_ms + 86_400_000,
    )
    assert local.one("issuer", issued).code == Code.OK


def test_documents_and_statuses_are_found_in_the_market_and_above(layers: Layers, tmp_path: Path) -> None:
    registered(layers)

    async def story() -> None:
        async with resolvers(layers, tmp_path) as pair:
            assert (await pair.get(pair.above, COMPANY))[0] == 404
            await pair.served.until_idle()
            status, local = await pair.get(pair.local, COMPANY)
            assert (status, local["didDocumentStream"]["id"]) == (200, COMPANY)
            assert local["didDocumentStream"] == local["didDocument"]
            assert local["didResolutionMetadata"] == {"contentType": MEDIA_TYPE}
            assert (await pair.get(pair.above, COMPANY)) == (200, local)
            assert (await pair.get(pair.local, COMPANY.replace(":", "%3A"))) == (200, local)
            for port in (pair.local, pair.above):
                assert await pair.get(port, f"status/{CREDENTIAL}") == (
                    200,
                    {"id": CREDENTIAL, "credentialStatus": "valid"},
                )
            layers.local.one("operator", op("identities", "revoke", credential=CREDENTIAL, evidence=sm3(b"why")))
            layers.local.one("operator", op("identities", "deactivate", did=COMPANY, evidence=sm3(b"why")))
            await pair.served.until_idle()
            for port in (pair.local, pair.above):
                assert (await pair.get(port, f"status/{CREDENTIAL}"))[1]["credentialStatus"] == "revoked"
                status, body = await pair.get(port, COMPANY)
                assert (status, body["didDocumentMetadata"]["deactivated"]) == (200, True)

    asyncio.run(story())


def test_the_standards_errors(layers: Layers, tmp_path: Path) -> None:
    async def story() -> None:
        async with resolvers(layers, tmp_path) as pair:
            await pair.served.until_idle()
            layers.supervisory.block()
            for port in (pair.local, pair.above):

                async def error(path: str, at: ResolverPort = port, **headers: str) -> tuple[int, str]:
                    status, body = await pair.get(at, path, **headers)
                    assert body["didDocumentStream"] is None and body["didDocumentMetadata"] == {}
                    return status, body["didResolutionMetadata"]["error"]

                assert await error("did:rem:nowhere:SH000001F") == (400, "InvalidDid")
                assert await error("did:web:example.org") == (400, "InvalidDid")
                assert await error("%FF") == (400, "InvalidDid")
                assert await error("did%253Arem%253Abeijing%253ABJ000009") == (400, "InvalidDid")
                assert await error(NOBODY) == (404, "notFound")
                assert await error(FOREIGN) == (404, "notFound")
                assert await error(CREDENTIAL) == (404, "notFound")
                assert await error(NOBODY, Accept="text/turtle") == (406, "representationNotSupported")
                assert await error(NOBODY, Accept="text/turtle", resolutionOptions=MEDIA_TYPE) == (404, "notFound")
                assert await error(NOBODY, Accept="*/*") == (404, "notFound")
                found = await pair.get(port, "status/did:rem:beijing:VC999999")
                assert found == (200, {"id": "did:rem:beijing:VC999999", "credentialStatus": "notExist"})

    asyncio.run(story())


def test_what_cannot_be_proven_now_is_no_absence(layers: Layers, tmp_path: Path) -> None:
    """An old header, a global resolver that is gone: internalError, never notFound."""
    registered(layers)

    async def story() -> None:
        async with resolvers(layers, tmp_path) as pair:
            await pair.served.until_idle()
            pair.ahead_ms = 10 * 60_000
            for port in (pair.local, pair.above):
                status, body = await pair.get(port, COMPANY)
                assert (status, body["didResolutionMetadata"]["error"]) == (500, "internalError")
                assert (await pair.get(port, f"status/{CREDENTIAL}"))[0] == 500
            pair.ahead_ms = 0
            await pair.above.stop()
            status, body = await pair.get(pair.local, FOREIGN)
            assert (status, body["didResolutionMetadata"]["error"]) == (500, "internalError")
            assert (await pair.get(pair.local, COMPANY))[0] == 200

    asyncio.run(story())


def test_a_caller_that_asks_too_often_waits(layers: Layers, tmp_path: Path) -> None:
    """Refused before a node is asked, and told when to come again."""
    layers.local.block()

    async def story() -> None:
        async with resolvers(layers, tmp_path) as pair:
            path = configured(tmp_path, "slow", layers.local, [node.address for node in pair.served.below])
            path.write_text(path.read_text() + "caller_per_s = 1\ncaller_burst = 2\n")
            slow = ResolverPort(load(path), "local", pair.now_ms)
            await slow.start()
            try:
                assert [(await pair.get(slow, NOBODY))[0] for _ in range(2)] == [404, 404]
                asked = sum(node.calls["QueryState"] for node in pair.served.below)
                async with pair.session.get(f"http://{slow.address}/{NOBODY}") as response:
                    assert (response.status, response.headers["Retry-After"]) == (429, "1")
                assert sum(node.calls["QueryState"] for node in pair.served.below) == asked
                assert (await pair.get(pair.local, NOBODY))[0] == 404
            finally:
                await slow.stop()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('security = "plaintext"', 'security = "tls"', "certificate and key"),
        ('listen = "127.0.0.1:0"', 'listen = "0.0.0.0:80"', "listen"),
        ('upstream = ""', 'upstream = "http://resolver.example"', "https"),
        ('upstream = ""', "max_age_ms = 5", "max_age_ms"),
        ('upstream = ""', "caller_burst = 0", "caller_burst"),
        ("[resolver]", "[resolver]\nfoo = 1", "foo"),
    ],
)
def test_a_configuration_is_refused_by_key(layers: Layers, tmp_path: Path, old: str, new: str, what: str) -> None:
    path = configured(tmp_path, "local", layers.local, ["127.0.0.1:1"])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigRefused) as refused:
        load(path)
    assert what in f"{refused.value.what} {refused.value.where}"


def test_a_local_resolver_wants_a_market(layers: Layers, tmp_path: Path) -> None:
    path = configured(tmp_path, "above", layers.supervisory, ["127.0.0.1:1"])
    with pytest.raises(ConfigRefused, match="supervisory"):
        ResolverPort(load(path), "local")
