"""Proposals in one word each, for the stories about governance."""

from typing import Any

from chain_core.execution.codes import Code
from chain_core.execution.overlay import Namespace, Overlay
from chain_core.execution.proposals import Proposal, ProposalBook
from chain_core.types.transaction import Operation, Receipt
from tests.unit.execution.world import World, account, op

DELAY = 10
TRANSFER = op("coins", "transfer", to=account("bob"), amount=1)


def propose(kind: str, at: int = 0, **content: Any) -> Operation:
    return op("governance", "propose", kind=kind, content=content, effective_height=at)


def approve(number: int = 1) -> Operation:
    return op("governance", "approve", proposal=number)


def reject(number: int = 1) -> Operation:
    return op("governance", "reject", proposal=number)


def withdraw(number: int = 1) -> Operation:
    return op("governance", "withdraw", proposal=number)


def smaller(at: int = 0) -> Operation:
    return propose("parameters", at, set={"max_block_transactions": 500})


def proposal(world: World, number: int = 1) -> Proposal:
    found = ProposalBook(Namespace(Overlay(world), "governance")).find(number)
    assert found is not None
    return found


def block_size(world: World) -> int:
    return world.executor.parameters(world)["max_block_transactions"]


def passed(world: World, operation: Operation, number: int = 1) -> None:
    """Proposed by governor-1, approved by governor-3, in force."""
    assert world.one("governor-1", operation).code == Code.OK
    assert world.one("governor-3", approve(number)).code == Code.OK
    world.pass_blocks(DELAY)


def refused(receipt: Receipt) -> str:
    assert receipt.code == Code.REFUSED_BY_RULE
    return receipt.rule
