"""One height of a chain: the same from every endpoint, verified, entered (docs/spec/node-interface.md §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.codec.transaction import decode_receipt
from chain_core.types.errors import DualchainError
from crosschain.following import (
    Position,
    client_at,
    decode_followed,
    decode_position,
    encode_followed,
    encode_position,
)
from crosschain.jrt0314 import verifier
from crosschain.jrt0314.endpoint import Endpoint, EndpointAway, Paths
from crosschain.jrt0314.verifier import VerificationFailed
from crosschain.light_client import ClientState, Verdict, verify_next
from supervisory_chain.puller.judge import Judge
from supervisory_chain.puller.log import Arrived, Book, Cursor, Entry

OK, NOT_FOUND = 200, 404
MAX_OBJECTS: Final = 65_536
MAX_HEIGHT_BYTES: Final = 400_000_000
"""Of all snapshots of one height: they are held in memory until the height is entered."""


class EndpointsDiffer(DualchainError):
    """Two nodes of one chain answer differently about one final height."""

    code = "ENDPOINTS_DIFFER"


class SnapshotAway(DualchainError):
    """No endpoint has the bytes of a reference now."""

    code = "SNAPSHOT_AWAY"


@dataclass(frozen=True, slots=True)
class Market:
    """A chain that is pulled. ``genesis``: the document of a chain like ours; else ``validators``: keys (64 bytes) by
    id, which alone may vote.
    """

    network_id: str
    endpoints: Sequence[Endpoint]
    genesis: bytes = b""
    validators: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pulled:
    """A verified height: its records with the fetched bytes, in the order of ids and versions."""

    cursor: Cursor
    snapshots: tuple[tuple[Arrived, bytes], ...]


def tip(market: Market) -> int:
    """The height that all endpoints call final. Raises EndpointAway, VerificationFailed."""
    path = Paths(market.network_id).of("status")
    return min(int(verifier.member(_json(one, path), "height", int, "status")) for one in market.endpoints)


def pull(market: Market, cursor: Cursor, now_ms: int) -> Pulled:
    """The height above the cursor. Blocking. Raises EndpointAway, EndpointsDiffer, VerificationFailed, SnapshotAway."""
    height, paths = cursor.height + 1, Paths(market.network_id)
    answer = _same(market, paths.block(height))
    block = verifier.read_block(answer, height)
    states = [verifier.read_consensus(one, height) for one in _states(market, paths.state(height))]
    for state in states:
        verifier.check_quorum(state)
        verifier.check_header(block, state)
        verifier.check_roots(block, state)
    if cursor.hash:
        parent = replace(block, height=cursor.height, hash=cursor.hash, timestamp=cursor.timestamp)
        verifier.check_follows(block, parent)
    verifier.check_size(block, 0)
    followed, position = _trusted(market, cursor, block, states, now_ms)
    names = verifier.texts(_same(market, paths.ids(height)), "object_ids", f"ids {height}")
    if list(names) != sorted(set(names)) or len(names) > MAX_OBJECTS:
        verifier.fail("shape", f"ids {height}", "not ascending, with doubles, or too many")
    found: list[tuple[Arrived, bytes]] = []
    total = 0
    for name in names:
        rows = verifier.read_records(_same(market, paths.object(height, name)), name, height)
        for record, proof in rows:
            verifier.check_record(record, proof, block, states[0])
            arrived = Arrived(
                market.network_id,
                height,
                _transaction(proof),
                name,
                record.version,
                record.operation,
                record.hash.hex(),
            )
            raw = record.content if record.content is not None else _fetched(market, record)
            total += len(raw)
            if total > MAX_HEIGHT_BYTES:
                verifier.fail("block_size", f"ids {height}", f"snapshots of more than {MAX_HEIGHT_BYTES} bytes")
            found.append((arrived, raw))
    return Pulled(Cursor(height, block.hash, block.timestamp, followed, position), tuple(found))


def step(
    book: Book, market: Market, pulled: Pulled, now_ms: int, failpoint: Callable[[str], None] = lambda _: None
) -> list[Entry]:
    """Enters a pulled height and moves the cursor: one synced transaction. A height that is entered is left alone."""
    made: list[Entry] = []
    with book.transaction():
        if book.cursor(market.network_id).height + 1 != pulled.cursor.height:
            return []
        judge = Judge(book)
        for arrived, raw in pulled.snapshots:
            made += judge.enter(arrived, raw, now_ms)
            failpoint("entered")
        book.move(market.network_id, pulled.cursor)
        failpoint("moved")
    failpoint("committed")
    return made


def _json(endpoint: Endpoint, path: str) -> Any:
    answer = endpoint.get(path)
    if answer.status != OK:
        raise EndpointAway(
            f"status {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}",
            where=f"{endpoint.name}{path}",
            next_step="ask the chain's operator",
        )
    return answer.json()


def _same(market: Market, path: str) -> Any:
    """The answer, equal at every endpoint. Raises EndpointsDiffer."""
    first, *others = [_json(one, path) for one in market.endpoints]
    for endpoint, other in zip(market.endpoints[1:], others, strict=True):
        if other != first:
            raise _differ(market, endpoint, path)
    return first


def _states(market: Market, path: str) -> list[Any]:
    """Every endpoint's; equal but for votes. Raises EndpointsDiffer."""
    found = [_json(one, path) for one in market.endpoints]
    for endpoint, other in zip(market.endpoints, found, strict=True):
        if not isinstance(other, dict) or {**other, "votes": 0} != {**found[0], "votes": 0}:
            raise _differ(market, endpoint, path)
    return found


