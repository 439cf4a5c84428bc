"""The relayer's configuration file and commands: what it cannot run with is refused by file and key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.keys import write_private_key
from chain_core.node.config import ConfigRefused
from chain_core.node.primary_watch import REQUEST_PATIENCE
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import DEFAULT_PARAMETERS
from crosschain.relayer import cli
from crosschain.relayer.config import assign, load_config
from crosschain.relayer.link import WINDOW_MS
from tests.unit.crosschain.chains import START_MS, Layers, account, private_key, supervisory_genesis


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    yield made
    made.close()


def write_config(layers: Layers, folder: Path, above: Sequence[str], below: Sequence[str]) -> Path:
    folder.mkdir()
    lines = ["[relay]", "poll_ms = 50", ""]
    for name, chain, nodes in (("supervisory", layers.supervisory, above), ("local", layers.local, below)):
        (folder / f"{name}.bin").write_bytes(chain.genesis_bytes)
        write_private_key(folder / f"{name}.key", private_key("courier"))
        lines += [f"[{name}]", f'genesis = "{name}.bin"', f"nodes = {json.dumps(list(nodes))}"]
        lines += [f'account = "{account("courier").hex()}"', f'key = "{name}.key"', ""]
    path = folder / "relayer.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_status_from_the_command_line(layers: Layers, tmp_path: Path) -> None:
    config = write_config(layers, tmp_path / "relayer", ["127.0.0.1:9"], ["127.0.0.1:10"])
    result = CliRunner().invoke(cli.app, ["status", "--config", str(config), "--json"])
    assert result.exit_code == 0, result.output
    row = json.loads(result.output)
    assert row["local_genesis"] == layers.local.hash.hex()
    assert "UNREACHABLE" in row["up"]["error"]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("poll_ms = 50", "poll_ms = 1", "relay.poll_ms"),
        ("poll_ms = 50", "pol_ms = 50", "relay.pol_ms"),
        ("[relay]", "[relay", "relayer.toml"),
        ('key = "local.key"', "", "local.key"),
        ('nodes = ["127.0.0.1:10"]', "nodes = []", "local.nodes"),
        ('nodes = ["127.0.0.1:10"]', 'nodes = ["127.0.0.1:9"]', "relayer.toml"),
        ('nodes = ["127.0.0.1:10"]', 'nodes = ["192.0.2.1:10"]', "local.nodes"),
        ('nodes = ["127.0.0.1:10"]', 'nodes = ["127.0.0.1:10", "127.0.0.1:10"]', "local.nodes"),
        ('genesis = "local.bin"', 'genesis = "supervisory.bin"', "local.genesis"),
        ('genesis = "local.bin"', 'genesis = "missing.bin"', "missing.bin"),
        (f'account = "{account("courier").hex()}"', 'account = "00"', "supervisory.account"),
    ],
)
def test_a_configuration_it_cannot_run_with(layers: Layers, tmp_path: Path, old: str, new: str, where: str) -> None:
    config = write_config(layers, tmp_path / "relayer", ["127.0.0.1:9"], ["127.0.0.1:10"])
    text = config.read_text("utf-8")
    assert old in text
    config.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigRefused) as refused:
        assign(load_config(config))
    assert where in refused.value.where


def test_two_chains_that_do_not_belong_together(layers: Layers, tmp_path: Path) -> None:
    config = write_config(layers, tmp_path / "relayer", ["127.0.0.1:9"], ["127.0.0.1:10"])
    other = encode_genesis(replace(supervisory_genesis(), time_ms=START_MS + 1))
    (config.parent / "supervisory.bin").write_bytes(other)
    with pytest.raises(ConfigRefused, match="another supervisory chain"):
        assign(load_config(config))


def test_nodes_elsewhere_need_credentials(layers: Layers, tmp_path: Path) -> None:
    """With a folder of key and certificates the nodes may be on other machines; what is wrong with it is named."""
    path = write_config(layers, tmp_path / "relayer", ["127.0.0.1:9"], ["127.0.0.1:10"])
    text = path.read_text("utf-8").replace(
        'nodes = ["127.0.0.1:10"]', 'credentials = "client"\nnodes = ["node-1.example:10"]'
    )
    path.write_text(text, "utf-8")
    config = load_config(path)
    assert config.local.nodes == ["node-1.example:10"]
    with pytest.raises(LocalFault, match="client"):
        assign(config)


def test_what_it_carries_may_wait_longer_than_a_primary_that_leaves_it_out_stays_in_office() -> None:
    """Else a censored transaction would end before anybody is deposed for it, and so would the next one."""
    longest_ms = DEFAULT_PARAMETERS["order_timeout_max_ms"]
    tolerance_ms = DEFAULT_PARAMETERS["clock_tolerance_ms"]
    assert 2 * (REQUEST_PATIENCE * longest_ms + tolerance_ms) < WINDOW_MS
    assert WINDOW_MS + tolerance_ms <= DEFAULT_PARAMETERS["max_window_ms"]
