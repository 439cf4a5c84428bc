"""What goes into a bundle, from the answers of untrusted nodes: every byte verified as a client does
(docs/spec/evidence.md §2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain_core.codec import signed
from chain_core.codec.block import decode_block, decode_header
from chain_core.codec.proofs import check_inclusion, decode_inclusion, encode_inclusion
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree
from chain_core.crypto.providers import provider
from chain_core.execution.account_records import ACCOUNTS
from chain_core.execution.codes import Code
from chain_core.node.answers import CertifiedHeader, StateAnswer
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.epoch_following import closing_header
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError, InvalidProof
from chain_core.types.packet import InclusionProof
from chain_core.types.transaction import Envelope

_ANOTHER = "ask another node; this one's answer proves nothing"
_UNAUTHENTICATED = frozenset((Code.UNKNOWN_ACCOUNT, Code.UNAUTHORISED, Code.WRONG_LEDGER, Code.SKIPPED))
"""Results that are reached before, or without, asking whether the key may sign for the account."""

Files = dict[str, bytes]


class BundleRefused(DualchainError):
    """There is no such evidence, or it would not hold."""

    code = "BUNDLE_REFUSED"


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle without its summary: files by name, and what it is about."""

    kind: str
    height: int
    """Of the block that the fact stands in or under."""
    time_ms: int
    epochs: int
    files: Mapping[str, bytes]


async def transaction_bundle(client: VerifyingClient, transaction_id: bytes, *, through_latest: bool) -> Exported:
    """A transaction with its result and its signers. Raises BundleRefused, NotFound, InvalidProof."""

    async def ask(node: NodeClient) -> tuple[VerifiedReceipt, Files]:
        answer = await node.receipt(transaction_id)
        if answer.receipt is None:
            raise InvalidProof("no receipt where one was announced", where=node.address, next_step=_ANOTHER)
        found = client.view.check_receipt(answer.header, answer.receipt)
        if found.receipt.transaction_id != transaction_id:
            raise InvalidProof("the receipt is of another transaction", where=node.address, next_step=_ANOTHER)
        return found, await _envelope_files(node, client.view, found)

    found, files = await client.from_any(ask)
    if found.receipt.code in _UNAUTHENTICATED:
        raise BundleRefused(
            f"it was refused with code {found.receipt.code}, before its signer was looked at",
            where=transaction_id.hex(),
            next_step="export the receipt alone: --receipt ACCOUNT:NONCE",
        )
    envelope = decode_envelope(files["envelope.bin"])
    keys, proven = await _signer_files(client, envelope)
    files |= _receipt_files(found) | proven
    return await _bundle(client, "transaction", found.certified, [keys], files, through_latest)


async def receipt_bundle(client: VerifyingClient, account: bytes, nonce: int, *, through_latest: bool) -> Exported:
    """What used an account's nonce, without its content. Raises BundleRefused when nothing did, InvalidProof."""
    found = await client.receipt_of_nonce(account, nonce)
    if not isinstance(found, VerifiedReceipt):
        raise BundleRefused(
            f"nothing used this nonce up to height {found.height}",
            where=f"{account.hex()}:{nonce}",
            next_step="compare account and nonce with the transaction",
        )
    return await _bundle(client, "receipt", found.certified, [], _receipt_files(found), through_latest)


async def state_bundle(client: VerifyingClient, key: bytes, *, through_latest: bool) -> Exported:
    """The value of a full state key. Raises BundleRefused when there is none, InvalidProof."""
    answer = await _state(client, [key])
    value = answer.items[0].value
    if value is None:
        raise BundleRefused(
            f"the state has no such entry at height {decode_header(answer.header.header).height}",
            where=f"state key {key.hex()}",
            next_step="compare the ids; an absence is proven by `dualchain node state`, not by a bundle",
        )
    files = {"state.key": key, "state.value": value, "state.proof": answer.items[0].proof}
    return await _bundle(client, "state", answer.header, [], files, through_latest)


def signer_key_entry(public_key: bytes) -> bytes:
    """Full state key of what the chain knows of a key: owner, purpose, whether it is active (execution.md §7)."""
    return state_key(ACCOUNTS, b"k" + sm3(public_key))


def signers_of(envelope: Envelope) -> list[tuple[bytes, bytes, bytes]]:
    """(account, public key, signature) in the envelope's order: the account first, then the cosigners."""
    accounts = (envelope.body.account, *envelope.body.cosigners)
    return [(who, s.public_key, s.signature) for who, s in zip(accounts, envelope.signers, strict=True)]


