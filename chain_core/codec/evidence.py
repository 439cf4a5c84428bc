"""Equivocation proofs: their one encoding, and whether they prove what they claim (docs/spec/formats.md §7).

Whoever holds the genesis document and the validator set of the epoch can judge one: nothing else is looked at.
"""

from __future__ import annotations

from chain_core.codec import signed
from chain_core.codec.block import decode_header, header_hash, header_message
from chain_core.codec.reopening import STATEMENT_SIZE, decode_statement, denies, statement_message
from chain_core.codec.votes import MAX_MESSAGE_BYTES, VOTE_SIZE, decode_new_view, decode_view_change, decode_vote
from chain_core.codec.wire import Reader, Writer
from chain_core.crypto.providers import provider
from chain_core.types.block import Phase
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.evidence import Equivocation, Statement
from chain_core.types.ids import SIGNATURE_SIZE
from chain_core.types.validator_set import ValidatorSet

MAX_BODY_BYTES = 4_000_000
"""Larger bodies (VIEW-CHANGEs over a wide window) are reported and not kept."""
_NEXT = "fetch it again from another node; these bytes prove nothing"
_STATEMENTS = frozenset(Statement)
Place = tuple[int, ...]


def equivocation(
    statement: Statement, place: tuple[int, int, int], one: tuple[bytes, bytes], other: tuple[bytes, bytes]
) -> Equivocation:
    """The proof over two (body, signature) pairs in whichever order; ``place`` is ledger, epoch, signer."""
    first, second = sorted((one, other))
    return Equivocation(statement, *place, *first, *second)


def encode_equivocation(proof: Equivocation) -> bytes:
    """Canonical proof. ValueError unless the bodies differ and stand in ascending order."""
    if not proof.first < proof.second:
        raise ValueError("the two bodies of an equivocation differ and stand in ascending order")
    w = Writer().u8(1).u8(proof.statement).u32(proof.ledger).u64(proof.epoch).u16(proof.signer)
    w.blob(proof.first).fixed(proof.first_signature, SIGNATURE_SIZE)
    return w.blob(proof.second).fixed(proof.second_signature, SIGNATURE_SIZE).take()


def decode_equivocation(data: bytes) -> Equivocation:
    """A proof from its one encoding; nothing in it is verified here."""
    r = Reader(data, "equivocation")
    r.version()
    statement = r.u8()
    if statement not in _STATEMENTS:
        r.fail(f"unknown statement {statement}")
    ledger, epoch, signer = r.u32(), r.u64(), r.u16()
    first, first_signature = r.blob(MAX_MESSAGE_BYTES), r.fixed(SIGNATURE_SIZE)
    second, second_signature = r.blob(MAX_MESSAGE_BYTES), r.fixed(SIGNATURE_SIZE)
    r.end()
    if not first < second:
        r.fail("the bodies are not two, in ascending order")
    proof = (ledger, epoch, signer, first, first_signature, second, second_signature)
    return Equivocation(Statement(statement), *proof)


def check_equivocation(data: bytes, validators: ValidatorSet, genesis_hash: bytes) -> Equivocation:
    """The proof, when it convicts a member of ``validators``, the set of its epoch.

    Raises InvalidProof, MalformedBytes: not two bodies of one place, of another ledger, epoch or signer than it says,
    or a signature that does not verify.
    """
    proof = decode_equivocation(data)
    where = f"{proof.statement.name} of validator {proof.signer}, epoch {proof.epoch}"
    if proof.signer >= validators.n:
        raise InvalidProof(f"no such member in a set of {validators.n}", where=where, next_step=_NEXT)
    try:
        places = {_place(proof, body, genesis_hash) for body in (proof.first, proof.second)}
    except MalformedBytes as error:
        raise InvalidProof(error.what, where=f"{where}, {error.where}", next_step=_NEXT) from error
    if len(places) != 1:
        raise InvalidProof("the two bodies are of different places: both may be signed", where=where, next_step=_NEXT)
    if proof.statement is Statement.DENIAL and not _is_denial(proof):
        raise InvalidProof("no statement beside a vote that it denies", where=where, next_step=_NEXT)
    if next(iter(places))[:3] != (proof.ledger, proof.epoch, proof.signer):
        raise InvalidProof("the bodies are of another ledger, epoch or signer", where=where, next_step=_NEXT)
    pairs = ((proof.first, proof.first_signature), (proof.second, proof.second_signature))
    key = validators.key(proof.signer)
    items = [(key, _message(proof.statement, genesis_hash, body), signature) for body, signature in pairs]
    if not all(provider().sm2_verify_many(items)):
        raise InvalidProof("a signature does not verify", where=where, next_step=_NEXT)
    return proof


