"""A market's chain of four nodes with the node interface of JR/T 0314 over HTTPS beside two of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from crosschain.jrt0314.endpoint import Credentials, HttpEndpoint, Paths
from local_chain.data.store import ObjectStore
from local_chain.interface.config import Desk, load
from local_chain.interface.process import InterfacePort
from tests.integration.data_house import DataHouse, data_house
from tests.integration.test_tls_port import Authority
from tests.unit.crosschain.jrt0314.market import sealed, subject

PEOPLE = {"operator": ("operator",), "custodian": ("custodian",)}
SECRET = "a-token-of-the-regulator"


@dataclass
class Pulled:
    """Two endpoints of the chain over TLS, and where things are."""

    house: DataHouse
    urls: list[str]
    authority: Authority
    paths: Paths

    def endpoints(self) -> list[HttpEndpoint]:
        return [HttpEndpoint(url, Credentials(ca=self.authority.pem, token=SECRET)) for url in self.urls]


async def anchored(house: DataHouse, version: int, operation: str) -> int:
    """Stores a snapshot and anchors it; the height."""
    raw = sealed(subject("a", version, operation))
    await ObjectStore.folder(house.directory / "snapshots").put_snapshot(f"supervision-a/{version}", raw)
    row = {"object": "supervision-a", "kind": "supervision", "version": version, "operation": operation}
    rows = [row | {"hash": sm3(raw)}]
    settled = await house.chain.submit(
        house.who("operator"),
        [Operation("anchors", "anchor", {"model": "2.0.0", "rows": rows})],  # type: ignore[dict-item]
    )
    return settled.header.height


def config(house: DataHouse, number: int, authority: Authority) -> Path:
    certificate, key = authority.issue(f"interface-{number}", "IP:127.0.0.1", "serverAuth")
    (house.directory / "tokens").write_text(f"{sm3(SECRET.encode()).hex()} csrc client,regulator\n")
    (house.directory / "tokens").chmod(0o600)
    path = house.directory / f"interface-{number}.toml"
    path.write_text(
        f"""
[chain]
genesis = "genesis.bin"
nodes = ["{house.addresses[number]}"]

[interface]
listen = "127.0.0.1:0"
data_dir = "interface-{number}"
certificate = "{certificate}"
key = "{key}"
client_ca = "{authority.pem}"
tokens = "tokens"

[store]
directory = "snapshots"
"""
    )
    return path


@asynccontextmanager
async def pulled(directory: Path, above: bytes = b"") -> AsyncIterator[Pulled]:
    """``above``: the supervisory chain's genesis document, one of its own unless given."""
    async with data_house(directory / "chain", PEOPLE, above) as house:
        authority = Authority(directory / "authority")
        ports = [InterfacePort(Desk(load(config(house, number, authority)))) for number in (0, 1)]
        try:
            for port in ports:
                await port.start()
            urls = [f"https://{port.address}" for port in ports]
            yield Pulled(house, urls, authority, Paths(house.view.genesis.chain_id))
        finally:
            for port in ports:
                await port.stop()
