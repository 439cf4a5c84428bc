"""Signer processes for the nodes of a test's chain."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain_core.node.signer.config import load_signer_config
from chain_core.node.signer.record import create_record
from tests.integration.test_process import Started, started

KEY_LINES = 'consensus_key = "consensus.key"\nplaintext_keys = true\n'


@contextmanager
def short_directory() -> Iterator[Path]:
    """For sockets: their paths have at most 107 bytes, pytest's directories have more."""
    with tempfile.TemporaryDirectory(prefix="signer-") as made:
        yield Path(made)


@dataclass
class Signer:
    """The signer of one node: its files, and its process while it runs."""

    folder: Path
    socket: Path
    process: Started | None = None

    @property
    def config(self) -> Path:
        return self.folder / "signer.toml"

    async def start(self) -> None:
        command = (sys.executable, "-m", "dualchain", "signer", "run", "--config", str(self.config))
        self.process = await started(*command)
        line = await self.process.ready()
        assert line.startswith("READY"), self.process.text

    async def kill(self) -> None:
        assert self.process is not None
        self.process.process.kill()
        await self.process.ended()
        self.process = None

    async def stop(self) -> int:
        assert self.process is not None
        self.process.process.terminate()
        code = await self.process.ended()
        self.process = None
        return code


def attach(node: Path, socket: Path) -> Signer:
    """This node votes through a signer from now on: the key leaves its folder."""
    folder = node.parent / f"{node.name}-signer"
    folder.mkdir()
    (node / "consensus.key").rename(folder / "consensus.key")
    (folder / "genesis.bin").write_bytes((node / "genesis.bin").read_bytes())
    write_config(folder, socket)
    config = load_signer_config(folder / "signer.toml")
    create_record(folder / "record", config.genesis_hash())
    text = (node / "node.toml").read_text("utf-8")
    assert KEY_LINES in text
    changed = text.replace(KEY_LINES, f'signer = "unix:{socket}"\nplaintext_keys = true\n')
    (node / "node.toml").write_text(changed, "utf-8")
    return Signer(folder, socket)


def write_config(folder: Path, socket: Path, *keys: str) -> None:
    listed = ", ".join(f'"{key}"' for key in keys or ("consensus.key",))
    (folder / "signer.toml").write_text(
        f'[signer]\ngenesis = "genesis.bin"\nkeys = [{listed}]\nrecord_dir = "record"\n'
        f'socket = "{socket}"\nplaintext_keys = true\n',
        "utf-8",
    )
