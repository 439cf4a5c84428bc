"""Whether a chain's nodes talk to somebody without key and certificate (articles 9, 16, 18)."""

from __future__ import annotations

from chain_core.network.refusals import Unreachable
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination


async def strangers_refused(exam: Examination, chain: AskedChain) -> bool:
    """Every node that is up refuses one; at least one does. A node that is down says nothing."""
    answers = await chain.strangers()
    good = True
    for address, refusal in answers.items():
        good &= exam.require(
            refusal is not None,
            f"{chain.label} 的节点 {address} 回答了没有证书的来访者",
            f"{chain.label}'s node {address} answered somebody without a certificate",
        )
    refused = [one for one in answers.values() if one is not None and not isinstance(one, Unreachable)]
    return good and exam.require(
        refused, f"{chain.label} 没有节点可询问", f"no node of {chain.label} is up to refuse anybody"
    )
