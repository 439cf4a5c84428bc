"""``dualchain node audit show | verify | head``: a node's audit record (docs/spec/access.md §6). Parse, call, print."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import audit_format
from chain_core.node.audit_format import BEGIN, READS, REFUSALS, Reading, Record, follow, segments, verify
from chain_core.node.command import JSON, show
from chain_core.types.errors import LocalFault

EXIT_DAMAGED = 4
DIRECTORY = Annotated[Path, typer.Argument(help="The audit record: audit/ in the node's data directory, or a copy.")]


class SeriesName(StrEnum):
    """Which of the two."""

    READS = READS
    REFUSALS = REFUSALS


class NoRecord(LocalFault):
    """No audit record is there."""

    code = "NO_RECORD"


def make_app() -> typer.Typer:
    """The group."""
    app = typer.Typer(
        help="Read a node's audit record, and check that nothing in it was changed.", no_args_is_help=True
    )
    app.command("show")(show_records)
    app.command("verify")(verify_records)
    app.command("head")(head)
    return app


def show_records(
    directory: DIRECTORY,
    series: Annotated[SeriesName, typer.Option("--series", help="Protected reads, or refusals.")] = SeriesName.READS,
    caller: Annotated[str, typer.Option("--caller", help="Only of this name, fingerprint or account.")] = "",
    method: Annotated[str, typer.Option("--method", help="Only of methods whose name ends so.")] = "",
    text: Annotated[str, typer.Option("--object", help="Only where the object's description contains this.")] = "",
    since_ms: Annotated[int, typer.Option("--since", min=0, help="Only from this time on, milliseconds.")] = 0,
) -> None:
    """Print records, one JSON object a line, as far as each follows from the one before. Exit code 4: damage."""
    reading = Reading()
    for path in _found(directory, series):
        for _, record in follow(path, reading, series):
            if record["what"] != BEGIN and _fits(record, caller, method, text, since_ms):
                typer.echo(audit_format.encode(record))
        if reading.damage is not None:
            typer.echo(f"DAMAGED {reading.damage}", err=True)
            raise typer.Exit(EXIT_DAMAGED)


def _fits(record: Record, caller: str, method: str, text: str, since_ms: int) -> bool:
    by = record.get("by", {})
    return (
        (not caller or caller in (by.get("name"), by.get("cert"), by.get("account")))
        and str(record.get("method", "")).endswith(method)
        and text in str(record.get("object", ""))
        and int(record.get("t", 0)) >= since_ms
    )


def verify_records(
    directory: DIRECTORY,
    head: Annotated[
        list[str] | None, typer.Option("--head", help="A head written down or anchored earlier; repeat for more.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Follow both series; name the first line of a segment that does not follow. Exit code 4: damage."""
    _found(directory, READS)
    wanted = [one.strip().lower() for one in head or ()]
    verdicts = [verify(directory, series, wanted) for series in (READS, REFUSALS)]
    # A head belongs to one of the two: it is missing when neither has it.
    missing = sorted(set(verdicts[0].missing) & set(verdicts[1].missing))
    good = not missing and not any(one.damage for one in verdicts)
    rows = {one.series: {k: v for k, v in asdict(one).items() if k not in ("series", "missing")} for one in verdicts}
    show({"good": good, **rows, "missing_heads": missing}, as_json)
    if not good:
        raise typer.Exit(EXIT_DAMAGED)


def head(directory: DIRECTORY) -> None:
    """Print both series' last line as one JSON object: to be anchored on chain as a public object of kind evidence.

    What is anchored can no longer be changed or cut off unnoticed: verify --head finds it missing.
    """
    _found(directory, READS)
    row: dict[str, object] = {"what": "audit head"}
    for series in (READS, REFUSALS):
        verdict = verify(directory, series)
        if verdict.damage:
            typer.echo(f"DAMAGED {verdict.damage[0]}", err=True)
            raise typer.Exit(EXIT_DAMAGED)
        row[series] = {"head": verdict.head, "records": verdict.records, "first_segment": verdict.first_segment}
    row |= _origin(directory)
    typer.echo(json.dumps(row, sort_keys=True, separators=(",", ":")))


def _origin(directory: Path) -> dict[str, object]:
    """Chain and node, as the last segment's first line tells."""
    reading = Reading()
    for _, record in follow(segments(directory, READS)[-1], reading, READS):
        return {"chain": record["chain"], "node": record["node"]}
    return {}


def _found(directory: Path, series: str) -> list[Path]:
    found = segments(directory, series)
    if not found and series == READS:
        raise NoRecord(
            f"no {series}-*.log is there", where=str(directory), next_step="name audit/ in the node's data directory"
        )
    return found