def _place(proof: Equivocation, body: bytes, genesis_hash: bytes) -> Place:
    """(ledger, epoch, signer, ...): of one such place a correct replica signs one body."""
    match proof.statement:
        case Statement.ORDERING:
            vote = decode_vote(body)
            return vote.ledger, vote.epoch, vote.signer, vote.height, vote.view, vote.attempt, int(vote.phase)
        case Statement.HEADER:  # a header names no signer: the signature alone says whose it is
            header = decode_header(body)
            if header.genesis_hash != genesis_hash:
                raise InvalidProof("a header of another chain", where=f"height {header.height}", next_step=_NEXT)
            return header.ledger, header.epoch, proof.signer, header.height, header.attempt
        case Statement.VIEW_CHANGE:
            change = decode_view_change(body)
            return change.ledger, change.epoch, change.signer, change.new_view
        case Statement.NEW_VIEW:
            new_view = decode_new_view(body)
            return new_view.ledger, new_view.epoch, new_view.signer, new_view.view
        case Statement.DENIAL:
            return _place_at_attempt(proof, body, genesis_hash)


def _place_at_attempt(proof: Equivocation, body: bytes, genesis_hash: bytes) -> Place:
    """(ledger, epoch, signer, height, attempt) of a statement, a SKIP or a header: their sizes tell them apart."""
    if len(body) == STATEMENT_SIZE:
        s = decode_statement(body)
        return s.ledger, s.epoch, s.signer, s.height, s.attempt
    if len(body) == VOTE_SIZE:
        vote = decode_vote(body)
        if vote.phase is not Phase.SKIP:
            raise InvalidProof("a vote that is no SKIP", where=f"height {vote.height}", next_step=_NEXT)
        return vote.ledger, vote.epoch, vote.signer, vote.height, vote.attempt
    header = decode_header(body)
    if header.genesis_hash != genesis_hash:
        raise InvalidProof("a header of another chain", where=f"height {header.height}", next_step=_NEXT)
    return header.ledger, header.epoch, proof.signer, header.height, header.attempt


def _is_denial(proof: Equivocation) -> bool:
    statements = [body for body in (proof.first, proof.second) if len(body) == STATEMENT_SIZE]
    others = [body for body in (proof.first, proof.second) if len(body) != STATEMENT_SIZE]
    return len(statements) == len(others) == 1 and denies(decode_statement(statements[0]), others[0])


def _message(statement: Statement, genesis_hash: bytes, body: bytes) -> bytes:
    match statement:
        case Statement.ORDERING:
            return signed.message(signed.VOTE, genesis_hash, body)
        case Statement.HEADER:
            return header_message(genesis_hash, header_hash(body))
        case Statement.VIEW_CHANGE:
            return signed.message(signed.VIEW_CHANGE, genesis_hash, body)
        case Statement.NEW_VIEW:
            return signed.message(signed.NEW_VIEW, genesis_hash, body)
        case Statement.DENIAL if len(body) == STATEMENT_SIZE:
            return statement_message(genesis_hash, body)
        case Statement.DENIAL if len(body) == VOTE_SIZE:
            return signed.message(signed.VOTE, genesis_hash, body)
        case Statement.DENIAL:
            return header_message(genesis_hash, header_hash(body))