def _differ(market: Market, endpoint: Endpoint, path: str) -> EndpointsDiffer:
    return EndpointsDiffer(
        f"{endpoint.name} answers otherwise than {market.endpoints[0].name}",
        where=f"{market.network_id} {path}",
        next_step="nothing of this height is entered: find out from the operator which node is wrong",
    )


def _trusted(
    market: Market, cursor: Cursor, block: verifier.Block, states: Sequence[verifier.Consensus], now_ms: int
) -> tuple[bytes, bytes]:
    """What the light client, or the configured keys, say of the voters; the client's new state."""
    if not market.genesis:
        for state in states:
            if dict(state.validators) != dict(market.validators):
                verifier.fail("quorum", f"state {state.height}/validators", "other nodes vote than are configured")
        return b"", b""
    client = after = _client(market, cursor)
    for state in states:
        certificate = verifier.certificate_of(state, block.hash)
        found = verify_next(client, block.encoded, certificate, now_ms=now_ms, next_set=state.next_validators)
        if found.verdict is not Verdict.OK or found.shown is None:
            verifier.fail("quorum", f"block {block.height}", f"light client: {found.predicate}, {found.detail}")
        after = client.advanced(found.shown)
    moved = after.epoch != client.epoch or not cursor.followed
    followed = encode_followed(after) if moved else cursor.followed
    return followed, encode_position(Position().at(after, 0))


def _client(market: Market, cursor: Cursor) -> ClientState:
    if not cursor.followed:
        return ClientState.at_genesis(genesis_hash(market.genesis), decode_genesis(market.genesis))
    return client_at(decode_followed(cursor.followed), decode_position(cursor.position))


def _transaction(proof: Mapping[str, Any]) -> str:
    """Which transaction anchored it, of a chain like ours: its receipt is the leaf, and verified."""
    if proof.get("format") != verifier.DUALCHAIN_RECEIPT:
        return ""
    return decode_receipt(bytes.fromhex(proof["leaf"])).transaction_id.hex()


def _fetched(market: Market, record: verifier.Record) -> bytes:
    """The bytes of a reference, from whichever endpoint has the right ones; else those it has. Raises SnapshotAway."""
    path, other = record.reference or "", None
    if not path.startswith("/") or path.startswith("//"):
        raise VerificationFailed("reference", "not a path of the endpoint", where=path[:200])
    for endpoint in market.endpoints:
        answer = endpoint.get(path)
        if answer.status == OK:
            other = answer.body
            try:
                verifier.check_bytes(record, answer.body)
            except VerificationFailed:
                continue
            return answer.body
    if other is None:
        raise SnapshotAway(
            "no endpoint answers the snapshot's bytes", where=path, next_step="ask the chain's operator for its store"
        )
    return other
