"""From one epoch to the next: whom this replica agrees with at the height above the final one, and help for those who
are still in an epoch that is over (docs/spec/pbft.md, epochs; docs/spec/membership.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chain_core.codec.block import decode_certificate
from chain_core.consensus.messages import FinalityNotice, Heartbeat
from chain_core.consensus.state import ConsensusParameters, ReplicaConfig
from chain_core.execution.epochs import EpochInfo
from chain_core.execution.executor import Executor
from chain_core.ledger.store import LedgerStore
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.vote_keys import Sign
from chain_core.node.voting import Voter
from chain_core.types.validator_set import ValidatorSet

if TYPE_CHECKING:
    from chain_core.node.replica import Replica


def index_of(own_keys: Sequence[bytes], validators: ValidatorSet) -> int | None:
    """The member whose consensus key is one of these; None for an observer."""
    found = (validators.index_of_key(key) for key in own_keys)
    return next((index for index in found if index is not None), None)


def present_epoch(store: LedgerStore, executor: Executor) -> EpochInfo:
    """The epoch of the height above the final one."""
    return executor.epoch_at(store, store.final_height + 1)


def config_of(
    epoch: EpochInfo, store: LedgerStore, executor: Executor, genesis_hash: bytes, own_keys: Sequence[bytes]
) -> ReplicaConfig:
    """Who this replica is in an epoch, by its consensus keys, and under which parameters it begins."""
    parameters = ConsensusParameters.from_chain(executor.parameters(store))
    me = index_of(own_keys, epoch.validators)
    barrier = executor.barrier(store)
    return ReplicaConfig(
        epoch.validators,
        me,
        store.ledger,
        epoch.epoch,
        genesis_hash,
        parameters,
        barrier if barrier is not None and barrier > epoch.start else None,
    )


def newcomer(config: ReplicaConfig, sign: Sign, final_height: int) -> SafeSigner | None:
    """The signer of a node that signed nothing so far; None for an observer."""
    if config.me is None:
        return None
    return SafeSigner(sign, config.me, config.genesis_hash, final_height, epoch=config.epoch)


def take_place(replica: Replica, config: ReplicaConfig) -> None:
    """Take this node's place in an epoch: under another index perhaps, as a newcomer, or as an observer."""
    replica.me, n = config.me, config.validators.n
    replica.peers = tuple(peer for peer in range(n) if peer != config.me)
    replica.intake.follow(replica.peers)
    replica.exchange.follow(n, config.me)
    replica.snapshots.follow(n, config.me)
    if replica.voter is None or config.me is None:
        store = replica.store
        signer = newcomer(config, replica.sign, store.final_height)
        replica.voter = Voter(signer, store, replica.bodies, replica.ports.transport) if signer is not None else None
    else:
        replica.voter.signer.begin_epoch(config.epoch, config.me)
    if replica.quiet is not None:
        signer = replica.voter.signer if replica.voter is not None else None
        replica.quiet.follow(replica.core, signer, replica.peers, config.validators.q - 1)


class ClosingNotices:
    """The last certified header of an epoch for whoever shows, by a heartbeat, that it has not left it: it can verify
    that one, and fetch up to it, while it does not know whose signatures stand under later ones."""

    def __init__(self, store: LedgerStore, executor: Executor) -> None:
        self._store, self._executor = store, executor
        self._answered: set[tuple[int, int]] = set()

    def period_over(self) -> None:
        """A re-sending period is over: each is answered once a period."""
        self._answered.clear()

    def answer(self, beat: Heartbeat, present: ReplicaConfig) -> Iterator[tuple[int, FinalityNotice]]:
        """Whom to tell (by its index of now) and what; nothing when it is told already, or is no member now."""
        if beat.epoch >= present.epoch or (beat.sender, beat.epoch) in self._answered:
            return
        info = self._executor.epoch(self._store, beat.epoch)
        if info is None or info.end is None or not 0 <= beat.sender < info.validators.n:
            return
        name = info.validators.validators[beat.sender].name
        names = [validator.name for validator in present.validators.validators]
        closing = info.end - 1
        header, certificate = self._store.header(closing), self._store.certificate(closing)
        if name not in names or header is None or not certificate:
            return
        self._answered.add((beat.sender, beat.epoch))
        yield names.index(name), FinalityNotice(header, decode_certificate(certificate))
