"""What the node API answers, as frozen values: canonical bytes as the node sent them, nothing verified yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.network.refusals import ServiceRefusal, from_message
from chain_core.types.errors import DualchainError


class ItemStatus(Enum):
    """What became of one submitted envelope."""

    REFUSED = "REFUSED"
    ACCEPTED = "ACCEPTED"
    """In one node's memory; hand it in again until it is FINAL."""
    REPLICATED = "REPLICATED"
    """On the disks of f+1 nodes, says one of them; not final yet."""
    FINAL = "FINAL"


@dataclass(frozen=True, slots=True)
class CertifiedHeader:
    """Header (408 bytes) and encoded certificate; the certificate is empty at height 0."""

    header: bytes
    certificate: bytes

    @classmethod
    def of(cls, message: pb.CertifiedHeader) -> CertifiedHeader:
        """From the wire."""
        return cls(message.header, message.certificate)


@dataclass(frozen=True, slots=True)
class ProvenReceipt:
    """An encoded receipt and its encoded inclusion proof under the header of ``height``; the texts prove nothing."""

    height: int
    receipt: bytes
    proof: bytes
    text_zh: str = ""
    text_en: str = ""

    @classmethod
    def of(cls, message: pb.ProvenReceipt) -> ProvenReceipt:
        """From the wire."""
        return cls(message.height, message.receipt, message.proof, message.text_zh, message.text_en)


@dataclass(frozen=True, slots=True)
class SubmitItem:
    """One envelope's answer: ``refusal`` with REFUSED, ``receipt`` with FINAL."""

    status: ItemStatus
    refusal: DualchainError | None = None
    receipt: ProvenReceipt | None = None

    @classmethod
    def of(cls, message: pb.SubmitItem) -> SubmitItem:
        """From the wire. Raises ServiceRefusal for a status this build does not know."""
        match message.status:
            case pb.REFUSED:
                return cls(ItemStatus.REFUSED, refusal=from_message(message.refusal))
            case pb.ACCEPTED:
                return cls(ItemStatus.ACCEPTED)
            case pb.REPLICATED:
                return cls(ItemStatus.REPLICATED)
            case pb.FINAL:
                return cls(ItemStatus.FINAL, receipt=ProvenReceipt.of(message.receipt))
            case _:
                raise ServiceRefusal(f"unknown item status {message.status}", where="items")


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """One item an envelope; ``headers`` by height for every height that a receipt names."""

    items: tuple[SubmitItem, ...]
    headers: tuple[CertifiedHeader, ...]


@dataclass(frozen=True, slots=True)
class ReceiptAnswer:
    """A receipt under ``header``; or none, with the proof of absence under ``header``'s seen root."""

    receipt: ProvenReceipt | None
    header: CertifiedHeader
    absence: bytes


@dataclass(frozen=True, slots=True)
class StateItem:
    """A value (None: absent) and its encoded state proof."""

    value: bytes | None
    proof: bytes


@dataclass(frozen=True, slots=True)
class StateAnswer:
    """One item a key, all under ``header``."""

    header: CertifiedHeader
    items: tuple[StateItem, ...]


@dataclass(frozen=True, slots=True)
class ScanAnswer:
    """Keys and values below a prefix at ``height``: NOT proven."""

    height: int
    items: tuple[tuple[bytes, bytes], ...]
    more: bool


@dataclass(frozen=True, slots=True)
class BlockAnswer:
    """An encoded certified block and its receipts, one an envelope."""

    block: bytes
    receipts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ProvenPacket:
    """An encoded packet and its encoded inclusion proof under the header's outbox root."""

    packet: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class OutboxAnswer:
    """All packets of one height in emission order."""

    header: CertifiedHeader
    packets: tuple[ProvenPacket, ...]


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """All event records of one height, one encoded value an envelope; each receipt commits to its own by digest."""

    header: CertifiedHeader
    events: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SubscribedBlock:
    """What fits a subscription at one height (or a part of it, when ``more`` follows): receipts with encoded events."""

    header: CertifiedHeader
    transactions: tuple[tuple[ProvenReceipt, bytes], ...]
    more: bool

    @classmethod
    def of(cls, message: pb.SubscribeResponse) -> SubscribedBlock:
        """From the wire."""
        found = tuple((ProvenReceipt.of(item.receipt), item.events) for item in message.transactions)
        return cls(CertifiedHeader.of(message.header), found, message.more)
