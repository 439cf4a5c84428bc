"""Which contracts make a chain the supervisory one (docs/spec/registration.md, packets.md, directives.md)."""

from __future__ import annotations

from chain_core.node.assembly import Assembly
from chain_core.types.genesis import Genesis
from crosschain.packets import DIRECTIVES, INBOX
from supervisory_chain.chains import Chains
from supervisory_chain.clients import Clients
from supervisory_chain.directives import Directives
from supervisory_chain.inbox import Inbox


def supervisory_assembly(genesis: Genesis) -> Assembly:
    """The supervisory chain's contracts; a proven acknowledgement in the inbox closes its directive."""
    return Assembly(
        "supervisory",
        contracts=(Chains(), Clients(), Directives(), Inbox()),
        grants={INBOX: (DIRECTIVES,)},
    )
