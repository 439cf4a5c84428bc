"""Certificates, requests and lists as bytes: what is made is read back, everything else is refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from hypothesis import given
from hypothesis import strategies as st

from chain_core.crypto.der import signature_to_der
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509 import oids, pem, structures
from chain_core.crypto.x509.certificate import MAX_CERTIFICATE_BYTES, KeyUsage, parse_certificate
from chain_core.crypto.x509.crl import MAX_CRL_ENTRIES, issue_crl, parse_crl
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.issue import Kind, issue
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.request import make_request, parse_request
from chain_core.crypto.x509.roles import role_uri, roles_of
from tests.unit.crypto.x509.pki import DAY_MS, NOW_MS, Holder, intermediate, leaf, order, private, public, root

ROOT = root()
MIDDLE = intermediate(ROOT)
NODE = leaf(MIDDLE, "peer", server=True, addresses=("127.0.0.1",))


def refused(call: object, *arguments: object) -> Reason:
    assert callable(call)
    with pytest.raises(CertificateRefused) as found:
        call(*arguments)
    return found.value.reason


def test_what_is_made_is_read_back() -> None:
    made = NODE.certificate
    assert (made.name, made.public_key, made.serial) == (Subject("node-1", "示例机构", "CN"), public(3), 1003)
    assert (made.not_before_ms, made.not_after_ms) == (NOW_MS - DAY_MS, NOW_MS + 365 * DAY_MS)
    assert made.extensions.key_usage == {KeyUsage.DIGITAL_SIGNATURE, KeyUsage.NON_REPUDIATION}
    assert made.extensions.extended_usage == {oids.CLIENT_AUTH.dotted_string, oids.SERVER_AUTH.dotted_string}
    assert made.extensions.uris == ("dualchain://rem-beijing/role/peer",)
    assert made.extensions.addresses == ("127.0.0.1",)
    assert not made.extensions.authority
    assert made.extensions.authority_key_id == MIDDLE.certificate.extensions.subject_key_id
    assert made.issuer == MIDDLE.certificate.subject


def test_authorities_and_encryption_certificates_say_what_they_are_for() -> None:
    above = MIDDLE.certificate.extensions
    assert above.authority and above.path_length == 0
    assert above.key_usage == {KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}
    sealed = leaf(MIDDLE, kind=Kind.ENCRYPTION).certificate.extensions
    assert sealed.key_usage == {KeyUsage.KEY_ENCIPHERMENT, KeyUsage.DATA_ENCIPHERMENT, KeyUsage.KEY_AGREEMENT}
    assert sealed.extended_usage is None


def test_a_date_after_2049_is_written_in_full() -> None:
    late = 2_600_000_000_000
    assert root(not_after_ms=late).certificate.not_after_ms == late


@pytest.mark.filterwarnings("ignore:Attribute.s length must be")
def test_legal_names_count_characters_not_bytes() -> None:
    name = "中" * 64
    assert root(name=name).certificate.name.common_name == name
    for text in ("", "中" * 65, "a\nb", "a\x00"):
        assert refused(root, 1, text) is Reason.MALFORMED


# ---- certificates that others might write


def bent(**changes: object) -> bytes:
    """The node's certificate with fields of its signed part replaced, signed again."""
    inner = structures.decoded(structures.TbsCertificate, NODE.certificate.body, "")
    for name, value in changes.items():
        setattr(inner, name, value)
    return structures.signed_der(asn1.encode_der(inner), MIDDLE.key)


def extension(oid: x509.ObjectIdentifier, value: bytes, *, critical: bool = False) -> structures.Extension:
    return structures.Extension(identifier=oid, critical=critical, value=value)


RSA_KEY = structures.SubjectPublicKeyInfo(
    algorithm=structures.AlgorithmIdentifier(
        algorithm=x509.ObjectIdentifier("1.2.840.113549.1.1.1"), parameters=asn1.Null()
    ),
    key=asn1.BitString(bytes(65), 0),
)
P256_KEY = structures.SubjectPublicKeyInfo(
    algorithm=structures.AlgorithmIdentifier(
        algorithm=oids.EC_PUBLIC_KEY, parameters=x509.ObjectIdentifier("1.2.840.10045.3.1.7")
    ),
    key=asn1.BitString(b"\x04" + bytes(64), 0),
)


