"""The supervisory chain's genesis document: its validators, its offices' accounts, its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.node.provision import AccountPlan
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from supervisory_chain.desk.contract import DAYS as NOTICE_PARAMETER
from supervisory_chain.desk.contract import NOTICE_DAYS
from supervisory_chain.evidence import PARAMETER as EVIDENCE
from supervisory_chain.joint_tests import DAYS, DEFAULT_DAYS

CHAIN_ID = "rem-supervisory"
CSRC_ENTITY = "中国证监会 CSRC"
OFFICE_ENTITY = "派出机构 CSRC regional office"

ACCOUNTS = (
    AccountPlan("csrc-issuer", CSRC_ENTITY, ("csrc",)),
    AccountPlan("csrc-checker", CSRC_ENTITY, ("csrc",)),
    AccountPlan("office", OFFICE_ENTITY, ("office",)),
    AccountPlan("registrar", CSRC_ENTITY, ("registrar",)),
    AccountPlan("governor-csrc", CSRC_ENTITY, ("governor",)),
    AccountPlan("governor-office", OFFICE_ENTITY, ("governor",)),
)
"""Who acts for the regulator from the first block: two officers for every directive and admission (four eyes), and its
regional office, which judges evidence.
"""

GRANTABLE_ROLES = ("gateway", "inspector", "operator", "tester")
"""What the registrar may give; roles of the regulator belong to governance."""

TRYING_OUT = {DAYS: 0, EVIDENCE: 0, NOTICE_PARAMETER: 0}
"""Parameters of a chain that admits markets without a joint-test report and evidence, and moves them to a successor
without notice.
"""


def supervisory_genesis(
    chain_id: str,
    time_ms: int,
    validators: ValidatorSet,
    accounts: Sequence[GenesisAccount],
    parameters: dict[str, int] | None = None,
) -> Genesis:
    """The document; ``parameters`` change the defaults."""
    documents: dict[str, Value] = {"accounts": {"grantable_roles": list(GRANTABLE_ROLES)}}
    return Genesis(
        chain_id,
        "supervisory",
        "",
        time_ms,
        validators,
        {**DEFAULT_PARAMETERS, DAYS: DEFAULT_DAYS, EVIDENCE: 1, NOTICE_PARAMETER: NOTICE_DAYS, **(parameters or {})},
        (),
        tuple(accounts),
        documents,
    )
