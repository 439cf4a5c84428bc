"""``dualchain node snapshot | verify-snapshot | begin`` (docs/spec/successor.md §5). Parse, call, print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import render
from chain_core.node.archive_cli import CONFIG, JSON, stopped_ledger
from chain_core.node.assembly import Assemblies, assembly_for
from chain_core.node.command import show
from chain_core.node.config import join, load_config, read_genesis
from chain_core.node.succession import STATE_FILE, Bequest, begin, bequeath
from chain_core.types.block import Header

FROM = Annotated[Path, typer.Option("--from", help="Directory that `node snapshot` wrote on the predecessor.")]


def add_commands(app: typer.Typer, assemblies: Callable[[], Assemblies]) -> None:
    """Adds the commands to the node's group."""
    _add_snapshot(app, assemblies)
    _add_begin(app, assemblies)
    app.command("verify-snapshot")(verify_snapshot)


def _add_snapshot(app: typer.Typer, assemblies: Callable[[], Assemblies]) -> None:
    @app.command()
    def snapshot(
        config: CONFIG,
        to: Annotated[Path, typer.Option("--to", help="New directory for the snapshot.")],
        as_json: JSON = False,
    ) -> None:
        """Save a stopped node's last certified state, from which a successor chain can begin.

        For a chain that lost more than a third of its nodes for ever; run it on the survivor with the highest height.
        A node that only fell behind needs none of this: it fetches what it lacks from its peers.
        """
        with stopped_ledger(config, assemblies) as (store, raw):
            header = bequeath(store, raw, to)
        show(_row(header) | {"directory": str(to), "bytes": (to / STATE_FILE).stat().st_size}, as_json)


def _add_begin(app: typer.Typer, assemblies: Callable[[], Assemblies]) -> None:
    @app.command("begin")
    def begin_(config: CONFIG, source: FROM, as_json: JSON = False) -> None:
        """Give a successor chain's new node the state it begins from, its predecessor's snapshot.

        Once, before `node run`. Everything is verified; when it is refused, nothing can be started from it.
        """
        loaded = load_config(config)
        member = join(loaded)
        assembly, data_dir = assembly_for(member.genesis, assemblies()), loaded.path(loaded.node.data_dir)
        header = begin(data_dir, assembly, member.genesis_bytes, Bequest.open(source))
        row = {"chain_id": member.genesis.chain_id, "genesis_hash": member.genesis_hash.hex()}
        show(row | {f"predecessor_{name}": value for name, value in _row(header).items()}, as_json)


def verify_snapshot(
    directory: Annotated[Path, typer.Argument(help="Directory of the snapshot.")],
    genesis: Annotated[
        Path | None,
        typer.Option("--genesis", help="The predecessor's genesis document, if you hold it; else the directory's own."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Check that a successor's snapshot is genuine; no node is needed.

    Certificates must lead from the genesis document to the last header, and that header to every entry of the state.
    Without --genesis compare the printed genesis_hash with the chain's.
    """
    bequest = Bequest.open(directory, None if genesis is None else read_genesis(genesis)[1])
    show(_row(bequest.verify()) | {"verified": True}, as_json)


def _row(header: Header) -> render.Row:
    return {
        "genesis_hash": header.genesis_hash.hex(),
        "height": header.height,
        "time_ms": header.time_ms,
        "state_root": header.state_root.hex(),
        "seen_root": header.seen_root.hex(),
    }
