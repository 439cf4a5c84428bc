"""The report of a joint test: rows by clause, canonical JSON, signed (docs/spec/node-interface.md §8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider, signing_provider
from chain_core.types.errors import DualchainError
from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.json_text import canonical, parse

FORMAT: Final = "dualchain/jrt0314-report/v1"
STANDARD: Final = "JR/T 0314-2024"
CHECKS: Final = (
    "tls",
    "endpoints",
    "networks",
    "options",
    "status",
    "unknown_network",
    "above_tip",
    "block",
    "chain",
    "block_size",
    "transaction",
    "state",
    "consensus",
    "quorum",
    "signatures",
    "header_hash",
    "roots",
    "status_final",
    "ids",
    "object",
    "merkle_proof",
    "endpoints_equal",
    "off_chain_hash",
    "snapshot_query",
    "envelope",
    "seal",
    "lifecycle",
    "schema",
    "authentication",
)
"""What an admission asks for, whatever later kits test besides: every node of a supervisory chain judges by it."""


class ReportRefused(DualchainError):
    """A file that is no report, or one whose signature does not hold."""

    code = "REPORT_REFUSED"


class Result(StrEnum):
    """What became of a check."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Row:
    """One check: the clause it is of, its name, what was found, what to do."""

    clause: str
    check: str
    result: Result
    detail: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Report:
    """A joint test of one network. ``genesis_hash`` is what the chain says of itself, empty when it says nothing."""

    network_id: str
    genesis_hash: str
    endpoints: tuple[str, ...]
    started_ms: int
    heights: tuple[int, ...]
    checks: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Every check passed: one that was skipped was not shown."""
        return all(row.result is Result.PASS for row in self.checks)

    def document(self) -> dict[str, Any]:
        """As it is written and signed."""
        return {
            "checks": [{**asdict(row), "result": row.result.value} for row in self.checks],
            "endpoints": list(self.endpoints),
            "format": FORMAT,
            "genesis_hash": self.genesis_hash,
            "heights": list(self.heights),
            "network_id": self.network_id,
            "passed": self.passed,
            "standard": STANDARD,
            "started_ms": self.started_ms,
        }


def signed(report: Report, private_key: bytes) -> bytes:
    """The file: the report and its tester's signature, SM2 over SM3 on the report's RFC 8785 bytes."""
    document = report.document()
    signature = signing_provider().sm2_sign(private_key, canonical(document))
    public = signing_provider().sm2_public_key(private_key)
    return canonical(
        {
            "report": document,
            "signature": {"pub_key": "04" + public.hex(), "digest_algo": "SM3", "value": signature.hex()},
        }
    )


def unsigned(report: Report) -> bytes:
    """The file without a signature: nobody can be shown it."""
    return canonical({"report": report.document(), "signature": None})


@dataclass(frozen=True, slots=True)
class Read:
    """A report whose signature holds: its document, the tester's key (64 bytes), the file's SM3."""

    document: dict[str, Any]
    public_key: bytes
    evidence: bytes


@dataclass(frozen=True, slots=True)
class OpenReport:
    """A report in its one encoding, as a contract judges it: nothing of its signature is verified yet.

    ``key``: 64 bytes; ``message``: the bytes signed; ``digest``: SM3 of the file.
    """

    document: dict[str, Any]
    key: bytes
    message: bytes
    signature: bytes
    digest: bytes


def open_report(raw: bytes) -> OpenReport:
    """The report in a file, exactly as ``signed`` writes one. Raises ReportRefused.

    How deep the library reads depends on Python and on who calls: bounded here, so that all nodes judge alike.
    """
    if _nesting(raw) > MAX_NESTING:
        raise _refused("nested deeper than a report is")
    try:
        found = parse(raw)
        if canonical(found) != raw:
            raise _refused("not in RFC 8785 form")
        document, signature = found["report"], found["signature"]
        _exactly(found, {"report": dict, "signature": dict})
        _exactly(signature, {"pub_key": str, "digest_algo": str, "value": str})
        _exactly(document, _DOCUMENT)
        for row in document["checks"]:
            _exactly(row, dict.fromkeys(("clause", "check", "result", "detail", "next_step"), str))
        _all_of(str, document["endpoints"])
        _all_of(int, document["heights"])
        key, value = bytes.fromhex(signature["pub_key"]), bytes.fromhex(signature["value"])
        message = canonical(document)
    except (SnapshotRefused, KeyError, TypeError, ValueError) as error:
        raise _refused("no signed report") from error
    if (document["format"], signature["digest_algo"]) != (FORMAT, "SM3"):
        raise _refused(f"not of format {FORMAT}")
    if len(key) != 65 or key[0] != 4 or len(value) != 64:
        raise _refused("04 || x || y and r || s are expected")
    return OpenReport(document, key[1:], message, value, sm3(raw))


MAX_NESTING: Final = 4
"""File, report, list of checks, check."""
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
_DOCUMENT: Final[dict[str, type]] = {
    "checks": list,
    "endpoints": list,
    "format": str,
    "genesis_hash": str,
    "heights": list,
    "network_id": str,
    "passed": bool,
    "standard": str,
    "started_ms": int,
}


def _nesting(raw: bytes) -> int:
    """How deep arrays and objects stand in each other; of any JSON text exactly, of other bytes something."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _all_of(kind: type, items: list[Any]) -> None:
    if any(type(item) is not kind for item in items):
        raise _refused(f"a list with something else than {kind.__name__}")


def _exactly(row: Any, fields: dict[str, type]) -> None:
    if not isinstance(row, dict) or {name: type(value) for name, value in row.items()} != fields:
        raise _refused("other members than a report has")


def read_signed(raw: bytes, trusted: Sequence[bytes] = ()) -> Read:
    """The report in a file. ``trusted``: keys one of which must have signed. Raises ReportRefused."""
    try:
        found = parse(raw)
        document, signature = found["report"], found["signature"]
        key, value = bytes.fromhex(signature["pub_key"]), bytes.fromhex(signature["value"])
        message = canonical(document)
    except (SnapshotRefused, KeyError, TypeError, ValueError) as error:
        raise _refused(f"no signed report: {error}"[:200]) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _refused(f"not of format {FORMAT}")
    if len(key) != 65 or key[0] != 4 or len(value) != 64:
        raise _refused("04 || x || y and r || s are expected")
    if not provider().sm2_verify_many([(key[1:], message, value)])[0]:
        raise _refused("the signature does not verify")
    if trusted and key[1:] not in trusted:
        raise _refused("signed by another key than the tester's")
    return Read(document, key[1:], sm3(raw))


def _refused(what: str) -> ReportRefused:
    return ReportRefused(what, where="report", next_step="have the joint test run again: dualchain conformance run")
