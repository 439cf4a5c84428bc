"""The market's chain as the exporter sees it: every block, complete and verified; labels proven; anchors to the end."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.execution.account_records import ACCOUNTS, ACTIVE, decode_record
from chain_core.execution.codes import Code
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.event_filter import EventFilter
from chain_core.node.event_stream import VerifiedEvents
from chain_core.node.verifying_client import Settled, VerifyingClient
from chain_core.types.values import Value
from contracts.kernel.records import KERNEL, LABEL, SECURITY, decode_security
from local_chain.exporter.core import Events
from local_chain.exporter.errors import ExporterFault
from local_chain.exporter.working import Label

log = logging.getLogger(__name__)
_WITHIN_S = 60.0


class ExporterChain:
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

    async def submit_raw(self, raw: bytes) -> Settled:
        """An envelope until it is final or refused for good. Raises NotFinal."""
        (outcome,) = await self.client.submit_until_final([raw], within_s=_WITHIN_S)
        return outcome

    async def blocks(self, from_height: int) -> AsyncGenerator[tuple[int, int, Events], None]:
        """(height, time in ms, events of successful transactions) of every block from a height on, never a part."""
        parts: list[VerifiedEvents] = []
        async with aclosing(self.client.events(EventFilter(), from_height).blocks()) as stream:
            async for part in stream:
                parts.extend(part.transactions)
                if part.resume_height <= part.header.height:
                    continue  # the rest of the height comes next
                found = [
                    (one.receipt.receipt.transaction_id.hex(), one.events)
                    for one in parts
                    if one.receipt.receipt.code == Code.OK
                ]
                parts = []
                yield part.header.height, part.header.time_ms, found

    async def labels(self, transactions: Events) -> dict[bytes, Label]:
        """Name and decimals of the securities that are registered in these: fixed at registration, proven by state."""
        wanted = [
            cast(dict[str, bytes], fields)["security"]
            for _, events in transactions
            for _, name, fields in cast(Sequence[tuple[str, str, Value]], events)
            if name == "security_registered"
        ]
        found = {}
        for security in wanted:
            keys = [state_key(KERNEL, LABEL + security), state_key(KERNEL, SECURITY + security)]
            _, (label, record) = await self.client.state(keys)
            if label is None or record is None:
                raise ExporterFault(f"security {security.hex()} is not in the nodes' state", where="labels")
            name = cast(str, decode_map(label, "label")["name"])
            found[security] = Label(name, decode_security(record).unit_decimals)
        return found

    async def check_seal_key(self, account: bytes, public: bytes) -> bool:
        """Whether the key is attached to the active account for ``assertion``."""
        _, (raw,) = await self.client.state([state_key(ACCOUNTS, b"a" + account)])
        record = None if raw is None else decode_record(raw)
        return record is not None and record.status == ACTIVE and public in record.keys.get("assertion", ())
