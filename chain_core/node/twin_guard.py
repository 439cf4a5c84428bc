"""One's own signature on a vote that is not in one's log: a second process has the key, or this disk is an old one.

Below the final height and below the view already signed in, old votes may be replayed by anybody: they say nothing.
"""

from __future__ import annotations

from chain_core.consensus.messages import FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.node.safe_signer import SafeSigner
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote


def foreign_vote(message: Message, me: int, signer: SafeSigner, final_height: int) -> str:
    """What a (verified) message carries under the own key that this node never signed; empty when nothing."""
    match message:
        case PrePrepare(vote=vote) | (SignedVote() as vote):
            mine = vote.vote.signer == me and vote.vote.height > final_height
            if mine and not signer.knows(vote.body):
                return f"{vote.vote.phase.name} at height {vote.vote.height}, view {vote.vote.view}"
        case HeaderVote():
            mine = message.signer == me and message.header.height > final_height
            if mine and not signer.knows(message.header_bytes):
                return f"HEADER vote at height {message.header.height}"
        case SignedViewChange():
            if message.message.signer == me and message.message.new_view > signer.highest_view:
                return f"VIEW-CHANGE for view {message.message.new_view}"
        case SignedNewView():
            if message.message.signer == me and message.message.view > signer.highest_view:
                return f"NEW-VIEW of view {message.message.view}"
        case FinalityNotice() | Heartbeat():
            pass
    return ""
