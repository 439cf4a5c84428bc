"""Casting a vote: the safe signer, one synced write of the vote and what it rests on, then sending; in that order."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from chain_core.codec.reopening import encode_reopening
from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.consensus.messages import PrePrepare
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import ConsensusFrame
from chain_core.node import journal
from chain_core.node.bodies import Bodies
from chain_core.node.ports import Transport
from chain_core.node.safe_signer import SafeSigner
from chain_core.types.block import Batch

Cast: TypeAlias = (
    fx.CastPrePrepare
    | fx.CastPrepare
    | fx.CastCommit
    | fx.CastHeaderVote
    | fx.CastSkip
    | fx.StoreSkips
    | fx.CastStatement
    | fx.StoreReopening
    | fx.CastViewChange
    | fx.CastNewView
    | fx.StoreNewView
)


class Voter:
    """Performs the ``Cast*`` effects of one validator. A write that fails raises before anything is sent."""

    def __init__(self, signer: SafeSigner, store: LedgerStore, bodies: Bodies, transport: Transport) -> None:
        self.signer = signer
        self._store, self._bodies, self._transport = store, bodies, transport

    def cast(self, effect: Cast) -> inp.Input | None:
        """Sign, log, sync, send; the input that tells the core. SigningRefused when it would equivocate."""
        match effect:
            case fx.CastPrePrepare():
                return self._pre_prepare(effect)
            case fx.CastPrepare():
                return self._prepare(effect)
            case fx.CastCommit(vote, prepared):
                made = self.signer.vote(vote)
                records = [journal.prepared_record(prepared), journal.own_vote_record(made)]
                self._store.log_write(records, self._raw_bodies(prepared.batch))
                self._transport.broadcast(ConsensusFrame(made))
                return inp.OwnVote(made)
            case fx.CastHeaderVote(header_bytes):
                header_vote = self.signer.header(header_bytes)
                self._store.log_write([journal.header_vote_record(header_vote)])
                self._transport.broadcast(ConsensusFrame(header_vote))
                return inp.OwnHeaderVote(header_vote)
            case fx.CastSkip(vote):
                skip = self.signer.skip(vote)
                self._store.log_write([journal.own_skip_record(skip)])
                self._transport.broadcast(ConsensusFrame(skip))
                return inp.OwnVote(skip)
            case fx.StoreSkips(votes):
                self._store.log_write([journal.skips_record(votes)])
                return None
            case fx.CastStatement(order):
                stated = self.signer.statement(order)
                self._store.log_write([journal.statement_record(stated)])
                self._transport.broadcast(ConsensusFrame(stated))
                return inp.OwnStatement(stated)
            case fx.StoreReopening(reopening):
                place = reopening.order.order
                self._store.reopenings.put(place.height, place.attempt, encode_reopening(reopening))
                return None
            case fx.CastViewChange(message):
                change = self.signer.change(message)
                self._store.log_write([journal.view_change_record(change)])
                self._transport.broadcast(ConsensusFrame(change))
                return inp.OwnViewChange(change)
            case fx.CastNewView():
                return self._new_view(effect)
            case fx.StoreNewView(entered):
                self._store.log_write([journal.new_view_record(entered)])
                self.signer.entered(entered.message.view)
                return None
            case _:
                assert_never(effect)

    def _pre_prepare(self, effect: fx.CastPrePrepare) -> inp.Input:
        proposal = PrePrepare(self.signer.vote(effect.vote), effect.batch)
        self._store.log_write([journal.accepted_record(proposal)], self._raw_bodies(effect.batch))
        self._transport.broadcast(ConsensusFrame(proposal))
        return inp.OwnPrePrepare(proposal)

    def _prepare(self, effect: fx.CastPrepare) -> inp.Input:
        made = self.signer.vote(effect.vote)
        records = [journal.accepted_record(effect.accepted), journal.own_vote_record(made)]
        self._store.log_write(records, self._raw_bodies(effect.accepted.batch))
        self._transport.broadcast(ConsensusFrame(made))
        return inp.OwnVote(made)

    def _new_view(self, effect: fx.CastNewView) -> inp.Input:
        """Bodies it re-proposes and lacks come later, from the signers of the prepared certificate."""
        lead = self.signer.lead(effect.message, tuple(vote for vote, _ in effect.re_proposals))
        re_proposals = journal.re_proposal_records(lead, self._store.final_height)
        self._store.log_write([journal.new_view_record(lead), *re_proposals])
        self._transport.broadcast(ConsensusFrame(lead))
        return inp.OwnNewView(lead)

    def _raw_bodies(self, batch: Batch) -> dict[bytes, bytes]:
        return {e.envelope_id: e.raw for e in self._bodies.of(batch)}
