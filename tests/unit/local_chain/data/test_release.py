"""A custodian releases what the chain allows now, and carries deletions out to their end, whatever interrupts it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chain_core._pb.dualchain.data.v1 import data_pb2 as pb
from chain_core.crypto.hashing import sm3
from chain_core.network.channel_options import MAX_MESSAGE_BYTES
from chain_core.network.refusals import Overloaded
from chain_core.types.errors import DualchainError, MalformedBytes
from chain_core.types.transaction import Operation
from contracts.data.records import DATA, LIMITED
from local_chain.data import items, release
from local_chain.data.errors import DataRefused, NotReleased, StoreFault
from local_chain.data.key_ring import KeyRing
from local_chain.data.release import ORPHAN_MS, Custodian, Releaser
from tests.unit.contracts.data.house import DAY_MS, access, account, op
from tests.unit.local_chain.data.stage import Stage, pair

CONTENT = b"content of an item"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    # Owners count from the wall clock only to mark vault entries: the house's own time decides all else.
    return Stage(tmp_path)


async def fetch(releaser: Releaser, identity: bytes, name: str = "ann") -> pb.FetchResponse:
    request = pb.FetchRequest(object=identity, reader=account(name))
    return pb.FetchResponse.FromString(await releaser.fetch(None, request.SerializeToString()))  # type: ignore[arg-type]


async def limited(stage: Stage, *custodians: str) -> bytes:
    readers = {account("ann"): stage.house.soon()}
    return (await stage.owner("owner", *custodians).seal("agreement", CONTENT, readers)).identity


async def private(stage: Stage) -> bytes:
    identity = (await stage.owner().deposit("identity", CONTENT, stage.archive)).identity
    await stage.owner().grant(identity, account("ann"), stage.house.soon())
    return identity


async def code_of(attempt: object) -> str:
    with pytest.raises(DualchainError) as refused:
        await attempt  # type: ignore[misc]
    return refused.value.code


def test_each_custodian_of_a_limited_object_can_release_it(stage: Stage) -> None:
    async def story() -> None:
        identity = await limited(stage, "vault", "vault-2")
        stage.house.ok("ann", access(identity, "ann"))
        found = await stage.chain.descriptor(identity)
        sealed = stage.house.read(DATA, b"b" + identity) or b""
        for name in ("vault", "vault-2"):
            inner = (await fetch(stage.releaser(name), identity)).wrap
            key = items.unwrap_inner(pair("ann").private, inner)
            place = stage.chain.place(identity, found)
            assert items.open_limited(place, key, sealed, found.commitment) == CONTENT

    asyncio.run(story())


def test_no_release_without_a_record_in_time(stage: Stage) -> None:
    async def story() -> None:
        releaser = stage.releaser()
        for identity in (await limited(stage), await private(stage)):
            assert await code_of(fetch(releaser, bytes(16))) == "UNKNOWN_OBJECT"
            assert await code_of(fetch(releaser, identity)) == "NOT_RECORDED"
            assert await code_of(fetch(releaser, identity, "bo")) == "NO_GRANT"
            stage.house.ok("ann", access(identity, "ann"))
            assert await fetch(releaser, identity)
            assert await code_of(fetch(stage.releaser("vault-2"), identity)) == "OTHER_CUSTODIAN"
            stage.house.block(after_ms=600_001)
            assert await code_of(fetch(releaser, identity)) == "RECORD_OVER"
        stage.house.block(after_ms=DAY_MS)
        assert await code_of(fetch(releaser, identity)) == "GRANT_OVER"

    asyncio.run(story())


def test_an_old_state_proves_nothing(stage: Stage) -> None:
    async def story() -> None:
        identity = await private(stage)
        stage.house.ok("ann", access(identity, "ann"))
        for late, expected in ((60_000, ""), (60_001, "STALE_STATE")):
            releaser = Releaser(stage.chain, stage.releaser()._own, lambda late=late: stage.house.time_ms + late)  # type: ignore[misc]
            if expected:
                assert await code_of(fetch(releaser, identity)) == expected
            else:
                assert await fetch(releaser, identity)

    asyncio.run(story())


def test_requests_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        releaser = stage.releaser()
        for data in (b"", pb.FetchRequest(object=bytes(15), reader=bytes(16)).SerializeToString(), b"\xff"):
            with pytest.raises(MalformedBytes):
                await releaser.fetch(None, data)  # type: ignore[arg-type]
        monkeypatch.setattr(release, "MAX_RELEASES", 0)
        with pytest.raises(Overloaded):
            await fetch(releaser, bytes(16))

    asyncio.run(story())


def test_two_messages_of_one_item_are_sealed_anew(stage: Stage) -> None:
    async def story() -> None:
        identity = await private(stage)
        stage.house.ok("ann", access(identity, "ann"))
        one, other = await fetch(stage.releaser(), identity), await fetch(stage.releaser(), identity)
        assert one.wrap != other.wrap and one.sealed != other.sealed
        assert CONTENT not in one.sealed

    asyncio.run(story())


# ---- deletions


def test_a_deletion_goes_on_where_it_was_interrupted(stage: Stage) -> None:
    async def story() -> None:
        identity, other = await private(stage), await private(stage)
        name = (await stage.chain.descriptor(identity)).store
        await stage.owner().delete(identity, "request")
        stage.chain.refusing.add("confirm_deletion")
        assert await stage.releaser().sweep() == []
        assert stage.vault.get(identity) is None and stage.vault.entries()[identity].destroyed
        assert (await stage.chain.descriptor(identity)).status == "deleting"
        stage.chain.refusing.clear()
        assert await stage.releaser().sweep() == [identity]
        assert set(stage.vault.entries()) == {other} and await stage.releaser().sweep() == []
        assert (await stage.chain.descriptor(identity)).status == "deleted"
        with pytest.raises(NotReleased):
            await stage.store.get(name)
        stage.house.ok("ann", access(other, "ann"))
        assert await fetch(stage.releaser(), other)

    asyncio.run(story())


def test_two_sweeps_at_once_confirm_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ``delete`` beside the service: the other one is done while this one removes the stored item."""

    async def story() -> None:
        identity, remove, others = await private(stage), stage.store.remove, list[list[bytes]]()

        async def interrupted(name: bytes) -> None:
            monkeypatch.setattr(stage.store, "remove", remove)
            others.append(await stage.releaser().sweep())
            await remove(name)

        await stage.owner().delete(identity, "request")
        monkeypatch.setattr(stage.store, "remove", interrupted)
        assert await stage.releaser().sweep() == [identity] and others == [[identity]]
        assert stage.vault.entries() == {} and (await stage.chain.descriptor(identity)).status == "deleted"

    asyncio.run(story())


