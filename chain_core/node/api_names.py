"""Full gRPC names of the node API's methods."""

from __future__ import annotations

from typing import Final

from chain_core._pb.dualchain.node.v1 import node_pb2

SERVICE: Final = node_pb2.DESCRIPTOR.services_by_name["NodeService"].full_name


def method_name(short: str) -> str:
    """``/dualchain.node.v1.NodeService/Submit`` for ``Submit``."""
    return f"/{SERVICE}/{short}"
