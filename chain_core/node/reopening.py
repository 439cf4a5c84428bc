"""Reopening a height on one node: orders that operators hand in, lies that statements prove, what is missing in words.

docs/spec/reopening.md. The core decides when to state and when to open an attempt; here is what needs state and disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chain_core.codec.block import decode_header
from chain_core.codec.evidence import equivocation
from chain_core.codec.reopening import APPROVALS, decode_reopening, denies, order_message
from chain_core.consensus.messages import FinalityNotice, Message
from chain_core.consensus.reopening import counted
from chain_core.consensus.state import ReplicaState
from chain_core.crypto.providers import provider
from chain_core.execution.executor import Executor
from chain_core.ledger.store import LedgerStore
from chain_core.node.ports import Observer
from chain_core.types.block import Certificate, HeaderVote, Phase, SignedVote
from chain_core.types.errors import DualchainError
from chain_core.types.evidence import Equivocation, Statement
from chain_core.types.reopening import Reopening, SignedOrder

CERTIFICATE_DENIED = "CERTIFICATE_DENIED"


class ReopeningRefused(DualchainError):
    """An order that this node does not take."""

    code = "REOPENING_REFUSED"


def judge_order(order: SignedOrder, state: ReplicaState, store: LedgerStore, executor: Executor) -> None:
    """ReopeningRefused unless the order is for what is open here, and two officers approved it (section 1)."""
    if state.me is None:
        raise _refused("this node is no validator: it has nothing to state", "node", "hand it to the validators")
    o, slot = order.order, state.slot
    where = f"height {o.height}, attempt {o.attempt}"
    if o.ledger != state.config.ledger:
        raise _refused(f"the order is for ledger {o.ledger}", where, f"this is ledger {state.config.ledger}")
    if o.height <= state.final_height:
        raise _refused("this height is final here", where, "nothing is to be reopened: the others fetch it from here")
    if (o.epoch, o.height) != (state.config.epoch, slot.height):
        here = f"epoch {state.config.epoch}, height {slot.height}"
        raise _refused(f"the order is for epoch {o.epoch}", where, f"what is open here is {here}")
    if o.attempt != slot.attempt:
        raise _refused("another attempt is open here", where, f"order attempt {slot.attempt}")
    _judge_approvals(order, state.config.genesis_hash, store, executor)


def _judge_approvals(order: SignedOrder, genesis_hash: bytes, store: LedgerStore, executor: Executor) -> None:
    if len(order.approvals) != APPROVALS:
        what = f"{len(order.approvals)} approvals where {APPROVALS} are needed, of two accounts"
        raise _refused(what, "approvals", "let two officers approve it: dualchain node reopen approve")
    for approval in order.approvals:
        if not executor.may_oversee(store, approval.account, approval.public_key):
            raise _refused(
                f"no active account with role {executor.overseers}, or not its key: it may not order this",
                f"approval of {approval.account.hex()}",
                "let an officer approve it whose account and key are those of this chain's final state",
            )
    message = order_message(genesis_hash, order.body)
    items = [(approval.public_key, message, approval.signature) for approval in order.approvals]
    for approval, valid in zip(order.approvals, provider().sm2_verify_many(items), strict=True):
        if not valid:
            where = f"approval of {approval.account.hex()}"
            raise _refused("the signature does not verify", where, "approve it again for this chain")


def _refused(what: str, where: str, next_step: str) -> ReopeningRefused:
    return ReopeningRefused(what, where=where, next_step=next_step)


class Witness:
    """Compares what arrives with the statements that closed an attempt, at open heights and at final ones."""

    def __init__(self, store: LedgerStore, observer: Observer) -> None:
        self._store, self._observer = store, observer
        self._closed: dict[tuple[int, int], Reopening] = {}
        for raw in store.reopenings.start_at(0):
            self.closed(decode_reopening(raw))

    def closed(self, reopening: Reopening) -> None:
        """An attempt is closed from now on."""
        order = reopening.order.order
        self._closed[(order.height, order.attempt)] = reopening

    def past(self) -> list[Reopening]:
        """All that is closed here, ascending."""
        return [self._closed[place] for place in sorted(self._closed)]

    def refuses(self, message: Message) -> bool:
        """Whether a verified message certifies what all validators have stated not to be certified; who lied in that,
        or by a single vote, is proven on the way.
        """
        if not self._closed:
            return False
        match message:
            case FinalityNotice(header_bytes=header_bytes, certificate=certificate):
                return self.denied(header_bytes, certificate)
            case HeaderVote():
                place = message.header.height, message.header.attempt
                self._accuse(place, [(message.signer, message.header_bytes, message.signature)])
            case SignedVote(vote=vote) if vote.phase is Phase.SKIP:
                place = vote.height, vote.attempt
                self._accuse(place, [(vote.signer, message.body, message.signature)])
            case _:
                pass
        return False

    def denied(self, header_bytes: bytes, certificate: Certificate) -> bool:
        """Whether a verified certificate is of an attempt that is closed here: then some of its signers lied."""
        header = decode_header(header_bytes)
        place = header.height, header.attempt
        if place not in self._closed:
            return False
        liars = self._accuse(place, [(signer, header_bytes, made) for signer, made in certificate.signatures])
        facts: dict[str, str | int] = {"height": header.height, "attempt": header.attempt}
        self._observer.alarm(CERTIFICATE_DENIED, {**facts, "liars": ", ".join(map(str, liars))})
        return True

    def _accuse(self, place: tuple[int, int], votes: Sequence[tuple[int, bytes, bytes]]) -> list[int]:
        reopening = self._closed.get(place)
        proofs = list(denials(reopening, votes)) if reopening is not None else []
        for proof in proofs:
            if self._store.add_equivocation(proof):
                facts: dict[str, str | int] = {"signer": proof.signer, "height": place[0], "attempt": place[1]}
                self._observer.alarm("EQUIVOCATION", {**facts, "phase": "STATEMENT"})
        return [proof.signer for proof in proofs]


def denials(reopening: Reopening, votes: Sequence[tuple[int, bytes, bytes]]) -> Iterator[Equivocation]:
    """A proof against each signer of (signer, body, signature), headers or SKIPs of that attempt, who denied it."""
    order = reopening.order.order
    statements = {made.statement.signer: made for made in reopening.statements}
    for signer, body, signature in votes:
        made = statements.get(signer)
        if made is not None and denies(made.statement, body):
            place = (order.ledger, order.epoch, signer)
            yield equivocation(Statement.DENIAL, place, (made.body, made.signature), (body, signature))


def words(state: ReplicaState, names: Sequence[str]) -> str:
    """What a reopening waits for, for operators; empty when nothing was ordered here."""
    slot = state.slot
    if slot.order is None:
        return ""
    head = f"reopening of height {slot.height}, attempt {slot.attempt}, is ordered"
    stated = {made.statement.signer for made in counted(slot)}
    if not stated and state.me is not None and state.own_statement(slot) is None:
        return f"{head}: this node states nothing while its votes show that a header may still be certified"
    others = set(slot.statements) - stated
    missing = _names([i for i in range(state.config.validators.n) if i not in stated | others], names)
    told = f"{head}: statements of {_names(stated, names)}"
    if missing:
        told += f"; missing: {missing}"
    if others - slot.liars:
        told += f"; for another order: {_names(others - slot.liars, names)}"
    if slot.liars:
        told += f"; contradicted by its own votes: {_names(slot.liars, names)}"
    return told


def _names(signers: Sequence[int] | set[int], names: Sequence[str]) -> str:
    return ", ".join(names[i] for i in sorted(signers))