def test_one_refusal_does_not_keep_other_deletions(stage: Stage) -> None:
    """An entry whose descriptor names another custodian: no confirmation is possible, the others go through."""

    async def story() -> None:
        identity = await private(stage)
        foreign = stage.archive.__class__(account("vault-2"), stage.store, stage.vault)
        other = (await stage.owner().deposit("identity", CONTENT, foreign)).identity
        for one in (identity, other):
            await stage.owner().delete(one, "error")
        assert await stage.releaser().sweep() == [identity]
        assert stage.vault.get(other) is None, "its secrets are destroyed all the same"

    asyncio.run(story())


def test_what_the_chain_never_described_goes_only_when_asked(stage: Stage) -> None:
    async def story() -> None:
        stage.chain.refusing.add("describe")
        with pytest.raises(DualchainError):
            await stage.owner().deposit("identity", CONTENT, stage.archive)
        (entry,) = stage.vault.entries().values()
        stage.house.time_ms = entry.made_ms + ORPHAN_MS
        await stage.releaser().sweep(undescribed=True)
        assert stage.vault.get(entry.identity) == entry, "it may still be described"
        stage.house.time_ms += 1
        await stage.releaser().sweep()
        assert stage.vault.get(entry.identity) == entry
        assert await stage.releaser().sweep(undescribed=True) == []
        assert stage.vault.entries() == {}
        with pytest.raises(NotReleased):
            await stage.store.get(entry.store)

    asyncio.run(story())


