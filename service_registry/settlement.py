"""What is done about records by batch: audit, dispute, claim (docs/spec/service-records.md)."""

from __future__ import annotations

from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.node import render
from chain_core.types.errors import MalformedBytes
from service_registry.audit import audit
from service_registry.authority import Key
from service_registry.batch_audit import evidence_of
from service_registry.batch_records import ruling_key
from service_registry.chain import NotRegistered
from service_registry.disputes import claim_key, decode_claim
from service_registry.records import SERVICES
from service_registry.session import Session


async def audited(session: Session, service: bytes) -> render.Row:
    """All records, from the blocks; where the file names a gateway, the contents of its batches too."""
    if session.config.gateway is None:
        return await audit(session.chain, service)
    channel = session.gateway()
    try:
        return await audit(session.chain, service, channel)
    finally:
        await channel.close()


async def dispute(session: Session, service: bytes, consumer: bytes, call_id: int) -> render.Row:
    """Lets the chain rule on the record of one call. Raises RefusedByChain, NotFound, InvalidProof."""
    channel = session.gateway()
    try:
        args = await evidence_of(channel, service, consumer, call_id)
    finally:
        await channel.close()
    receipt = await session.submit("dispute", **args)
    height = receipt.header.height
    key: Key = (SERVICES, ruling_key(args["gateway"], args["number"], args["index"]))
    raw = (await session.chain.values([key], not_below=height))[key]
    if raw is None:
        raise NotRegistered("no ruling stands on chain", where=f"height {height}", next_step="ask again")
    ruled = decode_map(raw, "ruling")
    shown = {"batch": args["number"], "index": args["index"], "record": sm3(args["record"]).hex()}
    return {**shown, "ruling": ruled["ruling"], "why": ruled["why"], "height": height, "final": True}


async def claim(session: Session, step: str, promise: str, signature: str = "") -> render.Row:
    """A step of a claim for a promise, both in hexadecimal as ``call --json`` printed them. Raises RefusedByChain."""
    try:
        raw, signed = bytes.fromhex(promise), bytes.fromhex(signature)
    except ValueError as error:
        raise MalformedBytes("not hexadecimal", where="--promise, --signature", next_step="copy them whole") from error
    more = {"signature": signed} if step == "claim_record" else {}
    receipt = await session.submit(step, promise=raw, **more)
    height, key = receipt.header.height, (SERVICES, claim_key(raw))
    kept = (await session.chain.values([key], not_below=height))[key]
    state = "" if kept is None else decode_claim(kept).state
    return {"promise": sm3(raw).hex(), "state": state, "height": height, "final": True}
