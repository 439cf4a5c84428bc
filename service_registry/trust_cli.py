"""Commands of ``dualchain registry`` about certificates and source marks (docs/spec/service-registry.md §4-§5)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chain_core.crypto.hashing import sm3
from chain_core.node import render
from chain_core.node.command import JSON, show
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from service_registry.session import Session, run

if TYPE_CHECKING:
    from chain_core.crypto.x509.certificate import Certificate

CONFIG = Annotated[Path, typer.Option("--config", help="TOML file that says who you are and which nodes you ask.")]
_BEGIN = b"-----BEGIN CERTIFICATE-----"


def add_to(app: typer.Typer) -> None:
    """Puts them among the others."""
    app.command()(certificate)
    app.command("name-authorities")(name_authorities)
    app.command()(authorities)
    app.command("check-source")(check_source)


def certificate(
    file: Annotated[
        Path, typer.Option("--file", help="The assertion key's certificate in PEM, with those above it behind it.")
    ],
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Upload your trusted certificate: the key by which you sign calls, replies or tests."""
    from service_registry.publishing.files import read_file

    raw = read_file(file)
    path = _certificates(file) if raw.startswith(_BEGIN) else []
    hashed = sm3(path[0].der if path else raw)

    async def work(session: Session) -> render.Row:
        key = session.assertion_key().public
        args: dict[str, Value] = {"key": key, "certificate": hashed}
        if path:
            if path[0].public_key != key:
                what = "the certificate is not of your assertion key"
                raise MalformedBytes(what, where=str(file), next_step="certify that key: dualchain ca issue --key")
            args["path"] = [one.der for one in path]
        receipt = await session.submit("upload_certificate", **args)
        row: render.Row = {"certificate": hashed.hex(), "key": sm3(key).hex(), "with_path": bool(path)}
        return row | {"height": receipt.header.height, "final": True}

    show(run(config, work), as_json)


def name_authorities(
    config: CONFIG,
    file: Annotated[
        Path | None, typer.Option("--file", help="The authorities' certificates in PEM; without it, none.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Name the authorities whose certificates count 指定证书颁发机构; in force when a second officer names the same."""
    named = [] if file is None else _certificates(file)

    async def work(session: Session) -> render.Row:
        receipt = await session.submit("name_authorities", certificates=[one.der for one in named])
        return {"named": [one.label for one in named], "height": receipt.header.height, "final": True}

    show(run(config, work), as_json)


def authorities(config: CONFIG, as_json: JSON = False) -> None:
    """The authorities whose certificates count, proven."""
    from chain_core.crypto.x509.certificate import parse_certificate
    from service_registry.records import AUTHORITIES_KEY, SERVICES
    from service_registry.trust import decode_authorities

    async def work(session: Session) -> render.Row:
        key = (SERVICES, AUTHORITIES_KEY)
        found = decode_authorities((await session.chain.values([key]))[key])
        rows = [{"name": parse_certificate(der).label, "sm3": sm3(der).hex()} for der in found.certificates]
        return {"version": found.version, "since_height": found.height, "authorities": rows, "proven": True}

    show(run(config, work), as_json)


def check_source(
    file: Annotated[Path, typer.Argument(help="A file that `call --keep` wrote.")],
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Check whose received data are 核验数据来源: signature, certificate, offer, authority."""
    from service_registry.publishing.files import read_file
    from service_registry.source_marks import checked

    raw = read_file(file)
    show(run(config, lambda session: checked(session.chain, raw)), as_json)


def _certificates(file: Path) -> list[Certificate]:
    from chain_core.crypto.x509.files import load_certificates

    return load_certificates(file)
