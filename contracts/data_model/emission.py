"""What a snapshot must be before it leaves: stricter than what is read (docs/spec/data-objects.md §6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.data_model.faults import Fault, SnapshotRefused, refuse
from contracts.data_model.references import check_new_id, check_references
from contracts.data_model.schemas import check_body, check_header
from contracts.data_model.snapshot import (
    CONTENT_MODE,
    FULL,
    INCREMENT,
    PROTOCOL,
    TIMESTAMP_END,
    VERSION,
    Operation,
    Snapshot,
)

Path = tuple[str, ...]

_BY_TYPE: Mapping[str, tuple[Path, Path, Mapping[str, int]]] = {
    "subject": (
        ("subject_information", "basic_information_subject", "general_information_subject", "subject_type"),
        ("subject_information",),
        {"organization_subject_information": 1, "personal_subject_information": 2},
    ),
    "product": (
        ("product_information", "essential_information", "basic_product_information", "product_type"),
        ("product_information", "release_information"),
        {"equity_issue_information": 0, "private_convertible_bonds": 3, "private_offering_fund": 5},
    ),
}
"""Type -> where its code stands, where the groups stand, the code each group belongs to: no other may be filled."""


def check_emission(snapshot: Snapshot) -> None:
    """Header, body by schema, groups by type, references well formed. The seal comes after. Raises SnapshotRefused.

    An increment is checked as what it makes of the version before it, by its writer; here only its header is.
    """
    check_header(snapshot.header())
    check_new_id(snapshot.object_id)
    if (snapshot.protocol, snapshot.model) != (PROTOCOL, VERSION):
        raise refuse("/header/model", "const", f"{snapshot.protocol} {snapshot.model} is read only")
    if snapshot.timestamp >= TIMESTAMP_END:
        raise refuse("/header/content/timestamp", "maximum", "seconds, not milliseconds")
    if snapshot.metadata is None:
        raise refuse("/header/metadata", "required", "an object is needed, {} when there is nothing to say")
    if snapshot.extra or snapshot.unknown:
        raise refuse("/header", "additionalProperties", "own extensions belong into metadata")
    if (snapshot.version == 0) < (snapshot.operation is Operation.CREATE):
        raise refuse("/header/content/version", "create", "a create has version 0")
    if snapshot.operation is Operation.DELETE:
        if snapshot.body:
            raise refuse("/body", "empty", "a delete snapshot has an empty body")
        return
    changes = snapshot.operation is not Operation.CREATE
    if changes and snapshot.metadata.get(CONTENT_MODE) not in (FULL, INCREMENT):
        raise refuse("/header/metadata/content_mode", "enum", "update and overwrite say whether they are full")
    if snapshot.full:
        check_whole_body(snapshot.type, snapshot.body)


def check_whole_body(kind: str, body: Mapping[str, Any]) -> None:
    """A materialised body of the current model. Raises SnapshotRefused."""
    check_body(VERSION, kind, body)
    _check_groups(kind, body)
    check_references(body)


def _check_groups(kind: str, body: Mapping[str, Any]) -> None:
    rule = _BY_TYPE.get(kind)
    if rule is None:
        return
    code_path, groups_path, groups = rule
    code, parent = _at(body, code_path), _at(body, groups_path) or {}
    wrong = [name for name, wanted in groups.items() if parent.get(name) and wanted != code]
    place = "/body/" + "/".join(groups_path)
    faults = [Fault(f"{place}/{name}", "type", f"this group is not for {code_path[-1]} {code}") for name in wrong]
    needed = [name for name, wanted in groups.items() if wanted == code and not parent.get(name) and kind == "subject"]
    faults += [Fault(f"{place}/{name}", "required", f"{code_path[-1]} {code} needs this group") for name in needed]
    if faults:
        raise SnapshotRefused(faults)


def _at(value: Any, path: Path) -> Any:
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
