"""Received data with its source mark, kept in a file and checked from it (service-registry.md §5; art. 19)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider
from chain_core.node import render
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.validator_set import same_entity
from service_registry.authority import Key
from service_registry.bodies import encode_call, read_call, read_reply, reply_message
from service_registry.chain import RegistryChain
from service_registry.consumer import Answered
from service_registry.offers import decode_offer, offer_values
from service_registry.records import AUTHORITIES_KEY, SERVICES, offer_key, path_key
from service_registry.schemas import read_json
from service_registry.trust import decode_authorities, decode_path, under

FORMAT = "dualchain/source-mark/v1"
MARK_FIELDS = ("genesis_hash", "call", "reply", "signature", "response")
"""What the file has in base64, besides its format and path."""
_NEXT = "do not use the data; ask the publisher"


async def kept(chain: RegistryChain, answered: Answered) -> bytes:
    """The file: what the publisher signed, the response, and the path of the certificate that it signed with."""
    found = await chain.service(answered.call.service)
    key = (SERVICES, path_key(found.publisher))
    path = decode_path((await chain.values([key]))[key])
    row = {
        "format": FORMAT,
        "genesis_hash": _text(chain.genesis_hash),
        "call": _text(encode_call(answered.call)),
        "reply": _text(answered.answer.reply),
        "signature": _text(answered.answer.signature),
        "response": _text(answered.answer.response),
        "path": [_text(der) for der in path],
    }
    return json.dumps(row, ensure_ascii=False, indent=2).encode("utf-8") + b"\n"


async def checked(chain: RegistryChain, data: bytes) -> render.Row:
    """Whose the data are, when all of it holds: signature, response, service and version, certificate, its authority.

    Raises MalformedBytes, InvalidProof, CertificateRefused.
    """
    told, path = read_mark(data)
    if told["genesis_hash"] != chain.genesis_hash:
        raise InvalidProof("of another supervisory chain", where="genesis_hash", next_step="ask that chain")
    call, reply = read_call(told["call"]), read_reply(told["reply"])
    if reply.call_hash != sm3(told["call"]) or reply.response_hash != sm3(told["response"]):
        raise InvalidProof("the reply is about another call or response", where="reply", next_step=_NEXT)
    found = await chain.service(call.service)
    offered, named = (SERVICES, offer_key(call.service, call.version)), (SERVICES, AUTHORITIES_KEY)
    keys: list[Key] = [offered, named]
    values = await chain.values(keys)
    authorities = decode_authorities(values[named]).certificates
    if not authorities or not path:
        what = "no authorities are named" if not authorities else "the file has no certificates"
        raise InvalidProof(what, where="path", next_step="it cannot be told whose the data are")
    leaf = under(path, authorities, reply.time_ms)
    if same_entity(leaf.entity) != same_entity(found.entity):
        raise InvalidProof(f"signed by {leaf.entity}, published by {found.entity}", where="path", next_step=_NEXT)
    if not provider().sm2_verify(leaf.public_key, reply_message(chain.genesis_hash, told["reply"]), told["signature"]):
        raise InvalidProof("the reply is not signed by that certificate's key", where="signature", next_step=_NEXT)
    raw = values[offered]
    if raw is None:
        raise InvalidProof("the version has no source mark", where=f"version {call.version}", next_step=_NEXT)
    offer = offer_values(decode_offer(raw).offer)
    return {
        "publisher": found.publisher.hex(),
        "entity": found.entity,
        "market": found.market,
        "chain": found.chain.hex(),
        "service": call.service.hex(),
        "version": call.version,
        "definition_hash": render.plain(offer["definition_hash"]),
        "time_ms": reply.time_ms,
        "response_hash": reply.response_hash.hex(),
        "certificate": {"subject": leaf.subject, "serial": f"{leaf.serial:x}", "sm3": leaf.fingerprint.hex()},
        "verified": True,
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def read_mark(data: bytes) -> tuple[dict[str, bytes], tuple[bytes, ...]]:
    """The file's fields, and the path of certificates. Raises MalformedBytes."""
    row: Any = read_json(data)
    try:
        if not isinstance(row, dict) or row["format"] != FORMAT:
            raise KeyError("format")
        fields = {name: base64.b64decode(row[name], validate=True) for name in MARK_FIELDS}
        return fields, tuple(base64.b64decode(der, validate=True) for der in row["path"])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise MalformedBytes(
            f"no {FORMAT}: {error}", where="file", next_step="keep one: registry call --keep"
        ) from error
