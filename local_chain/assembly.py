"""Which contracts make a chain a market's own: the market's, its data's, those at its border."""

from __future__ import annotations

from chain_core.execution.account_records import ACCOUNTS
from chain_core.execution.parameters import GOVERNANCE
from chain_core.node.assembly import Assembly
from chain_core.types.genesis import Genesis
from contracts.agreements.contract import Agreements
from contracts.anchors.contract import Anchors
from contracts.assembly import market_contracts, market_grants
from contracts.data.contract import Data
from contracts.data.records import DATA
from contracts.kernel.records import KERNEL
from contracts.templates.halts import TEMPLATES
from crosschain.identity.records import IDENTITIES
from crosschain.jrt0314.service import RegionalChain
from crosschain.packets import CHANNEL, REPORTING, SUPERVISION
from local_chain.channel import Channel
from local_chain.genesis import REGULATOR
from local_chain.government_data import GovernmentData
from local_chain.identities import Identities
from local_chain.main_ledger import NAME as MAIN_LEDGER_CONTRACT
from local_chain.main_ledger import MainLedger
from local_chain.reporting import Reporting
from local_chain.supervision import Supervision

QUIET = (ACCOUNTS, GOVERNANCE, SUPERVISION, REPORTING, CHANNEL, MAIN_LEDGER_CONTRACT)
"""Contracts whose use is no business: a block with nothing else in it is not reported."""


def local_assembly(genesis: Genesis) -> Assembly:
    """A market's chain; ``supervision`` may freeze in the kernel and halt templates, nobody else may."""
    contracts, hooks = market_contracts()
    return Assembly(
        "local",
        contracts=(
            *contracts,
            Data(),
            Anchors(),
            Agreements(),
            Identities(),
            GovernmentData(),
            Supervision(),
            Channel(),
            Reporting(QUIET),
        ),
        hooks=hooks,
        grants={**market_grants(SUPERVISION, IDENTITIES), SUPERVISION: (KERNEL, TEMPLATES)},
        protected=(KERNEL, DATA),
        followers=(MainLedger(),),
        overseers=REGULATOR,
        interfaces=(RegionalChain(),),
    )
