"""A publisher's host and the gateway are killed under load: every call is answered once or fails clearly, and records,
usage statement and what the publisher carried out agree to the call.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.gateway_network import CONSUMER, PUBLISHER, TESTER, GatewayNetwork
from chain_core.network.raw_rpc import RawChannel
from chain_core.types.errors import DualchainError
from service_registry.audit import audit
from service_registry.authority import Key
from service_registry.batch_audit import evidence_of, fetch_batch
from service_registry.batch_records import batch_key, decode_gateway, gateway_key
from service_registry.bodies import AccessCode, read_call, read_record
from service_registry.chain import RegistryChain
from service_registry.client import Client
from service_registry.records import SERVICES, AccessLog, decode, log_key
from service_registry.statements import statements

pytestmark = pytest.mark.integration

CALLERS = 4
CALLS = 60
HOST_DIES_AT, GATEWAY_DIES_AT = 15, 35
PRICE_FEN = 7
TRIES = 60
WRONG = {"INTERNAL", "BAD_REPLY", "BAD_RESPONSE", "BAD_REQUEST", "NOT_AUTHORISED", "INVALID_PROOF", "MALFORMED"}
"""Names that no failure may have here: nothing was wrong but that host or gateway were away."""


@dataclass
class Load:
    """Callers that call until enough was answered; what failed is kept with its name."""

    network: GatewayNetwork
    answered: list[int] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    told: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        consumer = self.network.consumer()

        async def caller(number: int) -> None:
            tries = 0
            while len(self.answered) < CALLS:
                tries += 1
                try:
                    found = await consumer.call(self.network.service, b'{"question":%d}' % (number * 1_000 + tries))
                except DualchainError as error:
                    self.failed[error.code] += 1
                    if tries >= CALLS + TRIES:
                        raise
                    await asyncio.sleep(0.2)
                    continue
                assert found.value == {"answer": number * 1_000 + tries}
                async with self.told:
                    self.answered.append(found.call.call_id)
                    self.told.notify_all()

        try:
            await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        finally:
            await consumer.close()

    async def until(self, count: int) -> None:
        async with self.told:
            await asyncio.wait_for(self.told.wait_for(lambda: len(self.answered) >= count), 60)


async def kill(network: GatewayNetwork, name: str) -> None:
    process = network.group.running[name].process
    process.send_signal(signal.SIGKILL)
    await process.wait()


def test_kills_under_load_lose_no_call_and_double_none(tmp_path: Path) -> None:
    async def main() -> None:
        network = await GatewayNetwork.begin(tmp_path / "network")
        try:
            load = Load(network)
            calling = asyncio.create_task(load.run())
            await load.until(HOST_DIES_AT)
            await kill(network, "host")
            await network.start_host()
            await load.until(GATEWAY_DIES_AT)
            await kill(network, "gateway")
            await network.start_gateway()
            await calling
            await reckon(network, load)
            assert await asyncio.to_thread(ten_lines, network.work / "consumer.toml", network.service.hex()) == 5
        finally:
            await network.stop()

    asyncio.run(main())


def ten_lines(config: Path, service: str) -> int:
    """What a program does that calls a service."""
    with Client(config) as client:
        assert client.call(service, {"question": 4}) == {"answer": 4}
        answer: int = client.call(service, {"question": 5}, within_s=10)["answer"]
        return answer


async def reckon(network: GatewayNetwork, load: Load) -> None:
    """Answers, the publisher's own list, the gateway's records and the chain's counters, held against each other."""
    channel = RawChannel(network.gateway, network.security(CONSUMER))
    try:
        records = await all_records(network, channel, load)
        ids = [call_id for call_id, _ in records]
        assert len(ids) == len(set(ids)), "a call is recorded once"
        ran = Counter(int(line) for line in network.runs.read_text().split())
        assert set(ran.values()) == {1}, "a call is carried out once"
        ok = {call_id for call_id, code in records if code is AccessCode.OK}
        assert set(load.answered) <= ok <= set(ran), "what was answered is recorded, what is recorded was carried out"
        assert len(load.answered) == len(set(load.answered))
        who = network.desk.actors[CONSUMER].account
        told = await statements(network.registry, network.service)
        mine = [row for row in told["statements"] if row["consumer"] == who.hex()]
        by_code = Counter(code.name for _, code in records)
        assert sum((Counter(row["by_code"]) for row in mine), Counter()) == by_code
        assert sum(row["due_fen"] for row in mine) == PRICE_FEN * len(ok)
        assert not WRONG & set(load.failed), load.failed
        await audited(network, channel, len(records))
        await disputed(network, channel, next(iter(ok)))
    finally:
        await channel.close()


async def all_records(network: GatewayNetwork, channel: RawChannel, load: Load) -> list[tuple[int, AccessCode]]:
    """(call id, code) of all records of all batches, once each answered call is counted on chain."""
    gateway, who = network.desk.actors["gateway"].account, network.desk.actors[CONSUMER].account
    keys: list[Key] = [(SERVICES, gateway_key(gateway)), (SERVICES, log_key(network.service, who))]
    async with asyncio.timeout(60):
        while True:
            values = await network.registry.values(keys)
            raw = values[keys[1]]
            calls = 0 if raw is None else decode(AccessLog, raw).calls
            found: list[tuple[int, AccessCode]] = []
            for number in range(1, decode_gateway(values[keys[0]]).next):
                assert (await network.registry.values([(SERVICES, batch_key(gateway, number))])).values()
                for record in await fetch_batch(channel, gateway, number) or ():
                    row = read_record(record)
                    code = row["code"]
                    assert isinstance(row["call"], bytes) and isinstance(code, int)
                    found.append((read_call(row["call"]).call_id, AccessCode(code)))
            if len(found) == calls and set(load.answered) <= {call_id for call_id, _ in found}:
                return found
            await asyncio.sleep(0.5)


async def audited(network: GatewayNetwork, channel: RawChannel, records: int) -> None:
    """An auditor reads all blocks and the gateway's records, and finds the same."""
    chain = network.chain
    auditor = RegistryChain(chain.view(), chain.addresses, chain.security(TESTER))
    try:
        found = await audit(auditor, network.service, channel)
    finally:
        await auditor.close()
    batches = [row for row in found["records"] if "batch" in row]
    assert sum(row["calls"] for row in batches) == records
    assert found["digests"] == "equal" and all(row["records_verified"] for row in batches)


async def disputed(network: GatewayNetwork, channel: RawChannel, call_id: int) -> None:
    """The publisher disputes an honest record: it is upheld, once and for all."""
    args = await evidence_of(channel, network.service, network.desk.actors[CONSUMER].account, call_id)
    await network.submit(PUBLISHER, "dispute", **args)
    with pytest.raises(DualchainError, match="upheld"):
        await network.submit(CONSUMER, "dispute", **args)
