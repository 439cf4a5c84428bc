"""What ``dualchain ca show`` and ``ca verify`` print: certificates, requests and lists for people and programs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.certificate import Certificate
from chain_core.crypto.x509.crl import Crl, Crls
from chain_core.crypto.x509.files import CertificateFileRefused, load_certificates, load_crls, read_pem
from chain_core.crypto.x509.request import Request, parse_request
from chain_core.crypto.x509.roles import EVERY_CHAIN
from chain_core.crypto.x509.verify import Anchors, Usage, verify_chain
from chain_core.node.command import JSON, show

_SHOWN_SERIALS = 100


def show_file(
    file: Annotated[Path, typer.Argument(help="Certificates, a request or a revocation list: PEM, or DER of one.")],
    as_json: JSON = False,
) -> None:
    """Show what a file says. Nothing of it is verified but a request's own signature."""
    label, rows = _read(file)
    show({"file": str(file), "holds": label, "items": rows}, as_json)


def verify(
    file: Annotated[Path, typer.Argument(help="The chain in PEM, leaf first.")],
    anchors: Annotated[Path, typer.Option("--anchors", help="Whom to trust: a PEM bundle.")],
    usage: Annotated[Usage, typer.Option("--usage", help="What the leaf is shown for.")],
    chain: Annotated[str, typer.Option("--chain", help="Chain on which roles are read.")] = EVERY_CHAIN,
    lists: Annotated[Path | None, typer.Option("--crl", help="Revocation lists: a PEM bundle.")] = None,
    at: Annotated[
        datetime | None, typer.Option("--at", help="Time of the verification in UTC; now when it is not given.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Verify a chain as a node does, or say which rule it misses."""
    now_ms = time.time_ns() // 1_000_000 if at is None else int(at.replace(tzinfo=UTC).timestamp() * 1000)
    found = verify_chain(
        [one.der for one in load_certificates(file)],
        Anchors(tuple(load_certificates(anchors)), chain),
        now_ms,
        usage=usage,
        crls=None if lists is None else Crls(load_crls(lists)),
    )
    row = {"subject": found.subject, "entity": found.entity, "roles": list(found.roles), "usage": str(usage)}
    row |= {"serial": f"{found.serial:x}", "fingerprint": found.fingerprint.hex()}
    show(row | {"not_after": moment(found.not_after_ms), "revocation": "checked" if lists else "not checked"}, as_json)


def _read(file: Path) -> tuple[str, list[dict[str, Any]]]:
    refusal = None
    for label in (pem.CERTIFICATE, pem.REQUEST, pem.REVOCATION_LIST):
        try:
            match label:
                case pem.CERTIFICATE:
                    return label, [certificate_row(one) for one in load_certificates(file)]
                case pem.REQUEST:
                    return label, [_request_row(parse_request(der)) for der in read_pem(file, label)]
                case _:
                    return label, [_crl_row(one) for one in load_crls(file)]
        except CertificateFileRefused as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def certificate_row(one: Certificate) -> dict[str, Any]:
    """A certificate for people and programs."""
    said = one.extensions
    return {
        "subject": one.name.common_name,
        "entity": one.name.entity,
        "issuer": one.issuer.rfc4514_string(),
        "serial": f"{one.serial:x}",
        "not_before": moment(one.not_before_ms),
        "not_after": moment(one.not_after_ms),
        "authority": said.authority,
        "key_usage": sorted(map(str, said.key_usage or ())),
        "extended_key_usage": sorted(said.extended_usage or ()),
        "uris": list(said.uris),
        "addresses": list(said.addresses),
        "public_key": one.public_key.hex(),
        "fingerprint": one.fingerprint.hex(),
    }


def _request_row(one: Request) -> dict[str, Any]:
    asked = {"subject": one.subject.common_name, "entity": one.subject.entity}
    return asked | {"uris": list(one.extensions.uris), "public_key": one.public_key.hex()}


def _crl_row(one: Crl) -> dict[str, Any]:
    return {
        "issuer": one.issuer.rfc4514_string(),
        "number": one.number,
        "this_update": moment(one.this_update_ms),
        "next_update": moment(one.next_update_ms),
        "revoked": len(one.revoked),
        "serials": [f"{serial:x}" for serial in list(one.revoked)[:_SHOWN_SERIALS]],
    }


def moment(at_ms: int) -> str:
    """ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
