"""A market chain's genesis document: its validators, accounts, calendar, rules, and the whole supervisory document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chain_core.codec.genesis import decode_genesis
from chain_core.node.provision import AccountPlan, NodePlan, ProvisionRefused
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from contracts.assembly import market_documents, market_parameters
from contracts.data.records import CUSTODIAN, DATA_OWNER

REGULATOR = "regulator"
"""Role of the regulator's officers on a market's chain: two of them order that a height is reopened."""
_OFFICER = "csrc"
"""Their role on the supervisory chain."""


@dataclass(frozen=True, slots=True)
class MarketCalendar:
    """Trading calendar of a market, as UTC+8 day numbers (days since 1970-01-01)."""

    holidays: tuple[int, ...] = ()
    workdays: tuple[int, ...] = ()
    opened: tuple[int, ...] = ()


def check_votes(plans: Sequence[NodePlan]) -> None:
    """ProvisionRefused when one legal entity would run a third of the nodes or more (guideline art. 16)."""
    for entity, votes in Counter(plan.entity for plan in plans).items():
        if 3 * votes >= len(plans):
            raise ProvisionRefused(
                f"{entity} would run {votes} of {len(plans)} nodes, a third or more",
                where="--node",
                next_step="let no legal entity hold a third of the votes: such a chain is not admitted (art. 16)",
            )


def market_accounts(operator_entity: str, bank_entity: str) -> tuple[AccountPlan, ...]:
    """Who acts in the market from the first block."""
    return (
        AccountPlan("operator", operator_entity, ("operator",)),
        AccountPlan("registrar", operator_entity, ("registrar",)),
        AccountPlan("custodian", operator_entity, (CUSTODIAN,)),
        AccountPlan("bank", bank_entity, ("depository_bank",)),
        AccountPlan("governor-operator", operator_entity, ("governor",)),
        AccountPlan("governor-bank", bank_entity, ("governor",)),
        AccountPlan("relayer", operator_entity, ()),
    )


def regulators(supervisory_document: bytes) -> tuple[GenesisAccount, ...]:
    """The regulator's officers of the supervisory document, with the ids and transaction keys they have there."""
    above = decode_genesis(supervisory_document).accounts
    return tuple(
        GenesisAccount(
            officer.account, officer.entity, (REGULATOR,), {"transaction": officer.keys.get("transaction", ())}
        )
        for officer in above
        if _OFFICER in officer.roles
    )


def market_genesis(
    chain_id: str,
    market: str,
    time_ms: int,
    validators: ValidatorSet,
    accounts: Sequence[GenesisAccount],
    supervisory_document: bytes,
    calendar: MarketCalendar,
    parameters: dict[str, int] | None = None,
) -> Genesis:
    """The document; ``market`` is the region code of JR/T 0326, ``parameters`` change the defaults."""
    documents: dict[str, Value] = {
        "accounts": {"grantable_roles": [DATA_OWNER]},
        **market_documents(calendar.holidays, calendar.workdays, calendar.opened),
    }
    return Genesis(
        chain_id,
        "local",
        market,
        time_ms,
        validators,
        {**DEFAULT_PARAMETERS, **market_parameters(), **(parameters or {})},
        (),
        (*accounts, *regulators(supervisory_document)),
        documents,
        supervisory_document,
    )
