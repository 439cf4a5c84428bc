"""``dualchain node``: the engine's node commands, with the kinds of chain that this build can run."""

from __future__ import annotations

from chain_core.node.assembly import Assemblies
from chain_core.node.cli import make_app


def assemblies() -> Assemblies:
    """Contracts and hooks by kind of chain; imported only when a node is run."""
    from local_chain.assembly import local_assembly
    from supervisory_chain.assembly import supervisory_assembly

    return {"local": local_assembly, "supervisory": supervisory_assembly}


app = make_app(assemblies)
