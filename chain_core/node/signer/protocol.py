"""The frames between a node and its signer (docs/spec/keys.md §5): u32 length, then canonical bytes.

Both ends decode what they read strictly; MalformedBytes ends the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias

from chain_core.codec import signed
from chain_core.codec.block import decode_header
from chain_core.codec.reopening import decode_statement
from chain_core.codec.votes import MAX_MESSAGE_BYTES, decode_new_view, decode_view_change, decode_vote
from chain_core.codec.wire import Reader, Writer
from chain_core.crypto.hashing import sm3
from chain_core.node.signer.rules import Item, Statement, item_of
from chain_core.types.block import Header, NewView
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import HASH_SIZE, PUBLIC_KEY_SIZE, SIGNATURE_SIZE

LENGTH = Struct(">I")
VERSION = 1
MAX_BODIES = 64
"""Bodies of one request: as many as a NEW-VIEW re-proposes."""
MAX_KEYS = 2
MAX_FRAME_BYTES = MAX_MESSAGE_BYTES + 65_536
_MAX_TEXT = 1_024
_HELLO, _SIGN = 1, 2
_WELCOME, _SIGNED, _REFUSED = 1, 2, 3

BUSY, FORBIDDEN, WRONG_CHAIN = "SIGNER_BUSY", "SIGNER_FORBIDDEN", "WRONG_CHAIN"
UNKNOWN_KEY, NOT_A_VOTE, FAULT = "UNKNOWN_KEY", "NOT_A_VOTE", "SIGNER_FAULT"

DECODERS: Mapping[bytes, Callable[[bytes], Statement]] = {
    signed.VOTE: decode_vote,
    signed.HEADER: decode_header,
    signed.VIEW_CHANGE: decode_view_change,
    signed.NEW_VIEW: decode_new_view,
    signed.STATEMENT: decode_statement,
}
"""Votes and nothing else: the tags that a signer signs under, and what a body must decode as."""


@dataclass(frozen=True, slots=True)
class HelloRequest:
    """The first frame: for which chain."""

    genesis_hash: bytes


@dataclass(frozen=True, slots=True)
class SignRequest:
    """Bodies of one tag to be signed with one key."""

    tag: bytes
    genesis_hash: bytes
    public_key: bytes
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Welcome:
    """The keys there are, the present one first."""

    public_keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Signatures:
    """In the order asked."""

    signatures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not."""

    code: str
    what: str
    where: str = ""


Request: TypeAlias = HelloRequest | SignRequest
Answer: TypeAlias = Welcome | Signatures | Refusal


def encode_request(request: Request) -> bytes:
    """A request's frame, without its length."""
    w = Writer()
    match request:
        case HelloRequest(genesis_hash):
            w.u8(_HELLO).u8(VERSION).fixed(genesis_hash, HASH_SIZE)
        case SignRequest(tag, genesis_hash, public_key, bodies):
            w.u8(_SIGN).fixed(tag, 32).fixed(genesis_hash, HASH_SIZE).fixed(public_key, PUBLIC_KEY_SIZE)
            w.u16(len(bodies))
            for body in bodies:
                w.blob(body)
    return w.take()


def decode_request(data: bytes) -> Request:
    """The reverse; bodies are not looked into."""
    r = Reader(data, "signer request")
    kind = r.u8()
    request: Request
    if kind == _HELLO:
        r.version(VERSION)
        request = HelloRequest(r.fixed(HASH_SIZE))
    elif kind == _SIGN:
        tag, genesis_hash, public_key = r.fixed(32), r.fixed(HASH_SIZE), r.fixed(PUBLIC_KEY_SIZE)
        count = r.count(0, MAX_BODIES, r.u16())
        request = SignRequest(tag, genesis_hash, public_key, tuple(r.blob(MAX_MESSAGE_BYTES) for _ in range(count)))
    else:
        r.fail(f"unknown request {kind}")
    r.end()
    return request


def encode_answer(answer: Answer) -> bytes:
    """An answer's frame, without its length."""
    w = Writer()
    match answer:
        case Welcome(public_keys):
            w.u8(_WELCOME).u8(len(public_keys))
            for key in public_keys:
                w.fixed(key, PUBLIC_KEY_SIZE)
        case Signatures(signatures):
            w.u8(_SIGNED).u16(len(signatures))
            for signature in signatures:
                w.fixed(signature, SIGNATURE_SIZE)
        case Refusal(code, what, where):
            w.u8(_REFUSED)
            for text in (code, what, where):
                w.blob(text.encode()[:_MAX_TEXT])
    return w.take()


def decode_answer(data: bytes) -> Answer:
    """The reverse."""
    r = Reader(data, "signer answer")
    kind = r.u8()
    answer: Answer
    if kind == _WELCOME:
        answer = Welcome(tuple(r.fixed(PUBLIC_KEY_SIZE) for _ in range(r.count(1, MAX_KEYS, r.u8()))))
    elif kind == _SIGNED:
        answer = Signatures(tuple(r.fixed(SIGNATURE_SIZE) for _ in range(r.count(0, MAX_BODIES, r.u16()))))
    elif kind == _REFUSED:
        code, what, where = (r.blob(_MAX_TEXT).decode("utf-8", "replace") for _ in range(3))
        answer = Refusal(code, what, where)
    else:
        r.fail(f"unknown answer {kind}")
    r.end()
    return answer


def frame(data: bytes) -> bytes:
    """With its length before it."""
    return LENGTH.pack(len(data)) + data


def frame_size(head: bytes) -> int:
    """The length that four bytes announce. Raises MalformedBytes above the limit."""
    size = int(LENGTH.unpack(head)[0])
    if not 0 < size <= MAX_FRAME_BYTES:
        raise MalformedBytes(f"a frame of {size} bytes", where="signer", next_step="speak docs/spec/keys.md §5")
    return size


def statements(request: SignRequest) -> list[tuple[int, Item]]:
    """(ledger, item) of each body, decoded as its tag says. Raises MalformedBytes: it is no consensus body."""
    decode = DECODERS.get(request.tag)
    if decode is None:
        name = request.tag.rstrip(b"\0").decode("ascii", "replace")
        raise MalformedBytes(f"a signer signs nothing under {name!r}", where="tag", next_step="ask for votes only")
    return [_statement(request.genesis_hash, decode(body), body) for body in request.bodies]


def _statement(chain: bytes, value: Statement, body: bytes) -> tuple[int, Item]:
    if isinstance(value, Header) and value.genesis_hash != chain:
        raise MalformedBytes("a header of another chain", where="body", next_step="ask for votes of this chain")
    inner = [sm3(vote.body) for vote in value.pre_prepares] if isinstance(value, NewView) else ()
    return value.ledger, item_of(value, sm3(body), inner)
