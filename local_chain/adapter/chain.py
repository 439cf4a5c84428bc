"""The market's chain as the adapter sees it: final transactions, and rolls proven complete."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.verifying_client import Settled, VerifyingClient
from chain_core.types.block import Header
from contracts.kernel.records import Status
from crosschain.proofs import read_roll
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
        found = await self.client.from_any(lambda node: read_roll(node, self.client.view, security))
        if found is None:
            return None
        record, roll = found
        units = {account: holding.total for account, holding in roll.holders}
        return Book(units, record.status == Status.LIVE, roll.header.height)
