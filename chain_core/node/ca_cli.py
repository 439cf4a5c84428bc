"""``dualchain ca``: an authority of one's own in a directory (docs/spec/certificates.md §8).

Commands parse, call and print.
"""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chain_core.crypto.keys import load_private_key, write_private_key
from chain_core.crypto.passphrase import SOURCES, Passphrase, Unlock, parse_source, read_passphrase
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.authority import (
    Authority,
    Wish,
    create_intermediate,
    create_root,
    open_authority,
    read_index,
)
from chain_core.crypto.x509.certificate import Certificate
from chain_core.crypto.x509.errors import CertificateRefused, Reason
from chain_core.crypto.x509.files import load_certificates, read_pem, write_new
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.request import make_request, parse_request
from chain_core.crypto.x509.roles import CLIENT, EVERY_CHAIN, PEER, role_uri
from chain_core.node import ca_show
from chain_core.node.command import JSON, show
from chain_core.types.errors import LocalFault

app = typer.Typer(
    help="Certificates with SM2 证书: an authority, certificates, revocation lists.", no_args_is_help=True
)
app.command("show")(ca_show.show_file)
app.command("verify")(ca_show.verify)


class For(StrEnum):
    """What a certificate is asked for."""

    NODE = "node"
    CLIENT = "client"
    GATEWAY = "gateway"


class CaRefused(LocalFault):
    """A command that does not make sense as given."""

    code = "CA_REFUSED"


CA = Annotated[Path, typer.Option("--ca", help="Directory of the authority.")]
NAME = Annotated[str, typer.Option("--name", help="Common name: the validator's, account's or service's name.")]
ENTITY = Annotated[str, typer.Option("--entity", help="Legal name of the institution 机构全称.")]
CHAIN = Annotated[str, typer.Option("--chain", help="Chain on which the roles count; * for every chain.")]
ROLES = Annotated[list[str], typer.Option("--role", help="A further role; repeat for more.")]
ADDRESSES = Annotated[list[str], typer.Option("--address", help="An IP address of the node; repeat for more.")]
SOURCE = Annotated[
    str, typer.Option("--passphrase-from", metavar="SOURCE", help=f"Passphrase of the key files: {SOURCES}.")
]
OUT = Annotated[Path, typer.Option("--out", help="New file.")]
PURPOSE = Annotated[For, typer.Option("--for", help="What it is for: node, client or gateway.")]


def _days(default: int, what: str) -> typer.models.OptionInfo:
    option = typer.Option("--days", min=1, max=36_500, help=f"How long {what} holds, in days ({default}).")
    assert isinstance(option, typer.models.OptionInfo)
    return option


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="New directory for the authority.")],
    name: NAME,
    entity: ENTITY,
    days: Annotated[int, _days(7_300, "the root")] = 7_300,
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Make a root authority. Keep its directory off the network; let intermediates do the daily work."""
    secret = read_passphrase(parse_source(source), new=True, purpose=f"the key in {directory}") if source else None
    made = create_root(directory, Subject(name, entity), days=days, now_ms=_now_ms(), path_length=1, passphrase=secret)
    _show_authority(made, as_json)


@app.command()
def intermediate(
    directory: Annotated[Path, typer.Argument(help="New directory for the authority.")],
    ca: CA,
    name: NAME,
    entity: ENTITY,
    days: Annotated[int, _days(3_650, "the intermediate")] = 3_650,
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Make an authority below another one; it issues to nodes and clients."""
    unlock = _unlock(source)
    parent, subject = open_authority(ca, unlock), Subject(name, entity)
    made = create_intermediate(parent, directory, subject, days=days, now_ms=_now_ms(), passphrase=_passphrase(unlock))
    _show_authority(made, as_json)


