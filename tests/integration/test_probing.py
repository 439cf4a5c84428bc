"""An inspector asks real node ports; the chain keeps what they answer, and that one of them has gone."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.crypto.keys import write_private_key
from chain_core.node.config import join, load_config
from chain_core.node.process import Node
from chain_core.types.values import Value
from local_chain.assembly import local_assembly
from service_registry.config import load
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cli import app
from supervisory_chain.probing.config import ProbeConfig
from supervisory_chain.probing.process import Prober, run
from tests.integration.data_house import lay_out
from tests.integration.network import NAMES, now_ms
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import (
    SUPERVISORY_PEOPLE,
    Chain,
    account,
    accounts,
    private_key,
    registration,
    supervisory_genesis,
)

CONFIG = """
[supervisory]
genesis = "genesis.bin"
nodes = ["{above}"]
[actor]
account = "{account}"
key = "desk.key"
[probe]
timeout_s = 5.0
"""


async def story(directory: Path) -> None:
    genesis = replace(supervisory_genesis(), accounts=accounts({**SUPERVISORY_PEOPLE, "desk": ("inspector",)}))
    lay_out(directory / "market", above=encode_genesis(genesis))
    market = (directory / "market" / "genesis.bin").read_bytes()
    configs = [load_config(directory / "market" / name / "node.toml") for name in NAMES[:2]]
    members = [join(config) for config in configs]
    nodes = [Node(c, m, local_assembly(m.genesis)) for c, m in zip(configs, members, strict=True)]
    above = Chain.begin(directory / "above", genesis, supervisory_assembly)
    above.time_ms = now_ms() - 180_000
    port = ServedNode(above, supervisory_assembly(genesis))
    await port.start()
    endpoints: Value = [{"node": n, "address": c.listen.client} for n, c in zip(NAMES, configs, strict=False)]
    assert above.one("operator", registration(market, endpoints=endpoints)).code == 0
    (directory / "genesis.bin").write_bytes(above.genesis_bytes)
    write_private_key(directory / "desk.key", private_key("desk"))
    text = CONFIG.format(above=port.address, account=account("desk").hex())
    (directory / "probe.toml").write_text(text, "utf-8")
    prober = Prober.open(load(ProbeConfig, directory / "probe.toml", ""))
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        first = (await prober.turn())["BJ"]
        assert [one.fault for one in first] == ["", ""], first
        assert {(one.genesis_hash, one.chain_id) for one in first} == {(genesis_hash(market), "data")}
        assert all(one.version for one in first)
        await nodes.pop().stop()
        for _ in range(3):
            assert [one.fault for one in (await prober.turn())["BJ"]] == ["", "unreachable"]
        told = asyncio.Event()
        process = asyncio.create_task(run(prober.config, lambda line: told.set()))
        await told.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(process, 60)
        asked = ["--node", port.address, "--genesis", str(directory / "genesis.bin")]
        shown = await asyncio.to_thread(CliRunner().invoke, app, ["probe", "show", "BJ", *asked])
        assert shown.exit_code == 0 and "unreachable" in shown.stdout and "正常 ok" in shown.stdout, shown.output
        listed = await asyncio.to_thread(CliRunner().invoke, app, ["cases", "list", "--open", *asked])
        assert "接入点异常 endpoint_drift" in listed.stdout and NAMES[1] in listed.stdout, listed.output
    finally:
        await prober.chain.close()
        for node in nodes:
            await node.stop()
        await port.stop()
        above.store.close()


def test_an_endpoint_that_went_away_becomes_a_case(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(story(tmp_path), 300))
