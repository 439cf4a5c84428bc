"""What is done about records by batch: audit, dispute, claim (docs/spec/service-records.md)."""

from __future__ import annotations

from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.network.raw_rpc import RawChannel
from chain_core.node import render
from chain_core.types.errors import MalformedBytes
from chain_core.types.transaction import Operation
from service_registry.audit import audit
from service_registry.authority import Key
from service_registry.batch_audit import evidence_of
from service_registry.batch_records import ruling_key
from service_registry.bodies import read_promise
from service_registry.chain import Account, NotRegistered, RegistryChain
from service_registry.disputes import Claim, claim_key, decode_claim
from service_registry.records import SERVICES
from service_registry.session import Session
from service_registry.views import browse


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
    raw, signed = _hexadecimal(promise, "--promise"), _hexadecimal(signature, "--signature")
    more = {"signature": signed} if step == "claim_record" else {}
    receipt = await session.submit(step, promise=raw, **more)
    height, key = receipt.header.height, (SERVICES, claim_key(raw))
    kept = (await session.chain.values([key], not_below=height))[key]
    state = "" if kept is None else decode_claim(kept).state
    return {"promise": sm3(raw).hex(), "state": state, "height": height, "final": True}


async def claims(session: Session) -> render.Row:
    """All claims, as one node lists them; each proven."""
    keys: list[Key] = [(SERVICES, key) for key in await browse(session.chain, b"w")]
    values = await session.chain.values(keys)
    rows = [fields_of(decode_claim(raw)) for raw in values.values() if raw is not None]
    return {"claims": rows, "each_proven": True, "list_complete": "as one node lists it, not proven"}


def fields_of(claim: Claim) -> render.Row:
    """A claim's fields with bytes in hexadecimal."""
    return {name: render.plain(getattr(claim, name)) for name in Claim.__slots__}


async def answer(chain: RegistryChain, who: Account, channel: RawChannel, promise: str) -> render.Row:
    """The gateway's answer to a claim: the record in its batch. Raises NotFound, InvalidProof, RefusedByChain."""
    raw = _hexadecimal(promise, "--promise")
    told = read_promise(raw)
    evidence = await evidence_of(channel, told.service, told.consumer, told.call_id)
    args = {name: evidence[name] for name in ("number", "rows", "index", "path")}
    receipt = await chain.submit(who, [Operation(SERVICES, "answer_claim", {"promise": raw, **args})])
    return {"promise": sm3(raw).hex(), "batch": args["number"], "height": receipt.header.height, "final": True}


def _hexadecimal(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise MalformedBytes("not hexadecimal", where=where, next_step="copy it whole") from error
