"""Steps at the border: relayers, directives that bind (指令), forgeries refused, reports and headers that arrived."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.following import decode_position
from crosschain.packets import (
    CLIENTS,
    DIRECTIVES,
    FREEZE,
    INBOX,
    REPORT_CHANNEL,
    chain_record_key,
    client_key,
    count_in,
    directive_key,
    directive_next_key,
    read_channel,
    received_key,
    sent_key,
)
from dualchain.demo.actors import Actor, Desk, Signed, StoryFault
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.inputs import DirectiveRow
from dualchain.demo.observe import Values, prove

DEADLINE_MS = 3_600_000
WAIT_S = 60.0
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Crossing:
    """What the supervisory chain has proven of one local chain."""

    followed_height: int
    followed_hash: bytes
    reports: int
    transactions: int


def write_relayer_config(path: Path, upper: Desk, lower: Desk, upper_name: str, lower_name: str) -> None:
    """One relayer for both directions, with its own account on each chain."""
    lines = []
    for section, desk, name in (("supervisory", upper, upper_name), ("local", lower, lower_name)):
        key = desk.chain.directory / "accounts" / f"{name}.key"
        lines += [
            f"[{section}]",
            f"genesis = {json.dumps(str(desk.chain.genesis_file.resolve()))}",
            f"credentials = {json.dumps(str(desk.chain.credentials('cli').resolve()))}",
            f"nodes = {json.dumps(desk.chain.addresses)}",
            f'account = "{desk.actors[name].account.hex()}"',
            f"key = {json.dumps(str(key.resolve()))}",
            "",
        ]
    lines += ["[relay]", "poll_ms = 100", "", "[keys]", *upper.chain.protection.lines, ""]
    path.write_text("\n".join(lines), encoding="utf-8")


async def until(desk: Desk, keys: Sequence[bytes], holds: Callable[[list[bytes | None]], bool], what: str) -> None:
    """Look at proven state until it holds what a relayer is to bring; StoryFault when it takes too long."""
    deadline = time.monotonic() + WAIT_S
    while True:
        _, values = await desk.client.state(keys)
        if holds(values):
            return
        if time.monotonic() > deadline:
            raise StoryFault(f"{what} did not arrive within {WAIT_S:.0f} s", where=desk.chain.label)
        await asyncio.sleep(LOOK_S)


def status_key(chain: bytes, sequence: int) -> bytes:
    """Full key of a directive's record on the supervisory chain."""
    return state_key(DIRECTIVES, b"s" + chain + sequence.to_bytes(8, "big"))


def tally_key(chain: bytes) -> bytes:
    """Full key of what the supervisory inbox was told by a chain's reports."""
    return state_key(INBOX, b"r" + chain)


async def issue_directives(upper: Desk, lower: Desk, rows: Sequence[DirectiveRow]) -> int:
    """Freezes: issued by one officer, confirmed by another, carried down, executed, acknowledged with proof."""
    issuer, checker = upper.genesis_actor("csrc-issuer"), upper.genesis_actor("csrc-checker")
    issued, numbers = [], []
    for row in rows:
        args: dict[str, Value] = {
            "chain": lower.genesis_hash,
            "kind": FREEZE,
            "account": lower.actors[row.holder].account,
            "deadline_ms": time.time_ns() // 1_000_000 + DEADLINE_MS,
            "reference": f"{row.directive} {row.reason}",
        }
        issued.append(upper.sign(f"directive {row.directive} issued", issuer, [Operation(DIRECTIVES, "issue", args)]))
    first = await _next_number(upper)
    await upper.accepted(issued)
    numbers = [first + i for i in range(len(rows))]
    own = Operation(DIRECTIVES, "confirm", {"number": numbers[0]})
    await upper.refused(upper.sign("own confirmation", issuer, [own]), "directives.own")
    confirmations = [
        upper.sign(f"directive {row.directive} confirmed", checker, [Operation(DIRECTIVES, "confirm", {"number": n})])
        for row, n in zip(rows, numbers, strict=True)
    ]
    await upper.accepted(confirmations)
    chain = lower.genesis_hash
    keys = [status_key(chain, i) for i in range(len(rows))]
    await until(upper, keys, lambda values: all(_acknowledged(v) for v in values), "the acknowledgement")
    return len(rows)


