"""Proven views of a market's books for the evidence: whole holder rolls and cash, all under one header."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.node.answers import StateAnswer, StateItem
from chain_core.types.errors import InvalidProof
from contracts.kernel.records import CASH, HOLDING, KERNEL, decode_cash, decode_holding
from contracts.kernel.roll import ROLL_HEAD, chunk_count, chunk_key, decode_chunk, decode_head, roll_digest
from dualchain.demo.actors import Desk, StoryFault
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.market_setup import chunks

KEYS_A_QUESTION = 200
TRIES = 5

Values = dict[bytes, bytes | None]


def kernel_key(key: bytes) -> bytes:
    """Full state key of the kernel's own key."""
    return state_key(KERNEL, key)


def holding_key(security: bytes, account: bytes) -> bytes:
    """Full key of a holding."""
    return kernel_key(HOLDING + security + account)


def cash_key(account: bytes) -> bytes:
    """Full key of a cash balance."""
    return kernel_key(CASH + account)


def roll_of(security: bytes, values: Values) -> dict[bytes, int]:
    """Account -> whole holding, from proven values; InvalidProof unless the list is complete by its head."""
    where = f"roll of security {security.hex()}"
    head = values.get(kernel_key(ROLL_HEAD + security))
    if head is None:
        return {}
    count, number, digest = decode_head(head)
    raws = [values.get(kernel_key(chunk_key(security, i))) for i in range(number)]
    present = [raw for raw in raws if raw is not None]
    if number != chunk_count(count) or len(present) != number or roll_digest(present) != digest:
        raise InvalidProof("the chunks shown are not those of the head", where=where)
    holders = [account for raw in present for account in decode_chunk(raw)]
    if len(holders) != count or len(set(holders)) != count:
        raise InvalidProof(f"{len(holders)} holders shown, the head counts {count}", where=where)
    roll = {}
    for account in holders:
        raw = values.get(holding_key(security, account))
        if raw is None:
            raise InvalidProof(f"holder {account.hex()} is shown without his holding", where=where)
        roll[account] = decode_holding(raw).total
    return roll


def cash_of(accounts: Sequence[bytes], values: Values) -> dict[bytes, int]:
    """Account -> whole balance in fen, available and held."""
    balances = {}
    for account in accounts:
        cash = decode_cash(values.get(cash_key(account)))
        balances[account] = cash.available + cash.held
    return balances


async def prove_rolls(desk: Desk, book: EvidenceBook, name: str, securities: Sequence[bytes]) -> Values:
    """Head, chunks and holdings of whole rolls under one header, kept in the evidence as ``name``."""

    def chunks_of(values: Values) -> list[bytes]:
        heads = [(s, values[kernel_key(ROLL_HEAD + s)]) for s in securities]
        return [kernel_key(chunk_key(s, i)) for s, raw in heads if raw is not None for i in range(decode_head(raw)[1])]

    def holdings_of(values: Values) -> list[bytes]:
        prefix = kernel_key(chunk_key(b"", 0))[:-4]
        found: list[bytes] = []
        for key, raw in list(values.items()):
            if key.startswith(prefix) and raw is not None:
                security = key[len(prefix) : len(prefix) + 16]
                found.extend(holding_key(security, account) for account in decode_chunk(raw))
        return found

    heads = [kernel_key(ROLL_HEAD + s) for s in securities]
    return await prove(desk, book, name, [lambda _: heads, chunks_of, holdings_of])


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
