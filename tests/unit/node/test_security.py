"""A node's judgement of certificates: clients are bound by them, validators are told of; files come, go and change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chain_core.crypto.keys import load_private_key, write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.authority import Authority, create_intermediate, open_authority
from chain_core.crypto.x509.certificate import parse_certificate
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.issue import Kind, Order, issue
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.roles import role_uri
from chain_core.node.certify import Member, certify_network, node_wish, security_lines
from chain_core.node.config import ConfigRefused, load_config
from chain_core.node.security import REPEAT_MS, Security
from tests.unit.node.test_config import GOOD

DAY_MS = 86_400_000
CHAIN = "rem-beijing"


class Clock:
    """Certificates go by the wall clock: here by one that is set."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self.start_ms = 0

    def __call__(self) -> int:
        return self.start_ms + self.ahead_ms


class World:
    """A network of two nodes and their authority on disk; the security of the first one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        members = []
        for name in ("n0", "n1"):
            (directory / name).mkdir()
            key = generate_private_key()
            write_private_key(directory / name / "transport.key", key)
            members.append(Member(name, f"entity {name}", "127.0.0.1", signing_provider().sm2_public_key(key)))
        certify_network(directory, CHAIN, members, {"bank": ("Bank", ("depository_bank",))})
        self.folder = directory / "n0"
        self.clock = Clock()
        own = load_certificates(self.folder / "transport.pem")[0]
        self.clock.start_ms = own.not_before_ms + 600_000
        self.end_ms = own.not_after_ms
        self.member = members[0]
        self.told: list[tuple[str, str]] = []

    def security(self, *more: str) -> Security:
        file = self.folder / "node.toml"
        file.write_text(GOOD + "\n".join([*security_lines(self.folder), *more]) + "\n", "utf-8")
        return Security(load_config(file), CHAIN, "local", self.clock)

    def authority(self, name: str) -> Authority:
        return open_authority(self.directory / "authority" / name)

    def chain(self, holder: str) -> list[bytes]:
        name = "transport.pem" if holder.startswith("n") else "client.pem"
        folder = self.directory / holder if holder.startswith("n") else self.directory / "clients" / holder
        return [one.der for one in load_certificates(folder / name)]

    def publish(self, days: float = 30) -> None:
        """New lists of both authorities reach the node."""
        texts = [self.authority(name).write_crl(days, self.clock()).read_text() for name in ("root", "issuing")]
        self.put("".join(texts))

    def put(self, text: str) -> None:
        path = self.folder / "crl.pem"
        stamp = path.stat().st_mtime_ns if path.exists() else 0
        path.write_text(text)
        os.utime(path, ns=(stamp + 1, stamp + 1))  # another version, however coarse the file system's clock is

    def revoke(self, der: bytes) -> None:
        self.authority("issuing").revoke(parse_certificate(der).serial, "key-compromise", self.clock())

    def tick(self, security: Security) -> list[tuple[str, str]]:
        self.told = []
        security.read_lists()
        security.tick(lambda code, facts: self.told.append((code, str(facts["of"]))))
        return self.told


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def codes(security: Security) -> list[tuple[str, str]]:
    return [(str(alarm.code), alarm.of) for alarm in security.alarms()]


def refused(security: Security, chain: list[bytes]) -> Reason:
    with pytest.raises(CertificateRefused) as found:
        security.verify_client(chain)
    return found.value.reason


def test_a_new_network_is_at_peace(world: World) -> None:
    security = world.security()
    assert codes(security) == [] and world.tick(security) == []
    found = security.verify_client(world.chain("bank"))
    assert (found.subject, found.roles) == ("bank", ("client", "depository_bank"))
    assert security.verify_server(world.chain("n1")).subject == "n1"
    assert security.judge_peer("n1", world.chain("n1")).roles == ("peer",)
    assert codes(security) == [] and security.revocation() == "2 lists"
    assert security.credentials is not None
    assert security.credentials.transport_key == load_private_key(world.folder / "transport.key")
    assert list(security.credentials.certificates) == world.chain("n0")
    assert {name for name, _ in security.ends()} == {"n0", "n1", f"{CHAIN} issuing", f"{CHAIN} root"}


def test_without_a_section_nothing_is_known_and_nothing_alarms(world: World) -> None:
    (world.folder / "node.toml").write_text(GOOD)
    security = Security(load_config(world.folder / "node.toml"), CHAIN, "local", world.clock)
    assert codes(security) == [] and security.credentials is None
    assert security.revocation().startswith("not checked")
    assert refused(security, world.chain("bank")) is Reason.UNTRUSTED


def test_a_revoked_client_is_refused_as_soon_as_the_list_is_there(world: World) -> None:
    security = world.security()
    client = world.chain("bank")
    world.revoke(client[0])
    assert security.verify_client(client).subject == "bank"
    world.publish()
    world.tick(security)
    assert refused(security, client) is Reason.REVOKED
    assert security.verify_client(world.chain("cli")).subject == "cli"


def test_a_revoked_or_expired_validator_alarms_and_is_judged_all_the_same(world: World) -> None:
    security = world.security()
    peer = world.chain("n1")
    before = security.judge_peer("n1", peer)
    world.revoke(peer[0])
    world.publish()
    assert world.tick(security) == [("CERTIFICATE_REVOKED", "n1")]
    assert security.judge_peer("n1", peer) == before
    world.clock.ahead_ms = world.end_ms - world.clock.start_ms + 5_000
    assert security.judge_peer("n1", peer) == before
    assert ("CERTIFICATE_EXPIRED", "n0") in codes(security)
    security.keep_peers(["n0"])
    assert not any(of == "n1" for _, of in codes(security))


def test_a_peers_certificate_of_an_unknown_authority_alarms(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stranger = World(tmp_path / "elsewhere")
    security = world.security()
    assert security.judge_peer("n1", stranger.chain("n1")).subject == "n1"
    assert codes(security) == [("CERTIFICATE_REFUSED", "n1")]
    with pytest.raises(CertificateRefused):
        security.judge_peer("n1", [b"no certificate"])


def test_its_own_end_comes_near_and_passes(world: World) -> None:
    security = world.security()
    world.publish(days=4_000)
    for ahead, expected in ((31, []), (29, ["CERTIFICATE_EXPIRES_SOON"]), (-1, ["CERTIFICATE_EXPIRED"])):
        world.clock.ahead_ms = world.end_ms - world.clock.start_ms - ahead * DAY_MS
        assert [code for code, of in world.tick(security) if of == "n0"] == expected


def test_an_alarm_that_lasts_is_told_again_each_hour_and_a_mended_one_is_not(world: World) -> None:
    security = world.security()
    (world.folder / "crl.pem").unlink()
    assert world.tick(security) == [("CRL_MISSING", "security.crl")]
    world.clock.ahead_ms = REPEAT_MS - 1
    assert world.tick(security) == []
    world.clock.ahead_ms = REPEAT_MS
    assert world.tick(security) == [("CRL_MISSING", "security.crl")]
    world.publish()
    assert world.tick(security) == [] and codes(security) == []
    (world.folder / "crl.pem").unlink()
    assert world.tick(security) == [("CRL_MISSING", "security.crl")]


def test_a_peer_under_an_authority_that_ends_alarms_within_the_hour(world: World) -> None:
    """Its own certificate holds on; the authority is not this node's."""
    root, now = world.authority("root"), world.clock()
    brief = create_intermediate(root, world.directory / "brief", Subject("brief"), days=1, now_ms=now)
    key = load_private_key(world.directory / "n1" / "transport.key")
    public = signing_provider().sm2_public_key(key)
    order = Order(
        Kind.SIGNING, Subject("n1"), public, 0x77, now, now + 400 * DAY_MS,
        server=True, uris=(role_uri("peer", CHAIN),),
    )  # fmt: skip
    der = issue(order, brief.certificate, load_private_key(world.directory / "brief" / "authority.key"))
    lists = [one.write_crl(90, now).read_text() for one in (root, brief, world.authority("issuing"))]
    (world.folder / "crl.pem").write_text("".join(lists))
    security = world.security()
    security.judge_peer("n1", [der, brief.certificate.der])
    assert codes(security) == []
    world.clock.ahead_ms = DAY_MS + 1_000
    assert world.tick(security) == [("CERTIFICATE_EXPIRED", "n1")]


