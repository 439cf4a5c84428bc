"""A node whose records can go unsealed, to measure what sealing costs. **For this benchmark and nothing else.**

    python -m benchmarks.sealing_switch python -m dualchain node run --config FILE

stands in the place of the command behind it: the same node, but SIGUSR2 makes it send its records in plain and SIGUSR1
sealed again, in the same frames; at each signal it writes what went through so far. No node has such a mode: a plain
record is marked by a tag that is none, so another node's session ends at the first one as at any forged record.

It refuses to run unless every address of the configuration is on the loopback interface and the folder above holds the
mark that the benchmark left there for this very genesis document.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from chain_core.crypto.hashing import sm3
from chain_core.crypto.sm4_gcm import TAG_SIZE, Sm4GcmKey
from chain_core.network.identity import require_loopback
from chain_core.network.sm_session import records
from chain_core.node.config import NodeConfig, load_config
from chain_core.types.errors import LocalFault

MARK: Final = "benchmark-of-sealing"
"""Beside the nodes' folders: the genesis document's SM3 in hexadecimal."""
FIGURES: Final = "sealing.json"
"""In a node's folder."""
PLAIN_TAG: Final = b"BENCHMARK: PLAIN"
assert len(PLAIN_TAG) == TAG_SIZE
SEALED, PLAIN = "sealed", "plain"


class OnlyABenchmark(LocalFault):
    """This is no node for a chain that anybody uses."""

    code = "ONLY_A_BENCHMARK"


@dataclass(slots=True)
class Through:
    """What went out and came in, in one mode; nanoseconds of CPU that the calling threads spent in SM4-GCM for it."""

    records_out: int = 0
    bytes_out: int = 0
    records_in: int = 0
    bytes_in: int = 0
    cpu_ns: int = 0


class Switch:
    """The process's mode, and what went through in each."""

    def __init__(self) -> None:
        self.mode = SEALED
        self.through = {SEALED: Through(), PLAIN: Through()}

    def figures(self) -> dict[str, dict[str, int]]:
        """By mode."""
        names = Through.__slots__
        return {mode: {name: getattr(found, name) for name in names} for mode, found in self.through.items()}


SWITCH: Final = Switch()


class SwitchedKey:
    """In the place of the record layer's key: seals, or sets a tag that is none; opens both."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = Sm4GcmKey(key)

    def seal(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """As ``Sm4GcmKey.seal``, in the present mode."""
        through = SWITCH.through[SWITCH.mode]
        through.records_out += 1
        through.bytes_out += len(plaintext)
        if SWITCH.mode is not SEALED:
            return plaintext + PLAIN_TAG
        before = time.thread_time_ns()
        sealed = self._key.seal(nonce, plaintext, associated)
        through.cpu_ns += time.thread_time_ns() - before
        return sealed

    def open(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """As ``Sm4GcmKey.open``, or what was left in plain."""
        plain = ciphertext.endswith(PLAIN_TAG)
        through = SWITCH.through[PLAIN if plain else SEALED]
        through.records_in += 1
        through.bytes_in += len(ciphertext) - TAG_SIZE
        if plain:
            return ciphertext[:-TAG_SIZE]
        before = time.thread_time_ns()
        opened = self._key.open(nonce, ciphertext, associated)
        through.cpu_ns += time.thread_time_ns() - before
        return opened


def install() -> None:
    """The record layer of this process makes switched keys from now on."""
    vars(records)["Sm4GcmKey"] = SwitchedKey


def mark(directory: Path) -> None:
    """Say that the network in ``directory`` is the benchmark's."""
    (directory / MARK).write_text(sm3((directory / "genesis.bin").read_bytes()).hex(), "ascii")


def require_benchmark(config: NodeConfig, folder: Path) -> None:
    """Raises OnlyABenchmark, BadAddress."""
    for address in (config.listen.peer, config.listen.client, *config.peers.values()):
        require_loopback(address)
    sign = folder.parent / MARK
    genesis = config.path(config.chain.genesis)
    if not sign.is_file() or sign.read_text("ascii") != sm3(genesis.read_bytes()).hex():
        raise OnlyABenchmark(
            "this node is not of the benchmark's network", where=str(sign), next_step="use: dualchain node run"
        )


def _tell(file: Path) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(SWITCH.figures()), "ascii")
    fresh.replace(file)


def main() -> None:
    """Check, install, and be the node."""
    from dualchain import cli

    command = sys.argv[4:]
    if sys.argv[2:4] != ["-m", "dualchain"] or command[:3] != ["node", "run", "--config"] or len(command) != 4:
        raise SystemExit(
            f"usage: {sys.executable} -m benchmarks.sealing_switch python -m dualchain node run --config FILE"
        )
    file = Path(command[3]).absolute()
    try:
        require_benchmark(load_config(file), file.parent)
    except LocalFault as refusal:
        raise SystemExit(str(refusal)) from refusal
    install()

    def switch(number: int, _: FrameType | None) -> None:
        _tell(file.parent / FIGURES)
        SWITCH.mode = SEALED if number == signal.SIGUSR1 else PLAIN

    signal.signal(signal.SIGUSR1, switch)
    signal.signal(signal.SIGUSR2, switch)
    sys.argv = ["dualchain", *command]
    cli.main()


if __name__ == "__main__":
    main()
