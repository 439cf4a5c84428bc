"""The block store: final headers, certificates, batches, bodies, receipts, events, packets, and where a transaction is.

One value a block for each kind. Headers and certificates stay for ever; the rest can be archived and pruned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct

from chain_core.codec.block import decode_batch, decode_certificate, encode_batch
from chain_core.codec.transaction import decode_receipt
from chain_core.execution.codes import UNMARKED
from chain_core.ledger import keys, packing
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.records import BlockRecord
from chain_core.types.block import CertifiedBlock

_PLACE = Struct(">QI")
_TRANSACTION_ID = slice(37, 69)
"""Of an encoded receipt: after version (1), ledger (4) and envelope id (32)."""
_CODE = slice(93, 95)


@dataclass(frozen=True, slots=True)
class ArchivedBlock:
    """All of a final block that can be pruned, and its outbox: what an archive holds. ``receipts``, ``events`` and
    ``outbox`` are packed lists.
    """

    block: CertifiedBlock
    receipts: bytes
    events: bytes
    outbox: bytes


class BlockStore:
    """Reads final blocks; puts a new one into its batch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def header(self, height: int) -> bytes | None:
        """The header's 408 bytes."""
        return self._at(keys.HEADER, height)

    def certificate(self, height: int) -> bytes | None:
        """The encoded certificate; height 0 has none."""
        return self._at(keys.CERTIFICATE, height)

    def block(self, height: int) -> CertifiedBlock | None:
        """The certified block as peers exchange it; None where there is none, or its bodies are pruned."""
        header, certificate = self.header(height), self.certificate(height)
        batch, envelopes = self._at(keys.BATCH, height), self._at(keys.ENVELOPES, height)
        if header is None or certificate is None or batch is None or envelopes is None:
            return None
        raws = packing.unpack(envelopes, f"bodies of height {height}")
        return CertifiedBlock(header, decode_certificate(certificate), decode_batch(batch), raws)

    def items(self, kind: bytes, height: int) -> tuple[bytes, ...]:
        """The packed items of ``kind`` at ``height``; none when there is no such value."""
        data = self._at(kind, height)
        return () if data is None else packing.unpack(data, f"{kind.decode()} of height {height}")

    def locate(self, transaction_id: bytes) -> tuple[int, int] | None:
        """(height, index) of a transaction, checked against its receipt."""
        place = self._database.get(_transaction_key(transaction_id))
        if place is None:
            return None
        height, index = _PLACE.unpack(place)
        receipts = self._at(keys.RECEIPTS, height)
        where = f"receipts of height {height}"
        receipt = None if receipts is None else packing.item(receipts, index, where)
        if receipt is None or decode_receipt(receipt).transaction_id != transaction_id:
            return None
        return height, index

    def write(self, batch: Batch, height: int, block: BlockRecord, first_uses: Mapping[bytes, int]) -> None:
        """Puts a block. ``first_uses``: transaction id to index, where a nonce is used for the first time.

        Several envelopes may carry one transaction: the index names the one that used its nonce, before that the first.
        """
        batch.put(keys.at_height(keys.HEADER, height), block.header_bytes)
        batch.put(keys.at_height(keys.CERTIFICATE, height), block.certificate_bytes)
        batch.put(keys.at_height(keys.BATCH, height), block.batch_bytes)
        batch.put(keys.at_height(keys.ENVELOPES, height), packing.pack(block.envelopes))
        batch.put(keys.at_height(keys.RECEIPTS, height), packing.pack(block.receipts))
        batch.put(keys.at_height(keys.EVENTS, height), packing.pack(block.events))
        batch.put(keys.at_height(keys.OUTBOX, height), packing.pack(block.outbox))
        for transaction_id, index in _places(block.receipts).items():
            key = _transaction_key(transaction_id)
            first_use = first_uses.get(transaction_id)
            if first_use is not None:
                batch.put(key, _PLACE.pack(height, first_use))
            elif self._database.get(key) is None:
                batch.put(key, _PLACE.pack(height, index))

    def archived(self, height: int) -> ArchivedBlock | None:
        """A block with everything that belongs to it; None where there is none, or it is pruned."""
        block = self.block(height)
        parts = [self._at(kind, height) for kind in (keys.RECEIPTS, keys.EVENTS, keys.OUTBOX)]
        if block is None or any(part is None for part in parts):
            return None
        receipts, events, outbox = (part or b"" for part in parts)
        return ArchivedBlock(block, receipts, events, outbox)

    def remove(self, batch: Batch, height: int) -> None:
        """Puts the removal of batch, bodies, receipts, events and index entries of a height into ``batch``."""
        for transaction_id in _places(self.items(keys.RECEIPTS, height)):
            key = _transaction_key(transaction_id)
            place = self._database.get(key)
            if place is not None and _PLACE.unpack(place)[0] <= height:
                batch.delete(key)
        for kind in (keys.BATCH, keys.ENVELOPES, keys.RECEIPTS, keys.EVENTS):
            batch.delete(keys.at_height(kind, height))

    def put_back(self, batch: Batch, height: int, archived: ArchivedBlock) -> None:
        """Puts what ``remove`` removed; where a transaction stood more than once, the place of its first use wins."""
        receipts = packing.unpack(archived.receipts, f"receipts of height {height}")
        batch.put(keys.at_height(keys.BATCH, height), encode_batch(archived.block.batch))
        batch.put(keys.at_height(keys.ENVELOPES, height), packing.pack(archived.block.envelopes))
        batch.put(keys.at_height(keys.RECEIPTS, height), archived.receipts)
        batch.put(keys.at_height(keys.EVENTS, height), archived.events)
        batch.put(keys.at_height(keys.OUTBOX, height), archived.outbox)
        first_uses = _places(receipts, marked=True)
        for transaction_id, index in (_places(receipts) | first_uses).items():
            key = _transaction_key(transaction_id)
            if transaction_id in first_uses or self._database.get(key) is None:
                batch.put(key, _PLACE.pack(height, index))

    def _at(self, kind: bytes, height: int) -> bytes | None:
        return self._database.get(keys.at_height(kind, height)) if height >= 0 else None


def _transaction_key(transaction_id: bytes) -> bytes:
    return keys.TRANSACTION + transaction_id[: keys.TRANSACTION_PREFIX_SIZE]


def _places(receipts: Sequence[bytes], *, marked: bool = False) -> dict[bytes, int]:
    """Transaction id to its first index; ``marked``: among those that used their nonce."""
    found = [
        (receipt[_TRANSACTION_ID], index)
        for index, receipt in enumerate(receipts)
        if not marked or int.from_bytes(receipt[_CODE], "big") not in UNMARKED
    ]
    return dict(reversed(found))