# ---- the lists' file


@pytest.mark.parametrize("damage", ["", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "garbage"])
def test_a_damaged_file_leaves_the_lists_in_force(world: World, damage: str) -> None:
    security = world.security()
    world.revoke(world.chain("bank")[0])
    world.publish()
    world.tick(security)
    world.put(damage)
    assert world.tick(security) == [("CRL_MISSING", "security.crl")]
    assert refused(security, world.chain("bank")) is Reason.REVOKED
    assert security.verify_client(world.chain("cli")).subject == "cli"


def test_clients_are_refused_when_the_last_list_is_too_old(world: World) -> None:
    security = world.security("crl_grace_hours = 48")
    world.publish(days=1)
    world.tick(security)
    (world.folder / "crl.pem").unlink()
    world.clock.ahead_ms = DAY_MS
    assert {code for code, _ in world.tick(security)} == {"CRL_MISSING", "CRL_STALE"}
    world.clock.ahead_ms = 3 * DAY_MS - 1
    assert security.verify_client(world.chain("cli")).subject == "cli"
    world.clock.ahead_ms = 3 * DAY_MS
    assert refused(security, world.chain("cli")) is Reason.CRL_STALE


def test_configured_and_never_there_refuses_clients_and_starts_all_the_same(world: World) -> None:
    security = world.security()
    (world.folder / "crl.pem").unlink()
    again = Security(load_config(world.folder / "node.toml"), CHAIN, "local", world.clock)
    assert ("CRL_MISSING", "security.crl") in codes(again)
    assert refused(again, world.chain("cli")) is Reason.CRL_MISSING
    assert again.judge_peer("n1", world.chain("n1")).subject == "n1"
    assert security.verify_client(world.chain("cli")).subject == "cli"


