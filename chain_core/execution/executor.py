"""The executor's public face: genesis state, questions about state, running a batch (docs/spec/execution.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain_core.execution import epochs, sub_ledgers
from chain_core.execution.assembly import Assembly
from chain_core.execution.block_run import BlockResult, BlockRun, genesis_state
from chain_core.execution.context import BlockContext
from chain_core.execution.contract import Contract, Hook, Lane
from chain_core.execution.overlay import SeenReader, StateReader
from chain_core.execution.registry import GOVERNOR
from chain_core.execution.successor import succession_writes
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Envelope, TransactionBody

__all__ = ["BlockContext", "BlockResult", "Executor", "SeenReader", "StateReader"]


class Executor:
    """A chain's execution, assembled once. It holds caches only: one block does not influence the next.

    ``contracts`` come after the registry of accounts and governance, which every chain has. ``grants`` names, for a
    contract or hook, the other contracts in whose namespace it may write. ``known_flags`` are those this build
    implements, ``max_ledgers`` is how many sub-ledgers a chain of this kind may have, ``overseers`` the role of those
    who order that a height is reopened. Raises ValueError when two of them have one name, or a grant names a stranger.
    """

    def __init__(
        self,
        contracts: Sequence[Contract],
        *,
        hooks: Sequence[Hook] = (),
        grants: Mapping[str, Sequence[str]] | None = None,
        known_flags: Sequence[str] = (),
        max_ledgers: int = 0,
        overseers: str = GOVERNOR,
    ) -> None:
        self.overseers = overseers
        self.assembly = Assembly(contracts, hooks, grants or {}, known_flags, max_ledgers)

    def genesis_writes(
        self, genesis: Genesis, genesis_hash: bytes, origin: sub_ledgers.Origin | None = None
    ) -> dict[bytes, bytes]:
        """The state of height 0, of a sub-ledger when it has an ``origin``. Raises InvalidGenesis for a document some
        contract cannot start from.
        """
        return genesis_state(self.assembly, genesis, genesis_hash, origin)

    def succession_writes(self, genesis: Genesis, state: StateReader) -> dict[bytes, bytes | None]:
        """What a successor's height 0 changes of its predecessor's last ``state``. Raises InvalidGenesis."""
        return succession_writes(genesis, state)

    def execute(
        self,
        context: BlockContext,
        envelopes: Sequence[Envelope],
        state: StateReader,
        seen: SeenReader,
        skipped: Sequence[int] = (),
    ) -> BlockResult:
        """Runs the batch on ``state``; of ``skipped`` indices no operation runs. Refusals become receipts.

        Raises Poisoned for whatever else a transaction's execution raises; what is raised outside of one propagates.
        """
        return BlockRun(self.assembly, context, envelopes, state, seen, skipped).run()

    def lane_of(self, body: TransactionBody) -> Lane:
        """The lane a transaction runs in; unknown contracts and mixtures stand last."""
        return self.assembly.lane_of(body)

    def known_account(self, state: StateReader, account: bytes, public_key: bytes) -> bool:
        """Whether the key may sign for the account in ``state``: a local admission check, decided anew at execution."""
        record = self.assembly.accounts.record(state.get, account)
        return record is not None and public_key in record.signing_keys

    def may_oversee(self, state: StateReader, account: bytes, public_key: bytes) -> bool:
        """Whether the key may sign orders to reopen a height in ``state``: an active transaction key of an active
        account that has the overseeing role (docs/spec/reopening.md section 1).
        """
        record = self.assembly.accounts.record(state.get, account)
        return record is not None and public_key in record.signing_keys and self.overseers in record.roles

    def parameters(self, state: StateReader) -> dict[str, int]:
        """The parameters in force in ``state``; the caller does not change the dict."""
        return self.assembly.settings.parameters(state)

    def flags(self, state: StateReader) -> tuple[str, ...]:
        """The flags in force in ``state``, ascending."""
        return self.assembly.settings.flags(state)

    def unknown_flags(self, state: StateReader, next_height: int) -> tuple[str, ...]:
        """Flags that ``next_height`` would run under and this build does not know: the node stops before it."""
        return self.assembly.governance.unknown_flags(state, next_height)

    def epoch_at(self, state: StateReader, height: int) -> epochs.EpochInfo:
        """The epoch of ``height`` and its validators; ``state`` is final at height - 1, or not far below."""
        return epochs.epoch_at(state, height)

    def epoch(self, state: StateReader, number: int) -> epochs.EpochInfo | None:
        """An epoch by its number: of the past, the present or the scheduled one; None where ``state`` knows none."""
        return epochs.epoch_by_number(state, number)

    def sub_ledgers(self, state: StateReader) -> tuple[sub_ledgers.SubLedger, ...]:
        """The sub-ledgers that ``state`` of ledger 0 names."""
        return sub_ledgers.sub_ledgers(state)

    def barrier(self, state: StateReader) -> int | None:
        """The first height of the scheduled epoch, None while no change of validators is scheduled."""
        return epochs.barrier(state)