def test_an_interrupted_destruction_is_finished_by_any_later_sweep(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(name: bytes) -> None:
        raise StoreFault("away for the test")

    async def story() -> None:
        stage.chain.refusing.add("describe")
        with pytest.raises(DualchainError):
            await stage.owner().deposit("identity", CONTENT, stage.archive)
        (entry,) = stage.vault.entries().values()
        stage.house.time_ms = entry.made_ms + ORPHAN_MS + 1
        with monkeypatch.context() as patched:
            patched.setattr(stage.store, "remove", away)
            await stage.releaser().sweep(undescribed=True)
        assert stage.vault.entries()[entry.identity].destroyed
        await stage.releaser().sweep()
        assert stage.vault.entries() == {}

    asyncio.run(story())


def test_what_was_sealed_on_an_earlier_chain_of_the_line_is_still_released(stage: Stage) -> None:
    """A successor has the state and another genesis hash: the descriptor says which one the bytes are bound to."""

    async def story() -> None:
        house, identities = stage.house, (await limited(stage), await private(stage))
        first, house.chain = house.chain, sm3(b"the successor")
        stage.chain.client.view.genesis_hash = house.chain
        for identity in identities:
            house.ok("ann", access(identity, "ann"))
            found, released = await stage.chain.descriptor(identity), await fetch(stage.releaser(), identity)
            assert found.chain == first
            place, private_key = stage.chain.place(identity, found), pair("ann").private
            if found.tier == LIMITED:
                key = items.unwrap_inner(private_key, released.wrap)
                body = house.read(DATA, b"b" + identity) or b""
                assert items.open_limited(place, key, body, found.commitment) == CONTENT
            else:
                package = items.Package(released.wrap, released.sealed)
                assert items.unpack(place, account("ann"), private_key, package, found.commitment) == CONTENT
        await stage.owner().withdraw(identities[0], account("ann"))
        again = await stage.chain.descriptor(identities[0])
        assert again.chain == house.chain
        assert await stage.owner().content(identities[0], again) == CONTENT

    asyncio.run(story())


# ---- the owner


def test_withdrawing_seals_anew_for_the_rest(stage: Stage) -> None:
    async def story() -> None:
        owner, house = stage.owner(), stage.house
        identity = await limited(stage)
        await owner.grant(identity, account("bo"), house.soon(90))  # in force by the wall clock, too
        before = house.read(DATA, b"b" + identity)
        await owner.withdraw(identity, account("ann"))
        present = await stage.chain.readers(identity)
        assert present.descriptor.version == 2 and set(present.grants) == {account("bo")}
        assert house.read(DATA, b"b" + identity) != before
        assert await owner.content(identity, present.descriptor) == CONTENT
        house.ok("bo", access(identity, "bo", 2))
        assert await fetch(stage.releaser(), identity, "bo")
        with pytest.raises(DataRefused, match="no grant"):
            await owner.withdraw(identity, account("ann"))

    asyncio.run(story())


def test_owners_and_custodians_open_with_former_keys(stage: Stage) -> None:
    async def story() -> None:
        identity = await limited(stage)
        stage.new_key("owner")
        stage.new_key("vault")
        found = await stage.chain.descriptor(identity)
        assert await stage.owner().content(identity, found) == CONTENT
        stage.house.ok("ann", access(identity, "ann"))
        assert await fetch(stage.releaser(), identity)
        forgetful = Custodian(stage.who("vault"), KeyRing([stage.ring("vault").current]), None, None)
        refused = Releaser(stage.chain, forgetful, lambda: stage.house.time_ms)
        assert await code_of(fetch(refused, identity)) == "BAD_CONTEXT"
        await stage.owner().grant(identity, account("bo"), stage.house.soon(90))
        made = await stage.owner().withdraw(identity, account("ann"))
        assert made.left_out == ()
        stage.house.ok("bo", access(identity, "bo", 2))
        assert await fetch(refused, identity, "bo"), "a new version is sealed to the keys in use"

    asyncio.run(story())


def test_a_reader_without_a_key_is_left_out_by_name(stage: Stage) -> None:
    async def story() -> None:
        identity = await limited(stage)
        for name in ("bo", "csrc"):
            await stage.owner().grant(identity, account(name), stage.house.soon(90))
        stage.house.ok("csrc", Operation("accounts", "revoke_key", {"key": pair("csrc").public}))
        made = await stage.owner().withdraw(identity, account("ann"))
        assert made.left_out == (account("csrc"),)
        assert set((await stage.chain.readers(identity)).grants) == {account("bo")}

    asyncio.run(story())


def test_the_largest_item_fits_into_a_message(stage: Stage) -> None:
    async def story() -> None:
        content = bytes(items.MAX_PRIVATE_BYTES)
        identity = (await stage.owner().deposit("evidence", content, stage.archive)).identity
        await stage.owner().grant(identity, account("ann"), stage.house.soon())
        stage.house.ok("ann", access(identity, "ann"))
        answer = await fetch(stage.releaser(), identity)
        assert answer.ByteSize() < MAX_MESSAGE_BYTES

    asyncio.run(story())


def test_only_who_has_a_sealing_key_can_be_a_reader(stage: Stage) -> None:
    async def story() -> None:
        with pytest.raises(DataRefused, match="sealing key"):
            await stage.owner().seal("agreement", CONTENT, {account("nobody"): stage.house.soon()})

    asyncio.run(story())


def test_only_the_owner_opens_without_a_record(stage: Stage) -> None:
    async def story() -> None:
        identity = await limited(stage)
        with pytest.raises(DataRefused, match="only the owner"):
            await stage.owner("ann").grant(identity, account("bo"), stage.house.soon())
        stage.house.ok("owner", op("publish", reference="0" * 32, kind="other", body=b"x"))

    asyncio.run(story())


def test_a_store_that_is_gone_is_a_fault(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")

    async def story() -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreFault):
            await release.ObjectStore.folder(tmp_path / "file").put(bytes(16), b"x")
        nobody = release.ObjectStore.bucket("bucket", "http://127.0.0.1:1")
        for attempt in (nobody.put(bytes(16), b"x"), nobody.get(bytes(16)), nobody.remove(bytes(16))):
            assert await code_of(attempt) == "STORE_FAULT"
        await stage.store.remove(bytes(16))  # what is not there is removed

    asyncio.run(story())
