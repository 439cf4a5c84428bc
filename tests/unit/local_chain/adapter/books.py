"""A legacy book, and a chain in memory that takes what the adapter hands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.providers import generate_private_key
from chain_core.execution.codes import Code
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.verifying_client import Refused, Settled
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError
from contracts.kernel.records import HOLDING, SECURITY, Status, decode_holding, decode_security
from contracts.kernel.roll import read_roll as roll_of
from local_chain.adapter.importer import Importer, Naming, Progress
from local_chain.adapter.journal import Journal
from local_chain.adapter.reconcile import Book
from local_chain.adapter.submitter import Submitter
from service_registry.chain import Account
from tests.unit.contracts.market import GENESIS_HASH, Market, account
from tests.unit.execution.world import World, key

PRIVATE = generate_private_key()
HEAD_SECURITIES = "reference,name,issuer,province,unit_decimals,declared,legacy,business_date"
HEAD_HOLDINGS = "security,holder,quantity,acquired"
HEAD_ACCOUNTS = "reference,entity,key"


class NonceUsed(DualchainError):
    code = "NONCE_USED"


class MemoryChain:
    """Executes on a world; each envelope that it took before, and each nonce, is answered as a node would."""

    def __init__(self, world: World, block_size: int = 50) -> None:
        self.world, self.block_size = world, block_size
        self.genesis_hash = GENESIS_HASH
        self.results: dict[bytes, VerifiedReceipt] = {}
        self.by_nonce: dict[tuple[bytes, int], VerifiedReceipt] = {}
        self.crash_after = 10**9
        """Envelopes that are answered before the line breaks."""

    async def submit_many(self, raws: Sequence[bytes]) -> list[Settled]:
        envelopes = [decode_envelope(raw) for raw in raws]
        found: list[Settled] = []
        for start in range(0, len(envelopes), self.block_size):
            part = envelopes[start : start + self.block_size]
            self.crash_after -= len(part)
            fresh = [
                one
                for one in part
                if one.transaction_id not in self.results and (one.body.account, one.body.nonce) not in self.by_nonce
            ]
            if fresh:
                for one, receipt in zip(fresh, self.world.block(*fresh), strict=True):
                    header = SimpleNamespace(height=self.world.height)
                    shown = SimpleNamespace(text_zh=receipt.rule, text_en=receipt.rule)
                    verified = VerifiedReceipt(cast(Header, header), receipt, cast(Any, None), cast(Any, shown))
                    self.results[one.transaction_id] = verified
                    self.by_nonce[one.body.account, one.body.nonce] = verified
            if self.crash_after <= 0:
                raise ConnectionError("the line broke")
            found += [self.results.get(one.transaction_id) or Refused(NonceUsed("used")) for one in part]
        return found

    async def receipt_of_nonce(self, who: bytes, nonce: int) -> VerifiedReceipt | Header:
        return self.by_nonce.get((who, nonce)) or cast(Header, SimpleNamespace(height=self.world.height))

    async def book(self, security: bytes) -> Book | None:
        """Read, not proven: production proves the same list."""
        market = cast(Market, self.world)
        raw = market.kernel(SECURITY + security)
        if raw is None:
            return None
        units = {
            holder: decode_holding(market.kernel(HOLDING + security + holder) or b"").total
            for holder in roll_of(market.kernel, security)
        }
        return Book(units, decode_security(raw).status == Status.LIVE, market.height)


class Desk:
    """Importer and submitters on a journal in ``folder``; ``again`` is a restart."""

    def __init__(self, folder: Path, world: World, *, four_eyes: bool = True) -> None:
        self.folder, self.world, self.four_eyes = folder, world, four_eyes
        self.chain = MemoryChain(world)
        self.naming = Naming(GENESIS_HASH, account("operator"), account("operator"))
        self.journal = Journal(folder / "journal.sqlite")

    def again(self, *, lost: bool = False) -> None:
        self.journal.close()
        if lost:
            for path in self.folder.glob("journal.sqlite*"):
                path.unlink()
        self.journal = Journal(self.folder / "journal.sqlite")
        self.chain.crash_after = 10**9

    def submitter(self) -> Submitter:
        who = Account(account("operator"), PRIVATE, key("operator"))
        governor = Account(account("governor-2"), PRIVATE, key("governor-2"))
        return Submitter(
            self.chain, self.journal, who, lambda: self.world.time_ms, governor if self.four_eyes else None
        )

    def importer(self, progress: Progress = lambda *_: None, at_once: int = 10) -> Importer:
        return Importer(
            self.naming,
            self.submitter(),
            self.submitter(),
            four_eyes=self.four_eyes,
            at_once=at_once,
            progress=progress,
        )


def write_book(
    folder: Path, registers: dict[str, int], holders: int, *, legacy: Callable[[str], bool] = lambda _: False
) -> tuple[Path, Path, Path]:
    """Registers by reference with so many rows, drawn from ``holders`` parties; the three files."""
    securities, holdings = [HEAD_SECURITIES], [HEAD_HOLDINGS]
    for place, (reference, rows) in enumerate(registers.items()):
        units = [10 + (place + row) % 7 for row in range(rows)]
        holdings += [
            f"{reference},holder-{(place * 13 + row) % holders:06d},{unit},2019-05-31" for row, unit in enumerate(units)
        ]
        mark = int(legacy(reference))
        securities.append(f"{reference},企业{place},{account('issuer').hex()},BJ,0,{sum(units)},{mark},2019-06-03")
    accounts = [HEAD_ACCOUNTS, *(f"holder-{n:06d},entity {n}," for n in range(holders))]
    paths = folder / "securities.csv", folder / "holdings.csv", folder / "accounts.csv"
    for path, lines in zip(paths, (securities, holdings, accounts), strict=True):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


OK = Code.OK
