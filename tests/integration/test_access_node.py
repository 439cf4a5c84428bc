"""Roles, quotas and the record at a node whose client port speaks SM: certificates, and accounts that overrule them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope, encode_envelope
from chain_core.crypto.x509.files import load_certificates
from chain_core.network.refusals import PermissionDenied, QuotaExceeded
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.refused import SessionRefused
from chain_core.node.audit import DIRECTORY
from chain_core.node.audit_format import READS, REFUSALS, segments, verify
from chain_core.node.certify import CLIENTS
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.client_security import client_security
from chain_core.types.transaction import Operation
from tests.integration.network import Network, lay_out, other_account, run

FOREIGN = Binding(bytes(32), Role.CLIENT)
PREFIX = state_key("coins", b"")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    lay_out(tmp_path / "network")
    return tmp_path / "network"


class House:
    """The network's node ``one``, whose client port speaks SM, and clients with the certificates of their folders."""

    def __init__(self, network: Network) -> None:
        self.network = network
        config = network.configs["one"]
        self.audit = config.path(config.node.data_dir) / DIRECTORY

    @staticmethod
    def protect(network: Network, **quotas: list[int]) -> None:
        config = network.configs["one"]
        listen = config.listen.model_copy(update={"client_security": "sm"})
        section = config.quotas.model_copy(update=quotas)
        network.configs["one"] = config.model_copy(update={"listen": listen, "quotas": section})

    def client(self, name: str) -> NodeClient:
        network = self.network
        security = client_security(network.directory / CLIENTS / name, network.genesis)
        return NodeClient(network.addresses("one")[0], genesis_hash=network.view.genesis_hash, security=security)

    async def restart(self, **quotas: list[int]) -> None:
        await self.network.stop("one")
        self.protect(self.network, **quotas)
        await self.network.start("one")

    async def settle(self, operation: Operation) -> None:
        client = self.network.client("two")
        (settled,) = await client.submit_until_final([self.network.wallets["alice"].sign(operation)])
        await client.close()
        assert isinstance(settled, VerifiedReceipt)
        assert settled.receipt.code == 0
        await self.network.until(settled.header.height)

    def records(self, series: str) -> list[dict[str, object]]:
        lines = [line for path in segments(self.audit, series) for line in path.read_text("ascii").splitlines()]
        return [row for row in (json.loads(line[65:]) for line in lines) if row["what"] != "begin"]


def certificate(directory: Path, name: str) -> tuple[bytes, str]:
    """Public key and fingerprint."""
    leaf = load_certificates(directory / CLIENTS / name / "client.pem")[0]
    return leaf.public_key, leaf.fingerprint.hex()


def test_roles_come_from_the_certificate_and_end_on_the_chain(directory: Path) -> None:
    key, fingerprint = certificate(directory, "alice")

    async def story(network: Network) -> None:
        house = House(network)
        await house.restart()
        async with house.client("cli") as reader, house.client("alice") as alice:
            assert (await reader.scan(PREFIX)).items
            await alice.status()
            with pytest.raises(PermissionDenied, match="none of the roles auditor"):
                await alice.scan(PREFIX)
            (read,) = house.records(READS)
            assert read["rule"] == "client,reader"
            assert read["by"] == {
                "kind": "sm",
                "name": "cli",
                "cert": certificate(directory, "cli")[1],
                "at": "127.0.0.1",
            }
            # Her key stands for her account now, and goes with it.
            await house.settle(Operation("accounts", "attach_key", {"purpose": "transport", "key": key}))
            await alice.status()
            await house.settle(Operation("accounts", "revoke_key", {"key": key}))
            with pytest.raises(PermissionDenied, match="revoked this key"):
                await alice.status()
            await reader.status()
        stranger = replace(client_security(directory / CLIENTS / "bob", network.genesis), binding=FOREIGN)
        async with NodeClient(network.addresses("one")[0], security=stranger) as unwelcome:
            with pytest.raises(SessionRefused):
                await unwelcome.status()
        page = network.nodes["one"].instances[0].metrics.text()
        assert 'dualchain_refusals_total{port="client",reason="role"} 2\n' in page
        assert 'dualchain_refusals_total{port="client",reason="session"} 1\n' in page  # the stranger's handshake
        assert 'dualchain_refusals_total{port="peer",reason="quota"} 0\n' in page
        await network.stop("one")
        # Beside these there may be handshakes of peers that were cut off when the node stopped.
        rows = house.records(REFUSALS)
        (handshake,) = [row for row in rows if row["rule"] == "WRONG_CHAIN"]
        assert handshake["by"] == {"kind": "address", "name": "", "at": "127.0.0.1"}
        refused = [row for row in rows if row["by"]["kind"] == "sm"]  # type: ignore[index]
        assert [row["rule"] for row in refused] == ["PERMISSION_DENIED"] * 2
        assert {row["by"]["cert"] for row in refused} == {fingerprint}  # type: ignore[index]
        assert verify(house.audit, READS).good
        assert verify(house.audit, REFUSALS).good

    run(directory, story)


def test_a_flood_of_one_certificate_touches_no_other(directory: Path) -> None:
    async def story(network: Network) -> None:
        house = House(network)
        await house.restart(read=[20, 2])
        wallet = network.wallets["bob"]
        async with house.client("alice") as villain, house.client("bob") as bob, house.client("alice") as again:
            forged = []
            for _ in range(300):
                envelope = decode_envelope(wallet.transfer(other_account("new"), 1))
                (signer,) = envelope.signers
                forged.append(encode_envelope(envelope.body_bytes, (replace(signer, signature=bytes([1] * 64)),)))
            answer = await villain.submit(forged)
            found = Counter(item.refusal.code for item in answer.items if item.refusal is not None)
            assert set(found) <= {"BAD_SIGNATURE", "QUOTA_EXCEEDED"}
            with pytest.raises(QuotaExceeded) as refused:
                await again.submit(forged[:1])  # another session of the same certificate
            assert refused.value.retry_after_ms > 20_000
            answer = await bob.submit([wallet.transfer(other_account("new"), 1)], final_within_s=20)
            assert answer.items[0].receipt is not None
            for _ in range(5):
                await bob.status()  # beyond its rate: waits, and is answered
        page = network.nodes["one"].instances[0].metrics.text()
        assert 'dualchain_refusals_total{port="client",reason="quota"} 0\n' not in page
        assert "CALLER_BLOCKED" in {code for code, _ in network.nodes["one"].observer.alarms}

    run(directory, story)
