"""A request to a chain and its acknowledgement (docs/spec/channels.md §1)."""

from __future__ import annotations

from chain_core.codec.proofs import encode_packet, packet_hash
from chain_core.codec.values import encode_value
from chain_core.types.packet import Packet
from chain_core.types.values import Value


def request(above: bytes, chain: bytes, time_ms: int) -> Packet:
    """The supervisory chain ``above`` asks ``chain``; the deadline is a minute after ``time_ms``."""
    content: dict[str, Value] = {
        "service": "roll_head",
        "arguments": encode_value({"security": bytes(16)}),
        "timeout_ms": time_ms + 60_000,
    }
    return Packet(above, 0, chain, 0, "service", 0, "request", encode_value(content))


def skipped(asked: Packet) -> Packet:
    """The acknowledgement of a request that came too late."""
    content: dict[str, Value] = {
        "sequence": asked.sequence,
        "packet": packet_hash(encode_packet(asked)),
        "code": 1,
        "hash": bytes(32),
        "response": b"",
    }
    ends = (asked.destination_genesis, 0, asked.source_genesis, 0)
    return Packet(*ends, "service", 0, "ack", encode_value(content))
