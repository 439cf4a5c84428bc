"""Who is believed on links between validators' nodes: whoever holds the transport key that the final state lists
(docs/spec/sm-session.md §7). Certificates name the role and raise alarms; they end no validator's link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chain_core.crypto.x509.certificate import parse_certificate
from chain_core.crypto.x509.roles import PEER, roles_of
from chain_core.crypto.x509.verify import Anchors, PeerCertificate
from chain_core.network.secured.security import SmClient, SmServer, identity_of
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.ports import Established, Identity
from chain_core.network.sm_session.refused import Reason, SessionRefused


class Judge(Protocol):
    """The node's certificates and what it thinks of others' (``node.security.Security``)."""

    anchors: Anchors

    def verify_peer(self, certificates: Sequence[bytes]) -> PeerCertificate:
        """A peer by its chain of certificates alone. Raises CertificateRefused."""

    def judge_peer(self, name: str, certificates: Sequence[bytes]) -> PeerCertificate:
        """Looks at a validator's certificate: what is wrong with it alarms."""


@dataclass(frozen=True, slots=True)
class ValidatorIdentity:
    """A validator as the chain's state knows it."""

    public_key: bytes
    subject: str
    entity: str
    roles: tuple[str, ...]
    fingerprint: bytes


Keys = Callable[[], Mapping[str, tuple[bytes, ...]]]
"""Transport keys by name of everybody who is, is about to be or has just been a validator, by the final state."""


class PeerSecurity:
    """One a node; ``keys`` and ``member`` follow the final state of ledger 0.

    ``member``: whether this node is a validator. One that is not yet has an old state, or none but the genesis
    document, and knows the keys of today's validators by certificates only.
    """

    def __init__(
        self,
        genesis_hash: bytes,
        own_name: str,
        credentials: tuple[tuple[bytes, ...], bytes],
        judge: Judge,
        keys: Keys,
        member: Callable[[], bool],
        admit: Callable[[str], None] | None = None,
    ) -> None:
        """``credentials``: DER certificates, leaf first, and the transport key. ``admit``: the peer port's gate."""
        self._binding = Binding(genesis_hash, Role.PEER)
        self._own_name, self._judge, self._keys, self._member = own_name, judge, keys, member
        self._admit = admit
        self._identity: Identity = identity_of(*credentials)

    def look_at_own(self, alarm: Callable[[str, dict[str, str | int]], None]) -> None:
        """Alarms when the state lists other transport keys for this node than the one it shows: no link would stand."""
        listed = self._keys().get(self._own_name)
        if listed and parse_certificate(self._identity.certificates[0]).public_key not in listed:
            next_step = "name the new key and its certificate under [security], and restart this node"
            alarm("TRANSPORT_KEY_REPLACED", {"node": self._own_name, "next": next_step})

    def server(self) -> SmServer:
        """Of the peer port. Its sessions end when the state no longer lists their keys."""
        return SmServer(self._identity, self._binding, self.verify, admit=self._admit, established=self._look)

    def client(self, name: str) -> SmClient:
        """Of a link to validator ``name``."""

        def verify(certificates: Sequence[bytes]) -> ValidatorIdentity:
            found = self.verify(certificates)
            if found.subject != name:
                what = f"{found.subject} answers where {name} should"
                raise SessionRefused(Reason.NOT_A_VALIDATOR, what, where="certificate")
            return found

        return SmClient(self._identity, self._binding, verify, established=self._look)

    def verify(self, certificates: Sequence[bytes]) -> ValidatorIdentity:
        """The validator whose transport key the leaf carries. Raises SessionRefused, CertificateRefused."""
        leaf = parse_certificate(certificates[0])
        keys = self._keys()
        name = next((name for name, listed in keys.items() if leaf.public_key in listed), "")
        if not name and not self._member():
            name = self._judge.verify_peer(certificates).subject
        if not name or name == self._own_name:
            shown = leaf.name.common_name or "a certificate without a name"
            what = f"{shown}: its key is no other validator's transport key"
            raise SessionRefused(Reason.NOT_A_VALIDATOR, what, where="certificate")
        roles = roles_of(leaf.extensions.uris, self._judge.anchors.chain_id)
        if PEER not in roles:
            what = f"{name} shows a certificate without the role {PEER!r} on {self._judge.anchors.chain_id}"
            raise SessionRefused(Reason.WRONG_ROLE, what, where="certificate")
        return ValidatorIdentity(leaf.public_key, name, leaf.name.entity, roles, leaf.fingerprint)

    def _look(self, established: Established) -> None:
        self._judge.judge_peer(established.peer.subject, established.peer_certificates)
