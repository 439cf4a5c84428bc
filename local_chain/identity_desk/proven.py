"""Records of DIDs and credentials as nodes prove them: of a market's chain, or of the supervisory one, which has those
of all markets (docs/spec/identity.md §3, §7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain_core.network.refusals import NotFound
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import InvalidProof
from crosschain.identity.authorisation import document_digest
from crosschain.identity.credentials import (
    PRESENTATION,
    Credential,
    Presentation,
    check_about_itself,
    parsed,
    verify_credential,
    verify_presentation,
)
from crosschain.identity.document import DidKey, DidRecord, listed
from crosschain.identity.known import Known, named_in
from crosschain.identity.records import CredentialRecord, credential_key, decode_credential, decode_did, did_key


async def record_of(client: VerifyingClient, did: str) -> DidRecord:
    """The DID's proven record. Raises NotFound."""
    _, (raw,) = await client.state([did_key(did)])
    if raw is None:
        raise NotFound(f"no DID {did} is on record", where="identities", next_step="have its market create it")
    return decode_did(raw)


async def credential_of(client: VerifyingClient, credential: str) -> CredentialRecord:
    """The credential's proven record. Raises NotFound."""
    _, (raw,) = await client.state([credential_key(credential)])
    if raw is None:
        raise NotFound(f"no credential {credential} is on record", where="identities", next_step="compare its id")
    return decode_credential(raw)


def key_in(record: DidRecord, key: bytes, purpose: str) -> DidKey:
    """Which of the record's keys this is. Raises NotFound when none in force."""
    for one in record.keys:
        if (one.key, one.purpose, one.until_ms) == (key, purpose, 0):
            return one
    raise NotFound(
        f"the key is no {purpose} key in force of {record.did}",
        where="identities",
        next_step="attach it to the account, then: local did update",
    )


async def known_of(client: VerifyingClient, document: Mapping[str, Any]) -> Known:
    """All that verifying the document asks about, proven under one header."""
    dids, credentials = named_in(document)
    keys = [*map(did_key, dids), *map(credential_key, credentials)]
    _, raws = await client.state(keys) if keys else (None, [])
    found = [None if raw is None else decode_did(raw) for raw in raws[: len(dids)]]
    rows = [None if raw is None else decode_credential(raw) for raw in raws[len(dids) :]]
    return Known(dict(zip(dids, found, strict=True)), dict(zip(credentials, rows, strict=True)))


async def verified(
    client: VerifyingClient, raw: bytes, *, now_ms: int, nonce: str
) -> tuple[Presentation | None, tuple[Credential, ...]]:
    """A presentation with its credentials, or the one credential, that hold by proven state.

    Raises CredentialRefused; InvalidProof for a credential other than the one on record.
    """
    document = parsed(raw)
    known = await known_of(client, document)
    if PRESENTATION in listed(document.get("type", [])):
        shown = verify_presentation(raw, known, now_ms=now_ms, nonce=nonce)
        check_about_itself(shown)
        held: tuple[Presentation | None, tuple[Credential, ...]] = shown, shown.credentials
    else:
        held = None, (verify_credential(raw, known, now_ms=now_ms),)
    for credential in held[1]:
        record = known.credentials[credential.id]
        if record is None or record.digest != document_digest(credential.document):
            raise InvalidProof(
                "the credential on record is another one", where=credential.id, next_step="ask its issuer"
            )
    return held
