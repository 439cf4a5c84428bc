"""JSON schemas as data, one a (model version, type): the fast verdict, and every fault when it is no
(docs/spec/data-objects.md §5; ADR 0010).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import fastjsonschema
from jsonschema import Draft7Validator

from contracts.data_model.faults import MAX_FAULTS, MAX_TEXT, Fault, SnapshotRefused, refuse

DIRECTORY = Path(__file__).parent / "schemas"
ENVELOPE = "envelope"

PROVISIONAL = frozenset(("financial_statements", "supervision"))
"""Kinds of JR/T 0315 without a published field list: the body is checked only for being an object."""


@cache
def kinds(model: str) -> tuple[str, ...]:
    """Types of a model version that have a schema here; none for an unknown version."""
    return tuple(sorted(path.stem for path in (DIRECTORY / model).glob("*.json"))) if model in versions() else ()


@cache
def versions() -> frozenset[str]:
    """Model versions with schemas here."""
    return frozenset(path.name for path in DIRECTORY.iterdir() if path.is_dir())


@cache
def schema(name: str) -> Mapping[str, Any]:
    """A schema file's content, by its name below the folder without ``.json``."""
    found: Mapping[str, Any] = json.loads((DIRECTORY / f"{name}.json").read_text("utf-8"))
    return found


@cache
def _verdict(name: str) -> Callable[[Any], Any]:
    compiled: Callable[[Any], Any] = fastjsonschema.compile(dict(schema(name)), use_default=False)
    return compiled


@cache
def _explainer(name: str) -> Draft7Validator:
    return Draft7Validator(dict(schema(name)))


def check_header(header: object) -> None:
    """Raises SnapshotRefused unless it is a header by table 1."""
    _check(ENVELOPE, header, "/header")


def check_body(model: str, kind: str, body: Mapping[str, Any]) -> None:
    """Raises SnapshotRefused unless the body fits the schema of this type in this model version."""
    if kind not in kinds(model):
        known = ", ".join(kinds(model)) or f"no type; known versions: {', '.join(sorted(versions()))}"
        raise refuse("/header/content/type", "schema", f"no schema for {kind!r} in model {model!r}: {known}")
    _check(f"{model}/{kind}", body, "/body")


def _check(name: str, value: object, root: str) -> None:
    try:
        _verdict(name)(value)
    except fastjsonschema.JsonSchemaValueException as first:
        found = [
            Fault(_path(root, error.absolute_path), str(error.validator), error.message[:MAX_TEXT])
            for error in islice(_explainer(name).iter_errors(value), MAX_FAULTS)
        ]
        raise SnapshotRefused(found or [Fault(root, str(first.rule), first.message[:MAX_TEXT])]) from first


def _path(root: str, parts: Any) -> str:
    return root + "".join(f"/{part}" for part in parts)
