"""What ``dualchain local channel`` and ``dualchain supervisory channel`` show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chain_core.codec.block import decode_header
from chain_core.types.block import Header
from chain_core.types.values import Value
from crosschain.channel_view import channel_row
from tests.unit.crosschain.chains import Chain, Layers, account, op
from tests.unit.crosschain.couriers import Courier


@dataclass
class Proven:
    chain: Chain

    async def state(self, keys: Sequence[bytes]) -> tuple[Header, list[bytes | None]]:
        header = decode_header(self.chain.certified(self.chain.height)[0])
        return header, [self.chain.store.get(key) for key in keys]


def shown(chain: Chain, peer: Chain, last: int = 20) -> dict[str, Any]:
    row = asyncio.run(channel_row(Proven(chain), chain.hash, peer.hash, last))
    assert json.loads(json.dumps(row)) == row
    return dict(row)


def test_requests_from_asking_to_their_end(layers: Layers) -> None:
    above, local = layers.supervisory, layers.local
    layers.business("S1")
    Courier(layers).up()
    assert shown(above, local)["asked"] == 0
    above.one("csrc-1", op("channel", "grant", account=account("desk"), units=9))
    for wait_ms in (60_000, 3_000):
        asked: dict[str, Value] = {"service": "roll_head", "arguments": {"security": bytes(16)}}
        above.one("desk", op("channel", "request", chain=local.hash, timeout_ms=above.time_ms + wait_ms, **asked))
    above.block(after_ms=5_000)
    row = shown(above, local)
    assert (row["in_flight"], row["units"]) == (2, {"granted": 9, "available": 5, "escrow": 4, "paid": 0})
    assert [one["due"] for one in row["requests"]] == [True, False]
    local.time_ms = above.time_ms
    Courier(layers).services_down()
    Courier(layers).up()
    row = shown(above, local)
    assert (row["in_flight"], row["answered"], row["refunded"], row["packets_sent"]) == (0, 1, 1, 2)
    late_one, first = row["requests"]
    assert (first["status"], first["acknowledged"], first["answer"]["found"]) == ("answered", "answered", False)
    assert (late_one["status"], late_one["acknowledged"], late_one["answer"]) == ("refunded", "skipped", None)
    assert first["arguments"] == {"security": "00" * 16}
    assert len(shown(above, local, 1)["requests"]) == 1
