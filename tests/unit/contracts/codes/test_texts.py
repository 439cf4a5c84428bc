"""Codes of JR/T 0326-2024 as text: every example of the standard's rules, and which part is wrong where."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes.company import LAYERS, company_code_fault, parse_company_code
from contracts.codes.product import (
    next_product_code,
    parse_product_code,
    product_code_fault,
    product_code_warning,
)
from contracts.codes.regions import REGIONS

COMPANIES = ["BJ000001F", "SH000001", "SZX123456G", "TAO000123T", "HA600001P", "SN000009"]
NO_COMPANIES = [
    ("BJ00001F", "number"),
    ("BJ0000001F", "layer"),
    ("SZ000001F", "region"),
    ("BJ000001X", "layer"),
    ("BJ000001FG", "layer"),
    ("bj000001f", "region"),
    ("BJ-000001F", "number"),
    ("SH000001F.S2101", "layer"),
    ("QD000001", "region"),
    ("XZ000001", "region"),
    ("BJX000001", "number"),
    ("BJ12345A", "number"),
    ("BJ１２３４５６", "number"),
    ("BJ12 456", "number"),
    ("BJ-12345", "number"),
    ("BJ00001", "number"),
    ("BJ000001f", "layer"),
    ("BJ000001S", "layer"),
    ("BJ0000010", "layer"),
    ("BJ000001F\n", "layer"),
    ("BJ000001\n", "layer"),
    ("", "region"),
]
PRODUCTS = [
    "BJ000001F.DCFGFR2110",
    "BJ000001F.DCFGFR2101",
    "SZX123456.ESVUFR2403",
    "TAO000123T.DCFUFR2599",
    "HI000777G.EPNRFR2212",
    "BJ000001F.DBFUFR2401",
    "BJ000001F.CPCIEY0001",
]
NO_PRODUCTS = [
    ("BJ000001FDCFGFR2101", "layer"),
    ("BJ000001DCFGFR2101", "layer"),
    ("BJ000001F", "dot"),
    ("BJ000001F.DCFGFR21", "batch"),
    ("BJ000001F.DCFGFR.2101", "batch"),
    ("BJ000001F.S2101", "variety"),
    ("XX000001F.DCFGFR2101", "region"),
    ("BJ000001F．DCFGFR2101", "layer"),
    ("BJ000001F.DCFGFR2100", "batch"),
    ("BJ000001F.DCFGFR21010", "batch"),
    ("BJ000001F.DCFGFR211", "batch"),
    ("BJ000001F.DCFGFR21A1", "batch"),
    ("BJ000001F.DCFGFR２１０１", "batch"),
    ("BJ000001F.DCFGFR202101", "batch"),
    ("BJ000001F.DCFG1R2101", "variety"),
    ("BJ000001F.dcfgfr2101", "variety"),
    ("BJ000001F.DC-FGFR2101", "variety"),
    ("BJ000001F.DCFGF", "variety"),
    ("BJ000001F.DCFGFRX2101", "batch"),
    ("BJ000001F.DCFGFR2101\n", "batch"),
]


def test_the_regions_are_those_of_the_markets() -> None:
    assert len(REGIONS) == 35
    assert all(code == region.code for code, region in REGIONS.items())


@pytest.mark.parametrize("code", COMPANIES)
def test_good_company_codes(code: str) -> None:
    assert company_code_fault(code) == ""
    parts = parse_company_code(code)
    assert parts.text == code
    assert parts.identity == code.rstrip("".join(LAYERS))


@pytest.mark.parametrize(("code", "part"), NO_COMPANIES)
def test_a_wrong_company_code_names_its_first_wrong_part(code: str, part: str) -> None:
    assert company_code_fault(code).partition(":")[0] == part
    with pytest.raises(ValueError, match=part):
        parse_company_code(code)


def test_two_layers_of_one_company_are_one_company() -> None:
    assert {parse_company_code(f"BJ000001{letter}").identity for letter in ("", *LAYERS)} == {"BJ000001"}


def test_a_market_assigns_codes_of_its_own_region() -> None:
    assert company_code_fault("BJ000001F", region="BJ") == ""
    assert company_code_fault("BJ000001F", region="SH") == "region: BJ at position 1, this market assigns SH"
    assert product_code_fault("BJ000001F.DCFGFR2101", region="SH").startswith("region")


def test_a_fault_says_the_place() -> None:
    assert company_code_fault("SZX12A456") == "number: position 6 is 'A', not one of 0-9"
    assert product_code_fault("BJ000001F.DCFGFR21A1") == "batch: position 19 is 'A', not one of 0-9"


@pytest.mark.parametrize("code", PRODUCTS)
def test_good_product_codes(code: str) -> None:
    assert product_code_fault(code) == ""
    parts = parse_product_code(code)
    assert f"{parts.company.text}.{parts.variety}{parts.year % 100:02d}{parts.number:02d}" == code


@pytest.mark.parametrize(("code", "part"), NO_PRODUCTS)
def test_a_wrong_product_code_names_its_first_wrong_part(code: str, part: str) -> None:
    assert product_code_fault(code).partition(":")[0] == part
    with pytest.raises(ValueError, match=part):
        parse_product_code(code)


def test_an_unlisted_variety_is_a_warning() -> None:
    assert product_code_warning("BJ000001F.DCFGFR2101") == ""
    assert "EPNRFR" in product_code_warning("BJ000001F.EPNRFR2212")


def test_the_hundredth_issue_of_a_year_cannot_be_coded() -> None:
    company = parse_company_code("BJ000001F")
    assert next_product_code(company, "DCFGFR", 2026, 0) == "BJ000001F.DCFGFR2601"
    assert next_product_code(company, "DCFGFR", 2026, 98) == "BJ000001F.DCFGFR2699"
    with pytest.raises(ValueError, match="100th"):
        next_product_code(company, "DCFGFR", 2026, 99)
    with pytest.raises(ValueError, match="two digits"):
        next_product_code(company, "DCFGFR", 2100, 0)
    with pytest.raises(ValueError, match="variety"):
        next_product_code(company, "S", 2026, 0)


_REGION = "|".join(sorted(REGIONS))
_COMPANY = re.compile(rf"(?:{_REGION})[0-9]{{6}}[FGPT]?\Z")
_PRODUCT = re.compile(rf"(?:{_REGION})[0-9]{{6}}[FGPT]?\.[A-Z]{{6}}[0-9]{{2}}(?:0[1-9]|[1-9][0-9])\Z")
_NEAR = st.text(alphabet="BJSHZXTAOQD0123456789FGPT.DCRESVU ef\n１", max_size=22)


@given(_NEAR | st.from_regex(_COMPANY) | st.from_regex(_PRODUCT))
def test_the_checks_agree_with_the_published_expressions(text: str) -> None:
    assert (company_code_fault(text) == "") is (_COMPANY.match(text) is not None)
    assert (product_code_fault(text) == "") is (_PRODUCT.match(text) is not None)
