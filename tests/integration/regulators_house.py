"""A supervisory chain and three markets behind real node APIs, and the regulator's desk over them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from chain_core.codec.signed import derive_id
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.values import Value
from crosschain.looking.holder import HolderInMarket
from local_chain.assembly import local_assembly
from service_registry.config import KeyPair
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.looking import questions
from supervisory_chain.looking.config import DeskConfig
from supervisory_chain.looking.desk import Desk, Looked, Query
from supervisory_chain.lookups import LookupLog, decode_log, log_key
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import (
    Chain,
    account,
    local_genesis,
    op,
    private_key,
    registration,
    supervisory_genesis,
)

CODE, CREDIT = "Q000000001", "91110000MA0000000X"
MARKETS = {"BJ": "beijing", "SH": "shanghai", "ZJ": "zhejiang"}
H, B = account("holder"), account("buyer")
EVIDENCE = bytes(32)


def security_of(chain: Chain) -> bytes:
    return derive_id(chain.hash, "security", account("operator"), "S1")


def furnish(chain: Chain, *, bound: bool) -> None:
    """A security of two holders; the holder's code, in the markets where he is known."""
    market = chain.genesis.market
    listing: dict[str, Value] = {
        "reference": "S1", "name": "example", "issuer": account("issuer"), "province": market,
        "unit_decimals": 0, "declared": 100, "legacy": False,
    }  # fmt: skip
    rows: Value = [{"account": who, "quantity": 50, "acquired_day": 0} for who in (H, B)]
    found = security_of(chain)
    steps = [
        op("kernel", "register_security", **listing),
        op("kernel", "register_holding", security=found, rows=rows),
        op("kernel", "activate_security", security=found),
    ]
    if bound:
        more: dict[str, Value] = {"credit_code": CREDIT, "province": market, "attributes": {}, "evidence": EVIDENCE}
        steps.append(op("kernel", "bind_code", account=H, code=CODE))
        steps.append(op("kernel", "register_enterprise", account=account("issuer"), **more))
    receipts = chain.block(chain.sign("operator", *steps))
    assert receipts[0].code == 0, receipts


class House:
    """A supervisory chain and three markets, two endpoints each; the first one of Beijing may lie."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.supervisory = Chain.begin(directory / "supervisory", supervisory_genesis(), supervisory_assembly)
        self.markets = {
            code: Chain.begin(directory / name, local_genesis(name, code), local_assembly)
            for code, name in MARKETS.items()
        }
        for code, chain in self.markets.items():
            furnish(chain, bound=code != "ZJ")
        self.above = ServedNode(self.supervisory, supervisory_assembly(self.supervisory.genesis))
        self.below = {
            code: [ServedNode(chain, local_assembly(chain.genesis)) for _ in range(2)]
            for code, chain in self.markets.items()
        }
        self.desk: Desk
        self.config: DeskConfig

    async def start(self) -> None:
        await self.above.start()
        for code, nodes in self.below.items():
            for node in nodes:
                await node.start()
            self.admit(code, [node.address for node in nodes])
        self.follow(*self.markets)
        (self.directory / "genesis.bin").write_bytes(self.supervisory.genesis_bytes)
        self.desk = self.desk_of("desk")

    def admit(self, code: str, addresses: list[str]) -> None:
        chain = self.markets[code]
        names = [one.name for one in chain.genesis.validators.validators]
        endpoints: Value = [{"node": n, "address": a} for n, a in zip(names, addresses, strict=False)]
        assert self.supervisory.one("operator", registration(chain.genesis_bytes, endpoints=endpoints)).code == 0
        assert self.supervisory.one("csrc-2", op("chains", "approve", chain=chain.hash)).code == 0
        assert self.supervisory.one("csrc-1", op("chains", "admit", chain=chain.hash)).code == 0

    def follow(self, *codes: str) -> None:
        for code in codes:
            chain = self.markets[code]
            headers: Value = [chain.row(chain.height)]
            receipt = self.supervisory.one(
                "courier", op("clients", "submit_headers", chain=chain.hash, headers=headers)
            )
            assert receipt.code == 0, receipt

    def now_ms(self) -> int:
        return max(chain.time_ms for chain in (self.supervisory, *self.markets.values()))

    def desk_of(self, who: str) -> Desk:
        row = {
            "supervisory": {"genesis": "genesis.bin", "nodes": [self.above.address]},
            "actor": {"account": account(who).hex(), "key": "unused.key"},
            "look": {"documents": "documents", "fresh_within_s": 3_600, "timeout_s": 5.0},
            "directory": self.directory,
        }
        self.config = DeskConfig.model_validate(row)
        view = self.config.view(self.config.supervisory, "supervisory")
        client = VerifyingClient(view, [self.above.address])
        return Desk(self.config, client, KeyPair.of(private_key(who)), self.now_ms)

    async def holder(self, *markets: str) -> Looked[questions.Proven[HolderInMarket]]:
        return await self.desk.look(Query("holder", CODE, "supervision", "case 7", markets), questions.holder(CODE))

    def log(self, who: str = "desk") -> LookupLog:
        return decode_log(self.supervisory.store.get(log_key(account(who))))

    async def stop(self) -> None:
        await self.desk.close()
        for node in (self.above, *(node for nodes in self.below.values() for node in nodes)):
            await node.stop()
        for chain in (self.supervisory, *self.markets.values()):
            chain.store.close()


def run(directory: Path, story: Callable[[House], Awaitable[None]]) -> None:
    async def main() -> None:
        house = House(directory)
        await house.start()
        try:
            await story(house)
        finally:
            await house.stop()

    asyncio.run(main())
