"""``dualchain conformance``: the joint-test kit of JR/T 0314 (docs/spec/node-interface.md §8)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node.command import JSON, PASSPHRASE, show
from chain_core.node.key_protection import open_key
from chain_core.types.errors import LocalFault
from crosschain.conformance.kit import run as run_checks
from crosschain.conformance.report import Report, ReportRefused, Row, read_signed, signed, unsigned
from crosschain.jrt0314.endpoint import Credentials, Endpoint, HttpEndpoint, Plain, read_token

app = typer.Typer(
    help="Joint tests 联调测试: does a chain, of whatever make, offer what JR/T 0314 asks for?", no_args_is_help=True
)
_SIGNS = {"pass": "ok  ", "fail": "FAIL", "skipped": "-   "}


@app.command()
def run(
    endpoint: Annotated[list[str], typer.Option("--endpoint", help="URL of a node interface; two of them, https://.")],
    network: Annotated[str, typer.Option("--network", help="Network identifier 区块链网络标识.")],
    report: Annotated[Path, typer.Option("--report", help="Where the report is written, a new file 报告.")],
    key: Annotated[
        Path | None, typer.Option("--key", help="The tester's SM2 key of purpose assertion; without it: unsigned.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the bearer token, mode 0600.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="Client certificate, PEM.")] = None,
    certificate_key: Annotated[Path | None, typer.Option("--certificate-key", help="Its key, PEM.")] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="Authorities of the endpoints; absent: the system's.")] = None,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Test a chain's node interface by clause, and write a signed report 联调测试. Exit code 1 when a check fails."""
    private = open_key(key, passphrase) if key is not None else None
    token = read_token(token_file) if token_file is not None else ""
    credentials = Credentials(ca, token, certificate, certificate_key)
    if report.exists():
        raise LocalFault("there is a file already", where=str(report), next_step="name a new file")
    made = _made(endpoint, credentials, network, as_json)
    raw = unsigned(made) if private is None else signed(made, private)
    try:
        with report.open("xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LocalFault(f"cannot be written: {error.strerror}", where=str(report), next_step="name a file") from error
    if as_json:
        typer.echo(json.dumps({**made.document(), "file": str(report), "signed": private is not None}))
    else:
        summary = "通过 passed" if made.passed else "未通过 not passed"
        typer.echo(f"{summary}: {sum(row.result == 'pass' for row in made.checks)} of {len(made.checks)}; {report}")
    if not made.passed:
        raise typer.Exit(1)


def _made(urls: list[str], credentials: Credentials, network: str, as_json: bool) -> Report:
    endpoints: list[Endpoint] = []
    try:
        for url in urls:
            plain = Plain.of(url)
            endpoints.append(HttpEndpoint(url, credentials) if plain is None else plain)
        return run_checks(endpoints, network, time.time_ns() // 1_000_000, (lambda _: None) if as_json else _tell)
    finally:
        for one in endpoints:
            if isinstance(one, HttpEndpoint):
                one.close()


def _tell(row: Row) -> None:
    typer.echo(f"{_SIGNS[row.result.value]} {row.clause:24} {row.check:16} {row.detail}")
    if row.next_step:
        typer.echo(f"     next: {row.next_step}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A report.")],
    key: Annotated[
        list[str] | None, typer.Option("--key", help="The tester's public key: 04 || x || y in hex.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Check a report's signature, print what it says and its evidence hash 核验报告. Exit code 1 unless it passed."""
    try:
        raw = file.read_bytes()
        trusted = [bytes.fromhex(one)[1:] for one in key or []]
    except OSError as error:
        raise ReportRefused(f"cannot be read: {error.strerror}", where=str(file), next_step="name a file") from error
    except ValueError as error:
        raise ReportRefused("no hexadecimal", where="--key", next_step="04 || x || y") from error
    found = read_signed(raw, trusted)
    failed = [row["check"] for row in found.document["checks"] if row["result"] != "pass"]
    show(
        {
            "network_id": found.document["network_id"],
            "genesis_hash": found.document["genesis_hash"],
            "passed": found.document["passed"] and not failed,
            "failed": failed,
            "tester": "04" + found.public_key.hex(),
            "tester_known": bool(trusted),
            "evidence": found.evidence.hex(),
        },
        as_json,
    )
    if failed or not found.document["passed"]:
        raise typer.Exit(1)