def sm2_key(point: bytes) -> structures.SubjectPublicKeyInfo:
    info = structures.key_info(bytes(64))
    info.key = asn1.BitString(point, 0)
    return info


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"serial": 0}, Reason.MALFORMED),
        ({"serial": -5}, Reason.MALFORMED),
        ({"serial": 1 << 160}, Reason.MALFORMED),
        ({"version": 0}, Reason.MALFORMED),
        ({"version": 1}, Reason.MALFORMED),
        ({"public_key": RSA_KEY}, Reason.UNSUPPORTED),
        ({"public_key": P256_KEY}, Reason.UNSUPPORTED),
        ({"public_key": sm2_key(b"\x04" + bytes(64))}, Reason.MALFORMED),
        ({"public_key": sm2_key(b"\x02" + public(3)[:32])}, Reason.MALFORMED),
        ({"public_key": sm2_key(b"\x04" + public(3) + b"\x00")}, Reason.MALFORMED),
        ({"extensions": [extension(oids.KEY_USAGE, b"\x03\x02\x07\x80")] * 2}, Reason.MALFORMED),
        ({"extensions": [extension(oids.KEY_USAGE, b"\x30\x00")]}, Reason.MALFORMED),
        ({"extensions": [extension(oids.BASIC_CONSTRAINTS, b"\x30\x03\x01\x01\x01")]}, Reason.MALFORMED),
        ({"extensions": [extension(x509.ObjectIdentifier(f"1.2.3.{i}"), b"") for i in range(33)]}, Reason.TOO_LARGE),
        (
            {"signature": structures.AlgorithmIdentifier(algorithm=oids.SM2_WITH_SM3, parameters=asn1.Null())},
            Reason.MALFORMED,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, Reason) else next(iter(value)),
)
def test_a_certificate_out_of_the_profile(changes: dict[str, object], reason: Reason) -> None:
    assert refused(parse_certificate, bent(**changes)) is reason


def test_a_doubled_common_name_names_nobody() -> None:
    name = x509.Name([x509.NameAttribute(oids.COMMON_NAME, one) for one in ("a", "b")]).public_bytes()
    assert refused(parse_certificate, bent(subject=structures.tlv(name))) is Reason.MALFORMED


def test_other_string_types_are_read_and_null_parameters_taken() -> None:
    """Some authorities write BMPString names and NULL behind the algorithm."""
    null = structures.AlgorithmIdentifier(algorithm=oids.SM2_WITH_SM3, parameters=asn1.Null())
    bmp = x509.Name([x509.NameAttribute(oids.COMMON_NAME, "节点", x509.name._ASN1Type.BMPString)]).public_bytes()
    inner = structures.decoded(structures.TbsCertificate, NODE.certificate.body, "")
    inner.signature, inner.subject = null, structures.tlv(bmp)
    body = asn1.encode_der(inner)
    signature = signature_to_der(signing_provider().sm2_sign(MIDDLE.key, body))
    der = asn1.encode_der(
        structures.Signed(body=structures.tlv(body), algorithm=null, signature=asn1.BitString(signature, 0))
    )
    assert parse_certificate(der).name.common_name == "节点"
    assert parse_certificate(der).subject_der == bmp


def test_a_signature_is_strict_der_of_a_possible_one() -> None:
    signed = structures.decoded(structures.Signed, NODE.certificate.der, "")
    for value, padding in ((b"\x30\x06\x02\x01\x00\x02\x01\x01", 0), (b"", 0), (b"\x30\x80", 7)):
        signed.signature = asn1.BitString(value, padding)
        assert refused(parse_certificate, asn1.encode_der(signed)) is Reason.MALFORMED
    assert refused(parse_certificate, NODE.certificate.der + b"\0") is Reason.MALFORMED
    assert refused(parse_certificate, bytes(MAX_CERTIFICATE_BYTES + 1)) is Reason.TOO_LARGE


def test_bits_that_do_not_fill_a_byte() -> None:
    even = next(seed for seed in range(3, 99) if not public(seed)[-1] & 1)
    info = structures.key_info(bytes(64))
    info.key = asn1.BitString(b"\x04" + public(even), 1)
    assert refused(parse_certificate, bent(public_key=info)) is Reason.MALFORMED
    while True:
        signed = structures.decoded(structures.Signed, bent(), "")
        value = signed.signature.as_bytes()
        if not value[-1] & 1:
            break
    signed.signature = asn1.BitString(value, 1)
    assert refused(parse_certificate, asn1.encode_der(signed)) is Reason.MALFORMED


