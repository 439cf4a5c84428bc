"""Final blocks as the API hands them out: canonical bytes with inclusion proofs; trees are built once a block."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.proofs import encode_inclusion
from chain_core.codec.transaction import decode_receipt
from chain_core.crypto.merkle import MerkleTree
from chain_core.execution.messages import Messages
from chain_core.ledger.store import LedgerStore
from chain_core.network.refusals import NotFound, Pruned
from chain_core.node import receipt_view
from chain_core.node.ports import FinalBlock
from chain_core.types.packet import InclusionProof

_KEPT_BLOCKS = 8


@dataclass(slots=True)
class _Leaves:
    items: tuple[bytes, ...]
    tree: MerkleTree


class BlockProofs:
    """Headers, receipts and packets of final blocks with their proofs, from the store. Raises NotFound, Pruned."""

    def __init__(self, store: LedgerStore, messages: Messages) -> None:
        self._store = store
        self._messages = messages
        self._receipts: OrderedDict[int, _Leaves] = OrderedDict()
        self._outboxes: OrderedDict[int, _Leaves] = OrderedDict()

    def finalised(self, block: FinalBlock) -> None:
        """A block just became final: its receipts are at hand and will be asked for."""
        if block.receipts:
            _keep(self._receipts, block.height, _Leaves(block.receipts, MerkleTree(block.receipts)))

    def header(self, height: int) -> pb.CertifiedHeader:
        """The header of a final height with its certificate."""
        header = self._store.header(height)
        if header is None:
            raise NotFound(
                f"height {height} is not final here; the latest is {self._store.final_height}",
                where="height",
                next_step="ask again later, or another node",
            )
        return pb.CertifiedHeader(header=header, certificate=self._store.certificate(height) or b"")

    def check_kept(self, height: int) -> None:
        """Pruned when the bodies and receipts of a height are not here any more."""
        pruned = self._store.pruning.height
        if 0 < height <= pruned:
            raise Pruned(
                f"the block of height {height} is pruned here; this node has blocks from {pruned + 1} on",
                where="height",
                next_step="ask another node, or look into an archive",
            )

    def receipt(self, height: int, index: int) -> pb.ProvenReceipt:
        """The receipt at an index of a final block; the text is for people and proves nothing."""
        self.check_kept(height)
        leaves = _leaves(self._receipts, height, self._store.receipts)
        receipt = leaves.items[index]
        proven = pb.ProvenReceipt(height=height, receipt=receipt, proof=_proof(leaves.tree, index))
        if receipt_view.code(receipt):
            self._describe(proven)
        return proven

    def packets(self, height: int) -> list[pb.ProvenPacket]:
        """The packets of a final block in emission order."""
        leaves = _leaves(self._outboxes, height, self._store.outbox)
        return [
            pb.ProvenPacket(packet=packet, proof=_proof(leaves.tree, index))
            for index, packet in enumerate(leaves.items)
        ]

    def _describe(self, proven: pb.ProvenReceipt) -> None:
        receipt = decode_receipt(proven.receipt)
        said = (receipt.code, receipt.rule, receipt.parameters)
        proven.text_zh = self._messages.render(*said, "zh", self._store.get)
        proven.text_en = self._messages.render(*said, "en", self._store.get)


def _leaves(cache: OrderedDict[int, _Leaves], height: int, read: Callable[[int], tuple[bytes, ...]]) -> _Leaves:
    found = cache.get(height)
    if found is None:
        items = read(height)
        found = _Leaves(items, MerkleTree(items))
        _keep(cache, height, found)
    else:
        cache.move_to_end(height)
    return found


def _keep(cache: OrderedDict[int, _Leaves], height: int, leaves: _Leaves) -> None:
    cache[height] = leaves
    if len(cache) > _KEPT_BLOCKS:
        cache.popitem(last=False)


def _proof(tree: MerkleTree, index: int) -> bytes:
    return encode_inclusion(InclusionProof(index, tree.count, tree.path(index)))
