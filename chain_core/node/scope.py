"""Which chain and ledger a request is about: anything but this node's own is refused by name."""

from __future__ import annotations

from dataclasses import dataclass

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.network.refusals import WrongChain


@dataclass(frozen=True, slots=True)
class OwnScope:
    """What this node serves."""

    chain_id: str
    genesis_hash: bytes
    ledger: int

    def check(self, scope: pb.Scope, *, named: bool = False) -> None:
        """WrongChain unless the request is for this chain and ledger; with ``named`` it must say which chain."""
        if scope.genesis_hash != self.genesis_hash and (named or scope.genesis_hash):
            raise WrongChain(
                f"this node runs {self.chain_id}, genesis {self.genesis_hash.hex()}",
                where=f"scope.genesis_hash {scope.genesis_hash.hex() or '(empty)'}",
                next_step="ask a node of the chain you mean, or name this one",
            )
        if scope.ledger != self.ledger:
            raise WrongChain(
                f"this node runs ledger {self.ledger} of {self.chain_id}",
                where=f"scope.ledger {scope.ledger}",
                next_step=f"ask for ledger {self.ledger}",
                code="WRONG_LEDGER",
            )