def _receipt_files(found: VerifiedReceipt) -> Files:
    return {"receipt.bin": found.proven.receipt, "receipt.proof": found.proven.proof}


async def _envelope_files(node: NodeClient, view: ChainView, found: VerifiedReceipt) -> Files:
    """The envelope at the receipt's index, with the path of its id under the transaction root; signatures verified."""
    header, index = found.header, decode_inclusion(found.proven.proof).index
    block = decode_block((await node.block(header.height)).block)
    ids = block.batch.envelope_ids
    where = f"transaction {index} of height {header.height}"
    if not index < len(ids) == len(block.envelopes):
        raise InvalidProof("the block has other transactions than its header counts", where=where, next_step=_ANOTHER)
    proof = InclusionProof(index, len(ids), MerkleTree(ids).path(index))
    check_inclusion(ids[index], proof, header.transaction_count, header.transaction_root, where)
    envelope = decode_envelope(block.envelopes[index])
    if not envelope.envelope_id == ids[index] == found.receipt.envelope_id:
        raise InvalidProof("the envelope is not the receipt's", where=where, next_step=_ANOTHER)
    message = signed.message(signed.TX, view.genesis_hash, envelope.body_bytes)
    items = [(key, message, signature) for _, key, signature in signers_of(envelope)]
    if not all(provider().sm2_verify_many(items)):
        raise InvalidProof("a signer's signature does not verify", where=where, next_step=_ANOTHER)
    return {"envelope.bin": envelope.raw, "envelope.proof": encode_inclusion(proof)}


async def _signer_files(client: VerifyingClient, envelope: Envelope) -> tuple[CertifiedHeader, Files]:
    """Header and proofs of the entries that say whose the signers' keys are."""
    signers = signers_of(envelope)
    answer = await _state(client, [signer_key_entry(key) for _, key, _ in signers])
    files = {"keys.header": answer.header.header, "keys.certificate": answer.header.certificate}
    for number, ((account, _, _), item) in enumerate(zip(signers, answer.items, strict=True), start=1):
        if item.value not in [encode_value([account, "transaction", active]) for active in (True, False)]:
            raise BundleRefused(
                "the chain does not know the key as a transaction key of its account",
                where=f"signer {number}, account {account.hex()}",
                next_step="export the receipt alone: --receipt ACCOUNT:NONCE",
            )
        files |= {f"key-{number}.value": item.value or b"", f"key-{number}.proof": item.proof}
    return answer.header, files


async def _state(client: VerifyingClient, keys: Sequence[bytes]) -> StateAnswer:
    async def ask(node: NodeClient) -> StateAnswer:
        answer = await node.state(keys)
        header, _ = client.view.check_state(keys, answer)
        if not header.height:
            raise BundleRefused(
                "height 0 is certified by nobody", where="header", next_step="export after the first block"
            )
        return answer

    return await client.from_any(ask)


async def _bundle(
    client: VerifyingClient,
    kind: str,
    block: CertifiedHeader,
    others: Sequence[CertifiedHeader],
    files: Files,
    through_latest: bool,
) -> Exported:
    header = decode_header(block.header)
    last = max(decode_header(one.header).epoch for one in (block, *others))
    epochs = await client.from_any(lambda node: _epochs(client.view.genesis_bytes, node, last, through_latest))
    whole = {"genesis.bin": client.view.genesis_bytes, **files}
    whole |= {"block.header": block.header, "block.certificate": block.certificate}
    for number, (closing, encoded) in enumerate(epochs, start=1):
        whole[f"epoch-{number}.header"], whole[f"epoch-{number}.certificate"] = closing.header, closing.certificate
        whole[f"epoch-{number}.set"] = encoded
    return Exported(kind, header.height, header.time_ms, len(epochs), whole)


async def _epochs(
    genesis: bytes, node: NodeClient, last: int, through_latest: bool
) -> list[tuple[CertifiedHeader, bytes]]:
    """The closing header of each epoch below ``last`` (or of all that have ended) with the next set, verified."""
    view, found = ChainView(genesis), list[tuple[CertifiedHeader, bytes]]()
    while view.epoch < last or through_latest:
        step = await closing_header(node, view.epoch)
        if step is None:
            if view.epoch >= last:
                break
            what = f"the node knows no end of epoch {view.epoch}"
            raise InvalidProof(what, where=node.address, next_step="ask a node that is up to date")
        view.follow(*step)
        found.append(step)
    return found
