"""Reading back the votes that a faulty node noted: one signer, one place, one content (docs/spec/pbft.md §6)."""

from __future__ import annotations

import json
from pathlib import Path

from chain_core.codec.votes import (
    decode_header_vote,
    decode_signed_new_view,
    decode_signed_view_change,
    decode_signed_vote,
)
from chain_core.ledger.vote_log import split_record_key
from chain_core.node.journal import Kind, decode_pre_prepare
from chain_core.types.block import SignedVote

Place = tuple[object, ...]


def _ordering(vote: SignedVote) -> tuple[int, Place, bytes]:
    v = vote.vote
    return v.signer, (v.phase.name, v.ledger, v.epoch, v.height, v.view), vote.body


def signed_in(key: bytes, value: bytes) -> list[tuple[int, Place, bytes]]:
    """(signer, place, what was signed there) of every own vote that a log record holds."""
    kind = Kind(split_record_key(key)[1])
    match kind:
        case Kind.OWN_PREPARE | Kind.OWN_COMMIT:
            return [_ordering(decode_signed_vote(value))]
        case Kind.ACCEPTED:
            return [_ordering(decode_pre_prepare(value).vote)]
        case Kind.OWN_RE_PROPOSAL:
            return [_ordering(decode_signed_vote(value))]
        case Kind.OWN_HEADER_VOTE:
            vote = decode_header_vote(value)
            header = vote.header
            return [(vote.signer, ("HEADER", header.ledger, header.height, header.attempt), vote.header_bytes)]
        case Kind.OWN_VIEW_CHANGE:
            change = decode_signed_view_change(value)
            m = change.message
            return [(m.signer, ("VIEW-CHANGE", m.ledger, m.epoch, m.new_view), change.body)]
        case Kind.NEW_VIEW:
            lead = decode_signed_new_view(value)
            n = lead.message
            return [(n.signer, ("NEW-VIEW", n.ledger, n.epoch, n.view), lead.body)]
        case Kind.PREPARED:
            return []


def double_votes(noted: Path) -> tuple[int, list[str]]:
    """How many votes a node's notes hold, and every place in which one signer signed two contents.

    The notes hold others' accepted proposals and NEW-VIEWs, too: those of a correct signer are unique as well.
    """
    seen: dict[tuple[int, Place], bytes] = {}
    found: list[str] = []
    for line in noted.read_text(encoding="utf-8").splitlines():
        try:
            key, value = (bytes.fromhex(part) for part in json.loads(line))
        except ValueError:
            continue  # the node died while it noted this one: it was not sent
        for signer, place, content in signed_in(key, value):
            if seen.setdefault((signer, place), content) != content:
                found.append(f"{noted.parent.name}: validator {signer} signed twice at {place}")
    return len(seen), found
