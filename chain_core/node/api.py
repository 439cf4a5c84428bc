"""What the client port serves: the node API's method table, and the standard health and reflection services."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, RawServer, ServerStream, Unary, parse
from chain_core.network.refusals import NotFound
from chain_core.node.api_names import SERVICE, method_name
from chain_core.node.queries import Queries
from chain_core.node.reopening_desk import ReopeningDesk
from chain_core.node.status import StatusReport
from chain_core.node.submit import Submissions
from chain_core.node.subscriptions import PATIENCE_S, Subscriptions


def method_table(
    submissions: Submissions,
    queries: Queries,
    status: StatusReport,
    subscriptions: Subscriptions,
    reopenings: ReopeningDesk,
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
        "HandInReopening": reopenings.hand_in,
        "GetReopenings": reopenings.show,
        "GetGenesis": queries.genesis_document,
        "GetStatus": status.status,
    }
    table: dict[str, Method] = {method_name(short): Unary(handler) for short, handler in handlers.items()}
    return table | {method_name("Subscribe"): ServerStream(subscriptions.subscribe, PATIENCE_S)}


class Health:
    """The standard grpc.health.v1 service: NOT_SERVING before the start, when halted and when stopping.

    On a protected port its ``Check`` stands behind the session like every other method, and there is no reflection.
    """

    def __init__(self) -> None:
        self._servicer = health.aio.HealthServicer()
        self._serving: dict[str, bool] = {}

    def methods(self) -> dict[str, Method]:
        """``Check``, over raw bytes."""
        return {f"/{health.SERVICE_NAME}/Check": Unary(self._check)}

    async def _check(self, _: Caller, data: bytes) -> bytes:
        service = parse(health_pb2.HealthCheckRequest, data).service
        if service not in self._serving:
            raise NotFound(f"there is no service {service[:80]!r}", where="service", next_step=f"ask for {SERVICE}")
        return health_pb2.HealthCheckResponse(status=_status(self._serving[service])).SerializeToString()

    def add_to(self, server: RawServer) -> None:
        """The standard servicers, with reflection, where the port takes plaintext."""
        if not server.plaintext:
            return
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server.grpc_server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server.grpc_server)

    async def set(self, serving: bool) -> None:
        """For the server as a whole and for the node service."""
        for name in ("", SERVICE):
            self._serving[name] = serving
            await self._servicer.set(name, _status(serving))


def _status(serving: bool) -> Any:
    """One of protobuf's ServingStatus."""
    return health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
