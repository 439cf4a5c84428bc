"""The block store: final headers, certificates, batches, bodies, receipts, events, packets, and where a transaction is.

One value a block for each kind. Headers and certificates stay for ever; the rest can be archived and pruned.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from chain_core.codec.block import decode_batch, decode_certificate
from chain_core.codec.transaction import decode_receipt
from chain_core.ledger import keys, packing
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.records import BlockRecord
from chain_core.types.block import CertifiedBlock

_PLACE = Struct(">QI")
_TRANSACTION_ID = slice(37, 69)
"""Of an encoded receipt: after version (1), ledger (4) and envelope id (32)."""


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
        places = {receipt[_TRANSACTION_ID]: index for index, receipt in reversed([*enumerate(block.receipts)])}
        for transaction_id, index in places.items():
            key = _transaction_key(transaction_id)
            first_use = first_uses.get(transaction_id)
            if first_use is not None:
                batch.put(key, _PLACE.pack(height, first_use))
            elif self._database.get(key) is None:
                batch.put(key, _PLACE.pack(height, index))

    def _at(self, kind: bytes, height: int) -> bytes | None:
        return self._database.get(keys.at_height(kind, height)) if height >= 0 else None


def _transaction_key(transaction_id: bytes) -> bytes:
    return keys.TRANSACTION + transaction_id[: keys.TRANSACTION_PREFIX_SIZE]
