"""A market's chain of a made-up technology, and the client type by which it is followed (docs/spec/client-types.md).

Nothing of it is ours: headers are JSON, hashes SHA-256 in hexadecimal, a board of notaries signs with ECDSA over P-256,
more than two thirds of it make a header final, and a header lists the hashes of its packets one by one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain_core.codec.proofs import encode_packet
from chain_core.crypto.hashing import sm3
from chain_core.types.packet import Packet
from chain_core.types.values import Value
from crosschain.client_types import Described, HeaderFacts, Objection

_CURVE = ec.SECP256R1()


def dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _load(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


class NotaryType:
    """Judges the headers of such chains."""

    name = "notary"

    def describe(self, document: bytes, supervisory_hash: bytes) -> Described | Objection:
        row = _load(document)
        if not isinstance(row, dict):
            return Objection("document", "not a JSON object")
        if row["supervisor"] != supervisory_hash.hex():
            return Objection("supervisor", f"{row['supervisor'][:16]}, not {supervisory_hash.hex()[:16]}")
        board = row["board"]
        nodes = tuple((member["name"], member["house"]) for member in board)
        keys = [member["key"] for member in board]
        return Described(
            row["chain_id"], row["market"], nodes, row["time_ms"], dump({"chain": sha(document), "keys": keys})
        )

    def read(self, header: bytes) -> HeaderFacts | Objection:
        row = _load(header)
        if not isinstance(row, dict) or sorted(row) != ["board", "chain", "height", "packets", "previous", "time_ms"]:
            return Objection("header", "not a header")
        if dump(row) != header or type(row["height"]) is not int or type(row["time_ms"]) is not int:
            return Objection("header", "not in its one form")
        return HeaderFacts(row["height"], row["time_ms"], bytes.fromhex(sha(header)))

    def judge(self, state: bytes, header: bytes, certificate: bytes) -> Objection | None:
        known, row, votes = _load(state), _load(header), _load(certificate)
        if row["chain"] != known["chain"]:
            return Objection("chain", f"{row['chain'][:16]}, not {known['chain'][:16]}")
        if not isinstance(votes, dict):
            return Objection("votes", "not a JSON object")
        if 3 * len(votes) <= 2 * len(known["keys"]):
            return Objection("votes", f"{len(votes)} of {len(known['keys'])}")
        for key, signature in votes.items():
            if key not in known["keys"]:
                return Objection("votes", f"{key[:16]} is not of the board")
            public = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, bytes.fromhex(key))
            try:
                public.verify(bytes.fromhex(signature), header, ec.ECDSA(SHA256()))
            except (InvalidSignature, ValueError):
                return Objection("signature", f"that of {key[:16]} does not verify")
        return None

    def advance(self, state: bytes, header: bytes, next_set: bytes) -> bytes | Objection:
        named = _load(header)["board"]
        if not named:
            return Objection("board", "one that the header does not name") if next_set else state
        if sha(next_set) != named:
            return Objection("board", f"{sha(next_set)[:16]}, not {named[:16]}")
        return dump({**_load(state), "keys": _load(next_set)})

    def proves(self, header: bytes, packet: bytes, proof: bytes) -> Objection | None:
        return (
            None
            if sha(packet) in _load(header)["packets"]
            else Objection("packet", f"{sha(packet)[:16]} is not listed")
        )

    def descends(self, chosen: bytes, header: bytes, proof: bytes) -> Objection | None:
        line = [header, *(bytes.fromhex(text) for text in _load(proof) or ()), chosen]
        for below, above in zip(line, line[1:], strict=False):
            if _load(above)["previous"] != sha(below):
                return Objection("line", f"{sha(below)[:16]} is not below {sha(above)[:16]}")
        return None


@dataclass
class Board:
    """Notaries with their keys."""

    names: Sequence[str]

    def key(self, name: str) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int(sha(name.encode()), 16) >> 8, _CURVE)

    def public(self, name: str) -> str:
        raw = self.key(name).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return raw.hex()

    @property
    def keys(self) -> list[str]:
        return [self.public(name) for name in self.names]

    def certify(self, header: bytes, count: int = 3) -> bytes:
        chosen = self.names[:count]
        return dump({self.public(n): self.key(n).sign(header, ec.ECDSA(SHA256())).hex() for n in chosen})


@dataclass
class NotaryChain:
    """One such chain: ``block`` makes the next final header, and remembers the packets in it."""

    supervisor: bytes
    start_ms: int
    market: str = "SC"
    board: Board = field(default_factory=lambda: Board([f"notary {i}" for i in range(4)]))
    headers: list[bytes] = field(default_factory=list)
    packets: dict[int, list[bytes]] = field(default_factory=dict)
    certificates: list[bytes] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    time_ms: int = 0

    def __post_init__(self) -> None:
        self.time_ms = self.start_ms
        self.document = self.made()

    def made(self, **changes: object) -> bytes:
        board = [{"name": n, "house": f"house of {n}", "key": self.board.public(n)} for n in self.board.names]
        row = {
            "chain_id": "sichuan-notaries",
            "market": self.market,
            "supervisor": self.supervisor.hex(),
            "time_ms": self.start_ms,
            "board": board,
            **changes,
        }
        return dump(row)

    @property
    def hash(self) -> bytes:
        return sm3(self.document)

    @property
    def height(self) -> int:
        return len(self.headers)

    def header(self, **changes: object) -> bytes:
        """The next header, in whatever is not changed."""
        row: dict[str, object] = {
            "chain": sha(self.document),
            "height": self.height + 1,
            "time_ms": self.time_ms,
            "previous": sha(self.headers[-1]) if self.headers else "",
            "packets": [],
            "board": "",
        }
        return dump({**row, **changes})

    def block(self, *packets: bytes, after_ms: int = 1_000, board: Board | None = None) -> int:
        self.time_ms += after_ms
        names = "" if board is None else sha(dump(board.keys))
        header = self.header(packets=[sha(packet) for packet in packets], board=names)
        self.headers.append(header)
        self.certificates.append(self.board.certify(header))
        self.packets[self.height] = list(packets)
        self.board = board or self.board
        return self.height

    def packet(self, channel: str, kind: str, payload: bytes) -> bytes:
        sequence = self.sequences.get(channel, 0)
        self.sequences[channel] = sequence + 1
        return encode_packet(Packet(self.hash, 0, self.supervisor, 0, channel, sequence, kind, payload))

    def row(self, height: int) -> dict[str, Value]:
        return {"header": self.headers[height - 1], "certificate": self.certificates[height - 1]}

    def delivery(self, height: int, **changes: Value) -> Mapping[str, Value]:
        packets: list[Value] = [{"packet": packet, "proof": b"-"} for packet in self.packets[height]]
        return {"source": self.hash, "height": height, "packets": packets, **changes}
