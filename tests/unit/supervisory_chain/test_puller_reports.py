"""The puller tells the supervisory chain how each market's data stand (docs/spec/risk.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.keys import write_private_key
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from crosschain.jrt0314.endpoint import EndpointAway
from service_registry.chain import Account
from supervisory_chain.puller.config import load
from supervisory_chain.puller.process import ALARMS
from supervisory_chain.puller.pulling import Market
from supervisory_chain.puller.reporting import Reporter
from supervisory_chain.risk.contract import PULLER_ALARMS
from tests.unit.crosschain.chains import private_key, public_key, supervisory_genesis
from tests.unit.crosschain.jrt0314.market import subject
from tests.unit.supervisory_chain.test_puller import Bench, bench

__all__ = ["bench"]


class FakeChain:
    """Takes what is handed in, or refuses it."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refusal: DualchainError | None = None

    async def submit(self, who: Account, operations: Sequence[Operation]) -> None:
        if self.refusal is not None:
            raise self.refusal
        (operation,) = operations
        assert (operation.contract, operation.method) == ("risk", "observe")
        self.taken.append(dict(operation.args))

    async def close(self) -> None:
        pass


def test_how_the_data_stand_is_told_to_the_supervisory_chain(bench: Bench) -> None:
    chain = FakeChain()
    reporter = Reporter(chain, Account(bytes(16), bytes(32), bytes(64)), bench.book, 60)
    other = Market("other", bench.endpoints, b"", {"n": bytes(64)})

    def report() -> int:
        return asyncio.run(reporter.turn([bench.market, other], bench.puller.tips))

    bench.ledger.anchor(subject("a"), raw=b"{}")
    bench.turn()
    assert report() == 1, "of a chain of another make the identity is not known"
    told = {"chain": bench.ledger.chain.hash, "height": 1, "tip": 1, "rejected": 1, "alarm": ""}
    assert chain.taken == [told]
    bench.ledger.chain.block()
    bench.endpoints[1].away = True
    bench.turn()
    report()
    assert (chain.taken[1]["alarm"], chain.taken[1]["height"]) == ("ENDPOINT_AWAY", 1)
    assert set(ALARMS) == set(PULLER_ALARMS) - {""}, "the contract knows every alarm"
    chain.refusal = EndpointAway("no node")
    assert report() == 0


CONFIG = """
database = "puller.sqlite"
[[chain]]
network_id = "n"
endpoints = ["https://10.0.0.1:1", "https://10.0.0.2:1"]
genesis = "market.bin"
[report]
every_s = 30
[report.supervisory]
genesis = "genesis.bin"
nodes = ["127.0.0.1:7101"]
[report.actor]
account = "{account}"
key = "officer.key"
"""


def test_the_configuration_names_who_reports(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "genesis.bin").write_bytes(encode_genesis(supervisory_genesis()))
    (tmp_path / "puller.toml").write_text(CONFIG.format(account="ab" * 16), "utf-8")
    write_private_key(tmp_path / "officer.key", private_key("desk"))

    async def opened() -> tuple[bytes, bytes, int]:
        found = load(tmp_path / "puller.toml").reporter(bench.book)
        assert found is not None
        await found.chain.close()
        return found.who.account, found.who.public, found.every_s

    assert asyncio.run(opened()) == (b"\xab" * 16, public_key("desk"), 30)
    (tmp_path / "puller.toml").write_text(CONFIG.split("[report]", maxsplit=1)[0], "utf-8")
    assert load(tmp_path / "puller.toml").reporter(bench.book) is None
