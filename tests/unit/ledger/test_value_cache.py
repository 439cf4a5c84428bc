"""The state values kept in memory: always what the disk would say, never more than their room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chain_core.ledger.value_cache import ValueCache

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
VALUES = st.none() | st.binary(max_size=600)


class Disk:
    """Answers reads and counts them."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.values.get(key)

    def write(self, writes: dict[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value


@given(st.lists(KEYS | st.dictionaries(KEYS, VALUES)), st.integers(200, 2_000))
def test_reads_after_any_blocks_are_those_of_the_disk_and_the_room_is_kept(
    story: list[bytes | dict[bytes, bytes | None]], room: int
) -> None:
    disk = Disk()
    cache = ValueCache(disk.get, room)
    for step in story:
        if isinstance(step, bytes):
            assert cache.get(step) == disk.values.get(step)
        else:
            disk.write(step)
            cache.committed(step)
        assert cache.size_bytes <= room
    assert {key: cache.get(key) for key in (b"a", b"b", b"c", b"d", b"e")} == {
        key: disk.values.get(key) for key in (b"a", b"b", b"c", b"d", b"e")
    }


def test_what_was_read_or_written_is_not_read_again_absences_too() -> None:
    disk = Disk()
    disk.write({b"a": b"1"})
    cache = ValueCache(disk.get)
    assert (cache.get(b"a"), cache.get(b"b")) == (b"1", None)
    cache.committed({b"c": b"3", b"a": None})
    assert [cache.get(key) for key in (b"a", b"b", b"c")] == [None, None, b"3"]
    assert disk.reads == 2
