"""Envelopes: the published shape is read and kept, ours is strict, sealed, and the same bytes on every machine."""

from __future__ import annotations

import copy
import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from chain_core.crypto.der import signature_to_der
from chain_core.crypto.pkcs8 import public_key_pem
from chain_core.crypto.providers import generate_private_key, signing_provider
from contracts.data_model.emission import check_emission
from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.json_text import canonical, decimal_of, difference, merge_patch, parse, scaled
from contracts.data_model.references import check_new_id, check_references, parse_reference, references
from contracts.data_model.seals import seal_many, verify_seals
from contracts.data_model.snapshot import PROTOCOL, VERSION, Operation, Seal, Snapshot, read_snapshot
from tests.unit.contracts.data_model.bodies import BODIES, registration

PRIVATE = generate_private_key()
PUBLIC = signing_provider().sm2_public_key(PRIVATE)

PUBLISHED = {
    "header": {
        "model": {"protocol": PROTOCOL, "version": "2.0.0"},
        "content": {
            "type": "registration",
            "object_id": "C998AA18CAF8",
            "version": 10,
            "operation": "update",
            "timestamp": 1_621_578_302,
        },
        "metadata": None,
        "source": "an older member",
    },
    "body": registration(),
    "beside": [1, "kept"],
}


def snapshot(kind: str = "registration", **changed: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "type": kind,
        "object_id": f"{kind}-1",
        "version": 0,
        "operation": Operation.CREATE,
        "timestamp": 1_760_000_000,
        "body": copy.deepcopy(BODIES[kind]),
    }
    return Snapshot(**(fields | changed))


def test_the_published_shape_goes_round() -> None:
    """Unsigned, metadata null, an unknown member: read, said, kept as it came."""
    found = read_snapshot(json.dumps(PUBLISHED, ensure_ascii=False, indent=2).encode())
    assert found.seals == () and found.metadata is None and found.reference == "C998AA18CAF8/10"
    assert not found.full and not verify_seals(found)
    assert parse(found.encode()) == PUBLISHED
    with pytest.raises(SnapshotRefused):
        check_emission(found)


@pytest.mark.parametrize("kind", BODIES)
def test_what_we_seal_is_canonical_strict_and_read_again(kind: str) -> None:
    one = snapshot(kind)
    check_emission(one)
    (raw,) = seal_many([one], PRIVATE, PUBLIC)
    assert raw == canonical(json.loads(raw)), "stored bytes are RFC 8785"
    found = read_snapshot(raw)
    assert verify_seals(found) and found.encode() == raw and found.signed_bytes() == one.signed_bytes()
    seal = json.loads(raw)["header"]["seal"][0]
    assert len(seal["pub_key"]["value"]) == 130 and len(seal["signature"]) == 128
    altered = json.loads(raw)
    altered["header"]["content"]["timestamp"] += 1
    assert not verify_seals(read_snapshot(json.dumps(altered).encode()))


def test_openssl_checks_a_seal(tmp_path: Path) -> None:
    (raw,) = seal_many([snapshot()], PRIVATE, PUBLIC)
    (seal,) = read_snapshot(raw).seals
    (tmp_path / "signed").write_bytes(read_snapshot(raw).signed_bytes())
    (tmp_path / "signature").write_bytes(signature_to_der(seal.signature))
    (tmp_path / "key.pem").write_text(public_key_pem(seal.public_key))
    command = "openssl pkeyutl -verify -rawin -digest sm3 -pkeyopt distid:1234567812345678 -pubin -inkey key.pem"
    done = subprocess.run(
        [*command.split(), "-in", "signed", "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def altered(path: tuple[str, ...], value: object) -> bytes:
    document: Any = copy.deepcopy(PUBLISHED)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if value is KeyError:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (altered(("header", "content", "version"), KeyError), "required"),
        (altered(("header", "content", "operation"), "add"), "enum"),
        (altered(("header", "content", "operation"), "delete"), "empty"),
        (altered(("header", "content", "timestamp"), 1_621_578_302_000), "maximum"),
        (altered(("header", "content", "object_id"), "x" * 129), "maxLength"),
        (altered(("header", "remark"), "x" * 2049), "maxLength"),
        (
            altered(
                ("header", "seal"), {"pub_key": {"type": "RSA", "value": ""}, "digest_algo": "SM3", "signature": ""}
            ),
            "anyOf",
        ),
        (
            altered(
                ("header", "seal"),
                [{"pub_key": {"type": "SM2", "value": "04"}, "digest_algo": "SM3", "signature": "00"}],
            ),
            "encoding",
        ),
        (altered(("body",), KeyError), "type"),
        (b'{"header":{},"header":{}}', "duplicate"),
        (b"[]", "type"),
        (b"\xff", "json"),
        (b'{"a":' * 100_000, "json"),
        (b'{"a":NaN}', "number"),
        (b'{"a":9007199254740993}', "number"),
        (b'{"a":0.10000000000000000001}', "number"),
        (b'{"a":1e999}', "number"),
    ],
)
def test_what_is_no_snapshot_is_refused_with_its_place(raw: bytes, rule: str) -> None:
    with pytest.raises(SnapshotRefused) as refused:
        read_snapshot(raw)
    assert refused.value.faults[0].rule == rule


