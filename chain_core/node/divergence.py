"""Execution that differs from the certified one: what differs is written down, and the certified block tried afresh.

A header says which part of a block's result differs, not which keys. The keys that the own execution wrote are
known; when the block, executed again, leads to the certified header, the two results show the very keys. When it
differs again, this build or machine is at fault for good: a certified snapshot or another build takes the node on.
"""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.codec.block import decode_header
from chain_core.consensus.finality import differing_fields
from chain_core.execution.codes import Poisoned
from chain_core.node.block_builder import BlockBuilder, BuiltBlock
from chain_core.node.certified_blocks import envelopes_of
from chain_core.node.ports import Observer
from chain_core.types.block import CertifiedBlock
from chain_core.types.transaction import Envelope

RESYNCED = "RESYNCED"
NAMED_KEYS = 16
"""So many keys are named in an alarm; all are counted."""


class Divergence:
    """What is suspect on this replica, and the second try."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._suspect: BuiltBlock | None = None
        self.for_good = False
        """The second try differed, too: nothing is executed here any more."""
        self.keys = ""
        """The keys that the suspect execution wrote, as far as they are named."""
        self.resynced = ""
        """For the status: what the first result had otherwise, once the certified one is here."""

    def suspect(self, built: BuiltBlock) -> None:
        """This execution does not lead to the certified header, or its header stands alone."""
        self._suspect = built
        self.keys = _named(built.result.writes)

    def execute(
        self, block: CertifiedBlock, built: BuiltBlock | None, builder: BlockBuilder, pooled: Mapping[bytes, Envelope]
    ) -> BuiltBlock | str:
        """The certified block as executed here, or why this replica diverges; empty when only the block is bad."""
        if built is None or built.batch.attempt != block.batch.attempt:
            try:
                built = builder.build(block.batch, envelopes_of(block, pooled))
            except Poisoned as poison:
                self.for_good = True
                return f"executing the certified block breaks the engine here: {poison}"
        if built.header_bytes == block.header:
            self._compare(built)
            return built
        if block.batch.attempt:  # which indices were skipped is not certified by itself: whoever serves it may lie
            self._observer.alarm("BAD_BLOCK", {"height": built.batch.height, "attempt": block.batch.attempt})
            return ""
        self.for_good = self._suspect is not None
        self.suspect(built)
        return f"the certified header differs in {', '.join(differing_fields(built.header_bytes, block.header))}"

    def _compare(self, again: BuiltBlock) -> None:
        """The certified result is here: name what the suspect one had otherwise."""
        suspect, self._suspect = self._suspect, None
        if suspect is None:
            return
        one, other = suspect.result.writes, again.result.writes
        differing = {key: b"" for key in one.keys() | other.keys() if one.get(key, b"?") != other.get(key, b"?")}
        facts: dict[str, str | int] = {"height": again.batch.height, "keys": _named(differing)}
        fields = differing_fields(suspect.header_bytes, again.header_bytes)
        if decode_header(suspect.header_bytes).height == again.batch.height:
            facts["fields"] = ", ".join(fields)
        self.resynced = (
            f"{RESYNCED} at height {again.batch.height}, where the keys that differed are {facts['keys']}; "
            "it follows the chain and votes again after a restart"
        )
        self._observer.alarm(RESYNCED, facts)


def _named(writes: Mapping[bytes, bytes | None]) -> str:
    """Keys in hexadecimal, the lowest ones, and how many there are."""
    named = " ".join(key.hex() for key in sorted(writes)[:NAMED_KEYS])
    return f"{len(writes)}: {named}" if len(writes) > NAMED_KEYS else named
