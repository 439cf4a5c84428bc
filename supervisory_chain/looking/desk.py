"""The desk: markets proven, the query recorded, every market asked at once, all answers judged
(docs/spec/see-through.md §1). Nothing is asked before its record is final, nothing is shown that is not proven.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from chain_core.crypto.hashing import sm3
from chain_core.execution.messages import Messages
from chain_core.network.identity import require_loopback
from chain_core.network.refusals import ServiceRefusal
from chain_core.network.signing import sign_transaction
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.verifying_client import Refused, VerifyingClient
from chain_core.types.errors import DualchainError, LocalFault
from chain_core.types.transaction import Operation, TransactionBody
from chain_core.types.values import Value
from crosschain.complete_lists import ListEvidence
from crosschain.looking.inquiry import Fresh
from service_registry.chain import wall_clock_ms
from service_registry.config import KeyPair
from supervisory_chain.looking.asking import Alarm, AskedMarket, Missing, Question, Told
from supervisory_chain.looking.config import DeskConfig
from supervisory_chain.looking.markets import Market, MarketList, fetch_document, fetch_markets
from supervisory_chain.lookups import LOOKUPS, Lookups

T = TypeVar("T")
RECORD_S = 30.0
_WINDOW_MS = 60_000


class NotRecorded(ServiceRefusal):
    """The chain refused the record of the query: nothing was asked."""

    code = "NOT_RECORDED"


class NoSuchMarket(ServiceRefusal):
    """No market of that code is admitted."""

    code = "NO_SUCH_MARKET"


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, and why. ``markets``: region codes, all admitted ones when it is empty."""

    kind: str
    subject: str
    purpose: str
    reference: str
    markets: tuple[str, ...] = ()
    contents: bool = False


@dataclass(frozen=True, slots=True)
class Looked(Generic[T]):
    """What came of a query: its final record, the answers that hold, the markets that are missing, who was told."""

    query: Query
    record: VerifiedReceipt
    supervisory: MarketList
    evidence: ListEvidence
    answers: Mapping[str, Told[T]]
    missing: Mapping[str, Missing]
    alarms: tuple[Alarm, ...]
    took_ms: Mapping[str, float]
    """Wall time of the three steps: ``markets``, ``record``, ``answers``."""

    def complete(self) -> bool:
        """Whether every market that was to be asked has answered."""
        return not self.missing


