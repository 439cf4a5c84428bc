"""Which signatures a consensus message rests on: its structure is checked here, the signatures in one batch
by ingress.

A message that passes, and whose every triple verifies, is ``Verified``: nested votes and certificates
included. What depends on a replica's own state (window, view, what a NEW-VIEW is obliged to re-propose) is
the core's to judge.
"""

from __future__ import annotations

from typing import assert_never

from chain_core.codec import signed
from chain_core.codec.block import batch_digest, decode_header, encode_batch, header_message
from chain_core.codec.certificates import (
    certificate_signatures,
    check_header_chain,
    check_proposal,
    prepared_signatures,
    vote_signature,
)
from chain_core.codec.reopening import statement_message
from chain_core.codec.votes import MAX_WINDOW
from chain_core.codec.wire import ascending
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.crypto.provider import VerifyItem
from chain_core.execution.epochs import EpochInfo
from chain_core.network.epoch_book import EpochBook, UnknownEpoch, epoch_of
from chain_core.types.block import (
    Certificate,
    Header,
    HeaderVote,
    NewView,
    Phase,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
)
from chain_core.types.errors import InvalidProof, MalformedBytes, PeerFault
from chain_core.types.reopening import SignedStatement
from chain_core.types.validator_set import ValidatorSet

_NEXT = "drop the message; a link that repeats this is cut"


def signature_triples(message: Message, book: EpochBook, genesis_hash: bytes, first_header: bytes) -> list[VerifyItem]:
    """(public key, message M, signature) of every signature in ``message``, nested ones too, each once.

    Members, n, q and keys are those of the message's epoch; ``first_header`` is the ledger's header of height 0, the
    only one that counts without a certificate. Empty for a heartbeat, which is an unsigned hint.
    Raises PeerFault for what no correct replica sends, UnknownEpoch for an epoch that is not known here.
    """
    try:
        items = _items(message, book, genesis_hash, first_header)
    except (InvalidProof, MalformedBytes) as error:
        raise PeerFault(error.what, where=error.where, next_step=_NEXT) from error
    # The view changes of one NEW-VIEW mostly carry the same certificates.
    return list(dict.fromkeys(items))


def signature_count(message: Message) -> int:
    """How many signatures ``message`` claims, nested ones too: by its form, and no fewer than are verified."""
    match message:
        case SignedVote() | HeaderVote() | PrePrepare():
            return 1
        case Heartbeat():
            return 0
        case SignedStatement(evidence=evidence):
            return 1 if evidence is None else 2
        case CommitProof(commits=commits):
            return len(commits)
        case FinalityNotice(certificate=certificate):
            return len(certificate.signatures)
        case SignedViewChange(message=change):
            certificate_size = len(change.final_certificate.signatures) if change.final_certificate else 0
            return 1 + certificate_size + sum(1 + len(prepared.prepares) for prepared in change.prepared)
        case SignedNewView(message=new_view):
            return 1 + len(new_view.pre_prepares) + sum(map(signature_count, new_view.view_changes))
        case _:
            assert_never(message)


def _items(message: Message, book: EpochBook, genesis_hash: bytes, first_header: bytes) -> list[VerifyItem]:
    match message:
        case PrePrepare(vote=vote, batch=batch):
            validators = _validators(book, vote.vote.epoch, vote.vote.height, "PRE-PREPARE")
            check_proposal(vote.vote, batch, validators)
            return [vote_signature(vote, validators, genesis_hash)]
        case SignedVote():
            validators = _validators(book, message.vote.epoch, message.vote.height, message.vote.phase.name)
            _check_bare_vote(message, validators)
            return [vote_signature(message, validators, genesis_hash)]
        case CommitProof(batch=batch):
            validators = _validators(book, batch.epoch, batch.height, "commit proof")
            return _commit_proof(message, validators, genesis_hash)
        case HeaderVote(header=header):
            validators = _validators(book, header.epoch, header.height, "header vote")
            return [_header_vote(message, validators, genesis_hash)]
        case SignedStatement(statement=made):
            validators = _validators(book, made.epoch, made.height, "statement")
            return _statement(message, validators, genesis_hash)
        case SignedViewChange():
            return _view_change(message, book, genesis_hash, first_header)
        case SignedNewView():
            return _new_view(message, book, genesis_hash, first_header)
        case FinalityNotice(header_bytes=header_bytes, certificate=certificate):
            return certified_signatures(header_bytes, certificate, book, genesis_hash)[1]
        case Heartbeat():
            info = book.by_number(message.epoch)
            if info is not None:
                _check_member(message.sender, info.validators, "heartbeat")
            return []
        case _:
            assert_never(message)


