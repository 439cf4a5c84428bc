"""The supervisory chain's contracts (docs/spec/registration.md, packets.md, channels.md, directives.md,
see-through.md, service-registry.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.node.assembly import Assembly
from chain_core.types.genesis import Genesis
from crosschain.client_types import ClientType
from crosschain.identity.records import IDENTITIES
from crosschain.packets import CASES, CHAINS, CHANNEL, CLIENTS, DIRECTIVES, INBOX
from service_registry.contract import Services
from service_registry.records import SERVICES
from supervisory_chain.admission import CSRC
from supervisory_chain.cases import Cases
from supervisory_chain.chains import Chains
from supervisory_chain.channel import Channel
from supervisory_chain.clients import Clients
from supervisory_chain.codes import CODES, Codes
from supervisory_chain.desk.contract import Desk
from supervisory_chain.desk.records import DESK
from supervisory_chain.directives import Directives
from supervisory_chain.identity_register import IdentityRegister
from supervisory_chain.inbox import Inbox
from supervisory_chain.lookups import LOOKUPS, Lookups
from supervisory_chain.probes import PROBES, Probes
from supervisory_chain.risk.contract import Risk
from supervisory_chain.risk.indicators import RISK
from supervisory_chain.successors import SUCCESSORS, Successors


def supervisory_assembly(genesis: Genesis, other_types: Sequence[ClientType] = ()) -> Assembly:
    """The supervisory chain's contracts; a proven acknowledgement in the inbox closes its directive.

    ``other_types`` are the technologies besides ours whose chains it follows (docs/spec/client-types.md).

    A successor takes over what the others keep of its predecessor.
    """
    types = {kind.name: kind for kind in other_types}
    return Assembly(
        "supervisory",
        contracts=(
            Cases(),
            Chains(types),
            Channel(),
            Clients(types),
            Codes(),
            Desk(),
            Directives(),
            IdentityRegister(),
            Inbox(types),
            Lookups(),
            Probes(),
            Risk(),
            Services(),
            Successors(),
        ),
        grants={
            CHAINS: (CHANNEL, SERVICES),
            CLIENTS: (CASES,),
            DESK: (CASES,),
            DIRECTIVES: (CASES, SERVICES),
            INBOX: (CASES, CHANNEL, CODES, DIRECTIVES, IDENTITIES),
            PROBES: (CASES,),
            RISK: (CASES,),
            SUCCESSORS: (CHAINS, CHANNEL, CLIENTS, DIRECTIVES, INBOX),
        },
        protected=(LOOKUPS, SERVICES),
        overseers=CSRC,
    )
