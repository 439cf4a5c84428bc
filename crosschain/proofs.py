"""The kernel's two complete lists, proven across a border: the holder roll of a security (股东名册) and the holdings of
an account (持仓清单).

Both are complete by construction (crosschain.complete_lists): nobody can leave a holder out of a roll, or a security
out of what an account holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chain_core.codec.seen import state_key
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from contracts.kernel.records import HOLDING, KERNEL, SECURITY, Holding, Security, decode_holding, decode_security
from contracts.kernel.roll import HELD_HEAD, ROLL_HEAD, chunk_key, held_chunk_key
from crosschain.complete_lists import ListEvidence, Question, StateSource, fetch_list, prove_list

Values = Mapping[bytes, bytes | None]
Holders = tuple[tuple[bytes, Holding], ...]


@dataclass(frozen=True, slots=True)
class HolderRoll:
    """A proven roll: every holder of ``security`` under ``header``, in the order of the roll."""

    header: Header
    security: bytes
    total: int
    holders: Holders


@dataclass(frozen=True, slots=True)
class AccountHoldings:
    """Everything ``account`` holds under ``header``: (security, holding), in the order of its list."""

    header: Header
    account: bytes
    holdings: Holders


# ---- security -> holders


def roll_question(security: bytes) -> Question:
    """The complete list of a security's holders; the security's record comes first, the head second."""
    return Question(
        f"roll of security {security.hex()}",
        (state_key(KERNEL, SECURITY + security), state_key(KERNEL, ROLL_HEAD + security)),
        lambda number: state_key(KERNEL, chunk_key(security, number)),
        lambda account: state_key(KERNEL, HOLDING + security + account),
    )


def roll_keys(security: bytes, known: Values) -> list[bytes]:
    """All keys of the roll as far as ``known`` values tell: security, head, then chunks, then holdings.

    With every value of a roll known these are exactly its keys. Raises InvalidProof for a head or chunk that is none.
    """
    return roll_question(security).keys(known)


async def fetch_roll(node: StateSource, view: ChainView, security: bytes) -> ListEvidence:
    """The roll from one node, verified, all of it under one header. Raises InvalidProof, ListMoved, the node's
    refusal.
    """
    evidence, _, values = await fetch_list(node, view, roll_question(security))
    roll_of(security, values)
    return evidence


async def read_roll(node: StateSource, view: ChainView, security: bytes) -> tuple[Security, HolderRoll] | None:
    """The security's record and its roll, proven under one header; None when the chain has no such security, proven.
    Raises what ``fetch_roll`` raises.
    """
    _, header, values = await fetch_list(node, view, roll_question(security))
    record = values[roll_question(security).first[0]]
    if record is None:
        return None
    return decode_security(record), HolderRoll(header, security, *roll_of(security, values))


def check_roll(view: ChainView, security: bytes, evidence: ListEvidence, *, not_before_ms: int = 0) -> HolderRoll:
    """The roll that the evidence proves, complete. Raises InvalidProof that says what does not hold."""
    header, values = prove_list(view, roll_question(security), evidence, not_before_ms)
    total, holders = roll_of(security, values)
    return HolderRoll(header, security, total, holders)


def roll_of(security: bytes, values: Values) -> tuple[int, Holders]:
    """(total, holders) from values all proven under one header; InvalidProof unless they make a whole roll."""
    question = roll_question(security)
    accounts = question.entries(values)
    record = values[question.first[0]]
    if record is None:
        raise question.refuse("the chain has no such security")
    total = decode_security(record).total
    holders = []
    for slot, account in enumerate(accounts):
        holding = _holding(values, security, account)
        if holding is None or holding.slot != slot:
            raise question.refuse(f"holder {account.hex()} has no holding at slot {slot}")
        holders.append((account, holding))
    found = sum(holding.total for _, holding in holders)
    if found != total:
        raise question.refuse(f"holdings sum to {found}, the security has {total}")
    return total, tuple(holders)


# ---- account -> securities


def _held(account: bytes) -> Question:
    return Question(
        f"holdings of account {account.hex()}",
        (state_key(KERNEL, HELD_HEAD + account),),
        lambda number: state_key(KERNEL, held_chunk_key(account, number)),
        lambda security: state_key(KERNEL, HOLDING + security + account),
    )


def holdings_keys(account: bytes, known: Values) -> list[bytes]:
    """All keys of the list as far as ``known`` values tell: head, then chunks, then holdings. As ``roll_keys``."""
    return _held(account).keys(known)


async def fetch_holdings(node: StateSource, view: ChainView, account: bytes) -> ListEvidence:
    """The holdings from one node, verified, all of them under one header. Raises InvalidProof, ListMoved, the node's
    refusal.
    """
    evidence, _, values = await fetch_list(node, view, _held(account))
    holdings_of(account, values)
    return evidence


def check_holdings(
    view: ChainView, account: bytes, evidence: ListEvidence, *, not_before_ms: int = 0
) -> AccountHoldings:
    """The holdings that the evidence proves, complete. Raises InvalidProof that says what does not hold."""
    header, values = prove_list(view, _held(account), evidence, not_before_ms)
    return AccountHoldings(header, account, holdings_of(account, values))


def holdings_of(account: bytes, values: Values) -> Holders:
    """(security, holding) of all that ``account`` holds, from values all proven under one header; InvalidProof unless
    they make a whole list.
    """
    question = _held(account)
    found = []
    for security in question.entries(values):
        holding = _holding(values, security, account)
        if holding is None or holding.total == 0:
            raise question.refuse(f"security {security.hex()} is listed, but none of it is held")
        found.append((security, holding))
    return tuple(found)


def _holding(values: Values, security: bytes, account: bytes) -> Holding | None:
    raw = values[state_key(KERNEL, HOLDING + security + account)]
    return None if raw is None else decode_holding(raw)
