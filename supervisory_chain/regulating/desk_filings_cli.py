"""``dualchain supervisory desk filings common|compare``: what is filed above against what runs below (desk.md §4)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.node import render
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import from_environment
from chain_core.node.command import GENESIS, JSON, NODES, show
from chain_core.node.config import read_genesis
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from contracts.templates.catalogue import catalogue
from contracts.templates.contract import TEMPLATES
from contracts.templates.filings import record_key
from crosschain.packets import count_in
from supervisory_chain.desk.machines import FILING
from supervisory_chain.desk.records import Matter, decode_matter, matter_key, next_key
from supervisory_chain.regulating.common import CHAIN, KEYS_AT_ONCE, chain_of, table, tell

MARKET_NODE = Annotated[list[str], typer.Option("--market-node", help="Node of the market's chain: host:port; repeat.")]
MARKET_GENESIS = Annotated[Path, typer.Option("--market-genesis", help="Genesis document of the market's chain.")]
TITLES = ("模板 template", "版本", "备案 filed above", "链上 below", "比对 verdict")
SAME, DIFFERS, ABSENT, UNFILED = "一致 same", "不一致 DIFFERS", "链上没有 not below", "未备案 NOT FILED"


def common(as_json: JSON = False) -> None:
    """The regulator's common templates 通用模板 of this release, with the hashes that every market's chain has."""
    rows: render.Row = {}
    for shipped in catalogue():
        template = shipped.compiled.template
        identity = {"tree_sm3": shipped.compiled.identity.hex(), "source_sm3": shipped.source_sm3.hex()}
        rows[template.id] = {"version": template.version, "title": template.title, **identity}
    show(rows, as_json)


def compare(
    chain: CHAIN,
    market_node: MARKET_NODE,
    market_genesis: MARKET_GENESIS,
    node: NODES,
    genesis: GENESIS,
    as_json: JSON = False,
) -> None:
    """Compare 比对 what a market filed here, and the common templates, with what its chain has; both proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        identity = await chain_of(client, chain)
        raw = read_genesis(market_genesis)[1]
        view = ChainView(raw)
        if view.genesis_hash != identity:
            next_step = "name the document that the market registered"
            raise MalformedBytes("this document is of another chain", where="--market-genesis", next_step=next_step)
        filed = await _filed(client, identity)
        expected = [_expected(number, matter) for number, matter in filed]
        for shipped in catalogue():
            template = shipped.compiled.template
            hashes = shipped.compiled.identity, shipped.source_sm3
            expected.append((template.id, template.version, "common", *hashes))
        market = VerifyingClient(view, market_node, from_environment(raw))
        try:
            keys = [state_key(TEMPLATES, record_key(name, version)) for name, version, *_ in expected]
            below: list[bytes | None] = []
            height = 0
            for start in range(0, len(keys), KEYS_AT_ONCE):
                header, found = await market.state(keys[start : start + KEYS_AT_ONCE])
                below, height = below + found, header.height
        finally:
            await market.close()
        rows = [_row(one, found) for one, found in zip(expected, below, strict=True)]
        return {"chain": identity.hex(), "market_height": height, "templates": rows}

    tell(genesis, node, ask, as_json, _lines)


async def _filed(client: VerifyingClient, chain: bytes) -> list[tuple[int, Matter]]:
    """The filings of a chain: the last one of each version."""
    _, (raw,) = await client.state([next_key()])
    found: dict[tuple[str, int], tuple[int, Matter]] = {}
    numbers = range(count_in(raw))
    for start in range(0, len(numbers), KEYS_AT_ONCE):
        part = numbers[start : start + KEYS_AT_ONCE]
        for number, value in zip(part, (await client.state([matter_key(n) for n in part]))[1], strict=True):
            matter = decode_matter(value or b"")
            if (matter.machine, matter.chain) == (FILING, chain):
                found[cast(str, matter.fields["name"]), cast(int, matter.fields["version"])] = number, matter
    return list(found.values())


def _expected(number: int, matter: Matter) -> tuple[str, int, str, bytes, bytes]:
    fields = matter.fields
    state = f"{matter.state} #{number}"
    return (
        cast(str, fields["name"]),
        cast(int, fields["version"]),
        state,
        cast(bytes, fields["tree"]),
        cast(bytes, fields["source"]),
    )


def _row(expected: tuple[str, int, str, bytes, bytes], found: bytes | None) -> dict[str, Any]:
    name, version, above, tree, source = expected
    row = None if found is None else decode_map(found, "filing record")
    same = row is not None and (row["tree_sm3"], row["source_sm3"]) == (tree, source)
    live = row is not None and row["status"] == "live"
    may_run = above == "common" or above.startswith("approved ")
    verdict = ABSENT if row is None else DIFFERS if not same else UNFILED if live and not may_run else SAME
    below = {"status": None, "filing_number": None} if row is None else cast(dict[str, Any], render.plain(row))
    return {
        "template": name,
        "version": version,
        "above": above,
        "below": below["status"],
        "filing_number": below["filing_number"],
        "tree_sm3": tree.hex(),
        "source_sm3": source.hex(),
        "verdict": verdict,
    }


def _lines(row: render.Row) -> list[str]:
    rows = [(r["template"], r["version"], r["above"], r["below"] or "-", r["verdict"]) for r in row["templates"]]
    return [*table(TITLES, rows, "没有模板 no templates"), f"已验证 verified, market height {row['market_height']}"]
