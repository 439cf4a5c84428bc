"""A market in memory whose blocks an exporter takes, and whose chain takes the exporter's anchors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope
from chain_core.codec.values import decode_map, decode_value
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.node.verifying_client import Settled
from chain_core.types.transaction import Envelope, Operation, Receipt
from contracts.anchors.contract import ANCHORS, Anchors, decode_anchor, decode_head, head_key, version_key
from contracts.data.contract import Data
from contracts.data.records import DATA
from contracts.kernel.records import KERNEL, LABEL, SECURITY, decode_security
from local_chain.exporter.attributes import Attributes
from local_chain.exporter.core import Exporter, SealKey
from local_chain.exporter.database import Database
from local_chain.exporter.delivery import Delivery
from local_chain.exporter.working import Label
from local_chain.exporter.working import Market as House
from service_registry.chain import Account
from tests.unit.contracts.market import GENESIS_HASH, MONDAY, Market, account, op
from tests.unit.execution.world import key

PRIVATE = generate_private_key()
SEAL = SealKey(PRIVATE, signing_provider().sm2_public_key(PRIVATE))
HOUSE = House(account("operator"), "示例股权交易中心")
PEOPLE = tuple(f"investor-{n}" for n in range(4))

Block = tuple[int, int, list[tuple[str, list[Any]]]]


def company(name: str) -> dict[str, Any]:
    description = {"subject_company_name": name}
    return {
        "subject_information": {
            "basic_information_subject": {"general_information_subject": {"subject_type": 1}},
            "organization_subject_information": {
                "basic_information_of_enterprise": {"basic_information_description": description}
            },
        }
    }


def person(name: str) -> dict[str, Any]:
    basic = {"subject_investor_name": name, "subject_id_type": 1, "subject_id_number": f"id of {name}"}
    return {
        "subject_information": {
            "basic_information_subject": {"general_information_subject": {"subject_type": 2}},
            "personal_subject_information": {"personal_subject_basic_information": basic},
        }
    }


PRODUCT = {"product_information": {"essential_information": {"basic_product_information": {"product_type": 0}}}}
NOTICE = {
    "disclosure_approval_information": {
        "disclosure_basic_information": {"disclosure_type": 5, "disclosure_submit_type": 1},
        "disclosure_notice": [
            {
                "disclosure_announcement_type": 1,
                "disclosure_announcement_name": "公告",
                "disclosure_announcement_description": "",
                "disclosure_announcement_date": "2026-10-12",
            }
        ],
    }
}


def subject(name: str) -> str:
    return f"subject-{account(name).hex()}"


class Exchange(Market):
    """``blocks`` are what a follower of the chain would have verified."""

    blocks: list[Block]

    @classmethod
    def begin(cls) -> Exchange:
        market = cls.open(PEOPLE, extra=(Anchors(), Data()), accepting=False)
        assert isinstance(market, Exchange)
        return market

    def block(self, *envelopes: Envelope, after_ms: int = 1_000) -> list[Receipt]:
        receipts = super().block(*envelopes, after_ms=after_ms)
        assert self.last is not None
        found = [
            (receipt.transaction_id.hex(), cast(list[Any], decode_value(events)))
            for receipt, events in zip(receipts, self.last.events, strict=True)
        ]
        self.blocks = [*getattr(self, "blocks", []), (self.height, self.time_ms, found)]
        return receipts

    def label(self, security: bytes) -> Label:
        row = decode_map(self.kernel(LABEL + security) or b"", "label")
        return Label(cast(str, row["name"]), decode_security(self.kernel(SECURITY + security) or b"").unit_decimals)

    def anchored(self, object_id: str) -> list[Any]:
        """All versions of an object, from its head: a complete list."""
        head = decode_head(self.state.get(state_key(ANCHORS, head_key(object_id))))
        count = 0 if head is None else head.latest + 1
        return [decode_anchor(self.state.get(state_key(ANCHORS, version_key(object_id, one)))) for one in range(count)]

    # ---- a day's business that touches all nine kinds

    def a_days_business(self) -> bytes:
        one, two, three, four = PEOPLE
        self.qualified(*PEOPLE)
        security = self.listed({one: 100, two: 50})
        self.funded(three, 5_000)
        shares, cash = self.id_of("hold", one, "deal"), self.id_of("hold", three, "money")
        self.ok(
            one,
            op(
                "hold",
                reference="deal",
                security=security,
                quantity=40,
                counterparty=account(three),
                price_fen=3_000,
                expires_ms=self.time_ms + 3_600_000,
            ),
        )
        until = self.time_ms + 3_600_000
        self.ok(three, op("hold_cash", reference="money", against=shares, amount_fen=3_000, expires_ms=until))
        self.ok(three, op("move_held", hold=shares, payment=cash))
        self.ok("bank", op("withdraw", rows=[{"account": account(one), "amount_fen": 999, "reference": "out"}]))
        self.ok(two, op("pledge", reference="loan", security=security, quantity=20, pledgee=account(four)))
        self.ok("operator", self.non_trade(security, two, four, 30))
        self.ok("relayer", op("freeze_holder", "border", account=account(one), directive="csrc-1"))
        self.ok(
            "relayer",
            op("freeze_holding", "border", security=security, account=account(three), quantity=10, directive="csrc-2"),
        )
        for number, kind in enumerate(("disclosure", "financial")):
            self.ok("operator", Operation(DATA, "publish", {"reference": f"{number:032x}", "kind": kind, "body": b"x"}))
        return security

    def non_trade(self, security: bytes, source: str, target: str, quantity: int) -> Operation:
        arguments = {"from": account(source), "to": account(target), "quantity": quantity, "security": security}
        return Operation(KERNEL, "transfer_non_trade", arguments | {"reason": "gift", "evidence": bytes(32)})


class FolderOfBytes:
    """A store that keeps every version, as a bucket does."""

    def __init__(self) -> None:
        self.versions: dict[str, list[bytes]] = {}

    async def put_snapshot(self, name: str, raw: bytes) -> None:
        kept = self.versions.setdefault(name, [])
        if not kept or kept[-1] != raw:
            kept.append(raw)


class ExchangeChain:
    """Executes what is handed in; handed in again, the same answer."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.genesis_hash = GENESIS_HASH
        self.answers: dict[bytes, Settled] = {}
        self.order: list[tuple[str, int, str]] = []

    async def submit_raw(self, raw: bytes) -> Settled:
        envelope = decode_envelope(raw)
        if envelope.transaction_id not in self.answers:
            (receipt,) = self.exchange.block(envelope)
            header = SimpleNamespace(height=self.exchange.height)
            self.answers[envelope.transaction_id] = cast(Settled, SimpleNamespace(receipt=receipt, header=header))
            if receipt.code == 0:
                for operation in envelope.body.operations:
                    rows = cast(list[dict[str, Any]], operation.args["rows"])
                    self.order += [(row["object"], row["version"], row["operation"]) for row in rows]
        return self.answers[envelope.transaction_id]


