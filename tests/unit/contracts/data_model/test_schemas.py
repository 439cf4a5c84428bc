"""Nine kinds by schema, what is wrong said with its place, and two validators of one mind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from contracts.data_model.emission import check_whole_body
from contracts.data_model.faults import Fault, SnapshotRefused
from contracts.data_model.schemas import PROVISIONAL, check_body, kinds, schema, versions
from contracts.data_model.snapshot import VERSION
from tests.unit.contracts.data_model.bodies import BODIES, person, subject

DIGEST_FIELDS = {
    # a few of each kind that are easily mistyped: twins, capitals, prices named like references
    "product": ("product_Investment_product_details", "product_conversion_price_ref", "product_raise_start_date"),
    "registration": ("register_frozen_balance", "register_debt_holder_subscription_price"),
    "infodisclosure": ("Investment_and_financing", "disclosure_financial_balance_sheet_name"),
    "subject": ("subject_company_status_windingup_date", "subject_name_used_before"),
}
NEVER = ("infomation", "trasfer", "cusodian", "decription", "plged", "verrification")


def test_every_kind_has_a_schema_of_its_draft() -> None:
    assert set(kinds(VERSION)) == set(BODIES) and versions() == {VERSION} and kinds("3.0") == ()
    for kind in (*BODIES, "../envelope"):
        Draft7Validator.check_schema(dict(schema(f"{VERSION}/{kind}")))
    for kind, names in DIGEST_FIELDS.items():
        text = repr(schema(f"{VERSION}/{kind}"))
        assert all(name in text for name in names)
        assert not any(wrong in text for wrong in NEVER)


@pytest.mark.parametrize("kind", BODIES)
def test_a_small_body_fits_and_unknown_members_are_let_be(kind: str) -> None:
    body = copy.deepcopy(BODIES[kind])
    check_whole_body(kind, body)
    for value in body.values():
        if isinstance(value, dict):
            value["an_unknown_member"] = {"kept": True}
    check_whole_body(kind, body)
    check_whole_body("subject", person())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from leaves(inner, (*path, key))


def faults_of(kind: str, body: dict[str, Any]) -> tuple[Fault, ...]:
    try:
        check_body(VERSION, kind, body)
    except SnapshotRefused as refusal:
        return refusal.faults
    return ()


@pytest.mark.parametrize("kind", sorted(BODIES.keys() - PROVISIONAL))
def test_both_validators_judge_each_altered_body_alike(kind: str) -> None:
    """Each member taken out, and replaced by values of other types: the fast verdict is the explaining one's."""
    explainer = Draft7Validator(dict(schema(f"{VERSION}/{kind}")))
    refused = 0
    for path in leaves(BODIES[kind]):
        for other in ("taken out", None, 7, -1, 1.5, "", "x/1", "2026-02-30T", "2026-10-12\n", [], [{}], {}, True):
            body = copy.deepcopy(BODIES[kind])
            parent: Any = body
            for key in path[:-1]:
                parent = parent[key]
            if other == "taken out":
                del parent[path[-1]]
            else:
                parent[path[-1]] = other
            faults = faults_of(kind, body)
            refused += bool(faults)
            assert (not faults) == explainer.is_valid(body), (path, other)
            assert all(fault.path.startswith("/body") and fault.rule for fault in faults)
    assert refused > 20


TABLE = [
    ("transactionreport", ("transaction_report_information", "transaction_intermediary_information"), None, "type"),
    ("settlement", ("capital_settlement_information",), "taken out", "required"),
    ("subject", ("subject_information", "basic_information_subject"), {}, "required"),
]


@pytest.mark.parametrize(("kind", "path", "value", "rule"), TABLE)
def test_a_fault_names_place_and_rule(kind: str, path: tuple[str, ...], value: Any, rule: str) -> None:
    body = copy.deepcopy(BODIES[kind])
    parent: Any = body
    for key in path[:-1]:
        parent = parent[key]
    if value == "taken out":
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    with pytest.raises(SnapshotRefused) as refused:
        check_whole_body(kind, body)
    assert refused.value.faults[0].rule == rule and refused.value.where.startswith("/body")


def test_what_annex_d_shows_as_errors() -> None:
    with pytest.raises(SnapshotRefused, match="no schema for 'unknown'"):
        check_body(VERSION, "unknown", {})
    with pytest.raises(SnapshotRefused, match=r"no schema for 'subject' in model '9\.9'"):
        check_body("9.9", "subject", subject())
    body = subject()
    del body["subject_information"]["basic_information_subject"]["general_information_subject"]["subject_type"]
    with pytest.raises(SnapshotRefused, match="'subject_type' is a required property"):
        check_body(VERSION, "subject", body)


def test_groups_go_by_type_when_we_emit_and_by_schema_when_we_read() -> None:
    body = person()
    body["subject_information"]["basic_information_subject"]["general_information_subject"]["subject_type"] = 1
    check_body(VERSION, "subject", body)  # a published sample has an institution in the group of persons
    with pytest.raises(SnapshotRefused) as refused:
        check_whole_body("subject", body)
    assert [fault.path.rsplit("/", 1)[1] for fault in refused.value.faults] == [
        "personal_subject_information",
        "organization_subject_information",
    ]
    body = copy.deepcopy(BODIES["infodisclosure"])
    body["disclosure_approval_information"]["enterprise_report"] = [{}]
    with pytest.raises(SnapshotRefused):
        check_body(VERSION, "infodisclosure", body)
    body = copy.deepcopy(BODIES["product"])
    body["product_information"]["release_information"]["private_convertible_bonds"] = {"product_face_value": 100}
    with pytest.raises(SnapshotRefused, match="not for product_type 0"):
        check_whole_body("product", body)