def test_an_older_list_takes_nothing_back(world: World) -> None:
    security = world.security()
    old = (world.folder / "crl.pem").read_text()
    world.revoke(world.chain("bank")[0])
    world.publish()
    world.tick(security)
    world.put(old)
    world.tick(security)
    assert refused(security, world.chain("bank")) is Reason.REVOKED


# ---- what a configuration may not say


def test_grants_give_roles_to_certificates_of_foreign_authorities(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    theirs = other.chain("bank")
    fingerprint = parse_certificate(theirs[0]).fingerprint.hex()
    foreign = f"foreign_anchors = '{other.folder / 'anchors.pem'}'"
    plain = world.security(foreign, "[security.grants]", f'"{fingerprint}" = ["client", "auditor"]')
    assert refused(plain, theirs) is Reason.CRL_MISSING  # their authority's lists are needed, too
    both = (world.folder / "crl.pem").read_text() + (other.folder / "crl.pem").read_text()
    world.put(both)
    world.tick(plain)
    assert plain.verify_client(theirs).roles == ("auditor", "client")
    assert refused(plain, other.chain("cli")) is Reason.WRONG_ROLE


def test_a_certificate_of_another_key_is_refused_at_the_start(world: World) -> None:
    (world.folder / "transport.pem").write_text((world.directory / "n1" / "transport.pem").read_text())
    with pytest.raises(ConfigRefused, match="not the transport key's"):
        world.security()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"transport.pem": "x"}, "key certificate"),
        ({"anchors.pem": None}, "key anchors"),
    ],
)
def test_files_that_cannot_be_read_are_named(world: World, change: dict[str, str | None], match: str) -> None:
    world.security()
    for name, text in change.items():
        (world.folder / name).unlink() if text is None else (world.folder / name).write_text(text)
    with pytest.raises(ConfigRefused, match=match) as found:
        Security(load_config(world.folder / "node.toml"), CHAIN, "local", world.clock)
    assert found.value.next_step


@pytest.mark.parametrize("grants", ['"abc" = ["client"]', f'"{"0" * 64}" = ["A b"]'])
def test_grants_name_fingerprints_and_roles(world: World, grants: str) -> None:
    with pytest.raises(ConfigRefused, match=r"security\.grants"):
        world.security("[security.grants]", grants)


def test_a_newer_certificate_for_the_same_key_is_taken_at_the_next_start(world: World) -> None:
    renewed = world.authority("issuing").issue(node_wish(CHAIN, world.member), world.clock())
    text = world.authority("issuing").chain_pem(renewed)
    (world.folder / "transport.pem").write_text(text)
    assert world.security().credentials is not None