def test_a_signature_of_another_algorithm_is_not_taken() -> None:
    ecdsa = structures.AlgorithmIdentifier(algorithm=x509.ObjectIdentifier("1.2.840.10045.4.3.2"), parameters=None)
    signed = structures.decoded(structures.Signed, bent(signature=ecdsa), "")
    signed.algorithm = ecdsa
    assert refused(parse_certificate, asn1.encode_der(signed)) is Reason.UNSUPPORTED


def test_names_and_alternative_names_are_bounded() -> None:
    kinds = [x509.ObjectIdentifier(f"2.5.4.{number}") for number in range(41, 58)]
    name = x509.Name([x509.NameAttribute(kind, "x") for kind in kinds]).public_bytes()
    assert refused(parse_certificate, bent(subject=structures.tlv(name))) is Reason.TOO_LARGE
    uris = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"x:{number}") for number in range(33)])
    many = [extension(oids.SUBJECT_ALTERNATIVE_NAME, uris.public_bytes())]
    assert refused(parse_certificate, bent(extensions=many)) is Reason.TOO_LARGE


def test_an_order_that_makes_no_sense() -> None:
    backwards = order(Kind.SIGNING, 3, "node", not_after_ms=NOW_MS - 2 * DAY_MS)
    assert refused(issue, backwards, MIDDLE.certificate, MIDDLE.key) is Reason.MALFORMED
    nowhere = order(Kind.SIGNING, 3, "node", addresses=("localhost",))
    assert refused(issue, nowhere, MIDDLE.certificate, MIDDLE.key) is Reason.MALFORMED
    for serial in (0, -1, 1 << 159):
        assert refused(issue, order(Kind.SIGNING, 3, "n", serial=serial), MIDDLE.certificate, MIDDLE.key) is (
            Reason.MALFORMED
        )


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_a_typed_refusal(data: bytes) -> None:
    for parse in (parse_certificate, parse_crl, parse_request):
        with pytest.raises(CertificateRefused):
            parse(data)


@given(st.data())
def test_bytes_that_nearly_are_one_are_a_value_or_a_typed_refusal(data: st.DataObject) -> None:
    parse, whole = data.draw(st.sampled_from(NEARLY))
    bent = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(bent) - 1))
        bent[position] = data.draw(st.integers(0, 255) | st.sampled_from(TAGS))
    with contextlib.suppress(CertificateRefused):
        parse(bytes(bent))


def test_a_name_of_broken_bits_is_malformed() -> None:
    name = b"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x0a\x03\x02\x00\x41"
    assert refused(parse_certificate, bent(subject=structures.tlv(name))) is Reason.MALFORMED


# ---- roles


@pytest.mark.parametrize(
    ("uris", "roles"),
    [
        ((), ()),
        (("https://example.org",), ()),
        (("dualchain://rem-beijing/role/peer", "dualchain://*/role/peer"), ("peer",)),
        (("dualchain://rem-jiangsu/role/peer", "dualchain://rem-beijing/role/a.b_c-1"), ("a.b_c-1",)),
    ],
)
def test_roles(uris: tuple[str, ...], roles: tuple[str, ...]) -> None:
    assert roles_of(uris, "rem-beijing") == roles


@pytest.mark.parametrize(
    "rest", ["", "rem-beijing", "/role/peer", "x/role/", "x/role/Peer", "x/role/a/role/b", "x/roles/a"]
)
def test_a_role_half_written_is_refused(rest: str) -> None:
    assert refused(roles_of, (f"dualchain://{rest}",), "rem-beijing") is Reason.MALFORMED


def test_only_roles_are_written() -> None:
    assert refused(role_uri, "Peer") is Reason.MALFORMED
    assert refused(role_uri, "peer", "a/b") is Reason.MALFORMED
    assert refused(roles_of, [role_uri(f"r{i}") for i in range(17)], "x") is Reason.TOO_LARGE


# ---- requests


def test_a_request_is_read_back_and_signed_by_its_key() -> None:
    der = make_request(Subject("node-2", "机构"), private(7), (role_uri("peer"),))
    found = parse_request(der)
    assert (found.subject, found.public_key) == (Subject("node-2", "机构"), public(7))
    assert found.extensions.uris == ("dualchain://*/role/peer",)
    assert parse_request(make_request(Subject("n"), private(7))).extensions.uris == ()


def test_nobody_asks_for_anothers_key() -> None:
    signed = structures.decoded(structures.Signed, make_request(Subject("n"), private(7)), "")
    inner = structures.decoded(structures.RequestInfo, asn1.encode_der(signed.body), "")
    inner.public_key = structures.key_info(public(3))
    assert refused(parse_request, structures.signed_der(asn1.encode_der(inner), private(7))) is Reason.BAD_SIGNATURE


