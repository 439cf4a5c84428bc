"""What was delivered, by digest: after a fork nothing is executed twice, and a difference is a case (packets.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.proofs import check_inclusion, decode_inclusion, packet_hash
from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.packet import Packet
from chain_core.types.values import Value
from crosschain.light_client import Shown
from crosschain.packets import CLIENTS
from supervisory_chain.cases import open_case
from supervisory_chain.client_state import settled_at

KEPT_DIGESTS = 1_024
"""Of the newest packets of a channel."""
PACKETS_A_SOURCE = 512
"""Packets of one source taken in one block: no market floods the supervisory chain."""
CONFLICT = "conflicting_packet"

RULES: Mapping[str, RuleText] = {
    "inbox.discarded": RuleText(
        "高度 {0} 的分叉已由监管裁定，该区块头未证明属于所选分支：{1}",
        "the regulator decided on the branch at height {0}, and this header is not proven to be of it: {1}",
    ),
    "inbox.rate": RuleText(
        "本区块已收该链报文 {0} 个，上限 {1}，请在以后的区块重试",
        "{0} packets of this chain were taken in this block, at most {1} may be: bring them in a later one",
    ),
    "inbox.not_delivered": RuleText(
        "通道 {0} 的报文 {1} 尚未收到，下一个是 {2}", "packet {1} of channel {0} was not delivered yet, the next is {2}"
    ),
    "inbox.too_old": RuleText(
        "通道 {0} 的报文 {1} 的摘要已不保存", "the digest of packet {1} of channel {0} is not kept any more"
    ),
}


def count_in_block(ctx: CallContext, source: bytes, packets: int) -> None:
    """Refuses ``inbox.rate`` above ``PACKETS_A_SOURCE`` packets of the source in this block."""
    raw = ctx.get(b"t" + source)
    height, count = cast(Sequence[int], decode_value(raw, "count")) if raw else (0, 0)
    count = count if height == ctx.block.height else 0
    if count + packets > PACKETS_A_SOURCE:
        ctx.refuse("inbox.rate", count, PACKETS_A_SOURCE)
    ctx.put(b"t" + source, encode_value([ctx.block.height, count + packets]))


def keep_digest(ctx: CallContext, source: bytes, packet: Packet, digest: bytes) -> None:
    """Remembers a packet that is being taken, in the place of an old one of its channel."""
    row: list[Value] = [packet.sequence, digest]
    ctx.put(_slot(source, packet), encode_value(row))


def same_as_delivered(ctx: CallContext, source: bytes, packet: Packet, raw: bytes) -> bool:
    """Whether the packet is the one delivered under its sequence; if not, there is a case from here on."""
    kept = ctx.get(_slot(source, packet))
    sequence, digest = cast(tuple[int, bytes], decode_value(kept, "digest")) if kept else (-1, b"")
    if sequence != packet.sequence:
        ctx.refuse("inbox.too_old", packet.channel, packet.sequence)
    proven = packet_hash(raw)
    if proven == digest:
        return True
    place = b"x" + source + packet.sequence.to_bytes(8, "big") + packet.channel.encode("ascii")
    if ctx.get(place) is None:
        facts: dict[str, Value] = {
            "channel": packet.channel,
            "sequence": packet.sequence,
            "delivered": digest,
            "proven": proven,
        }
        ctx.put(place, encode_value(open_case(ctx, source, CONFLICT, facts)))
    return False


def check_settled(ctx: CallContext, source: bytes, shown: Shown, history: bytes | None) -> None:
    """Refuses ``inbox.discarded`` a header of a settled height that is not in the history of the one chosen."""
    header = shown.header
    settled = settled_at(lambda key: ctx.read(CLIENTS, key), source, header.height)
    if settled is None or shown.hash == settled.header_hash:
        return
    if history is None or header.height >= settled.height:
        ctx.refuse("inbox.discarded", header.height, "no proof" if history is None else "another header was chosen")
    try:
        proof = decode_inclusion(history)
        if proof.index != header.height:
            ctx.refuse("inbox.discarded", header.height, f"the proof is for height {proof.index}")
        check_inclusion(shown.header_bytes, proof, settled.history_count, settled.history_root, "history")
    except (InvalidProof, MalformedBytes) as error:
        ctx.refuse("inbox.discarded", header.height, error.what)


def _slot(source: bytes, packet: Packet) -> bytes:
    number = packet.sequence % KEPT_DIGESTS
    return b"p" + source + number.to_bytes(4, "big") + packet.channel.encode("ascii")
