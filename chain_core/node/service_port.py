"""The port of a service beside the nodes (gateway, publisher's host, custodian): SM sessions by a credentials folder
(docs/spec/sm-session.md §7), or plaintext on the loopback interface where its configuration asks for that by name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.crypto.passphrase import Unlock
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.roles import CLIENT
from chain_core.crypto.x509.verify import Anchors, PeerCertificate, Usage, verify_chain
from chain_core.network.access import Records
from chain_core.network.handshake_gate import HandshakeGate
from chain_core.network.identity import require_address, require_loopback
from chain_core.network.secured.security import PLAINTEXT, ServerSecurity, SmServer
from chain_core.network.secured.serving import HANDSHAKE_METHOD
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.ports import Verify
from chain_core.network.sm_session.refused import SessionRefused
from chain_core.node.client_security import ANCHORS, CERTIFICATE, identity_in
from chain_core.node.config import ConfigRefused
from chain_core.node.revocation import RevocationLists
from chain_core.types.errors import LocalFault

READ_LISTS_S = 30.0


class PortSection(BaseModel):
    """What a section that names a service's port says about it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    security: Literal["sm", "plaintext"] = "sm"
    """SM sessions by the folder ``credentials`` of the chain's section; plaintext: on the loopback interface."""
    crl: str = ""
    """Path of the revocation lists of all authorities in use, read again when they change; empty: not checked."""
    crl_grace_hours: int = Field(default=24, ge=0, le=8_760)
    """How long past its next update a list still counts."""

    def check(self, listen: str, credentials: str, of: str) -> None:
        """ValueError for an address or a protection that does not go with the credentials; ``of``: their key."""
        if self.security == "sm" and not credentials:
            raise ValueError(
                f'SM sessions need {of}: name the service\'s folder, or set security = "plaintext" on the loopback '
                "interface"
            )
        try:
            require_address(listen) if self.security == "sm" else require_loopback(listen)
        except LocalFault as fault:
            raise ValueError(f"listen: {fault.what}: {fault.where!r}; {fault.next_step}") from fault


@dataclass(frozen=True, slots=True)
class ServicePort:
    """How a service's port is protected; ``lists`` are read by ``watch``, a task beside the server."""

    security: ServerSecurity
    lists: RevocationLists | None = None

    async def watch(self) -> None:
        """Reads changed lists for ever."""
        while True:
            await asyncio.sleep(READ_LISTS_S)
            if self.lists is not None:
                await asyncio.to_thread(self.lists.read)


PLAINTEXT_PORT = ServicePort(PLAINTEXT)


def service_port(
    folder: Path, genesis_bytes: bytes, unlock: Unlock | None, role: str, lists: RevocationLists, records: Records
) -> ServicePort:
    """SM sessions of the chain of this genesis document, shown with the certificate in ``folder``, which has ``role``.

    Callers are believed under the folder's anchors. Raises CertificateFileRefused, KeyFileRefused, ConfigRefused.
    """
    genesis = decode_genesis(genesis_bytes)
    anchors = Anchors(tuple(load_certificates(folder / ANCHORS)), genesis.chain_id)
    identity = identity_in(folder, unlock)
    _check_own(identity.certificates, anchors, role, folder)

    def refused(address: str, refusal: SessionRefused) -> None:
        by = {"kind": "address", "name": "", "at": address}
        records.refused({"by": by, "method": HANDSHAKE_METHOD, "object": refusal.what[:200], "rule": refusal.code})

    security = SmServer(
        identity,
        Binding(genesis_hash(genesis_bytes), Role.CLIENT),
        _clients(anchors, lists),
        admit=HandshakeGate(time.monotonic_ns).admit,
        refused=refused,
    )
    return ServicePort(security, lists)


def _clients(anchors: Anchors, lists: RevocationLists) -> Verify:
    def verify(certificates: Sequence[bytes]) -> PeerCertificate:
        return verify_chain(certificates, anchors, _now_ms(), usage=Usage.CLIENT, crls=lists.current)

    return verify


def _check_own(certificates: tuple[bytes, ...], anchors: Anchors, role: str, folder: Path) -> None:
    """What every caller would refuse is refused at the start."""
    next_step = f"have it certified: dualchain ca issue --for gateway --role {role} --chain {anchors.chain_id}"
    where = str(folder / CERTIFICATE)
    try:
        own = verify_chain(certificates, anchors, _now_ms(), usage=Usage.SERVER, crls=None)
    except CertificateRefused as refusal:
        raise ConfigRefused(
            f"no client would take this certificate: {refusal.what}", where=where, next_step=next_step
        ) from refusal
    if {role, CLIENT} - set(own.roles):
        what = f"{own.subject} has the roles {', '.join(own.roles) or '(none)'}, and {role} is needed"
        raise ConfigRefused(what, where=where, next_step=next_step)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
