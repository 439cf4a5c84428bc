"""The audit record's lines: one form, and a chain of SM3 over them (docs/spec/access.md §6).

A line is 64 hexadecimal digits, a space, a JSON object in its one form, a line feed; its digits are SM3 of the digits
of the line before, a space, and the object: whoever has a shell and openssl can follow it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from chain_core.crypto.hashing import sm3

START: Final = "0" * 64
"""Stands for the line before the very first one."""
MAX_LINE: Final = 16_384
READS, REFUSALS = "reads", "refusals"
BEGIN, READ, REFUSED = "begin", "read", "refused"

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Damage:
    """The first thing in a series that does not follow from what is before it."""

    what: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.what} (at {self.file}, line {self.line})"


@dataclass(slots=True)
class Reading:
    """Where following a series has come: the chain of its last good line, the number of the next one.

    ``good_bytes`` and ``good_lines`` of the last file, up to that line. ``torn``: a line without an end is behind it.
    """

    chain: str = START
    next_n: int = 0
    lines: int = 0
    good_bytes: int = 0
    good_lines: int = 0
    torn: bool = False
    damage: Damage | None = None
    declared: list[str] = field(default_factory=list)
    """Damage that later segments tell of."""


def encode(record: Record) -> str:
    """The one form of a record."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def link(chain: str, text: str) -> str:
    """The chain of a record in its one form, behind a line whose chain is ``chain``."""
    return sm3(f"{chain} {text}".encode("ascii")).hex()


def segment_name(series: str, number: int) -> str:
    """The file of a series' segment."""
    return f"{series}-{number:010d}.log"


def segments(directory: Path, series: str) -> list[Path]:
    """A series' files that are there, in order."""
    return sorted(directory.glob(f"{series}-" + "[0-9]" * 10 + ".log"), key=lambda path: path.name)


def number_of(path: Path) -> int:
    """The segment's number."""
    return int(path.stem.rpartition("-")[2])


def follow(path: Path, reading: Reading, series: str) -> Iterator[tuple[str, Record]]:
    """The good lines of one segment as (chain, record), going on from ``reading``, which is brought up to date.

    Ends at the first line that does not follow; ``reading.damage`` then says why.
    """
    reading.good_bytes, reading.good_lines, reading.torn = 0, 0, False
    with path.open("rb") as file:
        for number, (raw, whole) in enumerate(_lines(file), 1):
            if not whole:
                reading.torn = len(raw) <= MAX_LINE
                if not reading.torn:
                    reading.damage = Damage(f"a line of more than {MAX_LINE} bytes", path.name, number)
                return
            try:
                chain, record = _parse(raw)
                if number == 1:
                    _check_begin(record, path, reading, series)
                _check_next(chain, raw[65:-1].decode("ascii"), record, reading)
            except ValueError as error:
                reading.damage = Damage(str(error), path.name, number)
                return
            reading.chain, reading.next_n = chain, record["n"] + 1
            reading.lines += 1
            reading.good_bytes, reading.good_lines = reading.good_bytes + len(raw), number
            yield chain, record
    if not reading.good_bytes:
        reading.torn = True


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    while raw := file.readline(MAX_LINE + 1):
        yield raw, raw.endswith(b"\n")


def _parse(raw: bytes) -> tuple[str, Record]:
    text = raw[:-1].decode("ascii", "replace")
    chain, space, body = text[:64], text[64:65], text[65:]
    if space != " " or len(chain) != 64 or chain.strip("0123456789abcdef"):
        raise ValueError("the line does not begin with 64 hexadecimal digits and a space")
    try:
        record = json.loads(body)
        again = encode(record)
    except (ValueError, RecursionError):
        raise ValueError("the record is no JSON") from None
    if not isinstance(record, dict) or type(record.get("n")) is not int:
        raise ValueError("the record is no object with a number n")
    if again != body:
        raise ValueError("the record is not in its one form")
    return chain, record


def _check_begin(record: Record, path: Path, reading: Reading, series: str) -> None:
    """The first line of a segment; the series' first segment that is there may go on from one that is archived."""
    if record.get("what") != BEGIN or record.get("segment") != number_of(path) or record.get("series") != series:
        raise ValueError("the segment does not begin with its own begin record")
    if reading.lines == 0 and number_of(path) > 0:
        reading.chain, reading.next_n = str(record.get("after")), record["n"]
    if "damage" in record:
        reading.declared.append(f"{path.name} tells: {record['damage']}")
    if record.get("after") != reading.chain:
        raise ValueError("the segment goes on from another line than the last one before it")


def _check_next(chain: str, text: str, record: Record, reading: Reading) -> None:
    if record["n"] != reading.next_n:
        raise ValueError(f"record {record['n']} stands where record {reading.next_n} should")
    if link(reading.chain, text) != chain:
        raise ValueError("the line's chain is not the SM3 of the line before and its record")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What following a series gave. ``missing``: heads somebody holds that no line has."""

    series: str
    segments: int
    first_segment: int
    records: int
    head: str
    torn: bool
    damage: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Every line follows, and every head is there."""
        return not self.damage and not self.missing


def verify(directory: Path, series: str, heads: Iterable[str] = ()) -> Verdict:
    """Follow all segments of a series that are there. ``heads``: chains of earlier lines that somebody kept."""
    reading, missing, found = Reading(), set(heads), segments(directory, series)
    damage: list[str] = []
    for before, path in zip([None, *found], found, strict=False):
        if before is not None and number_of(path) != number_of(before) + 1:
            damage.append(str(Damage(f"segment {number_of(before) + 1} is missing", path.name, 1)))
            break
        if reading.torn and before is not None:
            damage.append(str(Damage("the segment ends within a line", before.name, reading.good_lines + 1)))
        for chain, _ in follow(path, reading, series):
            missing.discard(chain)
        if reading.damage is not None:
            damage.append(str(reading.damage))
            reading.damage = None
    return Verdict(
        series,
        len(found),
        number_of(found[0]) if found else 0,
        reading.lines,
        reading.chain,
        reading.torn,
        tuple(damage + reading.declared),
        tuple(sorted(missing)),
    )
