"""What the client port serves: the node API's method table, and the standard health and reflection services."""

from __future__ import annotations

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chain_core.network.raw_rpc import Method, RawServer, ServerStream, Unary
from chain_core.node.api_names import SERVICE, method_name
from chain_core.node.queries import Queries
from chain_core.node.status import StatusReport
from chain_core.node.submit import Submissions
from chain_core.node.subscriptions import PATIENCE_S, Subscriptions


def method_table(
    submissions: Submissions, queries: Queries, status: StatusReport, subscriptions: Subscriptions
) -> dict[str, Method]:
    """Full method names with their handlers: one entry for each method of node.proto."""
    handlers = {
        "Submit": submissions.submit,
        "GetReceipt": queries.receipt,
        "QueryState": queries.state,
        "ScanState": queries.scan,
        "GetHeader": queries.header,
        "GetHeaders": queries.headers,
        "GetBlock": queries.block,
        "GetOutbox": queries.outbox,
        "GetEvents": queries.events,
        "GetEquivocations": queries.equivocations,
        "GetGenesis": queries.genesis_document,
        "GetStatus": status.status,
    }
    table: dict[str, Method] = {method_name(short): Unary(handler) for short, handler in handlers.items()}
    return table | {method_name("Subscribe"): ServerStream(subscriptions.subscribe, PATIENCE_S)}


class Health:
    """The standard grpc.health.v1 service: NOT_SERVING before the start, when halted and when stopping."""

    def __init__(self, server: RawServer) -> None:
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server.grpc_server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server.grpc_server)

    async def set(self, serving: bool) -> None:
        """For the server as a whole and for the node service."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", SERVICE):
            await self._servicer.set(name, status)
