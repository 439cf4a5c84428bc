"""The supervisory chain's contracts (docs/spec/registration.md, packets.md, directives.md, see-through.md,
service-registry.md).
"""

from __future__ import annotations

from chain_core.node.assembly import Assembly
from chain_core.types.genesis import Genesis
from crosschain.packets import CASES, CHAINS, CLIENTS, DIRECTIVES, INBOX
from service_registry.contract import Services
from service_registry.records import SERVICES
from supervisory_chain.cases import Cases
from supervisory_chain.chains import CSRC, Chains
from supervisory_chain.clients import Clients
from supervisory_chain.directives import Directives
from supervisory_chain.inbox import Inbox
from supervisory_chain.lookups import LOOKUPS, Lookups
from supervisory_chain.successors import SUCCESSORS, Successors


def supervisory_assembly(genesis: Genesis) -> Assembly:
    """The supervisory chain's contracts; a proven acknowledgement in the inbox closes its directive.

    A successor takes over what the others keep of its predecessor.
    """
    return Assembly(
        "supervisory",
        contracts=(Cases(), Chains(), Clients(), Directives(), Inbox(), Lookups(), Services(), Successors()),
        grants={
            CLIENTS: (CASES,),
            DIRECTIVES: (CASES,),
            INBOX: (CASES, DIRECTIVES),
            SUCCESSORS: (CHAINS, CLIENTS, DIRECTIVES, INBOX),
        },
        protected=(LOOKUPS, SERVICES),
        overseers=CSRC,
    )
