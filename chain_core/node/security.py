"""What a node knows about certificates: its own, whom it trusts, revocation lists, its peers'; and what is wrong there.

The judge behind both ports' sessions. On the client port certificates and lists bind; between validators they alarm
(docs/spec/certificates.md §1, §9). Only this module reads the files of [security], the lists through ``revocation``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Unlock
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509.certificate import Certificate
from chain_core.crypto.x509.crl import Crls
from chain_core.crypto.x509.files import CertificateFileRefused, load_certificates
from chain_core.crypto.x509.verify import Anchors, PeerCertificate, Usage, examine_peer, verify_chain
from chain_core.crypto.x509.watch import Alarm, ListState, Watched, alarms
from chain_core.node.config import ConfigRefused, NodeConfig
from chain_core.node.revocation import HOUR_MS, RevocationLists, age

TICK_S = 30.0
REPEAT_MS = 3_600_000
"""An alarm that stays is told again this often."""
_DAY_MS = 86_400_000

Tell = Callable[[str, dict[str, str | int]], None]
"""Code and facts of an alarm."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What this node shows: its chain, DER, leaf first, and the key behind it."""

    certificates: tuple[bytes, ...]
    transport_key: bytes = field(repr=False)


class Security:
    """One a node. ``now_ms`` is asked at each judgement; ``tick`` reads changed lists and tells alarms."""

    def __init__(
        self,
        config: NodeConfig,
        chain_id: str,
        chain_kind: str,
        now_ms: Callable[[], int],
        unlock: Unlock | None = None,
    ) -> None:
        """Raises ConfigRefused: files that cannot be read or do not belong together; KeyFileRefused.

        An expired or revoked certificate, and a missing list, are no reason not to start: they alarm.
        """
        self._section, self._kind, self._now_ms = config.security, chain_kind, now_ms
        self._path = config.path
        self._where = f"{config.file}, section security"
        self.anchors = Anchors(
            tuple(self._bundle("anchors")),
            chain_id,
            tuple(self._bundle("foreign_anchors")),
            {bytes.fromhex(name): tuple(roles) for name, roles in self._section.grants.items()},
        )
        self._own = tuple(self._bundle("certificate"))
        self._name = config.node.name
        self.credentials = self._credentials(unlock)
        self._peers: dict[str, tuple[bytes, ...]] = {}
        self._watched: dict[str, Watched] = {}
        self._own_facts: list[Watched] = []
        self._told: dict[tuple[str, str], int] = {}
        listed = config.path(self._section.crl) if self._section.crl else None
        self._lists = RevocationLists(listed, self._section.crl_grace_hours)
        self._judged_by: Crls | None = None
        self._judged_ms = 0
        self._judge_own()

    # ---- the judge

    def verify_client(self, certificates: Sequence[bytes]) -> PeerCertificate:
        """Who calls the client port. Raises CertificateRefused."""
        return verify_chain(certificates, self.anchors, self._now_ms(), usage=Usage.CLIENT, crls=self._lists.current)

    def verify_server(self, certificates: Sequence[bytes]) -> PeerCertificate:
        """Whom this node calls as a client. Raises CertificateRefused."""
        return verify_chain(certificates, self.anchors, self._now_ms(), usage=Usage.SERVER, crls=self._lists.current)

    def verify_peer(self, certificates: Sequence[bytes]) -> PeerCertificate:
        """Who is on a link, where no state of the chain says it yet. Raises CertificateRefused."""
        return verify_chain(certificates, self.anchors, self._now_ms(), usage=Usage.PEER, crls=self._lists.current)

    def judge_peer(self, name: str, certificates: Sequence[bytes]) -> PeerCertificate:
        """The certificate that validator ``name`` shows on a link, believed or not: what is wrong with it alarms.

        The caller compares the key with the one that the chain lists, and looks for the role. Raises
        CertificateRefused only for a leaf that is no certificate of the profile.
        """
        found = self._judged(name, certificates)
        self._peers[name] = tuple(certificates)
        return found

    def keep_peers(self, names: Iterable[str]) -> None:
        """Forget those who are linked no more."""
        kept = set(names)
        for name in [one for one in self._peers if one not in kept]:
            del self._peers[name], self._watched[name]

    def _judged(self, name: str, certificates: Sequence[bytes]) -> PeerCertificate:
        found, refusal = examine_peer(certificates, self.anchors, self._now_ms(), crls=self._lists.current)
        reason, detail = (None, "") if refusal is None else (refusal.reason, refusal.what)
        self._watched[name] = Watched(name, False, found.serial, found.not_after_ms, reason, detail)
        return found

    # ---- what is wrong

    def alarms(self) -> tuple[Alarm, ...]:
        """Everything that is wrong now."""
        section = self._section
        newest = {one.issuer.rfc4514_string(): one.next_update_ms for one in sorted(self._lists.held, key=age)}
        lists = ListState(
            bool(section.crl), self._lists.missing, tuple(newest.items()), section.crl_grace_hours * HOUR_MS
        )
        watched = [*self._own_facts, *self._watched.values()]
        return alarms(watched, lists, self._now_ms(), warn_ms=section.warn_days * _DAY_MS, chain_kind=self._kind)

    def revocation(self) -> str:
        """How clients are checked, in words."""
        if not self._section.crl:
            return "not checked: security.crl is not set"
        count = len(self._lists.held)
        return f"{count} lists" + (f"; {self._lists.missing}" if self._lists.missing else "")

    def ends(self) -> list[tuple[str, int]]:
        """(holder, end in ms) of every certificate in use, the authorities above this node's own included."""
        return [(one.of, one.not_after_ms) for one in (*self._own_facts, *self._watched.values())]

    def tick(self, tell: Tell) -> None:
        """Judge anew when there are other lists, and each hour; tell what is new or has lasted another hour."""
        if self._judged_by is not self._lists.current or self._now_ms() - self._judged_ms >= REPEAT_MS:
            self._judge_own()
            for name, certificates in self._peers.items():
                self._judged(name, certificates)
        now, present = self._now_ms(), self.alarms()
        keys = {(str(alarm.code), alarm.of) for alarm in present}
        self._told = {key: at for key, at in self._told.items() if key in keys}
        for alarm in present:
            key = (str(alarm.code), alarm.of)
            if now - self._told.get(key, -REPEAT_MS) >= REPEAT_MS:
                self._told[key] = now
                tell(alarm.code, {"of": alarm.of, "what": alarm.what, "next": alarm.next_step})

    def _judge_own(self) -> None:
        self._judged_by, self._judged_ms = self._lists.current, self._now_ms()
        if not self._own:
            return
        _, refusal = examine_peer(
            [one.der for one in self._own], self.anchors, self._now_ms(), crls=self._lists.current
        )
        reason, detail = (None, "") if refusal is None else (refusal.reason, refusal.what)
        leaf, *above = self._own
        trusted = (*self.anchors.own, *self.anchors.foreign)
        self._own_facts = [
            Watched(self._name, True, leaf.serial, leaf.not_after_ms, reason, detail),
            *(Watched(_label(one), True, one.serial, one.not_after_ms) for one in (*above, *trusted)),
        ]

    # ---- the files

    def read_lists(self) -> None:
        """Read the lists again when the file changed. May take long: in a thread of its own it disturbs nobody."""
        self._lists.read()

    def _bundle(self, key: str) -> list[Certificate]:
        name = getattr(self._section, key)
        if not name:
            return []
        try:
            return load_certificates(self._path(name))
        except CertificateFileRefused as refusal:
            raise ConfigRefused(
                refusal.what, where=f"{self._where}, key {key}: {refusal.where}", next_step=refusal.next_step
            ) from refusal

    def _credentials(self, unlock: Unlock | None) -> Credentials | None:
        if not self._own:
            return None
        if not self._section.transport_key:
            raise ConfigRefused(
                "a certificate without its key", where=self._where, next_step="set security.transport_key"
            )
        key = load_private_key(self._path(self._section.transport_key), unlock)
        if signing_provider().sm2_public_key(key) != self._own[0].public_key:
            raise ConfigRefused(
                "the certificate is not the transport key's",
                where=self._where,
                next_step="put the leaf first, or have this key certified: dualchain ca issue --for node --key ...",
            )
        return Credentials(tuple(one.der for one in self._own), key)


def _label(one: Certificate) -> str:
    return one.name.common_name or one.subject.rfc4514_string()