async def _next_number(upper: Desk) -> int:
    """Number that the next proposed directive gets."""
    _, (raw,) = await upper.client.state([state_key(DIRECTIVES, b"q")])
    return 1 if raw is None else cast(int, decode_map(raw)["last"]) + 1


def _acknowledged(raw: bytes | None) -> bool:
    return raw is not None and decode_map(raw)["ack"] is not None


async def prove_directives(upper: Desk, book: EvidenceBook, lower: Desk, count: int) -> Values:
    """The directives as they stand on the supervisory chain, with what became of them."""
    chain = lower.genesis_hash
    keys = [directive_next_key(chain)]
    keys += [key for i in range(count) for key in (directive_key(chain, i), status_key(chain, i))]
    return await prove(upper, book, f"directives to {lower.chain.label}", [lambda _: keys])


async def refuse_forgeries(upper: Desk, lower: Desk, courier: Actor) -> list[tuple[str, str]]:
    """An untrusted courier alters what it carries: (what was altered, rule that refused it)."""
    node = lower.client.nodes[0]
    certified = await node.header()
    header, certificate = bytearray(certified.header), bytearray(certified.certificate)
    header[300] ^= 1
    forged_vote = bytearray(certificate)
    forged_vote[-1] ^= 1
    cases = [
        ("a header with one bit changed", bytes(header), certified.certificate),
        ("a certificate with a forged vote", certified.header, bytes(forged_vote)),
        ("a certificate with one vote too few", certified.header, _without_last_vote(certified.certificate)),
    ]
    refused = []
    for case, altered, votes in cases:
        rows: list[Value] = [{"header": altered, "certificate": votes}]
        args: dict[str, Value] = {"chain": lower.genesis_hash, "headers": rows}
        transaction = upper.sign(f"forgery: {case}", courier, [Operation(CLIENTS, "submit_headers", args)])
        refused.append((case, await _rule_of(upper, transaction)))
    return refused


def _without_last_vote(certificate: bytes) -> bytes:
    count = int.from_bytes(certificate[33:35], "big")
    return certificate[:33] + (count - 1).to_bytes(2, "big") + certificate[35:-66]


async def _rule_of(desk: Desk, transaction: Signed) -> str:
    """The rule behind a refusal; StoryFault when the forgery was taken."""
    (found,) = await desk.settle([transaction])
    if not found.receipt.code:
        raise StoryFault(f"{transaction.label} was accepted", where=desk.chain.label)
    return found.receipt.rule


async def wait_for_reports(upper: Desk, lower: Desk) -> None:
    """Until every report that the local chain sent was taken by the supervisory inbox."""
    _, (sent,) = await lower.client.state([sent_key(upper.genesis_hash, REPORT_CHANNEL)])
    wanted = count_in(sent)
    key = received_key(lower.genesis_hash, REPORT_CHANNEL)
    await until(upper, [key], lambda values: read_channel(values[0])[0] >= wanted, "the last report")


async def prove_crossing(upper: Desk, book: EvidenceBook, lower: Desk) -> Crossing:
    """Registration, light client and report tally of one local chain; and the header it was proven to have."""
    chain = lower.genesis_hash
    keys = [chain_record_key(chain), client_key(chain), tally_key(chain), received_key(chain, REPORT_CHANNEL)]
    values = await prove(upper, book, f"following {lower.chain.label}", [lambda _: keys])
    position = decode_position(values[client_key(chain)])
    certified = await lower.client.nodes[0].header(position.height)
    lower.client.view.check_header(certified)
    book.header(lower.chain.label, certified)
    raw = values[tally_key(chain)]
    tally = decode_map(raw) if raw is not None else {}
    return Crossing(
        position.height,
        position.header_hash,
        cast(int, tally.get("reports", 0)),
        cast(int, tally.get("transactions", 0)),
    )


async def prove_acknowledgements(book: EvidenceBook, lower: Desk, after: int) -> None:
    """The outboxes of the local chain that hold acknowledgements, found by walking its headers from ``after``."""
    node = lower.client.nodes[0]
    final = decode_header((await node.header()).header).height
    for height in range(after + 1, final + 1):
        certified = await node.header(height)
        if lower.client.view.check_header(certified).outbox_count:
            answer = await node.outbox(height)
            lower.client.view.check_outbox(answer)
            book.outbox(lower.chain.label, "outbox", answer)