def certified_signatures(
    header_bytes: bytes, certificate: Certificate, book: EpochBook, genesis_hash: bytes
) -> tuple[Header, list[VerifyItem]]:
    """A certified header of any epoch that is known: the header, and the q signatures that are left to verify.

    Raises InvalidProof, MalformedBytes, UnknownEpoch, and PeerFault for a height outside its epoch.
    """
    header = decode_header(header_bytes)
    info = epoch_of(book, header.epoch, header.height, f"header of height {header.height}")
    return certificate_signatures(header_bytes, certificate, info.validators, genesis_hash)


def _validators(book: EpochBook, epoch: int, height: int, where: str) -> ValidatorSet:
    return epoch_of(book, epoch, height, where).validators


def _fault(what: str, where: str) -> PeerFault:
    return PeerFault(what, where=where, next_step=_NEXT)


def _check_member(signer: int, validators: ValidatorSet, where: str) -> None:
    if not 0 <= signer < validators.n:
        raise _fault(f"replica {signer} is no member of a set of {validators.n}", where)


def _check_bare_vote(vote: SignedVote, validators: ValidatorSet) -> None:
    """A vote alone is a PREPARE of a backup or a COMMIT (PBFT §4.2: the primary's PRE-PREPARE is its
    prepare).
    """
    phase, view, signer = vote.vote.phase, vote.vote.view, vote.vote.signer
    where = f"{phase.name} of replica {signer}, view {view}"
    if phase is Phase.PRE_PREPARE:
        raise _fault("a PRE-PREPARE without its batch", where)
    if phase is Phase.PREPARE and signer == validators.primary(view):
        raise _fault("a PREPARE of the view's own primary", where)


def _commit_proof(proof: CommitProof, validators: ValidatorSet, genesis_hash: bytes) -> list[VerifyItem]:
    """Exactly q COMMITs of one view for this batch, from strictly ascending replicas."""
    batch = proof.batch
    where = f"commit proof of height {batch.height}"
    if len(proof.commits) != validators.q:
        raise _fault(f"{len(proof.commits)} COMMITs where exactly {validators.q} are needed", where)
    digest, view = batch_digest(encode_batch(batch)), proof.commits[0].vote.view
    for commit in proof.commits:
        vote = commit.vote
        place = (vote.phase, vote.ledger, vote.epoch, vote.height, vote.view, vote.attempt, vote.digest)
        if place != (Phase.COMMIT, batch.ledger, batch.epoch, batch.height, view, batch.attempt, digest):
            raise _fault(f"the vote of replica {vote.signer} is no COMMIT for its batch in view {view}", where)
    signers = [commit.vote.signer for commit in proof.commits]
    if not ascending(signers):
        raise _fault("COMMITs are not strictly ascending by signer", where)
    return [vote_signature(commit, validators, genesis_hash) for commit in proof.commits]


def _header_vote(vote: HeaderVote, validators: ValidatorSet, genesis_hash: bytes) -> VerifyItem:
    where = f"header vote of replica {vote.signer}, height {vote.header.height}"
    _check_member(vote.signer, validators, where)
    check_header_chain(vote.header, validators, genesis_hash, where)
    return validators.key(vote.signer), header_message(genesis_hash, vote.header_hash), vote.signature


def _statement(made: SignedStatement, validators: ValidatorSet, genesis_hash: bytes) -> list[VerifyItem]:
    """The statement's own signature, and that of the vote it names; decoding has seen that both are of one place."""
    signer = made.statement.signer
    _check_member(signer, validators, f"statement of replica {signer}, height {made.statement.height}")
    items = [(validators.key(signer), statement_message(genesis_hash, made.body), made.signature)]
    if isinstance(made.evidence, HeaderVote):
        items.append(_header_vote(made.evidence, validators, genesis_hash))
    elif made.evidence is not None:
        items.append(vote_signature(made.evidence, validators, genesis_hash))
    return items


