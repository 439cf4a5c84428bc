"""While a node's signer does not answer: silent as before it knew its log, and resumed from the log afterwards.

Whatever the core had asked to be cast is forgotten with the core: the log says what was signed, as after a restart of
the whole node, and peers re-send what it missed (docs/spec/keys.md §5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chain_core.codec import signed
from chain_core.consensus import inputs as inp
from chain_core.consensus.pbft import Pbft
from chain_core.node import journal
from chain_core.node.epoch_turn import config_of, present_epoch
from chain_core.node.primary_watch import has_work
from chain_core.node.vote_keys import SignaturePending, SignerAway
from chain_core.node.voting import Voter

if TYPE_CHECKING:
    from chain_core.node.replica import Replica

SIGNER_GONE, SIGNER_BACK = SignerAway.code, "SIGNER_BACK"


class SignerAbsence:
    """Of one replica; ``words`` say why nothing is signed, empty while the signer is there."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.words = ""

    def begin(self, away: SignerAway) -> None:
        """A call failed: nothing is cast until the signer answers."""
        if not self.words:
            self._replica.ports.observer.alarm(SIGNER_GONE, {"what": away.what, "where": away.where})
        self.words = f"{away.what} ({away.where}): no votes are cast"
        self._replica.core.state.silent = True

    def look(self) -> bool:
        """Once a re-sending period: whether the signer is there, for an idle chain would not show it. True when it has
        come back: consensus goes on where the log says."""
        replica = self._replica
        try:
            if replica.voter is not None:
                replica.voter.signer.sign(signed.VOTE, ())
        except SignaturePending:
            return False  # its answer is looked at in the next period
        except SignerAway as away:
            self.begin(away)
            return False
        if not self.words:
            return False
        self.words = ""
        replica.ports.observer.alarm(SIGNER_BACK, {"height": replica.store.final_height})
        self._resume()
        return True

    def _resume(self) -> None:
        """A fresh core from the log, in place of the one whose casts were lost."""
        replica, store = self._replica, self._replica.store
        before = replica.voter.signer.forgotten_view if replica.voter is not None else -1
        config = config_of(
            present_epoch(store, replica.executor), store, replica.executor, replica.genesis_hash, replica.own_keys
        )
        log, signer = journal.recover(store, config.me, replica.genesis_hash, replica.sign, config.epoch)
        halted = replica.core.state.halted
        replica.core = Pbft(replace(config, parameters=replica.intake.limits.parameters()), log)
        replica.core.state.halted = halted
        replica.built = None
        replica.intake.follow(replica.peers)
        replica.voter = None
        if signer is not None:
            if before >= 0:
                signer.not_below(before)
            replica.voter = Voter(signer, store, replica.bodies, replica.ports.transport)
        if replica.quiet is not None:
            replica.quiet.follow(replica.core, signer, replica.peers, config.validators.q - 1)
        replica.inputs.append(inp.Started(before))
        if has_work(replica.core.state, replica.intake):
            replica.inputs.append(inp.WorkAvailable())
