"""``dualchain signer``: a process that holds consensus keys and serves votes (docs/spec/keys.md §5)."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from chain_core.crypto.passphrase import SOURCES, Source, parse_source
from chain_core.node.command import JSON, show
from chain_core.node.log import event, set_up
from chain_core.node.process import announce
from chain_core.node.signer.config import SignerConfig, load_signer_config
from chain_core.node.signer.record import Record, create_record
from chain_core.node.signer.server import SignerServer
from chain_core.node.signer.service import Desk
from chain_core.types.errors import LocalFault

app = typer.Typer(help="Hold consensus keys outside of the node, serve votes only.", no_args_is_help=True)
log = logging.getLogger(__name__)

CONFIG = Annotated[Path, typer.Option("--config", help="The signer's TOML file.")]
PASSPHRASE = Annotated[
    str, typer.Option("--passphrase-from", metavar="SOURCE", help=f"Instead of what the file says: {SOURCES}.")
]
EXIT_FAULT = 3


@app.command()
def init(
    config: CONFIG,
    above: Annotated[
        int, typer.Option("--above", min=0, help="For keys that have voted: sign nothing at or below this height.")
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Make the record of what was signed: empty, once, for one chain."""
    loaded = load_signer_config(config)
    directory, chain = loaded.path(loaded.signer.record_dir), loaded.genesis_hash()
    create_record(directory, chain, above)
    show({"record": str(directory), "genesis_hash": chain.hex(), "above": above}, as_json)


@app.command("show")
def show_record(config: CONFIG, passphrase: PASSPHRASE = "", as_json: JSON = False) -> None:
    """Show the keys and how far each has signed. The signer must not run."""
    loaded = load_signer_config(config)
    backends = loaded.backends(_source(passphrase))
    record = Record(loaded.path(loaded.signer.record_dir), loaded.genesis_hash())
    try:
        rows = {
            backend.public_key.hex(): {
                str(ledger): {"epoch": m.epoch, "view": m.view, "height": m.height, "nothing_at_or_below": m.floor}
                for ledger, m in record.marks(backend.public_key).items()
            }
            for backend in backends
        }
    finally:
        record.close()
    show({"keys": rows}, as_json)


@app.command()
def run(config: CONFIG, passphrase: PASSPHRASE = "") -> None:
    """Run the signer until SIGTERM or Ctrl-C. Exit codes: 0 stopped, 1 could not start, 3 its disk failed."""
    set_up("info", "text")
    raise typer.Exit(asyncio.run(_run(load_signer_config(config), _source(passphrase))))


def _source(text: str) -> Source | None:
    return parse_source(text) if text else None


async def _run(config: SignerConfig, passphrase_from: Source | None) -> int:
    chain, backends = config.genesis_hash(), config.backends(passphrase_from)
    record = Record(config.path(config.signer.record_dir), chain)
    try:
        path = config.path(config.signer.socket)
        uids = config.signer.uids or [os.getuid()]
        server = SignerServer(Desk(chain, backends, record), path, uids, config.signer.group)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        try:
            await server.start()
            facts: dict[str, str | int] = {"socket": str(path), "keys": len(backends), "chain": chain.hex()[:16]}
            event(log, logging.INFO, "READY", facts)
            announce(facts)
            await server.serve()
        except LocalFault as fault:
            log.error("FAULT %s", fault)
            return EXIT_FAULT
        finally:
            await server.close()
        return 0
    finally:
        record.close()