def test_a_single_seal_object_and_a_delete_without_body() -> None:
    seal = Seal(PUBLIC, signing_provider().sm2_sign(PRIVATE, snapshot().signed_bytes()))
    document = {"header": {**snapshot().header(), "seal": json.loads(seal.encoded())}, "body": BODIES["registration"]}
    assert verify_seals(read_snapshot(json.dumps(document).encode()))
    gone = snapshot(operation=Operation.DELETE, version=3, body={})
    for body in (None, {}, KeyError):
        document = {"header": gone.header()} | ({} if body is KeyError else {"body": body})
        assert read_snapshot(json.dumps(document).encode()).body == {}
    check_emission(gone)


@pytest.mark.parametrize(
    "changed",
    [
        {"object_id": "a/b"},
        {"metadata": None},
        {"model": "2.0.0-alpha3"},
        {"version": 1},
        {"operation": Operation.UPDATE, "version": 1},
        {"timestamp": 10**11},
        {"extra": {"source": "x"}},
        {"remark": "x" * 2049},
        {"body": {}},
    ],
    ids=str,
)
def test_we_emit_strictly(changed: dict[str, Any]) -> None:
    with pytest.raises(SnapshotRefused):
        check_emission(snapshot(**changed))
    check_emission(snapshot(operation=Operation.OVERWRITE, metadata={"content_mode": "full"}))  # 0 may be an overwrite
    assert VERSION == "2.0.0"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_members_put_together_are_what_rfc_8785_makes_of_the_whole(body: dict[str, Any], extra: dict[str, Any]) -> None:
    extra = {k: v for k, v in extra.items() if k not in ("model", "content", "metadata", "remark", "seal")}
    one = snapshot(body=body, extra=extra, unknown={k: v for k, v in extra.items() if k not in ("header", "body")})
    try:
        raw = one.encode()
    except SnapshotRefused:
        return  # a surrogate alone has no UTF-8
    assert raw == canonical(parse(raw))


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([2**53, 0.5, -0.0, "\x1f\x7f\u2028"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(ANY_JSON)
def test_the_fast_encoding_is_the_librarys(value: Any) -> None:
    try:
        expected: bytes | None = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        expected = None
    try:
        found: bytes | None = canonical(value)
    except SnapshotRefused:
        found = None
    assert found == expected


VALUES = st.recursive(
    st.booleans() | st.integers(0, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_difference_merged_gives_the_later_body(before: dict[str, Any], after: dict[str, Any]) -> None:
    patch = difference(before, after)
    kept = json.dumps(before)
    assert canonical(merge_patch(before, patch)) == canonical(after) and json.dumps(before) == kept


@given(st.integers(-(2**63), 2**63), st.integers(0, 8))
def test_scaled_amounts_are_exact_and_round_trip(units: int, decimals: int) -> None:
    value = scaled(units, decimals)
    assert decimal_of(parse(canonical({"v": value}))["v"]) == Decimal(units).scaleb(-decimals)


def test_references_are_split_at_the_last_slash_and_prices_are_none() -> None:
    assert parse_reference("C998AA18CAF8/10").version == 10 and parse_reference("a/b/3").object_id == "a/b"
    for wrong in ("", "a", "a/", "/1", "a/01", "a/-1", "a/x", "a/12345678901"):
        with pytest.raises(SnapshotRefused):
            parse_reference(wrong)
    with pytest.raises(SnapshotRefused):
        check_new_id("a/b")
    body = {"x_ref": "a/1", "product_conversion_price_ref": "12.5", "list": [{"y_ref": "b/2"}, "z"]}
    assert [(path, str(found)) for path, found in references(body)] == [
        ("/body/x_ref", "a/1"),
        ("/body/list/0/y_ref", "b/2"),
    ]


@given(
    extra=st.dictionaries(
        st.sampled_from(["a", "seak", "seam", "zz", "sealed", "\U00010000", "\uffff"]), st.text(), max_size=3
    ),
    unknown=st.dictionaries(
        st.sampled_from(["a", "c", "zz", "sealed"]), st.sampled_from(["sealed", "x", "sealedx"]), max_size=3
    ),
)
def test_seals_stand_where_the_whole_would_put_them(extra: dict[str, Any], unknown: dict[str, Any]) -> None:
    """Signed and stored bytes are put together of parts; they are those of the whole document."""
    one = snapshot(extra=extra, unknown=unknown)
    seal = Seal(PUBLIC, bytes(range(64)))
    document = {**unknown, "body": one.body, "header": one.header()}
    assert one.encoded().signed == canonical(document)
    document["header"]["seal"] = [json.loads(seal.encoded())] * 2
    assert one.with_seals(seal, seal).encode() == canonical(document)


@given(
    st.recursive(
        st.text(max_size=3)
        | st.integers()
        | st.sampled_from(["a/0", "a/b/12", "/1", "a/01", "a/", "a/1٣", "x" * 129 + "/1"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["x_ref", "y_ref", "y", "product_conversion_price_ref"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    )
)
def test_the_fast_check_of_references_is_that_of_each(value: Any) -> None:
    body = {"b": value}
    try:
        expected = len(list(references(body))) >= 0
    except SnapshotRefused:
        expected = False
    try:
        check_references(body)
        found = True
    except SnapshotRefused:
        found = False
    assert found == expected
