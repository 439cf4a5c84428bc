"""``dualchain node archive | verify-archive | prune | import`` (docs/spec/archive.md). Parse, call, print."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chain_core.ledger.store import KEPT_HEIGHTS, LedgerStore
from chain_core.node.archive import BLOCKS_A_FILE, Archive, FileRow, LedgerSource, NodeSource, put_back
from chain_core.node.assembly import Assemblies, assembly_for
from chain_core.node.client import NodeClient
from chain_core.node.client_security import from_environment
from chain_core.node.command import show
from chain_core.node.config import join, load_config, read_genesis
from chain_core.types.ids import MAX_U64

CONFIG = Annotated[Path, typer.Option("--config", help="TOML file of a node that is stopped.")]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def add_commands(app: typer.Typer, assemblies: Callable[[], Assemblies]) -> None:
    """Adds the commands to the node's group."""
    _add_archive(app, assemblies)
    _add_prune(app, assemblies)
    _add_import(app, assemblies)
    app.command("verify-archive")(verify_archive)


def _add_archive(app: typer.Typer, assemblies: Callable[[], Assemblies]) -> None:
    @app.command()
    def archive(
        to: Annotated[Path, typer.Option("--to", help="Directory of the archive; one that exists is continued.")],
        config: Annotated[Path | None, typer.Option("--config", help="TOML file of a node that is stopped.")] = None,
        node: Annotated[str, typer.Option("--node", help="Client port of a node that runs, host:port.")] = "",
        genesis: Annotated[
            Path | None, typer.Option("--genesis", help="The chain's genesis document; needed with --node.")
        ] = None,
        through: Annotated[
            int | None, typer.Option("--through", min=1, help="Highest block to copy; without it the latest final one.")
        ] = None,
        blocks_per_file: Annotated[
            int, typer.Option("--blocks-per-file", min=1, help="At most so many blocks in one file.")
        ] = BLOCKS_A_FILE,
        as_json: JSON = False,
    ) -> None:
        """Copy blocks to files, which anybody can verify with the genesis document alone.

        From a node that runs: --node and --genesis. From one that is stopped: --config. Nothing is removed from it.
        """
        tell = _teller(as_json)
        if (config is None) == (not node) or (node and genesis is None):
            raise typer.BadParameter("give --config, or --node with --genesis")

        async def from_node(raw: bytes) -> None:
            target = Archive(to, raw)
            async with NodeClient(node, genesis_hash=target.genesis_hash, security=from_environment(raw)) as client:
                _show_rows(await target.write(NodeSource(client), through or MAX_U64, blocks_per_file, tell), as_json)

        if config is not None:
            with stopped_ledger(config, assemblies) as (store, raw):
                target = Archive(to, raw)
                written = target.write(LedgerSource(store), through or MAX_U64, blocks_per_file, tell)
                _show_rows(asyncio.run(written), as_json)
        elif genesis is not None:
            asyncio.run(from_node(read_genesis(genesis)[1]))


def _add_prune(app: typer.Typer, assemblies: Callable[[], Assemblies]) -> None:
    @app.command()
    def prune(
        config: CONFIG,
        below: Annotated[
            int | None, typer.Option("--below", min=1, help="Delete from all blocks below this height.")
        ] = None,
        keep: Annotated[
            int | None, typer.Option("--keep", min=KEPT_HEIGHTS, help="Or: from all but the latest so many blocks.")
        ] = None,
        as_json: JSON = False,
    ) -> None:
        """Delete the contents of old blocks from a stopped node's disk: transactions, receipts and events.

        Headers, certificates and the whole state stay, so the node works as before; for a block it deleted it answers
        PRUNED. Whether an archive exists is not asked: run `archive` and `verify-archive` first. `import` puts blocks
        back. A running node prunes by itself when storage.keep_blocks is set.
        """
        if bool(below) == bool(keep):
            raise typer.BadParameter("give --below or --keep")
        with stopped_ledger(config, assemblies) as (store, _):
            through, removed = (below - 1 if below else store.final_height - (keep or 0)), 0
            before = _size(store)
            while count := store.prune(through):
                removed += count
            store.pruning.compact()
            row = {"removed": removed, "pruned_through": store.pruning.height, "final_height": store.final_height}
            show(row | {"bytes_before": before, "bytes_after": _size(store)}, as_json)


def _add_import(app: typer.Typer, assemblies: Callable[[], Assemblies]) -> None:
    @app.command("import")
    def import_(
        config: CONFIG,
        directory: Annotated[Path, typer.Argument(help="Directory of the archive.")],
        as_json: JSON = False,
    ) -> None:
        """Put archived blocks back into a stopped node that pruned them, or that joined by a snapshot without them.

        Every block is verified first and must be the one whose header the node has.
        """
        with stopped_ledger(config, assemblies) as (store, raw):
            done = put_back(Archive.open(directory, raw), store, _teller(as_json))
            show({"imported": done, "pruned_through": store.pruning.height}, as_json)


def verify_archive(
    directory: Annotated[Path, typer.Argument(help="Directory of the archive.")],
    genesis: Annotated[
        Path | None,
        typer.Option(
            "--genesis",
            help="The chain's genesis document, from a source you trust; without it the archive's own copy counts.",
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Check that an archive is whole and genuine; no node is needed.

    Every block must be certified by the chain's validators, follow the one before it, and have exactly the
    transactions, receipts, events and packets that its header commits to. Without --genesis this shows only that the
    archive agrees with the genesis document inside it: compare the printed genesis_hash with the chain's.
    """
    archive = Archive.open(directory, None if genesis is None else read_genesis(genesis)[1])
    _show_rows(archive.verify(_teller(as_json)), as_json, genesis_hash=archive.genesis_hash.hex())


def _show_rows(rows: list[FileRow], as_json: bool, **more: str) -> None:
    head = {"first": rows[0].first, "last": rows[-1].last} if rows else {"first": 0, "last": 0}
    show({**more, **head, "files": [asdict(row) for row in rows]}, as_json)


def _teller(as_json: bool) -> Callable[[str], None]:
    return lambda line: typer.echo(line, err=True) if not as_json else None


def _size(store: LedgerStore) -> int:
    return sum(path.stat().st_size for path in store.path.iterdir() if path.is_file())


@contextmanager
def stopped_ledger(config: Path, assemblies: Callable[[], Assemblies]) -> Iterator[tuple[LedgerStore, bytes]]:
    """The ledger of a stopped node, and its genesis document."""
    from chain_core.node.ledger_files import open_ledger

    loaded = load_config(config)
    member = join(loaded)
    assembly = assembly_for(member.genesis, assemblies())
    with open_ledger(loaded.path(loaded.node.data_dir), assembly, member.genesis, member.genesis_hash) as store:
        yield store, member.genesis_bytes
