"""DIDs as text: what the standard's table allows, and which part is wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes.regions import REGIONS
from crosschain.identity.did import (
    LABELS,
    NoDid,
    Subject,
    credit_code_fault,
    identity_of,
    is_credential_id,
    make_did,
    parse_did,
    split_url,
)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("did:rem:shanghai:SH000001F", Subject.COMPANY),
        ("did:rem:shanghai:SH000001", Subject.COMPANY),
        ("did:rem:jiangsu:Q123456789", Subject.INVESTOR),
        ("did:rem:shanghai:91310000564759688N", Subject.BODY),
        ("did:rem:shanghai:1210000040088209X1", Subject.BODY),
        ("did:rem:beijing:91310104MA1FRNWW80", Subject.BODY),
        ("did:rem:shenzhen:SZX123456G", Subject.COMPANY),
    ],
)
def test_the_standards_shapes(text: str, subject: Subject) -> None:
    did = parse_did(text)
    assert (did.text, did.subject, did.warning) == (text, subject, "")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("did:web:shanghai:SH000001F", "does not begin with did:rem:"),
        ("did:rem:shaanxii:SN000001", "none of the 35 chain labels"),
        ("did:rem:Shanghai:SH000001F", "none of the 35 chain labels"),
        ("did:rem:shanghai", "none of the 35 chain labels"),
        ("did:rem:beijing:SH000001F", "this market assigns BJ"),
        ("did:rem:shanxi:SN000001", "this market assigns SX"),
        ("did:rem:shanghai:Q12345678", "neither"),
        ("did:rem:shanghai:91310000564759688M", "check character is M, not N"),
        ("did:rem:shanghai:SH00001F", "number"),
        ("did:rem:shanghai:VC000001", "region"),
        ("did:rem:shanghai:SH000001F\n", "layer"),
        ("did:rem:shanghai:SH000001F#keys-1", "layer"),
        ("did:rem:shanghai:" + "9" * 200, "longer than 128"),
    ],
)
def test_what_is_no_did(text: str, what: str) -> None:
    with pytest.raises(NoDid, match=what):
        parse_did(text)


def test_the_misprinted_suffix_is_read_with_a_warning_and_never_made() -> None:
    did = parse_did("did:rem:shanghai:SH000001F.S2101")
    assert did.text.endswith(".S2101") and ".S2101" in did.warning
    with pytest.raises(NoDid, match=r"\.S2101"):
        make_did("shanghai", "SH000001F.S2101")


def test_labels_and_regions_stand_in_one_row() -> None:
    assert {region.label: code for code, region in REGIONS.items()} == LABELS
    assert (LABELS["shanxi"], LABELS["shaanxi"]) == ("SX", "SN")


def test_a_layer_is_no_part_of_identity() -> None:
    assert {identity_of(parse_did(f"did:rem:beijing:BJ000001{x}")) for x in ("", "F", "G")} == {"BJ000001"}
    assert identity_of(parse_did("did:rem:beijing:Q000000001")) == "Q000000001"


def test_urls_and_identifiers_of_credentials() -> None:
    assert split_url("did:rem:shanghai:SH000001F#keys-1") == ("did:rem:shanghai:SH000001F", "keys-1")
    assert split_url("did:rem:shanghai:SH000001F") == ("did:rem:shanghai:SH000001F", "")
    assert is_credential_id("did:rem:shanghai:VC000001")
    assert not is_credential_id("did:rem:nowhere:VC000001") and not is_credential_id("did:rem:shanghai:VC1")


@given(st.text(alphabet="0123456789ABCDEFGHJKLMNPQRTUWXYIOSVZ", min_size=18, max_size=18))
def test_a_changed_check_character_is_found(text: str) -> None:
    if credit_code_fault(text) == "":
        for other in set("0123456789ABCDEFGHJKLMNPQRTUWXY") - {text[17]}:
            assert credit_code_fault(text[:17] + other)


@given(st.text(max_size=40))
def test_any_text_is_a_did_or_named_as_none(text: str) -> None:
    for candidate in (text, f"did:rem:shanghai:{text}"):
        with contextlib.suppress(NoDid):
            assert parse_did(candidate).text == candidate
