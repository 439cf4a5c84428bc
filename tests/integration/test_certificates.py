"""A chain runs on with an expired and a revoked validator certificate and without its revocation lists, and says so."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import pytest

from chain_core.node.client import NodeClient
from tests.integration.bad_certificates import expire, revoke
from tests.integration.network import NAMES, Network, drawn_ports, lay_out, run

EXPIRED, REVOKED = "two", "three"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "network"
    lay_out(made)
    expire(made, EXPIRED)
    revoke(made, REVOKED)
    for name in set(NAMES) - {REVOKED}:
        (made / name / "crl.pem").unlink()
    for name, port in zip(NAMES, drawn_ports(len(NAMES)), strict=True):
        with (made / name / "node.toml").open("a", encoding="utf-8") as file:
            file.write(f'\n[metrics]\nlisten = "127.0.0.1:{port}"\n')
    return made


async def told(network: Network, name: str) -> set[tuple[str, str]]:
    """Alarms that the node's status shows: (code, whom it is about); its peers' certificates came over the links."""
    async with NodeClient(network.configs[name].listen.client) as client:
        status = await client.status()
    alarms = {(alarm.code, alarm.of) for alarm in status.security_alarms}
    assert len(alarms) == len(status.security_alarms)
    assert all(alarm.what and alarm.next_step for alarm in status.security_alarms)
    if "FINAL" in status.summary or not status.not_progressing:
        assert any(code in status.summary for code, _ in alarms)
    assert "all is well" not in status.summary
    return alarms


async def page(network: Network, name: str) -> str:
    url = f"http://{network.configs[name].metrics.listen}/metrics"
    return await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())


def test_the_chain_runs_on_and_alarms(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client()
        for restarted in (None, EXPIRED, REVOKED):
            if restarted is not None:
                await network.stop(restarted)
                await network.start(restarted)
            settled = await client.submit_until_final([alice.transfer(bob.account, 1)])
            await network.until(max(one.header.height for one in settled))  # type: ignore[union-attr]
            assert network.roots_agree()
        expired, missing = ("CERTIFICATE_EXPIRED", EXPIRED), ("CRL_MISSING", "security.crl")
        assert {expired, missing} <= await told(network, EXPIRED)
        assert {("CERTIFICATE_REVOKED", REVOKED), expired} == await told(network, REVOKED)
        assert {expired, missing} <= await told(network, "one")
        text = await page(network, EXPIRED)
        assert f'dualchain_security_alarm{{code="CERTIFICATE_EXPIRED",of="{EXPIRED}"}} 1' in text
        assert 'dualchain_alarms_total{code="CERTIFICATE_EXPIRED"} 1' in text
        assert f'dualchain_certificate_seconds_left{{of="{EXPIRED}"}} -' in text
        await client.close()

    run(directory, story)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    for code in ("CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "CRL_MISSING"):
        assert any(line.startswith(f"{code} of=") and "next=" in line for line in said), said
