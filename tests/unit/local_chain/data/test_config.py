"""data.toml: what is refused, and that every command says what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_core.node.config import ConfigRefused
from local_chain.data.config import Desk, load
from local_chain.data.store import ObjectStore

ACCOUNT = "0a" * 16
CHAIN = '[chain]\ngenesis = "genesis.bin"\nnodes = ["127.0.0.1:7101"]\n'
CUSTODIAN = f'[custodian]\naccount = "{ACCOUNT}"\nkey = "k"\nsealing_key = "s"\n'
VAULT = '[vault]\ndirectory = "vault"\nkey_directories = ["keys"]\nkey = "vault.key"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "key chain"),
        (CHAIN + "[extra]\n", "key extra"),
        (CHAIN + 'directory = "x"\n', "key chain.directory"),
        ('[chain]\ngenesis = "g"\nnodes = ["192.0.2.1:1"]\n', "key chain.nodes"),
        (CHAIN + '[actor]\naccount = "xy"\nkey = "k"\n', "key actor.account"),
        (CHAIN + CUSTODIAN.replace('"s"', '""'), "key custodian.sealing_key"),
        (CHAIN + CUSTODIAN + "sweep_s = 0\n", "key custodian.sweep_s"),
        (CHAIN + CUSTODIAN + 'listen = "192.0.2.1:1"\nsecurity = "plaintext"\n', "key custodian"),
        (CHAIN + CUSTODIAN + 'listen = "127.0.0.1:1"\n', "key custodian"),
        (CHAIN + '[release]\ncustodians = ["me"]\n', "key release.custodians"),
        (CHAIN + '[release]\naddresses = ["nowhere"]\n', "key release"),
        (CHAIN + VAULT.replace('["keys"]', "[]"), "key vault.key_directories"),
        (CHAIN + "[store]\n", "key store"),
        (CHAIN + '[store]\ndirectory = "d"\nbucket = "b"\n', "key store"),
        (CHAIN + '[store]\ndirectory = "d"\nregion = "r"\n', "key store"),
    ],
)
def test_refused(tmp_path: Path, text: str, place: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigRefused) as refused:
        load(path)
    assert refused.value.where.startswith(f"{path}, {place}")


@pytest.mark.parametrize(
    ("vault", "keys"),
    [
        ("vault", "a,./a"),
        ("vault", "vault"),
        ("vault", "vault/keys"),
        ("keys/vault", "keys"),
        ("vault", "x/../vault/k"),
    ],
)
def test_key_folders_are_apart(tmp_path: Path, vault: str, keys: str) -> None:
    listed = ", ".join(f'"{name}"' for name in keys.split(","))
    text = CHAIN + VAULT.replace('"vault"', f'"{vault}"').replace('"keys"', listed)
    with pytest.raises(ConfigRefused, match="not apart"):
        Desk(load(written(tmp_path, text))).vault_parts()


def test_a_minimal_file_and_what_it_lacks(tmp_path: Path) -> None:
    desk = Desk(load(written(tmp_path, CHAIN)))
    for lacking in (lambda: desk.actor, desk.store, desk.vault_parts, desk.archive, desk.custodian):
        with pytest.raises(ConfigRefused, match="needed for this command"):
            lacking()


def test_paths_count_from_the_file(tmp_path: Path) -> None:
    desk = Desk(load(written(tmp_path, CHAIN + VAULT + '[store]\ndirectory = "objects"\n')))
    directory, folders, key = desk.vault_parts()
    assert (directory, folders, key) == (tmp_path / "vault", [tmp_path / "keys"], "vault.key")
    assert isinstance(desk.store(), ObjectStore) and desk.store().place == str(tmp_path / "objects")
