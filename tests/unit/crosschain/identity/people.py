"""Issuers and holders with test keys, and a look-up that answers from a table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from crosschain.identity.credentials import LookUpFailed
from crosschain.identity.document import ASSERTION, AUTHENTICATION, DidKey, DidRecord
from crosschain.identity.records import VALID

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
MARKET = "did:rem:shanghai:91310000564759688N"
INVESTOR = "did:rem:shanghai:Q123456789"
COMPANY = "did:rem:shanghai:SH000001F"
CREDENTIAL = "did:rem:shanghai:VC000001"
STATUS_URL = "https://resolver.example/status/did:rem:shanghai:VC000001"


def private_key(name: str) -> bytes:
    return sm3(b"private key of " + name.encode())


@dataclass(frozen=True)
class Person:
    """A DID with one key for each purpose, numbers 1 and 2."""

    did: str

    def public(self, purpose: str) -> bytes:
        return signing_provider().sm2_public_key(private_key(f"{self.did} {purpose}"))

    def sign(self, purpose: str, message: bytes) -> bytes:
        return signing_provider().sm2_sign(private_key(f"{self.did} {purpose}"), message)

    @property
    def record(self) -> DidRecord:
        begin = NOW_MS - 100 * DAY_MS
        keys = tuple(DidKey(n, self.public(p), p, begin) for n, p in ((1, AUTHENTICATION), (2, ASSERTION)))
        return DidRecord(self.did, bytes(16), begin, begin, 1, True, keys)

    def key(self, purpose: str) -> DidKey:
        return next(key for key in self.record.keys if key.purpose == purpose)


@dataclass
class Table:
    """What is on record; statuses default to valid."""

    records: dict[str, DidRecord] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    def record(self, did: str) -> DidRecord | None:
        if self.silent:
            raise LookUpFailed("nobody answers")
        return self.records.get(did)

    def status(self, url: str, credential: str) -> str:
        self.asked.append(url)
        found = self.statuses.get(credential, VALID)
        if found == "silent":
            raise LookUpFailed("nobody answers")
        return found

    def change(self, did: str, **changes: object) -> None:
        self.records[did] = replace(self.records[did], **changes)  # type: ignore[arg-type]


def table(*people: str) -> Table:
    return Table({did: Person(did).record for did in people})
