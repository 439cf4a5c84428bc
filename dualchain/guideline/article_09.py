"""Article 9: SM2, SM3 and SM4 for hashes, transactions' and consensus signatures, and the handshake of links (国密)."""

from __future__ import annotations

from chain_core.codec import signed
from chain_core.crypto.hashing import sm3
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.network.secured.security import SmClient
from dualchain.guideline.asking import AskedChain, Found, hash_of
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.links import strangers_refused

REQUIREMENT = Text(
    "哈希、交易签名、共识签名、P2P 握手等使用国密算法",
    "SM2, SM3, SM4 for hashes, signatures of transactions and of consensus, handshakes",
)


async def check(exam: Examination) -> None:
    """Recomputed on each chain: identity, link of two headers, votes, a transaction's signatures, sessions."""
    for chain in exam.network.chains:
        with exam.about(chain.label):
            await _hashes(exam, chain)
            await _signatures(exam, chain)
            own = isinstance(chain.client.security, SmClient)
            exam.require(
                own, f"与 {chain.label} 的通信未使用国密会话", f"sessions with {chain.label} are not SM sessions"
            )
            await strangers_refused(exam, chain)


async def _hashes(exam: Examination, chain: AskedChain) -> None:
    label = chain.label
    exam.require(
        sm3(chain.view.genesis_bytes) == chain.hash,
        f"{label} 的链标识不是创世文件的 SM3",
        f"{label}'s identity is not the SM3 of its genesis document",
    )
    latest = await chain.header()
    if latest.height < 2:
        exam.lacks(f"{label} 尚无两个区块", f"{label} has no two blocks yet")
        return
    before = await chain.header(latest.height - 1)
    if exam.require(
        latest.prev_hash == hash_of(before),
        f"{label} 高度 {latest.height} 未以 SM3 连接前一区块头",
        f"header {latest.height} of {label} does not name the SM3 of the one before",
    ):
        zh = f"{label} 区块头以 SM3 相连，SM2 共识签名达到法定数"
        exam.show(zh, f"{label}'s headers are linked by SM3, a quorum of SM2 votes holds", chain.place(latest))


async def _signatures(exam: Examination, chain: AskedChain) -> None:
    found = await chain.last(lambda _: True)
    if found is None:
        exam.lacks(f"{chain.label} 近期没有交易", f"{chain.label} has no transaction lately")
        return
    if exam.require(
        signatures_hold(chain, found),
        f"{chain.label} 的交易 {found.receipt.transaction_id.hex()[:16]}… 的 SM2 签名无效",
        f"an SM2 signature of transaction {found.receipt.transaction_id.hex()[:16]}… on {chain.label} does not hold",
    ):
        exam.show(
            f"{chain.label} 的交易 SM2 签名有效", f"a transaction's SM2 signatures hold on {chain.label}", found.place
        )


def signatures_hold(chain: AskedChain, found: Found) -> bool:
    """Every signer's SM2 signature over M of the transaction."""
    message = signed.message_of_hash(signed.TX, chain.hash, found.envelope.transaction_id)
    items: list[VerifyItem] = [(one.public_key, message, one.signature) for one in found.envelope.signers]
    return bool(items) and all(provider().sm2_verify_many(items))
