"""Whether a certificate, a prepared certificate or a receipt proves what it claims (docs/spec/formats.md
§6, §7).

Structure first, signatures last and in one batch. The ``*_signatures`` functions do the structural half and
return what is left to verify, so that a caller may join several records in one batch verification.
"""

from __future__ import annotations

from chain_core.codec import signed
from chain_core.codec.block import batch_digest, decode_header, encode_batch, header_hash, header_message
from chain_core.codec.proofs import check_inclusion
from chain_core.codec.transaction import decode_receipt
from chain_core.codec.validator_set import validator_set_hash as hash_of_set
from chain_core.codec.wire import ascending
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.types.block import Batch, Certificate, Header, Phase, PreparedCertificate, SignedVote, Vote
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.packet import InclusionProof
from chain_core.types.transaction import Receipt
from chain_core.types.validator_set import ValidatorSet

_ASK_ANOTHER = "fetch it again from another node; these bytes prove nothing"


def _refuse(what: str, where: str) -> InvalidProof:
    return InvalidProof(what, where=where, next_step=_ASK_ANOTHER)


def check_header_chain(header: Header, validators: ValidatorSet, genesis_hash: bytes, where: str) -> None:
    """InvalidProof unless the header belongs to this chain, names this validator set and is above genesis."""
    if header.genesis_hash != genesis_hash:
        raise _refuse(f"the header's genesis hash is {header.genesis_hash.hex()}, another chain's", where)
    if header.validator_set_hash != hash_of_set(validators):
        raise _refuse("the header names another validator set", where)
    if header.height == 0:
        raise _refuse("height 0 is computed from the genesis document and never certified", where)


def certificate_signatures(
    header_bytes: bytes, certificate: Certificate, validators: ValidatorSet, genesis_hash: bytes
) -> tuple[Header, list[VerifyItem]]:
    """The structural half of ``check_certificate``: the header, and the q signatures that are left to
    verify.

    Raises InvalidProof: not a header, another chain or validator set, another header's certificate, not
    exactly q signers, signers not strictly ascending or unknown.
    """
    try:
        header = decode_header(header_bytes)
    except MalformedBytes as error:
        raise _refuse(error.what, f"header, {error.where}") from error
    where = f"certificate of height {header.height}"
    check_header_chain(header, validators, genesis_hash, where)
    hashed = header_hash(header_bytes)
    if certificate.header_hash != hashed:
        raise _refuse(f"it certifies header {certificate.header_hash.hex()}, not {hashed.hex()}", where)
    signers = [index for index, _ in certificate.signatures]
    if len(signers) != validators.q:
        raise _refuse(f"{len(signers)} signatures where exactly {validators.q} are needed", where)
    if not ascending(signers):
        raise _refuse("signers are not strictly ascending", where)
    if not 0 <= signers[0] <= signers[-1] < validators.n:
        raise _refuse(f"signer {signers[-1]} is no member of a set of {validators.n}", where)
    message = header_message(genesis_hash, hashed)
    return header, [(validators.key(index), message, signature) for index, signature in certificate.signatures]


def check_certificate(
    header_bytes: bytes, certificate: Certificate, validators: ValidatorSet, genesis_hash: bytes
) -> Header:
    """The header, when the certificate makes it final under ``validators``: exactly q valid signatures.

    Raises InvalidProof that says what does not hold.
    """
    header, items = certificate_signatures(header_bytes, certificate, validators, genesis_hash)
    for (index, _), valid in zip(certificate.signatures, provider().sm2_verify_many(items), strict=True):
        if not valid:
            raise _refuse(
                f"the signature of validator {index} ({validators.validators[index].name}) does not verify",
                f"certificate of height {header.height}",
            )
    return header


