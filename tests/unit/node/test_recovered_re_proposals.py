"""A replica that was behind when it led a view remembers, after a restart, all that it re-proposed there."""

from pathlib import Path

from chain_core.codec.block import batch_digest, encode_batch
from chain_core.consensus.messages import PrePrepare
from chain_core.execution.executor import Executor
from chain_core.execution.roots import build_genesis_header
from chain_core.ledger.store import LedgerStore
from chain_core.node import journal
from chain_core.node.twin_guard import foreign_vote
from chain_core.node.vote_keys import signing_messages
from chain_core.types.block import Batch, NewView, Phase, Vote
from tests.simulation.chain import START_MS, Tally, chain
from tests.unit.consensus.bench import new_view, view_change

CHAIN = chain(4)
ME = 1
FURTHER_UP = Batch(0, 0, 3, 0, START_MS, (bytes(32),))
"""Final here is height 0; the others are at height 2."""


def sign(message: bytes) -> bytes:
    return message[:32] + bytes(32)


def begun(directory: Path) -> LedgerStore:
    store = LedgerStore.open(directory, genesis_hash=CHAIN.genesis_hash, state_buckets=16, seen_buckets=16)
    writes = Executor((Tally(),)).genesis_writes(CHAIN.genesis, CHAIN.genesis_hash)
    staged = store.stage(dict(writes), {}, ())
    header = build_genesis_header(CHAIN.genesis, CHAIN.genesis_hash, staged.state_root, staged.seen_root)
    store.install_genesis(header, writes)
    return store


def test_its_own_re_proposal_above_the_next_height_is_not_foreign_to_it(tmp_path: Path) -> None:
    with begun(tmp_path / "ledger") as store:
        _, signer = journal.recover(store, ME, CHAIN.genesis_hash, signing_messages(CHAIN.genesis_hash, sign))
        assert signer is not None
        digest = batch_digest(encode_batch(FURTHER_UP))
        changes = tuple(view_change(i, 1) for i in (0, 1, 2))
        lead = signer.lead(NewView(0, 0, 1, ME, changes, ()), (Vote(Phase.PRE_PREPARE, 0, 0, 3, 1, 0, digest, ME),))
        store.log_write([journal.new_view_record(lead), *journal.re_proposal_records(lead, store.final_height)])
        # The next view's primary leads, and its NEW-VIEW takes the place of the own one in the log.
        store.log_write([journal.new_view_record(new_view(2, [view_change(i, 2) for i in (0, 2, 3)]))])

        recovered, signer = journal.recover(store, ME, CHAIN.genesis_hash, signing_messages(CHAIN.genesis_hash, sign))
        assert signer is not None and recovered.view == 2
        (own,) = lead.message.pre_prepares
        assert foreign_vote(PrePrepare(own, FURTHER_UP), signer) == ""
        (slot,) = recovered.slots
        assert slot.height == 3 and slot.accepted is None and slot.prepared is None, "it voted for nothing there yet"