@app.command()
def issue(
    ca: CA,
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; those that stand there stay.")],
    purpose: PURPOSE,
    name: NAME,
    entity: ENTITY,
    chain: CHAIN = EVERY_CHAIN,
    roles: ROLES = [],  # noqa: B006 - typer reads it and never changes it
    addresses: ADDRESSES = [],  # noqa: B006
    key: Annotated[
        Path | None, typer.Option("--key", help="Key file to certify, a node's transport.key; none: a new key is made.")
    ] = None,
    days: Annotated[int, _days(730, "the pair")] = 730,
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Issue a pair of certificates with their keys: one that signs (sessions), one that is encrypted to.

    Writes signing.pem with its chain, signing.key unless --key names one, encryption.pem, encryption.key, anchors.pem.
    """
    unlock, now_ms = _unlock(source), _now_ms()
    authority, passphrase = open_authority(ca, unlock), _passphrase(unlock)
    uris, subject = _uris(purpose, chain, roles), Subject(name, entity)
    signing = load_private_key(key, unlock) if key is not None else generate_private_key()
    sealing = generate_private_key()
    server = purpose is not For.CLIENT
    wishes = [
        Wish(Kind.SIGNING, subject, _public(signing), days, server, uris, tuple(addresses)),
        Wish(Kind.ENCRYPTION, subject, _public(sealing), days, False, uris),
    ]
    out.mkdir(parents=True, exist_ok=True)
    if key is None:
        write_private_key(out / "signing.key", signing, passphrase)
    write_private_key(out / "encryption.key", sealing, passphrase)
    made = authority.issue_all(wishes, now_ms)
    for label, one in zip(("signing", "encryption"), made, strict=True):
        write_new(out / f"{label}.pem", authority.chain_pem(one))
    write_new(out / "anchors.pem", authority.anchors_pem())
    show({"directory": str(out), "certificates": [ca_show.certificate_row(one) for one in made]}, as_json)


@app.command()
def request(
    key: Annotated[Path, typer.Argument(help="Key file to be certified.")],
    name: NAME,
    entity: ENTITY,
    out: OUT,
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Make a request (PKCS #10) for a key, to be signed by somebody else's authority."""
    private = load_private_key(key, _unlock(source))
    write_new(out, pem.to_pem(pem.REQUEST, make_request(Subject(name, entity), private)))
    show({"request": str(out), "subject": name, "public_key": _public(private).hex()}, as_json)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="The request, PEM or DER.")],
    ca: CA,
    out: OUT,
    purpose: PURPOSE,
    kind: Annotated[
        Kind, typer.Option("--kind", help="signing or encryption; intermediate: an authority.")
    ] = Kind.SIGNING,
    chain: CHAIN = EVERY_CHAIN,
    roles: ROLES = [],  # noqa: B006
    addresses: ADDRESSES = [],  # noqa: B006
    days: Annotated[int, _days(730, "the certificate")] = 730,
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Certify a request: its key and its name. Roles are what this command says, not what the request asks for."""
    asked = parse_request(read_pem(file, pem.REQUEST)[0])
    if not asked.subject.common_name:
        raise CertificateRefused(Reason.MALFORMED, "the request names nobody", where=str(file))
    if kind is Kind.ROOT:
        raise CaRefused("nobody else signs a root", where="--kind", next_step="make one with: dualchain ca init")
    authority = open_authority(ca, _unlock(source))
    leaf = kind is not Kind.INTERMEDIATE
    wish = Wish(
        kind,
        asked.subject,
        asked.public_key,
        days,
        kind is Kind.SIGNING and purpose is not For.CLIENT,
        _uris(purpose, chain, roles) if leaf else (),
        tuple(addresses) if leaf else (),
        None if leaf else 0,
    )
    made = authority.issue(wish, _now_ms())
    write_new(out, authority.chain_pem(made))
    show({"certificate": str(out)} | ca_show.certificate_row(made), as_json)


@app.command()
def revoke(
    ca: CA,
    certificate: Annotated[str, typer.Argument(help="Its serial number in hexadecimal, or its file.")],
    reason: Annotated[
        str, typer.Option("--reason", help="unspecified, key-compromise, superseded, cessation, withdrawn ...")
    ] = "unspecified",
    days: Annotated[int, _days(7, "the new list")] = 7,
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Revoke a certificate for good, and write a new list; nodes read it when it reaches their security.crl."""
    authority = open_authority(ca, _unlock(source))
    entry = authority.revoke(_serial(certificate), reason, _now_ms())
    path = authority.write_crl(days, _now_ms())
    row = {"serial": f"{entry.serial:x}", "subject": entry.subject, "reason": entry.reason, "list": str(path)}
    show(row, as_json)


@app.command()
def crl(
    ca: CA,
    days: Annotated[int, _days(7, "the list")] = 7,
    source: SOURCE = "",
    as_json: JSON = False,
) -> None:
    """Write a new revocation list to crl.pem of the authority; do it before the last one's next update."""
    path = open_authority(ca, _unlock(source)).write_crl(days, _now_ms())
    ca_show.show_file(path, as_json)


@app.command("list")
def list_issued(ca: CA, as_json: JSON = False) -> None:
    """What the authority has issued, and what of it is revoked."""
    rows = [
        {
            "serial": f"{one.serial:x}",
            "kind": one.kind,
            "subject": one.subject,
            "entity": one.entity,
            "not_after": ca_show.moment(one.not_after_ms),
            "revoked": f"{ca_show.moment(one.revoked_ms)} {one.reason}" if one.revoked_ms else "",
        }
        for one in read_index(ca).entries.values()
    ]
    show({"certificates": rows}, as_json)


def _show_authority(authority: Authority, as_json: bool) -> None:
    authority.write_crl(30, _now_ms())
    show({"directory": str(authority.directory)} | ca_show.certificate_row(authority.certificate), as_json)


def _uris(purpose: For, chain: str, roles: list[str]) -> tuple[str, ...]:
    first = PEER if purpose is For.NODE else CLIENT
    if purpose is For.CLIENT and PEER in roles:
        raise CaRefused(
            "a client is no validator's node", where="--role", next_step="use --for node for a node's transport key"
        )
    return tuple(role_uri(role, chain) for role in dict.fromkeys((first, *roles)))


def _serial(text: str) -> int:
    path = Path(text)
    if path.is_file():
        return _first(path).serial
    try:
        return int(text.replace(":", ""), 16)
    except ValueError:
        raise CaRefused(
            f"{text!r} is no serial number and no file", where="certificate", next_step="see dualchain ca list"
        ) from None


def _first(path: Path) -> Certificate:
    return load_certificates(path)[0]


def _public(private: bytes) -> bytes:
    return signing_provider().sm2_public_key(private)


def _unlock(source: str) -> Unlock | None:
    return Unlock(parse_source(source), plain=True) if source else None


def _passphrase(unlock: Unlock | None) -> Passphrase | None:
    """New keys are encrypted as the authority's own is."""
    return unlock.passphrase() if unlock is not None else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
