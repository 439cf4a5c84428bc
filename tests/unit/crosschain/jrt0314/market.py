"""A small market with anchored data objects, its store of snapshots, and its node interface as JSON answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.ledger.store import LedgerStore
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.node.interfaces import LedgerView
from chain_core.types.values import Value
from contracts.data_model.seals import seal_many
from contracts.data_model.snapshot import Operation, Snapshot
from crosschain.jrt0314.messages import to_json
from crosschain.jrt0314.service import REQUESTS, RegionalChain, method_name
from local_chain.assembly import local_assembly
from tests.unit.crosschain.chains import Chain, local_genesis, op, private_key

OWNER = private_key("owner of data")
TIME = 1_790_000_000


def subject(name: str, version: int = 0, operation: str = "create", **changes: Any) -> Snapshot:
    """A data object of the provisional kind, whose body is free."""
    body = {} if operation == "delete" else {"record": f"{name} {version}", **changes}
    metadata = {} if operation in ("create", "delete") else {"content_mode": "full"}
    return Snapshot("supervision", f"supervision-{name}", version, Operation(operation), TIME + version, body, metadata)


def sealed(snapshot: Snapshot) -> bytes:
    (raw,) = seal_many([snapshot], OWNER, signing_provider().sm2_public_key(OWNER))
    return raw


@dataclass
class Market:
    """``anchor`` makes a block with the snapshots' anchors and stores their bytes."""

    chain: Chain
    snapshots: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def begin(cls, path: Path) -> Market:
        return cls(Chain.begin(path, local_genesis(), local_assembly))

    def anchor(self, *snapshots: Snapshot, raw: bytes | None = None, together: bool = True) -> int:
        """The height. ``raw``: other bytes than the sealed ones, of the one snapshot."""
        calls = []
        for one in snapshots:
            data = sealed(one) if raw is None else raw
            self.snapshots[one.reference] = data
            row: dict[str, Value] = {
                "object": one.object_id,
                "kind": one.type,
                "version": one.version,
                "operation": one.operation.value,
                "hash": sm3(data),
            }
            calls.append(op("anchors", "anchor", model="2.0.0", rows=[row]))
        envelopes = (
            [self.chain.sign("operator", *calls)] if together else [self.chain.sign("operator", c) for c in calls]
        )
        receipts = self.chain.block(*envelopes)
        assert all(receipt.code == 0 for receipt in receipts), receipts
        return self.chain.height

    @property
    def network(self) -> str:
        return self.chain.genesis.chain_id

    def views(self) -> dict[int, LedgerView]:
        genesis = self.chain.genesis
        store = cast(LedgerStore, self.chain.store)
        return {0: LedgerView(genesis, self.chain.hash, store, local_assembly(genesis), "1.0", lambda: ["b", "a"])}

    def ask(self, short: str, **request: Any) -> dict[str, Any]:
        """An answer as JSON. Raises what the node refuses."""
        kind, response = REQUESTS[short]
        if "network_id" in kind.DESCRIPTOR.fields_by_name:
            request = {"network_id": self.network} | request
        handler = RegionalChain().methods(self.views)[method_name(short)].handler
        raw = asyncio.run(handler(Caller(LOOPBACK, "test"), kind(**request).SerializeToString()))
        return to_json(response.FromString(raw))