def _view_change(
    change: SignedViewChange, book: EpochBook, genesis_hash: bytes, first_header: bytes
) -> list[VerifyItem]:
    message = change.message
    where = f"VIEW-CHANGE of replica {message.signer} to view {message.new_view}"
    info = book.by_number(message.epoch)
    if info is None:
        raise UnknownEpoch(f"epoch {message.epoch} is not known here", where=where, next_step="catch up first")
    validators = info.validators
    _check_member(message.signer, validators, where)
    if message.new_view == 0:
        raise _fault("view 0 is where an epoch begins; nobody changes to it", where)
    final, items = _final_header(message, info, book, genesis_hash, first_header, where)
    for prepared in message.prepared:
        vote = prepared.pre_prepare.vote
        if (vote.ledger, vote.epoch) != (message.ledger, message.epoch):
            raise _fault("a prepared certificate of another ledger or epoch", where)
        if not final.height < vote.height <= final.height + MAX_WINDOW or not info.covers(vote.height):
            raise _fault(f"prepared height {vote.height} is not above the final {final.height}", where)
        if vote.view >= message.new_view:
            raise _fault(f"prepared in view {vote.view}, which is not before the new one", where)
        items += prepared_signatures(prepared, validators, genesis_hash)
    signature = (
        validators.key(message.signer),
        signed.message(signed.VIEW_CHANGE, genesis_hash, change.body),
        change.signature,
    )
    return [signature, *items]


def _final_header(
    message: ViewChange, info: EpochInfo, book: EpochBook, genesis_hash: bytes, first_header: bytes, where: str
) -> tuple[Header, list[VerifyItem]]:
    """The highest final header and the signatures of its certificate; at height 0 there is none to have.

    It is of the message's epoch, or the last one of the epoch before. Height 0 is what everybody computes alike, a
    sub-ledger's and a successor's too: so the own one is the measure.
    """
    header = decode_header(message.final_header)
    if header.ledger != message.ledger:
        raise _fault(f"its final header is of ledger {header.ledger}", where)
    if message.final_certificate is None:
        if header.height:
            raise _fault(f"the header of height {header.height} has no certificate", where)
        if message.final_header != first_header:
            raise _fault("its header of height 0 is not this ledger's", where)
        return header, []
    if header.epoch != message.epoch and header.height != info.start - 1:
        raise _fault(f"its final header, of height {header.height}, is of epoch {header.epoch}", where)
    return certified_signatures(message.final_header, message.final_certificate, book, genesis_hash)


def _new_view(new_view: SignedNewView, book: EpochBook, genesis_hash: bytes, first_header: bytes) -> list[VerifyItem]:
    message = new_view.message
    where = f"NEW-VIEW of replica {message.signer}, view {message.view}"
    info = book.by_number(message.epoch)
    if info is None:
        raise UnknownEpoch(f"epoch {message.epoch} is not known here", where=where, next_step="catch up first")
    validators = info.validators
    if message.view == 0 or message.signer != validators.primary(message.view):
        raise _fault(f"replica {message.signer} is not the primary of a new view {message.view}", where)
    if len(message.view_changes) != validators.q:
        raise _fault(f"{len(message.view_changes)} VIEW-CHANGEs where exactly {validators.q} are needed", where)
    items = [
        (
            validators.key(message.signer),
            signed.message(signed.NEW_VIEW, genesis_hash, new_view.body),
            new_view.signature,
        )
    ]
    _check_re_proposals(message, where)
    items += [vote_signature(vote, validators, genesis_hash) for vote in message.pre_prepares]
    signers = [change.message.signer for change in message.view_changes]
    if not ascending(signers):
        raise _fault("VIEW-CHANGEs are not strictly ascending by signer", where)
    for change in message.view_changes:
        inner = change.message
        if (inner.ledger, inner.epoch, inner.new_view) != (message.ledger, message.epoch, message.view):
            raise _fault(f"the VIEW-CHANGE of replica {inner.signer} is for another view", where)
        items += _view_change(change, book, genesis_hash, first_header)
    return items


def _check_re_proposals(message: NewView, where: str) -> None:
    """Every PRE-PREPARE of a NEW-VIEW is its sender's own, in its view, strictly ascending by height."""
    for signed_vote in message.pre_prepares:
        vote = signed_vote.vote
        if vote.phase is not Phase.PRE_PREPARE:
            raise _fault(f"a {vote.phase.name} where a PRE-PREPARE belongs", where)
        if (vote.ledger, vote.epoch, vote.view, vote.signer) != (
            message.ledger,
            message.epoch,
            message.view,
            message.signer,
        ):
            raise _fault("a PRE-PREPARE of another ledger, epoch, view or replica", where)
    if not ascending(vote.vote.height for vote in message.pre_prepares):
        raise _fault("PRE-PREPAREs are not strictly ascending by height", where)
