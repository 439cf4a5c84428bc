"""The table of fuzz targets, and the harnesses that run them: a new decoder is one line in the module of its part.

A harness is one fuzzing process over related targets; the first byte of its input chooses among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from tests.fuzz import (
    targets_border,
    targets_business,
    targets_crypto,
    targets_documents,
    targets_ledger,
    targets_network,
    targets_texts,
)
from tests.fuzz.target import Target

PARTS: dict[str, list[Target]] = {
    "consensus": list(targets_ledger.targets()),
    "requests": list(targets_network.targets()),
    "keys": list(targets_crypto.targets()),
    "payloads": list(targets_business.targets()),
    "records": list(targets_texts.targets()),
    "border": list(targets_border.targets()),
    "documents": list(targets_documents.targets()),
}
"""By the harness that runs what no word below names."""
TARGETS: dict[str, Target] = {target.name: target for target in chain(*PARTS.values())}

_PREFIXES = {
    "transactions": "value map seen- genesis transaction-body envelope receipt validator-set registration",
    "consensus": "header certificate batch block vote signed- header-vote prepared- view-change new-view equivocation"
    " conviction journal- archived-block",
    "proofs": "packet inclusion- consistency- state-proof certified-header proven- light-client directive-packet"
    " list-evidence packed-list",
    "snapshots": "snapshot- archive- recording-",
    "peers": "peer- refusal-metadata",
    "session": "session- signature-der",
    "requests": "request- service-call",
    "signer": "signer-",
    "certificates": "certificate-x509 revocation- certificate-request certificate-chain certificate-pem authority-",
    "keys": "key- passphrase- sm2-",
    "payloads": "directive acknowledgement report data- call reply joint-test definition endpoint rpc-endpoint",
    "state": "roll- kernel- service-",
    "json": "json schema- definition-file",
    "configurations": "config- genesis-file",
    "tables": "table- node-plan identifier",
    "records": "audit- evidence-",
    "border": "jrt0314-",
    "identity": "identity-",
    "documents": "document- govdata-",
}


@dataclass(frozen=True)
class Harness:
    """What one process fuzzes."""

    name: str
    targets: tuple[Target, ...]

    @property
    def max_len(self) -> int:
        """In bytes, the one that chooses included."""
        return 1 + max(target.max_len for target in self.targets)

    @property
    def compare(self) -> bool:
        """Whether compared values guide it."""
        return any(target.compare for target in self.targets)

    def pick(self, data: bytes) -> tuple[Target, bytes] | None:
        """Which target gets what of an input."""
        return (self.targets[data[0] % len(self.targets)], data[1:]) if data else None

    def wrap(self, target: Target, data: bytes) -> bytes:
        """The reverse."""
        return bytes([self.targets.index(target)]) + data


def _harness_of(name: str) -> str:
    """The one whose words fit best: the longest that is the name, or begins it and ends in a hyphen."""
    fitting = [
        (len(word), harness)
        for harness, words in _PREFIXES.items()
        for word in words.split(" ")
        if name == word or (word.endswith("-") and name.startswith(word))
    ]
    if fitting:
        return max(fitting)[1]
    return next(harness for harness, members in PARTS.items() if any(target.name == name for target in members))


def _harnesses() -> Iterator[Harness]:
    chosen: dict[str, list[Target]] = {name: [] for name in _PREFIXES}
    for target in TARGETS.values():
        chosen[_harness_of(target.name)].append(target)
    for name, members in chosen.items():
        yield Harness(name, tuple(members))


HARNESSES: dict[str, Harness] = {harness.name: harness for harness in _harnesses()}


def harness(name: str) -> Harness:
    """By its name; a target's name stands for that target alone. LookupError."""
    if name in HARNESSES:
        return HARNESSES[name]
    if name in TARGETS:
        return Harness(name, (TARGETS[name],))
    raise LookupError(f"no target or harness {name}")


def home(target: Target) -> Harness:
    """The harness that runs a target."""
    return HARNESSES[_harness_of(target.name)]
