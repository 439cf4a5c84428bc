"""What was destroyed opens from no backup of the vault's folder; a crash at any place ends as before or after."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import generate_private_key
from local_chain.data import durable, vault
from local_chain.data.errors import VaultFault
from local_chain.data.vault import Entry, Vault
from service_registry.config import KeyPair

KEY = KeyPair.of(generate_private_key())


def entry(name: str) -> Entry:
    identity = sm3(name.encode())[:16]
    return Entry(identity, sm3(b"key" + identity)[:16], sm3(b"salt" + identity), identity[::-1], 1)


A, B, C = map(entry, "abc")
MARK = replace(A, key=b"", salt=b"")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "keys-1", tmp_path / "keys-2"]
    for folder in made:
        folder.mkdir()
    return made


@pytest.fixture
def house(tmp_path: Path, folders: list[Path]) -> Vault:
    made = Vault.create(tmp_path / "vault", folders, KEY)
    for one in (A, B):
        made.put(one)
    return made


def again(tmp_path: Path, folders: list[Path]) -> Vault:
    return Vault(tmp_path / "vault", folders, KEY)


def secrets_in(*roots: Path) -> bytes:
    return b"".join(path.read_bytes() for root in roots for path in sorted(root.rglob("*")) if path.is_file())


def test_entries_are_kept_sealed(tmp_path: Path, folders: list[Path], house: Vault) -> None:
    assert again(tmp_path, folders).entries() == {A.identity: A, B.identity: B}
    kept = secrets_in(tmp_path / "vault", *folders)
    for one in (A, B):
        assert one.key not in kept and one.salt not in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "vault").iterdir())


def test_an_item_is_put_once(house: Vault) -> None:
    with pytest.raises(VaultFault, match="already"):
        house.put(A)


def test_destruction_leaves_the_rest(tmp_path: Path, folders: list[Path], house: Vault) -> None:
    house.destroy([A.identity])
    house.put(C)
    for one in (house, again(tmp_path, folders)):
        assert one.get(A.identity) is None and one.get(B.identity) == B and one.get(C.identity) == C
    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [["epoch-2.key", "vault-keys"]] * 2


def test_a_mark_stays_until_the_destruction_is_confirmed(house: Vault) -> None:
    house.forget(A.identity)
    assert house.get(A.identity) == A, "only marks are forgotten"
    house.destroy([A.identity])
    house.put(C)
    assert house.entries() == {A.identity: MARK, B.identity: B, C.identity: C}
    with pytest.raises(VaultFault, match="already"):
        house.put(A)
    for one in (A, B, C):
        house.forget(one.identity)
    assert house.entries() == {B.identity: B, C.identity: C}


def test_a_backup_from_before_opens_no_more(tmp_path: Path, folders: list[Path], house: Vault) -> None:
    shutil.copytree(tmp_path / "vault", tmp_path / "backup")
    assert Vault(tmp_path / "backup", folders, KEY).get(A.identity) == A
    house.destroy([A.identity])
    with pytest.raises(VaultFault, match="never opens again"):
        Vault(tmp_path / "backup", folders, KEY).entries()
    assert house.entries() == {A.identity: MARK, B.identity: B}, "the attempt destroyed nothing"
    # Not even with every file of the backup put beside those of today.
    for path in (tmp_path / "backup").iterdir():
        if not (tmp_path / "vault" / path.name).exists():
            shutil.copy(path, tmp_path / "vault")
    assert house.entries() == {A.identity: MARK, B.identity: B}


def test_nothing_is_destroyed_while_a_key_folder_is_away(tmp_path: Path, folders: list[Path], house: Vault) -> None:
    folders[1].rename(tmp_path / "unmounted")
    assert house.get(A.identity) == A
    before = secrets_in(tmp_path / "vault", folders[0])
    with pytest.raises(VaultFault, match="out of reach"):
        house.destroy([A.identity])
    assert secrets_in(tmp_path / "vault", folders[0]) == before
    folders[1].mkdir()  # an empty mount point is no key folder either
    with pytest.raises(VaultFault, match="out of reach"):
        house.destroy([A.identity])


class Crash(Exception):
    pass


@pytest.mark.parametrize("survived", range(12))
def test_a_crash_at_any_step(
    tmp_path: Path, folders: list[Path], house: Vault, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    """Steps: two keys and the base written, two keys overwritten and then removed each, three old files removed."""
    steps = iter(range(100))

    def crashing(real: Callable[..., None]) -> Callable[..., None]:
        def step(*args: object, **options: object) -> None:
            if next(steps) >= survived:
                raise Crash
            real(*args, **options)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(vault, "write_file", crashing(durable.write_file))
        patched.setattr(vault, "destroy_file", crashing(durable.destroy_file))
        patched.setattr(Path, "unlink", crashing(Path.unlink))
        with contextlib.suppress(Crash):
            house.destroy([A.identity])
    left = again(tmp_path, folders)
    assert left.entries() == ({A.identity: A, B.identity: B} if survived < 3 else {A.identity: MARK, B.identity: B})
    left.destroy([A.identity])
    left.forget(A.identity)
    assert left.entries() == {B.identity: B}
    keys = [path.name for folder in folders for path in folder.iterdir() if path.name.startswith("epoch")]
    assert keys == ["epoch-2.key"] * 2
    assert not [path for path in (tmp_path / "vault").iterdir() if path.name.startswith(("base-1", "item-1"))]


def test_the_old_key_is_overwritten(
    tmp_path: Path, folders: list[Path], house: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folders[0] / "epoch-1.key"
    (tmp_path / "same file").hardlink_to(path)
    before = path.read_bytes()
    house.destroy([A.identity])
    after = (tmp_path / "same file").read_bytes()
    assert len(after) == len(before) and after != before and before[8:40] not in after


def test_a_key_of_another_epoch_is_none(tmp_path: Path, folders: list[Path], house: Vault) -> None:
    old = [folder / "epoch-1.key" for folder in folders]
    kept = old[0].read_bytes()
    house.destroy([A.identity])
    for folder in folders:
        (folder / "epoch-2.key").write_bytes(kept)
    with pytest.raises(VaultFault, match="not the key of epoch 2"):
        house.entries()


@pytest.mark.parametrize("damage", ["altered", "of another item", "other key"])
def test_damage_is_named(tmp_path: Path, folders: list[Path], house: Vault, damage: str) -> None:
    one, other = sorted((tmp_path / "vault").glob("item-*"))
    if damage == "altered":
        one.write_bytes(one.read_bytes()[:-1] + b"\0")
    elif damage == "of another item":
        one.write_bytes(other.read_bytes())
    key = KeyPair.of(generate_private_key()) if damage == "other key" else KEY
    with pytest.raises(VaultFault, match="does not open"):
        Vault(tmp_path / "vault", folders, key).entries()


def test_no_vault(tmp_path: Path, folders: list[Path], house: Vault) -> None:
    with pytest.raises(VaultFault):
        Vault(tmp_path / "nothing", folders, KEY).entries()
    (tmp_path / "empty").mkdir()
    with pytest.raises(VaultFault, match="holds no vault"):
        Vault(tmp_path / "empty", folders, KEY).entries()
    with pytest.raises(VaultFault, match="not empty"):
        Vault.create(tmp_path / "second", folders, KEY)
