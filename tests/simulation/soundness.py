"""Certificates judged from the paper alone, by arithmetic of our own: what the code under test believes is not asked.

Castro and Liskov §4.2 to §4.4; docs/spec/pbft.md. Each function says what is wrong, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chain_core.codec import signed
from chain_core.codec.block import batch_digest, decode_header, encode_batch, header_hash, header_message
from chain_core.consensus.messages import CommitProof
from chain_core.crypto.provider import VerifyItem
from chain_core.types.block import (
    Batch,
    Certificate,
    Phase,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    SignedVote,
)
from chain_core.types.validator_set import ValidatorSet


def quorum_of(n: int) -> int:
    """Any two of so many share a correct one."""
    faulty = (n - 1) // 3
    return -(-(n + faulty + 1) // 2)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges what stands under the validators of one epoch."""

    validators: ValidatorSet
    genesis_hash: bytes
    verify: Callable[[Sequence[VerifyItem]], list[bool]]
    other: Callable[[int], Judge]
    """The judge of another epoch."""

    @property
    def n(self) -> int:
        return len(self.validators.validators)

    @property
    def q(self) -> int:
        return quorum_of(self.n)

    def certificate(self, header: bytes, certificate: Certificate) -> str:
        """Exactly q signatures over the header, by members in ascending order."""
        signers = [signer for signer, _ in certificate.signatures]
        if fault := self._members(signers, self.q):
            return fault
        message = header_message(self.genesis_hash, header_hash(header))
        return self._signed((self._key(signer), message, signature) for signer, signature in certificate.signatures)

    def prepared(self, certificate: PreparedCertificate) -> str:
        """The primary's PRE-PREPARE and q-1 PREPAREs of others, all for this batch in one view."""
        first = certificate.pre_prepare.vote
        signers = [vote.vote.signer for vote in certificate.prepares]
        if first.signer != first.view % self.n or first.phase is not Phase.PRE_PREPARE or first.signer in signers:
            return "not proposed by the primary of its view"
        if fault := self._members(signers, self.q - 1):
            return fault
        place = (first.height, first.view, first.digest)
        if any((v.vote.height, v.vote.view, v.vote.digest) != place for v in certificate.prepares):
            return "of votes for different places"
        if any(v.vote.phase is not Phase.PREPARE for v in certificate.prepares):
            return "of votes that are no PREPAREs"
        return self._of_batch(certificate.batch, (certificate.pre_prepare, *certificate.prepares))

    def proof(self, proof: CommitProof) -> str:
        """q COMMITs of one view for one batch."""
        first = proof.commits[0].vote
        if fault := self._members([c.vote.signer for c in proof.commits], self.q):
            return fault
        for commit in proof.commits:
            vote = commit.vote
            if (vote.phase, vote.height, vote.view, vote.digest) != (
                *(Phase.COMMIT, first.height, first.view, first.digest),
            ):
                return "of votes for different places"
        return self._of_batch(proof.batch, proof.commits)

    def view_change(self, change: SignedViewChange) -> str:
        """Its certificates hold, and it is signed."""
        message = change.message
        header = decode_header(message.final_header)
        final = header.height
        if message.final_certificate is None:
            if final:
                return f"shows height {final} without a certificate"
        elif fault := self.other(header.epoch).certificate(message.final_header, message.final_certificate):
            return f"shows a final header with a certificate {fault}"
        for prepared in message.prepared:
            if prepared.batch.height <= final or prepared.pre_prepare.vote.view >= message.new_view:
                return "shows what was prepared below its final height or in a later view"
            if fault := self.prepared(prepared):
                return f"shows a prepared certificate {fault}"
        return self._signed([self._item(signed.VIEW_CHANGE, message.signer, change.body, change.signature)])

    def new_view(self, new_view: SignedNewView) -> str:
        """q VIEW-CHANGEs for its view, and PRE-PREPAREs for just what they oblige to."""
        message = new_view.message
        changes = message.view_changes
        if message.signer != message.view % self.n or {c.message.new_view for c in changes} != {message.view}:
            return "is not that of its primary for its view"
        if fault := self._members([c.message.signer for c in changes], self.q):
            return f"holds VIEW-CHANGEs {fault}"
        for change in changes:
            if fault := self.view_change(change):
                return f"holds a VIEW-CHANGE that {fault}"
        said = [(vote.vote.height, vote.vote.digest) for vote in message.pre_prepares]
        if said != obliged(message.ledger, message.epoch, changes):
            return "does not re-propose what was prepared"
        return self._signed([self._item(signed.NEW_VIEW, message.signer, new_view.body, new_view.signature)])

    def _members(self, signers: list[int], count: int) -> str:
        if len(signers) != count:
            return f"of {len(signers)} signatures, not {count}"
        if signers != sorted(set(signers)) or not 0 <= signers[0] <= signers[-1] < self.n:
            return f"of signers {signers}"
        return ""

    def _of_batch(self, batch: Batch, votes: Iterable[SignedVote]) -> str:
        digest = batch_digest(encode_batch(batch))
        items = []
        for vote in votes:
            if (vote.vote.digest, vote.vote.height) != (digest, batch.height):
                return "of votes for another batch"
            items.append(self._item(signed.VOTE, vote.vote.signer, vote.body, vote.signature))
        return self._signed(items)

    def _key(self, signer: int) -> bytes:
        return self.validators.validators[signer].consensus_key

    def _item(self, kind: bytes, signer: int, body: bytes, signature: bytes) -> VerifyItem:
        return self._key(signer), signed.message(kind, self.genesis_hash, body), signature

    def _signed(self, items: Iterable[VerifyItem]) -> str:
        return "" if all(self.verify(list(items))) else "with a wrong signature"


def obliged(ledger: int, epoch: int, changes: Sequence[SignedViewChange]) -> list[tuple[int, bytes]]:
    """Height and digest of what a NEW-VIEW of these must re-propose: above the highest certificate, up to the highest
    prepared height, what was prepared in the highest view there, else nothing at all at that height.
    """
    base = max(decode_header(change.message.final_header).height for change in changes)
    shown = [prepared for change in changes for prepared in change.message.prepared if prepared.batch.height > base]
    top = max((prepared.batch.height for prepared in shown), default=base)
    due = []
    for height in range(base + 1, top + 1):
        there = [prepared.pre_prepare.vote for prepared in shown if prepared.batch.height == height]
        empty = batch_digest(encode_batch(Batch(ledger, epoch, height, 0, 0, ())))
        due.append((height, max(there, key=lambda vote: vote.view).digest if there else empty))
    return due
