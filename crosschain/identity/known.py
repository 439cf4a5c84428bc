"""What verifiers look up, when a chain has proven it beforehand (docs/spec/identity.md §7). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crosschain.identity.credentials import LookUpFailed
from crosschain.identity.document import DidRecord, listed
from crosschain.identity.records import NOT_EXIST, CredentialRecord

MAX_NAMED = 33
"""A holder, 16 credentials and their issuers."""


@dataclass(frozen=True, slots=True)
class Known:
    """Proven records; a ``LookUp``: the chain's own word, whatever URL a credential names."""

    dids: Mapping[str, DidRecord | None]
    credentials: Mapping[str, CredentialRecord | None]

    def record(self, did: str) -> DidRecord | None:
        """What is on record of the DID; LookUpFailed for one that was not asked about."""
        if did not in self.dids:
            raise LookUpFailed(f"{did} was not asked about")
        return self.dids[did]

    def status(self, url: str, credential: str) -> str:
        """Its status on record."""
        found = self.credentials.get(credential)
        return NOT_EXIST if found is None else found.status


def named_in(document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(DIDs, credentials' identifiers) that verifying the document will ask about, as far as they are texts.

    ``document`` is a credential or a presentation; nothing of it is checked here.
    """
    shown = listed(document.get("verifiableCredential", []))
    rows = [one for one in (document, *shown) if isinstance(one, Mapping)][:MAX_NAMED]
    dids = [row.get(name) for row in rows for name in ("holder", "issuer")]
    credentials = [row.get("id") for row in rows]
    return (
        sorted({did for did in dids if isinstance(did, str)}),
        sorted({one for one in credentials if isinstance(one, str)}),
    )
