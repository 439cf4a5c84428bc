"""The tree of expected refusals: each says what is wrong, where, and what to do next."""

from __future__ import annotations


class DualchainError(Exception):
    """Base of every refusal this project makes on purpose.

    ``what`` says what is wrong, ``where`` names the place (field, file and line, offset, height ...), and
    ``next_step`` tells the reader what to do about it.
    """

    code = "REFUSED"

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what = what
        self.where = where
        self.next_step = next_step
        text = f"{self.code}: {what}"
        if where:
            text += f" (at {where})"
        if next_step:
            text += f"; next: {next_step}"
        super().__init__(text)


class MalformedBytes(DualchainError):
    """Bytes from outside that are not the canonical encoding of any value (docs/spec/formats.md)."""

    code = "MALFORMED"


class InvalidTransaction(DualchainError):
    """A transaction that may not enter the pool or a batch."""

    code = "INVALID_TRANSACTION"


class PeerFault(DualchainError):
    """A peer sent what a correct peer never sends."""

    code = "PEER_FAULT"


class LocalFault(DualchainError):
    """This node's own disk, configuration or state is at fault."""

    code = "LOCAL_FAULT"


class InvalidProof(DualchainError):
    """A proof, certificate or header that does not verify."""

    code = "INVALID_PROOF"
