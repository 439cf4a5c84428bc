"""The folder of a query's evidence: what was shown, the record, and of each market all that proves it
(docs/spec/see-through.md §9).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from chain_core.codec.values import encode_value
from chain_core.node import render
from chain_core.node.answers import CertifiedHeader, ProvenReceipt
from chain_core.types.errors import LocalFault
from crosschain.complete_lists import encode_list
from supervisory_chain.looking.asking import Told
from supervisory_chain.looking.desk import Looked
from supervisory_chain.looking.questions import FoundTransaction, Proven

T = TypeVar("T")


def write_evidence(
    folder: Path,
    looked: Looked[Proven[T]],
    row: render.Row,
    documents: Mapping[str, bytes],
    contents: Mapping[str, bytes],
) -> None:
    """Writes a new folder. ``contents``: released bytes by file name. Raises LocalFault when it is there already."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise LocalFault(
            f"the folder cannot be made: {error.strerror}",
            where=str(folder),
            next_step="name a folder that is not there",
        ) from error
    files: dict[str, bytes] = {
        "answer.json": json.dumps(row, ensure_ascii=False, indent=1).encode("utf-8"),
        "record.receipt": _receipt(looked.record.certified, looked.record.proven),
        "supervisory.evidence": encode_list(looked.evidence),
    }
    for code, told in looked.answers.items():
        files |= {f"{code}.evidence": encode_list(told.answer.evidence)}
        if code in documents:
            files[f"{code}.genesis"] = documents[code]
        files |= _transaction(code, told)
    for name, raw in {**files, **contents}.items():
        (folder / name).write_bytes(raw)


def _transaction(code: str, told: Told[Proven[T]]) -> dict[str, bytes]:
    found = told.answer.found
    if not isinstance(found, FoundTransaction):
        return {}
    return {
        f"{code}.receipt": _receipt(found.told.certified, found.told.proven),
        f"{code}.events": found.told.events,
    }


def _receipt(certified: CertifiedHeader, proven: ProvenReceipt) -> bytes:
    return encode_value(
        {
            "header": certified.header,
            "certificate": certified.certificate,
            "receipt": proven.receipt,
            "proof": proven.proof,
        }
    )
