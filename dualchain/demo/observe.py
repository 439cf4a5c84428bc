"""Proven views of a market's books for the evidence: whole holder rolls and cash, all under one header."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.node.answers import StateAnswer, StateItem
from contracts.kernel.records import CASH, KERNEL, decode_cash
from crosschain import proofs
from dualchain.demo.actors import Desk, StoryFault
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.market_setup import chunks

KEYS_A_QUESTION = 200
TRIES = 5

Values = dict[bytes, bytes | None]


def kernel_key(key: bytes) -> bytes:
    """Full state key of the kernel's own key."""
    return state_key(KERNEL, key)


def cash_key(account: bytes) -> bytes:
    """Full key of a cash balance."""
    return kernel_key(CASH + account)


def roll_of(security: bytes, values: Values) -> dict[bytes, int]:
    """Account -> whole holding, from proven values; InvalidProof unless the roll is complete (crosschain/proofs.py)."""
    return {account: holding.total for account, holding in proofs.roll_of(security, values)[1]}


def cash_of(accounts: Sequence[bytes], values: Values) -> dict[bytes, int]:
    """Account -> whole balance in fen, available and held."""
    balances = {}
    for account in accounts:
        cash = decode_cash(values.get(cash_key(account)))
        balances[account] = cash.available + cash.held
    return balances


async def prove_rolls(desk: Desk, book: EvidenceBook, name: str, securities: Sequence[bytes]) -> Values:
    """Head, chunks and holdings of whole rolls under one header, kept in the evidence as ``name``."""

    def keys(values: Values) -> list[bytes]:
        listed = [key for security in securities for key in proofs.roll_keys(security, values)]
        return [key for key in listed if key not in values]

    # Three rounds: securities and heads, then the chunks the heads count, then the holdings the chunks name.
    return await prove(desk, book, name, [keys, keys, keys])


async def prove_cash(desk: Desk, book: EvidenceBook, name: str, accounts: Sequence[bytes]) -> Values:
    """Cash balances under one header, kept in the evidence as ``name``."""
    return await prove(desk, book, name, [lambda _: [cash_key(a) for a in accounts]])


async def prove(desk: Desk, book: EvidenceBook, name: str, stages: Sequence[Callable[[Values], list[bytes]]]) -> Values:
    """Ask one node for proven values, stage by stage; each stage names its keys from the values so far.

    All answers must stand under one header: when a block came in between, it is asked again.
    """
    node, view = desk.client.nodes[0], desk.client.view
    for _ in range(TRIES):
        values: Values = {}
        answers: list[tuple[list[bytes], StateAnswer]] = []
        for stage in stages:
            for keys in chunks(stage(values), KEYS_A_QUESTION):
                answer = await node.state(keys)
                view.check_state(keys, answer)
                answers.append((list(keys), answer))
                values.update(zip(keys, (item.value for item in answer.items), strict=True))
        if len({decode_header(answer.header.header).height for _, answer in answers}) == 1:
            all_keys = [key for keys, _ in answers for key in keys]
            items: tuple[StateItem, ...] = tuple(item for _, answer in answers for item in answer.items)
            book.values(desk.chain.label, name, all_keys, StateAnswer(answers[0][1].header, items))
            return values
    raise StoryFault(f"{name}: the chain did not stand still for one question", where=desk.chain.label)