def check_receipt(
    receipt_bytes: bytes, inclusion: InclusionProof, header: Header, envelope_id: bytes | None = None
) -> Receipt:
    """The receipt, when it stands at the proof's index under the header's receipt root.

    ``header`` must be final (``check_certificate``); a client gives its own ``envelope_id``, so that nobody
    can hand it another transaction's receipt. Raises InvalidProof.
    """
    where = f"receipt {inclusion.index} of height {header.height}"
    check_inclusion(receipt_bytes, inclusion, header.receipt_count, header.receipt_root, where)
    try:
        receipt = decode_receipt(receipt_bytes)
    except MalformedBytes as error:
        raise _refuse(error.what, f"{where}, {error.where}") from error
    if receipt.ledger != header.ledger:
        raise _refuse(f"the receipt is of ledger {receipt.ledger}, the header of {header.ledger}", where)
    if envelope_id is not None and receipt.envelope_id != envelope_id:
        raise _refuse(f"the receipt is that of envelope {receipt.envelope_id.hex()}", where)
    return receipt


def vote_signature(vote: SignedVote, validators: ValidatorSet, genesis_hash: bytes) -> VerifyItem:
    """What verifies one ordering vote. Raises InvalidProof when its signer is no member."""
    signer = vote.vote.signer
    if signer >= validators.n:
        raise _refuse(f"signer {signer} is no member of a set of {validators.n}", _place(vote.vote))
    return validators.key(signer), signed.message(signed.VOTE, genesis_hash, vote.body), vote.signature


def check_proposal(vote: Vote, batch: Batch, validators: ValidatorSet) -> None:
    """InvalidProof unless ``vote`` is the PRE-PREPARE of its view's primary for exactly this batch (PBFT
    §4.2).
    """
    where = _place(vote)
    if vote.phase is not Phase.PRE_PREPARE:
        raise _refuse(f"a {vote.phase.name} where a PRE-PREPARE belongs", where)
    if vote.signer != validators.primary(vote.view):
        raise _refuse(f"replica {vote.signer} is not the primary of view {vote.view}", where)
    if (vote.ledger, vote.epoch, vote.height, vote.attempt) != (
        batch.ledger,
        batch.epoch,
        batch.height,
        batch.attempt,
    ):
        raise _refuse("the batch is of another ledger, epoch, height or attempt", where)
    if vote.digest != batch_digest(encode_batch(batch)):
        raise _refuse("the digest is not the batch's", where)


def prepared_signatures(
    prepared: PreparedCertificate, validators: ValidatorSet, genesis_hash: bytes
) -> list[VerifyItem]:
    """The q signatures of a prepared certificate that are left to verify, PRE-PREPARE first (PBFT §4.4, set
    P).

    Structure is checked here: the primary's PRE-PREPARE for this batch, and exactly q-1 PREPAREs for the
    same ledger, epoch, height, view, attempt and digest from strictly ascending replicas other than the
    primary. Raises InvalidProof.
    """
    proposal = prepared.pre_prepare.vote
    where = _place(proposal)
    check_proposal(proposal, prepared.batch, validators)
    if len(prepared.prepares) != validators.q - 1:
        raise _refuse(f"{len(prepared.prepares)} PREPAREs where exactly {validators.q - 1} are needed", where)
    signers = [vote.vote.signer for vote in prepared.prepares]
    if not ascending(signers):
        raise _refuse("PREPAREs are not strictly ascending by signer", where)
    if proposal.signer in signers:
        raise _refuse("the primary's PREPARE stands beside its PRE-PREPARE", where)
    for signed_vote in prepared.prepares:
        if signed_vote.vote != _prepare_for(proposal, signed_vote.vote.signer):
            raise _refuse(f"the vote of replica {signed_vote.vote.signer} is no PREPARE for it", where)
    votes = (prepared.pre_prepare, *prepared.prepares)
    return [vote_signature(vote, validators, genesis_hash) for vote in votes]


def _prepare_for(proposal: Vote, signer: int) -> Vote:
    return Vote(
        Phase.PREPARE,
        proposal.ledger,
        proposal.epoch,
        proposal.height,
        proposal.view,
        proposal.attempt,
        proposal.digest,
        signer,
    )


def _place(vote: Vote) -> str:
    return f"{vote.phase.name} of replica {vote.signer}, height {vote.height}, view {vote.view}"
