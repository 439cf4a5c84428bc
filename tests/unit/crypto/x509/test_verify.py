"""Path validation: what a good chain gives, and each way to miss one rule (docs/spec/certificates.md §4 to §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography import x509

from chain_core.crypto.providers import provider
from chain_core.crypto.x509 import oids, structures
from chain_core.crypto.x509.crl import Crls
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.verify import Anchors, PeerCertificate, Usage, verify_chain
from tests.unit.crypto.x509 import pki
from tests.unit.crypto.x509.pki import CHAIN, DAY_MS, NOW_MS, anchors, chain, crl, intermediate, leaf, root

ROOT = root()
MIDDLE = intermediate(ROOT)
NODE = leaf(MIDDLE, "peer", server=True)
CLIENT = leaf(MIDDLE, "client", "auditor", name="gateway")
ANCHORS = anchors(ROOT)
BOTH_LISTS = Crls([crl(ROOT), crl(MIDDLE)])


def verify(
    certificates: list[bytes],
    trusted: Anchors = ANCHORS,
    usage: Usage = Usage.CLIENT,
    crls: Crls | None = None,
    now_ms: int = NOW_MS,
) -> PeerCertificate:
    return verify_chain(certificates, trusted, now_ms, usage=usage, crls=crls)


def reason(call: Callable[[], object]) -> Reason:
    with pytest.raises(CertificateRefused) as refused:
        call()
    assert refused.value.next_step
    return refused.value.reason


def test_a_client_is_known_by_its_certificate() -> None:
    found = verify(chain(CLIENT, MIDDLE), crls=BOTH_LISTS)
    made = CLIENT.certificate
    assert found == PeerCertificate(
        pki.public(3),
        "gateway",
        "示例机构",
        ("auditor", "client"),
        1003,
        made.fingerprint,
        made.not_before_ms,
        made.not_after_ms,
    )


def test_a_node_stands_at_both_ends() -> None:
    for usage in (Usage.PEER, Usage.SERVER, Usage.SIGNATURE):
        assert verify(chain(NODE, MIDDLE), usage=usage).subject == "node-1"


def test_the_root_may_be_sent_along_and_an_anchor_may_be_an_intermediate() -> None:
    assert verify(chain(CLIENT, MIDDLE, ROOT)).subject == "gateway"
    assert verify(chain(CLIENT), anchors(MIDDLE)).subject == "gateway"
    assert verify(chain(CLIENT, MIDDLE, ROOT), anchors(MIDDLE)).subject == "gateway"


def test_roles_count_on_their_chain_alone() -> None:
    elsewhere = Anchors((ROOT.certificate,), "rem-jiangsu")
    assert reason(lambda: verify(chain(CLIENT, MIDDLE), elsewhere)) is Reason.WRONG_ROLE
    everywhere = leaf(MIDDLE, uris=("dualchain://*/role/client", "https://example.org/x"))
    assert verify(chain(everywhere, MIDDLE), elsewhere).roles == ("client",)


def test_under_a_foreign_anchor_only_this_nodes_own_grants_give_roles() -> None:
    foreign = Anchors((), CHAIN, foreign=(ROOT.certificate,))
    assert reason(lambda: verify(chain(CLIENT, MIDDLE), foreign)) is Reason.WRONG_ROLE
    granted = Anchors(
        (), CHAIN, foreign=(ROOT.certificate,), grants={CLIENT.certificate.fingerprint: ("client", "reader")}
    )
    assert verify(chain(CLIENT, MIDDLE), granted).roles == ("client", "reader")


@dataclass(frozen=True)
class Case:
    name: str
    certificates: list[bytes]
    reason: Reason
    usage: Usage = Usage.CLIENT
    anchors: Anchors = ANCHORS
    now_ms: int = NOW_MS


OTHER_ROOT = root(9)  # of the same name, under another key
STRANGER = root(8, "stranger")
NOT_CA = leaf(ROOT, "client", seed=7, name="no authority")
DEEP = intermediate(MIDDLE, 6, "too deep")
LONG = intermediate(DEEP, 5, "deeper")
FORGED = pki.make(MIDDLE, 3, pki.order(Kind.SIGNING, 3, "forged"), signer=pki.private(9))
ENCRYPTION = leaf(MIDDLE, "client", kind=Kind.ENCRYPTION)
END = NODE.certificate.not_after_ms

CASES = [
    Case("nothing", [], Reason.TOO_LARGE),
    Case("five", chain(CLIENT, MIDDLE, MIDDLE, MIDDLE, ROOT), Reason.TOO_LARGE),
    Case("no certificate", [b"\x30\x00"], Reason.MALFORMED),
    Case("an unknown authority", chain(leaf(STRANGER, "client")), Reason.UNTRUSTED),
    Case("a self-signed one", chain(STRANGER), Reason.UNTRUSTED),
    Case("the intermediate left out", chain(CLIENT), Reason.UNTRUSTED),
    Case("a chain out of order", chain(CLIENT, ROOT, MIDDLE), Reason.UNTRUSTED),
    Case("an authority of the same name", chain(CLIENT, MIDDLE), Reason.UNTRUSTED, anchors=anchors(OTHER_ROOT)),
    Case("a signature by another key", chain(FORGED, MIDDLE), Reason.BAD_SIGNATURE),
    Case("issued by a leaf", chain(leaf(NOT_CA, "client"), NOT_CA), Reason.NOT_AN_AUTHORITY),
    Case("one authority too many", chain(leaf(DEEP, "client"), DEEP, MIDDLE), Reason.PATH_TOO_LONG),
    Case("an authority as a client", chain(MIDDLE), Reason.WRONG_USAGE),
    Case("an encryption certificate as a client", chain(ENCRYPTION, MIDDLE), Reason.WRONG_USAGE),
    Case("a signing certificate to encrypt to", chain(CLIENT, MIDDLE), Reason.WRONG_USAGE, Usage.ENCRYPTION),
    Case("a client as a server", chain(CLIENT, MIDDLE), Reason.WRONG_USAGE, Usage.SERVER),
    Case("a client as a peer", chain(CLIENT, MIDDLE), Reason.WRONG_USAGE, Usage.PEER),
    Case("a server as a peer", chain(leaf(MIDDLE, "client", server=True), MIDDLE), Reason.WRONG_ROLE, Usage.PEER),
    Case("a peer as a client", chain(NODE, MIDDLE), Reason.WRONG_ROLE),
    Case("before its time", chain(CLIENT, MIDDLE), Reason.NOT_YET_VALID, now_ms=NOW_MS - DAY_MS - 1),
    Case("after its time", chain(CLIENT, MIDDLE), Reason.EXPIRED, now_ms=END + 1000),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    found = reason(lambda: verify(case.certificates, case.anchors, case.usage, now_ms=case.now_ms))
    assert found is case.reason


def test_of_two_anchors_of_one_name_the_one_that_signed_counts() -> None:
    other = root(9)
    object.__setattr__(other.certificate.extensions, "subject_key_id", None)
    assert verify(chain(CLIENT, MIDDLE), anchors(other, ROOT)).serial == 1003


def test_a_key_under_another_name_issues_nothing_for_this_one() -> None:
    renamed = intermediate(ROOT, 2, "the same key, another name")
    assert reason(lambda: verify(chain(leaf(renamed, "client"), MIDDLE))) is Reason.UNTRUSTED


def test_an_anchors_path_length_counts() -> None:
    short = root(path_length=0)
    assert verify(chain(leaf(short, "client")), anchors(short)).serial == 1003
    below = intermediate(short)
    assert reason(lambda: verify(chain(leaf(below, "client"), below), anchors(short))) is Reason.PATH_TOO_LONG


def test_a_self_issued_authority_does_not_count() -> None:
    """A root that changed its key certifies the new one under its own name."""
    short = root(path_length=0)
    renewed = intermediate(short, 6, "root")
    assert verify(chain(leaf(renewed, "client"), renewed), anchors(short)).serial == 1003


def test_an_authority_is_no_client_even_if_its_key_may_sign() -> None:
    both = pki.with_extension(MIDDLE, ROOT.key, pki.key_usage("digital_signature", "key_cert_sign"))
    assert reason(lambda: verify(chain(both))) is Reason.WRONG_USAGE


def test_an_authority_for_servers_alone_makes_no_clients() -> None:
    servers = pki.with_extension(MIDDLE, ROOT.key, x509.ExtendedKeyUsage([oids.SERVER_AUTH]))
    assert reason(lambda: verify(chain(leaf(servers, "client"), servers))) is Reason.WRONG_USAGE
    every = pki.with_extension(MIDDLE, ROOT.key, x509.ExtendedKeyUsage([oids.ANY_EXTENDED_USAGE]))
    assert verify(chain(leaf(every, "client"), every)).serial == 1003


def test_whoever_has_no_common_name_is_nobody() -> None:
    name = x509.Name([x509.NameAttribute(oids.ORGANISATION, "e")]).public_bytes()
    nameless = pki.rewritten(CLIENT, MIDDLE.key, subject=structures.tlv(name))
    assert reason(lambda: verify(chain(nameless, MIDDLE))) is Reason.MALFORMED


@pytest.mark.parametrize("place", ["leaf", "intermediate", "anchor"])
def test_a_critical_extension_that_nobody_understands(place: str) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for critical, expected in ((True, Reason.UNSUPPORTED), (False, None)):
        holders = {"leaf": CLIENT, "intermediate": MIDDLE, "anchor": ROOT}
        signer = MIDDLE.key if place == "leaf" else ROOT.key
        holders[place] = pki.with_extension(holders[place], signer, unknown, critical=critical)

        def judged(holders: dict[str, pki.Holder] = holders) -> PeerCertificate:
            return verify(chain(holders["leaf"], holders["intermediate"]), anchors(holders["anchor"]))

        if expected is None:
            assert judged().serial == 1003
        else:
            assert reason(judged) is expected


def test_an_authority_of_the_same_name_and_no_key_identifier_is_found_out_by_its_signature() -> None:
    bare = pki.anchors(OTHER_ROOT)
    object.__setattr__(bare.own[0].extensions, "subject_key_id", None)
    assert reason(lambda: verify(chain(CLIENT, MIDDLE), bare)) is Reason.BAD_SIGNATURE


def test_the_last_second_belongs_to_the_validity() -> None:
    assert verify(chain(CLIENT, MIDDLE), now_ms=END + 999).serial == 1003


def test_an_expired_authority_ends_what_it_issued() -> None:
    short = intermediate(ROOT, not_after_ms=NOW_MS - 1000)
    assert reason(lambda: verify(chain(leaf(short, "client"), short))) is Reason.EXPIRED
    old = root(not_after_ms=NOW_MS - 1000)
    assert reason(lambda: verify(chain(leaf(old, "client")), anchors(old))) is Reason.EXPIRED


def test_every_byte_of_the_chain_is_signed() -> None:
    """One flipped bit anywhere in leaf or intermediate never passes."""
    whole = chain(CLIENT, MIDDLE)
    step = 41 if provider().name == "gmssl" else 1  # that one verifies some seventy signatures a second
    for index, der in enumerate(whole):
        for position in range(0, len(der), step):
            bent = bytearray(der)
            bent[position] ^= 1
            sent = [*whole[:index], bytes(bent), *whole[index + 1 :]]
            with pytest.raises(CertificateRefused):
                verify(sent)


def test_anchors_are_authorities() -> None:
    assert reason(lambda: anchors(CLIENT)) is Reason.NOT_AN_AUTHORITY


# ---- revocation


def test_a_revoked_client_and_a_revoked_authority_are_refused() -> None:
    revoked = Crls([crl(ROOT), crl(MIDDLE, 1003)])
    assert reason(lambda: verify(chain(CLIENT, MIDDLE), crls=revoked)) is Reason.REVOKED
    above = Crls([crl(ROOT, 1002), crl(MIDDLE)])
    assert reason(lambda: verify(chain(CLIENT, MIDDLE), crls=above)) is Reason.REVOKED


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([], Reason.CRL_MISSING),
        ([crl(ROOT)], Reason.CRL_MISSING),
        ([crl(ROOT), crl(OTHER_ROOT)], Reason.CRL_MISSING),
        ([crl(ROOT), crl(MIDDLE, days=(1, 2))], Reason.CRL_MISSING),
        ([crl(ROOT), crl(pki.Holder(MIDDLE.certificate, ROOT.key))], Reason.CRL_MISSING),
        ([crl(ROOT), crl(intermediate(ROOT, 2, "another name"))], Reason.CRL_MISSING),
        ([crl(ROOT), crl(MIDDLE, days=(-9, 0))], Reason.CRL_STALE),
        ([crl(ROOT), crl(MIDDLE, 1003, days=(-9, 0))], Reason.REVOKED),
        ([crl(ROOT), crl(MIDDLE, 1003, number=2), crl(MIDDLE, number=1)], Reason.REVOKED),
    ],
    ids=[
        "none",
        "the root's alone",
        "another's",
        "of the future",
        "forged",
        "of the key's other name",
        "stale",
        "stale, yet on it",
        "newest wins",
    ],
)
def test_who_cannot_show_to_be_unrevoked(lists: list[pki.Crl], expected: Reason) -> None:
    assert reason(lambda: verify(chain(CLIENT, MIDDLE), crls=Crls(lists))) is expected


def test_an_authority_that_may_not_sign_lists_has_none() -> None:
    bare = pki.with_extension(MIDDLE, ROOT.key, pki.key_usage("key_cert_sign"))
    lists = Crls([crl(ROOT), crl(bare)])
    assert reason(lambda: verify(chain(leaf(bare, "client"), bare), crls=lists)) is Reason.CRL_MISSING


def test_a_stale_list_counts_during_the_grace() -> None:
    lists = [crl(ROOT), crl(MIDDLE, days=(-9, 0))]
    assert verify(chain(CLIENT, MIDDLE), crls=Crls(lists, grace_ms=1)).serial == 1003
    assert reason(lambda: verify(chain(CLIENT, MIDDLE), crls=Crls(lists, grace_ms=1), now_ms=NOW_MS + 1)) is (
        Reason.CRL_STALE
    )


def test_what_time_or_revocation_refuses_is_known_to_be_genuine() -> None:
    """Links between validators go on with such a certificate, and alarm with its name."""
    with pytest.raises(CertificateRefused) as expired:
        verify(chain(NODE, MIDDLE), usage=Usage.PEER, now_ms=END + 5000)
    assert expired.value.certificate is not None and expired.value.certificate.subject == "node-1"
    with pytest.raises(CertificateRefused) as forged:
        verify(chain(FORGED, MIDDLE), now_ms=END + 5000)
    assert forged.value.certificate is None
