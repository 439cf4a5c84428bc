"""The market's chain as the adapter sees it: final transactions, and rolls proven complete."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.codec.seen import state_key
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.verifying_client import Settled, VerifyingClient
from chain_core.types.block import Header
from contracts.kernel.records import KERNEL, SECURITY, Status, decode_security
from crosschain.proofs import check_roll, fetch_roll
from local_chain.adapter.reconcile import Book

_WITHIN_S = 120.0


class AdapterChain:
    """Raises what VerifyingClient raises."""

    def __init__(self, view: ChainView, addresses: Sequence[str], security: ClientSecurity = PLAINTEXT) -> None:
        self.client = VerifyingClient(view, addresses, security)

    @property
    def genesis_hash(self) -> bytes:
        """Which chain."""
        return self.client.view.genesis_hash

    async def close(self) -> None:
        """End all connections."""
        await self.client.close()

    async def submit_many(self, raws: Sequence[bytes]) -> list[Settled]:
        """Envelopes until each is final or refused for good. Raises NotFinal."""
        return await self.client.submit_until_final(raws, within_s=_WITHIN_S)

    async def receipt_of_nonce(self, account: bytes, nonce: int) -> VerifiedReceipt | Header:
        """What used the nonce, proven."""
        return await self.client.receipt_of_nonce(account, nonce)

    async def book(self, security: bytes) -> Book | None:
        """A security's register, proven complete; None when the chain has no such security, proven, too."""
        _, (record,) = await self.client.state([state_key(KERNEL, SECURITY + security)])
        if record is None:
            return None
        evidence = await self.client.from_any(lambda node: fetch_roll(node, self.client.view, security))
        found = check_roll(self.client.view, security, evidence)
        live = decode_security(record).status == Status.LIVE
        return Book({account: holding.total for account, holding in found.holders}, live, found.header.height)
