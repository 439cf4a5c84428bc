"""``dualchain local credential``: issue, present, verify, revoke credentials (docs/spec/identity.md §5, §7, §8)."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from chain_core.crypto.providers import signing_provider
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer
from chain_core.node.key_protection import open_key
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError, MalformedBytes
from chain_core.types.values import Value
from crosschain.identity.authorisation import document_bytes, document_digest
from crosschain.identity.canonical import NotSignable
from crosschain.identity.credentials import CredentialRefused, issue, parsed, present
from crosschain.identity.did import PREFIX, parse_did
from crosschain.identity.document import ASSERTION, AUTHENTICATION, date_time
from local_chain.identity_desk import proven
from local_chain.identity_desk.did_cli import ACCOUNT, EVIDENCE, KEY, OUTPUT, hash_of, now_ms, submit

credential_app = typer.Typer(help="Verifiable credentials 可验证凭证 (JR/T 0325).", no_args_is_help=True)

DAY_MS = 86_400_000
SECOND_MS = 1_000
SEE = "see docs/spec/identity.md §5"


class Refused(DualchainError):
    """A credential or presentation that does not hold: the first check that failed (docs/spec/identity.md §7)."""

    code = "CREDENTIAL_REFUSED"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedBytes(f"cannot be read: {error.strerror}", where=str(path), next_step="name the file") from error


def _write(path: Path, raw: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(raw)
    except OSError as error:
        raise MalformedBytes(
            f"cannot be written: {error.strerror}", where=str(path), next_step="name a new file"
        ) from error


def _document(path: Path) -> dict[str, Any]:
    try:
        return parsed(_read(path))
    except CredentialRefused as refused:
        raise MalformedBytes(refused.detail, where=str(path), next_step=SEE) from refused


@credential_app.command("issue")
def issue_one(
    kind: Annotated[str, typer.Option("--kind", help="Subtype 类型, for example QualifiedInvestorCredential.")],
    issuer: Annotated[str, typer.Option("--issuer", help="Your DID 签发方标识.")],
    subject: Annotated[str, typer.Option("--subject", help="The subject's DID 主体标识.")],
    claims: Annotated[Path, typer.Option("--claims", help="JSON object with the claims 声明内容.")],
    assertion_key: Annotated[Path, typer.Option("--assertion-key", help="Your assertion key 声明密钥.")],
    output: OUTPUT,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    days: Annotated[int, typer.Option("--days", min=1, max=3_660, help="For how many days 有效天数.")] = 365,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Issue a credential 签发凭证 and put its status on record; the credential itself stays with its holder."""
    private, signer, said = open_key(key, passphrase), open_key(assertion_key, passphrase), _document(claims)
    if output.exists():
        raise MalformedBytes("the file is there already", where=str(output), next_step="name a new file")

    async def ask(client: VerifyingClient) -> render.Row:
        record = await proven.record_of(client, issuer)
        own = proven.key_in(record, signing_provider().sm2_public_key(signer), ASSERTION)
        begin = max((now_ms() // SECOND_MS - 1) * SECOND_MS, -(-own.from_ms // SECOND_MS) * SECOND_MS)
        until = begin + days * DAY_MS
        credential = f"{PREFIX}{parse_did(issuer).label}:VC{10**17 + secrets.randbelow(9 * 10**17)}"
        try:
            made = issue(
                credential,
                kind,
                record,
                own,
                [{"id": subject, **said}],
                from_ms=begin,
                until_ms=until,
                status_url=f"https://resolver.{parse_did(issuer).label}.rem/status/{credential}",
                sign=lambda message: signing_provider().sm2_sign(signer, message),
            )
        except (ValueError, NotSignable) as error:
            raise MalformedBytes(str(error), where="credential", next_step=SEE) from error
        args: dict[str, Value] = {
            "credential": credential,
            "issuer": issuer,
            "digest": document_digest(made),
            "kind": kind,
            "subject": subject,
            "valid_from_ms": begin,
            "expires_ms": until,
        }
        _write(output, document_bytes(made))
        done = await submit(client, account, private, "issue", args)
        return {"credential": credential, "until": date_time(until), "file": str(output), **done}

    answer(genesis, node, ask, as_json)


@credential_app.command("present")
def present_some(
    credential: Annotated[list[Path], typer.Argument(help="Credentials to show 凭证文件.")],
    holder: Annotated[str, typer.Option("--holder", help="Your DID 持有方标识.")],
    nonce: Annotated[str, typer.Option("--nonce", help="What the verifier gave you, Base64URL 随机数.")],
    auth_key: Annotated[Path, typer.Option("--auth-key", help="Your did-auth key 认证密钥.")],
    output: OUTPUT,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Make a presentation 出示凭证 that answers this verifier's nonce."""
    private, shown = open_key(auth_key, passphrase), [_document(path) for path in credential]

    async def ask(client: VerifyingClient) -> render.Row:
        record = await proven.record_of(client, holder)
        own = proven.key_in(record, signing_provider().sm2_public_key(private), AUTHENTICATION)
        try:
            made = present(
                record,
                own,
                shown,
                now_ms=max((now_ms() // SECOND_MS - 1) * SECOND_MS, -(-own.from_ms // SECOND_MS) * SECOND_MS),
                nonce=nonce,
                sign=lambda message: signing_provider().sm2_sign(private, message),
            )
        except (ValueError, NotSignable) as error:
            raise MalformedBytes(str(error), where="presentation", next_step=SEE) from error
        _write(output, document_bytes(made))
        return {"holder": holder, "credentials": len(shown), "presentation": str(output)}

    answer(genesis, node, ask, as_json)


@credential_app.command()
def verify(
    document: Annotated[Path, typer.Argument(help="A credential or a presentation 凭证或出示文件.")],
    node: NODES,
    genesis: GENESIS,
    nonce: Annotated[
        str, typer.Option("--nonce", help="The one you gave to the holder of a presentation 随机数.")
    ] = "",
    as_json: JSON = False,
) -> None:
    """Verify 验证 against proven state: of its market's chain, or of the supervisory one."""
    raw = _read(document)

    async def ask(client: VerifyingClient) -> render.Row:
        try:
            shown, held = await proven.verified(client, raw, now_ms=now_ms(), nonce=nonce)
        except CredentialRefused as refused:
            raise Refused(
                f"验证未通过 {refused.code}: {refused.detail}",
                where=str(document),
                next_step="see docs/spec/identity.md §7",
            ) from refused
        return {
            "holder": "" if shown is None else shown.holder,
            "credentials": [
                {
                    "id": one.id,
                    "kind": one.types[-1],
                    "issuer": one.issuer,
                    "subjects": sorted(one.subject_ids),
                    "until": date_time(one.expires_ms),
                }
                for one in held
            ],
            "holds": True,
        }

    answer(genesis, node, ask, as_json)


@credential_app.command()
def status(
    credential: Annotated[str, typer.Argument(help="Its identifier 凭证标识.")],
    node: NODES,
    genesis: GENESIS,
    as_json: JSON = False,
) -> None:
    """A credential's status 凭证状态, proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        found = await proven.credential_of(client, credential)
        return {
            "credential": credential,
            "status": found.status,
            "kind": found.kind,
            "issuer": found.issuer,
            "subject": found.subject,
            "until": date_time(found.expires_ms),
            "digest": found.digest.hex(),
        }

    answer(genesis, node, ask, as_json)


@credential_app.command()
def revoke(
    credential: Annotated[str, typer.Argument(help="Its identifier 凭证标识.")],
    evidence: EVIDENCE,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Revoke a credential 吊销凭证, as its issuer or the market's operator: for good, from the next block on."""
    private, why = open_key(key, passphrase), hash_of(evidence)

    async def ask(client: VerifyingClient) -> render.Row:
        args: dict[str, Value] = {"credential": credential, "evidence": why}
        return {"credential": credential, **await submit(client, account, private, "revoke", args)}

    answer(genesis, node, ask, as_json)
