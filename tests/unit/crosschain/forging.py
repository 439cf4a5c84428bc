"""What only a market's own validators could forge."""

from __future__ import annotations

from dataclasses import replace

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.proofs import encode_packet
from chain_core.crypto.merkle import MerkleTree
from chain_core.types.packet import Packet
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from tests.unit.crosschain.chains import Layers, proven_rows


def reproven(layers: Layers, *packets: Packet) -> Operation:
    """A block of the market that emitted these packets, certified by its validators: what only they could forge."""
    raws = [encode_packet(packet) for packet in packets]
    tree = MerkleTree(raws)
    real = decode_header(layers.local.certified(1)[0])
    header = encode_header(replace(real, outbox_root=tree.root, outbox_count=tree.count))
    rows = proven_rows(raws)
    args: dict[str, Value] = {
        "source": layers.local.hash,
        "height": 1,
        "packets": rows,
        "header": header,
        "certificate": layers.local.certify(header),
    }
    return Operation("inbox", "deliver", args)