class Office:
    """The exporter with its files; ``again`` is a restart."""

    def __init__(self, folder: Path, exchange: Exchange, failpoint: Callable[[str], None] = lambda _: None) -> None:
        self.folder, self.exchange = folder, exchange
        self.store, self.chain = FolderOfBytes(), ExchangeChain(exchange)
        self.attributes = Attributes(folder / "attributes.sqlite")
        self.open(failpoint)

    def open(self, failpoint: Callable[[str], None] = lambda _: None) -> None:
        self.database = Database(self.folder / "exporter.sqlite")
        self.exporter = Exporter(self.database, self.attributes, HOUSE, SEAL, failpoint)
        who = Account(account("operator"), PRIVATE, key("operator"))
        self.delivery = Delivery(self.database, self.store, self.chain, who, lambda: self.exchange.time_ms, failpoint)

    def again(self, failpoint: Callable[[str], None] = lambda _: None) -> None:
        self.database.close()
        self.open(failpoint)

    def tell(self, *names: str) -> None:
        """Attributes of these parties, of products and disclosures that there are."""
        rows: list[tuple[str, dict[str, Any]]] = []
        for name in names:
            made = company(f"{name} 公司") if name in ("issuer", "operator", "bank") else person(name)
            rows.append((subject(name), made))
        self.attributes.put(rows)

    def tell_objects(self, security: bytes, disclosures: Iterable[bytes] = ()) -> None:
        rows = [(f"product-{security.hex()}", PRODUCT)]
        self.attributes.put([*rows, *((f"disclosure-{one.hex()}", NOTICE) for one in disclosures)])

    def take(self) -> None:
        """Every block that was not taken yet."""
        for height, time_ms, transactions in list(self.exchange.blocks):
            if height >= self.exporter.next_height:
                names = [
                    f["security"] for _, events in transactions for _, n, f in events if n == "security_registered"
                ]
                labels = {security: self.exchange.label(security) for security in names}
                self.exporter.take(height, time_ms, transactions, labels)


__all__ = ["MONDAY", "Exchange", "Office"]
