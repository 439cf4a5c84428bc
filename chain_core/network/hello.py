"""The first message of each side of a link: which chain, ledger, node and protocol speaks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from chain_core._pb.dualchain.p2p.v1 import p2p_pb2 as pb
from chain_core.network.raw_rpc import parse
from chain_core.types.errors import PeerFault
from chain_core.types.ids import PROTOCOL_VERSION

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks: a validator by its name. Unauthenticated until the SM session exists: what follows is verified by its
    signatures.
    """

    genesis_hash: bytes
    ledger: int
    node: str
    protocol_version: int = PROTOCOL_VERSION


def encode_hello(hello: Hello) -> bytes:
    """The LinkMessage that opens a link."""
    return pb.LinkMessage(
        hello=pb.Hello(
            genesis_hash=hello.genesis_hash,
            ledger=hello.ledger,
            node=hello.node,
            protocol_version=hello.protocol_version,
        )
    ).SerializeToString()


def decode_hello(data: bytes) -> Hello:
    """The Hello in a link's first message. Raises MalformedBytes, PeerFault."""
    message = parse(pb.LinkMessage, data)
    if not message.HasField("hello") or message.frames:
        raise PeerFault("a link opens with a Hello alone", where="first message", next_step="see docs/spec/network.md")
    hello = message.hello
    return Hello(hello.genesis_hash, hello.ledger, hello.node, hello.protocol_version)


def check_hello(theirs: Hello, ours: Hello, known: Collection[str]) -> None:
    """PeerFault that says why these two do not talk: protocol, chain, ledger, or not another node of the ``known``."""
    if theirs.protocol_version != ours.protocol_version:
        _refuse(
            f"protocol version {theirs.protocol_version} meets {ours.protocol_version}",
            "protocol_version",
            "run the same release on both nodes",
        )
    if theirs.genesis_hash != ours.genesis_hash:
        _refuse(
            f"chain {theirs.genesis_hash.hex() or '(none)'} meets {ours.genesis_hash.hex()}",
            "genesis_hash",
            "compare the genesis files of both nodes, and the peer addresses in their configurations",
        )
    if theirs.ledger != ours.ledger:
        _refuse(f"ledger {theirs.ledger} meets {ours.ledger}", "ledger", "compare the peer addresses")
    if theirs.node not in known or theirs.node == ours.node:
        _refuse(
            f"{theirs.node[:_SHOWN]!r} is not another validator of this chain, now or soon",
            "node",
            "no two nodes may run under one name; one that joins is let in when its proposal is decided here",
        )


def _refuse(what: str, field: str, next_step: str) -> None:
    raise PeerFault(what, where=f"hello.{field}", next_step=next_step)
