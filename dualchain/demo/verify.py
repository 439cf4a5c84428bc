"""Checking a demonstration's evidence from the genesis hashes and the manifest's SM3 alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dualchain.demo.evidence import (
    SUMMARY,
    EvidenceRefused,
    check_genesis,
    check_manifest,
    load,
    readable,
    summary_bytes,
)
from dualchain.demo.summary import summarise

HASH_HEX = 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked."""

    files: int
    headers: int
    receipts: int
    values: int
    summary: dict[str, Any]


def parse_hash(text: str, what: str) -> bytes:
    """32 bytes from hexadecimal; EvidenceRefused for anything else."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(text) != HASH_HEX or len(value) != HASH_HEX // 2:
        raise EvidenceRefused(
            f"{text!r} is no SM3 in hexadecimal", where=what, next_step="copy it from the run's output"
        )
    return value


def verify(directory: Path, genesis: Sequence[str], manifest: str) -> Verdict:
    """Recompute every claim; EvidenceRefused, InvalidProof or MalformedBytes at the first that does not hold."""
    files = check_manifest(directory, parse_hash(manifest, "--manifest"))
    hashes = [parse_hash(text, "--genesis") for text in genesis]
    with readable(str(directory)):
        check_genesis(directory, hashes)
        evidence = load(directory)
        summary = summarise(evidence)
        told = (directory / SUMMARY).read_bytes()
    if told != summary_bytes(summary):
        raise EvidenceRefused("the summary is not what the evidence amounts to", where=SUMMARY)
    values = sum(len(found) for names in evidence.state.values() for found in names.values())
    return Verdict(
        files,
        sum(len(headers) for headers in evidence.headers.values()),
        sum(len(transactions) for transactions in evidence.transactions.values()),
        values,
        summary,
    )