# ---- revocation lists


def made_list(holder: Holder = MIDDLE) -> bytes:
    return issue_crl(
        holder.certificate,
        holder.key,
        {1003: (NOW_MS, "superseded"), 7: (NOW_MS - DAY_MS, "unspecified")},
        number=5,
        this_update_ms=NOW_MS,
        next_update_ms=NOW_MS + DAY_MS,
    )


def bent_list(**changes: object) -> bytes:
    inner = structures.decoded(structures.TbsCertList, parse_crl(made_list()).body, "")
    for name, value in changes.items():
        setattr(inner, name, value)
    return structures.signed_der(asn1.encode_der(inner), MIDDLE.key)


def test_a_list_is_read_back() -> None:
    found = parse_crl(made_list())
    assert found.revoked == {1003: NOW_MS, 7: NOW_MS - DAY_MS}
    assert (found.number, found.this_update_ms, found.next_update_ms) == (5, NOW_MS, NOW_MS + DAY_MS)
    assert found.issuer == MIDDLE.certificate.subject


@pytest.mark.parametrize("oid", ["2.5.29.27", "2.5.29.28"], ids=["delta", "partitioned"])
def test_only_full_lists_are_taken(oid: str) -> None:
    value = b"\x02\x01\x01" if oid.endswith("27") else b"\x30\x03\x81\x01\xff"
    critical = [extension(x509.ObjectIdentifier(oid), value, critical=True)]
    assert refused(parse_crl, bent_list(extensions=critical)) is Reason.UNSUPPORTED


def test_a_list_of_version_1_is_refused() -> None:
    assert refused(parse_crl, bent_list(version=0)) is Reason.MALFORMED


def test_indirect_entries_are_refused() -> None:
    issuer = extension(x509.ObjectIdentifier("2.5.29.29"), b"\x30\x00", critical=True)
    entry = structures.decoded(structures.TbsCertList, parse_crl(made_list()).body, "").revoked
    assert entry is not None
    entry[0].extensions = [issuer]
    assert refused(parse_crl, bent_list(revoked=entry)) is Reason.UNSUPPORTED


def test_a_list_without_a_next_update_is_refused() -> None:
    whole = parse_crl(made_list()).body
    inner = structures.decoded(structures.TbsCertList, whole, "")
    following = asn1.encode_der(inner.next_update)
    body = whole.replace(following, b"", 1)
    body = body[:1] + bytes([body[1] - len(following)]) + body[2:] if body[1] < 0x80 else body
    body = b"\x30\x81" + bytes([len(body) - 3]) + body[3:] if body[1] == 0x81 else body
    assert refused(parse_crl, structures.signed_der(body, MIDDLE.key)) is Reason.MALFORMED


def test_a_long_list_is_refused() -> None:
    entry = structures.RevokedEntry(
        serial=1, revoked=asn1.UTCTime(x509.load_der_x509_crl(made_list()).last_update_utc), extensions=None
    )
    assert refused(parse_crl, bent_list(revoked=[entry] * (MAX_CRL_ENTRIES + 1))) is Reason.TOO_LARGE


TAGS = [0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1E, 0x30, 0x31, 0x80, 0xA0, 0xA3]
NEARLY: list[tuple[Callable[[bytes], object], bytes]] = [
    (parse_certificate, NODE.certificate.der),
    (parse_crl, made_list()),
    (parse_request, make_request(Subject("n", "e"), private(7), (role_uri("peer"),))),
]


# ---- PEM


def test_pem_of_several_blocks() -> None:
    one, two = NODE.certificate.der, MIDDLE.certificate.der
    text = pem.to_pem(pem.CERTIFICATE, one) + "a remark\n" + pem.to_pem(pem.REVOCATION_LIST, made_list())
    text += pem.to_pem(pem.CERTIFICATE, two).replace("\n", "\r\n")
    assert pem.from_pem(text, pem.CERTIFICATE) == [one, two]
    assert refused(pem.from_pem, text, pem.REQUEST) is Reason.MALFORMED
    assert refused(pem.from_pem, text * 40, pem.CERTIFICATE) is Reason.TOO_LARGE
    damaged = pem.to_pem(pem.CERTIFICATE, one).replace("=", "", 1).replace("MII", "MI", 1)
    assert refused(pem.from_pem, damaged, pem.CERTIFICATE) is Reason.MALFORMED
