"""Which signatures an answer to a signer's question rests on (docs/spec/pbft.md §6): all of them the asker's own.

A vote counts here by its signature alone: that the asker's key signed these bytes, whenever and wherever.
"""

from __future__ import annotations

from chain_core.codec import signed
from chain_core.codec.block import header_message
from chain_core.codec.certificates import vote_signature
from chain_core.codec.reopening import statement_message
from chain_core.crypto.provider import VerifyItem
from chain_core.network.epoch_book import EpochBook, UnknownEpoch
from chain_core.network.frames import HeldVotes
from chain_core.network.message_signatures import certified_signatures
from chain_core.types.errors import InvalidProof, MalformedBytes, PeerFault
from chain_core.types.validator_set import ValidatorSet


def held_signatures(answer: HeldVotes, asker: int, book: EpochBook, genesis_hash: bytes) -> list[VerifyItem]:
    """(public key, message M, signature) of everything in ``answer``.

    Raises PeerFault for a signer that is not the asker, and for a final header without a fitting certificate;
    UnknownEpoch for votes of another epoch than the present one here, and for a final header of a later one.
    """
    epochs = [vote.vote.epoch for vote in answer.votes] + [vote.header.epoch for vote in answer.header_votes]
    epochs += [made.statement.epoch for made in answer.statements]
    if answer.view_change is not None:
        epochs.append(answer.view_change.message.epoch)
    validators = _validators(epochs, asker, book)
    signers = [vote.vote.signer for vote in answer.votes] + [vote.signer for vote in answer.header_votes]
    signers += [made.statement.signer for made in answer.statements]
    if answer.view_change is not None:
        signers.append(answer.view_change.message.signer)
    if any(signer != asker for signer in signers):
        raise _alien(asker, epochs, book)
    key = validators.key(asker) if epochs else b""
    items = [vote_signature(vote, validators, genesis_hash) for vote in answer.votes]
    items += [(key, header_message(genesis_hash, vote.header_hash), vote.signature) for vote in answer.header_votes]
    items += [(key, statement_message(genesis_hash, made.body), made.signature) for made in answer.statements]
    change = answer.view_change
    if change is not None:
        items.append((key, signed.message(signed.VIEW_CHANGE, genesis_hash, change.body), change.signature))
    if answer.certificate is not None:
        try:
            items += certified_signatures(answer.final_header, answer.certificate, book, genesis_hash)[1]
        except (InvalidProof, MalformedBytes) as error:
            raise PeerFault(error.what, where=error.where, next_step=error.next_step) from error
    return list(dict.fromkeys(items))


def _alien(asker: int, epochs: list[int], book: EpochBook) -> PeerFault:
    """Votes of another index; in the scheduled epoch the asker may have that one, and nobody is to blame."""
    kind = PeerFault if set(epochs) == {book.current().epoch} else UnknownEpoch
    return kind(
        "a vote of another signer than the one who asked",
        where=f"held votes of validator {asker}",
        next_step="drop it; a link that repeats this is cut",
    )


def _validators(epochs: list[int], asker: int, book: EpochBook) -> ValidatorSet:
    """The set of the votes' one epoch: the present one, or the scheduled one, which begins before its first block is
    final and moves the asker from the state's present set into that one.
    """
    current, where = book.current(), f"held votes of validator {asker}"
    info = current if not epochs else book.by_number(epochs[0])
    if info is None or info.epoch < current.epoch or set(epochs) - {info.epoch}:
        raise UnknownEpoch("a vote of another epoch", where=where, next_step="catch up first")
    if epochs and asker >= info.validators.n:
        raise PeerFault(
            f"votes of replica {asker} in an epoch of {info.validators.n}",
            where=where,
            next_step="drop it; a link that repeats this is cut",
        )
    return info.validators