class Desk:
    """One reader's access to the supervisory chain and to all markets; connections are kept between queries."""

    def __init__(
        self, config: DeskConfig, client: VerifyingClient, key: KeyPair, clock: Callable[[], int] = wall_clock_ms
    ) -> None:
        self._config, self._client, self._key, self._now_ms = config, client, key, clock
        self._account = bytes.fromhex(config.actor.account)
        self._asked: dict[bytes, AskedMarket] = {}

    @classmethod
    def open(cls, config: DeskConfig, clock: Callable[[], int] = wall_clock_ms) -> Desk:
        """Raises ConfigRefused, KeyFileRefused, CertificateFileRefused, PassphraseRefused."""
        view = config.view(config.supervisory, "supervisory")
        client = VerifyingClient(view, config.supervisory.nodes, config.security(config.supervisory))
        return cls(config, client, config.key(config.actor.key), clock)

    async def close(self) -> None:
        """End all connections."""
        await asyncio.gather(self._client.close(), *(one.close() for one in self._asked.values()))

    @property
    def client(self) -> VerifyingClient:
        """The supervisory chain's nodes."""
        return self._client

    def document(self, code: str) -> bytes:
        """The genesis document of a market that was asked."""
        return next(one.document for one in self._asked.values() if one.market.market == code)

    async def look(self, query: Query, question: Question[T]) -> Looked[T]:
        """Every market's answer to the question. Raises NoSuchMarket, NotRecorded, what the supervisory chain's nodes
        refuse; a market's nodes never end a query.
        """
        clock = [time.perf_counter()]
        found, evidence = await fetch_markets(self._client, self._fresh())
        wanted = self._wanted(found, query.markets)
        query = replace(query, markets=tuple(sorted(wanted)))
        clock.append(time.perf_counter())
        documents = asyncio.gather(*(self._asked_market(one) for one in wanted.values()))
        try:
            record = await self._record(query)
        except BaseException:
            documents.cancel()
            await asyncio.gather(documents, return_exceptions=True)
            raise
        clock.append(time.perf_counter())
        asked = await documents
        results = await asyncio.gather(*(self._ask(one, question) for one in asked))
        codes = [market.market for market in wanted.values()]
        answers: dict[str, Told[T]] = {}
        missing: dict[str, Missing] = {}
        for code, (result, _) in zip(codes, results, strict=True):
            if isinstance(result, Missing):
                missing[code] = result
            else:
                answers[code] = result
        alarms = tuple(alarm for _, told in results for alarm in told)
        clock.append(time.perf_counter())
        steps = ("markets", "record", "answers")
        took = {step: (b - a) * 1e3 for step, a, b in zip(steps, clock, clock[1:], strict=False)}
        return Looked(query, record, found, evidence, answers, missing, alarms, took)

    @staticmethod
    def _wanted(found: MarketList, codes: Sequence[str]) -> dict[str, Market]:
        admitted = found.admitted()
        for code in codes:
            if code not in admitted:
                raise NoSuchMarket(
                    f"no chain of market {code} is admitted",
                    where=f"height {found.header.height}",
                    next_step="see `dualchain supervisory market`",
                )
        wanted = {code: admitted[code] for code in (sorted(set(codes)) or admitted)}
        if not wanted:
            raise NoSuchMarket(
                "no market is admitted", where=f"height {found.header.height}", next_step="admit one: chains.admit"
            )
        return wanted

    async def _ask(
        self, asked: tuple[Market, AskedMarket | Missing], question: Question[T]
    ) -> tuple[Told[T] | Missing, list[Alarm]]:
        market, one = asked
        if isinstance(one, Missing):
            return one, []
        return await one.ask(question, self._fresh(market))

    async def _asked_market(self, market: Market) -> tuple[Market, AskedMarket | Missing]:
        known = self._asked.get(market.chain)
        if known is not None:
            return market, known
        try:
            document = await self._document(market)
            addresses, security = self._addresses(market), self._config.market_security(market.market, document)
        except DualchainError as refusal:
            return market, Missing(refusal.code, refusal.what)
        made = AskedMarket(market, document, addresses, security, self._config.look.timeout_s)
        self._asked[market.chain] = made
        return market, made

    def _addresses(self, market: Market) -> list[str]:
        """The file's, else the registered ones; without credentials only those on this machine. Raises LocalFault."""
        section = self._config.of_market(market.market)
        addresses = section.nodes or [address for _, address in market.endpoints]
        if not section.credentials:
            for address in addresses:
                require_loopback(address)
        return addresses

    async def _document(self, market: Market) -> bytes:
        kept = self._config.kept_document(market.chain)
        if kept is not None and sm3(kept) == market.chain:
            return kept
        document = await fetch_document(self._client, market)
        try:
            self._config.keep_document(market.chain, document)
        except OSError as error:
            raise LocalFault(
                f"the genesis document cannot be kept: {error.strerror}",
                where=self._config.look.documents,
                next_step="check the folder, or leave [look] documents out",
            ) from error
        return document

    def _fresh(self, market: Market | None = None) -> Fresh:
        look, now_ms = self._config.look, self._now_ms()
        bounds = now_ms - look.fresh_within_s * 1_000, now_ms + look.ahead_s * 1_000
        return (
            Fresh(not_before_ms=bounds[0], not_after_ms=bounds[1])
            if market is None
            else Fresh(market.followed, *bounds)
        )

    async def _record(self, query: Query) -> VerifiedReceipt:
        """The final record of the query. Raises NotRecorded, NotFinal, the nodes' refusal."""
        args: dict[str, Value] = {
            "kind": query.kind,
            "subject": query.subject,
            "markets": list(query.markets),
            "purpose": query.purpose,
            "reference": query.reference,
            "contents": query.contents,
        }
        operation = Operation(LOOKUPS, "record", args)
        until = self._now_ms() + _WINDOW_MS
        body = TransactionBody(0, self._account, secrets.randbits(63), until, (operation,))
        raw = sign_transaction(self._client.view.genesis_hash, body, [(self._key.private, self._key.public)])
        (settled,) = await self._client.submit_until_final([raw], within_s=RECORD_S)
        if isinstance(settled, Refused):
            raise settled.refusal
        receipt = settled.receipt
        if receipt.code:
            raise NotRecorded(
                Messages((Lookups(),)).render(receipt.code, receipt.rule, receipt.parameters, "en"),
                where=f"height {settled.header.height}, code {receipt.code} {receipt.rule}".strip(),
                next_step="look with an account that has the role csrc, regulator or auditor",
            )
        return settled
