"""What the simulated disk and the simulated signatures promise: as little as the real ones."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

import plyvel
import pytest

from chain_core.ledger.database import Database
from tests.simulation.chain import private_key, private_of, public_key
from tests.simulation.disk import Change, Disk
from tests.simulation.signatures import RealSm2, Signatures, Tags


class Recorder:
    """Remembers what became durable."""

    def __init__(self) -> None:
        self.kept: list[Sequence[Change]] = []

    def writing(self, changes: Sequence[Change]) -> None:
        pass

    def durable(self, changes: Sequence[Change]) -> None:
        self.kept.append(changes)

    def written(self, changes: Sequence[Change]) -> None:
        pass


def test_the_production_database_syncs_every_write_on_it() -> None:
    disk = Disk(Random(1), Recorder())
    with patch.object(plyvel, "DB", disk.open):
        database = Database(Path("simulated"))
    batch = database.batch()
    batch.put(b"b", b"2")
    batch.put(b"a", b"1")
    database.write(batch)
    assert not disk.dirty and disk.crash() == 0
    with patch.object(plyvel, "DB", disk.open):
        again = Database(Path("simulated"))
    assert again.scan(b"", None, 10) == [(b"a", b"1"), (b"b", b"2")] and again.get(b"c") is None
    with pytest.raises(RuntimeError, match="closed"):
        database.get(b"a")


@pytest.mark.parametrize("seed", range(8))
def test_a_crash_drops_unsynced_batches_from_the_end_each_as_a_whole(seed: int) -> None:
    disk = Disk(Random(seed), Recorder())
    disk.write([(b"kept", b"0"), (b"gone", b"0")], sync=True)
    for number in range(4):
        disk.write([(b"x%d" % number, b"1"), (b"y%d" % number, b"1"), (b"gone", None)], sync=False)
    assert disk.dirty and disk.get(b"y3") == b"1"
    lost = disk.crash()
    left = [number for number in range(4) if disk.get(b"x%d" % number)]
    assert left == list(range(4 - lost)) == [number for number in range(4) if disk.get(b"y%d" % number)]
    assert disk.get(b"kept") == b"0" and disk.get(b"gone") == (b"0" if lost == 4 else None)


def test_a_synced_batch_makes_those_before_it_durable() -> None:
    recorder = Recorder()
    disk = Disk(Random(1), recorder)
    disk.write([(b"a", b"1")], sync=False)
    assert recorder.kept == []
    disk.write([(b"b", b"2")], sync=True)
    assert recorder.kept == [[(b"a", b"1")], [(b"b", b"2")]] and disk.crash() == 0 and disk.get(b"a") == b"1"


@pytest.mark.parametrize("scheme", [RealSm2(), Tags(private_of)], ids=["SM2", "tags"])
def test_a_signature_holds_for_one_key_and_one_message(scheme: Signatures) -> None:
    mine, other = public_key("v0"), public_key("v1")
    first, second = (scheme.sign(private_key("v0"), b"m") for _ in range(2))
    assert first != second and len(first) == 64, "one message has many signatures"
    turned = first[:-1] + bytes([first[-1] ^ 1])
    items = [(mine, b"m", first), (mine, b"m", second), (other, b"m", first), (mine, b"n", first), (mine, b"m", turned)]
    assert scheme.verify_many([*items, (mine, b"m", bytes(64))]) == [True, True, False, False, False, False]
