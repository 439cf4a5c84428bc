"""The questions as a market's node is asked them: fetched, judged, with evidence that anybody can judge again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from chain_core.network.refusals import NotFound
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.client import NodeClient
from crosschain.complete_lists import ListEvidence
from crosschain.looking.enterprise import EnterpriseInMarket, EnterpriseInquiry, check_enterprise
from crosschain.looking.holder import HolderInMarket, HolderInquiry, check_holder
from crosschain.looking.inquiry import Fresh, fetch
from crosschain.looking.objects import (
    AnchoredObject,
    AnchorsInquiry,
    TieredInquiry,
    TieredObject,
    check_anchored,
    check_tiered,
)
from crosschain.looking.transactions import (
    Became,
    BecameInquiry,
    Event,
    ToldTransaction,
    check_became,
    check_transaction,
    fetch_transaction,
    touched,
)
from supervisory_chain.looking.asking import Missing, Question
from supervisory_chain.looking.desk import Looked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proven(Generic[T]):
    """What a market's answer says, and the evidence it rests on."""

    found: T
    evidence: ListEvidence


@dataclass(frozen=True, slots=True)
class FoundTransaction:
    """A transaction with its events, and what has become of what it touched."""

    receipt: VerifiedReceipt
    events: tuple[Event, ...]
    became: Became
    told: ToldTransaction


def holder(code: str) -> Question[Proven[HolderInMarket]]:
    """A holder by investor code."""

    async def ask(view: ChainView, node: NodeClient, fresh: Fresh) -> Proven[HolderInMarket]:
        evidence = await fetch(node, HolderInquiry(code))
        return Proven(check_holder(view, code, evidence, fresh), evidence)

    return ask


def enterprise(credit_code: str) -> Question[Proven[EnterpriseInMarket]]:
    """An enterprise by credit code."""

    async def ask(view: ChainView, node: NodeClient, fresh: Fresh) -> Proven[EnterpriseInMarket]:
        evidence = await fetch(node, EnterpriseInquiry(credit_code))
        return Proven(check_enterprise(view, credit_code, evidence, fresh), evidence)

    return ask


def anchored(object_id: str) -> Question[Proven[AnchoredObject]]:
    """The history of an object of JR/T 0314."""

    async def ask(view: ChainView, node: NodeClient, fresh: Fresh) -> Proven[AnchoredObject]:
        evidence = await fetch(node, AnchorsInquiry(object_id))
        return Proven(check_anchored(view, object_id, evidence, fresh), evidence)

    return ask


def tiered(inquiry: TieredInquiry) -> Question[Proven[TieredObject]]:
    """An object of contract ``data``."""

    async def ask(view: ChainView, node: NodeClient, fresh: Fresh) -> Proven[TieredObject]:
        evidence = await fetch(node, inquiry)
        return Proven(check_tiered(view, inquiry, evidence, fresh), evidence)

    return ask


def transaction(transaction_id: bytes) -> Question[Proven[FoundTransaction]]:
    """A transaction by its id. The question raises NotFound where the node does not know it, which proves nothing."""

    async def ask(view: ChainView, node: NodeClient, fresh: Fresh) -> Proven[FoundTransaction]:
        told = await fetch_transaction(node, transaction_id)
        receipt, events = check_transaction(view, transaction_id, told)
        inquiry = BecameInquiry(transaction_id, touched(events))
        evidence = await fetch(node, inquiry)
        became = check_became(view, inquiry, evidence, fresh)
        return Proven(FoundTransaction(receipt, events, became, told), evidence)

    return ask


def known_elsewhere(looked: Looked[T]) -> tuple[Looked[T], Mapping[str, Missing]]:
    """A query for a transaction, and the markets of it that do not know the id.

    Where none but they are missing, and another market proves the transaction, the query is complete. A node that does
    not know an id is told only where another node of its market does.
    """
    unknown = {code: one for code, one in looked.missing.items() if one.code == NotFound.code}
    unheard = {alarm.market for alarm in looked.alarms if alarm.market in unknown and alarm.code != NotFound.code}
    settled = {code: one for code, one in unknown.items() if code not in unheard}
    alarms = tuple(alarm for alarm in looked.alarms if alarm.market not in settled)
    if not looked.answers:
        return replace(looked, alarms=alarms), settled
    missing = {code: one for code, one in looked.missing.items() if code not in settled}
    return replace(looked, missing=missing, alarms=alarms), settled
