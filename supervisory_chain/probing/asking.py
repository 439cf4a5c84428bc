"""One endpoint is asked what it is; whatever it answers becomes an observation, never an error (drift.md §2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chain_core.network.refusals import DeadlinePassed, ServiceRefusal, Unreachable
from chain_core.network.secured.security import ClientSecurity
from chain_core.node.client import NodeClient
from chain_core.types.errors import DualchainError, MalformedBytes
from chain_core.types.values import Value
from crosschain.jrt0314.endpoint import Credentials, EndpointAway, HttpEndpoint, Paths
from supervisory_chain.probes import MAX_VERSION_BYTES

UNREACHABLE, REFUSED, MALFORMED = "unreachable", "refused", "malformed"
_OK: Final = 200
_MAX_HEIGHT: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Observation:
    """What one endpoint answered; ``fault`` is empty for an answer."""

    node: str
    address: str
    fault: str = ""
    what: str = ""
    genesis_hash: bytes = b""
    chain_id: str = ""
    height: int = 0
    version: str = ""

    def argument(self) -> dict[str, Value]:
        """As ``probes.report`` takes it."""
        return {
            "node": self.node,
            "fault": self.fault,
            "genesis_hash": self.genesis_hash,
            "chain_id": self.chain_id,
            "height": self.height,
            "version": self.version,
        }


async def by_status(node: str, address: str, security: ClientSecurity, timeout_s: float) -> Observation:
    """Over gRPC ``GetStatus``; a node of whatever chain may answer, since no chain is named."""
    client = NodeClient(address, timeout_s=timeout_s, security=security)
    try:
        answer = await asyncio.wait_for(client.status(), timeout_s)
        return _checked(
            Observation(node, address, "", "", answer.genesis_hash, answer.chain_id, answer.height, answer.version)
        )
    except (TimeoutError, Unreachable, DeadlinePassed) as error:
        return Observation(node, address, UNREACHABLE, str(error)[:200])
    except ServiceRefusal as refusal:
        return Observation(node, address, REFUSED, str(refusal)[:200])
    except DualchainError as error:
        return Observation(node, address, MALFORMED, str(error)[:200])
    finally:
        await client.close()


async def by_interface(
    node: str, address: str, chain_id: str, credentials: Credentials, timeout_s: float
) -> Observation:
    """Over the node interface of JR/T 0314; ``address``: host:port, asked by HTTPS."""
    return await asyncio.to_thread(_interface, node, address, chain_id, credentials, timeout_s)


def _interface(node: str, address: str, chain_id: str, credentials: Credentials, timeout_s: float) -> Observation:
    paths = Paths(chain_id)
    try:
        endpoint = HttpEndpoint(f"https://{address}", credentials, timeout_s)
    except DualchainError as error:
        return Observation(node, address, UNREACHABLE, str(error)[:200])
    try:
        answers: list[Mapping[str, Any]] = []
        for name in ("status", "options"):
            answer = endpoint.get(paths.of(name))
            if answer.status != _OK:
                return Observation(node, address, REFUSED, f"{name}: status {answer.status}")
            answers.append(answer.json())
        status, options = answers
        height, version = status["height"], options["node_version"]
        if type(height) is not int or type(version) is not str:
            raise MalformedBytes("height or version is of another type")
        return _checked(Observation(node, address, "", "", b"", chain_id, height, version))
    except EndpointAway as error:
        return Observation(node, address, UNREACHABLE, str(error)[:200])
    except (DualchainError, KeyError, TypeError, AttributeError) as error:
        return Observation(node, address, MALFORMED, f"{type(error).__name__}: {error}"[:200])
    finally:
        endpoint.close()


def _checked(seen: Observation) -> Observation:
    """Within the limits of the contract's arguments, else malformed."""
    fits = len(seen.genesis_hash) <= 32 and len(seen.chain_id.encode()) <= 128 and 0 <= seen.height <= _MAX_HEIGHT
    if fits and len(seen.version.encode()) <= MAX_VERSION_BYTES:
        return seen
    return Observation(seen.node, seen.address, MALFORMED, "an answer beyond all limits")
