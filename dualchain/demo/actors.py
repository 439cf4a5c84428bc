"""Those who act in the demonstration: an account with its key on one chain, and handing in what they sign."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chain_core.codec.signed import derive_id
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.network.signing import sign_transaction
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.provision import account_key
from chain_core.node.verifying_client import Refused, VerifyingClient
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation, TransactionBody
from dualchain.demo.layout import Chain

WINDOW_MS = 300_000
PATIENCE_S = 90.0
LABEL_SIZE = 48
"""Characters of a label: what goes into a transaction as its business id, so that evidence can prove it."""


class StoryFault(DualchainError):
    """The story took a turn that it must not take: an expected acceptance was refused, or the reverse."""

    code = "STORY_FAULT"


@dataclass(frozen=True, slots=True)
class Actor:
    """An account and its transaction key."""

    name: str
    account: bytes
    private: bytes
    public: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction with the words it goes by in the story."""

    label: str
    raw: bytes


@dataclass(slots=True)
class Desk:
    """One chain's client with the actors known on it; receipts of all that was handed in are kept for the evidence."""

    chain: Chain
    client: VerifyingClient
    actors: dict[str, Actor] = field(default_factory=dict)
    evidence: list[tuple[bytes, VerifiedReceipt]] = field(default_factory=list)
    _nonces: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns()))

    @property
    def genesis_hash(self) -> bytes:
        """The chain's identity."""
        return self.client.view.genesis_hash

    def genesis_actor(self, name: str) -> Actor:
        """An account of the genesis document, with its key file."""
        if name not in self.actors:
            account, private = account_key(self.chain.directory, name, self.chain.protection.unlock)
            self.actors[name] = Actor(name, account, private, signing_provider().sm2_public_key(private))
        return self.actors[name]

    def new_actor(self, name: str, registrar: Actor, key_file: Path | None = None) -> Actor:
        """A new key for an account that ``registrar`` is to register under the reference ``name``."""
        private = generate_private_key()
        if key_file is not None:
            write_private_key(key_file, private, self.chain.protection.passphrase)
        account = derive_id(self.genesis_hash, "account", registrar.account, name)
        self.actors[name] = Actor(name, account, private, signing_provider().sm2_public_key(private))
        return self.actors[name]

    def sign(
        self, label: str, actor: Actor, operations: Sequence[Operation], cosigners: Sequence[Actor] = ()
    ) -> Signed:
        """A transaction of ``actor``, cosigned where a rule asks for it. Its label is signed with it."""
        label = label[:LABEL_SIZE]
        others = sorted(cosigners, key=lambda a: a.account)
        until = time.time_ns() // 1_000_000 + WINDOW_MS
        body = TransactionBody(
            0,
            actor.account,
            next(self._nonces),
            until,
            tuple(operations),
            business_id=label,
            cosigners=tuple(a.account for a in others),
        )
        keys = [(a.private, a.public) for a in (actor, *others)]
        return Signed(label, sign_transaction(self.genesis_hash, body, keys))

    async def settle(self, transactions: Sequence[Signed]) -> list[VerifiedReceipt]:
        """Hand in and wait until each is final; receipts are verified and kept. StoryFault when no node takes one."""
        outcomes = await self.client.submit_until_final([t.raw for t in transactions], within_s=PATIENCE_S)
        receipts = []
        for transaction, outcome in zip(transactions, outcomes, strict=True):
            if isinstance(outcome, Refused):
                raise StoryFault(f"{transaction.label}: {outcome.refusal}", where=self.chain.label)
            self.evidence.append((transaction.raw, outcome))
            receipts.append(outcome)
        return receipts

    async def accepted(self, transactions: Sequence[Signed]) -> list[VerifiedReceipt]:
        """As ``settle``; StoryFault unless every one of them succeeded."""
        receipts = await self.settle(transactions)
        for transaction, found in zip(transactions, receipts, strict=True):
            if found.receipt.code:
                what = f"{transaction.label} was refused: code {found.receipt.code} {found.receipt.rule}"
                raise StoryFault(what, where=f"{self.chain.label}, height {found.header.height}")
        return receipts

    async def refused(self, transaction: Signed, rule: str) -> VerifiedReceipt:
        """As ``settle``; StoryFault unless it was refused by ``rule``."""
        (found,) = await self.settle([transaction])
        if found.receipt.rule != rule:
            what = f"{transaction.label}: expected a refusal by {rule}, got {found.receipt.code} {found.receipt.rule}"
            raise StoryFault(what, where=self.chain.label)
        return found
