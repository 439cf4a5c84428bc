"""A node whose signer does not answer serves reads and links meanwhile, and casts its vote when it does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chain_core.codec.block import decode_certificate
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.config import join
from chain_core.node.process import Node
from chain_core.node.signer.patience import PatientKeys
from chain_core.node.vote_keys import VoteKeys
from tests.integration.network import NAMES, Network, assembly, lay_out

WITHIN_S = 90
OTHERS = tuple(name for name in NAMES if name != "one")


class Held:
    """A signer that keeps everybody waiting while it is held."""

    def __init__(self, keys: VoteKeys) -> None:
        self._keys, self.open, self.asked = keys, threading.Event(), threading.Event()
        self.open.set()

    @property
    def public_keys(self) -> Sequence[bytes]:
        return self._keys.public_keys

    def sign(self, public_key: bytes, tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        if bodies and not self.open.is_set():
            self.asked.set()
            assert self.open.wait(WITHIN_S)
        return self._keys.sign(public_key, tag, bodies)


def test_the_loop_goes_on_while_a_signer_hangs(tmp_path: Path) -> None:
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        membership = join(network.configs["one"])
        held = Held(membership.keys)
        node = Node(network.configs["one"], replace(membership, keys=PatientKeys(held)), assembly(membership.genesis))
        await node.start()
        network.nodes["one"] = node
        await network.start(*OTHERS)
        alice, bob = network.wallets["alice"], network.wallets["bob"]

        async def paid(*names: str) -> VerifiedReceipt:
            client = network.client(*names)
            (settled,) = await client.submit_until_final([alice.transfer(bob.account, 1)], within_s=WITHIN_S)
            await client.close()
            assert isinstance(settled, VerifiedReceipt)
            return settled

        await paid(*OTHERS)
        held.open.clear()
        settled = await paid(*OTHERS)
        await asyncio.to_thread(held.asked.wait)
        async with NodeClient(network.addresses("one")[0]) as client:
            for _ in range(3):
                await client.status()
                await client.header()
            assert node.replica.parked, "it was waiting all the time"
        held.open.set()
        await network.until(settled.header.height)
        await network.stop("four")
        last = await paid("two", "three")
        signers = decode_certificate(last.certified.certificate).signatures
        assert NAMES.index("one") in [signer for signer, _ in signers], "three nodes are left, and it is one of them"
        assert not node.observer.counters["alarm_SIGNER_GONE"] and not node.replica.parked
        await network.until(last.header.height)
        assert network.roots_agree()

    async def main() -> None:
        network = Network(tmp_path / "net")
        try:
            async with asyncio.timeout(WITHIN_S):
                await story(network)
        finally:
            await network.stop()

    asyncio.run(main())
